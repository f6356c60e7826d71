//! `explain`, `open` and `export`: why who sees what, and what leaves for bodies that are no
//! members.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use sealwire_wire::id::{MemberId, RecordId, is_word};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::output::{Exit, Failure, Output};
use super::read::write;

/// Records asked for at a time.
const PAGE: usize = 100;
/// Names the form of the first line of an export.
const EXPORT_FORMAT: &str = "sealwire-export-v1";

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The record's id, urn:uuid:…
    pub id: RecordId,
    /// The member, such as SG.
    pub member: MemberId,
    /// Ask for a purpose that is none of the record's, as for reading it.
    #[arg(long, value_name = "PURPOSE", value_parser = purpose)]
    pub purpose: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The record's id, urn:uuid:…
    pub id: RecordId,
    /// Places of the fields to open, JSON pointers such as /substance/0/casNumber.
    #[arg(long = "field", value_name = "POINTER", required = true, num_args = 1..)]
    pub fields: Vec<String>,
    /// The body that gets the proof, as the originator's consent names it. Needed for a record of
    /// another member.
    #[arg(long, value_name = "NAME", requires = "purpose")]
    pub recipient: Option<String>,
    /// What the body wants it for.
    #[arg(long, value_name = "PURPOSE", requires = "recipient", value_parser = purpose)]
    pub purpose: Option<String>,
    /// Write to this new file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The body that gets the records, as originators' consents name it.
    #[arg(long, value_name = "NAME")]
    pub recipient: String,
    /// What the body wants them for.
    #[arg(long, value_name = "PURPOSE", value_parser = purpose)]
    pub purpose: String,
    /// Begin after this cursor.
    #[arg(long, value_name = "CURSOR", default_value_t = 0)]
    pub after: u64,
    /// Write to this new file: a line of JSON that says what it is, then one for each record.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

pub(super) fn purpose(text: &str) -> Result<String, String> {
    let refused = || "a purpose is a word such as criminal-proceedings".to_owned();
    is_word(text).then(|| text.to_owned()).ok_or_else(refused)
}

/// Says which rule lets which field reach a member.
pub fn explain(args: &ExplainArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let mut path = format!("/v1/records/{}/explain?member={}", args.id, args.member);
    if let Some(purpose) = &args.purpose {
        path.push_str(&format!("&purpose={purpose}"));
    }
    let explanation = client.get(&path)?.accepted()?.json()?;
    output.say(&explanation, explained(&explanation))?;
    Ok(Exit::Done)
}

/// A line for each part, below it one for each field that is not seen exactly; then the rules.
fn explained(explanation: &Value) -> String {
    let text = |value: &Value, key: &str| match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    };
    let list = |key: &str| explanation.get(key).and_then(Value::as_array).into_iter().flatten();
    let of = |key: &str| text(explanation, key);
    let mut lines = format!(
        "{}\n{} of {} in {}, TLP:{}, shared under register version {}",
        of("id"),
        of("kind"),
        of("log"),
        of("community"),
        of("tlp"),
        of("register")
    );
    let member = of("member");
    let served = explanation.get("served").unwrap_or(&Value::Null);
    lines.push_str(&match served.get("rule").and_then(Value::as_str) {
        None => format!("\n{member} is given the entry when it asks this node"),
        Some(rule) => format!("\n{member} is not given the entry by this node: {rule}"),
    });
    for seen in list("classes") {
        let (class, sees, rule) = (text(seen, "class"), text(seen, "sees"), text(seen, "rule"));
        lines.push_str(&format!("\n{class:<19} {sees:<9} {rule}"));
        for field in list("fields").filter(|field| text(field, "class") == class) {
            let (pointer, sees) = (text(field, "pointer"), text(field, "sees"));
            if sees != "value" {
                lines.push_str(&format!("\n  {sees:<9} {pointer} ({})", text(field, "rule")));
            }
        }
    }
    let rules = explanation.get("rules").and_then(Value::as_object).into_iter().flatten();
    for (rule, why) in rules {
        lines.push_str(&format!("\n{rule}: {}", why.as_str().unwrap_or("?")));
    }
    lines
}

