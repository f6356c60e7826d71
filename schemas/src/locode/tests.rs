#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use super::*;
use crate::language::Language;
use proptest::prelude::*;
use serde_json::json;

/// Places as a release has them; the codes are those of the examples and of the trap.
fn list() -> Locodes {
    let rows = [
        ("US", "SDF", "--3-----", "RL"),
        ("US", "LUI", "1-34----", "RN"),
        ("IT", "SAL", "1-3-----", "AI"),
        ("BE", "BRU", "1234----", "AF"),
        ("BE", "BRU", "--3-5---", "XX"),
        ("NL", "SPL", "---4-6--", "XX"),
        ("SG", "SIN", "", ""),
    ];
    let places = rows.map(|(country, location, functions, status)| {
        Place::new(country, location, functions, status).unwrap()
    });
    Locodes::new("2024-2", vec!["sha256 00 part\n1.csv".to_owned()], places.to_vec()).unwrap()
}

#[test]
fn a_list_is_written_in_order_and_read_again() {
    let text = "# UN/LOCODE 2024-2\n# source sha256 00 part 1.csv\nBEBRU 12345 AF\nITSAL 13 AI\n\
                NLSPL 46 XX\nSGSIN - --\nUSLUI 134 RN\nUSSDF 3 RL\n";
    assert_eq!(list().to_string(), text);
    assert_eq!(Locodes::parse(text), Ok(list()));
    assert_eq!((list().edition(), list().count()), ("2024-2", 6));
    assert_eq!(list().place("ITSAL").map(|place| place.to_string()), Some("ITSAL 13 AI".into()));
    assert_eq!((list().place("ITSA"), list().place("ZZZZZ")), (None, None));
}

#[test]
fn what_is_no_list_is_refused_by_its_line() {
    for (text, cause) in [
        ("", "first line"),
        ("ITSAL 13 AI\n", "first line"),
        ("# UN/LOCODE 2024\nITSAL 13 AI\n", "no edition \"2024\""),
        ("# UN/LOCODE 2024-2\n", "no places"),
        ("# UN/LOCODE 2024-2\nITSAL 13\n", "line 2: no place"),
        ("# UN/LOCODE 2024-2\nITSAL 31 AI\n", "line 2: no place"),
        ("# UN/LOCODE 2024-2\nITSAL 13 AI \n", "line 2: no place"),
        ("# UN/LOCODE 2024-2\nITSÀ 13 AI\n", "line 2: no place"),
        ("# UN/LOCODE 2024-2\n# source x\nITSAL 13 AI\nITSAL 13 AI\n", "line 4: ITSAL is not in"),
        ("# UN/LOCODE 2024-2\nITSAL 13 AI\nBEBRU 1 AF\n", "line 3: BEBRU is not in order"),
    ] {
        let error = Locodes::parse(text).unwrap_err().to_string();
        let form = error.starts_with("cannot read UN/LOCODE list: ") && error.contains("(hint: ");
        assert!(form && error.contains(cause), "{text:?}: {error}");
    }
    assert!(Locodes::parse(&"#".repeat(MAX_LIST_BYTES + 1)).is_err());
    assert!(
        Place::new("I", "TSAL", "1", "AI").is_err() && Place::new("it", "SAL", "", "").is_err()
    );
    assert!(Place::new("IT", "SAL", "1-x-", "AI").is_err());
    assert!(Place::new("IT", "SAL", "1---", "A").is_err());
}

fn said(place: Value) -> Vec<String> {
    let record = json!({"consignment": {"itinerary": [{"locationId": "ITSAL"}, place]}});
    let findings = list().findings("seizure-notice", &record);
    assert!(findings.iter().all(|f| f.severity == Severity::Warning && f.number.is_none()));
    let at = "/consignment/itinerary/1/locationId";
    assert!(findings.iter().all(|f| f.pointer == at && f.value.is_some()));
    findings.into_iter().map(|f| f.code).collect()
}

#[test]
fn an_airport_code_that_happens_to_be_a_place_is_noticed() {
    let louisville = json!({"locationId": "USSDF", "placeType": "airport", "countryCode": "US"});
    assert_eq!(said(louisville.clone()), ["locode-function"]);
    let record = json!({"consignment": {"itinerary": [louisville]}});
    let finding = list().findings("lab-alert", &record).remove(0);
    let texts = Language::ALL.map(|language| finding.in_language(language).to_string());
    assert!(
        texts.iter().all(|text| text.contains("USSDF") && text.contains("2024-2")),
        "{texts:?}"
    );
    assert!(
        finding.message.contains("is no airport") && finding.message.contains("are 3, without 4")
    );
}

#[test]
fn places_are_found_or_warned_of() {
    let place = |code: &str, kind: &str| said(json!({"locationId": code, "placeType": kind}));
    assert_eq!(place("ITSAL", "airport"), ["locode-function"]);
    assert_eq!(place("USLUI", "airport"), [""; 0]);
    assert_eq!(place("USSDF", "seaport"), ["locode-function"]);
    assert_eq!(place("ITSAL", "seaport"), [""; 0]);
    assert_eq!(place("USSDF", "inland"), [""; 0]);
    assert_eq!(place("IDCGK", "airport"), ["locode-unlisted"]);
    assert_eq!(place("NLSPL", "airport"), ["locode-to-be-removed"]);
    assert_eq!(said(json!({"locationId": "USSDF"})), [""; 0]);
    // The country alone is all that some holders see; what has no form is the standard's finding.
    assert_eq!((place("ID", "airport"), place("QQABC", "airport")), (vec![], vec![]));
    assert_eq!(said(json!({"locationId": 7, "placeType": []})), [""; 0]);
    assert_eq!(list().findings("no-kind", &json!({})), []);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_what_is_accepted_stays_the_same(
        text in "(# UN/LOCODE 2024-2\n)?(# source .{0,8}\n)?([A-Z]{5} [0-9AB-]{1,3} [A-Z-]{2}\n|\\PC{0,12}\n){0,4}",
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        cells in prop::array::uniform4("\\PC{0,6}"),
    ) {
        let _ = Locodes::parse(&String::from_utf8_lossy(&bytes));
        if let Ok(list) = Locodes::parse(&text) {
            prop_assert_eq!(Locodes::parse(&list.to_string()), Ok(list));
        }
        let [country, location, functions, status] = &cells;
        if let Ok(place) = Place::new(country, location, functions, status) {
            let list = Locodes::new("2024-2", Vec::new(), vec![place]).unwrap();
            prop_assert_eq!(Locodes::parse(&list.to_string()), Ok(list));
        }
    }
}
