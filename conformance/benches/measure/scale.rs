//! The audit of a long log, by the auditor's program, on one thread and on all cores, beside single
//! strict verification of signatures.
//!
//! The log is made here, with the public libraries, in the layout of a data directory: one record,
//! validated once, and for each entry a fresh id and fresh salts, sealed and signed anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use ed25519_dalek::SigningKey;
use sealwire_schemas::{Parts, ValidRecord};
use sealwire_wire::bundle::Element;
use sealwire_wire::checkpoint::{Checkpoint, cosign, sign};
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::merkle::{Frontier, leaf_hash};
use sealwire_wire::register::{Draft, Introduction};
use sealwire_wire::statement::leaf_data;
use sealwire_wire::tile::{TILE_WIDTH, encode_bundle, index_path, tiles_for_growth};

use super::pipeline::{self, Pipeline, random};
use super::process::{self, FEDERATION, MEMBERS};
use super::{PURE, lasting, quantile, row, say, tell};

/// The record: a minimal alert, what an officer can send within a minute.
const RECORD: &str = include_str!("../../../schemas/examples/lab-alert-01-minimal.json");
/// Entries unless asked otherwise.
pub const ENTRIES: u64 = 1_000_000;
/// Entries in a statement file, and hashes in a full tile.
const WIDTH: u64 = TILE_WIDTH as u64;
/// The classes whose plaintext an originator's node keeps beside its log.
const DISCLOSED: [&str; 3] = ["open", "core", "core.coarse"];
/// Longest time for one audit.
const AT_MOST: Duration = Duration::from_secs(600);
/// When everything happened, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// Makes a log and audits it.
pub fn run(entries: u64) -> anyhow::Result<()> {
    let auditor = process::auditor()?;
    let around = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let cores = std::thread::available_parallelism()?.get();
    let log = Log::new(around.path())?;
    let (length, size) = log.write(entries, cores)?;
    say(&format!(
        "a log of {entries} entries of {} bytes each in their statement files, statements of \
         {length} bytes, {:.1} GB in all\n",
        size / entries.max(1),
        size as f64 / 1e9,
    ))?;
    say("| what | measured | limit, same run | ratio | goal | |\n|---|---|---|---|---|---|")?;
    let mut rates = Vec::new();
    for threads in BTreeMap::from([(1, ()), (cores, ())]).into_keys() {
        let before = pipeline::verifications(threads, lasting(PURE), length)?;
        let mut command = Command::new(&auditor);
        command.arg("verify").arg(&log.data).arg("--trust").arg(&log.trust);
        command.args(["--skip-standard", "--threads", &threads.to_string()]);
        let (time, peak) = process::to_the_end(&mut command, AT_MOST)?;
        let after = pipeline::verifications(threads, lasting(PURE), length)?;
        let single = quantile(&mut [before, (before + after) / 2.0, after], 0.5);
        let rate = entries as f64 / time.as_secs_f64();
        let what = format!("audit of {entries} entries, standard left out, threads: {threads}");
        let limit = format!("single strict Ed25519, threads: {threads}, {single:.0}/s");
        let ratio = format!("{:.0} %", 100.0 * rate / single);
        let figure = format!("{rate:.0} entries/s");
        row(&what, &figure, &limit, &ratio, "≥ 80 %", rate >= 0.8 * single)?;
        row("its peak memory", &format!("{peak:.1} MB"), "", "", "< 200 MB", peak < 200.0)?;
        rates.push((rate, single));
    }
    if let [(one, single), (all, singles)] = rates.as_slice() {
        let figure = format!("{:.2} ×", all / one);
        let limit = format!("the signatures alone {:.2} ×", singles / single);
        tell(&format!("from one thread to {cores}"), &figure, &limit, "")?;
    }
    Ok(())
}

/// A log in the making.
struct Log {
    data: PathBuf,
    trust: PathBuf,
    member: MemberId,
    pipeline: Pipeline,
    valid: ValidRecord,
    fields: Parts,
    log: SigningKey,
    cosign: SigningKey,
}

impl Log {
    /// The register and the trust file.
    fn new(around: &Path) -> anyhow::Result<Self> {
        let pipeline = Pipeline::new(MEMBERS[0], RECORD)?;
        let valid = pipeline.validate(&RecordId::new(NOW * 1000, &random()?))?;
        let key = || anyhow::Ok(SigningKey::from_bytes(&random()?));
        let (log, cosign, governor) = (key()?, key()?, key()?);
        let mut draft = Draft::new(FEDERATION, 1, 4_000_000_000)?;
        draft.add_seat("seat", governor.verifying_key().as_bytes())?;
        for (member, log, cosign, sign) in
            [(MEMBERS[0], &log, &key()?, pipeline.key()), (MEMBERS[1], &key()?, &cosign, &key()?)]
        {
            let (node, log) = (key()?.verifying_key(), log.verifying_key());
            let cosign = cosign.verifying_key();
            draft.add_member(&Introduction::new(
                member.parse()?,
                BTreeMap::from([("en".to_owned(), member.to_owned())]),
                vec!["laboratory".to_owned()],
                vec!["/ip4/127.0.0.1/udp/4001/quic-v1".to_owned()],
                (node.as_bytes(), log.as_bytes(), cosign.as_bytes()),
                sign,
            )?)?;
        }
        draft.sign(&governor, None)?;
        let (data, trust) = (around.join("data"), around.join("trust.toml"));
        put(&data.join("register/1.root.json"), draft.finish(None)?.bytes())?;
        let (member, digest) = (MEMBERS[0], draft.digest());
        let text = format!("log = \"{member}\"\nregister = \"{digest}\"\nwitnesses = 1\n");
        put(&trust, text.as_bytes())?;
        let (member, fields) = (member.parse()?, valid.split());
        Ok(Self { data, trust, member, pipeline, valid, fields, log, cosign })
    }

