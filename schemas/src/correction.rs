//! What a correction does to the record that it corrects, and in what two records differ.
//!
//! Works on opened parts: a holder of some classes applies what it can see, and is told what it
//! cannot. Knows nothing of who may correct what.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::assemble::{Disclosure, Parts};
use crate::class::FieldClass;
use crate::finding::Finding;
use crate::kind::{Holds, Kind};
use crate::language::words;

/// A field whose value is another than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// RFC 6901 pointer into the record.
    pub pointer: String,
    /// Its class.
    #[serde(serialize_with = "as_word")]
    pub class: FieldClass,
    /// The value before; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value after; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

fn as_word<S: serde::Serializer>(class: &FieldClass, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.as_str())
}

/// A record after a correction, as far as it opens.
#[derive(Debug, Clone, PartialEq)]
pub struct Corrected {
    /// Its fields. Where an exact class is here, its coarser values are left out: they may be those
    /// of the old ones.
    pub parts: Parts,
    /// What was changed.
    pub changes: Vec<FieldChange>,
    /// Where the correction does not fit the record, with pointers into the correction. Then
    /// nothing is changed.
    pub findings: Vec<Finding>,
    /// Corrected classes of which the record or the correction is withheld.
    pub not_checkable: Vec<FieldClass>,
}

/// Classes in which a correction changes fields, and the lists of its changes.
const LISTS: [(FieldClass, &str); 5] = [
    (FieldClass::Core, "coreChange"),
    (FieldClass::Operational, "operationalChange"),
    (FieldClass::Commercial, "commercialChange"),
    (FieldClass::Nominal, "nominalChange"),
    (FieldClass::Text, "textChange"),
];

/// Applies a record of kind `correction` to the fields of a record of `kind`.
pub fn correct(kind: &Kind, parts: &Parts, correction: &Value) -> Corrected {
    let announced = correction.get("correctedClass").and_then(Value::as_array);
    let announced: BTreeSet<&str> =
        announced.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut after = parts.clone();
    let (mut changes, mut findings, mut not_checkable) = (Vec::new(), Vec::new(), Vec::new());
    for (class, list) in LISTS {
        let items = correction.get(list).and_then(Value::as_array);
        match (items, after.get_mut(&class)) {
            (Some(items), Some(fields)) => {
                for (index, item) in items.iter().enumerate() {
                    match change(kind, class, fields, item) {
                        Ok(change) => changes.push(change),
                        Err(misfit) => {
                            findings.push(misfit.finding(&format!("/{list}/{index}"), item));
                        }
                    }
                }
            }
            (Some(_), None) => not_checkable.push(class),
            (None, _) if announced.contains(class.as_str()) => not_checkable.push(class),
            (None, _) => {}
        }
    }
    if !findings.is_empty() {
        return Corrected { parts: parts.clone(), changes: Vec::new(), findings, not_checkable };
    }
    for class in FieldClass::ALL {
        if let Some(coarse) = class.coarse().filter(|_| after.contains_key(&class)) {
            after.remove(&coarse);
        }
    }
    for fields in after.values_mut() {
        fields.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    }
    Corrected { parts: after, changes, findings, not_checkable }
}

/// The fields in which two records differ, of the classes that are held of both.
pub fn difference(before: &Parts, after: &Parts) -> Vec<FieldChange> {
    let coarse = [FieldClass::CoreCoarse, FieldClass::OperationalCoarse];
    let mut changes = Vec::new();
    for (class, old) in before.iter().filter(|(class, _)| !coarse.contains(class)) {
        let Some(new) = after.get(class) else { continue };
        let value = |fields: &[Disclosure], pointer: &str| {
            fields.iter().find(|field| field.pointer == pointer).map(|field| field.value.clone())
        };
        let pointers: BTreeSet<&str> =
            old.iter().chain(new).map(|field| field.pointer.as_str()).collect();
        let differs = pointers.into_iter().filter_map(|pointer| {
            let (old, new) = (value(old, pointer), value(new, pointer));
            let pointer = pointer.to_owned();
            (old != new).then_some(FieldChange { pointer, class: *class, old, new })
        });
        changes.extend(differs);
    }
    changes
}

/// Why a change does not fit.
enum Misfit {
    /// The kind has no such field in that class.
    NoSuchField,
    /// The record has no value there.
    Absent,
    /// The record has a value there.
    Present,
    /// The record has another value there.
    OldValue,
    /// The field cannot have the new value.
    NewValue,
}

