//! Checks of the directories that the configuration names.

use std::fs;
use std::path::{Path, PathBuf};

use sealwire_wire::bundle::Outcome;
use sealwire_wire::checkpoint::SignedCheckpoint;
use sealwire_wire::note::{MAX_NOTE_BYTES, Note};
use sealwire_wire::register::{Member, Status};
use zeroize::Zeroizing;

use super::{Adopted, Found, Level, Patient, found, ok};
use crate::backup;
use crate::keys::{Windows, check_private};
use crate::node::REGISTER_GRACE_SECS;
use crate::store::format::{DATA, Format, KEYS};
use crate::store::{RESERVE_BYTES, free_bytes};

/// Room on the disk below which an operator should make more, in bytes.
const LITTLE_ROOM: u64 = 1024 * 1024 * 1024;
/// How long before its expiry the next register should be signed, in seconds.
const EXPIRES_SOON: i64 = 30 * 24 * 3600;
/// How far another member's clock may be ahead of ours, in seconds.
const CLOCKS_APART: u64 = 300;
/// Keys that every member has.
const NEEDED: [&str; 5] = ["node.key", "log.key", "cosign.key", "sign.key", "data.key"];
/// Largest outcome file read, in bytes.
const MAX_OUTCOMES: u64 = 64 * 1024 * 1024;

pub(super) fn data_format(patient: &Patient) -> Vec<Found> {
    marker(&DATA, &patient.config.data_dir)
}

pub(super) fn keys_format(patient: &Patient) -> Vec<Found> {
    marker(&KEYS, &patient.config.keys_dir)
}

/// Reads a marker without migrating anything.
fn marker(format: &Format, dir: &Path) -> Vec<Found> {
    let expected = format!("{} {}", format.name, format.version);
    let shown = dir.display();
    match fs::read_to_string(dir.join("format")) {
        Ok(found) if found.trim_end() == expected => ok(format!("{shown} is {expected}")),
        Ok(other) => {
            let other: String = other.trim_end().chars().take(80).collect();
            let text =
                format!("{shown} says that it is {other:?}, this program writes {expected:?}");
            vec![found(
                Level::Problem,
                text,
                "run the version that wrote it; an older one is migrated at the start",
            )]
        }
        Err(cause) => {
            let hint = "mount its disk, restore a backup, or make one with `sealwire init`";
            vec![found(Level::Problem, format!("{shown} has no marker: {cause}"), hint)]
        }
    }
}

pub(super) fn keys(patient: &Patient) -> Vec<Found> {
    let dir = &patient.config.keys_dir;
    let mut findings = Vec::new();
    let paths = listed(dir);
    for path in [dir].into_iter().chain(&paths) {
        if let Err(cause) = check_private(path) {
            findings.push(found(Level::Problem, cause.to_string(), ""));
        }
    }
    for name in NEEDED.iter().filter(|name| {
        let elsewhere = dir.join(name).with_extension("token");
        !dir.join(name).exists() && !elsewhere.exists()
    }) {
        let hint = "restore the keys from the copy off this machine";
        findings.push(found(Level::Problem, format!("{name} is missing"), hint));
    }
    if findings.is_empty() {
        ok(format!("{} files that nobody else can read", paths.len()))
    } else {
        findings
    }
}

pub(super) fn seal_epoch(patient: &Patient) -> Vec<Found> {
    let epochs = listed(&patient.config.keys_dir).into_iter().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("seal-") && name.ends_with(".key")
    });
    let ends: Vec<Option<u64>> = epochs.map(|path| until(&path)).collect();
    let hint = "see the log of the node: it makes the next epoch before the end, and announces it";
    let lead = Windows::of(&patient.config.keys).lead();
    match ends.iter().flatten().max() {
        _ if ends.is_empty() => {
            vec![found(Level::Problem, "there is no seal key", "restore the keys")]
        }
        None => vec![found(
            Level::Unknown,
            "the seal keys are under a passphrase: `sealwire keys list` says when they end",
            "",
        )],
        Some(end) if *end <= patient.now => {
            vec![found(Level::Problem, "the last seal epoch has ended", hint)]
        }
        Some(end) if *end <= patient.now + lead => {
            vec![found(
                Level::Warning,
                "the last seal epoch is about to end, and there is no next one",
                hint,
            )]
        }
        Some(end) => {
            ok(format!("the last epoch lasts for {} days", (end - patient.now) / (24 * 3600)))
        }
    }
}

/// When the epoch of a seal key file ends; nothing if it does not say so in clear.
fn until(path: &Path) -> Option<u64> {
    let text = Zeroizing::new(fs::read_to_string(path).ok()?);
    text.lines().find_map(|line| line.strip_prefix("until = ")?.parse().ok())
}

