//! `retention`, `erase`, `hold` and `review`: what comes due, and what people decide about it.

use clap::{ArgGroup, Args};
use jiff::civil::Date;
use sealwire_wire::id::RecordId;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::{Exit, Failure, Output};

/// Arguments of `retention`.
#[derive(Debug, Args)]
pub struct RetentionArgs {
    /// Look so many days ahead.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    pub within: u32,
    /// List the legal holds instead.
    #[arg(long, conflicts_with = "within")]
    pub holds: bool,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `erase`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub struct EraseArgs {
    /// The record's id, urn:uuid:…
    pub id: RecordId,
    /// The rule: data-subject-request, supervisory-order, court-order, unlawful-processing,
    /// purpose-fulfilled, agreement-ended, review-not-confirmed or originator-order.
    #[arg(long, group = "what")]
    pub rule: Option<String>,
    /// Say what was erased of the record, and who has attested it; erase nothing.
    #[arg(long, group = "what")]
    pub status: bool,
    /// A class that is to be erased; all but `open` if none is named.
    #[arg(long = "class", value_name = "CLASS", requires = "rule")]
    pub classes: Vec<String>,
    /// The provision or order that the rule stands in.
    #[arg(long, value_name = "TEXT", requires = "rule")]
    pub reference: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `hold`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("step").required(true))]
pub struct HoldArgs {
    /// The record's id, urn:uuid:…
    pub id: RecordId,
    /// Ask that nothing of the record be removed.
    #[arg(long, group = "step")]
    pub ask: bool,
    /// Place the hold that another principal has asked for.
    #[arg(long, group = "step")]
    pub place: bool,
    /// Ask to lift the hold.
    #[arg(long, group = "step")]
    pub ask_lift: bool,
    /// Lift the hold, as another principal has asked.
    #[arg(long, group = "step")]
    pub lift: bool,
    /// Day on which the hold is looked at again, as in 2027-01-31.
    #[arg(long, value_name = "DAY")]
    pub until: Date,
    /// The law, court or case.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `review`.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// The record's id, urn:uuid:…
    pub id: RecordId,
    /// Day of the next review, within a year, as in 2027-01-31.
    #[arg(long, value_name = "DAY")]
    pub until: Date,
    /// Why the record is still needed.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Prints what comes due, a line each.
pub fn retention(args: &RetentionArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let (path, list, line): (_, _, fn(&Value) -> String) = match args.holds {
        true => ("/v1/holds".to_owned(), "holds", hold_line),
        false => (format!("/v1/retention?within={}", args.within), "due", due_line),
    };
    let answer = client.get(&path)?.accepted()?.json()?;
    for item in answer.get(list).and_then(Value::as_array).into_iter().flatten() {
        output.say(item, line(item))?;
    }
    Ok(Exit::Done)
}

/// Erases parts of a record, or says what was erased.
pub fn erase(args: &EraseArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let path = format!("/v1/records/{}/erasure", args.id);
    let answer = match &args.rule {
        None => client.get(&path)?,
        Some(rule) => {
            let classes = (!args.classes.is_empty()).then_some(&args.classes);
            let body = json!({"rule": rule, "classes": classes, "reference": args.reference});
            client.post(&path, None, body.to_string().as_bytes())?
        }
    };
    let state = answer.accepted()?.json()?;
    output.say(&state, format!("{state:#}"))?;
    Ok(Exit::Done)
}

/// Takes a step of a legal hold.
pub fn hold(args: &HoldArgs, output: Output) -> Result<Exit, Failure> {
    let steps = [
        (args.ask, "asked"),
        (args.place, "placed"),
        (args.ask_lift, "lift-asked"),
        (args.lift, "lifted"),
    ];
    let step = steps.iter().find(|(chosen, _)| *chosen).map(|(_, step)| *step);
    let body = json!({"step": step, "until": args.until.to_string(), "reason": args.reason});
    let path = format!("/v1/records/{}/hold", args.id);
    let client = args.connection.open()?;
    let state = client.post(&path, None, body.to_string().as_bytes())?.accepted()?.json()?;
    output.say(&state, hold_line(&state))?;
    Ok(Exit::Done)
}

/// Decides that a record is still needed.
pub fn review(args: &ReviewArgs, output: Output) -> Result<Exit, Failure> {
    let body = json!({"until": args.until.to_string(), "reason": args.reason});
    let path = format!("/v1/records/{}/review", args.id);
    let client = args.connection.open()?;
    let answer = client.post(&path, None, body.to_string().as_bytes())?.accepted()?.json()?;
    for item in answer.get("due").and_then(Value::as_array).into_iter().flatten() {
        output.say(item, due_line(item))?;
    }
    Ok(Exit::Done)
}

fn word(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    }
}

fn due_line(due: &Value) -> String {
    let word = |key: &str| word(due, key);
    let held = if due.get("held") == Some(&Value::Bool(true)) { " held" } else { "" };
    format!(
        "{} {:>5} days {:<9} {} {}#{} {}{held}",
        word("day"),
        word("days"),
        word("what"),
        word("classes"),
        word("log"),
        word("index"),
        word("id"),
    )
}

fn hold_line(hold: &Value) -> String {
    let word = |key: &str| word(hold, key);
    format!(
        "{} {} {} by {} until {}: {}",
        word("step"),
        word("log"),
        word("id"),
        word("by"),
        word("until"),
        word("reason"),
    )
}
