//! The checks that turn the JSON form into typed, consistent content.
//!
//! Signatures are counted here, but which governors have to be counted is decided by the caller.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;

use crate::id::{WORD, is_word};

use super::draft::SignatureState;
use super::error::RegisterError;
use super::field::{
    DOMAIN, TEXT, TOKEN, at_most, check_peer_id, distinct, field, is_domain, is_text, is_token,
    key_use, pq_public, presentation, public_key, require, signature,
};
use super::form::{
    self, ALGORITHM, PQ_ALGORITHM, PROFILE, RawCommunity, RawMember, RawMemberKey, RawSignature,
    Roles, SPEC_VERSION, Signed,
};
use super::{
    Community, CosignPqKey, Direction, KeyUse, MAX_COMMUNITIES, MAX_LIST, MAX_MEMBER_KEYS,
    MAX_MEMBERS, MAX_NUMBER, MAX_SEATS, MAX_SIGNATURES, Member, MemberKey, SchemaRef, Status,
};
use crate::id::{Digest, MemberId, ed25519_thumbprint};
use crate::mldsa;

/// The field classes that a community can allow.
const CLASSES: [&str; 6] = ["open", "core", "operational", "commercial", "nominal", "text"];
/// The labels of TLP 2.0.
const TLP: [&str; 5] = ["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"];
/// Longest retention, in days: a hundred years.
const MAX_RETENTION_DAYS: u32 = 36_525;
/// Who must sign: the seats by key id, and how many of them.
#[derive(Debug, Clone)]
pub(super) struct Governors {
    pub threshold: u32,
    seats: BTreeMap<String, (Digest, VerifyingKey)>,
}

/// What the governors sign.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub federation: String,
    pub members: BTreeMap<MemberId, Member>,
    pub by_peer_id: BTreeMap<String, MemberId>,
    pub communities: BTreeMap<String, Community>,
    pub schemas: BTreeMap<String, SchemaRef>,
    pub code_lists: BTreeMap<String, String>,
}

impl Governors {
    /// Which seats have validly signed `signed`. Each seat has one key and counts once.
    pub fn states(&self, signed: &[u8], signatures: &[RawSignature]) -> Vec<SignatureState> {
        let of_seat = |(seat, (keyid, key)): (&String, &(Digest, VerifyingKey))| {
            let valid = signatures
                .iter()
                .find(|s| s.keyid == *keyid)
                .and_then(|s| signature(&s.sig))
                .is_some_and(|s| key.verify_strict(signed, &s).is_ok());
            SignatureState { seat: seat.clone(), keyid: *keyid, valid }
        };
        self.seats.iter().map(of_seat).collect()
    }

    /// The seat of a key.
    pub fn seat_of(&self, keyid: &Digest) -> Option<&str> {
        self.seats.iter().find(|(_, (id, _))| id == keyid).map(|(seat, _)| seat.as_str())
    }
}

/// Checks the list of signatures, not the signatures themselves.
pub(super) fn signatures(list: &[RawSignature]) -> Result<(), RegisterError> {
    at_most("/signatures", list.len(), MAX_SIGNATURES)?;
    let mut seen = BTreeSet::new();
    match list.iter().find(|s| !seen.insert(s.keyid)) {
        Some(again) => Err(RegisterError::SignedTwice { keyid: again.keyid }),
        None => Ok(()),
    }
}

