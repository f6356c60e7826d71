//! Keys in a PKCS#11 token: SoftHSM, as Debian has it, in the place of a hardware security module.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::register::give;
use crate::world::{
    Node, SUBSTANCES, World, done, done_in, files, numbered, said, sealwire, text, until,
};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "customs of ID";
const PIN: &str = "pin-of-a-test-481516";
const USES: [&str; 3] = ["sign", "log", "cosign"];

/// Makes a token below a directory; gives the environment in which it is found.
fn soft_token(dir: &Path) -> Vec<(&'static str, PathBuf)> {
    let tokens = dir.join("tokens");
    fs::create_dir_all(&tokens).unwrap();
    let conf = dir.join("softhsm2.conf");
    let settings =
        format!("directories.tokendir = {}\nobjectstore.backend = file\n", text(&tokens));
    fs::write(&conf, settings).unwrap();
    let pin = dir.join("pin");
    write_pin(&pin, PIN);
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", LABEL, "--so-pin", "87654321", "--pin", PIN])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .expect("softhsm2-util");
    assert!(made.status.success(), "{}", said(&made));
    vec![("SOFTHSM2_CONF", conf), ("SEALWIRE_PIN_FILE", pin)]
}

fn write_pin(file: &Path, pin: &str) {
    fs::write(file, format!("{pin}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A federation in which ID has its sign, log and cosign keys in a token from the beginning.
fn with_a_token() -> World {
    World::of(|dir, member| {
        if member != "ID" {
            return World::init(dir, member);
        }
        let variables = soft_token(dir);
        let token = ["--pkcs11-module", MODULE, "--pkcs11-token", LABEL];
        World::init_with(dir, member, &token, &variables)
    })
}

fn list(node: &Node) -> Vec<Value> {
    let listed = done(&["keys", "list", "--config", text(&node.config())]);
    listed["keys"].as_array().unwrap().clone()
}

fn of<'a>(keys: &'a [Value], use_: &str) -> Vec<&'a Value> {
    keys.iter().filter(|key| key["use"] == use_).collect()
}

/// The finding of `doctor` on the token.
fn doctor(node: &Node) -> Value {
    let variables = node.variables().iter().map(|(name, value)| (name, value));
    let config = node.config();
    let mut command = sealwire();
    command.args(["--json", "doctor", "--config", text(&config)]).envs(variables);
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|found| found["check"] == "token").unwrap().clone()
}

fn assert_nowhere(secret: &str, dir: &Path) {
    for file in files(dir) {
        let bytes = fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "a secret is in {}", file.display());
    }
}

fn names(dir: &Path) -> Vec<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files(dir).into_iter().map(name).collect()
}

