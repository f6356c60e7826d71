//! Between the machine and the network: performs its orders, and turns what peers send into
//! verified inputs. Every piece of work is its own bounded task, so that one slow peer never
//! slows another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sealwire_gossip::{Event, Events, Handle, Verdict as GossipVerdict};
use sealwire_wire::id::MemberId;
use sealwire_wire::message::{Announcement, Request, Response, WRAP};
use sealwire_wire::statement::{Body, Statement};
use tokio::sync::{Semaphore, mpsc};

use crate::admit::Verdict;
use crate::context::Context;
use crate::exchange::{Input, Order};
use crate::store::Fact;
use crate::sync;

use super::announce::federation_topic;
use super::driver::{Message, unix_ms};
use super::matching::Matching;
use super::versions::Versions;
use super::{Counters, Guard};

/// Messages of peers verified at once.
const MAX_VERIFYING: usize = 64;
/// How often a cosignature or notice is sent again when its receiver does not answer.
const SEND_ATTEMPTS: u32 = 5;
/// How often the machine is told that time passes.
const TICK: Duration = Duration::from_millis(500);

/// How many ticks lie between two rounds of asking for missing audience secrets.
const ASK_EVERY_TICKS: u64 = 4;
/// The refusal of what was made under a newer register than ours.
const NEWER: &str = "register-newer";
/// How many ticks lie between two rounds of asking for versions of the register.
const VERSIONS_EVERY_TICKS: u64 = 120;

/// What the tasks share.
pub struct Peers {
    /// The surroundings.
    pub context: Arc<Context>,
    /// The network.
    pub gossip: Handle,
    /// The machine's queue.
    pub inputs: mpsc::Sender<Message>,
    /// Counts.
    pub counters: Arc<Counters>,
    /// Whether we may sign.
    pub guard: Arc<Guard>,
    /// Takes new versions of the register.
    pub versions: Arc<Versions>,
    /// Answers whether we hold identifiers.
    pub matching: Arc<Matching>,
    /// Bounds verification.
    pub verifying: Arc<Semaphore>,
}

impl Peers {
    /// Puts the tasks' surroundings together.
    pub fn new(
        context: Arc<Context>,
        gossip: Handle,
        inputs: mpsc::Sender<Message>,
        counters: Arc<Counters>,
        guard: Arc<Guard>,
        versions: Arc<Versions>,
        matching: Arc<Matching>,
    ) -> Arc<Self> {
        let verifying = Arc::new(Semaphore::new(MAX_VERIFYING));
        Arc::new(Self { context, gossip, inputs, counters, guard, versions, matching, verifying })
    }

    /// Takes the network's events until it ends.
    pub async fn listen(self: Arc<Self>, mut events: Events) {
        while let Some(event) = events.recv().await {
            let Ok(permit) = Arc::clone(&self.verifying).acquire_owned().await else { return };
            let this = Arc::clone(&self);
            match event {
                Event::Listening { address } => tracing::info!(address, "listening to peers"),
                Event::Refused { peer, reason } => {
                    Counters::add(&self.counters.peers_refused, 1);
                    tracing::warn!(peer, ?reason, "refused a peer");
                }
                Event::Connected { peer } => {
                    if let Some(member) = self.member(&peer) {
                        tracing::info!(%member, "peer connected");
                        self.tell(Input::Connected(member.clone())).await;
                        tokio::spawn(async move {
                            this.compare_heads(&member).await;
                            this.catch_up(&member).await;
                        });
                    }
                }
                Event::Disconnected { peer } => {
                    if let Some(member) = self.member(&peer) {
                        tracing::info!(%member, "peer disconnected");
                        self.tell(Input::Disconnected(member)).await;
                    }
                }
                Event::Message { topic, bytes, ticket, from } => {
                    tokio::spawn(async move {
                        let (verdict, input) = this.judge(&topic, &bytes, &from);
                        // Before our own disk: a slow fsync here must not stall the federation.
                        this.gossip.verdict(ticket, verdict);
                        if let Some(input) = input {
                            this.tell(input).await;
                        }
                        drop(permit);
                    });
                }
                Event::Request { peer, bytes, reply } => {
                    tokio::spawn(async move {
                        let asked = this.asked(&peer, &bytes);
                        let (response, input) = match asked {
                            Err(refused) => (*refused, None),
                            Ok((
                                member,
                                request @ (Request::MatchTags { .. } | Request::Match(_)),
                            )) => {
                                // These wait for the disk, or for tags that are being made.
                                drop(permit);
                                if let Some(response) =
                                    this.matching.answer(&member, &request).await
                                {
                                    reply.send(response.to_bytes());
                                }
                                return;
                            }
                            Ok((member, request)) => {
                                sync::serve(&this.context, &member, request, unix_ms())
                            }
                        };
                        reply.send(response.to_bytes());
                        if let Some(input) = input {
                            this.tell(input).await;
                        }
                        drop(permit);
                    });
                }
            }
        }
    }

