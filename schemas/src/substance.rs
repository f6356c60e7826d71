//! The small own table of substances: what customs laboratories meet and ask each other about, with
//! CAS number, InChIKey and subheading as far as a public source gives them; and the rule that a
//! record does not contradict it. Of a substance that is not in the table nothing is said.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::breach::select;
use crate::check;
use crate::finding::Finding;
use crate::rules::Rule;

const TABLE: &str = include_str!("../codes/substances.tsv");
/// The edition whose subheadings the table has.
const HS_EDITION: &str = "2022";
/// Where records name substances.
const PLACES: [&str; 6] = [
    "/substance/*",
    "/goodsItem/*/substance/*",
    "/suspectedGoods/*/substance/*",
    "/requestItem/*/analysis/substance/*",
    "/similarCase/*/substance/*",
    "/offered/*/substance",
];
/// The fields that the rule reads.
pub(crate) const READS: &[&str] = &[
    "/hsEdition",
    "/goodsItem/*/found/classificationId",
    "/goodsItem/*/substance/*/role",
    "/substance/*/commonName",
    "/substance/*/casNumber",
    "/substance/*/inchiKey",
    "/goodsItem/*/substance/*/commonName",
    "/goodsItem/*/substance/*/casNumber",
    "/goodsItem/*/substance/*/inchiKey",
    "/suspectedGoods/*/substance/*/commonName",
    "/suspectedGoods/*/substance/*/casNumber",
    "/suspectedGoods/*/substance/*/inchiKey",
    "/requestItem/*/analysis/substance/*/commonName",
    "/requestItem/*/analysis/substance/*/casNumber",
    "/requestItem/*/analysis/substance/*/inchiKey",
    "/similarCase/*/substance/*/commonName",
    "/similarCase/*/substance/*/casNumber",
    "/similarCase/*/substance/*/inchiKey",
    "/offered/*/substance/commonName",
    "/offered/*/substance/casNumber",
    "/offered/*/substance/inchiKey",
];

/// A substance of the table. What no public source supports is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Substance {
    /// International nonproprietary or common name.
    pub name: &'static str,
    /// CAS registry number.
    pub cas: Option<&'static str>,
    /// Standard InChIKey; without stereochemistry where the source gives none.
    pub inchi_key: Option<&'static str>,
    /// The structure of which the InChIKey is computed.
    pub smiles: Option<&'static str>,
    /// Subheading of edition 2022 whose legal text names the substance.
    pub hs: Option<&'static str>,
    /// Where the CAS number is from.
    pub cas_source: Option<&'static str>,
    /// Where the InChIKey, or the structure behind it, is from.
    pub inchi_key_source: Option<&'static str>,
    /// Where the subheading is from.
    pub hs_source: Option<&'static str>,
}

struct Index {
    rows: Vec<Substance>,
    by_name: HashMap<String, Substance>,
    by_cas: HashMap<&'static str, Substance>,
    by_inchi_key: HashMap<&'static str, Substance>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let rows: Vec<Substance> = TABLE.lines().skip(1).filter_map(row).collect();
    Index {
        by_name: rows.iter().map(|row| (row.name.to_lowercase(), *row)).collect(),
        by_cas: rows.iter().filter_map(|row| Some((row.cas?, *row))).collect(),
        by_inchi_key: rows.iter().filter_map(|row| Some((row.inchi_key?, *row))).collect(),
        rows,
    }
});

fn row(line: &'static str) -> Option<Substance> {
    let mut cells = line.split('\t').map(|cell| Some(cell).filter(|cell| !cell.is_empty()));
    Some(Substance {
        name: cells.next()??,
        cas: cells.next()?,
        inchi_key: cells.next()?,
        smiles: cells.next()?,
        hs: cells.next()?,
        cas_source: cells.next()?,
        inchi_key_source: cells.next()?,
        hs_source: cells.next()?,
    })
}

/// The whole table, by name.
pub fn substances() -> &'static [Substance] {
    &INDEX.rows
}

/// The substance of that name, in small or capital letters.
pub fn by_name(name: &str) -> Option<Substance> {
    INDEX.by_name.get(&name.trim().to_lowercase()).copied()
}

/// The substance with that CAS registry number.
pub fn by_cas(number: &str) -> Option<Substance> {
    INDEX.by_cas.get(number).copied()
}

/// The substance with exactly that InChIKey.
pub fn by_inchi_key(key: &str) -> Option<Substance> {
    INDEX.by_inchi_key.get(key).copied()
}

/// What a record says of one substance, as far as it is well formed.
struct Stated<'r> {
    name: Option<&'r str>,
    cas: Option<&'r str>,
    inchi_key: Option<&'r str>,
}

impl<'r> Stated<'r> {
    fn read(object: &'r Value) -> Self {
        Self {
            name: text(object, "commonName"),
            cas: text(object, "casNumber").filter(|number| check::cas(number)),
            inchi_key: text(object, "inchiKey").filter(|key| check::inchi_key(key)),
        }
    }

