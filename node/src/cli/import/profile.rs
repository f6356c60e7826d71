//! Mapping profiles: which column or element fills which field, and how its text is read.
//!
//! A profile is a data file (TOML). The fields are named by JSON pointer into the record kind; a
//! `*` in a pointer stands for an item of a list.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use sealwire_schemas::{Holds, Kind};
use serde::Deserialize;
use serde_json::Value;

/// Longest mapping profile, in bytes.
const MAX_PROFILE_BYTES: u64 = 1024 * 1024;

/// A mapping profile.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// The record kind.
    pub kind: Option<String>,
    /// What separates the cells of a CSV file; a comma if it is not said.
    pub separator: Option<char>,
    /// The name of the sheet of a workbook; the first if it is not said.
    pub sheet: Option<String>,
    /// The XML element that makes one record, such as `Declaration`.
    pub record: Option<String>,
    /// Fields that are the same in every record, by pointer.
    #[serde(default)]
    pub constant: BTreeMap<String, Value>,
    /// What each column fills, by what its head says.
    #[serde(default)]
    pub column: BTreeMap<String, Mapping>,
    /// What each XML element fills.
    #[serde(default)]
    pub element: Vec<Element>,
}

/// The field that a text fills: its pointer, or more about it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Mapping {
    /// The pointer alone.
    Field(String),
    /// With the form in which the text comes, or a table of its values.
    Detailed(Detail),
}

/// A field, and how texts for it are read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    field: String,
    #[serde(default)]
    form: Form,
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    with: BTreeMap<String, Value>,
}

/// An XML element or attribute that fills a field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Element {
    /// Local names from below the record's element, separated by `/`; `[]` after a name counts its
    /// occurrences for a `*` of the field; a last `@name` is an attribute.
    pub path: String,
    /// Number of the element in the WCO Data Model, which the field must have too if it has one.
    pub wco_id: Option<String>,
    field: String,
    #[serde(default)]
    form: Form,
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    with: BTreeMap<String, Value>,
}

/// How a text is written where it comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// As the standard wants it.
    #[default]
    AsIs,
    /// `20261231`, as format 102 of UN/EDIFACT 2379.
    DateYmd,
    /// `31.12.2026`, `31/12/2026` or `31-12-2026`.
    DateDmy,
    /// `12/31/2026`.
    DateMdy,
    /// `1.234,5` for 1234.5.
    DecimalComma,
    /// A code with blanks and dots for the eye, such as `3827.63`.
    Code,
    /// A tariff code of any length, of which the first six digits are the Harmonized System's.
    Hs,
}

/// The field that a text fills.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its pointer, with `*` where a list's items are counted.
    pub pointer: String,
    holds: Holds,
    form: Form,
    values: BTreeMap<String, String>,
    /// Fields that are filled along with it, such as the unit of a value.
    with: BTreeMap<String, Value>,
}

impl Profile {
    /// Reads a profile; its text too, which is part of what makes a row the same row.
    pub fn read(path: &Path) -> anyhow::Result<(String, Self)> {
        let shown = path.display();
        let mut text = String::new();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        file.take(MAX_PROFILE_BYTES)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {shown}"))?;
        let profile =
            toml::from_str(&text).with_context(|| format!("cannot read profile {shown}"))?;
        Ok((text, profile))
    }
}

impl Mapping {
    /// The field of a kind.
    pub fn target(self, kind: &Kind) -> anyhow::Result<Target> {
        match self {
            Self::Field(field) => {
                let (form, values, with) = Default::default();
                Target::new(kind, Detail { field, form, values, with })
            }
            Self::Detailed(detail) => Target::new(kind, detail),
        }
    }
}

