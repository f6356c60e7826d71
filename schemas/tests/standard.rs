//! The shared standard as its users meet it: the examples, what is refused and why, and what a
//! holder of some classes can and cannot check.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

#[path = "standard/bad_input.rs"]
mod bad_input;
#[path = "standard/facts.rs"]
mod facts;
#[path = "standard/projection.rs"]
mod projection;
#[path = "standard/rules.rs"]
mod rules;

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use sealwire_schemas::{
    Disclosure, FieldClass, Finding, Parts, Profile, Standard, ValidRecord, assemble, parse_json,
};
use serde_json::{Value, json};

fn examples() -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> =
        fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                (name, parse_json(&fs::read(path).unwrap()).unwrap())
            })
            .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn example(name: &str) -> Value {
    examples().into_iter().find(|(n, _)| n.starts_with(name)).unwrap().1
}

fn valid(record: &Value) -> ValidRecord {
    Standard::v1().validate(record).unwrap_or_else(|findings| {
        panic!("{}", findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))
    })
}

fn codes(record: &Value) -> Vec<String> {
    let findings = Standard::v1().validate(record).expect_err("the record is broken");
    findings.into_iter().map(|f| f.code).collect()
}

/// Sets a field, or takes it away for null.
fn set(record: &mut Value, pointer: &str, value: &Value) {
    if !value.is_null()
        && let Some(field) = record.pointer_mut(pointer)
    {
        field.clone_from(value);
        return;
    }
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = record.pointer_mut(parent).unwrap();
    if value.is_null() {
        parent.as_object_mut().unwrap().shift_remove(field).expect("the field is there");
    } else {
        parent[field] = value.clone();
    }
}

fn subset(split: &Parts, bits: u16) -> (BTreeSet<FieldClass>, Parts) {
    let all = FieldClass::ALL.into_iter().enumerate();
    let held: BTreeSet<FieldClass> =
        all.filter(|(i, _)| bits >> i & 1 == 1).map(|(_, class)| class).collect();
    // What a class does not hold is known to be nothing; what is withheld is not there at all.
    let parts = held.iter().map(|c| (*c, split.get(c).cloned().unwrap_or_default())).collect();
    (held, parts)
}

fn refusal(parts: &Parts) -> Vec<String> {
    let check = Standard::v1().check_parts("seizure-notice", parts);
    check.findings.into_iter().map(|f| f.code).collect()
}

#[test]
fn every_example_is_valid() {
    let all = examples();
    for case in ["01", "02a", "02b", "04", "05", "07", "12", "14", "16"] {
        assert!(all.iter().any(|(n, _)| n.starts_with(&format!("case-{case}-"))), "case {case}");
    }
    for (name, record) in all {
        assert_eq!(valid(&record).warnings(), [], "{name}");
    }
}

#[test]
fn the_published_schemas_say_of_the_examples_what_the_crate_says() {
    let read = |name: &str| {
        let path = format!("{}/json/{name}.v1.json", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).unwrap().replace("common.v1.json#/", "#/")
    };
    let common: Value = serde_json::from_str(&read("common")).unwrap();
    for (name, record) in examples() {
        let mut schema: Value =
            serde_json::from_str(&read(record["kind"].as_str().unwrap())).unwrap();
        schema["$defs"] = common["$defs"].clone();
        let published = jsonschema::validator_for(&schema).unwrap();
        assert!(published.is_valid(&record), "{name}");
        let everywhere = [
            ("/handling/tlp", json!("WHITE")),
            ("/handling", Value::Null),
            ("/issueDate", json!(20200101)),
        ];
        let of_cases = [
            ("/goodsItem/0/quantity", json!([])),
            ("/goodsItem/0/found/unknown", json!(1)),
            ("/consignment/itinerary/0/locationId", json!("sz")),
        ];
        let of_cases = of_cases.into_iter().filter(|_| name.starts_with("case-"));
        for (pointer, value) in everywhere.into_iter().chain(of_cases) {
            let mut broken = record.clone();
            set(&mut broken, pointer, &value);
            assert!(!published.is_valid(&broken), "{name} {pointer}");
            assert!(Standard::v1().validate(&broken).is_err(), "{name} {pointer}");
        }
    }
}

#[test]
fn the_model_records_are_of_the_full_profile_and_the_shortest_say_what_they_lack() {
    for (full, shortest) in
        [("case-05", "lab-alert-01-minimal"), ("case-01", "seizure-notice-01-minimal")]
    {
        let lacking = |name: &str, profile| {
            let valid = valid(&example(name));
            let found = valid.kind().lacking(valid.value(), profile);
            found.into_iter().map(|f| f.pointer).collect::<Vec<String>>()
        };
        assert_eq!(lacking(full, Profile::Full), [""; 0], "{full}");
        let lacks = lacking(shortest, Profile::Full);
        assert!(lacks.iter().any(|p| p == "/contactOffice"), "{lacks:?}");
        assert_eq!(lacking(shortest, Profile::Minimal), [""; 0], "{shortest}");
        // Nothing can be left out of the shortest record but its id.
        let record = example(shortest);
        for field in record.as_object().unwrap().keys().filter(|field| *field != "id") {
            let mut less = record.clone();
            set(&mut less, &format!("/{field}"), &Value::Null);
            assert!(Standard::v1().validate(&less).is_err(), "{shortest} without {field}");
        }
    }
}

