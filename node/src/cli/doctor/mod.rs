//! `doctor`: what is wrong with a node, or soon will be, and what to do about it.
//!
//! Reads the configuration, the directories that it names and, if it answers, the running node;
//! changes nothing, opens no store and takes no lock. Every check is one row of [`CHECKS`].
//!
//! Exit codes: 0, nothing to do; 1, at least one warning or problem; 2, no such finding, but
//! something could not be looked at.

mod files;
mod running;
mod token;

use std::fmt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use sealwire_wire::register::{Draft, MAX_REGISTER_BYTES, Summary};
use serde::Serialize;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::{Exit, Failure, Output};
use crate::config::Config;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The node: its configuration is needed, for where its directories are.
    #[command(flatten)]
    pub connection: Connection,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// It will be wrong if nobody does anything, or others are affected.
    Warning,
    /// It is wrong.
    Problem,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        })
    }
}

/// What a check says.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    level: Level,
    text: String,
    hint: String,
}

fn found(level: Level, text: impl Into<String>, hint: impl Into<String>) -> Found {
    Found { level, text: text.into(), hint: hint.into() }
}

fn ok(text: impl Into<String>) -> Vec<Found> {
    vec![found(Level::Ok, text, "")]
}

/// All that checks look at.
struct Patient {
    config: Config,
    /// This machine's clock, seconds since 1970.
    now: u64,
    /// The latest register that the node adopted, else the configured one; or why there is none.
    register: Result<Adopted, String>,
    /// What the running node says of itself, or why it does not.
    status: Result<Value, String>,
}

/// A register as the files tell it. Whether its governors signed it was checked when it was adopted.
struct Adopted {
    version: u64,
    federation: String,
    summary: Summary,
    /// A later version that lies where the configuration says, not adopted yet.
    waiting: Option<u64>,
}

type Check = fn(&Patient) -> Vec<Found>;

/// Every check, in the order in which they are printed.
const CHECKS: [(&str, Check); 22] = [
    ("data-format", files::data_format),
    ("keys-format", files::keys_format),
    ("keys", files::keys),
    ("token", token::token),
    ("seal-epoch", files::seal_epoch),
    ("register", files::register),
    ("register-expiry", files::register_expiry),
    ("cosign-pq", files::cosign_pq),
    ("clock", files::clock),
    ("disk", files::disk),
    ("journal", files::journal),
    ("head", files::head),
    ("restored", files::restored),
    ("forks", files::forks),
    ("quarantine", files::quarantine),
    ("node", running::node),
    ("ready", running::ready),
    ("peers", running::peers),
    ("gaps", running::gaps),
    ("witnesses", running::witnesses),
    ("deliveries", running::deliveries),
    ("drafts", running::drafts),
];

/// Looks at everything and says what was found.
pub fn doctor(args: &DoctorArgs, output: Output) -> Result<Exit, Failure> {
    let file = args.connection.config.clone();
    let file = file.unwrap_or_else(|| PathBuf::from(crate::config::CONFIG_FILE));
    let config = Config::load(&file).map_err(Failure::usage)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Failure::fault)?.as_secs();
    let connection = Connection { config: Some(file), ..args.connection.clone() };
    let status = connection
        .open()
        .and_then(|client| client.get("/v1/status")?.accepted()?.json())
        .map_err(|failure| format!("{:#}", failure.into_error()).replace('\n', " "));
    let patient = Patient { now, register: adopted(&config), status, config };
    let findings: Vec<(&str, Found)> = CHECKS
        .iter()
        .flat_map(|(name, check)| check(&patient).into_iter().map(move |found| (*name, found)))
        .collect();
    say(&findings, output)?;
    Ok(exit(findings.iter().map(|(_, found)| found.level)))
}

fn exit(levels: impl Iterator<Item = Level>) -> Exit {
    match levels.max() {
        Some(Level::Warning | Level::Problem) => Exit::Refused,
        Some(Level::Unknown) => Exit::Undecided,
        Some(Level::Ok) | None => Exit::Done,
    }
}

fn say(findings: &[(&str, Found)], output: Output) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for (name, Found { level, text, hint }) in findings {
        lines.push(format!("{level:<8} {name:<16} {text}"));
        if !hint.is_empty() {
            lines.push(format!("         hint: {hint}"));
        }
    }
    let json = findings.iter().map(|(name, Found { level, text, hint })| {
        let hint = Some(hint).filter(|hint| !hint.is_empty());
        json!({"check": name, "level": level, "text": text, "hint": hint})
    });
    let count = |wanted| findings.iter().filter(|(_, found)| found.level == wanted).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    let unknown = count(Level::Unknown);
    lines.push(format!("{problems} problems, {warnings} warnings, {unknown} not looked at"));
    let json = json!({"findings": json.collect::<Vec<_>>(), "problems": problems,
                      "warnings": warnings, "unknown": unknown});
    output.say(&json, lines.join("\n"))
}

/// The latest register below the data directory, else at the configured path.
fn adopted(config: &Config) -> Result<Adopted, String> {
    let kept = versions(&config.data_dir.join("register"));
    let offered = if config.register.is_dir() {
        versions(&config.register)
    } else {
        read(&config.register).into_iter().collect()
    };
    let latest = |list: Vec<Draft>| list.into_iter().max_by_key(Draft::version);
    let (kept, offered) = (latest(kept), latest(offered));
    let waiting = match (&kept, &offered) {
        (Some(kept), Some(offered)) if offered.version() > kept.version() => {
            Some(offered.version())
        }
        _ => None,
    };
    let draft = kept.or(offered).ok_or_else(|| {
        format!(
            "none that can be read, below the data directory or at {}",
            config.register.display()
        )
    })?;
    let summary = draft.summary().map_err(|cause| cause.to_string())?;
    let federation = draft.federation().to_owned();
    Ok(Adopted { version: draft.version(), federation, summary, waiting })
}

fn versions(dir: &std::path::Path) -> Vec<Draft> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    files
        .filter(|file| file.extension().is_some_and(|e| e == "json"))
        .filter_map(|f| read(&f))
        .collect()
}

fn read(file: &std::path::Path) -> Option<Draft> {
    let length = std::fs::metadata(file).ok()?.len();
    let fits = usize::try_from(length).is_ok_and(|length| length <= MAX_REGISTER_BYTES);
    Draft::from_bytes(&std::fs::read(file).ok().filter(|_| fits)?).ok()
}

#[cfg(test)]
mod tests;
