//! A node that is ended again and again while programs publish, and one whose disk refuses writes.
//!
//! The node ends by SIGKILL, which keeps what the system has in memory. With `SEALWIRE_DISK` set to
//! a program, as `conformance/soak.sh` does, the temporary directory is a file system that the
//! program can cut the power of: then what was not synced is lost too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::id::Digest;
use sealwire_wire::merkle::{Frontier, leaf_hash};
use sealwire_wire::tile::{TileId, decode_bundle};
use serde_json::{Value, json};

use crate::world::{Node, SUBSTANCES, World, numbered, program, said, text, until};

/// Times that the node is ended, if `SEALWIRE_KILLS` does not say.
const KILLS: u64 = 20;
/// Programs that publish at once.
const PUBLISHERS: usize = 4;
/// Most records acknowledged between two ends.
const MOST: u64 = 24;
/// Entries of a bundle.
const WIDTH: u64 = 256;

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(number) => number.parse().unwrap_or_else(|_| panic!("{variable} is not a number")),
        Err(_) => otherwise,
    }
}

/// The next number of a fixed sequence, below a bound.
fn drawn(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % bound
}

/// A federation whose founding is on the disk: the commands' files are not what is lost here.
fn founded() -> World {
    let world = World::new();
    assert!(Command::new("sync").status().unwrap().success());
    world
}

/// Whether a program governs the disk of the temporary directory.
fn governed() -> bool {
    std::env::var_os("SEALWIRE_DISK").is_some()
}

/// Has the program that governs the disk do something, if there is one.
fn disk(action: &str, dir: &Path) -> bool {
    let Some(program) = std::env::var_os("SEALWIRE_DISK") else { return false };
    let output = Command::new(program).arg(action).arg(dir).output().unwrap();
    assert!(output.status.success(), "{action}: {}", said(&output));
    true
}

/// Publishes until the node is ended at an instant that chance chooses; what was acknowledged.
fn published_until_the_end(node: &Node, round: u64, chance: &mut u64) -> Vec<String> {
    let (wanted, more) = (1 + drawn(chance, MOST), drawn(chance, 4_000));
    let ended = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    let mut acknowledged = Vec::new();
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (tell, ended) = (tell.clone(), &ended);
            scope.spawn(move || {
                for number in 0.. {
                    let record = numbered(&format!("E-{round}-{publisher}-{number}"));
                    let body = json!({"community": SUBSTANCES, "record": record});
                    let answer = node.post(body.to_string().as_bytes(), None);
                    if answer.status != 201 {
                        assert!(ended.load(Ordering::SeqCst), "{answer:?}");
                        return;
                    }
                    tell.send(answer.json()["id"].as_str().unwrap().to_owned()).unwrap();
                }
            });
        }
        drop(tell);
        acknowledged.extend(told.iter().take(usize::try_from(wanted).unwrap()));
        // And then somewhere within the next commits.
        let instant = Instant::now() + Duration::from_micros(more);
        while let Ok(id) = told.recv_timeout(instant.saturating_duration_since(Instant::now())) {
            acknowledged.push(id);
        }
        ended.store(true, Ordering::SeqCst);
        disk("lose", node.dir());
        node.cut_power();
        acknowledged.extend(told.iter());
    });
    acknowledged
}

/// The checkpoint in the log files, if it is whole.
fn checkpoint(data: &Path) -> Option<Checkpoint> {
    let note = fs::read_to_string(data.join("logs/ID/checkpoint")).ok()?;
    Checkpoint::parse(&format!("{}\n", note.split_once("\n\n")?.0)).ok()
}

/// The root after each entry, from the bundles in the log files.
fn roots(data: &Path, size: u64) -> Vec<Digest> {
    let mut frontier = Frontier::new();
    let mut roots = vec![frontier.root()];
    for index in 0..size.div_ceil(WIDTH) {
        let width = u16::try_from(WIDTH.min(size - index * WIDTH)).unwrap();
        let tile = TileId::new(0, index, width).unwrap();
        let path = data.join("logs/ID").join(tile.entries_path().unwrap());
        for entry in decode_bundle(&fs::read(path).unwrap(), width).unwrap() {
            frontier.push(leaf_hash(&entry));
            roots.push(frontier.root());
        }
    }
    roots
}

