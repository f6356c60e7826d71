//! The standard and imports: what a check costs beside parsing and the bare schema, what the
//! start costs, and how fast and in how much memory a table is read.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sealwire_schemas::{Standard, parse_json};
use serde_json::Value;

use super::process::{self, COMMUNITY, Node, Place};
use super::{counted, quantile, row, tell};

/// Rounds whose median is told.
const ROUNDS: usize = 15;
/// Checks of one round.
const CHECKS: u64 = 200;
/// Rows of the table that is checked.
const ROWS: u64 = 100_000;
/// Rows of the table that is published.
const PUBLISHED: u64 = 2_000;
/// Longest time for one import.
const AT_MOST: Duration = Duration::from_secs(300);

/// How long the first use of one kind takes, and then that of all others. Has to come before any
/// other use.
pub fn compile() -> [Duration; 2] {
    let begun = Instant::now();
    black_box(Standard::v1().kind("lab-alert"));
    let one = begun.elapsed();
    black_box(Standard::v1().kinds().count());
    [one, begun.elapsed()]
}

/// Tells how long that took.
pub fn compiled(times: [Duration; 2]) -> anyhow::Result<()> {
    let [one, all] = times.map(|time| time.as_secs_f64() * 1e3);
    let figure = format!("{one:.1} ms");
    tell("standard: the schema of lab-alert read and compiled, once a process", &figure, "", "")?;
    let kinds = Standard::v1().kinds().count();
    let what = format!("standard: all {kinds} schemas read and compiled");
    row(&what, &format!("{all:.1} ms"), "", "", "< 50 ms", all < 50.0)
}

/// One check with all rules, beside parsing and the bare schema, in turns.
pub fn validate(record: &str) -> anyhow::Result<()> {
    let parsed = parse_json(record.as_bytes()).map_err(|finding| anyhow::anyhow!("{finding}"))?;
    let named = parsed.get("kind").and_then(Value::as_str).unwrap_or_default();
    let kind = Standard::v1().kind(named).context("the record has no kind")?;
    let bare = jsonschema::validator_for(&kind.schema())?;
    let (mut whole, mut limit, checks) = (Vec::new(), Vec::new(), counted(CHECKS));
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..checks {
            let value: Value = serde_json::from_str(black_box(record))?;
            ensure!(bare.is_valid(&value), "the schema refuses the example");
        }
        limit.push(begun.elapsed().as_secs_f64() * 1e6 / checks as f64);
        let begun = Instant::now();
        for _ in 0..checks {
            let value = parse_json(black_box(record.as_bytes()));
            let value = value.map_err(|finding| anyhow::anyhow!("{finding}"))?;
            ensure!(Standard::v1().accept(value).is_ok(), "the standard refuses the example");
        }
        whole.push(begun.elapsed().as_secs_f64() * 1e6 / checks as f64);
    }
    let (whole, limit) = (quantile(&mut whole, 0.5), quantile(&mut limit, 0.5));
    let ratio = whole / limit;
    row(
        &format!("standard: a record of {} bytes, strict parse, schema and rules", record.len()),
        &format!("{whole:.0} µs"),
        &format!("serde_json and the bare schema {limit:.0} µs"),
        &format!("{ratio:.2} ×"),
        "≤ 4 ×",
        ratio <= 4.0,
    )
}

/// Tables of alerts: a long one is checked, a shorter one published.
pub fn import(binary: &Path, dir: &Path, place: &Place, node: &Node) -> anyhow::Result<()> {
    for rows in [ROWS / 10, ROWS].map(counted) {
        let file = dir.join(format!("{rows}.csv"));
        table(&file, rows)?;
        let (time, peak) = run(binary, &file, &["--dry-run"])?;
        let rate = rows as f64 / time.as_secs_f64();
        let size = fs::metadata(&file)?.len() as f64 / 1e6;
        tell(
            &format!("import: {rows} rows of CSV checked, {size:.1} MB"),
            &format!("{rate:.0} rows/s"),
            "",
            "",
        )?;
        let figure = format!("{peak:.1} MB");
        row("the same, peak memory", &figure, "", "", "< 150 MB", peak < 150.0)?;
    }
    let file = dir.join("published.csv");
    let published = counted(PUBLISHED);
    table(&file, published)?;
    let config = place.dir.join("sealwire.toml");
    let config = config.to_str().context("a path is not UTF-8")?;
    let before = node.size()?;
    let (time, _) = run(binary, &file, &["--community", COMMUNITY, "--config", config])?;
    ensure!(node.size()? >= before + published, "rows are missing from the log");
    let rate = published as f64 / time.as_secs_f64();
    tell(
        &format!("import: {published} rows of CSV published"),
        &format!("{rate:.0} rows/s"),
        "",
        "",
    )
}

/// A table of the shortest alerts, no two the same.
fn table(file: &Path, rows: u64) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    writeln!(
        out,
        "/issueDate,/language,/handling/tlp,/handling/pap,/handling/purpose/0,\
         /handling/legalBasis,/handling/urgency,/handling/evaluation/source,\
         /handling/evaluation/information,/handling/reviewDate,/handling/retainUntil,/alertType,\
         /status,/laboratory/name,/laboratory/countryCode,/substance/0/commonName,\
         /substance/0/casNumber,/contactOffice"
    )?;
    for n in 0..rows {
        let mut line = String::new();
        write!(
            line,
            "2026-01-{:02},en,AMBER,AMBER,customs-enforcement,A-1,routine,A,2,2026-06-01,\
             2027-01-01,nps-detection,presumptive,\"Customs Laboratory, Jakarta\",ID,\
             MDMB-4en-PINACA,2504100-70-1,desk {n}",
            1 + n % 28
        )?;
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// Runs an import to its end: how long it took, and its peak memory in MB.
fn run(binary: &Path, file: &Path, arguments: &[&str]) -> anyhow::Result<(Duration, f64)> {
    let mut command = process::clean(binary);
    command.arg("import").arg(file).args(["--kind", "lab-alert"]).args(arguments);
    process::to_the_end(&mut command, AT_MOST)
}
