//! Writes `conformance/vectors/{part,entry,seal}`, or holds this implementation to the files there,
//! in the way of [`crate::merkle::vectors`]; and the vectors of others.

mod entry;
mod part;
mod seal;
mod wycheproof;

use crate::id::{MemberId, RecordId};

fn member(id: &str) -> MemberId {
    id.parse().unwrap()
}

fn record(random: u8) -> RecordId {
    RecordId::new(1_700_000_000_000, &[random; 10])
}

/// The bytes with their bit `8 * at` flipped.
fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// The bytes with the first occurrence of `from` replaced; both in hexadecimal digits.
fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = hex::encode(bytes);
    let at = text.match_indices(from).map(|(at, _)| at).find(|at| at % 2 == 0).unwrap();
    hex::decode(format!("{}{to}{}", &text[..at], &text[at + from.len()..])).unwrap()
}
