//! `token`: who may use the HTTP interface.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sealwire_wire::id::MemberId;
use serde_json::json;

use super::output::{Exit, Failure, Output};
use crate::config::Config;
use crate::principals::{self, PrincipalError, Right};

/// What `token` can do.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a principal and print its token, once.
    New(NewArgs),
    /// Print the principals and their rights.
    List(ConfigArgs),
    /// Make a principal's token worthless, at once and also in a running node.
    Revoke(RevokeArgs),
}

/// Which node.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `token new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Name of the principal: a person or a program.
    pub name: String,
    /// What it may do, separated by commas: publish, read, audit, export, erase, match; or mirror
    /// alone.
    #[arg(long, value_delimiter = ',', required = true)]
    pub rights: Vec<Right>,
    /// With the right to mirror: the other member whose program it is.
    #[arg(long, value_name = "MEMBER")]
    pub member: Option<MemberId>,
    /// Write the token to this new file, readable by this user only, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The node.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `token revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Name of the principal.
    pub name: String,
    /// The node.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs one of them.
pub fn run(command: &TokenCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        TokenCommand::New(args) => {
            let keys = keys_dir(&args.config)?;
            let rights: BTreeSet<Right> = args.rights.iter().copied().collect();
            let out = args.out.as_deref().map(create_secret).transpose()?;
            let token = principals::create(&keys, &args.name, &rights, args.member.as_ref());
            let token = token.map_err(failure);
            let token = token.inspect_err(|_| {
                // An empty file would be taken for a token.
                let _ = args.out.as_deref().map(std::fs::remove_file);
            })?;
            let (name, rights) = (&args.name, words(&rights));
            if let Some(mut file) = out {
                writeln!(file, "{}", *token)?;
                file.sync_all()?;
                let said = json!({"name": name, "rights": rights, "file": args.out});
                output.say(&said, format!("made {name} with {}", rights.join(", ")))?;
            } else {
                let said = json!({"name": name, "rights": rights, "token": *token});
                output.say(&said, &*token)?;
                output.note("keep this token safe: it is stored nowhere and not shown again");
            }
        }
        TokenCommand::List(args) => {
            let list = principals::list(&keys_dir(args)?).map_err(failure)?;
            let lines: Vec<String> =
                list.iter().map(|p| format!("{} {}", p.name, words(&p.rights).join(","))).collect();
            if output.json() || !lines.is_empty() {
                output.say(&list, lines.join("\n"))?;
            }
        }
        TokenCommand::Revoke(args) => {
            principals::revoke(&keys_dir(&args.config)?, &args.name).map_err(failure)?;
            output.say(&json!({"revoked": args.name}), format!("revoked {}", args.name))?;
        }
    }
    Ok(Exit::Done)
}

/// Makes a new file that only this user can read.
pub(super) fn create_secret(file: &Path) -> Result<std::fs::File, Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(file).map_err(|cause| {
        Failure::usage(format!(
            "cannot write {}: {cause}\nhint: give a file that is not there yet",
            file.display()
        ))
    })
}

fn keys_dir(args: &ConfigArgs) -> Result<PathBuf, Failure> {
    Ok(Config::load(&args.config).map_err(Failure::usage)?.keys_dir)
}

fn words(rights: &BTreeSet<Right>) -> Vec<&'static str> {
    rights.iter().map(|right| right.as_str()).collect()
}

fn failure(cause: PrincipalError) -> Failure {
    match cause {
        PrincipalError::Io { .. } | PrincipalError::Random(_) => Failure::fault(cause),
        _ => Failure::refused(cause),
    }
}
