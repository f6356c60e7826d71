//! The steps of an audit, in order. A step that fails so that the next would have nothing to
//! stand on ends the audit.
//!
//! 1. trust file (read by the caller); 2. register; 3. checkpoint; 4. tree; 5. earlier checkpoint;
//! 6. entries; 7. parts; 8. cosignatures.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sealwire_schemas::{Disclosure, FieldClass, Parts, Standard};
use sealwire_wire::cbor::{self, Reader, Value};
use sealwire_wire::checkpoint::{Checkpoint, SignedCheckpoint};
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle::{Frontier, leaf_hash};
use sealwire_wire::note::{TYPE_COSIGNATURE, VerifierKey};
use sealwire_wire::part::Part;
use sealwire_wire::policy::Policy;
use sealwire_wire::register::{KeyUse, MAX_REGISTER_BYTES, Register};
use sealwire_wire::seal::sealed_padded_len;
use sealwire_wire::statement::{AuthenticStatement, Body, Statement, leaf_data};
use sealwire_wire::tile::{TileId, decode_bundle, index_path};

use crate::report::{Report, Verdict};
use crate::trust::Trust;

/// Entries in a statement file and a full tile.
const WIDTH: u64 = 256;
/// Largest file read whole, in bytes: 256 entries with parts of the largest size would be more,
/// so a statement file is bounded by what its entries may hold.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;
/// Largest element of a statement file, in bytes.
const MAX_ELEMENT_BYTES: usize = 16 * 1024 * 1024;

/// Why a step did not succeed.
struct Failure(Verdict, String);

type Checked<T> = Result<T, Failure>;

fn refuted<T>(detail: impl Into<String>) -> Checked<T> {
    Err(Failure(Verdict::Refuted, detail.into()))
}

fn undecided<T>(detail: impl Into<String>) -> Checked<T> {
    Err(Failure(Verdict::Undecided, detail.into()))
}

/// Takes all steps that can be taken.
pub fn run(dir: &Path, trust: &Trust) -> Report {
    let mut report = Report::new();
    let detail = format!("log of {}, register {}", trust.log, trust.register);
    report.add(1, "trust file", Verdict::Verified, detail);
    let Some(register) = take(&mut report, 2, "register", register(dir, trust)) else {
        return report;
    };
    let origin = format!("{}/{}", register.federation(), trust.log);
    report.origin = Some(origin.clone());
    let log = Log { dir: dir.join("logs").join(trust.log.as_str()), origin, member: &trust.log };
    let Some(signed) = take(&mut report, 3, "checkpoint", checkpoint(&log, &register)) else {
        return report;
    };
    let head = signed.checkpoint().clone();
    report.size = head.size;
    let Some(leaves) = take(&mut report, 4, "tree", tree(&log, &head)) else { return report };
    take(&mut report, 5, "earlier checkpoint", earlier(&log, &register, trust, &leaves));
    let counts = take(&mut report, 6, "entries", entries(&log, &register, &leaves));
    if let Some(counts) = counts {
        take(&mut report, 7, "parts", counts.parts());
    }
    take(&mut report, 8, "cosignatures", cosignatures(&log, &register, trust, &signed));
    report
}

fn take<T>(
    report: &mut Report,
    number: u8,
    name: &'static str,
    outcome: Checked<(T, String)>,
) -> Option<T> {
    match outcome {
        Ok((value, detail)) => {
            report.add(number, name, Verdict::Verified, detail);
            Some(value)
        }
        Err(Failure(verdict, detail)) => {
            report.add(number, name, verdict, detail);
            None
        }
    }
}

struct Log<'a> {
    dir: PathBuf,
    origin: String,
    member: &'a MemberId,
}