pub(super) fn register(patient: &Patient) -> Vec<Found> {
    let register = match &patient.register {
        Ok(register) => register,
        Err(cause) => {
            let hint =
                "put the signed register that the governors published at the configured path";
            return vec![found(Level::Problem, cause.clone(), hint)];
        }
    };
    let (id, version) = (&patient.config.member, register.version);
    let mut findings = match own(patient, register).map(|member| member.status) {
        Some(Status::Active) => ok(format!("version {version}, in which {id} is active")),
        Some(status) => vec![found(
            Level::Problem,
            format!("{id} is {status} in version {version}: nothing goes from or to it"),
            "ask a governor",
        )],
        None => vec![found(
            Level::Problem,
            format!("version {version} has no member {id}"),
            "send member.json to a governor",
        )],
    };
    if let Some(waiting) = register.waiting {
        let hint = "restart the node: it adopts what is there";
        findings.push(found(
            Level::Warning,
            format!("version {waiting} waits to be adopted"),
            hint,
        ));
    }
    findings
}

pub(super) fn register_expiry(patient: &Patient) -> Vec<Found> {
    let Ok(register) = &patient.register else {
        return vec![found(Level::Unknown, "no register", "")];
    };
    let now = i64::try_from(patient.now).unwrap_or(i64::MAX);
    let left = register.summary.expires_unix.saturating_sub(now);
    let days = left.abs() / (24 * 3600);
    let hint = "the governors sign the next version; put it at the configured path and restart";
    if left <= -REGISTER_GRACE_SECS {
        let text = format!("it expired {days} days ago: nothing can be published");
        vec![found(Level::Problem, text, hint)]
    } else if left <= 0 {
        let text = format!("it expired {days} days ago and serves for 30 days from then");
        vec![found(Level::Problem, text, hint)]
    } else if left <= EXPIRES_SOON {
        vec![found(Level::Warning, format!("it expires in {days} days"), hint)]
    } else {
        ok(format!("it serves for {days} more days"))
    }
}

pub(super) fn cosign_pq(patient: &Patient) -> Vec<Found> {
    let Ok(register) = &patient.register else {
        return vec![found(Level::Unknown, "no register", "")];
    };
    let dir = &patient.config.keys_dir;
    let ours = fs::read_to_string(dir.join("cosign-pq.pub")).ok();
    let listed = own(patient, register).and_then(Member::cosign_pq_key);
    match (ours, listed) {
        (Some(ours), Some(listed)) if ours.trim_end() == hex::encode(listed.public.as_slice()) => {
            ok("the register lists our ML-DSA-44 cosign key")
        }
        (_, Some(_)) => vec![found(
            Level::Warning,
            "the register lists another ML-DSA-44 cosign key than ours: we cosign with Ed25519 alone",
            "restore the key, or have the register changed",
        )],
        (_, None) => ok("the register lists no ML-DSA-44 cosign key of ours; one is optional"),
    }
}

/// The clock against the times in others' cosignatures: those are signed.
pub(super) fn clock(patient: &Patient) -> Vec<Found> {
    let mut latest: Option<(u64, String)> = None;
    for dir in listed(&patient.config.data_dir.join("logs")) {
        let Some(note) = small(&dir.join("checkpoint")) else { continue };
        let Ok(note) = Note::parse(&note) else { continue };
        for line in note.signatures().iter().filter(|line| line.bytes().len() == 8 + 64) {
            let time = line.bytes().first_chunk::<8>().map(|time| u64::from_be_bytes(*time));
            if let Some(time) = time
                && latest.as_ref().is_none_or(|(known, _)| time > *known)
            {
                latest = Some((time, line.name().to_owned()));
            }
        }
    }
    match latest {
        None => vec![found(Level::Unknown, "no cosignature to compare the clock with", "")],
        Some((time, name)) if time > patient.now + CLOCKS_APART => vec![found(
            Level::Problem,
            format!("{name} cosigned {} seconds in the future of this clock", time - patient.now),
            "let the clock be kept by NTP; if ours is right, tell that member",
        )],
        Some(_) => ok("no cosignature is from the future"),
    }
}

pub(super) fn disk(patient: &Patient) -> Vec<Found> {
    let hint = "make room on the disk of the data directory";
    match free_bytes(&patient.config.data_dir) {
        None => vec![found(Level::Unknown, "the system does not tell what is free", "")],
        Some(free) if free < RESERVE_BYTES => {
            vec![found(
                Level::Problem,
                format!("{free} bytes are free: nothing is published"),
                hint,
            )]
        }
        Some(free) if free < LITTLE_ROOM => {
            vec![found(Level::Warning, format!("{} MiB are free", free >> 20), hint)]
        }
        Some(free) => ok(format!("{} GiB are free", free >> 30)),
    }
}

