//! Methods, measurements, what laboratories can do, and what they did.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, ISOWeekDate, Weekday};
use serde_json::Value;

use super::{
    Fault, Found, Judged, added, count, decimal, more, number, parts_over_whole, select, sum, text,
};
use crate::rules::Rule;

/// One, in the units of decimals.
const ONE: i128 = 1_000_000_000;

pub fn negative(names: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let below = |name: &&'static str| {
        let shown = text(judged.object, name)?;
        (decimal(shown)? < 0).then(|| (*name, shown.to_owned()))
    };
    names.iter().filter_map(below).collect()
}

/// Fields that are each at most the next one that is stated.
pub fn out_of_order(names: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let stated: Vec<&'static str> =
        names.iter().copied().filter(|name| number(judged.object, name).is_some()).collect();
    let pairs = stated.iter().zip(stated.iter().skip(1));
    let wrong = pairs.filter(|(lower, upper)| more(judged.object, lower, upper));
    let shown = |name: &str| text(judged.object, name).unwrap_or_default();
    wrong
        .map(|(lower, upper)| (*upper, format!("{} < {} ({lower})", shown(upper), shown(lower))))
        .collect()
}

/// A factor that is missing beside an uncertainty, or below one.
pub fn coverage(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let name = "coverageFactor";
    match (judged.object.get("uncertainty"), text(judged.object, name)) {
        (Some(_), None) if judged.object.get(name).is_none() => vec![(name, name.to_owned())],
        (_, Some(factor)) if decimal(factor).is_some_and(|k| k < ONE) => {
            vec![(name, format!("{factor} < 1"))]
        }
        _ => Vec::new(),
    }
}

/// A share beyond the whole: in per cent for rates, else from 0 to 1.
pub fn beyond_whole(names: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let whole = |name: &str| if name.ends_with("Rate") { 100 } else { 1 };
    let beyond = |name: &&'static str| {
        let shown = text(judged.object, name)?;
        (decimal(shown)? > whole(name) * ONE).then(|| (*name, format!("{shown} > {}", whole(name))))
    };
    names.iter().filter_map(beyond).collect()
}

pub fn implausible_recovery(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let shown = text(judged.object, "recovery").unwrap_or_default();
    let odd = decimal(shown).is_some_and(|figure| !(50 * ONE..=150 * ONE).contains(&figure));
    if odd { vec![("recovery", format!("{shown} %"))] } else { Vec::new() }
}

const ESTABLISHED: [&str; 3] = ["validated-in-house", "validated-between-laboratories", "standard"];

pub fn validated_without_figures(rule: &Rule, record: &Value, found: &mut Found) {
    let status = text(record, "status").filter(|status| ESTABLISHED.contains(status));
    let Some(status) = status else { return };
    let purposes = select(record, "/purposeOfMethod/*");
    let quantifies = purposes.iter().any(|(_, purpose)| *purpose == "quantification");
    let wanted: &[&[&str]] = if quantifies {
        &[
            &["limitOfQuantification", "rangeFrom"],
            &["repeatability", "intermediatePrecision", "reproducibility"],
            &["uncertainty"],
            &["replicateQuantity"],
        ]
    } else {
        &[
            &["truePositiveRate", "limitOfDetection", "limitOfQuantification", "uncertainty"],
            &["replicateQuantity"],
        ]
    };
    for (pointer, figures) in select(record, "/performance/*") {
        for any in wanted.iter().filter(|any| any.iter().all(|name| figures.get(name).is_none())) {
            let name = any.first().copied().unwrap_or_default();
            found.push(rule.breach(format!("{pointer}/{name}"), format!("{status}: {name}")));
        }
    }
}

pub fn laboratories(rule: &Rule, record: &Value, found: &mut Found) {
    let between = text(record, "status") == Some("validated-between-laboratories");
    let name = "laboratoryQuantity";
    for (pointer, figures) in select(record, "/performance/*") {
        let Some(laboratories) = count(figures, name) else { continue };
        let several = between || figures.get("reproducibility").is_some();
        let measured = count(figures, "replicateQuantity");
        let evidence = match measured {
            _ if several && laboratories < 2 => format!("{laboratories} < 2"),
            Some(measured) if measured < laboratories => format!("{laboratories} > {measured}"),
            _ => continue,
        };
        found.push(rule.breach(format!("{pointer}/{name}"), evidence));
    }
}