/// Step 2: the register's versions form one chain, and the auditor's digest is one of them.
fn register(dir: &Path, trust: &Trust) -> Checked<(Register, String)> {
    let mut current: Option<Register> = None;
    let mut known = false;
    for version in 1u64.. {
        let path = dir.join("register").join(format!("{version}.root.json"));
        let Some(bytes) = read(&path, MAX_REGISTER_BYTES as u64)? else { break };
        let next = match &current {
            None => Register::trust_first(&bytes, None),
            Some(previous) => previous.update(&bytes),
        };
        match next {
            Ok(next) => {
                known |= next.digest() == trust.register;
                current = Some(next);
            }
            Err(cause) => return refuted(format!("version {version}: {cause}")),
        }
    }
    match current {
        None => undecided("no register in the data directory"),
        Some(_) if !known => refuted(format!(
            "no version has the digest {} that the auditor brought: another federation, or a register regenerated",
            trust.register
        )),
        Some(register) => {
            let detail = format!("versions 1 to {}, one chain", register.version());
            Ok((register, detail))
        }
    }
}

/// Step 3: the checkpoint is signed by the log's key.
fn checkpoint(log: &Log<'_>, register: &Register) -> Checked<(SignedCheckpoint, String)> {
    let Some(note) = read(&log.dir.join("checkpoint"), MAX_FILE_BYTES)? else {
        return undecided(format!("no checkpoint of {} in the data directory", log.origin));
    };
    let Some(member) = register.member(log.member) else {
        return refuted(format!("{} is not in the register", log.member));
    };
    let mut last = "the register lists no log key".to_owned();
    for key in member.keys.iter().filter(|k| k.use_ == KeyUse::Log) {
        match SignedCheckpoint::verify(&note, &log.origin, &key.public) {
            Ok(signed) => {
                let head = signed.checkpoint();
                let detail = format!("size {}, root {}", head.size, head.root);
                return Ok((signed, detail));
            }
            Err(cause) => last = cause.to_string(),
        }
    }
    refuted(last)
}

/// Step 4: the entries' digests make the tree that the checkpoint signs, and the hash tiles agree.
fn tree(log: &Log<'_>, head: &Checkpoint) -> Checked<(Vec<Digest>, String)> {
    let mut leaves = Vec::new();
    let mut frontier = Frontier::new();
    for index in 0..head.size.div_ceil(WIDTH) {
        let width = WIDTH.min(head.size - index * WIDTH) as u16;
        let (tile, bundle) = bundle(log, index, width)?;
        let hashes = match tile.hashes(&read_tile(log, tile, TileId::path)?) {
            Ok(hashes) => hashes,
            Err(cause) => return refuted(format!("{}: {cause}", tile.path())),
        };
        for (entry, hash) in bundle.iter().zip(&hashes) {
            if leaf_hash(entry) != *hash {
                return refuted(format!("{}: a hash differs from its entry's", tile.path()));
            }
            frontier.push(*hash);
            let mut digest = [0; 32];
            digest.copy_from_slice(&entry[1..]);
            leaves.push(Digest(digest));
        }
    }
    if frontier.size() != head.size || frontier.root() != head.root {
        return refuted("the entries do not make the tree that the checkpoint signs");
    }
    let detail = format!("{} entries make the signed root", head.size);
    Ok((leaves, detail))
}

fn bundle(log: &Log<'_>, index: u64, width: u16) -> Checked<(TileId, Vec<[u8; 33]>)> {
    let tile = match TileId::new(0, index, width) {
        Ok(tile) => tile,
        Err(cause) => return refuted(cause.to_string()),
    };
    let bytes = read_tile(log, tile, |t| t.entries_path().unwrap_or_default())?;
    match decode_bundle(&bytes, width) {
        Ok(entries) => Ok((tile, entries)),
        Err(cause) => refuted(format!("entry bundle {index}: {cause}")),
    }
}

