//! `backup` and `restore`, with the places that the configuration names.

use std::path::PathBuf;

use clap::Args;

use super::output::{Exit, Failure, Output};
use crate::backup::{self as copy, BackupError};
use crate::config::Config;

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The configuration of the node.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// The directory to make.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Copy the secret keys as well. Whoever reads such a backup is this member.
    #[arg(long)]
    pub with_keys: bool,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The directory that `backup` made.
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// The configuration of the node: says where data and keys belong.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Restore the secret keys as well.
    #[arg(long)]
    pub with_keys: bool,
}

/// Copies the data of a node, which may be running.
pub fn backup(args: &BackupArgs, output: Output) -> Result<Exit, Failure> {
    let config = Config::load(&args.config).map_err(Failure::usage)?;
    let keys = args.with_keys.then_some(config.keys_dir.as_path());
    let now = jiff::Timestamp::now();
    let report = copy::backup(&config.data_dir, &config.member, keys, &args.out, now);
    let report = report.map_err(failure)?;
    let text = format!(
        "made backup {} of {}: {} entries in its log, {} files, {} bytes, {} keys",
        args.out.display(),
        report.member,
        report.tree_size,
        report.files,
        report.bytes,
        if report.keys { "with" } else { "without" },
    );
    output.say(&report, text)?;
    Ok(Exit::Done)
}

/// Puts a backup into the place of lost data.
pub fn restore(args: &RestoreArgs, output: Output) -> Result<Exit, Failure> {
    let config = Config::load(&args.config).map_err(Failure::usage)?;
    let keys = args.with_keys.then_some(config.keys_dir.as_path());
    let report = copy::restore(&args.from, &config.data_dir, keys).map_err(failure)?;
    if report.member != config.member {
        return Err(Failure::Refused(format!(
            "cannot use what was restored: it is of member {}, the configuration of {}\n\
             hint: move {} away and give the configuration of member {}",
            report.member,
            config.member,
            config.data_dir.display(),
            report.member
        )));
    }
    let data = config.data_dir.display();
    output.say(&report, format!("restored {data}: {} entries in its log", report.tree_size))?;
    output.note(
        "the log may have grown after this backup was made: the node signs nothing before its \
         peers have confirmed its head",
    );
    Ok(Exit::Done)
}

fn failure(cause: BackupError) -> Failure {
    match cause {
        BackupError::Io { .. } => Failure::fault(cause),
        BackupError::Format(_) => Failure::usage(cause),
        _ => Failure::refused(cause),
    }
}
