//! What the public reports of the cases state, each fact at its own place in the examples.

use serde_json::{Value, json};

use super::example;

#[test]
fn every_stated_fact_of_the_cases_has_a_field_of_its_own() {
    let item = |i: usize, rest: &str| format!("/goodsItem/{i}{rest}");
    let route = |i: usize, rest: &str| format!("/consignment/itinerary/{i}{rest}");
    let equipment = || "/consignment/transportEquipmentQuantity".to_owned();
    let hs = "/found/classificationId";
    let declared = "/declared/classificationId";
    let cas = |i: usize| format!("/substance/{i}/casNumber");
    let facts: Vec<(&str, String, Value)> = vec![
        ("case-01", equipment(), json!(3)),
        ("case-01", item(0, "/quantity/0/value"), json!("14000")),
        ("case-01", item(0, "/quantity/1/value"), json!("84000000")),
        ("case-01", item(0, "/packaging/0/length"), json!("2")),
        ("case-01", item(0, "/packaging/0/diameter"), json!("1.4")),
        ("case-01", item(0, "/packaging/0/unitMass"), json!("350")),
        ("case-01", "/event/concealment/1/part".into(), json!("metal-wheel")),
        ("case-01", "/event/scanDefeated".into(), json!(true)),
        ("case-01", item(0, declared), json!("481190")),
        ("case-01", item(0, "/declaredPart/0/classificationId"), json!("8483")),
        ("case-01", item(0, hs), json!("292146")),
        ("case-01", item(0, "/alternativeClassification/0/classificationId"), json!("300490")),
        ("case-01", item(0, "/substance/1/role"), json!("look-alike-name")),
        ("case-01", item(0, "/brandIndicatesContent"), json!(false)),
        ("case-02a", equipment(), json!(5)),
        ("case-02a", item(0, "/packaging/0/quantity"), json!(1700)),
        ("case-02a", item(0, "/coverLoad/0/position"), json!("near-door")),
        ("case-02a", "/event/informationSource/0/type".into(), json!("joint-risk-analysis")),
        ("case-02a", item(0, "/quantity/0/qualifier"), json!("more-than")),
        ("case-02b", route(0, "/locationId"), json!("PABLB")),
        ("case-02b", item(0, "/quantity/0/value"), json!("7200")),
        ("case-02b", "/linkedSeizure/0/relationship".into(), json!("same-organisation")),
        ("case-04", item(0, "/packaging/0/quantity"), json!(309)),
        ("case-04", "/event/patrolUnitQuantity".into(), json!(2)),
        ("case-04", "/event/towedTo/locationId".into(), json!("IDMRK")),
        ("case-04", "/event/concealment/0/part".into(), json!("hold-wall")),
        ("case-04", "/event/place/latitude".into(), json!("-5.912000")),
        ("case-04", route(0, "/placeType"), json!("high-seas")),
        ("case-05", item(0, "/quantity/0/value"), json!("2.026")),
        ("case-05", item(0, "/quantity/0/basis"), json!("gross")),
        ("case-05", cas(0), json!("2504100-70-1")),
        ("case-05", "/followUp/0/quantity/0/value".into(), json!("150")),
        ("case-05", "/statusHistory/0/status".into(), json!("presumptive")),
        ("case-05", "/isomerCheck/0/sameConnectivity".into(), json!(true)),
        ("case-07", item(0, "/packaging/0/quantity"), json!(26)),
        ("case-07", item(0, "/quantity/0/reportedValue"), json!("1117")),
        ("case-07", item(0, "/quantity/0/reportedUnitCode"), json!("LBR")),
        ("case-07", item(1, "/quantity/0/reportedValue"), json!("225")),
        ("case-07", cas(0), json!("80532-66-7")),
        ("case-07", cas(1), json!("94-09-7")),
        ("case-07", route(0, "/locationId"), json!("CNSZX")),
        ("case-12", equipment(), json!(3)),
        ("case-12", "/consignment/transportEquipmentAffectedQuantity".into(), json!(1)),
        ("case-12", item(0, "/packaging/0/quantity"), json!(237)),
        ("case-12", item(1, "/packaging/0/quantity"), json!(132)),
        ("case-12", item(0, "/species/scientificName"), json!("Smutsia gigantea")),
        ("case-12", item(1, "/species/citesAppendix"), json!("I")),
        ("case-12", item(0, "/value/amount"), json!("48600000")),
        ("case-12", item(1, "/value/currencyCode"), json!("SGD")),
        ("case-12", "/event/informationSource/0/assistance".into(), json!("spontaneous")),
        ("case-12", "/event/informationSource/0/countryCode".into(), json!("CN")),
        ("case-14", item(0, "/packaging/0/quantity"), json!(1150)),
        ("case-14", item(0, hs), json!("382763")),
        ("case-14", item(1, hs), json!("290342")),
        ("case-14", item(2, hs), json!("382761")),
        ("case-14", item(2, "/substance/1/massFraction"), json!("52")),
        ("case-14", item(0, "/classificationCriterion/technique"), json!("gc-fid")),
        ("case-14", "/event/informationSource/0/type".into(), json!("anti-fraud-office")),
        ("case-14", "/event/customsRegime".into(), json!("transit")),
        ("case-14", "/party/0/countryCode".into(), json!("LT")),
        ("case-14", "/party/1/countryCode".into(), json!("PL")),
        ("case-16", equipment(), json!(8)),
        ("case-16", item(0, "/packaging/0/quantity"), json!(282)),
        ("case-16", item(0, "/quantity/0/value"), json!("210000")),
        ("case-16", item(1, hs), json!("854999")),
        ("case-16", item(0, declared), json!("470790")),
        ("case-16", "/event/disposal".into(), json!("re-export")),
    ];
    for (case, pointer, value) in facts {
        assert_eq!(example(case).pointer(&pointer), Some(&value), "{case} {pointer}");
    }
}

#[test]
fn the_linked_seizures_name_each_other() {
    let (hamburg, antwerp) = (example("case-02a"), example("case-02b"));
    assert_eq!(antwerp["relation"]["record"], hamburg["id"]);
    assert_eq!(hamburg["linkedSeizure"][0]["record"], antwerp["id"]);
}
