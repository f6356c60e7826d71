//! Receipts of the log in `conformance/vectors/data-v1`, in both forms.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::fs;
use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::merkle::inclusion_proof;
use sealwire_wire::tile::{TileId, TileReader};

use super::*;

const INDEX: u64 = 5;
const SIZE: u64 = 7;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors/data-v1")
}

fn log() -> PathBuf {
    data().join("data/logs/ID")
}

/// The statement of an entry.
fn statement(index: u64) -> Vec<u8> {
    let file = fs::read(log().join("statement/000")).unwrap();
    let mut rest = file.as_slice();
    while let Ok(Value::Array(element)) = cbor::decode_next("element", &mut rest, file.len()) {
        if element[0] == Value::from(index) {
            return element[1].as_bytes().unwrap().clone();
        }
    }
    panic!("no entry {index}")
}

/// The tlog-proof of entry 5 of 7.
fn proof() -> Receipt {
    let tiles = TileReader::new(SIZE, |id: TileId| fs::read(log().join(id.path())).ok());
    let path = inclusion_proof(&tiles, INDEX, SIZE).unwrap();
    let note = fs::read_to_string(log().join("checkpoint")).unwrap();
    Receipt::new(INDEX, path, note).with_statement(statement(INDEX))
}

fn export() -> Vec<u8> {
    let seed = fs::read_to_string(data().join("keys/log.key")).unwrap();
    let mut key = [0; 32];
    hex::decode_to_slice(seed.trim(), &mut key).unwrap();
    Export::sign(&proof(), &SigningKey::from_bytes(&key)).unwrap().to_bytes()
}

/// What is said of these bytes as a file.
fn audit(bytes: &[u8]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("case.receipt");
    fs::write(&file, bytes).unwrap();
    let trust = Trust::read(&data().join("trust.toml")).unwrap();
    run(&file, &data().join("data/register"), &trust)
}

/// The export with one change in a field.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut export = cbor::decode("export", &export(), MAX_EXPORT_BYTES).unwrap();
    let fields = export.as_map_mut().unwrap();
    change(&mut fields.iter_mut().find(|(key, _)| key.as_text() == Some(name)).unwrap().1);
    cbor::encode(&export)
}

/// The export whose COSE receipt says another size and index.
fn relabelled(size: u8, index: u8) -> Vec<u8> {
    changed("receipt", |receipt| {
        let mut bytes = receipt.as_bytes().unwrap().clone();
        let numbers = [0x83, SIZE as u8, INDEX as u8];
        let at = bytes.windows(3).position(|window| window == numbers).unwrap();
        bytes[at + 1..at + 3].copy_from_slice(&[size, index]);
        *receipt = cbor::bytes(bytes);
    })
}

fn failed_step(report: &Report) -> Option<u8> {
    report.steps.iter().find(|step| step.verdict != Verdict::Verified).map(|step| step.number)
}

#[test]
fn an_exported_cose_receipt_is_verified_in_the_steps_of_a_tlog_proof() {
    let reports = [audit(proof().to_string().as_bytes()), audit(&export())];
    for report in &reports {
        assert_eq!((report.exit_code(), report.size), (0, SIZE), "{report}");
    }
    let names = reports.each_ref().map(|r| r.steps.iter().map(|s| s.name).collect::<Vec<_>>());
    assert_eq!(names[0], names[1]);
    assert_eq!(names[0].len(), 7);
    let detail = |report: &Report, number: usize| report.steps[number - 1].detail.clone();
    assert_eq!(detail(&reports[0], 3), "a tlog-proof for entry 5");
    assert_eq!(detail(&reports[1], 3), "a COSE receipt for entry 5");
    assert_eq!(detail(&reports[1], 5), "entry 5 of 7, and the COSE receipt is of that tree");
    assert_eq!(detail(&reports[0], 6), detail(&reports[1], 6));
    assert_eq!(reports[0].not_proved, reports[1].not_proved);
}

#[test]
fn a_cose_receipt_that_was_relabelled_or_changed_is_refuted() {
    let cosigner = |note: &mut Value, lines: usize| {
        let text = note.as_text().unwrap();
        let kept: Vec<&str> = text.lines().take(text.lines().count() - lines).collect();
        *note = Value::from(kept.join("\n") + "\n");
    };
    for (why, bytes, step, code) in [
        ("a size that has the same path", relabelled(8, 5), 5, 1),
        ("another size", relabelled(6, 5), 5, 1),
        ("another index", relabelled(7, 4), 5, 1),
        ("another statement", changed("statement", |v| *v = cbor::bytes(statement(4))), 5, 1),
        (
            "another checkpoint",
            changed("checkpoint", |v| {
                *v = Value::from(v.as_text().unwrap().replacen("\n7\n", "\n8\n", 1));
            }),
            4,
            1,
        ),
        (
            "another signature",
            changed("receipt", |receipt| {
                let mut bytes = receipt.as_bytes().unwrap().clone();
                *bytes.last_mut().unwrap() ^= 0x10;
                *receipt = cbor::bytes(bytes);
            }),
            5,
            1,
        ),
        ("another type", changed("type", |v| *v = Value::from("v2")), 3, 1),
        ("half of it", export()[..300].to_vec(), 3, 1),
        ("a cosignature less", changed("checkpoint", |v| cosigner(v, 1)), 7, 2),
        ("the bare COSE receipt", Export::parse(&export()).unwrap().receipt().to_bytes(), 3, 1),
    ] {
        let report = audit(&bytes);
        assert_eq!(
            (report.exit_code(), failed_step(&report)),
            (code, Some(step)),
            "{why}: {report}"
        );
    }
    let said = audit(&relabelled(8, 5)).to_string();
    assert!(said.contains("it says size 8, and the checkpoint signs 7"), "{said}");
}
