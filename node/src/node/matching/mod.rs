//! Matching between nodes: asks others whether they hold identifiers, and answers them.
//!
//! Both sides count a question durably before anything of it leaves: the asker before it sends,
//! the responder before it answers. From time to time an entry for each counterpart and day counts
//! them in the log. What was asked is in no fact, entry or log line.

mod answering;
mod asking;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealwire_gossip as gossip;
use sealwire_wire::id::MemberId;
use sealwire_wire::message::{About, Tags};
use sealwire_wire::oprf::Scope;
use sealwire_wire::statement::MAX_MATCH_ROWS;
use tokio::sync::mpsc;

use super::driver::{Message, unix_ms};
use super::publish::{announce_seal_key, log_by};
use super::reads;
use super::{Inner, NodeHandle};
use crate::context::Context;
use crate::exchange::Unit;
use crate::matching::{Listed, Lists, Sets};
use crate::refusal::Refusal;
use crate::release;
use crate::store::{Asked, Fact, KeptAsked, Match, ReadCursor};

pub use asking::{Answers, Asking};

/// Why a member did not answer, or is not answered.
struct NotAnswered {
    code: String,
    text: String,
}

/// Asks and answers.
pub struct Matching {
    context: Arc<Context>,
    gossip: gossip::Handle,
    inputs: mpsc::Sender<Message>,
    /// What others may match.
    pub lists: Lists,
    ours: Sets,
    theirs: Mutex<HashMap<(MemberId, About), Arc<Tags>>>,
    /// One set of tags is made at a time: it takes all cores.
    making: Arc<tokio::sync::Mutex<()>>,
    /// One request is counted at a time, so that none slips past the limit.
    counting: tokio::sync::Mutex<()>,
    questions_a_day: u64,
}

impl Matching {
    /// Puts it together; each member may put so many questions a day.
    pub fn new(
        context: Arc<Context>,
        gossip: gossip::Handle,
        inputs: mpsc::Sender<Message>,
        lists: Lists,
        questions_a_day: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            context,
            gossip,
            inputs,
            lists,
            ours: Sets::default(),
            theirs: Mutex::default(),
            making: Arc::default(),
            counting: tokio::sync::Mutex::default(),
            questions_a_day,
        })
    }

    async fn keep(&self, asked: Asked) -> Result<(), Refusal> {
        let facts = vec![Fact::Match(Match::Asked(asked))];
        let unit = Unit { token: 0, entries: Vec::new(), facts, request: None };
        log_by(&self.inputs, unit).await.map(|_| ())
    }

    /// Does something with the scope of questions between asker and responder; `None` if the
    /// register has no such community.
    fn within<T>(
        &self,
        about: &About,
        (asker, responder): (&MemberId, &MemberId),
        (epoch, day, serial): (u64, u64, u64),
        with: impl FnOnce(&Scope<'_>) -> T,
    ) -> Option<T> {
        let register = self.context.register();
        let agreement = register.community(&about.community)?.agreement.as_str();
        let About { community, purpose, kind } = about;
        Some(with(&Scope {
            federation: register.federation(),
            community,
            agreement,
            purpose,
            kind,
            asker,
            responder,
            epoch,
            day,
            serial,
        }))
    }
}

impl NodeHandle {
    /// Asks members whether they hold identifiers.
    pub async fn ask_members(&self, principal: &str, asking: Asking) -> Result<Answers, Refusal> {
        self.inner.matching.ask(principal, asking).await
    }

    /// Takes a list of what others may match in a community, for these purposes.
    pub fn load_list(
        &self,
        community: &str,
        purposes: BTreeSet<String>,
        text: &str,
    ) -> Result<Listed, Refusal> {
        load(&self.inner, community, purposes, text)
    }

    /// What others may match, by community.
    pub fn lists(&self) -> Vec<Listed> {
        self.inner.matching.lists.all()
    }

    /// How many questions were put to whom or by whom and what for, in order, after a cursor.
    pub fn matches(
        &self,
        after: Option<ReadCursor>,
        limit: usize,
    ) -> Result<Vec<KeptAsked>, Refusal> {
        let matches = self.inner.context.reader.matches(after, limit);
        matches
            .map_err(|cause| Refusal::fault("store-fault", cause.to_string(), "see the node's log"))
    }
}

/// Takes a list of what others may match in a community, for these purposes of its agreement.
fn load(
    inner: &Inner,
    community: &str,
    purposes: BTreeSet<String>,
    text: &str,
) -> Result<Listed, Refusal> {
    let register = inner.context.register();
    release::sender_of(&register, &inner.context.own, community)?;
    let agreed = register.community(community).map(|community| &community.purposes);
    if purposes.is_empty() || agreed.is_none_or(|agreed| !purposes.is_subset(agreed)) {
        return Err(Refusal::new(
            "purpose-not-in-agreement",
            403,
            "cannot load the list: it needs purposes, and the agreement does not cover all of them",
            "name purposes of the community; see `sealwire register show`",
        ));
    }
    let matching = &inner.matching;
    let listed = matching.lists.load(community, purposes, text, unix_ms() / 1000)?;
    // A member whose log announced its seal key before there were match keys announces one now.
    let announced = tokio::runtime::Handle::current().block_on(announce_seal_key(inner));
    if let Err(refusal) = announced {
        tracing::warn!(%refusal, "cannot announce the match key yet");
    }
    if listed.identifiers.is_empty() {
        // Nobody is answered from what was made of it.
        matching.ours.forget(community);
    }
    Ok(listed)
}

/// Counts questions in our log, again and again.
pub async fn count(inner: &Inner, every: Duration) {
    reads::log_due(inner, every, "questions", next).await;
}

/// The next entry that counts questions, with those it counts: no more than have as many different
/// communities, purposes and types as one entry holds.
fn next(inner: &Inner) -> Option<Result<Unit, Refusal>> {
    let context = &inner.context;
    let oldest = match context.reader.uncounted_matches(MAX_MATCH_ROWS) {
        Ok(oldest) => oldest,
        Err(cause) => {
            tracing::error!(%cause, "cannot read the log of questions");
            return None;
        }
    };
    match context.issuer.matches(&context.now(unix_ms()), &oldest) {
        Ok(None) => None,
        Ok(Some((issued, kept))) => {
            Some(Ok(Unit { token: 0, entries: vec![issued], facts: vec![kept], request: None }))
        }
        Err(refusal) => Some(Err(refusal)),
    }
}

const PREPARING: &str = "match-preparing";

fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gave random bytes at the start");
}

fn refuse(code: &str, text: String) -> NotAnswered {
    NotAnswered { code: code.to_owned(), text }
}

fn preparing() -> NotAnswered {
    let text = "cannot answer yet: the tags of the list are being made; ask again in a moment";
    refuse(PREPARING, text.to_owned())
}

fn fault() -> NotAnswered {
    refuse("store-fault", "cannot answer: a fault of this node".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
