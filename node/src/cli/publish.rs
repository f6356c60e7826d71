//! `publish` and `validate`: a record from a file or standard input.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use sealwire_schemas::{Finding, Language, Profile, Severity, Standard, ValidRecord};
use sealwire_wire::id::MemberId;
use serde_json::{Map, Value, json};

use super::client::{Client, Connection, language};
use super::output::{Exit, Failure, Output, finding_text};
use crate::locodes;

/// Largest record read, in bytes: the node's own limit for a body.
const MAX_RECORD_BYTES: u64 = 1024 * 1024;
/// How often a publish is sent again when the node does not answer.
const REPEATS: u32 = 2;
/// Pause before it is sent again.
const REPEAT_PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The record, a JSON file; - is standard input.
    #[arg(value_name = "FILE")]
    pub record: PathBuf,
    /// The community to publish in.
    #[arg(long, value_name = "ID")]
    pub community: String,
    /// Members, separated by commas. With --class NAME they get those classes; without, the whole
    /// entry is addressed to them and to nobody else.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub to: Vec<MemberId>,
    /// A field class for the members of --to, or for other members with NAME=A,B. Repeatable.
    /// Classes that are not named go to whom the community's agreement says.
    #[arg(long = "class", value_name = "NAME[=A,B]", value_parser = class_audience)]
    pub classes: Vec<ClassAudience>,
    /// Publish nothing; say what each member would see of the record, and what is withheld.
    #[arg(long, conflicts_with = "idempotency_key")]
    pub preview: bool,
    /// Send what the screen finds in free text all the same, and why: REASON for whatever it finds,
    /// /POINTER=REASON for one field. Repeatable; what was decided is kept with the record.
    #[arg(long, value_name = "[/POINTER=]REASON", value_parser = decision)]
    pub keep: Vec<Keep>,
    /// Repeating with the same key publishes once; a random one if not given.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The record, a JSON file; - is standard input.
    #[arg(value_name = "FILE")]
    pub record: PathBuf,
    /// Also say what the record lacks for a profile: minimal or full. It is refused if something
    /// is lacking.
    #[arg(long, default_value = "minimal")]
    pub profile: Profile,
    /// The language of findings: en, fr or id.
    #[arg(long, env = "SEALWIRE_LANGUAGE", default_value = "en", value_parser = language)]
    pub language: Language,
    /// A list of UN/LOCODEs, made by `sealwire codes import un-locode`: warns of places that are not
    /// in it, and of ports and airports that are none.
    #[arg(long, value_name = "FILE")]
    pub locodes: Option<PathBuf>,
}

/// A class, with its members or with those of `--to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassAudience {
    /// The class.
    pub class: String,
    /// Its members; absent means those of `--to`.
    pub members: Option<Vec<MemberId>>,
}

/// A decision to send what the screen found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The field; absent means wherever something was found.
    pub pointer: Option<String>,
    /// Why it may be sent.
    pub reason: String,
}

fn decision(text: &str) -> Result<Keep, String> {
    let (pointer, reason) = match text.split_once('=') {
        Some((pointer, reason)) if pointer.starts_with('/') => (Some(pointer.to_owned()), reason),
        _ => (None, text),
    };
    if reason.trim().is_empty() {
        return Err("a reason is missing, such as 'the name is that of a product'".to_owned());
    }
    Ok(Keep { pointer, reason: reason.to_owned() })
}

fn class_audience(text: &str) -> Result<ClassAudience, String> {
    let (class, members) = match text.split_once('=') {
        None => (text, None),
        Some((class, members)) => {
            let members = members.split(',').map(|m| m.parse().map_err(|e| format!("{e}")));
            (class, Some(members.collect::<Result<Vec<MemberId>, String>>()?))
        }
    };
    if class.is_empty() {
        return Err("a field class is missing, such as operational".to_owned());
    }
    Ok(ClassAudience { class: class.to_owned(), members })
}

/// Publishes a record through the node.
pub fn publish(args: &PublishArgs, output: Output) -> Result<Exit, Failure> {
    let record = parse(&read(&args.record)?)?;
    let body = submission(args, record)?;
    let client = args.connection.open()?;
    if args.preview {
        let answer = client.post("/v1/preview", None, body.to_string().as_bytes())?;
        let preview = answer.accepted()?.json()?;
        note_warnings(&preview, output);
        output.say(&preview, preview_text(&preview))?;
        return Ok(Exit::Done);
    }
    let key = args.idempotency_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let published = send(&client, &key, body.to_string().as_bytes())?;
    note_warnings(&published, output);
    output.say(&published, text(&published))?;
    Ok(Exit::Done)
}

