//! What can be wrong with a configuration, a publication or a request. Every text names the value
//! at fault and the remedy; none carries a payload or a key.

use libp2p::gossipsub;
use libp2p::request_response::OutboundFailure;

use crate::{
    MAX_ADDRESSES_PER_PEER, MAX_MESSAGE_BYTES, MAX_OUTBOUND_REQUESTS_PER_PEER, MAX_PEERS,
    MAX_REQUEST_BYTES, MAX_TOPIC_BYTES, MAX_TOPICS, Published, REQUEST_TIMEOUT,
};

/// The cause underneath, whatever its type.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A configuration that cannot be used, or a socket that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GossipError {
    /// The bytes are not an Ed25519 public key.
    #[error("cannot read node key: not an Ed25519 public key (hint: 32 bytes, as `init` wrote it)")]
    PublicKey(#[source] Cause),
    /// The text is not a peer id.
    #[error("cannot read peer id {peer:?}: {cause} (hint: copy it from the register)")]
    PeerId {
        /// The text as given.
        peer: String,
        /// What the reader said.
        #[source]
        cause: Cause,
    },
    /// A peer is named twice.
    #[error("cannot list peer {0}: it is named twice (hint: one entry, with all its addresses)")]
    RepeatedPeer(String),
    /// Too many peers.
    #[error("cannot list {0} peers: at most {MAX_PEERS} (hint: list only members of the register)")]
    TooManyPeers(usize),
    /// Too many addresses for a peer.
    #[error(
        "cannot list peer {peer}: {count} addresses, at most {MAX_ADDRESSES_PER_PEER} (hint: keep \
         one for QUIC and one for TCP)"
    )]
    TooManyAddresses {
        /// The peer.
        peer: String,
        /// How many were given.
        count: usize,
    },
    /// The text is not a multiaddress.
    #[error(
        "cannot read address {address:?}: {cause} (hint: such as /ip4/192.0.2.7/udp/4001/quic-v1 or \
         /dns4/node.example.org/tcp/4001)"
    )]
    Address {
        /// The text as given.
        address: String,
        /// What the reader said.
        #[source]
        cause: Cause,
    },
    /// The address is of a kind that is not spoken here.
    #[error(
        "cannot use address {0:?}: not a host followed by /tcp/PORT or /udp/PORT/quic-v1 (hint: such \
         as /ip4/192.0.2.7/udp/4001/quic-v1 or /dns4/node.example.org/tcp/4001)"
    )]
    AddressKind(String),
    /// A listening address names a host instead of an interface.
    #[error(
        "cannot listen on {0:?}: a listening address is /ip4 or /ip6 (hint: /ip4/0.0.0.0/udp/4001/\
         quic-v1 listens on every interface)"
    )]
    ListenHost(String),
    /// The address ends in another peer's id.
    #[error(
        "cannot use address {address:?}: it names another peer than {peer} (hint: remove /p2p)"
    )]
    AddressPeer {
        /// The address as given.
        address: String,
        /// The peer it was given for.
        peer: String,
    },
    /// The socket cannot be opened.
    #[error("cannot listen on {address}: {cause} (hint: is the port taken by another process?)")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// A topic has no usable name.
    #[error("cannot use topic {0:?}: its name is empty or longer than {MAX_TOPIC_BYTES} bytes")]
    Topic(String),
    /// Too many topics.
    #[error("cannot use {0} topics: at most {MAX_TOPICS}")]
    TooManyTopics(usize),
    /// Called outside an asynchronous runtime.
    #[error("cannot start gossip: no tokio runtime (hint: call it from within one)")]
    NoRuntime,
    /// The network stack refused its own settings or the system refused it a resource.
    #[error("cannot start gossip: {0}")]
    Stack(#[source] Cause),
    /// The event loop has ended.
    #[error("cannot change gossip: it has been shut down")]
    Closed,
}

