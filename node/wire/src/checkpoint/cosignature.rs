//! Cosignatures (C2SP `tlog-cosignature`): type 0x04 with Ed25519, type 0x06 with ML-DSA-44.
//!
//! Both say that as of their time this was the largest consistent tree of the log that the
//! cosigner had seen. What the second signs holds the cosigner's name too.

use ed25519_dalek::SigningKey;

use super::{Checkpoint, CheckpointError, verify_strict};
use crate::mldsa::{self, MLDSA_PUBLIC_BYTES, MlDsaKey};
use crate::note::{
    NoteError, NoteSignature, PublicKey, TYPE_COSIGNATURE, TYPE_MLDSA_COSIGNATURE, VerifierKey,
    key_id,
};
use crate::signer::{Ed25519Signer, IN_MEMORY, NoSignature};

/// Longest name of a cosigner or log in an ML-DSA-44 cosignature, in bytes: its length is one byte.
pub const MAX_COSIGNED_NAME_BYTES: usize = 255;
/// Latest time of a cosignature, seconds since 1970.
pub const MAX_COSIGNATURE_TIME: u64 = i64::MAX.unsigned_abs();
/// What an ML-DSA-44 cosignature signs begins with this.
const SUBTREE_LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// Cosigns a checkpoint (type 0x04) as `name` at `time`, seconds since 1970: as of then this is
/// the largest consistent tree of the log that the cosigner has seen.
pub fn cosign(
    checkpoint: &Checkpoint,
    name: &str,
    key: &SigningKey,
    time: u64,
) -> Result<NoteSignature, NoteError> {
    cosign_with(checkpoint, name, key, time).expect(IN_MEMORY)
}

/// As [`cosign`], with a key that may be elsewhere.
pub fn cosign_with(
    checkpoint: &Checkpoint,
    name: &str,
    key: &impl Ed25519Signer,
    time: u64,
) -> Result<Result<NoteSignature, NoteError>, NoSignature> {
    let signature = key.sign(&cosigned_message(checkpoint, time))?;
    let id = key_id(name, TYPE_COSIGNATURE, &key.public());
    Ok(NoteSignature::new(name, id, [time.to_be_bytes().as_slice(), &signature].concat()))
}

/// Whether a signature line is the cosignature of `name` under `public`; gives its time, seconds
/// since 1970.
pub fn verify_cosignature(
    checkpoint: &Checkpoint,
    name: &str,
    public: &[u8; 32],
    signature: &NoteSignature,
) -> Result<u64, CheckpointError> {
    let named =
        signature.name() == name && signature.key_id() == key_id(name, TYPE_COSIGNATURE, public);
    if !named {
        return Err(CheckpointError::NotSigned(name.to_owned()));
    }
    let (time, bytes) = timed(name, signature)?;
    verify_strict(public, &cosigned_message(checkpoint, time), bytes)
        .then_some(time)
        .ok_or_else(|| CheckpointError::BadSignature(name.to_owned()))
}

/// As [`cosign`], with ML-DSA-44 (type 0x06).
pub fn cosign_mldsa(
    checkpoint: &Checkpoint,
    name: &str,
    key: &MlDsaKey,
    time: u64,
) -> Result<NoteSignature, CheckpointError> {
    let message = subtree_message(checkpoint, name, time, 0);
    let message = message.filter(|_| (1..=MAX_COSIGNATURE_TIME).contains(&time));
    let message =
        message.ok_or_else(|| CheckpointError::CannotCosign { name: name.to_owned(), time })?;
    let id = key_id(name, TYPE_MLDSA_COSIGNATURE, &key.public());
    let bytes = [time.to_be_bytes().as_slice(), &key.sign(&message)].concat();
    Ok(NoteSignature::new(name, id, bytes)?)
}

/// As [`verify_cosignature`], of an ML-DSA-44 cosignature (type 0x06).
pub fn verify_cosignature_mldsa(
    checkpoint: &Checkpoint,
    name: &str,
    public: &[u8; MLDSA_PUBLIC_BYTES],
    signature: &NoteSignature,
) -> Result<u64, CheckpointError> {
    let named = signature.name() == name
        && signature.key_id() == key_id(name, TYPE_MLDSA_COSIGNATURE, public);
    if !named {
        return Err(CheckpointError::NotSigned(name.to_owned()));
    }
    let (time, bytes) = timed(name, signature)?;
    let message = subtree_message(checkpoint, name, time, 0);
    let message = message.ok_or_else(|| CheckpointError::CosignatureForm(name.to_owned()))?;
    mldsa::verify(public, &message, bytes)
        .then_some(time)
        .ok_or_else(|| CheckpointError::BadSignature(name.to_owned()))
}