impl Element {
    /// The field of a kind.
    pub fn target(&self, kind: &Kind) -> anyhow::Result<Target> {
        let Self { path, field, form, values, with, .. } = self.clone();
        let (counted, items) = (path.matches("[]").count(), field.matches('*').count());
        ensure!(
            counted == items,
            "element {path}: it counts {counted} names with [], and {field} has {items} of *"
        );
        let target = Target::new(kind, Detail { field, form, values, with })?;
        let known = kind.field(&target.pointer.replace('*', "0"));
        if let (Some(said), Some(id)) = (&self.wco_id, known.and_then(|field| field.wco_id)) {
            ensure!(
                said == id,
                "element {path}: it is said to be {said} of the WCO Data Model, and {} is {id}",
                target.pointer
            );
        }
        Ok(target)
    }
}

impl Target {
    fn new(kind: &Kind, detail: Detail) -> anyhow::Result<Self> {
        let Detail { field: pointer, form, values, with } = detail;
        let known = |pointer: &str| {
            let field = kind.field(&pointer.replace('*', "0"));
            field.ok_or_else(|| anyhow!("{} has no field {pointer}", kind.name()))
        };
        with.keys().try_for_each(|other| known(other).map(|_| ()))?;
        Ok(Self { holds: known(&pointer)?.holds, pointer, form, values, with })
    }

    /// The fields that are filled along with this one where it stands at `at`: each `*` of theirs
    /// is the item in which this one stands.
    pub fn along(&self, at: &str) -> Vec<(String, &Value)> {
        let items = self.pointer.split('/').zip(at.split('/'));
        let items: Vec<&str> = items.filter(|(name, _)| *name == "*").map(|(_, i)| i).collect();
        let place = |pointer: &String| {
            items.iter().fold(pointer.clone(), |pointer, item| pointer.replacen('*', item, 1))
        };
        self.with.iter().map(|(pointer, value)| (place(pointer), value)).collect()
    }

    /// The value that a text says, or why it says none.
    pub fn value(&self, text: &str) -> anyhow::Result<Value> {
        let text = match self.values.get(text) {
            Some(value) => value.clone(),
            None if !self.values.is_empty() => {
                let known: Vec<&str> = self.values.keys().map(String::as_str).collect();
                bail!("{text:?} is not in the profile's table (hint: one of {})", known.join(", "))
            }
            None => self.form.read(text)?,
        };
        let wrong = || {
            let wanted = match self.holds {
                Holds::Text => "text",
                Holds::Integer => "a whole number",
                Holds::Boolean => "yes or no",
            };
            anyhow!("{text:?} is not {wanted} (hint: correct it)")
        };
        match self.holds {
            Holds::Text => Ok(Value::from(text)),
            Holds::Integer => text.parse::<i64>().map(Value::from).map_err(|_| wrong()),
            Holds::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(Value::from(true)),
                "false" | "no" | "0" => Ok(Value::from(false)),
                _ => Err(wrong()),
            },
        }
    }
}

