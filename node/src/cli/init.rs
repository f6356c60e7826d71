//! `init`: a member's directory, made once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Args;
use sealwire_wire::id::MemberId;
use sealwire_wire::register::Introduction;
use sealwire_wire::signer::Ed25519Signer as _;
use serde_json::json;

use super::keys::PassphraseArgs;
use super::output::{Exit, Failure, Output};
use crate::config::{self, CONFIG_FILE, Config, DEFAULT_HTTP_LISTEN, DEFAULT_P2P_LISTEN, Sample};
use crate::keys::{Key, KeySet, Keys, Token, Windows};
use crate::principals::{self, Right};
use crate::store;
use crate::store::format::{private_dir, private_file, sync_dir};

/// Name of the file with which a member introduces itself to the governors.
pub const INTRODUCTION_FILE: &str = "member.json";
/// Name of the file with the token of the first principal.
pub const TOKEN_FILE: &str = "operator.token";
/// Name of the first principal.
const OPERATOR: &str = "operator";

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The member's id, such as ID or ID-RCL.
    #[arg(long, value_name = "ID")]
    pub member: MemberId,
    /// The member's name in English.
    #[arg(long)]
    pub name: String,
    /// Roles, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "administration")]
    pub roles: Vec<String>,
    /// The directory to make.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Where other nodes reach this one, as multiaddresses: put into the register. Repeatable.
    #[arg(long = "address", value_name = "MULTIADDR", required = true)]
    pub addresses: Vec<String>,
    /// Where the node listens for other nodes, as multiaddresses. Repeatable.
    #[arg(long, value_name = "MULTIADDR", default_values = DEFAULT_P2P_LISTEN)]
    pub p2p_listen: Vec<String>,
    /// Where the HTTP interface listens.
    #[arg(long, value_name = "ADDR:PORT", default_value = DEFAULT_HTTP_LISTEN)]
    pub http_listen: SocketAddr,
    /// Where the passphrase is under which the keys are to rest; asked for at the terminal if
    /// there is none.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Leave the keys as plain files that only this user can read: for tests and demonstrations.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub no_passphrase: bool,
    /// Make the sign, log and cosign keys in a PKCS#11 token: the path of its module.
    #[arg(long, value_name = "FILE", requires = "pkcs11_token")]
    pub pkcs11_module: Option<PathBuf>,
    /// The label of the token.
    #[arg(long, value_name = "LABEL", requires = "pkcs11_module")]
    pub pkcs11_token: Option<String>,
}

/// Makes the directory, or refuses and leaves nothing behind but what was there.
pub fn run(args: &InitArgs, output: Output) -> Result<Exit, Failure> {
    let dir = &args.dir;
    // Secret keys are never overwritten, nor mixed with something else.
    let empty = store::format::is_empty(dir).map_err(Failure::usage)?;
    if !empty {
        return Err(Failure::usage(format!(
            "cannot make {}: it is there and not empty\n\
             hint: give --dir a new directory; nothing is ever overwritten",
            dir.display()
        )));
    }
    let sample = config::sample(&Sample {
        member: &args.member,
        http_listen: args.http_listen,
        p2p_listen: &args.p2p_listen,
        token: args.pkcs11_module.as_deref().zip(args.pkcs11_token.as_deref()),
    });
    // What would not be accepted at the start is refused now, before a key exists.
    let config_file = dir.join(CONFIG_FILE);
    let config = Config::parse(&sample, &config_file).map_err(Failure::usage)?;
    introduction(args, &throw_away()?)?;

    let source = args.passphrase.source(&config);
    let passphrase = (!args.no_passphrase).then(|| source.ask_new(&config.keys_dir));
    let passphrase = passphrase.transpose().map_err(Failure::usage)?;

    let token = Token::opened(&source).map_err(Failure::usage)?;

    private_dir(dir).map_err(|cause| written(dir, cause))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Failure::fault)?.as_secs();
    let windows = Windows::of(&config.keys);
    let keys =
        Keys::create_with(&config.keys_dir, now, windows, passphrase.as_ref(), token.clone())
            .map_err(Failure::fault)?;
    store::create(&config.data_dir).map_err(Failure::fault)?;
    let mut introduction = introduction(args, &PublicKeys::of(&keys))?;
    if let Some(key) = &keys.cosign_pq {
        introduction = introduction
            .with_cosign_pq(&key.public(), keys.sign.current())
            .map_err(Failure::fault)?;
    }
    let all = BTreeSet::from(Right::OURS);
    let token =
        principals::create(&config.keys_dir, OPERATOR, &all, None).map_err(Failure::fault)?;
    for (name, bytes) in [
        (INTRODUCTION_FILE, introduction.to_bytes().as_slice()),
        (TOKEN_FILE, format!("{}\n", *token).as_bytes()),
        (CONFIG_FILE, sample.as_bytes()),
    ] {
        let file = dir.join(name);
        private_file(&file, bytes).map_err(|cause| written(&file, cause))?;
    }
    sync_dir(dir).map_err(|cause| written(dir, cause))?;
    say(args, &introduction, &config, output)
}

