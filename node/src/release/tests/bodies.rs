//! Bodies that are no members, and what originators consent to.

use super::super::body::OutsideBody;
use super::*;

pub const BODY: &str = "Court of Appeal";

/// Calls `each` with a record of ID, the member that holds it, and the body that is to get it.
fn every_body(mut each: impl FnMut(&Shared<'_>, &OutsideBody<'_>, FieldClass)) {
    let (originator, record) = (id("ID"), record());
    let community = community("RED", &["open", "core", "operational"]);
    let all = ["open", "core", "operational", "commercial", "nominal", "text"];
    let other_record = Grant { records: BTreeSet::new(), ..grant("ID", &all, Some("SG")) };
    let ended = Grant { until: "2026-11-29".to_owned(), ..grant("ID", &all, Some("SG")) };
    let grants = [
        vec![],
        vec![grant("ID", &["core"], Some("SG"))],
        vec![grant("ID", &all, None)],
        vec![grant("SG", &all, None)],
        vec![other_record, ended],
    ];
    for tlp in Tlp::ALL {
        for pap in ["CLEAR", "GREEN", "AMBER", "RED", "unknown"] {
            for share_with in [words(&[]), words(&["UNODC"])] {
                let handling = Handling { share_with, ..handling(tlp, pap, &[AGREED]) };
                for to in [Some(ids(&["SG"])), None] {
                    for audience in [ids(&[]), ids(&["SG"]), ids(&["AU"])] {
                        for class in FieldClass::ALL {
                            let audiences = BTreeMap::from([(class, Some(audience.clone()))]);
                            let shared = Shared {
                                id: &record,
                                originator: &originator,
                                standing: STANDINGS[0],
                                community: Some(&community),
                                kind: "lab-alert",
                                handling: &handling,
                                to: to.as_ref(),
                                audiences: &audiences,
                            };
                            for member in &MEMBERS.map(id) {
                                for grants in &grants {
                                    for name in [BODY, "UNODC", "Somebody"] {
                                        for purpose in [AGREED, OTHER] {
                                            let standing = STANDINGS[0];
                                            let (day, stated) = (DAY, None);
                                            let holder = Asker {
                                                member,
                                                standing,
                                                purpose: stated,
                                                day,
                                                grants,
                                            };
                                            let body = OutsideBody { holder, name, purpose };
                                            each(&shared, &body, class);
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_body_gets_what_its_member_sees_and_the_originator_lets_go_and_nothing_else() {
    let mut rules = BTreeSet::new();
    every_body(|shared, body, class| {
        let held = self::class(shared, &body.holder, class);
        let (decision, consent) = body::class(shared, body, class);
        rules.insert(decision.rule);
        let handling = shared.handling;
        // Said once more, by what lets go.
        let consented = body.holder.grants.iter().any(|grant| {
            let via = grant.via.as_ref().unwrap_or(&grant.issuer);
            grant.issuer == *shared.originator
                && grant.records.contains(shared.id)
                && grant.until.as_str() >= DAY
                && via == body.holder.member
                && (body.name, body.purpose) == (BODY, OTHER)
                && grant.classes.contains(class.as_str().trim_end_matches(".coarse"))
        });
        let ordinary = body.purpose == AGREED
            && ["open", "core", "core.coarse", "operational.coarse"].contains(&class.as_str());
        let organisation = handling.share_with.contains(body.name);
        let released = consented || ordinary && (organisation || handling.tlp == Some(Tlp::Clear));
        let may = held.sees == Sees::Value && !handling.is_red() && !handling.pap_red && released;
        let said = format!("{shared:?} {body:?} {class:?} {decision:?}");
        assert_eq!(decision.sees == Sees::Value, may, "{said}");
        assert_eq!(consent.is_some(), decision.rule == Rule::ConsentGrant, "{said}");
    });
    for rule in [
        Rule::TlpRed,
        Rule::PapRed,
        Rule::ConsentGrant,
        Rule::SharedWith,
        Rule::TlpClear,
        Rule::NoConsent,
        Rule::NotInAudience,
    ] {
        assert!(rules.contains(&rule), "{rule:?} has not been met");
    }
}

#[test]
fn a_consent_says_nothing_of_records_of_others_and_nothing_if_it_is_not_whole() {
    let mut json = serde_json::json!({
        "record": [{"record": record().to_string(), "issuer": "ID"},
                   {"record": RecordId::new(9, &[9; 10]).to_string(), "issuer": "SG"}],
        "grantee": {"name": BODY}, "granteeViaMember": "SG", "purpose": [OTHER], "class": ["core"],
        "from": "2026-11-01", "until": DAY,
    });
    let of = |json: &serde_json::Value| Grant::of(grant("ID", &[], None).id, &id("ID"), json);
    assert_eq!(of(&json), Some(grant("ID", &["core"], Some("SG"))));
    json["granteeViaMember"] = "nobody".into();
    assert_eq!(of(&json), None, "a member that cannot be read is not everybody");
    json["granteeViaMember"] = "SG".into();
    json.as_object_mut().unwrap().remove("until");
    assert_eq!(of(&json), None);
}

proptest! {
    #[test]
    fn a_consent_made_of_anything_is_read_or_not(json in "[\\[\\]{}\",:a-z0-9]{0,80}") {
        if let Ok(json) = serde_json::from_str(&json) {
            let _ = Grant::of(record(), &id("ID"), &json);
        }
    }
}
