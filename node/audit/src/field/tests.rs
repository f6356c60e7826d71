//! Proofs of fields of the log in `conformance/vectors/data-v1`.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use sealwire_wire::bundle::Element;
use sealwire_wire::merkle::inclusion_proof;
use sealwire_wire::part::Part;
use sealwire_wire::receipt::Receipt;
use sealwire_wire::tile::{TileId, TileReader};

use super::*;
use crate::report::Verdict;

const SIZE: u64 = 7;
const FIELD: &str = "/substance/0/casNumber";

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors/data-v1")
}

/// The proof of one core field of a record whose core part rests there in the clear.
fn proof() -> FieldProof {
    let log = data().join("data/logs/ID");
    let file = fs::read(log.join("statement/000")).unwrap();
    let mut rest = file.as_slice();
    let element = loop {
        let element = Element::next(&mut rest).unwrap();
        if element.opened.contains_key("core") {
            break element;
        }
    };
    let tiles = TileReader::new(SIZE, |id: TileId| fs::read(log.join(id.path())).ok());
    let path = inclusion_proof(&tiles, element.index, SIZE).unwrap();
    let note = fs::read_to_string(log.join("checkpoint")).unwrap();
    let receipt =
        Receipt::new(element.index, path, note).with_statement(element.statement.to_vec());
    let part = Part::from_bytes(element.opened["core"]).unwrap();
    let opened = OpenedPart::of(&part, &BTreeSet::from([FIELD])).unwrap();
    FieldProof::new(receipt, BTreeMap::from([("core".to_owned(), opened)])).unwrap()
}

/// What is said of these bytes as a file.
fn audit(bytes: &[u8]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("case.proof");
    fs::write(&file, bytes).unwrap();
    let trust = Trust::read(&data().join("trust.toml")).unwrap();
    run(&file, &data().join("data/register"), &trust)
}

#[test]
fn a_proof_is_verified_in_eight_steps_and_its_fields_are_told() {
    let report = audit(&proof().to_bytes());
    assert_eq!(report.verdict, Verdict::Verified, "{report}");
    assert!(report.steps.iter().map(|step| step.number).eq(1..=8), "{report}");
    let told = &report.steps[7].detail;
    assert!(told.contains(FIELD) && told.contains("\"2504100-70-1\""), "{told}");
    assert!(report.not_proved.iter().any(|line| line.contains("other fields")));
}

#[test]
fn a_value_that_was_changed_with_its_digest_is_refuted_in_the_last_step() {
    let (from, to) = (b"2504100-70-1", b"2504100-70-2");
    let mut bytes = proof().to_bytes();
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    let report = audit(&bytes);
    assert_eq!(report.verdict, Verdict::Refuted, "without its digest: {report}");
    assert_eq!(report.steps.last().map(|step| step.number), Some(3));

    // The digest of the changed disclosure stands in the place of the old one.
    let old = &proof().parts()["core"].disclosures()[0].clone();
    let changed = sealwire_wire::part::Disclosure { value: "2504100-70-2".into(), ..old.clone() };
    let (old, new) = (old.digest().0, changed.digest().0);
    let at = bytes.windows(32).position(|window| window == old).unwrap();
    bytes[at..at + 32].copy_from_slice(&new);
    let report = audit(&bytes);
    assert_eq!(report.verdict, Verdict::Refuted, "{report}");
    assert_eq!(report.steps.last().map(|step| step.number), Some(8), "{report}");
}

#[test]
fn what_is_told_obeys_no_terminal() {
    let escape = Value::from("\u{1b}[2J\u{202e}x\n");
    let field = sealwire_wire::part::Disclosure {
        pointer: "/a\u{1b}".to_owned(),
        value: escape,
        salt: [0; 16],
    };
    let part = Part::new(vec![field]).unwrap();
    let opened = OpenedPart::of(&part, &BTreeSet::from(["/a\u{1b}"])).unwrap();
    let told = told("text", &opened);
    assert!(told.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{told:?}");
}
