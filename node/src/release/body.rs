//! Bodies outside the federation: what a member may hand them of a record, its own or another's.
//!
//! The originator keeps the say: beyond what its record says itself (an organisation that it is
//! shared with, TLP:CLEAR), only a consent of its own lets a field go, for a named body, for
//! purposes and for a time. Nobody hands on what it does not itself see.

use std::collections::BTreeSet;

use sealwire_schemas::FieldClass;
use sealwire_wire::id::{MemberId, RecordId};
use serde_json::Value;

use super::{Asker, Decision, Rule, Sees, Shared, Tlp, agreement_class, shared_by_default};

/// An originator's consent: a record of kind `consent-grant`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The record that gives it.
    pub id: RecordId,
    /// Who gives it; it counts for records of this member alone.
    pub issuer: MemberId,
    /// The records that it covers.
    pub records: BTreeSet<RecordId>,
    /// The name of the body that may get them.
    pub body: String,
    /// The body's member id, if it is a member.
    pub member: Option<MemberId>,
    /// The member that may hand them over; none means the issuer alone.
    pub via: Option<MemberId>,
    /// For what.
    pub purposes: BTreeSet<String>,
    /// The classes that it covers, coarser values with their exact ones.
    pub classes: BTreeSet<String>,
    /// First day, as in 2026-11-30.
    pub from: String,
    /// Last day.
    pub until: String,
    /// What the body has to keep to.
    pub conditions: Vec<String>,
    /// `evidence` or `intelligence-only`, if it says so.
    pub evidence: Option<String>,
}

impl Grant {
    /// Reads a record of kind `consent-grant`, as far as it was opened. Of records of others than
    /// its issuer it says nothing.
    pub fn of(id: RecordId, issuer: &MemberId, record: &Value) -> Option<Self> {
        let text = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
        let list = |key: &str| -> Vec<String> {
            let items = record.get(key).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let member = |value: &Value, key: &str| match text(value, key) {
            None => Some(None),
            Some(id) => id.parse().ok().map(Some),
        };
        let named = record.get("record").and_then(Value::as_array).into_iter().flatten();
        let own = named.filter(|named| text(named, "issuer").as_deref() == Some(issuer.as_str()));
        let grantee = record.get("grantee")?;
        Some(Self {
            id,
            issuer: issuer.clone(),
            records: own.filter_map(|named| text(named, "record")?.parse().ok()).collect(),
            body: text(grantee, "name")?,
            member: member(grantee, "memberId")?,
            via: member(record, "granteeViaMember")?,
            purposes: list("purpose").into_iter().collect(),
            classes: list("class").into_iter().collect(),
            from: text(record, "from")?,
            until: text(record, "until")?,
            conditions: list("condition"),
            evidence: text(record, "use"),
        })
    }

    /// Whether it covers a part of a record of `originator`, for a purpose on a day.
    fn covers(
        &self,
        (record, originator): (&RecordId, &MemberId),
        class: FieldClass,
        purpose: &str,
        day: &str,
    ) -> bool {
        let class = [class.as_str(), agreement_class(class)];
        self.issuer == *originator
            && self.records.contains(record)
            && self.purposes.contains(purpose)
            && class.iter().any(|class| self.classes.contains(*class))
            && (self.from.as_str()..=self.until.as_str()).contains(&day)
    }

    /// Whether it lets `member`, for which the part is sealed, use it for a purpose.
    pub fn to_member(
        &self,
        (record, originator): (&RecordId, &MemberId),
        member: &MemberId,
        class: FieldClass,
        purpose: &str,
        day: &str,
    ) -> bool {
        self.member.as_ref() == Some(member)
            && self.via.as_ref().is_none_or(|via| via == member)
            && self.covers((record, originator), class, purpose, day)
    }

    fn to_body(&self, shared: &Shared<'_>, body: &OutsideBody<'_>, class: FieldClass) -> bool {
        let via = self.via.as_ref().unwrap_or(&self.issuer);
        self.body == body.name
            && via == body.holder.member
            && self.covers((shared.id, shared.originator), class, body.purpose, body.holder.day)
    }
}

/// A body outside the federation that is to get records from a member.
#[derive(Debug, Clone, Copy)]
pub struct OutsideBody<'a> {
    /// The member that hands them over, with what originators have consented to.
    pub holder: Asker<'a>,
    /// The body's name, as a consent names it.
    pub name: &'a str,
    /// What it wants them for.
    pub purpose: &'a str,
}

/// What a body may get of the part of `class`, and by which consent.
pub fn class<'a>(
    shared: &Shared<'_>,
    body: &OutsideBody<'a>,
    class: FieldClass,
) -> (Decision, Option<&'a Grant>) {
    let held = super::class(shared, &body.holder, class);
    if held.sees != Sees::Value {
        return (held, None);
    }
    let grants = body.holder.grants.iter();
    let consent = grants.filter(|grant| grant.to_body(shared, body, class)).min_by_key(|g| g.id);
    let outcome = by_rules(shared, body, class, consent.is_some());
    let consent = consent.filter(|_| outcome == Ok(Rule::ConsentGrant));
    (Decision::of(outcome), consent)
}

fn by_rules(
    shared: &Shared<'_>,
    body: &OutsideBody<'_>,
    class: FieldClass,
    consent: bool,
) -> Result<Rule, Rule> {
    let handling = shared.handling;
    // Without a consent nothing goes out that the record's own community would not get, and for
    // no purpose but the record's.
    let covered = shared.community.is_some_and(|community| super::covers(community, class));
    let ordinary = covered && shared_by_default(class) && handling.purposes.contains(body.purpose);
    if handling.is_red() {
        Err(Rule::TlpRed)
    } else if handling.pap_red {
        Err(Rule::PapRed)
    } else if consent {
        Ok(Rule::ConsentGrant)
    } else if ordinary && handling.share_with.contains(body.name) {
        Ok(Rule::SharedWith)
    } else if ordinary && handling.tlp == Some(Tlp::Clear) {
        Ok(Rule::TlpClear)
    } else {
        Err(Rule::NoConsent)
    }
}
