//! A member learns whether another holds an identifier; neither shows what it has, and both sides'
//! logs say that something was asked.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use sealwire_wire::message::{About, Blinded, Request, Response, Tags};
use sealwire_wire::oprf::Questions;
use serde_json::{Value, json};

use crate::world::{
    Answer, Liar, Node, SEIZURES, SUBSTANCES, World, done, example, files, program, run, said,
    text, until,
};

const PURPOSE: &str = "risk-analysis";
/// What SG has seen.
const HELD: &str = "MSKU6011672";
/// What nobody has.
const OTHER: &str = "CSQU3054383";

/// Adds to a node's configuration before it starts.
fn configure(node: &Node, lines: &str) {
    let mut config = fs::File::options().append(true).open(node.config()).unwrap();
    config.write_all(lines.as_bytes()).unwrap();
}

/// Lets others match what SG has seen.
fn load(world: &World, list: &str) -> Value {
    let file = world.dir().join("seen.csv");
    fs::write(&file, list).unwrap();
    let config = world.node("SG").config();
    done(&[
        "match",
        "load",
        text(&file),
        "--community",
        SEIZURES,
        "--purpose",
        PURPOSE,
        "--config",
        text(&config),
    ])
}

fn asker(node: &Node) -> String {
    node.token(&["targeting", "--rights", "match"])
}

fn ask(node: &Node, bearer: &str, change: Value) -> Answer {
    let mut body = json!({"community": SEIZURES, "purpose": PURPOSE, "type": "container",
                          "identifiers": [HELD, OTHER]});
    for (key, value) in change.as_object().unwrap() {
        body[key] = value.clone();
    }
    node.send("POST", "/v1/match", &[("authorization", bearer)], body.to_string().as_bytes())
}

fn of<'a>(answers: &'a Value, member: &str) -> &'a Value {
    let members = answers["members"].as_array().unwrap();
    members.iter().find(|answer| answer["member"] == member).unwrap_or(&Value::Null)
}

/// Asks SG until its match key has come.
fn answered(node: &Node, bearer: &str, change: Value) -> Value {
    until("answer of SG", || {
        let answers = ask(node, bearer, change.clone()).good();
        let waits = ["match-key-unknown", "match-preparing", "no-answer"];
        match of(&answers, "SG")["code"].as_str() {
            Some(code) if waits.contains(&code) => Err(answers.to_string()),
            _ => Ok(answers),
        }
    })
}

fn kept(node: &Node) -> Vec<Value> {
    node.get("/v1/matches?limit=500").good()["matches"].as_array().unwrap().clone()
}

/// The sum of what a node has kept of questions on one side with a member.
fn count(node: &Node, side: &str, member: &str) -> u64 {
    let with = |row: &&Value| row["side"] == side && row["member"] == member;
    kept(node).iter().filter(with).filter_map(|row| row["count"].as_u64()).sum()
}

/// Whether any file of a member has a text.
fn mentions(node: &Node, what: &str) -> Option<PathBuf> {
    let has = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(what.len()).any(|window| window == what.as_bytes())
    };
    files(node.dir()).into_iter().find(has)
}

