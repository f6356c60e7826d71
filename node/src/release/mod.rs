//! Who may see which part, and why: the one place where that is decided.
//!
//! The rules stand in one order, [`Rule::ALL`]; the first that applies decides. [`field`] and
//! [`class`] say it of a member, [`body::class`] of a body outside the federation, [`serve`] of an
//! entry that one member asks another for, and [`plan`](mod@plan) makes audiences that keep to
//! them. An empty audience is nobody: the part is committed to and kept by its originator alone.
//!
//! Pure: knows nothing of keys, disks or clocks.

pub mod body;
#[cfg(test)]
mod directions;
mod handling;
mod plan;
mod reach;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use sealwire_schemas::FieldClass;
use sealwire_wire::cbor::Encoded;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::register::{Community, Register, Status};
use sealwire_wire::statement::{Addressees, Body, Manifest};
use serde::Serialize;

pub use body::Grant;
pub use handling::{Handling, Tlp};
pub use plan::{Plan, Wish, active_peers, check_agreement, member_of, plan, red_to_all, sender_of};
pub use reach::{Holders, reach};
pub use rule::Rule;

/// Kinds that every agreement covers, whatever it names: an agreement can forbid neither to put
/// right, withdraw or erase what was shared under it, nor to say that this was done.
pub const ALWAYS_COVERED: [&str; 4] = ["acknowledgement", "correction", "erasure", "withdrawal"];

/// The record kind that a hit of a match opens; see [`matching`].
pub const ASSISTANCE_REQUEST: &str = "assistance-request";

/// What somebody sees of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sees {
    /// Its value.
    Value,
    /// A coarser value in its place.
    Coarser,
    /// Nothing.
    Withheld,
}

/// What somebody sees, and the rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub sees: Sees,
    /// The rule; of a coarser value the one that withholds the exact value.
    pub rule: Rule,
}

impl Decision {
    fn of(outcome: Result<Rule, Rule>) -> Self {
        match outcome {
            Ok(rule) => Self { sees: Sees::Value, rule },
            Err(rule) => Self { sees: Sees::Withheld, rule },
        }
    }
}

/// Which ways records of a community go for one of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It sends and receives.
    Both,
    /// It only sends.
    Sends,
    /// It only receives.
    Receives,
}

impl Direction {
    /// The direction that a community's agreement gives a member.
    pub fn of(community: &Community, member: &MemberId) -> Self {
        match (community.publishes(member), community.receives(member)) {
            (true, false) => Self::Sends,
            (false, true) => Self::Receives,
            _ => Self::Both,
        }
    }
}

/// What the register says of a member with regard to one community.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it takes part in the federation.
    pub active: bool,
    /// Its direction in the community; none if it is not of it.
    pub direction: Option<Direction>,
}

impl Standing {
    /// Reads it from a register.
    pub fn of(register: &Register, community: Option<&Community>, member: &MemberId) -> Self {
        let active = register.member(member).is_some_and(|m| m.status == Status::Active);
        let community = community.filter(|community| community.members.contains(member));
        Self { active, direction: community.map(|community| Direction::of(community, member)) }
    }

    fn sends(self) -> bool {
        self.active && matches!(self.direction, Some(Direction::Both | Direction::Sends))
    }
}

/// One record, as it is shared or is to be.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// Its id.
    pub id: &'a RecordId,
    /// Who issued it.
    pub originator: &'a MemberId,
    /// How the originator stands in the community.
    pub standing: Standing,
    /// The community, if the register has it.
    pub community: Option<&'a Community>,
    /// Record kind.
    pub kind: &'a str,
    /// Its handling.
    pub handling: &'a Handling,
    /// Named addressees; none means the whole community.
    pub to: Option<&'a BTreeSet<MemberId>>,
    /// For whom each of its parts is sealed, beside the originator; nothing if that is not known
    /// here.
    pub audiences: &'a BTreeMap<FieldClass, Option<BTreeSet<MemberId>>>,
}

/// A member that is to see a record.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Who.
    pub member: &'a MemberId,
    /// How it stands in the record's community.
    pub standing: Standing,
    /// What it wants the record for; none means for a purpose of the record.
    pub purpose: Option<&'a str>,
    /// The day, as in 2026-11-30.
    pub day: &'a str,
    /// What originators have consented to.
    pub grants: &'a [Grant],
}

