//! The draft: a register that governors edit and sign, each where the own key is.
//!
//! A draft is a file of the same form as a register; it becomes one when enough governors have
//! signed. Every change takes the signatures away, and only content that would be accepted can
//! be signed. Its signatures prove nothing until [`Draft::finish`] has counted them.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};

use super::error::{Document, RegisterError};
use super::form::{
    self, ALGORITHM, Envelope, PQ_ALGORITHM, PROFILE, RawCommunity, RawMember, RawMemberKey,
    RawSchema, RawSignature, Role, Roles, SPEC_VERSION, Sealwire, Signed,
};
use super::{
    Community, Introduction, KeyUse, MAX_REGISTER_BYTES, Member, Register, SchemaRef, Status,
    check, field, fingerprint_of,
};
use crate::id::{Digest, MemberId, ed25519_thumbprint};
use crate::mldsa::{self, MLDSA_PUBLIC_BYTES};

/// A register that is not finished.
#[derive(Debug, Clone)]
pub struct Draft {
    envelope: Envelope,
}

/// What a draft holds, if it is acceptable. It proves nothing: nobody may have signed it.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The members, in order of their ids.
    pub members: Vec<Member>,
    /// The communities, in order of their ids.
    pub communities: Vec<Community>,
    /// The schema of each record kind.
    pub schemas: BTreeMap<String, SchemaRef>,
    /// The edition of each code list.
    pub code_lists: BTreeMap<String, String>,
    /// When it expires, in seconds since 1970.
    pub expires_unix: i64,
}

/// A governor's seat and whether it has validly signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureState {
    /// Name of the seat.
    pub seat: String,
    /// TUF key id of its key.
    pub keyid: Digest,
    /// Whether a valid signature of it is there.
    pub valid: bool,
}

impl Draft {
    /// An empty version 1. `expires_unix` is in seconds since 1970.
    pub fn new(federation: &str, threshold: u32, expires_unix: i64) -> Result<Self, RegisterError> {
        field::require(field::is_domain(federation), "federation", &federation, field::DOMAIN)?;
        let role = Role { keyids: Vec::new(), threshold };
        let signed = Signed {
            type_: "root".to_owned(),
            spec_version: SPEC_VERSION.to_owned(),
            version: 1,
            expires: time(expires_unix)?,
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: Roles {
                root: role.clone(),
                timestamp: role.clone(),
                snapshot: role.clone(),
                targets: role,
            },
            sealwire: Sealwire {
                profile: PROFILE,
                federation: federation.to_owned(),
                seats: BTreeMap::new(),
                members: BTreeMap::new(),
                communities: BTreeMap::new(),
                schemas: BTreeMap::new(),
                code_lists: BTreeMap::new(),
            },
        };
        Ok(Self { envelope: Envelope { signatures: Vec::new(), signed } })
    }

    /// The version after `previous`, with all its content.
    pub fn next(previous: &Register, expires_unix: i64) -> Result<Self, RegisterError> {
        let mut signed = previous.envelope.signed.clone();
        signed.version = signed.version.saturating_add(1);
        signed.expires = time(expires_unix)?;
        Ok(Self { envelope: Envelope { signatures: Vec::new(), signed } })
    }

