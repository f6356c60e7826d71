//! Courses, what came of them, and knowledge.

use serde_json::Value;

use super::{Fault, Found, Judged, count, parts_over_whole, text};
use crate::rules::Rule;

pub fn review_over(rule: &Rule, record: &Value, found: &mut Found) {
    let days = text(record, "contentReviewDate").zip(text(record, "issueDate"));
    if let Some((review, issued)) = days.filter(|(review, issued)| review < issued) {
        found.push(rule.breach("/contentReviewDate", format!("{review} < {issued}")));
    }
}

pub fn applications_after_start(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    match (text(judged.object, "applicationDue"), text(judged.object, "startDate")) {
        (Some(due), Some(start)) if due > start => {
            vec![("applicationDue", format!("{due} > {start}"))]
        }
        _ => Vec::new(),
    }
}

pub fn seats(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let parts = ["seatFreeQuantity", "seatPerMemberQuantity"];
    parts_over_whole(judged.object, &parts, "seatQuantity")
}

/// A part and its whole, or parts that together are at most the last.
pub fn completion(names: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let whole = |parts: &[&'static str], whole| parts_over_whole(judged.object, parts, whole);
    match names {
        ["enrolledQuantity", ..] => {
            let mut faults = whole(&["completedQuantity", "assessedQuantity"], "enrolledQuantity");
            let of = match judged.object.get("assessedQuantity") {
                Some(_) => "assessedQuantity",
                None => "enrolledQuantity",
            };
            faults.extend(whole(&["passedQuantity"], of));
            faults
        }
        ["assessedQuantity", ..] => {
            let object = judged.object;
            let passed = count(object, "passedQuantity").unwrap_or_default();
            let later = count(object, "passedLaterQuantity").unwrap_or_default();
            match count(object, "assessedQuantity") {
                Some(all) if passed.saturating_add(later) > all => {
                    vec![("passedQuantity", format!("{passed} + {later} > {all}"))]
                }
                _ => Vec::new(),
            }
        }
        _ => whole(&["wouldRecommendQuantity"], "answerQuantity"),
    }
}

pub fn few(names: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let &[.., name] = names else { return Vec::new() };
    let small = count(judged.object, name).filter(|count| (1..=2).contains(count));
    small.map(|count| (name, count.to_string())).into_iter().collect()
}
