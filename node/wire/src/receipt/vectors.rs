//! Writes `conformance/vectors/checkpoint`, or holds this implementation to the files there, in
//! the way of [`crate::merkle::vectors`].

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::*;
use crate::checkpoint::{Checkpoint, cosign, sign, verify_cosignature};
use crate::merkle::vectors::{proven, settle};
use crate::note::{Note, NoteSignature, TYPE_COSIGNATURE, TYPE_ED25519, VerifierKey};

const ORIGIN: &str = "test.example/ID";
const SIZE: u64 = 7;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn verifier(name: &str, type_: u8, seed: u8) -> VerifierKey {
    VerifierKey { name: name.to_owned(), type_, public: key(seed).verifying_key().to_bytes() }
}

fn head() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: SIZE, root: proven(0, SIZE).2 }
}

fn line(name: &str, seed: u8, time: u64) -> NoteSignature {
    cosign(&head(), name, &key(seed), time).unwrap()
}

/// The head with these cosigners, each with its key's seed and time.
fn note(by: &[(&str, u8, u64)]) -> Note {
    let mut note = sign(&head(), &key(1));
    by.iter().for_each(|(name, seed, time)| note.add(line(name, *seed, *time)));
    note
}

/// The same line with its last byte changed.
fn spoilt(line: &NoteSignature) -> NoteSignature {
    let mut bytes = line.bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    NoteSignature::new(line.name(), line.key_id(), bytes).unwrap()
}

fn checkpoints() -> Value {
    let (log, good) = (verifier(ORIGIN, TYPE_ED25519, 1), note(&[]).to_string());
    let signed = |text: String| {
        let other = Checkpoint { origin: ORIGIN.to_owned(), ..head() };
        let id = sign(&other, &key(1)).signatures()[0].key_id();
        let bytes = ed25519_dalek::Signer::sign(&key(1), text.as_bytes()).to_bytes().to_vec();
        Note::new(text, vec![NoteSignature::new(ORIGIN, id, bytes).unwrap()]).to_string()
    };
    let text = head().to_string();
    let empty = Checkpoint { size: 0, root: merkle::empty_root(), ..head() };
    let stranger = Note::new(text.clone(), vec![line("test.example/XX", 9, 5)]);
    let mut false_too = note(&[]);
    false_too.add(spoilt(&false_too.signatures()[0]));
    let cases = [
        ("as signed", true, good.clone()),
        ("an empty tree", true, sign(&empty, &key(1)).to_string()),
        (
            "with a stranger's line, which is ignored",
            true,
            note(&[("x.example", 9, 5)]).to_string(),
        ),
        ("another size", false, good.replacen("\n7\n", "\n8\n", 1)),
        ("signed by another key", false, sign(&head(), &key(2)).to_string()),
        ("signed by a stranger only", false, stranger.to_string()),
        ("a second line of the log's key that fails", false, false_too.to_string()),
        ("another origin", false, signed(text.replacen("/ID", "/SG", 1))),
        ("a leading zero", false, signed(text.replacen("\n7\n", "\n07\n", 1))),
        ("a sign before the size", false, signed(text.replacen("\n7\n", "\n+7\n", 1))),
        ("an extension line", false, signed(format!("{text}extension\n"))),
        (
            "a root of 33 bytes",
            false,
            signed(format!("{ORIGIN}\n7\n{}\n", STANDARD.encode([1; 33]))),
        ),
        ("no empty line", false, good.replacen("\n\n", "\n", 1)),
        ("no newline at the end", false, good.trim_end().to_owned()),
        ("an empty line at the end", false, format!("{good}\n")),
        ("a carriage return", false, good.replacen('\n', "\r\n", 1)),
        ("no signature", false, format!("{text}\n")),
    ]
    .map(|(why, valid, note)| {
        let verdict = SignedCheckpoint::verify(note.as_bytes(), ORIGIN, &log.public);
        assert_eq!(verdict.is_ok(), valid, "{why}: {verdict:?}");
        let head = verdict.ok().map(|v| v.checkpoint().clone());
        let head = head.map(|h| json!({ "size": h.size, "root": h.root }));
        json!({ "why": why, "valid": valid, "note": note, "head": head })
    });
    json!({ "vkey": log.to_string(), "cases": cases })
}

