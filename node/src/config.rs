//! The configuration file: TOML, read strictly, with all its errors reported at once.
//!
//! [`Config::load`] reads the text only; [`Config::load_for_run`] also looks at the files that it
//! names, as a node needs them. Unknown keys are errors, relative paths are relative to the
//! configuration file, and the two settings that would expose a node by mistake (a listener
//! outside loopback without TLS, an empty list of peer addresses) are refused here. This module
//! knows nothing of what the settings do.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use sealwire_wire::id::{Digest, MemberId};

/// Largest configuration file accepted, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 256 * 1024;
/// Most peer-to-peer listen addresses.
pub const MAX_P2P_LISTEN: usize = 16;
/// Where Debian has the module of SoftHSM.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// Name of the file that `sealwire init` writes.
pub const CONFIG_FILE: &str = "sealwire.toml";
/// How long a seal epoch lasts unless told otherwise, and at most, in days.
pub const DEFAULT_EPOCH_DAYS: u64 = 31;
/// How long the keys of an epoch stay after the next has begun unless told otherwise, in days.
pub const DEFAULT_GRACE_DAYS: u64 = 14;
/// Longest grace period, in days.
pub const MAX_GRACE_DAYS: u64 = 92;
/// How often reads are counted in the log unless told otherwise, in seconds.
pub const DEFAULT_READS_EVERY_SECS: u64 = 900;
/// How often a node looks what is to be forgotten unless told otherwise, in seconds.
pub const DEFAULT_FORGET_EVERY_SECS: u64 = 3600;
/// Longest time between looks, in seconds: what is erased is out of the journal within a day.
pub const MAX_FORGET_EVERY_SECS: u64 = 12 * 3600;
/// Longest time between counts of reads, in seconds.
pub const MAX_READS_EVERY_SECS: u64 = 7 * 24 * 3600;
/// Longest publishing tick, in seconds: callers wait for it.
pub const MAX_TICK_SECS: u64 = 30;
/// Entries of a publishing tick unless told otherwise, at least, and at most. A record and the
/// secret of its nominal part are logged together.
pub const DEFAULT_TICK_ENTRIES: u64 = 4;
/// See [`DEFAULT_TICK_ENTRIES`].
pub const MIN_TICK_ENTRIES: u64 = 2;
/// See [`DEFAULT_TICK_ENTRIES`].
pub const MAX_TICK_ENTRIES: u64 = 256;
/// How many questions each other member may put to this one a day unless told otherwise.
pub const DEFAULT_QUESTIONS_A_DAY: u64 = 100;
/// Most questions a day that can be allowed: more would let a member try out what is listed.
pub const MAX_QUESTIONS_A_DAY: u64 = 10_000;
/// Where the HTTP interface listens unless told otherwise.
pub const DEFAULT_HTTP_LISTEN: &str = "127.0.0.1:8443";
/// Where the node listens for peers unless told otherwise.
pub const DEFAULT_P2P_LISTEN: [&str; 2] =
    ["/ip4/0.0.0.0/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/4001"];

/// A configuration that was accepted.
#[derive(Debug, Clone)]
pub struct Config {
    /// The member whose node this is.
    pub member: MemberId,
    /// The signed register of the federation, or a directory of its versions.
    pub register: PathBuf,
    /// The digest of the version with which the chain begins, in the place of version 1.
    pub register_digest: Option<Digest>,
    /// The data directory.
    pub data_dir: PathBuf,
    /// The directory of the secret keys.
    pub keys_dir: PathBuf,
    /// How the keys are unlocked, and how long those of an epoch last.
    pub keys: KeyLife,
    /// The HTTP interface.
    pub http: Http,
    /// Where the node listens for peers, as multiaddresses.
    pub p2p_listen: Vec<String>,
    /// What is logged, and how.
    pub log: Log,
    /// How commands reach the node.
    pub client: Client,
    /// The list of UN/LOCODEs that records are checked against.
    pub locodes: Option<PathBuf>,
    /// The read log.
    pub reads: Reads,
    /// How often this node looks what is to be forgotten, erases it, and says so.
    pub forget_every: Duration,
    /// The fixed publishing tick.
    pub traffic: Option<Traffic>,
    /// How many questions each other member may put to this one a day, whether it holds
    /// identifiers.
    pub questions_a_day: u64,
    file: PathBuf,
    lines: BTreeMap<String, usize>,
}

/// The HTTP interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate and key; mandatory outside loopback.
    pub tls: Option<Tls>,
}

/// Files of the HTTP interface's TLS identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// How the keys are unlocked, and how long those of an epoch last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLife {
    /// Name of the service manager's credential that holds the passphrase.
    pub credential: Option<String>,
    /// How long a seal epoch lasts.
    pub epoch: Duration,
    /// How long the keys of an epoch stay after the next has begun.
    pub grace: Duration,
    /// The token that has some of the keys.
    pub token: Option<Pkcs11Keys>,
}

/// Uses of keys that can be in a token: those that sign with Ed25519 and nothing else.
pub const TOKEN_USES: [&str; 3] = ["sign", "log", "cosign"];

