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

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use sealwire_wire::checkpoint::{self, Checkpoint};
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle::{self, Frontier};
use sealwire_wire::statement::{Body, Head, Manifest, leaf_data};

use crate::admit::{Admitted, Authentic};
use crate::issue::Issued;
use crate::refusal::Refusal;
use crate::store::{Decision, Fact};

/// How long a log may be silent before it is asked for news, in milliseconds.
pub const ASK_AFTER_MS: u64 = 10_000;
/// How long after a failed pull the log is left alone, in milliseconds.
pub const RETRY_AFTER_MS: u64 = 1_000;
/// Most gaps remembered per log; a log with more is not pulled further until some are closed.
pub const MAX_GAPS: usize = 100_000;
/// Most gaps asked for at once.
pub const GAPS_PER_FETCH: usize = 256;
/// Most heads of other logs named in a statement.
pub const MAX_HEADS: usize = 8;

/// Entries that are logged together, or not at all, with the local facts they need.
#[derive(Debug)]
pub struct Unit {
    /// By which the driver knows who waits.
    pub token: u64,
    /// In the order in which they are logged.
    pub entries: Vec<Issued>,
    /// Local facts.
    pub facts: Vec<Fact>,
    /// The request that the last entry answers, if it may be asked again.
    pub request: Option<IdempotentRequest>,
}

/// A publication that answers the same when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// Who asked.
    pub principal: String,
    /// The idempotency key.
    pub key: String,
    /// Digest of what was asked.
    pub digest: Digest,
}

/// A checkpoint whose log signature holds.
#[derive(Debug, Clone)]
pub struct SignedHead {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note with the log's signature only.
    pub note: String,
}

/// The verified answer to a pull.
#[derive(Debug)]
pub struct Ranged {
    /// Whose log.
    pub log: MemberId,
    /// Who answered.
    pub peer: MemberId,
    /// The checkpoint that covers the range.
    pub head: SignedHead,
    /// First index.
    pub from: u64,
    /// Statement digests.
    pub leaves: Vec<Digest>,
    /// Consistency proof from the end of the range to the head.
    pub consistency: Vec<Digest>,
    /// Complete entries, each matching its leaf.
    pub entries: Vec<Admitted>,
    /// The originator's signed answer for the rest.
    pub denial: Option<SignedRanges>,
}

/// A verified not-addressed answer.
#[derive(Debug, Clone)]
pub struct SignedRanges {
    /// The bytes as signed.
    pub bytes: Vec<u8>,
    /// Half-open ranges of indexes.
    pub ranges: Vec<(u64, u64)>,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Entries of our own, sealed and signed.
    Own(Vec<Unit>),
    /// Entries of a peer's log, verified under `head`; empty when only the head was told.
    Announced {
        /// Whose log.
        log: MemberId,
        /// The head.
        head: SignedHead,
        /// The entries, in order.
        entries: Vec<Admitted>,
    },
    /// The answer to a pull.
    Ranged(Ranged),
    /// The answer to a fetch: entries that match their leaves.
    Fetched {
        /// Whose log.
        log: MemberId,
        /// Complete entries.
        entries: Vec<Admitted>,
        /// The originator's signed answer for the rest.
        denial: Option<SignedRanges>,
    },
    /// A pull or fetch brought nothing, or failed.
    PullEnded {
        /// Whose log.
        log: MemberId,
        /// Whether it failed, rather than that there was nothing new.
        failed: bool,
    },
    /// A member cosigned a checkpoint of ours.
    Cosigned {
        /// Who.
        by: MemberId,
        /// The size cosigned.
        size: u64,
        /// Witnessed time, seconds since 1970.
        time: u64,
        /// The signature line.
        line: String,
    },
    /// A member quarantined an entry of ours.
    RefusedBy(Decision),
    /// Local facts that concern no log head.
    Keep(Vec<Fact>),
    /// A member's node is connected.
    Connected(MemberId),
    /// It is not any more.
    Disconnected(MemberId),
    /// Time passes.
    Tick,
}