/// What a member sees of a field of `class` that has, or has not, a coarser value beside it.
pub fn field(shared: &Shared<'_>, asker: &Asker<'_>, class: FieldClass, coarser: bool) -> Decision {
    let exact = self::class(shared, asker, class);
    let coarse = class.coarse().filter(|_| coarser && exact.sees == Sees::Withheld);
    let instead = coarse.map(|coarse| self::class(shared, asker, coarse));
    match instead {
        Some(Decision { sees: Sees::Value, .. }) => Decision { sees: Sees::Coarser, ..exact },
        _ => exact,
    }
}

/// Whether a member sees the values in the part of `class`.
pub fn class(shared: &Shared<'_>, asker: &Asker<'_>, class: FieldClass) -> Decision {
    Decision::of(part(shared, asker, class))
}

fn part(shared: &Shared<'_>, asker: &Asker<'_>, class: FieldClass) -> Result<Rule, Rule> {
    if asker.member == shared.originator {
        return Ok(Rule::Originator);
    }
    entry(shared, asker)?;
    match shared.community {
        Some(community) if covers(community, class) => {}
        _ => return Err(Rule::ClassNotInAgreement),
    }
    match shared.audiences.get(&class) {
        Some(Some(to)) if to.contains(asker.member) => {}
        Some(Some(to)) if to.is_empty() => return Err(Rule::EmptyAudience),
        Some(Some(_)) => return Err(Rule::NotInAudience),
        Some(None) | None => return Err(Rule::AudienceUnknown),
    }
    let Some(purpose) = asker.purpose else { return Ok(Rule::InAudience) };
    if shared.handling.purposes.contains(purpose) {
        return Ok(Rule::InAudience);
    }
    let record = (shared.id, shared.originator);
    let granted =
        asker.grants.iter().any(|g| g.to_member(record, asker.member, class, purpose, asker.day));
    if granted { Ok(Rule::ConsentGrant) } else { Err(Rule::PurposeNotAgreed) }
}

/// Why a member that is not its originator gets nothing of an entry, if it does not.
fn entry(shared: &Shared<'_>, asker: &Asker<'_>) -> Result<(), Rule> {
    if !asker.standing.active {
        return Err(Rule::MemberNotActive);
    }
    let Some(community) = shared.community else { return Err(Rule::NotInCommunity) };
    match asker.standing.direction {
        None => return Err(Rule::NotInCommunity),
        Some(Direction::Sends) => return Err(Rule::DirectionNotAgreed),
        Some(Direction::Both | Direction::Receives) => {}
    }
    if !shared.standing.sends() {
        return Err(Rule::DirectionNotAgreed);
    }
    agreed(community, shared.kind, shared.handling)?;
    match shared.to {
        None if shared.handling.is_red() => Err(Rule::RedNeedsNamedMembers),
        Some(to) if !to.contains(asker.member) => Err(Rule::NotAddressed),
        _ => Ok(()),
    }
}

/// Whether a record is within a community's agreement.
fn agreed(community: &Community, kind: &str, handling: &Handling) -> Result<(), Rule> {
    let ceiling = community.tlp_ceiling.parse::<Tlp>().ok();
    if !community.kinds.contains(kind) && !ALWAYS_COVERED.contains(&kind) {
        Err(Rule::KindNotInAgreement)
    } else if handling.tlp.is_none() || handling.tlp > ceiling {
        Err(Rule::TlpAboveCeiling)
    } else if !handling.purposes.is_subset(&community.purposes) {
        Err(Rule::PurposeNotInAgreement)
    } else {
        Ok(())
    }
}

/// Whether `server` may give an entry of `log` to `asker`, whole and with its sealed parts. To the
/// log's owner everybody may: it knew the entry, and may have lost it. The answers of a log's owner
/// are signed, so beyond that this asks only what makes an entry addressed to a member.
pub fn serve(
    register: &Register,
    log: &MemberId,
    manifest: &Manifest,
    server: &MemberId,
    asker: &MemberId,
) -> Result<(), Rule> {
    if log == asker {
        return Ok(());
    }
    let to = manifest.addressees();
    let community = match to {
        Addressees::Community(id) => register.community(id),
        _ => None,
    };
    let standing = Standing::of(register, community, asker);
    served(to, is_red(manifest), server == log, asker, standing)
}

/// Whether the secret of an audience may be wrapped again for `asker`, by its originator.
pub fn wrap(
    register: &Register,
    community: &str,
    to: &BTreeSet<MemberId>,
    asker: &MemberId,
) -> Result<(), Rule> {
    let standing = Standing::of(register, register.community(community), asker);
    served(Addressees::Named(to), false, true, asker, standing)?;
    standing.direction.map(|_| ()).ok_or(Rule::NotInCommunity)
}

