//! Who can open what, and who cannot.

use super::part::{pad, unpad};
use super::*;
use crate::id::{MemberId, RecordId};
use crate::part::{Disclosure, Part};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use proptest::prelude::*;

fn member(id: &str) -> MemberId {
    id.parse().unwrap()
}

fn part() -> Part {
    let value = Value::from("CSQU3054383");
    Part::new(vec![Disclosure { pointer: "/a".into(), value, salt: [7; 16] }]).unwrap()
}

#[test]
fn every_member_of_the_audience_gets_the_same_secret_and_nobody_else() {
    let keys: Vec<_> = (1..=3).map(|i| SealSecretKey::from_seed([i; 32])).collect();
    let (id, sg, au) = (member("ID"), member("SG"), member("AU"));
    let context = AudienceContext { originator: &id, audience: &[9; 16] };
    let secret = AudienceSecret::from_bytes([42; 32]);
    let commitment = secret.commitment(context.audience);
    let publics: Vec<_> = keys.iter().map(|k| k.public().unwrap()).collect();
    let wrapped =
        wrap(&secret, context, &[(&id, &publics[0]), (&sg, &publics[1])], &mut UnwrapErr(SysRng))
            .unwrap();
    let open = |member, key| unwrap(&wrapped, context, member, key, &commitment);
    assert!(open(&sg, &keys[1]).unwrap() == secret);
    assert_eq!(open(&au, &keys[2]).err(), Some(SealError::NotARecipient));
    let stolen = SealError::Unauthentic { what: "audience secret" };
    assert_eq!(open(&au, &keys[1]).err(), Some(stolen), "the wrap names its member");
    let lie = unwrap(&wrapped, context, &sg, &keys[1], &Digest([0; 32]));
    assert_eq!(lie.err(), Some(SealError::Commitment { what: "audience secret" }));
}

/// Reads the wrap, changes its recipients and writes it again.
fn with_recipients(wrap: &[u8], change: impl Fn(&mut Vec<Value>)) -> Vec<u8> {
    let message = cbor::decode_tagged("test", 96, wrap, MAX_WRAP_BYTES).unwrap();
    let mut items = message.into_array().unwrap();
    change(items[3].as_array_mut().unwrap());
    cbor::encode(&Value::Tag(96, Box::new(Value::Array(items))))
}

#[test]
fn a_recipient_that_is_not_ours_is_checked_before_ours_is_opened() {
    let (id, sg, au) = (member("ID"), member("SG"), member("AU"));
    let [ours, theirs] = [1, 2].map(|seed| SealSecretKey::from_seed([seed; 32]));
    let context = AudienceContext { originator: &id, audience: &[9; 16] };
    let secret = AudienceSecret::from_bytes([42; 32]);
    let commitment = secret.commitment(context.audience);
    let (our_public, their_public) = (ours.public().unwrap(), theirs.public().unwrap());
    let members = [(&sg, &our_public), (&au, &their_public)];
    let good = wrap(&secret, context, &members, &mut UnwrapErr(SysRng)).unwrap();
    let open = |wrap: &[u8]| unwrap(wrap, context, &sg, &ours, &commitment);
    let reversed = with_recipients(&good, |recipients| recipients.reverse());
    assert!(open(&good).unwrap() == secret && open(&reversed).unwrap() == secret);

    let header = |alg: i64, kid: usize| {
        cbor::bytes(cbor::encode(&labels([(1, alg.into()), (4, cbor::bytes(vec![0; kid]))])))
    };
    let key = |len| labels([(-4, cbor::bytes(vec![0; len]))]);
    let content = |len| cbor::bytes(vec![0; len]);
    let recipient = |items: [Value; 3]| Value::Array(items.into());
    let form = |header, key, content| recipient([header, key, content]);
    let stranger = form(header(57, 32), key(1120), content(48));
    let classical = SealError::Algorithm { what: "audience secret" };
    for (other, refused) in [
        (form(header(-29, 32), key(1120), content(48)), Some(classical.clone())),
        (form(header(3, 32), key(1120), content(48)), Some(classical)),
        (form(header(57, 31), key(1120), content(48)), None),
        (form(cbor::bytes([]), key(1120), content(48)), None),
        (form(header(57, 32), key(1119), content(48)), None),
        (form(header(57, 32), labels([]), content(48)), None),
        (form(header(57, 32), key(1120), content(47)), None),
        (Value::Array(vec![]), None),
        (Value::Bool(true), None),
    ] {
        for at in 0..=2 {
            let altered = with_recipients(&good, |list| list.insert(at, other.clone()));
            let found = open(&altered).err().unwrap_or_else(|| panic!("{other:?} at {at}"));
            match &refused {
                Some(refused) => assert_eq!(&found, refused, "{other:?}"),
                None => assert!(matches!(found, SealError::Cbor(_)), "{other:?}: {found}"),
            }
        }
    }
    let filled = |len| with_recipients(&good, |list| list.resize(len, stranger.clone()));
    assert!(open(&filled(MAX_AUDIENCE)).unwrap() == secret);
    assert!(open(&filled(MAX_AUDIENCE + 1)).is_err());
}

