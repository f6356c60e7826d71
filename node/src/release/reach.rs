//! Whom an amendment has to reach: everybody who had what it amends.
//!
//! A publisher may name more members than had the record, and never fewer. Members that no longer
//! take part in the community cannot be reached and are not asked for.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::FieldClass;
use sealwire_wire::id::MemberId;
use sealwire_wire::register::{Community, Register};

use super::{Wish, active_peers, covers, sender_of};
use crate::refusal::Refusal;

/// Who had a record.
#[derive(Debug, Clone, Copy)]
pub struct Holders<'a> {
    /// The community it was shared in.
    pub community: &'a str,
    /// Its named addressees; none means the whole community.
    pub to: Option<&'a BTreeSet<MemberId>>,
    /// For whom each of its parts was sealed, beside the originator.
    pub audiences: &'a BTreeMap<FieldClass, BTreeSet<MemberId>>,
}

/// The wish for a record with parts of `classes` that amends one of ours: where nothing is named,
/// exactly those who had it; or a refusal that names who would be left out.
pub fn reach(
    register: &Register,
    own: &MemberId,
    community: &str,
    holders: &Holders<'_>,
    classes: &BTreeSet<FieldClass>,
    wish: Wish,
) -> Result<Wish, Refusal> {
    if holders.community != community {
        return Err(Refusal::new(
            "other-community",
            422,
            format!(
                "cannot amend in community {community} a record of community {}",
                holders.community
            ),
            "publish it in the community of the record that it amends",
        ));
    }
    let known = sender_of(register, own, community)?;
    within(known, &active_peers(register, known, own), holders, classes, wish)
}

/// The same in the community of the record; `peers` are the members that receive there now.
pub(super) fn within(
    known: &Community,
    peers: &BTreeSet<MemberId>,
    holders: &Holders<'_>,
    classes: &BTreeSet<FieldClass>,
    wish: Wish,
) -> Result<Wish, Refusal> {
    let holding = match holders.to {
        Some(to) => to.intersection(peers).cloned().collect(),
        None => peers.clone(),
    };
    let Wish { to, mut audiences, mut closed } = wish;
    let to = match (to, holders.to) {
        (Some(to), _) => {
            left_out("the entry", &holding, &to)?;
            Some(to)
        }
        (None, Some(_)) => Some(holding.clone()),
        (None, None) => None,
    };
    for class in classes.iter().filter(|class| covers(known, **class)) {
        let Some(had) = holders.audiences.get(class) else { continue };
        let had: BTreeSet<MemberId> = had.intersection(&holding).cloned().collect();
        match audiences.get(class) {
            Some(wanted) => left_out(&format!("the {} part", class.as_str()), &had, wanted)?,
            None if had.is_empty() => {
                closed.insert(*class);
            }
            None => {
                audiences.insert(*class, had);
            }
        }
    }
    Ok(Wish { to, audiences, closed })
}

fn left_out(
    what: &str,
    had: &BTreeSet<MemberId>,
    wanted: &BTreeSet<MemberId>,
) -> Result<(), Refusal> {
    let left: Vec<&str> = had.difference(wanted).map(MemberId::as_str).collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        "holders-left-out",
        422,
        format!("cannot seal {what}: {} had the record and would not get it", left.join(", ")),
        "leave the audience out, and everybody gets it who had what it amends; or name them too",
    ))
}
