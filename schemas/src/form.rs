//! The form of a record: a kind's schema as a whole, or projected to some classes, and what a
//! validator says of a record in words that help to mend it.

use std::fmt::Display;
use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternCache, PatternOptions, Validator};
use serde_json::{Map, Value, json};

use crate::class::{Classes, FieldClass};
use crate::finding::Finding;
use crate::kind::{leaf_at, walk};
use crate::language::{Words, say, words};
use crate::letters;
use crate::tree::{Leaf, Node};

/// The validator of what a holder of these classes sees.
pub fn validator(tree: &Node, held: Classes) -> Validator {
    // Many kinds and projections have the same patterns.
    static PATTERNS: LazyLock<PatternCache> = LazyLock::new(PatternCache::new);
    // Patterns of the linear engine: no record can make one take longer than its length asks.
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .with_pattern_cache(PATTERNS.clone())
        .build(&schema(tree, held))
        .expect("a schema made of checked keywords compiles")
}

/// The schema of what a holder of these classes sees.
pub fn schema(tree: &Node, held: Classes) -> Value {
    let nothing = || json!({ "type": "object", "maxProperties": 0 });
    project(tree, held).unwrap_or_else(nothing)
}

/// The class of a field's coarser values, if it has any.
pub fn coarser(leaf: &Leaf) -> Option<FieldClass> {
    leaf.coarse.and(leaf.class.coarse())
}

/// The schema of what a holder of these classes sees; `None` where there is nothing to see.
fn project(node: &Node, held: Classes) -> Option<Value> {
    match node {
        Node::Leaf(leaf) if held.contains(leaf.class) => Some(Value::Object(leaf.schema.clone())),
        Node::Leaf(leaf) => {
            let coarse = leaf.coarse?;
            held.contains(coarser(leaf)?)
                .then(|| json!({ "type": "string", "pattern": coarse.pattern() }))
        }
        Node::Array { items, max } => {
            let items = project(items, held)?;
            Some(json!({ "type": "array", "items": items, "minItems": 1, "maxItems": max }))
        }
        Node::Object(properties) => {
            let mut shown = Map::new();
            let mut required = Vec::new();
            for (name, (child, is_required)) in properties {
                let Some(schema) = project(child, held) else { continue };
                if *is_required && certain(child, held) {
                    required.push(name.clone());
                }
                shown.insert(name.clone(), schema);
            }
            let least = u8::from(held == Classes::ALL);
            (!shown.is_empty()).then(|| {
                json!({
                    "type": "object", "properties": shown, "required": required,
                    "additionalProperties": false, "minProperties": least,
                })
            })
        }
    }
}

/// Whether something of a node that is there is certain to be seen with these classes. A coarser
/// value stands for its exact one.
fn certain(node: &Node, held: Classes) -> bool {
    match node {
        Node::Leaf(leaf) => {
            held.contains(leaf.class) || coarser(leaf).is_some_and(|class| held.contains(class))
        }
        Node::Array { items, .. } => certain(items, held),
        Node::Object(properties) => {
            held == Classes::ALL
                || properties.values().any(|(child, required)| *required && certain(child, held))
        }
    }
}

/// Everything in a record's form that is wrong.
pub fn findings(validator: &Validator, record: &Value, tree: &Node) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(tree, record, &mut |_, pointer, value| {
        let found = value.as_str().and_then(|text| letters::finding(pointer, text));
        findings.extend(found.map(|found| found.with_value(value)));
    });
    // The common case costs one pass without building errors.
    if validator.is_valid(record) {
        return findings;
    }
    for error in validator.iter_errors(record) {
        let at = error.instance_path().to_string();
        let mut add = |fault: Fault| {
            let finding = Finding::error(&fault.code, &fault.at, fault.message, fault.hint);
            findings.push(match record.pointer(&fault.at) {
                Some(value) => finding.with_value(value),
                None => finding,
            });
        };
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                unexpected.iter().for_each(|name| add(unknown_field(&at, name)));
            }
            kind => add(fault(at.clone(), kind, error.instance(), tree)),
        }
    }
    findings
}

/// One thing that is wrong with the form of a place.
struct Fault {
    code: String,
    at: String,
    message: Words<String>,
    hint: Words<String>,
}

fn unknown_field(at: &str, name: &str) -> Fault {
    let segment = name.replace('~', "~0").replace('/', "~1");
    Fault {
        code: "unknown-field".to_owned(),
        at: format!("{at}/{segment}"),
        message: say!(
            "the kind has no field {name:?} here",
            "le type n'a pas de champ {name:?} ici",
            "jenis data ini tidak memiliki ruas {name:?} di sini",
        ),
        hint: words(
            "leave it out, or see the data dictionary for its name",
            "l'omettre, ou chercher son nom dans le dictionnaire de données",
            "hapus, atau cari namanya dalam kamus data",
        )
        .into(),
    }
}