/// Checks the signed part of a register or draft in full.
pub(super) fn signed(signed: &Signed) -> Result<(Governors, Content), RegisterError> {
    require(signed.type_ == "root", "/signed/_type", &signed.type_, "the text root")?;
    let spec = &signed.spec_version;
    require(spec == SPEC_VERSION, "/signed/spec_version", spec, "the text 1.0.34")?;
    require(signed.consistent_snapshot, "/signed/consistent_snapshot", &"false", "true")?;
    let numbered = (1..=MAX_NUMBER).contains(&signed.version);
    require(numbered, "/signed/version", &signed.version, "a number from 1 to 2^53 - 1")?;
    expires(signed)?;
    let raw = &signed.sealwire;
    let profile = "/signed/x-sealwire/profile";
    require(raw.profile == PROFILE, profile, &raw.profile, "profile 1, or a newer program")?;
    let federation = "/signed/x-sealwire/federation";
    require(is_domain(&raw.federation), federation, &raw.federation, DOMAIN)?;

    let mut keys = UsedKeys::default();
    let governors = governors(signed, &mut keys)?;
    let schemas = schemas(&raw.schemas)?;
    for (list, edition) in &raw.code_lists {
        let at = format!("/signed/x-sealwire/codeLists/{list}");
        require(is_token(list), &at, list, TOKEN)?;
        require(is_text(edition), &at, edition, TEXT)?;
    }
    at_most("/signed/x-sealwire/codeLists", raw.code_lists.len(), MAX_LIST)?;
    at_most("/signed/x-sealwire/members", raw.members.len(), MAX_MEMBERS)?;
    let mut members = BTreeMap::new();
    let mut by_peer_id = BTreeMap::new();
    for (id, raw) in &raw.members {
        let member = member(id, raw, &mut keys)?;
        by_peer_id.insert(member.peer_id.clone(), id.clone());
        members.insert(id.clone(), member);
    }
    at_most("/signed/x-sealwire/communities", raw.communities.len(), MAX_COMMUNITIES)?;
    let mut communities = BTreeMap::new();
    for (id, raw) in &raw.communities {
        communities.insert(id.clone(), community(id, raw, &members, &schemas)?);
    }
    let content = Content {
        federation: raw.federation.clone(),
        members,
        by_peer_id,
        communities,
        schemas,
        code_lists: raw.code_lists.clone(),
    };
    Ok((governors, content))
}

/// The expiry in seconds since 1970. One spelling only: `2027-01-31T00:00:00Z`.
pub(super) fn expires(signed: &Signed) -> Result<i64, RegisterError> {
    let at = "/signed/expires";
    let expected = "a time such as 2027-01-31T00:00:00Z";
    let found = signed.expires.parse::<jiff::Timestamp>().ok();
    let exact = found.filter(|t| {
        signed.expires == t.to_string() && t.subsec_nanosecond() == 0 && t.as_second() >= 0
    });
    exact.map(jiff::Timestamp::as_second).ok_or_else(|| field(at, &signed.expires, expected))
}

/// Remembers every key seen, so that none serves twice.
#[derive(Default)]
struct UsedKeys(BTreeMap<Digest, String>);

impl UsedKeys {
    fn take(&mut self, thumbprint: Digest, by: String) -> Result<(), RegisterError> {
        if let Some(first) = self.0.get(&thumbprint) {
            return Err(RegisterError::KeyReused { thumbprint, first: first.clone(), second: by });
        }
        self.0.insert(thumbprint, by);
        Ok(())
    }
}

