//! Who sees what and why; what leaves for bodies that are no members, and what does not.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::world::{
    Node, SUBSTANCES, World, done, example, lab_alert, numbered, program, run, said, text, until,
};

const AUTHORITY: &str = "FICTIONAL Health Sciences Agency";
const HEALTH: &str = "public-health-protection";

/// A lab alert of ID whose operational part is for SG as well; held by both others.
fn shared(world: &World) -> String {
    let body = json!({"community": SUBSTANCES, "record": lab_alert(),
                      "audiences": {"operational": ["SG"]}});
    let published = world.node("ID").post(body.to_string().as_bytes(), None).with(201);
    let id = published["id"].as_str().unwrap().to_owned();
    for member in ["SG", "AU"] {
        world.delivered("ID", &id, member);
        until("opened core part", || {
            let view = world.node(member).record(&id);
            let opened = view["opened"].as_array().unwrap().contains(&json!("core"));
            if opened { Ok(()) } else { Err(view.to_string()) }
        });
    }
    id
}

/// What `of` says of the part or field named `name`: what is seen, and the rule.
fn seen(explanation: &Value, list: &str, key: &str, name: &str) -> (String, String) {
    let items = explanation[list].as_array().unwrap();
    let item = items.iter().find(|item| item[key] == name);
    let item = item.unwrap_or_else(|| panic!("no {name} in {explanation}"));
    let text = |key: &str| item[key].as_str().unwrap().to_owned();
    (text("sees"), text("rule"))
}

fn pair(sees: &str, rule: &str) -> (String, String) {
    (sees.to_owned(), rule.to_owned())
}

#[test]
fn an_explanation_names_the_rule_for_each_part_and_field_from_where_one_stands() {
    let world = World::started();
    let id = shared(&world);
    let explain = |at: &str, member: &str| {
        let config = world.node(at).config();
        done(&["explain", &id, member, "--config", text(&config)])
    };
    let far = explain("ID", "AU");
    assert_eq!(far["served"], json!({"served": true}));
    assert_eq!((&far["tlp"], &far["register"]), (&json!("AMBER"), &json!(1)));
    let class = |of: &Value, name: &str| seen(of, "classes", "class", name);
    assert_eq!(class(&far, "core"), pair("value", "in-audience"));
    assert_eq!(class(&far, "operational"), pair("withheld", "not-in-audience"));
    assert_eq!(class(&far, "nominal"), pair("withheld", "empty-audience"));
    let field = |of: &Value, name: &str| seen(of, "fields", "pointer", name);
    let (flight, airport) =
        ("/consignment/borderTransportMeans/id", "/consignment/itinerary/1/locationId");
    assert_eq!(field(&far, flight), pair("withheld", "not-in-audience"));
    assert_eq!(field(&far, airport), pair("coarser", "not-in-audience"));
    assert_eq!(field(&far, "/person/0/name"), pair("withheld", "empty-audience"));
    assert!(!far.to_string().contains("FICTIONAL"), "places and no values: {far}");
    assert!(far["rules"]["not-in-audience"].as_str().unwrap().contains("others"));
    let near = explain("ID", "SG");
    assert_eq!(field(&near, flight), pair("value", "in-audience"));
    assert_eq!(class(&explain("ID", "ID"), "nominal"), pair("value", "originator"));
    let stranger = explain("ID", "FR");
    assert_eq!(class(&stranger, "core"), pair("withheld", "member-not-active"));
    assert_eq!(stranger["served"]["rule"], "member-not-active");

    // SG is of that audience and knows the others in it; AU is not, and says so.
    assert_eq!(class(&explain("SG", "AU"), "operational"), pair("withheld", "not-in-audience"));
    assert_eq!(class(&explain("SG", "SG"), "operational"), pair("value", "in-audience"));
    assert_eq!(class(&explain("AU", "AU"), "operational"), pair("withheld", "audience-unknown"));

    // The same over HTTP, as text, and before publishing.
    let node = world.node("ID");
    let path = format!("/v1/records/{id}/explain?member=AU");
    assert_eq!(node.get(&path).good(), far);
    node.get(&format!("/v1/records/{id}/explain?member=au")).with(400);
    node.get(&format!("/v1/records/{id}/explain")).with(400);
    let config = node.config();
    let said = said(&run(&["explain", &id, "AU", "--config", text(&config)]));
    assert!(said.contains(&format!("withheld  {flight} (not-in-audience)")), "{said}");
    let preview = node.publish_by_command(
        &lab_alert(),
        &["--community", SUBSTANCES, "--to", "SG", "--class", "operational", "--preview"],
    );
    let preview: Value = serde_json::from_slice(&preview.stdout).unwrap();
    for (member, explained) in [("AU", &far), ("SG", &near)] {
        let sight = &preview["members"][member];
        for seen in explained["classes"].as_array().unwrap() {
            let class = seen["class"].as_str().unwrap();
            assert_eq!(sight["rules"][class], seen["rule"], "{member} {class}");
        }
        for field in sight["withheld"].as_array().unwrap() {
            let (sees, rule) =
                seen(explained, "fields", "pointer", field["pointer"].as_str().unwrap());
            assert_eq!(
                (&field["rule"], field.get("coarser").is_some()),
                (&json!(rule), sees == "coarser")
            );
        }
    }
}

