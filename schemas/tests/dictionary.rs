//! The data dictionary, `docs/dictionary`: one page a record kind and one of the rules, written
//! from the schemas and the examples and never by hand.
//!
//! A page that is not what the schemas say fails; `SEALWIRE_WRITE_DICTIONARY=1` writes them anew.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sealwire_schemas::{Language, Rule, Standard, parse_json, rules};
use serde_json::Value;

/// Longest list of codes that a row shows whole.
const MAX_CODES: usize = 40;
/// Longest example that a row shows.
const MAX_EXAMPLE: usize = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &Path) -> Value {
    parse_json(&fs::read(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn schema(name: &str) -> Value {
    read(&root().join("json").join(format!("{name}.v1.json")))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// One field, as the schema and its shared definition together describe it.
struct Field {
    path: String,
    required: bool,
    says: BTreeMap<String, Value>,
}

impl Field {
    fn get(&self, key: &str) -> &str {
        self.says.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Collects the fields below a place, in the order of the schema.
fn collect(common: &Value, place: &Value, path: &str, required: bool, found: &mut Vec<Field>) {
    let mut says: BTreeMap<String, Value> = BTreeMap::new();
    if let Some(name) = place["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        says.extend(common["$defs"][name].as_object().unwrap().clone());
    }
    // What stands beside a reference is said of this place, and goes before.
    says.extend(place.as_object().unwrap().clone());
    if let Some(items) = says.get("items") {
        return collect(common, &items.clone(), &format!("{path}/*"), required, found);
    }
    let Some(properties) = says.get("properties").cloned() else {
        found.push(Field { path: path.to_owned(), required, says });
        return;
    };
    let must: BTreeSet<&str> = says
        .get("required")
        .into_iter()
        .flat_map(|r| r.as_array().unwrap())
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in properties.as_object().unwrap() {
        let path = format!("{path}/{name}");
        collect(common, property, &path, must.contains(name.as_str()), found);
    }
}

/// The values that the examples have at a path.
fn values<'a>(record: &'a Value, path: &str, found: &mut Vec<&'a Value>) {
    let Some((first, rest)) = path.trim_start_matches('/').split_once('/') else {
        let last = path.trim_start_matches('/');
        match record {
            Value::Array(items) if last == "*" => found.extend(items),
            other => found.extend(other.get(last)),
        }
        return;
    };
    match record {
        Value::Array(items) if first == "*" => items.iter().for_each(|i| values(i, rest, found)),
        other => other.get(first).into_iter().for_each(|v| values(v, rest, found)),
    }
}

fn example(records: &[Value], path: &str) -> String {
    let mut found = Vec::new();
    records.iter().for_each(|record| values(record, path, &mut found));
    let Some(value) = found.first() else { return String::new() };
    let shown = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let short: String = shown.chars().take(MAX_EXAMPLE).collect();
    let more = if short.len() < shown.len() { "…" } else { "" };
    format!("`{}{more}`", cell(&short).replace('`', "'"))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// What values a field may have.
fn form(field: &Field) -> String {
    if let Some(value) = field.says.get("const") {
        return format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    if let Some(codes) = field.says.get("enum").and_then(Value::as_array) {
        let shown = codes.iter().take(MAX_CODES).filter_map(Value::as_str);
        let shown: Vec<String> = shown.map(|code| format!("`{code}`")).collect();
        return shown.join(", ");
    }
    let mut parts = vec![field.get("type").to_owned()];
    if let Some(check) = field.says.get("x-check").and_then(Value::as_str) {
        parts.push(format!("checked as {check}"));
    }
    if let Some(max) = field.says.get("maxLength") {
        parts.push(format!("at most {max} characters"));
    }
    if let Some(pattern) = field.says.get("pattern").and_then(Value::as_str) {
        parts.push(format!("`{}`", cell(pattern)));
    }
    parts.join("; ")
}

/// How a page says which fields a full record states.
const FULL: &str = "\n\nThe minimal profile is the fields that every record must have; a record of \
                    the full profile also states the fields marked ◆, which other laboratories \
                    and analysts would otherwise ask back for.";

fn page(kind: &str, common: &Value, records: &[Value]) -> String {
    let schema = schema(kind);
    let full = schema["x-full"].as_array().cloned().unwrap_or_default();
    let mut fields = Vec::new();
    collect(common, &schema, "", true, &mut fields);
    let mut page = format!(
        "# {} / {}\n\nRecord kind `{kind}`, version 1. Schema: \
         [`{kind}.v1.json`](../../schemas/json/{kind}.v1.json), id `{}`.\n\nA class followed by → \
         shows the class of the coarser value made from the field. **Bold** fields are required \
         where the object that holds them is there; `*` is any item of a list.{}\n\n\
         | field | meaning / *signification* | class | WCO, TDED | form | example |\n\
         |---|---|---|---|---|---|\n",
        text(&schema, "title"),
        text(&schema, "x-title-fr"),
        text(&schema, "$id"),
        if full.is_empty() { "" } else { FULL },
    );
    for field in &fields {
        let mut path =
            if field.required { format!("**{}**", field.path) } else { field.path.clone() };
        if full.contains(&Value::from(field.path.as_str())) {
            path.push_str(" ◆");
        }
        let class = match (field.get("x-class"), field.get("x-coarse")) {
            (class, "") => class.to_owned(),
            (class, coarse) => format!("{class} → {class}.coarse ({coarse})"),
        };
        let ids = [field.get("x-wco-id"), field.get("x-tded")];
        let ids: Vec<&str> = ids.into_iter().filter(|id| !id.is_empty()).collect();
        writeln!(
            page,
            "| {path} | {}: {} / *{}: {}* | {class} | {} | {} | {} |",
            cell(field.get("title")),
            cell(field.get("description")),
            cell(field.get("x-title-fr")),
            cell(field.get("x-description-fr")),
            ids.join(", "),
            form(field),
            example(records, &field.path),
        )
        .unwrap();
    }
    page
}

/// The kinds that a rule applies to, as links.
fn kinds_of(id: &str) -> String {
    let all: Vec<&str> = Standard::v1().kinds().map(|kind| kind.name()).collect();
    let of: Vec<&str> = Standard::v1()
        .kinds()
        .filter(|kind| kind.rules().any(|(rule, _)| rule.id == id))
        .map(|kind| kind.name())
        .collect();
    if of.len() == all.len() {
        return "all".to_owned();
    }
    let links: Vec<String> = of.iter().map(|kind| format!("[`{kind}`]({kind}.md)")).collect();
    links.join(", ")
}

fn rules_page() -> String {
    let mut page = "# Rules / Règles / Aturan\n\nWhat a schema cannot say. A rule that reads a \
                    field that a holder cannot open says `not-checkable`, never pass. A number \
                    stays with its rule; the number of a rule that is given up is not used \
                    again.\n\nThe message of a finding is the rule, and after a colon what breaks \
                    it.\n\n| number | rule | severity | asks | *demande* | *meminta* | kinds |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut all: Vec<&Rule> = rules().collect();
    all.sort_by_key(|rule| rule.number);
    for rule in all {
        let severity = serde_json::to_value(rule.severity).unwrap();
        let ask = |language: Language| {
            let [text, hint] = [&rule.text, &rule.hint].map(|w| cell(w.in_language(language)));
            format!("{text}. → {hint}")
        };
        let [en, fr, id] = Language::ALL.map(ask);
        let severity = severity.as_str().unwrap();
        let kinds = kinds_of(rule.id);
        let (number, name) = (rule.number, rule.id);
        writeln!(page, "| {number} | `{name}` | {severity} | {en} | *{fr}* | *{id}* | {kinds} |")
            .unwrap();
    }
    page
}

fn index(kinds: &[&str]) -> String {
    let mut page = "# Data dictionary\n\nWritten from `schemas/json` and `schemas/examples` by \
                    `schemas/tests/dictionary.rs`; a page that is out of date fails the tests. \
                    Element names and ids are those of the WCO Data Model and of UN/TDED where \
                    they exist; the wording is this project's.\n\n| kind | |\n|---|---|\n"
        .to_owned();
    for kind in kinds {
        let schema = schema(kind);
        let titles = (text(&schema, "title"), text(&schema, "x-title-fr"));
        writeln!(page, "| [`{kind}`]({kind}.md) | {} / *{}* |", titles.0, titles.1).unwrap();
    }
    page.push_str("\nSemantic rules: [rules.md](rules.md).\n");
    page
}

#[test]
fn the_dictionary_says_what_the_schemas_say() {
    let common = schema("common");
    let mut examples: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    for record in files.iter().map(|path| read(path)) {
        examples.entry(text(&record, "kind").to_owned()).or_default().push(record);
    }
    let kinds: Vec<&str> = Standard::v1().kinds().map(|kind| kind.name()).collect();
    let mut pages = BTreeMap::from([
        ("README.md".to_owned(), index(&kinds)),
        ("rules.md".to_owned(), rules_page()),
    ]);
    for kind in &kinds {
        let records = examples.get(*kind).map(Vec::as_slice).unwrap_or_default();
        pages.insert(format!("{kind}.md"), page(kind, &common, records));
    }
    let dir = root().join("../docs/dictionary");
    if std::env::var_os("SEALWIRE_WRITE_DICTIONARY").is_some() {
        fs::create_dir_all(&dir).unwrap();
        pages.iter().for_each(|(name, page)| fs::write(dir.join(name), page).unwrap());
    }
    let there: BTreeSet<String> = fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, pages.keys().cloned().collect(), "pages in docs/dictionary");
    for (name, page) in pages {
        let written = fs::read_to_string(dir.join(&name)).unwrap();
        let hint = "run with SEALWIRE_WRITE_DICTIONARY=1";
        assert!(written == page, "docs/dictionary/{name} is out of date (hint: {hint})");
    }
}