/// Keys in a PKCS#11 token. The PIN is never here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pkcs11Keys {
    /// The module: a shared library.
    pub module: PathBuf,
    /// The token.
    pub token: TokenName,
    /// Name of the service manager's credential that holds the PIN.
    pub pin_credential: Option<String>,
    /// Of each use that is there, the label of its first key.
    pub labels: BTreeMap<&'static str, String>,
}

/// What a token is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenName {
    /// Its label.
    Label(String),
    /// Its serial number.
    Serial(String),
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "{label:?}"),
            Self::Serial(serial) => write!(f, "with serial number {serial:?}"),
        }
    }
}

/// The read log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reads {
    /// How often reads are counted in the log, for their originators.
    pub every: Duration,
    /// Whether restricted parts are given only for a purpose that the reader states, where the
    /// record has several.
    pub purpose_required: bool,
}

/// A fixed publishing tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// How often the own log grows.
    pub tick: Duration,
    /// By how many entries each time.
    pub entries: usize,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Directives such as `info,sealwire=debug`.
    pub filter: String,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// How commands reach the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Base address, such as `http://127.0.0.1:8443`.
    pub url: String,
    /// File with the bearer token.
    pub token_file: PathBuf,
    /// Certificates to trust instead of the public ones, PEM.
    pub ca_certificate: Option<PathBuf>,
}

/// Everything that is wrong with a configuration, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: PathBuf,
    problems: Vec<Problem>,
}

/// What has to be at a path.
#[derive(Clone, Copy)]
enum Wanted {
    File,
    Directory,
    Either,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    line: usize,
    text: String,
    hint: String,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            let Problem { line, text, hint } = problem;
            write!(f, "{newline}{}:{line}: cannot {text}\n  hint: {hint}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl Config {
    /// Reads a configuration file. The files that it names need not exist.
    pub fn load(file: &Path) -> Result<Self, ConfigErrors> {
        let failed = |text: String, hint: &str| ConfigErrors {
            file: file.to_owned(),
            problems: vec![Problem { line: 1, text, hint: hint.to_owned() }],
        };
        let metadata = std::fs::metadata(file).map_err(|cause| {
            failed(
                format!("read the configuration: {cause}"),
                "give the path with --config, or make one with `sealwire init`",
            )
        })?;
        if metadata.len() > MAX_CONFIG_BYTES {
            let text = format!(
                "read the configuration: {} bytes, the limit is {MAX_CONFIG_BYTES}",
                metadata.len()
            );
            return Err(failed(text, "give the path of a sealwire.toml with --config"));
        }
        let text = std::fs::read_to_string(file).map_err(|cause| {
            failed(format!("read the configuration: {cause}"), "it has to be readable UTF-8 text")
        })?;
        Self::parse(&text, file)
    }

    /// Reads a configuration file and requires the files and directories that a node needs.
    pub fn load_for_run(file: &Path) -> Result<Self, ConfigErrors> {
        let config = Self::load(file)?;
        config.check_files()?;
        Ok(config)
    }

    /// Reads the text of a configuration that stands, or would stand, in `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        read::read(text, file).map_err(|problems| ConfigErrors { file: file.to_owned(), problems })
    }

    /// The file that this was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Requires the files and directories that a node needs.
    fn check_files(&self) -> Result<(), ConfigErrors> {
        let mut problems = Vec::new();
        let mut require = |key: &str, path: &Path, wanted: Wanted, hint: &str| {
            let cause = match (std::fs::metadata(path), wanted) {
                (Ok(found), Wanted::File) if found.is_dir() => "it is no file".to_owned(),
                (Ok(found), Wanted::Directory) if !found.is_dir() => {
                    "it is no directory".to_owned()
                }
                (Ok(_), _) => return,
                (Err(cause), _) => cause.to_string(),
            };
            problems.push(Problem {
                line: self.lines.get(key).copied().unwrap_or(1),
                text: format!("use {key} {:?}: {cause}", path.display().to_string()),
                hint: hint.to_owned(),
            });
        };
        let init = "`sealwire init` makes it; restore it from a backup if it was lost";
        require("data.dir", &self.data_dir, Wanted::Directory, init);
        require("keys.dir", &self.keys_dir, Wanted::Directory, init);
        let hint = "ask a governor for the federation's signed register and put it there";
        require("register", &self.register, Wanted::Either, hint);
        if let Some(tls) = &self.http.tls {
            let hint = "give a PEM file that the node may read";
            require("http.tls.certificate", &tls.certificate, Wanted::File, hint);
            require("http.tls.key", &tls.key, Wanted::File, hint);
        }
        if let Some(token) = &self.keys.token {
            let hint = "give the shared library of the token's maker, or leave [keys.pkcs11] out";
            require("keys.pkcs11.module", &token.module, Wanted::File, hint);
        }
        if let Some(list) = &self.locodes {
            let hint = "make it with `sealwire codes import un-locode`, or leave the setting out";
            require("codes.un-locode", list, Wanted::File, hint);
        }
        problems.sort_by_key(|p| p.line);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors { file: self.file.clone(), problems })
        }
    }
}

