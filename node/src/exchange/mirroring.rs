//! Mirrored logs: taking verified entries and ranges, closing gaps, cosigning.

use sealwire_wire::checkpoint;
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle;
use sealwire_wire::statement::leaf_data;

use crate::admit::Admitted;
use crate::store::{Decision, Erasure, Fact};

use super::order::{Cosigned, Order, Ranged, SignedHead, SignedRanges};
use super::{
    ASK_AFTER_MS, Exchange, MAX_GAPS, Mirror, PQ_ASKED_EVERY_MS, PQ_EVERY_MS, PQ_TAKEN_EVERY_MS,
    RETRY_AFTER_MS, learn_order,
};

impl Exchange {
    pub(super) fn announced(
        &mut self,
        log: MemberId,
        head: SignedHead,
        entries: Vec<Admitted>,
        now_ms: u64,
    ) -> Vec<Order> {
        let mirror = self.mirrors.entry(log.clone()).or_default();
        let (size, known) = (head.checkpoint.size, mirror.frontier.size());
        mirror.announced = mirror.announced.max(size);
        if mirror.stopped || size <= known {
            return Vec::new();
        }
        let new: Vec<Admitted> = entries
            .into_iter()
            .filter(|e| (known..size).contains(&e.entry.index) && e.entry.complete())
            .collect();
        let contiguous = new.len() as u64 == size - known
            && new.iter().zip(known..).all(|(e, index)| e.entry.index == index);
        if !contiguous {
            return self.pull(&log, now_ms).into_iter().collect();
        }
        let leaves = new.iter().map(|e| e.entry.statement.digest()).collect();
        self.extend(log, head, leaves, new, None, now_ms)
    }

    pub(super) fn ranged(&mut self, ranged: Ranged, now_ms: u64) -> Vec<Order> {
        let Ranged { log, peer, head, from, leaves, consistency, entries, denial } = ranged;
        let mirror = self.mirrors.entry(log.clone()).or_default();
        mirror.pulling = false;
        mirror.announced = mirror.announced.max(head.checkpoint.size);
        if mirror.stopped || from != mirror.frontier.size() || leaves.is_empty() {
            return Vec::new();
        }
        let mut reached = mirror.frontier.clone();
        for leaf in &leaves {
            reached.push(merkle::leaf_hash(&leaf_data(leaf)));
        }
        let consistent = merkle::verify_consistency(
            reached.size(),
            &reached.root(),
            head.checkpoint.size,
            &head.checkpoint.root,
            &consistency,
        );
        if let Err(cause) = consistent {
            // A relay may lie; only the owner's own answer stops its log, or a proof that the
            // owner signed what the relay shows.
            if peer != log {
                mirror.quiet_until_ms = now_ms + RETRY_AFTER_MS;
                return vec![Order::Prove { log, peer }];
            }
            return self.stop(log, format!("checkpoint of size {} does not contain the {} entries verified before: {cause}",
                head.checkpoint.size, from));
        }
        let owner_answered = peer == log;
        let mut orders = self.extend(log.clone(), head, leaves, entries, denial, now_ms);
        let mirror = self.mirrors.entry(log.clone()).or_default();
        if mirror.announced > mirror.frontier.size() {
            orders.extend(self.pull_from(&log, peer, now_ms));
        } else if owner_answered && !mirror.gaps.is_empty() {
            orders.extend(self.fetch_gaps(&log));
        }
        orders
    }

    /// Takes verified leaves and the entries among them.
    fn extend(
        &mut self,
        log: MemberId,
        head: SignedHead,
        leaves: Vec<Digest>,
        entries: Vec<Admitted>,
        denial: Option<SignedRanges>,
        now_ms: u64,
    ) -> Vec<Order> {
        let mirror = self.mirrors.entry(log.clone()).or_default();
        let from = mirror.frontier.size();
        let mut frontier = mirror.frontier.clone();
        for leaf in &leaves {
            frontier.push(merkle::leaf_hash(&leaf_data(leaf)));
        }
        let reached_head = frontier.size() == head.checkpoint.size;
        if reached_head && frontier.root() != head.checkpoint.root {
            return self.stop(
                log,
                format!(
                    "checkpoint of size {} contradicts the {from} entries verified before",
                    head.checkpoint.size
                ),
            );
        }
        let to = frontier.size();
        if mirror.gaps.len() + leaves.len() > MAX_GAPS {
            return Vec::new();
        }
        mirror.frontier = frontier;
        mirror.asked_ms = now_ms;
        mirror.gaps.extend(from..to);
        let mut facts = vec![Fact::Leaves { log: log.clone(), from, digests: leaves }];
        let (kept, reports) = keep(&log, mirror, entries, denial, now_ms);
        facts.extend(kept);
        if reached_head {
            facts.push(Fact::Checkpoint { log: log.clone(), note: head.note.clone() });
            mirror.head = Some(head);
        }
        self.finish(log, facts, reports, now_ms)
    }

    pub(super) fn fetched(
        &mut self,
        log: MemberId,
        entries: Vec<Admitted>,
        denial: Option<SignedRanges>,
        now_ms: u64,
    ) -> Vec<Order> {
        let mirror = self.mirrors.entry(log.clone()).or_default();
        mirror.pulling = false;
        let before = mirror.gaps.len();
        let (facts, reports) = keep(&log, mirror, entries, denial, now_ms);
        if mirror.gaps.len() == before {
            mirror.quiet_until_ms = now_ms + ASK_AFTER_MS;
        }
        if facts.is_empty() { Vec::new() } else { self.finish(log, facts, reports, now_ms) }
    }

