//! Formats that are signed: statements, range answers, COSE receipts, proofs of fields, the
//! register, introductions.

use std::sync::LazyLock;

use ed25519_dalek::Signer as _;
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::cose_receipt::{CoseReceipt, Export};
use sealwire_wire::field_proof::FieldProof;
use sealwire_wire::id::ed25519_thumbprint;
use sealwire_wire::message::MAX_RESPONSE_BYTES;
use sealwire_wire::register::{Draft, Introduction, Register};
use sealwire_wire::signer::public_of_ec_point;
use sealwire_wire::statement::{
    Denial, MAX_STATEMENT_BYTES, Statement, TYP_DENIAL, TYP_STATEMENT, sign,
};

use crate::keys::{self, ORIGIN};

/// A public key as a PKCS#11 token gives it: raw or as an OCTET STRING, and a sound one.
pub fn ec_point(bytes: &[u8]) -> bool {
    let Some(public) = public_of_ec_point(bytes) else { return false };
    let [raw, der] = [public.to_vec(), [&[0x04, 0x20][..], &public].concat()];
    assert!(bytes == raw || bytes == der, "another form is taken");
    for form in [raw, der] {
        assert_eq!(public_of_ec_point(&form), Some(public));
    }
    true
}

/// Statements; the bytes are also signed as a manifest.
pub fn statement(bytes: &[u8]) -> bool {
    let enveloped = envelope(TYP_STATEMENT, bytes);
    if let Some(Ok(ours)) = enveloped.as_deref().map(Statement::parse) {
        assert!(ours.verify(&keys::public()).is_ok(), "our own signature does not hold");
    }
    same_statement(bytes) | enveloped.is_some_and(|bytes| same_statement(&bytes))
}

/// Whether a statement is read, and if so, as what is signed as the same bytes.
fn same_statement(bytes: &[u8]) -> bool {
    let Ok(read) = Statement::parse(bytes) else { return false };
    assert_eq!(read.bytes(), bytes);
    let again = sign(keys::signer(), read.claims().clone(), read.manifest().clone());
    let again = again.expect("what was read fits the limits");
    let unkeyed = unkeyed(bytes);
    assert!(unkeyed.is_some() && unkeyed == self::unkeyed(again.bytes()), "another spelling");
    true
}

/// Header and payload of a COSE_Sign1 without what depends on the key.
fn unkeyed(bytes: &[u8]) -> Option<(Value, Value)> {
    let value = cbor::decode_tagged("statement", 18, bytes, MAX_STATEMENT_BYTES).ok()?;
    let [protected, _, payload, _] = <[Value; 4]>::try_from(value.into_array().ok()?).ok()?;
    let header = cbor::decode("header", protected.as_bytes()?, MAX_STATEMENT_BYTES).ok()?;
    let mut header = header.into_map().ok()?;
    header.retain(|(label, _)| *label != Value::from(4));
    Some((Value::Map(header), payload))
}

/// Signed answers that indexes are not addressed to the asker; the bytes are also signed as the
/// payload of one.
pub fn denial(bytes: &[u8]) -> bool {
    let enveloped = envelope(TYP_DENIAL, bytes);
    same_denial(bytes) | enveloped.is_some_and(|bytes| same_denial(&bytes))
}

fn same_denial(bytes: &[u8]) -> bool {
    let Ok((claims, denial)) = Denial::verify(bytes, |_, _| Some(keys::public())) else {
        return false;
    };
    // Ed25519 signs the same way every time.
    assert_eq!(denial.sign(keys::signer(), claims), bytes);
    let first = denial.ranges.first();
    assert!(first.is_none_or(|(from, to)| denial.covers(*from) && !denial.covers(*to)));
    true
}

