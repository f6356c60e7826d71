//! Every rule, broken: one change to a valid example, and that rule alone fires.

use std::collections::BTreeSet;
use std::fs;

use sealwire_schemas::{
    Disclosure, FieldClass, Finding, Kind, Language, Parts, Severity, Standard, rules,
};
use serde_json::{Value, json};

use super::{example, examples, subset, valid};

/// Each row breaks a rule in an example by changing fields; null takes a field away.
const BREACHES: &str = include_str!("breaches.json");

struct Breach {
    rule: String,
    example: String,
    change: Vec<(String, Value)>,
}

fn breaches() -> Vec<Breach> {
    let rows: Vec<Value> = serde_json::from_str(BREACHES).unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let change = |row: &Value| {
        row["change"].as_object().unwrap().iter().map(|(p, v)| (p.clone(), v.clone())).collect()
    };
    rows.iter()
        .map(|row| Breach {
            rule: text(row, "rule"),
            example: text(row, "example"),
            change: change(row),
        })
        .collect()
}

impl Breach {
    fn broken(&self) -> Value {
        let mut record = example(&self.example);
        for (pointer, value) in &self.change {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            let parent = record.pointer_mut(parent).unwrap();
            match (parent, value) {
                (Value::Object(fields), Value::Null) => {
                    fields.shift_remove(field).expect("the field is there");
                }
                (Value::Object(fields), value) => {
                    fields.insert(field.to_owned(), value.clone());
                }
                (Value::Array(items), value) => {
                    let at: usize = field.parse().unwrap();
                    items.truncate(at);
                    items.push(value.clone());
                }
                (other, _) => panic!("{pointer} in {other}"),
            }
        }
        record
    }
}

fn findings(record: &Value) -> Vec<Finding> {
    match Standard::v1().validate(record) {
        Ok(warned) => warned.warnings().to_vec(),
        Err(findings) => findings,
    }
}

#[test]
fn each_breach_is_found_by_its_rule_and_by_no_other() {
    for breach in breaches() {
        let record = breach.broken();
        let findings = findings(&record);
        let shown: Vec<String> = findings.iter().map(Finding::to_string).collect();
        let fired: BTreeSet<&str> = findings.iter().filter_map(|f| f.rule.as_deref()).collect();
        let at = format!("{} {:?}: {shown:#?}", breach.example, breach.change);
        assert_eq!(fired, BTreeSet::from([breach.rule.as_str()]), "{at}");
        let rule = rules().find(|rule| rule.id == breach.rule).unwrap();
        for found in findings.iter().filter(|f| f.rule.is_some()) {
            assert_eq!((found.code.as_str(), found.severity), (rule.id, rule.severity));
            assert_eq!(found.number, Some(rule.number));
            assert!(found.pointer.starts_with('/') && found.message.ends_with(rule.text.en));
            let value = record.pointer(&found.pointer).filter(|v| v.to_string().len() <= 200);
            assert_eq!(found.value.as_ref(), value, "{at}");
        }
        // What a schema says besides is said of a required field alone.
        let others = findings.iter().filter(|f| f.rule.is_none()).map(|f| f.code.as_str());
        assert_eq!(others.filter(|code| *code != "required").count(), 0, "{at}");
    }
}

#[test]
fn every_rule_has_an_example_that_breaks_it_and_one_that_keeps_it() {
    let broken: BTreeSet<String> = breaches().into_iter().map(|breach| breach.rule).collect();
    let all: BTreeSet<String> = rules().map(|rule| rule.id.to_owned()).collect();
    assert_eq!(broken, all);
    let mut kept: BTreeSet<&str> = BTreeSet::new();
    for (name, record) in examples() {
        assert_eq!(findings(&record), [], "{name}");
        let kind = Standard::v1().kind(record["kind"].as_str().unwrap()).unwrap();
        kept.extend(kind.rules().map(|(rule, _)| rule.id));
    }
    assert_eq!(kept.len(), all.len());
}

fn quiet(name: &str, change: &[(&str, Value)]) {
    let change = change.iter().map(|(p, v)| ((*p).to_owned(), v.clone())).collect();
    let breach = Breach { rule: String::new(), example: name.to_owned(), change };
    assert_eq!(findings(&breach.broken()), [], "{name} {:?}", breach.change);
}

