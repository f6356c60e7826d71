//! Records that answer, correct, dispute or erase others, and warnings.

use serde_json::Value;

use super::{Fault, Found, Judged, count, parts_over_whole, says, select, some, text};
use crate::class::FieldClass;
use crate::rules::Rule;
use crate::standard::Standard;

pub fn wrong_verb(rule: &Rule, record: &Value, found: &mut Found) {
    let verb = record.get("relation").and_then(|relation| text(relation, "verb"));
    let (Some(kind), Some(verb)) = (text(record, "kind"), verb) else { return };
    let allowed: &[&str] = match kind {
        "correction" => &["supersedes"],
        "withdrawal" => &["withdraws"],
        "erasure" => &["erases"],
        "acknowledgement" | "comment" | "conflict" | "feedback" | "assistance-reply" => {
            &["answers"]
        }
        _ => &["answers", "supersedes"],
    };
    if !allowed.contains(&verb) {
        let evidence = format!("{kind}: {verb} ≠ {}", allowed.join(", "));
        found.push(rule.breach("/relation/verb", evidence));
    }
}

/// What a warning can name.
pub const TARGETS: &[&str] = &[
    "/profile",
    "/consignment/transportEquipment/*/id",
    "/consignment/transportContractDocument/*/id",
    "/consignment/borderTransportMeans/name",
    "/consignment/borderTransportMeans/imoNumber",
    "/consignment/borderTransportMeans/id",
    "/consignment/borderTransportMeans/vin",
    "/consignment/borderTransportMeans/journeyId",
    "/consignment/ucr",
    "/consignment/mrn/*",
    "/party/*/name",
];

pub fn warning_of_nothing(rule: &Rule, record: &Value, found: &mut Found) {
    if !some(record, TARGETS) {
        found.push(rule.breach("/profile", ""));
    }
}