    /// Reads a draft. Only its shape is checked: it may be far from complete.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RegisterError> {
        let envelope: Envelope = form::parse(bytes, Document::Draft, MAX_REGISTER_BYTES)?;
        check::signatures(&envelope.signatures)?;
        Ok(Self { envelope })
    }

    /// The file, readable, with the signatures so far.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(&self.envelope).expect("texts and numbers always serialise");
        bytes.push(b'\n');
        bytes
    }

    /// The version that this becomes.
    pub fn version(&self) -> u64 {
        self.envelope.signed.version
    }

    /// The federation.
    pub fn federation(&self) -> &str {
        &self.envelope.signed.sealwire.federation
    }

    /// How many governors must sign.
    pub fn threshold(&self) -> u32 {
        self.envelope.signed.roles.root.threshold
    }

    /// The digest that the register will have: the same before and after signing.
    pub fn digest(&self) -> Digest {
        Digest::of(&form::canonical(&self.envelope.signed))
    }

    /// The digest in groups of four, to be compared by telephone.
    pub fn fingerprint(&self) -> String {
        fingerprint_of(&self.digest())
    }

    /// Sets how many governors must sign.
    pub fn set_threshold(&mut self, threshold: u32) {
        let Roles { root, timestamp, snapshot, targets } = &mut self.edit().roles;
        for role in [root, timestamp, snapshot, targets] {
            role.threshold = threshold;
        }
    }

    /// Adds a governor's seat with its one key.
    pub fn add_seat(&mut self, name: &str, public: &[u8; 32]) -> Result<(), RegisterError> {
        field::require(field::is_token(name), "seat", &name, field::TOKEN)?;
        let key = form::root_key(public);
        let keyid = form::key_id(&key);
        let signed = self.edit();
        if signed.sealwire.seats.contains_key(name) {
            return Err(exists("seat", name));
        }
        if signed.keys.contains_key(&keyid) {
            return Err(exists("governor key", &keyid.to_string()));
        }
        signed.keys.insert(keyid, key);
        signed.sealwire.seats.insert(name.to_owned(), vec![keyid]);
        let Roles { root, timestamp, snapshot, targets } = &mut signed.roles;
        for role in [root, timestamp, snapshot, targets] {
            role.keyids.push(keyid);
        }
        Ok(())
    }

    /// Removes a governor's seat and its key.
    pub fn remove_seat(&mut self, name: &str) -> Result<(), RegisterError> {
        let signed = self.edit();
        let keyids = signed.sealwire.seats.remove(name).ok_or_else(|| absent("seat", name))?;
        signed.keys.retain(|id, _| !keyids.contains(id));
        let Roles { root, timestamp, snapshot, targets } = &mut signed.roles;
        for role in [root, timestamp, snapshot, targets] {
            role.keyids.retain(|id| !keyids.contains(id));
        }
        Ok(())
    }

    /// Gives a governor's seat a new key in the place of its old one.
    pub fn replace_seat(&mut self, name: &str, public: &[u8; 32]) -> Result<(), RegisterError> {
        self.remove_seat(name)?;
        self.add_seat(name, public)
    }

    /// The names of the seats.
    pub fn seats(&self) -> Vec<String> {
        self.envelope.signed.sealwire.seats.keys().cloned().collect()
    }

    /// Adds a member with the keys of its introduction, all from index 0. A member that is there
    /// with the same keys gets the introduction's names, roles and addresses.
    pub fn add_member(&mut self, introduction: &Introduction) -> Result<(), RegisterError> {
        let id = introduction.member();
        let members = &mut self.edit().sealwire.members;
        if let Some(member) = members.get_mut(id) {
            let current = |(use_, public): (&KeyUse, &[u8; 32])| {
                member.keys.iter().any(|k| {
                    k.use_ == use_.as_str() && k.until.is_none() && k.public == hex::encode(public)
                })
            };
            if !introduction.keys().iter().all(current) {
                return Err(RegisterError::OtherKeys { member: id.clone() });
            }
            if let Some(public) = introduction.cosign_pq() {
                let current =
                    |k: &&RawMemberKey| k.use_ == KeyUse::CosignPq.as_str() && k.until.is_none();
                match member.keys.iter().find(current) {
                    None => member.keys.push(raw_pq_key(public, 0)),
                    Some(key) if key.public == hex::encode(public) => {}
                    Some(_) => return Err(RegisterError::OtherKeys { member: id.clone() }),
                }
            }
            member.names = introduction.names().clone();
            member.roles = introduction.roles().to_vec();
            member.addresses = introduction.addresses().to_vec();
            return Ok(());
        }
        let keys = introduction.keys().iter().map(|(use_, public)| raw_key(*use_, public, 0));
        let keys = keys.chain(introduction.cosign_pq().map(|public| raw_pq_key(public, 0)));
        let member = RawMember {
            names: introduction.names().clone(),
            roles: introduction.roles().to_vec(),
            status: Status::Active.as_str().to_owned(),
            peer_id: introduction.peer_id().to_owned(),
            addresses: introduction.addresses().to_vec(),
            keys: keys.collect(),
        };
        members.insert(id.clone(), member);
        Ok(())
    }

    /// Suspends a member, lets it take part again, or marks it as having left. One that has left
    /// is taken out of all communities.
    pub fn set_status(&mut self, id: &MemberId, status: Status) -> Result<(), RegisterError> {
        let sealwire = &mut self.edit().sealwire;
        let member = sealwire.members.get_mut(id).ok_or_else(|| absent("member", id.as_str()))?;
        member.status = status.as_str().to_owned();
        if status == Status::Left {
            for community in sealwire.communities.values_mut() {
                community.members.retain(|m| m != id);
                community.directions.remove(id);
            }
        }
        Ok(())
    }

    /// Gives a member a further key that counts from a leaf index of its own log. A new node key
    /// changes the peer id.
    pub fn add_key(
        &mut self,
        id: &MemberId,
        use_: KeyUse,
        public: &[u8; 32],
        from: u64,
    ) -> Result<(), RegisterError> {
        let members = &mut self.edit().sealwire.members;
        let member = members.get_mut(id).ok_or_else(|| absent("member", id.as_str()))?;
        member.keys.push(raw_key(use_, public, from));
        if use_ == KeyUse::Node {
            member.peer_id = field::peer_id(public);
        }
        Ok(())
    }

    /// Gives a member an ML-DSA-44 key with which it cosigns too.
    pub fn add_cosign_pq_key(
        &mut self,
        id: &MemberId,
        public: &[u8; MLDSA_PUBLIC_BYTES],
        from: u64,
    ) -> Result<(), RegisterError> {
        let members = &mut self.edit().sealwire.members;
        let member = members.get_mut(id).ok_or_else(|| absent("member", id.as_str()))?;
        member.keys.push(raw_pq_key(public, from));
        Ok(())
    }

    /// Ends or revokes a member's key: entries from leaf index `until` on do not count under it.
    pub fn end_key(
        &mut self,
        id: &MemberId,
        thumbprint: &Digest,
        until: u64,
    ) -> Result<(), RegisterError> {
        let members = &mut self.edit().sealwire.members;
        let member = members.get_mut(id).ok_or_else(|| absent("member", id.as_str()))?;
        let key = member.keys.iter_mut().find(|k| k.thumbprint == *thumbprint);
        let key = key.ok_or_else(|| absent("key", &thumbprint.to_string()))?;
        key.until = Some(until);
        Ok(())
    }

    /// Ends the member's current key of a use at a leaf index of its own log, and lets a new one
    /// count from there. Of several current sign keys all are ended.
    pub fn replace_key(
        &mut self,
        id: &MemberId,
        use_: KeyUse,
        public: &[u8; 32],
        from: u64,
    ) -> Result<(), RegisterError> {
        self.end_current(id, use_, from)?;
        self.add_key(id, use_, public, from)
    }

    /// The same for an ML-DSA-44 cosign key.
    pub fn replace_cosign_pq_key(
        &mut self,
        id: &MemberId,
        public: &[u8; MLDSA_PUBLIC_BYTES],
        from: u64,
    ) -> Result<(), RegisterError> {
        self.end_current(id, KeyUse::CosignPq, from)?;
        self.add_cosign_pq_key(id, public, from)
    }

    fn end_current(
        &mut self,
        id: &MemberId,
        use_: KeyUse,
        until: u64,
    ) -> Result<(), RegisterError> {
        let members = &mut self.edit().sealwire.members;
        let member = members.get_mut(id).ok_or_else(|| absent("member", id.as_str()))?;
        let current = |k: &&mut RawMemberKey| k.use_ == use_.as_str() && k.until.is_none();
        for key in member.keys.iter_mut().filter(current) {
            key.until = Some(until);
        }
        Ok(())
    }

    /// Adds a community, or puts it in the place of the one with its id.
    pub fn set_community(&mut self, community: &Community) {
        let raw = RawCommunity {
            title: community.title.clone(),
            agreement: community.agreement.clone(),
            members: community.members.iter().cloned().collect(),
            kinds: community.kinds.iter().cloned().collect(),
            classes: community.classes.iter().cloned().collect(),
            tlp_ceiling: community.tlp_ceiling.clone(),
            purposes: community.purposes.iter().cloned().collect(),
            retention_days: community.retention_days,
            class_retention_days: community.class_retention_days.clone(),
            witnesses: community.witnesses,
            delivery: community.delivery,
            directions: community
                .directions
                .iter()
                .map(|(member, direction)| (member.clone(), direction.as_str().to_owned()))
                .collect(),
        };
        self.edit().sealwire.communities.insert(community.id.clone(), raw);
    }

    /// Adds a community.
    pub fn add_community(&mut self, community: &Community) -> Result<(), RegisterError> {
        if self.envelope.signed.sealwire.communities.contains_key(&community.id) {
            return Err(exists("community", &community.id));
        }
        self.set_community(community);
        Ok(())
    }

    /// Takes a community out. Earlier versions keep what it was.
    pub fn remove_community(&mut self, id: &str) -> Result<(), RegisterError> {
        let removed = self.edit().sealwire.communities.remove(id);
        removed.map(|_| ()).ok_or_else(|| absent("community", id))
    }

    /// Pins the schema of a record kind.
    pub fn set_schema(&mut self, kind: &str, id: &str, digest: Digest) {
        let schema = RawSchema { id: id.to_owned(), digest };
        self.edit().sealwire.schemas.insert(kind.to_owned(), schema);
    }

    /// Pins the edition of a code list.
    pub fn set_code_list(&mut self, list: &str, edition: &str) {
        self.edit().sealwire.code_lists.insert(list.to_owned(), edition.to_owned());
    }

    /// Checks the content as it would be checked in a register, without counting signatures.
    pub fn check(&self) -> Result<(), RegisterError> {
        check::signed(&self.envelope.signed).map(|_| ())
    }

    /// What the draft holds, checked as [`Draft::check`] does.
    pub fn summary(&self) -> Result<Summary, RegisterError> {
        let (_, content) = check::signed(&self.envelope.signed)?;
        Ok(Summary {
            members: content.members.into_values().collect(),
            communities: content.communities.into_values().collect(),
            schemas: content.schemas,
            code_lists: content.code_lists,
            expires_unix: check::expires(&self.envelope.signed)?,
        })
    }

    /// Signs as a governor of this version or of `previous`. The content has to be acceptable,
    /// and to continue `previous`. Signing again replaces the signature.
    pub fn sign(
        &mut self,
        key: &SigningKey,
        previous: Option<&Register>,
    ) -> Result<SignatureState, RegisterError> {
        let (governors, _) = check::signed(&self.envelope.signed)?;
        if let Some(previous) = previous {
            Register::read(&self.to_bytes())?.follows(previous)?;
        }
        let keyid = governor_key_id(&key.verifying_key().to_bytes());
        let old = previous.and_then(|p| p.governors.seat_of(&keyid));
        let seat = governors.seat_of(&keyid).or(old);
        let seat = seat.ok_or(RegisterError::NoSeat { keyid })?.to_owned();
        let signature = key.sign(&form::canonical(&self.envelope.signed));
        let signatures = &mut self.envelope.signatures;
        signatures.retain(|s| s.keyid != keyid);
        signatures.push(RawSignature { keyid, sig: hex::encode(signature.to_bytes()) });
        signatures.sort_by_key(|s| s.keyid);
        Ok(SignatureState { seat, keyid, valid: true })
    }

    /// Which seats of this version have validly signed.
    pub fn signatures(&self) -> Result<Vec<SignatureState>, RegisterError> {
        let (governors, _) = check::signed(&self.envelope.signed)?;
        Ok(governors.states(&form::canonical(&self.envelope.signed), &self.envelope.signatures))
    }

    /// Verifies the draft as the register it wants to be.
    pub fn finish(&self, previous: Option<&Register>) -> Result<Register, RegisterError> {
        match previous {
            Some(previous) => previous.update(&self.to_bytes()),
            None => Register::trust_first(&self.to_bytes(), None),
        }
    }

    /// The signed part.
    pub(super) fn signed(&self) -> &Signed {
        &self.envelope.signed
    }

    /// The signed part, for a change: signatures that were there do not fit any more.
    fn edit(&mut self) -> &mut Signed {
        self.envelope.signatures.clear();
        &mut self.envelope.signed
    }
}