#[test]
fn what_is_no_breach_is_not_found() {
    let file = "/replyItem/1/document/0/file";
    let media = format!("{file}/mediaType");
    let person = format!("{file}/personVisible");
    quiet(
        "assistance-reply-01",
        &[(media.as_str(), json!("image/jpeg")), (person.as_str(), json!(false))],
    );
    let code = ("/goodsItem/0/found/classificationId", json!("293971"));
    quiet("case-02b", &[("/hsEdition", json!("2017")), code]);
    quiet("case-12", &[("/goodsItem/0/value/currencyCode", json!("JPY"))]);
    quiet("case-05", &[("/result/0/value", json!("0.5")), ("/result/0/qualifier", json!("<"))]);
    quiet("case-01", &[("/remark", json!("80 boxes of Pak Choi, lot X1234567, 1+1 at 5.00 @ kg"))]);
    quiet("warning-01", &[("/direction", json!("transit"))]);
    quiet(
        "feedback-01",
        &[
            ("/goodsItem", Value::Null),
            ("/hsEdition", Value::Null),
            (
                "/linkedRecord",
                json!([{
                    "relationship": "seizure",
                    "record": "urn:uuid:01731a2b-0000-7000-8000-000000000001",
                    "issuer": "GR",
                }]),
            ),
        ],
    );
    // The other stereoisomer is told apart by its role.
    let other = json!({
        "commonName": "other isomer", "role": "excluded",
        "inchiKey": "LWOCBHBFWNGPGM-UHFFFAOYSA-N",
    });
    quiet("case-05", &[("/substance/1", other)]);
}

#[test]
fn scores_and_verdicts_are_judged_to_their_rounding() {
    let score = |kind: &str, value: &str, verdict: &str| {
        let score = json!([{"type": kind, "value": value}]);
        quiet(
            "proficiency-result-02",
            &[("/result/0/score", score), ("/result/0/verdict", json!(verdict))],
        );
    };
    score("z", "2", "satisfactory");
    score("z", "-2.0", "questionable");
    score("zeta", "-2.99", "questionable");
    score("z-prime", "3.0", "unsatisfactory");
    score("en", "-1", "satisfactory");
    score("en", "1.01", "unsatisfactory");
    score("d-percent", "40", "satisfactory");
    score("z", "9", "not-assessed");
    // What one score fails, another may pass.
    let two = json!([{"type": "z", "value": "1.2"}, {"type": "zeta", "value": "4"}]);
    for verdict in ["satisfactory", "unsatisfactory"] {
        let change = [("/result/0/score", two.clone()), ("/result/0/verdict", json!(verdict))];
        quiet("proficiency-result-02", &change);
    }
    // z' may round to the same figure as z, and D % has the sign of the assigned value.
    let same = json!([
        {"type": "z", "value": "3.1"}, {"type": "z-prime", "value": "3.12"},
        {"type": "d-percent", "value": "-14"},
    ]);
    quiet("proficiency-result-02", &[("/result/0/score", same)]);
    let thirds = json!(["52.8", "53.4", "53.0"]);
    let change = [("/result/0/value", json!("53.1")), ("/result/0/replicate", thirds)];
    quiet("proficiency-result-01", &change);
}

#[test]
fn what_a_round_takes_from_its_results_is_judged_to_its_rounding() {
    let consensus = |value: &str, uncertainty: &str| {
        [
            ("/measurand/0/assignedValueMethod", json!("participant-consensus")),
            ("/measurand/0/assignedValue", json!(value)),
            ("/measurand/0/assignedUncertainty", json!(uncertainty)),
        ]
    };
    // 1.25 × 2.7 / √21 is 0.7365, and s* to its rounding allows 0.72 to 0.75.
    for uncertainty in ["0.7", "0.72", "0.736", "0.74", "0.75"] {
        quiet("proficiency-round-02", &consensus("51.9", uncertainty));
    }
    quiet("proficiency-round-02", &consensus("51.90", "0.7"));
}

