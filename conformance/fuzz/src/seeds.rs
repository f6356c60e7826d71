//! What the targets begin with: the examples, the vectors, and what is made of them.
//!
//! Reads the files of this repository alone, and finds the same seeds every time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sealwire_schemas::{FieldClass, Standard, parse_json};
use sealwire_wire::bundle::{Held, Manifest, Outcome};
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::checkpoint::{Checkpoint, sign};
use sealwire_wire::evidence::Fork;
use sealwire_wire::id::Digest;
use sealwire_wire::message::{
    About, Announcement, Blinded, Consistency, Item, Range, Request, Response, Tags,
};
use sealwire_wire::part::{Disclosure, Part};
use sealwire_wire::statement::Denial;
use sealwire_wire::witness::AddCheckpoint;

use crate::{imports, keys};

/// Larger files and texts are no seeds: the bytes between the places that matter teach nothing.
const MAX_SEED_BYTES: usize = 64 * 1024;

/// Every seed, each once, in order.
pub fn all() -> Vec<Vec<u8>> {
    let mut seeds = BTreeSet::from([denial(), fork(), add_checkpoint()]);
    seeds.extend([keys::public().to_vec(), [&[0x04, 0x20][..], &keys::public()].concat()]);
    seeds.extend(imports::seeds());
    seeds.extend(bundle());
    for path in files() {
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if bytes.len() > MAX_SEED_BYTES && path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        if let Ok(json) = serde_json::from_slice(&bytes) {
            texts_of(&json, &mut seeds);
        }
        seeds.extend(opened(&bytes));
        items_of(&bytes, &mut seeds);
        seeds.insert(bytes);
    }
    let enveloped: Vec<Vec<u8>> = seeds.iter().flat_map(|seed| envelope_content(seed)).collect();
    seeds.extend(enveloped);
    seeds.into_iter().filter(|seed| seed.len() <= MAX_SEED_BYTES).collect()
}

/// Evidence against the log: its head, and another of the same size.
fn fork() -> Vec<u8> {
    let larger = keys::checkpoint();
    let root = larger.checkpoint().root;
    let other = Checkpoint { root: Digest([7; 32]), ..larger.checkpoint().clone() };
    let smaller = sign(&other, keys::signer()).to_string();
    let larger = larger.note().to_string();
    Fork { smaller, larger, root, consistency: Vec::new() }.to_string().into_bytes()
}

/// A request to cosign the log's head.
fn add_checkpoint() -> Vec<u8> {
    let checkpoint = keys::checkpoint().note().to_string();
    let proof = vec![Digest([7; 32]); 3];
    AddCheckpoint { old: 1, proof, checkpoint }.to_string().into_bytes()
}

/// The files of the examples and vectors, whatever is in them.
fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["schemas/examples", "conformance/vectors"] {
        collect(&root.join(folder), &mut found);
    }
    found.sort();
    found
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        entries.flatten().for_each(|entry| collect(&entry.path(), found));
    } else {
        found.push(path.to_owned());
    }
}

/// Every text of a JSON document, and the bytes of those in hexadecimal.
fn texts_of(json: &serde_json::Value, seeds: &mut BTreeSet<Vec<u8>>) {
    match json {
        serde_json::Value::String(text) => {
            seeds.insert(text.as_bytes().to_vec());
            seeds.extend(hex::decode(text).ok());
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts_of(item, seeds)),
        serde_json::Value::Object(fields) => {
            fields.values().for_each(|field| texts_of(field, seeds));
        }
        _ => {}
    }
}

/// The parts of a record, if the bytes are one, as a peer opens them.
fn opened(bytes: &[u8]) -> Vec<Vec<u8>> {
    let record = parse_json(bytes).ok().and_then(|json| Standard::v1().validate(&json).ok());
    let Some(record) = record else { return Vec::new() };
    let kind = Standard::v1().kinds().position(|kind| kind.name() == record.kind().name());
    let mut seeds = Vec::new();
    for (class, fields) in record.split() {
        let disclosures = fields.into_iter().filter_map(|field| {
            let value = cbor::from_json(&field.value)?;
            Some(Disclosure { pointer: field.pointer, value, salt: [7; 16] })
        });
        let part = Part::new(disclosures.collect()).map(|part| part.to_bytes());
        let class = FieldClass::ALL.into_iter().position(|other| other == class);
        let choice = [kind, class].map(|at| at.and_then(|at| u8::try_from(at).ok()));
        if let (Ok(part), [Some(kind), Some(class)]) = (part, choice) {
            seeds.push([&[kind, class], part.as_slice()].concat());
            seeds.push(part);
        }
    }
    seeds
}

/// The elements of a statement file, what is in them, and the messages in which they travel.
fn items_of(mut bytes: &[u8], seeds: &mut BTreeSet<Vec<u8>>) {
    while let Ok(Value::Array(element)) = cbor::decode_next("seed", &mut bytes, MAX_SEED_BYTES) {
        let element = <[Value; 4]>::try_from(element);
        let Ok([Value::Integer(index), Value::Bytes(statement), sealed, opened]) = element else {
            continue;
        };
        let [sealed, opened] = [sealed, opened].map(byte_strings);
        seeds.insert(statement.clone());
        seeds.extend(sealed.values().chain(opened.values()).cloned());
        let index = u64::try_from(index).unwrap_or_default();
        let proof = vec![*keys::commitment(); 3];
        seeds.extend(messages(Item { index, statement, proof, sealed }));
    }
}

