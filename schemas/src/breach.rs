//! How each rule that reads several fields finds its breaches. The functions take what is there:
//! a field of the wrong form is the schema's finding, not theirs.

pub mod chemistry;
pub mod edition;
pub mod exchange;
pub mod free_text;
pub mod handling;
pub mod laboratory;
pub mod proficiency;
pub mod reference;
pub mod shipment;
pub mod tariff;
pub mod time;
pub mod training;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::finding::Finding;

type Found = Vec<Finding>;

/// The field of an object that breaks a rule, and what shows it.
pub type Fault = (&'static str, String);

/// An object that a rule judges alone.
#[derive(Clone, Copy)]
pub struct Judged<'r> {
    /// Where objects like it stand, with `*` for list items.
    pub path: &'r str,
    /// The object.
    pub object: &'r Value,
}

/// Lists within lists that a path can cross.
const MAX_LISTS: usize = 4;

/// Where a value was found: a path, and the list items chosen for its `*`. Displays as pointer.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    path: &'p str,
    items: [usize; MAX_LISTS],
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = self.items.iter();
        self.path.split('/').skip(1).try_for_each(|segment| match segment {
            "*" => write!(f, "/{}", items.next().copied().unwrap_or_default()),
            name => write!(f, "/{name}"),
        })
    }
}

/// The values at a path with `*` for list items, each with its place.
pub fn select<'r, 'p>(record: &'r Value, path: &'p str) -> Vec<(Place<'p>, &'r Value)> {
    let mut found = Vec::new();
    let place = Place { path, items: [0; MAX_LISTS] };
    collect(record, path.get(1..).unwrap_or_default(), place, 0, &mut found);
    found
}

fn collect<'r, 'p>(
    value: &'r Value,
    rest: &str,
    mut place: Place<'p>,
    lists: usize,
    found: &mut Vec<(Place<'p>, &'r Value)>,
) {
    if rest.is_empty() {
        found.push((place, value));
        return;
    }
    let (segment, rest) = rest.split_once('/').unwrap_or((rest, ""));
    match (segment, value) {
        ("*", Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                if let Some(chosen) = place.items.get_mut(lists) {
                    *chosen = i;
                }
                collect(item, rest, place, lists + 1, found);
            }
        }
        (name, Value::Object(fields)) => {
            if let Some(field) = fields.get(name) {
                collect(field, rest, place, lists, found);
            }
        }
        _ => {}
    }
}

/// The values at a path that have stood there before.
fn repeated<'r, 'p>(record: &'r Value, path: &'p str) -> Vec<(Place<'p>, &'r Value)> {
    let mut met = BTreeSet::new();
    let all = select(record, path).into_iter();
    all.filter(|(_, value)| !met.insert(value.to_string())).collect()
}

/// Whether any value at a path fulfils a condition.
fn any(record: &Value, path: &str, holds: impl Fn(&Value) -> bool) -> bool {
    select(record, path).iter().any(|(_, value)| holds(value))
}

/// Whether there is any value at one of these paths.
fn some(record: &Value, paths: &[&str]) -> bool {
    paths.iter().any(|path| any(record, path, |_| true))
}

/// Whether any value at a path is this word.
fn says(record: &Value, path: &str, word: &str) -> bool {
    any(record, path, |value| value == word)
}

fn count(object: &Value, name: &str) -> Option<u64> {
    object.get(name).and_then(Value::as_u64)
}

/// Whether the first of two fields, both decimals, is more than the second.
fn more(object: &Value, first: &str, second: &str) -> bool {
    number(object, first).zip(number(object, second)).is_some_and(|(a, b)| a > b)
}

/// Counts that are more than the count that they are part of.
fn parts_over_whole(object: &Value, parts: &[&'static str], whole: &str) -> Vec<Fault> {
    let over = |part: &&'static str| {
        let (part, whole) = (count(object, part)?, count(object, whole)?);
        (part > whole).then(|| format!("{part} > {whole}"))
    };
    parts.iter().filter_map(|part| Some((*part, over(part)?))).collect()
}

/// The sum of counts.
fn sum(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

/// Counts as they are added up.
fn added(counts: &[u64]) -> String {
    counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" + ")
}

fn text<'r>(object: &'r Value, name: &str) -> Option<&'r str> {
    object.get(name).and_then(Value::as_str)
}

fn number(object: &Value, name: &str) -> Option<i128> {
    text(object, name).and_then(decimal)
}

/// A decimal text in units of 10^-9, exactly; the form allows 15 digits before the point.
fn decimal(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let form = (1..=15).contains(&whole.len()) && fraction.len() <= 9;
    if !form || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    Some(if negative { -value } else { value })
}

/// One in the last place of a decimal text, in units of 10^-9: what it is rounded to.
fn step(text: &str) -> i128 {
    let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    u32::try_from(places).ok().and_then(|n| 10_i128.checked_pow(9_u32.checked_sub(n)?)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selected_values_know_their_pointers() {
        let record = serde_json::json!({"a": [{"b": [1, 2]}, {"c": 3}, {"b": [4]}], "a/b": 5});
        let found = select(&record, "/a/*/b/*");
        let pointers: Vec<String> = found.iter().map(|(place, _)| place.to_string()).collect();
        assert_eq!(pointers, ["/a/0/b/0", "/a/0/b/1", "/a/2/b/0"]);
        assert!(found.iter().all(|(place, v)| record.pointer(&place.to_string()) == Some(*v)));
    }

    #[test]
    fn decimals_are_compared_exactly() {
        assert_eq!(decimal("0.5"), decimal("0.500000000"));
        assert!(decimal("0.500000001") > decimal("0.5"));
        assert!(decimal("-1") < decimal("0"));
        assert!(decimal("999999999999999.999999999") > decimal("999999999999999"));
        for bad in ["", "-", "1e5", "1.0000000001", "1234567890123456", ".5.", "+1"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}
