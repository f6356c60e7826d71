//! Members get new versions of the register from each other.
//!
//! A node asks a peer for what follows its own version: when they meet, when something was made
//! under a newer one, and from time to time. Having adopted one it asks all its peers: who is
//! behind sees so in the request, and asks back. What comes back is believed for its governors'
//! signatures alone, whoever sent it.

use std::sync::Arc;

use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::message::{Request, Response};
use sealwire_wire::register::Draft;
use tokio::sync::mpsc;

use super::peers::Peers;
use super::versions::Taken;
use crate::sync;

/// Most answers taken from a peer in a row.
const MAX_ANSWERS: usize = 64;

impl Peers {
    /// Asks a member for the versions after ours, unless it is being asked.
    pub(super) async fn catch_up(&self, member: &MemberId) {
        if self.versions.ask(member) {
            self.ask_versions(member).await;
            self.versions.asked(member);
        }
    }

    /// Asks all peers after each change of the register in force, and those who seem to have a
    /// newer one.
    pub(super) async fn spread_versions(self: Arc<Self>, mut ahead: mpsc::Receiver<MemberId>) {
        let mut in_force = self.versions.in_force();
        loop {
            tokio::select! {
                changed = in_force.changed() => match changed {
                    Ok(()) => self.ask_all_versions(),
                    Err(_) => return,
                },
                Some(member) = ahead.recv() => {
                    let this = Arc::clone(&self);
                    tokio::spawn(async move { this.catch_up(&member).await });
                }
            }
        }
    }

    /// Asks every connected member, each in a task of its own.
    pub(super) fn ask_all_versions(self: &Arc<Self>) {
        for peer in self.gossip.connected() {
            let Some(member) = self.member(&peer) else { continue };
            let this = Arc::clone(self);
            tokio::spawn(async move { this.catch_up(&member).await });
        }
    }

    async fn ask_versions(&self, member: &MemberId) {
        let ours = self.context.register();
        let (mut version, mut digest) = (ours.version(), ours.digest());
        for _ in 0..MAX_ANSWERS {
            let request = Request::Register { version, digest };
            let Some(Response::Registers(documents)) = self.ask(member, &request).await else {
                return;
            };
            match self.take_versions(member, version, documents).await {
                Next::Done => return,
                Next::From(next, its_digest) => (version, digest) = (next, its_digest),
            }
        }
    }

    /// Takes what a member answered who was asked for what follows `version`.
    async fn take_versions(
        &self,
        member: &MemberId,
        version: u64,
        documents: Vec<Vec<u8>>,
    ) -> Next {
        let (mut adopted, mut unproven) = (false, false);
        for document in documents {
            let stated = Draft::from_bytes(&document).map_or(0, |draft| draft.version());
            match self.versions.offer(document).await {
                Ok(Taken::Adopted) => {
                    tracing::info!(%member, version = stated, "took a version from a peer");
                    adopted = true;
                }
                Ok(Taken::Known) => {}
                // The evidence is kept, and an operator told. What follows may heal the fork.
                Err(refusal) if refusal.code == "register-forked" => {}
                // Theirs of our version is another, and our governors cannot vouch for it: the
                // fork lies further back.
                Err(_) if stated == version => unproven = true,
                Err(_) if unproven => break,
                Err(refusal) => {
                    tracing::warn!(%member, version = stated, %refusal, "refused a register of a peer");
                    return Next::Done;
                }
            }
        }
        let ours = self.context.register();
        match (adopted, unproven) {
            (true, _) => Next::From(ours.version(), ours.digest()),
            (false, true) => self.before(version),
            (false, false) => Next::Done,
        }
    }

    fn before(&self, version: u64) -> Next {
        let versions = self.context.reader.register_versions();
        let before = version.checked_sub(1).and_then(|before| sync::held(&versions, before));
        before.map_or(Next::Done, |register| Next::From(register.version(), register.digest()))
    }
}

/// What is asked after an answer.
enum Next {
    Done,
    From(u64, Digest),
}
