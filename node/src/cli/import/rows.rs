//! From the cells of a row to a record, and from a finding back to its cell.
//!
//! Knows nothing of files and nodes.

use std::collections::HashMap;

use anyhow::ensure;
use sealwire_schemas::{Finding, Language, Severity, Standard};
use serde_json::{Map, Value};

use super::profile::Target;

/// Most columns of a table.
pub const MAX_COLUMNS: usize = 1000;

/// What separates the items of a list in one cell.
const ITEMS: char = ';';

/// One column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its place, from 0.
    pub at: usize,
    /// What its head says.
    pub header: String,
    /// The field that it fills; a last `*` is for a list in one cell.
    pub target: Target,
}

/// A text on its way into a record.
#[derive(Debug)]
pub struct Cell<'a> {
    /// The field that it fills.
    pub target: &'a Target,
    /// Its pointer; a last `*` is for a list in one text.
    pub pointer: &'a str,
    /// The text.
    pub text: &'a str,
    /// Where it stands.
    pub place: Place<'a>,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The row of a table, counted as a spreadsheet does, or the line of an XML file.
    pub row: u64,
    /// The column, from 0; none in an XML file.
    pub at: Option<usize>,
    /// The head of the column, or the path of the element.
    pub name: &'a str,
}

/// Something wrong with a record.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Fault {
    /// The row of a table, counted as a spreadsheet does (the head is row 1), or the line of an
    /// XML file.
    pub row: u64,
    /// The column, from 0; none if the row as a whole is at fault.
    #[serde(skip)]
    pub at: Option<usize>,
    /// The column's letters.
    pub column: Option<String>,
    /// What its head says, or the path of the element.
    pub header: Option<String>,
    /// Stable code.
    pub code: String,
    /// What is wrong, and how to mend it.
    pub text: String,
}

impl Fault {
    /// Of a record as a whole.
    pub fn whole(row: u64, code: &str, text: String) -> Self {
        Self { row, at: None, column: None, header: None, code: code.to_owned(), text }
    }

    fn of(place: Place<'_>, code: &str, text: String) -> Self {
        Self {
            row: place.row,
            at: place.at,
            column: place.at.map(letters),
            header: Some(place.name.to_owned()),
            code: code.to_owned(),
            text,
        }
    }
}

/// The letters of a column: A to Z, then AA.
pub fn letters(at: usize) -> String {
    let mut letters = String::new();
    let mut left = at + 1;
    while left > 0 {
        let digit = u8::try_from((left - 1) % 26).unwrap_or(0);
        letters.insert(0, char::from(b'A' + digit));
        left = (left - 1) / 26;
    }
    letters
}

/// Builds the record of a row and checks it; a cell that is empty leaves its field out.
pub fn row(
    constants: &Map<String, Value>,
    columns: &[Column],
    row: u64,
    cells: &csv::StringRecord,
    language: Language,
) -> Result<Value, Vec<Fault>> {
    let cells = columns.iter().map(|column| Cell {
        target: &column.target,
        pointer: &column.target.pointer,
        text: cells.get(column.at).unwrap_or_default(),
        place: Place { row, at: Some(column.at), name: &column.header },
    });
    record(constants, cells, row, language)
}

