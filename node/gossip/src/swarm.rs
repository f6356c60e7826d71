//! The event loop: performs the caller's orders, reports what happens, and never waits for the
//! caller. Whether a peer may connect is decided in `admission`, when to dial in `redial`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance};
use libp2p::request_response::{self, InboundRequestId, OutboundRequestId, ResponseChannel};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ListenError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, ping};
use tokio::sync::{mpsc, oneshot, watch};

use crate::admission::reason_of;
use crate::config::Listed;
use crate::error::{PublishError, RequestError};
use crate::handle::{Command, View};
use crate::outbox::Outbox;
use crate::redial::Redial;
use crate::resolve::resolve;
use crate::stack::{Behaviour, BehaviourEvent};
use crate::tally::{Tally, bump};
use crate::{
    Event, MAX_INBOUND_REQUESTS, MAX_INBOUND_REQUESTS_PER_PEER, MAX_MESSAGE_BYTES,
    MAX_OUTBOUND_REQUESTS_PER_PEER, MAX_RESPONSE_BYTES, Published, REQUEST_TIMEOUT, Reply, Ticket,
    Verdict,
};

/// What comes in from the handles.
pub(crate) struct Inlets {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) verdicts: mpsc::Receiver<(Ticket, Verdict)>,
}

/// What goes out to the caller.
pub(crate) struct Outlets {
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) view: watch::Sender<View>,
    pub(crate) tally: Arc<Tally>,
}

/// The state of the event loop.
pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    inlets: Inlets,
    outbox: Outbox,
    view: watch::Sender<View>,
    tally: Arc<Tally>,
    peers: BTreeMap<PeerId, Vec<Multiaddr>>,
    topics: BTreeSet<String>,
    redial: Redial<PeerId>,
    /// Names being resolved; at most one look-up per peer under way.
    lookups: FuturesUnordered<BoxFuture<'static, (PeerId, Vec<Multiaddr>)>>,
    /// Answers that the caller still owes; each ends with its request's time limit.
    replies: FuturesUnordered<BoxFuture<'static, Owed>>,
    inbound: HashMap<InboundRequestId, PeerId>,
    outbound: HashMap<OutboundRequestId, Waiting>,
}

struct Owed {
    channel: ResponseChannel<Vec<u8>>,
    bytes: Option<Vec<u8>>,
}

struct Waiting {
    peer: PeerId,
    answer: oneshot::Sender<Result<Vec<u8>, RequestError>>,
}

impl Driver {
    pub(crate) fn new(swarm: Swarm<Behaviour>, inlets: Inlets, outlets: Outlets) -> Self {
        Self {
            swarm,
            inlets,
            outbox: Outbox::new(outlets.events, Arc::clone(&outlets.tally)),
            view: outlets.view,
            tally: outlets.tally,
            peers: BTreeMap::new(),
            topics: BTreeSet::new(),
            redial: Redial::new(),
            lookups: FuturesUnordered::new(),
            replies: FuturesUnordered::new(),
            inbound: HashMap::new(),
            outbound: HashMap::new(),
        }
    }