    /// What it is, by the most precise identifier that the table knows.
    fn known(&self) -> Option<Substance> {
        let by_key = || self.inchi_key.and_then(by_inchi_key);
        self.cas.and_then(by_cas).or_else(by_key).or_else(|| self.name.and_then(by_name))
    }

    /// The fields that say something else, each with what the table has.
    fn against(&self, known: Substance) -> Vec<(&'static str, &'static str)> {
        let mut fields = Vec::new();
        if let (Some(stated), Some(cas)) = (self.cas, known.cas)
            && stated != cas
        {
            fields.push(("casNumber", cas));
        }
        if let (Some(stated), Some(key)) = (self.inchi_key, known.inchi_key) {
            let another = by_inchi_key(stated).is_some_and(|other| other != known);
            if another || !compatible(stated, key) {
                fields.push(("inchiKey", key));
            }
        }
        if self.name.and_then(by_name).is_some_and(|other| other != known) {
            fields.push(("commonName", known.name));
        }
        fields
    }
}

/// Whether two keys can mean the same: one skeleton, and no contradiction in stereochemistry, of
/// which a key may say nothing.
fn compatible(one: &str, other: &str) -> bool {
    const NO_STEREO: &str = "UHFFFAOY";
    let (skeletons, layers) =
        ([one.get(..14), other.get(..14)], [one.get(15..23), other.get(15..23)]);
    skeletons[0] == skeletons[1] && (layers[0] == layers[1] || layers.contains(&Some(NO_STEREO)))
}

pub(crate) fn disagrees(rule: &Rule, record: &Value, found: &mut Vec<Finding>) {
    for path in PLACES {
        for (place, object) in select(record, path) {
            let stated = Stated::read(object);
            let Some(known) = stated.known() else { continue };
            for (field, expected) in stated.against(known) {
                let place = format!("{place}/{field}");
                let evidence = format!("{}: {expected}", known.name);
                let shown = object.get(field).unwrap_or(&Value::Null);
                found.push(rule.breach(place, evidence).with_value(shown));
            }
        }
    }
    if text(record, "hsEdition").is_some_and(|stated| stated != HS_EDITION) {
        return;
    }
    for (place, item) in select(record, "/goodsItem/*") {
        let code = item.pointer("/found/classificationId");
        let Some((known, hs)) = alone_in(item).and_then(|known| Some((known, known.hs?))) else {
            continue;
        };
        // A medicine, a mixture or a plant that holds the substance is rightly classified elsewhere.
        let separate = |code: &&str| ["28", "29"].iter().any(|chapter| code.starts_with(chapter));
        let stated = code.and_then(Value::as_str).filter(separate);
        if stated.is_some_and(|stated| !hs.starts_with(stated)) {
            let place = format!("{place}/found/classificationId");
            let evidence = format!("{}: {hs}", known.name);
            found.push(rule.breach(place, evidence).with_value(code.unwrap_or(&Value::Null)));
        }
    }
}

/// The one substance of which the goods consist, if the table knows it.
fn alone_in(item: &Value) -> Option<Substance> {
    let absent = |role: &str| ["look-alike-name", "excluded"].contains(&role);
    let mut present = item
        .get("substance")?
        .as_array()?
        .iter()
        .filter(|object| !text(object, "role").is_some_and(absent));
    match (present.next(), present.next()) {
        (Some(only), None) if text(only, "role") != Some("adulterant") => {
            Stated::read(only).known()
        }
        _ => None,
    }
}