#[test]
fn laboratory_figures_at_their_limits_are_no_breach() {
    let round = |pointer: &str, value: Value| quiet("proficiency-round-02", &[(pointer, value)]);
    round("/measurand/0/assignedUncertainty", json!("0.75"));
    round("/reportDate", json!("2026-05-15"));
    round("/participantQuantity", Value::Null);
    let method = |pointer: &str, value: Value| quiet("method-bulletin-01", &[(pointer, value)]);
    method("/performance/0/limitOfQuantification", json!("1.000"));
    method("/performance/0/repeatability", json!("0.30"));
    method("/performance/0/recovery", json!("50"));
    method("/performance/0/recovery", json!("150.0"));
    method("/performance/0/matrix", Value::Null);
    let count = |pointer: &str, value: Value| quiet("activity-count-01", &[(pointer, value)]);
    count("/issueDate", json!("2026-04-05"));
    count("/count/2/receivedQuantity", json!(35));
    count("/count/2/technique", json!("gc-ms"));
    count("/count/0/conformQuantity", Value::Null);
    quiet("activity-count-01", &[("/period", json!("2026-03")), ("/periodType", json!("month"))]);
    quiet("activity-count-01", &[("/period", json!("2025")), ("/periodType", json!("year"))]);
    let goods = |change: &[(&str, Value)]| quiet("classification-outcome-02", change);
    goods(&[("/finding/1/limitValue", json!("6.7"))]);
    goods(&[("/outcome/nationalCode", json!("27102011"))]);
    goods(&[("/declared/classificationId", json!("2710")), ("/outcome/confirmed", json!(true))]);
    goods(&[
        ("/declared/classificationId", json!("271020")),
        ("/declared/nationalCode", json!("27102011")),
        ("/outcome/nationalCode", json!("27102015")),
    ]);
    quiet("reference-wanted-01", &[("/wanted/0/identity", json!("suspected"))]);
}

/// The fields of a record that may be broken, each in its class; coarser values stay as they were.
fn forged(kind: &Kind, honest: &Parts, record: &Value) -> Parts {
    let mut parts: Parts = honest.keys().map(|class| (*class, Vec::new())).collect();
    for class in [FieldClass::CoreCoarse, FieldClass::OperationalCoarse] {
        if let Some(fields) = honest.get(&class) {
            let kept = fields.iter().filter(|f| record.pointer(&f.pointer).is_some());
            parts.insert(class, kept.cloned().collect());
        }
    }
    leaves(record, "", &mut |pointer, value| {
        let class = kind.field(pointer).unwrap().class;
        let pointer = pointer.to_owned();
        parts.entry(class).or_default().push(Disclosure { pointer, value: value.clone() });
    });
    parts
}

fn leaves(value: &Value, at: &str, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| leaves(field, &format!("{at}/{name}"), visit));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(i, item)| leaves(item, &format!("{at}/{i}"), visit));
        }
        scalar => visit(at, scalar),
    }
}

#[test]
fn a_broken_rule_is_never_passed_by_a_holder_of_some_classes() {
    let mut tried = BTreeSet::new();
    for breach in breaches().into_iter().filter(|breach| tried.insert(breach.rule.clone())) {
        let record = breach.broken();
        let kind = Standard::v1().kind(record["kind"].as_str().unwrap()).unwrap();
        let parts = forged(kind, &valid(&example(&breach.example)).split(), &record);
        for bits in 0u16..256 {
            let (held, parts) = subset(&parts, bits);
            let check = Standard::v1().check_parts(kind.name(), &parts);
            let found = check.findings.iter().any(|f| f.rule.as_deref() == Some(&*breach.rule));
            let undecided = check.not_checkable.contains(&breach.rule);
            // A field taken away that its schema requires is the schema's finding.
            assert!(
                found || undecided || check.refused(),
                "{} {held:?} {:#?} {:?}",
                breach.rule,
                check.record,
                check.findings
            );
        }
    }
}

#[test]
fn a_code_is_judged_by_its_edition_as_far_as_both_can_be_seen() {
    use FieldClass::{Core, CoreCoarse, Open};
    let honest = valid(&example("case-02b")).split();
    let pointer = "/goodsItem/0/found/classificationId";
    let judged = |edition: &str, heading: &str, held: &[FieldClass]| {
        let changed = |field: &Disclosure, class: FieldClass| {
            let value = match (field.pointer.as_str(), class) {
                ("/hsEdition", _) => json!(edition),
                (at, CoreCoarse) if at == pointer => json!(heading),
                _ => field.value.clone(),
            };
            Disclosure { pointer: field.pointer.clone(), value }
        };
        let fields = |class: FieldClass| honest[&class].iter().map(|f| changed(f, class)).collect();
        let parts: Parts = held.iter().map(|class| (*class, fields(*class))).collect();
        let check = Standard::v1().check_parts("seizure-notice", &parts);
        let found = check.findings.iter().any(|f| f.code == "hs-listed" && f.pointer == pointer);
        (found, check.not_checkable.iter().any(|rule| rule == "hs-listed"))
    };
    let (found, undecided) = ((true, false), (false, true));
    assert_eq!(judged("2017", "2939", &[Open, Core]), found, "293972 is new in 2022");
    assert_eq!(judged("2022", "2939", &[Open, Core]), (false, false));
    assert_eq!(judged("2017", "2939", &[Core]), undecided, "the edition is withheld");
    assert_eq!(judged("2017", "2939", &[Open, CoreCoarse]), undecided, "the heading is there");
    assert_eq!(judged("2017", "8549", &[Open, CoreCoarse]), (true, true), "no such heading");
    assert_eq!(judged("2022", "8549", &[Open, CoreCoarse]), undecided);
    assert_eq!(judged("2017", "8549", &[CoreCoarse]), undecided);
}

