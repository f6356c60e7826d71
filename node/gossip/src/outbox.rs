//! Telling the caller, without ever waiting for it. Messages and requests leave some room in the
//! queue to the rest; notices may be lost and are counted; that a peer came or went is never lost
//! but kept until there is room.

use std::collections::BTreeSet;
use std::sync::Arc;

use libp2p::PeerId;
use tokio::sync::mpsc;

use crate::tally::{Tally, bump};
use crate::{EVENT_RESERVE, Event};

/// The way to the caller.
pub(crate) struct Outbox {
    events: mpsc::Sender<Event>,
    tally: Arc<Tally>,
    /// Peers of which the caller has not been told that they came or went.
    untold: BTreeSet<PeerId>,
    /// Peers that the caller believes to be connected.
    told: BTreeSet<PeerId>,
    closed: bool,
}

impl Outbox {
    pub(crate) fn new(events: mpsc::Sender<Event>, tally: Arc<Tally>) -> Self {
        Self { events, tally, untold: BTreeSet::new(), told: BTreeSet::new(), closed: false }
    }

    /// Whether the caller was found to have gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether [`Outbox::tell`] has more to tell.
    pub(crate) fn is_behind(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Hands over a message or a request, if the caller keeps up.
    pub(crate) fn offer(&mut self, event: Event) -> bool {
        if self.events.capacity() <= EVENT_RESERVE {
            self.closed |= self.events.is_closed();
            return false;
        }
        self.try_send(event)
    }

    /// Hands over a notice that may be lost.
    pub(crate) fn notify(&mut self, event: Event) {
        if !self.try_send(event) {
            bump(&self.tally.dropped_notices);
        }
    }

    /// Notes that a peer came or went.
    pub(crate) fn changed(&mut self, peer: PeerId) {
        self.untold.insert(peer);
    }

    /// Tells of each peer that came or went, as far as there is room. A peer that went and came
    /// back since is told as both.
    pub(crate) fn tell(&mut self, is_connected: impl Fn(&PeerId) -> bool) {
        while let Some(peer) = self.untold.first().copied() {
            let Ok(place) = self.events.try_reserve() else { break };
            let up = is_connected(&peer);
            if self.told.remove(&peer) {
                place.send(Event::Disconnected { peer: peer.to_string() });
                if up {
                    continue;
                }
            } else if up {
                self.told.insert(peer);
                place.send(Event::Connected { peer: peer.to_string() });
            }
            self.untold.remove(&peer);
        }
        self.closed |= self.events.is_closed();
    }

    fn try_send(&mut self, event: Event) -> bool {
        let sent = self.events.try_send(event);
        self.closed |= matches!(sent, Err(mpsc::error::TrySendError::Closed(_)));
        sent.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(room: usize) -> (Outbox, mpsc::Receiver<Event>) {
        let (events, queue) = mpsc::channel(room);
        (Outbox::new(events, Arc::new(Tally::default())), queue)
    }

    fn next(queue: &mut mpsc::Receiver<Event>) -> &'static str {
        match queue.try_recv() {
            Ok(Event::Connected { .. }) => "connected",
            Ok(Event::Disconnected { .. }) => "disconnected",
            Ok(_) => "other",
            Err(_) => "nothing",
        }
    }

    #[test]
    fn a_change_that_finds_no_room_is_told_later() {
        let (mut outbox, mut queue) = outbox(1);
        let peers = [PeerId::random(), PeerId::random()];
        peers.iter().for_each(|peer| outbox.changed(*peer));
        outbox.tell(|_| true);
        assert_eq!([next(&mut queue), next(&mut queue)], ["connected", "nothing"]);
        assert!(outbox.is_behind());
        outbox.tell(|_| true);
        assert_eq!(next(&mut queue), "connected");
        assert!(!outbox.is_behind());
    }

    #[test]
    fn a_peer_that_went_and_came_back_is_told_as_both() {
        let (mut outbox, mut queue) = outbox(8);
        let peer = PeerId::random();
        for _ in 0..2 {
            outbox.changed(peer);
            outbox.tell(|_| true);
        }
        let told = [next(&mut queue), next(&mut queue), next(&mut queue), next(&mut queue)];
        assert_eq!(told, ["connected", "disconnected", "connected", "nothing"]);
    }

    #[test]
    fn messages_leave_room_for_changes() {
        let (mut outbox, _queue) = outbox(EVENT_RESERVE + 2);
        let offered = (0..5).filter(|_| outbox.offer(Event::Connected { peer: String::new() }));
        assert_eq!(offered.count(), 2);
    }

    #[test]
    fn finds_out_that_the_caller_has_gone() {
        let (mut outbox, queue) = outbox(8);
        drop(queue);
        outbox.tell(|_| true);
        assert!(outbox.is_closed());
    }
}
