//! A log that grows by the same number of entries at each tick, whatever there is to publish.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{
    Node, SEIZURES, SUBSTANCES, World, example, files, numbered, run, said, text, until,
};

/// Entries of a tick.
const ENTRIES: u64 = 3;

/// Members that have met, of which ID has a tick.
fn with_a_tick() -> World {
    let mut world = World::new();
    let config = world.node("ID").config();
    let settings = fs::read_to_string(&config).unwrap();
    let tick = format!("[traffic]\ntick = \"2s\"\nentries = {ENTRIES}\n\n[log]");
    fs::write(&config, settings.replacen("[log]", &tick, 1)).unwrap();
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    until("first entries of all", || {
        let sizes = ["ID", "SG", "AU"].map(|member| world.node(member).size());
        if sizes.iter().all(|size| *size > 0) { Ok(()) } else { Err(format!("{sizes:?}")) }
    });
    world
}

/// Waits until the log of ID has grown by some ticks and AU has cosigned all of it; every size seen
/// on the way is one of whole ticks.
fn ticks(world: &World, count: u64) -> u64 {
    let node = world.node("ID");
    let wanted = node.size() + count * ENTRIES;
    until("growth that AU has cosigned", || {
        let size = node.size();
        assert_eq!(size % ENTRIES, 0, "the log grows by whole ticks");
        let peer = node.peer("AU");
        let cosigned = peer["cosigned_ours"].as_u64().unwrap();
        assert_eq!(cosigned % ENTRIES, 0, "{peer}");
        if cosigned >= wanted { Ok(size) } else { Err(format!("{peer}, size {size}")) }
    })
}

fn is_in(wanted: &[u8], dir: &Path) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    files(dir).iter().any(|file| holds(&fs::read(file).unwrap()))
}

/// The kind of a dummy as a manifest holds it: the texts "kind" and "dummy" in CBOR.
const DUMMY: &[u8] = b"\x64kind\x65dummy";

fn held(node: &Node) -> u64 {
    node.metric("sealwire_entries_held")
}

#[test]
fn a_log_with_a_tick_grows_evenly_and_shows_an_observer_nothing_of_what_is_published() {
    let world = with_a_tick();
    ticks(&world, 2);
    let (at_au, of_sg) = (held(world.node("AU")), world.node("SG").size());
    ticks(&world, 2);
    let dummies = world.node("ID").metric("sealwire_dummy_entries_total");
    assert!(dummies >= ENTRIES, "{dummies}");
    let traffic = world.node("ID").get("/v1/status").good()["traffic"].clone();
    assert_eq!((&traffic["tick_seconds"], &traffic["entries"]), (&json!(2), &json!(ENTRIES)));
    assert!(traffic["dummies"].as_u64().unwrap() >= dummies, "{traffic}");
    let without = world.node("SG").get("/v1/status").good();
    assert!(without.get("traffic").is_none(), "{without}");

    let output = world.node("ID").publish_by_command(
        &example("case-01-salerno.json"),
        &["--community", SEIZURES, "--to", "SG"],
    );
    assert!(output.status.success(), "{}", said(&output));
    let published: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = published["id"].as_str().unwrap();
    assert_eq!(published["size"].as_u64().unwrap() % ENTRIES, 0, "{published}");
    assert_eq!(world.node("SG").record(id)["status"], "held");
    world.delivered("ID", id, "SG");
    let index = published["index"].as_u64().unwrap();
    ticks(&world, 2);

    // AU has cosigned past the record and past dummies, and holds of both the same: nothing.
    assert!(world.node("ID").peer("AU")["cosigned_ours"].as_u64().unwrap() > index);
    assert_eq!(world.node("AU").peer("ID")["gaps"], 0);
    assert_eq!(held(world.node("AU")), at_au, "nothing of the log of ID but what it had");
    assert_eq!(world.node("AU").get(&format!("/v1/records/{id}")).status, 404);
    assert!(is_in(DUMMY, &world.node("ID").data()), "the owner keeps its dummies");
    for member in ["SG", "AU"] {
        assert!(!is_in(DUMMY, &world.node(member).data()), "{member} has a dummy");
    }
    assert_eq!(world.node("SG").size(), of_sg, "without a tick a log grows with what it logs");

    world.audited("ID");
    let (data, trust) = (world.node("ID").data(), world.trust("ID"));
    until("count of the dummies by the auditor", || {
        let report = run(&["audit", "verify", text(&data), "--trust", text(&trust)]);
        let told = said(&report);
        if told.contains(" of them dummies, which say nothing") { Ok(()) } else { Err(told) }
    });
}

#[test]
fn records_that_come_at_once_wait_for_their_ticks_and_all_arrive() {
    let world = with_a_tick();
    ticks(&world, 1);
    let ids: Vec<Value> = std::thread::scope(|scope| {
        let publish = |n: u64| {
            let node = world.node("ID");
            let record = numbered(&format!("AT-ONCE-{n}"));
            scope.spawn(move || node.publish(SUBSTANCES, &record)["id"].clone())
        };
        let all: Vec<_> = (0..2 * ENTRIES).map(publish).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for id in &ids {
        assert_eq!(world.node("SG").record(id.as_str().unwrap())["status"], "held");
    }
    ticks(&world, 1);

    // That somebody reads is kept before the answer, and is no entry: nobody waits for a tick.
    let body = json!({"community": SUBSTANCES, "record": numbered("READ"),
                      "audiences": {"operational": ["ID"]}});
    let theirs = world.node("SG").post(body.to_string().as_bytes(), None).with(201)["id"].clone();
    let node = world.node("ID");
    until("a read between two ticks", || {
        let before = node.size();
        let view = node.record(theirs.as_str().unwrap());
        let opened = view["opened"].as_array().unwrap().contains(&json!("operational"));
        let after = node.size();
        if opened && before == after { Ok(()) } else { Err(format!("{before} {after} {view}")) }
    });
}
