//! Who is given a restricted class of a record is logged first, and counted for its originator.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::world::{
    Node, SUBSTANCES, World, done, files, lab_alert, numbered, program, run, said, text, until,
};

const OFFICER: &str = "duty-officer-7";
const PURPOSE: &str = "risk-analysis";

/// Has a node count reads each second and ask for purposes.
fn strict(node: &Node) {
    let mut config = fs::File::options().append(true).open(node.config()).unwrap();
    config.write_all(b"\n[reads]\nevery-seconds = 1\npurpose-required = true\n").unwrap();
}

/// The restricted classes that a record was opened with.
fn given(record: &Value) -> Vec<&str> {
    let opened = record["opened"].as_array().unwrap().iter().filter_map(Value::as_str);
    opened.filter(|class| !["open", "core", "core.coarse"].contains(class)).collect()
}

fn logged(node: &Node, bearer: &str) -> Value {
    node.send("GET", "/v1/reads", &[("authorization", bearer)], b"").good()
}

/// A record whose operational fields SG alone may open.
fn shared(world: &World) -> String {
    let body = json!({"community": SUBSTANCES, "record": numbered("R-1"),
                      "audiences": {"operational": ["SG"]}});
    let published = world.node("ID").post(body.to_string().as_bytes(), None).with(201);
    let id = published["id"].as_str().unwrap().to_owned();
    for member in ["SG", "AU"] {
        world.delivered("ID", &id, member);
    }
    id
}

fn mentions(node: &Node, what: &str) -> bool {
    let found = |bytes: Vec<u8>| bytes.windows(what.len()).any(|window| window == what.as_bytes());
    files(&node.data()).into_iter().any(|file| found(fs::read(file).unwrap_or_default()))
}