/// A tile or bundle; where the partial one is gone, the full one serves, cut to its width.
fn read_tile(log: &Log<'_>, tile: TileId, path: impl Fn(&TileId) -> String) -> Checked<Vec<u8>> {
    if let Some(bytes) = read(&log.dir.join(path(&tile)), MAX_FILE_BYTES)? {
        return Ok(bytes);
    }
    let full = tile.full().filter(|_| !tile.is_full());
    if let Some(full) = full
        && let Some(mut bytes) = read(&log.dir.join(path(&full)), MAX_FILE_BYTES)?
    {
        let each = bytes.len() / usize::try_from(WIDTH).unwrap_or(1);
        bytes.truncate(each * usize::from(tile.width()));
        return Ok(bytes);
    }
    undecided(format!("{} is missing", path(&tile)))
}

/// Step 5: the checkpoint that the auditor kept is of the same tree, smaller.
fn earlier(
    log: &Log<'_>,
    register: &Register,
    trust: &Trust,
    leaves: &[Digest],
) -> Checked<((), String)> {
    let Some(note) = &trust.checkpoint else {
        return Ok((
            (),
            "none was kept: a log cut back since an earlier audit would not show here".into(),
        ));
    };
    let keys = register.member(log.member).map(|m| m.keys.as_slice()).unwrap_or_default();
    let signed = keys
        .iter()
        .filter(|k| k.use_ == KeyUse::Log)
        .find_map(|k| SignedCheckpoint::verify(note.as_bytes(), &log.origin, &k.public).ok());
    let Some(signed) = signed else {
        return refuted("the checkpoint that was kept is not signed by a key of this log");
    };
    let kept = signed.checkpoint();
    let size = usize::try_from(kept.size).unwrap_or(usize::MAX);
    let Some(then) = leaves.get(..size) else {
        return refuted(format!(
            "the log had {} entries before and has {} now",
            kept.size,
            leaves.len()
        ));
    };
    let mut frontier = Frontier::new();
    then.iter().for_each(|digest| frontier.push(leaf_hash(&leaf_data(digest))));
    if frontier.root() == kept.root {
        Ok(((), format!("the {} entries of then are the first of now", kept.size)))
    } else {
        refuted(format!(
            "the first {} entries are not those of the checkpoint that was kept",
            kept.size
        ))
    }
}

/// Counts of step 6, and what step 7 found.
#[derive(Default)]
struct Counts {
    entries: AtomicU64,
    records: AtomicU64,
    opened: AtomicU64,
    sealed: AtomicU64,
    missing: AtomicU64,
    part_failure: Mutex<Option<String>>,
}

impl Counts {
    /// Step 7: parts are of the stated lengths, and opened ones match their commitments.
    fn parts(&self) -> Checked<((), String)> {
        let failure = self.part_failure.lock().map(|f| f.clone()).unwrap_or_default();
        if let Some(failure) = failure {
            return refuted(failure);
        }
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let detail = format!(
            "{} records: {} parts opened and matched to their commitments, {} sealed parts of the stated length, {} not kept here",
            read(&self.records),
            read(&self.opened),
            read(&self.sealed),
            read(&self.missing)
        );
        Ok(((), detail))
    }

    fn fail(&self, detail: String) {
        if let Ok(mut failure) = self.part_failure.lock() {
            failure.get_or_insert(detail);
        }
    }
}

/// Step 6: every leaf is the digest of a statement that is there, signed by its issuer under a
/// key that the register lists for that index. Files are checked by as many threads as there are
/// cores; each signature strictly and by itself.
fn entries(log: &Log<'_>, register: &Register, leaves: &[Digest]) -> Checked<(Counts, String)> {
    let files = (leaves.len() as u64).div_ceil(WIDTH);
    let next = AtomicU64::new(0);
    let counts = Counts::default();
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let file = next.fetch_add(1, Ordering::Relaxed);
                    let stop = failed.lock().map_or(true, |f| f.is_some());
                    if file >= files || stop {
                        return;
                    }
                    if let Err(failure) = statement_file(log, register, leaves, file, &counts)
                        && let Ok(mut failed) = failed.lock()
                    {
                        failed.get_or_insert(failure);
                    }
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_default() {
        Some(failure) => Err(failure),
        None => {
            let entries = counts.entries.load(Ordering::Relaxed);
            Ok((counts, format!("{entries} statements signed by keys valid at their index")))
        }
    }
}

