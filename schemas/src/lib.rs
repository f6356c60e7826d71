//! The shared standard: is this a valid record?
//!
//! Record kinds as JSON Schema 2020-12 over shared definitions (`json/`), code lists (`codes/`),
//! semantic rules, field classes, and projection: which fields belong to which class, what a
//! member that holds only some classes can check, and what it cannot.
//!
//! Pure: this crate knows nothing of clocks, disks, networks, keys or async.

mod assemble;
mod breach;
pub mod check;
mod class;
pub mod codes;
mod correction;
mod finding;
mod form;
pub mod identifier;
mod kind;
mod language;
mod letters;
pub mod locode;
mod profile;
mod rules;
mod standard;
pub mod substance;
mod tree;

pub use assemble::{Disclosure, Parts, assemble};
pub use class::{FieldClass, UnknownClass};
pub use correction::{Corrected, FieldChange, correct, difference};
pub use finding::{Finding, MAX_RECORD_BYTES, Severity, parse_json};
pub use kind::{Field, Holds, Kind};
pub use language::{Language, UnknownLanguage, Words};
pub use profile::{Profile, UnknownProfile};
pub use rules::{Rule, rules};
pub use standard::{PartialCheck, Standard, ValidRecord};
pub use tree::Check;
