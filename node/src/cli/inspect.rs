//! `unseal` and `audit`: what can be said and done without the node.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::keys::PassphraseArgs;
use super::output::{Exit, Failure, Output};
use crate::config::Config;
use crate::export::{self, Bound, ExportError, Selection};
use crate::keys::Keys;

/// Largest entry file read, in bytes.
const MAX_ENTRY_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Arguments of `unseal`.
#[derive(Debug, Args)]
pub struct UnsealArgs {
    /// The configuration of the member whose keys are tried.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Where the passphrase of the keys is.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// What `sealwire show ID --entry` wrote.
    #[arg(value_name = "ENTRYFILE")]
    pub file: PathBuf,
}

/// What `audit` can do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Write what an auditor needs into one file, from the data of a node, which may be running.
    Export(ExportArgs),
    /// Check the log in a bundle or data directory: 0 verified, 1 refuted, 2 cannot decide.
    Verify(VerifyArgs),
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The configuration of the node.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// The first entry: its index, or a date or time (2026-01-31, 2026-01-31T08:00:00Z) from
    /// which on entries were issued. The first of the log if absent.
    #[arg(long, value_name = "INDEX|TIME", value_parser = bound)]
    pub from: Option<Bound>,
    /// The first entry that is left out again, in the same forms. The end of the log if absent.
    #[arg(long, value_name = "INDEX|TIME", value_parser = bound)]
    pub to: Option<Bound>,
    /// Include the parts of records: sealed ones as they are, and the opened ones of classes that
    /// every member may see.
    #[arg(long)]
    pub with_parts: bool,
    /// The file to make. An export that was broken off goes on with the same command.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The bundle, or the data directory.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// The auditor's own copy of what is trusted: register digest and witness policy.
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,
}

/// Says what of an entry file opens. No class that opens is the answer no.
pub fn unseal(args: &UnsealArgs, output: Output) -> Result<Exit, Failure> {
    let config = Config::load(&args.config).map_err(Failure::usage)?;
    let keys =
        Keys::open(&config.keys_dir, &args.passphrase.source(&config)).map_err(Failure::usage)?;
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

/// An end of a range: an index, a date or a time.
fn bound(text: &str) -> Result<Bound, String> {
    if let Ok(index) = text.parse() {
        return Ok(Bound::Index(index));
    }
    let day = || {
        let date =
            text.parse::<jiff::civil::Date>().ok().filter(|date| date.to_string() == text)?;
        date.in_tz("UTC").ok().map(|midnight| midnight.timestamp())
    };
    let time = text.parse::<jiff::Timestamp>().ok().or_else(day);
    let seconds = time.and_then(|time| u64::try_from(time.as_second()).ok());
    let hint = "an index, a date such as 2026-01-31, or a time such as 2026-01-31T08:00:00Z";
    seconds.map(Bound::Time).ok_or_else(|| format!("expected {hint}"))
}

/// Does without the node what auditors need.
pub fn audit(command: &AuditCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        AuditCommand::Export(args) => export(args, output),
        AuditCommand::Verify(args) => verify(args, output),
    }
}

fn verify(args: &VerifyArgs, output: Output) -> Result<Exit, Failure> {
    let options = sealwire_audit::Options::default();
    let report = sealwire_audit::verify(&args.path, &args.trust, options);
    output.say(&report, &report)?;
    Ok(match report.exit_code() {
        0 => Exit::Done,
        1 => Exit::Refused,
        _ => Exit::Undecided,
    })
}

fn export(args: &ExportArgs, output: Output) -> Result<Exit, Failure> {
    let config = Config::load(&args.config).map_err(Failure::usage)?;
    let selection = Selection { from: args.from, to: args.to, parts: args.with_parts };
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("exporting {wide_bar} {percent} % {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let progress = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let report = export::export(&config.data_dir, &config.member, selection, &args.out, progress);
    bar.finish_and_clear();
    let report = report.map_err(|cause| match cause {
        ExportError::Io { .. } => Failure::fault(cause),
        ExportError::Range { .. } => Failure::usage(cause),
        _ => Failure::refused(cause),
    })?;
    let manifest = &report.manifest;
    let text = format!(
        "exported entries {} to {} of {} ({} signed), {} parts, {} other logs, into {}: {} files, \
         {} bytes, SHA-256 {}",
        manifest.from,
        manifest.to,
        manifest.member,
        manifest.size,
        if manifest.parts { "with" } else { "without" },
        manifest.mirrors.len(),
        args.out.display(),
        report.files,
        report.bytes,
        report.sha256,
    );
    output.say(&report, text)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_of_a_range_is_an_index_a_date_or_a_time() {
        assert_eq!(bound("17"), Ok(Bound::Index(17)));
        assert_eq!(bound("1970-01-02"), Ok(Bound::Time(86_400)));
        assert_eq!(bound("1970-01-01T01:00:00+01:00"), Ok(Bound::Time(0)));
        for bad in ["", "-1", "yesterday", "1969-01-01", "2026-13-01", "2026-01-01T00:00"] {
            assert!(bound(bad).is_err(), "{bad}");
        }
    }
}
