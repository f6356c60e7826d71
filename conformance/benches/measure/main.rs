//! Measures real nodes from outside, each figure beside its limit from the same run.
//!
//! `cargo bench -p sealwire-conformance` prints one table; with `-- slice` everything is done at a
//! hundredth of its size, which shows that it runs, and not how fast. Two members on the loopback interface,
//! processes of the binary in `target/release` (or `SEALWIRE_BIN`); bounded in count and time;
//! the nodes end with it. The client shares the processor's cores with the nodes, and so takes
//! part of what it measures. Knows nothing of the node's inside: HTTP, its files as an auditor
//! reads them, and the public libraries of formats and standard.

mod client;
mod matching;
mod pipeline;
mod process;
mod scale;
mod standard;
mod tiles;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};

use pipeline::Pipeline;
use process::{COMMUNITY, MEMBERS, Node, Place};

/// The record that is published: a laboratory alert of a public case.
const RECORD: &str = include_str!("../../../schemas/examples/case-05-soekarno-hatta.json");
/// Publications one at a time, each beside one flush of the same disk.
const ONE_AT_A_TIME: u64 = 300;
/// Requests in flight.
const IN_FLIGHT: usize = 64;
/// Records of one round with many in flight.
const N: u64 = 2_000;
/// Rounds whose median is told.
const ROUNDS: usize = 3;
/// How long a pure pipeline runs for one round.
const PURE: Duration = Duration::from_secs(1);
/// Entries at which memory is measured again, if they are reached in time.
const MANY: u64 = 100_000;
/// Longest time for reaching them.
const FILL: Duration = Duration::from_secs(300);
/// Longest time for a second node to hold what the first has logged.
const CATCH_UP: Duration = Duration::from_secs(120);
/// How long a node is left alone before its memory counts as idle.
const IDLE: Duration = Duration::from_secs(30);

/// The allocator of the node, so that the limits have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether a hundredth of everything is asked for.
fn slice() -> bool {
    std::env::args().any(|argument| argument == "slice")
}

/// So many, or a hundredth of it.
fn counted(all: u64) -> u64 {
    if slice() { all.div_ceil(100) } else { all }
}

/// So long, or a hundredth of it.
fn lasting(all: Duration) -> Duration {
    if slice() { all / 100 } else { all }
}

fn main() -> anyhow::Result<()> {
    // Before anything else uses the standard.
    let compiled = standard::compile();
    if let Some(entries) = scale::asked()? {
        return scale::run(entries);
    }
    let mut record: Value = serde_json::from_str(RECORD)?;
    let fields = record.as_object_mut().context("the example is no object")?;
    fields.remove("id");
    let binary = process::binary()?;
    let around = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (places, register) = process::found(&binary, around.path(), &record)?;
    let restricted = json!({"operational": ["SG"], "commercial": ["SG"], "text": ["SG"]});
    let submission = json!({"community": COMMUNITY, "record": record, "audiences": restricted});
    let [first, second] = places.as_slice() else { return Err(anyhow!("not two members")) };
    let run = Run {
        binary: &binary,
        dir: around.path(),
        first,
        second,
        register,
        compiled,
        pure: Pipeline::new(MEMBERS[0], &record.to_string())?,
        record: record.to_string(),
        submission: submission.to_string().into_bytes(),
        cores: std::thread::available_parallelism()?.get(),
    };
    run.all()?;
    if slice() { scale::run(counted(scale::ENTRIES)) } else { Ok(()) }
}

struct Run<'a> {
    binary: &'a Path,
    dir: &'a Path,
    first: &'a Place,
    second: &'a Place,
    register: String,
    compiled: [Duration; 2],
    pure: Pipeline,
    /// The record without an id.
    record: String,
    submission: Vec<u8>,
    cores: usize,
}

