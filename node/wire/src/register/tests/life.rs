//! Seats, keys, communities and directions as they change, and how the difference reads.

use super::*;

fn drafted(edit: impl FnOnce(&mut Draft)) -> Draft {
    let mut draft = Draft::next(&first(), EXPIRES).unwrap();
    edit(&mut draft);
    draft
}

fn as_draft(register: &Register) -> Draft {
    Draft::from_bytes(register.bytes()).unwrap()
}

fn changes(edit: impl FnOnce(&mut Draft)) -> Vec<(String, String)> {
    let difference = difference(&as_draft(&first()), &drafted(edit)).unwrap();
    let changes = difference.changes.into_iter();
    let named = changes.map(|c| (c.subject, c.field));
    named.filter(|(_, field)| field != "version").collect()
}

fn named(subject: &str, field: &str) -> (String, String) {
    (subject.to_owned(), field.to_owned())
}

#[test]
fn a_seat_takes_a_new_key_and_its_old_one_counts_no_more() {
    let one = first();
    let mut two = Draft::next(&one, EXPIRES).unwrap();
    two.replace_seat("g1", &public("new")).unwrap();
    assert_eq!(two.seats(), ["g1", "g2", "g3"]);
    sign(&mut two, Some(&one), &["g1", "g3"]);
    assert_eq!(refusal(two.finish(Some(&one))), "register-too-few-signatures");
    sign(&mut two, Some(&one), &["new"]);
    let two = two.finish(Some(&one)).unwrap();
    let mut three = Draft::next(&two, EXPIRES).unwrap();
    assert_eq!(three.sign(&key("g1"), Some(&two)).unwrap_err().code(), "register-no-seat");
    assert_eq!(three.replace_seat("g9", &public("x")).unwrap_err().code(), "register-absent");
    assert_eq!(three.replace_seat("g2", &public("g3")).unwrap_err().code(), "register-exists");
}

#[test]
fn a_replaced_key_counts_up_to_the_index_and_its_successor_from_there() {
    for use_ in KeyUse::ALL {
        let name = format!("ID {use_}");
        let draft = drafted(|d| d.replace_key(&id("ID"), use_, &public("new"), 12).unwrap());
        let members = draft.summary().unwrap().members;
        let member = members.iter().find(|m| m.id == id("ID")).unwrap();
        let old = member.keys.iter().find(|k| k.public == public(&name)).unwrap();
        let new = member.current(use_).unwrap();
        assert_eq!((old.until, new.public, new.from), (Some(12), public("new"), 12));
        assert!(old.covers(11) && !old.covers(12) && new.covers(12) && !new.covers(11));
        let moved = member.peer_id == peer_id(&public("new"));
        assert_eq!(moved, use_ == KeyUse::Node, "a new node key is a new peer id");
    }
}

#[test]
fn a_member_that_left_comes_back_with_new_keys_and_without_its_communities() {
    let one = first();
    let mut two = Draft::next(&one, EXPIRES).unwrap();
    two.set_status(&id("AU"), Status::Left).unwrap();
    two.set_community(&community("substances", &["ID", "SG"], 1));
    sign(&mut two, Some(&one), &["g1", "g2"]);
    let two = two.finish(Some(&one)).unwrap();
    let mut three = Draft::next(&two, EXPIRES).unwrap();
    three.replace_key(&id("AU"), KeyUse::Sign, &public("AU again"), 40).unwrap();
    three.set_status(&id("AU"), Status::Active).unwrap();
    sign(&mut three, Some(&two), &["g1", "g2"]);
    let three = three.finish(Some(&two)).unwrap();
    assert!(three.communities().all(|c| !c.members.contains(&id("AU"))));
    let member = three.member(&id("AU")).unwrap();
    assert_eq!(member.status, Status::Active);
    assert!(member.sign_key_at(&ed25519_thumbprint(&public("AU sign")), 39).is_some());
    assert!(member.sign_key_at(&ed25519_thumbprint(&public("AU again")), 40).is_some());
}

#[test]
fn a_community_says_who_publishes_and_who_receives() {
    let both = community("substances", &["AU", "ID", "SG"], 2);
    let with = |directions: &[(&str, Direction)]| Community {
        directions: directions.iter().map(|(m, d)| (id(m), *d)).collect(),
        ..both.clone()
    };
    let one_way = with(&[("AU", Direction::Receive), ("SG", Direction::Publish)]);
    let ways = |m: &str| (one_way.publishes(&id(m)), one_way.receives(&id(m)));
    assert_eq!([ways("ID"), ways("AU"), ways("SG")], [(true, true), (false, true), (true, false)]);
    assert_eq!(ways("FR"), (false, false), "not a member of the community");
    let check = |community: &Community| drafted(|d| d.set_community(community)).check();
    check(&one_way).unwrap();
    let kept = drafted(|d| d.set_community(&one_way)).summary().unwrap().communities;
    assert!(kept.contains(&one_way));
    for bad in [
        with(&[("FR", Direction::Receive)]),
        with(&[("AU", Direction::Receive), ("ID", Direction::Receive), ("SG", Direction::Receive)]),
        with(&[("AU", Direction::Publish), ("ID", Direction::Publish), ("SG", Direction::Publish)]),
    ] {
        assert_eq!(check(&bad).unwrap_err().code(), "register-field");
    }
    let raw = |word: Value| {
        forged(|s| s["x-sealwire"]["communities"]["seizures"]["directions"] = json!({"ID": word}))
    };
    assert_eq!(refusal(raw(json!("both"))), "register-field");
    assert_eq!(refusal(raw(json!(1))), "register-not-json");
    let empty = forged(|s| s["x-sealwire"]["communities"]["seizures"]["directions"] = json!({}));
    assert_eq!(refusal(empty), "register-ambiguous-text", "one spelling of no direction");
}

