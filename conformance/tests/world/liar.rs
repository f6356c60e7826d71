//! A member that says what it likes: the connections of a node, and bytes made by hand.
//!
//! Knows the register and the member's node key, and nothing of what the bytes mean.

use std::fs;
use std::path::Path;

use sealwire_gossip::{Config, Event, Events, Handle, Peer, Published};
use sealwire_wire::id::Digest;
use sealwire_wire::register::Register;
use tokio::runtime::Runtime;

use super::{Node, PATIENCE, World, until};

/// In the place of a member's node, which does not run meanwhile.
pub struct Liar {
    runtime: Runtime,
    handle: Handle,
    events: Events,
    register: Register,
}

/// A seed as a key file holds it.
pub fn seed(file: &Path) -> [u8; 32] {
    let text = fs::read_to_string(file).expect("a key file");
    text.trim_end().parse::<Digest>().expect("64 hexadecimal digits").0
}

impl Liar {
    /// Connects with the member's own node key to every node that runs, on all topics.
    pub fn in_place_of(world: &World, member: &str) -> Self {
        let node = world.node(member);
        assert!(!node.runs(), "{member} speaks for itself");
        let register = fs::read(node.dir().join("register.json")).expect("a register");
        let register = Register::trust_first(&register, None).expect("a register");
        let federation = register.federation();
        let communities =
            register.communities().map(|c| format!("sealwire/1/{federation}/{}", c.id));
        let config = Config {
            seed: seed(&node.dir().join("keys/node.key")),
            listen: Vec::new(),
            peers: register
                .members()
                .map(|m| Peer { peer_id: m.peer_id.clone(), addresses: m.addresses.clone() })
                .collect(),
            topics: communities.chain([format!("sealwire/1/{federation}")]).collect(),
        };
        let (topics, running) = (config.topics.clone(), world.nodes.iter().filter(|n| n.runs()));
        let running = running.count();
        let runtime = Runtime::new().expect("a runtime");
        let (handle, events) = {
            let _inside = runtime.enter();
            sealwire_gossip::start(config).expect("an open gossip")
        };
        until("listeners to every topic", || {
            let view = handle.view().borrow().clone();
            let heard = |topic: &String| view.subscribers.get(topic) == Some(&running);
            if topics.iter().all(heard) { Ok(()) } else { Err(format!("{view:?}")) }
        });
        Self { runtime, handle, events, register }
    }

    /// The topic of a community.
    pub fn topic(&self, community: &str) -> String {
        format!("sealwire/1/{}/{community}", self.register.federation())
    }

    /// The next message of others that is as wanted.
    pub fn hear<T>(&mut self, wanted: impl Fn(&[u8]) -> Option<T>) -> T {
        let events = &mut self.events;
        let heard = async {
            loop {
                let event = events.recv().await.expect("an open gossip");
                if let Event::Message { bytes, .. } = event
                    && let Some(found) = wanted(&bytes)
                {
                    return found;
                }
            }
        };
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, heard).await })
            .expect("a message that was waited for")
    }

    /// Spreads bytes on a topic.
    pub fn publish(&self, topic: &str, bytes: &[u8]) {
        let published = self.runtime.block_on(self.handle.publish(topic, bytes.to_vec()));
        assert_eq!(published.expect("a message on its way"), Published::Sent);
    }

    /// Asks a member's node, and gives its answer.
    pub fn request(&self, node: &Node, bytes: &[u8]) -> Vec<u8> {
        let member = node.member().parse().expect("a member id");
        let peer = &self.register.member(&member).expect("a member").peer_id;
        let answer = self.runtime.block_on(self.handle.request(peer, bytes.to_vec()));
        answer.expect("an answer")
    }

    /// Closes all connections.
    pub fn leave(self) {
        self.runtime.block_on(self.handle.shutdown());
    }
}
