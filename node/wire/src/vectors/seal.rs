//! Seals: who opens an audience's secret and the parts under it.
//!
//! The randomness of the wraps comes from a counter, so that they can be compared too.

use std::convert::Infallible;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use hpke::rand_core::{TryCryptoRng, TryRng};
use serde_json::json;
use sha2::Sha256;

use super::{edited, flipped, member, record};
use crate::cbor::{self, Value};
use crate::id::{Digest, MemberId, RecordId};
use crate::merkle::vectors::settle;
use crate::part::{Disclosure, MAX_PART_BYTES, Part};
use crate::seal::*;

const AUDIENCE: AudienceId = [9; 16];
const CLASS: &str = "operational";
const IV: [u8; IV_LEN] = [3; IV_LEN];

/// SHA-256 of 0, of 1, and so on: known to everybody.
struct Known(u64);

impl TryRng for Known {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for chunk in into.chunks_mut(32) {
            chunk.copy_from_slice(&Digest::of(&self.0.to_be_bytes()).0[..chunk.len()]);
            self.0 += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for Known {}

fn secret(byte: u8) -> AudienceSecret {
    AudienceSecret::from_bytes([byte; 32])
}

/// One who opens a wrap: what it takes to be true, and its key.
#[derive(Clone)]
struct Opener {
    originator: MemberId,
    audience: AudienceId,
    member: MemberId,
    seed: u8,
    commitment: Digest,
}

impl Opener {
    fn case(&self, why: &str, valid: bool, wrap: &[u8]) -> serde_json::Value {
        let context = AudienceContext { originator: &self.originator, audience: &self.audience };
        let key = SealSecretKey::from_seed([self.seed; 32]);
        let opened = unwrap(wrap, context, &self.member, &key, &self.commitment);
        assert_eq!(opened.is_ok(), valid, "{why}: {:?}", opened.err());
        let public = key.public().unwrap();
        json!({
            "why": why, "valid": valid, "originator": self.originator,
            "audience": hex::encode(self.audience), "member": self.member,
            "seed": hex::encode([self.seed; 32]), "thumbprint": public.thumbprint(),
            "publicSha256": Digest::of(public.as_bytes()), "commitment": self.commitment,
            "wrap": hex::encode(wrap),
            "expected": opened.ok().map(|s| json!({ "secret": hex::encode(s.as_bytes()) })),
        })
    }
}

/// A wrap for one member, altered.
fn altered_wraps(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    // d8 60 84, 43 a10103, a1 05 4c iv, 58 30 secret and tag, 81, the recipient.
    let recipient = 3 + 4 + 3 + IV_LEN + 2 + 48 + 1;
    assert_eq!(good[recipient - 1], 0x81);
    let edit = |from, to| edited(good, from, to);
    vec![
        ("a bit of the iv flipped", flipped(good, 10)),
        ("a bit of the sealed secret flipped", flipped(good, 10 + IV_LEN + 2)),
        ("a bit of the sealed secret's tag flipped", flipped(good, recipient - 2)),
        ("a bit of the key's id flipped", flipped(good, recipient + 10)),
        ("the first bit of the encapsulated key flipped", flipped(good, good.len() - 50 - 1120)),
        ("the last bit of the encapsulated key flipped", flipped(good, good.len() - 51)),
        ("a bit of the sealed content key flipped", flipped(good, good.len() - 48)),
        ("the last bit flipped", flipped(good, good.len() - 1)),
        ("another algorithm for the secret", edit("43a10103", "43a10101")),
        ("another algorithm for the recipient", edit("a2011839", "a2011838")),
        ("a classical algorithm for the recipient", edit("a2011839", "a2011823")),
        ("an algorithm in the long form", edit("43a10103", "44a1011803")),
        ("a header beside the iv", edit("a1054c", "a20100054c")),
        ("a header beside the encapsulated key", edit("a123590460", "a2010023590460")),
        (
            "an iv of 11 bytes",
            edit(
                &format!("4c{}", hex::encode(&good[10..22])),
                &format!("4b{}", hex::encode(&good[10..21])),
            ),
        ),
        ("an encapsulated key of 1,119 bytes", {
            let ek = good.len() - 50 - 1120;
            [&good[..ek - 3], &[0x59, 0x04, 0x5f], &good[ek..ek + 1119], &good[ek + 1120..]]
                .concat()
        }),
        ("no recipient", [&good[..recipient - 1], &[0x80]].concat()),
        ("no recipients", [&[0xd8, 0x60, 0x83], &good[3..recipient - 1]].concat()),
        ("tagged as COSE_Mac", edit("d86084", "d86184")),
        ("without its tag", good[2..].to_vec()),
        ("a length in the long form", edit("a1054c", "a105580c")),
        ("one byte more", [good, &[0]].concat()),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("cut before the recipients", good[..recipient - 1].to_vec()),
        ("nothing", vec![]),
    ]
}

/// A wrap for two members with one of its recipients altered, and its valid neighbours.
fn altered_recipients(good: &[u8], at: usize) -> Vec<(&'static str, bool, Vec<u8>)> {
    const LEN: usize = 1217;
    let (head, recipients) = good.split_at(good.len() - 2 * LEN);
    assert_eq!(head.last(), Some(&0x82));
    let (before, rest) = recipients.split_at(at * LEN);
    let (recipient, after) = rest.split_at(LEN);
    // 83, 58 27 header, a1 23 59 0460 encapsulated key, 58 30 content key and tag.
    assert_eq!(recipient[..4], [0x83, 0x58, 0x27, 0xa2]);
    let (key_id, key, content) = (10, 47, LEN - 48);
    let whole = |other: &[u8]| [head, before, other, after].concat();
    let edit = |from, to| whole(&edited(recipient, from, to));
    let header = "5827a2011839045820";
    let cut = |from: usize, prefix: &[u8], len: usize| {
        let start = [&recipient[..from - prefix.len()], prefix].concat();
        whole(&[&start, &recipient[from..from + len], &recipient[from + len + 1..]].concat())
    };
    vec![
        ("for a key that nobody has", true, whole(&flipped(recipient, key_id))),
        ("with another encapsulated key", true, whole(&flipped(recipient, key))),
        ("of a classical algorithm", false, edit("a2011839", "a201381c")),
        ("of an algorithm by name", false, edit("5827a2011839", "5829a20163484b45")),
        ("without an algorithm", false, edit(header, "5824a1045820")),
        ("with a header in the long form", false, edit("5827a2011839", "5828a201190039")),
        ("with a third header", false, edit(header, "5829a30118390200045820")),
        ("with a header beside the encapsulated key", false, edit("a123590460", "a2010023590460")),
        ("without an encapsulated key", false, {
            whole(&[&recipient[..key - 5], &[0xa0], &recipient[content - 2..]].concat())
        }),
        ("with an encapsulated key of 1,119 bytes", false, cut(key, &[0x59, 4, 0x5f], 1119)),
        ("with a content key of 31 bytes", false, cut(content, &[0x58, 47], 47)),
        ("with recipients of its own", false, {
            whole(&[&[0x84], &recipient[1..], &[0x80]].concat())
        }),
        ("that is none", false, whole(&[0x80])),
    ]
}

fn wraps() -> serde_json::Value {
    let (id, sg, au) = (member("ID"), member("SG"), member("AU-LAB-2"));
    let context = AudienceContext { originator: &id, audience: &AUDIENCE };
    let publics = [1, 2].map(|seed| SealSecretKey::from_seed([seed; 32]).public().unwrap());
    let both = [(&sg, &publics[0]), (&au, &publics[1])];
    let wrapped = |secret: &AudienceSecret, members: &[(&MemberId, &SealPublicKey)]| {
        wrap(secret, context, members, &mut Known(0)).unwrap()
    };
    let (good, for_two) = (wrapped(&secret(42), &both[..1]), wrapped(&secret(42), &both));
    let commitment = secret(42).commitment(&AUDIENCE);
    let by_sg = Opener {
        originator: id.clone(),
        audience: AUDIENCE,
        member: sg.clone(),
        seed: 1,
        commitment,
    };
    let by_au = Opener { member: au.clone(), seed: 2, ..by_sg.clone() };
    let mut cases = vec![
        by_sg.case("for one member", true, &good),
        by_sg.case("for two, by the first", true, &for_two),
        by_au.case("for two, by the second", true, &for_two),
        by_au.case("another member's key", false, &good),
        Opener { member: au.clone(), ..by_sg.clone() }.case(
            "under another member's name",
            false,
            &for_two,
        ),
        Opener { originator: sg.clone(), ..by_sg.clone() }.case("another originator", false, &good),
        Opener { audience: [8; 16], commitment: secret(42).commitment(&[8; 16]), ..by_sg.clone() }
            .case("another audience", false, &good),
        Opener { commitment: secret(43).commitment(&AUDIENCE), ..by_sg.clone() }.case(
            "the commitment to another secret",
            false,
            &good,
        ),
        by_sg.case("another secret than committed to", false, &wrapped(&secret(43), &both[..1])),
    ];
    let altered = altered_wraps(&good);
    cases.extend(altered.iter().map(|(why, wrap)| by_sg.case(why, false, wrap)));
    for (opener, whose, at) in [(&by_sg, "the second", 1), (&by_au, "the first", 0)] {
        for (why, valid, wrap) in altered_recipients(&for_two, at) {
            cases.push(opener.case(&format!("{whose} recipient {why}"), valid, &wrap));
        }
    }
    let one_key = wrapped(&secret(42), &[(&au, &publics[0]), (&sg, &publics[0])]);
    cases.push(by_sg.case("for two under one key, by the second", true, &one_key));
    json!(cases)
}

/// A part with one text, whose plaintext has exactly this many bytes.
fn part(len: usize) -> Part {
    let filled = |text: usize| {
        let value = Value::from("x".repeat(text));
        Part::new(vec![Disclosure { pointer: "/a".into(), value, salt: [7; 16] }]).unwrap()
    };
    // A text that is longer by one may have a head that is longer by two.
    (0..=len).map(filled).find(|part| part.to_bytes().len() == len).unwrap()
}

/// Where a sealed part is said to belong, and the secret it is opened with.
#[derive(Clone)]
struct Place {
    secret: u8,
    originator: MemberId,
    record: RecordId,
    class: &'static str,
    commitment: Digest,
}

impl Place {
    fn of(part: &Part) -> Self {
        let (record, originator) = (record(1), member("ID"));
        let commitment = part.commitment(&record, CLASS);
        Self { secret: 42, originator, record, class: CLASS, commitment }
    }

