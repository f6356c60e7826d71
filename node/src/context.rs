//! What every step of the exchange may ask: who we are, the register in force, our keys, the
//! store's reader, and what follows from them (audience secrets, members' seal keys).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sealwire_schemas::Finding;
use sealwire_schemas::locode::Locodes;
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::message::{Item, WRAP};
use sealwire_wire::reads;
use sealwire_wire::register::{KeyUse, Register};
use sealwire_wire::seal::{
    self, AudienceContext, AudienceId, AudienceSecret, PartContext, SealError, SealPublicKey,
};
use sealwire_wire::signer::Ed25519Signer as _;
use sealwire_wire::statement::{AudienceManifest, Body, Head, KeyManifest, Manifest, Statement};
use serde_json::Value;

use crate::admit::{self, Opened};
use crate::issue::{Issuer, Now, Signer, secret_context};
use crate::keys::{DataKey, Keys};
use crate::release;
use crate::store::{Fact, Reader, StoredEntry};

/// Classes that may rest in clear.
const CLEAR_CLASSES: [&str; 3] = ["open", "core", "core.coarse"];

/// Most audience secrets asked for again at a time; the rest follow when these have come.
pub const MAX_MISSED_SECRETS: usize = 64;

/// The surroundings of one member's node.
pub struct Context {
    /// Who we are.
    pub own: MemberId,
    /// Our keys.
    pub keys: Keys,
    /// Signs and seals.
    pub issuer: Issuer,
    /// Reads what is durable.
    pub reader: Reader,
    locodes: Option<Locodes>,
    register: RwLock<Arc<Register>>,
    seal_keys: RwLock<BTreeMap<MemberId, (u64, SealPublicKey)>>,
    match_keys: RwLock<BTreeMap<MemberId, (u64, [u8; 32])>>,
    heads: RwLock<BTreeMap<MemberId, Head>>,
    own_audiences: RwLock<BTreeMap<AudienceId, (String, BTreeSet<MemberId>)>>,
    missed: RwLock<BTreeMap<AudienceId, (MemberId, u64)>>,
    more_missed: AtomicBool,
}

impl Context {
    /// Loads what the reader holds.
    pub fn new(
        own: MemberId,
        keys: Keys,
        register: Register,
        reader: Reader,
        locodes: Option<Locodes>,
    ) -> Self {
        let federation = register.federation().to_owned();
        let signers = signers(&own, &keys, &register);
        let issuer = Issuer::new(own.clone(), federation, signers, keys.data.clone());
        let context = Self {
            own,
            keys,
            issuer,
            reader,
            locodes,
            register: RwLock::new(Arc::new(register)),
            seal_keys: RwLock::default(),
            match_keys: RwLock::default(),
            heads: RwLock::default(),
            own_audiences: RwLock::default(),
            missed: RwLock::default(),
            more_missed: AtomicBool::new(false),
        };
        context.learn_all("key");
        context.learn_all("audience");
        context
    }

    /// Takes what all durable control entries of a kind say, but for those that a key signed which
    /// the register has ended before them.
    fn learn_all(&self, kind: &str) {
        let register = self.register();
        for (log, index) in self.reader.control_entries(kind) {
            if let Ok(Some(entry)) = self.reader.entry(&log, index)
                && let Ok(statement) = Statement::parse(&entry.item.statement)
                && !admit::is_void(&register, &log, index, &statement)
            {
                self.learn(&log, index, statement.manifest());
            }
        }
    }

    /// What the list of UN/LOCODEs, if there is one, has against a record of a kind.
    pub fn against_locodes(&self, kind: &str, record: &Value) -> Vec<Finding> {
        self.locodes.as_ref().map(|list| list.findings(kind, record)).unwrap_or_default()
    }

    /// Takes what a durable control entry says: a member's seal key, our own audience, or a
    /// secret that is meant for us.
    pub fn learn(&self, log: &MemberId, index: u64, manifest: &Manifest) {
        match &manifest.body {
            Body::Key(key) => self.learn_seal_key(log, key),
            Body::Audience(audience)
                if *log != self.own
                    && audience.to.contains(&self.own)
                    && !self.reader.is_destroyed(&audience.audience)
                    && self.secret_of(&audience.audience).is_none() =>
            {
                let mut missed = self.missed.write().unwrap_or_else(PoisonError::into_inner);
                if missed.len() < MAX_MISSED_SECRETS {
                    missed.insert(audience.audience, (log.clone(), index));
                } else {
                    self.more_missed.store(true, Ordering::Relaxed);
                }
            }
            Body::Audience(audience) if *log == self.own => {
                let mut map = self.own_audiences.write().unwrap_or_else(PoisonError::into_inner);
                let (community, to) = (audience.community.clone(), audience.to.clone());
                map.insert(audience.audience, (community, to));
                drop(map);
                // Lost with the disk, while the entry came back: those who have it give it back.
                let lost = self.reader.secret(&audience.audience).is_none()
                    && !self.reader.is_destroyed(&audience.audience);
                let mut missed = self.missed.write().unwrap_or_else(PoisonError::into_inner);
                if lost && missed.len() < MAX_MISSED_SECRETS / 2 {
                    missed.insert(audience.audience, (log.clone(), index));
                }
            }
            _ => {}
        }
    }

