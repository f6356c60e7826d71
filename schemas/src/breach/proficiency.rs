//! Proficiency rounds and results, as ISO/IEC 17043 and ISO 13528 have them.

use jiff::civil::Date;
use serde_json::Value;

use super::{
    Fault, Found, Judged, Place, added, count, decimal, number, repeated, select, step, sum, text,
};
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
    let codes = ["/testItem/*/code", "/measurand/*/code"];
    for (pointer, code) in codes.into_iter().flat_map(|path| repeated(record, path)) {
        found.push(rule.breach(pointer, code));
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
        let Some(results) = count(measurand, "resultQuantity") else { continue };
        let stated: Vec<u64> = VERDICTS.iter().filter_map(|name| count(measurand, name)).collect();
        let assessed = sum(&stated);
        if assessed > results || (stated.len() == VERDICTS.len() && assessed < results) {
            let evidence = format!("{} ≠ {results}", added(&stated));
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

/// What ISO 13528 sets from the results themselves: the robust mean as assigned value, the robust
/// deviation for assessment, and 1.25 of it by the root of the number of results as uncertainty.
pub fn not_of_results(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let measurand = judged.object;
    let mut faults = Vec::new();
    if text(measurand, "sigmaMethod") == Some("participant-data") {
        faults.extend(differs(measurand, "sigma", "robustDeviation"));
    }
    if text(measurand, "assignedValueMethod") == Some("participant-consensus") {
        faults.extend(differs(measurand, "assignedValue", "robustMean"));
        faults.extend(not_of_deviation(measurand));
    }
    faults
}

/// Two decimals that differ by more than their rounding.
fn differs(object: &Value, name: &'static str, other: &str) -> Option<Fault> {
    let (stated, expected) = (text(object, name)?, text(object, other)?);
    let distance = (decimal(stated)? - decimal(expected)?).abs();
    let apart = 2 * distance > step(stated) + step(expected);
    apart.then(|| (name, format!("{stated} ≠ {expected} ({other})")))
}

/// An uncertainty u that is not 1.25 s/√p, with u and s taken to half their last place. Squares
/// are compared, so that no root is taken; figures too large to square are let pass.
fn not_of_deviation(measurand: &Value) -> Option<Fault> {
    let name = "assignedUncertainty";
    let (shown, deviation) = (text(measurand, name)?, text(measurand, "robustDeviation")?);
    let results = count(measurand, "resultQuantity")?;
    let twice = |text: &str| Some((2 * decimal(text)?, step(text)));
    let ((u, u_step), (s, s_step)) = (twice(shown)?, twice(deviation)?);
    let left = |u: i128| u.checked_mul(u)?.checked_mul(16)?.checked_mul(results.into());
    let right = |s: i128| s.checked_mul(s)?.checked_mul(25);
    let too_small = left(u + u_step)? < right((s - s_step).max(0))?;
    let too_large = left((u - u_step).max(0))? > right(s + s_step)?;
    (too_small || too_large).then(|| (name, format!("{shown} ≠ 1.25 × {deviation} / √{results}")))
}

/// Each score with its kind and figure.
fn scores(result: &Value) -> Vec<(Place<'static>, &str, &str)> {
    let scores = select(result, "/score/*").into_iter();
    scores.filter_map(|(at, s)| Some((at, text(s, "type")?, text(s, "value")?))).collect()
}

/// Whether a verdict can be that of a score. One that stands on a limit may have been rounded to
/// it from either side; for D % each programme sets its own limits.
fn can_be(verdict: &str, kind: &str, score: i128) -> bool {
    let (score, one) = (score.abs(), 1_000_000_000);
    let (satisfied, failed) = if kind == "en" { (one, one) } else { (2 * one, 3 * one) };
    match verdict {
        _ if kind == "d-percent" => true,
        "satisfactory" => score <= satisfied,
        "questionable" => (satisfied..=failed).contains(&score) && satisfied < failed,
        "unsatisfactory" => score >= failed,
        _ => true,
    }
}

pub fn verdict_of_no_score(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, result) in select(record, "/result/*") {
        let Some(verdict) = text(result, "verdict") else { continue };
        let scores = scores(result);
        let fits = |(_, kind, score): &(_, &str, &str)| {
            decimal(score).is_none_or(|score| can_be(verdict, kind, score))
        };
        if !scores.is_empty() && !scores.iter().any(fits) {
            let shown: Vec<String> =
                scores.iter().map(|(_, kind, score)| format!("{kind} {score}")).collect();
            let evidence = format!("{verdict}, {}", shown.join(", "));
            found.push(rule.breach(format!("{pointer}/verdict"), evidence));
        }
    }
}

/// Scores whose denominator holds more than that of another, and which are thus never beyond it:
/// z' has the uncertainty besides the deviation, En has expanded uncertainties for standard ones.
const WITHIN: [(&str, &str); 2] = [("z-prime", "z"), ("en", "zeta")];

pub fn scores_disagree(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, result) in select(record, "/result/*") {
        let scores = scores(result);
        for (i, (at, kind, score)) in scores.iter().enumerate() {
            let against = scores.iter().take(i).find(|(_, other, figure)| {
                other == kind || contradict((kind, score), (other, figure)).unwrap_or(false)
            });
            if let Some((_, other, figure)) = against {
                let evidence = format!("{kind} {score}, {other} {figure}");
                found.push(rule.breach(format!("{pointer}{at}/value"), evidence));
            }
        }
    }
}

/// Whether two scores of one result have different signs, or the one that is within the other
/// lies beyond it by more than rounding. D % has the sign of the assigned value too.
fn contradict(first: (&str, &str), second: (&str, &str)) -> Option<bool> {
    let [a, b] = [decimal(first.1)?, decimal(second.1)?];
    let signs = first.0 != "d-percent" && second.0 != "d-percent" && a.signum() * b.signum() < 0;
    let beyond = |(inner, a): (&str, i128), (outer, b): (&str, i128)| {
        let rounding = step(first.1) + step(second.1);
        WITHIN.contains(&(inner, outer)) && 2 * (a.abs() - b.abs()) > rounding
    };
    let (first, second) = ((first.0, a), (second.0, b));
    Some(signs || beyond(first, second) || beyond(second, first))
}

/// A value beside a word that says there is none, or none beside one that needs it.
pub fn word_against_figure(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let Some(word) = text(judged.object, "qualifier") else { return Vec::new() };
    let has = |name: &str| judged.object.get(name).is_some();
    match word {
        "<" | ">" if !has("value") => vec![("value", word.to_owned())],
        "not-detected" | "not-analysed" => {
            let names = ["value", "identity"].into_iter().filter(|name| has(name));
            names.map(|name| (name, word.to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

pub fn not_the_mean(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, result) in select(record, "/result/*") {
        let Some(shown) = text(result, "value") else { continue };
        let all = select(result, "/replicate/*");
        let texts: Vec<&str> = all.iter().filter_map(|(_, replicate)| replicate.as_str()).collect();
        let figures: Option<Vec<i128>> = texts.iter().map(|text| decimal(text)).collect();
        let (Some(value), Some(figures)) = (decimal(shown), figures) else { continue };
        let Ok(number) = i128::try_from(figures.len()) else { continue };
        let rounding = texts.iter().map(|text| step(text)).sum::<i128>() + number * step(shown);
        let distance = (figures.iter().sum::<i128>() - number * value).abs();
        if number > 0 && 2 * distance > rounding {
            let evidence = format!("{shown}: {}", texts.join(", "));
            found.push(rule.breach(format!("{pointer}/value"), evidence));
        }
    }
}
