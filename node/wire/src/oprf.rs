//! Matching: a member learns whether another holds an identifier, and neither shows what it has.
//!
//! The partially oblivious pseudorandom function of RFC 9497, suite `ristretto255-SHA512`. The
//! responder has the key. It gives the asker the *tags* of all that it holds, evaluates what the
//! asker has blinded, and proves that it used the key that it announced in its log. The public part
//! of the input ([`Scope`]) has all that an answer is good for; under another scope every tag is
//! another, so that an answer for one asker, purpose or day is of no use for another.
//!
//! Randomness is an argument. This module knows nothing of lists, limits and who may ask.

#[cfg(test)]
mod tests;

use rand_core::{CryptoRng, RngCore};
use voprf::{BlindedElement, EvaluationElement, Group as _, PoprfClient, PoprfServer, Proof};

use crate::cbor::{self, Value};
use crate::id::MemberId;

/// Bytes of a blinded or evaluated element.
pub const ELEMENT_LEN: usize = 32;
/// Bytes of a proof, which is for all elements of one answer together.
pub const PROOF_LEN: usize = 64;
/// Bytes of a tag: what is kept of an output of 64 bytes.
pub const TAG_LEN: usize = 8;
/// Most questions in one request.
pub const MAX_QUESTIONS: usize = 32;
/// Most identifiers of one type that a member lets others match in one community.
pub const MAX_LISTED: usize = 1 << 18;
/// Most tags of one answer: those of [`MAX_LISTED`] identifiers, padded.
pub const MAX_TAGS: usize = MAX_LISTED + MAX_LISTED / 8;

/// Bound to the seed when the key is made from it (RFC 9497, `DeriveKeyPair`).
const KEY_INFO: &[u8] = b"sealwire match key";

/// An element of the group, in its one encoding.
pub type Element = [u8; ELEMENT_LEN];
/// A proof that all elements of an answer were evaluated under the announced key.
pub type EvaluationProof = [u8; PROOF_LEN];
/// What identifiers are compared by.
pub type Tag = [u8; TAG_LEN];

type Suite = voprf::Ristretto255;

/// Why nothing was evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OprfError {
    /// Bytes that are no element of the group, or its identity.
    #[error("cannot read a blinded or evaluated identifier: it is no element of ristretto255")]
    Element,
    /// The answer was not made with the announced key, for this scope and these questions.
    #[error(
        "cannot accept the answer: it was not made with the announced match key for this question"
    )]
    Proof,
    /// The numbers of questions and answers differ, or there are too many of them, or none.
    #[error("cannot match: 1 to {MAX_QUESTIONS} questions, each with one answer, are expected")]
    Count,
    /// Something that chance makes once in 2^252 times, or an identifier that is too long.
    #[error("cannot match: the group operation has no result for this input")]
    Degenerate,
}

/// What an answer is good for: the public part of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The federation's name.
    pub federation: &'a str,
    /// The community in which is asked.
    pub community: &'a str,
    /// The id of its agreement.
    pub agreement: &'a str,
    /// What for.
    pub purpose: &'a str,
    /// The type of the identifiers, such as `container`.
    pub kind: &'a str,
    /// Who asks.
    pub asker: &'a MemberId,
    /// Who answers.
    pub responder: &'a MemberId,
    /// The epoch of the responder's match key.
    pub epoch: u64,
    /// The responder's day, UTC, counted from 1970-01-01.
    pub day: u64,
    /// When the responder made the tags, seconds since 1970.
    pub serial: u64,
}

impl Scope<'_> {
    /// The `info` of RFC 9497.
    fn info(&self) -> Vec<u8> {
        cbor::encode(&Value::Array(vec![
            "sealwire match".into(),
            self.federation.into(),
            self.community.into(),
            self.agreement.into(),
            self.purpose.into(),
            self.kind.into(),
            self.asker.as_str().into(),
            self.responder.as_str().into(),
            self.epoch.into(),
            self.day.into(),
            self.serial.into(),
        ]))
    }
}

/// The responder's key for one epoch. Wiped from memory when it is dropped.
pub struct MatchKey(PoprfServer<Suite>);

