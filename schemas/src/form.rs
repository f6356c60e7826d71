//! The form of a record: a kind's schema as a whole, or projected to some classes, and what a
//! validator says of a record in words that help to mend it.

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use crate::class::{Classes, FieldClass};
use crate::finding::Finding;
use crate::kind::leaf_at;
use crate::tree::{Leaf, Node};

/// The validator of what a holder of these classes sees.
pub fn validator(tree: &Node, held: Classes) -> Validator {
    let schema = project(tree, held).unwrap_or_else(|| json!({ "maxProperties": 0 }));
    jsonschema::validator_for(&schema).expect("a schema made of checked keywords compiles")
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
    // The common case costs one pass without building errors.
    if validator.is_valid(record) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for error in validator.iter_errors(record) {
        let at = error.instance_path().to_string();
        let title = leaf_at(tree, &at).map_or("this place", |leaf| leaf.title.as_str());
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
                    let segment = name.replace('~', "~0").replace('/', "~1");
                    add("unknown-field", format!("{at}/{segment}"), message, hint);
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