fn statement_file(
    log: &Log<'_>,
    register: &Register,
    leaves: &[Digest],
    file: u64,
    counts: &Counts,
) -> Checked<()> {
    let path = log.dir.join("statement").join(index_path(file));
    let Some(bytes) = read(&path, MAX_FILE_BYTES)? else {
        return undecided(format!("statement file {file} is missing"));
    };
    let mut rest = bytes.as_slice();
    let first = file * WIDTH;
    let past = (first + WIDTH).min(leaves.len() as u64);
    let mut seen = [false; WIDTH as usize];
    while !rest.is_empty() {
        let element = Element::next(&mut rest).map_err(|cause| {
            Failure(Verdict::Refuted, format!("statement file {file}: {cause}"))
        })?;
        // The log may have grown since the checkpoint was written.
        if element.index >= past {
            continue;
        }
        let slot = element.index.checked_sub(first).and_then(|i| usize::try_from(i).ok());
        let (Some(seen), Some(leaf)) = (
            slot.and_then(|i| seen.get_mut(i)),
            usize::try_from(element.index).ok().and_then(|i| leaves.get(i)),
        ) else {
            return refuted(format!("statement file {file} holds entry {}", element.index));
        };
        *seen = true;
        let statement = entry(log, register, &element, leaf)?;
        counts.entries.fetch_add(1, Ordering::Relaxed);
        parts(&element, &statement, counts);
    }
    match (first..past).zip(seen).find(|(_, seen)| !seen) {
        None => Ok(()),
        Some((index, _)) => refuted(format!("the statement of entry {index} is missing")),
    }
}

/// One element of a statement file.
struct Element {
    index: u64,
    statement: Vec<u8>,
    sealed: Vec<(String, Vec<u8>)>,
    opened: Vec<(String, Vec<u8>)>,
}

impl Element {
    fn next(rest: &mut &[u8]) -> Result<Self, cbor::CborError> {
        const WHAT: &str = "statement file";
        let value = cbor::decode_next(WHAT, rest, MAX_ELEMENT_BYTES)?;
        let names = ["index", "statement", "sealed", "opened"];
        let mut fields = Reader::of_array(WHAT, value, &names)?;
        let map = |value: Value| -> Result<Vec<(String, Vec<u8>)>, cbor::CborError> {
            let bad = || cbor::shape(WHAT, "parts", "a map of byte strings");
            let entries = value.into_map().map_err(|_| bad())?.into_iter();
            entries
                .map(|(k, v)| match (k, v) {
                    (Value::Text(k), Value::Bytes(v)) => Ok((k, v)),
                    _ => Err(bad()),
                })
                .collect()
        };
        Ok(Self {
            index: fields.take_u64("index")?,
            statement: fields.take_bytes("statement")?,
            sealed: map(fields.take("sealed")?)?,
            opened: map(fields.take("opened")?)?,
        })
    }
}

fn entry(
    log: &Log<'_>,
    register: &Register,
    element: &Element,
    leaf: &Digest,
) -> Checked<AuthenticStatement> {
    let index = element.index;
    let at = |cause: String| Failure(Verdict::Refuted, format!("entry {index}: {cause}"));
    if Digest::of(&element.statement) != *leaf {
        return refuted(format!("entry {index}: the statement is not the one in the tree"));
    }
    let statement = Statement::parse(&element.statement).map_err(|e| at(e.to_string()))?;
    if statement.claims().issuer != *log.member
        || statement.manifest().federation != register.federation()
    {
        return refuted(format!("entry {index}: signed for another log"));
    }
    if statement.manifest().register > register.version() {
        return refuted(format!("entry {index}: made under a register version that is not here"));
    }
    let key = register.member(log.member).and_then(|m| m.sign_key_at(&statement.key_id(), index));
    let Some(key) = key else {
        return refuted(format!(
            "entry {index}: its key {} is not valid at that index",
            statement.key_id()
        ));
    };
    let public = key.public;
    statement.verify(&public).map_err(|e| at(e.to_string()))
}

