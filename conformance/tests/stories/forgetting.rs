//! What may not be kept any longer is erased at every holder, physically, provably, and for good;
//! nothing that a law holds is.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use jiff::{ToSpan as _, Zoned};
use sealwire_wire::message::Announcement;
use serde_json::{Value, json};

use crate::world::{
    Answer, Node, SUBSTANCES, World, copy_dir, done, files, lab_alert, run, said, text, until,
};

const MEMBERS: [&str; 3] = ["ID", "SG", "AU"];
/// In a core field, which opened rests in the plain log files; in a nominal one, which never does.
const CORE: &str = "Canarycaine-Core-9071";
const NOMINAL: &str = "Qvxjz Canary-Nominal-9072";

/// A day so many days from today.
fn day(days: i64) -> String {
    let today = Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    today.checked_add(days.days()).unwrap().to_string()
}

/// A lab alert that may be kept for so many days, and is to be reviewed before.
fn kept_for(days: i64) -> Value {
    let mut record = lab_alert();
    record["issueDate"] = json!(day(0));
    record["handling"]["reviewDate"] = json!(day(days.min(20)));
    record["handling"]["retainUntil"] = json!(day(days));
    record["handling"].as_object_mut().unwrap().remove("feedbackDue");
    record["substance"][0]["commonName"] = json!(CORE);
    record["person"][0]["name"] = json!(NOMINAL);
    record
}

/// A world whose nodes look every second what is to be forgotten, each with a clock of its own.
fn forgetful() -> World {
    let mut world = World::new();
    for member in MEMBERS {
        let node = world.node_mut(member);
        let config = fs::read_to_string(node.config()).unwrap();
        let config = config.replace("# [retention]", "[retention]\nevery-seconds = 1\n#");
        fs::write(node.config(), config).unwrap();
        node.own_clock();
    }
    world
}

fn publish(node: &Node, record: &Value) -> String {
    let body = json!({"community": SUBSTANCES, "record": record,
                      "audiences": {"operational": ["SG"], "nominal": ["SG"]}});
    let published = node.post(body.to_string().as_bytes(), None).with(201);
    published["id"].as_str().unwrap().to_owned()
}

/// A principal who may erase, as a header.
fn keeper(node: &Node, name: &str) -> String {
    node.token(&[name, "--rights", "erase,read"])
}

fn ask(node: &Node, token: &str, path: &str, body: &Value) -> Answer {
    node.send("POST", path, &[("authorization", token)], body.to_string().as_bytes())
}

fn state(node: &Node, id: &str) -> Value {
    node.get(&format!("/v1/records/{id}/erasure")).good()
}

/// Waits until a member has nothing of the record but its part `open`, nor its bytes.
fn erased(node: &Node, id: &str) -> Value {
    until(&format!("erasure of {id} at {}", node.member()), || {
        let (view, state) = (node.record(id), state(node, id));
        let gone = view["opened"] == json!(["open"]) && view["withheld"] == json!([]);
        if gone && state["removed"] == true { Ok(view) } else { Err(format!("{view} {state}")) }
    })
}

fn none_missing(node: &Node, id: &str) -> Value {
    until(&format!("attestations of {id}"), || {
        let state = state(node, id);
        if state["missing"] == json!([]) { Ok(state) } else { Err(state.to_string()) }
    })
}

