//! Signing is held back after a restore, and what is submitted meanwhile is kept.

use std::fs;

use serde_json::{Value, json};

use crate::world::{Node, SUBSTANCES, World, done, files, numbered, run, said, text, until};

/// A backup of ID, restored in another place; nobody runs.
fn restored(world: &mut World) -> Node {
    world.node_mut("ID").cover();
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    let id = world.node("ID").publish(SUBSTANCES, &numbered("H-1"))["id"].clone();
    for member in ["SG", "AU"] {
        world.delivered("ID", id.as_str().unwrap(), member);
    }
    let (backup, config) = (world.dir().join("backup"), world.node("ID").config());
    done(&["backup", "--config", text(&config), "--out", text(&backup), "--with-keys"]);
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).kill();
    }
    let home = world.dir().join("new-id");
    fs::create_dir(&home).unwrap();
    for file in ["sealwire.toml", "register.json", "operator.token"] {
        fs::copy(world.node("ID").dir().join(file), home.join(file)).unwrap();
    }
    let node = world.node("ID").at(home);
    let config = node.config();
    done(&["restore", text(&backup), "--config", text(&config), "--with-keys"]);
    node
}

fn drafts(node: &Node) -> Vec<Value> {
    node.get("/v1/drafts").with(200).as_array().unwrap().clone()
}

#[test]
fn what_is_submitted_after_a_restore_is_kept_until_peers_have_confirmed_the_head() {
    const CANARY: &str = "Qvxjz Canary-Draft";
    let mut world = World::new();
    let mut node = restored(&mut world);
    node.launch();
    node.ready(503);
    let size = node.size();
    let mut record = numbered("H-2");
    record["person"][0]["name"] = json!(CANARY);
    let body = json!({"community": SUBSTANCES, "record": record}).to_string();
    let queued = node.post(body.as_bytes(), Some("key-1")).with(202);
    let id = queued["id"].as_str().unwrap().to_owned();
    assert!(queued["reason"].as_str().unwrap().contains("restored from a backup"), "{queued}");
    // Refused at once, as if it were published now.
    let wrong = json!({"community": SUBSTANCES, "record": {"kind": "lab-alert"}}).to_string();
    node.post(wrong.as_bytes(), None).with(422);
    for file in files(&node.data()) {
        let bytes = fs::read(&file).unwrap();
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "in clear in {}", file.display());
    }

    // It is there after a power cut, once, however often it is sent.
    node.kill();
    node.launch();
    node.ready(503);
    let again = node.post(body.as_bytes(), Some("key-1")).with(202);
    assert_eq!(again["id"], id.as_str());
    let waiting = drafts(&node);
    assert_eq!((waiting.len(), &waiting[0]["id"]), (1, &json!(id)), "{waiting:?}");
    assert_eq!(node.get(&format!("/v1/records/{id}")).status, 404);
    let publish = ["--community", SUBSTANCES];
    let command = node.publish_by_command(&numbered("H-3"), &publish);
    assert!(command.status.success(), "{}", said(&command));
    let other: Value = serde_json::from_slice(&command.stdout).unwrap();
    let removed = node.send(
        "DELETE",
        &format!("/v1/drafts/{}", other["id"].as_str().unwrap()),
        &[("authorization", &node.bearer())],
        b"",
    );
    assert_eq!(removed.status, 204, "{removed:?}");
    assert_eq!(node.size(), size, "nothing was signed");

    world.node_mut("SG").start();
    assert_eq!(node.get("/readyz").status, 503, "one peer is not enough");
    world.node_mut("AU").start();
    node.ready(200);
    assert_eq!(world.node("AU").record(&id)["log"], "ID");
    until("no draft that waits", || {
        let waiting = drafts(&node);
        if waiting.is_empty() { Ok(()) } else { Err(format!("{waiting:?}")) }
    });
    assert_eq!(node.post(body.as_bytes(), Some("key-1")).with(200)["id"], id.as_str());
    assert_eq!(node.records().as_array().unwrap().len(), 2);
}

#[test]
fn an_operator_may_accept_a_restored_head_and_the_reason_is_kept() {
    let mut world = World::new();
    let mut node = restored(&mut world);
    node.start_with(&["--accept-head", "both peers are being moved"]);
    let published = node.publish(SUBSTANCES, &numbered("H-4"));
    let log = fs::read_to_string(node.dir().join("node.log")).unwrap();
    assert!(log.contains("both peers are being moved"), "{log}");
    let journal = files(&node.data().join("journal"));
    let kept = journal.iter().any(|file| {
        let bytes = fs::read(file).unwrap();
        bytes.windows(12).any(|window| window == b"both peers a")
    });
    assert!(kept, "the reason is not in the journal");
    for member in ["SG", "AU"] {
        world.node_mut(member).start();
    }
    assert_eq!(
        world.node("SG").record(published["id"].as_str().unwrap())["index"],
        published["index"]
    );
    node.stop();
    let config = node.config();
    let file = world.node("ID").dir().join("passphrase");
    let unlocked = ["--config", text(&config), "--passphrase-file", text(&file)];
    let refused = run(&[&["run", "--accept-head", "again"][..], &unlocked].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("no restored head is waiting"), "{}", said(&refused));
}

