//! Writes `conformance/vectors/checkpoint`, or holds this implementation to the files there, in
//! the way of [`crate::merkle::vectors`].

use ed25519_dalek::SigningKey;
use ml_dsa::{MlDsa44, SigningKey as MlDsaSigningKey};
use serde_json::{Value, json};

use super::*;
use crate::checkpoint::{
    Checkpoint, cosign, cosign_mldsa, sign, subtree_message, verify_cosignature,
    verify_cosignature_of,
};
use crate::merkle::vectors::{proven, settle};
use crate::mldsa::MlDsaKey;
use crate::note::{Note, NoteSignature, PublicKey, VerifierKey};

const ORIGIN: &str = "test.example/ID";
const SIZE: u64 = 7;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

fn log() -> VerifierKey {
    VerifierKey { name: ORIGIN.to_owned(), public: PublicKey::Ed25519(public(1)) }
}

fn cosigner(name: &str, seed: u8) -> VerifierKey {
    VerifierKey { name: name.to_owned(), public: PublicKey::Cosignature(public(seed)) }
}

fn head() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: SIZE, root: proven(0, SIZE).2 }
}

fn line(name: &str, seed: u8, time: u64) -> NoteSignature {
    cosign(&head(), name, &key(seed), time).unwrap()
}

/// The ML-DSA-44 key of a cosigner.
fn mldsa_cosigner(name: &str, seed: u8) -> VerifierKey {
    let public = Box::new(MlDsaKey::from_seed(&[seed; 32]).public());
    VerifierKey { name: name.to_owned(), public: PublicKey::MlDsaCosignature(public) }
}

fn mldsa_line(name: &str, seed: u8, time: u64) -> NoteSignature {
    cosign_mldsa(&head(), name, &MlDsaKey::from_seed(&[seed; 32]), time).unwrap()
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
    let good = note(&[]).to_string();
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
        let verdict = SignedCheckpoint::verify(note.as_bytes(), ORIGIN, &public(1));
        assert_eq!(verdict.is_ok(), valid, "{why}: {verdict:?}");
        let head = verdict.ok().map(|v| v.checkpoint().clone());
        let head = head.map(|h| json!({ "size": h.size, "root": h.root }));
        json!({ "why": why, "valid": valid, "note": note, "head": head })
    });
    json!({ "vkey": log().to_string(), "cases": cases })
}

fn cosignatures() -> Value {
    let name = "test.example/SG";
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
        let verdict = verify_cosignature(&head(), name, &public(3), &line);
        assert_eq!(verdict.clone().ok(), time, "{why}: {verdict:?}");
        json!({ "why": why, "line": line.to_string(), "time": time })
    });
    json!({ "vkey": cosigner(name, 3).to_string(), "text": head().to_string(), "cases": cases })
}

/// ML-DSA-44 cosignatures, of which some sign something else than they ought to.
fn mldsa_cosignatures() -> Value {
    const TIME: u64 = 1_700_000_000;
    let (name, other_name, seed) = ("test.example/SG", "test.example/AU", [3; 32]);
    let (key, ml_dsa_key) =
        (MlDsaKey::from_seed(&seed), MlDsaSigningKey::<MlDsa44>::from_seed(&seed.into()));
    let (cosigner, good) = (mldsa_cosigner(name, 3), mldsa_line(name, 3, TIME));
    let of = |time: u64, signature: &[u8]| {
        let bytes = [time.to_be_bytes().as_slice(), signature].concat();
        NoteSignature::new(name, cosigner.key_id(), bytes).unwrap()
    };
    let signed = |time, message: &[u8]| of(time, &key.sign(message));
    let message = |name, time, start| subtree_message(&head(), name, time, start).unwrap();
    let over = |head: Checkpoint| signed(TIME, &subtree_message(&head, name, TIME, 0).unwrap());
    let right = message(name, TIME, 0);
    let expanded = ml_dsa_key.expanded_key();
    let random = expanded.sign_internal(&[&[0, 0], &right], &[7; 32].into()).encode();
    let context = expanded.sign_deterministic(&right, b"subtree/v1").unwrap().encode();
    let ed25519 = format!("cosignature/v1\ntime {TIME}\n{}", head());
    let renamed = NoteSignature::new(other_name, good.key_id(), good.bytes().to_vec()).unwrap();
    let root = merkle::leaf_hash(b"another");
    let cases = [
        ("as signed", Some(TIME), good.clone()),
        ("signed with randomness", Some(TIME), of(TIME, &random)),
        ("a time beyond 2^32", Some(1 << 40), mldsa_line(name, 3, 1 << 40)),
        ("the last time", Some((1 << 63) - 1), mldsa_line(name, 3, (1 << 63) - 1)),
        ("a time of 64 bits", None, signed(1 << 63, &message(name, 1 << 63, 0))),
        ("time zero", None, signed(0, &message(name, 0, 0))),
        ("another time", None, of(TIME + 1, &good.bytes()[8..])),
        ("of another size", None, over(Checkpoint { size: 8, ..head() })),
        ("of another root", None, over(Checkpoint { root, ..head() })),
        ("of another log", None, over(Checkpoint { origin: other_name.to_owned(), ..head() })),
        ("of a subtree that starts later", None, signed(TIME, &message(name, TIME, 4))),
        ("signed for another cosigner's name", None, signed(TIME, &message(other_name, TIME, 0))),
        ("in the name of another cosigner", None, renamed),
        ("of the text that Ed25519 signs", None, signed(TIME, ed25519.as_bytes())),
        ("without the label", None, signed(TIME, &right[12..])),
        ("with a context", None, of(TIME, &context)),
        ("another key", None, mldsa_line(name, 4, TIME)),
        ("an Ed25519 cosignature", None, line(name, 3, TIME)),
        ("one bit flipped", None, spoilt(&good)),
        ("a signature without a time", None, {
            NoteSignature::new(name, good.key_id(), good.bytes()[8..].to_vec()).unwrap()
        }),
        ("one byte more", None, of(TIME, &[&good.bytes()[8..], &[0]].concat())),
    ]
    .map(|(why, time, line)| {
        let verdict = verify_cosignature_of(&head(), &cosigner, &line);
        assert_eq!(verdict.clone().ok(), time, "{why}: {verdict:?}");
        json!({ "why": why, "line": line.to_string(), "time": time })
    });
    json!({
        "seed": hex::encode(seed), "vkey": cosigner.to_string(), "text": head().to_string(),
        "cases": cases,
    })
}