#[test]
fn a_member_whose_keys_never_leave_a_token_publishes_cosigns_and_is_audited() {
    let mut world = with_a_token();
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    let keys_dir = world.node("ID").dir().join("keys");
    for use_ in USES {
        let there = names(&keys_dir);
        assert!(!there.contains(&format!("{use_}.key")), "{there:?}");
        assert!(there.contains(&format!("{use_}.token")), "{there:?}");
    }
    let ours = world.node("ID").publish(SUBSTANCES, &numbered("FROM-A-TOKEN"))["id"].clone();
    for member in ["SG", "AU"] {
        world.delivered("ID", ours.as_str().unwrap(), member);
    }
    let theirs = world.node("SG").publish(SUBSTANCES, &numbered("COSIGNED-BY-A-TOKEN"));
    world.delivered("SG", theirs["id"].as_str().unwrap(), "ID");
    world.audited("ID");
    world.audited("SG");

    // The next sign key is made in the token as well, and takes over by the register.
    let node = world.node("ID");
    let config = node.config();
    let rotate = ["keys", "rotate", "sign", "--config", text(&config)];
    let made = done_in(node.variables(), &rotate);
    assert_eq!(made["number"], 2);
    let at = (node.size() + 1).to_string();
    world.next_version(2, |draft| {
        let of = ["--draft", draft, "--member", "ID", "--use", "sign"];
        let public = ["--public", made["public"].as_str().unwrap(), "--from", &at];
        done(&[&["register", "key", "replace"][..], &of, &public].concat());
    });
    for member in ["ID", "SG", "AU"] {
        give(&world, member, &[1, 2]);
        world.node_mut(member).stop();
        world.node_mut(member).start();
    }
    world.meet();
    let after = world.node("ID").publish(SUBSTANCES, &numbered("WITH-THE-NEXT-KEY"))["id"].clone();
    assert_eq!(world.node("SG").record(after.as_str().unwrap())["status"], "held");
    world.delivered("ID", after.as_str().unwrap(), "AU");
    world.audited("ID");

    let keys = list(world.node("ID"));
    let label = |use_: &str| format!("sealwire ID {use_}");
    for use_ in USES {
        assert_eq!(of(&keys, use_)[0]["token"], json!(label(use_)), "{keys:?}");
    }
    assert_eq!(of(&keys, "sign")[1]["token"], json!("sealwire ID sign-2"), "{keys:?}");
    assert_eq!(of(&keys, "node")[0]["token"], Value::Null, "{keys:?}");
    assert_eq!(doctor(world.node("ID"))["level"], "ok", "{}", doctor(world.node("ID")));
    let cover = world.node_mut("ID").cover();
    let backup = world.dir().join("backup");
    let config = world.node("ID").config();
    done(&["backup", "--config", text(&config), "--out", text(&backup), "--with-keys"]);
    let kept = names(&backup.join("keys"));
    assert!(kept.contains(&"sign-2.token".to_owned()), "{kept:?}");
    let secret = |name: &String| USES.iter().any(|use_| name.starts_with(&format!("{use_}.k")));
    assert!(!kept.iter().any(secret), "{kept:?} {}", cover.display());
    assert_nowhere(PIN, world.node("ID").dir());
    assert_nowhere(PIN, &backup);
}

#[test]
fn keys_in_files_are_replaced_by_keys_in_a_token_one_of_which_its_operators_made() {
    let mut world = World::new();
    let variables = soft_token(world.dir());
    let node = world.node_mut("ID");
    for (name, value) in &variables {
        node.variable(name, value.clone());
    }
    let config = node.config();
    let section = format!(
        "[keys.pkcs11]\nmodule = {MODULE:?}\ntoken = {LABEL:?}\nsign = \"our sign key\"\n\
         cosign = \"our cosign key\"\n\n[http]"
    );
    let before = fs::read_to_string(&config).unwrap();
    fs::write(&config, before.replacen("[http]", &section, 1)).unwrap();
    let rotate = |use_: &str, more: &[&str]| {
        let all = [&["keys", "rotate", use_, "--config", text(&config)][..], more].concat();
        done_in(&variables, &all)["public"].as_str().unwrap().to_owned()
    };
    let sign = rotate("sign", &[]);
    // As a ceremony with the maker's own tools would leave it: under a label that is not ours.
    let cosign = rotate("cosign", &["--adopt", "our sign key-2"]);
    assert_eq!(sign, cosign, "the same key, which no register takes twice");
    fs::remove_file(world.node("ID").dir().join("keys/cosign-2.token")).unwrap();
    let cosign = rotate("cosign", &[]);
    let missing = sealwire()
        .args(["keys", "rotate", "cosign", "--config", text(&config), "--adopt", "no such key"])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    assert!(
        !missing.status.success() && said(&missing).contains("cannot find"),
        "{}",
        said(&missing)
    );
    world.next_version(2, |draft| {
        for (use_, public) in [("sign", &sign), ("cosign", &cosign)] {
            let of = ["--draft", draft, "--member", "ID", "--use", use_, "--public", public];
            done(&[&["register", "key", "replace", "--from", "0"][..], &of].concat());
        }
    });
    for member in ["ID", "SG", "AU"] {
        give(&world, member, &[1, 2]);
        world.node_mut(member).start();
    }
    world.meet();
    let ours = world.node("ID").publish(SUBSTANCES, &numbered("AFTER-THE-MOVE"))["id"].clone();
    world.delivered("ID", ours.as_str().unwrap(), "SG");
    let theirs = world.node("SG").publish(SUBSTANCES, &numbered("COSIGNED"))["id"].clone();
    world.delivered("SG", theirs.as_str().unwrap(), "ID");
    world.audited("ID");
}

