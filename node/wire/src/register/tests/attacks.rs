//! The attacks of The Update Framework on registers, each with our verdict and the one that
//! python-tuf is to give (`conformance/second/register_tuf.py` asks it).
//!
//! Writes `conformance/vectors/register`, or holds this implementation to the files there, in the
//! way of [`crate::merkle::vectors`].

use super::*;
use crate::merkle::vectors::settle;

const DAY: i64 = 86_400;
/// python-tuf agrees that a document is to be refused.
const REFUSED: &str = "refused";
/// A document is taken.
const ACCEPTED: &str = "accepted";

/// A signed part with the signatures of these keys, whatever it says.
fn signed_by(signed: &Value, names: &[&str]) -> Value {
    let bytes = form::canonical(signed);
    let signature = |name: &&str| {
        let sig = ed25519_dalek::Signer::sign(&key(name), &bytes);
        json!({"keyid": keyid(name), "sig": hex::encode(sig.to_bytes())})
    };
    json!({"signatures": names.iter().map(signature).collect::<Vec<_>>(), "signed": signed})
}

fn keyid(name: &str) -> String {
    governor_key_id(&public(name)).to_string()
}

fn document(register: &Register) -> Value {
    serde_json::from_slice(register.bytes()).unwrap()
}

fn next(previous: &Register, by: &[&str], edit: impl FnOnce(&mut Draft)) -> Register {
    let mut draft = Draft::next(previous, previous.expires_unix() + DAY).unwrap();
    edit(&mut draft);
    sign(&mut draft, Some(previous), by);
    draft.finish(Some(previous)).unwrap()
}

/// Three versions: of three governors one is replaced, then a member is suspended and the
/// threshold raised.
fn chain() -> [Register; 3] {
    let one = first();
    let two = next(&one, &["g1", "g2"], |draft| draft.replace_seat("g3", &public("h3")).unwrap());
    let three = next(&two, &["g1", "g2", "h3"], |draft| {
        draft.set_status(&id("AU"), Status::Suspended).unwrap();
        draft.set_threshold(3);
    });
    [one, two, three]
}

/// The document with a change that everybody signs who could.
fn changed(document: &Value, by: &[&str], change: impl FnOnce(&mut Value)) -> Value {
    let mut signed = document["signed"].clone();
    change(&mut signed);
    signed_by(&signed, by)
}

/// Puts a second key beside the key of a seat, wherever root keys are listed.
fn add_root_key(signed: &mut Value, seat: &str, name: &str, keyid: &str) {
    let mut object = signed["keys"].as_object().unwrap().values().next().unwrap().clone();
    object["keyval"]["public"] = hex::encode(public(name)).into();
    signed["keys"][keyid] = object;
    for role in ["root", "timestamp", "snapshot", "targets"] {
        signed["roles"][role]["keyids"].as_array_mut().unwrap().push(keyid.into());
    }
    match signed["x-sealwire"]["seats"][seat].as_array_mut() {
        Some(keys) => keys.push(keyid.into()),
        None => signed["x-sealwire"]["seats"][seat] = json!([keyid]),
    }
}

/// What is done with which documents.
struct Attack {
    name: &'static str,
    /// The versions trusted before, by their names.
    trusted: &'static [&'static str],
    offered: Value,
    sealwire: &'static str,
    tuf: &'static str,
}