/// Writes the proof of single fields.
pub fn open(args: &OpenArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let fields = args.fields.iter().collect();
    let proof = opened(&client, &args.id, fields, args.recipient.as_ref(), args.purpose.as_ref())?;
    write(&proof, args.out.as_deref(), output)
}

/// The proof of these fields of a record, from the node.
pub(super) fn opened(
    client: &Client,
    id: &RecordId,
    fields: BTreeSet<&String>,
    recipient: Option<&String>,
    purpose: Option<&String>,
) -> Result<Vec<u8>, Failure> {
    let body = json!({"fields": fields, "recipient": recipient, "purpose": purpose});
    let path = format!("/v1/records/{id}/open");
    Ok(client.post(&path, None, body.to_string().as_bytes())?.accepted()?.body)
}

/// Writes the records that a body may get, as far as it may get them.
pub fn export(args: &ExportArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let ExportArgs { recipient, purpose, out, .. } = args;
    let mut file = BufWriter::new(new_file(out)?);
    let exported = |file: &mut BufWriter<File>| -> Result<(u64, u64, u64), Failure> {
        let head = json!({"format": EXPORT_FORMAT, "recipient": recipient, "purpose": purpose});
        writeln!(file, "{head}")?;
        let (mut after, mut records, mut withheld) = (args.after, 0, 0);
        loop {
            let body = json!({
                "recipient": recipient, "purpose": purpose, "after": after, "limit": PAGE,
            });
            let answer = client.post("/v1/exports", None, body.to_string().as_bytes())?;
            let page = answer.accepted()?.json()?;
            for record in page.get("records").and_then(Value::as_array).into_iter().flatten() {
                writeln!(file, "{record}")?;
                records += 1;
            }
            withheld += page.get("withheld").and_then(Value::as_u64).unwrap_or(0);
            after = page.get("next").and_then(Value::as_u64).unwrap_or(after);
            if page.get("more") != Some(&Value::Bool(true)) {
                file.flush()?;
                file.get_ref().sync_all()?;
                return Ok((records, withheld, after));
            }
        }
    };
    let (records, withheld, next) = exported(&mut file).inspect_err(|_| {
        // Half an export would be taken for a whole one.
        let _ = std::fs::remove_file(out);
    })?;
    let said = json!({"records": records, "withheld": withheld, "next": next});
    let text = format!(
        "exported {records} records for {recipient} into {}; nothing of {withheld} others may go; \
         go on with --after {next}",
        out.display()
    );
    output.say(&said, text)?;
    Ok(Exit::Done)
}

fn new_file(path: &Path) -> Result<File, Failure> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|cause| {
        Failure::usage(format!(
            "cannot write {}: {cause}\nhint: give --out a file that is not there yet",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_names_each_part_and_each_field_that_is_not_seen_exactly() {
        let text = explained(&json!({
            "id": "urn:uuid:1", "kind": "lab-alert", "log": "ID", "community": "substances",
            "tlp": "AMBER", "register": 1, "member": "AU", "served": {"served": true},
            "classes": [
                {"class": "core", "sees": "value", "rule": "in-audience"},
                {"class": "operational", "sees": "withheld", "rule": "not-in-audience"},
            ],
            "fields": [
                {"pointer": "/a", "class": "core", "sees": "value", "rule": "in-audience"},
                {"pointer": "/b", "class": "operational", "sees": "coarser",
                 "rule": "not-in-audience"},
            ],
            "rules": {"in-audience": "sealed for it", "not-in-audience": "sealed for others"},
        }));
        assert_eq!(
            text,
            "urn:uuid:1\n\
             lab-alert of ID in substances, TLP:AMBER, shared under register version 1\n\
             AU is given the entry when it asks this node\n\
             core                value     in-audience\n\
             operational         withheld  not-in-audience\n  \
             coarser   /b (not-in-audience)\n\
             in-audience: sealed for it\n\
             not-in-audience: sealed for others"
        );
    }

    #[test]
    fn a_purpose_is_a_word() {
        assert!(purpose("criminal-proceedings").is_ok());
        assert!(purpose("").is_err() && purpose("a b").is_err() && purpose("a&b").is_err());
    }
}