/// What the driver does.
#[derive(Debug)]
pub enum Order {
    /// Make these facts durable, then go on.
    Commit(Vec<Fact>),
    /// Tell who waits for `token` that its last entry is logged.
    Logged {
        /// The unit's token.
        token: u64,
        /// Index of its last entry.
        index: u64,
        /// Size of the tree that covers it.
        size: u64,
    },
    /// Announce our entries from `from` up to `to`.
    Announce {
        /// First index.
        from: u64,
        /// One past the last index.
        to: u64,
        /// Our checkpoint of size `to`.
        note: String,
    },
    /// A control entry is durable: take what it says.
    Learn {
        /// Whose log.
        log: MemberId,
        /// Which entry.
        index: u64,
        /// What it says.
        manifest: Box<Manifest>,
    },
    /// Send our cosignature to the owner of a log.
    Cosignature {
        /// Whose log.
        log: MemberId,
        /// The checkpoint with our cosignature.
        note: String,
    },
    /// Pull a log from a peer.
    Pull {
        /// Whose log.
        log: MemberId,
        /// From whom.
        peer: MemberId,
        /// From which index on.
        from: u64,
    },
    /// Fetch single entries from a peer.
    Fetch {
        /// Whose log.
        log: MemberId,
        /// From whom.
        peer: MemberId,
        /// Which.
        indexes: Vec<u64>,
    },
    /// Tell an originator why its entry was quarantined.
    Report {
        /// Whose log.
        log: MemberId,
        /// Which entry.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// An operator must look: a log contradicts itself.
    Alarm {
        /// Whose log.
        log: MemberId,
        /// What was seen.
        text: String,
    },
}

/// Our keys for heads.
pub struct HeadKeys {
    /// Signs our checkpoints.
    pub log: SigningKey,
    /// Cosigns those of others.
    pub cosign: SigningKey,
}

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
    /// The largest size that its owner is known to have signed.
    pub announced: u64,
    /// Set when the log contradicted itself: nothing more is taken from it.
    pub stopped: bool,
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
    ) -> Self {
        let announced = head.as_ref().map_or(0, |h| h.checkpoint.size);
        Self { frontier, head, gaps, cosigned, announced, ..Self::default() }
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
        Self { federation, own, keys, frontier, mirrors, connected, turn: 0 }
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
            Input::Cosigned { by, size, time, line } => {
                let log = self.own.clone();
                vec![Order::Commit(vec![Fact::Cosignature { log, by, size, time, line }])]
            }
            Input::RefusedBy(decision) => vec![Order::Commit(vec![Fact::Decision(decision)])],
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
        let mut facts = Vec::new();
        let mut logged = Vec::new();
        let mut learn = Vec::new();
        for unit in units {
            for issued in unit.entries {
                let index = self.frontier.size();
                let digest = issued.statement.digest();
                self.frontier.push(merkle::leaf_hash(&leaf_data(&digest)));
                learn.extend(learn_order(&self.own, index, issued.statement.manifest()));
                let entry = Authentic { index, statement: issued.statement, sealed: issued.sealed };
                facts.push(Fact::Entry {
                    log: self.own.clone(),
                    received_at: now_ms,
                    item: entry.to_item(),
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
        let origin = self.origin(&self.own);
        let checkpoint = Checkpoint { origin, size, root: self.frontier.root() };
        let note = checkpoint::sign(&checkpoint, &self.keys.log).to_string();
        facts.push(Fact::Checkpoint { log: self.own.clone(), note: note.clone() });
        let mut orders = vec![Order::Commit(facts)];
        orders.append(&mut learn);
        orders.extend(logged.into_iter().map(|(token, index)| Order::Logged {
            token,
            index,
            size,
        }));
        orders.push(Order::Announce { from, to: size, note });
        orders
    }

    fn announced(
        &mut self,
        log: MemberId,
        head: SignedHead,
        entries: Vec<Admitted>,
        now_ms: u64,
    ) -> Vec<Order> {
        let mirror = self.mirrors.entry(log.clone()).or_default();
        let (size, known) = (head.checkpoint.size, mirror.frontier.size());
        mirror.announced = mirror.announced.max(size);
        if mirror.stopped || size <= known {
            return Vec::new();
        }
        let new: Vec<Admitted> = entries
            .into_iter()
            .filter(|e| (known..size).contains(&e.entry.index) && e.entry.complete())
            .collect();
        let contiguous = new.len() as u64 == size - known
            && new.iter().zip(known..).all(|(e, index)| e.entry.index == index);
        if !contiguous {
            return self.pull(&log, now_ms).into_iter().collect();
        }
        let leaves = new.iter().map(|e| e.entry.statement.digest()).collect();
        self.extend(log, head, leaves, new, None, now_ms)
    }

    fn ranged(&mut self, ranged: Ranged, now_ms: u64) -> Vec<Order> {
        let Ranged { log, peer, head, from, leaves, consistency, entries, denial } = ranged;
        let mirror = self.mirrors.entry(log.clone()).or_default();
        mirror.pulling = false;
        mirror.announced = mirror.announced.max(head.checkpoint.size);
        if mirror.stopped || from != mirror.frontier.size() || leaves.is_empty() {
            return Vec::new();
        }
        let mut reached = mirror.frontier.clone();
        for leaf in &leaves {
            reached.push(merkle::leaf_hash(&leaf_data(leaf)));
        }
        let consistent = merkle::verify_consistency(
            reached.size(),
            &reached.root(),
            head.checkpoint.size,
            &head.checkpoint.root,
            &consistency,
        );
        if let Err(cause) = consistent {
            // A relay may lie; only the owner's own answer convicts the owner.
            if peer != log {
                mirror.quiet_until_ms = now_ms + RETRY_AFTER_MS;
                return Vec::new();
            }
            return self.stop(log, format!("checkpoint of size {} does not contain the {} entries verified before: {cause}",
                head.checkpoint.size, from));
        }
        let owner_answered = peer == log;
        let mut orders = self.extend(log.clone(), head, leaves, entries, denial, now_ms);
        let mirror = self.mirrors.entry(log.clone()).or_default();
        if mirror.announced > mirror.frontier.size() {
            orders.extend(self.pull_from(&log, peer, now_ms));
        } else if owner_answered && !mirror.gaps.is_empty() {
            orders.extend(self.fetch_gaps(&log));
        }
        orders
    }

    /// Takes verified leaves and the entries among them.
    fn extend(
        &mut self,
        log: MemberId,
        head: SignedHead,
        leaves: Vec<Digest>,
        entries: Vec<Admitted>,
        denial: Option<SignedRanges>,
        now_ms: u64,
    ) -> Vec<Order> {
        let mirror = self.mirrors.entry(log.clone()).or_default();
        let from = mirror.frontier.size();
        let mut frontier = mirror.frontier.clone();
        for leaf in &leaves {
            frontier.push(merkle::leaf_hash(&leaf_data(leaf)));
        }
        let reached_head = frontier.size() == head.checkpoint.size;
        if reached_head && frontier.root() != head.checkpoint.root {
            return self.stop(
                log,
                format!(
                    "checkpoint of size {} contradicts the {from} entries verified before",
                    head.checkpoint.size
                ),
            );
        }
        let to = frontier.size();
        if mirror.gaps.len() + leaves.len() > MAX_GAPS {
            return Vec::new();
        }
        mirror.frontier = frontier;
        mirror.asked_ms = now_ms;
        mirror.gaps.extend(from..to);
        let mut facts = vec![Fact::Leaves { log: log.clone(), from, digests: leaves }];
        let (kept, reports) = keep(&log, mirror, entries, denial, now_ms);
        facts.extend(kept);
        if reached_head {
            facts.push(Fact::Checkpoint { log: log.clone(), note: head.note.clone() });
            mirror.head = Some(head);
        }
        self.finish(log, facts, reports, now_ms)
    }

    fn fetched(
        &mut self,
        log: MemberId,
        entries: Vec<Admitted>,
        denial: Option<SignedRanges>,
        now_ms: u64,
    ) -> Vec<Order> {
        let mirror = self.mirrors.entry(log.clone()).or_default();
        mirror.pulling = false;
        let before = mirror.gaps.len();
        let (facts, reports) = keep(&log, mirror, entries, denial, now_ms);
        if mirror.gaps.len() == before {
            mirror.quiet_until_ms = now_ms + ASK_AFTER_MS;
        }
        if facts.is_empty() { Vec::new() } else { self.finish(log, facts, reports, now_ms) }
    }

    /// Adds our cosignature where it is due, and orders the commit.
    fn finish(
        &mut self,
        log: MemberId,
        mut facts: Vec<Fact>,
        reports: Vec<Order>,
        now_ms: u64,
    ) -> Vec<Order> {
        let cosigned = self.cosign(&log, now_ms);
        let mut sends = reports;
        if let Some((fact, note)) = cosigned {
            facts.push(fact);
            sends.push(Order::Cosignature { log, note });
        }
        let mut orders = vec![Order::Commit(facts)];
        orders.append(&mut sends);
        orders
    }

    /// Cosigns the head of a log, if every index below it is held or answered for. The fact is
    /// committed with what made it true, before the cosignature leaves.
    fn cosign(&mut self, log: &MemberId, now_ms: u64) -> Option<(Fact, String)> {
        let name = self.origin(&self.own);
        let mirror = self.mirrors.get_mut(log)?;
        let head = mirror.head.as_ref()?;
        let size = head.checkpoint.size;
        let done = mirror.cosigned.as_ref().is_some_and(|(cosigned, _)| *cosigned >= size);
        let whole = mirror.gaps.is_empty() && mirror.frontier.size() == size;
        if done || !whole || mirror.stopped || size == 0 {
            return None;
        }
        let time = now_ms / 1000;
        let signature = checkpoint::cosign(&head.checkpoint, &name, &self.keys.cosign, time);
        let line = signature.ok()?.to_string();
        let note = format!("{}{line}\n", head.note);
        mirror.cosigned = Some((size, note.clone()));
        let by = self.own.clone();
        Some((Fact::Cosignature { log: log.clone(), by, size, time, line }, note))
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
        orders
    }

    fn tick(&mut self, now_ms: u64) -> Vec<Order> {
        let logs: Vec<MemberId> = self.mirrors.keys().cloned().collect();
        let mut orders = Vec::new();
        for log in logs {
            if let Some((fact, note)) = self.cosign(&log, now_ms) {
                orders.push(Order::Commit(vec![fact]));
                orders.push(Order::Cosignature { log: log.clone(), note });
            }
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
        let peer = if self.connected.contains(log) {
            log.clone()
        } else {
            self.turn = self.turn.wrapping_add(1);
            let others = self.connected.len().max(1);
            self.connected.iter().nth(self.turn % others)?.clone()
        };
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
        vec![Order::Alarm { log, text }]
    }

    fn origin(&self, member: &MemberId) -> String {
        format!("{}/{member}", self.federation)
    }
}

fn learn_order(log: &MemberId, index: u64, manifest: &Manifest) -> Option<Order> {
    let control = matches!(manifest.body, Body::Key(_) | Body::Audience(_));
    control.then(|| Order::Learn { log: log.clone(), index, manifest: Box::new(manifest.clone()) })
}

/// Keeps entries and range answers that fill gaps.
fn keep(
    log: &MemberId,
    mirror: &mut Mirror,
    entries: Vec<Admitted>,
    denial: Option<SignedRanges>,
    now_ms: u64,
) -> (Vec<Fact>, Vec<Order>) {
    let mut facts = Vec::new();
    let mut reports = Vec::new();
    for Admitted { entry, quarantine, facts: learnt } in entries {
        if !entry.complete() || !mirror.gaps.remove(&entry.index) {
            continue;
        }
        let index = entry.index;
        facts.push(Fact::Entry { log: log.clone(), received_at: now_ms, item: entry.to_item() });
        facts.extend(learnt);
        reports.extend(learn_order(log, index, entry.statement.manifest()));
        if let Some(refusal) = quarantine {
            facts.push(Fact::Decision(Decision::Quarantined {
                log: log.clone(),
                index,
                code: refusal.code.clone(),
                text: refusal.message.clone(),
            }));
            reports.push(Order::Report { log: log.clone(), index, refusal });
        }
    }
    if let Some(SignedRanges { bytes, ranges }) = denial {
        let before = mirror.gaps.len();
        mirror.gaps.retain(|i| !ranges.iter().any(|(from, to)| (*from..*to).contains(i)));
        if mirror.gaps.len() < before {
            facts.push(Fact::Denial { log: log.clone(), bytes, ranges });
        }
    }
    (facts, reports)
}
