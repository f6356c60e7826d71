//! Who may be connected, and how often. A peer that is not in the list is turned away as soon as
//! the handshake has proved its identity, before any protocol is spoken, in both directions.
//!
//! A node dials only a peer with which it has no connection. So when a peer dials us although we
//! hold a connection to it, that one is dead: the peer restarted and the network has not told us
//! yet. Such connections are closed at once rather than left to swallow messages until they time
//! out. Only connections of the last few seconds stay: both sides may have dialled together.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

/// The cause of a connection denied by [`Admission`].
#[derive(Debug, thiserror::Error)]
#[error("cannot connect: peer {0} is not listed (hint: it must be in the register)")]
pub(crate) struct NotListed(PeerId);

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

    fn opened(&mut self, peer: PeerId, id: ConnectionId, dialled_by: Endpoint, now: Instant) {
        let open = self.open.entry(peer).or_default();
        open.push(Open { id, since: now });
        for id in superseded(open, dialled_by, now) {
            tracing::debug!(%peer, "closing a superseded connection");
            self.closing.push_back((peer, CloseConnection::One(id)));
        }
    }

    fn closed(&mut self, peer: PeerId, id: ConnectionId) {
        if let Some(open) = self.open.get_mut(&peer) {
            open.retain(|connection| connection.id != id);
            if open.is_empty() {
                self.open.remove(&peer);
            }
        }
    }
}

/// The connections that the last one in the list replaces; the list is in order of age.
fn superseded(open: &[Open], dialled_by: Endpoint, now: Instant) -> Vec<ConnectionId> {
    let Some((_, older)) = open.split_last() else { return Vec::new() };
    let surplus = open.len().saturating_sub(MAX_CONNECTIONS_PER_PEER);
    let dead = |connection: &Open| match dialled_by {
        Endpoint::Listener => now.saturating_duration_since(connection.since) >= DIALLED_TOGETHER,
        Endpoint::Dialer => false,
    };
    let closes = |(place, connection): &(usize, &Open)| *place < surplus || dead(connection);
    older.iter().enumerate().filter(closes).map(|(_, connection)| connection.id).collect()
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
        self.admit(peer).map(|()| dummy::ConnectionHandler)
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
                let dialled_by = match event.endpoint.is_dialer() {
                    true => Endpoint::Dialer,
                    false => Endpoint::Listener,
                };
                self.opened(event.peer_id, event.connection_id, dialled_by, Instant::now());
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                self.closed(peer_id, connection_id);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn open(ages_s: &[u64], now: Instant) -> Vec<Open> {
        let place = |place: usize| ConnectionId::new_unchecked(place);
        let aged = |(i, age): (usize, &u64)| Open {
            id: place(i),
            since: now.checked_sub(Duration::from_secs(*age)).expect("a clock older than the test"),
        };
        ages_s.iter().enumerate().map(aged).collect()
    }

    #[test]
    fn a_peer_that_dials_again_replaces_its_dead_connections() {
        let now = Instant::now();
        let replaced = superseded(&open(&[60, 60, 0], now), Endpoint::Listener, now);
        assert_eq!(replaced, [0, 1].map(ConnectionId::new_unchecked));
    }

    #[test]
    fn connections_dialled_together_both_stay() {
        let now = Instant::now();
        assert_eq!(superseded(&open(&[1, 0], now), Endpoint::Listener, now), []);
        assert_eq!(superseded(&open(&[1, 0], now), Endpoint::Dialer, now), []);
    }

    #[test]
    fn the_oldest_of_too_many_connections_is_closed() {
        let now = Instant::now();
        let replaced = superseded(&open(&[1, 1, 0, 0], now), Endpoint::Listener, now);
        assert_eq!(replaced, [ConnectionId::new_unchecked(0)]);
    }

    #[test]
    fn closes_what_a_new_list_leaves_out() {
        let (kept, removed) = (PeerId::random(), PeerId::random());
        let mut admission = Admission::new([kept, removed].into());
        for (place, peer) in [kept, removed].into_iter().enumerate() {
            let id = ConnectionId::new_unchecked(place);
            admission.opened(peer, id, Endpoint::Dialer, Instant::now());
        }
        admission.set_listed([kept].into());
        let closing: Vec<_> = admission.closing.iter().map(|(peer, _)| *peer).collect();
        assert_eq!(closing, [removed]);
        assert!(admission.admit(removed).is_err() && admission.admit(kept).is_ok());
    }
}