/// What is refused by us and by python-tuf, or taken by both.
fn of_one_mind(one: &Value, two: &Value, three: &Value) -> Vec<Attack> {
    let attack = |name, trusted, offered: Value, sealwire| {
        let tuf = if sealwire == ACCEPTED { ACCEPTED } else { REFUSED };
        Attack { name, trusted, offered, sealwire, tuf }
    };
    let mut all_new = Draft::from_bytes(one.to_string().as_bytes()).unwrap();
    for (old, new) in [("g1", "h1"), ("g2", "h2"), ("g3", "h3")] {
        all_new.replace_seat(old, &public(new)).unwrap();
    }
    let mut all_new = serde_json::to_value(all_new.signed()).unwrap();
    all_new["version"] = json!(2);
    let by = |names: &[&str]| signed_by(&all_new, names);
    let lower = |signed: &mut Value| {
        signed["version"] = json!(2);
        for role in ["root", "timestamp", "snapshot", "targets"] {
            signed["roles"][role]["threshold"] = json!(1);
        }
    };
    let few = "register-too-few-signatures";
    let mixed = |signatures: &Value, signed: &Value| json!({"signatures": signatures["signatures"], "signed": signed["signed"]});
    let mut later_members = two.clone();
    later_members["signed"]["x-sealwire"]["members"] =
        three["signed"]["x-sealwire"]["members"].clone();
    let mut renumbered = one.clone();
    renumbered["signed"]["version"] = json!(3);
    let mut repeated = signed_by(&two["signed"], &["g1"]);
    let again = repeated["signatures"][0].clone();
    repeated["signatures"].as_array_mut().unwrap().push(again);
    let listed_twice = changed(one, &["g1"], |signed| {
        for role in ["root", "timestamp", "snapshot", "targets"] {
            signed["roles"][role]["keyids"].as_array_mut().unwrap().push(keyid("g1").into());
        }
    });
    vec![
        attack("first version", &[], one.clone(), ACCEPTED),
        attack("next version", &["1"], two.clone(), ACCEPTED),
        attack("version after a change of governors", &["1", "2"], three.clone(), ACCEPTED),
        attack("rollback by one version", &["1", "2"], one.clone(), "register-version"),
        attack("rollback from the third", &["1", "2", "3"], two.clone(), "register-version"),
        attack("rollback under a later number", &["1", "2"], renumbered, few),
        attack("freeze: the same version again", &["1", "2"], two.clone(), "register-version"),
        attack("a version left out", &["1"], three.clone(), "register-version"),
        attack("mix: the signatures of a later version", &["1"], mixed(three, two), few),
        attack("mix: the members of a later version", &["1"], later_members, few),
        attack("one signature twice", &["1"], repeated, "register-signed-twice"),
        attack("one key listed twice", &[], listed_twice, "register-field"),
        attack("rotation by old keys only", &["1"], by(&["g1", "g2", "g3"]), few),
        attack("rotation by new keys only", &["1"], by(&["h1", "h2", "h3"]), few),
        attack("rotation by both", &["1"], by(&["g1", "g3", "h2", "h3"]), ACCEPTED),
        attack(
            "a lower threshold that one governor grants",
            &["1"],
            changed(one, &["g1"], lower),
            few,
        ),
        attack("a lower threshold", &["1"], changed(one, &["g1", "g2"], lower), ACCEPTED),
        attack(
            "a threshold of none",
            &[],
            changed(one, &["g1", "g2"], |signed| {
                for role in ["root", "timestamp", "snapshot", "targets"] {
                    signed["roles"][role]["threshold"] = json!(0);
                }
            }),
            "register-threshold",
        ),
        attack(
            "a governor who was replaced",
            &["1", "2"],
            signed_by(&three["signed"], &["g1", "g2", "g3"]),
            few,
        ),
    ]
}

/// What TUF lets through, and we refuse.
fn stricter(one: &Value, two: &Value) -> Vec<Attack> {
    let attack = |name, trusted, offered, sealwire| Attack {
        name,
        trusted,
        offered,
        sealwire,
        tuf: ACCEPTED,
    };
    let second = |change: fn(&mut Value)| {
        changed(one, &["g1", "g2", "g3"], |signed| {
            signed["version"] = json!(2);
            change(signed);
        })
    };
    let two_keys = changed(one, &["g1", "g1b"], |signed| {
        add_root_key(signed, "g1", "g1b", &keyid("g1b"));
    });
    // The same key once more, under a name that is not its SHA-256.
    let alias = "ab".repeat(32);
    let mut two_names = changed(one, &["g1", "g1"], |signed| {
        add_root_key(signed, "g1-again", "g1", &alias);
    });
    two_names["signatures"][1]["keyid"] = alias.into();
    vec![
        attack("two keys of one seat, both counted", &[], two_keys, "register-seat-keys"),
        attack("one key under two names, counted twice", &[], two_names, "register-field"),
        attack("a first version that is not 1", &[], two.clone(), "register-not-first"),
        attack(
            "another federation",
            &["1"],
            second(|s| s["x-sealwire"]["federation"] = json!("example.net")),
            "register-federation",
        ),
        attack(
            "a member that vanishes",
            &["1"],
            second(|s| {
                let content = &mut s["x-sealwire"];
                content["members"].as_object_mut().unwrap().remove("AU");
                content["communities"].as_object_mut().unwrap().remove("substances");
            }),
            "register-member-dropped",
        ),
        attack(
            "a key whose past is changed",
            &["1"],
            second(|s| s["x-sealwire"]["members"]["AU"]["keys"][1]["from"] = json!(3)),
            "register-key-history",
        ),
        attack(
            "another role than root",
            &["1"],
            second(|s| s["roles"]["targets"]["threshold"] = json!(1)),
            "register-field",
        ),
        attack(
            "a value that nobody knows",
            &["1"],
            second(|s| s["x-sealwire"]["extra"] = json!(1)),
            "register-not-json",
        ),
        attack(
            "a community with a member that nobody knows",
            &["1"],
            second(|s| s["x-sealwire"]["communities"]["seizures"]["members"] = json!(["ID", "FR"])),
            "register-unknown-member",
        ),
    ]
}

