//! The life of keys: under a passphrase, taken over by others, stolen, and destroyed.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::register::give;
use crate::world::{
    Node, SUBSTANCES, World, copy_dir, done, files, lab_alert, numbered, run, said, text, until,
};

const MEMBERS: [&str; 3] = ["ID", "SG", "AU"];

/// Adds settings of the keys to a member's configuration.
fn configure(node: &Node, settings: &str) {
    let config = fs::read_to_string(node.config()).unwrap();
    let with = config.replace("dir = \"keys\"\n", &format!("dir = \"keys\"\n{settings}\n"));
    fs::write(node.config(), with).unwrap();
}

fn again(world: &mut World, versions: &[u64]) {
    for member in MEMBERS {
        give(world, member, versions);
        if world.node(member).runs() {
            world.node_mut(member).stop();
        }
        world.node_mut(member).start();
    }
    world.meet();
}

/// The seed in a plain key file.
fn seed(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    let digits = text.split('"').nth(1).unwrap_or(&text).trim();
    (0..64).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The thumbprint of the key of a use that the register lists for a member.
fn thumbprint(world: &World, member: &str, use_: &str) -> String {
    let config = world.node(member).config();
    let listed = done(&["keys", "list", "--config", text(&config)]);
    let keys = listed["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["use"] == use_ && key["inRegister"] == true).unwrap();
    key["thumbprint"].as_str().unwrap().to_owned()
}

/// Makes a further key and gives its public half.
fn rotated(world: &World, member: &str, use_: &str) -> String {
    let config = world.node(member).config();
    let made = done(&["keys", "rotate", use_, "--config", text(&config)]);
    made["public"].as_str().unwrap().to_owned()
}

#[test]
fn a_node_finds_its_passphrase_in_a_file_or_a_credential_and_does_not_start_without() {
    let mut world = World::new();
    let before = seed(&world.node("ID").dir().join("keys/sign.key"));
    let file = world.node_mut("ID").cover();
    for path in files(&world.node("ID").dir().join("keys")) {
        let bytes = fs::read(&path).unwrap();
        assert!(!holds(&bytes, &hex(&before)) && !holds(&bytes, &before), "{}", path.display());
    }
    world.node_mut("ID").start();
    let id = world.node("ID").publish(SUBSTANCES, &numbered("P-1"))["id"].clone();
    world.node_mut("ID").stop();
    let log = fs::read_to_string(world.node("ID").dir().join("node.log")).unwrap();
    assert!(!log.contains("nine words that nobody"), "{log}");

    // A service manager's credential: a directory that a variable names.
    let credentials = world.dir().join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(&file, credentials.join("sealwire-passphrase")).unwrap();
    let mut node = world.node("ID").at(world.node("ID").dir().to_owned());
    node.forget_variables();
    configure(&node, "credential = \"sealwire-passphrase\"");
    node.variable("CREDENTIALS_DIRECTORY", credentials.clone());
    node.start();
    assert_eq!(node.record(id.as_str().unwrap())["id"], id);
    node.stop();

    fs::write(credentials.join("sealwire-passphrase"), "not the right words\n").unwrap();
    let (code, said_so) = node.refuses_to_start();
    assert_eq!(code, 2, "{said_so}");
    assert!(said_so.contains("the passphrase is wrong"), "{said_so}");
    assert!(!said_so.contains("not the right words"), "{said_so}");
    let readable = credentials.join("sealwire-passphrase");
    fs::set_permissions(&readable, Permissions::from_mode(0o644)).unwrap();
    let (code, said_so) = node.refuses_to_start();
    assert!(code == 2 && said_so.contains("lets others in"), "{said_so}");
    let refused = run(&[
        "init",
        "--member",
        "FR",
        "--name",
        "x",
        "--dir",
        text(&world.dir().join("fr")),
        "--address",
        "/ip4/127.0.0.1/tcp/1",
        "--passphrase-file",
        text(&readable),
    ]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(!world.dir().join("fr").exists(), "nothing was made");
}

#[test]
fn a_member_changes_its_keys_and_every_record_of_before_and_after_is_verified() {
    let mut world = World::started();
    let before = world.node("ID").publish(SUBSTANCES, &numbered("BEFORE"))["id"].clone();
    world.delivered("ID", before.as_str().unwrap(), "SG");
    // The next register gives the log another sign key three entries on: its adoption and one
    // record are signed with the old one.
    let hand_over = (world.node("ID").size() + 2).to_string();
    let uses = ["sign", "log", "cosign", "node"];
    let new: Vec<String> = uses.iter().map(|use_| rotated(&world, "ID", use_)).collect();
    world.next_version(2, |draft| {
        for (use_, public) in uses.iter().zip(&new) {
            let at = if *use_ == "sign" { hand_over.as_str() } else { "0" };
            let of = ["--draft", draft, "--member", "ID", "--use", use_, "--public", public];
            let replace = ["register", "key", "replace", "--from", at];
            done(&[&replace[..], &of].concat());
        }
    });
    again(&mut world, &[1, 2]);
    let last: Vec<Value> = (0..4)
        .map(|n| world.node("ID").publish(SUBSTANCES, &numbered(&format!("AFTER-{n}"))))
        .collect();
    assert!(last[3]["index"].as_u64().unwrap() > hand_over.parse().unwrap(), "{last:?}");
    for record in &last {
        let id = record["id"].as_str().unwrap();
        assert_eq!(world.node("SG").record(id)["status"], "held");
        world.delivered("ID", id, "AU");
    }
    assert_eq!(world.node("SG").record(before.as_str().unwrap())["status"], "held");
    world.audited("ID");
    let config = world.node("ID").config();
    let listed = done(&["keys", "list", "--config", text(&config)]);
    let signs = listed["keys"].as_array().unwrap().iter().filter(|key| key["use"] == "sign");
    let ends: Vec<Value> = signs.map(|key| key["until"].clone()).collect();
    assert_eq!(ends.len(), 2, "{listed}");
    assert!(listed.to_string().contains(&new[0]) && !listed.to_string().contains("seed"));
}

#[test]
fn what_a_stolen_key_signed_after_its_end_is_void_and_what_came_before_stands() {
    let mut world = World::started();
    let ours = world.node("ID").publish(SUBSTANCES, &numbered("OURS"))["id"].clone();
    let ours = ours.as_str().unwrap().to_owned();
    for member in ["SG", "AU"] {
        world.delivered("ID", &ours, member);
    }
    world.audited("ID");
    // Cosigned up to here; what follows is the thief's, who has the node's keys.
    let config = world.node("ID").config();
    let stolen = thumbprint(&world, "ID", "sign");
    let revoke = ["keys", "revoke", &stolen, "--config", text(&config), "--witnesses", "2"];
    let end = done(&revoke)["until"].as_u64().unwrap();
    assert_eq!(end, world.node("ID").size());
    let beyond = run(&[&revoke[..], &["--until", &(end + 1).to_string()]].concat());
    assert_eq!(beyond.status.code(), Some(1), "{}", said(&beyond));
    let forged = world.node("ID").publish(SUBSTANCES, &numbered("FORGED"));
    let forged_id = forged["id"].as_str().unwrap().to_owned();
    assert_eq!(world.node("SG").record(&forged_id)["status"], "held");
    // AU is away, and sees it only when the key has been ended.
    world.node_mut("AU").stop();
    let unseen = world.node("ID").publish(SUBSTANCES, &numbered("UNSEEN"));
    let unseen_id = unseen["id"].as_str().unwrap().to_owned();
    world.node("SG").record(&unseen_id);

    let public = rotated(&world, "ID", "sign");
    let next = world.node("ID").size().to_string();
    world.next_version(2, |draft| {
        let of = ["--draft", draft, "--member", "ID"];
        let add = ["--use", "sign", "--public", &public, "--from", &next];
        done(&[&["register", "key", "add"][..], &of, &add].concat());
        let until = ["--thumbprint", &stolen, "--until", &end.to_string()];
        done(&[&["register", "key", "end"][..], &of, &until].concat());
    });
    again(&mut world, &[1, 2]);
    for member in MEMBERS {
        assert_eq!(world.node(member).record(&ours)["status"], "held");
        for void in [&forged_id, &unseen_id] {
            let view = world.node(member).record(void);
            assert_eq!(view["status"], "quarantined", "{member}: {view}");
            assert!(view["reason"].as_str().unwrap().starts_with("key-ended"), "{view}");
        }
    }
    let after = world.node("ID").publish(SUBSTANCES, &numbered("AFTER"))["id"].clone();
    for member in ["SG", "AU"] {
        world.delivered("ID", after.as_str().unwrap(), member);
    }
    world.audited("ID");
    let (trust, data) = (world.trust("ID"), world.node("ID").data());
    let report = run(&["audit", "verify", text(&data), "--trust", text(&trust)]);
    let void = said(&report);
    assert!(void.contains(" void: "), "{void}");
}

#[test]
fn a_backup_from_before_the_turn_of_the_epoch_opens_nothing_with_the_keys_of_today() {
    let mut world = World::new();
    world.node_mut("ID").cover();
    for member in MEMBERS {
        world.node_mut(member).start();
    }
    world.meet();
    let body = json!({"community": SUBSTANCES, "record": lab_alert(),
        "audiences": {"nominal": ["SG"], "operational": ["SG"]}});
    let id = world.node("ID").post(body.to_string().as_bytes(), None).with(201)["id"].clone();
    let id = id.as_str().unwrap();
    let opened = |node: &Node| node.record(id)["opened"].clone();
    let all = opened(world.node("ID"));
    assert!(all.as_array().unwrap().len() > 3, "{all}");
    world.delivered("ID", id, "SG");
    let (backup, config) = (world.dir().join("backup"), world.node("ID").config());
    done(&["backup", "--config", text(&config), "--out", text(&backup)]);

    world.node_mut("ID").stop();
    configure(world.node("ID"), "grace-days = 0");
    let passphrase = world.node("ID").dir().join("passphrase");
    let unlocked = ["--config", text(&config), "--passphrase-file", text(&passphrase)];
    done(&[&["keys", "rotate", "seal"][..], &unlocked].concat());
    world.node_mut("ID").start();
    let keys = world.node("ID").dir().join("keys");
    until("end of the keys of the first epoch", || {
        let left = keys.join("seal-1.key").exists() || keys.join("data.key").exists();
        if left { Err("they are there".to_owned()) } else { Ok(()) }
    });
    world.meet();
    assert_eq!(opened(world.node("ID")), all, "what is held still opens");
    let after = world.node("SG").publish(SUBSTANCES, &numbered("AFTER"))["id"].clone();
    let after = world.node("ID").record(after.as_str().unwrap());
    assert!(after["opened"].as_array().unwrap().contains(&json!("core")), "{after}");
    world.node_mut("ID").stop();
    world.node_mut("ID").start();
    assert_eq!(opened(world.node("ID")), all, "also after another start");
    world.node_mut("ID").stop();

    // The old copy of the data with the keys of today.
    let home = world.dir().join("old-id");
    fs::create_dir(&home).unwrap();
    for file in ["sealwire.toml", "register.json", "operator.token"] {
        fs::copy(world.node("ID").dir().join(file), home.join(file)).unwrap();
    }
    copy_dir(&keys, &home.join("keys"));
    fs::set_permissions(home.join("keys"), Permissions::from_mode(0o700)).unwrap();
    let mut old = world.node("ID").at(home);
    let config = old.config();
    done(&["restore", text(&backup), "--config", text(&config)]);
    old.launch();
    until("an answer of the restored node", || {
        let answer = old.get(&format!("/v1/records/{id}"));
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    assert_eq!(opened(&old), json!([]), "with today's keys the old copy opens nothing");
    old.kill();
}

#[test]
fn a_member_that_lost_its_seal_key_is_given_the_secrets_again() {
    let mut world = World::started();
    let keys = world.node("SG").dir().join("keys");
    world.node_mut("SG").stop();
    let missed = world.node("ID").publish(SUBSTANCES, &numbered("MISSED"))["id"].clone();
    fs::remove_file(keys.join("seal-1.key")).unwrap();
    let (code, said_so) = world.node("SG").refuses_to_start();
    assert!(code != 0 && said_so.contains("keys rotate seal"), "{said_so}");
    let config = world.node("SG").config();
    done(&["keys", "rotate", "seal", "--epoch", "2", "--config", text(&config)]);
    world.node_mut("SG").start();
    until("the secret wrapped again for SG", || {
        let view = world.node("SG").record(missed.as_str().unwrap());
        let opened = view["opened"].as_array().unwrap().contains(&json!("core"));
        if opened { Ok(()) } else { Err(view.to_string()) }
    });
}

#[test]
fn no_core_is_written_and_the_memory_of_a_node_holds_no_destroyed_key() {
    const CANARY: &str = "Qvxjz Canary-Memory";
    let mut world = World::started();
    let mut record = lab_alert();
    record["person"][0]["name"] = json!(CANARY);
    let body = json!({"community": SUBSTANCES, "record": record});
    world.node("ID").post(body.to_string().as_bytes(), None).with(201);
    world.node_mut("ID").stop();
    let keys = world.node("ID").dir().join("keys");
    let (seal, data) = (seed(&keys.join("seal-1.key")), seed(&keys.join("data.key")));
    let file = world.node_mut("ID").cover();
    configure(world.node("ID"), "grace-days = 0");
    let config = world.node("ID").config();
    let unlocked = ["--config", text(&config), "--passphrase-file", text(&file)];
    done(&[&["keys", "rotate", "seal"][..], &unlocked].concat());
    world.node_mut("ID").start();
    until("end of the keys of the first epoch", || {
        let left = keys.join("seal-1.key").exists() || keys.join("data.key").exists();
        if left { Err("they are there".to_owned()) } else { Ok(()) }
    });
    let node = world.node("ID");
    node.publish(SUBSTANCES, &numbered("M-1"));
    let limits = fs::read_to_string(node.process_file("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
    let memory = match node.memory() {
        Ok(memory) => memory,
        // Not even to its own user; only the superuser reads on.
        Err(cause) if cause.kind() == ErrorKind::PermissionDenied => return,
        Err(cause) => panic!("cannot read the memory of a node: {cause}"),
    };
    let member = format!("test.sealwire.example/{}", node.member());
    assert!(holds(&memory, member.as_bytes()), "this is the memory of a node");
    let passphrase = fs::read_to_string(&file).unwrap();
    for (what, secret) in [
        ("the seal key of the ended epoch", seal.as_slice()),
        ("the same in text", &hex(&seal)),
        ("the data key of the ended epoch", &data),
        ("the same in text", &hex(&data)),
        ("the passphrase", passphrase.trim().as_bytes()),
        ("a person", CANARY.as_bytes()),
    ] {
        assert!(!holds(&memory, secret), "{what} is in the memory of the node");
    }
}