/// Whether a text is one file name, and leads nowhere else.
fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

/// What `sealwire init` puts into a new configuration.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    /// The member.
    pub member: &'a MemberId,
    /// Where the HTTP interface listens.
    pub http_listen: SocketAddr,
    /// Where the node listens for peers.
    pub p2p_listen: &'a [String],
    /// The token that has the keys *sign*, *log* and *cosign*: its module and label.
    pub token: Option<(&'a Path, &'a str)>,
}

/// The section of a token, commented out where there is none.
fn sample_token(member: &MemberId, token: Option<(&Path, &str)>) -> String {
    let out = if token.is_some() { "" } else { "# " };
    let (module, label) = token.unwrap_or((Path::new(SOFTHSM), "sealwire"));
    let module = module.display().to_string();
    let mut text =
        format!("{out}[keys.pkcs11]\n{out}module = {module:?}\n{out}token = {label:?}\n");
    text.push_str("# serial = \"...\" in the place of token, where several have one label\n");
    text.push_str("# pin-credential = \"sealwire-pin\"\n");
    for use_ in TOKEN_USES {
        text.push_str(&format!("{out}{use_} = \"sealwire {member} {use_}\"\n"));
    }
    text
}

/// The commented configuration file that `sealwire init` writes.
pub fn sample(sample: &Sample<'_>) -> String {
    let Sample { member, http_listen, p2p_listen, token } = sample;
    let token = sample_token(member, *token);
    let listen: Vec<String> = p2p_listen.iter().map(|a| format!("    {a:?},\n")).collect();
    let listen = listen.concat();
    format!(
        r#"# Sealwire node of {member}. Relative paths are relative to this file.
# `sealwire run --config sealwire.toml` reports everything that is wrong here at once.

# The id of this member, as in the register.
member = "{member}"

# The register of the federation, signed by its governors. Compare its fingerprint with theirs by
# telephone (`sealwire register show`) before the first start.
# Or a directory with its versions as *.json: all that follow one another are adopted at a start.
register = "register.json"

# The fingerprint or digest of the version with which this node begins, for a member that joins
# when there are later versions already. Without it the chain begins with version 1.
# register-digest = "fa9e 0c1d ..."

[data]
# Journal, logs, register versions and the index. Back it up with `sealwire backup`.
dir = "data"

[keys]
# The secret keys and the local data key: readable by this user only. Keep a copy off this machine,
# and another of each epoch.
dir = "keys"
# The passphrase is read from the file that --passphrase-file or SEALWIRE_PASSPHRASE_FILE names, from
# the credential of this name that the service manager hands in, or at the terminal.
# credential = "sealwire-passphrase"
# A new seal key and data key are made every so many days (1 to 31), and the old ones destroyed so
# many days later (0 to 92). A backup older than both together opens nothing with the keys of today.
# epoch-days = 31
# grace-days = 14

# Keys that are in a PKCS#11 token (a hardware security module) in the place of a file: the module of
# its maker, the token, and the label there of each key. The PIN is read from the file that --pin-file
# or SEALWIRE_PIN_FILE names, from the credential pin-credential, or at the terminal; never from here.
{token}
[http]
# The interface for this administration's own programs. Every request needs a token made by
# `sealwire token new`. Outside loopback TLS is mandatory.
listen = "{http_listen}"

# [http.tls]
# certificate = "tls/chain.pem"
# key = "tls/key.pem"

[p2p]
# Where the nodes of the other members reach this one. Open these ports in the firewall.
listen = [
{listen}]

# [codes]
# A list made by `sealwire codes import un-locode`: records are also checked against it.
# un-locode = "un-locode.txt"

# [reads]
# Who reads a restricted part of a record is kept, and counted in this member's log for the record's
# originator, so often:
# every-seconds = 900
# Whether a reader of a record with several purposes has to state one of them.
# purpose-required = false

# [retention]
# How often this node looks which parts may not be kept any longer, takes the bytes of what is erased
# out of its files, and attests it (1 to 43200).
# every-seconds = 3600

# [traffic]
# With a tick (1s to 30s) the own log grows by exactly so many entries each time: records wait for the
# tick, and dummies that say nothing and are for nobody fill it. Its growth tells others nothing then.
# tick = "10s"
# entries = 4

# [match]
# How many questions each other member may put to this one a day, whether it holds an identifier of
# the lists that were loaded with `sealwire match load` (1 to 10000):
# questions-a-day = 100

[log]
# Logs go to standard error. error, warn, info, debug or trace; also per part: "info,libp2p=warn".
filter = "info"
# "text" or "json" (one object a line).
format = "text"

[client]
# How `sealwire publish`, `tail`, `show` and `status` reach this node.
# url = "http://{http_listen}"
token-file = "operator.token"
# Certificates to trust for https in the place of the public ones, PEM.
# ca-certificate = "tls/ca.pem"
"#
    )
}
