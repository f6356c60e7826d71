//! Whether records of ours have arrived, and who does not follow our log.
//!
//! A record has come to a member when the member's cosignature covers it: then it durably holds all
//! that is addressed to it. How many members that must be is the community's to say.
//!
//! This module knows nothing of connections: who is silent and who is cut off look the same.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::register::{Community, Register, Status};
use sealwire_wire::statement::{Addressees, Body, RecordManifest, Statement};
use serde::Serialize;

use crate::context::Context;
use crate::feed::{stored, unknown};
use crate::refusal::Refusal;
use crate::release;

/// How long the head of our log may go without a member's cosignature before that member is a
/// stale witness, in milliseconds.
pub const STALE_AFTER_MS: u64 = 15 * 60 * 1000;
/// How long a record may take to come to as many members as its community asks for before it is
/// overdue, in milliseconds.
pub const OVERDUE_AFTER_MS: u64 = 60 * 60 * 1000;
/// Most entries looked at for those that are overdue, the newest first.
pub const MAX_OVERDUE_LOOKED_AT: u64 = 500;

/// Where a record of ours has arrived.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// Record id.
    pub id: String,
    /// Its place in our log.
    pub index: u64,
    /// Per addressed member.
    pub members: Vec<DeliveredTo>,
    /// How many of them have it.
    pub reached: usize,
    /// How many of them the community asks for.
    pub required: usize,
    /// Whether that is reached.
    pub delivered: bool,
    /// Whether as many members cosigned as the community asks for.
    pub witnessed: bool,
}

/// Delivery to one member.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveredTo {
    /// The member.
    pub member: MemberId,
    /// The classes that are sealed for it.
    pub classes: Vec<String>,
    /// Whether its cosignature covers the record: it durably holds all that is addressed to it.
    pub delivered: bool,
    /// Witnessed time of that cosignature, seconds since 1970.
    pub cosigned_at: Option<u64>,
    /// How often its people read each restricted class, as its log says.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, u64>,
    /// Why it quarantined the record, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Where a record of ours has arrived.
pub fn delivery(context: &Context, id: &RecordId) -> Result<Delivery, Refusal> {
    let (log, index, entry) = stored(context, id)?;
    if log != context.own {
        return Err(Refusal::new(
            "not-ours",
            409,
            format!("cannot tell delivery of {id}: it is a record of {log}"),
            "ask its originator",
        ));
    }
    let register = context.register();
    let statement = Statement::parse(&entry.item.statement).map_err(|_| unknown(id))?;
    let Body::Record(record) = &statement.manifest().body else { return Err(unknown(id)) };
    let community = register.community(&record.community).ok_or_else(|| unknown(id))?;
    let addressed = addressed(context, &register, community, &statement);
    let refusals = context.reader.refused_by(index);
    let members: Vec<DeliveredTo> = addressed
        .into_iter()
        .map(|member| {
            let cosigned = context.reader.cosigned_at(&context.own, &member, index);
            let refused = refusals.iter().find(|(by, ..)| *by == member);
            DeliveredTo {
                classes: classes_for(context, record, &member),
                delivered: cosigned.is_some(),
                cosigned_at: cosigned.map(|(_, time)| time),
                reads: context.reader.reads_of(id, &member),
                refused: refused.map(|(_, code, text)| format!("{code}: {text}")),
                member,
            }
        })
        .collect();
    let count = context
        .reader
        .cosignatures(&context.own)
        .iter()
        .filter(|c| c.by != context.own && c.size > index)
        .count();
    let witnessed = count as u64 >= u64::from(community.witnesses);
    let reached = members.iter().filter(|to| to.delivered).count();
    let required = required(community, members.len());
    let delivered = reached >= required;
    Ok(Delivery { id: id.to_string(), index, members, reached, required, delivered, witnessed })
}

