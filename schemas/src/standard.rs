//! The standard in force: kinds, their validation as a whole, and as far as some classes go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

use crate::assemble::{Disclosure, Parts, assemble};
use crate::class::{Classes, FieldClass};
use crate::codes;
use crate::finding::{Finding, Severity};
use crate::form;
use crate::kind::{Kind, walk};
use crate::language::{Words, say, words};

const COMMON: &str = include_str!("../json/common.v1.json");
/// Every record kind, by name, with its schema.
const KINDS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/kinds.rs"));
/// Most findings that one check reports.
const MAX_FINDINGS: usize = 100;

/// The federation's standard.
#[derive(Debug)]
pub struct Standard {
    /// The text of each kind's schema, and the kind once it has been asked for.
    kinds: BTreeMap<&'static str, (&'static str, OnceLock<Kind>)>,
    code_lists: BTreeMap<String, String>,
}

/// A record that is valid as a whole. Only [`Standard::validate`] makes one.
#[derive(Debug, Clone)]
pub struct ValidRecord {
    kind: &'static Kind,
    value: Value,
    warnings: Vec<Finding>,
}

/// What a holder of some classes can say of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialCheck {
    /// The fields put back in their places.
    pub record: Value,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Rules that read a withheld field: neither passed nor failed.
    pub not_checkable: Vec<String>,
}

impl PartialCheck {
    /// Whether anything found refuses the record.
    pub fn refused(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }
}

impl Standard {
    /// Version 1. A kind's schema is read and compiled when the kind is first asked for.
    pub fn v1() -> &'static Self {
        static STANDARD: OnceLock<Standard> = OnceLock::new();
        STANDARD.get_or_init(|| {
            let lists = codes::LISTS.iter().map(|list| (list.name, list.edition));
            let code_lists: BTreeMap<String, String> = lists
                .chain([("TLP", "2.0")])
                .map(|(name, edition)| (name.to_owned(), edition.to_owned()))
                .collect();
            let kinds = KINDS.iter().map(|(name, text)| (*name, (*text, OnceLock::new())));
            Self { kinds: kinds.collect(), code_lists }
        })
    }

    /// The names of all kinds.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    /// All kinds. Those that nobody has asked for yet are read and compiled on all cores.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.compile_all();
        self.kinds.keys().filter_map(|name| self.kind(name))
    }

    fn compile_all(&self) {
        let missing = self.kinds.iter().filter(|(_, (_, kind))| kind.get().is_none());
        let mut missing: Vec<_> = missing.map(|(name, (text, _))| (text.len(), *name)).collect();
        // The longest first, so that no core has much to do when the others have ended.
        missing.sort_unstable_by(|a, b| b.cmp(a));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((_, name)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.kind(name);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..cores.min(missing.len()) {
                // Without a further thread the work is done by this one.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// The kind of that name.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        let (name, (text, kind)) = self.kinds.get_key_value(name)?;
        Some(kind.get_or_init(|| Kind::load(name, text, common(), &self.code_lists)))
    }

    /// Code lists and their editions.
    pub fn code_lists(&self) -> &BTreeMap<String, String> {
        &self.code_lists
    }

    /// Validates a record as a whole; reports everything that is wrong at once.
    pub fn validate(&'static self, record: &Value) -> Result<ValidRecord, Vec<Finding>> {
        self.accept(record.clone())
    }

    /// The same, for a record that is not needed if it is refused.
    pub fn accept(&'static self, record: Value) -> Result<ValidRecord, Vec<Finding>> {
        let named = record.get("kind").and_then(Value::as_str);
        let Some(kind) = named.and_then(|name| self.kind(name)) else {
            let message = words(
                "no such record kind",
                "type d'enregistrement inconnu",
                "jenis data tidak dikenal",
            );
            let finding = Finding::error("unknown-kind", "/kind", message, self.known_kinds());
            return Err(vec![match record.get("kind") {
                Some(value) => finding.with_value(value),
                None => finding,
            }]);
        };
        let mut findings = form::findings(&kind.whole, &record, &kind.tree);
        kind.run_rules(&record, Classes::ALL, &mut findings);
        if findings.iter().any(|f| f.severity == Severity::Error) {
            Err(bounded(findings))
        } else {
            Ok(ValidRecord { kind, value: record, warnings: bounded(findings) })
        }
    }

    /// Checks what a holder of `parts` can check: every field is in the class it came in, the
    /// assembled record is valid against the schema projected to those classes, a coarser value
    /// is that of its exact one, and each rule passes, fails or is not checkable.
    ///
    /// A class that is not a key of `parts` counts as withheld. A caller that knows the record to
    /// have no field of a class says so with an empty list.
    pub fn check_parts(&self, kind: &str, parts: &Parts) -> PartialCheck {
        let record = assemble(parts);
        let Some(kind) = self.kind(kind) else {
            let message = say!(
                "no record kind {kind:?}",
                "aucun type d'enregistrement {kind:?}",
                "tidak ada jenis data {kind:?}",
            );
            let hint = words(
                "upgrade to the schemas that the register pins",
                "passer aux schémas fixés par le registre",
                "perbarui ke skema yang ditetapkan oleh daftar",
            );
            let finding = Finding::error("unknown-kind", "/kind", message, hint);
            return PartialCheck { record, findings: vec![finding], not_checkable: Vec::new() };
        };
        let held: Classes = parts.keys().copied().collect();
        let mut findings = kind.place_findings(parts);
        if findings.is_empty() && held != Classes::default() {
            findings = form::findings(&kind.projection(held), &record, &kind.tree);
        }
        let not_checkable = kind.run_rules(&record, held, &mut findings);
        PartialCheck { record, findings: bounded(findings), not_checkable }
    }

    fn known_kinds(&self) -> Words<String> {
        let known: Vec<&str> = self.names().collect();
        let known = known.join(", ");
        say!(
            "set kind to one of {known}",
            "donner à kind l'une des valeurs {known}",
            "isi kind dengan salah satu dari {known}",
        )
    }
}

/// The definitions that kinds share.
fn common() -> &'static Value {
    static PARSED: LazyLock<Value> = LazyLock::new(|| {
        serde_json::from_str(COMMON).expect("build.rs has read the shared definitions")
    });
    &PARSED
}

