//! C2SP `tlog-witness`: the body of an `add-checkpoint` request.
//!
//! `old <size>`, the consistency proof from that size, an empty line, and the checkpoint with the
//! log's signature. This module knows nothing of what the witness has seen before.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::id::Digest;
use crate::note::MAX_NOTE_BYTES;

/// Most lines of the proof (C2SP tlog-witness).
pub const MAX_PROOF_LINES: usize = 63;
/// Largest body accepted, in bytes.
pub const MAX_ADD_CHECKPOINT_BYTES: usize = MAX_NOTE_BYTES + 64 * MAX_PROOF_LINES;
/// Media type of the size that a refused client is told.
pub const TLOG_SIZE_TYPE: &str = "text/x.tlog.size";

/// Why a body is not an `add-checkpoint` request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read add-checkpoint request: {0} (hint: `old <size>`, at most 63 lines of base64, an \
     empty line, the checkpoint)"
)]
pub struct AddCheckpointError(&'static str);

/// A checkpoint that a witness is asked to cosign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size that the witness is believed to have cosigned last; 0 for none.
    pub old: u64,
    /// Consistency proof from `old` to the checkpoint (RFC 9162 section 2.1.4).
    pub proof: Vec<Digest>,
    /// The checkpoint as a signed note, verbatim.
    pub checkpoint: String,
}

impl AddCheckpoint {
    /// Reads a body in its only spelling.
    pub fn parse(bytes: &[u8]) -> Result<Self, AddCheckpointError> {
        let refused = |cause| Err(AddCheckpointError(cause));
        if bytes.len() > MAX_ADD_CHECKPOINT_BYTES {
            return refused("it is too large");
        }
        let Ok(text) = str::from_utf8(bytes) else { return refused("it is not UTF-8") };
        let Some((head, checkpoint)) = text.split_once("\n\n") else {
            return refused("it has no empty line");
        };
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let Some(old) = old.and_then(decimal) else {
            return refused("its first line is not `old` and a decimal size");
        };
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_LINES {
                return refused("its proof has more than 63 lines");
            }
            let Some(hash) = hash(line) else {
                return refused("a line of its proof is not the base64 of 32 bytes");
            };
            proof.push(hash);
        }
        Ok(Self { old, proof, checkpoint: checkpoint.to_owned() })
    }

    /// First line of the checkpoint: the origin of its log.
    pub fn origin(&self) -> &str {
        self.checkpoint.split('\n').next().unwrap_or_default()
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

fn decimal(text: &str) -> Option<u64> {
    u64::from_str(text).ok().filter(|size| size.to_string() == text)
}

fn hash(line: &str) -> Option<Digest> {
    STANDARD.decode(line).ok()?.try_into().ok().map(Digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_back() {
        let request = AddCheckpoint {
            old: 20852163,
            proof: vec![Digest([1; 32]), Digest([2; 32])],
            checkpoint: "log.example/1\n20852165\nroot\n\n\u{2014} log.example/1 AAAA\n".to_owned(),
        };
        let text = request.to_string();
        assert!(text.starts_with("old 20852163\nAQEB"), "{text}");
        assert_eq!(AddCheckpoint::parse(text.as_bytes()), Ok(request.clone()));
        assert_eq!(request.origin(), "log.example/1");
    }

    #[test]
    fn refuses_other_spellings_and_too_much() {
        let line = STANDARD.encode([7; 32]);
        let many = format!("old 1\n{}\nnote", format!("{line}\n").repeat(64));
        for (bad, cause) in [
            ("old 1\nnote\n", "no empty line"),
            ("old 01\n\nnote\n", "first line"),
            ("old -1\n\nnote\n", "first line"),
            ("new 1\n\nnote\n", "first line"),
            ("old 1\nAQ==\n\nnote\n", "32 bytes"),
            ("old 1\n*\n\nnote\n", "32 bytes"),
            (&many, "63 lines"),
            (&" ".repeat(MAX_ADD_CHECKPOINT_BYTES + 1), "too large"),
        ] {
            let refused = AddCheckpoint::parse(bad.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(cause), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes in "(old [0-9]{1,3}\n)?([A-Za-z0-9+/=]{44}\n){0,3}\n?[ -~\n]{0,40}") {
            if let Ok(read) = AddCheckpoint::parse(bytes.as_bytes()) {
                prop_assert_eq!(read.to_string(), bytes);
            }
        }
    }
}
