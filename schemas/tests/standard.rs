//! The shared standard as its users meet it: the examples, what is refused and why, and what a
//! holder of some classes can and cannot check.

use std::collections::BTreeSet;
use std::fs;

use sealwire_schemas::{FieldClass, Finding, Parts, Standard, ValidRecord, parse_json};
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

#[test]
fn every_example_is_valid() {
    let all = examples();
    for case in ["01", "02a", "02b", "04", "05", "07", "12", "14", "16"] {
        assert!(all.iter().any(|(n, _)| n.starts_with(&format!("case-{case}-"))), "case {case}");
    }
    for (name, record) in all {
        let findings = Standard::v1().validate(&record).err().unwrap_or_default();
        assert!(findings.is_empty(), "{name}: {findings:#?}");
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
fn a_record_split_and_put_together_again_is_the_same() {
    for (name, record) in examples() {
        let check =
            Standard::v1().check_parts(record["kind"].as_str().unwrap(), &valid(&record).split());
        assert_eq!(check.findings, [], "{name}");
        assert_eq!(check.record, record, "{name}");
    }
}

#[test]
fn whoever_holds_some_classes_checks_exactly_what_they_allow() {
    for name in ["case-01", "case-05"] {
        let record = example(name);
        let split = valid(&record).split();
        let kind = Standard::v1().kind(record["kind"].as_str().unwrap()).unwrap();
        for bits in 0u16..256 {
            let held: BTreeSet<FieldClass> = FieldClass::ALL
                .into_iter()
                .enumerate()
                .filter(|(i, _)| bits >> i & 1 == 1)
                .map(|(_, class)| class)
                .collect();
            let parts: Parts = split
                .iter()
                .filter(|(c, _)| held.contains(c))
                .map(|(c, f)| (*c, f.clone()))
                .collect();
            let check = Standard::v1().check_parts(kind.name(), &parts);
            assert!(!check.refused(), "{name} {held:?}: {:#?}", check.findings);
            for (rule, reads) in kind.rules() {
                let withheld = !reads.is_subset(&held);
                let said = check.not_checkable.iter().any(|id| id == rule.id);
                assert_eq!(said, withheld, "{name} {held:?} {}", rule.id);
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
    let record = example("case-01");
    let mut parts = valid(&record).split();
    let coarse = parts.get_mut(&FieldClass::CoreCoarse).unwrap();
    let heading =
        coarse.iter_mut().find(|f| f.pointer.ends_with("found/classificationId")).unwrap();
    assert_eq!(heading.value, json!("2921"));
    heading.value = json!("2922");
    let check = Standard::v1().check_parts("seizure-notice", &parts);
    assert!(check.findings.iter().any(|f| f.code == "coarse-mismatch"));
    let route = &parts[&FieldClass::OperationalCoarse];
    let port = route.iter().find(|f| f.pointer == "/consignment/itinerary/0/locationId").unwrap();
    assert_eq!(port.value, json!("SY"), "country for port");
}

#[test]
fn a_field_in_another_class_than_its_own_is_refused() {
    let record = example("case-01");
    let mut parts = valid(&record).split();
    let smuggled = parts[&FieldClass::Nominal][0].clone();
    parts.get_mut(&FieldClass::Core).unwrap().push(smuggled);
    let check = Standard::v1().check_parts("seizure-notice", &parts);
    assert!(check.findings.iter().any(|f| f.code == "field-out-of-place"));
}

#[test]
fn every_rule_has_a_record_that_breaks_it() {
    let broken: &[(&str, &str, &str, Value)] = &[
        ("hs-structure", "case-01", "/goodsItem/0/found/classificationId", json!("770100")),
        (
            "container-check-digit",
            "case-01",
            "/consignment/transportEquipment/0/id",
            json!("CSQU3054384"),
        ),
        ("cas-check-digit", "case-05", "/substance/0/casNumber", json!("2504100-70-2")),
        (
            "imo-check-digit",
            "case-01",
            "/consignment/borderTransportMeans/imoNumber",
            json!("9074720"),
        ),
        ("country-assigned", "case-01", "/event/reportingCountryCode", json!("QQ")),
        ("currency-assigned", "case-01", "/goodsItem/0/value/currencyCode", json!("XYZ")),
        ("locode-form", "case-01", "/consignment/itinerary/0/locationId", json!("QQABC")),
        ("country-locode-agreement", "case-01", "/event/place/locationId", json!("IDCGK")),
        ("date-order", "case-01", "/handling/retainUntil", json!("2020-07-02")),
        ("below-detection-limit", "case-05", "/result/0/value", json!("0.4")),
        ("result-unit", "case-05", "/result/0/basis", Value::Null),
        ("handling-present", "case-05", "/handling", Value::Null),
    ];
    for rule in sealwire_schemas::RULES {
        let (_, case, pointer, value) =
            broken.iter().find(|(id, ..)| *id == rule.id).unwrap_or_else(|| panic!("{}", rule.id));
        let mut record = example(case);
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = record.pointer_mut(parent).unwrap();
        if value.is_null() {
            parent.as_object_mut().unwrap().shift_remove(field);
        } else {
            parent[field] = value.clone();
        }
        let findings = Standard::v1().validate(&record).expect_err(rule.id);
        let found = findings.iter().find(|f| f.rule.as_deref() == Some(rule.id));
        let found = found.unwrap_or_else(|| panic!("{}: {findings:#?}", rule.id));
        assert!(found.pointer.starts_with('/') && !found.hint.is_empty(), "{found}");
        assert!(!rule.text.is_empty() && !rule.text_fr.is_empty());
    }
}

#[test]
fn all_errors_are_reported_at_once_with_place_value_and_remedy() {
    let mut record = example("case-01");
    record["handling"]["tlp"] = json!("PURPLE");
    record["event"]["date"] = json!("yesterday");
    record["consignment"]["transportEquipment"][0]["id"] = json!("CSQU3054384");
    record["nonsense"] = json!(true);
    record["goodsItem"][0].as_object_mut().unwrap().shift_remove("found");
    let found = codes(&record);
    for code in
        ["not-in-code-list", "wrong-form", "container-check-digit", "unknown-field", "required"]
    {
        assert!(found.iter().any(|c| c == code), "{code} in {found:?}");
    }
}

#[test]
fn refuses_an_unknown_kind_and_what_is_no_record() {
    assert_eq!(codes(&json!({"kind": "gossip"})), ["unknown-kind"]);
    assert_eq!(codes(&json!([1, 2])), ["unknown-kind"]);
    assert!(Standard::v1().check_parts("gossip", &Parts::new()).refused());
}

#[test]
fn the_linked_seizures_name_each_other() {
    let (hamburg, antwerp) = (example("case-02a"), example("case-02b"));
    assert_eq!(antwerp["relation"]["record"], hamburg["id"]);
    assert_eq!(hamburg["linkedSeizure"][0]["record"], antwerp["id"]);
}
