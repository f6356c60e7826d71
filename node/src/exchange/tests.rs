//! The machine under every schedule that a network and a power supply can think of.
//!
//! Three members exchange through a queue that loses, repeats and reorders, and whose nodes
//! crash. What an order commits is kept as the store keeps it; after each crash the machine is
//! loaded from that alone.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use sealwire_wire::id::Digest;

use super::*;
use crate::admit::Admitted;
use crate::issue::Issued;
use crate::store::testing::{id, signed};

mod contradiction;
mod cosigning;
mod unsigned;

const FEDERATION: &str = "test.example";
const MEMBERS: [&str; 3] = ["AU", "ID", "SG"];

fn key(member: &MemberId, use_: u8) -> SigningKey {
    SigningKey::from_bytes(&[member.as_str().as_bytes()[0] ^ use_; 32])
}

/// What a member durably holds of one log.
#[derive(Clone, Default)]
struct Held {
    leaves: Vec<Digest>,
    entries: BTreeMap<u64, Authentic>,
    denied: BTreeSet<u64>,
    head: Option<SignedHead>,
    cosigned: Option<(u64, String)>,
}

impl Held {
    fn frontier(&self, size: usize) -> Frontier {
        let mut frontier = Frontier::new();
        let leaves = self.leaves.iter().take(size);
        leaves.for_each(|digest| frontier.push(merkle::leaf_hash(&leaf_data(digest))));
        frontier
    }

    fn gaps(&self) -> BTreeSet<u64> {
        let answered = |i: &u64| self.entries.contains_key(i) || self.denied.contains(i);
        (0..self.leaves.len() as u64).filter(|i| !answered(i)).collect()
    }

    /// The head that the owner signs over the first `size` leaves.
    fn signed_head(&self, owner: &MemberId, size: usize) -> SignedHead {
        let (origin, frontier) = (format!("{FEDERATION}/{owner}"), self.frontier(size));
        let checkpoint = Checkpoint { origin, size: frontier.size(), root: frontier.root() };
        let note = checkpoint::sign(&checkpoint, &key(owner, 1)).to_string();
        SignedHead { checkpoint, note }
    }
}

/// Entries whose index is odd are for SG alone.
fn addressed(index: u64, to: &MemberId) -> bool {
    index.is_multiple_of(2) || to.as_str() == "SG"
}

/// What is on its way.
#[derive(Clone)]
enum Message {
    Announced { log: MemberId, from: u64, to: u64 },
    Pull { log: MemberId, asker: MemberId, from: u64 },
    Fetch { log: MemberId, asker: MemberId, indexes: Vec<u64> },
    Range { log: MemberId, peer: MemberId, from: u64, to: u64 },
    Items { log: MemberId, peer: MemberId, indexes: Vec<u64> },
    Ended { log: MemberId, failed: bool },
    Cosigned { by: MemberId, size: u64 },
}

struct World {
    now_ms: u64,
    machines: BTreeMap<MemberId, Exchange>,
    stores: BTreeMap<MemberId, BTreeMap<MemberId, Held>>,
    queue: Vec<(MemberId, Message)>,
    cosigned: BTreeMap<(MemberId, MemberId), u64>,
}

impl World {
    fn new() -> Self {
        let members: Vec<MemberId> = MEMBERS.map(id).into();
        let held = || members.iter().map(|log| (log.clone(), Held::default())).collect();
        let mut world = Self {
            now_ms: 1_000_000,
            machines: BTreeMap::new(),
            stores: members.iter().map(|member| (member.clone(), held())).collect(),
            queue: Vec::new(),
            cosigned: BTreeMap::new(),
        };
        for member in &members {
            world.load(member);
        }
        world
    }

