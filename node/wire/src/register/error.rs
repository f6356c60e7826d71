//! Why a register, a draft or an introduction was refused.

use std::fmt;

use super::KeyUse;
use crate::id::{Digest, MemberId};
use crate::signer::NoSignature;

/// Which of the three documents a refusal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A signed register.
    Register,
    /// A register that is still being edited and signed.
    Draft,
    /// The file with which a member introduces itself.
    Introduction,
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register => "register",
            Self::Draft => "register or register draft",
            Self::Introduction => "member introduction",
        })
    }
}

/// A refused register, draft or introduction: what, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The key that was to sign an introduction did not.
    #[error("cannot sign the introduction: {0}")]
    NoSignature(#[from] NoSignature),
    /// More bytes than the named limit.
    #[error(
        "cannot read {document}: {size} bytes, the limit is {limit}\n\
         hint: this is not a file that `sealwire` wrote; ask its sender for it again"
    )]
    TooLarge {
        /// The document.
        document: Document,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not JSON, not of the right shape, or with a name twice in one object.
    #[error(
        "cannot read {document}: {cause}\n\
         hint: the file is not a {document} or was changed by hand; ask its sender for it again"
    )]
    Json {
        /// The document.
        document: Document,
        /// Line, column and cause; told in the text, so not given as a source again.
        cause: serde_json::Error,
    },
    /// Texts on which canonical JSON differs between programs.
    #[error(
        "cannot read {document}: a text holds a control character or is not in Unicode \
         normalisation form C\nhint: type the names again on one line, or convert them to NFC"
    )]
    Ambiguous {
        /// The document.
        document: Document,
    },
    /// One value is not of the form expected there.
    #[error("cannot accept {at}: found {found:?}\nhint: expected {expected}")]
    Field {
        /// JSON pointer of the value.
        at: String,
        /// The value found, shortened.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// More items than the named limit.
    #[error("cannot accept {at}: {count} items, the limit is {limit}\nhint: remove some")]
    TooMany {
        /// JSON pointer of the list.
        at: String,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A seat with no key or with several.
    #[error(
        "cannot accept seat {seat:?}: it has {count} keys\n\
         hint: give each governor's seat exactly one key; the threshold counts seats"
    )]
    SeatKeys {
        /// The seat.
        seat: String,
        /// How many keys it has.
        count: usize,
    },
    /// The keys of the root role are not the keys of the seats.
    #[error(
        "cannot accept key {keyid}: it is not listed in all three of signed.keys, the root role \
         and one seat\nhint: let every root key be listed in each once, and no other key"
    )]
    SeatMismatch {
        /// The key id.
        keyid: Digest,
    },
    /// A threshold of zero or above the number of seats.
    #[error(
        "cannot accept threshold {threshold} of {seats} seats\n\
         hint: choose a threshold from 1 to the number of governors"
    )]
    Threshold {
        /// Signatures required.
        threshold: u32,
        /// Seats there are.
        seats: usize,
    },
    /// One public key in two places.
    #[error(
        "cannot accept {second}: its key {thumbprint} is also {first}\n\
         hint: make a new key; no key serves two members, two governors or two uses"
    )]
    KeyReused {
        /// Thumbprint of the key.
        thumbprint: Digest,
        /// Where it was seen first.
        first: String,
        /// Where it was seen again.
        second: String,
    },
    /// An active member has no current key for a use, or two where one is allowed.
    #[error(
        "cannot accept member {member}: it has {count} current {use_} keys, expected {expected}\n\
         hint: an active member has one current node, log and cosign key and at least one sign key"
    )]
    CurrentKeys {
        /// The member.
        member: MemberId,
        /// The use of the key.
        use_: KeyUse,
        /// How many keys without an end there are.
        count: usize,
        /// How many there should be.
        expected: &'static str,
    },
    /// A community lists a member that the register does not know.
    #[error(
        "cannot accept community {community:?}: {member} is not a member\n\
         hint: add the member first, or take it out of the community"
    )]
    UnknownMember {
        /// The community.
        community: String,
        /// The member named.
        member: MemberId,
    },
    /// A community lists a member that has left.
    #[error(
        "cannot accept community {community:?}: {member} has left the federation\n\
         hint: take it out of the community"
    )]
    MemberLeft {
        /// The community.
        community: String,
        /// The member named.
        member: MemberId,
    },
    /// A community lists a record kind for which the register pins no schema.
    #[error(
        "cannot accept community {community:?}: the register has no schema for {kind:?}\n\
         hint: correct the kind, or add its schema to the register"
    )]
    UnknownKind {
        /// The community.
        community: String,
        /// The kind named.
        kind: String,
    },
    /// More witnesses required than a community can give.
    #[error(
        "cannot accept community {community:?}: {witnesses} witnesses required, but only {others} \
         members can cosign another's log\nhint: lower the number of witnesses or add members"
    )]
    Witnesses {
        /// The community.
        community: String,
        /// Cosignatures required.
        witnesses: u32,
        /// Members besides the owner of a log.
        others: usize,
    },
    /// Two signatures under one key id.
    #[error(
        "cannot accept register: key {keyid} signed twice\n\
         hint: each governor counts once; remove the second signature"
    )]
    SignedTwice {
        /// The key id.
        keyid: Digest,
    },
    /// Too few valid signatures of one version's governors.
    #[error(
        "cannot trust register version {version}: {valid} valid signatures of the governors of \
         version {governors_of}, {threshold} are required (unsigned or not valid: {missing})\n\
         hint: `sealwire register sign` with further governors' keys"
    )]
    TooFewSignatures {
        /// The version that was read.
        version: u64,
        /// The version whose governors were counted.
        governors_of: u64,
        /// Valid signatures.
        valid: usize,
        /// Signatures required.
        threshold: u32,
        /// Seats without a valid signature, separated by commas.
        missing: String,
    },
    /// A first register without a pinned digest must be version 1.
    #[error(
        "cannot trust register version {found} as the first: nothing vouches for it\n\
         hint: start with version 1 and read every later one, or give the fingerprint that a \
         governor read to you"
    )]
    NotFirst {
        /// The version that was read.
        found: u64,
    },
    /// Another register than the pinned one.
    #[error(
        "cannot trust register: its digest is {found}, pinned is {pinned}\n\
         hint: compare the fingerprint with a governor by telephone"
    )]
    Pinned {
        /// The digest that was given.
        pinned: Digest,
        /// The digest of the register that was read.
        found: Digest,
    },
    /// Not the next version: older, the same, or one that skips.
    #[error(
        "cannot update register from version {current} to version {found}\n\
         hint: versions follow one another; read version {} next", current.saturating_add(1)
    )]
    Version {
        /// The version in force.
        current: u64,
        /// The version that was read.
        found: u64,
    },
    /// The register of another federation.
    #[error(
        "cannot update register of {current:?} with one of {found:?}\n\
         hint: this file belongs to another federation"
    )]
    Federation {
        /// The federation in force.
        current: String,
        /// The federation of the register that was read.
        found: String,
    },
    /// A new version without a member of the previous one.
    #[error(
        "cannot update register: member {member} is missing in the new version\n\
         hint: keep it with status \"left\"; its earlier entries must stay verifiable"
    )]
    MemberDropped {
        /// The member.
        member: MemberId,
    },
    /// A new version that takes a member's key away or changes its past.
    #[error(
        "cannot update register: key {thumbprint} of member {member} is missing or its interval \
         was changed\nhint: keep every key with its use and `from`; end it by setting `until`, \
         which may later be lowered but not raised"
    )]
    KeyHistory {
        /// The member.
        member: MemberId,
        /// Thumbprint of the key.
        thumbprint: Digest,
    },
    /// The signing key belongs to no governor of this draft or of the version before.
    #[error(
        "cannot sign draft: key {keyid} has no seat in it\n\
         hint: use a governor's key; to sign as a governor of the version before, give that \
         version as well"
    )]
    NoSeat {
        /// The key id.
        keyid: Digest,
    },
    /// Something of that name is in the draft already.
    #[error("cannot add {what} {name:?}: the draft already has it\nhint: choose another name")]
    Exists {
        /// What was added.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something of that name is not in the draft.
    #[error("cannot change {what} {name:?}: the draft does not have it\nhint: check the spelling")]
    Absent {
        /// What was to be changed.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The introduction was not signed by its own sign key.
    #[error(
        "cannot accept introduction of {member}: its signature does not fit its content\n\
         hint: the file was changed after `sealwire init` wrote it; ask the member for it again"
    )]
    IntroductionSignature {
        /// The member.
        member: MemberId,
    },
    /// A member that is in the draft introduces itself with other keys.
    #[error(
        "cannot add member {member}: the draft has it with other keys\n\
         hint: end the old keys and add the new ones, so that earlier entries stay verifiable"
    )]
    OtherKeys {
        /// The member.
        member: MemberId,
    },
}

