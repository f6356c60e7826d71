//! Whether this node may sign: never on top of a log that others know to be longer.
//!
//! After a restore nothing is signed until enough peers have told the largest head of our log
//! that they know; whenever a peer knows a larger head than ours, signing stops until an
//! operator has restored the missing entries.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use sealwire_wire::id::MemberId;

use crate::backup;
use crate::refusal::Refusal;

/// The state of the comparison with peers.
pub struct Guard {
    data: PathBuf,
    quorum: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    restored: bool,
    confirmed_by: BTreeSet<MemberId>,
    behind: Option<(MemberId, u64)>,
    forked: bool,
}

impl Guard {
    /// `data` may hold the marker that a restore leaves; `quorum` peers must then answer.
    pub fn new(data: PathBuf, quorum: usize) -> Self {
        let restored = backup::is_restored(&data);
        let state = Mutex::new(State { restored, ..State::default() });
        Self { data, quorum, state }
    }

    /// A peer told the largest head of our log that it knows.
    pub fn compared(&self, member: &MemberId, known: u64, ours: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if known > ours {
            tracing::error!(%member, known, ours, "a peer knows more entries of our log than we do: signing stops (hint: restore a newer backup)");
            state.behind = Some((member.clone(), known));
            return;
        }
        state.confirmed_by.insert(member.clone());
        if state.restored && state.confirmed_by.len() >= self.quorum && state.behind.is_none() {
            state.restored = false;
            tracing::warn!(
                peers = state.confirmed_by.len(),
                "head confirmed by peers after a restore: signing again"
            );
            if let Err(cause) = backup::clear_restored(&self.data) {
                tracing::warn!(%cause, "cannot remove the restore marker; peers are asked again at the next start");
            }
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
                Some(format!("{member} knows {known} entries of our log, more than this node has"))
            }
            None if state.restored => Some(format!(
                "restored from a backup: {} of {} peers have confirmed our head",
                state.confirmed_by.len(),
                self.quorum
            )),
            None => None,
        }
    }

    /// Refuses when nothing may be signed.
    pub fn check(&self) -> Result<(), Refusal> {
        match self.reason() {
            None => Ok(()),
            Some(reason) => Err(Refusal::fault(
                "head-not-confirmed",
                format!("cannot sign: {reason}"),
                "wait for peers to answer, or restore a newer backup; signing now could fork the log",
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

    #[test]
    fn a_plain_start_may_sign_until_a_peer_knows_more() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Guard::new(dir.path().to_owned(), 1);
        assert!(guard.check().is_ok());
        guard.compared(&member("SG"), 5, 5);
        assert!(guard.check().is_ok());
        guard.compared(&member("AU"), 6, 5);
        assert_eq!(guard.check().unwrap_err().code, "head-not-confirmed");
    }

    #[test]
    fn a_key_that_signed_another_history_signs_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Guard::new(dir.path().to_owned(), 1);
        guard.forked();
        guard.compared(&member("SG"), 5, 5);
        assert!(guard.check().unwrap_err().message.contains("another history"));
    }

    #[test]
    fn after_a_restore_a_quorum_of_peers_must_confirm() {
        let dir = tempfile::tempdir().unwrap();
        let marker = dir.path().join("restored");
        std::fs::write(&marker, "").unwrap();
        let guard = Guard::new(dir.path().to_owned(), 2);
        guard.compared(&member("SG"), 5, 5);
        guard.compared(&member("SG"), 5, 5);
        assert!(guard.check().is_err(), "one peer twice is one peer");
        guard.compared(&member("AU"), 4, 5);
        assert!(guard.check().is_ok());
        assert!(!marker.exists());
    }
}
