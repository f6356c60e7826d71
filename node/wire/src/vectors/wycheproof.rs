//! Project Wycheproof's vectors: what our verification accepts and refuses is what is right, and so
//! is what our seals are made of.
//!
//! The halves of X-Wing are asked for by themselves: that crate brings them along, and offers only
//! both together. A verdict of `acceptable` is neither right nor wrong; a set that has one says so.

use ::wycheproof::{TestResult, aead, eddsa, mldsa_sign, mldsa_verify, mlkem, xdh};
use ml_kem::{Ciphertext, Decapsulate as _, FromSeed as _, KeyExport as _, MlKem768};

use crate::checkpoint::verify_strict;
use crate::mldsa::{self, MlDsaKey};
use crate::seal::{IV_LEN, aes_open, aes_seal};

type PublicKey = ml_kem::ml_kem_768::EncapsulationKey;

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

#[test]
fn aes_256_gcm_opens_and_seals_as_wycheproof_does() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut counts = [0, 0];
    for group in set.test_groups {
        // Ours have keys of 256 bits, nonces of 96 and tags of 128, and no place for others.
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 8 * IV_LEN, 128) {
            continue;
        }
        for test in group.tests {
            let iv: &[u8; IV_LEN] = test.nonce.as_ref().try_into().unwrap();
            let sealed = [test.ct.as_ref(), test.tag.as_ref()].concat();
            let opened = aes_open(&test.key, iv, &test.aad, &sealed);
            let held = opened.as_ref().is_some_and(|plain| ***plain == *test.pt);
            assert_eq!(held, valid(test.result), "case {}: {}", test.tc_id, test.comment);
            assert_eq!(held, opened.is_some(), "case {}: {}", test.tc_id, test.comment);
            let key: &[u8; 32] = test.key.as_ref().try_into().unwrap();
            let same = aes_seal(key, iv, &test.aad, &test.pt) == sealed;
            assert_eq!(same, held, "case {}: {}", test.tc_id, test.comment);
            counts[usize::from(held)] += 1;
        }
    }
    assert_eq!(counts, [27, 39], "refused and opened");
}

#[test]
fn x25519_agrees_on_the_secrets_of_wycheproof() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let (mut acceptable, mut right, mut zero) = (0, 0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let private: [u8; 32] = test.private_key.as_ref().try_into().unwrap();
        let public: [u8; 32] = test.public_key.as_ref().try_into().unwrap();
        let shared = x25519_dalek::x25519(private, public);
        assert_eq!(
            shared.as_slice(),
            &**test.shared_secret,
            "case {}: {}",
            test.tc_id,
            test.comment
        );
        match test.result {
            TestResult::Valid => right += 1,
            // Points of the twist, of low order, or written otherwise. RFC 7748 computes with them;
            // X-Wing takes both secrets and the public key into its own, and needs no check.
            TestResult::Acceptable => acceptable += 1,
            TestResult::Invalid => panic!("a verdict that this set did not have"),
        }
        let none = test.flags.contains(&xdh::TestFlag::ZeroSharedSecret);
        assert_eq!(shared == [0; 32], none, "case {}", test.tc_id);
        zero += usize::from(none);
    }
    assert_eq!((right, acceptable, zero), (264, 254, 31));
}

/// The lengths are the types': a seed, key or ciphertext of another length has no place in them.
#[test]
fn mlkem_768_agrees_on_the_keys_and_secrets_of_wycheproof() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768).unwrap();
    let mut counts = [0, 0];
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let seed = test.seed.as_deref().and_then(|seed| ml_kem::Seed::try_from(seed).ok());
        let sealed = test.ct.as_deref();
        let sealed = sealed.and_then(|sealed| Ciphertext::<MlKem768>::try_from(sealed).ok());
        let held = match (seed, sealed) {
            (Some(seed), Some(sealed)) => {
                let (secret, public) = MlKem768::from_seed(&seed);
                let shared = secret.decapsulate(&sealed);
                public.to_bytes().as_slice() == test.encaps_key.as_deref().unwrap()
                    && shared.as_slice() == test.shared_secret.as_deref().unwrap()
            }
            _ => false,
        };
        assert_eq!(held, valid(test.result), "case {}: {}", test.tc_id, test.comment);
        counts[usize::from(held)] += 1;
    }
    assert_eq!(counts, [40, 161], "refused and agreed");
}

#[test]
fn mlkem_768_seals_for_the_keys_of_wycheproof_and_refuses_bad_ones() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).unwrap();
    let mut counts = [0, 0];
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let public = test.encaps_key.as_deref();
        let public = public.and_then(|key| ml_kem::Key::<PublicKey>::try_from(key).ok());
        let public = public.and_then(|key| PublicKey::new(&key).ok());
        let held = public.is_some_and(|public| {
            let chosen = ml_kem::B32::try_from(test.msg.as_deref().unwrap()).unwrap();
            let (sealed, shared) = public.encapsulate_deterministic(&chosen);
            sealed.as_slice() == test.ct.as_deref().unwrap()
                && shared.as_slice() == test.shared_secret.as_deref().unwrap()
        });
        assert_eq!(held, valid(test.result), "case {}: {}", test.tc_id, test.comment);
        counts[usize::from(held)] += 1;
    }
    assert_eq!(counts, [132, 133], "refused and agreed");
}
