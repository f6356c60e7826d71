//! The pure machine of the exchange: `handle(input, now) -> orders`.
//!
//! It holds the heads of our own log and of every mirrored one, decides what is committed, what
//! is cosigned, what is pulled from whom, and what is told to whom. All branching of the protocol
//! lives here; its driver ([`crate::node`]) only performs orders.
//!
//! Orders after an [`Order::Commit`] are carried out only once the commit is durable, and not at
//! all if it fails; the machine is then loaded again from the store. What comes in has been
//! verified ([`crate::sync`]), so that the machine never sees bytes from outside.
//!
//! It knows nothing of sockets, disks, clocks and randomness.

mod mirroring;
mod order;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealwire_wire::checkpoint::{self, Checkpoint};
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle::{self, Frontier};
use sealwire_wire::mldsa::MlDsaKey;
use sealwire_wire::statement::{Body, Head, Manifest, leaf_data};

use crate::admit::Authentic;
use crate::keys::Key;
use crate::store::{Decision, Fact};

pub use order::{
    Cosigned, IdempotentRequest, Input, Order, Ranged, SignedHead, SignedRanges, Unit,
};

/// How long a log may be silent before it is asked for news, in milliseconds.
pub const ASK_AFTER_MS: u64 = 10_000;
/// How long after a failed pull the log is left alone, in milliseconds.
pub const RETRY_AFTER_MS: u64 = 1_000;
/// Most gaps remembered per log; a log with more is not pulled further until some are closed.
pub const MAX_GAPS: usize = 100_000;
/// Most gaps asked for at once.
pub const GAPS_PER_FETCH: usize = 256;
/// How long after an ML-DSA-44 cosignature of a log the next one is made, in milliseconds: each has
/// 3.3 kB, and the next covers what this one does not.
pub const PQ_EVERY_MS: u64 = 10_000;
/// The same when somebody asks for one.
pub const PQ_ASKED_EVERY_MS: u64 = 1_000;
/// How long after an ML-DSA-44 cosignature of a member the next one is kept, in milliseconds.
pub const PQ_TAKEN_EVERY_MS: u64 = PQ_ASKED_EVERY_MS / 2;
/// Most heads of other logs named in a statement.
pub const MAX_HEADS: usize = 8;

/// Our keys for heads.
pub struct HeadKeys {
    /// Signs our checkpoints.
    pub log: Key,
    /// Cosigns those of others.
    pub cosign: Key,
    /// Cosigns some of them with ML-DSA-44 too, if the register lists the key.
    pub cosign_pq: Option<Arc<MlDsaKey>>,
    /// Whether the key of this thumbprint may sign the entry at this index of our log.
    pub may_sign: MaySign,
}

/// Says whether the key of a thumbprint may sign the entry at an index of our log.
pub type MaySign = Box<dyn Fn(&Digest, u64) -> bool + Send>;

/// What is known of a mirrored log.
#[derive(Debug, Default)]
pub struct Mirror {
    /// All leaves up to the size verified so far.
    pub frontier: Frontier,
    /// The latest head that the frontier has reached.
    pub head: Option<SignedHead>,
    /// Indexes below the size that are neither held nor answered for.
    pub gaps: BTreeSet<u64>,
    /// The size that we cosigned last, and the note.
    pub cosigned: Option<(u64, String)>,
    /// The size that we cosigned last with ML-DSA-44, and when, in milliseconds.
    pub cosigned_pq: (u64, u64),
    /// The largest size that its owner is known to have signed.
    pub announced: u64,
    /// Set when the log contradicted itself: nothing more is taken from it.
    pub stopped: bool,
    /// What proves to anyone that it did.
    pub evidence: Option<String>,
    pq_asked: bool,
    pulling: bool,
    asked_ms: u64,
    quiet_until_ms: u64,
}

impl Mirror {
    /// What the store holds of a log.
    pub fn held(
        frontier: Frontier,
        head: Option<SignedHead>,
        gaps: BTreeSet<u64>,
        cosigned: Option<(u64, String)>,
        evidence: Option<String>,
    ) -> Self {
        let announced = head.as_ref().map_or(0, |h| h.checkpoint.size);
        let stopped = evidence.is_some();
        Self { frontier, head, gaps, cosigned, announced, stopped, evidence, ..Self::default() }
    }
}

