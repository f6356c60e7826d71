//! The main job from outside: real processes, real sockets, the commands and the HTTP interface.
//!
//! Needs the built programs; see `world`. Knows nothing of the code behind them.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test: a panic is its failure"
)]

mod world;
mod stories {
    mod adversity;
    mod amendments;
    mod bundles;
    mod crash;
    mod custody;
    mod doctor;
    mod endings;
    mod forgetting;
    mod held_back;
    mod import;
    mod judges;
    mod kept;
    mod keys;
    mod matching;
    mod mirror;
    mod onward;
    mod openings;
    mod reads;
    mod refusals;
    mod register;
    mod register_life;
    mod screen;
    mod token;
    mod traffic;
}

use serde_json::{Value, json};
use world::{SEIZURES, SUBSTANCES, World, done, example, lab_alert, numbered, said, text, until};

fn holds(list: &Value, item: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|entry| entry == item))
}

#[test]
fn a_record_published_by_command_reaches_each_member_with_what_is_meant_for_it() {
    let world = World::started();
    let file = world.dir().join("alert.json");
    std::fs::write(&file, lab_alert().to_string()).unwrap();
    let config = world.node("ID").config();
    let published = done(
        &[
            &["publish", text(&file), "--config", text(&config), "--community", SUBSTANCES][..],
            &["--to", "SG", "--class", "operational"],
        ]
        .concat(),
    );
    let id = published["id"].as_str().unwrap();
    assert_eq!(published["classes"]["operational"], json!(["SG"]));
    assert_eq!(published["classes"]["core"], json!(["AU", "SG"]));
    assert_eq!(published["classes"]["nominal"], json!([]));

    let at_sg = world.node("SG").record(id);
    assert!(holds(&at_sg["opened"], "operational"), "{at_sg}");
    assert_eq!(at_sg["record"]["consignment"], lab_alert()["consignment"], "{at_sg}");
    assert_eq!(at_sg["status"], "held");
    let at_au = world.node("AU").record(id);
    assert!(holds(&at_au["opened"], "core") && !holds(&at_au["opened"], "operational"), "{at_au}");
    for class in ["operational", "nominal", "text"] {
        assert!(holds(&at_au["withheld"], class), "{class}: {at_au}");
    }
    assert!(!at_au["not_checkable"].as_array().unwrap().is_empty(), "{at_au}");
    assert!(!at_au["record"].to_string().contains("FICTIONAL ADDRESSEE"));

    let sg = world.delivered("ID", id, "SG");
    let au = world.delivered("ID", id, "AU");
    assert!(holds(&sg["classes"], "operational") && !holds(&au["classes"], "operational"));
    until("witnessed delivery", || {
        let delivery = world.node("ID").get(&format!("/v1/records/{id}/delivery")).good();
        if delivery["witnessed"] == true { Ok(()) } else { Err(delivery.to_string()) }
    });
    world.audited("ID");
}

#[test]
fn a_request_with_the_same_idempotency_key_takes_effect_once() {
    let mut world = World::new();
    world.node_mut("ID").start();
    let node = world.node("ID");
    let body = json!({"community": SUBSTANCES, "record": numbered("A-1")}).to_string();
    let first = node.post(body.as_bytes(), Some("key-1")).with(201);
    let size = node.size();
    assert_eq!(first["size"], size, "whoever was answered finds it in the status");
    let again = node.post(body.as_bytes(), Some("key-1")).with(200);
    assert_eq!((&again["id"], &again["index"]), (&first["id"], &first["index"]));
    assert_eq!(again["repeated"], true);
    let other = json!({"community": SUBSTANCES, "record": numbered("A-2")}).to_string();
    assert_eq!(
        node.post(other.as_bytes(), Some("key-1")).with(422)["code"],
        "idempotency-key-reused"
    );
    assert_eq!(node.size(), size);

    world.node_mut("ID").stop();
    world.node_mut("ID").start();
    let node = world.node("ID");
    assert_eq!(node.post(body.as_bytes(), Some("key-1")).with(200)["id"], first["id"]);
    assert_eq!(node.size(), size);
}