/// One record with a fault of every sort, as its findings are shown in a language.
fn faulty(language: Language) -> String {
    let mut record = example("case-05");
    record["handling"]["tlp"] = json!("PURPLE");
    record["handling"]["reviewDate"] = json!("tomorrow");
    record["laboratory"]["name"] = json!("");
    record["laboratory"].as_object_mut().unwrap().shift_remove("countryCode");
    record["language"] = json!(1);
    record["issueDate"] = json!("2020-11-31");
    record["goodsItem"][0]["quantity"][0]["unitCode"] = json!("kg");
    record["goodsItem"][0]["packaging"][0]["typeCode"] = json!("QW");
    record["goodsItem"][0]["found"]["classificationId"] = json!("293971");
    record["substance"][0]["casNumber"] = json!("2504100-70-2");
    record["substance"][0]["nickname"] = json!("fictional");
    record["result"][0]["value"] = json!("0.4");
    record["result"][0]["replicateQuantity"] = json!(0);
    record["followUp"][0]["quantity"] = json!([]);
    record["remark"] = json!("Fictional remark: ring Mr Fictional on +00 000 0000 0000.");
    let findings = findings(&record);
    assert!(findings.iter().any(|f| f.severity == Severity::Warning), "both severities");
    let lines = findings.iter().map(|f| {
        let number = f.number.unwrap_or("-");
        let severity = serde_json::to_value(f.severity).unwrap();
        format!("{number} {} {}\n", severity.as_str().unwrap(), f.in_language(language))
    });
    lines.collect()
}

#[test]
fn findings_are_told_in_three_languages_as_the_snapshots_have_them() {
    for language in Language::ALL {
        let tag = language.as_str();
        let path = format!("{}/tests/snapshots/findings.{tag}.txt", env!("CARGO_MANIFEST_DIR"));
        let shown = faulty(language);
        if std::env::var_os("SEALWIRE_WRITE_SNAPSHOTS").is_some() {
            fs::write(&path, &shown).unwrap();
        }
        let hint = "run with SEALWIRE_WRITE_SNAPSHOTS=1, and read what changed";
        assert_eq!(shown, fs::read_to_string(&path).unwrap(), "{path} (hint: {hint})");
    }
}

#[test]
fn a_language_changes_words_alone() {
    let record = breaches().into_iter().find(|b| b.rule == "cas-check-digit").unwrap().broken();
    let english = findings(&record).remove(0);
    let french = english.in_language(Language::Fr);
    assert_ne!((&english.message, &english.hint), (&french.message, &french.hint));
    assert_eq!((&english.code, &english.pointer), (&french.code, &french.pointer));
    assert_eq!((&english.value, english.number), (&french.value, french.number));
    assert_eq!(french.in_language(Language::En), english);
}

#[test]
fn findings_stand_in_order_errors_first_and_items_as_they_are_counted() {
    let mut record = example("case-01");
    let item = record["goodsItem"][0].clone();
    record["goodsItem"] = json!(vec![item; 12]);
    for i in [2, 10] {
        record["goodsItem"][i]["found"]["classificationId"] = json!("770100");
    }
    record["remark"] = json!("Fictional remark: ask rolls@fictional.example.");
    let shown: Vec<(String, String)> =
        findings(&record).into_iter().map(|f| (f.code, f.pointer)).collect();
    let hs =
        |i: usize| ("hs-structure".to_owned(), format!("/goodsItem/{i}/found/classificationId"));
    assert_eq!(shown, [hs(2), hs(10), ("email-in-text".to_owned(), "/remark".to_owned())]);
}