fn governors(signed: &Signed, used: &mut UsedKeys) -> Result<Governors, RegisterError> {
    let role = &signed.roles.root;
    let raw = &signed.sealwire;
    at_most("/signed/x-sealwire/seats", raw.seats.len(), MAX_SEATS)?;
    at_most("/signed/keys", signed.keys.len(), MAX_SEATS)?;
    at_most("/signed/roles/root/keyids", role.keyids.len(), MAX_SEATS)?;
    let mut seats = BTreeMap::new();
    let mut seated = BTreeSet::new();
    for (seat, keyids) in &raw.seats {
        require(is_token(seat), "/signed/x-sealwire/seats", seat, TOKEN)?;
        let [keyid] = keyids.as_slice() else {
            return Err(RegisterError::SeatKeys { seat: seat.clone(), count: keyids.len() });
        };
        let mismatch = RegisterError::SeatMismatch { keyid: *keyid };
        let Some(key) = signed.keys.get(keyid) else { return Err(mismatch) };
        if !seated.insert(*keyid) {
            return Err(mismatch);
        }
        let at = format!("/signed/keys/{keyid}");
        require(key.keytype == "ed25519", &at, &key.keytype, "keytype ed25519")?;
        require(key.scheme == "ed25519", &at, &key.scheme, "scheme ed25519")?;
        let (public, verifying) = public_key(&at, &key.keyval.public)?;
        let named = form::key_id(key) == *keyid;
        require(named, &at, keyid, "the SHA-256 of the key's canonical JSON as its name")?;
        used.take(ed25519_thumbprint(&public), format!("the key of seat {seat:?}"))?;
        seats.insert(seat.clone(), (*keyid, verifying));
    }
    let listed: BTreeSet<_> = role.keyids.iter().copied().collect();
    let strays = signed.keys.keys().chain(&listed).find(|id| !seated.contains(id));
    let unlisted = seated.iter().find(|id| !listed.contains(id));
    if let Some(keyid) = strays.or(unlisted) {
        return Err(RegisterError::SeatMismatch { keyid: *keyid });
    }
    let distinct = listed.len() == role.keyids.len();
    require(distinct, "/signed/roles/root/keyids", &"a key id twice", "every key id once")?;
    let threshold = usize::try_from(role.threshold).unwrap_or(usize::MAX);
    if threshold == 0 || threshold > seats.len() {
        return Err(RegisterError::Threshold { threshold: role.threshold, seats: seats.len() });
    }
    // TUF demands three more roles. Nobody gets a right from them: they repeat the root role.
    let Roles { timestamp, snapshot, targets, .. } = &signed.roles;
    for (name, other) in [("timestamp", timestamp), ("snapshot", snapshot), ("targets", targets)] {
        let at = format!("/signed/roles/{name}");
        require(other == role, &at, &"another role", "the same keyids and threshold as root")?;
    }
    Ok(Governors { threshold: role.threshold, seats })
}

fn schemas(
    raw: &BTreeMap<String, form::RawSchema>,
) -> Result<BTreeMap<String, SchemaRef>, RegisterError> {
    at_most("/signed/x-sealwire/schemas", raw.len(), MAX_LIST)?;
    let mut schemas = BTreeMap::new();
    for (kind, schema) in raw {
        let at = format!("/signed/x-sealwire/schemas/{kind}");
        require(is_word(kind), &at, kind, WORD)?;
        require(is_text(&schema.id), &format!("{at}/id"), &schema.id, TEXT)?;
        schemas.insert(kind.clone(), SchemaRef { id: schema.id.clone(), digest: schema.digest });
    }
    Ok(schemas)
}

fn member(id: &MemberId, raw: &RawMember, used: &mut UsedKeys) -> Result<Member, RegisterError> {
    let at = format!("/signed/x-sealwire/members/{id}");
    let status = raw
        .status
        .parse::<Status>()
        .map_err(|_| field(&format!("{at}/status"), &raw.status, "active, suspended or left"))?;
    presentation(&at, &raw.names, &raw.roles, &raw.addresses)?;
    at_most(&format!("{at}/keys"), raw.keys.len(), MAX_MEMBER_KEYS)?;
    let (mut keys, mut cosign_pq) = (Vec::with_capacity(raw.keys.len()), Vec::new());
    for (index, raw) in raw.keys.iter().enumerate() {
        let at = format!("{at}/keys/{index}");
        let use_ = key_use(&format!("{at}/use"), &raw.use_)?;
        let by = format!("the {use_} key of member {id}");
        if use_ == KeyUse::CosignPq {
            let key = cosign_pq_key(&at, raw)?;
            used.take(key.thumbprint, by)?;
            cosign_pq.push(key);
        } else {
            let key = member_key(&at, use_, raw)?;
            used.take(key.thumbprint, by)?;
            keys.push(key);
        }
    }
    let member = Member {
        id: id.clone(),
        names: raw.names.clone(),
        roles: raw.roles.clone(),
        status,
        peer_id: raw.peer_id.clone(),
        addresses: raw.addresses.clone(),
        keys,
        cosign_pq,
    };
    current_keys(&member)?;
    let starts = member.keys.iter().filter(|k| k.use_ == KeyUse::Sign).map(|k| k.from).min();
    let from_zero = starts.is_none_or(|from| from == 0);
    require(from_zero, &format!("{at}/keys"), &starts.unwrap_or(0), "the first sign key from 0")?;
    let of_node = |k: &&MemberKey| k.use_ == KeyUse::Node && k.until.is_none();
    let node = member.keys.iter().find(of_node);
    let node = node.or_else(|| member.keys.iter().rev().find(|k| k.use_ == KeyUse::Node));
    check_peer_id(&at, &member.peer_id, &member.addresses, node.map(|k| &k.public))?;
    Ok(member)
}

