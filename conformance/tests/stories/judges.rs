//! The programs of others judge logs that real nodes have just written.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sealwire_wire::id::MemberId;
use sealwire_wire::note::{PublicKey, VerifierKey};
use sealwire_wire::register::Register;

use crate::world::{SUBSTANCES, World, numbered, run, said, text, until};

/// So many that the log has a full tile and a partial one.
const RECORDS: usize = 260;

/// A tool that conformance/test.sh makes.
fn tool(variable: &str) -> PathBuf {
    let hint = "hint: bash conformance/test.sh makes it, and sets the variable";
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("no {variable}\n{hint}"));
    PathBuf::from(path)
}

fn judged(command: &mut Command) {
    let output = command.output().unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
    let verdict = String::from_utf8_lossy(&output.stdout);
    let verdict = verdict.lines().last().unwrap_or_default();
    let good = verdict.ends_with(" passed, 0 failed") && !verdict.starts_with('0');
    assert!(output.status.success() && good, "{command:?}: {}", said(&output));
}

#[test]
fn programs_of_others_verify_what_the_nodes_have_written() {
    let world = World::started();
    let node = world.node("ID");
    let mut last = String::new();
    for number in 0..RECORDS {
        let published = node.publish(SUBSTANCES, &numbered(&format!("J-{number}")));
        published["id"].as_str().unwrap().clone_into(&mut last);
    }
    for member in ["SG", "AU"] {
        world.delivered("ID", &last, member);
    }
    world.audited("ID");
    let register = fs::read(node.dir().join("register.json")).unwrap();
    let register = Register::trust_first(&register, None).unwrap();
    let id: MemberId = "ID".parse().unwrap();
    let key = register.member(&id).unwrap().log_key().unwrap();
    let name = format!("{}/{id}", register.federation());
    let vkey = VerifierKey { name, public: PublicKey::Ed25519(key.public) }.to_string();
    // The log at its owner's, and as another member mirrors it.
    for member in ["ID", "SG"] {
        let log = world.node(member).data().join("logs/ID");
        until(&format!("written files of ID at {member}"), || {
            let note = fs::read_to_string(log.join("checkpoint")).map_err(|e| e.to_string())?;
            let size = note.lines().nth(1).unwrap_or_default();
            // The log's own signature, and from each cosigner one of Ed25519 and one of ML-DSA-44.
            let lines = if member == "ID" { 1 + 2 * 2 } else { 1 + 2 };
            let whole = note.lines().filter(|line| line.starts_with('\u{2014}')).count() == lines;
            if size == node.size().to_string() && whole { Ok(()) } else { Err(note) }
        });
        judged(Command::new(tool("SEALWIRE_JUDGE")).args([text(&log), &vkey]));
        let live = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("second/judge/live.py");
        let data = world.node(member).data();
        judged(Command::new(tool("SEALWIRE_PYTHON")).args([text(&live), text(&data), "ID"]));
    }
    // The auditor's own program counts both kinds, and asks for as many as it is told to.
    let trust = fs::read_to_string(world.trust("ID")).unwrap();
    for (wanted, code) in [(2, Some(0)), (3, Some(2))] {
        let file = world.dir().join(format!("pq-{wanted}.toml"));
        fs::write(&file, format!("{trust}witnesses-pq = {wanted}\n")).unwrap();
        let data = node.data();
        let audit = run(&["--json", "audit", "verify", text(&data), "--trust", text(&file)]);
        assert_eq!(audit.status.code(), code, "{}", said(&audit));
        assert!(said(&audit).contains("2 with ML-DSA-44"), "{}", said(&audit));
    }
}
