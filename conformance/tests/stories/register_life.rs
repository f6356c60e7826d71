//! The register changes while the nodes run: they take each version from a file, from an operator
//! and from one another, and none is started again for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use sealwire_wire::id::Digest;
use sealwire_wire::register::{Draft, Register};
use serde_json::{Value, json};

use crate::world::{Node, SUBSTANCES, World, done, numbered, run, said, text, until};

fn status(node: &Node) -> Value {
    node.get("/v1/status").good()
}

/// Waits until these members' nodes have a version in force.
fn in_force(world: &World, version: u64, members: &[&str]) {
    for member in members {
        until(&format!("version {version} at {member}"), || {
            let found = status(world.node(member))["register_version"].clone();
            if found == version { Ok(()) } else { Err(found.to_string()) }
        });
    }
}

/// Gives a register to a member's node by the command.
fn publish(world: &World, file: &Path, member: &str) -> Value {
    done(&["register", "publish", text(file), "--config", text(&world.node(member).config())])
}

fn connected(world: &World, member: &str, to: &str, wanted: bool) {
    until(&format!("{member} and {to} connected: {wanted}"), || {
        let peer = world.node(member).peer(to);
        if peer["connected"] == wanted { Ok(()) } else { Err(peer.to_string()) }
    });
}

fn edit(words: &[&str]) -> Value {
    done(&[&["register"], words].concat())
}

/// Makes a sign key as `sealwire init` does, and gives the directory of the keys and the public key.
fn fresh_sign_key(world: &World) -> (PathBuf, String) {
    let dir = world.dir().join("fresh");
    fs::create_dir_all(&dir).unwrap();
    let other = World::init(&dir, "SG");
    let member: Value =
        serde_json::from_slice(&fs::read(other.dir().join("member.json")).unwrap()).unwrap();
    let keys = member["keys"].as_array().unwrap();
    let sign = keys.iter().find(|key| key["use"] == "sign").unwrap();
    (other.dir().join("keys"), sign["public"].as_str().unwrap().to_owned())
}

