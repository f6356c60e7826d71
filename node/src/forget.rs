//! When a record is to be forgotten, and what is said of it: dates, orders, attestations.
//!
//! A part may be kept up to a last day: what the record's handling states, or what the community's
//! agreement allows from the day of issue, whichever is earlier. Days are days of UTC. An `erasure`
//! record by the originator orders all holders to erase; one by a holder attests that it did.
//!
//! Pure: knows no clock, disk or network.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::register::Community;
use sealwire_wire::statement::{Body, Manifest, RecordManifest, RelationVerb};
use serde_json::{Value, json};

use crate::store::{Erasure, Terms};

/// Kind of the records that order and attest.
pub const KIND: &str = "erasure";
/// Days ahead at which people are warned of a last day or a review.
pub const NOTICE_DAYS: [i64; 3] = [90, 30, 7];
/// Longest time between reviews, in days: CIS Convention, Article 12.
pub const REVIEW_DAYS: i64 = 365;
/// How long after a review was due a record of ours is kept without a decision, in days: the
/// month's notice of the CIS Convention, Article 12.
pub const REVIEW_NOTICE_DAYS: i64 = 30;
/// The rule under which a holder erases what its originator ordered to be erased.
pub const BY_ORDER: &str = "originator-order";
/// The rule of a last day that is over.
pub const RETENTION_ENDED: &str = "retention-ended";
/// The rule of a review that nobody decided.
pub const REVIEW_NOT_CONFIRMED: &str = "review-not-confirmed";
/// How long an erasure record states that it is kept, in years.
const KEPT_YEARS: i64 = 10;

/// The day of a time, milliseconds since 1970.
pub fn day(unix_ms: u64) -> Date {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(Timestamp::MAX).to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// `days` after a day.
pub fn after(day: Date, days: i64) -> Date {
    day.checked_add(days.days()).unwrap_or(Date::MAX)
}

/// How many days `later` is after `day`.
pub fn days_between(day: Date, later: Date) -> i64 {
    day.until(later).map_or(i64::MAX, |span| i64::from(span.get_days()))
}

/// The last day on which a class of a record may be kept.
pub fn last_day(terms: &Terms, community: Option<&Community>, class: &str) -> Date {
    let issued = day(terms.issued_at.saturating_mul(1000));
    let agreed = community.map(|c| after(issued, i64::from(c.retention_of(class))));
    let stated = terms.retain_until.unwrap_or(Date::MAX);
    agreed.map_or(stated, |agreed| agreed.min(stated))
}

/// The day by which a record is to be reviewed for the first time. One that was past when it was
/// issued was reviewed then: it is due a year later.
pub fn first_review(terms: &Terms) -> Option<Date> {
    let (stated, issued) = (terms.review_date?, day(terms.issued_at.saturating_mul(1000)));
    Some(if stated < issued { after(issued, REVIEW_DAYS) } else { stated })
}

/// The classes of a record whose last day is before `today`.
pub fn expired(terms: &Terms, community: Option<&Community>, today: Date) -> BTreeSet<String> {
    let over = |class: &&String| last_day(terms, community, class) < today;
    terms.classes.iter().filter(over).cloned().collect()
}

/// What an erasure record names with the status `erased`.
pub fn erased_classes(record: &Value) -> BTreeSet<String> {
    let parts = record.get("part").and_then(Value::as_array);
    let erased = parts
        .into_iter()
        .flatten()
        .filter(|part| part.get("status").and_then(Value::as_str) == Some("erased"));
    erased.filter_map(|part| Some(part.get("class")?.as_str()?.to_owned())).collect()
}

/// The record that a manifest erases, if it is an erasure, and whether its issuer is the
/// originator, whose word is an order.
pub fn erases<'m>(
    issuer: &MemberId,
    record: &'m RecordManifest,
) -> Option<(&'m RecordId, &'m MemberId, bool)> {
    let relation = record.relation.as_ref()?;
    let erases = record.kind == KIND && relation.verb == RelationVerb::Erases;
    erases.then_some((&relation.record, &relation.issuer, relation.issuer == *issuer))
}

/// What a statement orders to be erased, if it is an originator's erasure record. `record` is what
/// opened of it. The time is that of the commit, and not known here.
pub fn ordered(issuer: &MemberId, manifest: &Manifest, record: &Value) -> Option<Erasure> {
    let Body::Record(manifest) = &manifest.body else { return None };
    let (record_id, originator, order) = erases(issuer, manifest)?;
    let classes = erased_classes(record);
    (order && !classes.is_empty()).then(|| Erasure {
        record: *record_id,
        originator: originator.clone(),
        classes,
        rule: BY_ORDER.to_owned(),
        at: 0,
    })
}

/// An erasure record that is to be written.
pub struct Said<'a> {
    /// The record that is erased.
    pub record: RecordId,
    /// Its originator.
    pub originator: &'a MemberId,
    /// Whether the originator says so.
    pub order: bool,
    /// What its manifest says.
    pub manifest: &'a RecordManifest,
    /// The rule.
    pub rule: &'a str,
    /// The provision or order that the rule stands in.
    pub reference: Option<&'a str>,
    /// The status of each class: `erased`, `legal-hold` or `never-held`.
    pub parts: BTreeMap<String, &'static str>,
    /// Today.
    pub today: Date,
    /// Day by which no backup opens the parts any more.
    pub gone_by: Date,
    /// Day on which a legal hold is looked at again.
    pub hold_until: Option<&'a str>,
}

