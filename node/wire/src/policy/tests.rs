//! What a policy accepts and refuses.

use super::*;
use crate::checkpoint::{Checkpoint, cosign, cosign_mldsa, sign};
use crate::id::Digest;
use crate::mldsa::MlDsaKey;
use crate::note::NoteSignature;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

const ORIGIN: &str = "test.example/ID";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

fn witness(member: &str, seed: u8) -> VerifierKey {
    let public = PublicKey::Cosignature(public(seed));
    VerifierKey { name: format!("test.example/{member}"), public }
}

/// The ML-DSA-44 key of the same member.
fn witness_mldsa(member: &str, seed: u8) -> VerifierKey {
    let public = Box::new(MlDsaKey::from_seed(&[seed; 32]).public());
    VerifierKey { public: PublicKey::MlDsaCosignature(public), ..witness(member, seed) }
}

fn log() -> VerifierKey {
    VerifierKey { name: ORIGIN.into(), public: PublicKey::Ed25519(public(1)) }
}

fn head() -> Checkpoint {
    Checkpoint { origin: ORIGIN.into(), size: 7, root: Digest([3; 32]) }
}

/// The head with these cosigners, each with its key's seed and time.
fn cosigned(by: &[(&str, u8, u64)]) -> SignedCheckpoint {
    let mut note = sign(&head(), &key(1));
    for (name, seed, time) in by {
        note.add(cosign(&head(), &format!("test.example/{name}"), &key(*seed), *time).unwrap());
    }
    SignedCheckpoint::verify(note.to_string().as_bytes(), ORIGIN, &public(1)).unwrap()
}

/// Witnesses ID, SG, AU and MY under the names A to D, then these lines.
fn policy(lines: &str) -> Result<Policy, PolicyError> {
    let mut text = format!("# who is believed\n\n log {}\thttps://id.example\n", log());
    for (name, member, seed) in [("A", "ID", 2), ("B", "SG", 3), ("C", "AU", 4), ("D", "MY", 5)] {
        text.push_str(&format!("witness {name} {}\n", witness(member, seed)));
    }
    Policy::parse((text + lines).as_bytes())
}

fn satisfied(lines: &str, by: &[(&str, u8, u64)]) -> bool {
    policy(lines).unwrap().evaluate(&cosigned(by), Some(ORIGIN)).unwrap().satisfied
}

#[test]
fn a_quorum_is_reached_by_its_witness_or_its_group() {
    let (sg, au, my) = (("SG", 3, 10), ("AU", 4, 20), ("MY", 5, 30));
    assert!(satisfied("quorum none\n", &[]));
    assert!(satisfied("quorum B\n", &[sg]) && !satisfied("quorum B\n", &[au]));
    let two = "group G 2 B C D\nquorum G\n";
    assert!(satisfied(two, &[sg, my]) && !satisfied(two, &[my]));
    let all = "group G all B C\nquorum G\n";
    assert!(satisfied(all, &[sg, au]) && !satisfied(all, &[sg, my]));
    let nested = "group G any B C\ngroup H all G D\nquorum H\n";
    assert!(satisfied(nested, &[au, my]) && !satisfied(nested, &[sg, au]));
}

#[test]
fn the_owner_of_a_log_is_no_witness_of_it() {
    let policy = policy("group G 2 A B C\nquorum G\n").unwrap();
    let signed = cosigned(&[("ID", 2, 9), ("SG", 3, 10)]);
    assert!(policy.evaluate(&signed, None).unwrap().satisfied);
    let result = policy.evaluate(&signed, Some(ORIGIN)).unwrap();
    assert_eq!(result, PolicyResult { satisfied: false, witnesses: vec![("B".into(), 10)] });
    assert_eq!(
        policy.require(&signed, Some(ORIGIN)),
        Err(PolicyError::NotWitnessed { counted: 1 })
    );
}

#[test]
fn one_witness_counts_once_and_from_its_earliest_time() {
    let policy = policy("group G 2 B C\nquorum G\n").unwrap();
    let result = policy.evaluate(&cosigned(&[("SG", 3, 30), ("SG", 3, 20)]), None).unwrap();
    assert_eq!(result, PolicyResult { satisfied: false, witnesses: vec![("B".into(), 20)] });
}