#[test]
fn members_join_are_suspended_and_return_keys_change_and_all_running_nodes_follow() {
    let mut world = World::started();
    let all = ["ID", "SG", "AU", "FR"];
    let before = world.node("ID").publish(SUBSTANCES, &numbered("BEFORE"))["id"].clone();
    let before = before.as_str().unwrap().to_owned();
    world.delivered("ID", &before, "AU");

    // A member joins: one node is told by its operator, the others by one another.
    world.join("FR");
    world.next_version(2, |draft| world.admit(draft, "FR"));
    let taken = publish(&world, &world.version(2), "ID");
    assert_eq!((&taken["adopted"], &taken["version"]), (&json!(true), &json!(2)), "{taken}");
    let again = publish(&world, &world.version(2), "ID");
    assert_eq!(again["adopted"], false, "{again}");
    in_force(&world, 2, &all[..3]);
    let registers = world.node("FR").dir().join("registers");
    fs::create_dir_all(&registers).unwrap();
    for version in [1, 2] {
        let name = format!("{version}.root.json");
        fs::copy(world.version(version), registers.join(name)).unwrap();
    }
    let config = fs::read_to_string(world.node("FR").config()).unwrap();
    let named = config.replace("\nregister = \"register.json\"", "\nregister = \"registers\"");
    fs::write(world.node("FR").config(), named).unwrap();
    world.node_mut("FR").start();
    world.meet();
    let from = world.node("FR").publish(SUBSTANCES, &numbered("FROM-FR"))["id"].clone();
    world.delivered("FR", from.as_str().unwrap(), "ID");

    // A member is suspended, by a file beside another member's node.
    world.next_version(3, |draft| {
        edit(&["status", "--draft", draft, "--member", "AU", "suspended"]);
    });
    fs::copy(world.version(3), world.node("SG").dir().join("register.json")).unwrap();
    in_force(&world, 3, &["ID", "SG", "FR"]);
    for member in ["ID", "SG", "FR"] {
        connected(&world, member, "AU", false);
        connected(&world, "AU", member, false);
    }
    let refused = world.node("ID").metric("sealwire_peers_refused_total");
    let meanwhile = world.node("AU").publish(SUBSTANCES, &numbered("WHILE-SUSPENDED"));
    let meanwhile = meanwhile["id"].as_str().unwrap().to_owned();
    let kept_from = world.node("ID").publish(SUBSTANCES, &numbered("KEPT-FROM-AU"));
    let kept_from = kept_from["id"].as_str().unwrap().to_owned();
    world.delivered("ID", &kept_from, "SG");
    until("a refused connection of AU", || {
        let now = world.node("ID").metric("sealwire_peers_refused_total");
        if now > refused { Ok(()) } else { Err(format!("{now} refused")) }
    });
    for (member, id) in [("ID", &meanwhile), ("SG", &meanwhile), ("AU", &kept_from)] {
        let answer = world.node(member).get(&format!("/v1/records/{id}"));
        assert_eq!(answer.status, 404, "{id} at {member}: {}", answer.text);
    }
    assert_eq!(status(world.node("AU"))["register_version"], 2);

    // It returns, and hears of it from those who connect to it again. At the same time another
    // member's sign key ends at the end of its log.
    until("the log of SG with its adoption of version 3", || {
        let size = world.node("SG").size();
        if size == 4 { Ok(()) } else { Err(format!("{size} entries")) }
    });
    let (keys, public) = fresh_sign_key(&world);
    world.next_version(4, |draft| {
        edit(&["status", "--draft", draft, "--member", "AU", "active"]);
        let new = ["--use", "sign", "--public", &public, "--from", "4"];
        edit(&[&["key", "replace", "--draft", draft, "--member", "SG"], &new[..]].concat());
    });
    publish(&world, &world.version(4), "FR");
    in_force(&world, 4, &all);
    world.delivered("AU", &meanwhile, "ID");
    world.node_mut("SG").ready(503);
    let reasons = world.node("SG").get("/readyz").json();
    assert!(reasons["reasons"].to_string().contains("ended our sign key"), "{reasons}");
    assert_eq!(world.node("SG").size(), 4, "nothing is signed under an ended key");
    world.node_mut("SG").stop();
    fs::copy(keys.join("sign.key"), world.node("SG").dir().join("keys/sign.key")).unwrap();
    world.node_mut("SG").start();
    world.meet();
    let rotated = world.node("SG").publish(SUBSTANCES, &numbered("UNDER-THE-NEW-KEY"));
    world.delivered("SG", rotated["id"].as_str().unwrap(), "AU");

    governors_change(&world, &all);

    // All of it stays verifiable over the chain, from the first version on.
    let shown = edit(&["show", text(&world.version(1))]);
    let digest = shown["digest"].as_str().unwrap();
    for log in ["ID", "SG"] {
        let trust = world.dir().join(format!("{log}.first.toml"));
        let text_of = format!("log = \"{log}\"\nregister = \"{digest}\"\nwitnesses = 2\n");
        fs::write(&trust, text_of).unwrap();
        let data = world.node(log).data();
        until(&format!("verified audit of {log}"), || {
            let output = run(&["--json", "audit", "verify", text(&data), "--trust", text(&trust)]);
            let report: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            let whole = output.status.success() && report["size"] == world.node(log).size();
            let chain = said(&output).contains("versions 1 to 5");
            if whole && chain { Ok(()) } else { Err(said(&output)) }
        });
    }
    assert_eq!(world.node("AU").record(&before)["status"], "held");
}