#[test]
fn the_model_alert_and_the_model_seizure_exercise_every_class() {
    for name in ["case-05", "case-01"] {
        let classes: BTreeSet<FieldClass> = valid(&example(name)).split().into_keys().collect();
        assert_eq!(classes, FieldClass::ALL.into_iter().collect(), "{name}");
    }
}

#[test]
fn a_record_split_and_put_together_again_is_the_same_and_every_rule_runs() {
    for (name, record) in examples() {
        let kind = record["kind"].as_str().unwrap();
        let (_, parts) = subset(&valid(&record).split(), 255);
        let check = Standard::v1().check_parts(kind, &parts);
        assert_eq!(check.findings, [], "{name}");
        assert_eq!(check.not_checkable, [""; 0], "{name}");
        assert_eq!(check.record, record, "{name}");
    }
}

#[test]
fn whoever_holds_some_classes_checks_exactly_what_they_allow() {
    for (name, record) in examples() {
        let split = valid(&record).split();
        let kind = Standard::v1().kind(record["kind"].as_str().unwrap()).unwrap();
        for bits in 0u16..256 {
            let (held, parts) = subset(&split, bits);
            let check = Standard::v1().check_parts(kind.name(), &parts);
            assert!(!check.refused(), "{name} {held:?}: {:#?}", check.findings);
            for (rule, reads) in kind.rules() {
                let withheld = !reads.is_subset(&held);
                let said = check.not_checkable.iter().any(|id| id == rule.id);
                assert_eq!(said, withheld, "{name} {held:?} {}", rule.id);
            }
            for (_, withheld) in split.iter().filter(|(class, _)| !held.contains(class)) {
                for field in withheld {
                    let shown = check.record.pointer(&field.pointer);
                    let by_right = parts
                        .values()
                        .flatten()
                        .any(|f| f.pointer == field.pointer && Some(&f.value) == shown);
                    assert!(shown.is_none() || by_right, "{name} {held:?} {}", field.pointer);
                }
            }
            let text = check.record.to_string();
            for (class, secret) in [
                (FieldClass::Nominal, "FICTIONAL PERSON"),
                (FieldClass::Nominal, "FICTIONAL ADDRESSEE"),
                (FieldClass::Commercial, "FICTIONAL TRADING LTD"),
                (FieldClass::Text, "ictional remark"),
            ] {
                assert!(held.contains(&class) || !text.contains(secret), "{held:?} shows {secret}");
            }
        }
    }
}

#[test]
fn coarser_values_agree_with_exact_ones_or_are_refused() {
    let split = valid(&example("case-01")).split();
    let port = "/consignment/itinerary/0/locationId";
    let route = &split[&FieldClass::OperationalCoarse];
    let country = route.iter().find(|f| f.pointer == port).unwrap();
    assert_eq!(country.value, json!("SY"), "country for port");

    let mut parts = split.clone();
    let coarse = parts.get_mut(&FieldClass::CoreCoarse).unwrap();
    let heading =
        coarse.iter_mut().find(|f| f.pointer.ends_with("found/classificationId")).unwrap();
    assert_eq!(heading.value, json!("2921"));
    heading.value = json!("2922");
    assert!(refusal(&parts).contains(&"coarse-mismatch".to_owned()));

    let mut parts = split.clone();
    parts.get_mut(&FieldClass::Operational).unwrap().retain(|f| f.pointer != port);
    assert_eq!(refusal(&parts)[0], "coarse-mismatch", "a coarser value alone passes for exact");

    let mut parts = split;
    parts.get_mut(&FieldClass::OperationalCoarse).unwrap().retain(|f| f.pointer != port);
    assert_eq!(refusal(&parts), ["coarse-missing"]);
}

