//! Every combination of the small inputs, and many of the large ones.

use proptest::prelude::*;
use proptest::sample::subsequence;
use sealwire_wire::cbor;

use super::*;

mod bodies;

const MEMBERS: [&str; 3] = ["ID", "SG", "AU"];
const DAY: &str = "2026-11-30";
/// The purpose of every record here.
const AGREED: &str = "risk-analysis";
/// A purpose that takes consent.
const OTHER: &str = "criminal-proceedings";

fn id(member: &str) -> MemberId {
    member.parse().unwrap()
}

fn ids(members: &[&str]) -> BTreeSet<MemberId> {
    members.iter().map(|member| id(member)).collect()
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn record() -> RecordId {
    RecordId::new(1_790_000_000_000, &[7; 10])
}

fn community(tlp: &str, classes: &[&str]) -> Community {
    Community {
        id: "substances".to_owned(),
        title: "Substances".to_owned(),
        agreement: "A-1".to_owned(),
        members: ids(&MEMBERS),
        kinds: words(&["lab-alert"]),
        classes: words(classes),
        tlp_ceiling: tlp.to_owned(),
        purposes: words(&[AGREED, "training"]),
        retention_days: 365,
        class_retention_days: BTreeMap::new(),
        witnesses: 1,
        delivery: None,
        directions: BTreeMap::new(),
    }
}

fn handling(tlp: Tlp, pap: &str, purposes: &[&str]) -> Handling {
    Handling::of(&serde_json::json!({"tlp": tlp.as_str(), "pap": pap, "purpose": purposes}))
}

fn grant(issuer: &str, classes: &[&str], via: Option<&str>) -> Grant {
    Grant {
        id: RecordId::new(1_790_000_000_001, &[8; 10]),
        issuer: id(issuer),
        records: BTreeSet::from([record()]),
        body: bodies::BODY.to_owned(),
        member: None,
        via: via.map(id),
        purposes: words(&[OTHER]),
        classes: words(classes),
        from: "2026-11-01".to_owned(),
        until: DAY.to_owned(),
        conditions: Vec::new(),
        evidence: None,
    }
}

const STANDINGS: [Standing; 5] = [
    Standing { active: true, direction: Some(Direction::Both) },
    Standing { active: true, direction: Some(Direction::Sends) },
    Standing { active: true, direction: Some(Direction::Receives) },
    Standing { active: true, direction: None },
    Standing { active: false, direction: Some(Direction::Both) },
];

/// Calls `each` with every combination of the small inputs about one record of ID.
fn every(mut each: impl FnMut(&Shared<'_>, &Asker<'_>, FieldClass, bool)) {
    let (originator, record) = (id("ID"), record());
    let agreements = [
        community("AMBER", &["open", "core"]),
        community("RED", &["open", "core", "operational", "nominal"]),
        community("CLEAR", &[]),
    ];
    let tos = [None, Some(ids(&[])), Some(ids(&["SG"])), Some(ids(&["AU", "SG"]))];
    let audiences = [Some(ids(&[])), Some(ids(&["AU"])), Some(ids(&["AU", "SG"])), None];
    let grants = [
        vec![],
        vec![Grant {
            member: Some(id("SG")),
            ..grant("ID", &["open", "core", "operational", "nominal", "text"], None)
        }],
    ];
    let askers: Vec<MemberId> = MEMBERS.iter().map(|member| id(member)).collect();
    for tlp in Tlp::ALL {
        for (pap, purposes) in [("CLEAR", &[AGREED][..]), ("RED", &[AGREED, "elsewhere"])] {
            let handling = handling(tlp, pap, purposes);
            for community in agreements.iter().map(Some).chain([None]) {
                for kind in ["lab-alert", "warning", "correction"] {
                    for to in &tos {
                        for audience in &audiences {
                            for class in FieldClass::ALL {
                                let audiences = BTreeMap::from_iter(
                                    [Some(class), class.coarse()]
                                        .into_iter()
                                        .flatten()
                                        .zip([audience.clone(), Some(ids(&["SG"]))]),
                                );
                                for standing in STANDINGS {
                                    let (id, to) = (&record, to.as_ref());
                                    let (originator, handling) = (&originator, &handling);
                                    let shared = Shared {
                                        id,
                                        originator,
                                        standing,
                                        community,
                                        kind,
                                        handling,
                                        to,
                                        audiences: &audiences,
                                    };
                                    for member in &askers {
                                        for standing in STANDINGS {
                                            for purpose in [None, Some(AGREED), Some(OTHER)] {
                                                for grants in &grants {
                                                    let asker = Asker {
                                                        member,
                                                        standing,
                                                        purpose,
                                                        day: DAY,
                                                        grants,
                                                    };
                                                    each(&shared, &asker, class, true);
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
    }
}

/// What a member may see at the very most, said once more without the rules and their order.
fn at_most(shared: &Shared<'_>, asker: &Asker<'_>, class: FieldClass) -> bool {
    let agreement = shared.community.is_some_and(|community| {
        let label = |tlp: &str| Tlp::ALL.iter().position(|known| known.as_str() == tlp);
        let tlp = shared.handling.tlp.and_then(|tlp| label(tlp.as_str()));
        let to_put_right = ["acknowledgement", "correction", "erasure", "withdrawal"];
        (community.kinds.contains(shared.kind) || to_put_right.contains(&shared.kind))
            && tlp <= label(&community.tlp_ceiling)
            && shared.handling.purposes.iter().all(|p| community.purposes.contains(p))
            && community.classes.contains(class.as_str().trim_end_matches(".coarse"))
    });
    let receives = matches!(asker.standing.direction, Some(d) if d != Direction::Sends);
    let sends = matches!(shared.standing.direction, Some(d) if d != Direction::Receives);
    let named = shared.audiences.get(&class).and_then(Option::as_ref);
    agreement
        && asker.standing.active
        && shared.standing.active
        && receives
        && sends
        && shared.to.is_none_or(|to| to.contains(asker.member))
        && named.is_some_and(|to| to.contains(asker.member))
}

#[test]
fn no_combination_gives_a_member_more_than_its_agreement() {
    let (mut cases, mut seen, mut rules) = (0_u64, 0_u64, BTreeSet::new());
    every(|shared, asker, class, coarser| {
        cases += 1;
        let decision = field(shared, asker, class, coarser);
        rules.insert(decision.rule);
        if asker.member == shared.originator {
            assert_eq!(decision, Decision { sees: Sees::Value, rule: Rule::Originator });
            return;
        }
        let granted = match decision.sees {
            Sees::Withheld => return,
            Sees::Value => class,
            Sees::Coarser => class.coarse().unwrap(),
        };
        seen += 1;
        assert!(at_most(shared, asker, granted), "{shared:?} {asker:?} {class:?} {decision:?}");
        if shared.handling.is_red() {
            let to = shared.to.expect("TLP:RED names its addressees");
            assert!(to.contains(asker.member), "{shared:?} {asker:?}");
        }
        let own_purpose = asker.purpose.is_none_or(|p| shared.handling.purposes.contains(p));
        assert!(own_purpose || !asker.grants.is_empty(), "{shared:?} {asker:?}");
    });
    assert!(cases > 1_000_000 && seen > 1_000, "{cases} {seen}");
    // Every rule that can say something of a member has said it.
    let of_others = [
        Rule::RelayOfNamed,
        Rule::TlpRed,
        Rule::PapRed,
        Rule::SharedWith,
        Rule::TlpClear,
        Rule::NoConsent,
    ];
    let missing: Vec<_> = Rule::ALL.into_iter().filter(|rule| !rules.contains(rule)).collect();
    assert_eq!(missing, of_others);
}

#[test]
fn nothing_is_withheld_without_a_reason() {
    every(|shared, asker, class, _| {
        let decision = self::class(shared, asker, class);
        let entitled = asker.member == shared.originator || at_most(shared, asker, class);
        let red = shared.handling.is_red() && shared.to.is_none();
        let own_purpose = asker.purpose.is_none_or(|p| shared.handling.purposes.contains(p));
        if entitled && own_purpose && !red {
            assert_eq!(decision.sees, Sees::Value, "{shared:?} {asker:?} {class:?}");
        }
    });
}

#[test]
fn an_empty_audience_is_nobody() {
    every(|shared, asker, class, _| {
        let empty = shared.audiences.get(&class).and_then(Option::as_ref);
        if empty.is_some_and(BTreeSet::is_empty) && asker.member != shared.originator {
            let decision = self::class(shared, asker, class);
            assert_eq!(decision.sees, Sees::Withheld, "{shared:?} {asker:?}");
        }
        if shared.to.is_some_and(BTreeSet::is_empty) && asker.member != shared.originator {
            assert_eq!(field(shared, asker, class, true).sees, Sees::Withheld);
        }
    });
}

#[test]
fn relays_never_widen_and_red_is_served_by_its_owner_to_the_named_alone() {
    let named = ids(&["SG"]);
    let nobody = ids(&[]);
    for to in [
        Addressees::Federation,
        Addressees::Community("substances"),
        Addressees::Named(&named),
        Addressees::Named(&nobody),
    ] {
        for red in [false, true] {
            for asker in MEMBERS.map(id) {
                for standing in STANDINGS {
                    let by_owner = served(to, red, true, &asker, standing);
                    let by_relay = served(to, red, false, &asker, standing);
                    assert!(by_relay.is_err() || by_owner.is_ok(), "a relay serves more");
                    for (ok, owner) in [(by_owner.is_ok(), true), (by_relay.is_ok(), false)] {
                        let entitled = standing.active
                            && match to {
                                Addressees::Federation => true,
                                Addressees::Community(_) => {
                                    let receives = matches!(standing.direction, Some(d) if d != Direction::Sends);
                                    !red && receives
                                }
                                Addressees::Named(to) => owner && to.contains(&asker),
                            };
                        assert_eq!(ok, entitled, "{to:?} {red} {asker} {standing:?} {owner}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_label_that_is_not_known_is_the_strictest() {
    let odd = Handling::of(&serde_json::json!({"tlp": "WHITE", "pap": "WHITE"}));
    assert!(odd.is_red() && odd.pap_red);
    assert!(Handling::default().is_red());
    let everything = community("RED", &["open"]);
    assert_eq!(agreed(&everything, "lab-alert", &odd), Err(Rule::TlpAboveCeiling));
    let numbered = Handling::of(&serde_json::json!({"tlp": "TLP:GREEN", "purpose": [7]}));
    assert_eq!(agreed(&everything, "lab-alert", &numbered), Err(Rule::PurposeNotInAgreement));
}

#[test]
fn the_rules_stand_in_the_protocol_in_their_order() {
    let protocol = include_str!("../../../docs/PROTOCOL.md");
    let section = protocol.split("\n## 10. Release").nth(1).unwrap();
    let section = section.split("\n## 11.").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1));
    let named: Vec<&str> =
        rows.filter_map(|cell| cell.strip_prefix('`')?.strip_suffix('`')).collect();
    assert_eq!(named, Rule::ALL.map(Rule::id));
    let in_order = Rule::ALL.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(in_order && Rule::ALL.iter().all(|rule| !rule.why().is_empty()));
}

fn some_members() -> impl Strategy<Value = BTreeSet<MemberId>> {
    subsequence(vec!["ID", "SG", "AU", "NL"], 0..=4).prop_map(|members| ids(&members))
}

fn some_classes() -> impl Strategy<Value = BTreeSet<FieldClass>> {
    subsequence(FieldClass::ALL.to_vec(), 0..=8).prop_map(|classes| classes.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_plan_seals_to_exactly_those_who_by_the_rules_see_it(
        peers in some_members(),
        agreed_classes in some_classes(),
        classes in some_classes(),
        to in proptest::option::of(some_members()),
        named in proptest::collection::btree_map(0..8usize, some_members(), 0..4),
        tlp in proptest::sample::select(Tlp::ALL.to_vec()),
    ) {
        let own = id("ID");
        let covered: Vec<&str> = agreed_classes.iter().map(|class| class.as_str()).collect();
        let mut community = community("RED", &covered);
        community.members = peers.iter().cloned().chain([own.clone()]).collect();
        let others: BTreeSet<MemberId> = peers.into_iter().filter(|peer| *peer != own).collect();
        let handling = handling(tlp, "AMBER", &[AGREED]);
        let audiences: BTreeMap<_, _> =
            named.into_iter().map(|(at, to)| (FieldClass::ALL[at], to)).collect();
        let wish = Wish { to, audiences, ..Wish::default() };
        let planned = plan::planned(&community, &own, others.clone(), &handling, &classes, &wish);
        let Ok(planned) = planned else { return Ok(()) };
        let audiences: BTreeMap<_, _> =
            planned.classes.iter().map(|(class, to)| (*class, Some(to.clone()))).collect();
        let record = record();
        let shared = Shared {
            id: &record,
            originator: &own,
            standing: STANDINGS[0],
            community: Some(&community),
            kind: "lab-alert",
            handling: &handling,
            to: planned.to.as_ref(),
            audiences: &audiences,
        };
        for member in ["SG", "AU", "NL", "FR"].map(id) {
            let direction = others.contains(&member).then_some(Direction::Both);
            let standing = Standing { active: true, direction };
            let asker =
                Asker { member: &member, standing, purpose: None, day: DAY, grants: &[] };
            for (class, to) in &planned.classes {
                let decision = self::class(&shared, &asker, *class);
                prop_assert_eq!(decision.sees == Sees::Value, to.contains(&member));
                let addressed = wish.to.as_ref().is_none_or(|to| to.contains(&member));
                prop_assert!(!to.contains(&member) || addressed);
                if let Some(wanted) = wish.audiences.get(class) {
                    prop_assert!(to.is_subset(wanted), "more than the publisher named");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn an_amendment_reaches_all_who_had_its_record_and_by_itself_nobody_else(
        peers in some_members(),
        classes in some_classes(),
        had_to in proptest::option::of(some_members()),
        had in proptest::collection::btree_map(0..8usize, some_members(), 0..8),
        to in proptest::option::of(some_members()),
        named in proptest::collection::btree_map(0..8usize, some_members(), 0..4),
    ) {
        let own = id("ID");
        let all: Vec<&str> = FieldClass::ALL.iter().map(|class| class.as_str()).collect();
        let community = community("RED", &all);
        let peers: BTreeSet<MemberId> = peers.into_iter().filter(|peer| *peer != own).collect();
        let had: BTreeMap<_, _> =
            had.into_iter().map(|(at, to)| (FieldClass::ALL[at], to)).collect();
        let holders =
            Holders { community: "substances", to: had_to.as_ref(), audiences: &had };
        let audiences: BTreeMap<_, _> =
            named.into_iter().map(|(at, to)| (FieldClass::ALL[at], to)).collect();
        let silent = to.is_none() && audiences.is_empty();
        let wish = Wish { to, audiences, ..Wish::default() };
        let Ok(wish) = reach::within(&community, &peers, &holders, &classes, wish) else {
            prop_assert!(!silent, "who names nobody is not refused");
            return Ok(());
        };
        let handling = handling(Tlp::Amber, "AMBER", &[AGREED]);
        let planned =
            plan::planned(&community, &own, peers.clone(), &handling, &classes, &wish);
        let Ok(planned) = planned else { return Ok(()) };
        let holding: BTreeSet<MemberId> =
            peers.iter().filter(|m| had_to.as_ref().is_none_or(|to| to.contains(m))).cloned().collect();
        let reached = planned.to.clone().unwrap_or_else(|| peers.clone());
        prop_assert!(holding.is_subset(&reached));
        prop_assert!(!silent || holding == reached, "exactly those who had it");
        for (class, to) in &planned.classes {
            let Some(had) = had.get(class) else { continue };
            let had: BTreeSet<MemberId> = had.intersection(&holding).cloned().collect();
            prop_assert!(had.is_subset(to), "{class:?}: {had:?} {to:?}");
            prop_assert!(!silent || had == *to, "{class:?}: exactly those who had it");
        }
    }
}

#[test]
fn a_narrower_audience_is_refused_with_the_names_of_those_left_out() {
    let peers = ids(&["AU", "NL", "SG"]);
    let community = community("RED", &["core"]);
    let had = BTreeMap::from([(FieldClass::Core, peers.clone())]);
    let holders = Holders { community: "substances", to: None, audiences: &had };
    let classes = BTreeSet::from([FieldClass::Core]);
    let refused = |wish| {
        let refusal = reach::within(&community, &peers, &holders, &classes, wish).unwrap_err();
        assert_eq!(refusal.code, "holders-left-out");
        refusal.message
    };
    let to = refused(Wish { to: Some(ids(&["SG"])), ..Wish::default() });
    assert!(to.contains("AU, NL had the record"), "{to}");
    let audiences = BTreeMap::from([(FieldClass::Core, ids(&["AU", "SG"]))]);
    let class = refused(Wish { audiences, ..Wish::default() });
    assert!(class.contains("the core part: NL had"), "{class}");
}

/// The manifest of a record.
fn manifest(to: Option<BTreeSet<MemberId>>, tlp: &str) -> Manifest {
    let text = |text: &str| cbor::Value::from(text);
    Manifest {
        federation: "test.example".to_owned(),
        register: 1,
        nonce: [0; 32],
        heads: BTreeMap::new(),
        body: Body::Record(sealwire_wire::statement::RecordManifest {
            kind: "lab-alert".to_owned(),
            community: "substances".to_owned(),
            to,
            schema: String::new(),
            schema_digest: sealwire_wire::id::Digest([0; 32]),
            code_lists: BTreeMap::new(),
            handling: cbor::map([("tlp", text(tlp)), ("pap", text("GREEN"))]).into(),
            relation: None,
            parts: BTreeMap::new(),
        }),
    }
}

#[test]
fn a_topic_carries_what_is_for_all_who_read_it_and_nothing_red() {
    let (here, named) = (Some("substances"), Some(ids(&["SG"])));
    assert_eq!(spread(&manifest(None, "AMBER"), here), Ok(()));
    assert_eq!(spread(&manifest(None, "AMBER"), Some("other")), Err(Rule::NotInCommunity));
    assert_eq!(spread(&manifest(None, "AMBER"), None), Err(Rule::NotInCommunity));
    for tlp in ["RED", "TLP:RED", "PURPLE", ""] {
        assert_eq!(spread(&manifest(None, tlp), here), Err(Rule::RedNeedsNamedMembers), "{tlp}");
        assert_eq!(opened_to_auditors(&manifest(named.clone(), tlp)), Err(Rule::TlpRed), "{tlp}");
    }
    for topic in [here, None] {
        let all = manifest(named.clone(), "CLEAR");
        assert_eq!(spread(&all, topic), Err(Rule::RelayOfNamed));
    }
    assert_eq!(opened_to_auditors(&manifest(None, "AMBER+STRICT")), Ok(()));
}