fn policy_text(rules: &str) -> String {
    let log = log();
    let mut text = format!("# a federation of four\nlog {log} https://id.example/\n\n");
    for (name, member, seed) in [("A", "ID", 2), ("B", "SG", 3), ("C", "AU", 4), ("D", "MY", 5)] {
        let key = cosigner(&format!("test.example/{member}"), seed);
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
    let [owner6, sg6, au6] = [id, sg, au].map(|(name, seed, _)| mldsa_cosigner(name, seed));
    let own = format!("witness A6 {owner6}\nquorum A6\n");
    let one = format!("witness B6 {sg6}\nquorum B6\n");
    let both = format!("witness B6 {sg6}\ngroup SG all B B6\nquorum SG\n");
    let kinds = "group SG any B B6\ngroup AU any C C6\ngroup G 2 SG AU\nquorum G\n";
    let either = format!("witness B6 {sg6}\nwitness C6 {au6}\n{kinds}");
    let mldsa = |by: &[(&str, u8, u64)], by_mldsa: &[(&str, u8, u64)]| {
        let mut note = note(by);
        by_mldsa.iter().for_each(|(name, seed, time)| note.add(mldsa_line(name, *seed, *time)));
        note
    };
    let mut false_sg = mldsa(&[sg], &[au]);
    false_sg.add(spoilt(&mldsa_line(sg.0, sg.1, sg.2)));
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
        ("an ML-DSA cosignature counts", &one, mldsa(&[], &[sg]), Some(true)),
        ("Ed25519 in its place", &one, mldsa(&[sg], &[au]), Some(false)),
        ("a stranger's ML-DSA key in its place", &one, mldsa(&[], &[(sg.0, 9, 9)]), Some(false)),
        ("the log's owner does not count with ML-DSA", &own, mldsa(&[], &[id]), Some(false)),
        ("both kinds, as asked for", &both, mldsa(&[sg], &[sg]), Some(true)),
        ("one of both kinds asked for", &both, mldsa(&[sg], &[]), Some(false)),
        ("either kind of two", &either, mldsa(&[sg], &[au]), Some(true)),
        ("both kinds of one of two", &either, mldsa(&[sg], &[sg]), Some(false)),
        ("a false ML-DSA line of a witness", &either, false_sg, None),
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
    let same = cosigner("x.example", 3);
    let again = VerifierKey { name: "x.example".to_owned(), ..au6.clone() };
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
        &format!("log {au6}\nquorum B\n"),
        &format!("witness E {au6}\nwitness F {again}\nquorum B\n"),
        &format!("witness E {}\nquorum B\n", log()),
        "quorum G\ngroup G any A\n",
    ]
    .map(policy_text);
    assert!(refused.iter().all(|text| Policy::parse(text.as_bytes()).is_err()));
    json!({ "evaluations": evaluations, "refused": refused })
}

fn receipts() -> Value {
    let text = policy_text("group G 2 A B C D\nquorum G\n");
    let policy = Policy::parse(text.as_bytes()).unwrap();
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
            .and_then(|r| r.verify_witnessed(&leaf, ORIGIN, &public(1), &policy));
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
            ("cosignature-mldsa.json", mldsa_cosignatures()),
            ("policy.json", policies()),
            ("receipt.json", receipts()),
        ],
    );
}
