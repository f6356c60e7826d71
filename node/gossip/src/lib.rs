//! Gossip: the only room that sees libp2p. It keeps a connection to every listed peer, spreads
//! small messages by topic, and carries requests and their answers, over QUIC and TCP.
//!
//! It knows nothing of records, entries, registers or keys other than its own node key. It moves
//! bytes and asks the caller for a [`Verdict`] on each message; only an accepted message travels
//! on. It promises no delivery: whatever is dropped here is found again through the logs.
//!
//! The event loop never waits for the caller. When the [`Events`] queue is full, a message is
//! dropped with [`Verdict::Ignore`] and a request goes unanswered; both are counted
//! ([`Handle::counters`]). A change of connection is never lost, only announced later.
//!
//! Messages carry no libp2p signature, author or sequence number. Each message proves itself by
//! what is inside it, so a second signature would cost time and add nothing; an author field
//! would tell every relay who asked for what to be spread; and a message must have one identity
//! whoever republishes it, so that copies from several members are known as copies. The identity
//! is SHA-256 over topic and content. Who handed it to us is known from the encrypted channel.

mod admission;
mod codec;
mod config;
mod error;
mod handle;
mod outbox;
mod redial;
mod resolve;
mod stack;
mod swarm;
mod tally;

pub use config::{Config, Peer, check_listen_address, check_peer, peer_id_of};
pub use error::{GossipError, PublishError, RequestError};
pub use handle::{Handle, View, start};
pub use tally::Counters;

use libp2p::PeerId;
use libp2p::gossipsub::MessageId;
use tokio::sync::{mpsc, oneshot};

/// What happens on the network, in order. Bounded by [`EVENT_QUEUE`].
pub type Events = mpsc::Receiver<Event>;

/// Something that happened on the network.
#[derive(Debug)]
pub enum Event {
    /// A socket is open and this is its full address.
    Listening {
        /// The address, as a multiaddress.
        address: String,
    },
    /// The first connection to a peer stands.
    Connected {
        /// The peer's id.
        peer: String,
    },
    /// The last connection to a peer is gone; it is being redialled if it is still listed.
    Disconnected {
        /// The peer's id.
        peer: String,
    },
    /// A message arrived and waits for a verdict.
    Message {
        /// The topic that it was published on.
        topic: String,
        /// The peer that handed it to us, not necessarily its author.
        from: String,
        /// The content; at most [`MAX_MESSAGE_BYTES`].
        bytes: Vec<u8>,
        /// To be given back to [`Handle::verdict`] within [`VERDICT_WINDOW`].
        ticket: Ticket,
    },
    /// A peer asks for something.
    Request {
        /// The asking peer's id.
        peer: String,
        /// The request; at most [`MAX_REQUEST_BYTES`].
        bytes: Vec<u8>,
        /// Where the answer goes.
        reply: Reply,
    },
    /// Somebody tried to connect and was turned away.
    Refused {
        /// Who, where the handshake got far enough to know.
        peer: Option<String>,
        /// Why.
        reason: Refused,
    },
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The peer proved an identity that is not in the list.
    NotListed,
    /// Too many handshakes were under way at once.
    TooManyHandshakes,
    /// The handshake did not end in a proven identity.
    Handshake,
}

/// What the caller thinks of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds: hand it on to other peers.
    Accept,
    /// Early, known already or not for us: do not hand it on; nobody is at fault.
    Ignore,
    /// Forged or malformed: do not hand it on; the peer that sent it is at fault.
    Reject,
}

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is on its way to at least one peer.
    Sent,
    /// The same content was published or received on this topic a short time ago.
    AlreadySpread,
}

/// The right to give one verdict on one message. Dropping it hands the message on to nobody.
#[derive(Debug)]
pub struct Ticket {
    pub(crate) id: MessageId,
    pub(crate) from: PeerId,
}

/// The right to answer one request. Dropping it answers nothing: the peer's request fails.
#[derive(Debug)]
pub struct Reply {
    pub(crate) answer: oneshot::Sender<Vec<u8>>,
}

impl Reply {
    /// Answers the request. Does nothing when the peer has gone or has stopped waiting; an answer
    /// above [`MAX_RESPONSE_BYTES`] is not sent and the peer's request fails.
    pub fn send(self, bytes: Vec<u8>) {
        // An error means that the asking peer no longer waits, which concerns nobody here.
        let _ = self.answer.send(bytes);
    }
}

/// Largest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Largest request, in bytes.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;
/// Largest answer to a request, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024;
/// Events that wait for the caller.
pub const EVENT_QUEUE: usize = 1024;
/// Places of [`EVENT_QUEUE`] that messages and requests leave to changes of connection.
pub const EVENT_RESERVE: usize = 128;
/// How long a message waits for its verdict before it can no longer be handed on.
pub const VERDICT_WINDOW: std::time::Duration = std::time::Duration::from_secs(6);
/// How long a request waits for its answer.
pub const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);
/// Requests of one peer that may wait for our answer at once.
pub const MAX_INBOUND_REQUESTS_PER_PEER: usize = 16;
/// Requests of all peers together that may wait for our answer at once.
pub const MAX_INBOUND_REQUESTS: usize = 256;
/// Our requests to one peer that may be under way at once. Lower than the peer's own limit, which
/// counts a request until its answer has left.
pub const MAX_OUTBOUND_REQUESTS_PER_PEER: usize = 8;
/// Listed peers.
pub const MAX_PEERS: usize = 1024;
/// Addresses of one peer.
pub const MAX_ADDRESSES_PER_PEER: usize = 8;
/// Topics.
pub const MAX_TOPICS: usize = 256;
/// Length of a topic's name, in bytes.
pub const MAX_TOPIC_BYTES: usize = 256;
