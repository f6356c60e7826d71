//! The machine's inputs and orders: what happened, and what the driver does.

use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::signer::NoSignature;
use sealwire_wire::statement::Manifest;

use crate::admit::{Admitted, Authentic};
use crate::issue::Issued;
use crate::refusal::Refusal;
use crate::store::{Decision, Fact};

/// Entries that are logged together, or not at all, with the local facts they need.
#[derive(Debug)]
pub struct Unit {
    /// By which the driver knows who waits.
    pub token: u64,
    /// In the order in which they are logged.
    pub entries: Vec<Issued>,
    /// Local facts.
    pub facts: Vec<Fact>,
    /// The request that the last entry answers, if it may be asked again.
    pub request: Option<IdempotentRequest>,
}

/// A publication that answers the same when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// Who asked.
    pub principal: String,
    /// The idempotency key.
    pub key: String,
    /// Digest of what was asked.
    pub digest: Digest,
}

/// A checkpoint whose log signature holds.
#[derive(Debug, Clone)]
pub struct SignedHead {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note with the log's signature only.
    pub note: String,
}

/// The verified answer to a pull.
#[derive(Debug)]
pub struct Ranged {
    /// Whose log.
    pub log: MemberId,
    /// Who answered.
    pub peer: MemberId,
    /// The checkpoint that covers the range.
    pub head: SignedHead,
    /// First index.
    pub from: u64,
    /// Statement digests.
    pub leaves: Vec<Digest>,
    /// Consistency proof from the end of the range to the head.
    pub consistency: Vec<Digest>,
    /// Complete entries, each matching its leaf.
    pub entries: Vec<Admitted>,
    /// The originator's signed answer for the rest.
    pub denial: Option<SignedRanges>,
}

/// A verified not-addressed answer.
#[derive(Debug, Clone)]
pub struct SignedRanges {
    /// The bytes as signed.
    pub bytes: Vec<u8>,
    /// Half-open ranges of indexes.
    pub ranges: Vec<(u64, u64)>,
}

/// A verified cosignature of a checkpoint of ours.
#[derive(Debug)]
pub struct Cosigned {
    /// Who.
    pub by: MemberId,
    /// The size cosigned.
    pub size: u64,
    /// Witnessed time, seconds since 1970.
    pub time: u64,
    /// The signature line.
    pub line: String,
    /// Time and line of the one with ML-DSA-44, if there is one too.
    pub pq: Option<(u64, String)>,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Entries of our own, sealed and signed.
    Own(Vec<Unit>),
    /// Entries of a peer's log, verified under `head`; empty when only the head was told.
    Announced {
        /// Whose log.
        log: MemberId,
        /// The head.
        head: SignedHead,
        /// The entries, in order.
        entries: Vec<Admitted>,
    },
    /// The answer to a pull.
    Ranged(Ranged),
    /// The answer to a fetch: entries that match their leaves.
    Fetched {
        /// Whose log.
        log: MemberId,
        /// Complete entries.
        entries: Vec<Admitted>,
        /// The originator's signed answer for the rest.
        denial: Option<SignedRanges>,
    },
    /// A pull or fetch brought nothing, or failed.
    PullEnded {
        /// Whose log.
        log: MemberId,
        /// Whether it failed, rather than that there was nothing new.
        failed: bool,
    },
    /// A member cosigned a checkpoint of ours.
    Cosigned(Cosigned),
    /// Entries of our own log that a peer gave back, verified as of a mirrored one.
    Recovered {
        /// A checkpoint of ours that covers them.
        head: SignedHead,
        /// Index of the first.
        from: u64,
        /// Complete entries, without a gap.
        entries: Vec<Authentic>,
    },
    /// Somebody asks for our ML-DSA-44 cosignature of a log's head.
    PqAsked(MemberId),
    /// A member quarantined an entry of ours.
    RefusedBy(Decision),
    /// A log was forked, by verified evidence; ours, if its key signs elsewhere too.
    Forked {
        /// Whose log.
        log: MemberId,
        /// The evidence.
        evidence: String,
    },
    /// Local facts that concern no log head.
    Keep(Vec<Fact>),
    /// A member's node is connected.
    Connected(MemberId),
    /// It is not any more.
    Disconnected(MemberId),
    /// Time passes.
    Tick,
}

/// What the driver does.
#[derive(Debug)]
pub enum Order {
    /// Make these facts durable, then go on.
    Commit(Vec<Fact>),
    /// Tell who waits for `token` that its last entry is logged.
    Logged {
        /// The unit's token.
        token: u64,
        /// Index of its last entry.
        index: u64,
        /// Size of the tree that covers it.
        size: u64,
    },
    /// Tell who waits for `token` that nothing of it is logged: it was signed for another place.
    Misplaced {
        /// The unit's token.
        token: u64,
        /// The index at which its key does not count.
        index: u64,
    },
    /// Tell who waits for `token` that nothing of it is logged: the log key did not sign.
    Unsigned {
        /// The unit's token.
        token: u64,
        /// Why.
        cause: NoSignature,
    },
    /// Announce our entries from `from` up to `to`.
    Announce {
        /// First index.
        from: u64,
        /// One past the last index.
        to: u64,
        /// Our checkpoint of size `to`.
        note: String,
    },
    /// A control entry is durable: take what it says.
    Learn {
        /// Whose log.
        log: MemberId,
        /// Which entry.
        index: u64,
        /// What it says.
        manifest: Box<Manifest>,
    },
    /// Send our cosignature to the owner of a log.
    Cosignature {
        /// Whose log.
        log: MemberId,
        /// The checkpoint with our cosignature.
        note: String,
    },
    /// Pull a log from a peer.
    Pull {
        /// Whose log.
        log: MemberId,
        /// From whom.
        peer: MemberId,
        /// From which index on.
        from: u64,
    },
    /// Fetch single entries from a peer.
    Fetch {
        /// Whose log.
        log: MemberId,
        /// From whom.
        peer: MemberId,
        /// Which.
        indexes: Vec<u64>,
    },
    /// Tell an originator why its entry was quarantined.
    Report {
        /// Whose log.
        log: MemberId,
        /// Which entry.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// An operator must look: a log contradicts itself.
    Alarm {
        /// Whose log.
        log: MemberId,
        /// What was seen.
        text: String,
        /// What proves it to anyone, if something does; to be kept before it is told.
        evidence: Option<String>,
    },
    /// Ask a peer for what proves that a log contradicts the checkpoint that we hold.
    Prove {
        /// Whose log.
        log: MemberId,
        /// Whom.
        peer: MemberId,
    },
    /// Show a member the evidence against a log.
    Accuse {
        /// Whose log.
        log: MemberId,
        /// To whom.
        to: MemberId,
        /// The evidence.
        evidence: String,
    },
}
