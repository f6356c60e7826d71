//! The command line: definitions, exit codes, dispatch.
//!
//! Data goes to standard output, everything else to standard error; `--json` turns data into JSON.
//! Every command ends with one of these codes:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; the answer is yes |
//! | 1 | refused, or the answer is no: invalid record, refuted audit, unknown id |
//! | 2 | cannot decide: wrong usage, or something that is needed is missing |
//! | 3 | a fault: disk, network, or the node itself |
//!
//! This module knows nothing of the demonstration, which drives these commands from above.

mod backup;
pub mod client;
mod codes;
mod doctor;
mod import;
mod init;
mod inspect;
mod keys;
mod matching;
mod onward;
pub mod output;
mod publish;
mod read;
mod register;
mod retention;
mod run;
mod schema;
mod tasks;
#[cfg(test)]
mod tests;
mod token;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::keys::keep_memory_private;
use client::Connection;
use output::{Exit, Failure, Output};

/// Exit codes, as `--help` states them.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; the answer is yes
  1  refused, or the answer is no
  2  cannot decide: wrong usage, or something that is needed is missing
  3  a fault: disk, network, or the node itself";

/// Exchange of laboratory alerts and seizure notices between customs administrations, without a
/// hub.
#[derive(Debug, Parser)]
#[command(name = "sealwire", version, about, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run three nodes on this machine with temporary data and exchange two records between them.
    Demo(DemoArgs),
    /// Make a member's directory: keys, data, a commented configuration, and its introduction.
    Init(init::InitArgs),
    /// Run the node in the foreground until interrupted.
    Run(run::RunArgs),
    /// Publish a record through the node.
    Publish(publish::PublishArgs),
    /// Check a record against the standard, without a node.
    Validate(publish::ValidateArgs),
    /// Publish a table, a record a row; reports every bad cell by row and column.
    Import(import::ImportArgs),
    /// Print the head of a table for a record kind, to be filled and imported.
    Template(import::TemplateArgs),
    /// Print the JSON Schema of a record kind, whole or as some members see it.
    Schema(schema::SchemaArgs),
    /// Print and compare the code lists of the standard.
    #[command(subcommand)]
    Codes(codes::CodesCommand),
    /// Print records as they arrived; with --follow also those to come.
    Tail(read::TailArgs),
    /// Print one record, its entry or its delivery.
    Show(read::ShowArgs),
    /// Print what is open: amendments to be acknowledged, here and by others, and disputes.
    Tasks(Connection),
    /// Tell the originator of a correction or withdrawal that it was read, and what was done.
    Acknowledge(tasks::AcknowledgeArgs),
    /// Print who was given which restricted fields, when and for which purpose.
    Reads(read::ReadsArgs),
    /// Print what the screen before sending found in a record, and who decided to send it.
    Screen(read::ScreenArgs),
    /// Print the proof that a record is in its log, for `sealwire-audit receipt`.
    Receipt(read::ReceiptArgs),
    /// Say which rule lets which field of a record reach a member, and which does not.
    Explain(onward::ExplainArgs),
    /// Prove single fields of a record, for a court or partner; `sealwire-audit field` checks it.
    Open(onward::OpenArgs),
    /// Write the records that a body outside the federation may get, as far as it may.
    Export(onward::ExportArgs),
    /// List the records that come due: for erasure, or for a review.
    Retention(retention::RetentionArgs),
    /// Erase parts of a record, or say what was erased and who has attested it.
    Erase(retention::EraseArgs),
    /// Keep a record from being removed, by law; each step needs a second person.
    Hold(retention::HoldArgs),
    /// Decide that a record of this member is still needed.
    Review(retention::ReviewArgs),
    /// Ask other members whether they hold an identifier, without showing them which; and say what
    /// they may ask about here.
    #[command(subcommand)]
    Match(matching::MatchCommand),
    /// Print the state of the node, its log and its peers.
    Status(Connection),
    /// Look at everything of a node that may be wrong, and say what to do about it.
    Doctor(doctor::DoctorArgs),
    /// Say what of an entry file opens with this member's keys.
    Unseal(inspect::UnsealArgs),
    /// Check a log without the node.
    #[command(subcommand)]
    Audit(inspect::AuditCommand),
    /// Make, change, sign and read the federation's register.
    #[command(subcommand)]
    Register(register::RegisterCommand),
    /// Make, list and revoke the tokens of the HTTP interface.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// List and rotate this member's keys, end a stolen one, and change their passphrase.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Copy the data of a node, which may be running.
    Backup(backup::BackupArgs),
    /// Put a backup into the place of lost data.
    Restore(backup::RestoreArgs),
}

/// Arguments of `demo`.
#[derive(Debug, Clone, Copy, Args)]
pub struct DemoArgs {
    /// End by itself, with exit code 0 only if everything happened.
    #[arg(long)]
    pub once: bool,
}

/// The demonstration, which stands above the command line: whether everything happened.
pub type Demo = fn(DemoArgs, Output) -> anyhow::Result<bool>;

/// Parses the command line and does what it says.
pub fn main(demo: Demo) -> ExitCode {
    let Cli { json, command } = Cli::parse();
    let output = Output::new(json);
    if let Err(cause) = keep_memory_private() {
        output.note(format!("cannot turn core dumps off: {cause}"));
        return Exit::Fault.into();
    }
    match execute(command, output, demo) {
        Ok(exit) => exit.into(),
        Err(failure) => output.fail(failure).into(),
    }
}

fn execute(command: Command, output: Output, demo: Demo) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => match demo(args, output) {
            Ok(true) => Ok(Exit::Done),
            Ok(false) => Ok(Exit::Refused),
            Err(cause) => Err(Failure::Fault(cause)),
        },
        Command::Init(args) => init::run(&args, output),
        Command::Run(args) => run::run(&args),
        Command::Publish(args) => publish::publish(&args, output),
        Command::Validate(args) => publish::validate(&args, output),
        Command::Import(args) => import::import(&args, output),
        Command::Template(args) => import::template(&args),
        Command::Schema(args) => schema::schema(&args, output),
        Command::Codes(command) => codes::run(&command, output),
        Command::Tail(args) => read::tail(&args, output),
        Command::Show(args) => read::show(&args, output),
        Command::Tasks(connection) => tasks::tasks(&connection, output),
        Command::Acknowledge(args) => tasks::acknowledge(&args, output),
        Command::Reads(args) => read::reads(&args, output),
        Command::Screen(args) => read::screen(&args, output),
        Command::Receipt(args) => read::receipt(&args, output),
        Command::Explain(args) => onward::explain(&args, output),
        Command::Open(args) => onward::open(&args, output),
        Command::Export(args) => onward::export(&args, output),
        Command::Retention(args) => retention::retention(&args, output),
        Command::Erase(args) => retention::erase(&args, output),
        Command::Hold(args) => retention::hold(&args, output),
        Command::Review(args) => retention::review(&args, output),
        Command::Match(command) => matching::run(&command, output),
        Command::Status(connection) => read::status(&connection, output),
        Command::Doctor(args) => doctor::doctor(&args, output),
        Command::Unseal(args) => inspect::unseal(&args, output),
        Command::Audit(command) => inspect::audit(&command, output),
        Command::Register(command) => register::run(command, output).map(|()| Exit::Done),
        Command::Keys(command) => keys::run(&command, output),
        Command::Token(command) => token::run(&command, output),
        Command::Backup(args) => backup::backup(&args, output),
        Command::Restore(args) => backup::restore(&args, output),
    }
}
