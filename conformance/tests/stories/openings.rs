//! Single fields that a bundle opens to its auditor.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::world::{
    Node, SUBSTANCES, World, done, lab_alert, numbered, program, said, text, until,
};

const CAS: &str = "/substance/0/casNumber";
const FLIGHT: &str = "/consignment/borderTransportMeans/id";

/// A node with the means to open fields.
struct Member<'a> {
    node: &'a Node,
    token: String,
}

impl<'a> Member<'a> {
    fn of(world: &'a World, member: &str) -> Self {
        let node = world.node(member);
        let token = node.token(&["courier", "--rights", "export"]);
        Self { node, token: token.trim_start_matches("Bearer ").to_owned() }
    }

    /// Exports a bundle that opens these fields, each `RECORD=POINTERS`.
    fn export(&self, name: &str, openings: &[String]) -> (PathBuf, Output) {
        let (out, config) = (self.node.dir().join(name), self.node.config());
        let mut command = crate::world::sealwire();
        command.env("SEALWIRE_TOKEN", &self.token).args(["--json", "audit", "export"]);
        command.args(["--config", text(&config), "--out", text(&out)]);
        openings.iter().for_each(|opening| {
            command.args(["--open", opening]);
        });
        (out, command.output().unwrap())
    }

    fn exported(&self, name: &str, openings: &[String]) -> (PathBuf, Value) {
        let (path, output) = self.export(name, openings);
        assert!(output.status.success(), "{}", said(&output));
        (path, serde_json::from_slice(&output.stdout).unwrap())
    }
}

/// Exit code and report of the auditor's program.
fn audit(path: &Path, trust: &Path, more: &[&str]) -> (i32, String) {
    let output = Command::new(program("sealwire-audit"))
        .args(["verify", text(path), "--trust", text(trust)])
        .args(more)
        .output()
        .unwrap();
    let said = said(&output);
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code().unwrap(), said)
}

/// Waits until the files of a member's own log have all its entries.
fn written(node: &Node) {
    let (path, size) = (node.data().join("logs/ID/checkpoint"), node.size());
    until("written log files", || {
        let note = fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let cosigned = ["SG", "AU"].iter().all(|by| note.contains(&format!("/{by} ")));
        let whole = note.lines().nth(1) == Some(&size.to_string()) && cosigned;
        if whole { Ok(()) } else { Err(note) }
    });
}

fn unpacked(bundle: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let args = ["-xf", text(bundle), "-C", text(dir.path())];
    assert!(Command::new("tar").args(args).status().unwrap().success());
    dir
}

#[test]
fn fields_that_a_bundle_opens_hold_against_its_own_log_and_nothing_else_is_shown() {
    let world = World::started();
    let id = Member::of(&world, "ID");
    let trust = world.trust("ID");
    let other = id.node.publish(SUBSTANCES, &numbered("B-1"))["id"].clone();
    let restricted = json!({"community": SUBSTANCES, "record": lab_alert(),
                            "audiences": {"operational": ["SG"]}});
    let published = id.node.post(restricted.to_string().as_bytes(), None).with(201);
    let (record, other) = (published["id"].as_str().unwrap(), other.as_str().unwrap());
    for member in ["SG", "AU"] {
        world.delivered("ID", record, member);
    }
    written(id.node);

    // The same fields under the same head make the same bytes, in whatever order they are named.
    let wanted = [format!("{record}={CAS},{FLIGHT}"), format!("{other}={CAS}")];
    let (bundle, report) = id.exported("opened.tar", &wanted);
    let turned = [wanted[1].clone(), format!("{record}={FLIGHT}"), format!("{record}={CAS}")];
    let (again, same) = id.exported("again.tar", &turned);
    assert_eq!(report["sha256"], same["sha256"]);
    let bytes = fs::read(&bundle).unwrap();
    assert_eq!(bytes, fs::read(&again).unwrap());
    // Beside them it is the bundle that it is without.
    let (closed, report) = id.exported("closed.tar", &[]);
    let whole = fs::read(&closed).unwrap();
    let files = whole.len() - 1024;
    assert_eq!(bytes[..files], whole[..files], "{report}");
    assert!(audit(&closed, &trust, &["--json"]).1.find("opened fields").is_none());

    // What was opened is shown, and its place; in text, in JSON and on the page.
    let page = id.node.dir().join("report.html");
    for (more, shown_in) in
        [(&[][..], "text"), (&["--json"], "json"), (&["--html", text(&page)], "")]
    {
        let (code, report) = audit(&bundle, &trust, more);
        assert_eq!(code, 0, "{report}");
        let page = fs::read_to_string(&page).unwrap_or_default();
        let report = if shown_in.is_empty() { page } else { report };
        for shown in
            ["opened fields", record, other, CAS, "2504100-70-1", FLIGHT, "FICTIONAL-FL-88"]
        {
            assert!(report.contains(shown), "{shown} in {shown_in}: {report}");
        }
        assert!(report.contains("what the other fields of an opened record say"), "{report}");
    }
    // Of the parts that are not for the clear nothing else is in it.
    let holds = |needle: &str| bytes.windows(needle.len()).any(|at| at == needle.as_bytes());
    assert!(holds("2504100-70-1") && holds("FICTIONAL-FL-88"));
    assert!(!holds("ADDRESSEE") && !holds("/person/0/name"));
    let read = id.node.get("/v1/reads?limit=500").good()["reads"].clone();
    let logged = |record: &str, class: &str| {
        read.as_array().unwrap().iter().any(|read| {
            read["principal"] == "courier" && read["record"] == record && read["class"] == class
        })
    };
    assert!(logged(record, "operational") && logged(record, "core"), "{read}");
    assert!(logged(other, "core") && !logged(other, "operational"), "{read}");

    // Broken off when other fields were wanted, and gone on with.
    let partial = id.node.dir().join("resumed.tar.partial");
    let (others, _) = id.exported("others.tar", &[format!("{record}={FLIGHT}")]);
    fs::write(&partial, fs::read(&others).unwrap()).unwrap();
    let (resumed, report) = id.exported("resumed.tar", &wanted);
    assert!(report["resumed"].as_u64().unwrap() > 3, "{report}");
    assert_eq!(fs::read(&resumed).unwrap(), bytes);

    // A mirror's log is not what they are of.
    assert_ne!(audit(&bundle, &world.trust("SG"), &[]).0, 1);
    spoilt(&id, &bundle, &trust, record, other);
}