/// An active member has exactly one key for each use in force, and may have several sign keys.
fn current_keys(member: &Member) -> Result<(), RegisterError> {
    for use_ in KeyUse::ALL {
        let count = member.keys.iter().filter(|k| k.use_ == use_ && k.until.is_none()).count();
        let (needed, allowed, expected) = match (member.status, use_) {
            (Status::Active, KeyUse::Sign) => (1, MAX_MEMBER_KEYS, "at least one"),
            (Status::Active, _) => (1, 1, "one"),
            (_, KeyUse::Sign) => (0, MAX_MEMBER_KEYS, "any number"),
            (_, _) => (0, 1, "at most one"),
        };
        if !(needed..=allowed).contains(&count) {
            let member = member.id.clone();
            return Err(RegisterError::CurrentKeys { member, use_, count, expected });
        }
    }
    let count = member.cosign_pq.iter().filter(|k| k.until.is_none()).count();
    if count > 1 {
        let (member, use_) = (member.id.clone(), KeyUse::CosignPq);
        return Err(RegisterError::CurrentKeys { member, use_, count, expected: "at most one" });
    }
    Ok(())
}

/// A key of use `cosign-pq`.
fn cosign_pq_key(at: &str, raw: &RawMemberKey) -> Result<CosignPqKey, RegisterError> {
    let known = raw.algorithm == PQ_ALGORITHM;
    require(known, &format!("{at}/algorithm"), &raw.algorithm, PQ_ALGORITHM)?;
    let public = pq_public(&format!("{at}/public"), &raw.public)?;
    let thumbprint = mldsa::thumbprint(&public);
    described(at, raw, thumbprint)?;
    Ok(CosignPqKey { public, thumbprint, from: raw.from, until: raw.until })
}

fn member_key(at: &str, use_: KeyUse, raw: &RawMemberKey) -> Result<MemberKey, RegisterError> {
    let known = raw.algorithm == ALGORITHM;
    require(known, &format!("{at}/algorithm"), &raw.algorithm, "Ed25519")?;
    let (public, _) = public_key(&format!("{at}/public"), &raw.public)?;
    let thumbprint = ed25519_thumbprint(&public);
    described(at, raw, thumbprint)?;
    Ok(MemberKey { use_, public, thumbprint, from: raw.from, until: raw.until })
}

/// Whether thumbprint and interval of a key are what they can be.
fn described(at: &str, raw: &RawMemberKey, thumbprint: Digest) -> Result<(), RegisterError> {
    let fits = thumbprint == raw.thumbprint;
    let expected = "the COSE thumbprint (RFC 9679) of the public key beside it";
    require(fits, &format!("{at}/thumbprint"), &raw.thumbprint, expected)?;
    let until = raw.until.unwrap_or(raw.from);
    let ordered = raw.from <= until && until <= MAX_NUMBER;
    let expected = "an end not before `from`, both below 2^53";
    require(ordered, &format!("{at}/until"), &until, expected)
}

