//! Checks of single values that the register and the introduction share.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use ed25519_dalek::{Signature, VerifyingKey};

use crate::id::{WORD, is_word};
use crate::mldsa::MLDSA_PUBLIC_BYTES;

use super::error::RegisterError;
use super::{KeyUse, MAX_ADDRESSES, MAX_LIST};

/// Longest text, in bytes.
const MAX_TEXT_LEN: usize = 512;
/// Longest name of a seat, purpose or list, in bytes.
const MAX_TOKEN_LEN: usize = 64;
/// Longest name of a federation, in bytes.
const MAX_DOMAIN_LEN: usize = 200;
/// Characters of a refused value that are repeated in the refusal.
const MAX_QUOTED: usize = 80;

/// What [`is_text`] accepts.
pub(super) const TEXT: &str = "a text of 1 to 512 bytes on one line";
/// What [`is_token`] accepts.
pub(super) const TOKEN: &str =
    "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit";
/// What [`is_domain`] accepts.
pub(super) const DOMAIN: &str =
    "a name such as example.org: lower-case letters, digits and '-' between dots";
const PUBLIC: &str = "a valid Ed25519 public key: 64 lower-case hexadecimal digits";

pub(super) fn field(at: &str, found: &dyn Display, expected: &'static str) -> RegisterError {
    let found = found.to_string().chars().take(MAX_QUOTED).collect();
    RegisterError::Field { at: at.to_owned(), found, expected }
}

pub(super) fn require(
    holds: bool,
    at: &str,
    found: &dyn Display,
    expected: &'static str,
) -> Result<(), RegisterError> {
    if holds { Ok(()) } else { Err(field(at, found, expected)) }
}

pub(super) fn at_most(at: &str, count: usize, limit: usize) -> Result<(), RegisterError> {
    if count <= limit {
        return Ok(());
    }
    Err(RegisterError::TooMany { at: at.to_owned(), count, limit })
}

/// A list without repetition, as a set that is not empty.
pub(super) fn distinct<T: Ord + Clone + Display>(
    at: &str,
    list: &[T],
    limit: usize,
) -> Result<BTreeSet<T>, RegisterError> {
    at_most(at, list.len(), limit)?;
    require(!list.is_empty(), at, &"an empty list", "at least one entry")?;
    let mut set = BTreeSet::new();
    for item in list {
        require(set.insert(item.clone()), at, item, "every entry once")?;
    }
    Ok(set)
}

/// Names, roles and addresses of a member.
pub(super) fn presentation(
    at: &str,
    names: &BTreeMap<String, String>,
    roles: &[String],
    addresses: &[String],
) -> Result<(), RegisterError> {
    at_most(&format!("{at}/names"), names.len(), MAX_LIST)?;
    require(!names.is_empty(), &format!("{at}/names"), &"no name", "a name, such as en")?;
    for (language, name) in names {
        let at = format!("{at}/names/{language}");
        require(is_language(language), &at, language, "a language tag such as en or pt-BR")?;
        require(is_text(name), &at, name, TEXT)?;
    }
    for role in distinct(&format!("{at}/roles"), roles, MAX_LIST)? {
        require(is_word(&role), &format!("{at}/roles"), &role, WORD)?;
    }
    at_most(&format!("{at}/addresses"), addresses.len(), MAX_ADDRESSES)?;
    for address in addresses {
        let printable = address.bytes().all(|b| b.is_ascii_graphic());
        let parts = address.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').count() >= 2 && rest.split('/').all(|part| !part.is_empty())
        });
        let good = printable && parts && address.len() <= MAX_TEXT_LEN;
        let expected = "a multiaddress such as /ip4/192.0.2.1/tcp/4001";
        require(good, &format!("{at}/addresses"), address, expected)?;
    }
    Ok(())
}

/// The peer id has to be that of the node key; an address that names a peer has to name this one.
pub(super) fn check_peer_id(
    at: &str,
    found: &str,
    addresses: &[String],
    node: Option<&[u8; 32]>,
) -> Result<(), RegisterError> {
    let expected = "the libp2p peer id of the member's node key";
    let fits = node.is_some_and(|public| peer_id(public) == found);
    require(fits, &format!("{at}/peerId"), &found, expected)?;
    for address in addresses {
        let named =
            address.split("/p2p/").skip(1).all(|rest| rest.split('/').next() == Some(found));
        let expected = "no /p2p/ part, or one with the member's own peer id";
        require(named, &format!("{at}/addresses"), address, expected)?;
    }
    Ok(())
}

pub(super) fn key_use(at: &str, text: &str) -> Result<KeyUse, RegisterError> {
    text.parse().map_err(|_| field(at, &text, "node, log, cosign, sign or cosign-pq"))
}

/// An ML-DSA-44 public key in one spelling. Any bytes of its length are one (FIPS 204).
pub(super) fn pq_public(
    at: &str,
    text: &str,
) -> Result<Box<[u8; MLDSA_PUBLIC_BYTES]>, RegisterError> {
    let expected = "an ML-DSA-44 public key, 2,624 lower-case hexadecimal digits";
    hex_exact(text).map(Box::new).ok_or_else(|| field(at, &text, expected))
}

/// A public key in one spelling, on the curve and not of low order.
pub(super) fn public_key(at: &str, text: &str) -> Result<([u8; 32], VerifyingKey), RegisterError> {
    let read = || {
        let public: [u8; 32] = hex_exact(text)?;
        let key = VerifyingKey::from_bytes(&public).ok()?;
        (!key.is_weak()).then_some((public, key))
    };
    read().ok_or_else(|| field(at, &text, PUBLIC))
}

/// An Ed25519 signature in one spelling; anything else is no signature of ours.
pub(super) fn signature(text: &str) -> Option<Signature> {
    hex_exact::<64>(text).map(|bytes| Signature::from_bytes(&bytes))
}

pub(super) fn is_text(text: &str) -> bool {
    !text.trim().is_empty()
        && text.len() <= MAX_TEXT_LEN
        && !text.chars().any(char::is_control)
        && text.trim() == text
}

pub(super) fn is_token(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    text.len() <= MAX_TOKEN_LEN
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(inner)
}

pub(super) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= MAX_DOMAIN_LEN && text.split('.').all(label)
}

fn is_language(text: &str) -> bool {
    let mut subtags = text.split('-');
    let primary = subtags.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_lowercase())
        && subtags
            .all(|s| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn hex_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// The libp2p peer id of an Ed25519 node key: base58 of the identity multihash of the key.
pub fn peer_id(public: &[u8; 32]) -> String {
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend_from_slice(public);
    base58(&bytes)
}

/// Base58 as Bitcoin and libp2p write it.
fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|b| **b == 0).map(|_| '1');
    let letters = digits
        .iter()
        .rev()
        .filter_map(|digit| ALPHABET.get(usize::from(*digit)))
        .map(|letter| char::from(*letter));
    zeros.chain(letters).collect()
}