impl MatchKey {
    /// Makes it from 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, OprfError> {
        Self::derive(seed, KEY_INFO)
    }

    fn derive(seed: &[u8; 32], info: &[u8]) -> Result<Self, OprfError> {
        PoprfServer::new_from_seed(seed, info).map(Self).map_err(|_| OprfError::Degenerate)
    }

    /// The public half, which is announced.
    pub fn public(&self) -> Element {
        Suite::serialize_elem(self.0.get_public_key()).into()
    }

    /// The tag of an identifier that the responder holds. About as costly as one answer.
    pub fn tag(&self, scope: &Scope<'_>, identifier: &str) -> Result<Tag, OprfError> {
        let output = self.0.evaluate(identifier.as_bytes(), Some(&scope.info()));
        tag_of(&output.map_err(|_| OprfError::Degenerate)?)
    }

    /// Evaluates blinded identifiers. `random` fills with random bytes.
    pub fn evaluate(
        &self,
        scope: &Scope<'_>,
        blinded: &[Element],
        random: impl FnMut(&mut [u8]),
    ) -> Result<(Vec<Element>, EvaluationProof), OprfError> {
        counted(blinded.len())?;
        let blinded = blinded
            .iter()
            .map(|bytes| BlindedElement::<Suite>::deserialize(bytes))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| OprfError::Element)?;
        let answer = self
            .0
            .batch_blind_evaluate(&mut Drawn(random), &blinded, Some(&scope.info()))
            .map_err(|_| OprfError::Degenerate)?;
        let evaluated = answer.messages.iter().map(|element| element.serialize().into());
        Ok((evaluated.collect(), answer.proof.serialize().into()))
    }
}

/// What an asker keeps of its questions until the answer has come.
pub struct Questions {
    identifiers: Vec<String>,
    blinds: Vec<PoprfClient<Suite>>,
}

impl Questions {
    /// Blinds identifiers, each with fresh random bytes: what comes out says nothing about them,
    /// to nobody, whatever they can compute.
    pub fn blind(
        identifiers: Vec<String>,
        random: impl FnMut(&mut [u8]),
    ) -> Result<(Self, Vec<Element>), OprfError> {
        counted(identifiers.len())?;
        let mut random = Drawn(random);
        let (mut blinds, mut blinded) = (Vec::new(), Vec::new());
        for identifier in &identifiers {
            let made = PoprfClient::<Suite>::blind(identifier.as_bytes(), &mut random);
            let made = made.map_err(|_| OprfError::Degenerate)?;
            blinded.push(made.message.serialize().into());
            blinds.push(made.state);
        }
        Ok((Self { identifiers, blinds }, blinded))
    }

    /// The tags of what was asked, if the answer was made with the key of which `public` is the
    /// public half, for this scope.
    pub fn tags(
        &self,
        scope: &Scope<'_>,
        public: &Element,
        evaluated: &[Element],
        proof: &EvaluationProof,
    ) -> Result<Vec<Tag>, OprfError> {
        if evaluated.len() != self.blinds.len() {
            return Err(OprfError::Count);
        }
        let evaluated = evaluated
            .iter()
            .map(|bytes| EvaluationElement::<Suite>::deserialize(bytes))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| OprfError::Element)?;
        let public = Suite::deserialize_elem(public).map_err(|_| OprfError::Element)?;
        let proof = Proof::<Suite>::deserialize(proof).map_err(|_| OprfError::Proof)?;
        let info = scope.info();
        let identifiers = self.identifiers.iter().map(String::as_bytes);
        PoprfClient::batch_finalize(
            identifiers,
            &self.blinds,
            &evaluated,
            &proof,
            public,
            Some(&info),
        )
        .map_err(|_| OprfError::Proof)?
        .map(|output| tag_of(&output.map_err(|_| OprfError::Degenerate)?))
        .collect()
    }
}

fn counted(questions: usize) -> Result<(), OprfError> {
    if (1..=MAX_QUESTIONS).contains(&questions) { Ok(()) } else { Err(OprfError::Count) }
}

fn tag_of(output: &[u8]) -> Result<Tag, OprfError> {
    output.first_chunk().copied().ok_or(OprfError::Degenerate)
}

/// Random bytes as the crate takes them.
struct Drawn<F>(F);

impl<F: FnMut(&mut [u8])> RngCore for Drawn<F> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        (self.0)(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl<F: FnMut(&mut [u8])> CryptoRng for Drawn<F> {}
