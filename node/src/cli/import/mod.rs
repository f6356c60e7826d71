//! `import` and `template`: a table of records, one a row.
//!
//! A column fills the field that its head names by JSON pointer, or that a mapping profile names
//! for it. Every row is built and checked before any is sent, unless `--good-rows` asks for those
//! that are good. Rows are read one at a time, and each is sent under a key made of its content,
//! so that importing a table again publishes nothing twice.

mod rows;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sealwire_schemas::{Kind, Standard};
use sealwire_wire::id::Digest;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Client, Connection};
use super::output::{Exit, Failure, Output};
use super::publish::send;
use rows::{Column, Fault};

/// Most faults that are listed; the others are counted.
const MAX_LISTED: usize = 1000;
/// Longest mapping profile, in bytes.
const MAX_PROFILE_BYTES: u64 = 1024 * 1024;
/// Most columns of a table.
const MAX_COLUMNS: usize = 1000;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The table, a CSV file in UTF-8 whose first row names the columns.
    file: PathBuf,
    /// A mapping profile (TOML): kind, constant fields, and the field of each column. Without it
    /// the heads are JSON pointers.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// The record kind, where the profile does not say it.
    #[arg(long)]
    kind: Option<String>,
    /// The community to publish in.
    #[arg(long, value_name = "ID", required_unless_present = "dry_run")]
    community: Option<String>,
    /// Check every row and send none.
    #[arg(long)]
    dry_run: bool,
    /// Send the rows that are good, although others are not.
    #[arg(long)]
    good_rows: bool,
    /// Write the bad rows here, with a last column that says what is wrong.
    #[arg(long, value_name = "FILE")]
    bad_rows: Option<PathBuf>,
    /// The node.
    #[command(flatten)]
    connection: Connection,
}

/// Arguments of `template`.
#[derive(Debug, Args)]
pub struct TemplateArgs {
    /// The record kind.
    kind: String,
    /// Only the fields that every record must have.
    #[arg(long)]
    minimal: bool,
}

/// A mapping profile.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Profile {
    kind: Option<String>,
    /// What separates cells; a comma if it is not said.
    separator: Option<char>,
    /// Fields that are the same in every row, by pointer.
    #[serde(default)]
    constant: BTreeMap<String, Value>,
    /// The field of each column, by what its head says.
    #[serde(default)]
    column: BTreeMap<String, String>,
}

/// A table that is open for reading.
struct Table {
    reader: csv::Reader<File>,
    headers: csv::StringRecord,
    columns: Vec<Column>,
    constants: Map<String, Value>,
    /// Of profile and heads: part of each row's key.
    digest: Digest,
}

#[derive(Debug, Default)]
struct Tally {
    rows: u64,
    bad: u64,
    sent: u64,
    repeated: u64,
    faults: Vec<Fault>,
}

/// Imports a table.
pub fn import(args: &ImportArgs, output: Output) -> Result<Exit, Failure> {
    let mut tally = Tally::default();
    // Nothing is sent before all is known to be good, unless good rows are asked for alone.
    if args.dry_run || !args.good_rows {
        let table = open(args).map_err(Failure::refused)?;
        pass(args, table, None, &mut tally)?;
    }
    if !args.dry_run && tally.bad == 0 {
        let client = args.connection.open()?;
        tally = Tally::default();
        pass(args, open(args).map_err(Failure::refused)?, Some(&client), &mut tally)?;
    }
    let data = json!({"rows": tally.rows, "bad": tally.bad, "published": tally.sent,
                      "repeated": tally.repeated, "faults": tally.faults});
    let mut lines: Vec<String> = tally.faults.iter().map(fault_text).collect();
    lines.push(format!(
        "{} rows: {} bad, {} published, {} published before",
        tally.rows, tally.bad, tally.sent, tally.repeated
    ));
    output.say(&data, lines.join("\n"))?;
    Ok(if tally.bad == 0 { Exit::Done } else { Exit::Refused })
}

fn fault_text(fault: &Fault) -> String {
    let column = match (&fault.column, &fault.header) {
        (Some(column), Some(header)) => format!("column {column} ({header})"),
        _ => "the whole".to_owned(),
    };
    format!("row {}, {column}: {}: {}", fault.row, fault.code, fault.text)
}

/// Prints the head of a table and nothing else.
pub fn template(args: &TemplateArgs) -> Result<Exit, Failure> {
    let kind = kind_named(&args.kind).map_err(Failure::usage)?;
    let fields = kind.fields().into_iter().filter(|(_, field)| field.required || !args.minimal);
    let given = |pointer: &String| !["/id", "/kind", "/version"].contains(&pointer.as_str());
    let head: Vec<String> = fields.map(|(pointer, _)| pointer).filter(given).collect();
    let mut writer = csv::Writer::from_writer(std::io::stdout());
    writer.write_record(&head).map_err(Failure::fault)?;
    writer.flush()?;
    Ok(Exit::Done)
}

fn kind_named(name: &str) -> anyhow::Result<&'static Kind> {
    let standard = Standard::v1();
    standard.kind(name).ok_or_else(|| {
        let known: Vec<&str> = standard.kinds().map(Kind::name).collect();
        anyhow!("cannot find record kind {name:?} (hint: the kinds are {})", known.join(", "))
    })
}

