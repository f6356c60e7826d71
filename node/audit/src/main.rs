//! `sealwire-audit`: verifies a log offline, trusting neither the node nor its makers.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sealwire_audit::html::{self, Around};
use sealwire_audit::{MAX_THREADS, Options, Report, Trust};
use sealwire_wire::id::Digest;

/// Verifies signed logs offline. Exit codes: 0 verified, 1 refuted, 2 cannot decide.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// One JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// Also write the report to this new file, as one HTML page that opens offline.
    #[arg(long, global = true, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify a member's log in a bundle, a data directory, or a copy of one.
    Verify {
        /// The bundle that `sealwire audit export` wrote, or a data directory.
        path: PathBuf,
        /// The auditor's own trust file (TOML).
        #[arg(long)]
        trust: Option<PathBuf>,
        /// Leave out the check of opened records against the standard: several times as fast.
        #[arg(long)]
        skip_standard: bool,
        /// On how many threads; one for each core unless given.
        #[arg(long, value_name = "N", value_parser = threads)]
        threads: Option<usize>,
    },
    /// Compare two members' bundles: what each says it sent against what the other says it got.
    Reconcile {
        /// One member's bundle.
        first: PathBuf,
        /// Another member's bundle.
        second: PathBuf,
        /// The auditor's own trust file (TOML); its register is what counts here.
        #[arg(long)]
        trust: Option<PathBuf>,
    },
    /// Verify one receipt by itself: that its entry is in the log, and who cosigned it.
    Receipt {
        /// The receipt: a C2SP tlog-proof, or a COSE receipt exported with its checkpoint.
        file: PathBuf,
        /// The directory with the register's versions, N.root.json.
        #[arg(long)]
        register: PathBuf,
        /// The auditor's own trust file (TOML).
        #[arg(long)]
        trust: Option<PathBuf>,
    },
    /// Verify a proof of single fields of a record, and print them.
    Field {
        /// The proof that `sealwire open` wrote.
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
    let Cli { json, html, command } = Cli::parse();
    let (subject, trust) = match &command {
        Command::Verify { path, trust, .. } => (path, trust),
        Command::Reconcile { first, trust, .. } => (first, trust),
        Command::Receipt { file, trust, .. }
        | Command::Field { file, trust, .. }
        | Command::Evidence { file, trust, .. } => (file, trust),
    };
    let report = match (&command, trust) {
        (_, None) => Report::untrusted(
            "no trust file (hint: --trust FILE with the register's digest and the witness policy)"
                .to_owned(),
        ),
        (Command::Verify { path, skip_standard, threads, .. }, Some(trust)) => {
            let options = Options { standard: !skip_standard, threads: *threads };
            sealwire_audit::verify(path, trust, options)
        }
        (Command::Reconcile { first, second, .. }, Some(trust)) => {
            sealwire_audit::reconcile(first, second, trust)
        }
        (Command::Receipt { file, register, .. }, Some(trust)) => {
            sealwire_audit::verify_receipt(file, register, trust)
        }
        (Command::Field { file, register, .. }, Some(trust)) => {
            sealwire_audit::verify_field(file, register, trust)
        }
        (Command::Evidence { file, register, .. }, Some(trust)) => {
            sealwire_audit::verify_evidence(file, register, trust)
        }
    };
    let text = if json {
        serde_json::to_string(&report).unwrap_or_default() + "\n"
    } else {
        report.to_string()
    };
    // A closed pipe changes nothing of the outcome.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if let Some(file) = html
        && let Err(cause) = write_html(&file, &report, &around(subject, trust.as_deref()))
    {
        let shown = file.display();
        let hint = "give --html a file that is not there yet";
        let _ = writeln!(std::io::stderr(), "cannot write {shown}: {cause} (hint: {hint})");
        return ExitCode::from(2);
    }
    ExitCode::from(report.exit_code())
}

fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_THREADS).contains(number));
    number.ok_or_else(|| format!("expected a number from 1 to {MAX_THREADS}"))
}

fn write_html(file: &Path, report: &Report, around: &Around) -> std::io::Result<()> {
    let mut out = std::fs::File::create_new(file)?;
    out.write_all(html::html(report, around).as_bytes())?;
    out.sync_all()
}

/// What was audited and what was trusted, as the auditor gave it.
fn around(subject: &Path, trust: Option<&Path>) -> Around {
    let mut trusted = Vec::new();
    if let Some(path) = trust {
        trusted.push(("trust file", path.display().to_string()));
        if let Ok(bytes) = std::fs::read(path) {
            trusted.push(("SHA-256 of the trust file", Digest::of(&bytes).to_string()));
        }
        if let Ok(trust) = Trust::read(path) {
            let witnesses = trust.witnesses.map(|n| format!("{n} other members"));
            trusted.push(("trusted register", trust.register.to_string()));
            let pq = trust.witnesses_pq.map(|n| format!("; {n} of them with ML-DSA-44 too"));
            let policy = witnesses.or(trust.policy).unwrap_or_default() + &pq.unwrap_or_default();
            trusted.push(("cosignatures asked for", policy));
            let earlier = trust.checkpoint.unwrap_or_else(|| "none".to_owned());
            trusted.push(("earlier checkpoint", earlier));
        }
    }
    let ended = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    Around { subject: subject.display().to_string(), trusted, ended }
}