/// One governor's key is replaced and the threshold raised to all three; two are then too few.
fn governors_change(world: &World, all: &[&str]) {
    let new = world.governor("two-again");
    let public = format!("{}.pub.json", text(&new));
    edit(&["governor", "--seat", "two", "--out", text(&new)]);
    world.sign_version(&world.version(5), 5, &["one", "three", "two-again"], |draft| {
        edit(&["seat", "replace", "--draft", draft, &public]);
        edit(&["threshold", "--draft", draft, "3"]);
    });
    let difference = edit(&["diff", text(&world.version(4)), text(&world.version(5))]);
    assert_eq!(difference["follows"], true, "{difference}");
    let changes = difference["changes"].as_array().unwrap();
    let of = |subject: &str| changes.iter().filter(|c| c["subject"] == subject).count();
    assert_eq!(of("governor two"), 2, "{difference}");
    let threshold = changes.iter().find(|c| c["field"] == "threshold").unwrap();
    assert_eq!((&threshold["before"], &threshold["after"]), (&json!(2), &json!(3)));
    publish(world, &world.version(5), "AU");
    in_force(world, 5, all);

    let draft = world.dir().join("6.draft");
    let lasting = ["--expires-days", "3650", "--out", text(&draft)];
    edit(&[&["new", "--from", text(&world.version(5))][..], &lasting].concat());
    for seat in ["one", "three"] {
        let key = world.governor(seat);
        let previous = world.version(5);
        let sign = ["sign", "--draft", text(&draft), "--key", text(&key)];
        let signed = edit(&[&sign[..], &["--previous", text(&previous)]].concat());
        assert_eq!(signed["complete"], false, "{signed}");
    }
    let config = world.node("ID").config();
    let refused = run(&["register", "publish", text(&draft), "--config", text(&config)]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("register-too-few-signatures"), "{}", said(&refused));
    let old = run(&["register", "publish", text(&world.version(5)), "--config", text(&config)]);
    assert!(old.status.success(), "a version that is held is no mistake: {}", said(&old));
}

#[test]
fn of_a_forked_register_each_node_keeps_the_one_it_has_and_alarms() {
    let mut world = World::started();
    let other = world.dir().join("other.json");
    let keep = |draft: &str, days: &str| {
        let what = ["--id", SUBSTANCES, "--retention-days", days];
        edit(&[&["community", "change", "--draft", draft][..], &what].concat());
    };
    world.next_version(2, |draft| keep(draft, "100"));
    world.sign_version(&other, 2, &["two", "three"], |draft| keep(draft, "200"));

    world.node_mut("AU").stop();
    publish(&world, &world.version(2), "ID");
    in_force(&world, 2, &["ID", "SG"]);
    let fingerprint = status(world.node("SG"))["register_fingerprint"].clone();
    let config = world.node("SG").config();
    let refused = run(&["register", "publish", text(&other), "--config", text(&config)]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("register-forked"), "{}", said(&refused));

    // The third node is given the other one, and takes it for its next.
    fs::copy(&other, world.node("AU").dir().join("register.json")).unwrap();
    world.node_mut("AU").start();
    for member in ["ID", "SG", "AU"] {
        let node = world.node(member);
        let forks = until(&format!("evidence at {member}"), || {
            let forks = status(node)["register_forks"].clone();
            if forks.as_array().is_some_and(|f| f.len() == 1) {
                Ok(forks)
            } else {
                Err(forks.to_string())
            }
        });
        assert_eq!(
            node.metric("sealwire_register_forks_total"),
            1,
            "once, however often it is met"
        );
        let evidence = node.data().join("evidence").join(forks[0].as_str().unwrap());
        let (here, there) = if member == "AU" { ("200", "100") } else { ("100", "200") };
        let ours = world.dir().join(format!("{member}.ours.json"));
        fs::write(&ours, node.get("/v1/register").good().to_string()).unwrap();
        let difference = edit(&["diff", text(&ours), text(&evidence)]);
        let changes = difference["changes"].as_array().unwrap();
        let days = changes.iter().find(|c| c["field"] == "retentionDays").unwrap();
        assert_eq!(
            (days["before"].to_string(), days["after"].to_string()),
            (here.into(), there.into())
        );
        let log = fs::read_to_string(node.dir().join("node.log")).unwrap();
        assert!(log.contains("the register was forked"), "{member} alarms");
        assert_eq!(node.get("/readyz").status, 200, "{member} serves on");
    }
    assert_eq!(status(world.node("SG"))["register_fingerprint"], fingerprint);
    assert_ne!(status(world.node("AU"))["register_fingerprint"], fingerprint);

    // The governors settle it: what follows both is taken by all.
    world.next_version(3, |draft| keep(draft, "150"));
    publish(&world, &world.version(3), "ID");
    in_force(&world, 3, &["ID", "SG", "AU"]);
    let settled = status(world.node("ID"))["register_fingerprint"].clone();
    assert_eq!(status(world.node("AU"))["register_fingerprint"], settled);

    // The alarm outlasts a restart, and a file with the other version does not stop one.
    fs::copy(&other, world.node("ID").dir().join("register.json")).unwrap();
    world.node_mut("ID").stop();
    world.node_mut("ID").start();
    let after = status(world.node("ID"));
    assert_eq!(after["register_fingerprint"], settled);
    assert_eq!(after["register_forks"].as_array().unwrap().len(), 1, "{after}");
}