    /// Performs the machine's orders until it ends.
    pub async fn perform(self: Arc<Self>, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.recv().await {
            let this = Arc::clone(&self);
            tokio::spawn(async move { this.carry_out(order).await });
        }
    }

    /// Tells the machine that time passes, and asks again for audience secrets that are missing.
    pub async fn tick(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        let asking = Arc::new(Semaphore::new(1));
        for count in 0u64.. {
            ticks.tick().await;
            if self.inputs.send(Message::Input(Input::Tick)).await.is_err() {
                return;
            }
            if count.is_multiple_of(VERSIONS_EVERY_TICKS) {
                self.ask_all_versions();
            }
            // One round of asking at a time, beside the ticks: a silent peer delays nothing else.
            if count.is_multiple_of(ASK_EVERY_TICKS)
                && let Ok(permit) = Arc::clone(&asking).try_acquire_owned()
            {
                let this = Arc::clone(&self);
                tokio::spawn(async move {
                    this.recover(count / ASK_EVERY_TICKS).await;
                    for member in this.guard.unasked() {
                        this.compare_heads(&member).await;
                    }
                    for (audience, (log, index)) in this.context.missed_secrets() {
                        this.ask_rewrap(audience, &log, index).await;
                    }
                    drop(permit);
                });
            }
        }
    }

    fn judge(&self, topic: &str, bytes: &[u8], from: &str) -> (GossipVerdict, Option<Input>) {
        let federation = federation_topic(&self.context.register());
        let community = topic.strip_prefix(&federation).and_then(|rest| rest.strip_prefix('/'));
        let checked =
            Announcement::from_bytes(bytes).map_err(|e| e.to_string()).and_then(|message| {
                match sync::gossiped(&self.context, &message, community) {
                    Ok(input) => Ok(Ok(input)),
                    Err(e) if e.verdict == Verdict::Ignore => Ok(Err(e)),
                    Err(e) => Err(e.to_string()),
                }
            });
        match checked {
            Ok(Ok(input)) => {
                Counters::add(&self.counters.accepted, 1);
                (GossipVerdict::Accept, Some(input))
            }
            Ok(Err(ignored)) => {
                if ignored.refusal.code == NEWER {
                    self.versions.behind(self.member(from));
                }
                Counters::add(&self.counters.ignored, 1);
                tracing::debug!(code = ignored.refusal.code, "ignored a message");
                (GossipVerdict::Ignore, None)
            }
            Err(cause) => {
                Counters::add(&self.counters.rejected, 1);
                tracing::warn!(peer = from, %cause, "rejected a message");
                (GossipVerdict::Reject, None)
            }
        }
    }

    /// Who asks what; or the refusal of it.
    fn asked(&self, peer: &str, bytes: &[u8]) -> Result<(MemberId, Request), Box<Response>> {
        let refused =
            |code: &str, text: String| Box::new(Response::Refused { code: code.to_owned(), text });
        let Some(member) = self.member(peer) else {
            return Err(refused("unknown-peer", "cannot answer: not in the register".to_owned()));
        };
        match Request::from_bytes(bytes) {
            Ok(request) => {
                self.versions.asked_by(&member, &request);
                Ok((member, request))
            }
            Err(e) => {
                Counters::add(&self.counters.rejected, 1);
                tracing::warn!(%member, cause = %e, "refused a malformed request");
                Err(refused("request-malformed", e.to_string()))
            }
        }
    }

    async fn carry_out(&self, order: Order) {
        match order {
            Order::Announce { from, to, note } => self.announce(from, to, note).await,
            Order::Cosignature { log, note } => {
                self.deliver(&log, Request::Cosigned { note }).await;
            }
            Order::Report { log, index, refusal } => {
                tracing::warn!(%log, index, code = refusal.code, "quarantined an entry");
                Counters::add(&self.counters.quarantined, 1);
                let text = refusal.findings.iter().map(ToString::to_string).collect::<Vec<_>>();
                let text = format!("{} {}", refusal.message, text.join("; "));
                self.deliver(&log, Request::Quarantined { index, code: refusal.code, text }).await;
            }
            Order::Pull { log, peer, from } => {
                let answer = self.ask(&peer, &Request::Pull { log: log.clone(), from }).await;
                let input = match answer {
                    Some(Response::Range(range)) => {
                        self.verified(&log, &peer, sync::range(&self.context, &log, &peer, range))
                    }
                    Some(Response::Nothing) => Input::PullEnded { log, failed: false },
                    _ => Input::PullEnded { log, failed: true },
                };
                self.tell(input).await;
            }
            Order::Fetch { log, peer, indexes } => {
                let request = Request::Fetch { log: log.clone(), indexes };
                let input = match self.ask(&peer, &request).await {
                    Some(Response::Items { items, denial }) => {
                        let fetched = sync::fetched(&self.context, &log, &items, denial);
                        self.verified(&log, &peer, fetched)
                    }
                    _ => Input::PullEnded { log, failed: true },
                };
                self.tell(input).await;
            }
            Order::Prove { log, peer } => {
                let Some((size, _)) = self.context.reader.checkpoint(&log) else { return };
                let request = Request::Consistency { log: log.clone(), size };
                if let Some(Response::Consistency(answer)) = self.ask(&peer, &request).await
                    && let Some(evidence) = sync::proved(&self.context, &log, answer)
                {
                    self.tell(Input::Forked { log, evidence }).await;
                }
            }
            Order::Alarm { log, .. } => {
                if log == self.context.own {
                    self.guard.forked();
                }
            }
            Order::Accuse { log, to, evidence } => {
                self.deliver(&to, Request::Forked { log, evidence }).await;
            }
            Order::Commit(_)
            | Order::Logged { .. }
            | Order::Misplaced { .. }
            | Order::Unsigned { .. }
            | Order::Learn { .. } => {}
        }
    }