/// As [`verify_cosignature`], of the kind that the key is of. A log's key cosigns nothing.
pub fn verify_cosignature_of(
    checkpoint: &Checkpoint,
    cosigner: &VerifierKey,
    signature: &NoteSignature,
) -> Result<u64, CheckpointError> {
    let name = &cosigner.name;
    match &cosigner.public {
        PublicKey::Cosignature(public) => verify_cosignature(checkpoint, name, public, signature),
        PublicKey::MlDsaCosignature(public) => {
            verify_cosignature_mldsa(checkpoint, name, public, signature)
        }
        PublicKey::Ed25519(_) => Err(CheckpointError::NotSigned(name.clone())),
    }
}

fn cosigned_message(checkpoint: &Checkpoint, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{checkpoint}").into_bytes()
}

/// What an ML-DSA-44 cosignature signs: the hash of the leaves from `start` on. A checkpoint's
/// begins at 0. Nothing, if a name has no length of one byte.
pub(crate) fn subtree_message(
    checkpoint: &Checkpoint,
    name: &str,
    time: u64,
    start: u64,
) -> Option<Vec<u8>> {
    let Checkpoint { origin, size, root } = checkpoint;
    let length = |name: &str| u8::try_from(name.len()).ok().filter(|length| *length > 0);
    let mut message = SUBTREE_LABEL.to_vec();
    message.push(length(name)?);
    message.extend_from_slice(name.as_bytes());
    message.extend_from_slice(&time.to_be_bytes());
    message.push(length(origin)?);
    message.extend_from_slice(origin.as_bytes());
    message.extend_from_slice(&start.to_be_bytes());
    message.extend_from_slice(&size.to_be_bytes());
    message.extend_from_slice(&root.0);
    Some(message)
}

