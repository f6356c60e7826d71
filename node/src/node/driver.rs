//! The writer thread: one input queue, one machine, one journal.
//!
//! It takes what waits, asks the machine, makes all facts of the batch durable in one commit,
//! and only then lets anything be seen. Crash points: before the commit returns nothing was told
//! to anyone; after it, everything told is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::register::{Register, Status};
use tokio::sync::{mpsc, oneshot, watch};

use crate::context::Context;
use crate::exchange::{Exchange, HeadKeys, Input, MAX_GAPS, Mirror, Order, Unit};
use crate::issue::{sign_key_not_valid, signing_unavailable};
use crate::journal::AppendError;
use crate::refusal::Refusal;
use crate::store::{CommitError, Fact, Purge, Writer};
use crate::sync::Contents;

use super::paced::Paced;
use super::{Counters, tasks};

/// Inputs waiting for the writer.
pub const INPUT_QUEUE: usize = 1024;
/// Most inputs in one commit.
pub const MAX_BATCH: usize = 256;
/// Orders waiting for the network.
pub const ORDER_QUEUE: usize = 4096;

/// Where an entry was logged.
#[derive(Debug, Clone, Copy)]
pub struct Logged {
    /// Its index.
    pub index: u64,
    /// The size of the tree that covers it.
    pub size: u64,
}

/// What the writer thread is given.
pub enum Message {
    /// Something happened.
    Input(Input),
    /// Entries of ours to log; the answer comes when they are durable.
    Log(Unit, oneshot::Sender<Result<Logged, Refusal>>),
    /// The publishing tick; says why nothing may be signed now, if so.
    Beat(Result<(), Refusal>),
    /// The next version of the register, verified: the answer comes when it is durable and in
    /// force.
    Adopt(Box<Register>, oneshot::Sender<()>),
    /// Another register of a version that we hold, as its governors signed it.
    Fork(Box<Register>),
    /// Erased parts that are still in the journal are to be removed: the answer is what does so,
    /// but for entries that are held.
    Purge(Kept, oneshot::Sender<Option<Purge>>),
}

/// Whether nothing of an entry may be removed.
pub type Kept = Box<dyn Fn(&MemberId, u64) -> bool + Send>;

/// A version to be put in force, and who waits to hear it.
type Adopting = Option<(Box<Register>, oneshot::Sender<()>)>;

/// A picture of the machine after the last batch.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Size of our own log.
    pub size: u64,
    /// Connected members.
    pub connected: BTreeSet<MemberId>,
    /// Per mirrored log: size mirrored, size its owner is known to have signed, size that we
    /// cosigned, gaps, stopped.
    pub mirrors: BTreeMap<MemberId, MirrorState>,
    /// Set when the journal can no longer be written.
    pub fault: Option<String>,
}

/// One mirrored log in a [`Snapshot`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorState {
    /// Leaves verified.
    pub size: u64,
    /// Size that its owner is known to have signed.
    pub announced: u64,
    /// Size that we cosigned.
    pub cosigned: u64,
    /// Indexes neither held nor answered for.
    pub gaps: usize,
    /// Whether the log contradicted itself.
    pub stopped: bool,
}

/// The writer thread's state.
pub struct Driver {
    /// The surroundings.
    pub context: Arc<Context>,
    /// The store's writing half.
    pub writer: Writer,
    /// Where orders for the network go.
    pub orders: mpsc::Sender<Order>,
    /// Where the picture goes.
    pub snapshot: watch::Sender<Snapshot>,
    /// Where the last cursor of the feed goes, when it moves.
    pub cursor: watch::Sender<u64>,
    /// Counts.
    pub counters: Arc<Counters>,
    /// What waits for the publishing tick, if there is one.
    pub paced: Option<Paced>,
}

/// What was logged, and who waits to hear it.
type Answered = (oneshot::Sender<Result<Logged, Refusal>>, Logged);