    fn verified(
        &self,
        log: &MemberId,
        peer: &MemberId,
        checked: Result<Input, crate::admit::NotTaken>,
    ) -> Input {
        checked.unwrap_or_else(|e| {
            if e.refusal.code == NEWER {
                self.versions.behind(Some(peer.clone()));
            }
            Counters::add(&self.counters.rejected, 1);
            tracing::warn!(%log, cause = %e, "refused an answer");
            Input::PullEnded { log: log.clone(), failed: true }
        })
    }

    /// Asks a newly met peer for the largest head of our own log that it knows: if it is larger
    /// than ours, ours was rolled back, and signing would fork it; if it is not one of ours, that
    /// has happened.
    async fn compare_heads(&self, member: &MemberId) {
        let own = &self.context.own;
        let answer = self.ask(member, &Request::Head(own.clone())).await;
        let known = match answer {
            Some(Response::Nothing) => 0,
            Some(Response::Head(note)) => match sync::head(&self.context, own, &note) {
                Ok(head) => {
                    if let Some(evidence) = sync::contradiction(&self.context, own, &head) {
                        self.tell(Input::Forked { log: own.clone(), evidence }).await;
                        return;
                    }
                    head.checkpoint.size
                }
                Err(_) => return,
            },
            _ => return,
        };
        let ours = self.context.reader.size(own);
        self.guard.compared(member, known, ours);
    }

    async fn ask_rewrap(&self, audience: [u8; 16], log: &MemberId, index: u64) {
        let Ok(Some(entry)) = self.context.reader.entry(log, index) else { return };
        let Ok(statement) = Statement::parse(&entry.item.statement) else { return };
        let Body::Audience(manifest) = &statement.manifest().body else { return };
        let own = *log == self.context.own;
        let holders: Vec<&MemberId> = if own { manifest.to.iter().collect() } else { vec![log] };
        for holder in holders {
            let Some(Response::Wrapped(bytes)) =
                self.ask(holder, &Request::Rewrap { audience }).await
            else {
                continue;
            };
            let sealed = BTreeMap::from([(WRAP.to_owned(), bytes)]);
            match self.context.unwrap(log, manifest, &sealed) {
                Ok(secret) => {
                    // What others are given of our own entry stays as it was.
                    let parts = Fact::Parts { log: log.clone(), index, sealed };
                    let parts = Some(parts).filter(|_| !own);
                    self.context.found_secret(&audience);
                    self.tell(Input::Keep(parts.into_iter().chain([secret]).collect())).await;
                    return;
                }
                Err(cause) => tracing::warn!(%log, %cause, "cannot open a secret wrapped again"),
            }
        }
    }

    pub(super) async fn ask(&self, member: &MemberId, request: &Request) -> Option<Response> {
        let peer = self.peer(member)?;
        match self.gossip.request(&peer, request.to_bytes()).await {
            Ok(bytes) => match Response::from_bytes(&bytes) {
                Ok(Response::Refused { code, text }) => {
                    tracing::debug!(%member, code, text, "a peer refused a request");
                    None
                }
                Ok(response) => Some(response),
                Err(cause) => {
                    tracing::warn!(%member, %cause, "a peer gave a malformed answer");
                    None
                }
            },
            Err(cause) => {
                tracing::debug!(%member, %cause, "a peer did not answer");
                None
            }
        }
    }

    /// Sends what must arrive for a delivery to be seen, again if need be. What is still not
    /// taken then is sent when the peer connects the next time.
    async fn deliver(&self, member: &MemberId, request: Request) {
        for attempt in 0..SEND_ATTEMPTS {
            if self.ask(member, &request).await.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
        }
    }

    pub(super) async fn tell(&self, input: Input) {
        // The queue ends only when the node does.
        let _ = self.inputs.send(Message::Input(input)).await;
    }

    pub(super) fn member(&self, peer: &str) -> Option<MemberId> {
        self.context.register().member_by_peer_id(peer).map(|m| m.id.clone())
    }

    pub(super) fn peer(&self, member: &MemberId) -> Option<String> {
        self.context.register().member(member).map(|m| m.peer_id.clone())
    }
}