/// Whether `asker` may ask `responder`, in a community and for a purpose, whether it holds an
/// identifier. What a hit may lead to is agreed there too, or the question has no sense: requests
/// for assistance. Who sends nothing in the community answers nothing, who receives nothing there
/// asks nothing.
pub fn matching(
    register: &Register,
    community: &str,
    purpose: &str,
    asker: &MemberId,
    responder: &MemberId,
) -> Result<(), Rule> {
    let community = register.community(community);
    let standing = |member| Standing::of(register, community, member);
    let (asker, responder) = (standing(asker), standing(responder));
    if !asker.active || !responder.active {
        return Err(Rule::MemberNotActive);
    }
    let (Some(community), Some(asks), Some(answers)) =
        (community, asker.direction, responder.direction)
    else {
        return Err(Rule::NotInCommunity);
    };
    if asks == Direction::Sends || answers == Direction::Receives {
        Err(Rule::DirectionNotAgreed)
    } else if !community.kinds.contains(ASSISTANCE_REQUEST) {
        Err(Rule::KindNotInAgreement)
    } else if !community.purposes.contains(purpose) {
        Err(Rule::PurposeNotInAgreement)
    } else {
        Ok(())
    }
}

/// Whether an entry may go to all who read the topic of `community`, or of the federation if none.
pub fn spread(manifest: &Manifest, community: Option<&str>) -> Result<(), Rule> {
    match (manifest.addressees(), community) {
        (Addressees::Named(_), _) => Err(Rule::RelayOfNamed),
        (Addressees::Community(_), _) if is_red(manifest) => Err(Rule::RedNeedsNamedMembers),
        (Addressees::Community(of), Some(topic)) if of == topic => Ok(()),
        (Addressees::Community(_), _) => Err(Rule::NotInCommunity),
        (Addressees::Federation, None) => Ok(()),
        (Addressees::Federation, Some(_)) => Err(Rule::NotAddressed),
    }
}

/// The same without a register: `asker` stands in the entry's community as said.
fn served(
    to: Addressees<'_>,
    red: bool,
    by_owner: bool,
    asker: &MemberId,
    standing: Standing,
) -> Result<(), Rule> {
    if !standing.active {
        return Err(Rule::MemberNotActive);
    }
    match to {
        Addressees::Federation => Ok(()),
        Addressees::Community(_) if standing.direction.is_none() => Err(Rule::NotInCommunity),
        Addressees::Community(_) if standing.direction == Some(Direction::Sends) => {
            Err(Rule::DirectionNotAgreed)
        }
        Addressees::Community(_) if red => Err(Rule::RedNeedsNamedMembers),
        Addressees::Community(_) => Ok(()),
        Addressees::Named(to) if !to.contains(asker) => Err(Rule::NotAddressed),
        Addressees::Named(_) if !by_owner => Err(Rule::RelayOfNamed),
        Addressees::Named(_) => Ok(()),
    }
}

/// Whether the opened parts of an entry may go to whoever holds no seal key for it: into a bundle.
pub fn opened_to_auditors(manifest: &Manifest) -> Result<(), Rule> {
    if is_red(manifest) { Err(Rule::TlpRed) } else { Ok(()) }
}

fn is_red(manifest: &Manifest) -> bool {
    match &manifest.body {
        Body::Record(record) => Handling::read(&record.handling).is_red(),
        _ => false,
    }
}

/// Whether an agreement covers a class: a coarser value with its exact one.
fn covers(community: &Community, class: FieldClass) -> bool {
    community.classes.contains(agreement_class(class))
}

/// The class that an agreement names: a coarser value is covered with its exact one.
fn agreement_class(class: FieldClass) -> &'static str {
    match class {
        FieldClass::CoreCoarse => FieldClass::Core.as_str(),
        FieldClass::OperationalCoarse => FieldClass::Operational.as_str(),
        exact => exact.as_str(),
    }
}

/// Classes that go to all addressees unless others are named.
fn shared_by_default(class: FieldClass) -> bool {
    use FieldClass::{Core, CoreCoarse, Open, OperationalCoarse};
    matches!(class, Open | Core | CoreCoarse | OperationalCoarse)
}

impl Handling {
    /// The handling in a manifest.
    pub fn read(handling: &Encoded) -> Self {
        Self::of(&handling.to_json().unwrap_or_default())
    }
}
