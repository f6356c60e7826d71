//! Whether this node may sign: never on top of a log that others know to be longer.
//!
//! At every start the head of our log is compared with the peers that answer within a bounded
//! wait. After a restore nothing is signed until enough peers have told the largest head of our
//! log that they know, however long that takes, unless an operator accepts the head as it is;
//! whenever a peer knows a larger head than ours, signing stops until the missing entries have been
//! taken back from peers ([`super::recover`]) or restored, and then until peers have confirmed it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sealwire_wire::id::MemberId;
use tokio::sync::watch;

use crate::backup;
use crate::refusal::Refusal;

/// How long a start waits for peers to tell which head of our log they know. The journal makes a
/// plain crash harmless, so that peers that are away do not keep a node from signing.
pub const HEAD_WAIT: Duration = Duration::from_secs(3);

/// The state of the comparison with peers.
pub struct Guard {
    data: PathBuf,
    state: Mutex<State>,
    /// Whether the comparison at the start is over.
    compared: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    quorum: usize,
    /// The active peers.
    peers: BTreeSet<MemberId>,
    /// Why our keys are not those of the register in force.
    unfit: Option<String>,
    restored: bool,
    confirmed_by: BTreeSet<MemberId>,
    behind: Option<(MemberId, u64)>,
    /// The index that nobody who was asked gave back, and who was asked.
    stuck: Option<(u64, Vec<MemberId>)>,
    forked: bool,
}

impl Guard {
    /// `data` may hold the marker that a restore leaves; `quorum` of `peers` must then answer.
    pub fn new(data: PathBuf, quorum: usize, peers: BTreeSet<MemberId>) -> Self {
        let restored = backup::is_restored(&data);
        let compared = watch::Sender::new(peers.is_empty());
        let state = Mutex::new(State { quorum, peers, restored, ..State::default() });
        Self { data, state, compared }
    }

    /// Takes the peers of a new version of the register, and why it lets our keys sign no more.
    pub fn set_register(&self, quorum: usize, peers: BTreeSet<MemberId>, unfit: Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &unfit {
            tracing::error!(
                reason,
                "nothing is signed any more: put the new keys in place and start this node again"
            );
        }
        (state.quorum, state.peers, state.unfit) = (quorum, peers, unfit);
        if state.confirmed_by.is_superset(&state.peers) {
            self.compared.send_replace(true);
        }
    }

    /// Waits until the comparison at the start is over, then answers like [`Self::check`].
    pub async fn ready(&self) -> Result<(), Refusal> {
        // The sender lives as long as we do.
        let _ = self.compared.subscribe().wait_for(|over| *over).await;
        self.check()
    }

    /// The wait for peers at the start is over, whoever has answered.
    pub fn waited(&self) {
        if !self.compared.send_replace(true) {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (answered, peers) = (state.confirmed_by.len(), state.peers.len());
            tracing::info!(answered, peers, "compared our head with the peers that answered");
        }
    }

