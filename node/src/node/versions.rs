//! New versions of the register while the node runs: from the configured path, from an operator
//! over HTTP, from peers. Each is verified against the one in force, made durable, and then in
//! force everywhere: at the gate, in the machine, towards peers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwire_gossip as gossip;
use sealwire_wire::id::MemberId;
use sealwire_wire::message::Request;
use sealwire_wire::register::{Register, RegisterError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::context::Context;
use crate::refusal::Refusal;

use super::adopt::{self, Place};
use super::driver::{Message, unix_ms};
use super::{Guard, active_peers, announce, listed_peers, quorum, startup};

/// Members waiting to be asked; who finds no room is asked in a later round.
const AHEAD: usize = 64;
/// How often the configured path is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What became of a document that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in force now.
    Adopted,
    /// It was held before.
    Known,
}

/// The one way in which a running node takes a new version.
pub struct Versions {
    context: Arc<Context>,
    gossip: gossip::Handle,
    inputs: mpsc::Sender<Message>,
    guard: Arc<Guard>,
    /// One document at a time.
    one: tokio::sync::Mutex<()>,
    in_force: watch::Sender<u64>,
    ahead: mpsc::Sender<MemberId>,
    /// The members who are being asked.
    asking: Mutex<BTreeSet<MemberId>>,
}

impl Versions {
    /// Begins with the register in force. The members that come out are to be asked.
    pub fn new(
        context: Arc<Context>,
        gossip: gossip::Handle,
        inputs: mpsc::Sender<Message>,
        guard: Arc<Guard>,
    ) -> (Arc<Self>, mpsc::Receiver<MemberId>) {
        let in_force = watch::Sender::new(context.register().version());
        let (ahead, to_ask) = mpsc::channel(AHEAD);
        let (one, asking) = Default::default();
        let versions =
            Arc::new(Self { context, gossip, inputs, guard, one, in_force, ahead, asking });
        (versions, to_ask)
    }

    /// The version in force, as it changes.
    pub fn in_force(&self) -> watch::Receiver<u64> {
        self.in_force.subscribe()
    }

    /// Takes a document if it is the next version; refuses one that is not, and one that shows
    /// that the register was forked, which is kept as evidence.
    pub async fn offer(&self, bytes: Vec<u8>) -> Result<Taken, Refusal> {
        let _one = self.one.lock().await;
        let context = Arc::clone(&self.context);
        let judged = tokio::task::spawn_blocking(move || {
            adopt::place(&context.register(), || context.reader.register_versions(), &bytes)
        });
        match judged.await.map_err(|_| stopping())?.map_err(refused)? {
            Place::Held => Ok(Taken::Known),
            Place::Next(next) => self.adopt(next).await.map(|()| Taken::Adopted),
            Place::Fork(other) => {
                let version = other.version();
                self.inputs.send(Message::Fork(other)).await.map_err(|_| stopping())?;
                Err(Refusal::new(
                    "register-forked",
                    409,
                    format!(
                        "cannot take register version {version}: this node holds another of that version, and both are validly signed"
                    ),
                    "call the governors; the document is kept below evidence/ in the data directory",
                ))
            }
        }
    }

    async fn adopt(&self, next: Box<Register>) -> Result<(), Refusal> {
        let (done, durable) = oneshot::channel();
        self.inputs.send(Message::Adopt(next, done)).await.map_err(|_| stopping())?;
        durable.await.map_err(|_| {
            let text = "cannot keep the register: the journal did not take it";
            Refusal::fault("journal-fault", text, "see the node's log; offer it again")
        })?;
        let (register, own) = (self.context.register(), &self.context.own);
        if let Err(cause) = self.gossip.set_peers(listed_peers(&register, own)).await {
            tracing::error!(%cause, "cannot take the peers of the new register; start this node again");
        }
        let topics = announce::topics(&register, own).into_iter().collect();
        if let Err(cause) = self.gossip.set_topics(topics).await {
            tracing::error!(%cause, "cannot take the topics of the new register; start this node again");
        }
        let active = active_peers(&register, own).map(|m| m.id.clone()).collect();
        let size = self.context.reader.size(own);
        let unfit = startup::unfit(&self.context.keys, &register, own, size);
        self.guard.set_register(quorum(&register), active, unfit);
        adopt::warn_of_expiry(&register, unix_ms());
        self.in_force.send_replace(register.version());
        Ok(())
    }

    /// Takes what an operator puts at the configured path, until the node ends.
    pub async fn watch(self: Arc<Self>, path: PathBuf) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut seen = None;
        loop {
            looks.tick().await;
            let place = path.clone();
            let look = tokio::task::spawn_blocking(move || adopt::stamps(&place));
            let found = look.await.unwrap_or_default();
            // The first look finds what the start has read.
            if seen.replace(found.clone()).is_some_and(|before| before != found) {
                self.take_from(&path).await;
            }
        }
    }

    async fn take_from(&self, path: &std::path::Path) {
        let place = path.to_owned();
        let read = tokio::task::spawn_blocking(move || adopt::offered(&place, false)).await;
        let offered = match read {
            Ok(Ok(offered)) => offered,
            Ok(Err(cause)) => {
                // Perhaps half written: the next change of the file is looked at again.
                tracing::warn!(%cause, "cannot read a register at the configured path");
                return;
            }
            Err(_) => return,
        };
        for file in offered {
            let older = file.version < self.context.register().version();
            match self.offer(file.bytes).await {
                Ok(Taken::Known) => {}
                Ok(Taken::Adopted) => {
                    tracing::info!(file = %file.path.display(), "took a version from its file");
                }
                Err(_) if older => {}
                Err(refusal) => {
                    tracing::error!(file = %file.path.display(), %refusal, "did not take a register");
                }
            }
        }
    }

    /// A member seems to have a newer version.
    pub fn behind(&self, member: Option<MemberId>) {
        if let Some(member) = member {
            // Without room it is asked in a later round.
            let _ = self.ahead.try_send(member);
        }
    }

    /// A member asked us; who asks for what follows a version above ours has a newer one.
    pub fn asked_by(&self, member: &MemberId, request: &Request) {
        let ours = self.context.register().version();
        if matches!(request, Request::Register { version, .. } if *version > ours) {
            self.behind(Some(member.clone()));
        }
    }

    /// Whether a member may be asked now; if so, [`Self::asked`] has to follow.
    pub fn ask(&self, member: &MemberId) -> bool {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).insert(member.clone())
    }

    /// A member has been asked.
    pub fn asked(&self, member: &MemberId) {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(member);
    }
}

fn refused(cause: RegisterError) -> Refusal {
    let text = cause.to_string();
    let (message, hint) = text.split_once("\nhint: ").unwrap_or((&text, "ask a governor"));
    let status = if matches!(cause, RegisterError::Version { .. }) { 409 } else { 422 };
    Refusal::new(cause.code(), status, message, hint)
}

fn stopping() -> Refusal {
    Refusal::fault("stopping", "cannot take the register: this node is stopping", "offer it again")
}
