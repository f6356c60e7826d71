//! A log that the auditor's program accepts: a real register, real signatures, and a data
//! directory that is copied for each case and opened on a disk with faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ed25519_dalek::SigningKey;
use sealwire_wire::checkpoint::{Checkpoint, cosign, sign};
use sealwire_wire::id::Digest;
use sealwire_wire::merkle::{Frontier, leaf_hash};
use sealwire_wire::register::{Community, Draft, Introduction, Register};
use sealwire_wire::statement::leaf_data;

use super::super::testing::{self, World, id};
use super::super::{Discloser, Fact, Options, Reader, StoreFault, Writer, open_on};
use super::files;
use crate::journal::faulty::Faulty;

/// Entries of the directory that each case begins with: the next few complete a tile.
pub const BEFORE: u64 = 250;
/// Entries of the largest log that any case makes.
const MOST: u64 = 400;
/// Segments of the journal small enough to be rolled.
const SIZES: Options = Options { segment: 32 * 1024, ahead: 4096 };

fn key(name: &str) -> SigningKey {
    // The statements of the small world are signed with a key of ones.
    let seed = if name == "ID sign" { [1; 32] } else { Digest::of(name.as_bytes()).0 };
    SigningKey::from_bytes(&seed)
}

fn register() -> Register {
    let public = |name: &str| key(name).verifying_key().to_bytes();
    let mut draft = Draft::new("test.example", 1, 4_000_000_000).unwrap();
    draft.add_seat("governor", &public("governor")).unwrap();
    draft.set_schema("lab-alert", "urn:schema", Digest([7; 32]));
    draft.set_code_list("hs", "2022");
    for member in ["ID", "SG"] {
        let [node, log, cosign] =
            ["node", "log", "cosign"].map(|u| public(&format!("{member} {u}")));
        let introduction = Introduction::new(
            id(member),
            BTreeMap::from([("en".to_owned(), format!("Customs of {member}"))]),
            vec!["administration".to_owned()],
            vec!["/ip4/192.0.2.1/udp/4001/quic-v1".to_owned()],
            (&node, &log, &cosign),
            &key(&format!("{member} sign")),
        );
        draft.add_member(&introduction.unwrap()).unwrap();
    }
    let set = |items: &[&str]| items.iter().map(|i| (*i).to_owned()).collect::<BTreeSet<_>>();
    let community = Community {
        id: "labs".to_owned(),
        title: "New substances".to_owned(),
        agreement: "MoU 2026/1".to_owned(),
        members: BTreeSet::from([id("ID"), id("SG")]),
        kinds: set(&["lab-alert"]),
        classes: set(&["open", "core", "operational"]),
        tlp_ceiling: "AMBER".to_owned(),
        purposes: set(&["drug-control"]),
        retention_days: 365,
        class_retention_days: BTreeMap::new(),
        witnesses: 1,
        delivery: None,
        directions: BTreeMap::new(),
    };
    draft.add_community(&community).unwrap();
    draft.sign(&key("governor"), None).unwrap();
    draft.finish(None).unwrap()
}

fn head(size: u64) -> Checkpoint {
    static LEAVES: OnceLock<Vec<Digest>> = OnceLock::new();
    let leaves = LEAVES.get_or_init(|| {
        let digests = (0..MOST).map(|index| testing::leaf(&id("ID"), index));
        digests.map(|digest| leaf_hash(&leaf_data(&digest))).collect()
    });
    let mut frontier = Frontier::new();
    leaves.iter().take(size as usize).for_each(|leaf| frontier.push(*leaf));
    assert_eq!(frontier.size(), size, "a log that no test makes");
    Checkpoint { origin: "test.example/ID".to_owned(), size, root: frontier.root() }
}

/// A checkpoint of the other member, whose log has entries as those of the own one.
pub fn others(size: u64) -> Fact {
    let digests = (0..size).map(|index| testing::leaf(&id("SG"), index));
    let mut frontier = Frontier::new();
    digests.for_each(|digest| frontier.push(leaf_hash(&leaf_data(&digest))));
    let origin = "test.example/SG".to_owned();
    let head = Checkpoint { origin, size, root: frontier.root() };
    Fact::Checkpoint { log: id("SG"), note: sign(&head, &key("SG log")).to_string() }
}

