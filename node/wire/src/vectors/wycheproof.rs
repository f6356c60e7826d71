//! Project Wycheproof's vectors: what our verification accepts and refuses is what is right.
//!
//! A verdict of `acceptable` would be neither; there is none, and one that comes up fails.

use ::wycheproof::{TestResult, eddsa, mldsa_sign, mldsa_verify};

use crate::checkpoint::verify_strict;
use crate::mldsa::{self, MlDsaKey};

/// Whether the verdict asks that a signature be accepted.
fn valid(result: TestResult) -> bool {
    match result {
        TestResult::Valid => true,
        TestResult::Invalid => false,
        TestResult::Acceptable => panic!("a verdict that these sets did not have"),
    }
}

#[test]
fn ed25519_signatures_are_judged_as_wycheproof_does() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut counts = [0, 0];
    for group in set.test_groups {
        let public: &[u8; 32] = group.key.pk.as_ref().try_into().unwrap();
        for test in group.tests {
            let signature = <&[u8; 64]>::try_from(test.sig.as_ref());
            let held = signature.is_ok_and(|s| verify_strict(public, &test.msg, s));
            assert_eq!(held, valid(test.result), "case {}: {}", test.tc_id, test.comment);
            counts[usize::from(held)] += 1;
        }
    }
    assert_eq!(counts, [63, 88], "refused and accepted");
}

#[test]
fn mldsa_44_signatures_are_judged_as_wycheproof_does() {
    let set = mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa44Verify).unwrap();
    let mut counts = [0, 0];
    let mut contexts = Vec::new();
    for group in set.test_groups {
        let public = <&[u8; mldsa::MLDSA_PUBLIC_BYTES]>::try_from(group.pubkey.as_ref());
        for test in group.tests {
            let signature = <&[u8; mldsa::MLDSA_SIGNATURE_BYTES]>::try_from(test.sig.as_ref());
            let held = match (public, signature) {
                (Ok(public), Ok(signature)) => mldsa::verify(public, &test.msg, signature),
                _ => false,
            };
            let mut wanted = valid(test.result);
            // Ours have the empty context, and a signature with another one is none of ours.
            if wanted && test.ctx.is_some_and(|context| !context.is_empty()) {
                contexts.push(test.tc_id);
                wanted = false;
            }
            assert_eq!(held, wanted, "case {}: {}", test.tc_id, test.comment);
            counts[usize::from(held)] += 1;
        }
    }
    assert_eq!((counts, contexts.len()), ([105, 75], 2), "refused and accepted");
}

#[test]
fn mldsa_44_keys_and_signatures_are_those_of_wycheproof() {
    let set = mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa44SignSeed).unwrap();
    let (mut keys, mut signatures) = (0, 0);
    for group in set.test_groups {
        let seed = group.privseed.and_then(|seed| <[u8; 32]>::try_from(seed.to_vec()).ok());
        // The sets also have seeds of another length, which our type has no place for.
        let Some(seed) = seed else { continue };
        let key = MlDsaKey::from_seed(&seed);
        assert_eq!(group.pubkey.unwrap().as_ref(), key.public());
        keys += 1;
        for test in group.tests {
            let plain = test.rnd.is_none() && test.ctx.is_none_or(|context| context.is_empty());
            let Some(message) = test.msg.filter(|_| plain && valid(test.result)) else { continue };
            assert_eq!(key.sign(&message).as_slice(), &*test.sig, "case {}", test.tc_id);
            signatures += 1;
        }
    }
    assert!(keys >= 25 && signatures >= 60, "{keys} keys, {signatures} signatures");
}
