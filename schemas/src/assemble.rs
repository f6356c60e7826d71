//! From opened fields back to a record.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::class::FieldClass;

/// Highest list index accepted in a pointer.
pub const MAX_INDEX: usize = 10_000;
/// Most list items built in all, gaps included.
const MAX_ITEMS: usize = 100_000;
/// Deepest pointer accepted.
pub const MAX_DEPTH: usize = 32;

/// One opened field.
#[derive(Debug, Clone, PartialEq)]
pub struct Disclosure {
    /// RFC 6901 pointer.
    pub pointer: String,
    /// A text, an integer or a boolean.
    pub value: Value,
}

/// Opened fields by class, each list ordered by pointer.
pub type Parts = BTreeMap<FieldClass, Vec<Disclosure>>;

/// Puts opened fields back in their places. An exact value stands before a coarser one at the
/// same place; list items of which nothing is open are empty objects; fields that contradict
/// each other's places are left out (they are findings of the check).
pub fn assemble(parts: &Parts) -> Value {
    let mut record = Value::Object(Map::new());
    let mut room = MAX_ITEMS;
    let coarse = |class: &FieldClass| {
        matches!(class, FieldClass::CoreCoarse | FieldClass::OperationalCoarse)
    };
    for wanted in [false, true] {
        for (_, fields) in parts.iter().filter(|(class, _)| coarse(class) == wanted) {
            for field in fields {
                place(&mut record, field, &mut room);
            }
        }
    }
    record
}

/// Puts a value at its place, unless something is there.
fn place(record: &mut Value, field: &Disclosure, room: &mut usize) {
    let Some(rest) = field.pointer.strip_prefix('/') else { return };
    if rest.split('/').count() > MAX_DEPTH {
        return;
    }
    let mut at = record;
    let mut rest = rest.split('/').peekable();
    while let Some(segment) = rest.next() {
        let next = rest.peek();
        let empty = || match next {
            None => field.value.clone(),
            Some(next) if index(next).is_some() => Value::Array(Vec::new()),
            Some(_) => Value::Object(Map::new()),
        };
        at = match at {
            Value::Object(fields) => {
                let name = unescaped(segment);
                if fields.contains_key(&*name) {
                    let Some(there) = fields.get_mut(&*name) else { return };
                    there
                } else {
                    fields.entry(name).or_insert(empty())
                }
            }
            Value::Array(items) => {
                let Some(i) = index(segment) else { return };
                while items.len() <= i {
                    if *room == 0 {
                        return;
                    }
                    *room -= 1;
                    items.push(Value::Object(Map::new()));
                }
                let Some(item) = items.get_mut(i) else { return };
                if item.as_object().is_some_and(Map::is_empty) {
                    *item = empty();
                }
                item
            }
            _ => return,
        };
    }
}

/// A pointer's segment as the name it stands for.
fn unescaped(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') {
        Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(segment)
    }
}

/// A list index in its one spelling.
pub fn index(segment: &str) -> Option<usize> {
    let spelling = segment == "0" || !segment.starts_with('0');
    let digits = segment.len() <= 5 && segment.bytes().all(|b| b.is_ascii_digit());
    let i: usize = segment.parse().ok().filter(|_| spelling && digits)?;
    (i <= MAX_INDEX).then_some(i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn field(pointer: &str, value: Value) -> Disclosure {
        Disclosure { pointer: pointer.into(), value }
    }

    #[test]
    fn gaps_in_lists_are_empty_objects_and_exact_stands_before_coarse() {
        let parts = Parts::from([
            (FieldClass::Core, vec![field("/a/1/b", json!("x")), field("/hs", json!("293972"))]),
            (FieldClass::CoreCoarse, vec![field("/hs", json!("2939"))]),
            (FieldClass::Open, vec![field("/list/0", json!("p")), field("/list/1", json!("q"))]),
        ]);
        let expected = json!({"a": [{}, {"b": "x"}], "hs": "293972", "list": ["p", "q"]});
        assert_eq!(assemble(&parts), expected);
    }

    #[test]
    fn hostile_indexes_take_no_memory() {
        let fields = (0..100)
            .map(|i| field(&format!("/l{i}/{MAX_INDEX}/x"), json!(1)))
            .chain([field("/l/99999999999/x", json!(1)), field("/l/01/x", json!(1))])
            .collect();
        let text = assemble(&Parts::from([(FieldClass::Core, fields)])).to_string();
        assert!(text.len() < 4 * MAX_ITEMS);
    }

    proptest! {
        #[test]
        fn arbitrary_pointers_never_panic(
            pointers in prop::collection::vec("(/[a-c0-3~]{0,3}){0,5}", 0..12)
        ) {
            let fields = pointers.iter().map(|p| field(p, json!(true))).collect();
            let _ = assemble(&Parts::from([(FieldClass::Core, fields)]));
        }
    }
}