/// The TUF key id of a governor's key.
pub fn governor_key_id(public: &[u8; 32]) -> Digest {
    form::key_id(&form::root_key(public))
}

fn raw_key(use_: KeyUse, public: &[u8; 32], from: u64) -> RawMemberKey {
    RawMemberKey {
        use_: use_.as_str().to_owned(),
        algorithm: ALGORITHM.to_owned(),
        public: hex::encode(public),
        thumbprint: ed25519_thumbprint(public),
        from,
        until: None,
    }
}

fn raw_pq_key(public: &[u8; MLDSA_PUBLIC_BYTES], from: u64) -> RawMemberKey {
    RawMemberKey {
        use_: KeyUse::CosignPq.as_str().to_owned(),
        algorithm: PQ_ALGORITHM.to_owned(),
        public: hex::encode(public),
        thumbprint: mldsa::thumbprint(public),
        from,
        until: None,
    }
}

fn time(unix: i64) -> Result<String, RegisterError> {
    let expected = "a time between the years 1970 and 9999, in seconds since 1970";
    match jiff::Timestamp::from_second(unix) {
        Ok(time) if unix >= 0 => Ok(time.to_string()),
        _ => Err(field::field("expires", &unix, expected)),
    }
}

fn exists(what: &'static str, name: &str) -> RegisterError {
    RegisterError::Exists { what, name: name.to_owned() }
}

fn absent(what: &'static str, name: &str) -> RegisterError {
    RegisterError::Absent { what, name: name.to_owned() }
}
