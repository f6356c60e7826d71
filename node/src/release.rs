//! Who may see which part, and why.
//!
//! From the community's agreement, the record's handling and the publisher's wish, one plan: the
//! entry's addressees and, per field class, the exact audience. An empty audience is nobody: the
//! part is committed to and kept by its originator alone.
//!
//! Pure: knows nothing of keys, disks or clocks.

#[cfg(test)]
mod directions;

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::FieldClass;
use sealwire_wire::id::MemberId;
use sealwire_wire::register::{Community, Register, Status};
use sealwire_wire::statement::{Addressees, Manifest};
use serde_json::Value;

use crate::refusal::Refusal;

/// What a publisher asks for.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Addressees of the whole entry; absent means the whole community.
    pub to: Option<BTreeSet<MemberId>>,
    /// Audiences of single classes.
    pub audiences: BTreeMap<FieldClass, BTreeSet<MemberId>>,
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

/// TLP 2.0 labels from the least to the most restrictive.
const TLP_ORDER: [&str; 5] = ["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"];

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
    let community = publisher_of(register, own, community)?;
    check_agreement(community, kind, handling)?;
    let peers: BTreeSet<MemberId> = active_peers(register, community, own);
    let to = wish.to.as_ref().map(|to| named("to", to, &peers, own)).transpose()?;
    if tlp(handling) == "RED" && to.is_none() {
        return Err(red_to_all());
    }
    let addressees = to.clone().unwrap_or(peers);
    let mut planned = BTreeMap::new();
    for class in classes {
        let allowed = community.classes.contains(agreement_class(*class));
        let audience = match wish.audiences.get(class) {
            Some(_) if !allowed => {
                return Err(Refusal::new(
                    "class-not-in-agreement",
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
        "red-needs-named-members",
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
    let active = register.member(member).is_some_and(|m| m.status == Status::Active);
    if active && known.members.contains(member) {
        Ok(known)
    } else {
        Err(Refusal::new(
            "not-in-community",
            403,
            format!(
                "cannot share in community {community}: {member} is not an active member of it"
            ),
            "ask a governor to add the member, or use another community",
        ))
    }
}

/// The community, if `member` is an active member of it that may publish in it.
pub fn publisher_of<'r>(
    register: &'r Register,
    member: &MemberId,
    community: &str,
) -> Result<&'r Community, Refusal> {
    let known = member_of(register, member, community)?;
    if known.publishes(member) {
        return Ok(known);
    }
    Err(Refusal::new(
        "direction-not-in-agreement",
        403,
        format!("cannot share in community {community}: {member} only receives in it"),
        "ask the governors to change the agreement's directions, or use another community",
    ))
}

/// Whether kind, TLP label and purposes are within the community's agreement.
pub fn check_agreement(community: &Community, kind: &str, handling: &Value) -> Result<(), Refusal> {
    let refuse = |code, what: String, hint| Err(Refusal::new(code, 422, what, hint));
    if !community.kinds.contains(kind) {
        return refuse(
            "kind-not-in-agreement",
            format!(
                "cannot share a {kind} in community {}: its agreement does not cover the kind",
                community.id
            ),
            "use another community, or ask the governors to extend the agreement",
        );
    }
    let rank = |label: &str| TLP_ORDER.iter().position(|known| *known == label);
    let (label, ceiling) = (tlp(handling), community.tlp_ceiling.as_str());
    if rank(label).is_none() || rank(label) > rank(ceiling) {
        return refuse(
            "tlp-above-ceiling",
            format!(
                "cannot share TLP:{label} in community {}: its ceiling is TLP:{ceiling}",
                community.id
            ),
            "use a community with a higher ceiling",
        );
    }
    let purposes = handling.get("purpose").and_then(Value::as_array);
    let foreign = purposes
        .into_iter()
        .flatten()
        .find(|p| p.as_str().is_none_or(|p| !community.purposes.contains(p)));
    match foreign {
        None => Ok(()),
        Some(purpose) => refuse(
            "purpose-not-in-agreement",
            format!(
                "cannot share for purpose {purpose} in community {}: its agreement does not cover it",
                community.id
            ),
            "state only purposes that the community's agreement lists",
        ),
    }
}

/// Whether an entry is addressed to `member`.
pub fn addressed(register: &Register, manifest: &Manifest, member: &MemberId) -> bool {
    let active = register.member(member).is_some_and(|m| m.status == Status::Active);
    active
        && match manifest.addressees() {
            Addressees::Named(to) => to.contains(member),
            Addressees::Community(id) => register.community(id).is_some_and(|c| c.receives(member)),
            Addressees::Federation => true,
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

/// The TLP label without its prefix.
pub fn tlp(handling: &Value) -> &str {
    let label = handling.get("tlp").and_then(Value::as_str).unwrap_or_default();
    label.strip_prefix("TLP:").unwrap_or(label)
}

/// The class that an agreement names: a coarser value is covered with its exact one.
fn agreement_class(class: FieldClass) -> &'static str {
    match class {
        FieldClass::CoreCoarse => FieldClass::Core.as_str(),
        FieldClass::OperationalCoarse => FieldClass::Operational.as_str(),
        exact => exact.as_str(),
    }
}

fn shared_by_default(class: FieldClass) -> bool {
    matches!(
        class,
        FieldClass::Open
            | FieldClass::Core
            | FieldClass::CoreCoarse
            | FieldClass::OperationalCoarse
    )
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
            "empty-audience",
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
