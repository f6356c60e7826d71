//! Power cuts and damaged files: what was acknowledged stays, or the node says what is damaged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::world::{SUBSTANCES, World, files, numbered, until};

/// Acknowledged records after which the power is cut.
const ENOUGH: usize = 40;
/// Programs that publish at once.
const PUBLISHERS: usize = 4;

#[test]
fn whatever_was_acknowledged_survives_a_power_cut_while_publishing() {
    let mut world = World::started();
    let acknowledged: Mutex<BTreeSet<String>> = Mutex::default();
    let cut = AtomicBool::new(false);
    let node = world.node("ID");
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (acknowledged, cut) = (&acknowledged, &cut);
            scope.spawn(move || {
                for number in 0.. {
                    let record = numbered(&format!("K-{publisher}-{number}"));
                    let body = json!({"community": SUBSTANCES, "record": record});
                    let answer = node.post(body.to_string().as_bytes(), None);
                    if answer.status == 201 {
                        let id = answer.json()["id"].as_str().unwrap().to_owned();
                        acknowledged.lock().unwrap().insert(id);
                    } else {
                        assert!(cut.load(Ordering::SeqCst), "{answer:?}");
                        return;
                    }
                }
            });
        }
        until("acknowledged records", || {
            let count = acknowledged.lock().unwrap().len();
            if count >= ENOUGH { Ok(()) } else { Err(count.to_string()) }
        });
        cut.store(true, Ordering::SeqCst);
        node.cut_power();
    });
    world.node_mut("ID").kill();
    world.node_mut("ID").start();

    let acknowledged = acknowledged.into_inner().unwrap();
    let node = world.node("ID");
    let mut indexes = BTreeSet::new();
    for id in &acknowledged {
        let answer = node.get(&format!("/v1/records/{id}"));
        let record = answer.with(200);
        assert!(indexes.insert(record["index"].as_u64().unwrap()), "{record}");
    }
    let size = node.size();
    assert!(indexes.last() < Some(&size));
    let next = node.publish(SUBSTANCES, &numbered("K-after"));
    assert_eq!(next["index"].as_u64().unwrap().max(size), next["index"]);
    let id = next["id"].as_str().unwrap();
    world.delivered("ID", id, "SG");
    world.delivered("ID", id, "AU");
    world.meet();
    for id in &acknowledged {
        assert_eq!(world.node("SG").record(id)["status"], "held");
    }
    world.audited("ID");
}

/// A node with a few records of its own and of a peer, which is stopped.
fn stopped() -> (World, Value) {
    let mut world = World::new();
    for member in ["ID", "SG"] {
        world.node_mut(member).start();
    }
    world.meet();
    for reference in ["X-1", "X-2", "X-3"] {
        world.node("ID").publish(SUBSTANCES, &numbered(reference));
    }
    let foreign = world.node("SG").publish(SUBSTANCES, &numbered("X-4"));
    world.node("ID").record(foreign["id"].as_str().unwrap());
    world.delivered("SG", foreign["id"].as_str().unwrap(), "ID");
    world.meet();
    let before = world.node("ID").records();
    assert_eq!(before.as_array().unwrap().len(), 4);
    world.node_mut("SG").stop();
    world.node_mut("ID").stop();
    (world, before)
}

fn last_segment(world: &World) -> PathBuf {
    let mut segments = files(&world.node("ID").data().join("journal"));
    segments.retain(|file| file.extension().is_some_and(|extension| extension == "seg"));
    segments.pop().unwrap()
}

/// Where the written bytes of a segment end: behind them are zeros, kept ready.
fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
}

fn spoil(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    fs::write(file, vec![0xa5; usize::try_from(length).unwrap().min(1 << 20)]).unwrap();
}

#[test]
fn an_index_that_is_deleted_or_damaged_is_rebuilt_with_the_same_answers() {
    let (mut world, before) = stopped();
    let index = world.node("ID").data().join("index");
    fs::remove_dir_all(&index).unwrap();
    world.node_mut("ID").start();
    assert_eq!(world.node("ID").records(), before);
    world.node_mut("ID").stop();

    for file in files(&index) {
        spoil(&file);
    }
    world.node_mut("ID").start();
    assert_eq!(world.node("ID").records(), before);
    let next = world.node("ID").publish(SUBSTANCES, &numbered("X-5"));
    world.node_mut("SG").start();
    world.delivered("ID", next["id"].as_str().unwrap(), "SG");
}

#[test]
fn cutting_the_last_bytes_of_the_journal_loses_nothing_acknowledged() {
    let (mut world, before) = stopped();
    let segment = last_segment(&world);
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..written(&bytes) - 1]).unwrap();
    world.node_mut("ID").start();
    assert_eq!(world.node("ID").records(), before);
    world.node("ID").publish(SUBSTANCES, &numbered("X-6"));
}

#[test]
fn damage_to_an_acknowledged_frame_stops_the_start_and_changes_nothing() {
    let (world, _) = stopped();
    let segment = last_segment(&world);
    let mut bytes = fs::read(&segment).unwrap();
    let middle = written(&bytes) / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let (code, said) = world.node("ID").refuses_to_start();
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("journal") && said.contains("hint"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}