/// What feedback of each outcome must say: outcome, and paths of which one is there.
type Owed = (&'static str, &'static [&'static str]);

fn owed(rule: &Rule, record: &Value, outcomes: &[Owed], found: &mut Found) {
    for (outcome, paths) in outcomes {
        if text(record, "outcome") == Some(outcome)
            && !some(record, paths)
            && let Some(first) = paths.first()
        {
            let pointer = first.trim_end_matches("/*");
            found.push(rule.breach(pointer, outcome));
        }
    }
}

pub fn feedback_without_reason(rule: &Rule, record: &Value, found: &mut Found) {
    let outcomes: [Owed; 2] = [
        ("not-applicable", &["/reasonNotApplicable"]),
        ("no-match", &["/searchedFrom", "/matchQuantity"]),
    ];
    owed(rule, record, &outcomes, found);
}

pub fn feedback_without_next(rule: &Rule, record: &Value, found: &mut Found) {
    owed(rule, record, &[("under-surveillance", &["/nextFeedbackDue"])], found);
}

pub fn feedback_without_goods(rule: &Rule, record: &Value, found: &mut Found) {
    if !says(record, "/linkedRecord/*/relationship", "seizure") {
        owed(rule, record, &[("seizure", &["/goodsItem/*"])], found);
    }
}

pub fn feedback_without_control(rule: &Rule, record: &Value, found: &mut Found) {
    let how: &[&str] = &["/control/*/method/*"];
    owed(rule, record, &[("checked-negative", how), ("seizure", how)], found);
}

/// A change says what was and what is, as far as its action has both.
pub fn change_values(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let old = text(judged.object, "oldValue").or_else(|| text(judged.object, "oldDigest"));
    let new = text(judged.object, "newValue");
    let action = text(judged.object, "action").unwrap_or_default();
    let fault = match (action, old, new) {
        ("replaced" | "removed", None, _) => Some("oldValue"),
        ("replaced" | "added", _, None) => Some("newValue"),
        ("added", Some(_), _) => Some("oldValue"),
        ("removed", _, Some(_)) => Some("newValue"),
        ("replaced", old, new) if old == new => Some("newValue"),
        _ => None,
    };
    fault.map(|name| (name, action.to_owned())).into_iter().collect()
}

/// A finding says what the other record has and what was found, as far as there are both.
pub fn finding_values(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let stated = text(judged.object, "statedValue");
    let own = text(judged.object, "foundValue");
    let disagreement = text(judged.object, "disagreement").unwrap_or_default();
    let fault = match (disagreement, stated, own) {
        ("differs" | "not-found", None, _) => Some("statedValue"),
        ("differs" | "additional", _, None) => Some("foundValue"),
        ("not-found", _, Some(_)) => Some("foundValue"),
        ("additional", Some(_), _) => Some("statedValue"),
        ("differs", stated, own) if stated == own => Some("foundValue"),
        _ => None,
    };
    fault.map(|name| (name, disagreement.to_owned())).into_iter().collect()
}

/// The class of a list of changes or findings, after the name of the list.
fn class_of(path: &str) -> Option<FieldClass> {
    let list = path.strip_prefix('/')?.split('/').next()?;
    let class = ["Change", "Finding"].into_iter().find_map(|end| list.strip_suffix(end))?;
    class.parse().ok()
}

pub fn field_of_another_class(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let Some((pointer, class)) = text(judged.object, "field").zip(class_of(judged.path)) else {
        return Vec::new();
    };
    let mut fields = Standard::v1().kinds().filter_map(|kind| kind.field(pointer)).peekable();
    let unknown = fields.peek().is_none();
    if unknown || fields.all(|field| field.class != class) {
        vec![("field", format!("{pointer}, {}", class.as_str()))]
    } else {
        Vec::new()
    }
}

pub const CHANGES: &[&str] = &[
    "/correctedClass",
    "/coreChange",
    "/operationalChange",
    "/commercialChange",
    "/nominalChange",
    "/textChange",
];

pub fn changes_not_announced(rule: &Rule, record: &Value, found: &mut Found) {
    let announced: Vec<&str> =
        select(record, "/correctedClass/*").iter().filter_map(|(_, v)| v.as_str()).collect();
    for class in ["core", "operational", "commercial", "nominal", "text"] {
        let changed = record.get(format!("{class}Change")).is_some();
        if changed != announced.contains(&class) {
            found.push(rule.breach("/correctedClass", class));
        }
    }
}

pub fn erasure_half_told(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let status = text(judged.object, "status").unwrap_or_default();
    let has = |name: &str| judged.object.get(name).is_some();
    let faults: Vec<&'static str> = match status {
        "erased" => ["method", "date"].into_iter().filter(|name| !has(name)).collect(),
        "legal-hold" => ["holdUntil"].into_iter().filter(|name| !has(name)).collect(),
        "never-held" => ["method", "date", "holdUntil"].into_iter().filter(|n| has(n)).collect(),
        _ => Vec::new(),
    };
    faults.into_iter().map(|name| (name, status.to_owned())).collect()
}

pub fn onward_counts(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    parts_over_whole(judged.object, &["onwardConfirmedQuantity"], "onwardRecipientQuantity")
}

/// The bodies that have a purpose by their nature; a purpose that is not here suits all.
fn bodies(purpose: &str) -> Option<&'static [&'static str]> {
    Some(match purpose {
        "criminal-proceedings" | "criminal-investigation" => &[
            "customs-administration",
            "police",
            "prosecutor",
            "court",
            "tax-authority",
            "forensic-laboratory",
        ],
        "tax-assessment" => &["customs-administration", "tax-authority", "court"],
        "public-health-protection" | "public-warning" => &[
            "customs-administration",
            "health-authority",
            "food-authority",
            "environment-authority",
            "international-organisation",
        ],
        "environmental-protection" | "species-protection" => &[
            "customs-administration",
            "environment-authority",
            "cites-authority",
            "international-organisation",
        ],
        "research" | "reference-library" => &[
            "customs-administration",
            "forensic-laboratory",
            "university",
            "international-organisation",
        ],
        _ => return None,
    })
}

pub fn body_for_another_purpose(rule: &Rule, record: &Value, found: &mut Found) {
    let Some(body) = record.get("grantee").and_then(|grantee| text(grantee, "bodyType")) else {
        return;
    };
    for (pointer, purpose) in select(record, "/purpose/*") {
        let Some(word) = purpose.as_str() else { continue };
        if bodies(word).is_some_and(|bodies| !bodies.contains(&body)) {
            found.push(rule.breach(pointer, format!("{word}, {body}")));
        }
    }
}

pub fn refused_without_ground(rule: &Rule, record: &Value, found: &mut Found) {
    let refused = text(record, "outcome") == Some("refused")
        || says(record, "/replyItem/*/outcome", "refused");
    if refused && !some(record, &["/refusal/ground/*"]) {
        found.push(rule.breach("/refusal/ground", "refused"));
    }
}

pub fn open_without_date(rule: &Rule, record: &Value, found: &mut Found) {
    let outcome = text(record, "outcome").unwrap_or_default();
    let open = matches!(outcome, "partial" | "interim" | "postponed");
    if open && !some(record, &["/nextReplyDue", "/refusal/postponedUntil"]) {
        found.push(rule.breach("/nextReplyDue", outcome));
    }
}

pub fn acknowledged_at_odds(rule: &Rule, record: &Value, found: &mut Found) {
    let told = says(record, "/action/*", "onward-recipients-told");
    let counted = count(record, "onwardRecipientQuantity").is_some_and(|count| count > 0);
    if counted && !told {
        found.push(rule.breach("/onwardRecipientQuantity", ""));
    }
    let actions = select(record, "/action/*").len();
    if says(record, "/action/*", "never-used") && actions > 1 {
        found.push(rule.breach("/action", "never-used"));
    }
}