/// Builds a record of texts and checks it. `whole` is where the record as a whole stands.
pub fn record<'a>(
    constants: &Map<String, Value>,
    cells: impl Iterator<Item = Cell<'a>>,
    whole: u64,
    language: Language,
) -> Result<Value, Vec<Fault>> {
    let mut builder = Builder::default();
    let mut faults = Vec::new();
    for (pointer, value) in constants {
        builder.put(pointer, value.clone());
    }
    let mut filled: Vec<(String, Place<'_>)> = Vec::new();
    for cell in cells {
        let text = cell.text.trim();
        if text.is_empty() {
            continue;
        }
        let list = cell.pointer.strip_suffix('*');
        let items: Vec<&str> =
            if list.is_some() { text.split(ITEMS).collect() } else { vec![text] };
        for (i, item) in items.into_iter().enumerate() {
            match cell.target.value(item.trim()) {
                Ok(value) => {
                    let pointer =
                        list.map_or_else(|| cell.pointer.to_owned(), |l| format!("{l}{i}"));
                    for (pointer, value) in cell.target.along(&pointer) {
                        builder.put(&pointer, value.clone());
                    }
                    filled.push((builder.put(&pointer, value), cell.place));
                }
                Err(cause) => faults.push(Fault::of(cell.place, "wrong-type", cause.to_string())),
            }
        }
    }
    match Standard::v1().accept(builder.record) {
        Ok(valid) if faults.is_empty() => Ok(valid.into_value()),
        Ok(_) => Err(faults),
        Err(findings) => {
            let errors = findings.iter().filter(|f| f.severity == Severity::Error);
            let told = errors.map(|finding| finding.in_language(language));
            faults.extend(told.map(|finding| fault_of(whole, &finding, &filled)));
            Err(faults)
        }
    }
}

/// The cell that a finding is about: the one that filled the place, or one below it.
fn fault_of(whole: u64, finding: &Finding, filled: &[(String, Place<'_>)]) -> Fault {
    let at = finding.pointer.as_str();
    let exact = filled.iter().find(|(pointer, _)| pointer == at);
    let below = || {
        filled
            .iter()
            .find(|(pointer, _)| pointer.strip_prefix(at).is_some_and(|r| r.starts_with('/')))
    };
    let text = format!("{at}: {} (hint: {})", finding.message, finding.hint);
    match exact.or_else(|| below().filter(|_| !at.is_empty())) {
        Some((_, place)) => Fault::of(*place, &finding.code, text),
        None => Fault::whole(whole, &finding.code, text),
    }
}

/// Puts values into their places. Items of a list that a row leaves out leave no hole: those that
/// follow move up. Pointers are those of one schema: no place is a list and an object.
#[derive(Default)]
struct Builder {
    record: Value,
    moved: HashMap<String, usize>,
}

impl Builder {
    /// Puts a value and gives the pointer at which it came to stand.
    fn put(&mut self, pointer: &str, value: Value) -> String {
        let (mut wanted, mut at) = (String::new(), String::new());
        let mut place = &mut self.record;
        for segment in pointer.split('/').skip(1) {
            wanted.push('/');
            wanted.push_str(segment);
            if segment.bytes().all(|b| b.is_ascii_digit()) {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let Value::Array(items) = place else { return at };
                let index = *self.moved.entry(wanted.clone()).or_insert(items.len());
                if index >= items.len() {
                    items.push(Value::Null);
                }
                at.push_str(&format!("/{index}"));
                let last = items.len().saturating_sub(1);
                let Some(item) = items.get_mut(index.min(last)) else { return at };
                place = item;
            } else {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                let Value::Object(fields) = place else { return at };
                at.push('/');
                at.push_str(segment);
                place = fields.entry(segment).or_insert(Value::Null);
            }
        }
        *place = value;
        at
    }
}

/// Checks that no two columns fill the same field.
pub fn distinct(columns: &[Column]) -> anyhow::Result<()> {
    let mut seen: HashMap<&str, &Column> = HashMap::new();
    for column in columns {
        if let Some(earlier) = seen.insert(&column.target.pointer, column) {
            let (a, b) = (letters(earlier.at), letters(column.at));
            ensure!(false, "columns {a} and {b} both fill {}", column.target.pointer);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::profile::Mapping;
    use super::*;

    #[test]
    fn columns_are_lettered_as_a_spreadsheet_does() {
        let named: Vec<String> = [0, 25, 26, 51, 52, 701, 702].map(letters).into();
        assert_eq!(named, ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }

    #[test]
    fn an_item_left_out_of_a_list_leaves_no_hole() {
        let mut builder = Builder::default();
        assert_eq!(
            builder.put("/goodsItem/2/found/description", json!("b")),
            "/goodsItem/0/found/description"
        );
        assert_eq!(builder.put("/goodsItem/2/category", json!("DRG")), "/goodsItem/0/category");
        assert_eq!(builder.put("/goodsItem/5/category", json!("NPS")), "/goodsItem/1/category");
        let expected = json!({"goodsItem": [
            {"found": {"description": "b"}, "category": "DRG"}, {"category": "NPS"}]});
        assert_eq!(builder.record, expected);
    }

    #[test]
    fn a_bad_cell_is_named_by_row_and_column() {
        let kind = Standard::v1().kind("seizure-notice").unwrap();
        let column = |at, header: &str, pointer: &str| {
            let target = Mapping::Field(pointer.to_owned()).target(kind)?;
            anyhow::Ok(Column { at, header: header.to_owned(), target })
        };
        let columns = [
            column(0, "Issued", "/issueDate").unwrap(),
            column(1, "Found HS", "/goodsItem/0/found/classificationId").unwrap(),
        ];
        let constants = Map::from_iter([("/kind".to_owned(), json!("seizure-notice"))]);
        let cells = csv::StringRecord::from(vec!["2020-07-02", "771234"]);
        let faults = row(&constants, &columns, 7, &cells, Language::En).unwrap_err();
        let hs = faults.iter().find(|f| f.code == "hs-structure").unwrap();
        assert_eq!(
            (hs.row, hs.column.as_deref(), hs.header.as_deref()),
            (7, Some("B"), Some("Found HS"))
        );
        assert!(
            faults.iter().any(|f| f.column.is_none()),
            "what is missing has no cell: {faults:?}"
        );
        let unknown = column(2, "X", "/nowhere").unwrap_err().to_string();
        assert!(unknown.contains("/nowhere"), "{unknown}");
    }

    proptest! {
        #[test]
        fn no_row_panics_and_what_is_put_is_found_at_the_pointer_given(
            pointers in prop::collection::vec("/[a-c]/[0-9]{1,2}/[d-f]", 1..8),
        ) {
            let mut builder = Builder::default();
            if let Some((last, first)) = pointers.split_last() {
                first.iter().for_each(|p| { builder.put(p, json!("x")); });
                let at = builder.put(last, json!("last"));
                prop_assert_eq!(builder.record.pointer(&at), Some(&json!("last")));
            }
        }
    }
}