/// Checks a record against the standard.
pub fn validate(args: &ValidateArgs, output: Output) -> Result<Exit, Failure> {
    let locodes = args.locodes.as_deref().map(locodes::read).transpose();
    let locodes = locodes.map_err(|cause| Failure::usage(format!("{cause:#}")))?;
    let bytes = read(&args.record)?;
    let (mut findings, mut lacking) = (Vec::new(), Vec::new());
    match sealwire_schemas::parse_json(&bytes) {
        Ok(record) => {
            let kind = record.get("kind").and_then(Value::as_str).unwrap_or_default();
            let of_places = locodes.iter().flat_map(|list| list.findings(kind, &record)).collect();
            match Standard::v1().accept(record) {
                Ok(valid) => {
                    lacking = not_in(args.profile, &valid)?;
                    findings.extend_from_slice(valid.warnings());
                }
                Err(wrong) => findings = wrong,
            }
            findings = [findings, of_places, lacking.clone()].concat();
        }
        Err(finding) => findings.push(finding),
    }
    let findings: Vec<Finding> = findings.iter().map(|f| f.in_language(args.language)).collect();
    let valid = !findings.iter().any(|f| f.severity == Severity::Error);
    let mut text = match (valid, !lacking.is_empty()) {
        (true, false) => "valid".to_owned(),
        (true, true) => "valid, but not of the full profile".to_owned(),
        (false, _) => format!("{} finding(s)", findings.len()),
    };
    for finding in &findings {
        let finding = serde_json::to_value(finding).map_err(Failure::fault)?;
        text.push('\n');
        text.push_str(&finding_text(&finding));
    }
    output.say(&json!({"valid": valid, "findings": findings}), text)?;
    Ok(if valid && lacking.is_empty() { Exit::Done } else { Exit::Refused })
}

/// What a record lacks for a profile.
fn not_in(profile: Profile, valid: &ValidRecord) -> Result<Vec<Finding>, Failure> {
    let kind = valid.kind();
    if profile == Profile::Full && !kind.has_full_profile() {
        return Err(Failure::usage(format!(
            "cannot check the full profile: kind {} has none\n\
             hint: leave --profile out; lab-alert and seizure-notice have one",
            kind.name()
        )));
    }
    Ok(kind.lacking(valid.value(), profile))
}

fn note_warnings(answer: &Value, output: Output) {
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        output.note(format!("warning:\n{}", finding_text(warning)));
    }
}

/// A paragraph for each member: what it could open, and every field that it would not see.
fn preview_text(preview: &Value) -> String {
    let kind = preview.get("kind").and_then(Value::as_str).unwrap_or("?");
    let mut lines = format!("{kind}: valid; nothing was published");
    let members = preview.get("members").and_then(Value::as_object).into_iter().flatten();
    for (member, sight) in members {
        let list = |key: &str| sight.get(key).and_then(Value::as_array).into_iter().flatten();
        let classes: Vec<&str> = list("classes").filter_map(Value::as_str).collect();
        if classes.is_empty() {
            lines.push_str(&format!("\n{member} would see nothing"));
            continue;
        }
        lines.push_str(&format!("\n{member} would see {}", classes.join(", ")));
        for field in list("withheld") {
            let text = |key: &str| field.get(key).and_then(Value::as_str).unwrap_or("?");
            let instead = match field.get("coarser").and_then(Value::as_str) {
                Some(coarser) => format!("{coarser} for"),
                None => "not".to_owned(),
            };
            let (pointer, class, rule) = (text("pointer"), text("class"), text("rule"));
            lines.push_str(&format!("\n  {instead} {pointer} ({class}: {rule})"));
        }
    }
    lines
}

