//! `import` and `template`: records that arrive as a table, a workbook or XML.
//!
//! A column fills the field that its head names by JSON pointer, or that a mapping profile names
//! for it; an XML element fills the field that the profile names. Every record is built and
//! checked before any is sent, unless `--good-rows` asks for those that are good. Each is sent
//! under a key made of its content, so that importing a file again publishes nothing twice.

mod declaration;
mod profile;
mod rows;
mod sheet;
mod source;
mod template;

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sealwire_schemas::{Kind, Standard};
use sealwire_wire::id::Digest;
use serde_json::{Value, json};

use self::profile::Profile;
use self::rows::Fault;
use self::source::{Item, Source};
pub use self::template::{TemplateArgs, template};
use super::client::{Client, Connection};
use super::output::{Exit, Failure, Output};
use super::publish::send;

/// Most faults that are listed; the others are counted.
const MAX_LISTED: usize = 1000;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file: a table whose first row names the columns, in CSV (UTF-8) or as a workbook
    /// (.xlsx), or .xml.
    file: PathBuf,
    /// A mapping profile (TOML): kind, constant fields, and the field of each column or element.
    /// Without it the heads are JSON pointers.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// A field that is the same in every record, such as /issueDate=2026-12-31.
    #[arg(long, value_name = "POINTER=VALUE")]
    set: Vec<String>,
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
    /// Write the bad rows of a table here as CSV, with a last column that says what is wrong.
    #[arg(long, value_name = "FILE")]
    bad_rows: Option<PathBuf>,
    /// Write the table here as a workbook (.xlsx) in which each bad cell is marked and has a note
    /// that says what is wrong.
    #[arg(long, value_name = "FILE")]
    marked: Option<PathBuf>,
    /// The node.
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Default)]
struct Tally {
    records: u64,
    bad: u64,
    sent: u64,
    repeated: u64,
    faults: Vec<Fault>,
}

/// Imports a file.
pub fn import(args: &ImportArgs, output: Output) -> Result<Exit, Failure> {
    let mut tally = Tally::default();
    // Nothing is sent before all is known to be good, unless good rows are asked for alone.
    if args.dry_run || !args.good_rows {
        pass(args, None, &mut tally)?;
    }
    if !args.dry_run && tally.bad == 0 {
        let client = args.connection.open()?;
        tally = Tally::default();
        pass(args, Some(&client), &mut tally)?;
    }
    let data = json!({"rows": tally.records, "bad": tally.bad, "published": tally.sent,
                      "repeated": tally.repeated, "faults": tally.faults});
    let mut lines: Vec<String> = tally.faults.iter().map(fault_text).collect();
    lines.push(format!(
        "{} records: {} bad, {} published, {} published before",
        tally.records, tally.bad, tally.sent, tally.repeated
    ));
    output.say(&data, lines.join("\n"))?;
    Ok(if tally.bad == 0 { Exit::Done } else { Exit::Refused })
}

fn fault_text(fault: &Fault) -> String {
    let Fault { row, code, text, .. } = fault;
    match (&fault.column, &fault.header) {
        (Some(column), Some(header)) => {
            format!("row {row}, column {column} ({header}): {code}: {text}")
        }
        (None, Some(element)) => format!("line {row}, {element}: {code}: {text}"),
        _ => format!("row or line {row}, the whole: {code}: {text}"),
    }
}

fn kind_named(name: &str) -> anyhow::Result<&'static Kind> {
    let standard = Standard::v1();
    standard.kind(name).ok_or_else(|| {
        let known: Vec<&str> = standard.kinds().map(Kind::name).collect();
        anyhow!("cannot find record kind {name:?} (hint: the kinds are {})", known.join(", "))
    })
}

/// Opens the file; also the digest of profile and heads, which is part of each record's key.
fn open(args: &ImportArgs) -> anyhow::Result<(Source, Digest)> {
    let (text, mut profile) = match &args.profile {
        None => (String::new(), Profile::default()),
        Some(path) => Profile::read(path)?,
    };
    for set in &args.set {
        let (pointer, value) = set.split_once('=').with_context(|| {
            format!("cannot set {set:?}: no value (hint: --set /issueDate=2026-12-31)")
        })?;
        profile.constant.insert(pointer.to_owned(), Value::from(value));
    }
    let name = profile.kind.as_ref().or(args.kind.as_ref());
    let name = name.context("cannot import: the record kind is not said (hint: --kind NAME)")?;
    let kind = kind_named(name)?;
    let source = Source::open(&args.file, kind, profile, args.connection.language)?;
    let digest = format!(
        "{}\n{text}\n{:?}\n{:?}",
        kind.name(),
        args.set,
        source.headers().unwrap_or(&csv::StringRecord::new())
    );
    Ok((source, Digest::of(digest.as_bytes())))
}

