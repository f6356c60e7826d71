//! Checkpoints (C2SP `tlog-checkpoint`) and their cosignatures.
//!
//! A checkpoint is the signed head of a log: origin, size, root. Our profile has exactly these
//! three lines, the key's name being the origin, `<federation>/<member>`; a cosigner's key has the
//! name of its own member. The ladder: note → [`SignedCheckpoint`] (the log's signature holds).
//!
//! This module knows nothing of which keys belong to whom, or of clocks.

mod cosignature;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};

use crate::id::Digest;
use crate::note::{Note, NoteError, NoteSignature, TYPE_ED25519, check_name, key_id};
use crate::signer::{Ed25519Signer, IN_MEMORY, NoSignature};

#[cfg(test)]
pub(crate) use cosignature::subtree_message;
pub use cosignature::{
    MAX_COSIGNATURE_TIME, MAX_COSIGNED_NAME_BYTES, cosign, cosign_mldsa, cosign_with,
    verify_cosignature, verify_cosignature_mldsa, verify_cosignature_of,
};

/// Why a checkpoint or cosignature was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not the three lines of a checkpoint.
    #[error("cannot read checkpoint: not exactly origin, decimal size and base64 root")]
    Form,
    /// A checkpoint of another log.
    #[error("cannot accept checkpoint: it is of {found:?}, not of {expected:?}")]
    OtherLog {
        /// Origin asked for.
        expected: String,
        /// Origin found.
        found: String,
    },
    /// No signature of the log's key.
    #[error("cannot accept checkpoint: not signed by the key of {0:?}")]
    NotSigned(String),
    /// A signature that does not hold.
    #[error("cannot accept checkpoint: the signature of {0:?} does not hold")]
    BadSignature(String),
    /// A cosignature of another form, or with time zero.
    #[error("cannot read cosignature of {0:?}: not a time and a signature of its type")]
    CosignatureForm(String),
    /// A time or names that no ML-DSA-44 cosignature can have.
    #[error(
        "cannot cosign as {name:?} at {time}: the time must be from 1 to {MAX_COSIGNATURE_TIME}, \
         and names have at most {MAX_COSIGNED_NAME_BYTES} bytes"
    )]
    CannotCosign {
        /// The cosigner.
        name: String,
        /// The time asked for.
        time: u64,
    },
}

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root hash.
    pub root: Digest,
}

impl Checkpoint {
    /// Reads the text of a note.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Form)?.split('\n');
        let (origin, size, root) = match (lines.next(), lines.next(), lines.next(), lines.next()) {
            (Some(origin), Some(size), Some(root), None) if check_name(origin).is_ok() => {
                (origin, size, root)
            }
            _ => return Err(CheckpointError::Form),
        };
        let canonical = |size: &u64| size.to_string();
        let number = size.parse().ok().filter(|n| canonical(n) == size);
        let hash = STANDARD.decode(root).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
        match (number, hash) {
            (Some(size), Some(hash)) => {
                Ok(Self { origin: origin.to_owned(), size, root: Digest(hash) })
            }
            _ => Err(CheckpointError::Form),
        }
    }
}

impl fmt::Display for Checkpoint {
    /// The text of the note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }
}

/// Signs a checkpoint with the log's key (type 0x01), whose name is the origin. An origin that
/// cannot be a key's name is left unsigned, and so accepted by nobody.
pub fn sign(checkpoint: &Checkpoint, key: &SigningKey) -> Note {
    sign_with(checkpoint, key).expect(IN_MEMORY)
}

/// As [`sign`], with a key that may be elsewhere.
pub fn sign_with(checkpoint: &Checkpoint, key: &impl Ed25519Signer) -> Result<Note, NoSignature> {
    let text = checkpoint.to_string();
    let id = key_id(&checkpoint.origin, TYPE_ED25519, &key.public());
    let bytes = key.sign(text.as_bytes())?.to_vec();
    let signature = NoteSignature::new(&checkpoint.origin, id, bytes);
    Ok(Note::new(text, signature.into_iter().collect()))
}

