//! The steps of an audit, in order. A step that fails so that the next would have nothing to
//! stand on ends the audit.
//!
//! 1. trust file (read by the caller); 2. register; 3. checkpoint; 4. tree; 5. earlier checkpoint;
//! 6. entries; 7. parts; 8. cosignatures; 9. standard; 10. outcomes; 11. other logs;
//! 12. opened fields, if there are some.

use std::path::Path;

use sealwire_wire::bundle::Manifest;
use sealwire_wire::checkpoint::{Checkpoint, SignedCheckpoint, verify_cosignature_of};
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle::{Frontier, empty_root, leaf_hash, node_hash};
use sealwire_wire::note::{PublicKey, VerifierKey};
use sealwire_wire::policy::Policy;
use sealwire_wire::register::{Draft, KeyUse, MAX_REGISTER_BYTES, Register};
use sealwire_wire::statement::leaf_data;
use sealwire_wire::tile::{TileId, decode_bundle};

use crate::Options;
use crate::entries::{Scope, entries};
use crate::openings::openings;
use crate::others;
use crate::report::{Report, Verdict};
use crate::source::Source;
use crate::spread::spread;
use crate::trust::Trust;

/// Entries in a statement file and a full tile.
pub(crate) const WIDTH: u64 = 256;
/// Largest file read whole, in bytes: 256 entries with parts of the largest size would be more,
/// so a statement file is bounded by what its entries may hold.
pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;

/// Why a step did not succeed.
pub(crate) struct Failure(pub Verdict, pub String);

pub(crate) type Checked<T> = Result<T, Failure>;

pub(crate) fn refuted<T>(detail: impl Into<String>) -> Checked<T> {
    Err(Failure(Verdict::Refuted, detail.into()))
}

pub(crate) fn undecided<T>(detail: impl Into<String>) -> Checked<T> {
    Err(Failure(Verdict::Undecided, detail.into()))
}

/// Takes all steps that can be taken.
pub fn run(path: &Path, trust: &Trust, options: Options) -> Report {
    let mut report = Report::new(options);
    let detail = format!("log of {}, register {}", trust.log, trust.register);
    report.add(1, "trust file", Verdict::Verified, detail);
    let Some((source, manifest)) = unless_failed(&mut report, 2, "bundle", opened(path)) else {
        return report;
    };
    let versions = register(&source, "register/", trust);
    let Some(register) = take(&mut report, 2, "register", versions) else { return report };
    let origin = format!("{}/{}", register.federation(), trust.log);
    report.origin = Some(origin.clone());
    let log = Log::new(&source, &trust.log, origin);
    let Some(signed) = take(&mut report, 3, "checkpoint", checkpoint(&log, &register)) else {
        return report;
    };
    let head = signed.checkpoint().clone();
    report.size = head.size;
    let described = manifest.as_ref().map_or(Ok(()), |manifest| describes(manifest, &log, &head));
    if unless_failed(&mut report, 3, "manifest", described).is_none() {
        return report;
    }
    let threads = options.threads();
    let leaves = tree(&log, &head, threads);
    let Some(leaves) = take(&mut report, 4, "tree", leaves) else { return report };
    take(&mut report, 5, "earlier checkpoint", earlier(&log, &register, trust, &leaves));
    let scope = Scope::of(manifest.as_ref(), &trust.log, options);
    let counts = entries(&log, &register, &leaves, scope, threads);
    let counts = take(&mut report, 6, "entries", counts);
    if let Some(counts) = &counts {
        take(&mut report, 7, "parts", counts.parts());
    }
    take(&mut report, 8, "cosignatures", cosignatures(&log.origin, &register, trust, &signed));
    if let Some(counts) = counts.filter(|_| options.standard) {
        take(&mut report, 9, "standard", counts.standard());
    }
    take(&mut report, 10, "outcomes", others::outcomes(&log));
    take(&mut report, 11, "other logs", others::logs(&source, &register, manifest.as_ref(), trust));
    openings(&mut report, &source, manifest.as_ref(), &log, &register, &head);
    report
}

pub(crate) fn take<T>(
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

/// As [`take`], for what is said only if it fails.
pub(crate) fn unless_failed<T>(
    report: &mut Report,
    number: u8,
    name: &'static str,
    outcome: Checked<T>,
) -> Option<T> {
    outcome.map_err(|Failure(verdict, detail)| report.add(number, name, verdict, detail)).ok()
}

/// The source, and its manifest if it is a bundle.
pub(crate) fn opened(path: &Path) -> Checked<(Source, Option<Manifest>)> {
    let source = Source::open(path)?;
    let manifest = source.manifest()?;
    Ok((source, manifest))
}

/// Whether a bundle's manifest says of the log what the register and the checkpoint say.
fn describes(manifest: &Manifest, log: &Log<'_>, head: &Checkpoint) -> Checked<()> {
    let size = if manifest.member == *log.member {
        Some(&manifest.size)
    } else {
        manifest.mirrors.get(log.member)
    };
    if log.origin != format!("{}/{}", manifest.federation, log.member) || size != Some(&head.size) {
        return refuted("bundle.json describes another log, or one of another size");
    }
    Ok(())
}

/// Where the files of one log are.
pub(crate) struct Log<'a> {
    source: &'a Source,
    dir: String,
    pub origin: String,
    pub member: &'a MemberId,
}