#[test]
fn a_member_that_announces_our_key_as_its_own_does_not_shut_us_out() {
    let (id, sg, au) = (member("ID"), member("SG"), member("AU"));
    let key = SealSecretKey::from_seed([1; 32]);
    let public = key.public().unwrap();
    let context = AudienceContext { originator: &id, audience: &[9; 16] };
    let secret = AudienceSecret::from_bytes([42; 32]);
    let commitment = secret.commitment(context.audience);
    let members = [(&au, &public), (&sg, &public)];
    let wrapped = wrap(&secret, context, &members, &mut UnwrapErr(SysRng)).unwrap();
    assert!(unwrap(&wrapped, context, &sg, &key, &commitment).unwrap() == secret);
}

#[test]
fn an_empty_audience_is_nobody() {
    let id = member("ID");
    let context = AudienceContext { originator: &id, audience: &[9; 16] };
    let secret = AudienceSecret::from_bytes([42; 32]);
    let refused = wrap(&secret, context, &[], &mut UnwrapErr(SysRng));
    assert_eq!(refused.err(), Some(SealError::Audience));
}

#[test]
fn a_part_opens_only_in_its_own_place() {
    let (id, record) = (member("ID"), RecordId::new(1, &[1; 10]));
    let secret = AudienceSecret::from_bytes([1; 32]);
    let part = part();
    let commitment = part.commitment(&record, "operational");
    let context = PartContext {
        originator: &id,
        record: &record,
        class: "operational",
        commitment: &commitment,
    };
    let sealed = seal_part(&secret, context, &part.to_bytes(), [3; IV_LEN]);
    assert_eq!(open_part(&secret, context, &sealed).unwrap(), part);
    assert_eq!(sealed_padded_len(&sealed).unwrap(), padded_len(part.to_bytes().len()) as u64);
    let other = PartContext { class: "core", ..context };
    assert!(open_part(&secret, other, &sealed).is_err());
    let wrong = AudienceSecret::from_bytes([2; 32]);
    assert!(open_part(&wrong, context, &sealed).is_err());
}

#[test]
fn two_contents_cannot_be_shown_under_one_commitment() {
    let (id, record) = (member("ID"), RecordId::new(1, &[1; 10]));
    let secret = AudienceSecret::from_bytes([1; 32]);
    let commitment = Digest([5; 32]);
    let context =
        PartContext { originator: &id, record: &record, class: "core", commitment: &commitment };
    let sealed = seal_part(&secret, context, &part().to_bytes(), [3; IV_LEN]);
    assert_eq!(
        open_part(&secret, context, &sealed).err(),
        Some(SealError::Commitment { what: "part" })
    );
}

proptest! {
    #[test]
    fn padding_is_removed_and_costs_at_most_an_eighth(len in 0usize..100_000) {
        let plaintext = vec![0x80u8; len];
        let padded = pad(&plaintext);
        prop_assert_eq!(unpad(&padded).unwrap(), &plaintext[..]);
        prop_assert!(padded.len() <= (len + 1).max(256) / 8 * 9 + 8);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let id = member("ID");
        let context = AudienceContext { originator: &id, audience: &[9; 16] };
        let key = SealSecretKey::from_seed([1; 32]);
        prop_assert!(unwrap(&bytes, context, &id, &key, &Digest([0; 32])).is_err());
        prop_assert!(sealed_padded_len(&bytes).is_err() || !bytes.is_empty());
    }
}