fn change(
    kind: &Kind,
    class: FieldClass,
    fields: &mut Vec<Disclosure>,
    item: &Value,
) -> Result<FieldChange, Misfit> {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    let pointer = text("field").unwrap_or_default();
    let field = kind.field(pointer).filter(|field| field.class == class);
    let field = field.ok_or(Misfit::NoSuchField)?;
    let at = fields.iter().position(|field| field.pointer == pointer);
    let old = match (text("action"), at) {
        (Some("added"), None) => None,
        (Some("added"), Some(_)) => return Err(Misfit::Present),
        (_, None) => return Err(Misfit::Absent),
        (_, Some(at)) => {
            let old = fields.get(at).map(|field| field.value.clone()).unwrap_or_default();
            let written = written(&old);
            let digest = || hex::encode(Sha256::digest(written.as_bytes()));
            let stated = text("oldValue").is_none_or(|stated| stated == written);
            if !stated || text("oldDigest").is_some_and(|stated| stated != digest()) {
                return Err(Misfit::OldValue);
            }
            Some((at, old))
        }
    };
    let new = match (text("action"), text("newValue")) {
        (Some("removed"), _) | (_, None) => None,
        (_, Some(new)) => Some(typed(field.holds, new).ok_or(Misfit::NewValue)?),
    };
    let (pointer, stands) = (pointer.to_owned(), old.as_ref().map(|(at, _)| *at));
    match (stands, &new) {
        (Some(at), Some(new)) => {
            if let Some(field) = fields.get_mut(at) {
                field.value = new.clone();
            }
        }
        (Some(at), None) => {
            fields.remove(at);
        }
        (None, Some(new)) => {
            fields.push(Disclosure { pointer: pointer.clone(), value: new.clone() });
        }
        (None, None) => {}
    }
    Ok(FieldChange { pointer, class, old: old.map(|(_, old)| old), new })
}

/// A value as a correction writes it: numbers and truth values as JSON writes them.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a field of that form holds when it is written so.
fn typed(holds: Holds, text: &str) -> Option<Value> {
    match holds {
        Holds::Text => Some(Value::from(text)),
        Holds::Integer => text.parse::<i64>().ok().map(Value::from),
        Holds::Boolean => text.parse::<bool>().ok().map(Value::from),
    }
    .filter(|value| written(value) == text)
}

