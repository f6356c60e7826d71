//! Keys and names that everybody knows: those of the vectors, so that the vectors are accepted.

use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use sealwire_wire::checkpoint::{Checkpoint, SignedCheckpoint, cosign, sign};
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::mldsa::MlDsaKey;
use sealwire_wire::note::{PublicKey, VerifierKey};
use sealwire_wire::seal::{AudienceId, AudienceSecret};
use sealwire_wire::statement::Claims;

/// Name of the log's key.
pub const ORIGIN: &str = "test.example/ID";
/// Name of the witness's key.
const WITNESS: &str = "test.example/SG";
/// The log's head.
pub const CHECKPOINT: &str = "test.example/ID\n7\nCxspRzHDO2ceEW+kbhhNkKMuZSflIPqdPTtpLNqEo4M=\n";
/// The class of the sealed part.
pub const CLASS: &str = "operational";
/// The audience of the wrapped secret.
pub const AUDIENCE: AudienceId = [9; 16];

/// Signs statements and the log.
pub fn signer() -> &'static SigningKey {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[1; 32]));
    &KEY
}

/// The public half of [`signer`].
pub fn public() -> [u8; 32] {
    signer().verifying_key().to_bytes()
}

/// Cosigns as [`WITNESS`].
pub fn witness() -> &'static SigningKey {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[3; 32]));
    &KEY
}

/// Both keys of [`WITNESS`], Ed25519 and ML-DSA-44.
pub fn cosigners() -> &'static [VerifierKey; 2] {
    static KEYS: LazyLock<[VerifierKey; 2]> = LazyLock::new(|| {
        let mldsa = MlDsaKey::from_seed(&[3; 32]).public();
        [
            PublicKey::Cosignature(witness().verifying_key().to_bytes()),
            PublicKey::MlDsaCosignature(Box::new(mldsa)),
        ]
        .map(|public| VerifierKey { name: WITNESS.to_owned(), public })
    });
    &KEYS
}

/// The checkpoint with the log's signature and one cosignature.
pub fn checkpoint() -> &'static SignedCheckpoint {
    static SIGNED: LazyLock<SignedCheckpoint> = LazyLock::new(|| {
        let head = Checkpoint::parse(CHECKPOINT).expect("the constant is a checkpoint");
        let mut note = sign(&head, signer());
        note.add(cosign(&head, WITNESS, witness(), 99).expect("the constant is a key's name"));
        SignedCheckpoint::verify(note.to_string().as_bytes(), ORIGIN, &public())
            .expect("signed in the line before")
    });
    &SIGNED
}

/// Who seals and signs.
pub fn originator() -> &'static MemberId {
    static ID: LazyLock<MemberId> =
        LazyLock::new(|| "ID".parse().expect("the constant is a member id"));
    &ID
}

/// For whom the secret is wrapped.
pub fn recipient() -> &'static MemberId {
    static ID: LazyLock<MemberId> =
        LazyLock::new(|| "SG".parse().expect("the constant is a member id"));
    &ID
}

/// The record of the sealed part.
pub fn record() -> &'static RecordId {
    static ID: LazyLock<RecordId> = LazyLock::new(|| {
        let id = "urn:uuid:018bcfe5-6800-7101-8101-010101010101";
        id.parse().expect("the constant is a record id")
    });
    &ID
}

/// The commitment to the sealed part.
pub fn commitment() -> &'static Digest {
    static DIGEST: LazyLock<Digest> = LazyLock::new(|| {
        let digest = "706c1e43ea3b0446f5c1e12c1ea9bf276e1a6b9776925500b127b44f3a11c7af";
        digest.parse().expect("the constant is a digest")
    });
    &DIGEST
}

/// The audience's secret.
pub fn secret() -> AudienceSecret {
    AudienceSecret::from_bytes([0x2a; 32])
}

/// What is claimed of everything that is signed here.
pub fn claims() -> Claims {
    Claims { issuer: originator().clone(), subject: *record(), issued_at: 1_700_000_000 }
}
