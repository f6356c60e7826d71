//! Semantic rules: what a schema cannot say. One table for each theme; each rule names the fields
//! it reads, so that a member that cannot open one of them says `not-checkable` instead of passing.

mod chemistry;
mod codes;
mod exchange;
mod handling;
mod identifiers;
mod laboratory;
mod measurement;
mod proficiency;
mod reference;
mod shipment;
mod tariff;
mod time;
mod training;

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::Value;

use crate::breach::{Fault, Judged, select};
use crate::class::{Classes, FieldClass};
use crate::finding::{Finding, Severity};
use crate::form::coarser;
use crate::kind::{leaf_at, walk};
use crate::language::{Words, say};
use crate::tree::{self, Check, Coarse, Leaf, Node};

/// A semantic rule.
pub struct Rule {
    /// Stable number, as `SW-001`; the number of a rule that is given up is not used again.
    pub number: &'static str,
    /// Stable kebab-case id; also the code of its findings.
    pub id: &'static str,
    /// How bad a breach is.
    pub severity: Severity,
    /// What it asks for.
    pub text: Words<&'static str>,
    /// How to mend a breach.
    pub hint: Words<&'static str>,
    /// What it reads.
    pub(crate) reads: Reads,
}

type Judge = fn(&'static [&'static str], Judged<'_>) -> Vec<Fault>;
type Across = fn(&Rule, &Value, &mut Vec<Finding>);

