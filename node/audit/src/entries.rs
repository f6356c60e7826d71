//! Steps 6, 7 and 9: each entry's statement, its parts, and what the opened ones say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sealwire_schemas::{Disclosure, FieldClass, Parts, Standard};
use sealwire_wire::bundle::{Element, Manifest};
use sealwire_wire::cbor;
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::part::{Part, commitment_of_bytes};
use sealwire_wire::reads;
use sealwire_wire::register::{KeyUse, Member, Register};
use sealwire_wire::seal::sealed_padded_len;
use sealwire_wire::statement::{
    AuthenticStatement, Body, ReadsManifest, Relation, RelationVerb, SignVerifier, Statement,
};
use sealwire_wire::tile::index_path;

use crate::Options;
use crate::report::Verdict;
use crate::steps::{Checked, Failure, Log, WIDTH, refuted, undecided};

/// What there is to check.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope {
    /// Index of the first entry whose statement must be there.
    pub from: u64,
    /// Past the last one.
    pub to: u64,
    /// Whether parts were left out on purpose.
    stripped: bool,
    /// Whether whoever wrote this holds every part, unless it was erased.
    owned: bool,
    /// Whether statement files are those of a bundle: exactly the entries in order.
    bundled: bool,
    /// Whether opened records are checked against the standard.
    standard: bool,
}

impl Scope {
    /// What is to be checked of the log of `member`.
    pub fn of(manifest: Option<&Manifest>, member: &MemberId, options: Options) -> Self {
        let all = Self { to: u64::MAX, standard: options.standard, ..Self::default() };
        let Some(manifest) = manifest else { return all };
        if manifest.member != *member {
            // Statements of others' logs are not exported.
            return Self { to: 0, stripped: true, ..all };
        }
        let (from, to, owned) = (manifest.from, manifest.to, manifest.parts);
        Self { from, to, owned, stripped: !manifest.parts, bundled: true, ..all }
    }
}

/// Counts of entries of the read log.
#[derive(Default)]
struct ReadLogs {
    entries: AtomicU64,
    /// Those whose reads are not here, so that nothing can be said of their counts.
    closed: AtomicU64,
    reads: AtomicU64,
}

/// Counts of step 6, and what steps 7 and 9 found.
#[derive(Default)]
pub(crate) struct Counts {
    scope: Scope,
    erased: Mutex<BTreeSet<RecordId>>,
    absent: Mutex<BTreeMap<u64, RecordId>>,
    entries: AtomicU64,
    void: AtomicU64,
    records: AtomicU64,
    opened: AtomicU64,
    sealed: AtomicU64,
    missing: AtomicU64,
    read_logs: ReadLogs,
    part_failure: Mutex<Option<String>>,
    standard_failure: Mutex<Option<String>>,
}

impl Counts {
    /// Step 7: parts are of the stated lengths, and opened ones match their commitments; opened
    /// reads are those that their entry commits to and counts.
    pub fn parts(&self) -> Checked<((), String)> {
        failed(&self.part_failure)?;
        let (Ok(erased), Ok(absent)) = (self.erased.lock(), self.absent.lock()) else {
            return undecided("a checking thread panicked");
        };
        if let Some((index, _)) = absent.iter().find(|(_, record)| !erased.contains(*record)) {
            return refuted(format!(
                "entry {index}: parts are missing, and no erasure in the log says why"
            ));
        }
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let missing = read(&self.missing);
        let missing = match (self.scope.stripped, absent.len()) {
            (true, _) => format!("{missing} left out of the bundle"),
            (false, 0) => format!("{missing} not kept here"),
            (false, erased) => format!("{missing} missing of {erased} records, erased by the log"),
        };
        let mut detail = format!(
            "{} records: {} parts opened and matched to their commitments, {} sealed parts of the stated length, {missing}",
            read(&self.records),
            read(&self.opened),
            read(&self.sealed),
        );
        let ReadLogs { entries, closed, reads } = &self.read_logs;
        if read(entries) > 0 {
            let (entries, closed, reads) = (read(entries), read(closed), read(reads));
            let opened = entries.saturating_sub(closed);
            detail += &format!(
                "; {entries} entries of the read log: {opened} opened, their {reads} reads committed to and counted"
            );
            if closed > 0 {
                detail += &format!(", {closed} cannot be checked: their reads are not here");
            }
        }
        Ok(((), detail))
    }

    /// Step 9: the opened parts of each record are valid against the standard.
    pub fn standard(&self) -> Checked<((), String)> {
        failed(&self.standard_failure)?;
        let records = self.records.load(Ordering::Relaxed);
        Ok(((), format!("{records} records: what is opened is valid, as far as it can be checked")))
    }

    fn fail(&self, detail: String) {
        keep(&self.part_failure, detail);
    }
}

/// Keeps the first failure.
fn keep(failure: &Mutex<Option<String>>, detail: String) {
    if let Ok(mut failure) = failure.lock() {
        failure.get_or_insert(detail);
    }
}