    /// Starts a member's machine from what is durable; it meets the others that run.
    fn load(&mut self, member: &MemberId) {
        let store = &self.stores[member];
        let others = store.iter().filter(|(log, _)| *log != member);
        let mirrors = others.map(|(log, held)| {
            let frontier = held.frontier(held.leaves.len());
            let (head, cosigned) = (held.head.clone(), held.cosigned.clone());
            (log.clone(), Mirror::held(frontier, head, held.gaps(), cosigned, None))
        });
        let keys = HeadKeys {
            log: key(member, 1).into(),
            cosign: key(member, 2).into(),
            cosign_pq: None,
            may_sign: Box::new(|_, _| true),
        };
        let own = store[member].frontier(store[member].leaves.len());
        let mirrors = mirrors.collect();
        let machine = Exchange::new(
            FEDERATION.to_owned(),
            member.clone(),
            keys,
            own,
            mirrors,
            BTreeSet::new(),
        );
        self.machines.insert(member.clone(), machine);
        let others: Vec<MemberId> = MEMBERS.map(id).into_iter().filter(|m| m != member).collect();
        for other in others {
            self.give(member, Input::Connected(other.clone()));
            if self.machines.contains_key(&other) {
                self.give(&other, Input::Connected(member.clone()));
            }
        }
    }

    fn give(&mut self, member: &MemberId, input: Input) {
        let machine = self.machines.get_mut(member).unwrap();
        let orders = machine.handle(input, self.now_ms);
        for order in orders {
            self.perform(member, order);
        }
    }

    fn perform(&mut self, member: &MemberId, order: Order) {
        let me = member.clone();
        match order {
            Order::Commit(facts) => facts.into_iter().for_each(|fact| self.keep(member, fact)),
            Order::Announce { from, to, .. } => {
                for other in MEMBERS.map(id).into_iter().filter(|m| m != member) {
                    self.queue.push((other, Message::Announced { log: me.clone(), from, to }));
                }
            }
            Order::Pull { log, peer, from } => {
                self.queue.push((peer, Message::Pull { log, asker: me, from }));
            }
            Order::Fetch { log, peer, indexes } => {
                self.queue.push((peer, Message::Fetch { log, asker: me, indexes }));
            }
            Order::Cosignature { log, .. } => {
                let size = self.stores[member][&log].cosigned.as_ref().unwrap().0;
                self.queue.push((log, Message::Cosigned { by: me, size }));
            }
            Order::Accuse { log, .. } | Order::Prove { log, .. } => {
                panic!("{member} accuses the honest {log}")
            }
            Order::Alarm { log, text, .. } => panic!("{member} accuses the honest {log}: {text}"),
            Order::Report { .. }
            | Order::Logged { .. }
            | Order::Misplaced { .. }
            | Order::Unsigned { .. }
            | Order::Learn { .. } => {}
        }
    }

    /// Keeps a fact as the store does, and checks what must hold of it.
    fn keep(&mut self, member: &MemberId, fact: Fact) {
        let store = self.stores.get_mut(member).unwrap();
        match fact {
            Fact::Entry { log, item, .. } => {
                let statement = signed(&log, item.index, false);
                assert_eq!(statement.bytes(), item.statement, "the entry of that index");
                let held = store.get_mut(&log).unwrap();
                if log == *member {
                    assert_eq!(held.leaves.len() as u64, item.index, "our log has no gap");
                    held.leaves.push(statement.digest());
                }
                let entry = Authentic {
                    index: item.index,
                    statement,
                    sealed: item.sealed,
                    void: false,
                    erased: false,
                };
                held.entries.insert(item.index, entry);
            }
            Fact::Leaves { log, from, digests } => {
                let held = store.get_mut(&log).unwrap();
                assert_eq!(held.leaves.len() as u64, from, "leaves follow each other");
                held.leaves.extend(digests);
            }
            Fact::Denial { log, ranges, .. } => {
                let held = store.get_mut(&log).unwrap();
                held.denied.extend(ranges.into_iter().flat_map(|(from, to)| from..to));
            }
            Fact::Checkpoint { log, .. } => {
                let held = store.get_mut(&log).unwrap();
                held.head = Some(held.signed_head(&log, held.leaves.len()));
            }
            Fact::Cosignature { log, by, size, line, .. } if by == *member => {
                let held = store.get_mut(&log).unwrap();
                assert_eq!(held.leaves.len() as u64, size, "cosigned is what is held");
                assert_eq!(held.gaps(), BTreeSet::new(), "nothing is cosigned with gaps");
                held.cosigned = Some((size, line));
            }
            Fact::Cosignature { by, size, .. } => {
                let known = self.cosigned.entry((member.clone(), by)).or_default();
                *known = size.max(*known);
            }
            _ => panic!("no such fact is expected"),
        }
    }