/// The environment of a command that speaks as a principal with the right to export.
fn exporter(node: &Node) -> String {
    let token = node.token(&["courier", "--rights", "export"]);
    token.trim_start_matches("Bearer ").to_owned()
}

/// Runs a command as that principal.
fn as_exporter(token: &str, arguments: &[&str]) -> std::process::Output {
    crate::world::sealwire().env("SEALWIRE_TOKEN", token).args(arguments).output().unwrap()
}

fn reads(node: &Node) -> Vec<Value> {
    node.get("/v1/reads?limit=500").good()["reads"].as_array().unwrap().clone()
}

#[test]
fn fields_that_are_opened_are_proved_to_an_auditor_and_nothing_else_is_shown() {
    let world = World::started();
    let id = shared(&world);
    let node = world.node("ID");
    let (config, token) = (node.config(), exporter(node));
    let (cas, flight) = ("/substance/0/casNumber", "/consignment/borderTransportMeans/id");
    let open = |name: &str, more: &[&str]| {
        let out = world.dir().join(name);
        let line = ["open", &id, "--config", text(&config), "--out", text(&out)];
        (as_exporter(&token, &[&line[..], more].concat()), out)
    };
    let (output, file) = open("fields.proof", &["--field", cas, flight]);
    assert!(output.status.success(), "{}", said(&output));

    let versions = world.dir().join("versions");
    fs::create_dir(&versions).unwrap();
    fs::copy(node.dir().join("register.json"), versions.join("1.root.json")).unwrap();
    let trust = world.trust("ID");
    let audit = |file: &Path, more: &[&str]| {
        let (register, trust) = (text(&versions), text(&trust));
        let output = Command::new(program("sealwire-audit"))
            .args(["field", text(file), "--register", register, "--trust", trust])
            .args(more)
            .output()
            .unwrap();
        (output.status.code().unwrap(), said(&output))
    };
    let (code, report) = audit(&file, &["--json"]);
    assert_eq!(code, 0, "{report}");
    for shown in [&id, cas, "2504100-70-1", flight, "FICTIONAL-FL-88", "2 cosigned"] {
        assert!(report.contains(shown), "{shown}: {report}");
    }
    let page = world.dir().join("fields.html");
    let (code, report) = audit(&file, &["--html", text(&page)]);
    assert_eq!(code, 0, "{report}");
    assert!(report.contains("8. fields") && report.contains("does not prove"), "{report}");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("VERIFIED") && page.contains("2504100-70-1"), "{page}");

    // No other value, no other place.
    let bytes = fs::read(&file).unwrap();
    let holds = |needle: &str| bytes.windows(needle.len()).any(|at| at == needle.as_bytes());
    assert!(holds("2504100-70-1") && holds("FICTIONAL-FL-88"));
    let explained = node.get(&format!("/v1/records/{id}/explain?member=AU")).good();
    let mut others = 0;
    for field in explained["fields"].as_array().unwrap() {
        let pointer = field["pointer"].as_str().unwrap();
        let value = lab_alert().pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        // What the manifest says itself is no secret: kind, handling, code lists.
        if [cas, flight].contains(&pointer) || field["class"] == "open" {
            continue;
        }
        others += 1;
        assert!(!holds(pointer), "{pointer}");
        // The reference material is of the same substance.
        let opened = ["2504100-70-1", "FICTIONAL-FL-88"];
        let telling = value.filter(|value| value.len() > 8 && !opened.contains(&value.as_str()));
        assert!(telling.is_none_or(|value| !holds(&value)), "the value of {pointer}");
    }
    assert!(others > 30, "{others}");

    for at in [8, 60, bytes.len() / 3, bytes.len() / 2] {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1;
        let file = world.dir().join("spoilt.proof");
        fs::write(&file, &spoilt).unwrap();
        let (code, report) = audit(&file, &[]);
        assert_eq!(code, 1, "byte {at}: {report}");
        assert!(!report.contains("panicked"), "{report}");
    }
    assert_eq!(audit(&world.dir().join("none.proof"), &[]).0, 2);

    // It is in the read log, as is who did it.
    let read = reads(node);
    let of = |class: &str| {
        read.iter().any(|read| {
            read["principal"] == "courier" && read["record"] == id && read["class"] == class
        })
    };
    assert!(of("core") && of("operational") && !of("commercial"), "{read:?}");

    // Not without the right, not of a field that is not there, not over another file.
    let refused = node.send(
        "POST",
        &format!("/v1/records/{id}/open"),
        &[("authorization", &node.bearer())],
        json!({"fields": [cas]}).to_string().as_bytes(),
    );
    assert_eq!(refused.with(403)["code"], "right-missing");
    let (absent, _) = open("absent.proof", &["--field", "/substance/9/casNumber"]);
    assert_eq!(absent.status.code(), Some(1), "{}", said(&absent));
    assert!(said(&absent).contains("sealwire explain"), "{}", said(&absent));
    assert_eq!(open("fields.proof", &["--field", cas]).0.status.code(), Some(2));

    // A receiver does not open what its originator has not let go.
    let receiver = world.node("SG");
    let (config, token) = (receiver.config(), exporter(receiver));
    let before = reads(receiver);
    let line = ["open", &id, "--field", cas, "--config", text(&config)];
    let refused = as_exporter(&token, &[&["--json"], &line[..]].concat());
    let problem: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((refused.status.code(), &problem["code"]), (Some(2), &json!("no-consent")));
    assert_eq!(reads(receiver), before);
}