#[test]
fn unknown_cosigners_are_ignored_and_a_false_known_one_refuses_the_note() {
    let policy = policy("quorum B\n").unwrap();
    let signed = cosigned(&[("SG", 3, 10), ("SG", 9, 10), ("XX", 3, 10)]);
    assert_eq!(policy.evaluate(&signed, None).unwrap().witnesses.len(), 1);
    let mut note = signed.note().clone();
    let false_one = vec![1; 72];
    note.add(NoteSignature::new("test.example/AU", witness("AU", 4).key_id(), false_one).unwrap());
    let signed = SignedCheckpoint::verify(note.to_string().as_bytes(), ORIGIN, &public(1)).unwrap();
    assert!(matches!(policy.evaluate(&signed, None), Err(PolicyError::Checkpoint(_))));
}

#[test]
fn a_quorum_counts_mldsa_cosignatures_and_a_group_counts_one_member_once() {
    let mldsa =
        format!("witness B6 {}\nwitness C6 {}\n", witness_mldsa("SG", 3), witness_mldsa("AU", 4));
    let cosigned = |ed25519: &[(&str, u8, u64)], mldsa: &[(&str, u8, u64)]| {
        let mut note = cosigned(ed25519).note().clone();
        for (member, seed, time) in mldsa {
            let (name, key) = (format!("test.example/{member}"), MlDsaKey::from_seed(&[*seed; 32]));
            note.add(cosign_mldsa(&head(), &name, &key, *time).unwrap());
        }
        SignedCheckpoint::verify(note.to_string().as_bytes(), ORIGIN, &public(1)).unwrap()
    };
    let reached = |lines: &str, signed: &SignedCheckpoint| {
        let policy = policy(&format!("{mldsa}{lines}")).unwrap();
        assert_eq!(Policy::parse(policy.to_string().as_bytes()).unwrap(), policy);
        policy.evaluate(signed, Some(ORIGIN)).map(|result| result.satisfied)
    };
    let (sg, au, stranger) = (("SG", 3, 10), ("AU", 4, 20), ("SG", 9, 10));
    assert_eq!(reached("quorum B6\n", &cosigned(&[], &[sg])), Ok(true));
    assert_eq!(reached("quorum B6\n", &cosigned(&[sg], &[au])), Ok(false));
    assert_eq!(reached("quorum B6\n", &cosigned(&[sg], &[stranger])), Ok(false));
    let both = "group SG all B B6\nquorum SG\n";
    assert_eq!(reached(both, &cosigned(&[sg], &[sg])), Ok(true));
    assert_eq!(reached(both, &cosigned(&[sg], &[])), Ok(false));
    let two = "group SG any B B6\ngroup AU any C C6\ngroup G 2 SG AU D\nquorum G\n";
    assert_eq!(reached(two, &cosigned(&[sg], &[sg])), Ok(false));
    assert_eq!(reached(two, &cosigned(&[sg], &[au])), Ok(true));
    let mut note = cosigned(&[sg], &[au]).note().clone();
    let id = witness_mldsa("SG", 3).key_id();
    note.add(NoteSignature::new("test.example/SG", id, vec![1; 8 + 2420]).unwrap());
    let signed = SignedCheckpoint::verify(note.to_string().as_bytes(), ORIGIN, &public(1)).unwrap();
    assert!(matches!(reached(two, &signed), Err(PolicyError::Checkpoint(_))), "a false line");
}

#[test]
fn a_checkpoint_is_taken_from_a_log_of_the_policy_only() {
    let policy = policy("quorum none\n").unwrap();
    let note = sign(&head(), &key(1)).to_string();
    assert!(policy.verify_log(note.as_bytes(), ORIGIN).is_ok());
    let unknown = policy.verify_log(note.as_bytes(), "test.example/SG");
    assert_eq!(unknown, Err(PolicyError::UnknownLog("test.example/SG".into())));
    let forged = sign(&head(), &key(9)).to_string();
    assert!(matches!(
        policy.verify_log(forged.as_bytes(), ORIGIN),
        Err(PolicyError::Checkpoint(CheckpointError::NotSigned(_)))
    ));
}