impl Driver {
    /// Runs until every sender of the queue is gone.
    pub fn run(mut self, mut exchange: Exchange, mut queue: mpsc::Receiver<Message>) {
        self.show(&exchange);
        let mut feedback = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH
                && let Ok(next) = queue.try_recv()
            {
                batch.push(next);
            }
            batch.extend(feedback.drain(..).map(Message::Input));
            let mut waiting = BTreeMap::new();
            let mut adopting = None;
            let orders = self.decide(&mut exchange, batch, &mut waiting, &mut adopting);
            let next = adopting.as_ref().map(|(register, _)| register.as_ref());
            let logged = match self.perform(orders, next, &mut waiting, &mut feedback) {
                Ok(logged) => logged,
                Err(CommitError::Append(
                    cause @ (AppendError::Full { .. } | AppendError::Write { .. }),
                )) => {
                    tracing::error!(%cause, "disk full: nothing of this batch was logged");
                    Counters::add(&self.counters.commit_failures, 1);
                    refuse_all(
                        waiting,
                        "disk-full",
                        &cause.to_string(),
                        "free space on the data directory's disk and publish again",
                    );
                    exchange = load(&self.context, exchange.connected().clone());
                    adopting = None;
                    Vec::new()
                }
                Err(cause) => {
                    tracing::error!(%cause, "journal fault: this node stops taking records until it is started again");
                    refuse_all(
                        waiting,
                        "journal-fault",
                        &cause.to_string(),
                        "start the node again; it reloads what is durable",
                    );
                    self.snapshot.send_modify(|s| s.fault = Some(cause.to_string()));
                    return;
                }
            };
            if let Some((register, done)) = adopting {
                exchange = self.put_in_force(*register, exchange.connected());
                // Whoever brought the version may have gone away.
                let _ = done.send(());
            }
            self.context.set_heads(exchange.heads());
            self.show(&exchange);
            // Only now: whoever was answered finds the entry in everything that is shown.
            for (reply, logged) in logged {
                // A caller that went away finds its record by its idempotency key.
                let _ = reply.send(Ok(logged));
            }
        }
        if let Err(cause) = self.writer.settle() {
            tracing::warn!(%cause, "the log files are behind; the next start brings them up");
        }
    }

    fn decide(
        &mut self,
        exchange: &mut Exchange,
        batch: Vec<Message>,
        waiting: &mut BTreeMap<u64, oneshot::Sender<Result<Logged, Refusal>>>,
        adopting: &mut Adopting,
    ) -> Vec<Order> {
        let now = unix_ms();
        let mut due = Vec::new();
        let mut inputs = Vec::new();
        for message in batch {
            match message {
                Message::Input(input) => inputs.push(input),
                Message::Log(unit, reply) => match &mut self.paced {
                    // What is no entry shows nowhere: who reads waits for no tick.
                    Some(paced) if !unit.entries.is_empty() => paced.hold(unit, reply),
                    _ => due.push((unit, Some(reply))),
                },
                Message::Beat(allowed) => {
                    due.extend(
                        self.paced.iter_mut().flat_map(|p| p.due(&self.context, allowed.clone())),
                    );
                }
                // One at a time is offered; a second would find its sender answered by nobody.
                Message::Adopt(register, done) => *adopting = Some((register, done)),
                Message::Fork(register) => self.register_forked(&register),
                Message::Purge(held, reply) => {
                    let purge = self.writer.purge(held).unwrap_or_else(|cause| {
                        tracing::error!(%cause, "cannot remove erased parts from the journal yet");
                        None
                    });
                    // Whoever asked may be stopping.
                    let _ = reply.send(purge);
                }
            }
        }
        let mut units = Vec::new();
        for (mut unit, reply) in due {
            unit.token = units.len() as u64;
            if let Some(reply) = reply {
                waiting.insert(unit.token, reply);
            } else {
                Counters::add(&self.counters.dummies, unit.entries.len() as u64);
            }
            units.push(unit);
        }
        let mut orders = Vec::new();
        if !units.is_empty() {
            orders = exchange.handle(Input::Own(units), now);
        }
        let mut contents = Contents::default();
        for mut input in inputs {
            let known = |content: &Digest| self.context.reader.known_content(content);
            contents.quarantine_repeated(&mut input, known);
            orders.extend(exchange.handle(input, now));
        }
        orders
    }

    fn perform(
        &mut self,
        orders: Vec<Order>,
        next: Option<&Register>,
        waiting: &mut BTreeMap<u64, oneshot::Sender<Result<Logged, Refusal>>>,
        feedback: &mut Vec<Input>,
    ) -> Result<Vec<Answered>, CommitError> {
        let mut logged = Vec::new();
        let mut facts: Vec<Fact> = Vec::new();
        let mut after = Vec::new();
        for order in orders {
            match order {
                Order::Commit(more) => facts.extend(more),
                other => after.push(other),
            }
        }
        // What came before it was verified under the version before.
        facts.extend(next.map(|register| Fact::Register { bytes: register.bytes().to_vec() }));
        if !facts.is_empty() {
            let started = Instant::now();
            self.writer.commit(&facts)?;
            Counters::add(&self.counters.commits, 1);
            Counters::add(&self.counters.facts, facts.len() as u64);
            tasks::tell_disputes(&self.context, &facts);
            tracing::debug!(
                facts = facts.len(),
                elapsed_us = started.elapsed().as_micros() as u64,
                "committed"
            );
        }
        for order in after {
            match order {
                Order::Logged { token, index, size } => {
                    if let Some(reply) = waiting.remove(&token) {
                        logged.push((reply, Logged { index, size }));
                    }
                }
                Order::Misplaced { token, index } => {
                    if let Some(reply) = waiting.remove(&token) {
                        let _ = reply.send(Err(sign_key_not_valid(index)));
                    }
                }
                Order::Unsigned { token, cause } => {
                    if let Some(reply) = waiting.remove(&token) {
                        let _ = reply.send(Err(signing_unavailable(&cause)));
                    }
                }
                Order::Learn { log, index, manifest } => {
                    self.context.learn(&log, index, &manifest);
                }
                Order::Alarm { log, text, evidence } => {
                    self.alarm(&log, &text, evidence.as_deref());
                    self.send(Order::Alarm { log, text, evidence }, feedback);
                }
                order => self.send(order, feedback),
            }
        }
        Ok(logged)
    }

    /// An operator must look; what proves it is kept first.
    fn alarm(&self, log: &MemberId, text: &str, evidence: Option<&str>) {
        Counters::add(&self.counters.alarms, 1);
        match evidence.map(|evidence| self.writer.keep_evidence(log, evidence)) {
            None => {
                tracing::error!(%log, text, "a log contradicts itself: nothing more is taken from it")
            }
            Some(Ok(file)) => {
                tracing::error!(%log, text, evidence = %file.display(), "a log was forked: nothing more is taken from it (hint: sealwire-audit evidence verifies the file)");
            }
            Some(Err(cause)) => {
                tracing::error!(%log, text, %cause, "a log was forked, and the evidence cannot be kept");
            }
        }
    }

    /// Lets the next version count from here on. The machine is made again from what is durable,
    /// with the members that there are now.
    fn put_in_force(&self, register: Register, connected: &BTreeSet<MemberId>) -> Exchange {
        let before = self.context.register();
        let stays = |member: &&MemberId| {
            let peer = |register: &Register| register.member(member).map(|m| m.peer_id.clone());
            let active = register.member(member).is_some_and(|m| m.status == Status::Active);
            active && peer(&before) == peer(&register)
        };
        let connected = connected.iter().filter(stays).cloned().collect();
        let (version, fingerprint) = (register.version(), register.fingerprint());
        self.context.set_register(register);
        tracing::info!(version, fingerprint, "a new version of the register is in force");
        load(&self.context, connected)
    }

    /// The governors signed two registers of one version: an operator must look.
    pub(super) fn register_forked(&self, other: &Register) {
        let (version, digest) = (other.version(), other.digest());
        match self.writer.keep_register_fork(other) {
            Ok(None) => {}
            Ok(Some(file)) => {
                Counters::add(&self.counters.register_forks, 1);
                tracing::error!(version, %digest, evidence = %file.display(), "the register was forked: its governors have signed two of this version; this node keeps the one that it has (hint: call the governors; sealwire register diff compares the two)");
            }
            Err(cause) => {
                Counters::add(&self.counters.register_forks, 1);
                tracing::error!(version, %digest, %cause, "the register was forked, and the evidence cannot be kept");
            }
        }
    }

    fn send(&self, order: Order, feedback: &mut Vec<Input>) {
        if let Err(refused) = self.orders.try_send(order) {
            Counters::add(&self.counters.orders_dropped, 1);
            // Announcements and cosignatures heal by themselves; a pull must be known to be over.
            if let Order::Pull { log, .. } | Order::Fetch { log, .. } = refused.into_inner() {
                feedback.push(Input::PullEnded { log, failed: true });
            }
        }
    }

    fn show(&self, exchange: &Exchange) {
        let mirrors = exchange.mirrors().map(|(log, mirror)| {
            let state = MirrorState {
                size: mirror.frontier.size(),
                announced: mirror.announced,
                cosigned: mirror.cosigned.as_ref().map_or(0, |(size, _)| *size),
                gaps: mirror.gaps.len(),
                stopped: mirror.stopped,
            };
            (log.clone(), state)
        });
        let snapshot = Snapshot {
            size: exchange.own_size(),
            connected: exchange.connected().clone(),
            mirrors: mirrors.collect(),
            fault: None,
        };
        self.snapshot.send_replace(snapshot);
        let last = self.context.reader.last_cursor();
        self.cursor.send_if_modified(|known| std::mem::replace(known, last) != last);
    }
}

