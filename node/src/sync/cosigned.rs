//! Another member's cosignatures of our log, as they come in.

use sealwire_wire::checkpoint::{self, SignedCheckpoint};
use sealwire_wire::id::MemberId;
use sealwire_wire::note::{PublicKey, VerifierKey};
use sealwire_wire::signer::Ed25519Signer as _;

use crate::context::Context;
use crate::exchange::{Cosigned, Input};
use crate::refusal::Refusal;

/// Verifies what `by` says of our checkpoint in a note: its cosignature, and that with ML-DSA-44 if
/// there is one.
pub(super) fn cosigned(context: &Context, by: &MemberId, note: &str) -> Result<Input, Refusal> {
    let register = context.register();
    let refuse = |text: String| {
        Refusal::new("cosignature-invalid", 422, text, "cosign the checkpoint of this log")
    };
    let key = register
        .member(by)
        .and_then(|member| member.cosign_key())
        .ok_or_else(|| refuse(format!("cannot accept cosignature: {by} has no cosign key")))?;
    let own_key = context.keys.log.current().public();
    let signed = SignedCheckpoint::verify(note.as_bytes(), &context.origin(&context.own), &own_key)
        .map_err(|e| refuse(e.to_string()))?;
    let name = context.origin(by);
    let checkpoint = signed.checkpoint();
    let (time, line) = signed
        .signatures()
        .filter(|s| s.name() == name)
        .find_map(|s| {
            let time = checkpoint::verify_cosignature(checkpoint, &name, &key.public, s).ok()?;
            Some((time, s.to_string()))
        })
        .ok_or_else(|| refuse(format!("cannot accept cosignature: none by {by} holds")))?;
    let pq = register.member(by).and_then(|member| member.cosign_pq_key()).and_then(|key| {
        let key = VerifierKey { name, public: PublicKey::MlDsaCosignature(key.public.clone()) };
        // One line at most is verified, whatever the note holds.
        let line =
            signed.signatures().find(|s| s.name() == key.name && s.key_id() == key.key_id())?;
        let time = checkpoint::verify_cosignature_of(checkpoint, &key, line).ok()?;
        Some((time, line.to_string()))
    });
    let size = checkpoint.size;
    Ok(Input::Cosigned(Cosigned { by: by.clone(), size, time, line, pq }))
}
