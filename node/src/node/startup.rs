//! What a start takes: the store, and keys that fit the register in force.

use std::sync::{Mutex, PoisonError};

use anyhow::{anyhow, bail};
use sealwire_wire::id::MemberId;
use sealwire_wire::message::Item;
use sealwire_wire::register::{KeyUse, Register, Status};

use crate::backup;
use crate::config::Config;
use crate::context;
use crate::keys::Keys;
use crate::store::{self, Decision, Fact, Reader, Writer};

/// Opens the store. The plain log files show the parts of the core classes, as far as this member
/// can open them; what is above core never rests in clear.
pub fn open_store(config: &Config, keys: &Keys) -> anyhow::Result<(Writer, Reader)> {
    let data = keys.data.clone();
    let last = Mutex::default();
    let discloser = move |reader: &Reader, _: &MemberId, item: &Item| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        context::disclosed(&data, reader, item, &mut last)
    };
    Ok(store::open(&config.data_dir, &config.member, Box::new(discloser))?)
}

/// Makes an operator's decision durable to sign on after a restore without waiting for peers.
pub fn accept_head(
    config: &Config,
    writer: &mut Writer,
    reader: &Reader,
    reason: &str,
    now_ms: u64,
) -> anyhow::Result<()> {
    if !backup::is_restored(&config.data_dir) {
        bail!(
            "cannot accept the head of the log: no restored head is waiting for peers\n\
             hint: start without --accept-head"
        );
    }
    let size = reader.size(&config.member);
    let (root, reason) = (reader.root(&config.member, size)?, reason.to_owned());
    tracing::warn!(
        size,
        %root,
        reason,
        "an operator accepts the restored head without waiting for peers; if they know a longer log, its key is found to have signed two histories"
    );
    let decision = Decision::HeadAccepted { size, root, at: now_ms, reason };
    writer.commit(&[Fact::Decision(decision)])?;
    Ok(())
}

/// Refuses keys that are not those that the register lists for us.
pub fn check_own_keys(config: &Config, keys: &Keys, register: &Register) -> anyhow::Result<()> {
    let member = register.member(&config.member).ok_or_else(|| {
        anyhow!(
            "cannot start: the register (version {}) has no member {} (hint: send your member.json to a governor)",
            register.version(),
            config.member
        )
    })?;
    if member.status != Status::Active {
        tracing::warn!(
            status = member.status.as_str(),
            "this member is not active in the register"
        );
    }
    let node = ed25519_dalek::SigningKey::from_bytes(&keys.node).verifying_key().to_bytes();
    let ours = [
        (KeyUse::Node, node),
        (KeyUse::Log, keys.log.verifying_key().to_bytes()),
        (KeyUse::Cosign, keys.cosign.verifying_key().to_bytes()),
        (KeyUse::Sign, keys.sign.verifying_key().to_bytes()),
    ];
    for (use_, public) in ours {
        if !member.keys.iter().any(|k| k.use_ == use_ && k.public == public) {
            bail!(
                "cannot start: the {} key in {} is not the one that the register lists for {} (hint: restore the right keys, or have the register changed)",
                use_.as_str(),
                config.keys_dir.display(),
                config.member
            );
        }
    }
    Ok(())
}
