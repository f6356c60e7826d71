//! `tasks` and `acknowledge`: what waits for this member and for others, and doing something about
//! it.

use clap::Args;
use sealwire_wire::id::RecordId;
use serde_json::{Map, Value, json};

use super::client::Connection;
use super::output::{Exit, Failure, Output};
use super::read::shown;

/// Arguments of `acknowledge`.
#[derive(Debug, Args)]
pub struct AcknowledgeArgs {
    /// The id of the correction, withdrawal or superseding record, as `sealwire tasks` prints it.
    pub id: RecordId,
    /// What was done, such as controls-stopped; noted if nothing is said. Repeatable.
    #[arg(long = "action", value_name = "ACTION")]
    pub actions: Vec<String>,
    /// How many bodies to whom the record had been passed on were told.
    #[arg(long, value_name = "COUNT")]
    pub onward_recipients: Option<u32>,
    /// What no action covers; no names, numbers or addresses of persons.
    #[arg(long, value_name = "TEXT")]
    pub remark: Option<String>,
    /// Repeating with the same key publishes once; a random one if not given.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Tells the originator of an amendment that it was read, and what was done.
pub fn acknowledge(args: &AcknowledgeArgs, output: Output) -> Result<Exit, Failure> {
    let mut said = Map::new();
    if !args.actions.is_empty() {
        said.insert("action".to_owned(), json!(args.actions));
    }
    if let Some(count) = args.onward_recipients {
        said.insert("onwardRecipientQuantity".to_owned(), json!(count));
    }
    if let Some(remark) = &args.remark {
        said.insert("remark".to_owned(), json!(remark));
    }
    let key = args.idempotency_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let path = format!("/v1/records/{}/acknowledgement", args.id);
    let body = Value::Object(said).to_string();
    let client = args.connection.open()?;
    let published = client.post(&path, Some(&key), body.as_bytes())?.accepted()?.json()?;
    output.say(&published, format!("acknowledged {} by {}", args.id, shown(&published, "id")))?;
    Ok(Exit::Done)
}

/// Prints what waits for this member, and for others.
pub fn tasks(connection: &Connection, output: Output) -> Result<Exit, Failure> {
    let tasks = connection.open()?.get("/v1/tasks")?.accepted()?.json()?;
    output.say(&tasks, text(&tasks))?;
    Ok(Exit::Done)
}

fn text(tasks: &Value) -> String {
    let list = |key: &str| tasks.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut lines = Vec::new();
    for task in list("to_acknowledge") {
        lines.push(format!("acknowledge {}", line(task)));
    }
    for task in list("unacknowledged") {
        let waiting = task.get("waiting_for").and_then(Value::as_array).into_iter().flatten();
        let waiting: Vec<&str> = waiting.filter_map(Value::as_str).collect();
        lines.push(format!("waiting for {}: {}", waiting.join(", "), line(task)));
    }
    for dispute in list("disputes") {
        let by = shown(dispute, "log");
        lines.push(format!(
            "disputed by {by}: {} of {}",
            line(dispute),
            shown(dispute, "originator")
        ));
    }
    if lines.is_empty() {
        lines.push("nothing is open".to_owned());
    }
    lines.join("\n")
}

/// One entry on one line.
fn line(task: &Value) -> String {
    let age = task.get("age").and_then(Value::as_u64).unwrap_or_default();
    let age = match age {
        0..3600 => format!("{} min", age / 60),
        3600..172_800 => format!("{} h", age / 3600),
        _ => format!("{} days", age / 86_400),
    };
    let kind = task.get("kind").and_then(Value::as_str).unwrap_or("conflict");
    let (log, index) = (shown(task, "log"), shown(task, "index"));
    format!(
        "{} {kind} {} {log}#{index} since {age}, about {}",
        shown(task, "urgency"),
        shown(task, "id"),
        shown(task, "record"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_says_what_it_is_about_and_for_whom_it_waits() {
        let about = json!({"id": "urn:uuid:2", "log": "ID", "index": 4, "kind": "withdrawal",
            "record": "urn:uuid:1", "urgency": "immediate", "age": 7300});
        let mut waiting = about.clone();
        waiting["waiting_for"] = json!(["AU", "SG"]);
        let tasks = json!({"to_acknowledge": [about], "unacknowledged": [waiting], "disputes": [
            {"id": "urn:uuid:3", "log": "SG", "index": 1, "record": "urn:uuid:1",
             "originator": "ID", "urgency": "routine", "age": 60}]});
        assert_eq!(
            text(&tasks),
            "acknowledge immediate withdrawal urn:uuid:2 ID#4 since 2 h, about urn:uuid:1\n\
             waiting for AU, SG: immediate withdrawal urn:uuid:2 ID#4 since 2 h, about urn:uuid:1\n\
             disputed by SG: routine conflict urn:uuid:3 SG#1 since 1 min, about urn:uuid:1 of ID"
        );
        assert_eq!(text(&json!({})), "nothing is open");
    }
}
