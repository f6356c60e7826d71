//! `keys`: this member's keys, from their making to their end.
//!
//! Works on the keys directory alone, and reads the register and the log files as they are; the
//! node may run. What the register has to say of a key is the governors' to sign: these commands
//! print the command for it.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use sealwire_wire::checkpoint::{SignedCheckpoint, verify_cosignature};
use sealwire_wire::id::{Digest, MemberId, ed25519_thumbprint};
use sealwire_wire::register::{KeyUse, Member, Register};
use sealwire_wire::signer::Ed25519Signer as _;
use serde::Serialize;
use serde_json::json;

use super::output::{Exit, Failure, Output};
use super::register::files::read_register;
use crate::config::Config;
use crate::keys::{Keys, KeysError, Source, TokenSource, Windows};

/// Where the passphrase of the keys is.
#[derive(Debug, Args)]
pub struct PassphraseArgs {
    /// File with the passphrase in its only line, readable by this user alone. Without it the
    /// passphrase comes from the credential that the configuration names, or is asked for at the
    /// terminal.
    #[arg(long, env = "SEALWIRE_PASSPHRASE_FILE", value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File with the PIN of the token in its only line, readable by this user alone, where some keys
    /// are in a PKCS#11 token. Without it the PIN comes from the credential that the configuration
    /// names, or is asked for at the terminal.
    #[arg(long, env = "SEALWIRE_PIN_FILE", value_name = "FILE")]
    pub pin_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// Where to look for it.
    pub fn source(&self, config: &Config) -> Source {
        let token = config.keys.token.clone();
        Source {
            file: self.passphrase_file.clone(),
            credential: config.keys.credential.clone(),
            token: token.map(|settings| TokenSource { settings, pin_file: self.pin_file.clone() }),
        }
    }
}

/// What `keys` can do.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Print this member's keys, what the register says of each, and the seal epochs.
    List(KeysArgs),
    /// Write the public halves of this member's keys as JSON, for the governors.
    ExportPublic(ExportArgs),
    /// Make a new key beside the old one. A seal key is announced at the node's next start; any
    /// other is used from where the register says.
    Rotate(RotateArgs),
    /// Prepare the end of a stolen or lost key: up to where other members have cosigned.
    Revoke(RevokeArgs),
    /// Put the keys under a passphrase, or under another one than before.
    Passphrase(PassphraseChange),
}

/// Which node, and its passphrase.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// The configuration file.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// The passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// Arguments of `keys export-public`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The node.
    #[command(flatten)]
    pub keys: KeysArgs,
    /// The file to make; standard output if absent.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Use {
    /// The identity towards other nodes.
    Node,
    /// Checkpoints of the own log.
    Log,
    /// Cosignatures on others' checkpoints.
    Cosign,
    /// Statements.
    Sign,
    /// What others seal to this member, and the local data key.
    Seal,
}

impl Use {
    fn in_register(self) -> Option<KeyUse> {
        match self {
            Self::Node => Some(KeyUse::Node),
            Self::Log => Some(KeyUse::Log),
            Self::Cosign => Some(KeyUse::Cosign),
            Self::Sign => Some(KeyUse::Sign),
            Self::Seal => None,
        }
    }
}

/// Arguments of `keys rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// What the key is for.
    pub r#use: Use,
    /// With every seal key lost: the number of the new epoch, one more than the last announced.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub epoch: u64,
    /// Take the key with this label that is in the token already, in the place of a new one.
    #[arg(long, value_name = "LABEL")]
    pub adopt: Option<String>,
    /// The node.
    #[command(flatten)]
    pub keys: KeysArgs,
}

/// Arguments of `keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The key's COSE thumbprint, as `keys list` or `register show` prints it.
    #[arg(value_name = "THUMBPRINT")]
    pub thumbprint: Digest,
    /// First leaf index of the own log for which it counts no more: after a theft the first entry
    /// that this member did not make. The size that enough members have cosigned if absent.
    #[arg(long, value_name = "INDEX")]
    pub until: Option<u64>,
    /// How many other members must have cosigned the log up to there.
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub witnesses: usize,
    /// The configuration file.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `keys passphrase`.