    /// Adds our cosignature where it is due, and orders the commit.
    fn finish(
        &mut self,
        log: MemberId,
        mut facts: Vec<Fact>,
        reports: Vec<Order>,
        now_ms: u64,
    ) -> Vec<Order> {
        let cosigned = self.cosign(&log, now_ms);
        let mut sends = reports;
        if let Some((more, note)) = cosigned {
            facts.extend(more);
            sends.push(Order::Cosignature { log, note });
        }
        let mut orders = vec![Order::Commit(facts)];
        orders.append(&mut sends);
        orders
    }

    /// Cosigns the head of a log, if every index below it is held or answered for. The facts are
    /// committed with what made them true, before the cosignatures leave.
    fn cosign(&mut self, log: &MemberId, now_ms: u64) -> Option<(Vec<Fact>, String)> {
        let name = self.origin(&self.own);
        let mirror = self.mirrors.get_mut(log)?;
        let head = mirror.head.as_ref()?;
        let size = head.checkpoint.size;
        let whole = mirror.gaps.is_empty() && mirror.frontier.size() == size;
        if !whole || mirror.stopped || size == 0 {
            return None;
        }
        let (by, time) = (self.own.clone(), now_ms / 1000);
        let mut facts = Vec::new();
        if mirror.cosigned.as_ref().is_none_or(|(cosigned, _)| *cosigned < size) {
            // A token that does not answer is asked again at the next tick.
            let key = &self.keys.cosign;
            let signature = checkpoint::cosign_with(&head.checkpoint, &name, key, time).ok()?;
            let line = signature.ok()?.to_string();
            mirror.cosigned = Some((size, format!("{}{line}\n", head.note)));
            let (log, by) = (log.clone(), by.clone());
            facts.push(Fact::Cosignature { log, by, size, time, line });
        }
        let (cosigned, note) = mirror.cosigned.as_mut()?;
        let (last, at) = mirror.cosigned_pq;
        let every = if mirror.pq_asked { PQ_ASKED_EVERY_MS } else { PQ_EVERY_MS };
        let due = *cosigned == size && last < size && now_ms >= at.saturating_add(every);
        if let Some(key) = self.keys.cosign_pq.as_deref().filter(|_| due)
            && let Ok(line) = checkpoint::cosign_mldsa(&head.checkpoint, &name, key, time)
        {
            let line = line.to_string();
            note.push_str(&format!("{line}\n"));
            mirror.cosigned_pq = (size, now_ms);
            mirror.pq_asked = false;
            facts.push(Fact::PqCosignature { log: log.clone(), by, size, time, line });
        }
        (!facts.is_empty()).then(|| (facts, note.clone()))
    }

    /// Cosigns the head of a log if that is due.
    pub(super) fn cosign_now(&mut self, log: &MemberId, now_ms: u64) -> Vec<Order> {
        let Some((facts, note)) = self.cosign(log, now_ms) else { return Vec::new() };
        vec![Order::Commit(facts), Order::Cosignature { log: log.clone(), note }]
    }

    /// Keeps a cosignature of ours by another; of ML-DSA-44 not more than a bounded rate.
    pub(super) fn cosigned(&mut self, cosigned: Cosigned, now_ms: u64) -> Vec<Order> {
        let Cosigned { by, size, time, line, pq } = cosigned;
        let (last, at) = self.pq_taken.get(&by).copied().unwrap_or_default();
        let due = last < size && now_ms >= at.saturating_add(PQ_TAKEN_EVERY_MS);
        let log = self.own.clone();
        let mut facts =
            vec![Fact::Cosignature { log: log.clone(), by: by.clone(), size, time, line }];
        if let Some((time, line)) = pq.filter(|_| due) {
            self.pq_taken.insert(by.clone(), (size, now_ms));
            facts.push(Fact::PqCosignature { log, by, size, time, line });
        }
        vec![Order::Commit(facts)]
    }
}

/// Keeps entries and range answers that fill gaps.
fn keep(
    log: &MemberId,
    mirror: &mut Mirror,
    entries: Vec<Admitted>,
    denial: Option<SignedRanges>,
    now_ms: u64,
) -> (Vec<Fact>, Vec<Order>) {
    let mut facts = Vec::new();
    let mut reports = Vec::new();
    for Admitted { entry, quarantine, facts: learnt } in entries {
        if !entry.complete() || !mirror.gaps.remove(&entry.index) {
            continue;
        }
        let index = entry.index;
        if !entry.void {
            reports.extend(learn_order(log, index, entry.statement.manifest()));
        }
        facts.push(Fact::Entry { log: log.clone(), received_at: now_ms, item: entry.into_item() });
        facts.extend(learnt.into_iter().filter_map(|fact| match fact {
            // What is quarantined orders nothing.
            Fact::Erasure(_) if quarantine.is_some() => None,
            Fact::Erasure(erasure) => Some(Fact::Erasure(Erasure { at: now_ms, ..erasure })),
            fact => Some(fact),
        }));
        if let Some(refusal) = quarantine {
            facts.push(Fact::Decision(Decision::Quarantined {
                log: log.clone(),
                index,
                code: refusal.code.clone(),
                text: refusal.message.clone(),
            }));
            reports.push(Order::Report { log: log.clone(), index, refusal });
        }
    }
    if let Some(SignedRanges { bytes, ranges }) = denial {
        let before = mirror.gaps.len();
        mirror.gaps.retain(|i| !ranges.iter().any(|(from, to)| (*from..*to).contains(i)));
        if mirror.gaps.len() < before {
            facts.push(Fact::Denial { log: log.clone(), bytes, ranges });
        }
    }
    (facts, reports)
}
