//! What may befall a federation: a disk that fills, a member that lies, a log that was exchanged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ed25519_dalek::SigningKey;
use sealwire_wire::bundle::Outcome;
use sealwire_wire::checkpoint::{self, Checkpoint};
use sealwire_wire::id::Digest;
use sealwire_wire::merkle::{Frontier, leaf_hash};
use sealwire_wire::message::{Announcement, Item, Request, Response};
use sealwire_wire::note::Note;
use sealwire_wire::statement::{
    Body, Claims, Manifest, RegisterManifest, Statement, leaf_data, sign,
};
use serde_json::{Value, json};

use crate::world::{
    Liar, Node, SEIZURES, SUBSTANCES, World, copy_dir, done, numbered, program, run, said, seed,
    text, until,
};

/// Room of the small disk, and what somebody else's files take of it: at first, so that a few
/// megabytes are left above what a node keeps for its index and log files, and then of that too.
const DISK_MIB: usize = 48;
const BALLAST_MIB: usize = 10;
const MORE_BALLAST_MIB: usize = 20;
/// Publications after which a disk of this size must be full.
const MOST: usize = 2_000;

/// Puts the data of a member on a small disk that nobody but its node sees.
fn on_a_small_disk(node: &mut Node) {
    let probe = Command::new("unshare").args(["-rm", "true"]).output();
    assert!(
        probe.as_ref().is_ok_and(|output| output.status.success()),
        "cannot make a mount namespace: {probe:?}\n\
         hint: install util-linux, and allow user namespaces (sysctl user.max_user_namespaces, \
         kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
    );
    fs::create_dir(node.dir().join("small")).unwrap();
    let script = format!(
        "set -eu; cd '{home}'; mount -t tmpfs -o size={DISK_MIB}m,mode=700 tmpfs small; \
         cp -a data small/data; head -c {BALLAST_MIB}M /dev/zero >small/ballast; \
         mount --bind small/data data; exec \"$@\"",
        home = text(node.dir()),
    );
    node.wrap(&["unshare", "-rm", "sh", "-c", &script, "sh"]);
}

/// Publishes until it is refused: the ids that were acknowledged, and the refusal.
fn publish_until_refused(node: &Node, name: &str) -> (Vec<Value>, Value) {
    let mut acknowledged = Vec::new();
    for number in 0..MOST {
        let record = numbered(&format!("{name}-{number}"));
        let body = json!({"community": SUBSTANCES, "record": record});
        let answer = node.post(body.to_string().as_bytes(), None);
        if answer.status != 201 {
            return (acknowledged, answer.with(507));
        }
        acknowledged.push(answer.json()["id"].clone());
    }
    panic!("{MOST} records fit on a disk of {DISK_MIB} MiB");
}

#[test]
fn a_full_disk_refuses_a_publication_clearly_and_loses_nothing() {
    let mut world = World::new();
    on_a_small_disk(world.node_mut("ID"));
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    let node = world.node("ID");
    let (mut acknowledged, refusal) = publish_until_refused(node, "F");
    assert_eq!(refusal["code"], "disk-full", "{refusal}");
    assert!(refusal["hint"].as_str().is_some_and(|hint| hint.contains("free space")), "{refusal}");
    assert!(acknowledged.len() > 10, "{} were acknowledged", acknowledged.len());
    // What the index and the log files give back must not make room again.
    let small = node.seen(&node.dir().join("small"));
    fs::write(small.join("more"), vec![0; MORE_BALLAST_MIB << 20]).unwrap();
    let size = node.size();
    let all_there = |acknowledged: &[Value]| {
        for id in acknowledged {
            node.get(&format!("/v1/records/{}", id.as_str().unwrap())).with(200);
        }
    };
    all_there(&acknowledged);
    let refused = json!({"community": SUBSTANCES, "record": numbered("F-again")}).to_string();
    for _ in 0..2 {
        let answer = node.post(refused.as_bytes(), Some("again"));
        assert_eq!(answer.with(507)["code"], "disk-full");
    }
    assert_eq!(node.size(), size, "what was refused is not in the log");
    all_there(&acknowledged);

    for ballast in ["ballast", "more"] {
        fs::remove_file(small.join(ballast)).unwrap();
    }
    let again = until("room after the ballast is gone", || {
        let answer = node.post(refused.as_bytes(), Some("again"));
        if answer.status == 201 { Ok(answer.json()) } else { Err(answer.text) }
    });
    acknowledged.push(again["id"].clone());
    all_there(&acknowledged);
    let last = again["id"].as_str().unwrap();
    for member in ["SG", "AU"] {
        world.delivered("ID", last, member);
    }
    world.meet();
    for id in &acknowledged {
        assert_eq!(world.node("SG").record(id.as_str().unwrap())["status"], "held");
    }
    let (trust, data) = (world.trust("ID"), node.seen(&node.data()));
    until("verified audit of the small disk", || audit(&data, &trust, 0));
}

