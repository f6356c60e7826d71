//! The register changes while the federation runs: who joins late, who is suspended.

use std::fs;

use serde_json::{Value, json};

use crate::world::{SUBSTANCES, World, done, numbered, run, said, text, until};

/// Puts a version into a member's directory of versions and has its configuration name it.
pub(super) fn give(world: &World, member: &str, versions: &[u64]) {
    let node = world.node(member);
    let dir = node.dir().join("registers");
    fs::create_dir_all(&dir).unwrap();
    for version in versions {
        fs::copy(world.version(*version), dir.join(format!("{version}.root.json"))).unwrap();
    }
    let config = fs::read_to_string(node.config()).unwrap();
    let named = config.replace("\nregister = \"register.json\"", "\nregister = \"registers\"");
    fs::write(node.config(), named).unwrap();
}

fn opened(record: &Value) -> &[Value] {
    record["opened"].as_array().unwrap()
}

/// The log tells all members of a community that an entry is there; its parts were sealed to those
/// who took part when it was published.
fn assert_sees_no_content(record: &Value) {
    assert_eq!(opened(record), [] as [Value; 0], "{record}");
}

#[test]
fn a_member_that_joins_late_begins_at_the_pinned_version_and_is_audited_from_there() {
    let mut world = World::started();
    let before = world.node("ID").publish(SUBSTANCES, &numbered("BEFORE"))["id"].clone();
    world.delivered("ID", before.as_str().unwrap(), "SG");

    world.join("FR");
    world.next_version(2, |draft| world.admit(draft, "FR"));
    world.next_version(3, |draft| {
        done(&["register", "status", "--draft", draft, "--member", "AU", "suspended"]);
    });
    world.next_version(4, |draft| {
        done(&["register", "status", "--draft", draft, "--member", "AU", "active"]);
    });

    // Version 4 alone vouches for itself only: nobody but the pin says that it is the right one.
    give(&world, "FR", &[4]);
    let (status, said_so) = world.node("FR").refuses_to_start();
    assert_eq!(status, 2, "{said_so}");
    assert!(said_so.contains("register-digest"), "{said_so}");
    let shown = done(&["register", "show", text(&world.version(4))]);
    let config = fs::read_to_string(world.node("FR").config()).unwrap();
    let pinned = |digest: &str| format!("register-digest = \"{digest}\"\n{config}");
    fs::write(world.node("FR").config(), pinned(&"ab".repeat(32))).unwrap();
    let (_, said_so) = world.node("FR").refuses_to_start();
    assert!(said_so.contains("register-digest"), "{said_so}");
    fs::write(world.node("FR").config(), pinned(shown["fingerprint"].as_str().unwrap())).unwrap();

    for member in ["ID", "SG", "AU"] {
        give(&world, member, &[1, 2, 3, 4]);
        world.node_mut(member).stop();
        world.node_mut(member).start();
    }
    world.node_mut("FR").start();
    world.meet();
    let after = world.node("ID").publish(SUBSTANCES, &numbered("AFTER"))["id"].clone();
    world.delivered("ID", after.as_str().unwrap(), "FR");
    assert_sees_no_content(&world.node("FR").record(before.as_str().unwrap()));
    assert!(opened(&world.node("FR").record(after.as_str().unwrap())).contains(&json!("core")));

    let from = world.node("FR").publish(SUBSTANCES, &numbered("FROM-FR"))["id"].clone();
    world.delivered("FR", from.as_str().unwrap(), "ID");
    let trust = world.dir().join("FR.trust.toml");
    let digest = shown["digest"].as_str().unwrap();
    fs::write(&trust, format!("log = \"FR\"\nregister = \"{digest}\"\nwitnesses = 2\n")).unwrap();
    let data = world.node("FR").data();
    until("verified audit of FR", || {
        let output = run(&["--json", "audit", "verify", text(&data), "--trust", text(&trust)]);
        let whole = output.status.success() && said(&output).contains("versions 4 to 4");
        if whole { Ok(()) } else { Err(said(&output)) }
    });
    let other = world.version(3);
    let other = done(&["register", "show", text(&other)])["digest"].as_str().unwrap().to_owned();
    fs::write(&trust, format!("log = \"FR\"\nregister = \"{other}\"\nwitnesses = 2\n")).unwrap();
    let refuted = run(&["audit", "verify", text(&data), "--trust", text(&trust)]);
    assert_eq!(refuted.status.code(), Some(1), "{}", said(&refuted));
}

#[test]
fn a_suspended_member_is_not_connected_and_catches_up_after_its_return() {
    let mut world = World::started();
    world.next_version(2, |draft| {
        done(&["register", "status", "--draft", draft, "--member", "AU", "suspended"]);
    });
    for member in ["ID", "SG"] {
        give(&world, member, &[1, 2]);
        world.node_mut(member).stop();
        world.node_mut(member).start();
    }
    world.mirrored("SG", "ID");
    let published = world.node("ID").publish(SUBSTANCES, &numbered("WHILE-SUSPENDED"));
    assert_eq!(published["classes"]["core"], json!(["SG"]), "{published}");
    let id = published["id"].as_str().unwrap();
    world.delivered("ID", id, "SG");
    assert_eq!(world.node("AU").get(&format!("/v1/records/{id}")).status, 404);

    world.next_version(3, |draft| {
        done(&["register", "status", "--draft", draft, "--member", "AU", "active"]);
    });
    for member in ["ID", "SG", "AU"] {
        give(&world, member, &[1, 2, 3]);
        world.node_mut(member).stop();
        world.node_mut(member).start();
    }
    world.meet();
    let published = world.node("ID").publish(SUBSTANCES, &numbered("AFTER-RETURN"));
    world.delivered("ID", published["id"].as_str().unwrap(), "AU");
    assert_sees_no_content(&world.node("AU").record(id));
}