/// The body of `POST /v1/records`.
pub(super) fn submission(args: &PublishArgs, record: Value) -> Result<Value, Failure> {
    let mut audiences: BTreeMap<&str, Vec<&MemberId>> = BTreeMap::new();
    let mut to_has_classes = false;
    for ClassAudience { class, members } in &args.classes {
        let members = match members {
            Some(members) => members,
            None if args.to.is_empty() => {
                return Err(Failure::usage(format!(
                    "cannot tell who gets class {class}: no member is named\n\
                     hint: --to SG --class {class}, or --class {class}=SG"
                )));
            }
            None => {
                to_has_classes = true;
                &args.to
            }
        };
        audiences.entry(class).or_default().extend(members);
    }
    let mut body = Map::new();
    body.insert("community".to_owned(), json!(args.community));
    body.insert("record".to_owned(), record);
    if !args.to.is_empty() && !to_has_classes {
        body.insert("to".to_owned(), json!(args.to));
    }
    if !audiences.is_empty() {
        body.insert("audiences".to_owned(), json!(audiences));
    }
    let keep: Vec<Value> = args
        .keep
        .iter()
        .map(|Keep { pointer, reason }| match pointer {
            Some(pointer) => json!({"pointer": pointer, "reason": reason}),
            None => json!({"reason": reason}),
        })
        .collect();
    if !keep.is_empty() {
        body.insert("keep".to_owned(), Value::Array(keep));
    }
    Ok(Value::Object(body))
}

/// Sends it, and sends it again under the same key when no answer came.
pub(super) fn send(client: &Client, key: &str, body: &[u8]) -> Result<Value, Failure> {
    let mut repeats = 0;
    loop {
        match client.post("/v1/records", Some(key), body) {
            Err(Failure::Fault(_)) if repeats < REPEATS => {
                repeats += 1;
                std::thread::sleep(REPEAT_PAUSE);
            }
            other => return other?.accepted()?.json(),
        }
    }
}

pub(super) fn text(published: &Value) -> String {
    if published.get("queued") == Some(&Value::Bool(true)) {
        let text = |key: &str| published.get(key).and_then(Value::as_str).unwrap_or("?");
        return format!(
            "queued {}: not published yet; the node publishes it as soon as it may sign\n  {}",
            text("id"),
            text("reason")
        );
    }
    let show = |key: &str| match published.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    };
    let verb = if published.get("repeated") == Some(&Value::Bool(true)) {
        "was published before"
    } else {
        "published"
    };
    let mut lines = format!(
        "{verb} {}\n  log {} index {} of {}",
        show("id"),
        show("log"),
        show("index"),
        show("size")
    );
    let classes = published.get("classes").and_then(Value::as_object).into_iter().flatten();
    for (class, members) in classes {
        let members: Vec<&str> =
            members.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let members = if members.is_empty() { "nobody".to_owned() } else { members.join(", ") };
        lines.push_str(&format!("\n  {class} to {members}"));
    }
    lines
}

pub(super) fn parse(bytes: &[u8]) -> Result<Value, Failure> {
    sealwire_schemas::parse_json(bytes).map_err(|finding| {
        let text = match serde_json::to_value(&finding) {
            Ok(finding) => finding_text(&finding),
            Err(_) => finding.message.clone(),
        };
        Failure::Refused(format!("cannot read the record as JSON\n{text}"))
    })
}

pub(super) fn read(file: &PathBuf) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit = MAX_RECORD_BYTES + 1;
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read record {}", file.display()))
        .map_err(|cause| Failure::usage(format!("{cause:#}\nhint: give a JSON file, or -")))?;
    if bytes.len() as u64 > MAX_RECORD_BYTES {
        return Err(Failure::Refused(format!(
            "cannot read record {}: it is larger than {MAX_RECORD_BYTES} bytes\n\
             hint: name large attachments in the record instead of including them",
            file.display()
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_names_every_field_that_a_member_would_not_see() {
        let text = preview_text(&json!({"kind": "lab-alert", "members": {
            "AU": {"classes": ["open", "operational.coarse"], "withheld": [
                {"pointer": "/route", "class": "operational", "coarser": "ID",
                 "rule": "not-in-audience"},
                {"pointer": "/person/0/name", "class": "nominal", "rule": "empty-audience"},
            ]},
            "SG": {"classes": [], "withheld": []},
        }}));
        assert_eq!(
            text,
            "lab-alert: valid; nothing was published\n\
             AU would see open, operational.coarse\n  \
             ID for /route (operational: not-in-audience)\n  \
             not /person/0/name (nominal: empty-audience)\n\
             SG would see nothing"
        );
    }
}
