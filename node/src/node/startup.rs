//! What a start takes: the store, and keys that fit the register in force.

use std::sync::{Mutex, PoisonError};

use anyhow::{anyhow, bail};
use sealwire_wire::id::{MemberId, ed25519_thumbprint};
use sealwire_wire::message::Item;
use sealwire_wire::register::{KeyUse, Register, Status};
use sealwire_wire::signer::Ed25519Signer as _;

use crate::backup;
use crate::config::Config;
use crate::context;
use crate::keys::{Keys, KeysError, Source};
use crate::store::{self, Decision, Fact, Reader, Writer};

/// Opens the store. The plain log files show the parts of the core classes, as far as this member
/// can open them; what is above core never rests in
/// clear. An entry of the read log shows who read what: names, and nothing of what was read.
pub fn open_store(config: &Config, keys: &Keys) -> anyhow::Result<(Writer, Reader)> {
    let (data, own) = (keys.data.clone(), config.member.clone());
    let last = Mutex::default();
    let discloser = move |reader: &Reader, _: &MemberId, item: &Item| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        context::disclosed(&data, reader, &own, item, &mut last)
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

/// Makes the match key of the seal epoch, if there is none. Without one others are not answered,
/// and all else goes on.
pub fn ensure_match_key(keys: &Keys) {
    if let Err(cause) = keys.ensure_match_key() {
        tracing::warn!(%cause, "cannot make a match key: other members' questions are not answered");
    }
}

/// Makes the ML-DSA-44 cosign key of a member that has none. Nothing needs it, so that a keys
/// directory that cannot be written is no reason not to start.
pub fn ensure_cosign_pq(keys: &mut Keys) {
    match keys.ensure_cosign_pq() {
        Ok(None) => {}
        Ok(Some(public)) => tracing::info!(
            public = %public.display(),
            "made an ML-DSA-44 cosign key; it is used once the register lists it (hint: give the public file to a governor)"
        ),
        Err(cause) => tracing::warn!(%cause, "cannot make an ML-DSA-44 cosign key"),
    }
}

/// Opens the keys, and logs in to the token if the configuration names one. A token that does not answer is no reason
/// not to start: what is held can be read, and it is asked again for each signature. A PIN that is
/// wrong is, since the token locks itself after a few.
pub fn open_keys(config: &Config, source: &Source) -> Result<Keys, KeysError> {
    let keys = Keys::open(&config.keys_dir, source)?;
    match keys.open_token(source) {
        Err(KeysError::Token(cause)) if !cause.is_final() => {
            tracing::error!(%cause, "the token does not answer: nothing is signed until it does");
        }
        opened => opened?,
    }
    Ok(keys)
}

/// Why the keys of this node may sign nothing at `size` of our log under a register, if so.
pub fn unfit(keys: &Keys, register: &Register, own: &MemberId, size: u64) -> Option<String> {
    let version = register.version();
    let log = keys.log.current().public();
    let Some(member) = register.member(own) else {
        return Some(format!("version {version} of the register has no member {own}"));
    };
    let signs = keys.sign.all().any(|(_, key)| {
        let thumbprint = ed25519_thumbprint(&key.public());
        member.sign_key_at(&thumbprint, size).is_some()
    });
    let use_ = if !signs {
        KeyUse::Sign
    } else if member.log_key().is_none_or(|key| key.public != log) {
        KeyUse::Log
    } else {
        return None;
    };
    Some(format!("version {version} of the register has ended our {use_} key"))
}

/// Takes the keys into use that the register lists for us, and refuses others.
pub fn choose_keys(config: &Config, keys: &mut Keys, register: &Register) -> anyhow::Result<()> {
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
    let listed = member.cosign_pq_key().map(|key| *key.public);
    if listed.is_some() && listed != keys.cosign_pq.as_ref().map(|key| key.public()) {
        tracing::warn!(
            "the register lists another ML-DSA-44 cosign key than that in the keys directory: this node cosigns with Ed25519 alone (hint: restore the key, or have the register changed)"
        );
    }
    let sets = [
        (KeyUse::Node, &mut keys.node),
        (KeyUse::Log, &mut keys.log),
        (KeyUse::Cosign, &mut keys.cosign),
        (KeyUse::Sign, &mut keys.sign),
    ];
    for (use_, set) in sets {
        // The one in force; a member that takes part no more may have none.
        let listed = member.keys.iter().filter(|key| key.use_ == use_);
        let chosen = match member.current(use_) {
            // Which of several sign keys signs is a matter of the place in the log.
            Some(current) if use_ != KeyUse::Sign => set.choose(&current.public),
            _ => listed.rev().any(|key| set.choose(&key.public)),
        };
        if !chosen {
            bail!(
                "cannot start: no {} key in {} is the one that the register lists for {} (hint: restore the right keys, or have the register list a key of `sealwire keys list`)",
                use_.as_str(),
                config.keys_dir.display(),
                config.member
            );
        }
    }
    Ok(())
}