fn community(
    id: &str,
    raw: &RawCommunity,
    members: &BTreeMap<MemberId, Member>,
    schemas: &BTreeMap<String, SchemaRef>,
) -> Result<Community, RegisterError> {
    let at = format!("/signed/x-sealwire/communities/{id}");
    require(is_word(id), &at, &id, WORD)?;
    require(is_text(&raw.title), &format!("{at}/title"), &raw.title, TEXT)?;
    require(is_text(&raw.agreement), &format!("{at}/agreement"), &raw.agreement, TEXT)?;
    let tlp = TLP.contains(&raw.tlp_ceiling.as_str());
    let labels = "CLEAR, GREEN, AMBER, AMBER+STRICT or RED";
    require(tlp, &format!("{at}/tlpCeiling"), &raw.tlp_ceiling, labels)?;
    let days = (1..=MAX_RETENTION_DAYS).contains(&raw.retention_days);
    require(days, &format!("{at}/retentionDays"), &raw.retention_days, "1 to 36525 days")?;

    let listed = distinct(&format!("{at}/members"), &raw.members, MAX_MEMBERS)?;
    for member in &listed {
        let refused = || (id.to_owned(), member.clone());
        match members.get(member).map(|m| m.status) {
            None => {
                let (community, member) = refused();
                return Err(RegisterError::UnknownMember { community, member });
            }
            Some(Status::Left) => {
                let (community, member) = refused();
                return Err(RegisterError::MemberLeft { community, member });
            }
            Some(Status::Active | Status::Suspended) => {}
        }
    }
    let others = listed.len().saturating_sub(1);
    if usize::try_from(raw.witnesses).unwrap_or(usize::MAX) > others {
        let (community, witnesses) = (id.to_owned(), raw.witnesses);
        return Err(RegisterError::Witnesses { community, witnesses, others });
    }
    if let Some(delivery) = raw.delivery {
        let possible = delivery >= 1 && usize::try_from(delivery).is_ok_and(|k| k <= others);
        let expected = "a number from 1 to that of the other members, or nothing for all";
        require(possible, &format!("{at}/delivery"), &delivery, expected)?;
    }
    let kinds = distinct(&format!("{at}/kinds"), &raw.kinds, MAX_LIST)?;
    if let Some(kind) = kinds.iter().find(|k| !schemas.contains_key(*k)) {
        let (community, kind) = (id.to_owned(), kind.clone());
        return Err(RegisterError::UnknownKind { community, kind });
    }
    let classes = distinct(&format!("{at}/classes"), &raw.classes, MAX_LIST)?;
    let expected = "open, core, operational, commercial, nominal or text";
    for class in &classes {
        require(CLASSES.contains(&class.as_str()), &format!("{at}/classes"), class, expected)?;
    }
    let purposes = distinct(&format!("{at}/purposes"), &raw.purposes, MAX_LIST)?;
    for purpose in &purposes {
        require(is_token(purpose), &format!("{at}/purposes"), purpose, TOKEN)?;
    }
    let directions = directions(&at, &raw.directions, &listed)?;
    Ok(Community {
        id: id.to_owned(),
        title: raw.title.clone(),
        agreement: raw.agreement.clone(),
        members: listed,
        kinds,
        classes,
        tlp_ceiling: raw.tlp_ceiling.clone(),
        purposes,
        retention_days: raw.retention_days,
        class_retention_days: class_retention(&at, raw)?,
        witnesses: raw.witnesses,
        delivery: raw.delivery,
        directions,
    })
}

/// Which classes are kept for a shorter time than others.
fn class_retention(at: &str, raw: &RawCommunity) -> Result<BTreeMap<String, u32>, RegisterError> {
    for (class, days) in &raw.class_retention_days {
        let at = format!("{at}/classRetentionDays/{class}");
        let known = raw.classes.contains(class);
        require(known, &at, class, "a class that the agreement covers")?;
        let shorter = (1..=raw.retention_days).contains(days);
        require(shorter, &at, days, "1 to retentionDays")?;
    }
    Ok(raw.class_retention_days.clone())
}

/// Which members only publish or only receive. Somebody has to publish, and somebody to receive.
fn directions(
    at: &str,
    raw: &BTreeMap<MemberId, String>,
    members: &BTreeSet<MemberId>,
) -> Result<BTreeMap<MemberId, Direction>, RegisterError> {
    let at = format!("{at}/directions");
    let mut directions = BTreeMap::new();
    for (member, word) in raw {
        let at = format!("{at}/{member}");
        require(members.contains(member), &at, member, "a member of the community")?;
        let direction = word.parse().map_err(|_| field(&at, word, "publish or receive"))?;
        directions.insert(member.clone(), direction);
    }
    for only in [Direction::Publish, Direction::Receive] {
        let all = members.iter().all(|m| directions.get(m) == Some(&only));
        let expected = "a member that publishes and a member that receives";
        require(!all, &at, &format!("every member may only {only}"), expected)?;
    }
    Ok(directions)
}
