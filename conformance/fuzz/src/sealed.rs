//! Formats that are encrypted.

use sealwire_wire::part::{Part, commitment_of_bytes};
use sealwire_wire::seal::{
    AudienceContext, PartContext, SealPublicKey, SealSecretKey, open_part, open_part_unchecked,
    padded_len, seal_part, sealed_padded_len, unwrap,
};

use crate::keys;

/// Parts sealed for an audience; the bytes are also sealed as a plaintext and opened again.
pub fn sealed_part(bytes: &[u8]) -> bool {
    let secret = keys::secret();
    let context = PartContext {
        originator: keys::originator(),
        record: keys::record(),
        class: keys::CLASS,
        commitment: keys::commitment(),
    };
    let padded = sealed_padded_len(bytes);
    let opened = open_part_unchecked(&secret, context, bytes);
    if let Ok(plaintext) = &opened {
        assert_eq!(padded.ok(), u64::try_from(padded_len(plaintext.len())).ok());
    }
    let part = open_part(&secret, context, bytes);
    assert!(part.is_err() || opened.is_ok(), "a part opens that does not open unchecked");

    let Ok(commitment) = commitment_of_bytes(context.record, context.class, bytes) else {
        return part.is_ok();
    };
    let context = PartContext { commitment: &commitment, ..context };
    let sealed = seal_part(&secret, context, bytes, [3; 12]);
    assert_eq!(sealed_padded_len(&sealed).ok(), u64::try_from(padded_len(bytes.len())).ok());
    let unchecked = open_part_unchecked(&secret, context, &sealed);
    assert_eq!(unchecked.ok().as_deref().map(Vec::as_slice), Some(bytes));
    assert_eq!(open_part(&secret, context, &sealed).ok(), Part::from_bytes(bytes).ok());
    part.is_ok()
}

/// Public keys that secrets are wrapped for.
pub fn seal_key(bytes: &[u8]) -> bool {
    let Ok(key) = SealPublicKey::from_bytes(bytes) else { return false };
    assert_eq!(key.as_bytes(), bytes);
    true
}

/// Audience secrets wrapped for their members.
pub fn wrap(bytes: &[u8]) -> bool {
    let context = AudienceContext { originator: keys::originator(), audience: &keys::AUDIENCE };
    let key = SealSecretKey::from_seed([1; 32]);
    let commitment = keys::secret().commitment(&keys::AUDIENCE);
    let secret = unwrap(bytes, context, keys::recipient(), &key, &commitment);
    let secret = secret.map(|secret| assert!(secret == keys::secret(), "another secret opens"));
    secret.is_ok()
}
