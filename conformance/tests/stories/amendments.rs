//! Corrections, withdrawals and disputes: they reach every holder, say what differs, wait for an
//! acknowledgement, and end.

use std::fs;

use ed25519_dalek::SigningKey;
use sealwire_wire::checkpoint::{self, Checkpoint};
use sealwire_wire::id::{Digest, RecordId};
use sealwire_wire::merkle::{Frontier, leaf_hash};
use sealwire_wire::message::{Announcement, Item, Request, Response};
use sealwire_wire::statement::{Body, Claims, Relation, RelationVerb, Statement, leaf_data, sign};
use serde_json::{Value, json};

use crate::world::{
    Liar, Node, SUBSTANCES, World, done, example, lab_alert, numbered, run, said, seed, text, until,
};

const FIELD: &str = "/goodsItem/0/quantity/0/value";

/// A correction of one core field of a record of ID.
fn correction(record: &str, old: &str, new: &str) -> Value {
    let mut correction = example("correction-01-basis.json");
    let fields = correction.as_object_mut().unwrap();
    fields.remove("linkedRecord");
    fields.remove("commercialChange");
    correction["correctedClass"] = json!(["core"]);
    correction["coreChange"] =
        json!([{"field": FIELD, "action": "replaced", "oldValue": old, "newValue": new}]);
    about(correction, "supersedes", record)
}

fn withdrawal(record: &str) -> Value {
    let mut withdrawal = example("withdrawal-01-matter-closed.json");
    withdrawal.as_object_mut().unwrap().remove("linkedRecord");
    about(withdrawal, "withdraws", record)
}

fn conflict(record: &str) -> Value {
    about(example("conflict-01-purity.json"), "answers", record)
}

/// The same about a record of ID.
fn about(mut record: Value, verb: &str, of: &str) -> Value {
    record["relation"] = json!({"verb": verb, "record": of, "issuer": "ID"});
    record
}

fn id(published: &Value) -> String {
    published["id"].as_str().unwrap().to_owned()
}

/// Waits until a member says of a record what became of it.
fn became(world: &World, member: &str, record: &str, state: &str) -> Value {
    until(&format!("{record} {state} at {member}"), || {
        let answer = world.node(member).get(&format!("/v1/records/{record}?restricted=false"));
        let view = answer.json();
        if view["state"] == state { Ok(view) } else { Err(answer.text) }
    })
}

fn tasks(node: &Node) -> Value {
    done(&["tasks", "--config", text(&node.config())])
}

/// The ids in one list of the tasks.
fn open(node: &Node, list: &str) -> Vec<String> {
    tasks(node)[list].as_array().unwrap().iter().map(id).collect()
}

fn post(node: &Node, community: &str, record: &Value, more: Value) -> (u16, Value) {
    let mut body = json!({"community": community, "record": record});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = node.post(body.to_string().as_bytes(), None);
    (answer.status, answer.json())
}

/// Says of each record at a member what became of it, and why.
fn states(node: &Node) -> Vec<Value> {
    let records = node.get("/v1/records?limit=500&restricted=false").good();
    let records = records["records"].as_array().unwrap().iter();
    records.map(|r| json!([r["id"], r["state"], r["because"]])).collect()
}