/// The consent of ID that lets SG hand open and core parts of a record to the health authority.
fn consent(record: &str) -> Value {
    let mut consent = example("consent-grant-01-health-authority.json");
    consent["record"][0]["record"] = json!(record);
    consent["until"] = json!("2099-12-31");
    consent
}

/// Exports from a member for a body; gives the records.
fn exported(world: &World, from: &str, token: &str, name: &str, body: [&str; 2]) -> Vec<Value> {
    let (config, out) = (world.node(from).config(), world.dir().join(name));
    let [recipient, purpose] = body;
    let line = ["export", "--recipient", recipient, "--purpose", purpose, "--out", text(&out)];
    let output = as_exporter(token, &[&line[..], &["--config", text(&config)]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let lines = fs::read_to_string(&out).unwrap();
    let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = lines.next().unwrap();
    assert_eq!(head["format"], "sealwire-export-v1");
    assert_eq!((&head["recipient"], &head["purpose"]), (&json!(recipient), &json!(purpose)));
    lines.collect()
}

#[test]
fn a_receiver_hands_on_what_a_consent_covers_while_it_stands_and_nothing_else() {
    let world = World::started();
    let id = shared(&world);
    let other = world.node("ID").publish(SUBSTANCES, &numbered("O-1"));
    world.delivered("ID", other["id"].as_str().unwrap(), "SG");
    let [at_sg, at_au] = ["SG", "AU"].map(|member| exporter(world.node(member)));
    let sg = |name: &str, body: [&str; 2]| exported(&world, "SG", &at_sg, name, body);
    assert_eq!(sg("none", [AUTHORITY, HEALTH]), [] as [Value; 0]);

    // The record itself lets it be reported to an organisation, for its own purposes.
    let reported = sg("unodc", ["UNODC", "risk-analysis"]);
    let first = reported.iter().find(|record| record["id"] == id).unwrap();
    assert_eq!(first["rules"]["core"], "shared-with");
    assert_eq!(first["rules"]["operational"], "no-consent");
    assert_eq!(sg("unodc-other", ["UNODC", HEALTH]), [] as [Value; 0]);

    let granted = world.node("ID").publish(SUBSTANCES, &consent(&id));
    let grant = granted["id"].as_str().unwrap();
    for member in ["SG", "AU"] {
        world.delivered("ID", grant, member);
        let view = world.node(member).record(grant);
        assert_eq!(view["status"], "held", "{view}");
    }
    let records = sg("granted", [AUTHORITY, HEALTH]);
    assert_eq!(records.len(), 1, "{records:?}");
    let record = &records[0];
    assert_eq!((&record["id"], &record["originator"]), (&json!(id), &json!("ID")));
    assert_eq!((&record["tlp"], &record["consents"][0]["id"]), (&json!("AMBER"), &json!(grant)));
    assert!(
        record["consents"][0]["conditions"]
            .as_array()
            .unwrap()
            .contains(&json!("equal-protection"))
    );
    assert_eq!(record["rules"]["core"], "consent-grant");
    assert_eq!(record["rules"]["operational"], "no-consent");
    assert_eq!(record["record"]["substance"][0]["casNumber"], "2504100-70-1");
    let whole = record.to_string();
    assert!(!whole.contains("FICTIONAL-FL-88") && !whole.contains("ADDRESSEE"), "{whole}");
    let read = reads(world.node("SG"));
    let by = format!("courier for {AUTHORITY}");
    let logged = read.iter().filter(|read| read["principal"] == by.as_str());
    assert!(logged.clone().count() >= 2, "{read:?}");
    assert!(logged.clone().all(|read| read["record"] == id && read["purpose"] == HEALTH));

    // Not for another body or purpose, and not from another member.
    assert_eq!(sg("other-body", ["FICTIONAL Court", HEALTH]), [] as [Value; 0]);
    assert_eq!(sg("other-purpose", [AUTHORITY, "training"]), [] as [Value; 0]);
    let au = exported(&world, "AU", &at_au, "other-member", [AUTHORITY, HEALTH]);
    assert_eq!(au, [] as [Value; 0]);

    // Single fields likewise.
    let config = world.node("SG").config();
    let open = |field: &str, name: &str| {
        let out = world.dir().join(name);
        let line = ["open", &id, "--field", field, "--config", text(&config), "--out", text(&out)];
        let body = ["--recipient", AUTHORITY, "--purpose", HEALTH];
        as_exporter(&at_sg, &[&line[..], &body].concat())
    };
    let proved = open("/substance/0/casNumber", "cas.proof");
    assert!(proved.status.success(), "{}", said(&proved));
    let refused = open("/consignment/borderTransportMeans/id", "flight.proof");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("consent-grant"), "{}", said(&refused));

    // Withdrawn, it lets nothing go any more.
    let mut withdrawal = example("withdrawal-01-matter-closed.json");
    withdrawal["relation"] = json!({"verb": "withdraws", "record": grant, "issuer": "ID"});
    withdrawal.as_object_mut().unwrap().remove("linkedRecord");
    let withdrawn = world.node("ID").publish(SUBSTANCES, &withdrawal);
    world.delivered("ID", withdrawn["id"].as_str().unwrap(), "SG");
    assert_eq!(sg("withdrawn", [AUTHORITY, HEALTH]), [] as [Value; 0]);
    assert_eq!(open("/substance/0/casNumber", "late.proof").status.code(), Some(2));
}