/// The classes of a record of ours that `member` can open.
pub fn classes_for(context: &Context, record: &RecordManifest, member: &MemberId) -> Vec<String> {
    let entitled = |audience| context.own_audience(audience).is_some_and(|to| to.contains(member));
    let parts = record.parts.iter().filter(|(_, part)| entitled(&part.audience));
    parts.map(|(class, _)| class.clone()).collect()
}

/// Since when our log has entries that a member has not cosigned, in milliseconds since 1970.
pub fn behind_since(context: &Context, cosigned: u64) -> Option<u64> {
    let first = context.reader.entry(&context.own, cosigned).ok().flatten();
    first.map(|entry| entry.received_at)
}

/// Whether a member that is behind since then is a stale witness.
pub fn is_stale(behind_since: Option<u64>, now_ms: u64) -> bool {
    behind_since.is_some_and(|since| now_ms.saturating_sub(since) > STALE_AFTER_MS)
}

/// Our records that ought to have come to more members than they have by now, the newest first.
/// At most [`MAX_OVERDUE_LOOKED_AT`] entries are looked at.
pub fn overdue(context: &Context, now_ms: u64) -> Vec<u64> {
    let register = context.register();
    let cosigned: BTreeMap<MemberId, u64> =
        context.reader.cosignatures(&context.own).into_iter().map(|c| (c.by, c.size)).collect();
    let has = |member: &MemberId, index: u64| cosigned.get(member).is_some_and(|c| *c > index);
    let others = register.members().filter(|m| m.status == Status::Active && m.id != context.own);
    let sizes = others.map(|m| cosigned.get(&m.id).copied().unwrap_or(0));
    let size = context.reader.size(&context.own);
    let Some(first) = sizes.min().filter(|first| *first < size) else { return Vec::new() };
    let due = first_after(context, now_ms.saturating_sub(OVERDUE_AFTER_MS), first..size);
    let first = first.max(due.saturating_sub(MAX_OVERDUE_LOOKED_AT));
    let late = |index: &u64| {
        let entry = context.reader.entry(&context.own, *index).ok().flatten();
        let statement = entry.and_then(|e| Statement::parse(&e.item.statement).ok());
        let Some(statement) = statement else { return false };
        let Body::Record(record) = &statement.manifest().body else { return false };
        let Some(community) = register.community(&record.community) else { return false };
        let addressed = addressed(context, &register, community, &statement);
        let reached = addressed.iter().filter(|member| has(member, *index)).count();
        reached < required(community, addressed.len())
    };
    (first..due).rev().filter(late).collect()
}