#[test]
fn a_correction_reaches_a_holder_that_was_down_shows_the_difference_and_is_acknowledged() {
    let mut world = World::started();
    // For SG alone, so that the correction is too.
    let more = json!({"audiences": {"operational": ["SG"]}, "to": ["SG"]});
    let (status, published) = post(world.node("ID"), SUBSTANCES, &lab_alert(), more);
    assert_eq!(status, 201, "{published}");
    let alert = id(&published);
    world.delivered("ID", &alert, "SG");
    world.node_mut("SG").stop();

    let made = correction(&alert, "2.026", "1.987");
    let made = world.node("ID").publish(SUBSTANCES, &made);
    assert_eq!(made["classes"]["core"], json!(["SG"]), "those who had it, and nobody else");
    assert_eq!(made["classes"]["operational"], json!(["SG"]));
    let corrects = id(&made);
    world.node_mut("SG").start();
    let view = became(&world, "SG", &alert, "corrected");
    let because = &view["because"][0];
    assert_eq!((&because["id"], &because["kind"]), (&json!(corrects), &json!("correction")));
    assert_eq!((&because["log"], &because["counts"]), (&json!("ID"), &json!(true)));
    let alert_now = |member: &str| {
        let config = world.node(member).config();
        done(&[
            "show",
            &alert,
            "--amended",
            "--purpose",
            "risk-analysis",
            "--config",
            text(&config),
        ])
    };
    let shown = until("the difference at SG", || {
        let shown = alert_now("SG");
        let whole = shown["amended"]["changes"].as_array().is_some_and(|c| c.len() == 1);
        if whole { Ok(shown) } else { Err(shown.to_string()) }
    });
    let change = &shown["amended"]["changes"][0];
    assert_eq!((&change["pointer"], &change["class"]), (&json!(FIELD), &json!("core")));
    assert_eq!((&change["old"], &change["new"]), (&json!("2.026"), &json!("1.987")));
    assert_eq!(change["by"], json!(corrects));
    assert_eq!(shown["amended"]["record"].pointer(FIELD), Some(&json!("1.987")));
    assert_eq!(shown["record"].pointer(FIELD), Some(&json!("2.026")), "what was said first stays");
    // SG does not have the nominal part: rules that need it have not passed.
    assert_eq!(shown["amended"]["corrections"][0]["fits"], "not-checkable", "{shown}");
    assert_eq!(alert_now("ID")["amended"]["corrections"][0]["fits"], "yes");

    // It waits for SG, here and there, until SG's officer has acknowledged it.
    assert_eq!(open(world.node("SG"), "to_acknowledge"), vec![corrects.clone()]);
    let waiting = tasks(world.node("ID"));
    assert_eq!(waiting["unacknowledged"][0]["waiting_for"], json!(["SG"]), "{waiting}");
    assert_eq!(waiting["unacknowledged"][0]["urgency"], "routine");
    let metrics = world.node("SG").get("/metrics").text;
    assert!(metrics.contains("sealwire_amendments_to_acknowledge 1\n"), "{metrics}");
    let config = world.node("SG").config();
    let line = ["acknowledge", &corrects, "--action", "reassessed", "--config", text(&config)];
    let acknowledged = done(&line);
    assert_eq!(acknowledged["classes"]["core"], json!(["ID"]), "to the originator alone");
    assert_eq!(open(world.node("SG"), "to_acknowledge"), [] as [String; 0]);
    until("an empty list at ID", || {
        let open = tasks(world.node("ID"));
        let empty = open["unacknowledged"] == json!([]);
        if empty { Ok(()) } else { Err(open.to_string()) }
    });
    let came = world.node("ID").record(&id(&acknowledged));
    assert_eq!(came["record"]["action"], json!(["reassessed"]), "{came}");

    // AU has none of it, and what is not an amendment is not acknowledged.
    world.mirrored("AU", "ID");
    assert_eq!(world.node("AU").get(&format!("/v1/records/{corrects}")).status, 404);
    let line = ["--json", "acknowledge", &alert, "--config", text(&config)];
    let refused = run(&line);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("not-an-amendment"), "{}", said(&refused));

    // The index is derived: built anew, it says the same.
    let before = states(world.node("SG"));
    world.node_mut("SG").stop();
    fs::remove_dir_all(world.node("SG").data().join("index")).unwrap();
    world.node_mut("SG").start();
    assert_eq!(states(world.node("SG")), before);
    assert_eq!(open(world.node("SG"), "to_acknowledge"), [] as [String; 0]);
}