fn cosignatures() -> Value {
    let name = "test.example/SG";
    let cosigner = verifier(name, TYPE_COSIGNATURE, 3);
    let good = line(name, 3, 1_700_000_000);
    let other = Checkpoint { size: 8, ..head() };
    let mut later = good.bytes().to_vec();
    later[7] += 1;
    let plain = NoteSignature::new(name, good.key_id(), good.bytes()[8..].to_vec()).unwrap();
    let cases = [
        ("as signed", Some(1_700_000_000u64), good.clone()),
        ("a time beyond 2^32", Some(1 << 40), line(name, 3, 1 << 40)),
        ("time zero", None, line(name, 3, 0)),
        ("another time", None, NoteSignature::new(name, good.key_id(), later).unwrap()),
        ("of another checkpoint", None, cosign(&other, name, &key(3), 5).unwrap()),
        ("another cosigner's name", None, line("test.example/AU", 3, 5)),
        ("another key", None, line(name, 4, 5)),
        ("one bit flipped", None, spoilt(&good)),
        ("a signature without a time", None, plain),
    ]
    .map(|(why, time, line)| {
        let verdict = verify_cosignature(&head(), name, &cosigner.public, &line);
        assert_eq!(verdict.clone().ok(), time, "{why}: {verdict:?}");
        json!({ "why": why, "line": line.to_string(), "time": time })
    });
    json!({ "vkey": cosigner.to_string(), "text": head().to_string(), "cases": cases })
}

fn policy_text(rules: &str) -> String {
    let log = verifier(ORIGIN, TYPE_ED25519, 1);
    let mut text = format!("# a federation of four\nlog {log} https://id.example/\n\n");
    for (name, member, seed) in [("A", "ID", 2), ("B", "SG", 3), ("C", "AU", 4), ("D", "MY", 5)] {
        let key = verifier(&format!("test.example/{member}"), TYPE_COSIGNATURE, seed);
        text.push_str(&format!("witness {name} {key}\n"));
    }
    text + rules
}

fn policies() -> Value {
    let (id, sg, au, my) = (
        (ORIGIN, 2, 9),
        ("test.example/SG", 3, 10),
        ("test.example/AU", 4, 20),
        ("test.example/MY", 5, 30),
    );
    let two = "group G 2 A B C D\nquorum G\n";
    let mut false_au = note(&[sg]);
    false_au.add(spoilt(&line(au.0, au.1, au.2)));
    let evaluations = [
        ("none are asked for", "quorum none\n", note(&[]), Some(true)),
        ("the one asked for", "quorum B\n", note(&[sg]), Some(true)),
        ("another than asked for", "quorum B\n", note(&[au]), Some(false)),
        ("two of four", two, note(&[sg, my]), Some(true)),
        ("one of four", two, note(&[my]), Some(false)),
        ("the log's owner does not count", two, note(&[id, sg]), Some(false)),
        ("one twice counts once", two, note(&[sg, (sg.0, 3, 11)]), Some(false)),
        ("a stranger does not count", two, note(&[sg, ("x.example", 9, 5)]), Some(false)),
        ("a false line of a witness", two, false_au, None),
        ("all of a group", "group G all B C\nquorum G\n", note(&[sg, au]), Some(true)),
        ("not all of a group", "group G all B C\nquorum G\n", note(&[sg]), Some(false)),
        ("nested", "group G any B C\ngroup H all G D\nquorum H\n", note(&[au, my]), Some(true)),
        (
            "nested, one short",
            "group G any B C\ngroup H all G D\nquorum H\n",
            note(&[my]),
            Some(false),
        ),
    ]
    .map(|(why, rules, note, satisfied)| {
        let (text, note) = (policy_text(rules), note.to_string());
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let signed = policy.verify_log(note.as_bytes(), ORIGIN).unwrap();
        let result = policy.evaluate(&signed, Some(ORIGIN)).ok();
        assert_eq!(result.as_ref().map(|r| r.satisfied), satisfied, "{why}");
        json!({
            "why": why, "policy": text, "note": note, "owner": ORIGIN, "satisfied": satisfied,
            "witnesses": result.map(|r| r.witnesses),
        })
    });
    let same = verifier("x.example", TYPE_COSIGNATURE, 3);
    let refused = [
        "",
        "quorum E\n",
        "quorum B\nquorum B\n",
        "quorum B",
        "quorum B\r\n",
        "quorum\n",
        "group G 3 A B\nquorum G\n",
        "group G 0 A B\nquorum G\n",
        "group G 01 A B\nquorum G\n",
        "group G any\nquorum B\n",
        "group G any A A\nquorum G\n",
        "group G any A\ngroup H any A\nquorum G\n",
        "group A any B\nquorum A\n",
        "group none any B\nquorum none\n",
        "group G any none\nquorum G\n",
        "trust A\nquorum B\n",
        &format!("witness E {same}\nquorum B\n"),
        "quorum G\ngroup G any A\n",
    ]
    .map(policy_text);
    assert!(refused.iter().all(|text| Policy::parse(text.as_bytes()).is_err()));
    json!({ "evaluations": evaluations, "refused": refused })
}

