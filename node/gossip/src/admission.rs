//! Who may be connected, and how often. A peer that is not in the list is turned away as soon as
//! the handshake has proved its identity, before any protocol is spoken, in both directions.
//!
//! A node dials only a peer with which it has no connection. So when a peer dials us although we
//! hold a connection to it, ours is dead: the peer was killed and has restarted, and the network
//! has not told us yet. Both are closed and the peer dials again a moment later: a connection
//! beside a dead one would inherit what was agreed with the peer's former life, such as its
//! topics, and never be told ours. Connections of the last few seconds are left alone, since both
//! sides may have dialled together; should one of them turn out to have been dead, by breaking
//! while a newer one stands, the peer is closed as a whole for the same reason.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, ListenError, NetworkBehaviour,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::Refused;

/// The cause of a connection denied by [`Admission`].
#[derive(Debug, thiserror::Error)]
#[error("cannot connect: peer {0} is not listed (hint: it must be in the register)")]
struct NotListed(PeerId);

/// The cause of a connection turned away so that the peer starts afresh.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect: peer {0} has a dead connection that is being closed (hint: dial again)")]
struct StartAfresh(PeerId);

/// Why the caller is told that a connection was turned away; nothing where the peer only starts
/// afresh.
pub(crate) fn reason_of(error: &ListenError) -> Option<Refused> {
    match error {
        ListenError::Denied { cause } if cause.downcast_ref::<StartAfresh>().is_some() => None,
        ListenError::Denied { cause } if cause.downcast_ref::<NotListed>().is_some() => {
            Some(Refused::NotListed)
        }
        ListenError::Denied { .. } => Some(Refused::TooManyHandshakes),
        _ => Some(Refused::Handshake),
    }
}

/// The behaviour that admits and closes connections. It speaks no protocol of its own.
#[derive(Debug)]
pub(crate) struct Admission {
    listed: BTreeSet<PeerId>,
    open: HashMap<PeerId, Vec<Open>>,
    /// Bounded by the number of connections that stand.
    closing: VecDeque<(PeerId, CloseConnection)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    id: ConnectionId,
    since: Instant,
    /// Since when it is being closed as dead.
    closing: Option<Instant>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Broken,
}

impl Admission {
    pub(crate) fn new(listed: BTreeSet<PeerId>) -> Self {
        Self { listed, open: HashMap::new(), closing: VecDeque::new() }
    }

    /// Replaces the list and closes every connection to a peer that is no longer in it. Takes
    /// effect when the swarm is next polled.
    pub(crate) fn set_listed(&mut self, listed: BTreeSet<PeerId>) {
        self.listed = listed;
        for peer in self.open.keys().filter(|peer| !self.listed.contains(peer)) {
            self.closing.push_back((*peer, CloseConnection::All));
        }
    }

    fn admit(&self, peer: PeerId) -> Result<(), ConnectionDenied> {
        match self.listed.contains(&peer) {
            true => Ok(()),
            false => Err(ConnectionDenied::new(NotListed(peer))),
        }
    }

    fn admit_dialler(&mut self, peer: PeerId, now: Instant) -> Result<(), ConnectionDenied> {
        self.admit(peer)?;
        let open = self.open.get_mut(&peer).map(Vec::as_mut_slice).unwrap_or_default();
        let mut dead = open.iter_mut().filter(|one| age(one.since, now) >= DIALLED_TOGETHER);
        let Some(first) = dead.next() else { return Ok(()) };
        let since = *first.closing.get_or_insert_with(|| {
            tracing::debug!(%peer, "closing a dead connection of a peer that dials again");
            self.closing.push_back((peer, CloseConnection::All));
            now
        });
        match age(since, now) < CLOSING {
            true => Err(ConnectionDenied::new(StartAfresh(peer))),
            // It cannot be closed, for what reason ever: better two than none.
            false => Ok(()),
        }
    }

    fn opened(&mut self, peer: PeerId, id: ConnectionId, now: Instant) {
        let open = self.open.entry(peer).or_default();
        open.push(Open { id, since: now, closing: None });
        let surplus = open.len().saturating_sub(MAX_CONNECTIONS_PER_PEER);
        for oldest in open.iter().take(surplus) {
            self.closing.push_back((peer, CloseConnection::One(oldest.id)));
        }
    }

    fn closed(&mut self, peer: PeerId, id: ConnectionId, end: End) {
        let Some(open) = self.open.get_mut(&peer) else { return };
        // In order of age, so that what follows is newer.
        let place = open.iter().position(|one| one.id == id).unwrap_or(open.len());
        let gone = open.extract_if(place..open.len().min(place + 1), |_| true).next();
        let newer = open.len() > place;
        // However young it was: what was agreed over it is not said again over the newer one.
        if gone.is_some() && end == End::Broken && newer {
            tracing::debug!(%peer, "closing a peer of which an older connection was dead");
            self.closing.push_back((peer, CloseConnection::All));
        }
        if open.is_empty() {
            self.open.remove(&peer);
        }
    }
}