/// Why a message was not published. The log is the truth: none of these loses a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Nobody is there to hear it; they will find it in the log.
    #[error("cannot publish on {0:?}: no connected peer has subscribed (hint: peers will pull it)")]
    NoPeers(String),
    /// Not one of this node's topics.
    #[error("cannot publish on {0:?}: this node has no such topic (hint: check the register)")]
    UnknownTopic(String),
    /// Above the limit.
    #[error(
        "cannot publish: {0} bytes, at most {MAX_MESSAGE_BYTES} (hint: send the parts by sync)"
    )]
    TooLarge(usize),
    /// Our queue, or that of every peer, is full.
    #[error("cannot publish: the queues are full (hint: publish more slowly; peers will pull it)")]
    Full,
    /// The event loop has ended.
    #[error("cannot publish: gossip has been shut down")]
    Closed,
}

impl PublishError {
    /// What a refusal of the stack means for a message of `size` bytes on `topic`.
    pub(crate) fn outcome(
        error: &gossipsub::PublishError,
        topic: String,
        size: usize,
    ) -> Result<Published, Self> {
        match error {
            gossipsub::PublishError::Duplicate => Ok(Published::AlreadySpread),
            gossipsub::PublishError::NoPeersSubscribedToTopic => Err(Self::NoPeers(topic)),
            gossipsub::PublishError::AllQueuesFull(_) => Err(Self::Full),
            // Nothing is signed or compressed, so only the size is left to be at fault.
            gossipsub::PublishError::MessageTooLarge
            | gossipsub::PublishError::SigningError(_)
            | gossipsub::PublishError::TransformFailed(_) => Err(Self::TooLarge(size)),
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The text is not a peer id.
    #[error("cannot ask peer {0:?}: not a peer id (hint: copy it from the register)")]
    PeerId(String),
    /// No connection stands; it is being redialled if the peer is listed.
    #[error("cannot ask peer {0}: not connected (hint: ask another peer, or wait for Connected)")]
    NotConnected(String),
    /// Above the limit.
    #[error("cannot ask: {0} bytes, at most {MAX_REQUEST_BYTES} (hint: ask for less at a time)")]
    TooLarge(usize),
    /// Too many requests under way.
    #[error(
        "cannot ask: {MAX_OUTBOUND_REQUESTS_PER_PEER} requests are under way to this peer, or the \
         queue is full (hint: wait for an answer)"
    )]
    Full,
    /// The peer closed the stream without an answer: it is overloaded, or refuses.
    #[error("cannot ask: the peer gave no answer (hint: ask another peer, or later)")]
    Unanswered,
    /// The peer's answer breaks the protocol or a limit.
    #[error("cannot read answer: {0} (hint: the peer may run another version)")]
    Malformed(String),
    /// The peer took too long.
    #[error("cannot ask: no answer within {limit} s", limit = REQUEST_TIMEOUT.as_secs())]
    Timeout,
    /// The connection broke.
    #[error("cannot ask: the connection broke (hint: ask again; it is being redialled)")]
    Disconnected,
    /// The peer does not speak the sync protocol.
    #[error("cannot ask: the peer does not speak the sync protocol (hint: it must be upgraded)")]
    Unsupported,
    /// The event loop has ended.
    #[error("cannot ask: gossip has been shut down")]
    Closed,
}

impl From<OutboundFailure> for RequestError {
    fn from(failure: OutboundFailure) -> Self {
        match failure {
            OutboundFailure::Timeout => Self::Timeout,
            OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => Self::Disconnected,
            OutboundFailure::UnsupportedProtocols => Self::Unsupported,
            OutboundFailure::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Self::Malformed(error.to_string())
            }
            OutboundFailure::Io(_) => Self::Unanswered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_what_why_and_what_to_do() {
        let unparsable = "x".parse::<std::net::IpAddr>().expect_err("not an address");
        let error = GossipError::Address { address: "x".into(), cause: unparsable.into() };
        assert_eq!(
            error.to_string(),
            "cannot read address \"x\": invalid IP address syntax (hint: such as \
             /ip4/192.0.2.7/udp/4001/quic-v1 or /dns4/node.example.org/tcp/4001)"
        );
        assert_eq!(
            PublishError::TooLarge(70_000).to_string(),
            "cannot publish: 70000 bytes, at most 65536 (hint: send the parts by sync)"
        );
        assert_eq!(RequestError::Timeout.to_string(), "cannot ask: no answer within 20 s");
    }
}
