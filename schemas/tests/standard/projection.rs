//! What a member sees of a record: the fields of its classes, and not a byte of any other.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::{FieldClass, Standard, ValidRecord};
use serde_json::{Value, json};

use super::{example, examples, subset, valid};

/// Shortest value that is looked for: a shorter one stands in other words by chance.
const SHORTEST: usize = 5;

/// Calls `visit` with the pointer of every text of a record.
fn texts(value: &Value, at: &str, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| texts(field, &format!("{at}/{name}"), visit));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| texts(item, &format!("{at}/{i}"), visit));
        }
        Value::String(_) => visit(at),
        _ => {}
    }
}

/// A valid record like this one, with a text of its own in every field that takes any text.
fn with_canaries(record: &Value) -> ValidRecord {
    let mut pointers = Vec::new();
    texts(record, "", &mut |pointer| pointers.push(pointer.to_owned()));
    let mut record = record.clone();
    for (i, pointer) in pointers.iter().enumerate() {
        let mut changed = record.clone();
        *changed.pointer_mut(pointer).unwrap() = json!(format!("Canary{i}x"));
        if Standard::v1().validate(&changed).is_ok() {
            record = changed;
        }
    }
    valid(&record)
}

#[test]
fn not_a_byte_of_a_withheld_field_is_shown_to_whom_it_is_withheld_from() {
    let (mut canaries, mut withheld_texts) = (0usize, 0usize);
    for (name, record) in examples() {
        let record = with_canaries(&record);
        canaries += record.value().to_string().matches("Canary").count();
        let split = record.split();
        let mut looked_at = BTreeSet::new();
        for bits in 0u16..256 {
            let (held, parts) = subset(&split, bits);
            // Sets that differ only in classes that the record does not have show the same.
            let seen: BTreeSet<FieldClass> =
                held.iter().copied().filter(|class| split.contains_key(class)).collect();
            if !looked_at.insert(seen) {
                continue;
            }
            let check = Standard::v1().check_parts(record.kind().name(), &parts);
            let shown = format!(
                "{} {:?} {:?}",
                record.projection(&held),
                check.findings,
                check.not_checkable
            );
            let public: BTreeSet<&str> =
                parts.values().flatten().filter_map(|field| field.value.as_str()).collect();
            for (class, fields) in split.iter().filter(|(class, _)| !held.contains(class)) {
                // A word of a public list may also be a name, and is looked for by place elsewhere;
                // what is withheld here may be shown at another place by right.
                let listed = |pointer: &str| {
                    pointer == "/kind"
                        || record.kind().field(pointer).is_none_or(|field| !field.values.is_empty())
                };
                let fields = fields.iter().filter(|field| !listed(&field.pointer));
                let texts = fields.filter_map(|field| field.value.as_str());
                for text in texts.filter(|t| t.len() >= SHORTEST) {
                    if public.iter().any(|public| public.contains(text)) {
                        continue;
                    }
                    withheld_texts += 1;
                    let leaked = shown.contains(text);
                    assert!(!leaked, "{name}: {class:?} {text:?} is shown to {held:?}");
                }
            }
        }
    }
    // The search is not empty.
    assert!(canaries > 400 && withheld_texts > 20_000, "{canaries} {withheld_texts}");
}

#[test]
fn whoever_holds_every_class_sees_the_record_and_whoever_holds_none_nothing() {
    for (name, record) in examples() {
        let record = valid(&record);
        let all = FieldClass::ALL.into_iter().collect();
        assert_eq!(record.projection(&all), *record.value(), "{name}");
        assert_eq!(record.projection(&BTreeSet::new()), json!({}), "{name}");
    }
}

#[test]
fn a_coarser_value_stands_where_the_exact_one_is_withheld() {
    let record = valid(&example("case-01"));
    let wide = [FieldClass::Open, FieldClass::CoreCoarse, FieldClass::OperationalCoarse];
    let seen = record.projection(&wide.into_iter().collect());
    assert_eq!(seen["goodsItem"][0]["found"], json!({"classificationId": "2921"}));
    assert_eq!(seen["goodsItem"][0]["quantity"][0], json!({"value": "10^4"}));
    assert_eq!(seen["consignment"]["itinerary"][0], json!({"locationId": "SY"}));
    assert_eq!(seen["event"], json!({"dateTime": "2020-07-01"}));
    assert_eq!(seen.get("party"), None);
}

#[test]
fn the_schema_of_a_kind_is_complete_in_itself() {
    for (name, record) in examples() {
        let schema = valid(&record).kind().schema();
        let validator = jsonschema::validator_for(&schema).expect("nothing is missing");
        assert!(validator.is_valid(&record), "{name}");
        assert!(!validator.is_valid(&json!({})), "{name}");
    }
}

#[test]
fn the_schema_of_a_projection_takes_what_its_holder_sees_and_nothing_that_is_withheld() {
    let mut compiled: BTreeMap<(String, u16), jsonschema::Validator> = BTreeMap::new();
    for name in ["case-01", "case-05", "correction-02", "proficiency-result-02"] {
        let record = valid(&example(name));
        let split = record.split();
        for bits in (0u16..256).step_by(3) {
            let (held, parts) = subset(&split, bits);
            let kind = record.kind();
            let schema = kind.projected_schema(&held);
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            let validator = compiled
                .entry((kind.name().to_owned(), bits))
                .or_insert_with(|| jsonschema::validator_for(&schema).unwrap());
            let seen = record.projection(&held);
            assert!(validator.is_valid(&seen), "{name} {held:?} {seen}");
            assert!(!Standard::v1().check_parts(kind.name(), &parts).refused());
            let more = split.keys().any(|class| {
                !held.contains(class)
                    && !matches!(class, FieldClass::CoreCoarse | FieldClass::OperationalCoarse)
            });
            assert_eq!(validator.is_valid(record.value()), !more, "{name} {held:?}");
        }
    }
}
