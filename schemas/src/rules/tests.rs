//! The table as a whole.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::language::Language;
use crate::standard::Standard;

#[test]
fn numbers_and_ids_are_unique_and_no_number_is_left_out() {
    let numbers: Vec<&str> = rules().map(|rule| rule.number).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    let expected: Vec<String> = (1..=numbers.len()).map(|n| format!("SW-{n:03}")).collect();
    assert_eq!(sorted, expected);
    let ids: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), numbers.len());
}

#[test]
fn every_rule_speaks_three_languages() {
    for rule in rules() {
        for words in [&rule.text, &rule.hint] {
            let said = Language::ALL.map(|language| *words.in_language(language));
            let different: BTreeSet<&str> = said.into_iter().collect();
            assert_eq!(different.len(), 3, "{} says the same twice: {said:?}", rule.id);
            assert!(said.iter().all(|text| !text.is_empty()), "{}", rule.id);
        }
    }
}

#[test]
fn every_rule_reads_fields_that_exist() {
    let trees: Vec<(&str, Vec<String>)> = Standard::v1()
        .kinds()
        .map(|kind| {
            let mut paths = Vec::new();
            tree::leaves(&kind.tree, "", &mut |path, _| paths.push(path.to_owned()));
            (kind.name(), paths)
        })
        .collect();
    let has = |paths: &[String], whole: &str| paths.iter().any(|path| within(path, whole));
    for rule in rules() {
        let applies = Standard::v1().kinds().any(|kind| kind.rules().any(|(r, _)| r.id == rule.id));
        assert!(applies, "{} applies to no kind", rule.id);
        match &rule.reads {
            Reads::Paths(wholes, _) => {
                for whole in *wholes {
                    assert!(trees.iter().any(|(_, all)| has(all, whole)), "{} {whole}", rule.id);
                }
            }
            Reads::Kind(name, wholes, _) => {
                let (_, paths) = trees.iter().find(|(kind, _)| kind == name).unwrap();
                for whole in *wholes {
                    assert!(has(paths, whole), "{} {whole}", rule.id);
                }
            }
            Reads::Objects(lists, _) => {
                for list in *lists {
                    let object = |path: &String| {
                        path.rsplit_once('/').is_some_and(|(object, _)| {
                            list.iter().all(|name| {
                                let field = format!("{object}/{name}");
                                trees.iter().any(|(_, all)| all.contains(&field))
                            })
                        })
                    };
                    assert!(trees.iter().any(|(_, all)| all.iter().any(object)), "{list:?}");
                }
            }
            Reads::Checked(..) | Reads::CheckedBy(..) | Reads::FreeText(_) | Reads::Beside(..) => {}
        }
    }
}

/// Every value within a value, itself first, with its pointer.
fn within_value(value: &Value, at: String, found: &mut Vec<(String, Value)>) {
    found.push((at.clone(), value.clone()));
    match value {
        Value::Object(fields) => {
            let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
            fields.iter().for_each(|(name, v)| {
                within_value(v, format!("{at}/{}", escaped(name)), found);
            });
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(i, v)| within_value(v, format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

/// Runs every rule on all that it could be given of a record, and gives what it finds.
fn judge_all(record: &Value) -> Vec<Finding> {
    let (mut values, mut found) = (Vec::new(), Vec::new());
    within_value(record, String::new(), &mut values);
    for rule in rules() {
        match &rule.reads {
            Reads::Paths(_, across) | Reads::Kind(_, _, across) => across(rule, record, &mut found),
            Reads::Objects(lists, judge) => {
                for (list, (at, object)) in lists.iter().flat_map(|list| {
                    let all = values.iter();
                    all.map(move |value| (list, value))
                }) {
                    let faults = judge(list, Judged { path: at, object });
                    let breach = |(name, shown)| rule.breach(format!("{at}/{name}"), shown);
                    found.extend(faults.into_iter().map(breach));
                }
            }
            Reads::Checked(..) | Reads::FreeText(_) => {
                for text in values.iter().filter_map(|(_, value)| value.as_str()) {
                    let broken = match &rule.reads {
                        Reads::Checked(_, good) => (!good(text)).then_some(text),
                        Reads::FreeText(find) => find(text),
                        _ => None,
                    };
                    found.extend(broken.map(|shown| rule.breach("/text", shown)));
                }
            }
            Reads::CheckedBy(_, _, bad) => {
                let texts = || values.iter().filter_map(|(_, value)| value.as_str());
                for text in texts() {
                    let shown = [None, Some("2022"), texts().next()].map(|by| bad(text, by));
                    let breach = |shown| rule.breach_by("/text", shown);
                    found.extend(shown.into_iter().flatten().map(breach));
                }
            }
            Reads::Beside(..) => {}
        }
    }
    found
}

fn examples() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
    let mut read: Vec<_> = json.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    read.sort();
    read.iter().map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect()
}

fn hostile() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "-",
        ".",
        "-0.0",
        "0",
        "1",
        "999999999999999.999999999",
        "-999999999999999.999999999",
        "1234567890123456",
        "1.0000000000",
        "é",
        "Ÿ-W",
        "2026-W53",
        "2025-W53",
        "9999",
        "9999-12",
        "9999-Q4",
        "99999-Q4",
        "0000-Q1",
        "2026-Q9",
        "9999-12-31",
        "-",
        "<",
        "not-detected",
    ];
    let leaf = prop_oneof![
        prop::sample::select(texts.to_vec()).prop_map(|text| json!(text)),
        ".{0,20}".prop_map(|text| json!(text)),
        "-?[0-9]{0,17}(\\.[0-9]{0,11})?".prop_map(|text| json!(text)),
        any::<u64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
        Just(json!(u64::MAX)),
        Just(json!(true)),
        Just(Value::Null),
    ];
    let name = "(value|count|score|type|code|result|measurand|[a-z/~]{0,4})";
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(name, inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_rule_panics_on_any_json(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), hostile()), 0..12),
    ) {
        let mut record = which.get(&examples()).clone();
        for (place, value) in changes {
            let mut places = Vec::new();
            within_value(&record, String::new(), &mut places);
            let (pointer, _) = place.get(&places);
            *record.pointer_mut(pointer).unwrap() = value;
        }
        for found in judge_all(&record) {
            prop_assert!(found.pointer.starts_with('/') && found.number.is_some(), "{found}");
        }
    }
}
