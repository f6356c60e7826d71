//! Classifications and what they bring about.

use serde_json::Value;

use super::{Fault, Found, Judged, decimal, more, number, select, text};
use crate::rules::Rule;

pub fn confirmed(rule: &Rule, record: &Value, found: &mut Found) {
    let field = |of: &str, name: &str| {
        record.get(of).and_then(|goods| text(goods, name)).unwrap_or_default()
    };
    let confirmed = record.pointer("/outcome/confirmed").and_then(Value::as_bool);
    let names = ["classificationId", "nationalCode"];
    let [declared, outcome] = ["declared", "outcome"].map(|of| names.map(|name| field(of, name)));
    // A heading says no more than a subheading of it, and a code that is not stated says nothing.
    let apart = |(a, b): &(&str, &str)| !a.starts_with(b) && !b.starts_with(a);
    let pairs = || declared.into_iter().zip(outcome);
    let wrong = match confirmed {
        Some(true) => pairs().find(apart),
        Some(false) if declared == outcome => pairs().next(),
        _ => None,
    };
    if let Some((declared, outcome)) = wrong {
        found.push(rule.breach("/outcome/confirmed", format!("{declared}, {outcome}")));
    }
}

pub fn national_code(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    match (text(judged.object, "nationalCode"), text(judged.object, "classificationId")) {
        (Some(national), Some(code)) if !national.starts_with(code) => {
            vec![("nationalCode", format!("{national}, {code}"))]
        }
        _ => Vec::new(),
    }
}

pub fn without_decision(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let decided = matches!(
        text(judged.object, "status"),
        Some("decided" | "appealed" | "upheld" | "overturned")
    );
    let proposed = text(judged.object, "status") == Some("proposed");
    match judged.object.get("decidedDate") {
        None if decided => vec![("decidedDate", "decidedDate".to_owned())],
        Some(_) if proposed => vec![("decidedDate", "proposed".to_owned())],
        _ => Vec::new(),
    }
}

pub fn considered(rule: &Rule, record: &Value, found: &mut Found) {
    let outcome = record.pointer("/outcome/classificationId");
    for (pointer, other) in select(record, "/considered/*") {
        let bearing = text(other, "bearing").filter(|b| matches!(*b, "rejected" | "alternative"));
        if let (Some(bearing), Some(code)) = (bearing, text(other, "classificationId"))
            && outcome.is_some_and(|outcome| outcome == code)
        {
            let evidence = format!("{code}, {bearing}");
            found.push(rule.breach(format!("{pointer}/classificationId"), evidence));
        }
    }
}

pub fn duty(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let [declared, outcome] = ["dutyRateDeclared", "dutyRateOutcome"];
    let [low, high] = match text(judged.object, "type") {
        Some("duty-short") => [declared, outcome],
        Some("duty-refund") => [outcome, declared],
        _ => return Vec::new(),
    };
    let rate = |name| text(judged.object, name).unwrap_or_default();
    let both = number(judged.object, low).is_some() && number(judged.object, high).is_some();
    if both && !more(judged.object, high, low) {
        let evidence = format!("{} → {}", rate(declared), rate(outcome));
        return vec![(outcome, evidence)];
    }
    Vec::new()
}

pub fn without_currency(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let names = ["amount", "currencyCode"];
    let missing: Vec<&'static str> =
        names.into_iter().filter(|name| judged.object.get(name).is_none()).collect();
    match *missing {
        [name] => vec![(name, name.to_owned())],
        _ => Vec::new(),
    }
}

pub fn no_such_note(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let number = judged.object.get("number").and_then(Value::as_u64);
    let Some((level, number)) = text(judged.object, "level").zip(number) else { return Vec::new() };
    let exists = match level {
        "section" => (1..=21).contains(&number),
        _ => (1..=97).contains(&number) && number != 77,
    };
    if exists { Vec::new() } else { vec![("number", format!("{level} {number}"))] }
}

pub fn subheading_rule(rule: &Rule, record: &Value, found: &mut Found) {
    let code = record.pointer("/outcome/classificationId").and_then(Value::as_str);
    let rules = select(record, "/interpretativeRule/*");
    let Some(code) = code.filter(|code| code.len() > 4 && !rules.is_empty()) else { return };
    if !rules.iter().any(|(_, number)| *number == "6") {
        found.push(rule.breach("/interpretativeRule", code));
    }
}

/// A limit that lies within the uncertainty of a value does not decide.
pub fn limit_in_doubt(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let names = ["value", "uncertainty", "limitValue"];
    let shown = names.map(|name| text(judged.object, name));
    if let [Some(value), Some(width), Some(limit)] = shown
        && let [Some(v), Some(u), Some(l)] = [value, width, limit].map(decimal)
        && (v - l).abs() < u
    {
        return vec![("value", format!("|{value} − {limit}| < {width}"))];
    }
    Vec::new()
}
