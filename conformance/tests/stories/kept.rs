//! A member's directory written by the first version that had its formats, opened by this one.
//!
//! `conformance/vectors/data-v1` is what a node of then left: keys of a fictional member, journal,
//! log files, register, configuration, and in `expected.json` what it then said of itself. It is
//! written once, with `SEALWIRE_WRITE_DATA=1`, and never again: a change of format makes a
//! directory of its own beside it. Its register expires in November 2036, the longest that a
//! register may last; from then on its node can only be read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::world::{
    Node, SEIZURES, SUBSTANCES, World, copy_dir, done, example, files, free_port, lab_alert,
    numbered, text,
};

const EXPECTED: &str = "expected.json";
/// The request that made its first record.
const REQUEST: &str = "request.json";

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/data-v1")
}

/// What a node says of itself, as far as it must say the same for ever.
fn said_of(node: &Node) -> Value {
    let status = node.get("/v1/status").good();
    json!({
        "size": status["size"],
        "register_fingerprint": status["register_fingerprint"],
        "records": node.records(),
    })
}

/// Leaves a member's directory as a stopped node does, without what is derived and not audited.
fn write() {
    let mut world = World::started();
    let restricted = json!({"community": SUBSTANCES, "record": lab_alert(),
        "audiences": {"operational": ["SG"], "nominal": ["SG"]}});
    let first = world.node("ID").post(restricted.to_string().as_bytes(), Some("kept-1")).with(201);
    world.node("ID").publish(SUBSTANCES, &numbered("KEPT-2"));
    let seizure = example("case-01-salerno.json");
    let foreign = world.node("SG").publish(SEIZURES, &seizure)["id"].clone();
    world.node("ID").record(foreign.as_str().unwrap());
    for member in ["SG", "AU"] {
        world.delivered("ID", first["id"].as_str().unwrap(), member);
    }
    world.audited("ID");
    let trust = world.trust("ID");
    let said = said_of(world.node("ID"));
    world.node_mut("ID").stop();
    let home = world.node("ID").dir().to_owned();
    for file in files(&home).iter().filter(|file| !file.ends_with("node.log")) {
        let inside = file.strip_prefix(&home).unwrap();
        if inside.starts_with("data/index") {
            continue;
        }
        let target = kept().join(inside);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
    fs::write(kept().join(REQUEST), format!("{restricted:#}\n")).unwrap();
    fs::copy(trust, kept().join("trust.toml")).unwrap();
    fs::write(kept().join(EXPECTED), format!("{said:#}\n")).unwrap();
}

/// The kept directory in a place of its own, listening where nobody else does.
fn opened(dir: &Path) -> Node {
    let home = dir.join("id");
    copy_dir(&kept(), &home);
    // A version control system does not keep who may read a file.
    for secret in files(&home.join("keys")) {
        fs::set_permissions(secret, Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(home.join("keys"), Permissions::from_mode(0o700)).unwrap();
    let config = home.join("sealwire.toml");
    let (http, p2p) = (free_port(), free_port());
    let mut settings: toml::Table = fs::read_to_string(&config).unwrap().parse().unwrap();
    let listen = format!("127.0.0.1:{http}");
    settings["http"]["listen"] = listen.clone().into();
    let tcp = format!("/ip4/127.0.0.1/tcp/{p2p}");
    settings["p2p"]["listen"] = toml::Value::Array(vec![tcp.into()]);
    fs::write(&config, settings.to_string()).unwrap();
    Node::new("ID", home, format!("http://{listen}"))
}

#[test]
fn a_directory_of_the_first_version_opens_serves_and_goes_on() {
    if std::env::var_os("SEALWIRE_WRITE_DATA").is_some() {
        write();
    }
    let dir = tempfile::tempdir().unwrap();
    let mut node = opened(dir.path());
    node.start();
    let expected: Value =
        serde_json::from_slice(&fs::read(kept().join(EXPECTED)).unwrap()).unwrap();
    let mut said = said_of(&node);
    // A later version has more rules to leave unchecked; those of then it leaves unchecked still.
    let then = expected["records"].as_array().unwrap();
    for (now, then) in said["records"].as_array_mut().unwrap().iter_mut().zip(then) {
        let then = then["not_checkable"].as_array().unwrap();
        let still = now["not_checkable"].as_array_mut().unwrap();
        still.retain(|rule| then.contains(rule));
        // A later version also says what became of each; nothing did.
        assert_eq!(now.as_object_mut().unwrap().remove("state"), Some(json!("current")));
    }
    assert_eq!(said, expected, "what was stored then is read the same now");

    let repeated = fs::read(kept().join(REQUEST)).unwrap();
    let again = node.post(&repeated, Some("kept-1")).with(200);
    assert_eq!(again["id"], expected["records"][0]["id"], "idempotency keys outlive an upgrade");

    let (data, trust) = (node.data(), kept().join("trust.toml"));
    done(&["audit", "verify", text(&data), "--trust", text(&trust)]);

    let next = node.publish(SUBSTANCES, &numbered("NOW"));
    let size = expected["size"].as_u64().unwrap();
    let why = "the log goes on where it ended, with a new audience and then the record";
    assert_eq!(next["index"], size + 1, "{why}: {next}");
}