    /// Audience secrets meant for us that we could not open, and the entries that announced them.
    pub fn missed_secrets(&self) -> BTreeMap<AudienceId, (MemberId, u64)> {
        let none = self.missed.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        if none && self.more_missed.swap(false, Ordering::Relaxed) {
            self.learn_all("audience");
        }
        self.missed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A missed secret has come.
    pub fn found_secret(&self, audience: &AudienceId) {
        self.missed.write().unwrap_or_else(PoisonError::into_inner).remove(audience);
    }

    /// For whom we made and distributed an audience.
    pub fn own_audience(&self, id: &AudienceId) -> Option<BTreeSet<MemberId>> {
        let map = self.own_audiences.read().unwrap_or_else(PoisonError::into_inner);
        map.get(id).map(|(_, to)| to.clone())
    }

    /// Whether a member may be given the secret of an audience of ours: it was made for it, and
    /// the member is still in that community.
    pub fn may_have(&self, id: &AudienceId, member: &MemberId) -> bool {
        let map = self.own_audiences.read().unwrap_or_else(PoisonError::into_inner);
        map.get(id).is_some_and(|(community, to)| {
            release::wrap(&self.register(), community, to, member).is_ok()
        })
    }

    /// The register in force.
    pub fn register(&self) -> Arc<Register> {
        Arc::clone(&self.register.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the next version of the register in force. Only the writer does so, once it is durable.
    pub fn set_register(&self, register: Register) {
        self.issuer.set_signers(signers(&self.own, &self.keys, &register));
        *self.register.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(register);
    }

    /// The federation's name.
    pub fn federation(&self) -> String {
        self.register().federation().to_owned()
    }

    /// The origin line of a member's log.
    pub fn origin(&self, member: &MemberId) -> String {
        format!("{}/{member}", self.register().federation())
    }

    /// What holds for a statement signed at `unix_ms`.
    pub fn now(&self, unix_ms: u64) -> Now {
        Now {
            unix_ms,
            register: self.register().version(),
            heads: self.heads.read().unwrap_or_else(PoisonError::into_inner).clone(),
            index: self.reader.size(&self.own),
        }
    }

    /// Takes the heads that the next statements name.
    pub fn set_heads(&self, heads: BTreeMap<MemberId, Head>) {
        *self.heads.write().unwrap_or_else(PoisonError::into_inner) = heads;
    }

    /// The public sign key of `member` that is valid at any index under `key_id`.
    pub fn sign_key(&self, member: &MemberId, key_id: &Digest) -> Option<[u8; 32]> {
        let register = self.register();
        let member = register.member(member)?;
        let key = member.keys.iter().find(|k| k.thumbprint == *key_id && k.use_ == KeyUse::Sign)?;
        Some(key.public)
    }

    /// The members' seal keys known.
    pub fn seal_keys(&self) -> BTreeMap<MemberId, SealPublicKey> {
        let keys = self.seal_keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|(member, (_, key))| (member.clone(), key.clone())).collect()
    }

    /// The seal epoch of ours that our log announces.
    pub fn announced_epoch(&self) -> Option<u64> {
        let keys = self.seal_keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&self.own).map(|(epoch, _)| *epoch)
    }

    /// The match key that a member's log announces for its newest epoch, with the epoch's number.
    pub fn match_key(&self, member: &MemberId) -> Option<(u64, [u8; 32])> {
        self.match_keys.read().unwrap_or_else(PoisonError::into_inner).get(member).copied()
    }

    /// The match key of ours that our log is to announce with the seal key of an epoch.
    pub fn own_match_key(&self, epoch: u64) -> Option<[u8; 32]> {
        self.keys.matching.public().filter(|(of, _)| *of == epoch).map(|(_, key)| key)
    }

    /// The facts that keep every audience secret under the newest data key which now rests under
    /// an older one. A secret that opens no more is left as it is.
    pub fn kept_again(&self) -> Vec<Fact> {
        let rests = self.reader.secrets().into_iter().filter(|(audience, _, sealed)| {
            !self.keys.data.is_newest(&secret_context(audience), sealed)
        });
        let again = rests.filter_map(|(audience, originator, sealed)| {
            let fact = Fact::Secret { audience, originator: originator.clone(), sealed };
            let secret = self.reopen(&fact)?;
            Some(self.issuer.keep(&audience, &originator, &secret))
        });
        again.collect()
    }

    /// Takes the seal key that a member announced in its own log, unless a later epoch is known.
    fn learn_seal_key(&self, member: &MemberId, key: &KeyManifest) {
        let Ok(public) = SealPublicKey::from_bytes(&key.public) else { return };
        let mut keys = self.seal_keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.get(member).is_none_or(|(epoch, _)| *epoch <= key.epoch) {
            keys.insert(member.clone(), (key.epoch, public));
            let mut keys = self.match_keys.write().unwrap_or_else(PoisonError::into_inner);
            match key.match_key {
                Some(public) => keys.insert(member.clone(), (key.epoch, public)),
                None => keys.remove(member),
            };
        }
    }

    /// An audience secret that we hold.
    pub fn secret_of(&self, audience: &AudienceId) -> Option<AudienceSecret> {
        let (originator, sealed) = self.reader.secret(audience)?;
        self.reopen(&Fact::Secret { audience: *audience, originator, sealed })
    }

    /// Opens a distributed audience secret with whichever of our seal keys fits; gives the fact
    /// that keeps it.
    pub fn unwrap(
        &self,
        originator: &MemberId,
        audience: &AudienceManifest,
        sealed: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Fact, SealError> {
        let wrap = sealed.get(WRAP).ok_or(SealError::NotARecipient)?;
        let context = AudienceContext { originator, audience: &audience.audience };
        let mut last = SealError::NotARecipient;
        for epoch in self.keys.seal.all().iter().rev() {
            match seal::unwrap(wrap, context, &self.own, &epoch.key, &audience.commitment) {
                Ok(secret) => {
                    return Ok(self.issuer.keep(&audience.audience, originator, &secret));
                }
                Err(SealError::NotARecipient) => {}
                Err(other) => last = other,
            }
        }
        Err(last)
    }

    /// The secret inside a fact that [`Self::unwrap`] gave.
    pub fn reopen(&self, fact: &Fact) -> Option<AudienceSecret> {
        let Fact::Secret { audience, sealed, .. } = fact else { return None };
        let secret = self.keys.data.open(&secret_context(audience), sealed)?;
        Some(AudienceSecret::from_bytes(secret.as_slice().try_into().ok()?))
    }

    /// Opens what we can open of a stored record; `None` for a control entry.
    pub fn open(&self, entry: &StoredEntry) -> Option<(Statement, Opened)> {
        let statement = Statement::parse(&entry.item.statement).ok()?;
        let Body::Record(record) = &statement.manifest().body else { return None };
        let opened = admit::open(statement.claims(), record, &entry.item.sealed, |audience| {
            self.secret_of(audience)
        });
        Some((statement, opened))
    }
}

/// The sign keys that we have and the register lists for us.
fn signers(own: &MemberId, keys: &Keys, register: &Register) -> Vec<Signer> {
    let listed = register.member(own).map(|member| member.keys.as_slice()).unwrap_or_default();
    let listed = listed.iter().filter(|key| key.use_ == KeyUse::Sign);
    let ours = listed.filter_map(|listed| {
        let mut all = keys.sign.all();
        let (_, key) = all.find(|(_, key)| key.public() == listed.public)?;
        Some(Signer { key: key.clone(), from: listed.from, until: listed.until })
    });
    ours.collect()
}

/// The plaintexts of an entry's core classes that the local data key can open, and the reads that
/// an entry of the `own` log counts: what the plain log files may show. They are not checked
/// against their commitments: the gate did so for what it admitted, and an auditor does so for
/// everything in the files. `last` is the audience secret used last: from class to class and from
/// entry to entry it is mostly the same.
pub fn disclosed(
    data: &DataKey,
    reader: &Reader,
    own: &MemberId,
    item: &Item,
    last: &mut Option<(AudienceId, AudienceSecret)>,
) -> BTreeMap<String, Vec<u8>> {
    let Ok(statement) = Statement::parse(&item.statement) else { return BTreeMap::new() };
    let record = match &statement.manifest().body {
        Body::Record(record) => record,
        // Another member can give its entry the id of one of ours.
        Body::Reads(_) if statement.claims().issuer == *own => {
            let part = reader.reads_part(&statement.claims().subject);
            return part.map(|part| (reads::CLASS.to_owned(), part)).into_iter().collect();
        }
        _ => return BTreeMap::new(),
    };
    let secret_of = |audience: &AudienceId| {
        let (_, sealed) = reader.secret(audience)?;
        let secret = data.open(&secret_context(audience), &sealed)?;
        Some(AudienceSecret::from_bytes(secret.as_slice().try_into().ok()?))
    };
    let mut open = |class: &str| {
        let part = record.parts.get(class)?;
        let context = PartContext {
            originator: &statement.claims().issuer,
            record: &statement.claims().subject,
            class,
            commitment: &part.commitment,
        };
        let sealed = item.sealed.get(class)?;
        if last.as_ref().is_none_or(|(audience, _)| *audience != part.audience) {
            *last = Some((part.audience, secret_of(&part.audience)?));
        }
        let (_, secret) = last.as_ref()?;
        seal::open_part_unchecked(secret, context, sealed).ok().map(|bytes| bytes.to_vec())
    };
    CLEAR_CLASSES.iter().filter_map(|class| Some(((*class).to_owned(), open(class)?))).collect()
}
