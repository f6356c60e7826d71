//! The standard in force: kinds, their validation as a whole, and as far as some classes go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::assemble::{Disclosure, Parts, assemble, index, segments};
use crate::class::FieldClass;
use crate::finding::{Finding, Severity};
use crate::rules::{RULES, Reads, Rule};
use crate::tree::{self, Leaf, Node};

const COMMON: &str = include_str!("../json/common.v1.json");
const KINDS: [(&str, &str); 2] = [
    ("lab-alert", include_str!("../json/lab-alert.v1.json")),
    ("seizure-notice", include_str!("../json/seizure-notice.v1.json")),
];
/// Code lists and the editions that version 1 checks against.
const CODE_LISTS: [(&str, &str); 5] = [
    ("HS", "2022"),
    ("ISO-3166-1", "2020"),
    ("ISO-4217", "2015"),
    ("TLP", "2.0"),
    ("UNECE-REC-20", "17"),
];

/// The federation's standard.
pub struct Standard {
    kinds: BTreeMap<&'static str, Kind>,
    code_lists: BTreeMap<String, String>,
}

/// One record kind.
pub struct Kind {
    name: &'static str,
    id: String,
    digest: [u8; 32],
    tree: Node,
    classes: BTreeSet<FieldClass>,
    code_lists: BTreeMap<String, String>,
    whole: Validator,
    /// Validators of projections; at most one for each of the 256 sets of classes.
    projections: RwLock<HashMap<BTreeSet<FieldClass>, Arc<Validator>>>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
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
    /// Version 1, built once.
    pub fn v1() -> &'static Self {
        static STANDARD: OnceLock<Standard> = OnceLock::new();
        STANDARD.get_or_init(|| {
            let code_lists: BTreeMap<String, String> =
                CODE_LISTS.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let kinds =
                KINDS.iter().map(|(name, text)| (*name, Kind::load(name, text, &code_lists)));
            Self { kinds: kinds.collect(), code_lists: code_lists.clone() }
        })
    }

    /// All kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }

    /// The kind of that name.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    /// Code lists and their editions.
    pub fn code_lists(&self) -> &BTreeMap<String, String> {
        &self.code_lists
    }

    /// Validates a record as a whole; reports everything that is wrong at once.
    pub fn validate(&'static self, record: &Value) -> Result<ValidRecord, Vec<Finding>> {
        let named = record.get("kind").and_then(Value::as_str);
        let Some(kind) = named.and_then(|name| self.kind(name)) else {
            let known: Vec<&str> = self.kinds.keys().copied().collect();
            let hint = format!("set kind to one of {}", known.join(", "));
            let finding =
                Finding::error("unknown-kind", "/kind", "no such record kind".to_owned(), &hint);
            return Err(vec![match record.get("kind") {
                Some(value) => finding.with_value(value),
                None => finding,
            }]);
        };
        let mut findings = schema_findings(&kind.whole, record, &kind.tree);
        let everything: BTreeSet<FieldClass> = FieldClass::ALL.into_iter().collect();
        kind.run_rules(record, &everything, &mut findings);
        if findings.iter().any(|f| f.severity == Severity::Error) {
            Err(findings)
        } else {
            Ok(ValidRecord { kind, value: record.clone(), warnings: findings })
        }
    }

    /// Checks what a holder of `parts` can check: every field is in the class it came in, the
    /// assembled record is valid against the schema projected to those classes, a coarser value
    /// is that of its exact one, and each rule passes, fails or is not checkable.
    pub fn check_parts(&self, kind: &str, parts: &Parts) -> PartialCheck {
        let record = assemble(parts);
        let Some(kind) = self.kind(kind) else {
            let hint = "upgrade to the schemas that the register pins";
            let finding =
                Finding::error("unknown-kind", "/kind", format!("no record kind {kind:?}"), hint);
            return PartialCheck { record, findings: vec![finding], not_checkable: Vec::new() };
        };
        let held: BTreeSet<FieldClass> = parts.keys().copied().collect();
        let mut findings = kind.place_findings(parts);
        if findings.is_empty() && !held.is_empty() {
            let projected = kind.projection(&held);
            findings = schema_findings(&projected, &record, &kind.tree);
        }
        let not_checkable = kind.run_rules(&record, &held, &mut findings);
        PartialCheck { record, findings, not_checkable }
    }
}

