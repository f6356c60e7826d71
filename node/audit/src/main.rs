//! `sealwire-audit`: verifies a log offline, trusting neither the node nor its makers.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Verifies signed logs offline. Exit codes: 0 verified, 1 refuted, 2 cannot decide.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// One JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify a member's log in a data directory, or a copy of one.
    Verify {
        /// The data directory.
        dir: PathBuf,
        /// The auditor's own trust file (TOML).
        #[arg(long)]
        trust: Option<PathBuf>,
        /// Leave out the check of opened records against the standard: several times as fast.
        #[arg(long)]
        skip_standard: bool,
    },
    /// Verify one receipt by itself: that its entry is in the log, and who cosigned it.
    Receipt {
        /// The receipt, a C2SP tlog-proof.
        file: PathBuf,
        /// The directory with the register's versions, N.root.json.
        #[arg(long)]
        register: PathBuf,
        /// The auditor's own trust file (TOML).
        #[arg(long)]
        trust: Option<PathBuf>,
    },
    /// Verify evidence that a log was forked: 0 means that the fork is proved.
    Evidence {
        /// The evidence, as a node keeps it below evidence/ in its data directory.
        file: PathBuf,
        /// The directory with the register's versions, N.root.json.
        #[arg(long)]
        register: PathBuf,
        /// The auditor's own trust file (TOML).
        #[arg(long)]
        trust: Option<PathBuf>,
    },
}

/// Costs less than half of the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { json, command } = Cli::parse();
    let report = match command {
        Command::Verify { dir, trust: Some(trust), skip_standard } => {
            let options = sealwire_audit::Options { standard: !skip_standard };
            sealwire_audit::verify_dir(&dir, &trust, options)
        }
        Command::Receipt { file, register, trust: Some(trust) } => {
            sealwire_audit::verify_receipt(&file, &register, &trust)
        }
        Command::Evidence { file, register, trust: Some(trust) } => {
            sealwire_audit::verify_evidence(&file, &register, &trust)
        }
        Command::Verify { trust: None, .. }
        | Command::Receipt { trust: None, .. }
        | Command::Evidence { trust: None, .. } => sealwire_audit::Report::untrusted(
            "no trust file (hint: --trust FILE with the register's digest and the witness policy)"
                .to_owned(),
        ),
    };
    let text = if json {
        serde_json::to_string(&report).unwrap_or_default() + "\n"
    } else {
        report.to_string()
    };
    // A closed pipe changes nothing of the outcome.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(report.exit_code())
}