    fn publish(&mut self, member: &MemberId) {
        let index = self.machines[member].own_size();
        let sealed = BTreeMap::from([("core".to_owned(), vec![1])]);
        let entries = vec![Issued { statement: signed(member, index, false), sealed }];
        let unit = Unit { token: 0, entries, facts: Vec::new(), request: None };
        self.give(member, Input::Own(vec![unit]));
    }

    /// Delivers a message; what asks is answered from what the receiver durably holds.
    fn deliver(&mut self, to: &MemberId, message: Message) {
        let me = to.clone();
        match message {
            Message::Announced { log, from, to: size } => {
                let head = self.stores[&log][&log].signed_head(&log, size as usize);
                let entries = self.taken(&log, &log, to, from..size);
                self.give(to, Input::Announced { log, head, entries });
            }
            Message::Pull { log, asker, from } => {
                let size = self.stores[to][&log].leaves.len() as u64;
                let shown = self.stores[to][&log].head.as_ref().map_or(0, |h| h.checkpoint.size);
                let answer = if shown > from && size == shown {
                    Message::Range { log, peer: me, from, to: size }
                } else {
                    Message::Ended { log, failed: false }
                };
                self.queue.push((asker, answer));
            }
            Message::Fetch { log, asker, indexes } => {
                self.queue.push((asker, Message::Items { log, peer: me, indexes }));
            }
            Message::Range { log, peer, from, to: size } => {
                let held = &self.stores[&peer][&log];
                let head = held.signed_head(&log, size as usize);
                let leaves = held.leaves[from as usize..size as usize].to_vec();
                let entries = self.taken(&peer, &log, to, from..size);
                let denial = denial(&peer, &log, to, from..size);
                let consistency = Vec::new();
                self.give(
                    to,
                    Input::Ranged(Ranged {
                        log,
                        peer,
                        head,
                        from,
                        leaves,
                        consistency,
                        entries,
                        denial,
                    }),
                );
            }
            Message::Items { log, peer, indexes } => {
                let entries = self.taken(&peer, &log, to, indexes.iter().copied());
                let denial = denial(&peer, &log, to, indexes.into_iter());
                self.give(to, Input::Fetched { log, entries, denial });
            }
            Message::Ended { log, failed } => self.give(to, Input::PullEnded { log, failed }),
            Message::Cosigned { by, size } => {
                let line = "line".to_owned();
                self.give(to, Input::Cosigned(Cosigned { by, size, time: 1, line, pq: None }));
            }
        }
    }

    /// The entries that `peer` holds and that `asker` may have.
    fn taken(
        &self,
        peer: &MemberId,
        log: &MemberId,
        asker: &MemberId,
        indexes: impl Iterator<Item = u64>,
    ) -> Vec<Admitted> {
        let entries = &self.stores[peer][log].entries;
        let mine = indexes.filter(|index| addressed(*index, asker));
        let entries = mine.filter_map(|index| entries.get(&index).cloned());
        entries.map(|entry| Admitted { entry, quarantine: None, facts: Vec::new() }).collect()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Publish(member) => self.publish(&id(member)),
            Step::Crash(member) => self.load(&id(member)),
            Step::Deliver(which) | Step::Repeat(which) if !self.queue.is_empty() => {
                let at = which % self.queue.len();
                let repeat = matches!(step, Step::Repeat(_));
                let (to, message) =
                    if repeat { self.queue[at].clone() } else { self.queue.remove(at) };
                self.deliver(&to, message);
            }
            Step::Lose(which) if !self.queue.is_empty() => {
                let at = which % self.queue.len();
                self.lose(at);
            }
            Step::Tick(ms) => {
                self.now_ms += u64::from(*ms);
                for member in MEMBERS.map(id) {
                    self.give(&member, Input::Tick);
                }
            }
            _ => {}
        }
    }

    /// A message is lost; who waits for an answer learns that none comes.
    fn lose(&mut self, at: usize) {
        let (to, message) = self.queue.remove(at);
        let waits = match message {
            Message::Pull { log, asker, .. } | Message::Fetch { log, asker, .. } => {
                Some((asker, log))
            }
            Message::Range { log, .. }
            | Message::Items { log, .. }
            | Message::Ended { log, .. } => Some((to, log)),
            _ => None,
        };
        if let Some((member, log)) = waits {
            self.give(&member, Input::PullEnded { log, failed: true });
        }
    }

    /// Lets all meet again, everything arrive and time pass until nothing changes any more.
    fn heal(&mut self) {
        for (member, other) in MEMBERS.iter().flat_map(|a| MEMBERS.iter().map(move |b| (a, b))) {
            if member != other {
                self.give(&id(member), Input::Disconnected(id(other)));
                self.give(&id(member), Input::Connected(id(other)));
            }
        }
        for _ in 0..40 {
            while !self.queue.is_empty() {
                let (to, message) = self.queue.remove(0);
                self.deliver(&to, message);
            }
            self.step(&Step::Tick(u32::try_from(ASK_AFTER_MS).unwrap() + 1));
        }
    }
}

