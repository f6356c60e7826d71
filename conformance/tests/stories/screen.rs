//! What looks like a natural person in free text does not leave before somebody has decided so.

use std::fs;

use serde_json::{Value, json};

use crate::world::{SUBSTANCES, World, done, files, numbered, run, said, text, until};

const NAMED: &str = "Fictional remark: the parcel was handed over by Mr Fictional.";
const REASON: &str = "no person: the name of a made-up product";

/// An alert with this remark.
fn remarked(reference: &str, remark: &str) -> Value {
    let mut record = numbered(reference);
    record["remark"] = remark.into();
    record
}

#[test]
fn a_person_in_free_text_is_sent_only_by_a_decision_that_is_kept() {
    let mut world = World::new();
    world.node_mut("ID").start();
    let node = world.node("ID");
    let config = node.config();
    let file = world.dir().join("named.json");
    fs::write(&file, remarked("S-1", NAMED).to_string()).unwrap();
    let publish = ["publish", text(&file), "--community", SUBSTANCES, "--config", text(&config)];

    // Undecided, or decided about another field: refused, and nothing is logged.
    let size = until("an announced log", || match node.size() {
        0 => Err("empty".to_owned()),
        size => Ok(size),
    });
    for keep in [&[][..], &["--keep", "/elsewhere=a reason"][..]] {
        let refused = run(&[&publish[..], keep].concat());
        let said = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        for part in ["screen-undecided", "person-name-in-text", "/remark", "--keep"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let body = json!({"community": SUBSTANCES, "record": remarked("S-1", NAMED)});
    node.post(body.to_string().as_bytes(), None).with(422);
    assert_eq!(node.size(), size);

    // A decision names the field and the reason; both are kept, and the matched text is not.
    let kept = format!("/remark={REASON}");
    let published = done(&[&publish[..], &["--keep", &kept]].concat());
    let id = published["id"].as_str().unwrap();
    let shown = done(&["screen", id, "--config", text(&config)]);
    let finding = json!({"pointer": "/remark", "code": "person-name-in-text", "reason": REASON});
    assert_eq!(shown["kept"], json!([finding]));
    assert!(shown["principal"].as_str().is_some_and(|by| !by.is_empty()), "{shown}");

    // What nobody had to decide says so.
    let plain = node.publish(SUBSTANCES, &remarked("S-2", "Fictional remark."));
    let shown = done(&["screen", plain["id"].as_str().unwrap(), "--config", text(&config)]);
    assert_eq!(shown["kept"], json!([]));

    // It is of the journal: the index may be lost.
    world.node_mut("ID").stop();
    fs::remove_dir_all(world.node("ID").data().join("index")).unwrap();
    world.node_mut("ID").start();
    let shown = done(&["screen", id, "--config", text(&config)]);
    assert_eq!(shown["kept"][0]["reason"], REASON);
}

#[test]
fn a_decision_stays_at_home() {
    let world = World::started();
    world.meet();
    let body = json!({"community": SUBSTANCES, "record": remarked("S-3", NAMED),
                      "keep": [{"code": "person-name-in-text", "reason": REASON}]});
    let published = world.node("ID").post(body.to_string().as_bytes(), None).with(201);
    let id = published["id"].as_str().unwrap();
    world.delivered("ID", id, "SG");
    let mentions = |member: &str| {
        let found = |bytes: Vec<u8>| bytes.windows(REASON.len()).any(|w| w == REASON.as_bytes());
        files(&world.node(member).data())
            .into_iter()
            .any(|f| found(fs::read(f).unwrap_or_default()))
    };
    assert!(mentions("ID"), "kept in the own journal");
    assert!(!mentions("SG") && !mentions("AU"), "and nowhere else");
    let asked = world.node("SG").get(&format!("/v1/records/{id}/screen"));
    assert_eq!((asked.status, asked.json()["code"].as_str()), (409, Some("not-ours")));
}
