//! The code lists of the standard: which, what is in them, and what another edition changes; and
//! lists made of others' files.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealwire_schemas::codes::{self, CodeList, Label};
use serde_json::{Value, json};

use super::output::{Exit, Failure, Output};
use super::register::files::{Mode, write};
use crate::locodes;

/// How much of a file of codes is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What to do with code lists.
#[derive(Debug, Subcommand)]
pub enum CodesCommand {
    /// Print the lists, their editions and where they come from.
    List,
    /// Print the codes of one list, as HS, or of an older edition, as HS-2017; of our own lists
    /// also what the codes mean.
    Show(ShowArgs),
    /// Compare a list with another edition, or with a file of codes. Exit code 1 if they differ.
    Diff(DiffArgs),
    /// Make a list of somebody else's files that is too large or too new to be in the standard.
    #[command(subcommand)]
    Import(ImportCommand),
}

/// Lists that can be made.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// The UN/LOCODEs of a release, of the CSV files that UNECE publishes.
    UnLocode(UnLocodeArgs),
}

/// Arguments of `codes import un-locode`.
#[derive(Debug, Args)]
pub struct UnLocodeArgs {
    /// All files of the release with places, as "2024-2 UNLOCODE CodeListPart1.csv" and so on.
    #[arg(required = true, value_name = "FILE")]
    parts: Vec<PathBuf>,
    /// The release, as 2024-2.
    #[arg(long)]
    edition: String,
    /// Where the list is written, for `sealwire validate --locodes` and [codes] un-locode in a node's
    /// configuration. A file that is there is not touched.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

/// Arguments of `codes show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Name of the list; with an edition, as HS-2017, or without for its newest.
    list: String,
}

/// Arguments of `codes diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Name of the list, as HS-2017.
    list: String,
    /// What it is compared with: a list, as HS-2022, or a file with a code at the start of each
    /// line; what follows a comma, semicolon, tab or space is left out.
    other: String,
}

/// Does it.
pub fn run(command: &CodesCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        CodesCommand::List => list(output),
        CodesCommand::Show(args) => show(&args.list, output),
        CodesCommand::Diff(args) => diff(args, output),
        CodesCommand::Import(ImportCommand::UnLocode(args)) => un_locode(args, output),
    }
}

fn list(output: Output) -> Result<Exit, Failure> {
    let others = codes::LISTS.iter().map(|list| {
        json!({"list": list.name, "edition": list.edition, "codes": list.codes().count(),
               "source": list.source})
    });
    let mut lists: Vec<Value> = others.collect();
    for name in own_lists() {
        let count = codes::labels().filter(|label| label.list == name).count();
        lists.push(json!({"list": name, "edition": "1", "codes": count, "source": "Sealwire"}));
    }
    let cell = |row: &Value, key: &str| match &row[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows = lists.iter().map(|row| {
        let (name, edition) = (cell(row, "list"), cell(row, "edition"));
        format!("{name:<22} {edition:<6} {:>6}  {}", cell(row, "codes"), cell(row, "source"))
    });
    let text = rows.collect::<Vec<_>>().join("\n");
    output.say(&lists, text)?;
    Ok(Exit::Done)
}

fn show(name: &str, output: Output) -> Result<Exit, Failure> {
    let labels: Vec<Label> = codes::labels().filter(|label| label.list == name).collect();
    if !labels.is_empty() {
        let data: Vec<Value> = labels
            .iter()
            .map(|l| json!({"code": l.code, "en": l.en, "fr": l.fr, "id": l.id}))
            .collect();
        let rows = labels.iter().map(|l| format!("{:<24} {} / {} / {}", l.code, l.en, l.fr, l.id));
        output.say(&data, rows.collect::<Vec<_>>().join("\n"))?;
        return Ok(Exit::Done);
    }
    let codes: Vec<&str> = named(name)?.codes().collect();
    output.say(&codes, codes.join("\n"))?;
    Ok(Exit::Done)
}

fn diff(args: &DiffArgs, output: Output) -> Result<Exit, Failure> {
    let list = named(&args.list)?;
    let other = match codes::list(&args.other) {
        Some(other) => other.codes().map(str::to_owned).collect(),
        None => codes_of(&read(&args.other)?),
    };
    let changes = list.changes(&other);
    let data = json!({"list": list.name, "edition": list.edition, "added": changes.added,
                      "removed": changes.removed});
    let mut lines: Vec<String> = changes.added.iter().map(|code| format!("+ {code}")).collect();
    lines.extend(changes.removed.iter().map(|code| format!("- {code}")));
    let same = lines.is_empty();
    lines.push(format!(
        "{} codes added, {} removed since edition {}",
        changes.added.len(),
        changes.removed.len(),
        list.edition
    ));
    output.say(&data, lines.join("\n"))?;
    Ok(if same { Exit::Done } else { Exit::Refused })
}

fn un_locode(args: &UnLocodeArgs, output: Output) -> Result<Exit, Failure> {
    let list = locodes::import(&args.edition, &args.parts).map_err(Failure::refused)?;
    write(&args.out, list.to_string().as_bytes(), Mode::New).map_err(Failure::refused)?;
    let (edition, count, out) = (list.edition(), list.count(), args.out.display().to_string());
    let data = json!({"list": "UN/LOCODE", "edition": edition, "codes": count, "out": out});
    output.say(&data, format!("{count} places of UN/LOCODE {edition} written to {out}"))?;
    Ok(Exit::Done)
}

/// The text of a file that is not longer than a list of codes can be.
fn read(file: &str) -> Result<String, Failure> {
    let unread = |cause: std::io::Error| Failure::usage(format!("cannot read {file}: {cause}"));
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(unread)?;
    opened.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}

/// The first cell of each line that is not empty.
fn codes_of(text: &str) -> BTreeSet<String> {
    let cells = text.lines().filter_map(|line| line.split([',', ';', '\t', ' ']).next());
    let codes = cells.map(|cell| cell.trim().trim_matches('"')).filter(|code| !code.is_empty());
    codes.map(str::to_owned).collect()
}

fn own_lists() -> BTreeSet<&'static str> {
    codes::labels().map(|label| label.list).collect()
}

fn named(name: &str) -> Result<&'static CodeList, Failure> {
    codes::list(name).ok_or_else(|| {
        let others: BTreeSet<&str> = codes::LISTS.iter().map(|list| list.name).collect();
        let known = others.into_iter().chain(own_lists()).collect::<Vec<_>>().join(", ");
        let hint = format!("the lists are {known}; an edition is named as HS-2017");
        Failure::usage(format!("cannot find code list {name:?} (hint: {hint})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_the_first_cell_of_each_line() {
        let text = "KGM,kilogram\n\"H87\";piece\nTNE\ttonne\r\n\nKGM\nMTR metre\n";
        let codes: Vec<String> = codes_of(text).into_iter().collect();
        assert_eq!(codes, ["H87", "KGM", "MTR", "TNE"]);
    }
}