fn fault(at: String, kind: &ValidationErrorKind, value: &Value, tree: &Node) -> Fault {
    let name = at.rsplit('/').find(|s| !s.bytes().all(|b| b.is_ascii_digit())).unwrap_or("record");
    let name = name.to_owned();
    let [en, fr] = match leaf_at(tree, &at) {
        Some(leaf) => leaf.title.clone(),
        None => [name.clone(), name.clone()],
    };
    let titles = Words { en, fr, id: name };
    if let ValidationErrorKind::Required { property } = kind {
        let name = property.as_str().unwrap_or_default();
        return Fault {
            code: "required".to_owned(),
            at: format!("{at}/{name}"),
            message: say!("{name} is missing", "{name} manque", "{name} tidak ada"),
            hint: say!("add {name}", "ajouter {name}", "tambahkan {name}"),
        };
    }
    let (code, message, hint) = match kind {
        ValidationErrorKind::Enum { options } => {
            ("not-in-code-list", NO_CODE, one_of(options, value))
        }
        ValidationErrorKind::Constant { expected_value: code } => {
            ("not-in-code-list", NO_CODE, say!("write {code}", "écrire {code}", "tulis {code}"))
        }
        ValidationErrorKind::Pattern { pattern } => (
            "wrong-form",
            words("is not of its form", "n'a pas la forme voulue", "tidak sesuai bentuknya"),
            say!("write it as {pattern}", "l'écrire comme {pattern}", "tulis menurut {pattern}"),
        ),
        ValidationErrorKind::Type { .. } => (
            "wrong-type",
            words("is of another type", "est d'un autre type", "bukan dari jenis yang benar"),
            TYPES.into(),
        ),
        other => {
            let (message, hint) = beyond(other);
            let code = format!("schema-{}", other.keyword().to_lowercase());
            return Fault { code, message: titles.says(message), hint, at };
        }
    };
    Fault { code: code.to_owned(), message: titles.says(message), hint, at }
}

const NO_CODE: Words<&str> =
    words("has no such code", "n'a pas ce code", "tidak memiliki kode ini");
const TYPES: Words<&str> = words(
    "quantities and codes are texts, counts are integers",
    "quantités et codes sont des textes, les nombres d'unités des entiers",
    "ukuran dan kode berupa teks, cacahan berupa bilangan bulat",
);

/// A value that is beyond a limit of its schema.
fn beyond(kind: &ValidationErrorKind) -> (Words<&'static str>, Words<String>) {
    use ValidationErrorKind as Kind;
    let to = |limit: &dyn Display| {
        say!("the limit is {limit}", "la limite est {limit}", "batasnya {limit}")
    };
    match kind {
        Kind::MinLength { limit } => {
            (words("is too short", "est trop court", "terlalu pendek"), to(limit))
        }
        Kind::MaxLength { limit } => {
            (words("is too long", "est trop long", "terlalu panjang"), to(limit))
        }
        Kind::Minimum { limit } => {
            (words("is too small", "est trop petit", "terlalu kecil"), to(limit))
        }
        Kind::Maximum { limit } => {
            (words("is too large", "est trop grand", "terlalu besar"), to(limit))
        }
        Kind::MaxItems { limit } => (
            words("has too many items", "a trop d'éléments", "memiliki terlalu banyak butir"),
            to(limit),
        ),
        Kind::MinItems { .. } | Kind::MinProperties { .. } => (
            words("is empty", "est vide", "kosong"),
            words("leave it out", "l'omettre", "hapus").into(),
        ),
        _ => (
            words("is not as its schema says", "n'est pas conforme", "tidak sesuai skemanya"),
            words("see the schema", "voir le schéma", "lihat skemanya").into(),
        ),
    }
}

/// How units are often written, and their codes in UN/ECE Recommendation 20.
const UNITS: [(&str, &str); 16] = [
    ("%", "P1"),
    ("cm", "CMT"),
    ("g", "GRM"),
    ("gr", "GRM"),
    ("kg", "KGM"),
    ("kgs", "KGM"),
    ("l", "LTR"),
    ("lb", "LBR"),
    ("lbs", "LBR"),
    ("m", "MTR"),
    ("mg", "MGM"),
    ("ml", "MLT"),
    ("oz", "ONZ"),
    ("pcs", "H87"),
    ("ppm", "59"),
    ("t", "TNE"),
];

/// Which codes there are, and which is meant where that is plain.
fn one_of(options: &Value, value: &Value) -> Words<String> {
    let has = |code: &str| options.as_array().is_some_and(|all| all.iter().any(|o| o == code));
    let written = value.as_str().unwrap_or_default();
    let lower = written.to_lowercase();
    let unit = UNITS.iter().find(|(unit, _)| *unit == lower).map(|(_, code)| (*code).to_owned());
    let same = [written.to_uppercase(), lower.clone()];
    match unit.into_iter().chain(same).find(|code| has(code)) {
        Some(code) => say!(
            "write {code}; the codes are {options}",
            "écrire {code} ; les codes sont {options}",
            "tulis {code}; kodenya adalah {options}",
        ),
        None => say!("one of {options}", "l'un de {options}", "salah satu dari {options}"),
    }
}