/// Own entries from one index to another, with the checkpoint that covers them.
pub fn grow(from: u64, to: u64) -> Vec<Fact> {
    let entry = |index| match testing::entry(&id("ID"), index) {
        Fact::Entry { log, received_at, mut item } => {
            // Of a class that the statement does not name: no length is stated for it.
            item.sealed = BTreeMap::from([("operational".to_owned(), vec![index as u8; 600])]);
            Fact::Entry { log, received_at, item }
        }
        other => other,
    };
    let mut facts: Vec<Fact> = (from..to).map(entry).collect();
    let note = sign(&head(to), &key("ID log")).to_string();
    facts.push(Fact::Checkpoint { log: id("ID"), note });
    facts
}

/// A cosignature of the other member.
pub fn cosigned(size: u64, time: u64) -> Vec<Fact> {
    let line = cosign(&head(size), "test.example/SG", &key("SG cosign"), time).unwrap();
    let (log, by, line) = (id("ID"), id("SG"), line.to_string());
    vec![Fact::Cosignature { log, by, size, time, line }]
}

/// The root that a log of this size has to have.
pub fn root(size: u64) -> Digest {
    head(size).root
}

fn discloser() -> Discloser {
    Box::new(|_, _, _| BTreeMap::new())
}

/// What every case begins with, made once.
struct Template {
    dir: tempfile::TempDir,
    register: Digest,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        super::super::create(&data).unwrap();
        let register = register();
        let disk = Arc::new(crate::journal::System);
        let (mut writer, _) = open_on(disk, SIZES, &data, &id("ID"), discloser()).unwrap();
        let bytes = register.bytes().to_vec();
        writer.commit(&[Fact::Register { bytes }]).unwrap();
        writer.commit(&grow(0, BEFORE)).unwrap();
        writer.settle().unwrap();
        drop(writer);
        Template { dir, register: register.digest() }
    })
}

/// A directory in memory where the system has such: thousands of cases need not wait for a real
/// disk, whose losses are simulated.
fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = tempfile::tempdir_in(memory);
    dir.or_else(|_| tempfile::tempdir()).unwrap()
}

/// A copy of the template on a disk with faults.
pub struct Case {
    pub dir: tempfile::TempDir,
    pub disk: Faulty,
}

impl Case {
    pub fn new() -> Self {
        let dir = in_memory();
        for (name, bytes) in files(template().dir.path()) {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let disk = Faulty::over_but(&dir.path().join("data"), "index");
        Self { dir, disk }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn open(&self) -> Result<(Writer, Reader), StoreFault> {
        let disk = Arc::new(self.disk.clone());
        open_on(disk, SIZES, &self.data(), &id("ID"), discloser())
    }

    /// Every derived file after one more start, with its bytes.
    pub fn derived(&self) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let (writer, _) = self.open().map_err(|fault| fault.to_string())?;
        writer.settle().map_err(|fault| fault.to_string())?;
        let mut found = files(&self.data().join("logs"));
        found.extend(files(&self.data().join("register")));
        Ok(found)
    }

    /// What the auditor's program says of the directory as it is.
    pub fn audit(&self, witnesses: usize) -> Result<u64, String> {
        let trust = self.dir.path().join("trust.toml");
        let register = template().register;
        let text = format!("log = \"ID\"\nregister = \"{register}\"\nwitnesses = {witnesses}\n");
        fs::write(&trust, text).unwrap();
        let options = sealwire_audit::Options { standard: false, ..Default::default() };
        let report = sealwire_audit::verify(&self.data(), &trust, options);
        if report.exit_code() == 0 { Ok(report.size) } else { Err(report.to_string()) }
    }
}

/// The derived files of a directory, built anew from its journal alone.
pub fn built_anew(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let dir = in_memory();
    for (name, bytes) in files(data) {
        if name.starts_with("journal/") || name == "format" {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let disk = Arc::new(crate::journal::System);
    let (writer, _) = open_on(disk, SIZES, dir.path(), &id("ID"), discloser()).unwrap();
    writer.settle().unwrap();
    let mut found = files(&dir.path().join("logs"));
    found.extend(files(&dir.path().join("register")));
    found
}

#[test]
fn the_template_is_a_log_that_the_auditor_accepts() {
    let case = Case::new();
    assert_eq!(case.audit(0), Ok(BEFORE));
    assert!(case.audit(1).unwrap_err().contains("asks for more"));
    assert_eq!(case.derived().unwrap(), built_anew(&case.data()));
    drop(World::open(&case.data()));
}