    /// The peers that have still to be asked, as long as their answers count.
    pub fn unasked(&self) -> BTreeSet<MemberId> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.compared.borrow() && !state.restored {
            return BTreeSet::new();
        }
        state.peers.difference(&state.confirmed_by).cloned().collect()
    }

    /// An operator lets the node sign after a restore, although peers have not confirmed its head.
    pub fn accept(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).restored = false;
        self.clear_marker();
    }

    /// Whether nothing is signed now, and peers or an operator may still change that.
    pub fn holds_back(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        !state.forked && (state.restored || state.behind.is_some())
    }

    /// A peer told the largest head of our log that it knows.
    pub fn compared(&self, member: &MemberId, known: u64, ours: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if known > ours {
            tracing::error!(%member, known, ours, "a peer knows more entries of our log than we do: signing stops until they are taken back");
            let more = state.behind.as_ref().is_none_or(|(_, before)| *before < known);
            if more {
                state.behind = Some((member.clone(), known));
            }
            // Whoever had lost entries once does not trust its own head any more.
            state.restored = true;
            return;
        }
        state.confirmed_by.insert(member.clone());
        if state.confirmed_by.is_superset(&state.peers) {
            self.compared.send_replace(true);
        }
        if state.restored && state.confirmed_by.len() >= state.quorum && state.behind.is_none() {
            state.restored = false;
            tracing::warn!(
                peers = state.confirmed_by.len(),
                "head confirmed by peers after a restore: signing again"
            );
            self.clear_marker();
        }
    }

    /// Up to which size entries of ours are missing here that peers know.
    pub fn behind(&self) -> Option<u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.behind.as_ref().filter(|_| !state.forked).map(|(_, known)| *known)
    }

    /// The active peers.
    pub fn peers(&self) -> BTreeSet<MemberId> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).peers.clone()
    }

    /// Our log has again this many entries.
    pub fn caught_up(&self, ours: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.behind.as_ref().is_some_and(|(_, known)| *known <= ours) {
            tracing::warn!(ours, "our log is whole again; peers are asked to confirm its head");
            (state.behind, state.stuck) = (None, None);
            // Whatever was told before was told of a head that was not the last one.
            state.confirmed_by.clear();
        }
    }

    /// None of these peers gave back the entry at this index of our log; or one does, if nothing.
    pub fn stuck(&self, at: Option<(u64, Vec<MemberId>)>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stuck = at;
    }

    fn clear_marker(&self) {
        if let Err(cause) = backup::clear_restored(&self.data) {
            tracing::warn!(%cause, "cannot remove the restore marker; peers are asked again at the next start");
        }
    }

    /// Our log key was shown to have signed another history: a copy of this node runs elsewhere,
    /// or the key is in other hands. Nothing is signed until an operator has settled it.
    pub fn forked(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).forked = true;
    }

    /// Why nothing is signed, if so.
    pub fn reason(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.behind {
            _ if state.forked => Some(
                "another history was signed with the key of this log (see evidence/ in the data \
                 directory): a copy of this node runs elsewhere, or the key is in other hands"
                    .to_owned(),
            ),
            Some((member, known)) => {
                let text =
                    format!("{member} knows {known} entries of our log, more than this node has");
                Some(match &state.stuck {
                    None => format!("{text}; they are taken back from peers"),
                    Some((index, asked)) => {
                        let asked: Vec<&str> = asked.iter().map(MemberId::as_str).collect();
                        let asked =
                            if asked.is_empty() { "nobody".to_owned() } else { asked.join(", ") };
                        format!(
                            "{text}; entry {index} was not given back yet, by {asked}: an entry for \
                             named members can come from those alone"
                        )
                    }
                })
            }
            None if state.restored => Some(format!(
                "restored from a backup: {} of {} peers have confirmed our head",
                state.confirmed_by.len(),
                state.quorum
            )),
            None => state.unfit.clone(),
        }
    }

    /// Refuses when nothing may be signed.
    pub fn check(&self) -> Result<(), Refusal> {
        match self.reason() {
            None => Ok(()),
            Some(reason) => Err(Refusal::fault(
                "head-not-confirmed",
                format!("cannot sign: {reason}"),
                "wait until peers have answered and given back what is missing, or restore a newer backup; signing now could fork the log",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str) -> MemberId {
        id.parse().unwrap()
    }

    fn guard(dir: &tempfile::TempDir, quorum: usize) -> Guard {
        Guard::new(dir.path().to_owned(), quorum, BTreeSet::from([member("SG"), member("AU")]))
    }

    #[test]
    fn a_plain_start_may_sign_until_a_peer_knows_more() {
        let dir = tempfile::tempdir().unwrap();
        let guard = guard(&dir, 1);
        assert!(guard.check().is_ok());
        guard.compared(&member("SG"), 5, 5);
        assert!(guard.check().is_ok());
        guard.compared(&member("AU"), 6, 5);
        assert_eq!(guard.check().unwrap_err().code, "head-not-confirmed");
    }

    #[test]
    fn after_entries_were_taken_back_peers_must_confirm_the_head() {
        let dir = tempfile::tempdir().unwrap();
        let guard = guard(&dir, 1);
        guard.compared(&member("SG"), 5, 5);
        guard.compared(&member("AU"), 8, 5);
        guard.stuck(Some((6, vec![member("SG")])));
        assert!(guard.reason().unwrap().contains("entry 6 was not given back yet, by SG"));
        guard.caught_up(7);
        assert_eq!(guard.behind(), Some(8));
        guard.caught_up(8);
        assert_eq!(guard.behind(), None);
        assert!(guard.check().is_err(), "nobody has confirmed the head of 8 entries");
        assert_eq!(guard.unasked().len(), 2, "everybody is asked again");
        guard.compared(&member("AU"), 8, 8);
        assert!(guard.check().is_ok());
    }

    #[test]
    fn peers_that_confirm_a_head_before_it_is_known_to_be_whole_are_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let guard = guard(&dir, 2);
        guard.compared(&member("AU"), 8, 5);
        for peer in ["AU", "SG"] {
            guard.compared(&member(peer), 8, 8);
        }
        assert!(guard.check().is_err());
        guard.caught_up(8);
        for peer in guard.unasked() {
            guard.compared(&peer, 8, 8);
        }
        assert!(guard.check().is_ok());
    }

    #[test]
    fn a_key_that_signed_another_history_signs_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let guard = guard(&dir, 1);
        guard.forked();
        guard.compared(&member("SG"), 5, 5);
        assert!(guard.check().unwrap_err().message.contains("another history"));
    }

    #[test]
    fn a_register_that_ends_our_key_stops_signing_and_the_next_may_allow_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let guard = guard(&dir, 1);
        let ended = "version 2 of the register has ended our sign key";
        guard.set_register(1, BTreeSet::from([member("SG")]), Some(ended.to_owned()));
        assert!(guard.check().unwrap_err().message.contains(ended));
        assert!(!guard.holds_back(), "no peer and no waiting can change it");
        guard.set_register(1, BTreeSet::from([member("SG")]), None);
        assert!(guard.check().is_ok());
    }

    #[tokio::test]
    async fn a_start_does_not_wait_for_a_peer_that_a_new_register_has_suspended() {
        let dir = tempfile::tempdir().unwrap();
        let guard = guard(&dir, 1);
        guard.compared(&member("SG"), 5, 5);
        assert_eq!(guard.unasked(), BTreeSet::from([member("AU")]));
        guard.set_register(1, BTreeSet::from([member("SG")]), None);
        assert!(guard.ready().await.is_ok());
    }

    #[test]
    fn after_a_restore_a_quorum_of_peers_must_confirm() {
        let dir = tempfile::tempdir().unwrap();
        let marker = dir.path().join("restored");
        std::fs::write(&marker, "").unwrap();
        let guard = guard(&dir, 2);
        guard.compared(&member("SG"), 5, 5);
        guard.compared(&member("SG"), 5, 5);
        assert!(guard.check().is_err(), "one peer twice is one peer");
        guard.compared(&member("AU"), 4, 5);
        assert!(guard.check().is_ok());
        assert!(!marker.exists());
    }

    #[tokio::test]
    async fn a_start_waits_for_every_peer_or_for_the_end_of_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let guard = guard(&dir, 1);
        let soon = Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, guard.ready()).await.is_err());
        guard.compared(&member("SG"), 5, 5);
        assert_eq!(guard.unasked(), BTreeSet::from([member("AU")]));
        assert!(tokio::time::timeout(soon, guard.ready()).await.is_err());
        guard.compared(&member("AU"), 5, 5);
        assert!(guard.ready().await.is_ok());

        let silent = Guard::new(dir.path().to_owned(), 1, BTreeSet::from([member("SG")]));
        silent.waited();
        assert!(silent.ready().await.is_ok());
        assert!(silent.unasked().is_empty());
        let alone = Guard::new(dir.path().to_owned(), 1, BTreeSet::new());
        assert!(alone.ready().await.is_ok());
    }

    #[test]
    fn an_operator_may_accept_a_restored_head_but_not_one_that_is_behind() {
        let dir = tempfile::tempdir().unwrap();
        let marker = dir.path().join("restored");
        std::fs::write(&marker, "").unwrap();
        let guard = guard(&dir, 2);
        assert!(guard.holds_back() && guard.check().is_err());
        guard.accept();
        assert!(guard.check().is_ok() && !marker.exists());
        guard.compared(&member("SG"), 6, 5);
        guard.accept();
        assert!(guard.holds_back() && guard.check().is_err());
    }
}
