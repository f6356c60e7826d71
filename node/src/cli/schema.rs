//! `schema`: the JSON Schema of a record kind, whole or as a member with some classes sees it.

use std::collections::BTreeSet;

use clap::Args;
use sealwire_schemas::{FieldClass, Standard};

use super::output::{Exit, Failure, Output};

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The record kind; without one, the kinds are listed.
    kind: Option<String>,
    /// Only what a holder of these field classes sees, separated by commas.
    #[arg(long = "class", value_name = "NAMES", value_delimiter = ',')]
    classes: Vec<FieldClass>,
}

/// Prints a schema that is complete in itself.
pub fn schema(args: &SchemaArgs, output: Output) -> Result<Exit, Failure> {
    let standard = Standard::v1();
    let names: Vec<&str> = standard.names().collect();
    let Some(name) = &args.kind else {
        output.say(&serde_json::json!(names), names.join("\n"))?;
        return Ok(Exit::Done);
    };
    let kind = standard.kind(name).ok_or_else(|| {
        let names = names.join(", ");
        Failure::usage(format!("cannot print schema {name:?}: no such kind\nhint: one of {names}"))
    })?;
    let held: BTreeSet<FieldClass> = args.classes.iter().copied().collect();
    let schema = if held.is_empty() { kind.schema() } else { kind.projected_schema(&held) };
    let text = serde_json::to_string_pretty(&schema).map_err(Failure::fault)?;
    output.say(&schema, text)?;
    Ok(Exit::Done)
}
