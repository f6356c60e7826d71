//! The turn of seal epochs in a running node: the next is made and announced, what rests under an
//! older data key is sealed again, and keys that are over are destroyed.
//!
//! The order is what makes it safe to be interrupted anywhere: a key is destroyed only once its
//! successor is in the log and nothing needs it, and each step finds out by itself what is left.

use std::time::Duration;

use crate::exchange::Unit;
use crate::keys::KeysError;
use crate::refusal::Refusal;

use super::Inner;
use super::publish;

/// How often a node looks whether an epoch is over.
pub const TURN_EVERY: Duration = Duration::from_secs(600);
/// Most secrets sealed again in one commit.
const MAX_SECRETS_AT_ONCE: usize = 1024;

/// Does what is due at `now_ms`, milliseconds since 1970. What fails is tried again next time.
pub async fn turn(inner: &Inner, now_ms: u64) {
    if let Err(refusal) = turned(inner, now_ms).await {
        tracing::warn!(code = refusal.code, %refusal, "cannot turn the seal epoch yet");
    }
}

async fn turned(inner: &Inner, now_ms: u64) -> Result<(), Refusal> {
    let (context, windows) = (&inner.context, inner.windows);
    let now = now_ms / 1000;
    if let Some(made) = context.keys.ensure_epoch(now, windows).map_err(failed)? {
        tracing::info!(
            epoch = made.epoch,
            "made the keys of the next seal epoch (hint: take a copy of the keys directory)"
        );
    }
    context.keys.ensure_match_key().map_err(failed)?;
    publish::announce_seal_key(inner).await?;
    let newest = context.keys.matching.public();
    if newest.is_some() && context.match_key(&context.own) == newest {
        let destroyed = context.keys.destroy_match_keys().map_err(failed)?;
        if !destroyed.is_empty() {
            tracing::info!(?destroyed, "destroyed the match keys of epochs that have ended");
        }
    }
    if !context.keys.are_over(now, windows) {
        return Ok(());
    }
    let newest = context.keys.seal.newest().map(|epoch| epoch.epoch);
    if newest.is_none() || context.announced_epoch() < newest {
        return Ok(());
    }
    let mut again = context.kept_again();
    let secrets = again.len();
    while !again.is_empty() {
        let rest = again.split_off(again.len().min(MAX_SECRETS_AT_ONCE));
        let unit = Unit { token: 0, entries: Vec::new(), facts: again, request: None };
        publish::log(inner, unit).await?;
        again = rest;
    }
    inner.drafts.seal_again().map_err(|cause| {
        let text = format!("cannot seal the drafts again: {cause}");
        Refusal::fault("disk-full", text, "free space on the data directory's disk")
    })?;
    inner.matching.lists.seal_again().map_err(|cause| {
        let text = format!("cannot seal the lists of identifiers again: {cause}");
        Refusal::fault("disk-full", text, "free space on the data directory's disk")
    })?;
    let destroyed = context.keys.destroy_over(now, windows).map_err(failed)?;
    tracing::info!(?destroyed, secrets, "destroyed the keys of seal epochs that are over");
    Ok(())
}

fn failed(cause: KeysError) -> Refusal {
    Refusal::fault("keys-fault", cause.to_string(), "see the node's log and the keys directory")
}