/// Reads all records; with a client, publishes the good ones.
fn pass(args: &ImportArgs, client: Option<&Client>, tally: &mut Tally) -> Result<(), Failure> {
    let (source, digest) = open(args).map_err(Failure::refused)?;
    let mut kept = Kept::new(args, source.headers())?;
    let progress = progress(source.length(&args.file), client.is_some());
    source.each(|item: Item<'_>| {
        progress.set_position(item.read);
        tally.records += 1;
        kept.row(item.cells, item.built.as_ref().err().map_or(&[], Vec::as_slice))?;
        match (item.built, client) {
            (Ok(_), None) => {}
            (Ok(record), Some(client)) => {
                let body = json!({"community": args.community, "record": record});
                let key = Digest::of(format!("{digest}\n{}", item.content).as_bytes());
                let answer = send(client, &format!("row-{key}"), body.to_string().as_bytes())?;
                let repeated = answer.get("repeated") == Some(&Value::Bool(true));
                tally.sent += u64::from(!repeated);
                tally.repeated += u64::from(repeated);
            }
            (Err(faults), _) => {
                tally.bad += 1;
                let room = MAX_LISTED.saturating_sub(tally.faults.len());
                tally.faults.extend(faults.into_iter().take(room));
            }
        }
        Ok(())
    })?;
    progress.finish_and_clear();
    kept.finish()
}

/// What is written of a table for whoever mends it.
#[derive(Default)]
struct Kept {
    bad_rows: Option<csv::Writer<std::fs::File>>,
    marked: Option<Marked>,
}

struct Marked {
    path: PathBuf,
    headers: csv::StringRecord,
    rows: Vec<(csv::StringRecord, Vec<Fault>)>,
}

impl Kept {
    fn new(args: &ImportArgs, headers: Option<&csv::StringRecord>) -> Result<Self, Failure> {
        let mut kept = Self::default();
        let Some(headers) = headers else {
            if args.bad_rows.is_some() || args.marked.is_some() {
                return Err(Failure::usage(
                    "cannot keep the bad rows: XML has none (hint: leave out --bad-rows and --marked)",
                ));
            }
            return Ok(kept);
        };
        if let Some(path) = &args.bad_rows {
            let mut writer = csv::Writer::from_path(path).map_err(Failure::fault)?;
            let mut head = headers.clone();
            head.push_field("what is wrong");
            writer.write_record(&head).map_err(Failure::fault)?;
            kept.bad_rows = Some(writer);
        }
        kept.marked = args.marked.as_ref().map(|path| Marked {
            path: path.clone(),
            headers: headers.clone(),
            rows: Vec::new(),
        });
        Ok(kept)
    }

    fn row(&mut self, cells: Option<&csv::StringRecord>, faults: &[Fault]) -> Result<(), Failure> {
        let Some(cells) = cells else { return Ok(()) };
        if let Some(marked) = &mut self.marked {
            if marked.rows.len() >= sheet::MAX_ROWS {
                return Err(Failure::refused(anyhow!(
                    "cannot mark a table of more than {} rows (hint: --bad-rows FILE.csv)",
                    sheet::MAX_ROWS
                )));
            }
            marked.rows.push((cells.clone(), faults.to_vec()));
        }
        if let Some(writer) = &mut self.bad_rows
            && !faults.is_empty()
        {
            let text: Vec<String> = faults.iter().map(fault_text).collect();
            let mut row = cells.clone();
            row.push_field(&text.join("; "));
            writer.write_record(&row).map_err(Failure::fault)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        if let Some(mut writer) = self.bad_rows {
            writer.flush()?;
        }
        if let Some(Marked { path, headers, rows }) = self.marked {
            sheet::write_marked(&path, &headers, &rows).map_err(Failure::fault)?;
        }
        Ok(())
    }
}

/// How far the file has been read; silent unless standard error is a terminal.
fn progress(length: u64, sending: bool) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = "{msg} {wide_bar} {percent} % {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(if sending { "publishing" } else { "checking" })
}
