//! `tail`, `show`, `reads` and `status`: what the node holds, and who read it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use sealwire_wire::id::{RecordId, is_word};
use serde_json::Value;

use super::client::{Client, Connection};
use super::output::{Exit, Failure, Output};

/// Records on one page.
const PAGE: usize = 100;
/// Pause before a lost stream is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Go on with the records to come.
    #[arg(long, short)]
    pub follow: bool,
    /// Begin after this cursor.
    #[arg(long, value_name = "CURSOR", default_value_t = 0)]
    pub after: u64,
    /// Only records of this kind, such as lab-alert.
    #[arg(long, value_parser = word)]
    pub kind: Option<String>,
    /// With --json, what restricted fields are read for: a purpose of the records, such as
    /// drug-control. Each such read is logged. Without --json none are shown, and none are read.
    #[arg(long, value_parser = word)]
    pub purpose: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The record's id, urn:uuid:…
    pub id: RecordId,
    /// The signed statement with its sealed parts, CBOR, for `sealwire unseal`.
    #[arg(long, group = "what")]
    pub entry: bool,
    /// What reached whom.
    #[arg(long, group = "what")]
    pub delivery: bool,
    /// The record as it stands, with every field that corrections, or the record in its place,
    /// changed.
    #[arg(long, group = "what")]
    pub amended: bool,
    /// What restricted fields are read for: a purpose of the record, such as drug-control. Each
    /// such read is logged.
    #[arg(long, value_parser = word, conflicts_with_all = ["entry", "delivery"])]
    pub purpose: Option<String>,
    /// Write to this new file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `reads`.
#[derive(Debug, Args)]
pub struct ReadsArgs {
    /// Begin after this place in the read log.
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
    pub after: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `screen`.
#[derive(Debug, Args)]
pub struct ScreenArgs {
    /// The id of a record of this member, urn:uuid:…
    pub id: RecordId,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `receipt`.
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// The record's id, urn:uuid:…
    pub id: RecordId,
    /// As a COSE receipt (RFC 9942) beside its checkpoint, in CBOR; for a record of this member.
    #[arg(long)]
    pub cose: bool,
    /// Write to this new file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Reads a kind or a purpose.
fn word(text: &str) -> Result<String, &'static str> {
    let bad = "it is no word of small letters, digits and hyphens";
    if is_word(text) { Ok(text.to_owned()) } else { Err(bad) }
}

/// Reads a place in the read log; the node says whether it is one.
fn cursor(text: &str) -> Result<String, &'static str> {
    let bad = "it is none that `sealwire reads` printed";
    let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if good { Ok(text.to_owned()) } else { Err(bad) }
}

/// Prints records in the order of their arrival.
pub fn tail(args: &TailArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let asked = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("&{name}={value}")).unwrap_or_default()
    };
    let mut query = asked("kind", &args.kind) + &asked("purpose", &args.purpose);
    if !output.json() {
        // A line shows no field: nothing restricted is read for it.
        query += "&restricted=false";
    }
    let mut after = pages(&client, args.after, &query, output)?;
    if !args.follow {
        return Ok(Exit::Done);
    }
    loop {
        let path = format!("/v1/stream?after={after}{query}");
        let ended = client.events(&path, &after.to_string(), |event| {
            let data: Value = serde_json::from_str(&event.data).map_err(Failure::fault)?;
            if event.name == "disputed" {
                return output.say(&data, disputed_line(&data));
            }
            if event.name != "record" {
                return Err(Failure::Problem(data));
            }
            after = event.id.parse().unwrap_or(after);
            output.say(&data, record_line(&data))
        });
        match ended {
            Err(failure @ (Failure::Problem(_) | Failure::Usage(_))) => return Err(failure),
            Err(Failure::Refused(text)) => output.note(text),
            Err(Failure::Fault(cause)) => output.note(format!("stream lost, resuming: {cause}")),
            Ok(()) => output.note("stream ended, resuming"),
        }
        std::thread::sleep(RECONNECT_PAUSE);
    }
}

/// Prints all pages after a cursor and gives the last cursor.
fn pages(client: &Client, mut after: u64, query: &str, output: Output) -> Result<u64, Failure> {
    loop {
        let path = format!("/v1/records?after={after}&limit={PAGE}{query}");
        let page = client.get(&path)?.accepted()?.json()?;
        for record in page.get("records").and_then(Value::as_array).into_iter().flatten() {
            output.say(record, record_line(record))?;
        }
        after = page.get("next").and_then(Value::as_u64).unwrap_or(after);
        if page.get("more") != Some(&Value::Bool(true)) {
            return Ok(after);
        }
    }
}

/// Prints one record, or what proves it.
pub fn show(args: &ShowArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let what = match args {
        ShowArgs { entry: true, .. } => "/entry",
        ShowArgs { delivery: true, .. } => "/delivery",
        _ => "",
    };
    let purpose = args.purpose.as_ref().map(|purpose| format!("purpose={purpose}"));
    let amended = args.amended.then(|| "amended=true".to_owned());
    let asked: Vec<String> = amended.into_iter().chain(purpose).collect();
    let query = if asked.is_empty() { String::new() } else { format!("?{}", asked.join("&")) };
    let answer = client.get(&format!("/v1/records/{}{what}{query}", args.id))?.accepted()?;
    let bytes = if args.entry {
        answer.body
    } else {
        let json = answer.json()?;
        let text = if output.json() { json.to_string() } else { format!("{json:#}") };
        (text + "\n").into_bytes()
    };
    write(&bytes, args.out.as_deref(), output)
}