/// The files below a directory in which the bytes stand.
fn holding(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let with = |path: &std::path::PathBuf| {
        let content = fs::read(path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    };
    files(dir).iter().filter(|path| with(path)).map(|path| text(path).to_owned()).collect()
}

/// The sealed parts of a record but for `open`, as they travel.
fn sealed(node: &Node, id: &str) -> Vec<Vec<u8>> {
    let file = node.get(&format!("/v1/records/{id}/entry"));
    let entry = Announcement::from_file(&file.bytes).unwrap();
    let parts = entry.items.into_iter().flat_map(|item| item.sealed);
    parts.filter(|(class, _)| class != "open" && class != "audience").map(|(_, b)| b).collect()
}

/// A forced core of the process has nothing of what was erased as its readers were given it. (Sealed
/// bytes stay a while in the buffers of connections.)
fn forgot(node: &Node) {
    let has = |memory: &[u8], bytes: &[u8]| memory.windows(bytes.len()).any(|w| w == bytes);
    until(&format!("memory of {} without what was erased", node.member()), || {
        let memory = match node.memory() {
            Ok(memory) => memory,
            // Not even to its own user; only the superuser reads on.
            Err(cause) if cause.kind() == ErrorKind::PermissionDenied => return Ok(()),
            Err(cause) => return Err(cause.to_string()),
        };
        assert!(has(&memory, b"test.sealwire.example"), "this is the memory of a node");
        match [CORE, NOMINAL].into_iter().find(|text| has(&memory, text.as_bytes())) {
            None => Ok(()),
            Some(text) => Err(text.to_owned()),
        }
    });
}

#[test]
fn what_may_not_be_kept_any_longer_is_erased_at_every_holder_and_attested() {
    let mut world = forgetful();
    for member in ["ID", "SG"] {
        world.node_mut(member).start();
    }
    world.meet();
    let id = publish(world.node("ID"), &kept_for(40));
    world.delivered("ID", &id, "SG");
    assert_eq!(world.node("SG").record(&id)["record"]["person"][0]["name"], NOMINAL);
    let parts = sealed(world.node("ID"), &id);
    assert!(parts.len() >= 5, "{}", parts.len());
    for member in ["ID", "SG"] {
        let data = world.node(member).data();
        until("core value in the plain log files", || {
            let found = holding(&data, CORE.as_bytes());
            if found.is_empty() { Err(member.to_owned()) } else { Ok(()) }
        });
        assert!(parts.iter().all(|part| !holding(&data, part).is_empty()), "{member}");
    }
    let config = world.node("ID").config();
    let due = run(&["retention", "--within", "45", "--config", text(&config)]);
    let due = said(&due);
    assert!(due.contains(&format!("{} ", day(40))) && due.contains("40 days retention"), "{due}");
    assert!(due.contains("20 days review"), "{due}");
    let backup = world.dir().join("backup");
    let sg = world.node("SG").config();
    done(&["backup", "--config", text(&sg), "--out", text(&backup)]);
    assert!(parts.iter().all(|part| !holding(&backup, part).is_empty()), "the backup holds it");

    // Its last day, and the day after.
    for member in MEMBERS {
        world.node(member).advance(40);
    }
    let config = world.node("ID").config();
    until("the last day", || {
        let due = said(&run(&["retention", "--config", text(&config)]));
        if due.contains(" 0 days retention") { Ok(()) } else { Err(due) }
    });
    assert!(world.node("SG").record(&id)["opened"].as_array().unwrap().len() > 3);
    for member in MEMBERS {
        world.node(member).advance(41);
    }
    for member in ["ID", "SG"] {
        let view = erased(world.node(member), &id);
        assert!(!view.to_string().contains("Canary"), "{view}");
        assert!(view["erased"]["nominal"]["rule"].is_string(), "{view}");
        let data = world.node(member).data();
        until("log files without the parts", || {
            let left: Vec<_> = parts.iter().flat_map(|part| holding(&data, part)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
        assert_eq!(holding(&data, CORE.as_bytes()), [""; 0], "{member}");
        forgot(world.node(member));
    }
    // AU, which was away all the time, takes the log without a gap, and has nothing to erase.
    world.node_mut("AU").start();
    world.meet();
    world.delivered("ID", &id, "AU");
    erased(world.node("AU"), &id);
    let state = until("attestation of SG", || {
        let state = state(world.node("ID"), &id);
        let of = &state["attestations"]["SG"]["parts"];
        if of["core"] == "erased" && of["nominal"] == "erased" {
            Ok(state)
        } else {
            Err(state.to_string())
        }
    });
    assert_eq!(state["ordered"].as_array().unwrap().len(), 1, "{state}");
    world.audited("ID");
    let late = publish(world.node("ID"), &kept_for(80));
    world.delivered("ID", &late, "SG");

    // Neither the old copy of the data nor the peers give it back.
    world.node_mut("SG").stop();
    let home = world.dir().join("old-sg");
    fs::create_dir(&home).unwrap();
    for file in ["sealwire.toml", "register.json", "operator.token", "clock"] {
        fs::copy(world.node("SG").dir().join(file), home.join(file)).unwrap();
    }
    copy_dir(&world.node("SG").dir().join("keys"), &home.join("keys"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(home.join("keys"), mode).unwrap();
    let mut old = world.node("SG").at(home);
    let config = old.config();
    done(&["restore", text(&backup), "--config", text(&config)]);
    old.launch();
    until("an answer of the restored node", || {
        let answer = old.get("/v1/status");
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    until("the log of ID at the restored node", || {
        let size = world.node("ID").size();
        let peer = old.peer("ID");
        if peer["mirrored"] == size && peer["gaps"] == 0 { Ok(()) } else { Err(peer.to_string()) }
    });
    erased(&old, &id);
    until("files of the restored node without the parts", || {
        let left: Vec<_> = parts.iter().flat_map(|part| holding(&old.data(), part)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    old.kill();
}

#[test]
fn an_order_erases_at_once_everywhere_but_where_a_law_holds_the_record() {
    let mut world = forgetful();
    for member in MEMBERS {
        world.node_mut(member).start();
    }
    world.meet();
    let id = publish(world.node("ID"), &kept_for(300));
    for member in ["SG", "AU"] {
        world.delivered("ID", &id, member);
    }
    let sg = world.node("SG");
    let (first, second) = (keeper(sg, "first"), keeper(sg, "second"));
    let hold = |token: &str, step: &str| {
        let body = json!({"step": step, "until": day(90), "reason": "FICTIONAL court, file 7"});
        ask(world.node("SG"), token, &format!("/v1/records/{id}/hold"), &body)
    };
    assert_eq!(hold(&first, "placed").with(409)["code"], "hold-step");
    hold(&first, "asked").good();
    assert_eq!(hold(&first, "placed").with(409)["code"], "second-person");
    assert_eq!(hold(&second, "placed").good()["holds"], true);
    let holds = sg.get("/v1/holds").good();
    assert_eq!(holds["holds"][0]["by"], "second", "{holds}");

    // Only with the right to erase, only what there is, only by a rule that exists.
    let node = world.node("ID");
    let path = format!("/v1/records/{id}/erasure");
    let order = json!({"classes": ["nominal", "text"], "rule": "data-subject-request",
                       "reference": "FICTIONAL request 12"});
    assert_eq!(ask(node, &node.bearer(), &path, &order).with(403)["code"], "right-missing");
    let officer = keeper(node, "officer");
    let other = json!({"rule": "because"});
    assert_eq!(ask(node, &officer, &path, &other).with(422)["code"], "unknown-rule");
    let open = json!({"rule": "court-order", "classes": ["open"]});
    assert_eq!(ask(node, &officer, &path, &open).with(422)["code"], "class-not-in-record");
    let file = world.dir().join("officer.token");
    fs::write(&file, officer.trim_start_matches("Bearer ")).unwrap();
    let config = node.config();
    let erase = ["erase", &id, "--rule", "data-subject-request", "--class", "nominal", "--class"];
    let as_officer = ["--token-file", text(&file), "--config", text(&config)];
    let state = done(&[&erase[..], &["text"], &as_officer].concat());
    assert_eq!(state["erased"]["nominal"]["rule"], "originator-order", "{state}");
    assert!(state["missing"].as_array().unwrap().contains(&json!("SG")), "{state}");
    let view = node.record(&id);
    assert!(!view.to_string().contains(NOMINAL), "unreadable at once: {view}");
    assert!(view.to_string().contains(CORE), "the rest stays: {view}");

    // AU had no readable part of it and attests; SG says that a law holds it, and reads no more.
    let state = until("word of SG and AU", || {
        let state = self::state(world.node("ID"), &id);
        let of = |member: &str| state["attestations"][member]["parts"]["nominal"].clone();
        let said = of("SG") == "legal-hold" && of("AU") == "erased";
        if said { Ok(state) } else { Err(state.to_string()) }
    });
    assert_eq!(state["missing"], json!(["SG"]));
    let sg = world.node("SG");
    assert!(!sg.record(&id).to_string().contains(NOMINAL));
    assert_eq!(self::state(sg, &id)["removed"], false, "kept for the court");
    hold(&first, "lift-asked").good();
    assert_eq!(hold(&first, "lifted").with(409)["code"], "second-person");
    hold(&second, "lifted").good();
    let state = none_missing(world.node("ID"), &id);
    assert_eq!(state["attestations"]["SG"]["parts"]["nominal"], "erased", "{state}");
    assert_eq!(self::state(world.node("SG"), &id)["removed"], true);

    // Nobody attests what is not so.
    let mut lie = crate::world::example("erasure-02-recipient.json");
    lie["relation"] = json!({"verb": "erases", "record": id, "issuer": "ID"});
    let part =
        json!({"class": "core", "status": "erased", "date": day(0), "method": "overwritten"});
    (lie["part"], lie["issueDate"]) = (json!([part]), json!(day(0)));
    (lie["handling"]["reviewDate"], lie["backupsGoneBy"]) = (json!(day(9)), json!(day(9)));
    let body = json!({"community": SUBSTANCES, "record": lie, "to": ["ID"]});
    let refused = world.node("AU").post(body.to_string().as_bytes(), None).with(409);
    assert_eq!(refused["code"], "not-erased", "{refused}");
    world.audited("ID");
    world.audited("SG");
}

#[test]
fn a_record_that_nobody_reviews_is_erased_a_month_later_unless_somebody_decides() {
    let mut world = forgetful();
    for member in ["ID", "SG"] {
        world.node_mut(member).start();
    }
    world.meet();
    let (kept, lost) =
        (publish(world.node("ID"), &kept_for(300)), publish(world.node("ID"), &kept_for(301)));
    for member in ["ID", "SG"] {
        world.node(member).advance(50);
    }
    let config = world.node("ID").config();
    let due = until("the end of the notice", || {
        let due = said(&run(&["retention", "--config", text(&config)]));
        if due.contains("-30 days review") { Ok(due) } else { Err(due) }
    });
    assert!(due.contains(&kept) && due.contains(&lost), "{due}");
    let token = keeper(world.node("ID"), "officer");
    let path = format!("/v1/records/{kept}/review");
    let late = json!({"until": day(500), "reason": "still under investigation"});
    assert_eq!(ask(world.node("ID"), &token, &path, &late).with(422)["code"], "review-date");
    let decision = json!({"until": day(200), "reason": "still under investigation"});
    ask(world.node("ID"), &token, &path, &decision).good();
    let path = path.replace(&kept, &lost);
    assert_eq!(
        ask(world.node("SG"), &keeper(world.node("SG"), "o"), &path, &decision).with(409)["code"],
        "not-ours"
    );
    for member in ["ID", "SG"] {
        world.node(member).advance(51);
    }
    let view = erased(world.node("ID"), &lost);
    assert_eq!(view["erased"]["core"]["rule"], "originator-order");
    erased(world.node("SG"), &lost);
    assert!(world.node("ID").record(&kept).to_string().contains(CORE));
    let mut over = kept_for(40);
    over["handling"]["reviewDate"] = json!(day(2));
    over["handling"]["retainUntil"] = json!(day(2));
    let body = json!({"community": SUBSTANCES, "record": over});
    let refused = world.node("ID").post(body.to_string().as_bytes(), None).with(422);
    assert_eq!(refused["code"], "retention-over", "{refused}");
}
