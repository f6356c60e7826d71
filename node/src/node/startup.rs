//! What a start takes: the store, and keys that fit the register in force.

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
    let discloser =
        move |reader: &Reader, _: &MemberId, item: &Item| context::disclosed(&data, reader, item);
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
