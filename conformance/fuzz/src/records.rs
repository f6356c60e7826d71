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

/// One opened part of a peer's record. The first byte chooses its kind and class, the others are
/// its plaintext.
pub fn disclosed(bytes: &[u8]) -> bool {
    let Some((choice, plaintext)) = bytes.split_first() else { return false };
    let Some((kind, class)) = choices().nth(usize::from(*choice)) else { return false };
    let Ok(part) = Part::from_bytes(plaintext) else { return false };
    let fields = part.disclosures().iter().map(|field| {
        let value = cbor::to_json(&field.value)?;
        Some(Disclosure { pointer: field.pointer.clone(), value })
    });
    let Some(fields) = fields.collect::<Option<Vec<_>>>() else { return false };
    let parts = Parts::from([(class, fields)]);
    let check = Standard::v1().check_parts(kind, &parts);
    if check.refused() {
        return false;
    }
    for field in parts.values().flatten() {
        let placed = check.record.pointer(&field.pointer);
        assert_eq!(placed, Some(&field.value), "{} is not in its place", field.pointer);
    }
    true
}

/// Every kind with every class, in the order of the first byte of [`disclosed`].
pub(crate) fn choices() -> impl Iterator<Item = (&'static str, FieldClass)> {
    let kinds = Standard::v1().kinds().map(|kind| kind.name());
    kinds.flat_map(|kind| FieldClass::ALL.into_iter().map(move |class| (kind, class)))
}