fn say(
    args: &InitArgs,
    introduction: &Introduction,
    config: &Config,
    output: Output,
) -> Result<Exit, Failure> {
    let (dir, member) = (args.dir.display(), &args.member);
    let fingerprint = introduction.fingerprint();
    let file = args.dir.join(INTRODUCTION_FILE);
    let text = format!(
        "made {dir} for member {member}\n\
         introduction: {}\n\
         fingerprint:  {fingerprint}\n\n\
         Next:\n\
         1. Send {INTRODUCTION_FILE} to a governor and read the fingerprint to them by telephone.\n\
         2. Put the signed register they send back at {}; `sealwire register show` prints its\n   \
         fingerprint: compare it with theirs by telephone.\n\
         3. sealwire run --config {}\n\n\
         The keys in {} exist only here: keep a copy off this machine.{}",
        file.display(),
        config.register.display(),
        config.file().display(),
        config.keys_dir.display(),
        if args.no_passphrase {
            "\nThey are plain files: whoever reads them is this member. Set a passphrase with \
             `sealwire keys passphrase`."
        } else {
            ""
        },
    );
    let json = json!({
        "member": member,
        "directory": args.dir,
        "config": config.file(),
        "introduction": file,
        "fingerprint": fingerprint,
        "peerId": introduction.peer_id(),
        "passphrase": !args.no_passphrase,
        "token": args.pkcs11_token,
        "register": config.register,
        "tokenFile": args.dir.join(TOKEN_FILE),
    });
    output.say(&json, text)?;
    Ok(Exit::Done)
}

struct PublicKeys {
    node: [u8; 32],
    log: [u8; 32],
    cosign: [u8; 32],
    sign: Key,
}

impl PublicKeys {
    fn of(keys: &Keys) -> Self {
        let public = |set: &KeySet| set.current().public();
        Self {
            node: public(&keys.node),
            log: public(&keys.log),
            cosign: public(&keys.cosign),
            sign: keys.sign.current().clone(),
        }
    }
}

/// Keys for a trial of the introduction's texts; they leave this process never.
fn throw_away() -> Result<PublicKeys, Failure> {
    let random = || {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map(|()| ed25519_dalek::SigningKey::from_bytes(&seed))
            .context("cannot make keys: the operating system gives no random bytes")
            .map_err(Failure::Fault)
    };
    let public = |key: ed25519_dalek::SigningKey| key.verifying_key().to_bytes();
    Ok(PublicKeys {
        node: public(random()?),
        log: public(random()?),
        cosign: public(random()?),
        sign: random()?.into(),
    })
}

fn introduction(args: &InitArgs, keys: &PublicKeys) -> Result<Introduction, Failure> {
    Introduction::new(
        args.member.clone(),
        BTreeMap::from([("en".to_owned(), args.name.clone())]),
        args.roles.clone(),
        args.addresses.clone(),
        (&keys.node, &keys.log, &keys.cosign),
        &keys.sign,
    )
    .map_err(Failure::usage)
}

fn written(path: &Path, cause: std::io::Error) -> Failure {
    let text = format!("cannot write {}\nhint: check the disk and its owner", path.display());
    Failure::Fault(anyhow::Error::new(cause).context(text))
}
