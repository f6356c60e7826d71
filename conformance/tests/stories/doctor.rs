//! What is wrong with a node is said with a hint, and by the exit code.

use serde_json::Value;

use crate::world::{SUBSTANCES, World, done, numbered, run, said, text, until};

/// The doctor's exit code and findings.
fn doctor(config: &std::path::Path) -> (Option<i32>, Vec<Value>) {
    let output = run(&["--json", "doctor", "--config", text(config)]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{}", said(&output)));
    (output.status.code(), findings.clone())
}

fn of<'a>(findings: &'a [Value], check: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding["check"] == check).collect()
}

#[test]
fn the_doctor_finds_nothing_wrong_with_a_whole_federation_and_names_what_is_missing() {
    let mut world = World::started();
    let config = world.node("ID").config();
    let id = world.node("ID").publish(SUBSTANCES, &numbered("D-1"))["id"].clone();
    for member in ["SG", "AU"] {
        world.delivered("ID", id.as_str().unwrap(), member);
    }
    until("a healthy node", || {
        let (code, findings) = doctor(&config);
        if code == Some(0) { Ok(()) } else { Err(format!("{code:?} {findings:?}")) }
    });

    world.node_mut("AU").stop();
    let findings = until("a peer that is missing", || {
        let (code, findings) = doctor(&config);
        if code == Some(1) { Ok(findings) } else { Err(format!("{code:?}")) }
    });
    let peers = of(&findings, "peers");
    assert!(peers.len() == 1 && peers[0]["text"].as_str().unwrap().contains("AU"), "{peers:?}");
    assert!(peers[0]["level"] == "warning" && peers[0]["hint"].is_string(), "{peers:?}");

    world.node_mut("ID").stop();
    let (code, findings) = doctor(&config);
    assert_eq!(code, Some(2), "its files are in order, and it cannot be asked: {findings:?}");
    assert_eq!(of(&findings, "node")[0]["level"], "unknown");
    let missing = world.dir().join("none.toml");
    assert_eq!(run(&["doctor", "--config", text(&missing)]).status.code(), Some(2));
}

#[test]
fn a_community_says_to_how_many_a_record_must_have_come() {
    let mut world = World::started();
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).stop();
    }
    world.next_version(2, |draft| {
        let add = ["register", "add", "community", "--draft", draft, "--id", SUBSTANCES];
        let who = ["--title", "t", "--agreement", "a", "--members", "ID,SG,AU", "--kinds"];
        let what = ["lab-alert", "--classes", "open,core,operational,commercial,nominal,text"];
        let how = [
            "--tlp",
            "AMBER+STRICT",
            "--purposes",
            "customs-enforcement,risk-analysis,\
                   laboratory-cooperation",
            "--retention-days",
            "1825",
            "--witnesses",
            "2",
        ];
        done(&[&add[..], &who, &what, &how, &["--replace", "--delivery", "1"]].concat());
    });
    for member in ["ID", "SG"] {
        std::fs::copy(world.version(2), world.node(member).dir().join("register.json")).unwrap();
        world.node_mut(member).start();
    }
    let id = world.node("ID").publish(SUBSTANCES, &numbered("K-1"))["id"].clone();
    let id = id.as_str().unwrap();
    world.delivered("ID", id, "SG");
    let delivery = world.node("ID").get(&format!("/v1/records/{id}/delivery")).good();
    let asked = (&delivery["required"], &delivery["reached"], &delivery["delivered"]);
    assert_eq!(asked, (&Value::from(1), &Value::from(1), &Value::from(true)), "{delivery}");
    assert_eq!(delivery["witnessed"], false, "one of two has cosigned");
    let metrics = world.node("ID").get("/metrics").text;
    assert!(metrics.contains("sealwire_deliveries_overdue 0\n"), "{metrics}");
    assert!(metrics.contains("sealwire_peer_stale{member=\"AU\"} 0\n"), "{metrics}");
}