/// The owner's signed answer for what is not addressed to the asker; nobody else can give one.
fn denial(
    peer: &MemberId,
    log: &MemberId,
    asker: &MemberId,
    indexes: impl Iterator<Item = u64>,
) -> Option<SignedRanges> {
    let others = indexes.filter(|index| !addressed(*index, asker));
    let ranges: Vec<(u64, u64)> = others.map(|index| (index, index + 1)).collect();
    (peer == log && !ranges.is_empty()).then(|| SignedRanges { bytes: vec![0], ranges })
}

#[derive(Debug, Clone)]
enum Step {
    Publish(&'static str),
    Crash(&'static str),
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    Tick(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let member = || prop::sample::select(&MEMBERS[..]);
    let step = prop_oneof![
        3 => member().prop_map(Step::Publish),
        1 => member().prop_map(Step::Crash),
        8 => any::<usize>().prop_map(Step::Deliver),
        2 => any::<usize>().prop_map(Step::Repeat),
        2 => any::<usize>().prop_map(Step::Lose),
        2 => (0..15_000u32).prop_map(Step::Tick),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_lost_repeated_or_crashes_all_logs_arrive_and_are_cosigned(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.heal();
        for member in MEMBERS.map(id) {
            for log in MEMBERS.map(id).into_iter().filter(|log| *log != member) {
                let (theirs, ours) = (&world.stores[&log][&log], &world.stores[&member][&log]);
                prop_assert_eq!(&ours.leaves, &theirs.leaves, "{} of {}", member, log);
                prop_assert_eq!(ours.gaps(), BTreeSet::new(), "{} of {}", member, log);
                for index in ours.entries.keys() {
                    prop_assert!(addressed(*index, &member), "{} holds {}", member, index);
                }
                let size = theirs.leaves.len() as u64;
                let cosigned = world.cosigned.get(&(log.clone(), member.clone()));
                prop_assert_eq!(cosigned.copied().unwrap_or(0), size, "{} by {}", log, member);
            }
        }
    }
}

/// A member that mirrors one log of `size` entries, of which it holds all.
fn mirroring(size: u64) -> (World, MemberId, MemberId) {
    let mut world = World::new();
    let (owner, mirror) = (id("ID"), id("SG"));
    for _ in 0..size {
        world.publish(&owner);
    }
    world.heal();
    (world, owner, mirror)
}

/// A history of the owner's log that differs from the first entry on.
fn other_history(owner: &MemberId, size: u64) -> Held {
    let mut held = Held::default();
    for index in 0..size {
        let statement = signed(owner, index + 1_000, false);
        held.leaves.push(statement.digest());
    }
    held
}

fn range(peer: &MemberId, log: &MemberId, from: u64, other: &Held) -> Input {
    Input::Ranged(Ranged {
        log: log.clone(),
        peer: peer.clone(),
        head: other.signed_head(log, other.leaves.len()),
        from,
        leaves: other.leaves[from as usize..].to_vec(),
        consistency: Vec::new(),
        entries: Vec::new(),
        denial: None,
    })
}