impl<'a> Log<'a> {
    /// The log of a member.
    pub fn new(source: &'a Source, member: &'a MemberId, origin: String) -> Self {
        Self { source, dir: format!("logs/{member}/"), origin, member }
    }

    /// One of its files, or nothing if it is not there.
    pub fn read(&self, name: &str) -> Checked<Option<Vec<u8>>> {
        self.read_up_to(name, MAX_FILE_BYTES)
    }

    /// As [`Log::read`], into room that is there; says whether the file is.
    pub fn read_into(&self, name: &str, bytes: &mut Vec<u8>) -> Checked<bool> {
        self.source.read_into(&format!("{}{name}", self.dir), MAX_FILE_BYTES, bytes)
    }

    /// As [`Log::read`], up to a length of its own.
    pub fn read_up_to(&self, name: &str, limit: u64) -> Checked<Option<Vec<u8>>> {
        self.source.read(&format!("{}{name}", self.dir), limit)
    }
}

/// Step 2: the register's versions form one chain, and the auditor's digest is one of them. A
/// member that joined later keeps the chain from the version with which it began.
pub(crate) fn register(
    source: &Source,
    directory: &str,
    trust: &Trust,
) -> Checked<(Register, String)> {
    let (mut versions, detail) = chain(source, directory, trust)?;
    versions.pop().map_or_else(|| undecided("no register version is there"), |v| Ok((v, detail)))
}

/// As [`register`], with every version, at least one.
pub(crate) fn chain(
    source: &Source,
    directory: &str,
    trust: &Trust,
) -> Checked<(Vec<Register>, String)> {
    let mut versions: Vec<Register> = Vec::new();
    let mut known = false;
    let first = first_version(source, directory)?;
    for version in first.. {
        let name = format!("{directory}{version}.root.json");
        let Some(bytes) = source.read(&name, MAX_REGISTER_BYTES as u64)? else { break };
        let next = match versions.last() {
            None if version == 1 => Register::trust_first(&bytes, None),
            // Nothing but the auditor's digest, here or further on, vouches for a later start.
            None => Draft::from_bytes(&bytes)
                .and_then(|draft| Register::trust_first(&bytes, Some(&draft.digest()))),
            Some(previous) => previous.update(&bytes),
        };
        match next {
            Ok(next) => {
                known |= next.digest() == trust.register;
                versions.push(next);
            }
            Err(cause) => return refuted(format!("version {version}: {cause}")),
        }
    }
    match versions.last() {
        None => undecided("no register version is there"),
        Some(_) if !known => refuted(format!(
            "no version has the digest {} that the auditor brought: another federation, or a register regenerated",
            trust.register
        )),
        Some(register) => {
            let detail = format!("versions {first} to {}, one chain", register.version());
            Ok((versions, detail))
        }
    }
}

/// The lowest version in the directory; 1 if there is none.
fn first_version(source: &Source, directory: &str) -> Checked<u64> {
    let names = source.list(directory.trim_end_matches('/'))?;
    let versions = names.iter().filter_map(|name| name.strip_suffix(".root.json")?.parse().ok());
    Ok(versions.min().unwrap_or(1))
}

/// Step 3: the checkpoint is signed by the log's key.
pub(crate) fn checkpoint(
    log: &Log<'_>,
    register: &Register,
) -> Checked<(SignedCheckpoint, String)> {
    let Some(note) = log.read("checkpoint")? else {
        return undecided(format!("no checkpoint of {} is there", log.origin));
    };
    signed_by_log(&note, &log.origin, log.member, register)
}