/// What a node says why it signs nothing.
fn reasons(node: &Node) -> String {
    node.get("/v1/status").good()["reasons"].to_string()
}

#[test]
fn entries_lost_with_the_disk_are_taken_back_from_those_who_hold_them_and_signing_goes_on() {
    let mut world = World::new();
    world.node_mut("ID").cover();
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    let (backup, config) = (world.dir().join("backup"), world.node("ID").config());
    done(&["backup", "--config", text(&config), "--out", text(&backup), "--with-keys"]);
    // After the backup: one for all, one that SG alone holds, one for all again.
    let all = world.node("ID").publish(SUBSTANCES, &numbered("R-1"))["id"].clone();
    let named = json!({"community": SUBSTANCES, "record": numbered("R-2"), "to": ["SG"]});
    let named = world.node("ID").post(named.to_string().as_bytes(), None).with(201);
    let last = world.node("ID").publish(SUBSTANCES, &numbered("R-3"));
    for member in ["SG", "AU"] {
        world.delivered("ID", last["id"].as_str().unwrap(), member);
    }
    let size = world.node("ID").size();
    let checkpoint = world.node("ID").get("/v1/logs/ID/checkpoint").text;
    let head = |note: &str| note.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    for member in ["ID", "SG"] {
        world.node_mut(member).stop();
    }

    let home = world.dir().join("new-id");
    fs::create_dir(&home).unwrap();
    for file in ["sealwire.toml", "register.json", "operator.token"] {
        fs::copy(world.node("ID").dir().join(file), home.join(file)).unwrap();
    }
    let mut node = world.node("ID").at(home);
    done(&["restore", text(&backup), "--config", text(&node.config()), "--with-keys"]);
    node.launch();
    node.ready(503);
    // AU gives what is for all before the entry that it does not hold; and that is said.
    let index = named["index"].as_u64().unwrap();
    until("all that AU can give", || {
        let said = reasons(&node);
        let stuck = said.contains(&format!("entry {index} was not given back yet, by AU"))
            || said.contains(&format!("entry {} was not given back yet, by AU", index - 1));
        if stuck { Ok(()) } else { Err(said) }
    });
    assert_eq!(node.get("/readyz").status, 503);
    let kept = node.post(
        json!({"community": SUBSTANCES, "record": numbered("R-4")}).to_string().as_bytes(),
        None,
    );
    let kept = kept.with(202)["id"].clone();

    world.node_mut("SG").start();
    node.ready(200);
    until("the draft in the log", || {
        let waiting = drafts(&node);
        if waiting.is_empty() { Ok(()) } else { Err(format!("{waiting:?}")) }
    });
    // The same entries at the same places, and the log goes on behind them.
    for (id, index) in [
        (all.as_str().unwrap(), None),
        (named["id"].as_str().unwrap(), Some(index)),
        (last["id"].as_str().unwrap(), last["index"].as_u64()),
    ] {
        let view = node.record(id);
        assert!(index.is_none_or(|index| view["index"] == index), "{view}");
    }
    // What others could open they give back too; what was ours alone stays closed.
    until("the opened core of a record that was lost", || {
        let view = node.record(last["id"].as_str().unwrap());
        let opened = view["opened"].as_array().unwrap();
        if opened.iter().any(|class| class == "core") { Ok(()) } else { Err(view.to_string()) }
    });
    let next = node.record(kept.as_str().unwrap());
    assert!(next["index"].as_u64().unwrap() >= size, "{next}");
    for member in ["SG", "AU"] {
        assert_eq!(world.node(member).record(kept.as_str().unwrap())["log"], "ID");
        assert_eq!(world.node(member).peer("ID")["stopped"], false);
    }
    assert_eq!(head(&checkpoint).first(), head(&node.get("/v1/logs/ID/checkpoint").text).first());
    let (trust, data) = (world.trust("ID"), node.data());
    until("an audit of the whole log", || {
        let audit = run(&["--json", "audit", "verify", text(&data), "--trust", text(&trust)]);
        if audit.status.success() { Ok(()) } else { Err(said(&audit)) }
    });
}