#[test]
fn the_difference_names_what_changed_and_nothing_else() {
    let au = id("AU");
    assert_eq!(changes(|_| {}), []);
    assert_eq!(
        changes(|d| d.set_status(&au, Status::Suspended).unwrap()),
        [named("member AU", "status")]
    );
    assert_eq!(changes(|d| d.set_threshold(3)), [named("register", "threshold")]);
    let seat = changes(|d| d.replace_seat("g1", &public("new")).unwrap());
    assert_eq!(seat, [named("governor g1", "key"), named("governor g1", "key")]);
    assert_eq!(changes(|d| d.remove_seat("g3").unwrap()), [named("governor g3", "key")]);
    let print = ed25519_thumbprint(&public("AU sign"));
    let ended = changes(|d| {
        d.add_key(&au, KeyUse::Sign, &public("new"), 4).unwrap();
        d.end_key(&au, &print, 4).unwrap();
    });
    let new = ed25519_thumbprint(&public("new"));
    let mut expected = [
        named("member AU", &format!("keys {print} until")),
        named("member AU", &format!("keys {new}")),
    ];
    expected.sort_by_key(|(_, field)| field.clone());
    assert_eq!(ended, expected);
    assert_eq!(
        changes(|d| d.remove_community("seizures").unwrap()),
        [named("community seizures", "")]
    );
    let smaller = community("substances", &["ID", "SG"], 1);
    let less = changes(|d| d.set_community(&smaller));
    let field = |name: &str| named("community substances", name);
    assert_eq!(less, [field("members"), field("witnesses")]);
}

#[test]
fn the_difference_reads_as_a_list() {
    let two = drafted(|d| {
        d.set_status(&id("AU"), Status::Suspended).unwrap();
        d.set_threshold(3);
        d.set_code_list("hs", "2027");
        d.set_community(&community("seizures", &["AU", "ID"], 1));
        d.replace_seat("g1", &public("new")).unwrap();
        d.set_schema("seizure-notice", "urn:example:seizure-notice:1", Digest([7; 32]));
    });
    let text = difference(&as_draft(&first()), &two).unwrap().to_string();
    let [old, new] = ["g1", "new"].map(|name| governor_key_id(&public(name)));
    let digest = Digest([7; 32]);
    assert_eq!(
        text,
        format!(
            "version 1 to version 2\n\
             register\n    threshold: 2 -> 3\n    version: 1 -> 2\n\
             code list hs\n    edition: 2022 -> 2027\n\
             community seizures\n    - members: SG\n    + members: AU\n\
             member AU\n    status: active -> suspended\n\
             schema seizure-notice\n    + digest: {digest}\n    \
             + id: urn:example:seizure-notice:1\n\
             governor g1\n    - key: {old}\n    + key: {new}"
        )
    );
}

/// Every value of the document that may be changed alone leaves a line in the difference.
#[test]
fn nothing_that_is_signed_changes_without_a_difference() {
    fn leaves(value: &Value, at: String, to: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                object.iter().for_each(|(name, v)| leaves(v, format!("{at}/{name}"), to));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, v)| leaves(v, format!("{at}/{n}"), to));
            }
            _ => to.push(at),
        }
    }
    let one = as_draft(&first());
    let document: Value = serde_json::from_slice(first().bytes()).unwrap();
    let mut pointers = Vec::new();
    leaves(&document["signed"], "/signed".to_owned(), &mut pointers);
    let mut seen = 0;
    for pointer in pointers {
        let mut changed = document.clone();
        let value = changed.pointer_mut(&pointer).unwrap();
        *value = match value.clone() {
            Value::String(text) if text.ends_with('Z') => json!("2031-01-01T00:00:00Z"),
            Value::String(text) => json!(format!("{text}x")),
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            other => other,
        };
        let Ok(changed) = Draft::from_bytes(changed.to_string().as_bytes()) else { continue };
        if changed.digest() == one.digest() {
            continue;
        }
        if let Ok(difference) = difference(&one, &changed) {
            assert!(!difference.changes.is_empty(), "{pointer}");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} values could be changed alone");
    let mut shuffled = document.clone();
    shuffled["signed"]["roles"]["root"]["keyids"].as_array_mut().unwrap().reverse();
    for role in ["timestamp", "snapshot", "targets"] {
        shuffled["signed"]["roles"][role] = shuffled["signed"]["roles"]["root"].clone();
    }
    let shuffled = Draft::from_bytes(shuffled.to_string().as_bytes()).unwrap();
    assert_eq!(difference(&one, &shuffled).unwrap().changes.len(), 1);
    assert_eq!(
        difference(&one, &one).unwrap().to_string(),
        "version 1 to version 1: no difference"
    );
}
