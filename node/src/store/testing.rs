//! A small world for the store's tests: one data directory, with an own log and mirrored ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::message::Item;
use sealwire_wire::statement::{
    self, AudienceManifest, AuthenticStatement, Body, Claims, Manifest, PartRef, RecordManifest,
};

use super::{Discloser, Fact, Reader, Writer, create, open};
use crate::journal::Journal;

/// A member id.
pub fn id(text: &str) -> MemberId {
    text.parse().unwrap()
}

/// A record id that the index in a log determines.
pub fn record_id(log: &MemberId, index: u64) -> RecordId {
    let mut random = [log.as_str().as_bytes()[0]; 10];
    random[2..].copy_from_slice(&index.to_be_bytes());
    RecordId::new(1_700_000_000_000 + index, &random)
}

/// A signed statement of a record, or of an audience.
pub fn signed(log: &MemberId, index: u64, control: bool) -> AuthenticStatement {
    let part = PartRef { commitment: Digest([3; 32]), length: 256, audience: [4; 16] };
    let body = if control {
        Body::Audience(AudienceManifest {
            audience: [1; 16],
            community: "labs".into(),
            to: BTreeSet::from([id("SG")]),
            commitment: Digest([2; 32]),
            until: 9,
        })
    } else {
        Body::Record(RecordManifest {
            kind: "lab-alert".into(),
            community: "labs".into(),
            to: None,
            schema: "urn:schema".into(),
            schema_digest: Digest([7; 32]),
            code_lists: BTreeMap::new(),
            handling: cbor::map([("tlp", Value::from("AMBER"))]).into(),
            relation: None,
            parts: BTreeMap::from([("core".into(), part)]),
        })
    };
    said(log, index, body)
}

/// A signed statement.
pub fn said(log: &MemberId, index: u64, body: Body) -> AuthenticStatement {
    let mut nonce = [5; 32];
    nonce[..8].copy_from_slice(&index.to_be_bytes());
    let manifest = Manifest {
        federation: "test.example".into(),
        register: 1,
        nonce,
        heads: BTreeMap::new(),
        body,
    };
    let claims =
        Claims { issuer: log.clone(), subject: record_id(log, index), issued_at: 1_700_000_000 };
    statement::sign(&SigningKey::from_bytes(&[1; 32]), claims, manifest).unwrap()
}

/// An entry fact.
pub fn entry(log: &MemberId, index: u64) -> Fact {
    let item = Item {
        index,
        statement: signed(log, index, false).bytes().to_vec(),
        proof: vec![],
        sealed: BTreeMap::from([("core".to_owned(), vec![index as u8; 600])]),
    };
    Fact::Entry { log: log.clone(), received_at: 1000 + index, item }
}

/// The digest of the statement of [`entry`].
pub fn leaf(log: &MemberId, index: u64) -> Digest {
    signed(log, index, false).digest()
}

/// A note with a size; nothing checks its signature here.
pub fn note(log: &MemberId, size: u64) -> String {
    format!("test.example/{log}\n{size}\nroot of {size}\n\n\u{2014} test.example/{log} AAAA\n")
}

/// A checkpoint fact.
pub fn checkpoint(log: &MemberId, size: u64) -> Fact {
    Fact::Checkpoint { log: log.clone(), note: note(log, size) }
}

/// A cosignature fact.
pub fn cosignature(log: &MemberId, by: &MemberId, size: u64, time: u64) -> Fact {
    let line = format!("\u{2014} {by}/cosign {size}+{time}");
    Fact::Cosignature { log: log.clone(), by: by.clone(), size, time, line }
}

/// Discloses what a statement file may and may not hold.
pub fn discloser() -> Discloser {
    Box::new(|_, _, item| {
        let opened = |class: &str| (class.to_owned(), format!("opened {}", item.index).into());
        BTreeMap::from([opened("core"), opened("nominal")])
    })
}

/// An open store of the member ID.
pub struct World {
    dir: Option<tempfile::TempDir>,
    data: PathBuf,
    open: Option<(Writer, Reader)>,
}

impl World {
    /// A new, empty data directory.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        create(&data).unwrap();
        Self { dir: Some(dir), ..Self::open(&data) }
    }

    /// An existing data directory.
    pub fn open(data: &Path) -> Self {
        let opened = open(data, &id("ID"), discloser()).unwrap();
        Self { dir: None, data: data.to_owned(), open: Some(opened) }
    }

    /// Closes, does something to the directory, opens again.
    pub fn reopen(&mut self, between: impl FnOnce(&Path)) {
        self.open = None;
        between(&self.data);
        self.open = Some(open(&self.data, &id("ID"), discloser()).unwrap());
    }

    /// As [`Self::reopen`], with the journal alone opened in between, and then the place where it
    /// ended.
    pub fn reopen_after(
        &mut self,
        append: impl FnOnce(&mut Journal),
        then: impl FnOnce(&Path, u64),
    ) {
        self.reopen(|data| {
            let mut journal = Journal::open(&data.join("journal")).unwrap().0;
            append(&mut journal);
            let end = journal.end().offset;
            drop(journal);
            then(data, end);
        });
    }

    /// Closes the store.
    pub fn close(&mut self) {
        self.open = None;
    }

    pub fn root(&self) -> &Path {
        self.dir.as_ref().unwrap().path()
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn writer(&mut self) -> &mut Writer {
        &mut self.open.as_mut().unwrap().0
    }

    pub fn reader(&self) -> &Reader {
        &self.open.as_ref().unwrap().1
    }

    pub fn commit(&mut self, facts: &[Fact]) {
        self.writer().commit(facts).unwrap();
    }

    /// Publishes records in the own log, each with its checkpoint, one commit each.
    pub fn publish(&mut self, count: u64) {
        let log = id("ID");
        for _ in 0..count {
            let index = self.reader().size(&log);
            self.commit(&[entry(&log, index), checkpoint(&log, index + 1)]);
        }
    }

    /// Everything that the reader answers, as text.
    pub fn answers(&self) -> Vec<String> {
        let r = self.reader();
        let mut answers = vec![format!(
            "{:?}",
            (r.last_cursor(), r.entry_count(), r.logs(), r.secrets(), r.register_versions())
        )];
        answers.push(format!("{:?}", r.feed(0, usize::MAX)));
        answers.push(format!("{:?}", (r.control_entries("audience"), r.control_entries("key"))));
        answers.push(format!("{:?}", (r.idempotent("lab", "1"), r.secret(&[1; 16]))));
        for log in r.logs() {
            let size = r.size(&log);
            answers.push(format!("{log} {size} {:?} {:?}", r.checkpoint(&log), r.root(&log, size)));
            answers.push(format!("{:?}", (r.missing(&log, 100), r.cosignatures(&log))));
            answers.push(format!("{:?}", r.leaves(&log, 0, usize::MAX)));
            for index in 0..size + 3 {
                let at = r.cosigned_at(&log, &id("SG"), index);
                let located = r.locate(&record_id(&log, index));
                let known = r.known_content(&signed(&log, index, false).content_digest());
                answers.push(format!("{:?}", (r.entry(&log, index), at, located, known)));
                answers.push(format!("{:?}", (r.refused_by(index), r.leaf(&log, index))));
                answers.push(format!("{:?}", r.checkpoint_at(&log, index)));
                answers.push(format!("{:?}", r.cosignatures_at(&log, index)));
            }
        }
        answers
    }
}
