//! Formats that are lines of text, and the tiles of a log.

use std::fmt::Display;
use std::str::FromStr;

use sealwire_wire::checkpoint::{Checkpoint, SignedCheckpoint, verify_cosignature_of};
use sealwire_wire::evidence::Fork;
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::merkle;
use sealwire_wire::note::{Note, NoteSignature, PublicKey, VerifierKey};
use sealwire_wire::policy::Policy;
use sealwire_wire::receipt::Receipt;
use sealwire_wire::tile::{Resource, TileId, decode_bundle, encode_bundle};
use sealwire_wire::witness::AddCheckpoint;

use crate::keys::{self, ORIGIN};

/// Identifiers: each has one spelling.
pub fn id(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    same::<MemberId>(text) | same::<RecordId>(text) | same::<Digest>(text)
}

/// Signed notes, checkpoints, cosignature lines and verifier keys.
pub fn note(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return Note::parse(bytes).is_ok() };
    let cosigned = |checkpoint: &Checkpoint, line: &NoteSignature| {
        let held = keys::cosigners()
            .each_ref()
            .map(|cosigner| verify_cosignature_of(checkpoint, cosigner, line).is_ok());
        assert_ne!(held, [true, true], "one line holds under two kinds of key");
    };
    let line = NoteSignature::parse(text);
    if let Some(line) = &line {
        assert_eq!(line.to_string(), text);
        cosigned(keys::checkpoint().checkpoint(), line);
    }
    let note = Note::parse(bytes).ok();
    if let Some(note) = &note {
        assert_eq!(note.to_string(), text);
        if let Ok(head) = Checkpoint::parse(note.text()) {
            assert_eq!(head.to_string(), note.text());
            note.signatures().iter().for_each(|line| cosigned(&head, line));
        }
    }
    if let Ok(signed) = SignedCheckpoint::verify(bytes, ORIGIN, &keys::public()) {
        let bare = signed.bare().to_string();
        assert!(SignedCheckpoint::verify(bare.as_bytes(), ORIGIN, &keys::public()).is_ok());
    }
    let head = Checkpoint::parse(text).map(|head| assert_eq!(head.to_string(), text));
    let key = VerifierKey::parse(text).map(|key| assert_eq!(key.to_string(), text));
    line.is_some() | note.is_some() | head.is_ok() | key.is_ok()
}

/// Receipts, and the inclusion proof in them.
pub fn receipt(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(receipt) = Receipt::parse(text) else { return false };
    let written = receipt.to_string();
    assert_eq!(Receipt::parse(&written).as_ref(), Ok(&receipt));
    assert_eq!(written, text);
    let leaf = [1; 33];
    let held = receipt.verify(&leaf, ORIGIN, &keys::public());
    let note = Note::parse(receipt.checkpoint().as_bytes());
    if let Ok(head) = note.map_err(Into::into).and_then(|note| Checkpoint::parse(note.text())) {
        let leaf = merkle::leaf_hash(&leaf);
        let (index, proof) = (receipt.index(), receipt.proof());
        let included = merkle::verify_inclusion(&leaf, index, head.size, proof, &head.root);
        assert!(included.is_ok() || held.is_err(), "verified without being included");
        let grown = merkle::verify_consistency(index, &leaf, head.size, &head.root, proof);
        assert!(grown.is_err() || index <= head.size, "a log that has shrunk is consistent");
    }
    true
}

/// Requests to a witness: what is read is written as the same bytes.
pub fn add_checkpoint(bytes: &[u8]) -> bool {
    let Ok(read) = AddCheckpoint::parse(bytes) else { return false };
    assert_eq!(read.to_string().as_bytes(), bytes);
    true
}

/// Evidence of a fork: it is read again as it was written, and proves nothing of one note alone.
pub fn evidence(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(fork) = Fork::parse(text) else { return false };
    assert_eq!(Fork::parse(&fork.to_string()).as_ref(), Ok(&fork));
    let proved = fork.verify(ORIGIN, &[keys::public()]).is_ok();
    assert!(!proved || fork.smaller != fork.larger, "a note contradicts itself");
    true
}

/// Witness policies.
pub fn policy(bytes: &[u8]) -> bool {
    let Ok(policy) = Policy::parse(bytes) else { return false };
    let written = policy.to_string();
    assert_eq!(Policy::parse(written.as_bytes()).as_ref(), Ok(&policy));
    if let Ok(weighed) = policy.evaluate(keys::checkpoint(), None) {
        assert!(weighed.witnesses.len() <= 1, "more witnesses than cosignatures");
        let required = policy.require(keys::checkpoint(), None);
        assert_eq!(required.is_ok(), weighed.satisfied);
    }
    let note = keys::checkpoint().note().to_string();
    if policy.verify_log(note.as_bytes(), ORIGIN).is_ok() {
        assert!(
            policy.logs().iter().any(|log| log.key.public == PublicKey::Ed25519(keys::public()))
        );
    }
    true
}

/// Paths of a log, bundles of leaf data, and tiles of hashes.
pub fn tile(bytes: &[u8]) -> bool {
    let path = std::str::from_utf8(bytes).is_ok_and(same::<Resource>);
    let width = |each: usize| u16::try_from(bytes.len() / each).unwrap_or(u16::MAX);
    let bundle = decode_bundle(bytes, width(35));
    if let Ok(entries) = &bundle {
        assert_eq!(encode_bundle(entries), bytes);
    }
    // Any 32 bytes are a hash: this says nothing of where they come from.
    let hashes = TileId::new(0, 0, width(32)).and_then(|tile| tile.hashes(bytes));
    if let Ok(hashes) = hashes {
        assert!(hashes.iter().flat_map(|hash| hash.0).eq(bytes.iter().copied()));
    }
    path | bundle.is_ok_and(|entries| !entries.is_empty())
}

/// Whether a text is read, and if so, as what is written the same way.
fn same<T: FromStr + Display>(text: &str) -> bool {
    text.parse::<T>().map(|read| assert_eq!(read.to_string(), text)).is_ok()
}