impl Misfit {
    fn finding(&self, at: &str, item: &Value) -> Finding {
        let (code, key, message, hint) = match self {
            Self::NoSuchField => (
                "correction-no-field",
                "field",
                words(
                    "the kind of the corrected record has no such field in this class",
                    "le type de l'enregistrement rectifié n'a pas ce champ dans cette classe",
                    "jenis data yang dikoreksi tidak memiliki ruas itu dalam kelas ini",
                ),
                words(
                    "name a field of that kind, in the list of its class",
                    "nommer un champ de ce type, dans la liste de sa classe",
                    "sebutkan ruas jenis itu, dalam daftar kelasnya",
                ),
            ),
            Self::Absent => (
                "correction-absent",
                "field",
                words(
                    "the corrected record has no value there",
                    "l'enregistrement rectifié n'a pas de valeur à cet endroit",
                    "data yang dikoreksi tidak memiliki nilai di sana",
                ),
                words(
                    "set action to added, or mend the pointer",
                    "donner à action la valeur added, ou corriger le pointeur",
                    "isi action dengan added, atau perbaiki penunjuknya",
                ),
            ),
            Self::Present => (
                "correction-present",
                "field",
                words(
                    "the corrected record has a value there already",
                    "l'enregistrement rectifié a déjà une valeur à cet endroit",
                    "data yang dikoreksi sudah memiliki nilai di sana",
                ),
                words(
                    "set action to replaced and give the old value",
                    "donner à action la valeur replaced et indiquer l'ancienne valeur",
                    "isi action dengan replaced dan berikan nilai lama",
                ),
            ),
            Self::OldValue => (
                "correction-old-value",
                "oldValue",
                words(
                    "the corrected record states another value there",
                    "l'enregistrement rectifié indique une autre valeur à cet endroit",
                    "data yang dikoreksi menyebut nilai lain di sana",
                ),
                words(
                    "take the value from the record with its earlier corrections",
                    "reprendre la valeur de l'enregistrement avec ses rectifications antérieures",
                    "ambil nilai dari data beserta koreksi sebelumnya",
                ),
            ),
            Self::NewValue => (
                "correction-new-value",
                "newValue",
                words(
                    "the field cannot have this value",
                    "le champ ne peut avoir cette valeur",
                    "ruas itu tidak dapat memiliki nilai ini",
                ),
                words(
                    "write an integer or true or false as JSON does",
                    "écrire un entier, true ou false comme en JSON",
                    "tulis bilangan bulat, true atau false seperti JSON",
                ),
            ),
        };
        let finding = Finding::error(code, &format!("{at}/{key}"), message, hint);
        match item.get(key) {
            Some(value) => finding.with_value(value),
            None => finding,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Standard;

    fn record() -> Value {
        let text = include_str!("../examples/case-05-soekarno-hatta.json");
        serde_json::from_str(text).unwrap()
    }

    fn parts() -> Parts {
        Standard::v1().accept(record()).unwrap().split()
    }

    fn kind() -> &'static Kind {
        Standard::v1().kind("lab-alert").unwrap()
    }

    fn codes(list: &str, change: Value) -> Vec<(String, String)> {
        let corrected = correct(kind(), &parts(), &json!({ list: [change] }));
        assert!(corrected.changes.is_empty() && corrected.parts == parts());
        corrected.findings.iter().map(|f| (f.code.clone(), f.pointer.clone())).collect()
    }

    #[test]
    fn the_example_of_a_correction_fits_its_record_and_the_result_is_valid() {
        let text = include_str!("../examples/correction-01-basis.json");
        let correction: Value = serde_json::from_str(text).unwrap();
        let corrected = correct(kind(), &parts(), &correction);
        assert!(corrected.findings.is_empty(), "{:?}", corrected.findings);
        assert!(corrected.not_checkable.is_empty());
        let after = crate::assemble(&corrected.parts);
        assert_eq!(after["goodsItem"][0]["quantity"][0]["value"], "1.987");
        assert_eq!(after["result"][0]["limitOfQuantification"], "1.5");
        Standard::v1().accept(after).unwrap();
        let change = &corrected.changes[0];
        assert_eq!((&change.old, &change.new), (&Some(json!("2.026")), &Some(json!("1.987"))));
        let same: BTreeSet<String> =
            difference(&parts(), &corrected.parts).into_iter().map(|c| c.pointer).collect();
        assert_eq!(same, corrected.changes.iter().map(|c| c.pointer.clone()).collect());
    }

    #[test]
    fn a_change_that_does_not_fit_says_where_and_changes_nothing() {
        let at = |code: &str, key: &str| vec![(code.to_owned(), format!("/coreChange/0/{key}"))];
        let field = "/goodsItem/0/quantity/0/value";
        let replaced = |field: &str, old: &str, new: &str| json!({"field": field, "action": "replaced", "oldValue": old, "newValue": new});
        let found = codes("coreChange", replaced(field, "2.027", "1"));
        assert_eq!(found, at("correction-old-value", "oldValue"));
        let found = codes("coreChange", replaced("/goodsItem/7/quantity/0/value", "1", "2"));
        assert_eq!(found, at("correction-absent", "field"));
        let found = codes("coreChange", replaced("/goodsItem/0/price", "1", "2"));
        assert_eq!(found, at("correction-no-field", "field"));
        let found =
            codes("coreChange", json!({"field": field, "action": "added", "newValue": "1"}));
        assert_eq!(found, at("correction-present", "field"));
        let found = codes(
            "coreChange",
            json!({"field": "/goodsItem/0/sequenceNumeric",
            "action": "replaced", "oldValue": "1", "newValue": "one"}),
        );
        assert_eq!(found, at("correction-new-value", "newValue"));
        let digest = json!({"field": field, "action": "removed", "oldDigest": "00".repeat(32)});
        assert_eq!(codes("coreChange", digest), at("correction-old-value", "oldValue"));
        // In the list of another class there is no such field.
        let found = codes("commercialChange", replaced(field, "2.026", "1"));
        assert_eq!(found[0].0, "correction-no-field");
    }

    #[test]
    fn what_is_withheld_is_not_checkable_and_never_passed() {
        let text = include_str!("../examples/correction-01-basis.json");
        let correction: Value = serde_json::from_str(text).unwrap();
        let mut held = parts();
        held.remove(&FieldClass::Commercial);
        let corrected = correct(kind(), &held, &correction);
        assert_eq!(corrected.not_checkable, [FieldClass::Commercial]);
        assert_eq!(corrected.changes.len(), 3);
        // The correction's own part is withheld: its open fields say so.
        let mut seen = correction.clone();
        seen.as_object_mut().unwrap().remove("commercialChange");
        assert_eq!(correct(kind(), &parts(), &seen).not_checkable, [FieldClass::Commercial]);
    }

    proptest! {
        #[test]
        fn any_correction_is_applied_or_refused_and_never_panics(
            changes in prop::collection::vec(
                ("(/[a-z]{1,6}){0,3}(/[0-9]{1,5})?", "replaced|added|removed|x", "[a-z0-9.]{0,4}",
                 "[a-z0-9.]{0,4}"),
                0..5,
            ),
        ) {
            let changes: Vec<Value> = changes.into_iter().map(|(field, action, old, new)| {
                json!({"field": field, "action": action, "oldValue": old, "newValue": new})
            }).collect();
            let correction = json!({"coreChange": changes, "correctedClass": ["core", 3]});
            let corrected = correct(kind(), &parts(), &correction);
            let done = corrected.changes.len() + corrected.findings.len();
            prop_assert!(done == changes.len() || corrected.changes.is_empty());
        }
    }
}