    /// Runs until it is told to stop or nobody holds the other ends.
    pub(crate) async fn run(mut self) {
        let mut done = None;
        while !self.outbox.is_closed() {
            self.start_dials();
            self.tell();
            let pause = self.pause();
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                command = self.inlets.commands.recv() => match command {
                    Some(Command::Shutdown { answer }) => {
                        done = Some(answer);
                        break;
                    }
                    Some(command) => self.on_command(command),
                    None => break,
                },
                Some((ticket, verdict)) = self.inlets.verdicts.recv() => {
                    self.on_verdict(&ticket, verdict);
                }
                Some(owed) = self.replies.next() => self.on_owed(owed),
                Some((peer, addresses)) = self.lookups.next() => self.dial(peer, addresses),
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.close().await;
        drop(self);
        if let Some(done) = done {
            // The caller may have stopped waiting.
            let _ = done.send(());
        }
    }

    /// Replaces the list of peers.
    pub(crate) fn set_peers(&mut self, peers: Vec<Listed>) {
        let peers: BTreeMap<_, _> = peers.into_iter().map(|p| (p.id, p.addresses)).collect();
        self.swarm.behaviour_mut().admission.set_listed(peers.keys().copied().collect());
        let before = std::mem::replace(&mut self.peers, peers);
        for gone in before.keys().filter(|peer| !self.peers.contains_key(peer)) {
            self.redial.remove(gone);
        }
        let now = Instant::now();
        for (peer, addresses) in &self.peers {
            if before.get(peer) != Some(addresses) {
                self.redial.add(*peer, now);
            }
            // A removed peer can be listed again before its old connection has closed.
            if !before.contains_key(peer) && self.swarm.is_connected(peer) {
                self.redial.connected(peer, now);
            }
        }
    }

    /// Replaces the topics.
    pub(crate) fn set_topics(&mut self, topics: BTreeSet<String>) {
        let before = std::mem::replace(&mut self.topics, topics);
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        for gone in before.difference(&self.topics) {
            gossip.unsubscribe(&IdentTopic::new(gone));
        }
        for new in self.topics.difference(&before) {
            if let Err(error) = gossip.subscribe(&IdentTopic::new(new)) {
                tracing::error!(topic = new, %error, "topic not subscribed");
            }
        }
        self.look();
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, bytes, answer } => {
                // The caller may have stopped waiting, here and below.
                let _ = answer.send(self.publish(topic, bytes));
            }
            Command::Request { peer, bytes, answer } => self.request(peer, bytes, answer),
            Command::SetPeers { peers, answer } => {
                self.set_peers(peers);
                let _ = answer.send(());
            }
            Command::SetTopics { topics, answer } => {
                self.set_topics(topics);
                let _ = answer.send(());
            }
            Command::Shutdown { .. } => unreachable!("handled where the loop can end"),
        }
    }

    fn publish(&mut self, topic: String, bytes: Vec<u8>) -> Result<Published, PublishError> {
        if !self.topics.contains(&topic) {
            return Err(PublishError::UnknownTopic(topic));
        }
        let size = bytes.len();
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        match gossip.publish(IdentTopic::new(&topic), bytes) {
            Ok(_) => Ok(Published::Sent),
            Err(error) => PublishError::outcome(&error, topic, size),
        }
    }

    fn request(
        &mut self,
        peer: PeerId,
        bytes: Vec<u8>,
        answer: oneshot::Sender<Result<Vec<u8>, RequestError>>,
    ) {
        let under_way = self.outbound.values().filter(|waiting| waiting.peer == peer).count();
        if !self.swarm.is_connected(&peer) {
            let _ = answer.send(Err(RequestError::NotConnected(peer.to_string())));
        } else if under_way >= MAX_OUTBOUND_REQUESTS_PER_PEER {
            let _ = answer.send(Err(RequestError::Full));
        } else {
            let id = self.swarm.behaviour_mut().sync.send_request(&peer, bytes);
            self.outbound.insert(id, Waiting { peer, answer });
        }
    }

    fn on_verdict(&mut self, ticket: &Ticket, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        if verdict == Verdict::Reject {
            bump(&self.tally.rejected_messages);
            tracing::debug!(peer = %ticket.from, "message rejected");
        }
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(&ticket.id, &ticket.from, acceptance) {
            bump(&self.tally.dropped_verdicts);
        }
    }

    fn on_owed(&mut self, Owed { channel, bytes }: Owed) {
        let Some(bytes) = bytes else { return };
        let fits = bytes.len() <= MAX_RESPONSE_BYTES;
        if !fits {
            tracing::error!(size = bytes.len(), "answer is above the limit and was not sent");
        }
        // Dropping the channel closes the stream, so that the peer's request fails at once.
        if !fits || self.swarm.behaviour_mut().sync.send_response(channel, bytes).is_err() {
            bump(&self.tally.dropped_replies);
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Sync(event)) => self.on_sync(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(&event),
            SwarmEvent::ConnectionEstablished { peer_id, num_established, .. }
                if num_established.get() == 1 =>
            {
                self.redial.connected(&peer_id, Instant::now());
                self.changed(peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.redial.disconnected(&peer_id, Instant::now(), chance());
                self.changed(peer_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                tracing::debug!(%peer, %error, "dial failed");
                self.redial.failed(&peer, Instant::now(), chance());
            }
            SwarmEvent::IncomingConnectionError { peer_id, error, .. } => {
                self.on_refused(peer_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                let address = address.to_string();
                tracing::info!(address, "listening");
                self.view.send_modify(|view| {
                    view.listening.insert(address.clone());
                });
                self.outbox.notify(Event::Listening { address });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.view.send_modify(|view| {
                    view.listening.remove(&address.to_string());
                });
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "listening ended");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "listening failed for a moment");
            }
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source: from, message_id: id, message } => {
                let ticket = Ticket { id, from };
                if message.data.len() > MAX_MESSAGE_BYTES {
                    self.on_verdict(&ticket, Verdict::Reject);
                    return;
                }
                let spare = Ticket { id: ticket.id.clone(), from };
                let topic = message.topic.into_string();
                let bytes = message.data;
                let event = Event::Message { topic, from: from.to_string(), bytes, ticket };
                if self.outbox.offer(event) {
                    bump(&self.tally.messages);
                } else {
                    bump(&self.tally.dropped_messages);
                    self.on_verdict(&spare, Verdict::Ignore);
                }
            }
            gossipsub::Event::Subscribed { .. } | gossipsub::Event::Unsubscribed { .. } => {
                self.look();
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                bump(&self.tally.slow_peers);
                tracing::debug!(peer = %peer_id, "peer is too slow for its messages");
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::warn!(peer = %peer_id, "peer does not speak gossip");
            }
        }
    }

    fn on_sync(&mut self, event: request_response::Event<Vec<u8>, Vec<u8>>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                request_response::Message::Request { request_id, request, channel } => {
                    self.on_request(peer, request_id, request, channel);
                }
                request_response::Message::Response { request_id, response } => {
                    self.answer(request_id, Ok(response));
                }
            },
            request_response::Event::OutboundFailure { request_id, error, .. } => {
                self.answer(request_id, Err(error.into()));
            }
            request_response::Event::InboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, %error, "request not answered");
                self.inbound.remove(&request_id);
            }
            request_response::Event::ResponseSent { request_id, .. } => {
                self.inbound.remove(&request_id);
            }
        }
    }

    fn on_request(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        bytes: Vec<u8>,
        channel: ResponseChannel<Vec<u8>>,
    ) {
        let of_peer = self.inbound.values().filter(|asking| **asking == peer).count();
        let full =
            of_peer >= MAX_INBOUND_REQUESTS_PER_PEER || self.inbound.len() >= MAX_INBOUND_REQUESTS;
        let (answer, owed) = oneshot::channel();
        let event = Event::Request { peer: peer.to_string(), bytes, reply: Reply { answer } };
        if full || !self.outbox.offer(event) {
            // Dropping the channel closes the stream, so that the peer's request fails at once.
            bump(&self.tally.dropped_requests);
            return;
        }
        bump(&self.tally.requests);
        self.inbound.insert(id, peer);
        let owed = tokio::time::timeout(REQUEST_TIMEOUT, owed).map(|owed| match owed {
            Ok(Ok(bytes)) => Owed { channel, bytes: Some(bytes) },
            Ok(Err(_)) | Err(_) => Owed { channel, bytes: None },
        });
        self.replies.push(owed.boxed());
    }

    fn answer(&mut self, id: OutboundRequestId, answer: Result<Vec<u8>, RequestError>) {
        if let Some(waiting) = self.outbound.remove(&id) {
            // The caller may have stopped waiting.
            let _ = waiting.answer.send(answer);
        }
    }

    fn on_ping(&mut self, event: &ping::Event) {
        let failed =
            matches!(event.result, Err(ping::Failure::Timeout | ping::Failure::Other { .. }));
        if failed {
            tracing::debug!(peer = %event.peer, "peer does not answer; closing its connection");
            self.swarm.close_connection(event.connection);
        }
    }

    fn on_refused(&mut self, peer: Option<PeerId>, error: &ListenError) {
        let Some(reason) = reason_of(error) else { return };
        bump(&self.tally.refused_connections);
        tracing::debug!(peer = peer.map(tracing::field::display), ?reason, "connection refused");
        self.outbox.notify(Event::Refused { peer: peer.map(|peer| peer.to_string()), reason });
    }

    fn changed(&mut self, peer: PeerId) {
        self.outbox.changed(peer);
        self.look();
        self.tell();
    }

    fn tell(&mut self) {
        self.outbox.tell(|peer| self.swarm.is_connected(peer));
    }

    /// Brings the shared view up to date.
    fn look(&mut self) {
        let connected = self.swarm.connected_peers().map(PeerId::to_string).collect();
        let mut subscribers: BTreeMap<_, _> =
            self.topics.iter().map(|topic| (topic.clone(), 0)).collect();
        for (_, topics) in self.swarm.behaviour().gossip.all_peers() {
            for topic in topics {
                if let Some(count) = subscribers.get_mut(topic.as_str()) {
                    *count += 1;
                }
            }
        }
        self.view.send_if_modified(|view| {
            let changed = view.connected != connected || view.subscribers != subscribers;
            view.connected = connected;
            view.subscribers = subscribers;
            changed
        });
    }

    fn start_dials(&mut self) {
        for peer in self.redial.due(Instant::now()) {
            let addresses = self.peers.get(&peer).cloned().unwrap_or_default();
            self.lookups.push(resolve(addresses).map(move |found| (peer, found)).boxed());
        }
    }

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        // A peer removed or connected while its names were looked up is not dialled any more.
        if !self.peers.contains_key(&peer) || self.swarm.is_connected(&peer) {
            return;
        }
        // From a fresh port: one that listens as well could not reach a restarted peer while the
        // system still remembers the connection before.
        let dial = DialOpts::peer_id(peer).addresses(addresses).allocate_new_port().build();
        if let Err(error) = self.swarm.dial(dial) {
            tracing::debug!(%peer, %error, "dial not begun");
            self.redial.failed(&peer, Instant::now(), chance());
        }
    }

    /// How long nothing is due.
    fn pause(&self) -> Duration {
        let redial = self.redial.next().map(|at| at.saturating_duration_since(Instant::now()));
        let pause = redial.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        if self.outbox.is_behind() { pause.min(RETELL_PAUSE) } else { pause }
    }

    /// Says goodbye, so that peers need not find out by a timeout.
    async fn close(&mut self) {
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // An error means that it is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closing = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(GOODBYE, closing).await.is_err() {
            tracing::debug!("connections were still open at the end");
        }
    }
}

/// A number between 0 and 1 that differs from node to node; only spreads dials over time.
fn chance() -> f64 {
    let drawn = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or_default();
    f64::from(drawn) / f64::from(u32::MAX)
}

const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How soon a caller that was behind is told again of peers that came or went.
const RETELL_PAUSE: Duration = Duration::from_millis(50);
const GOODBYE: Duration = Duration::from_secs(1);