#[test]
fn what_does_not_fit_or_leaves_somebody_out_is_refused_where_it_is_made() {
    let world = World::started();
    let alert = id(&world.node("ID").publish(SUBSTANCES, &lab_alert()));
    world.delivered("ID", &alert, "SG");
    let refused = |member: &str, record: &Value, more: Value| {
        let (status, problem) = post(world.node(member), SUBSTANCES, record, more);
        assert_eq!(status, 422, "{problem}");
        problem
    };
    let fits = correction(&alert, "2.026", "1.987");
    let narrower = refused("ID", &fits, json!({"to": ["SG"]}));
    assert_eq!(narrower["code"], "holders-left-out", "{narrower}");
    assert!(narrower["detail"].as_str().unwrap().contains("AU had the record"), "{narrower}");
    let class = refused("ID", &fits, json!({"audiences": {"core": ["AU"]}}));
    assert!(class["detail"].as_str().unwrap().contains("the core part: SG"), "{class}");

    let other = refused("ID", &correction(&alert, "2.027", "1"), json!({}));
    assert_eq!(other["code"], "correction-misfit", "{other}");
    let finding = &other["findings"][0];
    assert_eq!(finding["code"], "correction-old-value", "{finding}");
    assert_eq!(finding["pointer"], "/coreChange/0/oldValue");
    let invalid = refused("ID", &correction(&alert, "2.026", "much"), json!({}));
    assert_eq!(invalid["code"], "correction-misfit", "the corrected record would not be valid");
    assert_eq!(invalid["findings"][0]["pointer"], FIELD, "{invalid}");

    let foreign = refused("SG", &fits, json!({}));
    assert_eq!(foreign["code"], "not-originator", "{foreign}");
    let view = became(&world, "SG", &alert, "current");
    assert_eq!(view.get("because"), None, "{view}");

    // The second correction starts from the first; a correction is not corrected.
    let first = id(&world.node("ID").publish(SUBSTANCES, &fits));
    let stale = refused("ID", &correction(&alert, "2.026", "1.5"), json!({}));
    assert_eq!(stale["findings"][0]["code"], "correction-old-value", "{stale}");
    let nested = refused("ID", &correction(&first, "2.026", "1.5"), json!({}));
    assert_eq!(nested["code"], "not-correctable", "{nested}");
    world.node("ID").publish(SUBSTANCES, &correction(&alert, "1.987", "1.9"));
    // Taken back, the first counts no more, and the second does not fit what is left.
    world.node("ID").publish(SUBSTANCES, &withdrawal(&first));
    let view = until("a correction that was taken back", || {
        let view = world.node("ID").get(&format!("/v1/records/{alert}?amended=true")).good();
        let gone = view["because"][0]["counts"] == false;
        if gone { Ok(view) } else { Err(view.to_string()) }
    });
    assert_eq!(view["amended"]["corrections"][0]["fits"], "no", "{view}");
    assert_eq!(view["amended"]["changes"], json!([]));
}