/// The message with its first entry altered.
fn with_entry(good: &Announcement, alter: impl Fn(&mut Item)) -> Announcement {
    let mut message = good.clone();
    alter(message.items.first_mut().unwrap());
    message
}

/// What a member with keys of its own can make of the message of another, each with the code by
/// which a node refuses it.
fn forged(good: &Announcement, keys: &Path) -> Vec<(&'static str, Announcement)> {
    let statement = Statement::parse(&good.items[0].statement).unwrap();
    let key = SigningKey::from_bytes(&seed(&keys.join("sign.key")));
    let signed_as = |issuer: &str| {
        let claims = Claims { issuer: issuer.parse().unwrap(), ..statement.claims().clone() };
        let signed = sign(&key, claims, statement.manifest().clone()).unwrap();
        with_entry(good, |item| item.statement = signed.bytes().to_vec())
    };
    let (note, signature) = good.checkpoint.rsplit_once("— ").unwrap();
    let (name, signature) = signature.split_once(' ').unwrap();
    // Within the 64 bytes, in the middle of the base64.
    let mut characters: Vec<char> = signature.chars().collect();
    characters[40] = if characters[40] == 'A' { 'B' } else { 'A' };
    let signature: String = characters.into_iter().collect();
    let checkpoint = format!("{note}— {name} {signature}");
    vec![
        ("signature-invalid", with_entry(good, |item| *item.statement.last_mut().unwrap() ^= 1)),
        (
            "statement-malformed",
            with_entry(good, |item| item.statement.truncate(item.statement.len() - 1)),
        ),
        ("key-not-valid-here", signed_as("SG")),
        ("issuer-mismatch", signed_as("AU")),
        ("not-included", with_entry(good, |item| item.proof.truncate(item.proof.len() - 1))),
        ("checkpoint-invalid", Announcement { checkpoint, ..good.clone() }),
        ("checkpoint-invalid", Announcement { log: "AU".parse().unwrap(), ..good.clone() }),
    ]
}

