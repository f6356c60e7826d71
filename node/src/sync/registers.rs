//! Which versions of the register a member is given that holds another.

use sealwire_wire::id::Digest;
use sealwire_wire::message::{MAX_REGISTERS, Response};
use sealwire_wire::register::{Draft, Register};

use super::MAX_ANSWER_BYTES;
use crate::context::Context;

/// Answers who holds `version` with `digest`: with what follows it here, and before that, if ours of
/// that version is another, with ours, so that the asker sees the fork.
pub fn following(context: &Context, version: u64, digest: &Digest) -> Response {
    let in_force = context.register();
    // Mostly both have the same: then nothing is read from the store.
    let same = (version, *digest) == (in_force.version(), in_force.digest());
    if same || version > in_force.version() {
        return Response::Nothing;
    }
    let versions = context.reader.register_versions();
    let Some(place) = place_of(&versions, version) else { return Response::Nothing };
    let ours = versions.get(place).and_then(|bytes| Draft::from_bytes(bytes).ok());
    let forked = ours.is_some_and(|ours| ours.digest() != *digest);
    let from = if forked { place } else { place + 1 };
    let mut bytes = 0;
    let fits = |version: &Vec<u8>| {
        let first = bytes == 0;
        bytes += version.len();
        first || bytes <= MAX_ANSWER_BYTES
    };
    let later: Vec<Vec<u8>> =
        versions.into_iter().skip(from).take(MAX_REGISTERS).take_while(fits).collect();
    if later.is_empty() { Response::Nothing } else { Response::Registers(later) }
}

/// The version of this number among those adopted, verified again.
pub fn held(versions: &[Vec<u8>], version: u64) -> Option<Register> {
    let bytes = versions.get(place_of(versions, version)?)?;
    let digest = Draft::from_bytes(bytes).ok()?.digest();
    Register::trust_first(bytes, Some(&digest)).ok()
}

/// Where a version stands among those adopted, of which none is left out.
fn place_of(versions: &[Vec<u8>], version: u64) -> Option<usize> {
    let first = Draft::from_bytes(versions.first()?).ok()?.version();
    usize::try_from(version.checked_sub(first)?).ok().filter(|place| *place < versions.len())
}
