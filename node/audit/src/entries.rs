//! Steps 6, 7 and 9: each entry's statement, its parts, and what the opened ones say.

use std::collections::{BTreeSet, HashMap};

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
use crate::spread::spread;
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
#[derive(Clone, Copy, Default)]
struct ReadLogs {
    entries: u64,
    /// Those whose reads are not here, so that nothing can be said of their counts.
    closed: u64,
    reads: u64,
}

/// What step 6 counted, and what steps 7 and 9 found, in the order of the entries.
#[derive(Default)]
pub(crate) struct Counts {
    scope: Scope,
    erased: BTreeSet<RecordId>,
    absent: Vec<(u64, RecordId)>,
    entries: u64,
    void: u64,
    records: u64,
    dummies: u64,
    opened: u64,
    sealed: u64,
    missing: u64,
    read_logs: ReadLogs,
    part_failure: Option<String>,
    standard_failure: Option<String>,
}

impl Counts {
    /// Step 7: parts are of the stated lengths, and opened ones match their commitments; opened
    /// reads are those that their entry commits to and counts.
    pub fn parts(&self) -> Checked<((), String)> {
        if let Some(failure) = &self.part_failure {
            return refuted(failure);
        }
        let unexplained = |(_, record): &&(u64, RecordId)| !self.erased.contains(record);
        if let Some((index, _)) = self.absent.iter().find(unexplained) {
            return refuted(format!(
                "entry {index}: parts are missing, and no erasure in the log says why"
            ));
        }
        let Self { records, opened, sealed, missing, .. } = self;
        let missing = match (self.scope.stripped, self.absent.len()) {
            (true, _) => format!("{missing} left out of the bundle"),
            (false, 0) => format!("{missing} not kept here"),
            (false, erased) => format!("{missing} missing of {erased} records, erased by the log"),
        };
        let mut detail = format!(
            "{records} records: {opened} parts opened and matched to their commitments, {sealed} \
             sealed parts of the stated length, {missing}"
        );
        let ReadLogs { entries, closed, reads } = self.read_logs;
        if entries > 0 {
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
        if let Some(failure) = &self.standard_failure {
            return refuted(failure);
        }
        let records = self.records;
        Ok(((), format!("{records} records: what is opened is valid, as far as it can be checked")))
    }

    /// Takes in what was counted of the entries that follow.
    fn add(&mut self, next: Self) {
        self.erased.extend(next.erased);
        self.absent.extend(next.absent);
        self.entries += next.entries;
        self.void += next.void;
        self.dummies += next.dummies;
        self.records += next.records;
        self.opened += next.opened;
        self.sealed += next.sealed;
        self.missing += next.missing;
        self.read_logs.entries += next.read_logs.entries;
        self.read_logs.closed += next.read_logs.closed;
        self.read_logs.reads += next.read_logs.reads;
        self.part_failure = self.part_failure.take().or(next.part_failure);
        self.standard_failure = self.standard_failure.take().or(next.standard_failure);
    }

    fn fail(&mut self, detail: String) {
        self.part_failure.get_or_insert(detail);
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
/// key that the register lists for that index; each signature is checked strictly and by itself.
pub(crate) fn entries(
    log: &Log<'_>,
    register: &Register,
    leaves: &[Digest],
    scope: Scope,
    threads: usize,
) -> Checked<(Counts, String)> {
    let size = leaves.len() as u64;
    let scope = Scope { to: scope.to.min(size), ..scope };
    let signers = Signers::of(register.member(log.member));
    let check = Check { log, register, signers, leaves, scope };
    let files = scope.from / WIDTH..scope.to.div_ceil(WIDTH);
    let mut counts = Counts { scope, ..Counts::default() };
    for file in spread(threads, files, |bytes, file| check.statement_file(file, bytes))? {
        counts.add(file);
    }
    let mut detail = format!("{} statements signed by keys valid at their index", counts.entries);
    if counts.dummies > 0 {
        detail += &format!("; {} of them dummies, which say nothing", counts.dummies);
    }
    if counts.void > 0 {
        detail += &format!("; {} void: their key was ended before them", counts.void);
    }
    if counts.entries + counts.void < size {
        let Scope { from, to, .. } = scope;
        detail += &format!("; the bundle holds entries {from} to {to} of {size}");
    }
    Ok((counts, detail))
}

/// What the entries of one log are checked against.
struct Check<'a> {
    log: &'a Log<'a>,
    register: &'a Register,
    signers: Signers<'a>,
    leaves: &'a [Digest],
    scope: Scope,
}

impl Check<'_> {
    fn statement_file(&self, file: u64, bytes: &mut Vec<u8>) -> Checked<Counts> {
        if !self.log.read_into(&format!("statement/{}", index_path(file)), bytes)? {
            return undecided(format!("statement file {file} is missing"));
        }
        let mut rest = bytes.as_slice();
        let (start, end) = (file * WIDTH, (file + 1) * WIDTH);
        let (first, past) = (self.scope.from.max(start), self.scope.to.min(end));
        let mut seen = [false; WIDTH as usize];
        let mut next = first;
        let mut counts = Counts { scope: self.scope, ..Counts::default() };
        while !rest.is_empty() {
            let element = Element::next(&mut rest).map_err(|cause| {
                Failure(Verdict::Refuted, format!("statement file {file}: {cause}"))
            })?;
            let due = std::mem::replace(&mut next, element.index.saturating_add(1));
            if self.scope.bundled && (element.index != due || element.index >= past) {
                let index = element.index;
                return refuted(format!(
                    "statement file {file}: entry {index} is out of its place"
                ));
            }
            // The log of a directory may have grown since the checkpoint was written.
            if !self.scope.bundled && element.index >= self.leaves.len() as u64 {
                continue;
            }
            let slot = element.index.checked_sub(start).and_then(|i| usize::try_from(i).ok());
            let (Some(seen), Some(leaf)) = (
                slot.and_then(|i| seen.get_mut(i)),
                usize::try_from(element.index).ok().and_then(|i| self.leaves.get(i)),
            ) else {
                return refuted(format!("statement file {file} holds entry {}", element.index));
            };
            if std::mem::replace(seen, true) {
                return refuted(format!("entry {}: its statement is there twice", element.index));
            }
            let (statement, standing) = self.entry(&element, leaf)?;
            if standing == Standing::Void {
                counts.void += 1;
                continue;
            }
            counts.entries += 1;
            parts(&element, &statement, &mut counts);
        }
        let mut missing = (start..end).zip(seen).filter(|(_, seen)| !seen).map(|(index, _)| index);
        match missing.find(|index| (first..past).contains(index)) {
            None => Ok(counts),
            Some(index) => refuted(format!("the statement of entry {index} is missing")),
        }
    }

    fn entry(
        &self,
        element: &Element<'_>,
        leaf: &Digest,
    ) -> Checked<(AuthenticStatement, Standing)> {
        let index = element.index;
        if Digest::of(element.statement) != *leaf {
            return refuted(format!("entry {index}: the statement is not the one in the tree"));
        }
        signed(self.log.member, self.register, &self.signers, element.statement, index)
    }
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

fn parts(element: &Element<'_>, statement: &AuthenticStatement, counts: &mut Counts) {
    let index = element.index;
    let record = match &statement.manifest().body {
        Body::Record(record) => record,
        Body::Reads(manifest) => return read_log(element, statement, manifest, counts),
        Body::Dummy => {
            counts.dummies += 1;
            return;
        }
        Body::Audience(_) | Body::Key(_) | Body::Register(_) | Body::Matches(_) => return,
    };
    counts.records += 1;
    let subject = statement.claims().subject;
    if let Some(Relation { verb: RelationVerb::Erases, record, .. }) = &record.relation
        && counts.scope.owned
    {
        counts.erased.insert(*record);
    }
    let mut disclosed = Parts::new();
    let mut absent = false;
    for (class, stated) in &record.parts {
        match element.sealed.get(class.as_str()) {
            None => {
                counts.missing += 1;
                absent = counts.scope.owned;
            }
            Some(sealed) if sealed_padded_len(sealed).ok() == Some(stated.length) => {
                counts.sealed += 1;
            }
            Some(_) => {
                counts.fail(format!("entry {index}: part {class} is not of the stated length"))
            }
        }
        let Some(plaintext) = element.opened.get(class.as_str()) else {
            continue;
        };
        if commitment_of_bytes(&subject, class, plaintext).ok() != Some(stated.commitment) {
            counts.fail(format!("entry {index}: part {class} does not match its commitment"));
            continue;
        }
        counts.opened += 1;
        if counts.scope.standard {
            match (Part::from_bytes(plaintext), class.parse::<FieldClass>()) {
                (Ok(part), Ok(known)) => {
                    disclosed.insert(known, fields(&part));
                }
                _ => {
                    counts.standard_failure.get_or_insert_with(|| {
                        format!("entry {index}: part {class} is not made of disclosures of a class")
                    });
                }
            }
        }
    }
    counts.absent.extend(absent.then_some((index, subject)));
    if let Some(class) = element.opened.keys().find(|class| !record.parts.contains_key(**class)) {
        counts.fail(format!("entry {index}: part {class} is not in its statement"));
    }
    if !disclosed.is_empty() && Standard::v1().check_parts(&record.kind, &disclosed).refused() {
        counts.standard_failure.get_or_insert_with(|| {
            format!("entry {index}: the opened parts are not valid against the standard")
        });
    }
}

/// An entry of the read log: its reads, if they are here, are those that it counts.
fn read_log(
    element: &Element<'_>,
    statement: &AuthenticStatement,
    manifest: &ReadsManifest,
    counts: &mut Counts,
) {
    let index = element.index;
    counts.read_logs.entries += 1;
    let Some(bytes) = element.opened.get(reads::CLASS) else {
        counts.read_logs.closed += 1;
        if counts.scope.owned {
            counts.fail(format!("entry {index}: the reads that it counts are missing"));
        }
        return;
    };
    match reads::open(bytes, &statement.claims().subject, manifest) {
        Ok(opened) => counts.read_logs.reads += opened.len() as u64,
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
