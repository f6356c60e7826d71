//! What is refused, how it is said, and that nothing came of it.

use serde_json::{Value, json};
use std::fs;

use crate::world::{SUBSTANCES, World, done, lab_alert, numbered, run, said, text, until};

#[test]
fn all_errors_of_a_record_are_reported_at_once() {
    let mut world = World::new();
    world.node_mut("ID").start();
    let node = world.node("ID");
    let size = node.announced();
    let mut record = lab_alert();
    record["substance"][0]["casNumber"] = json!("2504100-70-2");
    record["detection"]["place"]["locationId"] = json!("SGSIN");
    record["issueDate"] = json!("yesterday");
    record["goodsItem"][0]["quantity"][0]["unitCode"] = json!("STONE");
    record["unheardOf"] = json!(1);
    let body = json!({"community": SUBSTANCES, "record": record});
    let problem = node.post(body.to_string().as_bytes(), None).with(422);
    let findings = problem["findings"].as_array().unwrap();
    for pointer in [
        "/substance/0/casNumber",
        "/detection/place/locationId",
        "/issueDate",
        "/goodsItem/0/quantity/0/unitCode",
        "/unheardOf",
    ] {
        let finding = findings.iter().find(|f| f["pointer"] == pointer);
        let finding = finding.unwrap_or_else(|| panic!("{pointer}: {problem}"));
        for key in ["code", "message", "hint"] {
            assert!(finding[key].as_str().is_some_and(|s| !s.is_empty()), "{key}: {finding}");
        }
    }
    let output = node.publish_by_command(&record, &["--community", SUBSTANCES]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("/substance/0/casNumber"), "{}", said(&output));
    assert_eq!(node.size(), size);
}

#[test]
fn a_request_that_cannot_be_met_is_refused_and_leaves_the_log_as_it_was() {
    let mut world = World::new();
    world.node_mut("ID").start();
    let node = world.node("ID");
    let size = node.announced();
    let record = lab_alert();
    let submission = |extra: Value| {
        let mut body = json!({"community": SUBSTANCES, "record": record});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body.to_string().into_bytes()
    };
    let refused = |body: &[u8], status: u16, code: Option<&str>| {
        let problem = node.post(body, None).with(status);
        if let Some(code) = code {
            assert_eq!(problem["code"], code, "{problem}");
        }
        assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{problem}");
        assert_eq!(node.size(), size, "{problem}");
    };
    refused(&vec![b' '; 1024 * 1024 + 1], 413, Some("body-too-large"));
    refused(b"seizure of 12 kg", 400, Some("body-not-json"));
    refused(b"{\"community\": \"substances\"", 400, Some("body-not-json"));
    refused(b"\xff\xfe{}", 400, Some("body-not-json"));
    refused(b"{\"community\": \"a\", \"community\": \"b\"}", 400, Some("body-not-json"));
    refused(b"[]", 400, Some("submission-invalid"));
    refused(&submission(json!({"community": "nowhere"})), 422, Some("unknown-community"));
    refused(&submission(json!({"to": []})), 422, None);
    refused(&submission(json!({"audiences": {"operational": []}})), 422, None);
    refused(&submission(json!({"to": ["FR"]})), 422, None);
    refused(&submission(json!({"audiences": {"secret": ["SG"]}})), 422, Some("unknown-class"));
    refused(&submission(json!({"record": "a text"})), 422, None);
    refused(&submission(json!({"record": {"kind": "rumour", "version": 1}})), 422, None);

    let body = submission(json!({}));
    let none = node.send("POST", "/v1/records", &[], &body);
    assert_eq!(none.with(401)["code"], "token-missing");
    let wrong = [("authorization", "Bearer swt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")];
    assert_eq!(node.send("POST", "/v1/records", &wrong, &body).with(401)["code"], "token-unknown");
    let file = world.dir().join("reader.token");
    let config = node.config();
    done(
        &[
            &["token", "new", "reader", "--rights", "read", "--config", text(&config)][..],
            &["--out", text(&file)],
        ]
        .concat(),
    );
    let bearer = format!("Bearer {}", fs::read_to_string(&file).unwrap().trim());
    let reader = [("authorization", bearer.as_str())];
    assert_eq!(node.send("GET", "/v1/records", &reader, b"").status, 200);
    let refusal = node.send("POST", "/v1/records", &reader, &body);
    assert_eq!(refusal.with(403)["code"], "right-missing");
    assert_eq!(node.size(), size);
    assert_eq!(node.records(), json!([]));
    done(&["token", "revoke", "reader", "--config", text(&config)]);
    assert_eq!(node.send("GET", "/v1/records", &reader, b"").status, 401);
    node.publish(SUBSTANCES, &numbered("after"));
}

