//! One function for every parser that takes bytes from outside.
//!
//! Each takes any bytes, says whether they were accepted, and panics if the parser breaks a
//! promise: what is accepted is written again as the same bytes where the format has one
//! spelling, or reads the same a second time where it has several. The programs in
//! `fuzz_targets` hand them to libFuzzer; `tests/replay.rs` calls them with the seeds.
//!
//! Where a signature or a seal stands before a parser, the bytes are also taken as the content,
//! and signed or sealed here with keys that the vectors use too.

mod imports;
mod keys;
mod records;
mod sealed;
pub mod seeds;
mod signed;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use sealwire_wire::bundle::{Element, Held, Manifest, Outcome};
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::message::{Announcement, Item, MAX_RESPONSE_BYTES, Request, Response};
use sealwire_wire::part::{Part, commitment_of_bytes};
use sealwire_wire::reads;
use sealwire_wire::statement::ReadsManifest;

pub use imports::{declaration, profile, workbook};
pub use records::{disclosed, record};
pub use sealed::{seal_key, sealed_part, wrap};
pub use signed::{cose_receipt, denial, ec_point, field_proof, introduction, register, statement};
pub use texts::{add_checkpoint, evidence, id, note, policy, receipt, tile};

/// What a target says of bytes: whether they were accepted.
pub type Target = fn(&[u8]) -> bool;

/// Every target by the name of its program.
pub const TARGETS: [(&str, Target); 26] = [
    ("add_checkpoint", add_checkpoint),
    ("bundle", bundle),
    ("cbor", cbor),
    ("cose_receipt", cose_receipt),
    ("declaration", declaration),
    ("denial", denial),
    ("disclosed", disclosed),
    ("ec_point", ec_point),
    ("evidence", evidence),
    ("field_proof", field_proof),
    ("id", id),
    ("introduction", introduction),
    ("message", message),
    ("note", note),
    ("part", part),
    ("policy", policy),
    ("profile", profile),
    ("receipt", receipt),
    ("record", record),
    ("register", register),
    ("seal_key", seal_key),
    ("sealed_part", sealed_part),
    ("statement", statement),
    ("tile", tile),
    ("workbook", workbook),
    ("wrap", wrap),
];

/// Deterministic CBOR: one spelling, one verdict of both readers, and JSON there and back.
pub fn cbor(bytes: &[u8]) -> bool {
    let decoded = cbor::decode("value", bytes, MAX_RESPONSE_BYTES).ok();
    let array = matches!(decoded, Some(Value::Array(_)));
    let items = cbor::array_items("value", bytes, MAX_RESPONSE_BYTES);
    assert_eq!(items.is_ok(), array, "the two readers of arrays differ");
    if let Ok(items) = items {
        assert!(bytes.ends_with(&items.concat()), "an array's items are not its bytes");
    }
    if let Some(value) = &decoded {
        assert_eq!(cbor::encode(value), bytes);
        if let Some(json) = cbor::to_json(value) {
            assert_eq!(cbor::from_json(&json).as_ref().map(cbor::encode).as_deref(), Some(bytes));
        }
    }
    decoded.is_some()
}

/// Plaintext of a part, and the commitment to it.
pub fn part(bytes: &[u8]) -> bool {
    let Ok(part) = Part::from_bytes(bytes) else { return false };
    assert_eq!(part.to_bytes(), bytes);
    let commitment = part.commitment(keys::record(), keys::CLASS);
    assert_eq!(commitment_of_bytes(keys::record(), keys::CLASS, bytes), Ok(commitment));
    // As the reads of a read log's entry that commits to it, and counts none of them.
    let manifest = ReadsManifest {
        to: BTreeSet::from([keys::originator().clone()]),
        from: 0,
        until: u64::MAX,
        counts: BTreeMap::new(),
        commitment: part.commitment(keys::record(), reads::CLASS),
    };
    assert!(reads::open(bytes, keys::record(), &manifest).is_err(), "reads that nothing counts");
    true
}

/// What travels between nodes: announcements, requests, answers, and entries.
pub fn message(bytes: &[u8]) -> bool {
    let rewritten = [
        Announcement::from_bytes(bytes).map(|message| message.to_bytes()),
        Announcement::from_file(bytes).map(|message| message.to_bytes()),
        Request::from_bytes(bytes).map(|message| message.to_bytes()),
        Response::from_bytes(bytes).map(|message| message.to_bytes()),
        Item::from_bytes(bytes).map(|message| message.to_bytes()),
    ];
    rewritten.into_iter().flatten().map(|written| assert_eq!(written, bytes)).count() > 0
}

/// What a bundle holds beside tiles and checkpoints: its manifest, held entries, and elements of
/// statement and outcome files.
pub fn bundle(bytes: &[u8]) -> bool {
    let manifest = Manifest::parse(bytes).ok();
    if let Some(manifest) = &manifest {
        assert_eq!(Manifest::parse(&manifest.to_bytes()).as_ref(), Ok(manifest));
    }
    let held = Held::parse(bytes).ok();
    if let Some(held) = &held {
        assert_eq!(held.to_bytes(), bytes);
        assert!(held.count() <= held.end());
    }
    let (mut element, mut outcome) = (bytes, bytes);
    let elements = [
        (Element::next(&mut element).ok().map(|read| read.to_bytes()), element),
        (Outcome::next(&mut outcome).ok().map(|read| read.to_bytes()), outcome),
    ];
    let mut accepted = manifest.is_some() || held.is_some();
    for (written, rest) in elements {
        let Some(written) = written else { continue };
        assert_eq!([written.as_slice(), rest].concat(), bytes);
        accepted = true;
    }
    accepted
}