#[test]
fn refuses_lines_that_contradict_or_say_nothing() {
    let repeated_key = format!("witness E {}\nquorum none\n", witness("XX", 3));
    let repeated_log = format!("log {}\nquorum none\n", VerifierKey { name: "o".into(), ..log() });
    let ed25519 = PublicKey::Ed25519(public(8));
    let wrong_type = VerifierKey { name: "o".into(), public: ed25519 };
    let wrong_type = format!("witness E {wrong_type}\nquorum none\n");
    let mldsa_log = format!("log {}\nquorum none\n", witness_mldsa("XX", 8));
    let mldsa = ["XX", "YY"].map(|member| witness_mldsa(member, 8));
    let repeated_mldsa = format!("witness E {}\nwitness F {}\nquorum none\n", mldsa[0], mldsa[1]);
    let reserved = format!("witness none {}\nquorum none\n", witness("XX", 8));
    for bad in [
        "quorum E\n",
        "quorum A\nquorum A\n",
        "quorum A B\n",
        "quorum none",
        "quorum none\n\u{7}\n",
        "quorum none\r\n",
        "Quorum none\n",
        "group G 0 A\nquorum none\n",
        "group G 2 A\nquorum none\n",
        "group G 01 A\nquorum none\n",
        "group G +1 A\nquorum none\n",
        "group G some A\nquorum none\n",
        "group G any\nquorum none\n",
        "group G any A A\nquorum none\n",
        "group G any A\ngroup H any A\nquorum none\n",
        "group G any G\nquorum none\n",
        "group A any B\nquorum none\n",
        "group none any B\nquorum none\n",
        "group G any none\nquorum none\n",
        "group G any H\ngroup H any A\nquorum none\n",
        "witness E\nquorum none\n",
        &repeated_key,
        &repeated_log,
        &wrong_type,
        &mldsa_log,
        &repeated_mldsa,
        &reserved,
    ] {
        assert!(policy(bad).is_err(), "{bad:?}");
    }
    assert_eq!(policy("# nothing more\n"), Err(PolicyError::NoQuorum));
    assert_eq!(Policy::parse(&vec![b'\n'; MAX_POLICY_BYTES + 1]), Err(PolicyError::TooLarge));
    assert_eq!(Policy::parse(b"# \xff\nquorum none\n"), Err(PolicyError::NotText));
}

#[test]
fn a_refusal_names_the_line() {
    let refusal = policy("quorum E\n").unwrap_err().to_string();
    assert_eq!(refusal, "cannot read policy: line 8: \"E\" is not defined above");
}

#[test]
fn a_policy_is_read_back_as_it_was_written() {
    let policy = policy("group G any A B\ngroup H 2 G C D\nquorum H\n").unwrap();
    assert_eq!(Policy::parse(policy.to_string().as_bytes()).unwrap(), policy);
    assert_eq!(policy.logs()[0].url.as_deref(), Some("https://id.example"));
}

#[test]
fn any_k_of_some_witnesses_make_a_policy() {
    let witnesses = [witness("SG", 3), witness("AU", 4), witness("MY", 5)];
    let signed = cosigned(&[("SG", 3, 10), ("MY", 5, 10)]);
    for k in 0..=3 {
        let policy = Policy::k_of(&[log()], &witnesses, k).unwrap();
        assert_eq!(policy.evaluate(&signed, Some(ORIGIN)).unwrap().satisfied, k <= 2);
    }
    assert!(Policy::k_of(&[log()], &witnesses, 4).is_err());
    assert!(Policy::k_of(&[log()], &[], 0).is_ok());
    let spaced = VerifierKey { name: "a b".into(), ..witness("SG", 3) };
    assert!(Policy::k_of(&[], &[spaced], 1).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Policy::parse(&bytes);
    }

    #[test]
    fn arbitrary_lines_never_panic_and_are_read_back(
        lines in prop::collection::vec("(group|quorum|#) ([A-H] )?([0-3]|any|all) [A-H]( [A-H])?|quorum [A-H]", 0..6)
    ) {
        if let Ok(policy) = policy(&(lines.join("\n") + "\n")) {
            prop_assert_eq!(Policy::parse(policy.to_string().as_bytes()).unwrap(), policy);
        }
    }
}