#[test]
fn a_stream_resumes_after_the_event_that_came_last() {
    let world = World::started();
    let mut stream = world.node("SG").stream("0");
    let ids: Vec<Value> = ["S-1", "S-2", "S-3"]
        .iter()
        .map(|reference| world.node("ID").publish(SUBSTANCES, &numbered(reference))["id"].clone())
        .collect();
    let events: Vec<_> = ids.iter().map(|_| stream.next()).collect();
    assert!(events.iter().all(|event| event.name == "record"));
    let streamed: Vec<Value> = events.iter().map(|event| event.data["id"].clone()).collect();
    assert_eq!(streamed, ids);
    drop(stream);
    let mut resumed = world.node("SG").stream(&events[0].id);
    assert_eq!((resumed.next(), resumed.next()), (clone(&events[1]), clone(&events[2])));
    let fourth = world.node("AU").publish(SUBSTANCES, &numbered("S-4"));
    assert_eq!(resumed.next().data["id"], fourth["id"]);
}

fn clone(event: &world::Event) -> world::Event {
    world::Event { id: event.id.clone(), name: event.name.clone(), data: event.data.clone() }
}

#[test]
fn a_node_that_was_down_pulls_what_it_missed_also_from_another_member() {
    let mut world = World::started();
    world.node_mut("AU").stop();
    let missed = world.node("ID").publish(SUBSTANCES, &numbered("D-1"));
    let missed = missed["id"].as_str().unwrap();
    world.delivered("ID", missed, "SG");
    world.node_mut("AU").start();
    // The record may be there before the secret that opens it: it is pending until then.
    until("the missed record, opened", || {
        let view = world.node("AU").record(missed);
        if view["status"] == "held" { Ok(()) } else { Err(view.to_string()) }
    });
    world.delivered("ID", missed, "AU");

    world.node_mut("AU").stop();
    let body = json!({"community": SUBSTANCES, "record": numbered("D-2"),
                      "audiences": {"operational": ["SG", "AU"]}});
    let relayed = world.node("ID").post(body.to_string().as_bytes(), None).with(201);
    let relayed = relayed["id"].as_str().unwrap();
    world.delivered("ID", relayed, "SG");
    world.node_mut("ID").stop();
    world.node_mut("AU").start();
    let view = world.node("AU").record(relayed);
    assert_eq!((&view["log"], &view["status"]), (&json!("ID"), &json!("held")));
    assert!(holds(&view["opened"], "operational"), "{view}");
    assert_eq!(world.node("AU").peer("ID")["gaps"], 0);

    world.node_mut("ID").start();
    world.delivered("ID", relayed, "AU");
}

#[test]
fn a_record_for_one_member_is_told_from_a_gap_by_the_others() {
    let world = World::started();
    let output = world.node("ID").publish_by_command(
        &example("case-01-salerno.json"),
        &["--community", SEIZURES, "--to", "SG"],
    );
    assert!(output.status.success(), "{}", said(&output));
    let published: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = published["id"].as_str().unwrap();
    assert_eq!(published["classes"]["core"], json!(["SG"]));
    assert_eq!(world.node("SG").record(id)["status"], "held");

    let peer = world.mirrored("AU", "ID");
    assert_eq!(peer["gaps"], 0, "{peer}");
    assert_eq!(world.node("AU").get(&format!("/v1/records/{id}")).status, 404);
    assert_eq!(world.node("AU").records(), json!([]));
    let size = world.node("ID").size();
    until("cosignature of AU over all of the log", || {
        let peer = world.node("ID").peer("AU");
        if peer["cosigned_ours"] == size { Ok(()) } else { Err(format!("{peer}, size {size}")) }
    });
    let delivery = world.node("ID").get(&format!("/v1/records/{id}/delivery")).good();
    let members: Vec<&Value> =
        delivery["members"].as_array().unwrap().iter().map(|m| &m["member"]).collect();
    assert_eq!(members, ["SG"]);
    world.audited("ID");

    let whole = world.node("ID").publish(SUBSTANCES, &numbered("N-1"));
    world.delivered("ID", whole["id"].as_str().unwrap(), "AU");
}
