//! A record kind: its schema, the places and classes of its fields, and the rules that apply.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use jsonschema::Validator;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::assemble::{Disclosure, Parts, index};
use crate::class::{Classes, FieldClass};
use crate::finding::Finding;
use crate::form::{self, coarser};
use crate::language::{Words, say, words};
use crate::profile;
use crate::rules::{KindRules, Rule};
use crate::tree::{self, COMMON, Leaf, Node};

/// One record kind.
pub struct Kind {
    name: &'static str,
    id: String,
    /// The text of the schema, and the shared definitions.
    source: (&'static str, &'static Value),
    /// The schema with the shared definitions that it reaches, in canonical form.
    bundle: OnceLock<String>,
    digest: OnceLock<[u8; 32]>,
    pub(crate) tree: Node,
    /// The fields of the full profile.
    pub(crate) full: Vec<String>,
    classes: BTreeSet<FieldClass>,
    code_lists: BTreeMap<String, String>,
    rules: KindRules,
    pub(crate) whole: Validator,
    /// Validators of projections; at most one for each set of the kind's classes.
    projections: RwLock<HashMap<Classes, Arc<Validator>>>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One field of a kind, as a form or a table shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// English title.
    pub title: &'a str,
    /// Its class.
    pub class: FieldClass,
    /// What it holds.
    pub holds: Holds,
    /// Whether every record has it.
    pub required: bool,
    /// English description.
    pub description: &'a str,
    /// Number in the WCO Data Model.
    pub wco_id: Option<&'a str>,
    /// The only values that it may have; none if they are not listed in the schema.
    pub values: Vec<&'a str>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A text.
    Text,
    /// An integer.
    Integer,
    /// True or false.
    Boolean,
}

impl<'a> Field<'a> {
    fn of(leaf: &'a Leaf, required: bool) -> Self {
        let holds = match leaf.schema.get("type").and_then(Value::as_str) {
            Some("integer") => Holds::Integer,
            Some("boolean") => Holds::Boolean,
            _ => Holds::Text,
        };
        let values = leaf.schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        let [title, _] = &leaf.title;
        Self {
            title,
            class: leaf.class,
            holds,
            required,
            description: &leaf.description,
            wco_id: leaf.wco_id.as_deref(),
            values: values.filter_map(Value::as_str).collect(),
        }
    }
}

fn fields<'a>(node: &'a Node, at: &str, required: bool, found: &mut Vec<(String, Field<'a>)>) {
    match node {
        Node::Object(properties) => {
            for (name, (child, must)) in properties {
                fields(child, &format!("{at}/{name}"), required && *must, found);
            }
        }
        Node::Array { items, .. } => fields(items, &format!("{at}/0"), required, found),
        Node::Leaf(leaf) => found.push((at.to_owned(), Field::of(leaf, required))),
    }
}

impl Kind {
    pub(crate) fn load(
        name: &'static str,
        text: &'static str,
        shared: &'static Value,
        code_lists: &BTreeMap<String, String>,
    ) -> Self {
        let schema = parsed(text);
        let tree = tree::parse(&schema, shared).expect("build.rs has accepted the schema");
        let full = profile::full(&schema, &tree).expect("a test has read every kind");
        let mut classes = BTreeSet::new();
        tree::leaves(&tree, "", &mut |_, leaf| {
            classes.insert(leaf.class);
            classes.extend(coarser(leaf));
        });
        let id = schema.get("$id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            name,
            id,
            digest: OnceLock::new(),
            source: (text, shared),
            bundle: OnceLock::new(),
            classes,
            code_lists: code_lists.clone(),
            full,
            rules: KindRules::of(name, &tree),
            whole: form::validator(&tree, Classes::ALL),
            projections: RwLock::default(),
            tree,
        }
    }

    /// Its name, such as `lab-alert`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Its version.
    pub fn version(&self) -> u32 {
        1
    }

    /// `$id` of its schema.
    pub fn schema_id(&self) -> &str {
        &self.id
    }

