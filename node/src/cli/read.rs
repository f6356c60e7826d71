//! `tail`, `show` and `status`: what the node holds.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use sealwire_wire::id::RecordId;
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
    #[arg(long)]
    pub kind: Option<String>,
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
    /// Write to this new file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
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

/// Prints records in the order of their arrival.
pub fn tail(args: &TailArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let kind = match &args.kind {
        Some(kind) if kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            format!("&kind={kind}")
        }
        Some(kind) => {
            let text = format!("cannot read kind {kind:?}: it is none\nhint: such as lab-alert");
            return Err(Failure::Usage(text));
        }
        None => String::new(),
    };
    let mut after = pages(&client, args.after, &kind, output)?;
    if !args.follow {
        return Ok(Exit::Done);
    }
    loop {
        let path = format!("/v1/stream?after={after}{kind}");
        let ended = client.events(&path, &after.to_string(), |event| {
            let data: Value = serde_json::from_str(&event.data).map_err(Failure::fault)?;
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
fn pages(client: &Client, mut after: u64, kind: &str, output: Output) -> Result<u64, Failure> {
    loop {
        let path = format!("/v1/records?after={after}&limit={PAGE}{kind}");
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
    let answer = client.get(&format!("/v1/records/{}{what}", args.id))?.accepted()?;
    let bytes = if args.entry {
        answer.body
    } else {
        let json = answer.json()?;
        let text = if output.json() { json.to_string() } else { format!("{json:#}") };
        (text + "\n").into_bytes()
    };
    write(&bytes, args.out.as_deref(), output)
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

/// One record on one line.
fn record_line(record: &Value) -> String {
    let text = |key: &str| match record.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    };
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
        "{} {time} {}#{} {} {} {} opened {} withheld {} {}",
        text("cursor"),
        text("log"),
        text("index"),
        text("kind"),
        text("community"),
        text("status"),
        list("opened"),
        list("withheld"),
        text("id"),
    )
}