impl RegisterError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSignature(_) => "introduction-not-signed",
            Self::TooLarge { .. } => "register-too-large",
            Self::Json { .. } => "register-not-json",
            Self::Ambiguous { .. } => "register-ambiguous-text",
            Self::Field { .. } => "register-field",
            Self::TooMany { .. } => "register-too-many",
            Self::SeatKeys { .. } => "register-seat-keys",
            Self::SeatMismatch { .. } => "register-seat-mismatch",
            Self::Threshold { .. } => "register-threshold",
            Self::KeyReused { .. } => "register-key-reused",
            Self::CurrentKeys { .. } => "register-current-keys",
            Self::UnknownMember { .. } => "register-unknown-member",
            Self::MemberLeft { .. } => "register-member-left",
            Self::UnknownKind { .. } => "register-unknown-kind",
            Self::Witnesses { .. } => "register-witnesses",
            Self::SignedTwice { .. } => "register-signed-twice",
            Self::TooFewSignatures { .. } => "register-too-few-signatures",
            Self::NotFirst { .. } => "register-not-first",
            Self::Pinned { .. } => "register-pinned",
            Self::Version { .. } => "register-version",
            Self::Federation { .. } => "register-federation",
            Self::MemberDropped { .. } => "register-member-dropped",
            Self::KeyHistory { .. } => "register-key-history",
            Self::NoSeat { .. } => "register-no-seat",
            Self::Exists { .. } => "register-exists",
            Self::Absent { .. } => "register-absent",
            Self::IntroductionSignature { .. } => "introduction-signature",
            Self::OtherKeys { .. } => "introduction-other-keys",
        }
    }
}