impl Said<'_> {
    /// The record, without an id.
    pub fn to_record(&self) -> Value {
        let of = self.manifest.handling.to_json().unwrap_or_default();
        let same = |field: &str| of.get(field).cloned().unwrap_or_default();
        let part = |(class, status): (&String, &&str)| {
            let mut part = json!({ "class": class, "status": status });
            let fields = part.as_object_mut();
            let Some(fields) = fields else { return part };
            if *status == "erased" {
                let destroyed = class == "nominal";
                let method =
                    if destroyed { "key-destroyed-and-overwritten" } else { "overwritten" };
                fields.insert("method".into(), method.into());
                fields.insert("date".into(), self.today.to_string().into());
                if let Some(stated) = self.manifest.parts.get(class) {
                    fields.insert("commitment".into(), stated.commitment.to_string().into());
                }
            }
            if let Some(until) = self.hold_until.filter(|_| *status == "legal-hold") {
                fields.insert("holdUntil".into(), until.into());
            }
            part
        };
        let kept = self.today.checked_add(KEPT_YEARS.years()).unwrap_or(Date::MAX);
        let mut record = json!({
            "kind": KIND,
            "version": 1,
            "issueDate": self.today.to_string(),
            "language": "en",
            "relation": {
                "verb": "erases",
                "record": self.record.to_string(),
                "issuer": self.originator.as_str(),
            },
            "handling": {
                "tlp": same("tlp"),
                "pap": same("pap"),
                "purpose": same("purpose"),
                "legalBasis": same("legalBasis"),
                "urgency": "routine",
                "reviewDate": after(self.today, 365).to_string(),
                "retainUntil": kept.to_string(),
            },
            "attesterRole": if self.order { "originator" } else { "recipient" },
            "rule": self.rule,
            "part": self.parts.iter().map(part).collect::<Vec<_>>(),
            "backupsGoneBy": self.gone_by.to_string(),
        });
        if let (Some(reference), Some(fields)) = (self.reference, record.as_object_mut()) {
            fields.insert("ruleReference".into(), reference.into());
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(retain_until: Option<&str>, classes: &[&str]) -> Terms {
        Terms {
            log: "ID".parse().unwrap(),
            index: 0,
            community: "labs".into(),
            // 2026-11-30 23:59:59.
            issued_at: 1_796_083_199,
            retain_until: retain_until.map(|day| day.parse().unwrap()),
            review_date: None,
            classes: classes.iter().map(|class| (*class).to_owned()).collect(),
        }
    }

    fn community(days: u32, classes: &[(&str, u32)]) -> Community {
        Community {
            retention_days: days,
            class_retention_days: classes.iter().map(|(c, d)| ((*c).to_owned(), *d)).collect(),
            id: "labs".into(),
            title: "Laboratories".into(),
            agreement: "A-1".into(),
            members: BTreeSet::new(),
            kinds: BTreeSet::new(),
            classes: BTreeSet::new(),
            tlp_ceiling: "AMBER".into(),
            purposes: BTreeSet::new(),
            witnesses: 1,
            delivery: None,
            directions: BTreeMap::new(),
        }
    }

    #[test]
    fn a_part_is_kept_up_to_the_earlier_of_both_dates_and_through_that_day() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let both = terms(Some("2026-12-15"), &["core", "nominal"]);
        let agreed = community(30, &[("nominal", 7)]);
        assert_eq!(day(both.issued_at * 1000), date("2026-11-30"));
        assert_eq!(last_day(&both, Some(&agreed), "core"), date("2026-12-15"));
        assert_eq!(last_day(&both, Some(&agreed), "nominal"), date("2026-12-07"));
        let long = terms(Some("2027-12-15"), &["core"]);
        assert_eq!(last_day(&long, Some(&agreed), "core"), date("2026-12-30"));
        assert_eq!(last_day(&long, None, "core"), date("2027-12-15"));
        assert_eq!(last_day(&terms(None, &[]), None, "core"), Date::MAX, "nothing says so");

        let none = BTreeSet::new();
        assert_eq!(expired(&both, Some(&agreed), date("2026-12-07")), none, "its last day");
        let nominal = BTreeSet::from(["nominal".to_owned()]);
        assert_eq!(expired(&both, Some(&agreed), date("2026-12-08")), nominal);
        assert_eq!(expired(&both, Some(&agreed), date("2026-12-15")), nominal);
        assert_eq!(expired(&both, Some(&agreed), date("2026-12-16")), both.classes);
    }

    #[test]
    fn a_review_that_was_past_when_a_record_was_issued_is_due_a_year_later() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let reviewed = |day: Option<&str>| {
            first_review(&Terms { review_date: day.map(date), ..terms(None, &["core"]) })
        };
        assert_eq!(reviewed(None), None);
        assert_eq!(reviewed(Some("2026-12-15")), Some(date("2026-12-15")));
        assert_eq!(reviewed(Some("2026-11-30")), Some(date("2026-11-30")));
        assert_eq!(reviewed(Some("2021-12-08")), Some(date("2027-11-30")));
    }

    #[test]
    fn days_are_counted_across_years() {
        let (from, to): (Date, Date) =
            ("2026-12-25".parse().unwrap(), "2027-01-04".parse().unwrap());
        assert_eq!((days_between(from, to), days_between(to, from)), (10, -10));
        assert_eq!(after(from, 10), to);
    }
}
