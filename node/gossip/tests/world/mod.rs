//! Nodes on loopback for the stories, and waiting for a condition within a time limit. Also a
//! stranger that speaks the sync protocol without its limits.

use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, OutboundFailure, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{PeerId, StreamProtocol, SwarmBuilder, noise, tcp, yamux};
use sealwire_gossip::{
    Config, Event, Events, GossipError, Handle, Peer, Reply, Ticket, View, start,
};

pub const TOPIC: &str = "laboratories";
pub const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy)]
pub enum Transport {
    Tcp,
    Quic,
}

pub const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Quic];

impl Transport {
    fn any_port(self) -> String {
        match self {
            Self::Tcp => "/ip4/127.0.0.1/tcp/0".to_owned(),
            Self::Quic => "/ip4/127.0.0.1/udp/0/quic-v1".to_owned(),
        }
    }
}

pub struct Node {
    pub handle: Handle,
    pub events: Events,
    pub address: String,
    seed: u8,
}

impl Node {
    /// Starts a node that knows nobody yet.
    pub async fn start(seed: u8, transport: Transport) -> Self {
        Self::start_at(seed, transport.any_port(), vec![]).await
    }

    async fn start_at(seed: u8, listen: String, peers: Vec<Peer>) -> Self {
        let opening = async {
            loop {
                let config = Config {
                    seed: [seed; 32],
                    listen: vec![listen.clone()],
                    peers: peers.clone(),
                    topics: vec![TOPIC.to_owned()],
                };
                match start(config) {
                    Ok(node) => return node,
                    // A port is held until the last goodbye of the node before has left.
                    Err(GossipError::Listen { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        let (handle, mut events) = opened.expect("the port in time");
        let address = until(&mut events, |event| match event {
            Event::Listening { address } => Some(address),
            _ => None,
        })
        .await;
        Self { handle, events, address, seed }
    }

    pub fn id(&self) -> String {
        self.handle.peer_id().to_owned()
    }

    pub fn peer(&self) -> Peer {
        Peer { peer_id: self.id(), addresses: vec![self.address.clone()] }
    }

    /// This node as one that is waited for and never dialled.
    pub fn peer_without_address(&self) -> Peer {
        Peer { peer_id: self.id(), addresses: vec![] }
    }

    pub async fn lists(&self, peers: &[&Node]) {
        let peers = peers.iter().map(|node| node.peer()).collect();
        self.handle.set_peers(peers).await.expect("good peers");
    }

    /// Ends this node and starts it again, later, with the same key and address.
    pub async fn restart(self, peers: Vec<Peer>) -> Self {
        self.handle.shutdown().await;
        Self::start_at(self.seed, self.address, peers).await
    }

    pub async fn sees(&self, what: impl FnMut(&View) -> bool) {
        let mut view = self.handle.view();
        let seen = tokio::time::timeout(PATIENCE, view.wait_for(what)).await;
        seen.expect("to be seen in time").expect("the node runs");
    }

    pub async fn has_subscribers(&self, count: usize) {
        self.sees(|view| view.subscribers.get(TOPIC) == Some(&count)).await;
    }

    pub async fn message(&mut self) -> (String, Vec<u8>, Ticket) {
        until(&mut self.events, |event| match event {
            Event::Message { topic, from, bytes, ticket } => {
                assert_eq!(topic, TOPIC);
                Some((from, bytes, ticket))
            }
            _ => None,
        })
        .await
    }

    pub async fn request(&mut self) -> (String, Vec<u8>, Reply) {
        until(&mut self.events, |event| match event {
            Event::Request { peer, bytes, reply } => Some((peer, bytes, reply)),
            _ => None,
        })
        .await
    }

    pub async fn told_connected(&mut self) -> String {
        until(&mut self.events, |event| match event {
            Event::Connected { peer } => Some(peer),
            _ => None,
        })
        .await
    }

    pub async fn told_disconnected(&mut self) -> String {
        until(&mut self.events, |event| match event {
            Event::Disconnected { peer } => Some(peer),
            _ => None,
        })
        .await
    }
}

/// Two nodes that list each other and hear each other's topic.
pub async fn pair(transport: Transport) -> (Node, Node) {
    let (a, b) = (Node::start(1, transport).await, Node::start(2, transport).await);
    a.lists(&[&b]).await;
    b.lists(&[&a]).await;
    a.has_subscribers(1).await;
    b.has_subscribers(1).await;
    (a, b)
}

/// Three nodes in a line: the outer two have no connection to each other.
pub async fn line(transport: Transport) -> (Node, Node, Node) {
    let (a, b) = (Node::start(1, transport).await, Node::start(2, transport).await);
    let c = Node::start(3, transport).await;
    a.lists(&[&b]).await;
    b.lists(&[&a, &c]).await;
    c.lists(&[&b]).await;
    a.has_subscribers(1).await;
    b.has_subscribers(2).await;
    c.has_subscribers(1).await;
    (a, b, c)
}

/// The first event that is wanted; the others are passed over.
pub async fn until<T>(events: &mut Events, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let search = async {
        loop {
            let event = events.recv().await.expect("the node runs");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("the event in time")
}

/// Sends raw bytes as a request, from a key that the node lists, and returns what came of it.
pub async fn send_raw(key: Keypair, to: &Peer, bytes: Vec<u8>) -> Result<Vec<u8>, OutboundFailure> {
    let protocol = StreamProtocol::new("/sealwire/sync/1");
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|_| {
            let config = request_response::Config::default();
            request_response::Behaviour::<Raw>::new([(protocol, ProtocolSupport::Full)], config)
        })
        .expect("a behaviour")
        .build();
    let peer: PeerId = to.peer_id.parse().expect("a peer id");
    let addresses = to.addresses.iter().map(|text| text.parse().expect("an address")).collect();
    swarm.behaviour_mut().send_request_with_addresses(&peer, bytes, addresses);
    let outcome = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::Behaviour(request_response::Event::OutboundFailure {
                    error, ..
                }) => return Err(error),
                SwarmEvent::Behaviour(request_response::Event::Message {
                    message: request_response::Message::Response { response, .. },
                    ..
                }) => return Ok(response),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, outcome).await.expect("an outcome in time")
}

/// The public and secret key of a [`send_raw`] sender, as a peer to list.
pub fn raw_sender(seed: u8) -> (Keypair, Peer) {
    let key = Keypair::ed25519_from_bytes([seed; 32]).expect("any seed is a key");
    let peer_id = key.public().to_peer_id().to_string();
    (key, Peer { peer_id, addresses: vec![] })
}

/// Writes a request as it is and reads an answer whole, without any form.
#[derive(Debug, Clone, Default)]
struct Raw;

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> std::io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        self.read_response(&StreamProtocol::new("/"), io).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> std::io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> std::io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await
    }

    async fn write_response<T>(
        &mut self,
        protocol: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> std::io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        self.write_request(protocol, io, bytes).await
    }
}
