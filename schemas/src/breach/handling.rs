//! Who may see and use a record.

use serde_json::Value;

use super::{Fault, Found, Judged, some, text};
use crate::rules::Rule;

pub fn handling_missing(rule: &Rule, record: &Value, found: &mut Found) {
    if record.get("handling").is_none() {
        found.push(rule.breach("/handling", ""));
    }
}

/// What a record itself says of its audience.
pub const AUDIENCE: &[&str] =
    &["/kind", "/handling/tlp", "/handling/shareWith", "/reuse", "/eligibleMember"];

pub fn red_for_all(rule: &Rule, record: &Value, found: &mut Found) {
    let handling = record.get("handling");
    if handling.and_then(|handling| text(handling, "tlp")) != Some("RED") {
        return;
    }
    if let Some(bodies) = handling.and_then(|handling| handling.get("shareWith")) {
        found.push(rule.breach("/handling/shareWith", bodies));
    }
    if let Some(reuse) = text(record, "reuse").filter(|reuse| *reuse != "ask-publisher") {
        found.push(rule.breach("/reuse", reuse));
    }
    if text(record, "kind") == Some("training-offer") && !some(record, &["/eligibleMember/*"]) {
        found.push(rule.breach("/eligibleMember", ""));
    }
}

pub fn person_on_picture(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let media = text(judged.object, "mediaType").unwrap_or_default();
    let picture = media.starts_with("image/") || media.starts_with("video/");
    let nobody = judged.object.get("personVisible") == Some(&Value::Bool(false));
    if picture && !nobody { vec![("personVisible", media.to_owned())] } else { Vec::new() }
}
