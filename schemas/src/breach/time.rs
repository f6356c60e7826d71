//! Days and times.

use jiff::civil::Date;
use serde_json::Value;

use super::{Fault, Found, Judged, Place, select, text};
use crate::rules::Rule;

type Dated<'p> = (Place<'p>, Date);

/// Days that exist, with their places.
fn days<'p>(record: &Value, paths: &[&'p str]) -> Vec<Dated<'p>> {
    let all = paths.iter().flat_map(|path| select(record, path));
    all.filter_map(|(place, value)| Some((place, value.as_str()?.parse().ok()?))).collect()
}

/// A breach at the later of two places, if its day is the earlier.
fn ordered(rule: &Rule, (before, early): &Dated<'_>, (place, late): &Dated<'_>, found: &mut Found) {
    if early > late {
        found.push(rule.breach(place, format!("{late} < {early} ({before})")));
    }
}

pub const ISSUE: &[&str] = &["/issueDate"];

pub fn dates_out_of_order(rule: &Rule, record: &Value, found: &mut Found) {
    let issued = days(record, ISSUE);
    let review = days(record, &["/handling/reviewDate"]);
    let retain = days(record, &["/handling/retainUntil"]);
    let feedback = days(record, &["/handling/feedbackDue"]);
    for (early, late) in [(&issued, &review), (&review, &retain), (&issued, &feedback)] {
        if let (Some(early), Some(late)) = (early.first(), late.first()) {
            ordered(rule, early, late, found);
        }
    }
}

pub fn review_too_late(rule: &Rule, record: &Value, found: &mut Found) {
    let (issued, review) = (days(record, ISSUE), days(record, &["/handling/reviewDate"]));
    if let (Some((_, issued)), Some((place, review))) = (issued.first(), review.first())
        && issued.checked_add(jiff::Span::new().years(1)).is_ok_and(|limit| *review > limit)
    {
        found.push(rule.breach(place, format!("{review}, {issued}")));
    }
}

/// What has happened when a record is issued.
pub const EVENTS: &[&str] = &[
    "/issueDate",
    "/event/date",
    "/detection/date",
    "/sample/*/receivedDate",
    "/sample/*/analysedDate",
    "/statusHistory/*/date",
    "/followUp/*/date",
    "/outcomeDate",
    "/receivedDate",
    "/findingDate",
    "/discoveredDate",
    "/control/*/date",
    "/part/*/date",
    "/request/date",
    "/editionDate",
    "/analysedDate",
    "/decidedDate",
    "/referenceCollection/*/updateDate",
    "/endDate",
    "/searchedUntil",
    "/similarCase/*/periodUntil",
];

pub fn event_after_issue(rule: &Rule, record: &Value, found: &mut Found) {
    let Some(issued) = days(record, ISSUE).pop() else { return };
    for event in days(record, EVENTS) {
        if event.1 > issued.1 {
            found.push(rule.breach(event.0, format!("{} > {}", event.1, issued.1)));
        }
    }
}

/// What is still to come when a record is issued.
pub const DUE: &[&str] = &[
    "/issueDate",
    "/nextFeedbackDue",
    "/replyDue",
    "/interimReplyDue",
    "/nextReplyDue",
    "/refusal/postponedUntil",
    "/part/*/holdUntil",
    "/neededBy",
    "/availableUntil",
];

/// Until when a record holds.
pub const EXPIRY: &[&str] = &["/issueDate", "/validUntil", "/until"];

pub fn before_issue(rule: &Rule, record: &Value, found: &mut Found) {
    let Some(issued) = days(record, ISSUE).pop() else { return };
    let later = if rule.id == "expiry-before-issue" { EXPIRY } else { DUE };
    for due in days(record, later) {
        ordered(rule, &issued, &due, found);
    }
}

/// First and last of a period, in this order.
pub fn period(names: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let &[first, last] = names else { return Vec::new() };
    let ends = text(judged.object, first).zip(text(judged.object, last));
    let ends = ends
        .and_then(|(from, until)| Some((from.parse::<Date>().ok()?, until.parse::<Date>().ok()?)));
    match ends {
        Some((from, until)) if from > until => vec![(last, format!("{until} < {from} ({first})"))],
        _ => Vec::new(),
    }
}

pub fn other_day(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    match (text(judged.object, "date"), text(judged.object, "dateTime")) {
        (Some(day), Some(instant)) if !instant.starts_with(day) => {
            vec![("date", format!("{day}, {instant}"))]
        }
        _ => Vec::new(),
    }
}