fn verdict(trusted: &[&Value], offered: &Value) -> &'static str {
    let bytes = |document: &Value| document.to_string().into_bytes();
    let mut current: Option<Register> = None;
    for document in trusted {
        current = Some(match &current {
            None => Register::trust_first(&bytes(document), None).unwrap(),
            Some(current) => current.update(&bytes(document)).unwrap(),
        });
    }
    let taken = match &current {
        None => Register::trust_first(&bytes(offered), None),
        Some(current) => current.update(&bytes(offered)),
    };
    taken.map_or_else(|refused| refused.code(), |_| ACCEPTED)
}

/// Before and after expiry: python-tuf knows no grace period.
fn expiry(one: &Register) -> Vec<Value> {
    let grace = 30 * DAY;
    let cases = [
        (EXPIRES - 1, "valid", false),
        (EXPIRES, "grace", true),
        (EXPIRES + grace - 1, "grace", true),
        (EXPIRES + grace, "expired", true),
    ];
    let case = |(at, ours, tuf): (i64, &str, bool)| {
        let found = match one.check_expiry(at, grace) {
            Expiry::Valid => "valid",
            Expiry::Grace { .. } => "grace",
            Expiry::Expired => "expired",
        };
        assert_eq!(found, ours, "at {at}");
        json!({"document": "1", "at": at, "sealwire": ours, "tuf_expired": tuf})
    };
    cases.map(case).to_vec()
}

#[test]
fn attacks_of_tuf_are_refused_and_the_stricter_rules_are_ours() {
    let [one, two, three] = chain();
    let fork = next(&two, &["g1", "h3"], |draft| {
        draft.set_status(&id("SG"), Status::Suspended).unwrap();
    });
    assert_eq!(three.fork(Some(&two), fork.bytes()).unwrap().digest(), fork.digest());
    let named = BTreeMap::from([
        ("1", document(&one)),
        ("2", document(&two)),
        ("3", document(&three)),
        ("3 of a fork", document(&fork)),
    ]);
    let of = |name: &'static str| &named[name];
    let mut attacks = of_one_mind(of("1"), of("2"), of("3"));
    attacks.extend(stricter(of("1"), of("2")));
    // To whoever holds version 2 alone, either may be the next: only the node that holds one of
    // them can tell that there is another.
    attacks.push(Attack {
        name: "a fork",
        trusted: &["1", "2"],
        offered: named["3 of a fork"].clone(),
        sealwire: ACCEPTED,
        tuf: ACCEPTED,
    });
    let mut cases = Vec::new();
    for Attack { name, trusted, offered, sealwire, tuf } in attacks {
        let before: Vec<&Value> = trusted.iter().map(|name| of(name)).collect();
        assert_eq!(verdict(&before, &offered), sealwire, "{name}");
        cases.push(json!({"attack": name, "trusted": trusted, "offered": offered,
                          "sealwire": sealwire, "tuf": tuf}));
    }
    let file = json!({"documents": named, "cases": cases, "expiry": expiry(&one)});
    settle("register", &[("attacks.json", file)]);
}

#[test]
fn a_fork_is_proven_by_governors_who_could_sign_that_version_and_by_nobody_else() {
    let [one, two, three] = chain();
    let lone = |names: &[&str]| {
        let mut draft = Draft::next(&two, EXPIRES).unwrap();
        draft.set_status(&id("SG"), Status::Suspended).unwrap();
        sign(&mut draft, Some(&two), names);
        draft.to_bytes()
    };
    let code = |result: Result<Register, RegisterError>| refusal(result);
    assert!(three.fork(Some(&two), &lone(&["g1", "h3"])).is_ok());
    assert_eq!(code(three.fork(Some(&two), &lone(&["g1"]))), "register-too-few-signatures");
    assert_eq!(code(three.fork(Some(&two), three.bytes())), "register-version");
    assert_eq!(code(three.fork(Some(&two), two.bytes())), "register-version");
    assert_eq!(code(two.fork(Some(&one), &lone(&["g1", "h3"]))), "register-version");
    // Without the version before, the governors of the version itself have to have signed.
    assert!(three.fork(None, &lone(&["g1", "g2", "h3"])).is_ok());
    assert_eq!(code(three.fork(None, &lone(&["g1", "g2"]))), "register-too-few-signatures");
    let elsewhere = forged(|s| s["x-sealwire"]["federation"] = json!("example.net")).unwrap();
    assert_eq!(code(one.fork(None, elsewhere.bytes())), "register-federation");
}