impl Form {
    /// The text as the standard wants it. A date that is so already stays.
    fn read(self, text: &str) -> anyhow::Result<String> {
        let digits = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_digit())
        };
        let date = |parts: [&str; 3], wanted: &str| {
            let [year, month, day] = parts;
            let known = digits(year, 4)
                && (1..=2).any(|n| digits(month, n))
                && (1..=2).any(|n| digits(day, n));
            ensure!(known, "{text:?} is not a date of the form {wanted} (hint: correct it)");
            Ok(format!("{year}-{month:0>2}-{day:0>2}"))
        };
        let parts: Vec<&str> = text.split(['.', '/', '-']).collect();
        match (self, parts.as_slice()) {
            (Self::DateYmd | Self::DateDmy | Self::DateMdy, [year, _, _]) if digits(year, 4) => {
                Ok(text.to_owned())
            }
            (Self::DateYmd, _) if text.len() != 8 => date(["", "", ""], "20261231"),
            (Self::DateYmd, _) => {
                let parts = (text.get(..4), text.get(4..6), text.get(6..));
                let (Some(year), Some(month), Some(day)) = parts else {
                    return date(["", "", ""], "20261231");
                };
                date([year, month, day], "20261231")
            }
            (Self::DateDmy, [day, month, year]) => date([year, month, day], "31.12.2026"),
            (Self::DateMdy, [month, day, year]) => date([year, month, day], "12/31/2026"),
            (Self::DateDmy, _) => date(["", "", ""], "31.12.2026"),
            (Self::DateMdy, _) => date(["", "", ""], "12/31/2026"),
            (Self::DecimalComma, _) => {
                let plain = text.replace([' ', '\u{a0}', '\u{202f}', '.'], "").replace(',', ".");
                let known = plain.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
                ensure!(known, "{text:?} is not a number like 1.234,5 (hint: correct it)");
                Ok(plain)
            }
            (Self::Code, _) => Ok(text.replace([' ', '.'], "")),
            (Self::Hs, _) => Ok(text.chars().filter(|c| !" .".contains(*c)).take(6).collect()),
            (Self::AsIs, _) => Ok(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_are_read_into_those_of_the_standard() {
        let cases = [
            (Form::DateYmd, "20261231", "2026-12-31"),
            (Form::DateYmd, "2026-12-31", "2026-12-31"),
            (Form::DateDmy, "1.2.2026", "2026-02-01"),
            (Form::DateDmy, "2026-02-01", "2026-02-01"),
            (Form::DateMdy, "12/31/2026", "2026-12-31"),
            (Form::DecimalComma, "1.234,50", "1234.50"),
            (Form::Code, "3827.63", "382763"),
            (Form::Hs, "3827 63 00 00", "382763"),
            (Form::AsIs, " x", " x"),
        ];
        for (form, text, read) in cases {
            assert_eq!(form.read(text).unwrap(), read, "{form:?}");
        }
        for (form, text) in [
            (Form::DateYmd, "2026123"),
            (Form::DateYmd, "2026année"),
            (Form::DateDmy, "yesterday"),
            (Form::DateMdy, "31-12"),
            (Form::DecimalComma, "about 5"),
        ] {
            assert!(form.read(text).is_err(), "{form:?} {text}");
        }
    }

    #[test]
    fn the_profiles_that_are_shipped_fit_their_kinds() {
        let standard = sealwire_schemas::Standard::v1();
        for text in [
            include_str!("../../../../deploy/import-seizures.example.toml"),
            include_str!("../../../../deploy/import-wco-declaration.example.toml"),
        ] {
            let profile: Profile = toml::from_str(text).unwrap();
            let kind = standard.kind(profile.kind.as_deref().unwrap()).unwrap();
            for mapping in profile.column.into_values() {
                mapping.target(kind).unwrap();
            }
            for element in profile.element {
                element.target(kind).unwrap();
            }
        }
    }

    #[test]
    fn an_element_that_is_said_to_be_another_of_the_data_model_is_refused() {
        let kind = sealwire_schemas::Standard::v1().kind("warning").unwrap();
        let text = "[[element]]\npath = \"A[]/ID\"\nwco-id = \"ID\"\n\
                    field = \"/consignment/transportEquipment/*/id\"\n";
        let refusal = |text: &str| {
            let profile: Profile = toml::from_str(text).unwrap();
            profile.element[0].target(kind).map(|_| ()).map_err(|e| e.to_string())
        };
        assert!(refusal(text).unwrap_err().contains("159"));
        let right = text.replace("\"ID\"", "\"159\"");
        assert_eq!(refusal(&right), Ok(()));
        assert!(refusal(&right.replace("[]", "")).unwrap_err().contains("counts 0 names"));
    }

    proptest! {
        #[test]
        fn no_text_in_any_form_panics(text in "\\PC{0,24}") {
            for form in [Form::DateYmd, Form::DateDmy, Form::DateMdy, Form::DecimalComma, Form::Code] {
                if let Ok(read) = form.read(&text) {
                    prop_assert!(read.len() <= text.len() + 4);
                }
            }
        }
    }
}
