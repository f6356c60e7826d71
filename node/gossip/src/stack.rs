//! The network stack and its settings: transports, gossip, requests, liveness. Nothing here runs;
//! the event loop in `swarm` drives it.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, AllowAllSubscriptionFilter, IdentityTransform, MaxCountSubscriptionFilter,
    MessageAuthenticity, MessageId, ValidationMode,
};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, TransportError, noise, ping, tcp, yamux};
use sha2::{Digest, Sha256};

use crate::admission::Admission;
use crate::codec::{SYNC_PROTOCOL, SyncCodec};
use crate::error::GossipError;
use crate::{
    MAX_INBOUND_REQUESTS_PER_PEER, MAX_MESSAGE_BYTES, MAX_OUTBOUND_REQUESTS_PER_PEER,
    MAX_TOPIC_BYTES, MAX_TOPICS, REQUEST_TIMEOUT, VERDICT_WINDOW,
};

/// The protocols of one node. Admission comes first, so that nothing else meets a stranger.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) admission: Admission,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) gossip: Gossip,
    pub(crate) sync: request_response::Behaviour<SyncCodec>,
    pub(crate) ping: ping::Behaviour,
}

/// Gossip whose peers may hear a bounded number of topics.
pub(crate) type Gossip =
    gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<AllowAllSubscriptionFilter>>;

/// Builds the stack for a node key, admitting nobody yet and listening nowhere.
pub(crate) fn build(key: &Keypair) -> Result<Swarm<Behaviour>, GossipError> {
    let behaviour = Behaviour {
        admission: Admission::new(BTreeSet::new()),
        limits: connection_limits::Behaviour::new(
            ConnectionLimits::default().with_max_pending_incoming(Some(MAX_HANDSHAKES)),
        ),
        gossip: gossip()?,
        sync: request_response::Behaviour::new(
            [(SYNC_PROTOCOL, ProtocolSupport::Full)],
            request_response::Config::default()
                .with_request_timeout(REQUEST_TIMEOUT)
                .with_max_concurrent_streams(MAX_STREAMS_PER_CONNECTION),
        ),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT),
        ),
    };
    let swarm = SwarmBuilder::with_existing_identity(key.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| GossipError::Stack(error.into()))?
        .with_quic()
        .with_behaviour(|_| behaviour)
        .map_err(|never| match never {})?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build();
    Ok(swarm)
}

/// Opens the listening sockets.
pub(crate) fn listen(
    swarm: &mut Swarm<Behaviour>,
    addresses: Vec<Multiaddr>,
) -> Result<(), GossipError> {
    for address in &addresses {
        free(address).map_err(|cause| {
            let address = address.to_string();
            GossipError::Listen { address, cause }
        })?;
    }
    addresses.into_iter().try_for_each(|address| open(swarm, address))
}

/// Finds out whether another process listens on a TCP port. The transport shares its ports, so
/// that without this a second process would silently take half of the connections.
fn free(address: &Multiaddr) -> std::io::Result<()> {
    let mut steps = address.iter();
    let host = match steps.next() {
        Some(Protocol::Ip4(host)) => IpAddr::from(host),
        Some(Protocol::Ip6(host)) => IpAddr::from(host),
        _ => return Ok(()),
    };
    match steps.next() {
        Some(Protocol::Tcp(port)) => TcpListener::bind((host, port)).map(drop),
        _ => Ok(()),
    }
}

fn open(swarm: &mut Swarm<Behaviour>, address: Multiaddr) -> Result<(), GossipError> {
    match swarm.listen_on(address.clone()) {
        Ok(_) => Ok(()),
        Err(TransportError::Other(cause)) => {
            Err(GossipError::Listen { address: address.to_string(), cause })
        }
        Err(TransportError::MultiaddrNotSupported(address)) => {
            Err(GossipError::AddressKind(address.to_string()))
        }
    }
}

fn gossip() -> Result<Gossip, GossipError> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_id(message.topic.as_str(), &message.data))
        .max_transmit_size(MAX_MESSAGE_BYTES + MAX_TOPIC_BYTES + FRAMING_BYTES)
        .flood_publish(true)
        .mesh_n_low(MESH_LOW)
        .mesh_n(MESH)
        .mesh_n_high(MESH_HIGH)
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_initial_delay(FIRST_HEARTBEAT)
        .history_length(HISTORY)
        .history_gossip(HISTORY_GOSSIPED)
        .duplicate_cache_time(REMEMBERED)
        .connection_handler_queue_len(MESSAGE_QUEUE_PER_PEER)
        .build()
        .map_err(|error| GossipError::Stack(Box::new(error)))?;
    let filter = MaxCountSubscriptionFilter {
        filter: AllowAllSubscriptionFilter {},
        max_subscribed_topics: MAX_TOPICS,
        max_subscriptions_per_request: 2 * MAX_TOPICS,
    };
    Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(|text| GossipError::Stack(text.into()))
}

/// The same for the same content on the same topic, whoever publishes it. The length keeps topic
/// and content apart.
fn message_id(topic: &str, content: &[u8]) -> MessageId {
    let hash = Sha256::new()
        .chain_update(u64::try_from(topic.len()).unwrap_or(u64::MAX).to_be_bytes())
        .chain_update(topic)
        .chain_update(content)
        .finalize();
    MessageId::new(&hash)
}

/// A mesh of this many peers; with fewer, all of them.
const MESH: usize = 6;
const MESH_LOW: usize = 4;
const MESH_HIGH: usize = 12;
const HEARTBEAT: Duration = Duration::from_secs(1);
const FIRST_HEARTBEAT: Duration = Duration::from_millis(100);
/// Heartbeats for which a message is kept for its verdict and for those who ask again.
const HISTORY: usize = VERDICT_WINDOW.as_secs() as usize;
const HISTORY_GOSSIPED: usize = 3;
/// How long a message is known as a copy of one seen before.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Messages that wait for one slow peer before its further ones are dropped; 32 MiB at the worst.
const MESSAGE_QUEUE_PER_PEER: usize = 512;
/// What the wire format adds to topic and content.
const FRAMING_BYTES: usize = 256;
/// Inbound connections of which the identity is not proved yet.
const MAX_HANDSHAKES: u32 = 64;
/// Requests of both directions on one connection.
const MAX_STREAMS_PER_CONNECTION: usize =
    MAX_INBOUND_REQUESTS_PER_PEER + MAX_OUTBOUND_REQUESTS_PER_PEER;
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A quiet connection is kept, so that the next message finds it open.
const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_topic_and_content_alone() {
        assert_eq!(message_id("a", b"bc"), message_id("a", b"bc"));
        assert_ne!(message_id("a", b"bc"), message_id("ab", b"c"));
    }

    #[test]
    fn the_settings_are_consistent() {
        assert!(gossip().is_ok());
        const { assert!(HISTORY >= HISTORY_GOSSIPED && MESH_LOW <= MESH && MESH <= MESH_HIGH) };
    }
}
