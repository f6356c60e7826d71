//! References that laboratories ask each other for.

use serde_json::Value;

use super::{Fault, Found, Judged, repeated, select, text};
use crate::rules::Rule;

/// What an offer consists of.
pub const OFFER: &[&str] = &[
    "/offered/*/type",
    "/offered/*/spectrum/*/technique",
    "/offered/*/referenceMaterial/type",
    "/carriage",
];

pub fn offer_of_another(rule: &Rule, record: &Value, found: &mut Found) {
    let electronic = text(record, "carriage") == Some("electronic-only");
    for (pointer, item) in select(record, "/offered/*") {
        let kind = text(item, "type").unwrap_or_default();
        let material = item.get("referenceMaterial").and_then(|material| text(material, "type"));
        let certified = ["certified-reference-material", "pharmacopoeia-standard"];
        let wrong = match (kind, material) {
            ("spectrum", _) if item.get("spectrum").is_none() => Some(("spectrum", "")),
            ("certified-standard", Some(material)) if !certified.contains(&material) => {
                Some(("referenceMaterial/type", material))
            }
            ("certified-standard" | "standard" | "sample" | "matrix-blank", _) if electronic => {
                Some(("type", "electronic-only"))
            }
            _ => None,
        };
        if let Some((field, other)) = wrong {
            let evidence = [kind, other].into_iter().filter(|s| !s.is_empty());
            let evidence: Vec<&str> = evidence.collect();
            found.push(rule.breach(format!("{pointer}/{field}"), evidence.join(", ")));
        }
    }
}

pub fn without_certificate(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    if text(judged.object, "type") != Some("certified-reference-material") {
        return Vec::new();
    }
    let names = ["producer", "certificateId"];
    let missing = names.into_iter().filter(|name| judged.object.get(name).is_none());
    missing.map(|name| (name, name.to_owned())).collect()
}

pub fn expires_first(rule: &Rule, record: &Value, found: &mut Found) {
    let Some(until) = text(record, "availableUntil") else { return };
    for (pointer, expiry) in select(record, "/offered/*/referenceMaterial/expiryDate") {
        if let Some(expiry) = expiry.as_str().filter(|expiry| *expiry < until) {
            found.push(rule.breach(pointer, format!("{expiry} < {until}")));
        }
    }
}

pub fn identity_unknown(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let names = ["casNumber", "inchiKey"];
    let stated = names.into_iter().find(|name| judged.object.get(name).is_some());
    match (text(judged.object, "identity"), stated) {
        (Some("unknown"), Some(name)) => vec![("identity", format!("unknown, {name}"))],
        (Some("known"), None) => vec![("casNumber", "known".to_owned())],
        _ => Vec::new(),
    }
}

pub fn answers_nothing(rule: &Rule, record: &Value, found: &mut Found) {
    let answers = record.pointer("/relation/verb").is_some_and(|verb| verb == "answers");
    for (pointer, item) in select(record, "/offered/*/answersItem") {
        if !answers {
            found.push(rule.breach(pointer, item));
        }
    }
}

/// Numbers by which other records name an item.
pub const NUMBERS: &[&str] =
    &["/wanted/*/sequenceNumeric", "/offered/*/sequenceNumeric", "/service/*/sequenceNumeric"];

pub fn number_twice(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, number) in NUMBERS.iter().flat_map(|path| repeated(record, path)) {
        found.push(rule.breach(pointer, number));
    }
}