pub(super) fn journal(patient: &Patient) -> Vec<Found> {
    let dir = patient.config.data_dir.join("journal");
    let mut names: Vec<u64> = listed(&dir)
        .iter()
        .filter_map(|path| path.file_name()?.to_str()?.strip_suffix(".seg")?.parse().ok())
        .collect();
    names.sort_unstable();
    let Some((first, last)) = names.first().zip(names.last()) else {
        if !dir.is_dir() {
            let hint = "restore a backup; the other directories cannot replace it";
            return vec![found(Level::Problem, "it is missing", hint)];
        }
        return ok("it is empty");
    };
    if last - first + 1 != names.len() as u64 {
        let hint = "restore a backup; nothing else can replace a segment";
        return vec![found(Level::Problem, "segments are missing between others", hint)];
    }
    ok(format!("{} segments; a backup reads every frame of them", names.len()))
}

/// The own checkpoint is signed by the log's key, and what the running node says is not less.
pub(super) fn head(patient: &Patient) -> Vec<Found> {
    let own_id = &patient.config.member;
    let path = patient.config.data_dir.join(format!("logs/{own_id}/checkpoint"));
    let (Ok(register), Some(note)) = (&patient.register, small(&path)) else {
        return vec![found(Level::Unknown, "no checkpoint of our log is there", "")];
    };
    let keys = own(patient, register).map(|m| m.keys.as_slice()).unwrap_or_default();
    let origin = format!("{}/{own_id}", register.federation);
    let signed = keys.iter().find_map(|k| SignedCheckpoint::verify(&note, &origin, &k.public).ok());
    let Some(signed) = signed else {
        let text = format!("{} is not signed by a key of ours", path.display());
        return vec![found(Level::Problem, text, "delete logs/; the next start writes it again")];
    };
    let size = signed.checkpoint().size;
    let says = patient.status.as_ref().ok().and_then(|status| status.get("size")?.as_u64());
    if says.is_some_and(|says| says < size) {
        let text = format!("the node has fewer entries than the {size} that its files show");
        return vec![found(Level::Problem, text, "is this the data directory of that node?")];
    }
    ok(format!("{size} entries, signed by our log key"))
}

pub(super) fn restored(patient: &Patient) -> Vec<Found> {
    if !backup::is_restored(&patient.config.data_dir) {
        return ok("the head was compared with peers, or never restored");
    }
    vec![found(
        Level::Warning,
        "restored from a backup, and peers have not confirmed the head yet: nothing is signed",
        "start the node and wait for peers; see the operations manual, Backup and restore",
    )]
}

pub(super) fn forks(patient: &Patient) -> Vec<Found> {
    let evidence = listed(&patient.config.data_dir.join("evidence"));
    let logs = evidence.iter().filter_map(|path| path.file_stem()?.to_str());
    let findings: Vec<Found> = logs
        .map(|log| {
            let whose = if log == patient.config.member.as_str() {
                "another history was signed with the key of our own log".to_owned()
            } else {
                format!("{log} signed two histories of its log")
            };
            let hint = format!(
                "`sealwire-audit evidence evidence/{log}.json` proves it; tell the governors"
            );
            found(Level::Problem, whose, hint)
        })
        .collect();
    if findings.is_empty() { ok("no evidence of any") } else { findings }
}

pub(super) fn quarantine(patient: &Patient) -> Vec<Found> {
    let mut findings = Vec::new();
    for dir in listed(&patient.config.data_dir.join("logs")) {
        let log = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let file = dir.join("outcomes");
        let Ok(length) = fs::metadata(&file).map(|meta| meta.len()) else { continue };
        if length > MAX_OUTCOMES {
            let text = format!("{} is too large to be looked through", file.display());
            findings.push(found(Level::Unknown, text, ""));
            continue;
        }
        let bytes = fs::read(&file).unwrap_or_default();
        let (mut rest, mut here, mut there) = (bytes.as_slice(), 0, 0);
        while let Ok(outcome) = Outcome::next(&mut rest) {
            match outcome {
                Outcome::Quarantined { .. } => here += 1,
                Outcome::Refused { .. } => there += 1,
                _ => {}
            }
        }
        if here > 0 {
            let text = format!("{here} entries of {log} are in quarantine");
            findings.push(found(
                Level::Warning,
                text,
                "GET /v1/records shows them with the reason; its issuer was told",
            ));
        }
        if there > 0 {
            let text = format!("{there} times a member put an entry of ours into quarantine");
            findings.push(found(
                Level::Warning,
                text,
                "`sealwire show --delivery ID` gives the reason; publish a corrected record",
            ));
        }
    }
    if findings.is_empty() { ok("no entry, here or of ours elsewhere") } else { findings }
}

fn own<'a>(patient: &Patient, register: &'a Adopted) -> Option<&'a Member> {
    register.summary.members.iter().find(|member| member.id == patient.config.member)
}

/// What is in a directory; nothing if it is not there.
fn listed(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A file of at most a note's length.
fn small(path: &Path) -> Option<Vec<u8>> {
    let length = fs::metadata(path).ok()?.len();
    fs::read(path).ok().filter(|_| length <= MAX_NOTE_BYTES as u64)
}