/// The time and the signature of a cosignature line.
fn timed<'a, const N: usize>(
    name: &str,
    signature: &'a NoteSignature,
) -> Result<(u64, &'a [u8; N]), CheckpointError> {
    let split = signature.bytes().split_first_chunk::<8>();
    split
        .and_then(|(time, bytes)| Some((u64::from_be_bytes(*time), bytes.try_into().ok()?)))
        .filter(|(time, _)| (1..=MAX_COSIGNATURE_TIME).contains(time))
        .ok_or_else(|| CheckpointError::CosignatureForm(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{SignedCheckpoint, sign};
    use crate::id::Digest;

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "test.example/ID".into(), size: 7, root: Digest([3; 32]) }
    }

    fn key(seed: u8) -> (SigningKey, [u8; 32]) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = key.verifying_key().to_bytes();
        (key, public)
    }

    #[test]
    fn a_cosignature_binds_its_time_and_name() {
        let (log, public) = key(1);
        let (witness, witness_public) = key(2);
        let mut note = sign(&checkpoint(), &log);
        let line = cosign(&checkpoint(), "test.example/SG", &witness, 99).unwrap();
        note.add(line.clone());
        note.add(line.clone());
        let signed =
            SignedCheckpoint::verify(note.to_string().as_bytes(), "test.example/ID", &public)
                .unwrap();
        assert_eq!(signed.signatures().count(), 2);
        assert_eq!(signed.bare().signatures().len(), 1);
        let check = |checkpoint: &Checkpoint, name: &str, line: &NoteSignature| {
            verify_cosignature(checkpoint, name, &witness_public, line)
        };
        assert_eq!(check(&checkpoint(), "test.example/SG", &line), Ok(99));
        assert!(check(&checkpoint(), "test.example/AU", &line).is_err());
        let other = Checkpoint { size: 8, ..checkpoint() };
        assert!(check(&other, "test.example/SG", &line).is_err());
        let mut later = line.bytes().to_vec();
        later[7] += 1;
        let later = NoteSignature::new(line.name(), line.key_id(), later).unwrap();
        assert!(check(&checkpoint(), "test.example/SG", &later).is_err());
        let never = cosign(&checkpoint(), "test.example/SG", &witness, 0).unwrap();
        assert!(check(&checkpoint(), "test.example/SG", &never).is_err(), "time zero");
    }

    #[test]
    fn an_mldsa_cosignature_binds_every_field_of_what_it_signs() {
        let (origin, name) = ("test.example/ID", "test.example/SG");
        let key = MlDsaKey::from_seed(&[2; 32]);
        let public = key.public();
        let line = cosign_mldsa(&checkpoint(), name, &key, 99).unwrap();
        assert_eq!(NoteSignature::parse(&line.to_string()), Some(line.clone()));
        assert_eq!(line.bytes().len(), 8 + mldsa::MLDSA_SIGNATURE_BYTES);
        let check = |checkpoint: &Checkpoint, name: &str, line: &NoteSignature| {
            verify_cosignature_mldsa(checkpoint, name, &public, line)
        };
        assert_eq!(check(&checkpoint(), name, &line), Ok(99));
        let renamed = |name| {
            let id = key_id(name, TYPE_MLDSA_COSIGNATURE, &public);
            NoteSignature::new(name, id, line.bytes().to_vec()).unwrap()
        };
        let false_ = |name: &str| Err(CheckpointError::BadSignature(name.to_owned()));
        let au = "test.example/AU";
        assert_eq!(check(&checkpoint(), au, &renamed(au)), false_(au), "the cosigner's name");
        let root = Digest([4; 32]);
        for (why, other) in [
            ("size", Checkpoint { size: 8, ..checkpoint() }),
            ("root", Checkpoint { root, ..checkpoint() }),
            ("origin", Checkpoint { origin: origin.replace("ID", "AU"), ..checkpoint() }),
        ] {
            assert_eq!(check(&other, name, &line), false_(name), "{why}");
        }
        let with = |at: usize, time: u64| {
            let mut bytes = [time.to_be_bytes().as_slice(), &line.bytes()[8..]].concat();
            bytes[at] ^= 1;
            NoteSignature::new(name, line.key_id(), bytes).unwrap()
        };
        assert_eq!(check(&checkpoint(), name, &with(7, 99)), false_(name), "the time");
        for at in [8, 40, 2300, 8 + 2419] {
            assert_eq!(check(&checkpoint(), name, &with(at, 99)), false_(name), "byte {at}");
        }
        let form = Err(CheckpointError::CosignatureForm(name.to_owned()));
        for bytes in [&line.bytes()[..100], &line.bytes()[8..], &[line.bytes(), &[0]].concat()] {
            let cut = NoteSignature::new(name, line.key_id(), bytes.to_vec()).unwrap();
            assert_eq!(check(&checkpoint(), name, &cut), form);
        }
    }

    #[test]
    fn an_mldsa_cosignature_starts_at_the_first_leaf_and_has_a_time() {
        let (name, key) = ("test.example/SG", MlDsaKey::from_seed(&[2; 32]));
        let id = key_id(name, TYPE_MLDSA_COSIGNATURE, &key.public());
        let signed = |time: u64, start| {
            let message = subtree_message(&checkpoint(), name, time, start).unwrap();
            let bytes = [time.to_be_bytes().as_slice(), &key.sign(&message)].concat();
            let line = NoteSignature::new(name, id, bytes).unwrap();
            verify_cosignature_mldsa(&checkpoint(), name, &key.public(), &line)
        };
        assert_eq!(signed(MAX_COSIGNATURE_TIME, 0), Ok(MAX_COSIGNATURE_TIME));
        assert_eq!(signed(5, 1), Err(CheckpointError::BadSignature(name.to_owned())));
        for time in [0, MAX_COSIGNATURE_TIME + 1] {
            assert_eq!(signed(time, 0), Err(CheckpointError::CosignatureForm(name.to_owned())));
            let refusal = cosign_mldsa(&checkpoint(), name, &key, time);
            assert!(matches!(refusal, Err(CheckpointError::CannotCosign { .. })), "{refusal:?}");
        }
        let long = "n".repeat(MAX_COSIGNED_NAME_BYTES + 1);
        assert!(cosign_mldsa(&checkpoint(), &long[1..], &key, 5).is_ok());
        assert!(cosign_mldsa(&checkpoint(), &long, &key, 5).is_err());
        assert!(cosign_mldsa(&checkpoint(), "", &key, 5).is_err());
        let of_long = Checkpoint { origin: long, ..checkpoint() };
        assert!(cosign_mldsa(&of_long, name, &key, 5).is_err());
    }

    #[test]
    fn the_two_kinds_of_cosignature_stand_in_one_note_and_are_not_taken_for_each_other() {
        let (log, public) = key(1);
        let name = "test.example/SG";
        let (ed25519, mldsa) = (key(2), MlDsaKey::from_seed(&[2; 32]));
        let mut note = sign(&checkpoint(), &log);
        note.add(cosign(&checkpoint(), name, &ed25519.0, 99).unwrap());
        note.add(cosign_mldsa(&checkpoint(), name, &mldsa, 99).unwrap());
        let signed =
            SignedCheckpoint::verify(note.to_string().as_bytes(), "test.example/ID", &public)
                .unwrap();
        let keys = [
            PublicKey::Cosignature(ed25519.1),
            PublicKey::MlDsaCosignature(Box::new(mldsa.public())),
            PublicKey::Ed25519(ed25519.1),
        ]
        .map(|public| VerifierKey { name: name.to_owned(), public });
        let lines: Vec<&NoteSignature> = signed.signatures().skip(1).collect();
        let of = |key, line| verify_cosignature_of(signed.checkpoint(), key, line);
        let stranger = Err(CheckpointError::NotSigned(name.to_owned()));
        assert_eq!(
            lines.iter().map(|line| of(&keys[0], line)).collect::<Vec<_>>(),
            [Ok(99), stranger.clone()]
        );
        assert_eq!(
            lines.iter().map(|line| of(&keys[1], line)).collect::<Vec<_>>(),
            [stranger.clone(), Ok(99)]
        );
        assert_eq!(
            lines.iter().map(|line| of(&keys[2], line)).collect::<Vec<_>>(),
            [stranger.clone(), stranger]
        );
    }
}
