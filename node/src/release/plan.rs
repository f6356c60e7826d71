//! Who is to get which part of a record that is published: the publisher's wish, within the rules.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::FieldClass;
use sealwire_wire::id::MemberId;
use sealwire_wire::register::{Community, Register, Status};
use serde_json::Value;

use super::{Direction, Handling, Rule, Standing, agreed, covers, shared_by_default};
use crate::refusal::Refusal;

/// What a publisher asks for.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Addressees of the whole entry; absent means the whole community.
    pub to: Option<BTreeSet<MemberId>>,
    /// Audiences of single classes.
    pub audiences: BTreeMap<FieldClass, BTreeSet<MemberId>>,
    /// Classes that nobody gets, where none are named.
    pub closed: BTreeSet<FieldClass>,
}

/// Who gets what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Named addressees; absent means the whole community.
    pub to: Option<BTreeSet<MemberId>>,
    /// The audience of each class, without the originator.
    pub classes: BTreeMap<FieldClass, BTreeSet<MemberId>>,
}

impl Plan {
    /// The audiences by the names of the classes.
    pub fn by_name(&self) -> BTreeMap<String, Vec<MemberId>> {
        let named = |(class, to): (&FieldClass, &BTreeSet<MemberId>)| {
            (class.as_str().to_owned(), to.iter().cloned().collect())
        };
        self.classes.iter().map(named).collect()
    }
}

/// Decides who gets which of `classes`, or refuses.
pub fn plan(
    register: &Register,
    own: &MemberId,
    community: &str,
    kind: &str,
    handling: &Value,
    classes: &BTreeSet<FieldClass>,
    wish: &Wish,
) -> Result<Plan, Refusal> {
    let community = sender_of(register, own, community)?;
    check_agreement(community, kind, handling)?;
    let peers = active_peers(register, community, own);
    planned(community, own, peers, &Handling::of(handling), classes, wish)
}

/// The same for a record that is within the agreement; `peers` are the members that receive.
pub(super) fn planned(
    community: &Community,
    own: &MemberId,
    peers: BTreeSet<MemberId>,
    handling: &Handling,
    classes: &BTreeSet<FieldClass>,
    wish: &Wish,
) -> Result<Plan, Refusal> {
    let to = wish.to.as_ref().map(|to| named("to", to, &peers, own)).transpose()?;
    if handling.is_red() && to.is_none() {
        return Err(red_to_all());
    }
    let addressees = to.clone().unwrap_or(peers);
    let mut planned = BTreeMap::new();
    for class in classes {
        let allowed = covers(community, *class);
        let audience = match wish.audiences.get(class) {
            Some(_) if !allowed => {
                return Err(Refusal::new(
                    Rule::ClassNotInAgreement.id(),
                    422,
                    format!(
                        "cannot share class {}: the agreement of community {} does not cover it",
                        class.as_str(),
                        community.id
                    ),
                    "leave the class out of the audiences, or use another community",
                ));
            }
            Some(wanted) => named(class.as_str(), wanted, &addressees, own)?,
            None if wish.closed.contains(class) => BTreeSet::new(),
            None if allowed && shared_by_default(*class) => addressees.clone(),
            None => BTreeSet::new(),
        };
        planned.insert(*class, audience);
    }
    if let Some(class) = wish.audiences.keys().find(|class| !classes.contains(class)) {
        return Err(Refusal::new(
            "class-not-in-record",
            422,
            format!("cannot share class {}: the record has no field of it", class.as_str()),
            "leave the class out of the audiences",
        ));
    }
    Ok(Plan { to, classes: planned })
}

/// The refusal of a TLP:RED record that is meant for a whole community.
pub fn red_to_all() -> Refusal {
    Refusal::new(
        Rule::RedNeedsNamedMembers.id(),
        422,
        "cannot share a TLP:RED record with a whole community",
        "name the members with --to, or lower the label if you are its originator",
    )
}