fn age(since: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(since)
}

impl NetworkBehaviour for Admission {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit_dialler(peer, Instant::now()).map(|()| dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        // A dial that names nobody is decided once the handshake has.
        peer.map_or(Ok(()), |peer| self.admit(peer)).map(|()| Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer).map(|()| dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                self.opened(event.peer_id, event.connection_id, Instant::now());
            }
            FromSwarm::ConnectionClosed(event) => {
                let end = if event.cause.is_some() { End::Broken } else { End::Closed };
                self.closed(event.peer_id, event.connection_id, end);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        // Only calls from the swarm's own task fill the queue, so no waker is kept.
        match self.closing.pop_front() {
            Some((peer_id, connection)) => {
                Poll::Ready(ToSwarm::CloseConnection { peer_id, connection })
            }
            None => Poll::Pending,
        }
    }
}

/// Two after dialling each other at once, and one more during a handover.
const MAX_CONNECTIONS_PER_PEER: usize = 3;
/// How far apart two sides may complete dials that began before either had completed.
const DIALLED_TOGETHER: Duration = Duration::from_secs(3);
/// How long a dead connection may take to close before its peer is admitted all the same.
const CLOSING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [usize; 4] = [0, 1, 2, 3];

    /// An admission with one connection of each age, in seconds, and the time now.
    fn admission(peer: PeerId, ages_s: &[u64]) -> (Admission, Instant) {
        let start = Instant::now();
        let oldest = ages_s.iter().copied().max().unwrap_or_default();
        let mut admission = Admission::new([peer].into());
        for (place, age) in PLACES.into_iter().zip(ages_s) {
            let since = start + Duration::from_secs(oldest - age);
            admission.opened(peer, ConnectionId::new_unchecked(place), since);
        }
        (admission, start + Duration::from_secs(oldest))
    }

    fn closing(admission: &mut Admission) -> Vec<String> {
        admission.closing.drain(..).map(|(_, what)| format!("{what:?}")).collect()
    }

    #[test]
    fn a_peer_that_dials_again_after_a_crash_starts_afresh() {
        let peer = PeerId::random();
        let (mut admission, now) = admission(peer, &[60, 60]);
        let denied = admission.admit_dialler(peer, now).expect_err("a dead connection");
        assert!(denied.downcast_ref::<StartAfresh>().is_some());
        assert_eq!(closing(&mut admission), ["All"]);
        for place in [0, 1] {
            let id = ConnectionId::new_unchecked(place);
            admission.closed(peer, id, End::Closed);
        }
        assert!(admission.admit_dialler(peer, now).is_ok());
        assert!(admission.open.is_empty());
    }

    #[test]
    fn a_dead_connection_that_cannot_be_closed_locks_nobody_out() {
        let peer = PeerId::random();
        let (mut admission, now) = admission(peer, &[60]);
        assert!(admission.admit_dialler(peer, now).is_err());
        assert!(admission.admit_dialler(peer, now + CLOSING / 2).is_err());
        assert_eq!(closing(&mut admission).len(), 1);
        assert!(admission.admit_dialler(peer, now + CLOSING).is_ok());
    }

    #[test]
    fn connections_dialled_together_both_stay() {
        let peer = PeerId::random();
        let (mut admission, now) = admission(peer, &[1]);
        assert!(admission.admit_dialler(peer, now).is_ok());
        admission.opened(peer, ConnectionId::new_unchecked(1), now);
        let id = ConnectionId::new_unchecked(1);
        admission.closed(peer, id, End::Broken);
        assert!(closing(&mut admission).is_empty());
    }

    #[test]
    fn an_older_connection_that_breaks_takes_the_newer_with_it_soon_or_late() {
        for ages in [[10, 9], [1, 0]] {
            let peer = PeerId::random();
            let (mut admission, _) = admission(peer, &ages);
            admission.closed(peer, ConnectionId::new_unchecked(0), End::Broken);
            assert_eq!(closing(&mut admission), ["All"], "{ages:?}");
        }
    }

    #[test]
    fn the_oldest_of_too_many_connections_is_closed() {
        let (mut admission, _) = admission(PeerId::random(), &[2, 1, 1, 0]);
        let oldest = CloseConnection::One(ConnectionId::new_unchecked(0));
        assert_eq!(closing(&mut admission), [format!("{oldest:?}")]);
    }

    #[test]
    fn closes_what_a_new_list_leaves_out() {
        let (kept, removed) = (PeerId::random(), PeerId::random());
        let (mut admission, now) = admission(kept, &[0]);
        admission.set_listed([kept, removed].into());
        admission.opened(removed, ConnectionId::new_unchecked(1), now);
        admission.set_listed([kept].into());
        let closing: Vec<_> = admission.closing.iter().map(|(peer, _)| *peer).collect();
        assert_eq!(closing, [removed]);
        assert!(admission.admit(removed).is_err() && admission.admit(kept).is_ok());
    }
}
