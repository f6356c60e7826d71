//! How fast a log takes leaves while it grows: `cargo bench -p sealwire --bench append -- [LEAVES]`.
//!
//! The store itself is measured, its sources being part of this program: each commit is made
//! durable in the journal and applied to the index, and the tile files follow on their thread. The
//! leaves are a mirrored log's, which need no statements; they are appended by the code that appends
//! those of the own log.

#![allow(dead_code, unused_imports, reason = "a part of the store is measured, all of it compiled")]

#[path = "../src/journal/mod.rs"]
mod journal;
#[path = "../src/store/mod.rs"]
mod store;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sealwire_wire::id::{Digest, MemberId};
use store::{Fact, Reader, Writer};

/// Leaves unless asked otherwise.
const LEAVES: u64 = 10_000_000;
/// Windows that are told apart.
const WINDOWS: u64 = 10;
/// Leaves of one commit while a member catches up: as many as a message holds.
const PULLED: u64 = 4096;
/// Leaves of one commit under load, and such commits in a window.
const GROUP: u64 = 64;
const GROUPS: u64 = 51;
/// Longest time for all of it, several times what ten million leaves take two cores that have
/// nothing else to do; what is left then is not measured.
const AT_MOST: Duration = Duration::from_secs(1800);

/// The allocator of the node.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<mimalloc::MiMalloc> =
    zeroizing_alloc::ZeroAlloc(mimalloc::MiMalloc);

fn main() -> anyhow::Result<()> {
    let asked = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let leaves: u64 = asked.map_or(Ok(LEAVES), |text| text.parse()).context("how many leaves?")?;
    let window = leaves / WINDOWS;
    ensure!(window > GROUP * GROUPS + PULLED, "too few leaves to tell windows apart");
    let around = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let data = around.path().join("data");
    store::create(&data)?;
    let (writer, reader) = store::open(&data, &"ID".parse()?, Box::new(|_, _, _| BTreeMap::new()))?;
    let mut log = Log { member: "SG".parse()?, size: 0, writer, reader };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!("load average at the start {load}"))?;
    say(
        "| leaves | in commits of 4096 | a commit of 64, median | until the tile files are there |",
    )?;
    say("|---|---|---|---|")?;
    let begun = Instant::now();
    for end in (1..=WINDOWS).map(|n| n * window) {
        if begun.elapsed() > AT_MOST {
            return say("the rest did not fit the time");
        }
        let (from, mut time) = (log.size, Duration::ZERO);
        while log.size + PULLED <= end - GROUP * GROUPS {
            time += log.append(PULLED)?;
        }
        let rate = (log.size - from) as f64 / time.as_secs_f64();
        let mut groups =
            (0..GROUPS).map(|_| log.append(GROUP)).collect::<anyhow::Result<Vec<_>>>()?;
        groups.sort_unstable();
        let group = groups.get(groups.len() / 2).copied().unwrap_or_default();
        let settling = Instant::now();
        log.writer.settle()?;
        say(&format!(
            "| {from} to {} | {rate:.0} leaves/s | {} µs | {:.2} s |",
            log.size,
            group.as_micros(),
            settling.elapsed().as_secs_f64()
        ))?;
    }
    let (size, root) = (log.size, log.reader.root(&log.member, log.size)?);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    say(&format!("\n{size} leaves, root {root}; peak memory {}", peak.trim()))
}

struct Log {
    member: MemberId,
    size: u64,
    writer: Writer,
    reader: Reader,
}

impl Log {
    /// Commits `count` leaves and the checkpoint over them; how long that took.
    fn append(&mut self, count: u64) -> anyhow::Result<Duration> {
        let (log, from) = (self.member.clone(), self.size);
        let size = from + count;
        let digests = (from..size).map(|index| Digest::of(&index.to_be_bytes())).collect();
        // The store looks at the size alone.
        let note =
            format!("append.example/{log}\n{size}\nroot\n\n\u{2014} append.example/{log} AAAA\n");
        let checkpoint = Fact::Checkpoint { log: log.clone(), note };
        let facts = [Fact::Leaves { log, from, digests }, checkpoint];
        let begun = Instant::now();
        self.writer.commit(&facts)?;
        let time = begun.elapsed();
        self.size = size;
        Ok(time)
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