/// The community, if `member` is an active member of it.
pub fn member_of<'r>(
    register: &'r Register,
    member: &MemberId,
    community: &str,
) -> Result<&'r Community, Refusal> {
    let known = register.community(community).ok_or_else(|| {
        Refusal::new(
            "unknown-community",
            422,
            format!("cannot share in community {community:?}: the register has none of that id"),
            "sealwire register show lists the communities",
        )
    })?;
    let standing = Standing::of(register, Some(known), member);
    if standing.active && standing.direction.is_some() {
        Ok(known)
    } else {
        Err(Refusal::new(
            Rule::NotInCommunity.id(),
            403,
            format!(
                "cannot share in community {community}: {member} is not an active member of it"
            ),
            "ask a governor to add the member, or use another community",
        ))
    }
}

/// The community, if `member` is an active member of it that sends.
pub fn sender_of<'r>(
    register: &'r Register,
    member: &MemberId,
    community: &str,
) -> Result<&'r Community, Refusal> {
    let known = member_of(register, member, community)?;
    if Direction::of(known, member) == Direction::Receives {
        return Err(Refusal::new(
            Rule::DirectionNotAgreed.id(),
            403,
            format!("cannot share in community {community}: {member} only receives in it"),
            "use another community, or ask the governors to change the agreement",
        ));
    }
    Ok(known)
}

/// Whether kind, TLP label and purposes are within the community's agreement.
pub fn check_agreement(community: &Community, kind: &str, handling: &Value) -> Result<(), Refusal> {
    let handling_read = Handling::of(handling);
    let Err(rule) = agreed(community, kind, &handling_read) else { return Ok(()) };
    let refuse = |what: String, hint| Err(Refusal::new(rule.id(), 422, what, hint));
    match rule {
        Rule::KindNotInAgreement => refuse(
            format!(
                "cannot share a {kind} in community {}: its agreement does not cover the kind",
                community.id
            ),
            "use another community, or ask the governors to extend the agreement",
        ),
        Rule::TlpAboveCeiling => {
            let label = handling.get("tlp").and_then(Value::as_str).unwrap_or_default();
            refuse(
                format!(
                    "cannot share TLP:{} in community {}: its ceiling is TLP:{}",
                    label.strip_prefix("TLP:").unwrap_or(label),
                    community.id,
                    community.tlp_ceiling
                ),
                "use a community with a higher ceiling",
            )
        }
        _ => {
            let mut foreign = handling_read.purposes.difference(&community.purposes);
            refuse(
                format!(
                    "cannot share for purpose {:?} in community {}: its agreement does not cover \
                     it",
                    foreign.next().map(String::as_str).unwrap_or_default(),
                    community.id
                ),
                "state only purposes that the community's agreement lists",
            )
        }
    }
}

/// The other active members of a community to whom its entries are addressed.
pub fn active_peers(
    register: &Register,
    community: &Community,
    own: &MemberId,
) -> BTreeSet<MemberId> {
    community
        .members
        .iter()
        .filter(|id| *id != own && community.receives(id))
        .filter(|id| register.member(id).is_some_and(|m| m.status == Status::Active))
        .cloned()
        .collect()
}

fn named(
    what: &str,
    wanted: &BTreeSet<MemberId>,
    allowed: &BTreeSet<MemberId>,
    own: &MemberId,
) -> Result<BTreeSet<MemberId>, Refusal> {
    let others: BTreeSet<MemberId> = wanted.iter().filter(|m| *m != own).cloned().collect();
    if others.is_empty() {
        return Err(Refusal::new(
            Rule::EmptyAudience.id(),
            422,
            format!("cannot seal {what}: the audience is empty, and an empty audience is nobody"),
            "name at least one other member, or leave the audience out",
        ));
    }
    match others.iter().find(|m| !allowed.contains(*m)) {
        None => Ok(others),
        Some(member) => Err(Refusal::new(
            "member-not-entitled",
            422,
            format!("cannot seal {what} to {member}: not an active addressee of this community"),
            "sealwire register show lists the members of each community",
        )),
    }
}