/// Tries to publish, and gives the answer.
fn publish(node: &Node, reference: &str) -> (u16, Value) {
    let body = json!({"community": SUBSTANCES, "record": numbered(reference)}).to_string();
    let answer = node.post(body.as_bytes(), None);
    (answer.status, answer.json())
}

#[test]
fn while_a_token_is_away_nothing_is_signed_and_everything_else_goes_on() {
    let mut world = with_a_token();
    for member in ["ID", "SG", "AU"] {
        world.node_mut(member).start();
    }
    world.meet();
    let before = world.node("ID").publish(SUBSTANCES, &numbered("BEFORE"))["id"].clone();
    let before = before.as_str().unwrap();
    let (tokens, away) = (world.dir().join("tokens"), world.dir().join("away"));
    let size = world.node("ID").size();
    fs::rename(&tokens, &away).unwrap();
    fs::create_dir(&tokens).unwrap();

    let refused = |world: &World, reference: &str| {
        until("refusal to sign", || match publish(world.node("ID"), reference) {
            (503, problem) => Ok(problem),
            other => Err(format!("{other:?}")),
        })
    };
    let problem = refused(&world, "AWAY");
    assert_eq!(problem["code"], "signing-unavailable", "{problem}");
    assert_eq!(doctor(world.node("ID"))["level"], "problem");
    assert_eq!(world.node("ID").record(before)["status"], "held", "what is held is read");
    let theirs = world.node("SG").publish(SUBSTANCES, &numbered("MEANWHILE"))["id"].clone();
    let theirs = theirs.as_str().unwrap().to_owned();
    assert_eq!(world.node("ID").record(&theirs)["status"], "held", "others' records arrive");
    // Also after a start without it.
    world.node_mut("ID").stop();
    world.node_mut("ID").start();
    assert_eq!(refused(&world, "STILL-AWAY")["code"], "signing-unavailable");
    assert_eq!(world.node("ID").size(), size, "nothing was logged");
    assert_eq!(world.node("ID").record(before)["status"], "held");

    fs::remove_dir(&tokens).unwrap();
    fs::rename(&away, &tokens).unwrap();
    let back =
        until("publication with the token back", || match publish(world.node("ID"), "BACK") {
            (201, published) => Ok(published["id"].as_str().unwrap().to_owned()),
            other => Err(format!("{other:?}")),
        });
    world.delivered("ID", &back, "AU");
    world.delivered("SG", &theirs, "ID");
    world.audited("ID");
}

#[test]
fn a_wrong_pin_or_module_is_refused_at_the_start_and_said_nowhere() {
    let mut world = with_a_token();
    let pin = world.dir().join("pin");
    write_pin(&pin, "not-the-pin-1");
    let (code, said_so) = world.node("ID").refuses_to_start();
    assert!(code == 2 && said_so.contains("the PIN is wrong"), "{code}: {said_so}");
    assert!(!said_so.contains("not-the-pin"), "{said_so}");
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said_so) = world.node("ID").refuses_to_start();
    assert!(code == 2 && said_so.contains("lets others in"), "{code}: {said_so}");
    write_pin(&pin, PIN);
    world.node_mut("ID").start();
    world.node("ID").publish(SUBSTANCES, &numbered("RIGHT"));
    world.node_mut("ID").stop();

    let config = world.node("ID").config();
    let right = fs::read_to_string(&config).unwrap();
    fs::write(&config, right.replace(MODULE, "/nowhere/module.so")).unwrap();
    let (code, said_so) = world.node("ID").refuses_to_start();
    let line = 1 + right.lines().position(|line| line.starts_with("module = ")).unwrap();
    assert_eq!(code, 2, "{said_so}");
    assert!(
        said_so.contains(&format!("sealwire.toml:{line}: cannot use keys.pkcs11.module")),
        "{said_so}"
    );
    fs::write(&config, right.replace(LABEL, "another token")).unwrap();
    let found = doctor(world.node("ID"));
    assert_eq!(found["level"], "problem", "{found}");
    assert!(found["text"].as_str().unwrap().contains("cannot find the token"), "{found}");
}