impl Run<'_> {
    fn all(&self) -> anyhow::Result<()> {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load: Vec<&str> = load.split(' ').take(3).collect();
        say(&format!(
            "load average at the start {}; {} cores; a lab-alert of {} bytes; the client shares the cores with the nodes\n",
            load.join(" "),
            self.cores,
            self.submission.len()
        ))?;
        say("| what | measured | limit, same run | ratio | goal | |\n|---|---|---|---|---|---|")?;
        let only = |part: &str| std::env::args().any(|argument| argument == part);
        if only("publish") {
            let first = self.meet()?;
            self.one_at_a_time(&first)?;
            return self.in_flight(&first);
        }
        if only("matching") {
            return matching::run(self.binary, self.dir, [self.first, self.second], self.cores);
        }
        standard::compiled(self.compiled)?;
        standard::validate(&self.record)?;
        let first = self.meet()?;
        if only("standard") {
            return standard::import(self.binary, self.dir, self.first, &first);
        }
        if only("tiles") {
            return self.tiles(&first);
        }
        if only("memory") {
            return self.many(first);
        }
        self.one_at_a_time(&first)?;
        self.in_flight(&first)?;
        let second = self.receive(&first)?;
        self.audit()?;
        drop(second);
        standard::import(self.binary, self.dir, self.first, &first)?;
        if slice() {
            self.tiles(&first)?;
        }
        self.many(first)
    }

    fn tiles(&self, first: &Node) -> anyhow::Result<()> {
        self.publish_many(first, tiles::count() * 256, CATCH_UP)?;
        tiles::run(self.dir, self.first, first)
    }

    /// Both nodes meet and exchange keys; then the second leaves, so that it takes no core.
    fn meet(&self) -> anyhow::Result<Node> {
        let first = Node::start(self.binary, self.first)?;
        std::thread::sleep(lasting(IDLE));
        let fresh = first.resident_mb()?;
        row("idle memory, fresh node", &format!("{fresh:.1} MB"), "", "", "< 60 MB", fresh < 60.0)?;
        let second = Node::start(self.binary, self.second)?;
        let limit = Duration::from_secs(60);
        process::wait("the first to know the second", limit, || first.holds(MEMBERS[1], 1))?;
        process::wait("the second to know the first", limit, || second.holds(MEMBERS[0], 1))?;
        first.connect()?.publish(&self.submission)?;
        let size = first.size()?;
        process::wait("the first record", limit, || second.holds(MEMBERS[0], size))?;
        Ok(first)
    }

    fn one_at_a_time(&self, node: &Node) -> anyhow::Result<()> {
        let mut file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(self.dir.join("flushed"))
            .context("cannot make a file beside the nodes")?;
        let (mut flushes, mut publications) = (Vec::new(), Vec::new());
        let mut connection = node.connect()?;
        for _ in 0..counted(ONE_AT_A_TIME) {
            let begun = Instant::now();
            file.write_all(&[1; 4096])?;
            file.sync_data()?;
            flushes.push(begun.elapsed().as_secs_f64() * 1e6);
            let begun = Instant::now();
            connection.publish(&self.submission)?;
            publications.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        let (flush, publish) = (quantile(&mut flushes, 0.5), quantile(&mut publications, 0.5));
        let ratio = publish / flush;
        let (ratio_text, flush_text) =
            (format!("{ratio:.2} ×"), format!("fdatasync of 4 KiB {flush:.0} µs"));
        let what = "durable publish, one at a time, median";
        row(what, &format!("{publish:.0} µs"), &flush_text, &ratio_text, "≤ 3 ×", ratio <= 3.0)?;
        let (flush, publish) = (quantile(&mut flushes, 0.99), quantile(&mut publications, 0.99));
        let ratio = format!("{:.2} ×", publish / flush);
        let limit = format!("its p99 {flush:.0} µs");
        tell("the same, p99", &format!("{publish:.0} µs"), &limit, &ratio)
    }

    fn in_flight(&self, node: &Node) -> anyhow::Result<()> {
        let (mut pure, mut real) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            pure.push(pipeline::rate(self.cores, lasting(PURE), || {
                self.pure.publish().map(|_| ())
            })?);
            let (done, time) = self.publish_many(node, counted(N), CATCH_UP)?;
            real.push(done as f64 / time.as_secs_f64());
        }
        let (pure, real) = (quantile(&mut pure, 0.5), quantile(&mut real, 0.5));
        let what = format!("publish, {IN_FLIGHT} in flight, {ROUNDS} rounds of {}", counted(N));
        let limit = format!("validate + seal + sign, {} cores {pure:.0} records/s", self.cores);
        let ratio = format!("{:.0} %", 100.0 * real / pure);
        let met = real >= 0.5 * pure;
        row(&what, &format!("{real:.0} records/s"), &limit, &ratio, "≥ 50 %", met)
    }

    /// The second node returns and catches up; then both take what is published.
    fn receive(&self, first: &Node) -> anyhow::Result<Node> {
        let sealed = self.pure.publish()?;
        let pure = pipeline::rate(1, lasting(PURE), || self.pure.receive(&sealed))?;
        tell(
            "receive: verify + open + validate, pure, one core",
            &format!("{pure:.0} records/s"),
            "",
            "",
        )?;
        let limit = format!("pure, one core {pure:.0} records/s");

        let (one, many) = (counted(ONE_AT_A_TIME), counted(N));
        let missed = (one + ROUNDS as u64 * many) as f64;
        let second = Node::start(self.binary, self.second)?;
        let size = first.size()?;
        let time = process::wait("the second node to catch up", CATCH_UP, || {
            second.holds(MEMBERS[0], size)
        })?;
        let rate = missed / time.as_secs_f64();
        let what = format!("receive: {missed} records missed, from ready until all held");
        let ratio = format!("{:.0} %", 100.0 * rate / pure);
        tell(&what, &format!("{:.2} s, {rate:.0} records/s", time.as_secs_f64()), &limit, &ratio)?;

        let begun = Instant::now();
        let (_, published) = self.publish_many(first, counted(N), CATCH_UP)?;
        let size = first.size()?;
        process::wait("the second node to hold all", CATCH_UP, || second.holds(MEMBERS[0], size))?;
        let time = begun.elapsed();
        let rate = many as f64 / time.as_secs_f64();
        let what = format!(
            "receive: {many} published at once, from the first request until all held by the second node"
        );
        let ratio = format!("{:.0} %", 100.0 * rate / pure);
        let figure = format!(
            "{:.2} s, {rate:.0} records/s; last held {:.2} s after the last acknowledgement",
            time.as_secs_f64(),
            (time - published).as_secs_f64()
        );
        tell(&what, &figure, &limit, &ratio)?;
        let held = held(&second)?;
        let expected = 1 + one + (ROUNDS as u64 + 1) * many;
        ensure!(held == expected, "the second node holds {held} of {expected} records");
        Ok(second)
    }

    fn audit(&self) -> anyhow::Result<()> {
        let trust = self.dir.join("trust.toml");
        let text =
            format!("log = \"{}\"\nregister = \"{}\"\nwitnesses = 1\n", MEMBERS[0], self.register);
        std::fs::write(&trust, text)?;
        let length = self.pure.publish()?.statement.len();
        let data = self.first.dir.join("data");
        // The files follow within a second, and the cosignature after them.
        process::wait("a log whose files are there and cosigned", CATCH_UP, || {
            let report = sealwire_audit::verify(&data, &trust, sealwire_audit::Options::default());
            Ok(report.exit_code() == 0)
        })?;
        let (mut single, mut audited, mut full, mut size) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for _ in 0..ROUNDS {
            single.push(pipeline::verifications(self.cores, lasting(PURE), length)?);
            for (standard, rates) in [(false, &mut audited), (true, &mut full)] {
                let begun = Instant::now();
                let options = sealwire_audit::Options { standard, threads: None };
                let report = sealwire_audit::verify(&data, &trust, options);
                let time = begun.elapsed().as_secs_f64();
                ensure!(report.exit_code() == 0, "the audit does not verify:\n{report}");
                size = report.size;
                rates.push(size as f64 / time);
            }
        }
        let single = quantile(&mut single, 0.5);
        let (audited, full) = (quantile(&mut audited, 0.5), quantile(&mut full, 0.5));
        let limit = format!("single strict Ed25519, {} cores {single:.0}/s", self.cores);
        let ratio = |rate: f64| format!("{:.0} %", 100.0 * rate / single);
        let what =
            format!("audit, {size} entries: register, tree, signatures, parts, cosignatures");
        let figure = format!("{audited:.0} entries/s");
        row(&what, &figure, &limit, &ratio(audited), "≥ 80 %", audited >= 0.8 * single)?;
        let figure = format!("{full:.0} entries/s");
        tell("the same, and each opened record against the standard", &figure, &limit, &ratio(full))
    }

    fn many(&self, first: Node) -> anyhow::Result<()> {
        let wanted = counted(MANY).saturating_sub(first.size()?);
        let (done, time) = self.publish_many(&first, wanted, FILL)?;
        let size = first.size()?;
        let rate = format!("{:.0} records/s", done as f64 / time.as_secs_f64());
        tell(&format!("publish, {IN_FLIGHT} in flight, on to {size} entries"), &rate, "", "")?;
        std::thread::sleep(lasting(IDLE));
        let used = first.resident_mb()?;
        let what = format!("idle memory, {size} entries, after that load");
        row(&what, &format!("{used:.1} MB"), "", "", "< 60 MB", used < 60.0)?;
        drop(first);
        let begun = Instant::now();
        let first = Node::start(self.binary, self.first)?;
        let opened = begun.elapsed().as_secs_f64();
        ensure!(first.size()? == size, "entries are missing after the restart");
        std::thread::sleep(lasting(IDLE));
        let used = first.resident_mb()?;
        let what = format!("idle memory, {size} entries, after a kill and a restart");
        row(&what, &format!("{used:.1} MB"), "", "", "< 60 MB", used < 60.0)?;
        tell("start after that kill, until ready", &format!("{opened:.2} s"), "", "")
    }

    /// Publishes `count` records with 64 in flight, or as many as `at_most` allows.
    fn publish_many(
        &self,
        node: &Node,
        count: u64,
        at_most: Duration,
    ) -> anyhow::Result<(u64, Duration)> {
        client::send(node.address(), node.request(&self.submission)?, IN_FLIGHT, count, at_most)
    }
}

/// Records that a node holds and could open, by its own pages.
fn held(node: &Node) -> anyhow::Result<u64> {
    let (mut after, mut held) = (0, 0);
    loop {
        let page = node.get(&format!("/v1/records?after={after}&limit=500"))?;
        let records = page.get("records").and_then(Value::as_array).into_iter().flatten();
        let status = records.filter_map(|r| r.get("status").and_then(Value::as_str));
        held += status.filter(|status| *status == "held").count() as u64;
        if page.get("more") != Some(&Value::Bool(true)) {
            return Ok(held);
        }
        after = page.get("next").and_then(Value::as_u64).context("a page without `next`")?;
    }
}

/// The value below which `share` of the values are; sorts them.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

fn row(
    what: &str,
    figure: &str,
    limit: &str,
    ratio: &str,
    goal: &str,
    met: bool,
) -> anyhow::Result<()> {
    let verdict = if met { "met" } else { "**missed**" };
    say(&format!("| {what} | {figure} | {limit} | {ratio} | {goal} | {verdict} |"))
}

/// A figure that has no goal of its own.
fn tell(what: &str, figure: &str, limit: &str, ratio: &str) -> anyhow::Result<()> {
    say(&format!("| {what} | {figure} | {limit} | {ratio} | | |"))
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
