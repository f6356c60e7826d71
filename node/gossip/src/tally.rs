//! What was dropped, refused or rejected since the start, so that an operator sees overload.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages handed to the caller.
    pub messages: u64,
    /// Requests handed to the caller.
    pub requests: u64,
    /// Messages dropped because the caller was behind.
    pub dropped_messages: u64,
    /// Requests closed because the caller was behind or a limit was reached.
    pub dropped_requests: u64,
    /// Answers not sent: too large, or the peer no longer waited.
    pub dropped_replies: u64,
    /// Verdicts that came too late or found their queue full.
    pub dropped_verdicts: u64,
    /// Notices of refused connections dropped because the caller was behind.
    pub dropped_notices: u64,
    /// Messages rejected as forged or malformed.
    pub rejected_messages: u64,
    /// Connections turned away.
    pub refused_connections: u64,
    /// Times that a peer was too slow to take its messages.
    pub slow_peers: u64,
}

/// The same, shared between the event loop and its handles.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) messages: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) dropped_messages: AtomicU64,
    pub(crate) dropped_requests: AtomicU64,
    pub(crate) dropped_replies: AtomicU64,
    pub(crate) dropped_verdicts: AtomicU64,
    pub(crate) dropped_notices: AtomicU64,
    pub(crate) rejected_messages: AtomicU64,
    pub(crate) refused_connections: AtomicU64,
    pub(crate) slow_peers: AtomicU64,
}

impl Tally {
    pub(crate) fn read(&self) -> Counters {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            messages: count(&self.messages),
            requests: count(&self.requests),
            dropped_messages: count(&self.dropped_messages),
            dropped_requests: count(&self.dropped_requests),
            dropped_replies: count(&self.dropped_replies),
            dropped_verdicts: count(&self.dropped_verdicts),
            dropped_notices: count(&self.dropped_notices),
            rejected_messages: count(&self.rejected_messages),
            refused_connections: count(&self.refused_connections),
            slow_peers: count(&self.slow_peers),
        }
    }
}

/// Adds one.
pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