    fn context(&self) -> PartContext<'_> {
        PartContext {
            originator: &self.originator,
            record: &self.record,
            class: self.class,
            commitment: &self.commitment,
        }
    }

    fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        seal_part(&secret(self.secret), self.context(), plaintext, IV)
    }

    /// Seals bytes, however padded, under a header that may name another algorithm.
    fn seal_padded(&self, algorithm: u8, padded: &[u8]) -> Vec<u8> {
        let (record, protected) = (Value::Text(self.record.to_string()), [0xa1, 1, algorithm]);
        let list = |items: &[Value]| cbor::encode(&Value::Array(items.to_vec()));
        let info = list(&["sealwire part".into(), record.clone(), self.class.into()]);
        let bound = [self.originator.as_str().into(), record, self.class.into()];
        let bound = [&bound[..], &[cbor::bytes(self.commitment.0)]].concat();
        let aad = list(&["Encrypt0".into(), cbor::bytes(protected), cbor::bytes(list(&bound))]);
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, &[self.secret; 32]).expand(&info, &mut key).unwrap();
        let payload = Payload { msg: padded, aad: &aad };
        let sealed = Aes256Gcm::new(&key.into()).encrypt(&Nonce::from(IV), payload).unwrap();
        let iv = Value::Map(vec![(5.into(), cbor::bytes(IV))]);
        let items = vec![cbor::bytes(protected), iv, cbor::bytes(sealed)];
        cbor::encode(&Value::Tag(16, Box::new(items.into())))
    }

    fn case(&self, why: &str, valid: bool, sealed: &[u8]) -> serde_json::Value {
        let opened = open_part(&secret(self.secret), self.context(), sealed);
        assert_eq!(opened.is_ok(), valid, "{why}: {:?}", opened.err());
        let expected = opened.ok().map(|part| {
            let length = sealed_padded_len(sealed).unwrap();
            json!({ "plaintext": hex::encode(part.to_bytes()), "length": length })
        });
        json!({
            "why": why, "valid": valid, "secret": hex::encode([self.secret; 32]),
            "originator": self.originator, "record": self.record.to_string(),
            "class": self.class, "commitment": self.commitment, "sealed": hex::encode(sealed),
            "expected": expected,
        })
    }
}