#[test]
fn a_node_without_a_valid_register_does_not_start_and_says_why() {
    let mut world = World::new();
    let register = world.node("ID").dir().join("register.json");
    let good = fs::read(&register).unwrap();
    fs::remove_file(&register).unwrap();
    let (code, said) = world.node("ID").refuses_to_start();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("register.json") && said.contains("hint"), "{said}");

    let mut forged: Value = serde_json::from_slice(&good).unwrap();
    forged["signed"]["version"] = json!(7);
    for bad in [forged.to_string().as_bytes(), b"{}", b"\x00\x01", &good[..good.len() / 2]] {
        fs::write(&register, bad).unwrap();
        let (code, said) = world.node("ID").refuses_to_start();
        assert_ne!(code, 0, "{said}");
        assert!(said.contains("register"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    fs::write(&register, &good).unwrap();
    world.node_mut("ID").start();
}

#[test]
fn all_errors_of_a_configuration_are_reported_with_their_lines() {
    let world = World::new();
    let node = world.node("ID");
    let good = fs::read_to_string(node.config()).unwrap();
    let bad = "member = \"no such\"\n\n[http]\nlisten = \"somewhere\"\n\n[log]\nformat = \"xml\"\n";
    fs::write(node.config(), bad).unwrap();
    let (code, said) = node.refuses_to_start();
    assert_eq!(code, 2, "{said}");
    for line in [1, 4, 7] {
        assert!(said.contains(&format!("sealwire.toml:{line}")), "line {line}: {said}");
    }
    assert!(said.matches("hint").count() >= 3, "{said}");

    let listen = good.lines().find(|line| line.starts_with("listen = \"127")).unwrap();
    fs::write(node.config(), good.replace(listen, "listen = \"0.0.0.0:8443\"")).unwrap();
    let (code, said) = node.refuses_to_start();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("TLS"), "{said}");
}

#[test]
fn a_peer_outside_the_register_is_refused_even_under_the_name_of_a_member() {
    let mut world = World::new();
    for member in ["ID", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    let published = world.node("ID").publish(SUBSTANCES, &numbered("P-1"));
    world.delivered("ID", published["id"].as_str().unwrap(), "AU");

    // A federation of its own that lists the true ID, and an SG with keys of its own.
    let elsewhere = world.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut impostor = World::init(&elsewhere, "SG");
    let introductions =
        [world.node("ID").dir().join("member.json"), impostor.dir().join("member.json")];
    let register = World::register(&elsewhere.join("governors"), &introductions);
    fs::copy(register, impostor.dir().join("register.json")).unwrap();
    impostor.start();
    until("refusal of the impostor", || {
        let refused = world.node("ID").metric("sealwire_peers_refused_total");
        if refused > 0 { Ok(()) } else { Err("none".to_owned()) }
    });
    assert_eq!(impostor.peer("ID")["mirrored"], 0, "{}", impostor.peer("ID"));
    assert_eq!(impostor.records(), json!([]));
    let seen = world.node("ID").peer("SG");
    assert_eq!((&seen["connected"], &seen["mirrored"]), (&json!(false), &json!(0)), "{seen}");
    assert_eq!(world.node("ID").peer("AU")["connected"], true);
}

#[test]
fn a_record_refers_to_one_that_is_here_and_only_its_originator_supersedes_it() {
    let world = World::started();
    let first = world.node("ID").publish(SUBSTANCES, &numbered("FIRST"))["id"].clone();
    world.delivered("ID", first.as_str().unwrap(), "SG");
    let post = |member: &str, reference: &str, relation: Value, status: u16| {
        let mut record = numbered(reference);
        record["relation"] = relation;
        let body = json!({"community": SUBSTANCES, "record": record});
        world.node(member).post(body.to_string().as_bytes(), None).with(status)
    };
    let relation = |verb: &str, record: &Value, issuer: &str| json!({"verb": verb, "record": record, "issuer": issuer});
    let refused = post("SG", "A", relation("supersedes", &first, "ID"), 422);
    assert_eq!(refused["code"], "not-originator", "{refused}");
    let unknown = json!("urn:uuid:0190a0c4-0000-7000-8000-00000000dead");
    let refused = post("ID", "B", relation("answers", &unknown, "SG"), 422);
    assert_eq!(refused["code"], "related-record-unknown", "{refused}");
    let refused = post("SG", "C", relation("answers", &first, "AU"), 422);
    assert_eq!(refused["code"], "related-record-unknown", "{refused}");
    post("SG", "D", relation("answers", &first, "ID"), 201);
    post("ID", "E", relation("supersedes", &first, "ID"), 201);
}

#[test]
fn findings_are_told_in_the_language_that_is_asked_for() {
    let mut world = World::new();
    world.node_mut("ID").start();
    let mut record = lab_alert();
    record["handling"]["reviewDate"] = json!("2019-01-01");
    let body = json!({"community": SUBSTANCES, "record": record}).to_string();
    let hint = |language: &str| {
        let bearer = world.node("ID").bearer();
        let headers = [("authorization", bearer.as_str()), ("accept-language", language)];
        let answer = world.node("ID").send("POST", "/v1/records", &headers, body.as_bytes());
        answer.with(422)["findings"][0]["message"].as_str().unwrap().to_owned()
    };
    let told = ["de, fr;q=0.8", "id-ID", "de", "en"].map(hint);
    assert!(told[0].contains("règle") && told[1].contains("aturan"), "{told:?}");
    assert!(told[2] == told[3] && told[2].contains("rule"), "{told:?}");
    let file = world.dir().join("record.json");
    fs::write(&file, record.to_string()).unwrap();
    let output = run(&["validate", text(&file), "--language", "id"]);
    assert!(said(&output).contains("aturan"), "{}", said(&output));
}

#[test]
fn a_preview_shows_what_each_member_would_see_and_leaves_no_trace() {
    let mut world = World::new();
    world.node_mut("ID").start();
    let node = world.node("ID");
    let size = node.announced();
    let record = lab_alert();
    let output = node.publish_by_command(
        &record,
        &["--community", SUBSTANCES, "--to", "SG", "--class", "operational", "--preview"],
    );
    assert!(output.status.success(), "{}", said(&output));
    let preview: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (near, far) = (&preview["members"]["SG"], &preview["members"]["AU"]);
    let flight = "/consignment/borderTransportMeans/id";
    assert_eq!(near["record"].pointer(flight), record.pointer(flight));
    assert_eq!(far["record"].pointer(flight), None);
    let withheld = |sight: &Value, pointer: &str| {
        let fields = sight["withheld"].as_array().unwrap();
        fields.iter().find(|field| field["pointer"] == pointer).cloned()
    };
    assert_eq!(withheld(near, flight), None);
    assert_eq!(withheld(far, flight).unwrap()["class"], "operational");
    let airport = "/consignment/itinerary/1/locationId";
    assert_eq!(withheld(far, airport).unwrap()["coarser"], "ID");
    assert_eq!(far["record"].pointer(airport).unwrap(), "ID");
    for sight in [near, far] {
        assert!(!sight["record"].to_string().contains("FICTIONAL ADDRESSEE"), "{sight}");
        assert_eq!(withheld(sight, "/person/0/name").unwrap()["class"], "nominal");
    }
    // A record that would be refused is refused.
    let mut broken = record;
    broken["handling"]["tlp"] = json!("RED");
    let output = node.publish_by_command(&broken, &["--community", SUBSTANCES, "--preview"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(node.size(), size);
}

#[test]
fn the_schema_command_prints_what_a_member_may_hold() {
    let kinds = done(&["schema", "--json"]);
    assert!(kinds.as_array().unwrap().contains(&json!("lab-alert")));
    let whole = done(&["schema", "lab-alert", "--json"]);
    assert!(whole["properties"]["person"].is_object() && whole["$defs"].is_object());
    let seen = done(&["schema", "lab-alert", "--class", "open,core.coarse", "--json"]);
    assert_eq!(seen["properties"].get("person"), None);
    assert!(seen["properties"]["handling"].is_object());
    let output = run(&["schema", "gossip"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("lab-alert"), "{}", said(&output));
}