    /// Writes `entries` entries, their tiles and a cosigned checkpoint; answers the length of a
    /// statement, and of all statement files together.
    fn write(&self, entries: u64, threads: usize) -> anyhow::Result<(usize, u64)> {
        let dir = self.data.join("logs").join(self.member.as_str());
        let (next, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let files = Mutex::new(BTreeMap::new());
        let work = || {
            loop {
                let file = next.fetch_add(1, Ordering::Relaxed);
                if file * WIDTH >= entries {
                    return anyhow::Ok(());
                }
                let (digests, content) = self.file(file, entries)?;
                put(&dir.join("statement").join(index_path(file)), &content)?;
                bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
                files.lock().map_err(|_| anyhow!("a thread panicked"))?.insert(file, digests);
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().map_err(|_| anyhow!("a thread that makes the log panicked"))?
            })
        })?;
        let files = files.into_inner().map_err(|_| anyhow!("a thread panicked"))?;
        let digests: Vec<Digest> = files.into_values().flatten().collect();
        self.tree(&dir, &digests)?;
        let length = self.entry()?.statement.len();
        Ok((length, bytes.into_inner()))
    }

    /// One statement file, and the digests of its statements.
    fn file(&self, file: u64, entries: u64) -> anyhow::Result<(Vec<Digest>, Vec<u8>)> {
        let (mut digests, mut content) = (Vec::new(), Vec::new());
        for index in file * WIDTH..((file + 1) * WIDTH).min(entries) {
            let entry = self.entry()?;
            digests.push(Digest::of(&entry.statement));
            let disclosed = |class: &str| DISCLOSED.contains(&class);
            let plain = entry.plain.iter().map(|(class, part)| (class.as_str(), part.as_slice()));
            let element = Element {
                index,
                statement: &entry.statement,
                sealed: entry.parts.iter().map(|(c, part)| (c.as_str(), part.as_slice())).collect(),
                opened: plain.filter(|(class, _)| disclosed(class)).collect(),
            };
            content.extend_from_slice(&element.to_bytes());
        }
        Ok((digests, content))
    }

    /// The record under a fresh id.
    fn entry(&self) -> anyhow::Result<pipeline::Sealed> {
        let id = RecordId::new(NOW * 1000, &random()?);
        let mut fields = self.fields.clone();
        let mut all = fields.values_mut().flatten();
        let place = all.find(|field| field.pointer == "/id").context("the record has no id")?;
        place.value = id.to_string().into();
        self.pipeline.issue(&id, &self.valid, fields)
    }

    /// Tiles, entry bundles, and the checkpoint.
    fn tree(&self, dir: &Path, digests: &[Digest]) -> anyhow::Result<()> {
        let data: Vec<_> = digests.iter().map(leaf_data).collect();
        let mut levels = vec![data.iter().map(|data| leaf_hash(data)).collect::<Vec<_>>()];
        let root = |hashes: &[Digest]| {
            let mut frontier = Frontier::new();
            hashes.iter().for_each(|hash| frontier.push(*hash));
            frontier.root()
        };
        while let Some(below) = levels.last().filter(|level| level.len() as u64 >= WIDTH) {
            let full = below.chunks_exact(usize::from(TILE_WIDTH));
            levels.push(full.map(root).collect());
        }
        let size = digests.len() as u64;
        for tile in tiles_for_growth(0, size) {
            let from = usize::try_from(tile.index() * WIDTH)?;
            let range = from..from + usize::from(tile.width());
            let level = levels.get(usize::from(tile.level()));
            let hashes = level.and_then(|level| level.get(range.clone()));
            let hashes = hashes.context("a tile beyond the tree")?.iter().flat_map(|hash| hash.0);
            put(&dir.join(tile.path()), &hashes.collect::<Vec<u8>>())?;
            if let Some((path, data)) = tile.entries_path().zip(data.get(range)) {
                put(&dir.join(path), &encode_bundle(data))?;
            }
        }
        let [leaves, ..] = levels.as_slice() else { return Err(anyhow!("a tree of no level")) };
        let origin = format!("{FEDERATION}/{}", self.member);
        let checkpoint = Checkpoint { origin, size, root: root(leaves) };
        let mut note = sign(&checkpoint, &self.log);
        let witness = format!("{FEDERATION}/{}", MEMBERS[1]);
        note.add(cosign(&checkpoint, &witness, &self.cosign, NOW)?);
        put(&dir.join("checkpoint"), note.to_string().as_bytes())
    }
}

fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let parent = path.parent().context("a file without a directory")?;
    fs::create_dir_all(parent)?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// How many entries the command line asks for.
pub fn asked() -> anyhow::Result<Option<u64>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "scale");
    if arguments.next().is_none() {
        return Ok(None);
    }
    let entries = match arguments.next().filter(|argument| !argument.starts_with('-')) {
        Some(number) => number.parse().context("cannot read how many entries")?,
        None => ENTRIES,
    };
    ensure!(entries > 0, "a log of no entries is audited in no time");
    Ok(Some(entries))
}