/// The byte strings in a COSE envelope: a statement's manifest among them.
fn envelope_content(bytes: &[u8]) -> Vec<Vec<u8>> {
    let Ok(Value::Tag(_, message)) = cbor::decode("seed", bytes, MAX_SEED_BYTES) else {
        return Vec::new();
    };
    let items = message.into_array().unwrap_or_default();
    items.into_iter().filter_map(|item| item.into_bytes().ok()).collect()
}

fn byte_strings(value: Value) -> BTreeMap<String, Vec<u8>> {
    let fields = value.into_map().unwrap_or_default().into_iter();
    fields.filter_map(|(k, v)| Some((k.into_text().ok()?, v.into_bytes().ok()?))).collect()
}

/// Every message, those with entries around this one.
fn messages(item: Item) -> Vec<Vec<u8>> {
    let log = keys::originator().clone();
    let checkpoint = keys::checkpoint().note().to_string();
    let (code, text) = ("too-late".to_owned(), "came after the day".to_owned());
    let items = vec![item.clone()];
    let announcement =
        Announcement { log: log.clone(), checkpoint: checkpoint.clone(), items: items.clone() };
    let digests = vec![*keys::commitment(); 2];
    let range = Range {
        checkpoint: checkpoint.clone(),
        from: item.index,
        leaves: digests.clone(),
        consistency: digests,
        items: items.clone(),
        denial: Some(denial()),
    };
    let consistency = Consistency {
        checkpoint: checkpoint.clone(),
        root: *keys::commitment(),
        proof: vec![*keys::commitment()],
    };
    let about = About {
        community: "substances".to_owned(),
        purpose: "risk-analysis".to_owned(),
        kind: "container".to_owned(),
    };
    let blinded = Blinded { about: about.clone(), serial: 7, elements: vec![[9; 32]; 2] };
    let tags = Tags { epoch: 1, day: 20_000, serial: 7, tags: vec![9; 24] };
    let requests = [
        Request::Head(log.clone()),
        Request::Pull { log: log.clone(), from: item.index },
        Request::Fetch { log, indexes: vec![1, 300] },
        Request::Push(announcement.clone()),
        Request::Cosigned { note: checkpoint.clone() },
        Request::Forked { log: keys::originator().clone(), evidence: text.clone() },
        Request::Rewrap { audience: keys::AUDIENCE },
        Request::Consistency { log: keys::originator().clone(), size: 3 },
        Request::Register { version: 1, digest: Digest([1; 32]) },
        Request::MatchTags { about, have: 0 },
        Request::Match(blinded),
        Request::Quarantined { index: item.index, code: code.clone(), text: text.clone() },
    ];
    let responses = [
        Response::Head(checkpoint),
        Response::Nothing,
        Response::Range(range),
        Response::Items { items, denial: None },
        Response::Taken,
        Response::Refused { code, text },
        Response::Wrapped(vec![9; 40]),
        Response::Consistency(consistency),
        Response::Registers(vec![b"{}".to_vec(); 2]),
        Response::MatchTags(tags),
        Response::Matched(vec![[9; 32]; 2], [7; 64]),
    ];
    let requests = requests.iter().map(Request::to_bytes);
    let responses = responses.iter().map(Response::to_bytes);
    [item.to_bytes(), announcement.to_bytes()]
        .into_iter()
        .chain(requests)
        .chain(responses)
        .collect()
}

/// A signed answer for two ranges.
fn denial() -> Vec<u8> {
    let denial = Denial {
        federation: "customs.example".to_owned(),
        asker: keys::recipient().clone(),
        register: 1,
        ranges: vec![(0, 3), (7, 1000)],
    };
    denial.sign(keys::signer(), keys::claims())
}

/// A manifest, held entries, and one outcome of each kind.
fn bundle() -> Vec<Vec<u8>> {
    let mut manifest = Manifest::new("customs.example".to_owned(), keys::originator().clone(), 9);
    manifest.mirrors.insert(keys::recipient().clone(), 4);
    let mut held = Held::default();
    [0, 1, 7].into_iter().for_each(|index| assert!(held.push(index), "in order"));
    let (by, code) = (keys::recipient().clone(), "bad-signature".to_owned());
    let outcomes = [
        Outcome::Denied(denial()),
        Outcome::Quarantined { index: 3, code: code.clone() },
        Outcome::Refused { by, index: 4, code },
        Outcome::HeadAccepted { size: 5, at: 6, reason: "the disk was lost".to_owned() },
        Outcome::Erased {
            index: 7,
            classes: vec!["nominal".to_owned(), "text".to_owned()],
            rule: "retention-ended".to_owned(),
            at: 8,
        },
        Outcome::Hold {
            index: 9,
            step: "placed".to_owned(),
            by: "clerk".to_owned(),
            at: 10,
            until: "2027-01-31".to_owned(),
            reason: "FICTIONAL court".to_owned(),
        },
    ];
    let mut seeds: Vec<Vec<u8>> = outcomes.iter().map(Outcome::to_bytes).collect();
    seeds.extend([manifest.to_bytes(), held.to_bytes()]);
    seeds
}