/// The checkpoint in a note, if a log key of the member signed it.
pub(crate) fn signed_by_log(
    note: &[u8],
    origin: &str,
    member: &MemberId,
    register: &Register,
) -> Checked<(SignedCheckpoint, String)> {
    let Some(member) = register.member(member) else {
        return refuted(format!("{member} is not in the register"));
    };
    let mut last = "the register lists no log key".to_owned();
    for key in member.keys.iter().filter(|k| k.use_ == KeyUse::Log) {
        match SignedCheckpoint::verify(note, origin, &key.public) {
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
pub(crate) fn tree(
    log: &Log<'_>,
    head: &Checkpoint,
    threads: usize,
) -> Checked<(Vec<Digest>, String)> {
    let tiles = 0..head.size.div_ceil(WIDTH);
    let tiles = spread(threads, tiles, |_: &mut (), index| leaf_tile(log, head.size, index))?;
    let mut leaves = Vec::with_capacity(tiles.iter().map(|(digests, _)| digests.len()).sum());
    let mut subtrees = Vec::with_capacity(tiles.len());
    for (digests, subtree) in tiles {
        leaves.extend(digests);
        subtrees.push(subtree);
    }
    // All but the last are of one size, and the last is no larger.
    let (size, root) = match subtrees.split_last() {
        None => (0, empty_root()),
        Some((last, full)) => {
            let mut frontier = Frontier::new();
            full.iter().for_each(|subtree| frontier.push(subtree.root()));
            let peaks = frontier.peaks().iter().rev();
            let root = peaks.fold(last.root(), |right, left| node_hash(left, &right));
            (frontier.size() * WIDTH + last.size(), root)
        }
    };
    if size != head.size || root != head.root {
        return refuted("the entries do not make the tree that the checkpoint signs");
    }
    let detail = format!("{} entries make the signed root", head.size);
    Ok((leaves, detail))
}

/// The digests in an entry bundle, and the tree that they make.
fn leaf_tile(log: &Log<'_>, size: u64, index: u64) -> Checked<(Vec<Digest>, Frontier)> {
    let width = WIDTH.min(size - index * WIDTH) as u16;
    let (tile, bundle) = bundle(log, index, width)?;
    let hashes = match tile.hashes(&read_tile(log, tile, TileId::path)?) {
        Ok(hashes) => hashes,
        Err(cause) => return refuted(format!("{}: {cause}", tile.path())),
    };
    let (mut digests, mut frontier) = (Vec::with_capacity(bundle.len()), Frontier::new());
    for (entry, hash) in bundle.iter().zip(&hashes) {
        if leaf_hash(entry) != *hash {
            return refuted(format!("{}: a hash differs from its entry's", tile.path()));
        }
        frontier.push(*hash);
        let [_, digest @ ..] = entry;
        digests.push(Digest(*digest));
    }
    Ok((digests, frontier))
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
    if let Some(bytes) = log.read(&path(&tile))? {
        return Ok(bytes);
    }
    let full = tile.full().filter(|_| !tile.is_full());
    if let Some(full) = full
        && let Some(mut bytes) = log.read(&path(&full))?
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

/// Step 8: as many others as the auditor asks for cosigned the checkpoint; the log's owner never
/// counts for its own log.
pub(crate) fn cosignatures(
    origin: &str,
    register: &Register,
    trust: &Trust,
    signed: &SignedCheckpoint,
) -> Checked<((), String)> {
    let policy = match (&trust.policy, trust.witnesses) {
        (Some(text), _) => Policy::parse(text.as_bytes()),
        (None, quorum) => {
            let mut witnesses = Vec::new();
            for member in register.members().filter(|m| m.id != trust.log) {
                for key in member.keys.iter().filter(|k| k.use_ == KeyUse::Cosign) {
                    let name = format!("{}/{}", register.federation(), member.id);
                    let public = PublicKey::Cosignature(key.public);
                    witnesses.push(VerifierKey { name, public });
                }
            }
            Policy::k_of(&[], &witnesses, quorum.unwrap_or(0))
        }
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(cause) => return undecided(format!("the witness policy cannot be used: {cause}")),
    };
    match policy.evaluate(signed, Some(origin)) {
        Err(cause) => refuted(cause.to_string()),
        Ok(result) => {
            let listed = |found: &[(String, u64)]| {
                let found = found.iter().map(|(name, time)| format!("{name} at {time}"));
                found.collect::<Vec<_>>().join(", ")
            };
            let mut detail = format!(
                "{} cosigned size {}: {}",
                result.witnesses.len(),
                signed.checkpoint().size,
                listed(&result.witnesses)
            );
            let pq = pq_cosignatures(origin, register, signed)?;
            if !pq.is_empty() {
                detail.push_str(&format!("; {} with ML-DSA-44: {}", pq.len(), listed(&pq)));
            }
            if result.satisfied && pq.len() >= trust.witnesses_pq.unwrap_or(0) {
                Ok(((), detail))
            } else {
                undecided(format!("{detail}; the policy asks for more"))
            }
        }
    }
}

/// The members whose ML-DSA-44 cosignature a checkpoint has, each once with its earliest time, under
/// the keys that the register lists. One that does not hold refutes the checkpoint, as any other.
fn pq_cosignatures(
    origin: &str,
    register: &Register,
    signed: &SignedCheckpoint,
) -> Checked<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for member in register.members() {
        let name = format!("{}/{}", register.federation(), member.id);
        let mut times = Vec::new();
        for key in member.cosign_pq.iter().filter(|_| name != origin) {
            let public = PublicKey::MlDsaCosignature(key.public.clone());
            let key = VerifierKey { name: name.clone(), public };
            let id = key.key_id();
            for line in signed.signatures().filter(|s| s.name() == name && s.key_id() == id) {
                match verify_cosignature_of(signed.checkpoint(), &key, line) {
                    Ok(time) => times.push(time),
                    Err(cause) => return refuted(cause.to_string()),
                }
            }
        }
        found.extend(times.into_iter().min().map(|time| (name, time)));
    }
    Ok(found)
}
