//! Profiles: how much of a case a record states.
//!
//! The minimal profile is what the schema requires, so every valid record has it; it is what an
//! officer can send within a minute. The full profile adds the fields that the schema lists as
//! `x-full`: what another laboratory or a risk analyst would otherwise have to ask back for.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::finding::{Finding, Severity};
use crate::kind::{Kind, leaf_at};
use crate::language::{say, words};
use crate::tree::Node;

/// How much of a case a record states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What the schema requires.
    Minimal,
    /// With what recipients would otherwise ask for.
    Full,
}

/// A word that names no profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownProfile(String);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown profile {:?} (hint: minimal or full)", self.0)
    }
}

impl std::error::Error for UnknownProfile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        match text {
            "minimal" => Ok(Self::Minimal),
            "full" => Ok(Self::Full),
            other => Err(UnknownProfile(other.to_owned())),
        }
    }
}

/// The fields of a schema's full profile, if it has one; list items have the segment `*`.
pub fn full(schema: &Value, tree: &Node) -> Result<Vec<String>, String> {
    let Some(listed) = schema.get("x-full") else { return Ok(Vec::new()) };
    let listed = listed.as_array().ok_or("x-full: not a list")?;
    let pointers = listed.iter().map(|pointer| {
        let pointer = pointer.as_str().ok_or("x-full: not a list of texts")?;
        let field = leaf_at(tree, &pointer.replace('*', "0"));
        field.map(|_| pointer.to_owned()).ok_or(format!("x-full: {pointer} is no field"))
    });
    pointers.collect()
}

impl Kind {
    /// Whether the kind tells a full record from a minimal one.
    pub fn has_full_profile(&self) -> bool {
        !self.full.is_empty()
    }

    /// What a valid record lacks for a profile; a list lacks a field once for each item that has
    /// not got it. Only ever something for the full profile of a kind that has one.
    pub fn lacking(&self, record: &Value, profile: Profile) -> Vec<Finding> {
        let mut lacking = Vec::new();
        if profile == Profile::Full {
            for pointer in &self.full {
                let path: Vec<&str> = pointer.split('/').skip(1).collect();
                descend(record, &path, String::new(), &mut lacking);
            }
        }
        lacking.iter().map(|at| self.finding(at)).collect()
    }

    fn finding(&self, at: &str) -> Finding {
        let [en, fr] = match leaf_at(&self.tree, &at.replace('*', "0")) {
            Some(leaf) => leaf.title.clone(),
            None => [at.to_owned(), at.to_owned()],
        };
        let id = at.rsplit('/').find(|s| *s != "*").unwrap_or_default().to_owned();
        let message = say!(
            "{en}: a full record states it",
            "{fr} : un enregistrement complet l'indique",
            "{id}: data lengkap mencantumkannya",
        );
        let hint = words(
            "add it, or send the record with the minimal profile",
            "l'ajouter, ou transmettre l'enregistrement au profil minimal",
            "tambahkan, atau kirim data dengan profil minimal",
        );
        let mut finding = Finding::error("not-in-profile", at, message, hint);
        finding.severity = Severity::Warning;
        finding
    }
}

/// Every place below `value` where `path` goes nowhere.
fn descend(value: &Value, path: &[&str], at: String, lacking: &mut Vec<String>) {
    let Some((first, rest)) = path.split_first() else { return };
    match (value, *first) {
        (Value::Array(items), "*") => {
            for (i, item) in items.iter().enumerate() {
                descend(item, rest, format!("{at}/{i}"), lacking);
            }
        }
        (Value::Object(fields), name) if fields.contains_key(name) => {
            descend(
                fields.get(name).unwrap_or(&Value::Null),
                rest,
                format!("{at}/{name}"),
                lacking,
            );
        }
        _ => lacking.push(format!("{at}/{}", path.join("/"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_full_profile_names_fields_that_exist() {
        let common = json!({"$defs": {}});
        let schema = |full: Value| {
            json!({
                "type": "object", "title": "K", "x-title-fr": "K", "additionalProperties": false,
                "minProperties": 1, "x-full": full, "properties": {"list": {
                    "type": "array", "minItems": 1, "maxItems": 3, "items": {
                        "type": "integer", "title": "A", "x-title-fr": "A", "description": "B",
                        "x-description-fr": "B", "x-class": "core"}}},
            })
        };
        for (listed, right) in [
            (json!(["/list/*"]), true),
            (json!(["/list"]), false),
            (json!(["/other"]), false),
            (json!([1]), false),
            (json!("/list/*"), false),
        ] {
            let schema = schema(listed);
            let tree = crate::tree::parse(&schema, &common).unwrap();
            assert_eq!(full(&schema, &tree).is_ok(), right, "{}", schema["x-full"]);
        }
    }

    #[test]
    fn what_is_lacking_is_named_where_it_is_lacking() {
        let record = json!({"a": {"b": 1}, "list": [{"c": 1}, {"d": 2}]});
        let lacking = |pointer: &str| {
            let mut found = Vec::new();
            let path: Vec<&str> = pointer.split('/').skip(1).collect();
            descend(&record, &path, String::new(), &mut found);
            found
        };
        assert_eq!(lacking("/a/b"), [""; 0]);
        assert_eq!(lacking("/a/x"), ["/a/x"]);
        assert_eq!(lacking("/list/*/c"), ["/list/1/c"]);
        assert_eq!(lacking("/none/*/c"), ["/none/*/c"]);
        assert_eq!(lacking("/a/b/c"), ["/a/b/c"]);
    }
}
