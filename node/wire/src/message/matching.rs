//! Questions whether a member holds identifiers, and the answers: see [`crate::oprf`].

use crate::cbor::{self, CborError, Reader, Value};
use crate::id::is_word;
use crate::oprf::{ELEMENT_LEN, Element, EvaluationProof, MAX_QUESTIONS, MAX_TAGS, TAG_LEN};

use super::{REQUEST, RESPONSE};

/// In which community, what for, and identifiers of which type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct About {
    /// The community whose agreement covers it.
    pub community: String,
    /// The purpose.
    pub purpose: String,
    /// The type of the identifiers, such as `container`.
    pub kind: String,
}

/// Blinded identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blinded {
    /// What they are about.
    pub about: About,
    /// Which tags the asker has: the answer is good for those alone.
    pub serial: u64,
    /// One element for each question, 1 to [`MAX_QUESTIONS`].
    pub elements: Vec<Element>,
}

/// The tags of all that the responder holds of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// Epoch of the match key that they were made with.
    pub epoch: u64,
    /// Day that they are good for, UTC, counted from 1970-01-01.
    pub day: u64,
    /// When they were made, seconds since 1970.
    pub serial: u64,
    /// The tags in bytewise order, each of [`TAG_LEN`] bytes; random ones among them, so that
    /// their number says little.
    pub tags: Vec<u8>,
}

impl About {
    pub(super) fn args(&self) -> Vec<Value> {
        [&self.community, &self.purpose, &self.kind].map(|word| Value::from(word.as_str())).into()
    }

    pub(super) fn take(args: &mut Reader) -> Result<Self, CborError> {
        let mut word = |at: &str| {
            let word = args.take_text(at)?;
            let bad = || cbor::shape(REQUEST, "about", "small letters, digits and hyphens");
            if is_word(&word) { Ok(word) } else { Err(bad()) }
        };
        Ok(Self { community: word("0")?, purpose: word("1")?, kind: word("2")? })
    }
}

impl Blinded {
    pub(super) fn args(&self) -> Vec<Value> {
        let mut args = self.about.args();
        args.extend([Value::from(self.serial), elements_value(&self.elements)]);
        args
    }

    pub(super) fn take(args: &mut Reader) -> Result<Self, CborError> {
        Ok(Self {
            about: About::take(args)?,
            serial: args.take_u64("3")?,
            elements: read_elements(REQUEST, args.take_bytes("4")?)?,
        })
    }
}

impl Tags {
    pub(super) fn args(&self) -> Vec<Value> {
        let numbers = [self.epoch, self.day, self.serial].map(Value::from);
        numbers.into_iter().chain([cbor::bytes(self.tags.as_slice())]).collect()
    }

    pub(super) fn take(args: &mut Reader) -> Result<Self, CborError> {
        let tags = Self {
            epoch: args.take_u64("0")?,
            day: args.take_u64("1")?,
            serial: args.take_u64("2")?,
            tags: args.take_bytes("3")?,
        };
        let (each, rest) = tags.tags.as_chunks::<TAG_LEN>();
        if !rest.is_empty() || each.len() > MAX_TAGS || !each.is_sorted() {
            let expected = "a multiple of 8 bytes within the limit, in order";
            return Err(cbor::shape(RESPONSE, "tags", expected));
        }
        Ok(tags)
    }
}

/// The arguments of an answer to [`Blinded`].
pub(super) fn evaluated_args(elements: &[Element], proof: &EvaluationProof) -> Vec<Value> {
    vec![elements_value(elements), cbor::bytes(*proof)]
}

/// Reads them.
pub(super) fn take_evaluated(
    args: &mut Reader,
) -> Result<(Vec<Element>, EvaluationProof), CborError> {
    Ok((read_elements(RESPONSE, args.take_bytes("0")?)?, args.take_fixed("1")?))
}

/// Elements travel as one byte string, 32 bytes each.
fn elements_value(elements: &[Element]) -> Value {
    Value::Bytes(elements.concat())
}

fn read_elements(what: &'static str, bytes: Vec<u8>) -> Result<Vec<Element>, CborError> {
    let (elements, rest) = bytes.as_chunks::<ELEMENT_LEN>();
    if !rest.is_empty() || !(1..=MAX_QUESTIONS).contains(&elements.len()) {
        return Err(cbor::shape(what, "elements", "1 to 32 times 32 bytes"));
    }
    Ok(elements.to_vec())
}