#[test]
fn whatever_was_acknowledged_is_there_however_often_the_node_is_ended_at_any_instant() {
    let mut world = founded();
    let seed = number("SEALWIRE_SEED", 20_261_123);
    let mut chance = seed;
    let (mut acknowledged, mut heads) = (BTreeSet::new(), Vec::new());
    world.node_mut("ID").start();
    for round in 0..number("SEALWIRE_KILLS", KILLS) {
        let node = world.node("ID");
        heads.extend(checkpoint(&node.data()));
        let more = published_until_the_end(node, round, &mut chance);
        world.node_mut("ID").kill();
        disk("again", world.dir());
        world.node_mut("ID").start();
        for id in &more {
            let answer = world.node("ID").get(&format!("/v1/records/{id}"));
            assert_eq!(answer.status, 200, "seed {seed}, round {round}: {id} is lost");
        }
        acknowledged.extend(more);
    }

    for member in ["SG", "AU"] {
        world.node_mut(member).start();
    }
    let last = world.node("ID").publish(SUBSTANCES, &numbered("E-last"));
    for member in ["SG", "AU"] {
        world.delivered("ID", last["id"].as_str().unwrap(), member);
    }
    world.meet();
    let node = world.node("ID");
    let mut indexes = BTreeSet::new();
    for id in &acknowledged {
        let record = node.get(&format!("/v1/records/{id}")).with(200);
        assert!(indexes.insert(record["index"].as_u64().unwrap()), "{record}");
    }
    world.audited("ID");
    let trust = world.trust("ID");
    world.node_mut("ID").stop();
    let data = world.node("ID").data();
    let head = checkpoint(&data).unwrap();
    assert!(indexes.last() < Some(&head.size) && acknowledged.len() >= heads.len());
    let roots = roots(&data, head.size);
    for head in heads.iter().chain([&head]) {
        assert_eq!(roots[usize::try_from(head.size).unwrap()], head.root, "size {}", head.size);
    }
    let audit = Command::new(program("sealwire-audit"))
        .args(["verify", text(&data), "--trust", text(&trust)])
        .output()
        .unwrap();
    assert!(audit.status.success(), "{}", said(&audit));
    println!("{} records acknowledged, log of {} entries", acknowledged.len(), head.size);
}

/// The disk refuses every write from now on: the file system turns read-only, or no file may be
/// longer than nothing.
fn refuse(node: &Node) {
    if !disk("readonly", node.dir()) {
        node.limit_files("0");
    }
}

/// All records without what may be given out only once the read is logged.
fn unrestricted(node: &Node) -> Value {
    node.get("/v1/records?limit=500&restricted=false").with(200)["records"].take()
}

/// The disk takes writes again.
fn take(world: &mut World) {
    if !governed() {
        world.node("ID").limit_files("unlimited");
        return;
    }
    // A file system that turned read-only has to be mounted anew, without whoever uses it.
    world.node_mut("ID").kill();
    disk("again", world.dir());
    world.node_mut("ID").start();
}

#[test]
fn a_disk_that_refuses_every_write_stops_publications_alone_and_needs_no_repair() {
    let mut world = founded();
    // The signal that comes with the limit is ignored, so that the write fails instead, also that
    // of the node's own log.
    let script = "trap '' XFSZ; exec \"$@\"";
    world.node_mut("ID").wrap(&["bash", "-c", script, "bash"]);
    world.node_mut("ID").start();
    let mut ids = Vec::new();
    for reference in ["W-1", "W-2", "W-3"] {
        let published = world.node("ID").publish(SUBSTANCES, &numbered(reference));
        ids.push(published["id"].as_str().unwrap().to_owned());
    }
    let node = world.node("ID");
    let (size, records) = (node.size(), unrestricted(node));
    refuse(node);
    let body = json!({"community": SUBSTANCES, "record": numbered("W-4")}).to_string();
    for _ in 0..3 {
        let refused = node.post(body.as_bytes(), Some("again"));
        if governed() {
            // Nothing can be taken back there: the journal waits for the next start.
            assert!(refused.status >= 500, "{refused:?}");
        } else {
            assert_eq!(refused.with(507)["code"], "disk-full");
        }
        assert_eq!((node.size(), &unrestricted(node)), (size, &records), "reads are served");
        for id in &ids {
            node.get(&format!("/v1/records/{id}")).with(200);
        }
    }
    take(&mut world);
    let node = world.node("ID");
    let again = until("a publication once the disk takes writes", || {
        let answer = node.post(body.as_bytes(), Some("again"));
        if answer.status == 201 { Ok(answer.json()) } else { Err(answer.text) }
    });
    ids.push(again["id"].as_str().unwrap().to_owned());
    for member in ["SG", "AU"] {
        world.node_mut(member).start();
    }
    for id in &ids {
        world.delivered("ID", id, "SG");
        world.delivered("ID", id, "AU");
    }
    world.meet();
    world.audited("ID");
}