fn open(args: &ImportArgs) -> anyhow::Result<Table> {
    let (text, profile) = match &args.profile {
        None => (String::new(), Profile::default()),
        Some(path) => read_profile(path)?,
    };
    let name = profile.kind.as_ref().or(args.kind.as_ref());
    let name = name.context("cannot import: the record kind is not said (hint: --kind NAME)")?;
    let kind = kind_named(name)?;
    let shown = args.file.display();
    let file = File::open(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let separator = u8::try_from(profile.separator.unwrap_or(','))
        .context("cannot use the profile's separator: not one ASCII character")?;
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(file);
    let headers = reader.headers().with_context(|| format!("cannot read {shown}"))?.clone();
    if headers.len() > MAX_COLUMNS {
        bail!("cannot import {shown}: {} columns, more than {MAX_COLUMNS}", headers.len());
    }
    let mut constants: Map<String, Value> = profile.constant.into_iter().collect();
    constants.insert("/kind".to_owned(), json!(kind.name()));
    constants.insert("/version".to_owned(), json!(kind.version()));
    let mut columns = Vec::new();
    let unknown = constants.keys().filter(|pointer| kind.field(pointer).is_none());
    let mut faults: Vec<String> = unknown
        .map(|pointer| format!("the profile: {} has no field {pointer}", kind.name()))
        .collect();
    for (at, header) in headers.iter().enumerate() {
        let header = header.trim_start_matches('\u{feff}').trim();
        let pointer = profile.column.get(header).map_or(header, String::as_str);
        match Column::new(kind, at, header, pointer) {
            Ok(column) => columns.push(column),
            Err(fault) => faults.push(fault.to_string()),
        }
    }
    if let Err(fault) = rows::distinct(&columns) {
        faults.push(fault.to_string());
    }
    if !faults.is_empty() {
        bail!(
            "cannot import {shown}:\n{}\nhint: see `sealwire template {}` for the fields, or name \
             them in a profile",
            faults.join("\n"),
            kind.name()
        );
    }
    let digest = Digest::of(format!("{}\n{text}\n{headers:?}", kind.name()).as_bytes());
    Ok(Table { reader, headers, columns, constants, digest })
}

fn read_profile(path: &Path) -> anyhow::Result<(String, Profile)> {
    let shown = path.display();
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    file.take(MAX_PROFILE_BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {shown}"))?;
    let profile = toml::from_str(&text).with_context(|| format!("cannot read profile {shown}"))?;
    Ok((text, profile))
}

/// Reads all rows; with a client, publishes the good ones.
fn pass(
    args: &ImportArgs,
    mut table: Table,
    client: Option<&Client>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut bad_rows = match &args.bad_rows {
        None => None,
        Some(path) => {
            let mut writer = csv::Writer::from_path(path).map_err(Failure::fault)?;
            let mut head = table.headers.clone();
            head.push_field("what is wrong");
            writer.write_record(&head).map_err(Failure::fault)?;
            Some(writer)
        }
    };
    let progress = progress(&args.file, client.is_some());
    let mut cells = csv::StringRecord::new();
    loop {
        let row = tally.rows + 2;
        let more = table.reader.read_record(&mut cells);
        progress.set_position(table.reader.position().byte());
        let outcome = match more {
            Ok(false) => break,
            Ok(true) => rows::record(&table.constants, &table.columns, row, &cells),
            Err(cause) if cause.is_io_error() => return Err(Failure::fault(cause)),
            Err(cause) => {
                let (code, text) = ("row-malformed".to_owned(), cause.to_string());
                Err(vec![Fault { row, column: None, header: None, code, text }])
            }
        };
        tally.rows += 1;
        match (outcome, client) {
            (Ok(_), None) => {}
            (Ok(record), Some(client)) => {
                let body = json!({"community": args.community, "record": record});
                let key = Digest::of(format!("{}\n{cells:?}", table.digest).as_bytes());
                let answer = send(client, &format!("row-{key}"), body.to_string().as_bytes())?;
                let repeated = answer.get("repeated") == Some(&Value::Bool(true));
                tally.sent += u64::from(!repeated);
                tally.repeated += u64::from(repeated);
            }
            (Err(faults), _) => {
                tally.bad += 1;
                if let Some(writer) = &mut bad_rows {
                    let text: Vec<String> = faults.iter().map(fault_text).collect();
                    cells.push_field(&text.join("; "));
                    writer.write_record(&cells).map_err(Failure::fault)?;
                }
                let room = MAX_LISTED.saturating_sub(tally.faults.len());
                tally.faults.extend(faults.into_iter().take(room));
            }
        }
    }
    progress.finish_and_clear();
    if let Some(mut writer) = bad_rows {
        writer.flush()?;
    }
    Ok(())
}

/// How far the file has been read; silent unless standard error is a terminal.
fn progress(file: &Path, sending: bool) -> ProgressBar {
    let length = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    let bar = ProgressBar::new(length);
    let template = "{msg} {wide_bar} {percent} % {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(if sending { "publishing" } else { "checking" })
}