/// Nothing but what was opened under the bundle's own head passes.
fn spoilt(id: &Member<'_>, bundle: &Path, trust: &Path, record: &str, other: &str) {
    let dir = unpacked(bundle);
    let file = |record: &str| {
        let name = record.trim_start_matches("urn:uuid:");
        dir.path().join(format!("openings/{name}.field"))
    };
    let good = fs::read(file(record)).unwrap();
    assert_eq!(audit(dir.path(), trust, &[]).0, 0);
    let refuted = |what: &str, bytes: &[u8]| {
        fs::write(file(record), bytes).unwrap();
        let (code, report) = audit(dir.path(), trust, &[]);
        assert_eq!(code, 1, "{what}: {report}");
        assert!(report.contains("opened fields") && report.contains("REFUTED"), "{report}");
        report
    };
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        refuted(&format!("byte {at}"), &bytes);
    }
    for to in [0, 1, good.len() / 2, good.len() - 1] {
        refuted(&format!("cut at {to}"), &good[..to]);
    }
    refuted("padded", &[&good[..], &[0]].concat());
    let report = refuted("another record's", &fs::read(file(other)).unwrap());
    assert!(report.contains("another record than its name says"), "{report}");

    // Opened of a later head of the same log.
    id.node.publish(SUBSTANCES, &numbered("B-2"));
    written(id.node);
    let (later, _) = id.exported("later.tar", &[format!("{record}={CAS}")]);
    let later = unpacked(&later);
    let name = file(record).strip_prefix(dir.path()).unwrap().to_owned();
    let report = refuted("under a later head", &fs::read(later.path().join(name)).unwrap());
    assert!(report.contains("another checkpoint than the bundle's"), "{report}");
    fs::write(file(record), &good).unwrap();
    fs::write(dir.path().join("openings/nothing"), "").unwrap();
    assert_eq!(audit(dir.path(), trust, &[]).0, 1, "a file that is no opening");
}

#[test]
fn a_bundle_opens_nothing_that_its_member_may_not_let_go() {
    let world = World::started();
    let id = Member::of(&world, "ID");
    world.next_version(2, |draft| {
        let change = ["register", "community", "change", "--draft", draft, "--id", SUBSTANCES];
        done(&[&change[..], &["--tlp", "RED"]].concat());
    });
    let config = id.node.config();
    done(&["register", "publish", text(&world.version(2)), "--config", text(&config)]);
    let record = id.node.publish(SUBSTANCES, &numbered("B-1"))["id"].clone();
    let record = record.as_str().unwrap();
    let theirs = world.node("SG").publish(SUBSTANCES, &numbered("B-2"))["id"].clone();
    let theirs = theirs.as_str().unwrap();
    world.delivered("SG", theirs, "ID");
    let mut red = numbered("B-3");
    red["handling"]["tlp"] = json!("RED");
    red["handling"].as_object_mut().unwrap().remove("shareWith");
    let red = json!({"community": SUBSTANCES, "record": red, "to": ["SG"]});
    let red = id.node.post(red.to_string().as_bytes(), None).with(201)["id"].clone();
    let red = red.as_str().unwrap();
    for member in ["SG", "AU"] {
        world.delivered("ID", record, member);
    }
    written(id.node);
    let refused = |openings: &[String], code: i32, why: &str| {
        let (path, output) = id.export("refused.tar", openings);
        assert_eq!(output.status.code(), Some(code), "{openings:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{openings:?}: {}", said(&output));
        assert!(!path.exists(), "{openings:?}");
        assert!(!path.with_extension("tar.partial").exists(), "{openings:?}");
    };
    let opening = |record: &str, pointer: &str| [format!("{record}={pointer}")];
    refused(&opening(record, "/substance/9/casNumber"), 1, "unknown-field");
    refused(&opening(theirs, CAS), 2, "no-consent");
    refused(&opening(red, CAS), 1, "cannot open fields of");
    let absent = "urn:uuid:0199aaaa-0000-7000-8000-000000000001";
    refused(&opening(absent, CAS), 1, "unknown-record");
    for malformed in [record, "=/a", &format!("{record}=substance")] {
        refused(&[malformed.to_owned()], 2, "JSON pointers");
    }
    // A right of its own.
    let reader = Member { token: id.node.bearer().trim_start_matches("Bearer ").to_owned(), ..id };
    let (_, output) = reader.export("refused.tar", &opening(record, CAS));
    assert!(said(&output).contains("right-missing"), "{}", said(&output));
    // Without a node there is nobody who opens, and the rest goes without.
    let mut world = world;
    world.node_mut("ID").stop();
    let node = Member { node: world.node("ID"), token: String::new() };
    assert!(!node.export("refused.tar", &opening(record, CAS)).1.status.success());
    node.exported("closed.tar", &[]);
}
