//! Proficiency rounds and results, as ISO/IEC 17043 and ISO 13528 have them.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::Value;

use super::{Fault, Found, Judged, count, number, select, text};
use crate::rules::Rule;

/// Fewest results of which robust statistics say something.
const FEWEST_RESULTS: u64 = 12;

/// The days of a round in their order.
const COURSE: [&str; 4] = ["registrationUntil", "dispatchDate", "resultsUntil", "reportDate"];

pub fn days_out_of_order(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let day = |name| Some((name, text(judged.object, name)?.parse::<Date>().ok()?));
    let days: Vec<(&'static str, Date)> = COURSE.into_iter().filter_map(day).collect();
    let pairs = days.iter().zip(days.iter().skip(1));
    let wrong = pairs.filter(|((_, early), (_, late))| late < early);
    wrong
        .map(|((first, early), (name, late))| (*name, format!("{late} < {early} ({first})")))
        .collect()
}

/// What would tell a participant the right answer.
pub const ANSWERS: &[&str] = &[
    "/stage",
    "/measurand/*/assignedValue",
    "/measurand/*/assignedIdentity",
    "/measurand/*/assignedUncertainty",
    "/measurand/*/robustMean",
    "/measurand/*/robustDeviation",
];

pub fn answer_told(rule: &Rule, record: &Value, found: &mut Found) {
    let stage = text(record, "stage").filter(|stage| matches!(*stage, "announced" | "open"));
    let Some(stage) = stage else { return };
    for (pointer, _) in ANSWERS.iter().skip(1).flat_map(|path| select(record, path)) {
        found.push(rule.breach(pointer, stage));
    }
}

pub fn codes_without_item(rule: &Rule, record: &Value, found: &mut Found) {
    let items = select(record, "/testItem/*/code");
    for (pointer, code) in select(record, "/measurand/*/itemCode") {
        if !items.iter().any(|(_, item)| *item == code) {
            found.push(rule.breach(pointer, code));
        }
    }
    for path in ["/testItem/*/code", "/measurand/*/code"] {
        let mut met = BTreeSet::new();
        let codes = select(record, path).into_iter();
        for (pointer, code) in codes.filter_map(|(place, code)| Some((place, code.as_str()?))) {
            if !met.insert(code) {
                found.push(rule.breach(pointer, code));
            }
        }
    }
}

/// ISO 13528 neglects the standard uncertainty of the assigned value up to 0.3 of the deviation.
pub fn assigned_uncertainty(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let measurand = judged.object;
    if measurand.get("assignedValue").is_none() {
        return Vec::new();
    }
    let name = "assignedUncertainty";
    if measurand.get(name).is_none() {
        return vec![(name, name.to_owned())];
    }
    match (number(measurand, name), number(measurand, "sigma")) {
        (Some(uncertainty), Some(sigma)) if 10 * uncertainty > 3 * sigma => {
            let [uncertainty, sigma] =
                [name, "sigma"].map(|name| text(measurand, name).unwrap_or_default());
            vec![(name, format!("{uncertainty} > 0.3 × {sigma}"))]
        }
        _ => Vec::new(),
    }
}

const VERDICTS: [&str; 3] =
    ["satisfactoryQuantity", "questionableQuantity", "unsatisfactoryQuantity"];

pub fn assessed(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, measurand) in select(record, "/measurand/*") {
        if let (Some(results), Some(laboratories)) =
            (count(measurand, "resultQuantity"), count(record, "participantQuantity"))
            && results > laboratories
        {
            let evidence = format!("{results} > {laboratories}");
            found.push(rule.breach(format!("{pointer}/resultQuantity"), evidence));
        }
        let counts = VERDICTS.map(|name| count(measurand, name));
        let Some(results) = count(measurand, "resultQuantity") else { continue };
        let sum = counts.iter().flatten().fold(0, |sum: u64, count| sum.saturating_add(*count));
        let whole = counts.iter().all(Option::is_some);
        if sum > results || (whole && sum < results) {
            let stated: Vec<String> = counts.iter().flatten().map(u64::to_string).collect();
            let evidence = format!("{} ≠ {results}", stated.join(" + "));
            found.push(rule.breach(format!("{pointer}/resultQuantity"), evidence));
        }
    }
}

pub fn few_results(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let few = count(judged.object, "resultQuantity").filter(|count| *count < FEWEST_RESULTS);
    let robust = ["robustMean", "robustDeviation"];
    let stated = robust.into_iter().find(|name| judged.object.get(name).is_some());
    few.zip(stated)
        .map(|(few, name)| (name, format!("{few} < {FEWEST_RESULTS}")))
        .into_iter()
        .collect()
}
