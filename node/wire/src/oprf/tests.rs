use proptest::prelude::*;

use super::*;

fn id(id: &str) -> MemberId {
    id.parse().unwrap()
}

fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).unwrap();
}

fn key(seed: u8) -> MatchKey {
    MatchKey::from_seed(&[seed; 32]).unwrap()
}

fn within<T>(with: impl FnOnce(Scope<'_>) -> T) -> T {
    with(Scope {
        federation: "test.example",
        community: "seizures",
        agreement: "test-1",
        purpose: "risk-analysis",
        kind: "container",
        asker: &id("ID"),
        responder: &id("SG"),
        epoch: 1,
        day: 20_000,
        serial: 1_728_000_000,
    })
}

/// What an asker learns of these identifiers from a responder with `key` within `asked`, where the
/// responder answers within `answered`.
fn asked(
    key: &MatchKey,
    public: &Element,
    (asked, answered): (&Scope<'_>, &Scope<'_>),
    identifiers: &[&str],
) -> Result<Vec<Tag>, OprfError> {
    let identifiers = identifiers.iter().map(|text| (*text).to_owned()).collect();
    let (questions, blinded) = Questions::blind(identifiers, random)?;
    let (evaluated, proof) = key.evaluate(answered, &blinded, random)?;
    questions.tags(asked, public, &evaluated, &proof)
}

#[test]
fn an_asker_comes_to_the_tags_of_the_responder_for_what_it_asks() {
    within(|scope| {
        let key = key(1);
        let identifiers = ["MSKU6011672", "CSQU3054383", "x"];
        let learnt = asked(&key, &key.public(), (&scope, &scope), &identifiers).unwrap();
        let held: Vec<Tag> = identifiers.iter().map(|i| key.tag(&scope, i).unwrap()).collect();
        assert_eq!(learnt, held);
    });
}

#[test]
fn an_answer_for_one_asker_purpose_or_day_is_of_no_use_for_another() {
    within(|scope| {
        let (key, other) = (key(1), id("AU"));
        let tag = key.tag(&scope, "MSKU6011672").unwrap();
        for changed in [
            Scope { federation: "other.example", ..scope },
            Scope { community: "substances", ..scope },
            Scope { agreement: "test-2", ..scope },
            Scope { purpose: "training", ..scope },
            Scope { kind: "company", ..scope },
            Scope { asker: &other, ..scope },
            Scope { responder: &other, ..scope },
            Scope { epoch: 2, ..scope },
            Scope { day: 20_001, ..scope },
            Scope { serial: 1_728_000_001, ..scope },
        ] {
            assert_ne!(key.tag(&changed, "MSKU6011672"), Ok(tag), "{changed:?}");
            let learnt = asked(&key, &key.public(), (&scope, &changed), &["MSKU6011672"]);
            assert_eq!(learnt, Err(OprfError::Proof), "{changed:?}");
        }
    });
}

#[test]
fn an_answer_under_another_key_than_the_announced_one_is_refused() {
    within(|scope| {
        let (announced, other) = (key(1), key(2));
        let learnt = asked(&other, &announced.public(), (&scope, &scope), &["MSKU6011672"]);
        assert_eq!(learnt, Err(OprfError::Proof));
        assert_ne!(other.tag(&scope, "MSKU6011672"), announced.tag(&scope, "MSKU6011672"));
    });
}

#[test]
fn a_changed_exchanged_or_missing_answer_is_refused() {
    within(|scope| {
        let key = key(1);
        let identifiers = vec!["MSKU6011672".to_owned(), "CSQU3054383".to_owned()];
        let (questions, blinded) = Questions::blind(identifiers, random).unwrap();
        let (evaluated, proof) = key.evaluate(&scope, &blinded, random).unwrap();
        let tags =
            |evaluated: &[Element], proof| questions.tags(&scope, &key.public(), evaluated, &proof);
        assert!(tags(&evaluated, proof).is_ok());
        assert_eq!(tags(&[evaluated[1], evaluated[0]], proof), Err(OprfError::Proof));
        assert_eq!(tags(&evaluated[..1], proof), Err(OprfError::Count));
        for at in 0..PROOF_LEN {
            let mut changed = proof;
            changed[at] ^= 1;
            assert_eq!(tags(&evaluated, changed), Err(OprfError::Proof), "{at}");
        }
        assert_eq!(tags(&[[0; 32], evaluated[1]], proof), Err(OprfError::Element), "the identity");
        assert_eq!(key.evaluate(&scope, &[[0; 32]], random), Err(OprfError::Element));
        assert_eq!(key.evaluate(&scope, &[], random), Err(OprfError::Count));
        let many = vec![blinded[0]; MAX_QUESTIONS + 1];
        assert_eq!(key.evaluate(&scope, &many, random), Err(OprfError::Count));
    });
}

#[test]
fn a_question_is_blinded_anew_each_time_and_holds_nothing_of_the_identifier() {
    let blinded = || Questions::blind(vec!["MSKU6011672".to_owned()], random).unwrap().1;
    let (one, two) = (blinded(), blinded());
    assert_ne!(one, two);
    assert_eq!(one[0].len(), ELEMENT_LEN);
}

/// RFC 9497, appendix A.1.3.
mod rfc_9497 {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        hex::decode(hex).unwrap().try_into().unwrap()
    }

    const INFO: &[u8] = b"test info";
    const BLIND: &str = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706";
    const PROOF_SCALAR: &str = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e";

    /// Gives these bytes where 64 random ones are drawn for a scalar.
    fn scalar(hex: &str) -> impl FnMut(&mut [u8]) {
        let scalar: [u8; 32] = bytes(hex);
        move |drawn| {
            drawn.fill(0);
            drawn[..32].copy_from_slice(&scalar);
        }
    }

    #[test]
    fn the_vectors_of_the_partially_oblivious_mode_hold() {
        let key = MatchKey::derive(&[0xa3; 32], b"test key").unwrap();
        let public = "c647bef38497bc6ec077c22af65b696efa43bff3b4a1975a3e8e0a1c5a79d631";
        assert_eq!(hex::encode(key.public()), public);
        for (input, blinded, evaluated, proof, output) in [
            (
                vec![0x00],
                "c8713aa89241d6989ac142f22dba30596db635c772cbf25021fdd8f3d461f715",
                "1a4b860d808ff19624731e67b5eff20ceb2df3c3c03b906f5693e2078450d874",
                "41ad1a291aa02c80b0915fbfbb0c0afa15a57e2970067a602ddb9e8fd6b7100d\
                 e32e1ecff943a36f0b10e3dae6bd266cdeb8adf825d86ef27dbc6c0e30c52206",
                "ca688351e88afb1d841fde4401c79efebb2eb75e7998fa9737bd5a82a152406d\
                 38bd29f680504e54fd4587eddcf2f37a2617ac2fbd2993f7bdf45442ace7d221",
            ),
            (
                vec![0x5a; 17],
                "f0f0b209dd4d5f1844dac679acc7761b91a2e704879656cb7c201e82a99ab07d",
                "8c3c9d064c334c6991e99f286ea2301d1bde170b54003fb9c44c6d7bd6fc1540",
                "4c39992d55ffba38232cdac88fe583af8a85441fefd7d1d4a8d0394cd1de7701\
                 8bf135c174f20281b3341ab1f453fe72b0293a7398703384bed822bfdeec8908",
                "7c6557b276a137922a0bcfc2aa2b35dd78322bd500235eb6d6b6f91bc5b56a52\
                 de2d65612d503236b321f5d0bebcbc52b64b92e426f29c9b8b69f52de98ae507",
            ),
        ] {
            let (blinded, evaluated): (Element, Element) = (bytes(blinded), bytes(evaluated));
            let asked = PoprfClient::<Suite>::blind(&input, &mut Drawn(scalar(BLIND))).unwrap();
            assert_eq!(asked.message.serialize().as_slice(), blinded);
            let answer = key
                .0
                .batch_blind_evaluate(
                    &mut Drawn(scalar(PROOF_SCALAR)),
                    std::array::from_ref(&asked.message),
                    Some(INFO),
                )
                .unwrap();
            assert_eq!(answer.messages[0].serialize().as_slice(), evaluated);
            assert_eq!(answer.proof.serialize().as_slice(), bytes::<64>(proof));
            assert_eq!(key.0.evaluate(&input, Some(INFO)).unwrap().as_slice(), bytes::<64>(output));
            let states = [asked.state];
            let learnt = PoprfClient::batch_finalize(
                [input.as_slice()].into_iter(),
                &states,
                &answer.messages,
                &answer.proof,
                Suite::deserialize_elem(&bytes::<32>(public)).unwrap(),
                Some(INFO),
            );
            let learnt = learnt.unwrap().next().unwrap().unwrap();
            assert_eq!(learnt.as_slice(), bytes::<64>(output));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn arbitrary_elements_and_proofs_never_panic(
        blinded in prop::collection::vec(any::<[u8; 32]>(), 0..4),
        evaluated in any::<[u8; 32]>(),
        proof in (any::<[u8; 32]>(), any::<[u8; 32]>()),
        public in any::<[u8; 32]>(),
    ) {
        within(|scope| {
            let _ = key(1).evaluate(&scope, &blinded, random);
            let (questions, _) = Questions::blind(vec!["x".to_owned()], random).unwrap();
            let proof: [u8; 64] = [proof.0, proof.1].concat().try_into().unwrap();
            assert!(questions.tags(&scope, &public, &[evaluated], &proof).is_err());
        });
    }

    #[test]
    fn whatever_is_asked_is_found_where_it_is_held_and_nowhere_else(
        held in "[!-~]{1,40}", asked_for in "[!-~]{1,40}"
    ) {
        within(|scope| {
            let key = key(3);
            let learnt = asked(&key, &key.public(), (&scope, &scope), &[&asked_for]).unwrap();
            assert_eq!(learnt[0] == key.tag(&scope, &held).unwrap(), held == asked_for);
        });
    }
}