    /// SHA-256 over the canonical form (RFC 8785) of the kind's schema, to which `$defs` is added
    /// with exactly those shared definitions that it reaches.
    pub fn digest(&self) -> [u8; 32] {
        *self.digest.get_or_init(|| Sha256::digest(self.bundle()).into())
    }

    fn bundle(&self) -> &str {
        let (text, shared) = self.source;
        self.bundle.get_or_init(|| bundle(&parsed(text), shared))
    }

    /// Code lists and their editions.
    pub fn code_lists(&self) -> &BTreeMap<String, String> {
        &self.code_lists
    }

    /// The classes that its fields can have.
    pub fn classes(&self) -> BTreeSet<FieldClass> {
        self.classes.clone()
    }

    /// The rules that apply to the kind, each with the classes it reads.
    pub fn rules(&self) -> impl Iterator<Item = (&'static Rule, BTreeSet<FieldClass>)> {
        self.rules.iter().map(|(rule, classes)| (rule, classes.iter().collect()))
    }

    /// The field at a pointer, if the kind has one there.
    pub fn field(&self, pointer: &str) -> Option<Field<'_>> {
        leaf_at(&self.tree, pointer).map(|leaf| Field::of(leaf, false))
    }

    /// Every field with its pointer, each list with one item.
    pub fn fields(&self) -> Vec<(String, Field<'_>)> {
        let mut found = Vec::new();
        fields(&self.tree, "", true, &mut found);
        found
    }

    /// The kind's JSON Schema, complete in itself: the shared definitions that it reaches are in
    /// its `$defs`, and references lead there.
    pub fn schema(&self) -> Value {
        let local = self.bundle().replace(COMMON, "#/$defs/");
        serde_json::from_str(&local).expect("a schema was written in canonical form")
    }

    /// The JSON Schema of what a holder of these classes sees, complete in itself. It allows less
    /// than the kind's own schema, never more.
    pub fn projected_schema(&self, held: &BTreeSet<FieldClass>) -> Value {
        let held = self.narrowed(held.iter().copied().collect());
        let mut schema = form::schema(&self.tree, held);
        if let Some(schema) = schema.as_object_mut() {
            let draft = "https://json-schema.org/draft/2020-12/schema";
            schema.shift_insert(0, "$schema".to_owned(), Value::from(draft));
        }
        schema
    }

    /// Runs what can be run with these classes; gives the rules that cannot be decided.
    pub(crate) fn run_rules(
        &self,
        record: &Value,
        held: Classes,
        findings: &mut Vec<Finding>,
    ) -> Vec<String> {
        self.rules.run(&self.tree, record, held, findings)
    }

    /// What the rules of free text find: see [`crate::ValidRecord::screen`].
    pub(crate) fn screen(&self, record: &Value) -> Vec<Finding> {
        self.rules.screen(&self.tree, record)
    }

    /// Of these classes, those that the kind has; whoever holds them all sees it whole.
    fn narrowed(&self, held: Classes) -> Classes {
        let own: Classes = self.classes.iter().copied().collect();
        if own.is_subset(held) {
            return Classes::ALL;
        }
        own.iter().filter(|class| held.contains(*class)).collect()
    }

    /// The validator of the schema projected to these classes, compiled once.
    pub(crate) fn projection(&self, held: Classes) -> Arc<Validator> {
        let held = self.narrowed(held);
        let known = self.projections.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = known.get(&held) {
            return Arc::clone(validator);
        }
        drop(known);
        let validator = Arc::new(form::validator(&self.tree, held));
        let mut known = self.projections.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(held).or_insert(validator))
    }

    /// Whether each field is one that the kind has, once, in the class it came in, with a value
    /// that a field can have, and whether coarser and exact values go together.
    pub(crate) fn place_findings(&self, parts: &Parts) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (class, fields) in parts {
            let mut seen = HashSet::new();
            for field in fields {
                findings.extend(self.misplaced(*class, field));
                if !seen.insert(field.pointer.as_str()) {
                    let class = class.as_str();
                    let message = say!(
                        "class {class} has this field twice",
                        "la classe {class} a ce champ deux fois",
                        "kelas {class} memuat ruas ini dua kali",
                    );
                    let finding = Finding::error("field-twice", &field.pointer, message, FOREIGN);
                    findings.push(finding.with_value(&field.value));
                }
            }
        }
        for exact in [FieldClass::Core, FieldClass::Operational] {
            let Some(coarse) = exact.coarse() else { continue };
            if let Some((exact, coarse)) = parts.get(&exact).zip(parts.get(&coarse)) {
                self.unlike(exact, coarse, &mut findings);
            }
        }
        findings
    }

    fn misplaced(&self, class: FieldClass, field: &Disclosure) -> Option<Finding> {
        let place = leaf_at(&self.tree, &field.pointer);
        let right = place.is_some_and(|leaf| leaf.class == class || coarser(leaf) == Some(class));
        if !right {
            let class = class.as_str();
            let message = say!(
                "no field of class {class} stands here",
                "aucun champ de la classe {class} n'a sa place ici",
                "tidak ada ruas kelas {class} di tempat ini",
            );
            return Some(Finding::error("field-out-of-place", &field.pointer, message, FOREIGN));
        }
        let plain = match &field.value {
            Value::String(_) | Value::Bool(_) => true,
            Value::Number(number) => number.is_i64() || number.is_u64(),
            _ => false,
        };
        (!plain).then(|| {
            let message = words(
                "a field is a text, an integer or a boolean",
                "un champ est un texte, un entier ou un booléen",
                "sebuah ruas berupa teks, bilangan bulat atau boolean",
            );
            Finding::error("wrong-type", &field.pointer, message, FOREIGN).with_value(&field.value)
        })
    }

    /// Coarse values that are not those of the exact ones, or that one side has alone.
    fn unlike(&self, exact: &[Disclosure], coarse: &[Disclosure], findings: &mut Vec<Finding>) {
        let leaf = |pointer: &str| leaf_at(&self.tree, pointer);
        let mut missing: HashMap<&str, &Disclosure> = exact
            .iter()
            .filter(|field| leaf(&field.pointer).is_some_and(|leaf| leaf.coarse.is_some()))
            .map(|field| (field.pointer.as_str(), field))
            .collect();
        for field in coarse {
            let function = leaf(&field.pointer).and_then(|leaf| leaf.coarse);
            let source = missing.remove(field.pointer.as_str());
            let expected = function
                .zip(source.and_then(|source| source.value.as_str()))
                .and_then(|(function, text)| function.apply(text));
            if expected.is_none() || field.value.as_str() != expected.as_deref() {
                let message = words(
                    "the coarser value is not that of the exact one",
                    "la valeur grossière n'est pas celle de la valeur exacte",
                    "nilai kasar tidak sesuai dengan nilai pastinya",
                );
                let hint = words(
                    "the originator showed two members two values; keep both as evidence",
                    "l'émetteur a montré deux valeurs à deux membres ; conserver les deux comme preuve",
                    "penerbit menunjukkan dua nilai kepada dua anggota; simpan keduanya sebagai bukti",
                );
                let finding = Finding::error("coarse-mismatch", &field.pointer, message, hint);
                findings.push(finding.with_value(&field.value));
            }
        }
        let mut missing: Vec<&str> = missing.into_keys().collect();
        missing.sort_unstable();
        findings.extend(missing.into_iter().map(|pointer| {
            let message = words(
                "the exact value has no coarser one beside it",
                "la valeur exacte n'a pas de valeur grossière à côté d'elle",
                "nilai pasti tidak disertai nilai kasarnya",
            );
            Finding::error("coarse-missing", pointer, message, FOREIGN)
        }));
    }
}