#[derive(Debug, Args)]
pub struct PassphraseChange {
    /// The node and the passphrase until now, if there is one.
    #[command(flatten)]
    pub keys: KeysArgs,
    /// File with the new passphrase in its only line; asked for at the terminal if absent.
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
}

/// One key as it is shown. Nothing secret is in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    r#use: &'static str,
    number: u64,
    public: String,
    thumbprint: Digest,
    /// Its label in the token, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Of a seal key, its epoch in seconds since 1970; of another, what the register says.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    in_register: bool,
}

/// Runs one command.
pub fn run(command: &KeysCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        KeysCommand::List(args) => list(args, output),
        KeysCommand::ExportPublic(args) => export_public(args, output),
        KeysCommand::Rotate(args) => rotate(args, output),
        KeysCommand::Revoke(args) => revoke(args, output),
        KeysCommand::Passphrase(args) => passphrase(args, output),
    }
}

fn list(args: &KeysArgs, output: Output) -> Result<Exit, Failure> {
    let (config, keys) = opened(args)?;
    let register = register_of(&config).ok();
    let listed = listed(&keys, register.as_ref().and_then(|r| r.member(&config.member)));
    let mut text = String::new();
    for key in &listed {
        let Listed { r#use, number, thumbprint, .. } = key;
        let what = match (*r#use, key.in_register, key.from, key.until) {
            ("seal", _, Some(from), Some(until)) => format!("epoch from {from} until {until}"),
            (_, true, Some(from), None) => format!("in the register from index {from}"),
            (_, true, Some(from), Some(until)) => {
                format!("in the register from index {from}, ended at {until}")
            }
            _ => "not in the register".to_owned(),
        };
        let token = key.token.as_ref().map(|label| format!("; in the token as {label:?}"));
        let token = token.unwrap_or_default();
        text.push_str(&format!("{use:<7} {number:>3}  {thumbprint}  {what}{token}\n"));
    }
    text.push_str(if keys.is_plain() {
        "plain files (hint: `sealwire keys passphrase` puts them under one)"
    } else {
        "sealed under a passphrase"
    });
    let json = json!({"member": config.member, "passphrase": !keys.is_plain(), "keys": listed});
    output.say(&json, text)?;
    Ok(Exit::Done)
}

fn export_public(args: &ExportArgs, output: Output) -> Result<Exit, Failure> {
    let (config, keys) = opened(&args.keys)?;
    let register = register_of(&config).ok();
    let listed = listed(&keys, register.as_ref().and_then(|r| r.member(&config.member)));
    let document = json!({"member": config.member, "keys": listed});
    let text = format!("{document:#}");
    match &args.out {
        None => output.say(&document, text)?,
        Some(file) => {
            std::fs::write(file, format!("{text}\n"))
                .with_context(|| format!("cannot write {}", file.display()))
                .map_err(Failure::Fault)?;
            output.say(&json!({"file": file}), format!("wrote {}", file.display()))?;
        }
    }
    Ok(Exit::Done)
}

fn rotate(args: &RotateArgs, output: Output) -> Result<Exit, Failure> {
    let (config, keys) = opened(&args.keys)?;
    let Some(use_) = args.r#use.in_register() else {
        let since = std::time::UNIX_EPOCH.elapsed().map_err(Failure::fault)?;
        let next = keys.next_epoch(since.as_secs(), Windows::of(&config.keys), args.epoch);
        let epoch = next.map_err(failure)?.epoch;
        let text = format!(
            "made the keys of seal epoch {epoch}\n\
             Next: start the node again; it announces the key in its log.\n\
             Take a copy of {}: older copies lack this epoch.",
            config.keys_dir.display()
        );
        output.say(&json!({"use": "seal", "epoch": epoch}), text)?;
        return Ok(Exit::Done);
    };
    let source = args.keys.passphrase.source(&config);
    let (number, public) = match &args.adopt {
        Some(label) => {
            keys.open_token(&source).map_err(failure)?;
            keys.adopt(use_.as_str(), label).map_err(failure)?
        }
        None => {
            if keys.is_in_token(use_.as_str()) {
                keys.open_token(&source).map_err(failure)?;
            }
            keys.make(use_.as_str()).map_err(failure)?
        }
    };
    let (thumbprint, public) = (ed25519_thumbprint(&public), hex::encode(public));
    let member = &config.member;
    let text = format!(
        "made {use_} key {number} of {member}\n\
         public:     {public}\n\
         thumbprint: {thumbprint}\n\n\
         Next: read the thumbprint to a governor by telephone; the next register has\n  \
         sealwire register key replace --draft DRAFT --member {member} --use {use_} --public {public} --from INDEX\n\
         The node takes the new key into use when it \
         is started with that register."
    );
    let json = json!({"use": use_.as_str(), "number": number, "public": public,
                      "thumbprint": thumbprint});
    output.say(&json, text)?;
    Ok(Exit::Done)
}

