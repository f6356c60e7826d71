//! What the doctor says of a directory that nobody runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::keys::{Keys, Windows};
use crate::store;

const DAY: u64 = 24 * 3600;

/// A member made a day ago, without a register and not running.
fn patient(dir: &Path) -> Patient {
    let now = 1_800_000_000;
    let sample = crate::config::sample(&crate::config::Sample {
        member: &"ID".parse().unwrap(),
        http_listen: "127.0.0.1:1".parse().unwrap(),
        p2p_listen: &["/ip4/127.0.0.1/tcp/2".to_owned()],
        token: None,
    });
    let config = Config::parse(&sample, &dir.join("sealwire.toml")).unwrap();
    Keys::create(&config.keys_dir, now - DAY, Windows::of(&config.keys), None).unwrap();
    store::create(&config.data_dir).unwrap();
    Patient { register: adopted(&config), config, now, status: Err("nobody".to_owned()) }
}

fn levels(patient: &Patient, name: &str) -> Vec<Level> {
    let (_, check) = CHECKS.iter().find(|(known, _)| *known == name).unwrap();
    check(patient).into_iter().map(|found| found.level).collect()
}

#[test]
fn a_new_member_has_nothing_wrong_but_no_register() {
    let dir = tempfile::tempdir().unwrap();
    let patient = patient(dir.path());
    for (name, check) in CHECKS {
        let expected = match name {
            "register" => Level::Problem,
            "register-expiry" | "cosign-pq" | "clock" | "head" | "node" | "ready" | "peers"
            | "gaps" | "witnesses" | "deliveries" => Level::Unknown,
            _ => Level::Ok,
        };
        let found = check(&patient);
        assert!(found.iter().all(|found| found.level == expected), "{name}: {found:?}");
        let hinted = |f: &Found| f.level < Level::Warning || !f.hint.is_empty();
        assert!(!found.is_empty() && found.iter().all(hinted), "{name}: {found:?}");
    }
}

#[test]
fn what_is_wrong_with_files_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut patient = patient(dir.path());
    let (data, keys) = (patient.config.data_dir.clone(), patient.config.keys_dir.clone());
    fs::write(data.join("format"), "sealwire-data 99\n").unwrap();
    assert_eq!(levels(&patient, "data-format"), [Level::Problem]);
    fs::set_permissions(keys.join("log.key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(keys.join("data.key")).unwrap();
    assert_eq!(levels(&patient, "keys"), [Level::Problem, Level::Problem]);
    fs::write(data.join("restored"), "").unwrap();
    assert_eq!(levels(&patient, "restored"), [Level::Warning]);
    fs::create_dir(data.join("evidence")).unwrap();
    fs::write(data.join("evidence/SG.json"), "{}").unwrap();
    assert_eq!(levels(&patient, "forks"), [Level::Problem]);
    fs::create_dir(data.join("drafts")).unwrap();
    fs::write(data.join("drafts/one"), "").unwrap();
    assert_eq!(levels(&patient, "drafts"), [Level::Warning]);
    for segment in [1, 3] {
        fs::write(data.join(format!("journal/{segment:020}.seg")), "").unwrap();
    }
    assert_eq!(levels(&patient, "journal"), [Level::Problem]);
    fs::remove_dir_all(data.join("journal")).unwrap();
    assert_eq!(levels(&patient, "journal"), [Level::Problem]);
    patient.now += 29 * DAY;
    assert_eq!(levels(&patient, "seal-epoch"), [Level::Warning]);
    patient.now += 2 * DAY;
    assert_eq!(levels(&patient, "seal-epoch"), [Level::Problem]);
}

#[test]
fn what_a_running_node_says_is_told_with_a_level() {
    let dir = tempfile::tempdir().unwrap();
    let mut patient = patient(dir.path());
    let peer = json!({"member": "SG", "connected": true, "mirrored": 5, "announced": 5, "gaps": 0,
                      "cosigned_ours": 7, "stale": false, "stopped": false});
    let status = json!({"size": 7, "ready": true, "reasons": [], "drafts": 0, "overdue": 0,
                        "peers": [peer]});
    patient.status = Ok(status.clone());
    for name in ["node", "ready", "peers", "gaps", "witnesses", "deliveries", "drafts"] {
        assert_eq!(levels(&patient, name), [Level::Ok], "{name}");
    }
    for (name, path, value, level) in [
        ("ready", "/reasons", json!(["restored", "expired"]), Level::Problem),
        ("peers", "/peers/0/stopped", json!(true), Level::Problem),
        ("peers", "/peers/0/connected", json!(false), Level::Warning),
        ("gaps", "/peers/0/gaps", json!(2), Level::Warning),
        ("gaps", "/peers/0/announced", json!(6), Level::Warning),
        ("witnesses", "/peers/0/stale", json!(true), Level::Warning),
        ("deliveries", "/overdue", json!(3), Level::Warning),
        ("drafts", "/drafts", json!(1), Level::Warning),
    ] {
        let mut changed = status.clone();
        *changed.pointer_mut(path).unwrap() = value;
        patient.status = Ok(changed);
        let found = levels(&patient, name);
        assert!(!found.is_empty() && found.iter().all(|l| *l == level), "{name} {path}: {found:?}");
    }
}

#[test]
fn the_exit_code_is_that_of_the_worst_finding() {
    use Level::{Ok, Problem, Unknown, Warning};
    assert_eq!(exit([Ok, Ok].into_iter()), Exit::Done);
    assert_eq!(exit([Ok, Unknown].into_iter()), Exit::Undecided);
    assert_eq!(exit([Unknown, Warning].into_iter()), Exit::Refused);
    assert_eq!(exit([Problem, Unknown, Ok].into_iter()), Exit::Refused);
}