/// Settings of a spectrum, with the techniques that have them.
const SETTINGS: [(&str, &[&str]); 4] = [
    ("ionisation", &["gc-ms", "lc-ms", "ion-mobility"]),
    ("collisionEnergy", &["gc-ms", "lc-ms", "ion-mobility"]),
    ("nucleus", &["nmr"]),
    ("excitationWavelength", &["raman"]),
];

pub fn foreign_settings(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let Some(technique) = text(judged.object, "technique") else { return Vec::new() };
    let foreign = |(name, techniques): &(&'static str, &[&str])| {
        judged.object.get(name).is_some() && !techniques.contains(&technique)
    };
    SETTINGS.iter().filter(|s| foreign(s)).map(|(name, _)| (*name, technique.to_owned())).collect()
}

pub fn without_accreditation(rule: &Rule, record: &Value, found: &mut Found) {
    let stated = record.pointer("/laboratory/accreditationId").is_some();
    for (pointer, accredited) in select(record, "/service/*/accredited") {
        if !stated && accredited == true {
            found.push(rule.breach(pointer, "accreditationId"));
        }
    }
}

/// What a service consists of; the rest says when it can be had.
pub const SERVICE: &[&str] = &[
    "/service/*/technique",
    "/service/*/answers",
    "/service/*/category",
    "/service/*/classificationId",
    "/service/*/analyte",
    "/service/*/matrix",
    "/service/*/methodReference",
    "/service/*/accredited",
    "/service/*/portable",
    "/fieldDevice/*/technique",
];