/// What to do about a fault that no honest node makes.
const FOREIGN: Words<&str> = words(
    "the originator's node must use the schema that the register pins",
    "le nœud de l'émetteur doit utiliser le schéma fixé par le registre",
    "simpul penerbit harus memakai skema yang ditetapkan oleh daftar",
);

fn parsed(schema: &str) -> Value {
    serde_json::from_str(schema).expect("build.rs has read the schema")
}

/// The schema with the shared definitions that it reaches, in the canonical form of RFC 8785.
fn bundle(schema: &Value, shared: &Value) -> String {
    let mut schema = schema.clone();
    let mut reached: BTreeMap<String, Value> = BTreeMap::new();
    let mut pending = references(&schema);
    while let Some(name) = pending.pop() {
        let definition = shared.pointer(&format!("/$defs/{name}"));
        if let (Some(definition), false) = (definition, reached.contains_key(&name)) {
            pending.extend(references(definition));
            reached.insert(name, definition.clone());
        }
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$defs".to_owned(), reached.into_iter().collect());
    }
    let mut text = String::new();
    canonical(&schema, &mut text);
    text
}

/// The shared definitions that a schema names.
fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value.as_str().and_then(|t| t.strip_prefix(COMMON)) {
                Some(name) if key == "$ref" => vec![name.to_owned()],
                _ => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// RFC 8785 for what schemas are made of: their names are ASCII and their numbers integers.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            for (i, (key, value)) in sorted.into_iter().enumerate() {
                out.push(if i == 0 { '{' } else { ',' });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                out.push(if i == 0 { '[' } else { ',' });
                canonical(item, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// Calls `visit` for each field that is there, with its pointer.
pub fn walk(node: &Node, value: &Value, visit: &mut dyn FnMut(&Leaf, &str, &Value)) {
    descend(node, value, &mut String::with_capacity(96), visit);
}

fn descend(
    node: &Node,
    value: &Value,
    pointer: &mut String,
    visit: &mut dyn FnMut(&Leaf, &str, &Value),
) {
    let here = pointer.len();
    match (node, value) {
        (Node::Object(properties), Value::Object(fields)) => {
            for (name, field) in fields {
                if let Some((child, _)) = properties.get(name) {
                    pointer.push('/');
                    pointer.push_str(name);
                    descend(child, field, pointer, visit);
                    pointer.truncate(here);
                }
            }
        }
        (Node::Array { items, .. }, Value::Array(values)) => {
            for (i, item) in values.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&i.to_string());
                descend(items, item, pointer, visit);
                pointer.truncate(here);
            }
        }
        (Node::Leaf(leaf), value) => visit(leaf, pointer, value),
        _ => {}
    }
}