fn parts(element: &Element, statement: &AuthenticStatement, counts: &Counts) {
    let Body::Record(record) = &statement.manifest().body else { return };
    let index = element.index;
    counts.records.fetch_add(1, Ordering::Relaxed);
    let mut disclosed = Parts::new();
    for (class, stated) in &record.parts {
        match element.sealed.iter().find(|(c, _)| c == class) {
            None => {
                counts.missing.fetch_add(1, Ordering::Relaxed);
            }
            Some((_, sealed)) if sealed_padded_len(sealed).ok() == Some(stated.length) => {
                counts.sealed.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) => {
                counts.fail(format!("entry {index}: part {class} is not of the stated length"))
            }
        }
        let Some((_, plaintext)) = element.opened.iter().find(|(c, _)| c == class) else {
            continue;
        };
        let subject = &statement.claims().subject;
        match (Part::from_bytes(plaintext), class.parse::<FieldClass>()) {
            (Ok(part), Ok(known)) if part.commitment(subject, class) == stated.commitment => {
                counts.opened.fetch_add(1, Ordering::Relaxed);
                let fields = part.disclosures().iter().filter_map(|d| {
                    Some(Disclosure { pointer: d.pointer.clone(), value: cbor::to_json(&d.value)? })
                });
                disclosed.insert(known, fields.collect());
            }
            _ => counts.fail(format!("entry {index}: part {class} does not match its commitment")),
        }
    }
    if let Some((class, _)) = element.opened.iter().find(|(c, _)| !record.parts.contains_key(c)) {
        counts.fail(format!("entry {index}: part {class} is not in its statement"));
    }
    if !disclosed.is_empty() && Standard::v1().check_parts(&record.kind, &disclosed).refused() {
        counts.fail(format!("entry {index}: the opened parts are not valid against the standard"));
    }
}

/// Step 8: as many others as the auditor asks for cosigned the checkpoint; the log's owner never
/// counts for its own log.
fn cosignatures(
    log: &Log<'_>,
    register: &Register,
    trust: &Trust,
    signed: &SignedCheckpoint,
) -> Checked<((), String)> {
    let policy = match (&trust.policy, trust.witnesses) {
        (Some(text), _) => Policy::parse(text.as_bytes()),
        (None, quorum) => {
            let mut witnesses = Vec::new();
            for member in register.members().filter(|m| m.id != *log.member) {
                for key in member.keys.iter().filter(|k| k.use_ == KeyUse::Cosign) {
                    let name = format!("{}/{}", register.federation(), member.id);
                    witnesses.push(VerifierKey {
                        name,
                        type_: TYPE_COSIGNATURE,
                        public: key.public,
                    });
                }
            }
            Policy::k_of(&[], &witnesses, quorum.unwrap_or(0))
        }
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(cause) => return undecided(format!("the witness policy cannot be used: {cause}")),
    };
    match policy.evaluate(signed, Some(&log.origin)) {
        Err(cause) => refuted(cause.to_string()),
        Ok(result) => {
            let names: Vec<String> =
                result.witnesses.iter().map(|(name, time)| format!("{name} at {time}")).collect();
            let detail = format!(
                "{} cosigned size {}: {}",
                names.len(),
                signed.checkpoint().size,
                names.join(", ")
            );
            if result.satisfied {
                Ok(((), detail))
            } else {
                undecided(format!("{detail}; the policy asks for more"))
            }
        }
    }
}

/// A file, or nothing if it is not there.
fn read(path: &Path, limit: u64) -> Checked<Option<Vec<u8>>> {
    let shown = path.display();
    match fs::metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return undecided(format!("cannot read {shown}: {e}")),
        Ok(meta) if meta.len() > limit => {
            return refuted(format!("{shown} is larger than {limit} bytes"));
        }
        Ok(_) => {}
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) => undecided(format!("cannot read {shown}: {e}")),
    }
}
