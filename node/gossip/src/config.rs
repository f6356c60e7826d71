//! Reading a configuration: peer ids, addresses and topics from text to checked values. It opens
//! nothing and asks no name server.

use std::collections::BTreeSet;

use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use zeroize::Zeroize;

use crate::error::GossipError;
use crate::{MAX_ADDRESSES_PER_PEER, MAX_PEERS, MAX_TOPIC_BYTES, MAX_TOPICS};

/// How gossip starts. The seed is wiped from this value when it is dropped.
pub struct Config {
    /// Seed of the Ed25519 node key.
    pub seed: [u8; 32],
    /// Addresses to listen on; none means that this node only dials.
    pub listen: Vec<String>,
    /// The only peers that may connect. This node's own id is passed over.
    pub peers: Vec<Peer>,
    /// Topics to hear and to publish on.
    pub topics: Vec<String>,
}

impl Drop for Config {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("peers", &self.peers)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

/// A peer that may connect, and where it can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id, the text form of its node key.
    pub peer_id: String,
    /// Its addresses; none means that it is waited for.
    pub addresses: Vec<String>,
}

/// The peer id of an Ed25519 public key.
pub fn peer_id_of(public: &[u8; 32]) -> Result<String, GossipError> {
    let key = ed25519::PublicKey::try_from_bytes(public)
        .map_err(|error| GossipError::PublicKey(error.into()))?;
    Ok(PublicKey::from(key).to_peer_id().to_string())
}

/// Tells whether an address can be listened on, without opening it.
pub fn check_listen_address(address: &str) -> Result<(), GossipError> {
    listen_address(address).map(|_| ())
}

/// Tells whether a peer's id and addresses can be used.
pub fn check_peer(peer: &Peer) -> Result<(), GossipError> {
    listed(peer).map(|_| ())
}

/// A checked peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: PeerId,
    /// Without a trailing `/p2p`.
    pub(crate) addresses: Vec<Multiaddr>,
}

/// The node key. Wipes the seed that it is given.
pub(crate) fn node_key(mut seed: [u8; 32]) -> Result<Keypair, GossipError> {
    let key = Keypair::ed25519_from_bytes(&mut seed);
    seed.zeroize();
    key.map_err(|error| GossipError::Stack(error.into()))
}

/// Checks a whole list; `own` is passed over.
pub(crate) fn peers(list: &[Peer], own: PeerId) -> Result<Vec<Listed>, GossipError> {
    if list.len() > MAX_PEERS {
        return Err(GossipError::TooManyPeers(list.len()));
    }
    let mut seen = BTreeSet::new();
    let mut checked = Vec::with_capacity(list.len());
    for peer in list {
        let peer = listed(peer)?;
        if !seen.insert(peer.id) {
            return Err(GossipError::RepeatedPeer(peer.id.to_string()));
        }
        if peer.id != own {
            checked.push(peer);
        }
    }
    Ok(checked)
}

/// Checks the names of topics.
pub(crate) fn topics(list: &[String]) -> Result<BTreeSet<String>, GossipError> {
    if list.len() > MAX_TOPICS {
        return Err(GossipError::TooManyTopics(list.len()));
    }
    if let Some(bad) = list.iter().find(|name| name.is_empty() || name.len() > MAX_TOPIC_BYTES) {
        return Err(GossipError::Topic(bad.clone()));
    }
    Ok(list.iter().cloned().collect())
}

pub(crate) fn listen_address(text: &str) -> Result<Multiaddr, GossipError> {
    let address = multiaddress(text)?;
    if !is_spoken(&address) || matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        return Err(GossipError::AddressKind(text.to_owned()));
    }
    match address.iter().next() {
        Some(Protocol::Ip4(_) | Protocol::Ip6(_)) => Ok(address),
        _ => Err(GossipError::ListenHost(text.to_owned())),
    }
}

pub(crate) fn peer_id(text: &str) -> Result<PeerId, GossipError> {
    text.parse()
        .map_err(|error| GossipError::PeerId { peer: text.to_owned(), cause: Box::new(error) })
}

fn listed(peer: &Peer) -> Result<Listed, GossipError> {
    let id = peer_id(&peer.peer_id)?;
    if peer.addresses.len() > MAX_ADDRESSES_PER_PEER {
        let count = peer.addresses.len();
        return Err(GossipError::TooManyAddresses { peer: peer.peer_id.clone(), count });
    }
    let addresses =
        peer.addresses.iter().map(|text| dial_address(text, id)).collect::<Result<_, _>>()?;
    Ok(Listed { id, addresses })
}