#[test]
fn forged_fields_are_refused_each_with_its_code() {
    let split = valid(&example("case-01")).split();
    let add = |class, pointer: &str, value: Value| {
        let mut parts = split.clone();
        parts.entry(class).or_default().push(Disclosure { pointer: pointer.into(), value });
        refusal(&parts)
    };
    let nominal = split[&FieldClass::Nominal][0].clone();
    for (class, pointer, value, code) in [
        (FieldClass::Core, nominal.pointer.as_str(), nominal.value.clone(), "field-out-of-place"),
        (FieldClass::Core, "/status", json!("confirmed"), "field-twice"),
        (FieldClass::Core, "/status/deeper", json!("x"), "field-out-of-place"),
        (FieldClass::Core, "/event", json!({}), "field-out-of-place"),
        (FieldClass::Core, "", json!("x"), "field-out-of-place"),
        (FieldClass::Core, "no pointer", json!("x"), "field-out-of-place"),
        (FieldClass::Core, "/goodsItem/-/category", json!("DRG"), "field-out-of-place"),
        (FieldClass::Core, "/goodsItem/01/category", json!("DRG"), "field-out-of-place"),
        (FieldClass::Core, "/goodsItem/99999999999/category", json!("DRG"), "field-out-of-place"),
        (FieldClass::Core, "/goodsItem/5/category", json!("DRG"), "required"),
        (FieldClass::Core, "/event/patrolUnitQuantity", json!(1.0), "wrong-type"),
        (FieldClass::Core, "/event/patrolUnitQuantity", Value::Null, "wrong-type"),
        (FieldClass::Core, "/event/patrolUnitQuantity", json!("two"), "wrong-type"),
        (FieldClass::Core, "/event/patrolUnitQuantity", json!({"a": [1]}), "wrong-type"),
        (FieldClass::Text, "/nonsense", json!("x"), "field-out-of-place"),
    ] {
        let found = add(class, pointer, value);
        assert!(found.iter().any(|c| c == code), "{pointer}: {found:?}");
    }
}

#[test]
fn all_errors_are_reported_at_once_with_place_value_and_remedy() {
    let mut record = example("case-01");
    record["handling"]["tlp"] = json!("PURPLE");
    record["event"]["date"] = json!("yesterday");
    record["consignment"]["transportEquipment"][0]["id"] = json!("CSQU3054384");
    record["non/sense~"] = json!(true);
    record["goodsItem"][0].as_object_mut().unwrap().shift_remove("found");
    let findings = Standard::v1().validate(&record).unwrap_err();
    for (code, pointer, value) in [
        ("not-in-code-list", "/handling/tlp", json!("PURPLE")),
        ("wrong-form", "/event/date", json!("yesterday")),
        ("container-check-digit", "/consignment/transportEquipment/0/id", json!("CSQU3054384")),
        ("unknown-field", "/non~1sense~0", json!(true)),
        ("required", "/goodsItem/0/found", Value::Null),
    ] {
        let found = findings.iter().find(|f| f.code == code && f.pointer == pointer);
        let found = found.unwrap_or_else(|| panic!("{code} {pointer} in {findings:#?}"));
        assert_eq!(found.value.clone().unwrap_or_default(), value);
        assert!(!found.hint.is_empty() && found.to_string().contains(code));
    }
}

#[test]
fn a_flood_of_errors_is_cut_and_said_to_be() {
    let mut record = example("case-01");
    for i in 0..5_000 {
        record[format!("x{i}")] = json!(i);
    }
    let findings = Standard::v1().validate(&record).unwrap_err();
    assert_eq!(findings.len(), 100);
    assert_eq!(findings.last().unwrap().code, "more-findings");
}

#[test]
fn refuses_an_unknown_kind_and_what_is_no_record() {
    assert_eq!(codes(&json!({"kind": "gossip"})), ["unknown-kind"]);
    assert_eq!(codes(&json!([1, 2])), ["unknown-kind"]);
    assert!(Standard::v1().check_parts("gossip", &Parts::new()).refused());
}

proptest! {
    #[test]
    fn hostile_parts_never_panic_and_never_pass_unnoticed(
        forged in prop::collection::vec(
            (0usize..8, "(/(goodsItem|event|place|status|[0-3]|99999|date|x)){0,5}", 0u8..4), 1..8,
        ),
    ) {
        let split = valid(&example("case-01")).split();
        let mut parts = split.clone();
        for (class, pointer, value) in forged {
            let value = match value {
                0 => json!("forged"),
                1 => json!(-1),
                2 => json!([{}]),
                _ => Value::Null,
            };
            parts.entry(FieldClass::ALL[class]).or_default().push(Disclosure { pointer, value });
        }
        prop_assert!(Standard::v1().check_parts("seizure-notice", &parts).refused());
    }

    #[test]
    fn what_is_read_from_json_text_is_what_was_written(
        keys in prop::collection::btree_map("[a-z~/]{1,4}", (any::<i64>(), ".{0,8}"), 0..6),
    ) {
        let fields = keys.into_iter().map(|(k, (n, t))| (k, json!({"n": n, "t": [t]})));
        let record = Value::Object(fields.collect());
        prop_assert_eq!(parse_json(record.to_string().as_bytes()).unwrap(), record);
    }

    #[test]
    fn assembling_is_the_same_in_any_order(seed in any::<u64>()) {
        let split = valid(&example("case-05")).split();
        let mut turned = split.clone();
        for fields in turned.values_mut() {
            let middle = usize::try_from(seed % fields.len() as u64).unwrap();
            fields.rotate_left(middle);
        }
        prop_assert_eq!(assemble(&turned), assemble(&split));
    }
}