fn receipts() -> Value {
    let text = policy_text("group G 2 A B C D\nquorum G\n");
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let log = verifier(ORIGIN, TYPE_ED25519, 1);
    let witnessed = note(&[("test.example/SG", 3, 10), ("test.example/AU", 4, 20)]).to_string();
    let (leaf, proof, _) = proven(4, SIZE);
    let other_leaf = proven(5, SIZE).0;
    let good = Receipt::new(4, proof.clone(), witnessed.clone()).to_string();
    let with = |proof: &[Digest], note: &str| Receipt::new(4, proof.to_vec(), note.to_owned());
    let edited = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    let mut flipped = proof.clone();
    flipped[0].0[0] ^= 1;
    let cases = [
        ("as issued", true, leaf, good.clone()),
        ("with extra data, which proves nothing", true, leaf, edited("index", "extra aGk=\nindex")),
        ("another entry", false, other_leaf, good.clone()),
        ("another index", false, leaf, edited("index 4", "index 5")),
        ("an index beyond the tree", false, leaf, edited("index 4", "index 7")),
        ("an index with a leading zero", false, leaf, edited("index 4", "index 04")),
        ("one node missing", false, leaf, with(&proof[1..], &witnessed).to_string()),
        (
            "one node more",
            false,
            leaf,
            with(&[&proof[..], &proof[..1]].concat(), &witnessed).to_string(),
        ),
        ("one bit flipped", false, leaf, with(&flipped, &witnessed).to_string()),
        ("another size", false, leaf, edited("\n7\n", "\n6\n")),
        (
            "not cosigned by enough",
            false,
            leaf,
            with(&proof, &note(&[("test.example/SG", 3, 10)]).to_string()).to_string(),
        ),
        ("another version", false, leaf, edited("@v1", "@v2")),
        ("extra data after the index", false, leaf, edited("index 4\n", "index 4\nextra aGk=\n")),
        ("extra data that is not base64", false, leaf, edited("index", "extra ?\nindex")),
        ("no empty line before the checkpoint", false, leaf, edited("\n\ntest", "\ntest")),
        ("cut short", false, leaf, good[..good.len() - 1].to_owned()),
    ]
    .map(|(why, valid, leaf, text)| {
        let verdict = Receipt::parse(&text)
            .and_then(|r| r.verify_witnessed(&leaf, ORIGIN, &log.public, &policy));
        assert_eq!(verdict.is_ok(), valid, "{why}: {verdict:?}");
        json!({ "why": why, "valid": valid, "leaf": hex::encode(leaf), "receipt": text })
    });
    json!({ "origin": ORIGIN, "policy": text, "cases": cases })
}

#[test]
fn the_checkpoint_vectors_are_what_this_program_computes() {
    settle(
        "checkpoint",
        &[
            ("checkpoint.json", checkpoints()),
            ("cosignature.json", cosignatures()),
            ("policy.json", policies()),
            ("receipt.json", receipts()),
        ],
    );
}
