//! The difference between two versions or drafts, for the people who decide whether to sign.
//!
//! It is taken from the signed documents value by value, so that nothing that is signed can change
//! without a line here, whatever a later profile adds to it. Keys of governors are told by their
//! seats and a member's keys by their thumbprints; the lists that only repeat them (`keys`,
//! `roles`) have been checked against the seats and are left out. Both documents are checked as
//! [`Draft::check`] does; whether they are signed is another question.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Draft, RegisterError};

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
    /// What changed, in the order of the document.
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
                (format!("{word} {id}"), rest.join(" "))
            }
            whole => ("register".to_owned(), whole.join(" ")),
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

impl std::fmt::Display for Difference {
    /// A heading for each subject, and a line for each of its values that changed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "version {} to version {}", self.from, self.to)?;
        if self.changes.is_empty() {
            return write!(f, ": no difference");
        }
        let mut subjects: BTreeMap<(usize, &str), Vec<&Change>> = BTreeMap::new();
        for (place, change) in self.changes.iter().enumerate() {
            let first = self.changes.iter().position(|c| c.subject == change.subject);
            let key = (first.unwrap_or(place), change.subject.as_str());
            subjects.entry(key).or_default().push(change);
        }
        for ((_, subject), changes) in subjects {
            write!(f, "\n{subject}")?;
            for change in changes {
                let field = if change.field.is_empty() { "" } else { "\n    " };
                write!(f, "{field}{}", change.field)?;
                match (&change.before, &change.after) {
                    (Some(before), Some(after)) => {
                        write!(f, ": {} -> {}", Plain(before), Plain(after))?
                    }
                    (Some(before), None) => write!(f, ": - {}", Plain(before))?,
                    (None, Some(after)) => write!(f, ": + {}", Plain(after))?,
                    (None, None) => {}
                }
            }
        }
        Ok(())
    }
}

/// A value on one line: texts without quotes, an object as its values by name.
struct Plain<'a>(&'a Value);

impl std::fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list =
            |f: &mut std::fmt::Formatter<'_>, parts: Vec<String>| f.write_str(&parts.join(", "));
        match self.0 {
            Value::String(text) => f.write_str(text),
            Value::Array(items) => {
                f.write_str("[")?;
                list(f, items.iter().map(|item| Plain(item).to_string()).collect())?;
                f.write_str("]")
            }
            Value::Object(object) => {
                f.write_str("{")?;
                list(f, object.iter().map(|(name, v)| format!("{name} {}", Plain(v))).collect())?;
                f.write_str("}")
            }
            other => write!(f, "{other}"),
        }
    }
}