/// The field at a pointer of a record. No field has a name that a pointer would escape.
pub fn leaf_at<'t>(tree: &'t Node, pointer: &str) -> Option<&'t Leaf> {
    let mut node = tree;
    for segment in pointer.strip_prefix('/')?.split('/') {
        node = match node {
            Node::Object(properties) => &properties.get(segment)?.0,
            Node::Array { items, max } => {
                let max = usize::try_from(*max).unwrap_or(usize::MAX);
                index(segment).filter(|i| *i < max)?;
                items
            }
            Node::Leaf(_) => return None,
        };
    }
    match node {
        Node::Leaf(leaf) => Some(leaf),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_digest_covers_what_a_kind_reaches_and_nothing_else() {
        let reference = |name: &str| json!({"$ref": format!("{COMMON}{name}")});
        let schema = json!({"title": "é", "properties": {"b": reference("outer"), "a": {}}});
        let shared = |inner: i32, other: i32| {
            json!({"$defs": {"outer": {"items": reference("inner")},
                "inner": {"maximum": inner}, "other": {"maximum": other}}})
        };
        let text = bundle(&schema, &shared(1, 1));
        assert_eq!(
            text,
            "{\"$defs\":{\"inner\":{\"maximum\":1},\"outer\":{\"items\":{\"$ref\":\"common.v1.json\
             #/$defs/inner\"}}},\"properties\":{\"a\":{},\"b\":{\"$ref\":\"common.v1.json#/$defs/outer\
             \"}},\"title\":\"é\"}"
        );
        assert_eq!(bundle(&schema, &shared(1, 2)), text, "a definition that is not reached");
        assert_ne!(bundle(&schema, &shared(2, 1)), text, "one that is reached by another");
    }
}