fn padded(plaintext: &[u8], end: &[u8], len: usize) -> Vec<u8> {
    let mut padded = [plaintext, end].concat();
    padded.resize(len, 0);
    padded
}

/// A short part sealed in its place, altered before or after.
fn altered_parts(place: &Place, plaintext: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    // d0 83, 43 a10103, a1 05 4c iv, 59 0110 part and tag.
    let good = place.seal(plaintext);
    let edit = |from, to| edited(&good, from, to);
    let reshaped = |bytes: &[u8], end: &[u8], len| place.seal_padded(3, &padded(bytes, end, len));
    vec![
        ("content in the long form", place.seal(&edited(plaintext, "8183", "980183"))),
        ("content and one byte more", place.seal(&[plaintext, &[0]].concat())),
        ("no content", place.seal(&[])),
        ("not padded", reshaped(plaintext, &[0x80], 41)),
        ("padded by one byte less", reshaped(plaintext, &[0x80], 255)),
        ("padded to the next step", reshaped(plaintext, &[0x80], 272)),
        ("padded to twice the length", reshaped(plaintext, &[0x80], 512)),
        ("padded with zeros alone", reshaped(plaintext, &[], 256)),
        ("another delimiter", reshaped(plaintext, &[0x01], 256)),
        ("something in the padding", reshaped(plaintext, &[0x80, 0, 1], 256)),
        ("a delimiter twice", reshaped(plaintext, &[0x80, 0x80], 256)),
        ("nothing but zeros", reshaped(&[], &[], 256)),
        ("sealed emptiness", reshaped(&[], &[], 0)),
        ("a bit of the iv flipped", flipped(&good, 9)),
        ("the first bit of the content flipped", flipped(&good, 9 + IV_LEN + 3)),
        ("the last bit of the tag flipped", flipped(&good, good.len() - 1)),
        ("another algorithm", edit("43a10103", "43a10101")),
        ("sealed as for another algorithm", place.seal_padded(1, &padded(plaintext, &[0x80], 256))),
        ("no algorithm", edit("43a10103", "40")),
        ("a header beside the iv", edit("a1054c", "a20100054c")),
        ("no iv", edit(&format!("a1054c{}", hex::encode(IV)), "a0")),
        (
            "an iv of 13 bytes",
            edit(&format!("4c{}", hex::encode(IV)), &format!("4d03{}", hex::encode(IV))),
        ),
        ("tagged as COSE_Mac0", edit("d08343", "d18343")),
        ("without its tag", good[1..].to_vec()),
        ("the tag in the long form", edit("d08343", "d8108343")),
        ("a length in the long form", edit("590110", "5a00000110")),
        ("a fourth item", [&[0xd0, 0x84], &good[2..], &[0]].concat()),
        ("a content shorter than a tag", [&good[..9 + IV_LEN], &[0x41, 0]].concat()),
        ("one byte more", [&good[..], &[0]].concat()),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("nothing", vec![]),
    ]
}