/// The fields that a rule reads, and how it judges them.
pub(crate) enum Reads {
    /// Every field with this check, each alone: whether its text is good.
    Checked(Check, fn(&str) -> bool),
    /// Every field with this check, each with what the record has at this path: what shows that
    /// its text is bad.
    CheckedBy(Check, &'static str, fn(&str, Option<&str>) -> Option<Words<String>>),
    /// Every field that is written freely, each alone: what in it breaks the rule.
    FreeText(fn(&str) -> Option<&str>),
    /// Every object that can have all fields of one of these lists, each alone: what in it breaks
    /// the rule. The judge reads no other field.
    Objects(&'static [&'static [&'static str]], Judge),
    /// These paths of any kind together, with `*` for list items; one that is an object stands for
    /// all below it, and one that a kind does not have is left out.
    Paths(&'static [&'static str], Across),
    /// The same, of one kind, which has them all.
    Kind(&'static str, &'static [&'static str], Across),
    /// A record with a field of this check has this path.
    Beside(Check, &'static str),
}

/// All rules, theme by theme.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let themes: [&'static [Rule]; 13] = [
        identifiers::RULES,
        codes::RULES,
        time::RULES,
        chemistry::RULES,
        shipment::RULES,
        handling::RULES,
        exchange::RULES,
        training::RULES,
        proficiency::RULES,
        measurement::RULES,
        laboratory::RULES,
        tariff::RULES,
        reference::RULES,
    ];
    themes.into_iter().flatten()
}

impl Rule {
    /// A breach of the rule at a place, with what shows it.
    pub(crate) fn breach(&self, pointer: impl Display, evidence: impl Display) -> Finding {
        self.breach_by(pointer, say!("{evidence}", "{evidence}", "{evidence}"))
    }

    /// A breach of the rule at a place, with what shows it in words.
    fn breach_by(&self, pointer: impl Display, evidence: Words<String>) -> Finding {
        let [en, fr, id] = [evidence.en, evidence.fr, evidence.id]
            .map(|shown| if shown.is_empty() { shown } else { format!(" ({shown})") });
        let text = self.text;
        let message = Words {
            en: format!("rule broken{en}: {}", text.en),
            fr: format!("règle enfreinte{fr} : {}", text.fr),
            id: format!("aturan dilanggar{id}: {}", text.id),
        };
        let mut finding = Finding::error(self.id, &pointer.to_string(), message, self.hint);
        finding.rule = Some(self.id.to_owned());
        finding.number = Some(self.number);
        finding.severity = self.severity;
        finding
    }
}

/// The rules that apply to a kind.
pub(crate) struct KindRules(Vec<Applied>);

/// A rule, as it applies to a kind.
struct Applied {
    rule: &'static Rule,
    /// The classes of all fields it reads.
    classes: Classes,
    /// The objects that it judges, each alone.
    objects: Vec<Place>,
}

struct Place {
    path: String,
    names: &'static [&'static str],
    classes: Classes,
}

/// Whether a field is written freely: remarks and translations, and descriptions of things.
fn free(path: &str, leaf: &Leaf) -> bool {
    leaf.class == FieldClass::Text || path.ends_with("/description")
}

/// Whether a holder of these classes sees the field, or a coarser value that is of its kind: the
/// heading of a Harmonized System code is such a code itself.
fn legible(leaf: &Leaf, held: Classes) -> bool {
    let heading = || leaf.coarse == Some(Coarse::HsHeading);
    held.contains(leaf.class)
        || (heading() && coarser(leaf).is_some_and(|class| held.contains(class)))
}

fn within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl KindRules {
    /// The rules that read a field of the kind.
    pub fn of(kind: &str, tree: &Node) -> Self {
        let mut fields: Vec<(String, &Leaf)> = Vec::new();
        tree::leaves(tree, "", &mut |path, leaf| fields.push((path.to_owned(), leaf)));
        let with_fields = objects(&fields);
        let applied = rules().filter_map(|rule| {
            let objects = match &rule.reads {
                Reads::Objects(lists, _) => places(lists, &with_fields),
                _ => Vec::new(),
            };
            let read = |path: &str, leaf: &Leaf| match &rule.reads {
                Reads::Checked(check, _) => leaf.check == Some(*check),
                Reads::FreeText(_) => free(path, leaf),
                Reads::Objects(..) => false,
                Reads::Paths(paths, _) => paths.iter().any(|whole| within(path, whole)),
                Reads::Kind(name, paths, _) => {
                    *name == kind && paths.iter().any(|whole| within(path, whole))
                }
                Reads::Beside(check, other) | Reads::CheckedBy(check, other, _) => {
                    path == *other || leaf.check == Some(*check)
                }
            };
            let single =
                fields.iter().filter(|(path, leaf)| read(path, leaf)).map(|(_, l)| l.class);
            let of_objects = objects.iter().flat_map(|place| place.classes.iter());
            let classes: Classes = single.chain(of_objects).collect();
            let applies = match &rule.reads {
                Reads::Beside(_, beside) => fields.iter().any(|(path, _)| path == beside),
                Reads::CheckedBy(check, ..) => fields.iter().any(|(_, l)| l.check == Some(*check)),
                _ => true,
            };
            (applies && classes != Classes::default()).then_some(Applied { rule, classes, objects })
        });
        Self(applied.collect())
    }

    /// The rules, each with the classes it reads.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Rule, Classes)> {
        self.0.iter().map(|applied| (applied.rule, applied.classes))
    }

    /// Runs what can be run with these classes; gives the rules that cannot be decided.
    pub fn run(
        &self,
        tree: &Node,
        record: &Value,
        held: Classes,
        findings: &mut Vec<Finding>,
    ) -> Vec<String> {
        let mut breaches = Vec::new();
        let not_checkable = self.judge(tree, record, held, &mut breaches);
        findings.extend(breaches.into_iter().map(
            |finding| match record.pointer(&finding.pointer) {
                Some(value) => finding.with_value(value),
                None => finding,
            },
        ));
        not_checkable
    }

    fn judge(
        &self,
        tree: &Node,
        record: &Value,
        held: Classes,
        findings: &mut Vec<Finding>,
    ) -> Vec<String> {
        self.judge_fields(tree, record, held, findings);
        let mut not_checkable = Vec::new();
        for Applied { rule, classes, objects } in &self.0 {
            let all_held = classes.is_subset(held);
            if !all_held {
                not_checkable.push(rule.id.to_owned());
            }
            match &rule.reads {
                Reads::Objects(_, judge) => {
                    for place in objects.iter().filter(|place| place.classes.is_subset(held)) {
                        place.judge(rule, *judge, record, findings);
                    }
                }
                Reads::Paths(_, across) | Reads::Kind(_, _, across) if all_held => {
                    across(rule, record, findings);
                }
                _ => {}
            }
        }
        not_checkable
    }

    /// What the rules of free text alone find, in whatever number: see [`ValidRecord::screen`].
    ///
    /// [`ValidRecord::screen`]: crate::ValidRecord::screen
    pub(crate) fn screen(&self, tree: &Node, record: &Value) -> Vec<Finding> {
        let of_text = |applied: &&Applied| matches!(applied.rule.reads, Reads::FreeText(_));
        let rules: Vec<&Rule> = self.0.iter().filter(of_text).map(|applied| applied.rule).collect();
        let mut found = Vec::new();
        walk(tree, record, &mut |leaf, pointer, value| {
            let Some(text) = value.as_str().filter(|_| free(pointer, leaf)) else { return };
            for rule in &rules {
                if let Reads::FreeText(find) = rule.reads {
                    found.extend(find(text).map(|shown| rule.breach(pointer, shown)));
                }
            }
        });
        found
    }

    /// A field that is judged alone can be judged wherever it can be seen.
    fn judge_fields(
        &self,
        tree: &Node,
        record: &Value,
        held: Classes,
        findings: &mut Vec<Finding>,
    ) {
        let open = |path: &str| leaf_at(tree, path).is_none_or(|leaf| held.contains(leaf.class));
        let all = self.0.iter().map(|applied| applied.rule);
        let alone: Vec<&Rule> = all
            .filter(|rule| match rule.reads {
                Reads::Checked(..) | Reads::FreeText(_) => true,
                Reads::CheckedBy(_, path, _) => open(path),
                _ => false,
            })
            .collect();
        let besides = || self.0.iter().filter(|a| a.classes.is_subset(held)).map(|a| a.rule);
        let mut checks = Vec::new();
        walk(tree, record, &mut |leaf, pointer, value| {
            let Some(text) = value.as_str().filter(|_| legible(leaf, held)) else { return };
            let is_free = free(pointer, leaf);
            if leaf.check.is_none() && !is_free {
                return;
            }
            checks.extend(leaf.check);
            for rule in &alone {
                let fault = match &rule.reads {
                    Reads::Checked(check, good) if leaf.check == Some(*check) && !good(text) => {
                        Some(rule.breach(pointer, text))
                    }
                    Reads::CheckedBy(check, path, bad) if leaf.check == Some(*check) => {
                        bad(text, record.pointer(path).and_then(Value::as_str))
                            .map(|shown| rule.breach_by(pointer, shown))
                    }
                    Reads::FreeText(find) if is_free => {
                        find(text).map(|shown| rule.breach(pointer, shown))
                    }
                    _ => None,
                };
                findings.extend(fault);
            }
        });
        for rule in besides() {
            if let Reads::Beside(check, path) = &rule.reads
                && checks.contains(check)
                && record.pointer(path).is_none()
            {
                findings.push(rule.breach(path, ""));
            }
        }
    }
}

/// The objects of a kind: for each the class of every field directly in it.
type Objects<'t> = BTreeMap<&'t str, BTreeMap<&'t str, FieldClass>>;

fn objects<'t>(fields: &'t [(String, &Leaf)]) -> Objects<'t> {
    let mut objects = Objects::new();
    for (path, leaf) in fields {
        if let Some((object, name)) = path.rsplit_once('/') {
            objects.entry(object).or_default().insert(name, leaf.class);
        }
    }
    objects
}

/// The objects that have all fields of one of these lists.
fn places(lists: &[&'static [&'static str]], objects: &Objects<'_>) -> Vec<Place> {
    let place = |(path, has): (&&str, &BTreeMap<&str, FieldClass>), names: &'static [&str]| {
        let classes: Option<Classes> = names.iter().map(|name| has.get(name).copied()).collect();
        classes.map(|classes| Place { path: (*path).to_owned(), names, classes })
    };
    let of_list = |names| objects.iter().filter_map(move |object| place(object, names));
    lists.iter().flat_map(|names| of_list(*names)).collect()
}

impl Place {
    fn judge(&self, rule: &Rule, judge: Judge, record: &Value, findings: &mut Vec<Finding>) {
        for (pointer, object) in select(record, &self.path) {
            for (name, evidence) in judge(self.names, Judged { path: &self.path, object }) {
                let pointer = format!("{pointer}/{name}");
                findings.push(rule.breach(pointer, evidence));
            }
        }
    }
}

#[cfg(test)]
mod tests;