fn revoke(args: &RevokeArgs, output: Output) -> Result<Exit, Failure> {
    let config = Config::load(&args.config).map_err(Failure::usage)?;
    let register = register_of(&config).map_err(Failure::Refused)?;
    let member = &config.member;
    let key = register
        .member(member)
        .and_then(|own| own.keys.iter().find(|key| key.thumbprint == args.thumbprint));
    let key = key.ok_or_else(|| {
        Failure::Refused(format!(
            "cannot revoke {}: the register lists no such key of {member}\n\
             hint: see `sealwire register show {}`",
            args.thumbprint,
            config.register.display()
        ))
    })?;
    let cosigned = cosigned_size(&config, &register, args.witnesses)?;
    let until = args.until.unwrap_or(cosigned);
    if until > cosigned {
        return Err(Failure::Refused(format!(
            "cannot revoke from index {until}: {} other member(s) have cosigned {cosigned} entries \
             only\nhint: entries that nobody has cosigned may be the thief's; give --until {cosigned} \
             or less",
            args.witnesses
        )));
    }
    let (use_, thumbprint) = (key.use_, key.thumbprint);
    let draft = format!(
        "sealwire register key end --draft DRAFT --member {member} --thumbprint {thumbprint} --until {until}"
    );
    let text = format!(
        "{use_} key {thumbprint} of {member}: {cosigned} entries are cosigned by {} other member(s)\n\
         Next: stop the node, make another key with `sealwire keys rotate {use_}`, and have the \
         governors put into the next register\n  {draft}\n\
         Entries before {until} stand; what the key signed from {until} on is void.",
        args.witnesses
    );
    let json = json!({"use": use_.as_str(), "thumbprint": thumbprint, "cosigned": cosigned,
                      "until": until, "command": draft});
    output.say(&json, text)?;
    Ok(Exit::Done)
}

fn passphrase(args: &PassphraseChange, output: Output) -> Result<Exit, Failure> {
    let (config, mut keys) = opened(&args.keys)?;
    let source = Source { file: args.new_passphrase_file.clone(), ..Source::default() };
    let new = source.ask_new(&config.keys_dir).map_err(failure)?;
    let was_plain = keys.is_plain();
    keys.set_passphrase(&new).map_err(failure)?;
    let dir = config.keys_dir.display();
    output.say(&json!({"directory": config.keys_dir}), format!("set the passphrase of {dir}"))?;
    let mut before = config.keys_dir.clone().into_os_string();
    before.push(".before-1");
    if was_plain && PathBuf::from(&before).exists() {
        output.note(format!(
            "{} holds the same keys as plain files: remove it once the node has started",
            before.to_string_lossy()
        ));
    }
    Ok(Exit::Done)
}