/// The machine.
pub struct Exchange {
    federation: String,
    own: MemberId,
    keys: HeadKeys,
    frontier: Frontier,
    mirrors: BTreeMap<MemberId, Mirror>,
    connected: BTreeSet<MemberId>,
    /// Of each member the size that it cosigned last with ML-DSA-44, and when that came.
    pq_taken: BTreeMap<MemberId, (u64, u64)>,
    turn: usize,
}

impl Exchange {
    /// Starts from what the store holds.
    pub fn new(
        federation: String,
        own: MemberId,
        keys: HeadKeys,
        frontier: Frontier,
        mirrors: BTreeMap<MemberId, Mirror>,
        connected: BTreeSet<MemberId>,
    ) -> Self {
        let pq_taken = BTreeMap::new();
        Self { federation, own, keys, frontier, mirrors, connected, pq_taken, turn: 0 }
    }

    /// Size of our own log.
    pub fn own_size(&self) -> u64 {
        self.frontier.size()
    }

    /// The mirrored logs.
    pub fn mirrors(&self) -> impl Iterator<Item = (&MemberId, &Mirror)> {
        self.mirrors.iter()
    }

    /// The members whose nodes are connected.
    pub fn connected(&self) -> &BTreeSet<MemberId> {
        &self.connected
    }

    /// The heads that our next statements name: the logs that moved last.
    pub fn heads(&self) -> BTreeMap<MemberId, Head> {
        let mut latest: Vec<(&MemberId, &Mirror)> =
            self.mirrors.iter().filter(|(_, m)| m.head.is_some()).collect();
        latest.sort_by_key(|(_, m)| std::cmp::Reverse(m.asked_ms));
        latest
            .into_iter()
            .take(MAX_HEADS)
            .filter_map(|(id, m)| {
                let checkpoint = &m.head.as_ref()?.checkpoint;
                Some((id.clone(), Head { size: checkpoint.size, root: checkpoint.root }))
            })
            .collect()
    }

    /// Takes one input at a time `now_ms` (milliseconds since 1970).
    pub fn handle(&mut self, input: Input, now_ms: u64) -> Vec<Order> {
        match input {
            Input::Own(units) => self.append(units, now_ms),
            Input::Announced { log, head, entries } => self.announced(log, head, entries, now_ms),
            Input::Ranged(ranged) => self.ranged(ranged, now_ms),
            Input::Fetched { log, entries, denial } => self.fetched(log, entries, denial, now_ms),
            Input::PullEnded { log, failed } => {
                let mirror = self.mirrors.entry(log).or_default();
                mirror.pulling = false;
                if failed {
                    mirror.quiet_until_ms = now_ms + RETRY_AFTER_MS;
                }
                Vec::new()
            }
            Input::Cosigned(cosigned) => self.cosigned(cosigned, now_ms),
            Input::Recovered { head, from, entries } => {
                self.recovered(&head, from, entries, now_ms)
            }
            Input::PqAsked(log) => {
                if let Some(mirror) = self.mirrors.get_mut(&log) {
                    mirror.pq_asked = true;
                }
                self.cosign_now(&log, now_ms)
            }
            Input::RefusedBy(decision) => vec![Order::Commit(vec![Fact::Decision(decision)])],
            Input::Forked { log, evidence } => self.forked(log, evidence),
            Input::Keep(facts) => vec![Order::Commit(facts)],
            Input::Connected(member) => self.met(member, now_ms),
            Input::Disconnected(member) => {
                self.connected.remove(&member);
                Vec::new()
            }
            Input::Tick => self.tick(now_ms),
        }
    }

