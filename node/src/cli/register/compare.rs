//! What changed between two registers, and giving a register to the own node.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sealwire_wire::register::{MAX_REGISTER_BYTES, difference};
use serde_json::{Value, json};

use super::Report;
use super::files::{in_file, read, read_draft, read_register};
use crate::cli::client::Connection;
use crate::cli::output::Failure;

/// Arguments of `register diff`.
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// A register or draft.
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// What came of it.
    #[arg(value_name = "B")]
    pub after: PathBuf,
}

/// Arguments of `register publish`.
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    /// The signed register.
    pub file: PathBuf,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// The difference, and whether nodes that have the first would take the second.
pub(super) fn diff(args: &DiffArgs) -> Result<Report> {
    let (before, after) = (read_draft(&args.before)?, read_draft(&args.after)?);
    before.check().with_context(|| in_file(&args.before))?;
    let difference = difference(&before, &after).with_context(|| in_file(&args.after))?;
    let follows = read_register(&args.before)
        .and_then(|register| Ok(after.finish(Some(&register)).map(|_| ())?))
        .map_err(|cause| format!("{cause:#}"));
    let print = after.fingerprint();
    let verdict = match &follows {
        Ok(()) => "nodes that have the first take the second".to_owned(),
        Err(cause) => format!("nodes that have the first do not take the second yet: {cause}"),
    };
    let mut report = serde_json::to_value(&difference)?;
    if let Some(object) = report.as_object_mut() {
        object.insert("follows".into(), follows.is_ok().into());
        object.insert("obstacle".into(), json!(follows.err()));
        object.insert("fingerprint".into(), json!(print));
    }
    Ok(Report { text: format!("{difference}\n{verdict}\nfingerprint: {print}"), json: report })
}

/// Gives a register to the node.
pub(super) fn publish(args: &PublishArgs) -> Result<Report, Failure> {
    let bytes = read(&args.file, MAX_REGISTER_BYTES).map_err(Failure::usage)?;
    let answer = args.connection.open()?.post("/v1/register", None, &bytes)?.accepted()?.json()?;
    let shown = |name: &str| match answer.get(name) {
        Some(Value::String(text)) => text.clone(),
        other => other.cloned().unwrap_or_default().to_string(),
    };
    let adopted = answer.get("adopted") == Some(&Value::Bool(true));
    let what = if adopted { "is in force at the node now" } else { "was known to the node" };
    let text = format!(
        "the register {what}; in force: version {}\nfingerprint: {}",
        shown("version"),
        shown("fingerprint")
    );
    Ok(Report { text, json: answer })
}