/// The findings in order, errors before warnings and then by place, none twice. Where there are
/// more than a reader can use, the last says how many are left out.
pub(crate) fn bounded(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_cached_key(|f| {
        (f.severity != Severity::Error, place(&f.pointer), f.code.clone(), f.message.clone())
    });
    findings.dedup();
    if findings.len() > MAX_FINDINGS {
        let left = findings.len() - (MAX_FINDINGS - 1);
        findings.truncate(MAX_FINDINGS - 1);
        let severity = findings.last().map_or(Severity::Error, |finding| finding.severity);
        let message = say!(
            "{left} further findings are not listed",
            "{left} autres constatations ne sont pas listées",
            "{left} temuan lain tidak ditampilkan",
        );
        let hint = words(
            "mend these first",
            "corriger d'abord celles-ci",
            "perbaiki yang ini terlebih dahulu",
        );
        let mut more = Finding::error("more-findings", "", message, hint);
        more.severity = severity;
        findings.push(more);
    }
    findings
}

/// A pointer in parts that sort as a reader counts: item 2 before item 10.
fn place(pointer: &str) -> Vec<(usize, String)> {
    pointer.split('/').map(|s| (s.parse().unwrap_or(usize::MAX), s.to_owned())).collect()
}

impl ValidRecord {
    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Its id, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.value.get("id").and_then(Value::as_str)
    }

    /// How it may be handled.
    pub fn handling(&self) -> &Value {
        self.value.get("handling").unwrap_or(&Value::Null)
    }

    /// The record, without the proof that it is valid.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// The record.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What somebody should look at.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// What looks like a natural person in its free text, and should not be sent before somebody
    /// has decided so. Complete: other warnings take no room from it.
    pub fn screen(&self) -> Vec<Finding> {
        self.kind.screen(&self.value)
    }

    /// What a holder of these classes sees of it: those fields, and coarser values where the exact
    /// ones are of another class. List items of which nothing is seen are empty objects.
    pub fn projection(&self, held: &BTreeSet<FieldClass>) -> Value {
        let mut parts = self.split();
        parts.retain(|class, _| held.contains(class));
        assemble(&parts)
    }

    /// Its fields by class, coarser values in their own classes.
    pub fn split(&self) -> Parts {
        let mut parts = Parts::new();
        walk(&self.kind.tree, &self.value, &mut |leaf, pointer, value| {
            let mut put = |class, value| {
                let pointer = pointer.to_owned();
                parts.entry(class).or_default().push(Disclosure { pointer, value });
            };
            put(leaf.class, value.clone());
            let exact = value.as_str();
            let coarse = leaf.coarse.zip(exact).and_then(|(function, text)| function.apply(text));
            if let Some((class, coarse)) = form::coarser(leaf).zip(coarse) {
                put(class, Value::String(coarse));
            }
        });
        for fields in parts.values_mut() {
            fields.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        }
        parts
    }
}
