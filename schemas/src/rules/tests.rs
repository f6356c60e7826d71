//! The table as a whole.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::BTreeSet;

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
