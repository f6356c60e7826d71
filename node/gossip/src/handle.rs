//! The caller's side: starting, and a cloneable handle whose calls are orders to the event loop.
//! No call waits for the network except [`Handle::request`], which waits for its own answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{self, Config, Listed, Peer};
use crate::error::{GossipError, PublishError, RequestError};
use crate::stack;
use crate::swarm::{Driver, Inlets, Outlets};
use crate::tally::{Counters, Tally, bump};
use crate::{
    EVENT_QUEUE, Events, MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES, Published, Ticket, Verdict,
};

/// Opens the sockets and starts the event loop on the current tokio runtime. The loop ends with
/// [`Handle::shutdown`], when the last handle is dropped, or when the events are.
pub fn start(mut config: Config) -> Result<(Handle, Events), GossipError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| GossipError::NoRuntime)?;
    let key = config::node_key(config.seed)?;
    let own = key.public().to_peer_id();
    let peers = config::peers(&std::mem::take(&mut config.peers), own)?;
    let topics = config::topics(&std::mem::take(&mut config.topics))?;
    let listen = std::mem::take(&mut config.listen);
    let listen =
        listen.iter().map(|text| config::listen_address(text)).collect::<Result<Vec<_>, _>>()?;
    drop(config);

    let mut swarm = stack::build(&key)?;
    stack::listen(&mut swarm, listen)?;
    let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
    let (verdicts, verdict_queue) = mpsc::channel(VERDICT_QUEUE);
    let (events, event_queue) = mpsc::channel(EVENT_QUEUE);
    let (view, seen) = watch::channel(View::default());
    let tally = Arc::new(Tally::default());
    let inlets = Inlets { commands: command_queue, verdicts: verdict_queue };
    let outlets = Outlets { events, view, tally: Arc::clone(&tally) };
    let mut driver = Driver::new(swarm, inlets, outlets);
    driver.set_peers(peers);
    driver.set_topics(topics);
    runtime.spawn(driver.run());
    let own: Arc<str> = own.to_string().into();
    Ok((Handle { own, commands, verdicts, view: seen, tally }, event_queue))
}

/// The means to act on the network. Clones share one event loop.
#[derive(Debug, Clone)]
pub struct Handle {
    own: Arc<str>,
    commands: mpsc::Sender<Command>,
    verdicts: mpsc::Sender<(Ticket, Verdict)>,
    view: watch::Receiver<View>,
    tally: Arc<Tally>,
}

/// What the network looks like from here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Addresses that are listened on.
    pub listening: BTreeSet<String>,
    /// Peers with at least one connection.
    pub connected: BTreeSet<String>,
    /// For each of our topics, how many connected peers hear it.
    pub subscribers: BTreeMap<String, usize>,
}

/// An order to the event loop.
pub(crate) enum Command {
    Publish {
        topic: String,
        bytes: Vec<u8>,
        answer: oneshot::Sender<Result<Published, PublishError>>,
    },
    Request {
        peer: libp2p::PeerId,
        bytes: Vec<u8>,
        answer: oneshot::Sender<Result<Vec<u8>, RequestError>>,
    },
    SetPeers {
        peers: Vec<Listed>,
        answer: oneshot::Sender<()>,
    },
    SetTopics {
        topics: BTreeSet<String>,
        answer: oneshot::Sender<()>,
    },
    Shutdown {
        answer: oneshot::Sender<()>,
    },
}

impl Handle {
    /// This node's own peer id.
    pub fn peer_id(&self) -> &str {
        &self.own
    }

    /// Hands a message to every connected peer that hears the topic. Returns when it is queued,
    /// not when it has arrived.
    pub async fn publish(&self, topic: &str, bytes: Vec<u8>) -> Result<Published, PublishError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(PublishError::TooLarge(bytes.len()));
        }
        let (answer, outcome) = oneshot::channel();
        let command = Command::Publish { topic: topic.to_owned(), bytes, answer };
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PublishError::Full,
            mpsc::error::TrySendError::Closed(_) => PublishError::Closed,
        })?;
        outcome.await.unwrap_or(Err(PublishError::Closed))
    }

    /// Gives the verdict on a message. Never waits; a verdict that comes too late, or that finds
    /// its queue full, is counted and means that the message is not handed on.
    pub fn verdict(&self, ticket: Ticket, verdict: Verdict) {
        if self.verdicts.try_send((ticket, verdict)).is_err() {
            bump(&self.tally.dropped_verdicts);
        }
    }

    /// Asks a connected peer and waits for its answer, at most [`crate::REQUEST_TIMEOUT`].
    pub async fn request(&self, peer: &str, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        if bytes.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge(bytes.len()));
        }
        let peer = config::peer_id(peer).map_err(|_| RequestError::PeerId(peer.to_owned()))?;
        let (answer, outcome) = oneshot::channel();
        self.commands.try_send(Command::Request { peer, bytes, answer }).map_err(|error| {
            match error {
                mpsc::error::TrySendError::Full(_) => RequestError::Full,
                mpsc::error::TrySendError::Closed(_) => RequestError::Closed,
            }
        })?;
        outcome.await.unwrap_or(Err(RequestError::Closed))
    }

    /// Replaces the list of peers: closes what is no longer listed, dials what is new.
    pub async fn set_peers(&self, peers: Vec<Peer>) -> Result<(), GossipError> {
        let own = config::peer_id(&self.own)?;
        let peers = config::peers(&peers, own)?;
        self.order(|answer| Command::SetPeers { peers, answer }).await
    }

    /// Replaces the topics.
    pub async fn set_topics(&self, topics: Vec<String>) -> Result<(), GossipError> {
        let topics = config::topics(&topics)?;
        self.order(|answer| Command::SetTopics { topics, answer }).await
    }

    /// The connected peers.
    pub fn connected(&self) -> Vec<String> {
        self.view.borrow().connected.iter().cloned().collect()
    }

    /// The latest view of the network, and a way to wait for its next change.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// What was dropped, refused or rejected since the start.
    pub fn counters(&self) -> Counters {
        self.tally.read()
    }

    /// Closes all connections and ends the event loop; returns when it has ended. Other clones
    /// then answer `Closed`. The system may hold a QUIC port for a moment longer, until the last
    /// goodbye has left.
    pub async fn shutdown(self) {
        // An error means that the loop has ended already.
        let _ = self.order(|answer| Command::Shutdown { answer }).await;
    }

    async fn order(
        &self,
        command: impl FnOnce(oneshot::Sender<()>) -> Command,
    ) -> Result<(), GossipError> {
        let (answer, done) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| GossipError::Closed)?;
        done.await.map_err(|_| GossipError::Closed)
    }
}

/// Orders that wait for the event loop.
const COMMAND_QUEUE: usize = 256;
/// Verdicts that wait for the event loop; more than messages can wait for one.
const VERDICT_QUEUE: usize = 2 * EVENT_QUEUE;