fn refusal(answer: &[u8]) -> String {
    match Response::from_bytes(answer).unwrap() {
        Response::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_forged_or_truncated_message_over_a_real_socket_is_refused_and_nothing_is_lost() {
    let mut world = World::new();
    for member in ["ID", "SG"] {
        world.node_mut(member).start();
    }
    world.meet();
    let mut liar = Liar::in_place_of(&world, "AU");
    let own = world.node("ID").publish(SUBSTANCES, &numbered("L-1"));
    world.delivered("ID", own["id"].as_str().unwrap(), "SG");
    let heard = world.node("SG").publish(SUBSTANCES, &numbered("L-2"));
    world.node("ID").record(heard["id"].as_str().unwrap());
    let good = liar.hear(|bytes| {
        let message = Announcement::from_bytes(bytes).ok()?;
        (message.log.as_str() == "SG" && !message.items.is_empty()).then_some(message)
    });
    let node = world.node("ID");
    let before = (node.size(), node.records(), node.peer("SG")["mirrored"].clone());
    let mut rejected = node.metric("sealwire_messages_rejected_total");
    let mut counted = |what: &str| {
        rejected += 1;
        until(&format!("rejection of {what}"), || {
            let found = node.metric("sealwire_messages_rejected_total");
            if found == rejected { Ok(()) } else { Err(format!("{found} of {rejected}")) }
        });
    };

    let (topic, bytes) = (liar.topic(SUBSTANCES), good.to_bytes());
    for length in [1, bytes.len() / 2, bytes.len() - 1] {
        liar.publish(&topic, &bytes[..length]);
        counted("a truncated message");
    }
    for (code, message) in forged(&good, &world.node("AU").dir().join("keys")) {
        liar.publish(&topic, &message.to_bytes());
        counted(code);
        let answer = liar.request(node, &Request::Push(message).to_bytes());
        assert_eq!(refusal(&answer), code);
    }
    // What is for one community is handed on to no other, nor to the federation.
    let federation = topic.trim_end_matches(&format!("/{SUBSTANCES}")).to_owned();
    for elsewhere in [liar.topic(SEIZURES), federation] {
        liar.publish(&elsewhere, &bytes);
        counted("an entry on another topic");
    }
    let head = Request::Head("ID".parse().unwrap()).to_bytes();
    for length in [0, 1, head.len() - 1] {
        assert_eq!(refusal(&liar.request(node, &head[..length])), "request-malformed");
        counted("a truncated request");
    }
    let Response::Head(note) = Response::from_bytes(&liar.request(node, &head)).unwrap() else {
        panic!("no head of a log that anybody may see")
    };
    let cosigned = Request::Cosigned { note }.to_bytes();
    assert_eq!(refusal(&liar.request(node, &cosigned)), "cosignature-invalid");

    node.get("/readyz").with(200);
    assert_eq!((node.size(), node.records(), node.peer("SG")["mirrored"].clone()), before);
    let seen = node.peer("AU");
    assert_eq!((&seen["mirrored"], &seen["cosigned_ours"]), (&json!(0), &json!(0)), "{seen}");
    assert_eq!(node.metric("sealwire_alarms_total"), 0, "no log was taken to contradict itself");

    liar.leave();
    world.node_mut("AU").start();
    for (from, to, reference) in [("ID", "SG", "L-3"), ("SG", "ID", "L-4"), ("AU", "ID", "L-5")] {
        let published = world.node(from).publish(SUBSTANCES, &numbered(reference));
        world.delivered(from, published["id"].as_str().unwrap(), to);
    }
    world.meet();
    world.audited("ID");
}

/// Audits a data directory: what is said is good if the exit code is the wanted one.
fn audit(data: &Path, trust: &Path, wanted: i32) -> Result<String, String> {
    let output = run(&["audit", "verify", text(data), "--trust", text(trust)]);
    if output.status.code() == Some(wanted) { Ok(said(&output)) } else { Err(said(&output)) }
}

/// Copies what an auditor gets of a member, once all others have cosigned it.
fn copy_for_audit(world: &World, member: &str, name: &str) -> PathBuf {
    world.meet();
    world.audited(member);
    let copy = world.dir().join(name);
    copy_dir(&world.node(member).data(), &copy);
    copy
}

#[test]
fn an_auditor_with_an_earlier_checkpoint_refutes_a_log_that_was_cut_back_or_made_anew() {
    let world = World::started();
    for reference in ["C-1", "C-2"] {
        world.node("ID").publish(SUBSTANCES, &numbered(reference));
    }
    let first = copy_for_audit(&world, "ID", "first");
    world.node("ID").publish(SUBSTANCES, &numbered("C-3"));
    let second = copy_for_audit(&world, "ID", "second");
    let kept = fs::read_to_string(second.join("logs/ID/checkpoint")).unwrap();
    world.node("ID").publish(SUBSTANCES, &numbered("C-4"));
    let third = copy_for_audit(&world, "ID", "third");

    let trust = world.trust("ID");
    audit(&first, &trust, 0).expect("a good log, as far as one without memory can tell");
    let remembered =
        format!("{}checkpoint = {}\n", fs::read_to_string(&trust).unwrap(), json!(kept));
    fs::write(&trust, remembered).unwrap();
    for grown in [&second, &third] {
        audit(grown, &trust, 0).expect("a log that has grown");
    }
    let why = audit(&first, &trust, 1).expect("a log that was cut back");
    assert!(why.contains("entries before and has"), "{why}");

    // The same names, the same records, other keys.
    let anew = World::started();
    for reference in ["C-1", "C-2", "C-3", "C-4"] {
        anew.node("ID").publish(SUBSTANCES, &numbered(reference));
    }
    let other = copy_for_audit(&anew, "ID", "other");
    let why = audit(&other, &trust, 1).expect("another federation of the same name");
    assert!(why.contains("another federation, or a register regenerated"), "{why}");
    // And the log alone exchanged, under the register that the auditor knows.
    let exchanged = world.dir().join("exchanged");
    copy_dir(&third, &exchanged);
    fs::remove_dir_all(exchanged.join("logs/ID")).unwrap();
    copy_dir(&other.join("logs/ID"), &exchanged.join("logs/ID"));
    let why = audit(&exchanged, &trust, 1).expect("a log under other keys");
    assert!(why.contains("REFUTED"), "{why}");
}

#[test]
fn a_cloned_machine_is_found_out_with_evidence_and_every_member_stops_its_log() {
    let mut world = World::started();
    let before = world.node("ID").publish(SUBSTANCES, &numbered("F-1"));
    world.delivered("ID", before["id"].as_str().unwrap(), "SG");
    world.meet();
    world.node_mut("ID").stop();
    let home = world.dir().join("clone");
    // With the modes of the key files, as the copy of a disk has them.
    let copied = Command::new("cp").arg("-a").args([world.node("ID").dir(), &home]).status();
    assert!(copied.unwrap().success());
    world.node_mut("ID").start();
    let original = world.node("ID").publish(SUBSTANCES, &numbered("F-2"));
    for member in ["SG", "AU"] {
        world.delivered("ID", original["id"].as_str().unwrap(), member);
        world.node_mut(member).stop();
    }
    world.node_mut("ID").stop();

    // The copy runs alone, knows nothing of the second record, and signs another.
    let mut clone = world.node("ID").at(home);
    clone.start();
    let other = clone.publish(SUBSTANCES, &numbered("F-3"));
    assert_eq!(other["index"], original["index"]);
    for member in ["SG", "AU"] {
        world.node_mut(member).start();
    }
    let body = json!({"community": SUBSTANCES, "record": numbered("F-4")}).to_string();
    until("the copy to sign no more", || {
        let answer = clone.post(body.as_bytes(), None);
        let stopped = answer.status == 503 && answer.text.contains("another history");
        if stopped { Ok(()) } else { Err(answer.text) }
    });
    for member in ["SG", "AU"] {
        let stopped = |node: &Node| {
            until(&format!("{member} to stop the log"), || {
                let peer = node.peer("ID");
                if peer["stopped"] == true { Ok(()) } else { Err(peer.to_string()) }
            });
        };
        stopped(world.node(member));
        let kept = world.node(member).data().join("evidence/ID.json");
        let versions = world.node(member).data().join("register");
        let verify = |file: &Path| {
            let arguments = ["evidence", text(file), "--register", text(&versions)];
            let output = Command::new(program("sealwire-audit"))
                .args(arguments)
                .args(["--trust", text(&world.trust("ID"))])
                .output()
                .unwrap();
            (output.status.code(), said(&output))
        };
        let (code, why) = verify(&kept);
        assert_eq!(code, Some(0), "{why}");
        // What accuses nobody: the same note twice.
        let evidence: Value = serde_json::from_str(&fs::read_to_string(&kept).unwrap()).unwrap();
        let mut harmless = evidence.clone();
        harmless["smaller"] = evidence["larger"].clone();
        let file = world.dir().join("harmless.json");
        fs::write(&file, harmless.to_string()).unwrap();
        let (code, why) = verify(&file);
        assert_eq!(code, Some(1), "{why}");
        // For good: also after a restart.
        world.node_mut(member).stop();
        world.node_mut(member).start();
        stopped(world.node(member));
    }
}

#[test]
fn members_that_were_shown_two_histories_prove_the_fork_without_its_owner() {
    let mut world = World::started();
    world.meet();
    world.node_mut("ID").stop();
    let home = world.dir().join("clone");
    let copied = Command::new("cp").arg("-a").args([world.node("ID").dir(), &home]).status();
    assert!(copied.unwrap().success());
    // One history for SG alone, and a longer one for AU alone.
    world.node_mut("AU").stop();
    world.node_mut("ID").start();
    let one = world.node("ID").publish(SUBSTANCES, &numbered("P-1"));
    world.delivered("ID", one["id"].as_str().unwrap(), "SG");
    for member in ["ID", "SG"] {
        world.node_mut(member).stop();
    }
    world.node_mut("AU").start();
    let mut clone = world.node("ID").at(home);
    clone.start();
    let mut other = Value::Null;
    for reference in ["P-2", "P-3"] {
        other = clone.publish(SUBSTANCES, &numbered(reference));
    }
    let size = other["size"].clone();
    until("both at AU", || {
        let peer = world.node("AU").peer("ID");
        if peer["mirrored"] == size { Ok(()) } else { Err(peer.to_string()) }
    });
    clone.kill();

    // Nobody speaks for the owner; SG pulls from AU what does not continue what it holds.
    world.node_mut("SG").start();
    for member in ["SG", "AU"] {
        until(&format!("evidence at {member}"), || {
            let peer = world.node(member).peer("ID");
            let kept = world.node(member).data().join("evidence/ID.json");
            let proved = peer["stopped"] == true && kept.exists();
            if proved { Ok(()) } else { Err(peer.to_string()) }
        });
    }
    let kept = world.node("SG").data().join("evidence/ID.json");
    let output = Command::new(program("sealwire-audit"))
        .args(["evidence", text(&kept), "--trust", text(&world.trust("ID"))])
        .args(["--register", text(&world.node("SG").data().join("register"))])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // A backup keeps what would be lost with the disk.
    let (backup, config) = (world.dir().join("backup"), world.node("SG").config());
    done(&["backup", "--config", text(&config), "--out", text(&backup)]);
    assert_eq!(fs::read(backup.join("data/evidence/ID.json")).unwrap(), fs::read(&kept).unwrap());
}

#[test]
fn cosignatures_go_to_the_owner_alone_and_never_into_gossip() {
    let mut world = World::started();
    world.node_mut("AU").stop();
    let mut listener = Liar::in_place_of(&world, "AU");
    until("a cosignature of SG with ML-DSA-44", || {
        let peer = world.node("ID").peer("SG");
        if peer["cosigned_ours_pq"].as_u64() > Some(0) { Ok(()) } else { Err(peer.to_string()) }
    });
    for reference in ["G-1", "G-2", "G-3"] {
        let published = world.node("ID").publish(SUBSTANCES, &numbered(reference));
        world.delivered("ID", published["id"].as_str().unwrap(), "SG");
        let note = listener.hear(|bytes| {
            let message = Announcement::from_bytes(bytes).ok()?;
            (message.log.as_str() == "ID").then_some(message.checkpoint)
        });
        let note = Note::parse(note.as_bytes()).unwrap();
        assert_eq!(note.signatures().len(), 1, "the log's own alone: {note}");
    }
    listener.leave();
}

#[test]
fn a_statement_that_its_member_logs_again_is_quarantined() {
    let mut world = World::new();
    for member in ["ID", "SG"] {
        world.node_mut(member).start();
    }
    world.meet();
    let mut liar = Liar::in_place_of(&world, "AU");
    world.node("SG").publish(SUBSTANCES, &numbered("T-1"));
    let heard = liar.hear(|bytes| {
        let items = Announcement::from_bytes(bytes).ok()?.items;
        items.iter().find_map(|item| Statement::parse(&item.statement).ok())
    });
    let keys = world.node("AU").dir().join("keys");
    let key = |name: &str| SigningKey::from_bytes(&seed(&keys.join(name)));
    let claims = Claims { issuer: "AU".parse().unwrap(), ..heard.claims().clone() };
    // One without parts, so that nothing of it is waited for.
    let body = Body::Register(RegisterManifest { version: 1, digest: Digest::of(b"a register") });
    let manifest = Manifest { body, ..heard.manifest().clone() };
    let statement = sign(&key("sign.key"), claims, manifest).unwrap();
    let leaf = leaf_hash(&leaf_data(&Digest::of(statement.bytes())));
    // All leaves are the same, so that a tree of a power of two of them proves each by one path.
    let push = |size: u64, indexes: std::ops::Range<u64>| {
        let (mut tree, mut proof) = (Frontier::new(), Vec::new());
        (0..size).for_each(|_| {
            proof.extend(tree.size().is_power_of_two().then(|| tree.root()));
            tree.push(leaf);
        });
        let origin = "test.sealwire.example/AU".to_owned();
        let head = Checkpoint { origin, size, root: tree.root() };
        let item = |index| Item {
            index,
            statement: statement.bytes().to_vec(),
            proof: proof.clone(),
            sealed: [].into(),
        };
        let items = indexes.map(item).collect();
        let checkpoint = checkpoint::sign(&head, &key("log.key")).to_string();
        let message = Announcement { log: "AU".parse().unwrap(), checkpoint, items };
        let answer = liar.request(world.node("ID"), &Request::Push(message).to_bytes());
        let answer = Response::from_bytes(&answer).unwrap();
        assert!(matches!(answer, Response::Taken), "{answer:?}");
    };
    let file = world.node("ID").data().join("logs/AU/outcomes");
    let quarantined = || {
        let bytes = fs::read(&file).map_err(|e| e.to_string())?;
        let (mut rest, mut found) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            match Outcome::next(&mut rest).map_err(|e| e.to_string())? {
                Outcome::Quarantined { index, code } => found.push((index, code)),
                other => panic!("{other:?}"),
            }
        }
        Ok::<_, String>(found)
    };
    let repeated = [1, 2, 3].map(|index| (index, "duplicate-content".to_owned()));
    // Each is checked while the one before may still be on its way to the disk.
    push(1, 0..1);
    push(2, 1..2);
    push(4, 2..4);
    until("each repetition in quarantine, in messages of their own and within one", || {
        push(4, 0..4);
        let found = quarantined()?;
        if found == repeated { Ok(()) } else { Err(format!("{found:?}")) }
    });
    liar.leave();
}
