//! Nothing but its tests: see `tests/cddl.rs`.