/// Prints who was given which restricted class of which record, oldest first.
pub fn reads(args: &ReadsArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let mut after = args.after.clone();
    loop {
        let from = after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        let page = client.get(&format!("/v1/reads?limit={PAGE}{from}"))?.accepted()?.json()?;
        for read in page.get("reads").and_then(Value::as_array).into_iter().flatten() {
            output.say(read, read_line(read))?;
        }
        after = page.get("next").and_then(Value::as_str).map(str::to_owned).or(after);
        if page.get("more") != Some(&Value::Bool(true)) {
            return Ok(Exit::Done);
        }
    }
}

/// Prints what the screen found in a record of ours, and who decided to send it.
pub fn screen(args: &ScreenArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let view = client.get(&format!("/v1/records/{}/screen", args.id))?.accepted()?.json()?;
    output.say(&view, screened(&view))?;
    Ok(Exit::Done)
}

fn screened(view: &Value) -> String {
    let text = |value: &Value, key: &str| match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    };
    let kept: Vec<&Value> =
        view.get("kept").and_then(Value::as_array).into_iter().flatten().collect();
    if kept.is_empty() {
        return format!("{}: nothing was found", text(view, "id"));
    }
    let mut lines =
        format!("{}: sent by decision of {}", text(view, "id"), text(view, "principal"));
    for finding in kept {
        let (pointer, code) = (text(finding, "pointer"), text(finding, "code"));
        lines.push_str(&format!("\n  {pointer} {code}: {}", text(finding, "reason")));
    }
    lines
}

/// Prints the proof that a record is in its log, which stands by itself.
pub fn receipt(args: &ReceiptArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let form = if args.cose { "cose-receipt" } else { "receipt" };
    let answer = client.get(&format!("/v1/records/{}/{form}", args.id))?.accepted()?;
    write(&answer.body, args.out.as_deref(), output)
}

/// Writes to a new file, or to standard output.
pub(super) fn write(bytes: &[u8], file: Option<&Path>, output: Output) -> Result<Exit, Failure> {
    let Some(file) = file else {
        output.raw(bytes)?;
        return Ok(Exit::Done);
    };
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut out| out.write_all(bytes).and_then(|()| out.sync_all()));
    written.map_err(|cause| {
        Failure::usage(format!(
            "cannot write {}: {cause}\nhint: give --out a file that is not there yet",
            file.display()
        ))
    })?;
    Ok(Exit::Done)
}

/// Prints the state of the node. A node that is not ready is the answer no.
pub fn status(connection: &Connection, output: Output) -> Result<Exit, Failure> {
    let status = connection.open()?.get("/v1/status")?.accepted()?.json()?;
    output.say(&status, format!("{status:#}"))?;
    let ready = status.get("ready") == Some(&Value::Bool(true));
    Ok(if ready { Exit::Done } else { Exit::Refused })
}

/// One read on one line.
fn read_line(read: &Value) -> String {
    let text = |key: &str| shown(read, key);
    let time = read
        .get("at")
        .and_then(Value::as_i64)
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "?".to_owned(), |time| time.to_string());
    let purpose = match text("purpose") {
        none if none.is_empty() => "-".to_owned(),
        purpose => purpose,
    };
    format!(
        "{} {time} {} read {} of {} {} for {purpose}",
        text("cursor"),
        text("principal"),
        text("class"),
        text("originator"),
        text("record"),
    )
}

/// A value of an answer, as a word on a line.
pub(super) fn shown(answer: &Value, key: &str) -> String {
    match answer.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    }
}

/// A dispute on one line.
fn disputed_line(data: &Value) -> String {
    let text = |key: &str| shown(data, key);
    format!(
        "disputed {} of {} by {} {}",
        text("record"),
        text("originator"),
        text("log"),
        text("id")
    )
}

/// One record on one line.
fn record_line(record: &Value) -> String {
    let text = |key: &str| shown(record, key);
    let list = |key: &str| {
        let items = record.get(key).and_then(Value::as_array).into_iter().flatten();
        let items: Vec<&str> = items.filter_map(Value::as_str).collect();
        if items.is_empty() { "-".to_owned() } else { items.join(",") }
    };
    let time = record
        .get("received_at")
        .and_then(Value::as_i64)
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "?".to_owned(), |time| format!("{time:.3}"));
    format!(
        "{} {time} {}#{} {} {} {} {} opened {} held back {} withheld {} {}",
        text("cursor"),
        text("log"),
        text("index"),
        text("kind"),
        text("community"),
        text("status"),
        text("state"),
        list("opened"),
        list("held_back"),
        list("withheld"),
        text("id"),
    )
}