/// A checkpoint whose log signature holds, with whatever other signatures came along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
    log_key_id: [u8; 4],
}

impl SignedCheckpoint {
    /// Reads a note and checks that it is the checkpoint of `origin`, signed by the log's key.
    /// Signatures of keys that are not asked for are neither checked nor refused.
    pub fn verify(bytes: &[u8], origin: &str, key: &[u8; 32]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::OtherLog {
                expected: origin.to_owned(),
                found: checkpoint.origin,
            });
        }
        let log_key_id = key_id(origin, TYPE_ED25519, key);
        let ours = |s: &&NoteSignature| s.name() == origin && s.key_id() == log_key_id;
        let mut signed = note.signatures().iter().filter(ours).peekable();
        if signed.peek().is_none() {
            return Err(CheckpointError::NotSigned(origin.to_owned()));
        }
        // A known key whose signature fails refuses the whole note (signed-note).
        let all_hold = signed.all(|s| {
            <&[u8; 64]>::try_from(s.bytes())
                .is_ok_and(|bytes| verify_strict(key, note.text().as_bytes(), bytes))
        });
        if !all_hold {
            return Err(CheckpointError::BadSignature(origin.to_owned()));
        }
        Ok(Self { checkpoint, note, log_key_id })
    }

    /// The head.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// All signature lines.
    pub fn signatures(&self) -> impl Iterator<Item = &NoteSignature> {
        self.note.signatures().iter()
    }

    /// The note with the log's signature only.
    pub fn bare(&self) -> Note {
        let ours = |s: &&NoteSignature| {
            s.name() == self.checkpoint.origin && s.key_id() == self.log_key_id
        };
        let signature = self.note.signatures().iter().find(ours).cloned();
        Note::new(self.note.text().to_owned(), signature.into_iter().collect())
    }

    /// The note as received.
    pub fn note(&self) -> &Note {
        &self.note
    }
}

pub(crate) fn verify_strict(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "test.example/ID".into(), size: 7, root: Digest([3; 32]) }
    }

    fn key(seed: u8) -> (SigningKey, [u8; 32]) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = key.verifying_key().to_bytes();
        (key, public)
    }

    #[test]
    fn a_signed_checkpoint_verifies_under_its_key_and_origin_only() {
        let (log, public) = key(1);
        let note = sign(&checkpoint(), &log).to_string();
        let verify =
            |origin: &str, public| SignedCheckpoint::verify(note.as_bytes(), origin, public);
        assert_eq!(*verify("test.example/ID", &public).unwrap().checkpoint(), checkpoint());
        assert!(matches!(
            verify("test.example/SG", &public),
            Err(CheckpointError::OtherLog { .. })
        ));
        assert!(matches!(verify("test.example/ID", &key(2).1), Err(CheckpointError::NotSigned(_))));
        let altered = note.replacen("\n7\n", "\n8\n", 1);
        assert!(matches!(
            SignedCheckpoint::verify(altered.as_bytes(), "test.example/ID", &public),
            Err(CheckpointError::BadSignature(_))
        ));
    }

    #[test]
    fn refuses_every_other_form_of_checkpoint() {
        let root = STANDARD.encode([0; 32]);
        for bad in [
            "".to_owned(),
            format!("o\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("o o\n1\n{root}\n"),
            format!("o+o\n1\n{root}\n"),
            format!("o\n\n{root}\n"),
            format!("o\n18446744073709551616\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            "o\n1\nAAAA\n".to_owned(),
            format!("o\n1\n{root}\nextension\n"),
        ] {
            assert_eq!(Checkpoint::parse(&bad), Err(CheckpointError::Form), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[ -~\n]{0,120}") {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert_eq!(checkpoint.to_string(), text);
            }
        }
    }
}
