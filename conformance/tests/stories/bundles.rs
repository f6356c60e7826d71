//! What an auditor takes away in one file, and what two members' files say of each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ed25519_dalek::SigningKey;
use sealwire_wire::bundle::{Element, Held, Outcome};
use sealwire_wire::id::RecordId;
use sealwire_wire::statement::{Claims, Denial};
use serde_json::{Value, json};

use crate::world::{SUBSTANCES, World, numbered, program, said, sealwire, seed, text, until};

/// Exports the bundle of a member.
fn export(world: &World, member: &str, name: &str, args: &[&str]) -> (PathBuf, Output) {
    let out = world.node(member).dir().join(name);
    let config = world.node(member).config();
    let output = sealwire()
        .args(["--json", "audit", "export", "--config", text(&config), "--out", text(&out)])
        .args(args)
        .output()
        .unwrap();
    (out, output)
}

fn exported(world: &World, member: &str, name: &str, args: &[&str]) -> (PathBuf, Value) {
    let (path, output) = export(world, member, name, args);
    assert!(output.status.success(), "{}", said(&output));
    (path, serde_json::from_slice(&output.stdout).unwrap())
}

/// Exit code and report of the auditor's program.
fn audit(args: &[&str], trust: &Path) -> (i32, Value) {
    let output = Command::new(program("sealwire-audit"))
        .arg("--json")
        .args(args)
        .args(["--trust", text(trust)])
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().unwrap(), report)
}

fn step<'a>(report: &'a Value, name: &str) -> &'a str {
    let steps = report["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name);
    step.unwrap_or_else(|| panic!("no step {name} in {report:#}"))["detail"].as_str().unwrap()
}