/// A COSE_Sign1 by our key over a payload that is CBOR; any other is not worth a signature.
fn envelope(typ: &str, payload: &[u8]) -> Option<Vec<u8>> {
    cbor::decode_plain("payload", payload, MAX_RESPONSE_BYTES).ok()?;
    let label = |label: i64, value| (Value::from(label), value);
    let claims = keys::claims();
    let cwt = Value::Map(vec![
        label(1, Value::from(claims.issuer.as_str())),
        label(2, Value::from(claims.subject.to_string())),
        label(6, Value::from(claims.issued_at)),
    ]);
    let protected = cbor::encode(&Value::Map(vec![
        label(1, Value::from(-19)),
        label(4, cbor::bytes(ed25519_thumbprint(&keys::public()).0)),
        label(15, cwt),
        label(16, Value::from(typ)),
    ]));
    let protected = cbor::bytes(protected);
    let to_sign =
        vec![Value::from("Signature1"), protected.clone(), cbor::bytes([]), cbor::bytes(payload)];
    let signature = keys::signer().sign(&cbor::encode(&Value::Array(to_sign))).to_bytes();
    let message =
        vec![protected, Value::Map(Vec::new()), cbor::bytes(payload), cbor::bytes(signature)];
    Some(cbor::encode(&Value::Tag(18, Box::new(Value::Array(message)))))
}

/// COSE receipts, by themselves and beside a checkpoint.
pub fn cose_receipt(bytes: &[u8]) -> bool {
    let bare = CoseReceipt::parse(bytes).map(|receipt| assert_eq!(receipt.to_bytes(), bytes));
    let Ok(export) = Export::parse(bytes) else { return bare.is_ok() };
    assert_eq!(export.to_bytes(), bytes);
    let receipt = export.receipt().to_bytes();
    assert_eq!(CoseReceipt::parse(&receipt).as_ref(), Ok(export.receipt()));
    if let Ok(signed) = export.verify(ORIGIN, &keys::public()) {
        assert!(signed.checkpoint().size > export.proof().index(), "an entry beyond the tree");
        // Ed25519 signs the same way every time.
        assert_eq!(Export::sign(&export.proof(), keys::signer()), Ok(export));
    }
    true
}

/// Proofs of single fields; one that matches its statement is made again of what it holds.
pub fn field_proof(bytes: &[u8]) -> bool {
    let Ok(proof) = FieldProof::parse(bytes) else { return false };
    assert_eq!(proof.to_bytes(), bytes);
    let again = FieldProof::new(proof.receipt().clone(), proof.parts().clone());
    assert_eq!(again.is_ok(), proof.matches().is_ok());
    assert!(again.is_ok() || proof.verify(ORIGIN, &keys::public()).is_err());
    for part in proof.parts().values() {
        assert!((1..=part.fields()).contains(&part.disclosures().len()));
    }
    true
}

/// Registers: the first, the one after it, and drafts.
pub fn register(bytes: &[u8]) -> bool {
    static BASE: LazyLock<Register> = LazyLock::new(|| {
        let bytes = include_bytes!("../../vectors/data-v1/register.json");
        Register::trust_first(bytes, None).expect("the vector is a first register")
    });
    if let Ok(next) = BASE.update(bytes) {
        assert_eq!(next.version(), BASE.version() + 1);
    }
    let draft = Draft::from_bytes(bytes).ok();
    if let Some(draft) = &draft {
        let again = Draft::from_bytes(&draft.to_bytes()).map(|again| again.to_bytes());
        assert_eq!(again.ok(), Some(draft.to_bytes()));
        assert!(draft.summary().is_err() || draft.check().is_ok());
    }
    let Ok(first) = Register::trust_first(bytes, None) else { return draft.is_some() };
    assert_eq!(first.bytes(), bytes);
    assert!(draft.is_some_and(|draft| draft.digest() == first.digest() && draft.check().is_ok()));
    assert!(Register::trust_first(bytes, Some(&first.digest())).is_ok());
    true
}

/// Introductions of members.
pub fn introduction(bytes: &[u8]) -> bool {
    let Ok(read) = Introduction::from_bytes(bytes) else { return false };
    let again = Introduction::from_bytes(&read.to_bytes());
    let again = again.map(|again| (again.to_bytes(), again.fingerprint()));
    assert_eq!(again.ok(), Some((read.to_bytes(), read.fingerprint())));
    true
}