#[test]
fn members_that_only_receive_or_only_publish_are_held_to_it() {
    let world = World::started();
    world.next_version(2, |draft| {
        let ways = ["--direction", "AU=receive", "--direction", "SG=publish"];
        edit(&[&["community", "change", "--draft", draft, "--id", SUBSTANCES][..], &ways].concat());
    });
    publish(&world, &world.version(2), "AU");
    in_force(&world, 2, &["ID", "SG", "AU"]);
    let body = |community: &str| {
        json!({"community": community, "record": numbered("ONE-WAY")}).to_string()
    };
    let refused = world.node("AU").post(body(SUBSTANCES).as_bytes(), None).with(403);
    assert_eq!(refused["code"], "direction-not-agreed", "{refused}");

    let published = world.node("ID").publish(SUBSTANCES, &numbered("TO-AU"));
    assert_eq!(published["classes"]["core"], json!(["AU"]), "{published}");
    let id = published["id"].as_str().unwrap();
    world.delivered("ID", id, "AU");
    world.mirrored("SG", "ID");
    assert_eq!(world.node("SG").get(&format!("/v1/records/{id}")).status, 404);
    let from = world.node("SG").publish(SUBSTANCES, &numbered("FROM-SG"))["id"].clone();
    world.delivered("SG", from.as_str().unwrap(), "AU");
}

/// The next version with an expiry of so many days ago, which no command makes.
fn expired(world: &World, version: u64, days_ago: u64) -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expires = i64::try_from(seconds - days_ago * 86_400).unwrap();
    let bytes = fs::read(world.version(version - 1)).unwrap();
    let digest = Draft::from_bytes(&bytes).unwrap().digest();
    let previous = Register::trust_first(&bytes, Some(&digest)).unwrap();
    let mut draft = Draft::next(&previous, expires).unwrap();
    for seat in ["one", "two"] {
        let secret: Value =
            serde_json::from_slice(&fs::read(world.governor(seat)).unwrap()).unwrap();
        let seed: Digest = secret["secret"].as_str().unwrap().parse().unwrap();
        draft.sign(&SigningKey::from_bytes(&seed.0), Some(&previous)).unwrap();
    }
    let out = world.version(version);
    fs::write(&out, draft.finish(Some(&previous)).unwrap().bytes()).unwrap();
    out
}

#[test]
fn an_expired_register_serves_through_its_grace_period_and_then_nothing_is_published() {
    let mut world = World::new();
    world.node_mut("ID").start();
    publish(&world, &expired(&world, 2, 1), "ID");
    let id = world.node("ID").publish(SUBSTANCES, &numbered("IN-GRACE"))["id"].clone();
    let log = fs::read_to_string(world.node("ID").dir().join("node.log")).unwrap();
    assert!(log.contains("publishing under an expired register"), "it is logged");

    publish(&world, &expired(&world, 3, 31), "ID");
    let body = json!({"community": SUBSTANCES, "record": numbered("TOO-LATE")}).to_string();
    let refused = world.node("ID").post(body.as_bytes(), None).with(503);
    assert_eq!(refused["code"], "register-expired", "{refused}");
    world.node_mut("ID").ready(503);
    assert_eq!(world.node("ID").record(id.as_str().unwrap())["id"], id, "all stays readable");

    world.next_version(4, |_| {});
    publish(&world, &world.version(4), "ID");
    world.node_mut("ID").ready(200);
    world.node("ID").post(body.as_bytes(), None).with(201);
}