/// Builds the machine from what is durable.
pub fn load(context: &Arc<Context>, connected: BTreeSet<MemberId>) -> Exchange {
    let reader = &context.reader;
    let register = context.register();
    let mut mirrors = BTreeMap::new();
    for member in register.members().filter(|m| m.id != context.own) {
        let frontier = reader.frontier(&member.id);
        let head = reader
            .checkpoint(&member.id)
            .and_then(|(_, note)| crate::sync::head(context, &member.id, &note).ok());
        let cosigned =
            reader.cosignatures(&member.id).into_iter().find(|c| c.by == context.own).and_then(
                |c| {
                    let head = head.as_ref().filter(|h| h.checkpoint.size == c.size);
                    let note = head.map(|h| format!("{}{}\n", h.note, c.line)).unwrap_or_default();
                    let pq = reader.pq_cosignatures_at(&member.id, c.size);
                    let pq = pq.into_iter().find(|pq| pq.by == context.own);
                    let pq = pq.filter(|_| !note.is_empty()).map(|pq| format!("{}\n", pq.line));
                    let note = note + pq.as_deref().unwrap_or_default();
                    Some((c.size, note)).filter(|(_, note)| !note.is_empty())
                },
            );
        let gaps = reader.missing(&member.id, MAX_GAPS).into_iter().collect();
        let evidence = reader.evidence(&member.id);
        let evidence = evidence.filter(|text| crate::sync::fork(context, &member.id, text).is_ok());
        let mut mirror = Mirror::held(frontier, head, gaps, cosigned, evidence);
        mirror.cosigned_pq = (reader.pq_cosigned(&member.id, &context.own), 0);
        mirrors.insert(member.id.clone(), mirror);
    }
    let own = context.own.clone();
    let keys = &context.keys;
    let listed = register.member(&own).and_then(|m| m.cosign_pq_key()).map(|key| &key.public);
    let cosign_pq =
        keys.cosign_pq.clone().filter(|key| listed.is_some_and(|p| **p == key.public()));
    let signs = Arc::clone(context);
    let keys = HeadKeys {
        log: keys.log.current().clone(),
        cosign: keys.cosign.current().clone(),
        cosign_pq,
        may_sign: Box::new(move |key, index| signs.issuer.may_sign(key, index)),
    };
    let frontier = reader.frontier(&own);
    Exchange::new(context.federation(), own, keys, frontier, mirrors, connected)
}

/// This machine's clock, milliseconds since 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn refuse_all(
    waiting: BTreeMap<u64, oneshot::Sender<Result<Logged, Refusal>>>,
    code: &str,
    cause: &str,
    hint: &str,
) {
    for reply in waiting.into_values() {
        let text = format!("cannot log record: {cause}");
        let refusal = Refusal { status: 507, ..Refusal::fault(code, text, hint) };
        let _ = reply.send(Err(refusal));
    }
}
