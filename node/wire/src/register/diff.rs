//! The difference between two versions or drafts, for the people who decide whether to sign.
//!
//! It is taken from the signed documents value by value, so that nothing that is signed can change
//! without a line here, whatever a later profile adds to it. Keys of governors are told by their
//! seats and a member's keys by their thumbprints; the lists that only repeat them (`keys`,
//! `roles`) have been checked against the seats and are left out. Both documents are checked as
//! [`Draft::check`] does; whether they are signed is another question.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Draft, RegisterError};

/// The subject of what belongs to the document itself.
const REGISTER: &str = "register";

/// One value that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// JSON pointer of the value below `signed`; a list's items stand for their positions.
    pub at: String,
    /// What it belongs to, such as `member AU`; `register` for the document itself.
    pub subject: String,
    /// Which of its values, such as `status`; empty if the whole came or went.
    pub field: String,
    /// The value before; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after; absent if there is none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// All changes from one document to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Version of the first.
    pub from: u64,
    /// Version of the second.
    pub to: u64,
    /// What changed: in the document itself, then by subject.
    pub changes: Vec<Change>,
}

/// What changed from `before` to `after`. Empty exactly if both have the same digest.
pub fn difference(before: &Draft, after: &Draft) -> Result<Difference, RegisterError> {
    let mut changes = Vec::new();
    let path = Path::default();
    compare(&path, Some(&document(before)?), Some(&document(after)?), &mut changes);
    if changes.is_empty() && before.digest() != after.digest() {
        let order = path.below("order of a list");
        let digest = |draft: &Draft| Value::from(draft.digest().to_string());
        changes.push(order.change(Some(&digest(before)), Some(&digest(after))));
    }
    // What concerns the document itself comes first.
    changes.sort_by_key(|change| change.subject != REGISTER);
    Ok(Difference { from: before.version(), to: after.version(), changes })
}

/// Where a value stands.
#[derive(Default, Clone)]
struct Path(Vec<String>);

impl Path {
    fn below(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }

    /// The pointer, and what the value is called.
    fn change(&self, before: Option<&Value>, after: Option<&Value>) -> Change {
        let escaped = |name: &String| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        let (subject, field) = match names.as_slice() {
            [list, id, rest @ ..] if let Some(word) = one_of(list) => {
                let value = match (*list, rest) {
                    ("seats", []) => "key".to_owned(),
                    ("codeLists", []) => "edition".to_owned(),
                    _ => rest.join(" "),
                };
                (format!("{word} {id}"), value)
            }
            whole => (REGISTER.to_owned(), whole.join(" ")),
        };
        Change {
            at: self.0.iter().map(escaped).collect(),
            subject,
            field,
            before: before.cloned(),
            after: after.cloned(),
        }
    }
}

/// What one item of a list of the document is called.
fn one_of(list: &str) -> Option<&'static str> {
    match list {
        "seats" => Some("governor"),
        "members" => Some("member"),
        "communities" => Some("community"),
        "schemas" => Some("schema"),
        "codeLists" => Some("code list"),
        _ => None,
    }
}

/// The signed values, each once, under the names by which people know them.
fn document(draft: &Draft) -> Result<Value, RegisterError> {
    draft.check()?;
    let signed = draft.signed();
    let mut document = match serde_json::to_value(&signed.sealwire) {
        Ok(Value::Object(document)) => document,
        _ => Map::new(),
    };
    document.insert("version".into(), signed.version.into());
    document.insert("expires".into(), signed.expires.as_str().into());
    document.insert("threshold".into(), signed.roles.root.threshold.into());
    for member in values(&mut document, "members") {
        if let Some(keys) = member.get_mut("keys") {
            *keys = by_name(keys.take(), "thumbprint");
        }
    }
    Ok(Value::Object(document))
}

fn values<'a>(
    object: &'a mut Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(name).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}

/// A list of objects as an object, each under the value that names it.
fn by_name(list: Value, name: &str) -> Value {
    let Value::Array(items) = list else { return list };
    let named = |mut item: Value| {
        let name = item.as_object_mut()?.remove(name)?;
        Some((name.as_str()?.to_owned(), item))
    };
    Value::Object(items.into_iter().filter_map(named).collect())
}

fn compare(path: &Path, before: Option<&Value>, after: Option<&Value>, to: &mut Vec<Change>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                compare(&path.below(name), before.get(name), after.get(name), to);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after)))
            if let (Some(old), Some(new)) = (texts(before), texts(after))
                && old != new =>
        {
            let gone = old.difference(&new).map(|text| path.change(Some(&(*text).into()), None));
            let come = new.difference(&old).map(|text| path.change(None, Some(&(*text).into())));
            to.extend(gone.chain(come));
        }
        (before, after) => to.push(path.change(before, after)),
    }
}

/// A list of texts as a set; nothing if it holds anything else, or a text twice.
fn texts(list: &[Value]) -> Option<BTreeSet<&str>> {
    let set: BTreeSet<&str> = list.iter().map(Value::as_str).collect::<Option<_>>()?;
    (set.len() == list.len()).then_some(set)
}

impl fmt::Display for Difference {
    /// A heading for each subject, and below it a line for each of its values that changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} to version {}", self.from, self.to)?;
        if self.changes.is_empty() {
            return write!(f, ": no difference");
        }
        let mut heading = "";
        for change in &self.changes {
            if change.subject != heading {
                heading = &change.subject;
                write!(f, "\n{heading}")?;
            }
            let mut lines = Vec::new();
            match (&change.before, &change.after) {
                (Some(before), Some(after)) => {
                    lines.push(format!("{}: {} -> {}", change.field, plain(before), plain(after)));
                }
                (Some(before), None) => whole('-', &change.field, before, &mut lines),
                (None, after) => {
                    after.iter().for_each(|after| whole('+', &change.field, after, &mut lines));
                }
            }
            for line in lines {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

/// A line for each value of something that came or went as a whole.
fn whole(sign: char, field: &str, value: &Value, lines: &mut Vec<String>) {
    let Value::Object(object) = value else {
        let gap = if field.is_empty() { "" } else { ": " };
        lines.push(format!("{sign} {field}{gap}{}", plain(value)));
        return;
    };
    let sorted: BTreeMap<_, _> = object.iter().collect();
    for (name, value) in sorted {
        let gap = if field.is_empty() { "" } else { " " };
        whole(sign, &format!("{field}{gap}{name}"), value, lines);
    }
}

/// A value on one line: texts without quotes, a list by its items.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
