//! `unseal` and `audit`: what can be said without the node.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::output::{Exit, Failure, Output};
use crate::config::Config;
use crate::keys::Keys;

/// Largest entry file read, in bytes.
const MAX_ENTRY_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Arguments of `unseal`.
#[derive(Debug, Args)]
pub struct UnsealArgs {
    /// The configuration of the member whose keys are tried.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// What `sealwire show ID --entry` wrote.
    #[arg(value_name = "ENTRYFILE")]
    pub file: PathBuf,
}

/// What `audit` can do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the log in a data directory: 0 verified, 1 refuted, 2 cannot decide.
    Verify(VerifyArgs),
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The data directory.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The auditor's own copy of what is trusted: register digest and witness policy.
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,
}

/// Says what of an entry file opens. No class that opens is the answer no.
pub fn unseal(args: &UnsealArgs, output: Output) -> Result<Exit, Failure> {
    let config = Config::load(&args.config).map_err(Failure::usage)?;
    let keys = Keys::open(&config.keys_dir).map_err(Failure::usage)?;
    let unreadable = |cause: std::io::Error| {
        Failure::usage(format!(
            "cannot read {}: {cause}\nhint: give the file of `sealwire show ID --entry`",
            args.file.display()
        ))
    };
    let size = std::fs::metadata(&args.file).map_err(unreadable)?.len();
    if size > MAX_ENTRY_FILE_BYTES {
        return Err(Failure::Refused(format!(
            "cannot read {}: {size} bytes, the limit is {MAX_ENTRY_FILE_BYTES}\n\
             hint: give the file of `sealwire show ID --entry`",
            args.file.display()
        )));
    }
    let bytes = std::fs::read(&args.file).map_err(unreadable)?;
    let report = crate::unseal::report(&keys, &config.member, &bytes).map_err(Failure::refused)?;
    output.say(&report, format!("{report:#}"))?;
    let opened = report.get("classes").and_then(Value::as_object).is_some_and(|classes| {
        classes.values().any(|class| class.get("opened") == Some(&Value::Bool(true)))
    });
    Ok(if opened { Exit::Done } else { Exit::Refused })
}

/// Checks a log without the node.
pub fn audit(command: &AuditCommand, output: Output) -> Result<Exit, Failure> {
    let AuditCommand::Verify(args) = command;
    let report =
        sealwire_audit::verify_dir(&args.dir, &args.trust, sealwire_audit::Options::default());
    output.say(&report, &report)?;
    Ok(match report.exit_code() {
        0 => Exit::Done,
        1 => Exit::Refused,
        _ => Exit::Undecided,
    })
}