fn dial_address(text: &str, peer: PeerId) -> Result<Multiaddr, GossipError> {
    let mut address = multiaddress(text)?;
    if !is_spoken(&address) {
        return Err(GossipError::AddressKind(text.to_owned()));
    }
    if let Some(Protocol::P2p(named)) = address.iter().last() {
        if named != peer {
            let (address, peer) = (text.to_owned(), peer.to_string());
            return Err(GossipError::AddressPeer { address, peer });
        }
        address.pop();
    }
    Ok(address)
}

fn multiaddress(text: &str) -> Result<Multiaddr, GossipError> {
    text.parse()
        .map_err(|error| GossipError::Address { address: text.to_owned(), cause: Box::new(error) })
}

/// A host, then TCP, or UDP with QUIC version 1, then at most a peer id.
fn is_spoken(address: &Multiaddr) -> bool {
    let mut steps = address.iter();
    let host = matches!(
        steps.next(),
        Some(
            Protocol::Ip4(_)
                | Protocol::Ip6(_)
                | Protocol::Dns(_)
                | Protocol::Dns4(_)
                | Protocol::Dns6(_)
        )
    );
    let transport = match steps.next() {
        Some(Protocol::Tcp(_)) => true,
        Some(Protocol::Udp(_)) => matches!(steps.next(), Some(Protocol::QuicV1)),
        _ => false,
    };
    let end = match steps.next() {
        None => true,
        Some(Protocol::P2p(_)) => steps.next().is_none(),
        Some(_) => false,
    };
    host && transport && end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seed: u8) -> PeerId {
        node_key([seed; 32]).expect("any seed is a key").public().to_peer_id()
    }

    fn peer(seed: u8, addresses: &[&str]) -> Peer {
        let addresses = addresses.iter().map(|a| (*a).to_owned()).collect();
        Peer { peer_id: id(seed).to_string(), addresses }
    }

    #[test]
    fn reads_hosts_names_and_both_transports() {
        let good = [
            "/ip4/192.0.2.7/udp/4001/quic-v1",
            "/ip6/::1/tcp/4001",
            "/dns4/node.example.org/tcp/4001",
            "/dns/node.example.org/udp/4001/quic-v1",
        ];
        let read = listed(&peer(1, &good)).expect("all are good");
        assert_eq!(read.addresses.len(), good.len());
    }

    #[test]
    fn names_the_address_that_cannot_be_used() {
        for bad in ["/ip4/192.0.2.7/udp/4001", "/ip4/192.0.2.7", "/ip4/192.0.2.7/tcp/1/tcp/2"] {
            let error = listed(&peer(1, &[bad])).expect_err("not spoken");
            assert!(matches!(&error, GossipError::AddressKind(text) if text == bad), "{error}");
        }
        let error = listed(&peer(1, &["192.0.2.7:4001"])).expect_err("not a multiaddress");
        assert!(error.to_string().contains("192.0.2.7:4001"), "{error}");
    }

    #[test]
    fn strips_the_own_peer_id_and_refuses_another() {
        let own = format!("/ip4/192.0.2.7/tcp/4001/p2p/{}", id(1));
        let read = listed(&peer(1, &[&own])).expect("the right peer");
        assert_eq!(read.addresses, ["/ip4/192.0.2.7/tcp/4001".parse().expect("an address")]);
        let error = listed(&peer(2, &[&own])).expect_err("another peer");
        assert!(matches!(error, GossipError::AddressPeer { .. }), "{error}");
    }

    #[test]
    fn refuses_to_listen_on_a_name() {
        let error = check_listen_address("/dns4/localhost/tcp/1").expect_err("a name");
        assert!(matches!(error, GossipError::ListenHost(_)), "{error}");
    }

    #[test]
    fn passes_over_itself_and_refuses_a_peer_named_twice() {
        let checked = peers(&[peer(1, &[]), peer(2, &[])], id(1)).expect("good peers");
        assert_eq!(checked.iter().map(|p| p.id).collect::<Vec<_>>(), [id(2)]);
        let error = peers(&[peer(2, &[]), peer(2, &[])], id(1)).expect_err("twice");
        assert!(matches!(error, GossipError::RepeatedPeer(_)), "{error}");
        let error = check_peer(&Peer { peer_id: "nobody".into(), addresses: vec![] });
        assert!(matches!(error, Err(GossipError::PeerId { .. })));
    }

    #[test]
    fn a_peer_id_is_made_from_the_public_key_alone() {
        let pair = ed25519::Keypair::from(
            ed25519::SecretKey::try_from_bytes([7; 32]).expect("any seed is a key"),
        );
        assert_eq!(peer_id_of(&pair.public().to_bytes()).expect("a key"), id(7).to_string());
    }

    #[test]
    fn debug_text_holds_no_seed() {
        let config = Config { seed: [0xab; 32], listen: vec![], peers: vec![], topics: vec![] };
        let text = format!("{config:?}");
        assert!(!text.contains("171") && !text.contains("seed"), "{text}");
    }
}
