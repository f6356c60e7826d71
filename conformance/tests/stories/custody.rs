//! What rests on disks: backups that serve, nothing in clear that must not be, logs that an
//! auditor can check alone.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::world::{
    SUBSTANCES, World, copy_dir, done, files, lab_alert, numbered, program, run, said, text,
};

#[test]
fn a_backup_of_a_running_node_serves_in_a_new_place() {
    let mut world = World::new();
    world.node_mut("ID").cover();
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    for reference in ["B-1", "B-2"] {
        let id = world.node("ID").publish(SUBSTANCES, &numbered(reference))["id"].clone();
        world.delivered("ID", id.as_str().unwrap(), "SG");
    }
    world.meet();
    let node = world.node("ID");
    let (before, size) = (node.records(), node.size());
    let backup = world.dir().join("backup");
    let config = node.config();
    let made = done(&["backup", "--config", text(&config), "--out", text(&backup), "--with-keys"]);
    assert_eq!(made["tree_size"], size, "{made}");
    world.node_mut("ID").kill();

    let home = world.dir().join("new-id");
    fs::create_dir(&home).unwrap();
    for file in ["sealwire.toml", "register.json", "operator.token"] {
        fs::copy(world.node("ID").dir().join(file), home.join(file)).unwrap();
    }
    let mut restored = world.node("ID").at(home);
    let config = restored.config();
    let report = done(&["restore", text(&backup), "--config", text(&config), "--with-keys"]);
    assert_eq!(report["tree_size"], size, "{report}");
    restored.start();
    assert_eq!(restored.size(), size);
    assert_eq!(restored.records(), before);
    let next = restored.publish(SUBSTANCES, &numbered("B-3"));
    let id = next["id"].as_str().unwrap();
    assert_eq!(world.node("AU").record(id)["index"], next["index"]);
}

#[test]
fn what_is_above_core_never_rests_in_clear() {
    const CANARY: &str = "Qvxjz Canary-Person";
    let world = World::started();
    let mut record = lab_alert();
    record["person"][0]["name"] = json!(CANARY);
    let body = json!({"community": SUBSTANCES, "record": record,
                      "audiences": {"nominal": ["SG"], "operational": ["SG"]}});
    let published = world.node("ID").post(body.to_string().as_bytes(), None).with(201);
    let id = published["id"].as_str().unwrap();
    for member in ["ID", "SG"] {
        let view = world.node(member).record(id);
        assert_eq!(view["record"]["person"][0]["name"], CANARY, "{view}");
    }
    assert!(!world.node("AU").record(id).to_string().contains(CANARY));
    // A refused record must not come to rest either.
    record["issueDate"] = json!("yesterday");
    let body = json!({"community": SUBSTANCES, "record": record});
    world.node("ID").post(body.to_string().as_bytes(), None).with(422);
    world.delivered("ID", id, "SG");
    let backup = world.dir().join("id/backup");
    let config = world.node("ID").config();
    done(&["backup", "--config", text(&config), "--out", text(&backup)]);

    let mut searched = 0;
    for member in ["ID", "SG", "AU"] {
        for file in files(world.node(member).dir()) {
            // The log files follow the node, which runs: one may have given way to a larger one.
            let bytes = match fs::read(&file) {
                Err(cause) if cause.kind() == ErrorKind::NotFound => continue,
                bytes => bytes.unwrap(),
            };
            searched += bytes.len();
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "in clear in {}", file.display());
        }
    }
    assert!(searched > 10_000);
}

fn audit(program: &Path, before: &[&str], data: &Path, trust: Option<&Path>) -> (i32, String) {
    let mut command = Command::new(program);
    command.args(before).arg("verify").arg(data);
    if let Some(trust) = trust {
        command.arg("--trust").arg(trust);
    }
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), said(&output))
}