fn opened(args: &KeysArgs) -> Result<(Config, Keys), Failure> {
    let config = Config::load(&args.config).map_err(Failure::usage)?;
    let keys = Keys::open(&config.keys_dir, &args.passphrase.source(&config)).map_err(failure)?;
    Ok((config, keys))
}

fn listed(keys: &Keys, member: Option<&Member>) -> Vec<Listed> {
    let mut all = Vec::new();
    for (use_, set) in keys.sets() {
        for (number, key) in set.all() {
            let public = key.public();
            let in_register = member.and_then(|m| m.keys.iter().find(|k| k.public == public));
            all.push(Listed {
                r#use: use_,
                number,
                public: hex::encode(public),
                thumbprint: ed25519_thumbprint(&public),
                token: key.label().map(str::to_owned),
                from: in_register.map(|key| key.from),
                until: in_register.and_then(|key| key.until),
                in_register: in_register.is_some(),
            });
        }
    }
    for epoch in keys.seal.all() {
        let Ok(public) = epoch.key.public() else { continue };
        all.push(Listed {
            r#use: "seal",
            number: epoch.epoch,
            public: hex::encode(public.as_bytes()),
            thumbprint: public.thumbprint(),
            token: None,
            from: Some(epoch.from),
            until: Some(epoch.until),
            in_register: false,
        });
    }
    all
}

/// The newest register at the configured path. Its signatures are checked when the node adopts
/// it; here it only says what stands in it.
fn register_of(config: &Config) -> Result<Register, String> {
    let path = &config.register;
    let file = if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| e.to_string())?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|e| e == "json"))
            .collect();
        files.sort_by_key(|file| read_register(file).map_or(0, |register| register.version()));
        files.pop().ok_or_else(|| format!("cannot read {}: it is empty", path.display()))?
    } else {
        path.clone()
    };
    read_register(&file).map_err(|cause| format!("{cause:#}"))
}

/// Up to which size of the own log so many other members have cosigned, as its files say.
fn cosigned_size(config: &Config, register: &Register, witnesses: usize) -> Result<u64, Failure> {
    let member = &config.member;
    let file = config.data_dir.join("logs").join(member.as_str()).join("checkpoint");
    let unusable = |cause: String| {
        Failure::Refused(format!(
            "cannot read {}: {cause}\nhint: give the configuration of the node whose log it is",
            file.display()
        ))
    };
    let note = std::fs::read(&file).map_err(|e| unusable(e.to_string()))?;
    let origin = |member: &MemberId| format!("{}/{member}", register.federation());
    let keys = register.member(member).map(|own| own.keys.as_slice()).unwrap_or_default();
    let signed = keys
        .iter()
        .filter(|key| key.use_ == KeyUse::Log)
        .find_map(|key| SignedCheckpoint::verify(&note, &origin(member), &key.public).ok())
        .ok_or_else(|| unusable("no log key of this member has signed it".to_owned()))?;
    let by = register.members().filter(|other| other.id != *member).filter(|other| {
        let name = origin(&other.id);
        let mut cosign = other.keys.iter().filter(|key| key.use_ == KeyUse::Cosign);
        cosign.any(|key| {
            signed.signatures().filter(|s| s.name() == name).any(|signature| {
                verify_cosignature(signed.checkpoint(), &name, &key.public, signature).is_ok()
            })
        })
    });
    let count = by.count();
    if count < witnesses {
        return Err(Failure::Refused(format!(
            "cannot revoke: {count} other member(s) have cosigned the checkpoint in {}, {witnesses} \
             are asked for\nhint: give fewer --witnesses, or wait until they have cosigned",
            file.display()
        )));
    }
    Ok(signed.checkpoint().size)
}

fn failure(cause: KeysError) -> Failure {
    match cause {
        KeysError::Io { .. } | KeysError::Random(_) | KeysError::Derivation(_) => {
            Failure::fault(cause)
        }
        _ => Failure::usage(cause),
    }
}
