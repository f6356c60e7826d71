//! What a start takes: the store, the register in force, and keys that fit it. A node without a
//! valid register does not start.

use std::fs;

use anyhow::{Context as _, anyhow, bail};
use sealwire_wire::id::MemberId;
use sealwire_wire::message::Item;
use sealwire_wire::register::{Expiry, KeyUse, Register, Status};

use crate::config::Config;
use crate::context;
use crate::keys::Keys;
use crate::store::{self, Fact, Reader, Writer};

use super::REGISTER_GRACE_SECS;

/// Opens the store. The plain log files show the parts of the core classes, as far as this member
/// can open them; what is above core never rests in clear.
pub fn open_store(config: &Config, keys: &Keys) -> anyhow::Result<(Writer, Reader)> {
    let data = keys.data.clone();
    let discloser =
        move |reader: &Reader, _: &MemberId, item: &Item| context::disclosed(&data, reader, item);
    Ok(store::open(&config.data_dir, &config.member, Box::new(discloser))?)
}

/// The register in force: the versions adopted earlier, then the configured file, if it is the
/// next one.
pub fn adopt_register(
    config: &Config,
    writer: &mut Writer,
    reader: &Reader,
    now_ms: u64,
) -> anyhow::Result<Register> {
    let mut adopted: Option<Register> = None;
    for bytes in reader.register_versions() {
        let next = match &adopted {
            None => Register::trust_first(&bytes, None),
            Some(previous) => previous.update(&bytes),
        };
        adopted = Some(next.context("cannot read a register version that was adopted earlier")?);
    }
    let path = &config.register;
    let file = fs::read(path);
    let register = match (adopted, file) {
        (None, Err(cause)) => bail!(
            "cannot start without a register: {}: {cause} (hint: put the signed register.json that the governors published there)",
            path.display()
        ),
        (Some(adopted), Err(_)) => adopted,
        (None, Ok(bytes)) => {
            let first = Register::trust_first(&bytes, None).with_context(|| {
                format!("cannot start: {} is not a valid register", path.display())
            })?;
            commit_register(writer, &bytes)?;
            first
        }
        (Some(adopted), Ok(bytes)) if bytes == adopted.bytes() => adopted,
        (Some(adopted), Ok(bytes)) => match adopted.update(&bytes) {
            Ok(next) => {
                commit_register(writer, &bytes)?;
                next
            }
            Err(cause) => bail!(
                "cannot start: {} is neither the register in force (version {}) nor its next version: {cause}",
                path.display(),
                adopted.version()
            ),
        },
    };
    match register
        .check_expiry(i64::try_from(now_ms / 1000).unwrap_or(i64::MAX), REGISTER_GRACE_SECS)
    {
        Expiry::Valid => {}
        Expiry::Grace { until_unix } => {
            tracing::warn!(
                until_unix,
                "the register has expired; it serves until its grace period is over"
            );
        }
        Expiry::Expired => tracing::error!(
            "the register has expired and its grace period is over: nothing can be published"
        ),
    }
    Ok(register)
}

fn commit_register(writer: &mut Writer, bytes: &[u8]) -> anyhow::Result<()> {
    writer.commit(&[Fact::Register { bytes: bytes.to_vec() }]).map_err(|e| anyhow!("{e}"))
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