#[test]
fn a_record_that_takes_anothers_place_and_a_withdrawal_are_said_wherever_it_is_read() {
    let world = World::started();
    let first = id(&world.node("ID").publish(SUBSTANCES, &numbered("A-1")));
    let mut next = numbered("A-2");
    next["relation"] = json!({"verb": "supersedes", "record": first, "issuer": "ID"});
    let next = id(&world.node("ID").publish(SUBSTANCES, &next));
    for member in ["ID", "SG", "AU"] {
        became(&world, member, &first, "superseded");
        became(&world, member, &next, "current");
    }
    let view =
        world.node("ID").get(&format!("/v1/records/{first}?amended=true&purpose=risk-analysis"));
    let amended = view.good()["amended"].clone();
    assert_eq!(amended["superseded_by"], json!(next));
    let changed: Vec<&str> = amended["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["pointer"].as_str().unwrap())
        .collect();
    assert!(changed.contains(&"/functionalReferenceId"), "{changed:?}");

    let gone = id(&world.node("ID").publish(SUBSTANCES, &withdrawal(&next)));
    for member in ["ID", "SG", "AU"] {
        let view = became(&world, member, &next, "withdrawn");
        assert_eq!(view["because"][0]["id"], json!(gone));
    }
    let lines = run(&["tail", "--config", text(&world.node("SG").config())]);
    let lines = String::from_utf8(lines.stdout).unwrap();
    let line = lines.lines().find(|line| line.ends_with(&next)).unwrap();
    assert!(line.contains(" held withdrawn "), "{line}");
    assert_eq!(open(world.node("SG"), "to_acknowledge"), [next, gone], "the most urgent first");
}

#[test]
fn another_members_finding_disputes_a_record_until_its_originator_answers() {
    let world = World::started_with(&["conflict"]);
    let alert = id(&world.node("ID").publish(SUBSTANCES, &lab_alert()));
    for member in ["SG", "AU"] {
        world.delivered("ID", &alert, member);
    }
    let mut stream = world.node("ID").stream("0");
    let dispute = id(&world.node("SG").publish(SUBSTANCES, &conflict(&alert)));
    for member in ["ID", "SG", "AU"] {
        let view = became(&world, member, &alert, "disputed");
        assert_eq!(view["because"][0]["id"], json!(dispute), "{view}");
        assert_eq!(view["record"].pointer(FIELD), Some(&json!("2.026")), "the first report stands");
        became(&world, member, &dispute, "disputed");
    }
    // Both sides are told, and nobody else.
    for member in ["ID", "SG"] {
        assert_eq!(open(world.node(member), "disputes"), vec![dispute.clone()]);
        let log = fs::read_to_string(world.node(member).dir().join("node.log")).unwrap();
        assert!(log.contains("a record is disputed"), "{log}");
    }
    assert_eq!(open(world.node("AU"), "disputes"), [] as [String; 0]);
    let told = loop {
        let event = stream.next();
        if event.name == "disputed" {
            break event;
        }
    };
    assert_eq!((&told.data["record"], &told.data["log"]), (&json!(alert), &json!("SG")));
    assert_eq!(stream.next().data["id"], json!(dispute), "its record follows");

    world.node("ID").publish(SUBSTANCES, &correction(&alert, "2.026", "1.987"));
    for member in ["ID", "SG", "AU"] {
        let view = became(&world, member, &alert, "corrected");
        let counts: Vec<&Value> =
            view["because"].as_array().unwrap().iter().map(|b| &b["counts"]).collect();
        assert_eq!(counts, [false, true], "the dispute is answered: {view}");
        became(&world, member, &dispute, "current");
    }
    assert_eq!(open(world.node("ID"), "disputes"), [] as [String; 0]);

    // A further one ends when its issuer takes it back.
    let again = id(&world.node("AU").publish(SUBSTANCES, &conflict(&alert)));
    became(&world, "SG", &alert, "disputed");
    let mut back = withdrawal(&again);
    back["relation"]["issuer"] = json!("AU");
    world.node("AU").publish(SUBSTANCES, &back);
    for member in ["ID", "SG", "AU"] {
        became(&world, member, &alert, "corrected");
        became(&world, member, &again, "withdrawn");
    }
}

#[test]
fn another_members_withdrawal_is_quarantined_and_the_record_stands() {
    let mut world = World::new();
    for member in ["ID", "SG"] {
        world.node_mut(member).start();
    }
    world.meet();
    let mut liar = Liar::in_place_of(&world, "AU");
    let alert = id(&world.node("SG").publish(SUBSTANCES, &numbered("L-1")));
    world.delivered("SG", &alert, "ID");
    let (heard, sealed) = liar.hear(|bytes| {
        let items = Announcement::from_bytes(bytes).ok()?.items;
        items.into_iter().find_map(|item| {
            let statement = Statement::parse(&item.statement).ok()?;
            let record = matches!(statement.manifest().body, Body::Record(_));
            record.then_some((statement, item.sealed))
        })
    });
    let keys = world.node("AU").dir().join("keys");
    let key = |name: &str| SigningKey::from_bytes(&seed(&keys.join(name)));
    // AU's own statement, properly signed and logged, that takes back what SG has said.
    let mut manifest = heard.manifest().clone();
    let Body::Record(record) = &mut manifest.body else { panic!("no record") };
    let (issuer, withdrawn) = ("SG".parse().unwrap(), alert.parse().unwrap());
    record.relation = Some(Relation { verb: RelationVerb::Withdraws, record: withdrawn, issuer });
    let subject: RecordId = "urn:uuid:0190a0c4-0000-7000-8000-00000000c0de".parse().unwrap();
    let claims = Claims { issuer: "AU".parse().unwrap(), subject, ..heard.claims().clone() };
    let statement = sign(&key("sign.key"), claims, manifest).unwrap();
    let mut tree = Frontier::new();
    tree.push(leaf_hash(&leaf_data(&Digest::of(statement.bytes()))));
    let origin = "test.sealwire.example/AU".to_owned();
    let head = Checkpoint { origin, size: 1, root: tree.root() };
    let checkpoint = checkpoint::sign(&head, &key("log.key")).to_string();
    let statement = statement.bytes().to_vec();
    let items = vec![Item { index: 0, statement, proof: vec![], sealed }];
    let message = Announcement { log: "AU".parse().unwrap(), checkpoint, items };
    let answer = liar.request(world.node("ID"), &Request::Push(message).to_bytes());
    assert!(matches!(Response::from_bytes(&answer).unwrap(), Response::Taken));
    let view = until("the withdrawal in quarantine", || {
        let answer = world.node("ID").get(&format!("/v1/records/{subject}"));
        let view = answer.json();
        if view["status"] == "quarantined" { Ok(view) } else { Err(answer.text) }
    });
    assert!(view["reason"].as_str().unwrap().starts_with("not-originator"), "{view}");
    let stands = became(&world, "ID", &alert, "current");
    assert_eq!(stands.get("because"), None, "{stands}");
    assert_eq!(open(world.node("ID"), "to_acknowledge"), [] as [String; 0]);
    liar.leave();
}