fn parts() -> serde_json::Value {
    let mut cases = Vec::new();
    for (why, len) in [
        ("a short part", 40),
        ("one byte below the shortest padding", 254),
        ("at the shortest padding", 255),
        ("one byte above the shortest padding", 256),
        ("padded by a step of 64", 1100),
        ("one byte below a step", 1151),
        ("at a step, for want of a byte", 1152),
    ] {
        let part = part(len);
        let place = Place::of(&part);
        cases.push(place.case(why, true, &place.seal(&part.to_bytes())));
    }
    let part = part(40);
    let (plaintext, place) = (part.to_bytes(), Place::of(&part));
    let good = place.seal(&plaintext);
    assert_eq!(good, place.seal_padded(3, &padded(&plaintext, &[0x80], 256)));
    for (why, other) in [
        ("another secret", Place { secret: 43, ..place.clone() }),
        ("another originator", Place { originator: member("SG"), ..place.clone() }),
        ("another record", Place { record: record(2), ..place.clone() }),
        ("another class", Place { class: "core", ..place.clone() }),
        ("another commitment", Place { commitment: Digest([5; 32]), ..place.clone() }),
    ] {
        cases.push(other.case(why, false, &good));
    }
    let lie = Place { commitment: Digest([5; 32]), ..place.clone() };
    cases.push(lie.case("another content than committed to", false, &lie.seal(&plaintext)));
    let altered = altered_parts(&place, &plaintext);
    cases.extend(altered.iter().map(|(why, sealed)| place.case(why, false, sealed)));
    json!(cases)
}

fn padding() -> serde_json::Value {
    let steps = [0, 1, 40, 254, 255, 256, 271, 272, 300, 510, 511, 512, 1000, 1023, 1024, 1151];
    let large =
        [1152, 4095, 4096, 65_534, 65_535, 65_536, 100_000, 524_286, 524_287, MAX_PART_BYTES];
    let lengths = steps.into_iter().chain(large);
    lengths.map(|len| json!({ "length": len, "padded": padded_len(len) })).collect()
}

#[test]
fn the_seal_vectors_are_what_this_program_computes() {
    settle("seal", &[("wrap.json", wraps()), ("part.json", parts()), ("padding.json", padding())]);
}
