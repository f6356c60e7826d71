//! When to dial whom. A pure machine: time and chance are arguments, it dials nobody itself.
//!
//! Each peer is waiting, being dialled, or connected. A failed dial doubles the wait. A connection
//! that lasted starts anew from the shortest wait, so that a restarted peer is back at once; one
//! that broke at once counts as a failure, so that a peer that turns us away is not hammered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The dialling plan for peers named by `P`.
#[derive(Debug)]
pub(crate) struct Redial<P> {
    lines: BTreeMap<P, Line>,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    state: State,
    /// Consecutive failures; sets the wait.
    failures: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { until: Instant },
    Dialling,
    Connected { since: Instant },
}

impl<P: Ord + Copy> Redial<P> {
    pub(crate) fn new() -> Self {
        Self { lines: BTreeMap::new() }
    }

    /// Takes up a peer, or hears of new addresses for it: due at once, unless connected.
    pub(crate) fn add(&mut self, peer: P, now: Instant) {
        let fresh = Line { state: State::Waiting { until: now }, failures: 0 };
        let line = self.lines.entry(peer).or_insert(fresh);
        if matches!(line.state, State::Waiting { .. }) {
            *line = fresh;
        }
    }

    /// Forgets a peer.
    pub(crate) fn remove(&mut self, peer: &P) {
        self.lines.remove(peer);
    }

    /// The peers to dial now; each counts as being dialled until its outcome is told.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<P> {
        let dialling = self.lines.values().filter(|line| line.state == State::Dialling).count();
        let mut room = MAX_DIALS.saturating_sub(dialling);
        let mut due = Vec::new();
        for (peer, line) in &mut self.lines {
            if room == 0 {
                break;
            }
            if matches!(line.state, State::Waiting { until } if until <= now) {
                line.state = State::Dialling;
                due.push(*peer);
                room -= 1;
            }
        }
        due
    }

    /// When [`Redial::due`] is worth asking again.
    pub(crate) fn next(&self) -> Option<Instant> {
        let dialling = self.lines.values().filter(|line| line.state == State::Dialling).count();
        if dialling >= MAX_DIALS {
            return None;
        }
        let waits = self.lines.values().filter_map(|line| match line.state {
            State::Waiting { until } => Some(until),
            State::Dialling | State::Connected { .. } => None,
        });
        waits.min()
    }

    /// A first connection stands, whoever dialled.
    pub(crate) fn connected(&mut self, peer: &P, now: Instant) {
        if let Some(line) = self.lines.get_mut(peer) {
            line.state = State::Connected { since: now };
        }
    }

    /// The last connection is gone.
    pub(crate) fn disconnected(&mut self, peer: &P, now: Instant, chance: f64) {
        if let Some(line) = self.lines.get_mut(peer)
            && let State::Connected { since } = line.state
        {
            if now.saturating_duration_since(since) >= LASTING {
                line.failures = 0;
            }
            line.postpone(now, chance);
        }
    }

    /// A dial came to nothing. Means nothing when the peer connected meanwhile.
    pub(crate) fn failed(&mut self, peer: &P, now: Instant, chance: f64) {
        if let Some(line) = self.lines.get_mut(peer)
            && line.state == State::Dialling
        {
            line.postpone(now, chance);
        }
    }
}

impl Line {
    fn postpone(&mut self, now: Instant, chance: f64) {
        self.state = State::Waiting { until: now + wait(self.failures, chance) };
        self.failures = self.failures.saturating_add(1);
    }
}

/// Half of the wait is fixed and half is chance (0 to 1), so that peers that lost each other at
/// the same moment do not dial at the same moment.
fn wait(failures: u32, chance: f64) -> Duration {
    let full = (SHORTEST * 2).saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST);
    full / 2 + (full / 2).mul_f64(chance.clamp(0.0, 1.0))
}

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that stood this long was a good one.
const LASTING: Duration = Duration::from_secs(2);
/// Peers that are dialled at once.
const MAX_DIALS: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_peer_is_dialled_at_once_and_only_once() {
        let now = Instant::now();
        let mut redial = Redial::new();
        redial.add('a', now);
        assert_eq!(redial.due(now), ['a']);
        assert!(redial.due(now + LONGEST).is_empty());
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut now = Instant::now();
        let mut redial = Redial::new();
        redial.add('a', now);
        let mut waits = Vec::new();
        for _ in 0..10 {
            assert_eq!(redial.due(now), ['a']);
            redial.failed(&'a', now, 1.0);
            let next = redial.next().expect("a wait");
            waits.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(waits, [400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]);
    }

    #[test]
    fn a_peer_that_restarts_is_redialled_within_half_a_second() {
        let now = Instant::now();
        let mut redial = Redial::new();
        redial.add('a', now);
        for _ in 0..5 {
            redial.due(redial.next().expect("a wait"));
            redial.failed(&'a', now, 1.0);
        }
        redial.connected(&'a', now);
        assert_eq!(redial.next(), None);
        let lost = now + LASTING;
        redial.disconnected(&'a', lost, 1.0);
        assert!(redial.next().expect("a wait") - lost <= Duration::from_millis(500));
    }

    #[test]
    fn a_peer_that_turns_us_away_is_not_hammered() {
        let mut now = Instant::now();
        let mut redial = Redial::new();
        redial.add('a', now);
        for _ in 0..8 {
            assert_eq!(redial.due(now), ['a']);
            redial.connected(&'a', now);
            redial.disconnected(&'a', now, 0.0);
            now = redial.next().expect("a wait");
        }
        redial.due(now);
        redial.failed(&'a', now, 0.0);
        assert_eq!(redial.next().expect("a wait") - now, LONGEST / 2);
    }

    #[test]
    fn a_failed_dial_does_not_count_against_a_peer_that_dialled_us() {
        let now = Instant::now();
        let mut redial = Redial::new();
        redial.add('a', now);
        redial.due(now);
        redial.connected(&'a', now);
        redial.failed(&'a', now, 0.5);
        assert_eq!(redial.next(), None);
    }

    #[test]
    fn new_addresses_end_the_wait_and_a_removed_peer_is_forgotten() {
        let now = Instant::now();
        let mut redial = Redial::new();
        redial.add('a', now);
        redial.due(now);
        redial.failed(&'a', now, 1.0);
        redial.add('a', now);
        assert_eq!(redial.next(), Some(now));
        redial.remove(&'a');
        assert!(redial.due(now).is_empty());
    }

    #[test]
    fn dials_a_bounded_number_at_once() {
        let now = Instant::now();
        let mut redial = Redial::new();
        (0..100).for_each(|peer: u32| redial.add(peer, now));
        assert_eq!(redial.due(now).len(), MAX_DIALS);
        assert_eq!(redial.next(), None);
        redial.failed(&0, now, 0.0);
        assert_eq!(redial.due(now), [u32::try_from(MAX_DIALS).expect("small")]);
    }

    proptest! {
        #[test]
        fn every_wait_is_within_the_bounds(failures in any::<u32>(), chance in any::<f64>()) {
            let wait = wait(failures, if chance.is_nan() { 0.0 } else { chance });
            prop_assert!(wait >= SHORTEST && wait <= LONGEST);
        }
    }
}
