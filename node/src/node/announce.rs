//! Telling the others of our new entries: over gossip what all who read a topic may have, to named
//! members directly.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_wire::id::MemberId;
use sealwire_wire::message::{Announcement, Item, MAX_GOSSIP_BYTES, Request};
use sealwire_wire::register::{Community, Register};
use sealwire_wire::statement::{Addressees, Statement};

use crate::release;

use super::Counters;
use super::peers::Peers;

/// Room kept in a gossip message for its frame and checkpoint.
const GOSSIP_OVERHEAD: usize = 4 * 1024;

impl Peers {
    /// Announces our entries: to each topic what is addressed to all who read it, to named
    /// members directly, and to everybody else that the log has grown.
    pub(super) async fn announce(&self, from: u64, to: u64, note: String) {
        let register = self.context.register();
        let own = &self.context.own;
        let mut topics: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        let mut named: BTreeMap<MemberId, Vec<Item>> = BTreeMap::new();
        let mut all_told = true;
        for index in from..to {
            let Ok(Some(stored)) = self.context.reader.entry(own, index) else { continue };
            let Ok(statement) = Statement::parse(&stored.item.statement) else { continue };
            let Ok(proof) = self.context.reader.inclusion_proof(own, index, to) else { continue };
            let (item, manifest) = (Item { proof, ..stored.item }, statement.manifest());
            let (community, topic) = match manifest.addressees() {
                Addressees::Federation => (None, federation_topic(&register)),
                Addressees::Community(id) => (Some(id), community_topic(&register, id)),
                Addressees::Named(to) => {
                    all_told = false;
                    let served = |member: &&MemberId| {
                        release::serve(&register, own, manifest, own, member).is_ok()
                    };
                    for member in to.iter().filter(served) {
                        named.entry(member.clone()).or_default().push(item.clone());
                    }
                    continue;
                }
            };
            let readers = community.and_then(|id| register.community(id));
            let told = |c: &Community| c.members.iter().filter(|m| c.receives(m)).count();
            all_told &= readers.is_none_or(|c| told(c) == register.members().count());
            match release::spread(manifest, community) {
                Ok(()) => topics.entry(topic).or_default().push(item),
                Err(_) => all_told = false,
            }
        }
        let announcement =
            |items| Announcement { log: own.clone(), checkpoint: note.clone(), items };
        for (member, items) in named {
            if let Some(peer) = self.peer(&member) {
                let request = Request::Push(announcement(items)).to_bytes();
                let gossip = self.gossip.clone();
                tokio::spawn(async move {
                    if let Err(cause) = gossip.request(&peer, request).await {
                        tracing::debug!(%cause, "push not answered; the member will pull");
                    }
                });
            }
        }
        for (topic, items) in topics {
            for chunk in chunks(items) {
                self.publish(&topic, announcement(chunk)).await;
            }
        }
        if !all_told {
            self.publish(&federation_topic(&register), announcement(Vec::new())).await;
        }
    }

    async fn publish(&self, topic: &str, message: Announcement) {
        if let Err(cause) = self.gossip.publish(topic, message.to_bytes()).await {
            // The log is the truth: whoever missed the announcement pulls.
            Counters::add(&self.counters.not_announced, 1);
            tracing::debug!(topic, %cause, "announcement not sent");
        }
    }
}

/// The topic that every member reads.
pub fn federation_topic(register: &Register) -> String {
    format!("sealwire/1/{}", register.federation())
}

/// The topic that the members of a community read.
pub fn community_topic(register: &Register, id: &str) -> String {
    format!("sealwire/1/{}/{id}", register.federation())
}

/// The topics that `own` reads.
pub fn topics(register: &Register, own: &MemberId) -> BTreeSet<String> {
    let communities = register.communities();
    let mine =
        communities.filter(|c| c.receives(own) && release::member_of(register, own, &c.id).is_ok());
    mine.map(|c| community_topic(register, &c.id)).chain([federation_topic(register)]).collect()
}

/// Cuts entries into messages that fit; what is too large travels without its sealed parts, and
/// whoever is entitled fetches them.
fn chunks(items: Vec<Item>) -> Vec<Vec<Item>> {
    const ROOM: usize = MAX_GOSSIP_BYTES - GOSSIP_OVERHEAD;
    let mut chunks: Vec<Vec<Item>> = Vec::new();
    let mut used = ROOM;
    for mut item in items {
        let mut size = item.to_bytes().len();
        if size > ROOM {
            item.sealed.clear();
            size = item.to_bytes().len();
        }
        match chunks.last_mut() {
            Some(chunk) if used + size <= ROOM => {
                chunk.push(item);
                used += size;
            }
            _ => {
                chunks.push(vec![item]);
                used = size;
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(index: u64, sealed: usize) -> Item {
        let sealed = BTreeMap::from([("core".to_owned(), vec![0; sealed])]);
        Item { index, statement: vec![0; 1000], proof: vec![], sealed }
    }

    #[test]
    fn every_chunk_fits_a_gossip_message_and_nothing_is_left_out() {
        let items: Vec<Item> = (0..50).map(|i| item(i, 5000)).collect();
        let chunks = chunks(items);
        assert!(chunks.iter().flatten().map(|i| i.index).eq(0..50));
        for chunk in chunks {
            let log = "ID".parse().unwrap();
            let message = Announcement { log, checkpoint: String::new(), items: chunk };
            assert!(message.to_bytes().len() < MAX_GOSSIP_BYTES);
        }
    }

    #[test]
    fn an_entry_too_large_for_gossip_travels_without_its_parts() {
        let chunks = chunks(vec![item(0, MAX_GOSSIP_BYTES)]);
        assert!(chunks[0][0].sealed.is_empty());
    }
}