    fn append(&mut self, units: Vec<Unit>, now_ms: u64) -> Vec<Order> {
        let from = self.frontier.size();
        let before = self.frontier.clone();
        let mut facts = Vec::new();
        let mut logged = Vec::new();
        let mut learn = Vec::new();
        let mut refused = Vec::new();
        for unit in units {
            // A void entry of our own would be there for ever.
            let places = (self.frontier.size()..).zip(&unit.entries);
            let misplaced = places
                .map(|(index, issued)| (index, issued.statement.key_id()))
                .find(|(index, key)| !(self.keys.may_sign)(key, *index));
            if let Some((index, _)) = misplaced {
                refused.push(Order::Misplaced { token: unit.token, index });
                continue;
            }
            for issued in unit.entries {
                let index = self.frontier.size();
                let digest = issued.statement.digest();
                self.frontier.push(merkle::leaf_hash(&leaf_data(&digest)));
                learn.extend(learn_order(&self.own, index, issued.statement.manifest()));
                let (statement, sealed) = (issued.statement, issued.sealed);
                let entry = Authentic { index, statement, sealed, void: false, erased: false };
                facts.push(Fact::Entry {
                    log: self.own.clone(),
                    received_at: now_ms,
                    item: entry.into_item(),
                });
            }
            facts.extend(unit.facts);
            let index = self.frontier.size().saturating_sub(1);
            facts.extend(unit.request.map(|r| {
                let IdempotentRequest { principal, key, digest: request } = r;
                Fact::Decision(Decision::Idempotent { principal, key, request, index })
            }));
            logged.push((unit.token, index));
        }
        let size = self.frontier.size();
        let note = (size > from).then(|| {
            let origin = self.origin(&self.own);
            let checkpoint = Checkpoint { origin, size, root: self.frontier.root() };
            checkpoint::sign_with(&checkpoint, &self.keys.log).map(|note| note.to_string())
        });
        let note = match note.transpose() {
            Ok(note) => note,
            Err(cause) => {
                // Nothing was told to anyone: the log is what it was.
                self.frontier = before;
                let tokens = logged.into_iter().map(|(token, _)| token);
                let unsigned = |token| Order::Unsigned { token, cause: cause.clone() };
                refused.extend(tokens.map(unsigned));
                return refused;
            }
        };
        let head = note.clone().map(|note| Fact::Checkpoint { log: self.own.clone(), note });
        facts.extend(head);
        let mut orders = vec![Order::Commit(facts)];
        orders.append(&mut refused);
        orders.append(&mut learn);
        orders.extend(logged.into_iter().map(|(token, index)| Order::Logged {
            token,
            index,
            size,
        }));
        // Whoever connects later pulls.
        let note = note.filter(|_| !self.connected.is_empty());
        orders.extend(note.map(|note| Order::Announce { from, to: size, note }));
        orders
    }

    /// Takes back entries that we signed and lost. The checkpoint that covers them is ours, so that
    /// nothing is signed here.
    fn recovered(
        &mut self,
        head: &SignedHead,
        from: u64,
        entries: Vec<Authentic>,
        now_ms: u64,
    ) -> Vec<Order> {
        let mut frontier = self.frontier.clone();
        let following = entries.iter().zip(from..).all(|(entry, index)| entry.index == index);
        if from != frontier.size() || !following || entries.is_empty() {
            return Vec::new();
        }
        let (mut facts, mut learn) = (Vec::new(), Vec::new());
        for entry in entries {
            frontier.push(merkle::leaf_hash(&leaf_data(&entry.statement.digest())));
            learn.extend(learn_order(&self.own, entry.index, entry.statement.manifest()));
            let (log, item) = (self.own.clone(), entry.into_item());
            facts.push(Fact::Entry { log, received_at: now_ms, item });
        }
        let Checkpoint { size, root, .. } = &head.checkpoint;
        if frontier.size() == *size && frontier.root() == *root {
            facts.push(Fact::Checkpoint { log: self.own.clone(), note: head.note.clone() });
        }
        self.frontier = frontier;
        [Order::Commit(facts)].into_iter().chain(learn).collect()
    }

    fn met(&mut self, member: MemberId, now_ms: u64) -> Vec<Order> {
        self.connected.insert(member.clone());
        let mirror = self.mirrors.entry(member.clone()).or_default();
        mirror.quiet_until_ms = 0;
        let mut orders: Vec<Order> = mirror
            .cosigned
            .iter()
            .map(|(_, note)| Order::Cosignature { log: member.clone(), note: note.clone() })
            .collect();
        if !mirror.pulling {
            orders.extend(self.pull_from(&member, member.clone(), now_ms));
        }
        orders.extend(self.mirrors.iter().filter_map(|(log, mirror)| {
            let evidence = mirror.evidence.clone()?;
            Some(Order::Accuse { log: log.clone(), to: member.clone(), evidence })
        }));
        orders
    }