#[test]
fn bundles_of_two_members_are_verified_apart_and_agree_on_what_was_sent() {
    let world = World::started();
    let node = world.node("ID");
    let mut last = String::new();
    for number in 0..4 {
        let published = node.publish(SUBSTANCES, &numbered(&format!("B-{number}")));
        published["id"].as_str().unwrap().clone_into(&mut last);
    }
    // One that AU must not see: its owner's signed answer is in AU's bundle.
    let named = json!({"community": SUBSTANCES, "record": numbered("B-named"), "to": ["SG"]});
    let hidden = node.post(named.to_string().as_bytes(), None).with(201);
    let hidden = hidden["index"].as_u64().unwrap();
    node.publish(SUBSTANCES, &numbered("B-last"))["id"].as_str().unwrap().clone_into(&mut last);
    world.node("SG").publish(SUBSTANCES, &numbered("B-back"));
    for member in ["SG", "AU"] {
        world.delivered("ID", &last, member);
    }
    let size = node.size();
    for member in ["ID", "SG", "AU"] {
        until(&format!("written files of ID at {member}"), || {
            let path = world.node(member).data().join("logs/ID/checkpoint");
            let note = fs::read_to_string(path).map_err(|e| e.to_string())?;
            let cosigned = ["SG", "AU"].iter().all(|by| note.contains(&format!("/{by} ")));
            let whole = note.lines().nth(1) == Some(&size.to_string());
            if whole && (member != "ID" || cosigned) { Ok(()) } else { Err(note) }
        });
    }
    let trust = |member| world.trust(member);

    let (whole, report) = exported(&world, "ID", "whole.tar", &["--with-parts"]);
    assert_eq!(report["manifest"]["size"], size);
    let (again, other) = exported(&world, "ID", "again.tar", &["--with-parts"]);
    assert_eq!(report["sha256"], other["sha256"], "the same data give the same bytes");
    assert_eq!(fs::read(&whole).unwrap(), fs::read(&again).unwrap());
    let (code, verdict) = audit(&["verify", text(&whole)], &trust("ID"));
    assert_eq!(code, 0, "{verdict:#}");
    assert!(step(&verdict, "other logs").contains("SG size"), "{verdict:#}");

    // A range without parts.
    let to = (size - 1).to_string();
    let (range, report) = exported(&world, "ID", "range.tar", &["--from", "1", "--to", &to]);
    assert_eq!(report["manifest"]["from"], 1);
    let (code, verdict) = audit(&["verify", text(&range)], &trust("ID"));
    assert_eq!(code, 0, "{verdict:#}");
    assert!(step(&verdict, "entries").contains(&format!("entries 1 to {to} of {size}")));
    assert!(step(&verdict, "parts").contains("left out of the bundle"), "{verdict:#}");
    let none = exported(&world, "ID", "none.tar", &["--from", "2200-01-01"]).1;
    assert_eq!(none["manifest"]["from"], size);
    let (_, refused) = export(&world, "ID", "bad.tar", &["--from", "2", "--to", "1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));

    // Broken off, and gone on with.
    let bytes = fs::read(&whole).unwrap();
    let partial = node.dir().join("resumed.tar.partial");
    fs::write(&partial, &bytes[..bytes.len() / 2]).unwrap();
    let (resumed, report) = exported(&world, "ID", "resumed.tar", &["--with-parts"]);
    assert!(report["resumed"].as_u64().unwrap() > 3, "{report:#}");
    assert_eq!(fs::read(&resumed).unwrap(), bytes);
    fs::write(node.dir().join("other.tar.partial"), &bytes[..bytes.len() / 2]).unwrap();
    let (_, refused) = export(&world, "ID", "other.tar", &["--from", "1", "--with-parts"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));

    // What ID says it sent against what each of the others says it got, both directions.
    let bundles = ["SG", "AU"].map(|member| exported(&world, member, "all.tar", &[]).0);
    for (member, bundle) in ["SG", "AU"].iter().zip(&bundles) {
        let args = ["reconcile", text(&whole), text(bundle)];
        let (code, verdict) = audit(&args, &trust("ID"));
        assert_eq!(code, 0, "{verdict:#}");
        let forth = step(&verdict, "first to second");
        assert!(forth.starts_with(&format!("ID sent {member} ")), "{forth}");
        let back = step(&verdict, "second to first");
        assert!(back.starts_with(&format!("{member} sent ID ")), "{back}");
    }
    let (code, verdict) = audit(&["reconcile", text(&whole), text(&again)], &trust("ID"));
    assert_eq!(code, 2, "{verdict:#}");

    // A holding that was never sent, and one that is gone although it was cosigned.
    let [sg, au] = &bundles;
    let unpacked = |bundle: &Path| {
        let dir = tempfile::tempdir().unwrap();
        let args = ["-xf", text(bundle), "-C", text(dir.path())];
        assert!(Command::new("tar").args(args).status().unwrap().success());
        dir
    };
    let held = |dir: &Path, change: &dyn Fn(u64) -> bool| {
        let mut held = Held::default();
        (0..size).filter(|index| change(*index)).for_each(|index| assert!(held.push(index)));
        fs::write(dir.join("logs/ID/held"), held.to_bytes()).unwrap();
        audit(&["reconcile", text(&whole), text(dir)], &trust("ID"))
    };
    let leaked = unpacked(au);
    let (code, verdict) = held(leaked.path(), &|_| true);
    let finding = format!("entry {hidden} is held and is not addressed to AU");
    assert_eq!(
        (code, step(&verdict, "first to second").contains(&finding)),
        (1, true),
        "{verdict:#}"
    );
    let gone = unpacked(sg);
    let (code, verdict) = held(gone.path(), &|index| index != hidden);
    let finding = format!("SG cosigned that it has entry {hidden}");
    assert_eq!(
        (code, step(&verdict, "first to second").contains(&finding)),
        (1, true),
        "{verdict:#}"
    );

    // An answer signed by ID, that an entry which was for SG was not.
    let denied = unpacked(sg);
    let outcomes = denied.path().join("logs/ID/outcomes");
    let mut kept = fs::read(&outcomes).unwrap_or_default();
    kept.extend(denial(&node.dir().join("keys/sign.key"), "SG", hidden).to_bytes());
    fs::write(&outcomes, kept).unwrap();
    let args = ["reconcile", text(&whole), text(denied.path())];
    let (code, verdict) = audit(&args, &trust("ID"));
    let finding = format!("ID signed that entry {hidden} is not addressed to SG, and it is");
    assert_eq!(
        (code, step(&verdict, "first to second").contains(&finding)),
        (1, true),
        "{verdict:#}"
    );

    let dir = unpacked(&whole);
    let file = dir.path().join("logs/ID/statement/000");
    let written = fs::read(&file).unwrap();
    for (what, bytes) in rearranged(&written) {
        fs::write(&file, bytes).unwrap();
        let (code, verdict) = audit(&["verify", text(dir.path())], &trust("ID"));
        assert_eq!(code, 1, "{what}: {verdict:#}");
    }
    fs::write(&file, &written).unwrap();
    let (code, verdict) = audit(&["verify", text(dir.path())], &trust("ID"));
    assert_eq!(code, 0, "as it was written: {verdict:#}");

    // Nothing that somebody changed in it passes, and nothing makes the auditor's program fall.
    let (code, verdict) = audit(&["verify", text(&whole)], &trust("SG"));
    assert_eq!(code, 2, "of SG's log a bundle of ID has the hashes alone: {verdict:#}");
    let spoilt = node.dir().join("spoilt.tar");
    let content = (0..bytes.len()).filter(|at| file_at(&bytes, *at).is_some());
    for at in content.step_by(bytes.len() / 40) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(&spoilt, &changed).unwrap();
        let (code, verdict) = audit(&["verify", text(&spoilt)], &trust("ID"));
        let unseen = code == 0 && outside(&bytes, at);
        let file = file_at(&bytes, at);
        assert!(code == 1 || code == 2 || unseen, "byte {at} of {file:?}: {verdict:#}");
        fs::write(&spoilt, &bytes[..at]).unwrap();
        let (code, verdict) = audit(&["verify", text(&spoilt)], &trust("ID"));
        assert!(code == 1 || code == 2, "cut at {at}: {verdict:#}");
    }
}

/// The answer of ID to another member that one entry of its log is not addressed to it.
fn denial(sign_key: &Path, asker: &str, index: u64) -> Outcome {
    let denial = Denial {
        federation: "test.sealwire.example".to_owned(),
        asker: asker.parse().unwrap(),
        register: 1,
        ranges: vec![(index, index + 1)],
    };
    let subject = RecordId::new(1_790_000_000_000, &[7; 10]);
    let claims = Claims { issuer: "ID".parse().unwrap(), subject, issued_at: 1_790_000_000 };
    Outcome::Denied(denial.sign(&SigningKey::from_bytes(&seed(sign_key)), claims))
}

/// What a statement file of a bundle must not be, of elements that are each as they were written.
fn rearranged(written: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (mut rest, mut elements) = (written, Vec::new());
    while !rest.is_empty() {
        elements.push(Element::next(&mut rest).unwrap());
    }
    let joined = |elements: &[Element]| elements.iter().flat_map(Element::to_bytes).collect();
    let (first, last) = (elements[0].clone(), elements[elements.len() - 1].clone());
    let beyond = Element { index: last.index + 1, ..last };
    let far = Element { index: u64::MAX, ..first.clone() };
    let more = |element: Element| joined(&[&elements[..], &[element]].concat());
    let mut turned = elements.clone();
    turned.swap(0, 1);
    vec![
        ("in another order", joined(&turned)),
        ("one left out", joined(&elements[1..])),
        ("one twice", more(first)),
        ("one beyond the log", more(beyond)),
        ("one far beyond it", more(far)),
        ("cut", written[..written.len() - 1].to_vec()),
        ("padded", [written, &[0]].concat()),
        ("a longer spelling", [&[0x98, 4], &written[1..]].concat()),
        ("a gigantic count", [&[0x9b], &[0x7f; 8][..], written].concat()),
        ("nothing", Vec::new()),
    ]
}

/// The file of an archive that a byte belongs to, with where its content begins and ends.
fn file_at(bytes: &[u8], at: usize) -> Option<(String, usize, usize)> {
    let mut offset = 0;
    while offset + 512 <= bytes.len() {
        let header = &bytes[offset..offset + 512];
        let field = |from: usize, to: usize| {
            String::from_utf8_lossy(&header[from..to]).trim_matches(['\0', ' ']).to_owned()
        };
        let (name, length) = (field(0, 100), field(124, 136));
        let length = usize::from_str_radix(&length, 8).unwrap_or(0);
        let (from, to) = (offset + 512, offset + 512 + length);
        offset = to.next_multiple_of(512);
        if at < offset {
            return Some((name, from, to)).filter(|(name, ..)| !name.is_empty());
        }
    }
    None
}

/// Whether a byte of an archive says nothing: padding behind a file, sealed parts (of which only
/// the length is committed to), what is signed by others and asked for by nobody, or what its
/// member says of itself and only another's bundle can contradict.
fn outside(bytes: &[u8], at: usize) -> bool {
    file_at(bytes, at).is_none_or(|(name, from, to)| {
        let unsigned = name.contains("/statement/")
            || name.ends_with("/checkpoint")
            || name.ends_with("/held");
        at >= to || (unsigned && at >= from)
    })
}