fn failed(failure: &Mutex<Option<String>>) -> Checked<()> {
    match failure.lock().map(|f| f.clone()) {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => refuted(failure),
        Err(_) => undecided("a checking thread panicked"),
    }
}

/// What a statement is worth at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its key was valid there.
    Counts,
    /// Its key was ended before: whoever had the key can have made it.
    Void,
}

/// The sign keys of one member, made ready once.
struct Signers<'a> {
    member: Option<&'a Member>,
    ready: HashMap<Digest, SignVerifier>,
}

impl<'a> Signers<'a> {
    fn of(member: Option<&'a Member>) -> Self {
        let keys = member.map(|m| m.keys.as_slice()).unwrap_or_default().iter();
        let keys = keys.filter(|key| key.use_ == KeyUse::Sign);
        let ready = keys
            .filter_map(|key| Some((key.thumbprint, SignVerifier::new(&key.public).ok()?)))
            .collect();
        Self { member, ready }
    }

    /// The key, if the register lets it sign the entry at `index`, or has ended it before: what it
    /// signed is then void.
    fn at(&self, thumbprint: &Digest, index: u64) -> Option<(&SignVerifier, Standing)> {
        let listed = self.member?.sign_key(thumbprint)?;
        let standing = match listed.until {
            _ if listed.covers(index) => Standing::Counts,
            Some(until) if until <= index => Standing::Void,
            _ => return None,
        };
        Some((self.ready.get(thumbprint)?, standing))
    }
}

/// Step 6: every leaf is the digest of a statement that is there, signed by its issuer under a
/// key that the register lists for that index. Files are checked by as many threads as there are
/// cores; each signature strictly and by itself.
pub(crate) fn entries(
    log: &Log<'_>,
    register: &Register,
    leaves: &[Digest],
    scope: Scope,
) -> Checked<(Counts, String)> {
    let size = leaves.len() as u64;
    let scope = Scope { to: scope.to.min(size), ..scope };
    let files = scope.to.div_ceil(WIDTH);
    let next = AtomicU64::new(scope.from / WIDTH);
    let counts = Counts { scope, ..Counts::default() };
    let signers = Signers::of(register.member(log.member));
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
                    if let Err(failure) =
                        statement_file(log, register, &signers, leaves, file, &counts)
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
            let mut detail = format!("{entries} statements signed by keys valid at their index");
            let void = counts.void.load(Ordering::Relaxed);
            if void > 0 {
                detail += &format!("; {void} void: their key was ended before them");
            }
            if entries + void < size {
                let Scope { from, to, .. } = scope;
                detail += &format!("; the bundle holds entries {from} to {to} of {size}");
            }
            Ok((counts, detail))
        }
    }
}