#[test]
fn a_member_learns_whether_another_holds_a_container_and_both_logs_count_the_question() {
    let mut world = World::new();
    for member in ["ID", "SG", "AU"] {
        configure(world.node(member), "\n[reads]\nevery-seconds = 1\n");
        world.node_mut(member).start();
    }
    world.meet();
    let (id, sg) = (world.node("ID"), world.node("SG"));
    let listed = load(&world, &format!("type,identifier\ncontainer,{HELD}\nvessel,9074729\n"));
    assert_eq!(listed["identifiers"], json!({"container": 1, "vessel": 1}));
    let bearer = asker(id);
    let sizes = (id.size(), sg.size());

    let answers = answered(id, &bearer, json!({}));
    let at_sg = of(&answers, "SG");
    assert_eq!((&at_sg["hits"], &at_sg["misses"]), (&json!([HELD]), &json!([OTHER])));
    assert_eq!(at_sg["of_at_most"], 256, "a list of one says no more than one of 255");
    let at_au = of(&answers, "AU");
    assert_eq!((&at_au["answered"], &at_au["code"]), (&json!(false), &json!("match-not-offered")));
    let written = answered(id, &bearer, json!({"identifiers": ["msku 601167-2"], "of": ["SG"]}));
    assert_eq!(of(&written, "SG")["hits"], json!([HELD]), "in its one form");
    let vessel = json!({"type": "vessel", "identifiers": ["IMO 9074729"], "of": ["SG"]});
    assert_eq!(of(&answered(id, &bearer, vessel), "SG")["hits"], json!(["9074729"]));

    // By command: a hit is yes, no hit is no; and what is not well formed is not asked.
    let (config, token) = (id.config(), world.dir().join("targeting.token"));
    fs::write(&token, bearer.trim_start_matches("Bearer ")).unwrap();
    let by_command = |identifiers: &[&str]| {
        let asked = ["match", "ask", "container", "--community", SEIZURES, "--purpose", PURPOSE];
        let node = ["--of", "SG", "--config", text(&config), "--token-file", text(&token)];
        run(&[&asked[..], &node, identifiers].concat())
    };
    let hit = by_command(&[HELD]);
    assert!(hit.status.success() && said(&hit).contains("SG: hit MSKU6011672"), "{}", said(&hit));
    let none = by_command(&[OTHER]);
    assert_eq!(none.status.code(), Some(1), "{}", said(&none));
    let before = count(id, "asked", "SG");
    let wrong = by_command(&["MSKU6011673"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert_eq!(
        ask(id, &bearer, json!({"identifiers": ["MSKU6011673"]})).with(400)["code"],
        "identifier-invalid"
    );

    // What is not agreed, or not offered for the purpose, is not asked and not answered.
    let purpose = ask(id, &bearer, json!({"purpose": "training"}));
    assert_eq!(purpose.with(403)["code"], "purpose-not-in-agreement");
    let community = ask(id, &bearer, json!({"community": SUBSTANCES}));
    assert_eq!(community.with(403)["code"], "kind-not-in-agreement");
    let elsewhere = answered(id, &bearer, json!({"purpose": "customs-enforcement"}));
    assert_eq!(of(&elsewhere, "SG")["code"], "match-not-offered");
    let other = answered(
        id,
        &bearer,
        json!({"type": "company",
                                             "identifiers": ["529900T8BM49AURSDO55"]}),
    );
    assert_eq!(of(&other, "SG")["code"], "match-not-offered");
    assert_eq!(ask(id, &id.bearer(), json!({})).with(403)["code"], "right-missing");
    assert_eq!(count(id, "asked", "SG"), before);

    // Both sides kept how many, for what and for whom, and count it in their logs.
    assert_eq!(before, 6);
    assert_eq!((count(sg, "answered", "ID"), count(id, "asked", "AU")), (6, 0));
    let row = kept(id).remove(0);
    let said_of = ["side", "member", "principal", "community", "purpose", "type", "count"];
    let expected = json!(["asked", "SG", "targeting", SEIZURES, PURPOSE, "container", 2]);
    assert_eq!(json!(said_of.map(|key| row[key].clone())), expected, "{row}");
    let told = run(&["match", "log", "--config", text(&config)]);
    let line = format!("asked SG 2 container in {SEIZURES} for {PURPOSE} by targeting");
    assert!(said(&told).contains(&line), "{}", said(&told));
    let lists = run(&["match", "lists", "--config", text(&sg.config())]);
    let line = format!("{SEIZURES}: 1 container, 1 vessel; for {PURPOSE}");
    assert!(said(&lists).contains(&line), "{}", said(&lists));
    assert!(kept(sg)[0].get("principal").is_none(), "the responder knows no principal");
    for (node, before) in [(id, sizes.0), (sg, sizes.1)] {
        until("entry that counts questions", || {
            if node.size() > before { Ok(()) } else { Err(format!("{} entries", node.size())) }
        });
    }
    world.mirrored("AU", "ID");
    let path = format!("/v1/logs/ID/statement/{}", sizes.0);
    assert_eq!(sg.get(&path).status, 200, "the counterpart is told");
    assert_eq!(world.node("AU").get(&path).status, 404, "and nobody else");
    world.audited("ID");
    world.audited("SG");

    // An auditor who has both logs holds them against each other.
    let trust = world.trust("ID");
    until("agreement of both sides on the questions", || {
        let mut bundles = Vec::new();
        for member in ["ID", "SG"] {
            let out = world.dir().join(format!("{member}.{}.tar", world.node(member).size()));
            let config = world.node(member).config();
            let _ = fs::remove_file(&out);
            done(&["audit", "export", "--config", text(&config), "--out", text(&out)]);
            bundles.push(out);
        }
        let [id, sg] = bundles.as_slice() else { panic!() };
        let verdict = Command::new(program("sealwire-audit"))
            .args(["reconcile", text(id), text(sg), "--trust", text(&trust)])
            .output()
            .unwrap();
        let told = said(&verdict);
        let agreed = told.contains("ID asked SG 6 questions, 6 were answered");
        if agreed && verdict.status.success() { Ok(()) } else { Err(told) }
    });

    // Neither what was asked nor what is held is in any file.
    for member in ["ID", "SG", "AU"] {
        for canary in [HELD, OTHER, "6011672", "3054383", "9074729", "AURSDO55"] {
            assert_eq!(mentions(world.node(member), canary), None, "{canary} at {member}");
        }
    }

    // The list is there after a restart, until it is removed.
    world.node_mut("SG").stop();
    world.node_mut("SG").start();
    world.meet();
    let (id, sg) = (world.node("ID"), world.node("SG"));
    let again = answered(id, &bearer, json!({"of": ["SG"]}));
    assert_eq!(of(&again, "SG")["hits"], json!([HELD]), "{again}");
    let config = sg.config();
    done(&["match", "unload", "--community", SEIZURES, "--config", text(&config)]);
    let gone = answered(id, &bearer, json!({"of": ["SG"]}));
    assert_eq!(of(&gone, "SG")["code"], "match-not-offered", "{gone}");
    assert!(!sg.data().join("match/seizures.list").exists());
}

#[test]
fn questions_are_limited_for_each_member_and_day_also_across_a_restart() {
    let mut world = World::new();
    configure(world.node("SG"), "\n[match]\nquestions-a-day = 3\n");
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    load(&world, &format!("container,{HELD}\n"));
    let bearer = asker(world.node("ID"));
    let two = |world: &World| answered(world.node("ID"), &bearer, json!({"of": ["SG"]}));
    let one = |world: &World| {
        let change = json!({"of": ["SG"], "identifiers": [HELD]});
        answered(world.node("ID"), &bearer, change)
    };
    assert_eq!(of(&two(&world), "SG")["hits"], json!([HELD]));
    world.node_mut("SG").stop();
    world.node_mut("SG").start();
    world.meet();
    let refused = two(&world);
    assert_eq!(of(&refused, "SG")["code"], "match-limit", "two of one that is left: {refused}");
    assert_eq!(of(&one(&world), "SG")["hits"], json!([HELD]), "the one that is left");
    assert_eq!(of(&one(&world), "SG")["code"], "match-limit");
    assert_eq!(count(world.node("SG"), "answered", "ID"), 3);

    // Another member has its own.
    let au = world.node("AU");
    let theirs = answered(au, &asker(au), json!({"of": ["SG"]}));
    assert_eq!(of(&theirs, "SG")["hits"], json!([HELD]), "{theirs}");
}

fn about(purpose: &str) -> About {
    let word = |text: &str| text.to_owned();
    About { community: word(SEIZURES), purpose: word(purpose), kind: word("container") }
}

fn random(bytes: &mut [u8]) {
    // What is blinded here is opened by nobody.
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::try_from(at % 251).unwrap() ^ 0x5a;
    }
}

/// Puts a request to SG, and gives its answer.
fn put(world: &World, liar: &Liar, request: Request) -> Vec<u8> {
    liar.request(world.node("SG"), &request.to_bytes())
}

fn refusal(answer: &[u8]) -> String {
    match Response::from_bytes(answer).unwrap() {
        Response::Refused { code, .. } => code,
        other => panic!("no refusal: {other:?}"),
    }
}

#[test]
fn what_is_on_the_wire_shows_neither_question_nor_list_and_serves_one_asker_alone() {
    let mut world = World::new();
    for member in ["SG", "AU"] {
        world.node_mut(member).start();
    }
    load(&world, &format!("container,{HELD}\n"));
    let tags_of = |world: &World, liar: &Liar| -> Tags {
        let answer = put(world, liar, Request::MatchTags { about: about(PURPOSE), have: 0 });
        assert!(!answer.windows(HELD.len()).any(|window| window == HELD.as_bytes()));
        match Response::from_bytes(&answer).unwrap() {
            Response::MatchTags(tags) => tags,
            other => panic!("no tags: {other:?}"),
        }
    };
    let (_, elements) = Questions::blind(vec![HELD.to_owned()], random).unwrap();
    let question = |serial| {
        let blinded = Blinded { about: about(PURPOSE), serial, elements: elements.clone() };
        let request = Request::Match(blinded);
        let bytes = request.to_bytes();
        assert!(!bytes.windows(HELD.len()).any(|window| window == HELD.as_bytes()));
        request
    };

    let id = Liar::in_place_of(&world, "ID");
    let for_id = tags_of(&world, &id);
    assert_eq!(for_id.tags.len(), 256 * 8);
    let again = put(&world, &id, Request::MatchTags { about: about(PURPOSE), have: for_id.serial });
    assert_eq!(Response::from_bytes(&again).unwrap(), Response::Taken, "the same, not sent again");
    let answer = put(&world, &id, question(for_id.serial));
    assert!(!answer.windows(HELD.len()).any(|window| window == HELD.as_bytes()));
    let Response::Matched(evaluated, _) = Response::from_bytes(&answer).unwrap() else { panic!() };
    assert_eq!(refusal(&put(&world, &id, question(for_id.serial - 1))), "match-tags-over");
    let unagreed = Request::MatchTags { about: about("training"), have: 0 };
    assert_eq!(refusal(&put(&world, &id, unagreed)), "purpose-not-in-agreement");
    let elsewhere = About { community: SUBSTANCES.to_owned(), ..about(PURPOSE) };
    let elsewhere = Request::MatchTags { about: elsewhere, have: 0 };
    assert_eq!(refusal(&put(&world, &id, elsewhere)), "kind-not-in-agreement");
    let mut zero =
        Blinded { about: about(PURPOSE), serial: for_id.serial, elements: vec![[0; 32]] };
    assert_eq!(refusal(&put(&world, &id, Request::Match(zero.clone()))), "request-malformed");
    zero.serial = 0;
    assert_eq!(refusal(&put(&world, &id, Request::Match(zero))), "match-tags-over");
    id.leave();

    // Another member is given other tags, and another answer to the very same question.
    world.node_mut("AU").stop();
    let au = Liar::in_place_of(&world, "AU");
    let for_au = tags_of(&world, &au);
    let (ours, theirs) = (for_id.tags.as_chunks::<8>().0, for_au.tags.as_chunks::<8>().0);
    assert!(ours.iter().all(|tag| !theirs.contains(tag)), "no tag is of use to another");
    let answer = put(&world, &au, question(for_au.serial));
    let Response::Matched(other, _) = Response::from_bytes(&answer).unwrap() else { panic!() };
    assert_ne!(evaluated, other);
    au.leave();
}

#[test]
fn a_suspended_member_is_asked_nothing_and_answered_nothing() {
    let world = World::started();
    load(&world, &format!("container,{HELD}\n"));
    let bearer = asker(world.node("ID"));
    let answers = answered(world.node("ID"), &bearer, json!({"of": ["SG"]}));
    assert_eq!(of(&answers, "SG")["hits"], json!([HELD]));
    world.next_version(2, |draft| {
        done(&["register", "status", "--draft", draft, "--member", "ID", "suspended"]);
    });
    fs::copy(world.version(2), world.node("SG").dir().join("register.json")).unwrap();
    let adopted = |member: &str| {
        until("version 2", || {
            let status = world.node(member).get("/v1/status").good();
            if status["register_version"] == 2 { Ok(()) } else { Err(status.to_string()) }
        });
    };
    adopted("SG");
    let before = count(world.node("SG"), "answered", "ID");
    let refused = until("no answer", || {
        let answers = ask(world.node("ID"), &bearer, json!({"of": ["SG"]})).good();
        if of(&answers, "SG")["answered"] == false { Ok(answers) } else { Err(answers.to_string()) }
    });
    assert!(of(&refused, "SG")["hits"].as_array().unwrap().is_empty());
    assert_eq!(count(world.node("SG"), "answered", "ID"), before);
    let sg = world.node("SG");
    let theirs = ask(sg, &asker(sg), json!({"of": ["ID"]}));
    assert_eq!(theirs.with(403)["code"], "member-not-active");
}

/// A day that is not over when this test is.
fn in_a_month() -> String {
    let told = Command::new("date").args(["-u", "-d", "+30 days", "+%F"]).output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_hit_opens_an_assistance_request_to_the_member_that_has_it() {
    let world = World::started();
    load(&world, &format!("container,{HELD}\n"));
    let id = world.node("ID");
    let mut template = example("assistance-request-01-refrigerants.json");
    template.as_object_mut().unwrap().remove("consignment");
    let later = [
        "/handling/feedbackDue",
        "/handling/reviewDate",
        "/handling/retainUntil",
        "/replyDue",
        "/interimReplyDue",
    ];
    for pointer in later {
        *template.pointer_mut(pointer).unwrap() = json!(in_a_month());
    }
    let file = world.dir().join("request.json");
    fs::write(&file, template.to_string()).unwrap();
    let (config, token) = (id.config(), world.dir().join("both.token"));
    let bearer = id.token(&["officer", "--rights", "match,publish"]);
    fs::write(&token, bearer.trim_start_matches("Bearer ")).unwrap();
    answered(id, &asker(id), json!({"of": ["SG"]}));
    let asked = |more: &[&str]| {
        let asked = ["match", "ask", "container", "--community", SEIZURES, "--purpose", PURPOSE];
        let node = ["--config", text(&config), "--token-file", text(&token)];
        let what = ["--request", text(&file), HELD, OTHER];
        done(&[&asked[..], &node, &what, more].concat())
    };
    let drafted = asked(&[]);
    let requests = drafted["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 1, "one for the hit, none for what nobody has");
    assert_eq!(requests[0]["requestedMember"], json!(["SG"]));
    assert_eq!(requests[0]["consignment"]["transportEquipment"], json!([{"id": HELD}]));
    let size = id.size();
    assert_eq!(world.node("SG").records(), json!([]), "a draft goes nowhere");

    let published = asked(&["--publish"]);
    let record = published["requests"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.size() > size);
    let at_sg = world.node("SG").record(&record);
    assert_eq!(at_sg["kind"], "assistance-request", "{at_sg}");
    let container = &at_sg["record"]["consignment"]["transportEquipment"][0]["id"];
    assert_eq!(container, HELD, "the member that has it is told what it is about: {at_sg}");
    world.mirrored("AU", "ID");
    assert_eq!(world.node("AU").get(&format!("/v1/records/{record}")).status, 404);
}
