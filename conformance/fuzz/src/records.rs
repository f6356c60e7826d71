//! Records, whole and in opened parts.

use sealwire_schemas::{Disclosure, FieldClass, Parts, Standard, parse_json};
use sealwire_wire::cbor;
use sealwire_wire::part::Part;

/// Records as they are published: an accepted one splits into parts that are accepted, and that
/// make it up again.
pub fn record(bytes: &[u8]) -> bool {
    let Ok(value) = parse_json(bytes) else { return false };
    assert_eq!(parse_json(value.to_string().as_bytes()).ok().as_ref(), Some(&value));
    let Ok(valid) = Standard::v1().validate(&value) else { return false };
    let mut parts = valid.split();
    for class in valid.kind().classes() {
        // Known to be nothing, not withheld.
        parts.entry(class).or_default();
    }
    let check = Standard::v1().check_parts(valid.kind().name(), &parts);
    assert!(!check.refused(), "accepted whole, refused in parts: {:?}", check.findings);
    assert_eq!(check.record, value);
    true
}

/// One opened part of a peer's record. The first two bytes choose its kind and its class, the
/// others are its plaintext.
pub fn disclosed(bytes: &[u8]) -> bool {
    let [kind, class, plaintext @ ..] = bytes else { return false };
    let kind = Standard::v1().kinds().nth(usize::from(*kind));
    let class = FieldClass::ALL.get(usize::from(*class));
    let (Some(kind), Some(class)) = (kind, class) else { return false };
    let Ok(part) = Part::from_bytes(plaintext) else { return false };
    let fields = part.disclosures().iter().map(|field| {
        let value = cbor::to_json(&field.value)?;
        Some(Disclosure { pointer: field.pointer.clone(), value })
    });
    let Some(fields) = fields.collect::<Option<Vec<_>>>() else { return false };
    let parts = Parts::from([(*class, fields)]);
    let check = Standard::v1().check_parts(kind.name(), &parts);
    if check.refused() {
        return false;
    }
    for field in parts.values().flatten() {
        let placed = check.record.pointer(&field.pointer);
        assert_eq!(placed, Some(&field.value), "{} is not in its place", field.pointer);
    }
    true
}