    /// Takes nothing more from a log that was forked, and shows everybody why.
    fn forked(&mut self, log: MemberId, evidence: String) -> Vec<Order> {
        let text = if log == self.own {
            "another history was signed with the key of this log"
        } else {
            let mirror = self.mirrors.entry(log.clone()).or_default();
            if mirror.evidence.is_some() {
                return Vec::new();
            }
            mirror.stopped = true;
            mirror.evidence = Some(evidence.clone());
            "its owner signed two histories"
        };
        let accuse = |to: &MemberId| Order::Accuse {
            log: log.clone(),
            to: to.clone(),
            evidence: evidence.clone(),
        };
        let accusations: Vec<Order> = self.connected.iter().map(accuse).collect();
        let alarm = Order::Alarm { log, text: text.to_owned(), evidence: Some(evidence) };
        [alarm].into_iter().chain(accusations).collect()
    }

    fn tick(&mut self, now_ms: u64) -> Vec<Order> {
        let logs: Vec<MemberId> = self.mirrors.keys().cloned().collect();
        let mut orders = Vec::new();
        for log in logs {
            orders.extend(self.cosign_now(&log, now_ms));
            orders.extend(self.prove_again(&log, now_ms));
            let Some(mirror) = self.mirrors.get(&log) else { continue };
            if mirror.pulling || mirror.stopped || now_ms < mirror.quiet_until_ms {
                continue;
            }
            let behind = mirror.announced > mirror.frontier.size();
            if behind || now_ms >= mirror.asked_ms + ASK_AFTER_MS {
                orders.extend(self.pull(&log, now_ms));
            } else if !mirror.gaps.is_empty() {
                orders.extend(self.fetch_gaps(&log));
            }
        }
        orders
    }

    /// Pulls from the owner if it is connected, else from the next connected member in turn.
    fn pull(&mut self, log: &MemberId, now_ms: u64) -> Option<Order> {
        let peer = if self.connected.contains(log) { log.clone() } else { self.in_turn()? };
        self.pull_from(log, peer, now_ms)
    }

    fn pull_from(&mut self, log: &MemberId, peer: MemberId, now_ms: u64) -> Option<Order> {
        let mirror = self.mirrors.entry(log.clone()).or_default();
        if mirror.pulling || mirror.stopped || mirror.gaps.len() >= MAX_GAPS {
            return None;
        }
        mirror.pulling = true;
        mirror.asked_ms = now_ms;
        Some(Order::Pull { log: log.clone(), peer, from: mirror.frontier.size() })
    }

    /// Asks the next connected member for what proves that a stopped log was forked.
    fn prove_again(&mut self, log: &MemberId, now_ms: u64) -> Option<Order> {
        let mirror = self.mirrors.get_mut(log)?;
        let unproved = mirror.stopped && mirror.evidence.is_none();
        if !unproved || now_ms < mirror.asked_ms + ASK_AFTER_MS {
            return None;
        }
        mirror.asked_ms = now_ms;
        let peer = self.in_turn()?;
        Some(Order::Prove { log: log.clone(), peer })
    }

    /// The connected members, one after the other.
    fn in_turn(&mut self) -> Option<MemberId> {
        self.turn = self.turn.wrapping_add(1);
        let others = self.connected.len().max(1);
        self.connected.iter().nth(self.turn % others).cloned()
    }

    fn fetch_gaps(&mut self, log: &MemberId) -> Option<Order> {
        let peer = self.connected.get(log).or_else(|| self.connected.iter().next())?.clone();
        let mirror = self.mirrors.get_mut(log)?;
        if mirror.pulling {
            return None;
        }
        mirror.pulling = true;
        let indexes = mirror.gaps.iter().take(GAPS_PER_FETCH).copied().collect();
        Some(Order::Fetch { log: log.clone(), peer, indexes })
    }

    fn stop(&mut self, log: MemberId, text: String) -> Vec<Order> {
        self.mirrors.entry(log.clone()).or_default().stopped = true;
        // Whoever holds the other history can prove it; its owner may not want to.
        let prove = |peer: &MemberId| Order::Prove { log: log.clone(), peer: peer.clone() };
        let asked: Vec<Order> = self.connected.iter().map(prove).collect();
        [Order::Alarm { log, text, evidence: None }].into_iter().chain(asked).collect()
    }

    fn origin(&self, member: &MemberId) -> String {
        format!("{}/{member}", self.federation)
    }
}

fn learn_order(log: &MemberId, index: u64, manifest: &Manifest) -> Option<Order> {
    let control = matches!(manifest.body, Body::Key(_) | Body::Audience(_));
    control.then(|| Order::Learn { log: log.clone(), index, manifest: Box::new(manifest.clone()) })
}