impl Kind {
    fn load(name: &'static str, text: &str, code_lists: &BTreeMap<String, String>) -> Self {
        let parse =
            |text| serde_json::from_str::<Value>(text).expect("build.rs has read the schema");
        let (schema, common) = (parse(text), parse(COMMON));
        let tree = tree::parse(&schema, &common).expect("build.rs has accepted the schema");
        let mut classes = BTreeSet::new();
        tree::leaves(&tree, "", &mut |_, leaf| {
            classes.insert(leaf.class);
            classes.extend(leaf.coarse.and(leaf.class.coarse()));
        });
        let everything = FieldClass::ALL.into_iter().collect();
        let whole = project(&tree, &everything).unwrap_or_default();
        let id = schema.get("$id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            name,
            id,
            digest: Sha256::new().chain_update(COMMON).chain_update(text).finalize().into(),
            tree,
            classes,
            code_lists: code_lists.clone(),
            whole: compile(&whole),
            projections: RwLock::default(),
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

    /// SHA-256 over the bytes of `common.v1.json` followed by those of the kind's schema.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
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
        RULES.iter().filter_map(|rule| {
            let mut classes = BTreeSet::new();
            tree::leaves(&self.tree, "", &mut |path, leaf| {
                let reads = match &rule.reads {
                    Reads::Checked(check) => leaf.check == Some(*check),
                    Reads::Paths(paths) => paths.contains(&path),
                };
                if reads {
                    classes.insert(leaf.class);
                }
            });
            (!classes.is_empty()).then_some((rule, classes))
        })
    }

    fn run_rules(
        &self,
        record: &Value,
        held: &BTreeSet<FieldClass>,
        findings: &mut Vec<Finding>,
    ) -> Vec<String> {
        let mut not_checkable = Vec::new();
        for (rule, classes) in self.rules() {
            if !classes.is_subset(held) {
                not_checkable.push(rule.id.to_owned());
            }
            match &rule.reads {
                // One identifier can be judged alone, wherever it can be seen.
                Reads::Checked(check) => {
                    walk(&self.tree, record, "", &mut |leaf, pointer, value| {
                        if leaf.check == Some(*check) && held.contains(&leaf.class) {
                            findings.extend(rule.identifier(*check, pointer, value));
                        }
                    })
                }
                Reads::Paths(_) if classes.is_subset(held) => rule.run(record, findings),
                Reads::Paths(_) => {}
            }
        }
        not_checkable
    }

    fn projection(&self, held: &BTreeSet<FieldClass>) -> Arc<Validator> {
        let known = self.projections.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = known.get(held) {
            return Arc::clone(validator);
        }
        drop(known);
        let validator = Arc::new(compile(&project(&self.tree, held).unwrap_or_default()));
        let mut known = self.projections.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(held.clone(), Arc::clone(&validator));
        validator
    }

    /// Whether each field is one that the kind has, in the class it came in, and each coarser
    /// value is that of its exact one.
    fn place_findings(&self, parts: &Parts) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut exact: HashMap<&str, &Value> = HashMap::new();
        for (class, fields) in parts {
            for field in fields {
                let right = leaf_at(&self.tree, &field.pointer).is_some_and(|leaf| {
                    leaf.class == *class
                        || leaf.coarse.is_some() && leaf.class.coarse() == Some(*class)
                });
                if !right {
                    let message = format!("no field of class {} stands here", class.as_str());
                    let hint = "the originator's node must use the schema that the register pins";
                    findings.push(Finding::error(
                        "field-out-of-place",
                        &field.pointer,
                        message,
                        hint,
                    ));
                }
                if class.coarse().is_some() {
                    exact.insert(&field.pointer, &field.value);
                }
            }
        }
        for coarse in [FieldClass::CoreCoarse, FieldClass::OperationalCoarse] {
            for field in parts.get(&coarse).into_iter().flatten() {
                let Some(value) = exact.get(field.pointer.as_str()) else { continue };
                let function = leaf_at(&self.tree, &field.pointer).and_then(|leaf| leaf.coarse);
                let expected = function.zip(value.as_str()).and_then(|(f, v)| f.apply(v));
                if field.value.as_str() != expected.as_deref() {
                    let message = "the coarser value is not that of the exact one".to_owned();
                    let hint =
                        "the originator showed two members two values; keep both as evidence";
                    let finding = Finding::error("coarse-mismatch", &field.pointer, message, hint);
                    findings.push(finding.with_value(&field.value));
                }
            }
        }
        findings
    }
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

    /// The record.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What somebody should look at.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// Its fields by class, coarser values in their own classes.
    pub fn split(&self) -> Parts {
        let mut parts = Parts::new();
        walk(&self.kind.tree, &self.value, "", &mut |leaf, pointer, value| {
            let mut put = |class, value| {
                let pointer = pointer.to_owned();
                parts.entry(class).or_default().push(Disclosure { pointer, value });
            };
            put(leaf.class, value.clone());
            let coarser = leaf.coarse.zip(value.as_str()).and_then(|(f, exact)| f.apply(exact));
            if let Some((class, coarser)) = leaf.class.coarse().zip(coarser) {
                put(class, Value::String(coarser));
            }
        });
        for fields in parts.values_mut() {
            fields.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        }
        parts
    }
}