pub fn listed_twice(rule: &Rule, record: &Value, found: &mut Found) {
    for list in ["/service/*", "/fieldDevice/*"] {
        let names: Vec<&str> =
            SERVICE.iter().filter_map(|path| path.strip_prefix(list)?.strip_prefix('/')).collect();
        let mut met = BTreeSet::new();
        for (pointer, item) in select(record, list) {
            let Some(technique) = text(item, "technique") else { continue };
            let said: Vec<String> = names.iter().map(|name| shown(item.get(name))).collect();
            if !met.insert(said) {
                found.push(rule.breach(format!("{pointer}/technique"), technique));
            }
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map(Value::to_string).unwrap_or_default()
}

pub fn period_open(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let (Some(form), Some(period)) =
        (text(judged.object, "periodType"), text(judged.object, "period"))
    else {
        return Vec::new();
    };
    let issued = text(judged.object, "issueDate").and_then(|day| day.parse::<Date>().ok());
    match (last_day(form, period), issued) {
        (None, _) => vec![("period", format!("{period}, {form}"))],
        (Some(last), Some(issued)) if last > issued => {
            vec![("period", format!("{period}: {last} > {issued}"))]
        }
        _ => Vec::new(),
    }
}

/// The last day of a period, if it has the form of its type.
fn last_day(form: &str, period: &str) -> Option<Date> {
    let (year, part) = match period.split_once('-') {
        Some((year, part)) => (year, Some(part)),
        None => (period, None),
    };
    let year: i16 = year.parse().ok()?;
    let month = match (form, part) {
        ("iso-week", Some(part)) => {
            let week = part.strip_prefix('W')?.parse().ok()?;
            return Some(ISOWeekDate::new(year, week, Weekday::Sunday).ok()?.date());
        }
        ("month", Some(part)) => part.parse().ok()?,
        ("quarter", Some(part)) => part.strip_prefix('Q')?.parse::<i8>().ok()?.checked_mul(3)?,
        ("year", None) => 12,
        _ => return None,
    };
    Some(Date::new(year, month, 1).ok()?.last_of_month())
}

const OUTCOMES: [&str; 3] = ["conformQuantity", "nonConformQuantity", "inconclusiveQuantity"];

pub fn outcomes(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let name = "analysedQuantity";
    let Some(analysed) = count(judged.object, name) else { return Vec::new() };
    let stated: Vec<u64> = OUTCOMES.iter().filter_map(|name| count(judged.object, name)).collect();
    let outcomes = sum(&stated);
    let wrong = outcomes > analysed || (stated.len() == OUTCOMES.len() && outcomes < analysed);
    if wrong { vec![(name, format!("{} ≠ {analysed}", added(&stated)))] } else { Vec::new() }
}

pub fn turnaround(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let names = ["medianTurnaround", "ninetiethTurnaround"];
    let none = count(judged.object, "analysedQuantity") == Some(0);
    if let Some(name) = names.into_iter().find(|name| none && judged.object.get(name).is_some()) {
        return vec![(name, "analysedQuantity: 0".to_owned())];
    }
    parts_over_whole(judged.object, &["medianTurnaround"], "ninetiethTurnaround")
}

/// What parts of the samples add up to, or stay below.
const SAMPLES: [&str; 7] = [
    "receivedQuantity",
    "analysedQuantity",
    "conformQuantity",
    "nonConformQuantity",
    "inconclusiveQuantity",
    "notAnalysedQuantity",
    "pendingQuantity",
];

/// What a row counts: a category, a chapter, a technique, or all.
fn counted(row: &Value) -> [String; 3] {
    ["category", "chapter", "technique"].map(|name| shown(row.get(name)))
}

/// Rows of a category alone are parts of all, and so are rows of a chapter alone; of the others
/// each is, since one sample is counted under several techniques.
pub fn rows_over_total(rule: &Rule, record: &Value, found: &mut Found) {
    let rows: Vec<_> =
        select(record, "/count/*").into_iter().map(|(at, row)| (at, row, counted(row))).collect();
    let mut met = BTreeSet::new();
    for (place, _, counted) in &rows {
        if !met.insert(counted) {
            let said = counted.join(" ");
            found.push(rule.breach(format!("{place}/receivedQuantity"), said.trim()));
        }
    }
    let all = rows.iter().find(|(_, _, counted)| counted.iter().all(String::is_empty));
    let Some((place, all, _)) = all else { return };
    for name in SAMPLES {
        let Some(total) = count(all, name) else { continue };
        let mut parts: BTreeMap<[bool; 2], Vec<u64>> = BTreeMap::new();
        let mut single = Vec::new();
        for (_, row, counted) in &rows {
            let of = counted.each_ref().map(|of| !of.is_empty());
            match (of, count(row, name)) {
                ([false, false, false], _) | (_, None) => {}
                ([category, chapter, false], Some(part)) if category != chapter => {
                    parts.entry([category, chapter]).or_default().push(part);
                }
                (_, Some(part)) => single.push(vec![part]),
            }
        }
        let over = |parts: &Vec<u64>| sum(parts) > total;
        if let Some(parts) = parts.into_values().chain(single).find(over) {
            let evidence = format!("{} > {total}", added(&parts));
            found.push(rule.breach(format!("{place}/{name}"), evidence));
        }
    }
}

/// One substance beside itself, or beside one that the method has no figures of.
pub fn told_from_itself(rule: &Rule, record: &Value, found: &mut Found) {
    let measured = select(record, "/performance/*/analyte");
    for (pointer, pair) in select(record, "/cannotTell/*") {
        let analyte = text(pair, "analyte").unwrap_or_default();
        let key = text(pair, "inchiKey");
        if text(pair, "other") == Some(analyte) {
            found.push(rule.breach(format!("{pointer}/other"), analyte));
        } else if let Some(key) = key.filter(|_| text(pair, "otherInchiKey") == key) {
            found.push(rule.breach(format!("{pointer}/otherInchiKey"), key));
        } else if !measured.iter().any(|(_, measured)| *measured == analyte) {
            found.push(rule.breach(format!("{pointer}/analyte"), analyte));
        }
    }
}