fn text<'r>(object: &'r Value, name: &str) -> Option<&'r str> {
    object.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rules::rules;
    use serde_json::json;

    fn findings(record: &Value) -> Vec<String> {
        let rule = rules().find(|rule| rule.id == "substance-agreement").unwrap();
        let mut found = Vec::new();
        disagrees(rule, record, &mut found);
        found.into_iter().map(|finding| finding.pointer).collect()
    }

    #[test]
    fn every_row_has_eight_cells_a_name_of_its_own_and_something_to_say() {
        let lines = TABLE.lines().skip(1);
        assert!(lines.clone().all(|line| line.split('\t').count() == 8));
        assert_eq!(lines.count(), substances().len());
        assert_eq!(substances().len(), 301, "as schemas/README.md says");
        let names: Vec<String> = substances().iter().map(|row| row.name.to_lowercase()).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "sorted, without repetition");
        for row in substances() {
            assert!(row.name == row.name.trim() && !row.name.is_empty());
            assert!(row.cas.or(row.inchi_key).or(row.hs).is_some(), "{}", row.name);
        }
    }

    #[test]
    fn every_identifier_passes_its_check_and_stands_for_one_row() {
        let (mut numbers, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for row in substances() {
            assert!(row.cas.is_none_or(|cas| check::cas(cas) && numbers.insert(cas)), "{row:?}");
            let key = |key| check::inchi_key(key) && keys.insert(key);
            assert!(row.inchi_key.is_none_or(key), "{row:?}");
            assert!(
                row.hs.is_none_or(|hs| hs.len() == 6 && check::hs_listed(hs, HS_EDITION)),
                "{row:?}"
            );
        }
    }

    #[test]
    fn every_filled_cell_names_its_source_and_no_empty_one_does() {
        for row in substances() {
            for (cell, source) in [
                (row.cas, row.cas_source),
                (row.inchi_key, row.inchi_key_source),
                (row.inchi_key, row.smiles),
                (row.hs, row.hs_source),
            ] {
                assert_eq!(cell.is_some(), source.is_some(), "{row:?}");
            }
        }
    }

    #[test]
    fn a_substance_is_found_by_each_of_its_identifiers() {
        let cocaine = by_name(" Cocaine ").unwrap();
        assert_eq!(by_cas("50-36-2"), Some(cocaine));
        assert_eq!(by_inchi_key("ZPUCINDJVBIVPJ-LJISPDSOSA-N"), Some(cocaine));
        assert_eq!(cocaine.hs, Some("293972"));
        assert_eq!((by_name("unobtainium"), by_cas(""), by_inchi_key("")), (None, None, None));
    }

    #[test]
    fn what_contradicts_the_table_is_pointed_at() {
        let (fentanyl, cocaine) = ("PJMPHNIQZUBGLI-UHFFFAOYSA-N", "ZPUCINDJVBIVPJ-LJISPDSOSA-N");
        for (substance, field) in [
            (json!({"commonName": "fentanyl", "casNumber": "50-36-2"}), "commonName"),
            (json!({"commonName": "Fentanyl", "casNumber": "7732-18-5"}), "casNumber"),
            (json!({"casNumber": "50-36-2", "inchiKey": fentanyl}), "inchiKey"),
            (json!({"commonName": "fentanyl", "inchiKey": cocaine}), "commonName"),
            (json!({"casNumber": "7732-18-5", "inchiKey": cocaine}), "casNumber"),
            (
                json!({"commonName": "cocaine", "inchiKey": "ZPUCINDJVBIVPJ-XXXXXXXXSA-N"}),
                "inchiKey",
            ),
            (
                json!({"casNumber": "300-62-9", "inchiKey": by_name("dexamfetamine").unwrap().inchi_key}),
                "inchiKey",
            ),
        ] {
            let record = json!({"similarCase": [{"substance": [substance]}]});
            assert_eq!(findings(&record), [format!("/similarCase/0/substance/0/{field}")]);
        }
    }

    #[test]
    fn nothing_is_said_of_what_the_table_does_not_know_or_the_record_leaves_open() {
        for substance in [
            json!({"commonName": "water", "casNumber": "7732-18-5"}),
            json!({"commonName": "Coke", "casNumber": "50-36-2"}),
            json!({"casNumber": "50-36-2", "inchiKey": "ZPUCINDJVBIVPJ-UHFFFAOYSA-N"}),
            json!({"commonName": "MDMB-4en-PINACA", "inchiKey": "LWOCBHBFWNGPGM-QGZVFWFLSA-N"}),
            json!({"commonName": "cocaine", "casNumber": "50-36-3", "inchiKey": "no key"}),
            json!({"commonName": 1, "casNumber": null, "inchiKey": []}),
            json!("cocaine"),
        ] {
            assert_eq!(findings(&json!({"substance": [substance]})), [""; 0]);
        }
    }

    #[test]
    fn a_pure_substance_is_classified_where_its_name_stands() {
        let cocaine = json!({"commonName": "cocaine", "role": "identified"});
        let item = |code: &str, substances: &[&Value]| {
            let found = json!({"classificationId": code});
            findings(&json!({"goodsItem": [{"found": found, "substance": substances}]}))
        };
        let pointer = ["/goodsItem/0/found/classificationId"];
        assert_eq!(item("293979", &[&cocaine]), pointer);
        assert_eq!(item("2933", &[&cocaine]), pointer);
        let logo = json!({"commonName": "caffeine", "role": "look-alike-name"});
        assert_eq!(item("293930", &[&cocaine, &logo]), pointer);
        let cut = json!({"commonName": "levamisole", "role": "adulterant"});
        let adulterant = json!({"commonName": "cocaine", "role": "adulterant"});
        for (code, substances) in [
            ("293972", vec![&cocaine]),
            ("2939", vec![&cocaine]),
            ("300490", vec![&cocaine]),
            ("293979", vec![&cocaine, &cut]),
            ("293930", vec![&adulterant]),
            ("293399", vec![&cut]),
            ("293979", vec![]),
        ] {
            assert_eq!(item(code, &substances), [""; 0], "{code} {substances:?}");
        }
        let found = json!({"classificationId": "293971"});
        let items = json!([{"found": found, "substance": [cocaine]}]);
        assert_eq!(findings(&json!({"hsEdition": "2022", "goodsItem": items})), pointer);
        assert_eq!(findings(&json!({"hsEdition": "2017", "goodsItem": items})), [""; 0]);
    }
}
