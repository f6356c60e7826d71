//! The governors of a draft: their seats, their keys, and how many of them must sign.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::files::{in_file, read_governor};
use super::{Report, edit};

/// What can be done with governors' seats.
#[derive(Debug, clap::Subcommand)]
pub enum SeatCommand {
    /// Add the seat of a further governor.
    Add(SeatFileArgs),
    /// Give a seat the key in the file in the place of its old one.
    Replace(SeatFileArgs),
    /// Take a seat away.
    Remove(SeatArgs),
}

/// Arguments of `register seat add` and `register seat replace`.
#[derive(Debug, clap::Args)]
pub struct SeatFileArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// The governor's public file, which names the seat.
    #[arg(value_name = "PUB")]
    pub governor: PathBuf,
}

/// Arguments of `register seat remove`.
#[derive(Debug, clap::Args)]
pub struct SeatArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// The seat.
    #[arg(long)]
    pub seat: String,
}

/// Arguments of `register threshold`.
#[derive(Debug, clap::Args)]
pub struct ThresholdArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// How many governors must sign.
    #[arg(value_name = "K")]
    pub threshold: u32,
}

pub(super) fn seat(command: &SeatCommand) -> Result<Report> {
    let (seat, draft, done) = match command {
        SeatCommand::Add(args) => {
            let (seat, public) = read_governor(&args.governor)?;
            edit(&args.draft, |draft| draft.add_seat(&seat, &public))
                .with_context(|| in_file(&args.governor))?;
            (seat, &args.draft, "was added")
        }
        SeatCommand::Replace(args) => {
            let (seat, public) = read_governor(&args.governor)?;
            edit(&args.draft, |draft| draft.replace_seat(&seat, &public))
                .with_context(|| in_file(&args.governor))?;
            (seat, &args.draft, "has a new key")
        }
        SeatCommand::Remove(args) => {
            edit(&args.draft, |draft| draft.remove_seat(&args.seat))?;
            (args.seat.clone(), &args.draft, "was removed")
        }
    };
    Ok(Report {
        text: format!("governor {seat} {done} in the draft"),
        json: json!({"seat": seat, "draft": draft}),
    })
}

pub(super) fn threshold(args: &ThresholdArgs) -> Result<Report> {
    edit(&args.draft, |draft| {
        draft.set_threshold(args.threshold);
        Ok(())
    })?;
    Ok(Report {
        text: format!("{} governors must sign the draft", args.threshold),
        json: json!({"threshold": args.threshold, "draft": args.draft}),
    })
}