#[test]
fn an_audit_verifies_refutes_or_cannot_decide() {
    let world = World::started();
    let published = world.node("ID").publish(SUBSTANCES, &numbered("V-1"));
    for member in ["SG", "AU"] {
        world.delivered("ID", published["id"].as_str().unwrap(), member);
    }
    world.audited("ID");
    let (trust, data) = (world.trust("ID"), world.dir().join("copy"));
    copy_dir(&world.node("ID").data(), &data);
    let both = [(program("sealwire"), &["audit"][..]), (program("sealwire-audit"), &[])];
    for (program, before) in &both {
        let (code, said) = audit(program, before, &data, Some(&trust));
        assert_eq!(code, 0, "{said}");
        let (code, said) = audit(program, before, &data, None);
        assert_eq!(code, 2, "{said}");
        let (code, said) = audit(program, before, &data, Some(&world.dir().join("none.toml")));
        assert_eq!(code, 2, "{said}");
    }
    let output = run(&["--json", "audit", "verify", text(&data), "--trust", text(&trust)]);
    assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap().is_object());

    let log = data.join("logs").join("ID");
    let checkpoint = log.join("checkpoint");
    let note = fs::read_to_string(&checkpoint).unwrap();
    let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
    assert_eq!(size, world.node("ID").size());
    let statements = log.join("statement").join("000");
    let entry = published["index"].as_u64().unwrap();
    // Within the root hash, the tiles, and the start of each statement: what is signed. A sealed
    // part is committed to as plaintext, so that its ciphertext is the matter of who opens it.
    let mut spoilt = vec![
        (checkpoint, note.find('\n').unwrap() + 4),
        (log.join(format!("tile/0/000.p/{size}")), 40),
        (log.join(format!("tile/entries/000.p/{size}")), 40),
        (statements.clone(), 100),
    ];
    let bytes = fs::read(&statements).unwrap();
    let id = published["id"].as_str().unwrap();
    let subject = bytes.windows(id.len()).rposition(|window| window == id.as_bytes());
    spoilt.push((statements.clone(), subject.expect("the signed record id")));
    let open = b"2020-12-08";
    let disclosed = bytes.windows(open.len()).rposition(|window| window == open);
    spoilt.push((statements, disclosed.expect("an opened core field")));
    for (file, at) in spoilt {
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        for (program, before) in &both {
            let (code, said) = audit(program, before, &data, Some(&trust));
            let place = format!("entry {entry}, byte {at} of {}", file.display());
            assert_eq!(code, 1, "{place}: {said}");
            assert!(said.contains("REFUTED") && !said.contains("panicked"), "{place}: {said}");
        }
        fs::write(&file, &good).unwrap();
    }
    let (code, said) = audit(&both[0].0, both[0].1, &data, Some(&trust));
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_receipt_is_verified_alone_and_a_forged_one_is_refuted() {
    let world = World::started();
    let first = world.node("ID").publish(SUBSTANCES, &numbered("R-1"));
    let second = world.node("ID").publish(SUBSTANCES, &numbered("R-2"));
    let [first, second] = [&first, &second].map(|published| published["id"].as_str().unwrap());
    for member in ["SG", "AU"] {
        world.delivered("ID", first, member);
        world.delivered("ID", second, member);
    }
    let (node, trust) = (world.node("ID"), world.trust("ID"));
    let config = node.config();
    let receipt = |id: &str, name: &str| {
        let file = world.dir().join(name);
        let written = run(&["receipt", id, "--config", text(&config), "--out", text(&file)]);
        assert!(written.status.success(), "{}", said(&written));
        file
    };
    // What an auditor takes along: the receipt, the register's versions, the trust file.
    let versions = world.dir().join("versions");
    fs::create_dir(&versions).unwrap();
    fs::copy(node.dir().join("register.json"), versions.join("1.root.json")).unwrap();
    let verify = |file: &Path, versions: &Path| {
        let (register, trust) = (text(versions), text(&trust));
        let output = Command::new(program("sealwire-audit"))
            .args(["--json", "receipt", text(file), "--register", register, "--trust", trust])
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), report)
    };
    let good = receipt(first, "first.receipt");
    let (code, report) = verify(&good, &versions);
    assert_eq!(code, 0, "{report}");
    let detail = |number: usize| report["steps"][number - 1]["detail"].as_str().unwrap();
    assert!(detail(6).contains(first) && detail(6).contains("lab-alert"), "{report}");
    assert!(detail(7).starts_with("2 cosigned"), "{report}");
    assert!(!report["not_proved"].as_array().unwrap().is_empty());

    // The same for programs that read COSE; any byte changed refutes it.
    let cose = world.dir().join("first.cose");
    let export = ["receipt", first, "--cose", "--config", text(&config), "--out", text(&cose)];
    assert!(run(&export).status.success());
    let (code, report) = verify(&cose, &versions);
    assert_eq!(code, 0, "{report}");
    let bytes = fs::read(&cose).unwrap();
    for at in [3, bytes.len() / 4, bytes.len() / 2, bytes.len() - 20] {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1;
        fs::write(&cose, &spoilt).unwrap();
        let (code, report) = verify(&cose, &versions);
        assert_eq!(code, 1, "byte {at}: {report}");
    }
    let foreign = world.node("SG").get(&format!("/v1/records/{first}/cose-receipt"));
    assert_eq!(foreign.with(409)["code"], "not-ours");

    // The same as a page: everything in it, nothing from elsewhere, and never over another file.
    let page = world.dir().join("report.html");
    for wanted in [0, 2] {
        let output = Command::new(program("sealwire-audit"))
            .args(["receipt", text(&good), "--register", text(&versions), "--trust", text(&trust)])
            .args(["--html", text(&page)])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(wanted), "{}", said(&output));
    }
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("VERIFIED") && page.contains(first) && page.contains("does not prove"));
    assert!(!page.contains("src=") && !page.contains("href="), "{page}");

    let proof = fs::read_to_string(&good).unwrap();
    let other = fs::read_to_string(receipt(second, "second.receipt")).unwrap();
    let line = |text: &str, start: &str| {
        text.lines().find(|line| line.starts_with(start)).unwrap().to_owned()
    };
    let cosigned = |member: &str| line(&proof, &format!("— test.sealwire.example/{member} "));
    for (why, forged, expected) in [
        ("another statement", proof.replace(&line(&proof, "extra "), &line(&other, "extra ")), 1),
        ("another index", proof.replace(&line(&proof, "index "), &line(&other, "index ")), 1),
        ("another checkpoint size", proof.replacen(".example/ID\n", ".example/ID\n9", 1), 1),
        ("no statement", proof.replace(&format!("{}\n", line(&proof, "extra ")), ""), 2),
        ("a cosignature less", proof.replace(&format!("{}\n", cosigned("SG")), ""), 2),
        ("half of it", proof[..proof.len() / 2].to_owned(), 1),
    ] {
        assert_ne!(forged, proof, "{why}");
        let file = world.dir().join("forged.receipt");
        fs::write(&file, forged).unwrap();
        let (code, report) = verify(&file, &versions);
        assert_eq!(code, expected, "{why}: {report}");
    }
    let (code, report) = verify(&good, &world.dir().join("nowhere"));
    assert_eq!(code, 2, "{report}");
    let stranger = World::new();
    let register = stranger.node("ID").dir().join("register.json");
    fs::copy(register, versions.join("1.root.json")).unwrap();
    let (code, report) = verify(&good, &versions);
    assert_eq!(code, 1, "{report}");
}
