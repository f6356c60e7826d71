//! `unseal` and `audit`: what can be said and done without the node, but for fields that are opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sealwire_wire::bundle::MAX_OPENINGS;
use sealwire_wire::field_proof::FieldProof;
use sealwire_wire::id::RecordId;
use serde_json::Value;

use super::client::Connection;
use super::keys::PassphraseArgs;
use super::onward::{opened, purpose};
use super::output::{Exit, Failure, Output};
use crate::config::Config;
use crate::export::{self, Bound, ExportError, Openings, Selection};
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
    /// Open fields of a record of this member, at these JSON pointers; may be given again. The
    /// running node is asked, as by `sealwire open`, and keeps it in its read log.
    #[arg(long = "open", value_name = "RECORD=POINTER[,POINTER...]", value_parser = opening)]
    pub openings: Vec<Opening>,
    /// The body that gets the opened fields, as a consent names it.
    #[arg(long, value_name = "NAME", requires_all = ["purpose", "openings"])]
    pub recipient: Option<String>,
    /// What the body wants them for.
    #[arg(long, value_name = "PURPOSE", requires = "recipient", value_parser = purpose)]
    pub purpose: Option<String>,
    /// The file to make. An export that was broken off goes on with the same command.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Fields of one record that are to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    record: RecordId,
    pointers: Vec<String>,
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

/// Reads `RECORD=POINTER[,POINTER...]`.
fn opening(text: &str) -> Result<Opening, String> {
    let expected =
        || "expected a record and JSON pointers, urn:uuid:...=/substance/0/name,/title".to_owned();
    let (record, pointers) = text.split_once('=').ok_or_else(expected)?;
    let record = record.parse().map_err(|_| expected())?;
    // A pointer begins with a slash, and may have a comma in it.
    let pointers = pointers.strip_prefix('/').ok_or_else(expected)?.split(",/");
    Ok(Opening { record, pointers: pointers.map(|pointer| format!("/{pointer}")).collect() })
}

/// The proofs of the fields that are to be opened, from the node.
fn openings(args: &ExportArgs) -> Result<Openings, Failure> {
    let mut chosen: BTreeMap<RecordId, BTreeSet<&String>> = BTreeMap::new();
    for Opening { record, pointers } in &args.openings {
        chosen.entry(*record).or_default().extend(pointers);
    }
    if chosen.len() > MAX_OPENINGS {
        return Err(Failure::usage(format!(
            "cannot open fields of {} records\nhint: give --open for at most {MAX_OPENINGS}",
            chosen.len()
        )));
    }
    if chosen.is_empty() {
        return Ok(Openings::new());
    }
    let connection = Connection { config: Some(args.config.clone()), ..Connection::default() };
    let client = connection.open()?;
    let mut openings = Openings::new();
    for (record, fields) in chosen {
        let proof =
            opened(&client, &record, fields, args.recipient.as_ref(), args.purpose.as_ref())?;
        openings.insert(record, FieldProof::parse(&proof).map_err(Failure::fault)?);
    }
    Ok(openings)
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
    let openings = openings(args)?;
    let (data, own) = (&config.data_dir, &config.member);
    let report = export::export(data, own, selection, &openings, &args.out, progress);
    bar.finish_and_clear();
    let report = report.map_err(|cause| match cause {
        ExportError::Io { .. } => Failure::fault(cause),
        ExportError::Range { .. } => Failure::usage(cause),
        _ => Failure::refused(cause),
    })?;
    let manifest = &report.manifest;
    let text = format!(
        "exported entries {} to {} of {} ({} signed), {} parts, {} other logs, opened fields of \
         {} records, into {}: {} files, {} bytes, SHA-256 {}",
        manifest.from,
        manifest.to,
        manifest.member,
        manifest.size,
        if manifest.parts { "with" } else { "without" },
        manifest.mirrors.len(),
        openings.len(),
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
    fn an_opening_names_a_record_and_where_its_fields_are() {
        let id = "urn:uuid:0199aaaa-0000-7000-8000-000000000001";
        let read = |pointers: &str| opening(&format!("{id}={pointers}")).map(|o| o.pointers);
        assert_eq!(read("/a"), Ok(vec!["/a".to_owned()]));
        let expected = ["/a/0", "/b,c", "/d"].map(str::to_owned);
        assert_eq!(read("/a/0,/b,c,/d"), Ok(expected.into()));
        assert_eq!(opening(&format!("{id}=/a")).unwrap().record.to_string(), id);
        for bad in ["", "=", "/a", "urn:uuid:1=/a", id, &format!("{id}="), &format!("{id}=a")] {
            assert!(opening(bad).is_err(), "{bad}");
        }
    }

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