#[test]
fn who_reads_restricted_fields_is_logged_for_auditors_and_counted_for_the_originator() {
    let mut world = World::new();
    strict(world.node("SG"));
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    let id = shared(&world);
    let sg = world.node("SG");
    let officer = sg.token(&[OFFICER, "--rights", "read"]);
    let auditor = sg.token(&["auditor", "--rights", "audit"]);
    let size = sg.size();
    let read = |query: &str| {
        let path = format!("/v1/records/{id}{query}");
        sg.send("GET", &path, &[("authorization", &officer)], b"").good()
    };

    // Nothing restricted is given for no purpose, or for none of the record's; nor is it logged.
    let consignment = &lab_alert()["consignment"];
    let reasons =
        [("", "required"), ("?purpose=training", "not-agreed"), ("?restricted=false", "asked")];
    for (query, reason) in reasons {
        let view = read(query);
        assert_eq!(given(&view), Vec::<&str>::new(), "{view}");
        let because = view["held_back_because"].as_str().unwrap();
        assert!(because.ends_with(reason), "{query}: {view}");
        assert!(!view["held_back"].as_array().unwrap().is_empty(), "{view}");
        assert_ne!(&view["record"]["consignment"], consignment, "{view}");
    }
    assert_eq!(logged(sg, &auditor)["reads"], json!([]));
    let config = sg.config();
    let tail = run(&["tail", "--config", text(&config)]);
    assert!(String::from_utf8_lossy(&tail.stdout).contains(&id), "{}", said(&tail));
    assert_eq!(logged(sg, &auditor)["reads"], json!([]), "a line shows no field");

    // The officer by HTTP, the operator by command.
    let view = read(&format!("?purpose={PURPOSE}"));
    assert_eq!(&view["record"]["consignment"], consignment, "{view}");
    assert_eq!(view["purpose"], PURPOSE);
    let classes = given(&view);
    assert!(classes.contains(&"operational"), "{view}");
    let shown = done(&["show", &id, "--config", text(&config), "--purpose", "customs-enforcement"]);
    assert_eq!(given(&shown), classes);
    let page = logged(sg, &auditor);
    let reads = page["reads"].as_array().unwrap();
    assert_eq!(reads.len(), 2 * classes.len(), "{page}");
    for (read, class) in reads.iter().zip(&classes) {
        let expected = json!({"principal": OFFICER, "record": id, "originator": "ID", "class": class,
                   "purpose": PURPOSE, "cursor": read["cursor"], "at": read["at"]});
        assert_eq!(read, &expected);
    }
    let last = reads.last().unwrap();
    assert_eq!(last["purpose"], "customs-enforcement");
    let first = reads[0]["cursor"].as_str().unwrap();
    let told = run(&["--json", "reads", "--config", text(&config), "--after", first]);
    let lines = String::from_utf8(told.stdout.clone()).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, reads[1..], "{}", said(&told));
    let told = run(&["reads", "--config", text(&config)]);
    let line = format!("{OFFICER} read {} of ID {id} for {PURPOSE}", classes[0]);
    assert!(String::from_utf8_lossy(&told.stdout).contains(&line), "{}", said(&told));
    let refused = sg.send("GET", "/v1/reads", &[("authorization", &officer)], b"");
    assert_eq!(refused.with(403)["code"], "right-missing");
    let bad = sg.send("GET", "/v1/reads?after=7", &[("authorization", &auditor)], b"");
    assert_eq!(bad.with(400)["code"], "cursor-invalid");

    // The originator learns how often, and neither who nor what for; the third member nothing.
    let counts: serde_json::Map<_, _> =
        classes.iter().map(|class| ((*class).to_owned(), json!(2))).collect();
    until("counts at the originator", || {
        let told = world.node("ID").get(&format!("/v1/records/{id}/delivery")).good();
        let of = |member| {
            let members = told["members"].as_array().unwrap();
            members.iter().find(|to| to["member"] == member).map(|to| to["reads"].clone())
        };
        let good = of("SG") == Some(json!(counts)) && of("AU") == Some(Value::Null);
        if good { Ok(()) } else { Err(told.to_string()) }
    });
    let mirrored = world.mirrored("AU", "SG");
    assert_eq!(mirrored["gaps"], 0, "{mirrored}");
    for index in size..sg.size() {
        let path = format!("/v1/logs/SG/statement/{index}");
        assert_eq!(world.node("ID").get(&path).status, 200, "{path}");
        assert_eq!(world.node("AU").get(&path).status, 404, "{path}");
    }
    assert!(mentions(sg, OFFICER));
    for member in ["ID", "AU"] {
        assert!(!mentions(world.node(member), OFFICER), "{member} knows who read");
    }

    // The member's own auditor checks the counts against the reads; others see what is signed.
    let counted = format!("opened, their {} reads committed to and counted", reads.len());
    world.audited("SG");
    let (data, trust) = (sg.data(), world.trust("SG"));
    let verify = |path: &std::path::Path| {
        run(&["--json", "audit", "verify", text(path), "--trust", text(&trust)])
    };
    let verdict = verify(&data);
    assert!(said(&verdict).contains(&counted), "{}", said(&verdict));
    for (name, more, known) in [("with.tar", &["--with-parts"][..], true), ("less.tar", &[], false)]
    {
        let out = sg.dir().join(name);
        let export = ["audit", "export", "--config", text(&config), "--out", text(&out)];
        done(&[&export[..], more].concat());
        let bytes = fs::read(&out).unwrap();
        let named = bytes.windows(OFFICER.len()).any(|window| window == OFFICER.as_bytes());
        assert_eq!(named, known, "{name}");
        let verdict = Command::new(program("sealwire-audit"))
            .args(["verify", text(&out), "--trust", text(&trust)])
            .output()
            .unwrap();
        assert!(verdict.status.success(), "{}", said(&verdict));
        let expected =
            if known { counted.as_str() } else { "cannot be checked: their reads are not here" };
        assert!(said(&verdict).contains(expected), "{}", said(&verdict));
    }

    world.node_mut("SG").stop();
    world.node_mut("SG").start();
    assert_eq!(&logged(world.node("SG"), &auditor), &page, "kept");
}

#[test]
fn restricted_fields_are_held_back_while_reads_cannot_be_logged() {
    let mut world = World::new();
    // The signal that comes with the limit is ignored, so that the write fails instead.
    world.node_mut("SG").wrap(&["bash", "-c", "trap '' XFSZ; exec \"$@\"", "bash"]);
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    let id = shared(&world);
    let sg = world.node("SG");
    let path = format!("/v1/records/{id}?purpose={PURPOSE}");
    assert!(!given(&sg.get(&path).good()).is_empty());
    let before = sg.get("/v1/reads").good();
    sg.limit_files("0");
    let view = sg.get(&path).good();
    assert_eq!((given(&view), &view["held_back_because"]), (vec![], &json!("not-logged")));
    assert_eq!(view["status"], "held", "the rest is given: {view}");
    assert_eq!(sg.get("/v1/reads").good(), before);
    sg.limit_files("unlimited");
    until("restricted fields, once reads can be logged", || {
        let view = sg.get(&path).good();
        if given(&view).is_empty() { Err(view.to_string()) } else { Ok(()) }
    });
}
