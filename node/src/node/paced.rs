//! The fixed publishing tick: our log grows by the same number of entries each time, whatever there
//! is to publish.
//!
//! Entries wait for the tick, their callers with them; dummies fill it. A dummy is an entry like
//! any other and addressed to nobody, so that what others are served of it is what they are served
//! of an entry that is for somebody else. Records and dummies of one tick are in random order:
//! who can read one entry learns nothing from its place.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Traffic;
use crate::context::Context;
use crate::exchange::Unit;
use crate::refusal::Refusal;

use super::Inner;
use super::driver::{Logged, Message, unix_ms};

/// Most entries that wait, as a multiple of those of one tick.
pub const MAX_TICKS_WAITING: usize = 64;

/// Who waits to hear where a unit was logged.
pub type Reply = oneshot::Sender<Result<Logged, Refusal>>;

/// What waits for the tick.
pub struct Paced {
    entries: usize,
    waiting: VecDeque<(Unit, Reply)>,
    /// Entries in the waiting units.
    queued: usize,
}

impl Paced {
    /// Lets the log grow at each tick.
    pub fn new(traffic: &Traffic) -> Self {
        Self { entries: traffic.entries, waiting: VecDeque::new(), queued: 0 }
    }

    /// Lets a unit wait for a tick, or refuses it.
    pub fn hold(&mut self, unit: Unit, reply: Reply) {
        let more = unit.entries.len();
        let refusal = if more > self.entries {
            let text = format!("cannot log {more} entries together: a tick has {}", self.entries);
            Refusal::fault("tick-full", text, "let traffic.entries in the configuration be larger")
        } else if self.queued.saturating_add(more) > self.entries.saturating_mul(MAX_TICKS_WAITING)
        {
            let text = format!("cannot log: {} entries wait for a tick already", self.queued);
            Refusal::fault(
                "tick-full",
                text,
                "publish again later, or more slowly; if it stays so, let traffic.entries be larger",
            )
        } else {
            self.queued += more;
            self.waiting.push_back((unit, reply));
            return;
        };
        // A caller that went away needs no answer.
        let _ = reply.send(Err(refusal));
    }

    /// The units of one tick: those that waited longest, and dummies of which nobody waits to hear,
    /// in random order. `allowed` says why nothing may be signed now, if so; then, and when no
    /// dummy can be signed, all that wait are refused and the tick is left out.
    pub fn due(
        &mut self,
        context: &Arc<Context>,
        allowed: Result<(), Refusal>,
    ) -> Vec<(Unit, Option<Reply>)> {
        let mut units: Vec<(Unit, Option<Reply>)> = Vec::new();
        let mut room = self.entries;
        while let Some((unit, _)) = self.waiting.front()
            && unit.entries.len() <= room
            && let Some((unit, reply)) = self.waiting.pop_front()
        {
            room -= unit.entries.len();
            self.queued = self.queued.saturating_sub(unit.entries.len());
            units.push((unit, Some(reply)));
        }
        match allowed.and_then(|()| dummies(context, self.entries - room, room)) {
            Ok(dummies) => units.extend(dummies.into_iter().map(|unit| (unit, None))),
            Err(refusal) => {
                let waiting = self.waiting.drain(..).map(|(_, reply)| reply);
                let taken = units.into_iter().filter_map(|(_, reply)| reply);
                for reply in taken.chain(waiting) {
                    let _ = reply.send(Err(refusal.clone()));
                }
                self.queued = 0;
                return Vec::new();
            }
        }
        shuffle(&mut units);
        units
    }
}

/// Begins the ticks, if there is one.
pub(super) fn start(inner: &Arc<Inner>) -> Option<JoinHandle<()>> {
    let every = inner.traffic.as_ref()?.tick;
    Some(tokio::spawn(beat(Arc::clone(inner), every)))
}

/// Lets the own log grow at each tick, as far as anything may be signed.
async fn beat(inner: Arc<Inner>, every: Duration) {
    let mut tick = tokio::time::interval(every);
    // Never two at once: that would show how busy this node was.
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Not before the peers at the start were asked.
    let _ = inner.guard.ready().await;
    loop {
        tick.tick().await;
        if inner.inputs.send(Message::Beat(inner.guard.check())).await.is_err() {
            return;
        }
    }
}

/// Signs `count` dummies that come after `before` other entries.
fn dummies(context: &Arc<Context>, before: usize, count: usize) -> Result<Vec<Unit>, Refusal> {
    let now = context.now(unix_ms());
    let units = (0..count).map(|n| {
        let entries = vec![context.issuer.dummy(&now.after(before.saturating_add(n)))?];
        Ok(Unit { token: 0, entries, facts: Vec::new(), request: None })
    });
    units.collect()
}

/// Fisher and Yates, with the operating system's randomness. Without it the order stays.
fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let Ok(drawn) = getrandom::u64() else { return };
        // Of at most 256 items: the bias of the remainder is below 2^-55.
        let other = usize::try_from(drawn % (last as u64 + 1)).unwrap_or(last);
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::Issued;
    use crate::store::testing::{id, signed};
    use std::collections::BTreeMap;

    fn two() -> Traffic {
        Traffic { tick: Duration::from_secs(1), entries: 2 }
    }

    fn unit(entries: u64) -> Unit {
        let issued =
            |index| Issued { statement: signed(&id("ID"), index, false), sealed: BTreeMap::new() };
        let entries = (0..entries).map(issued).collect();
        Unit { token: 0, entries, facts: Vec::new(), request: None }
    }

    /// What a caller is told at once; nothing while it waits.
    fn told(paced: &mut Paced, entries: u64) -> Option<String> {
        let (reply, mut answer) = oneshot::channel();
        paced.hold(unit(entries), reply);
        answer.try_recv().ok().map(|outcome| outcome.unwrap_err().code)
    }

    #[test]
    fn no_more_entries_wait_than_a_bounded_number_of_ticks_can_take() {
        let mut paced = Paced::new(&two());
        for _ in 0..MAX_TICKS_WAITING {
            assert_eq!(told(&mut paced, 2), None);
        }
        assert_eq!(told(&mut paced, 1).as_deref(), Some("tick-full"));
    }

    #[test]
    fn what_no_tick_has_room_for_is_refused_at_once() {
        assert_eq!(told(&mut Paced::new(&two()), 3).as_deref(), Some("tick-full"));
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<u32> = (0..200).collect();
        shuffle(&mut items);
        assert!(!items.is_sorted(), "this happens once in 200! times");
        items.sort();
        assert!(items.into_iter().eq(0..200));
    }
}