/// Calls `visit` for each field that is there.
fn walk(node: &Node, value: &Value, pointer: &str, visit: &mut dyn FnMut(&Leaf, &str, &Value)) {
    match (node, value) {
        (Node::Object(properties), Value::Object(fields)) => {
            for (name, field) in fields {
                if let Some((child, _)) = properties.get(name) {
                    walk(child, field, &format!("{pointer}/{name}"), visit);
                }
            }
        }
        (Node::Array { items, .. }, Value::Array(values)) => {
            for (i, item) in values.iter().enumerate() {
                walk(items, item, &format!("{pointer}/{i}"), visit);
            }
        }
        (Node::Leaf(leaf), value) => visit(leaf, pointer, value),
        _ => {}
    }
}

fn leaf_at<'t>(tree: &'t Node, pointer: &str) -> Option<&'t Leaf> {
    let mut node = tree;
    for segment in segments(pointer)? {
        node = match node {
            Node::Object(properties) => &properties.get(&segment)?.0,
            Node::Array { items, max } => {
                let max = usize::try_from(*max).unwrap_or(usize::MAX);
                index(&segment).filter(|i| *i < max)?;
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

/// The schema of what a holder of these classes sees; `None` where there is nothing to see.
fn project(node: &Node, held: &BTreeSet<FieldClass>) -> Option<Value> {
    match node {
        Node::Leaf(leaf) if held.contains(&leaf.class) => Some(Value::Object(leaf.schema.clone())),
        Node::Leaf(leaf) => {
            let coarse = leaf.coarse?;
            held.contains(&leaf.class.coarse()?)
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
            let whole = FieldClass::ALL.iter().all(|class| held.contains(class));
            let least = u8::from(whole);
            (!shown.is_empty()).then(|| {
                json!({
                    "type": "object", "properties": shown, "required": required,
                    "additionalProperties": false, "minProperties": least,
                })
            })
        }
    }
}

/// Whether something of a node that is there is certain to be seen with these classes.
fn certain(node: &Node, held: &BTreeSet<FieldClass>) -> bool {
    match node {
        // A field that every holder of the whole sees; a coarser one stands for its exact one.
        Node::Leaf(leaf) => {
            let coarse = leaf.coarse.and(leaf.class.coarse());
            held.contains(&leaf.class) || coarse.is_some_and(|class| held.contains(&class))
        }
        Node::Array { items, .. } => certain(items, held),
        Node::Object(properties) => {
            let whole = FieldClass::ALL.iter().all(|class| held.contains(class));
            whole || properties.values().any(|(child, required)| *required && certain(child, held))
        }
    }
}

fn compile(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).expect("a schema made of checked keywords compiles")
}

fn schema_findings(validator: &Validator, record: &Value, tree: &Node) -> Vec<Finding> {
    // The common case costs one pass without building errors.
    if validator.is_valid(record) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for error in validator.iter_errors(record) {
        let at = error.instance_path().to_string();
        let title = leaf_at(tree, &at).map(|leaf| leaf.title.as_str()).unwrap_or("this place");
        let mut add = |code: &str, pointer: String, message: String, hint: String| {
            let finding = Finding::error(code, &pointer, message, &hint);
            findings.push(match record.pointer(&pointer) {
                Some(value) => finding.with_value(value),
                None => finding,
            });
        };
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let hint = format!("add {name}");
                add("required", format!("{at}/{name}"), format!("{name} is missing"), hint);
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                for name in unexpected {
                    let hint = "leave it out, or see the data dictionary for its name".to_owned();
                    let message = format!("the kind has no field {name:?} here");
                    add("unknown-field", format!("{at}/{name}"), message, hint);
                }
            }
            ValidationErrorKind::Enum { options } => {
                let message = format!("{title} has no such code");
                add("not-in-code-list", at, message, format!("one of {options}"));
            }
            ValidationErrorKind::Pattern { pattern } => {
                let message = format!("{title} is not of its form");
                add("wrong-form", at, message, format!("write it as {pattern}"));
            }
            ValidationErrorKind::Type { .. } => {
                let hint = "quantities and codes are texts, counts are integers".to_owned();
                add("wrong-type", at, format!("{title} is of another type"), hint);
            }
            other => {
                let code = format!("schema-{}", other.keyword().to_lowercase());
                add(&code, at, format!("{title}: {error}"), "see the schema".to_owned());
            }
        }
    }
    findings
}