fn statement_file(
    log: &Log<'_>,
    register: &Register,
    signers: &Signers<'_>,
    leaves: &[Digest],
    file: u64,
    counts: &Counts,
) -> Checked<()> {
    let Some(bytes) = log.read(&format!("statement/{}", index_path(file)))? else {
        return undecided(format!("statement file {file} is missing"));
    };
    let mut rest = bytes.as_slice();
    let (start, end) = (file * WIDTH, (file + 1) * WIDTH);
    let (first, past) = (counts.scope.from.max(start), counts.scope.to.min(end));
    let mut seen = [false; WIDTH as usize];
    let mut next = first;
    while !rest.is_empty() {
        let element = Element::next(&mut rest).map_err(|cause| {
            Failure(Verdict::Refuted, format!("statement file {file}: {cause}"))
        })?;
        if counts.scope.bundled
            && element.index != std::mem::replace(&mut next, element.index.saturating_add(1))
        {
            let index = element.index;
            return refuted(format!("statement file {file}: entry {index} is out of its place"));
        }
        // The log may have grown since the checkpoint was written.
        if element.index >= leaves.len() as u64 {
            continue;
        }
        let slot = element.index.checked_sub(start).and_then(|i| usize::try_from(i).ok());
        let (Some(seen), Some(leaf)) = (
            slot.and_then(|i| seen.get_mut(i)),
            usize::try_from(element.index).ok().and_then(|i| leaves.get(i)),
        ) else {
            return refuted(format!("statement file {file} holds entry {}", element.index));
        };
        if std::mem::replace(seen, true) {
            return refuted(format!("entry {}: its statement is there twice", element.index));
        }
        let (statement, standing) = entry(log, register, signers, &element, leaf)?;
        if standing == Standing::Void {
            counts.void.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        counts.entries.fetch_add(1, Ordering::Relaxed);
        parts(&element, &statement, counts);
    }
    let mut missing = (start..end).zip(seen).filter(|(_, seen)| !seen).map(|(index, _)| index);
    match missing.find(|index| (first..past).contains(index)) {
        None => Ok(()),
        Some(index) => refuted(format!("the statement of entry {index} is missing")),
    }
}

fn entry(
    log: &Log<'_>,
    register: &Register,
    signers: &Signers<'_>,
    element: &Element,
    leaf: &Digest,
) -> Checked<(AuthenticStatement, Standing)> {
    let index = element.index;
    if Digest::of(&element.statement) != *leaf {
        return refuted(format!("entry {index}: the statement is not the one in the tree"));
    }
    signed(log.member, register, signers, &element.statement, index)
}

/// A statement that `member` signed for its log, under a key that the register lists for `index`.
pub(crate) fn statement(
    member: &MemberId,
    register: &Register,
    bytes: &[u8],
    index: u64,
) -> Checked<AuthenticStatement> {
    match signed(member, register, &Signers::of(register.member(member)), bytes, index)? {
        (statement, Standing::Counts) => Ok(statement),
        (_, Standing::Void) => refuted(format!("entry {index}: its key was ended before it")),
    }
}

fn signed(
    member: &MemberId,
    register: &Register,
    signers: &Signers<'_>,
    bytes: &[u8],
    index: u64,
) -> Checked<(AuthenticStatement, Standing)> {
    let at = |cause: String| Failure(Verdict::Refuted, format!("entry {index}: {cause}"));
    let statement = Statement::parse(bytes).map_err(|e| at(e.to_string()))?;
    if statement.claims().issuer != *member
        || statement.manifest().federation != register.federation()
    {
        return refuted(format!("entry {index}: signed for another log"));
    }
    if statement.manifest().register > register.version() {
        return refuted(format!("entry {index}: made under a register version that is not here"));
    }
    let Some((key, standing)) = signers.at(&statement.key_id(), index) else {
        return refuted(format!(
            "entry {index}: its key {} is not valid at that index",
            statement.key_id()
        ));
    };
    Ok((statement.verify_by(key).map_err(|e| at(e.to_string()))?, standing))
}

fn parts(element: &Element, statement: &AuthenticStatement, counts: &Counts) {
    let index = element.index;
    let record = match &statement.manifest().body {
        Body::Record(record) => record,
        Body::Reads(manifest) => return read_log(element, statement, manifest, counts),
        _ => return,
    };
    counts.records.fetch_add(1, Ordering::Relaxed);
    let subject = statement.claims().subject;
    if let Some(Relation { verb: RelationVerb::Erases, record, .. }) = &record.relation
        && counts.scope.owned
        && let Ok(mut erased) = counts.erased.lock()
    {
        erased.insert(*record);
    }
    let mut disclosed = Parts::new();
    for (class, stated) in &record.parts {
        match element.sealed.get(class) {
            None => {
                counts.missing.fetch_add(1, Ordering::Relaxed);
                if counts.scope.owned
                    && let Ok(mut absent) = counts.absent.lock()
                {
                    absent.insert(index, subject);
                }
            }
            Some(sealed) if sealed_padded_len(sealed).ok() == Some(stated.length) => {
                counts.sealed.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) => {
                counts.fail(format!("entry {index}: part {class} is not of the stated length"))
            }
        }
        let Some(plaintext) = element.opened.get(class) else {
            continue;
        };
        if commitment_of_bytes(&subject, class, plaintext).ok() != Some(stated.commitment) {
            counts.fail(format!("entry {index}: part {class} does not match its commitment"));
            continue;
        }
        counts.opened.fetch_add(1, Ordering::Relaxed);
        if counts.scope.standard {
            match (Part::from_bytes(plaintext), class.parse::<FieldClass>()) {
                (Ok(part), Ok(known)) => {
                    disclosed.insert(known, fields(&part));
                }
                _ => keep(
                    &counts.standard_failure,
                    format!("entry {index}: part {class} is not made of disclosures of a class"),
                ),
            }
        }
    }
    if let Some(class) = element.opened.keys().find(|class| !record.parts.contains_key(*class)) {
        counts.fail(format!("entry {index}: part {class} is not in its statement"));
    }
    if !disclosed.is_empty() && Standard::v1().check_parts(&record.kind, &disclosed).refused() {
        let detail = "the opened parts are not valid against the standard";
        keep(&counts.standard_failure, format!("entry {index}: {detail}"));
    }
}

/// An entry of the read log: its reads, if they are here, are those that it counts.
fn read_log(
    element: &Element,
    statement: &AuthenticStatement,
    manifest: &ReadsManifest,
    counts: &Counts,
) {
    let index = element.index;
    let logs = &counts.read_logs;
    logs.entries.fetch_add(1, Ordering::Relaxed);
    let Some(bytes) = element.opened.get(reads::CLASS) else {
        logs.closed.fetch_add(1, Ordering::Relaxed);
        if counts.scope.owned {
            counts.fail(format!("entry {index}: the reads that it counts are missing"));
        }
        return;
    };
    match reads::open(bytes, &statement.claims().subject, manifest) {
        Ok(opened) => {
            logs.reads.fetch_add(opened.len() as u64, Ordering::Relaxed);
        }
        Err(cause) => counts.fail(format!("entry {index}: {cause}")),
    }
}

fn fields(part: &Part) -> Vec<Disclosure> {
    let fields = part.disclosures().iter();
    fields
        .filter_map(|d| {
            Some(Disclosure { pointer: d.pointer.clone(), value: cbor::to_json(&d.value)? })
        })
        .collect()
}