/// The first index of a range of our log whose entry is younger than a time, or the range's end.
fn first_after(context: &Context, time_ms: u64, range: std::ops::Range<u64>) -> u64 {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = context.reader.entry(&context.own, middle).ok().flatten();
        if entry.is_some_and(|entry| entry.received_at <= time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// How many of so many members a record must have come to.
fn required(community: &Community, addressed: usize) -> usize {
    let asked = community.delivery.and_then(|k| usize::try_from(k).ok());
    asked.map_or(addressed, |k| k.min(addressed))
}

/// The active members to whom a record of ours is addressed.
pub fn recipients(context: &Context, statement: &Statement) -> BTreeSet<MemberId> {
    let register = context.register();
    let Body::Record(record) = &statement.manifest().body else { return BTreeSet::new() };
    let community = register.community(&record.community);
    community.map_or_else(BTreeSet::new, |known| addressed(context, &register, known, statement))
}

/// The active members to whom an entry of ours is addressed.
fn addressed(
    context: &Context,
    register: &Register,
    community: &Community,
    statement: &Statement,
) -> BTreeSet<MemberId> {
    let active = |id: &&MemberId| register.member(id).is_some_and(|m| m.status == Status::Active);
    match statement.manifest().addressees() {
        Addressees::Named(to) => to.iter().filter(active).cloned().collect(),
        _ => release::active_peers(register, community, &context.own).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use sealwire_wire::id::Digest;
    use sealwire_wire::register::{Draft, Introduction};

    use super::*;
    use crate::keys::{Keys, Windows};
    use crate::store::testing::{World, cosignature, id};

    fn key(name: &str) -> SigningKey {
        SigningKey::from_bytes(&Digest::of(name.as_bytes()).0)
    }

    /// Three members in one community, in which a record must have come to so many.
    fn register(delivery: Option<u32>) -> Register {
        let public = |name: &str| key(name).verifying_key().to_bytes();
        let mut draft = Draft::new("test.example", 1, 4_000_000_000).unwrap();
        draft.add_seat("governor", &public("governor")).unwrap();
        draft.set_schema("lab-alert", "urn:schema", Digest([7; 32]));
        for member in ["ID", "SG", "AU"] {
            let [node, log, cosign] =
                ["node", "log", "cosign"].map(|u| public(&format!("{member} {u}")));
            let introduction = Introduction::new(
                id(member),
                BTreeMap::from([("en".to_owned(), member.to_owned())]),
                vec!["administration".to_owned()],
                vec!["/ip4/192.0.2.1/udp/4001/quic-v1".to_owned()],
                (&node, &log, &cosign),
                &key(&format!("{member} sign")),
            );
            draft.add_member(&introduction.unwrap()).unwrap();
        }
        let set = |items: &[&str]| items.iter().map(|i| (*i).to_owned()).collect();
        let community = Community {
            id: "labs".to_owned(),
            title: "New substances".to_owned(),
            agreement: "MoU 2026/1".to_owned(),
            members: ["AU", "ID", "SG"].map(id).into(),
            kinds: set(&["lab-alert"]),
            classes: set(&["open", "core"]),
            tlp_ceiling: "AMBER".to_owned(),
            purposes: set(&["drug-control"]),
            retention_days: 365,
            class_retention_days: BTreeMap::new(),
            witnesses: 1,
            delivery,
            directions: BTreeMap::new(),
        };
        draft.add_community(&community).unwrap();
        draft.sign(&key("governor"), None).unwrap();
        draft.finish(None).unwrap()
    }

    /// Five records of ours, each a millisecond after the one before; SG has all, AU the first two.
    fn published(delivery: Option<u32>) -> (World, Context) {
        let mut world = World::new();
        world.publish(5);
        let own = id("ID");
        world.commit(&[cosignature(&own, &id("SG"), 5, 1), cosignature(&own, &id("AU"), 2, 1)]);
        let windows = Windows { epoch: 1000, grace: 500 };
        let keys = Keys::create(&world.root().join("keys"), 1, windows, None).unwrap();
        let context = Context::new(own, keys, register(delivery), world.reader().clone(), None);
        (world, context)
    }

    #[test]
    fn a_record_is_overdue_when_too_few_have_it_after_an_hour() {
        let after = |ms: u64| 1000 + OVERDUE_AFTER_MS + ms;
        let (_world, all) = published(None);
        assert_eq!(overdue(&all, after(3)), [3, 2], "of those that are an hour old");
        assert_eq!(overdue(&all, after(9)), [4, 3, 2]);
        assert_eq!(overdue(&all, after(1)), [0; 0]);
        let (_world, one) = published(Some(1));
        assert_eq!(overdue(&one, after(9)), [0; 0], "one of the two is enough here");
        let (_world, both) = published(Some(2));
        assert_eq!(overdue(&both, after(9)), [4, 3, 2]);
    }

    #[test]
    fn a_witness_is_stale_when_the_first_entry_it_lacks_is_a_quarter_of_an_hour_old() {
        let (_world, context) = published(None);
        assert_eq!(behind_since(&context, 2), Some(1002));
        assert_eq!(behind_since(&context, 5), None, "it has cosigned the head");
        assert!(!is_stale(Some(1002), 1002 + STALE_AFTER_MS));
        assert!(is_stale(Some(1002), 1003 + STALE_AFTER_MS));
        assert!(!is_stale(None, u64::MAX));
    }
}
