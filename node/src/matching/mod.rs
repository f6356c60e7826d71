//! Matching: the identifiers that this member lets others match, and the tags that it gives for
//! them.
//!
//! An operator loads a list for a community and some of its purposes ([`Lists`]); nothing of the
//! records here is ever matched. For an asker, purpose, type and day the list becomes tags
//! ([`Sets`]), which tell nobody anything but the asker for what it asks.
//!
//! This module knows nothing of the network and of who may ask.

mod lists;
mod sets;

pub use lists::{Listed, Lists, MAX_LIST_BYTES};
pub use sets::{Sets, TagSet, make};
