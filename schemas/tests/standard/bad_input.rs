//! Bytes from outside that are made to hurt: each is refused with a code, in bounded time and
//! memory, and none changes what a record says.

use std::time::{Duration, Instant};

use sealwire_schemas::{MAX_RECORD_BYTES, Severity, Standard, parse_json};
use serde_json::{Value, json};

use super::{codes, example, valid};

/// Why bytes are not read as a record.
fn refused(bytes: &[u8]) -> String {
    let finding = parse_json(bytes).expect_err("bytes that are no record");
    assert!(!finding.hint.is_empty());
    assert!(finding.to_string().len() < 1000, "a finding that floods its reader");
    format!("{} {}", finding.code, finding.message)
}

/// The shortest alert as text, with one fragment in the place of another.
fn alert_with(place: &str, fragment: &str) -> Vec<u8> {
    let text = example("lab-alert-01-minimal").to_string();
    assert!(text.contains(place), "{place} in {text}");
    text.replacen(place, fragment, 1).into_bytes()
}

#[test]
fn depth_is_bounded_whatever_is_nested() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        for depth in [200, 20_000] {
            let whole = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let whole = whole.as_bytes();
            let broken = open.repeat(depth);
            assert!(refused(whole).contains("recursion limit"), "{open} {depth}");
            assert!(refused(broken.as_bytes()).starts_with("not-json"), "{open} {depth}");
        }
    }
    // As deep as the reader goes: still no trouble for the checks.
    let mut deep = json!("x");
    (0..100).for_each(|_| deep = json!({"place": [deep]}));
    let mut record = example("case-01");
    record["event"] = deep;
    assert!(codes(&record).contains(&"required".to_owned()));
}

#[test]
fn size_is_bounded_before_anything_is_read() {
    let said = refused(&vec![b'['; MAX_RECORD_BYTES + 1]);
    assert!(said.starts_with("record-too-large"), "{said}");
    assert!(refused(&vec![b'['; MAX_RECORD_BYTES]).starts_with("not-json"));
    assert!(refused(&vec![b' '; MAX_RECORD_BYTES]).starts_with("not-json"));
}

#[test]
fn a_name_stands_once_however_it_is_spelt() {
    for doubled in [
        r#""kind":"lab-alert","kind":"lab-alert""#,
        r#""kind":"lab-alert","kind":"seizure-notice""#,
        r#""kind":"lab-alert","\u006bind":"seizure-notice""#,
    ] {
        let said = refused(&alert_with(r#""kind":"lab-alert""#, doubled));
        assert!(said.contains("\"kind\" stands twice"), "{said}");
    }
    let said = refused(&alert_with(r#""tlp":"AMBER""#, r#""tlp":"AMBER","tlp":"CLEAR""#));
    assert!(said.contains("\"tlp\" stands twice"), "{said}");
}

#[test]
fn what_some_readers_of_json_let_pass_is_refused() {
    for lax in [
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        "01",
        "1.",
        ".5",
        "0x10",
        "1_000",
        "'a'",
        "undefined",
        "\"a\" // comment",
        "/* comment */ 1",
        "1,",
        "\"\t\"",
        "\"\n\"",
        "True",
        "\"\\x41\"",
    ] {
        let said = refused(&alert_with(r#""version":1"#, &format!(r#""version":{lax}"#)));
        assert!(said.starts_with("not-json"), "{lax}: {said}");
    }
    let text = example("case-05").to_string();
    let with_mark = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    assert!(refused(&with_mark).starts_with("not-json"));
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refused(&utf_16).starts_with("not-json"));
    assert!(refused(format!("{text}{text}").as_bytes()).contains("trailing"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let place = "ADB-BUTINACA";
    for escape in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud800x", r"\uD83D"] {
        let said = refused(&alert_with(place, escape));
        assert!(said.starts_with("not-json"), "{escape}: {said}");
    }
    assert!(parse_json(&alert_with(place, r"\ud83d\ude00")).is_ok(), "a pair is a character");
    let text = example("lab-alert-01-minimal").to_string();
    let at = text.find(place).unwrap();
    // Overlong, a surrogate, beyond Unicode, cut short, a byte that never occurs.
    let bad: [&[u8]; 6] =
        [b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff", b"\x80"];
    for bytes in bad {
        let whole = [&text.as_bytes()[..at], bytes, &text.as_bytes()[at..]].concat();
        assert!(refused(&whole).starts_with("not-json"), "{bytes:x?}");
    }
}

#[test]
fn no_digit_of_a_number_is_lost_on_the_way() {
    // An integer that a program with floating point would round.
    let largest = "9007199254740991";
    let mut record = example("case-05");
    record["image"][0]["file"]["byteLength"] = json!(9_007_199_254_740_991_u64);
    let text = record.to_string();
    let read = parse_json(text.as_bytes()).unwrap();
    assert!(valid(&read).value().to_string().contains(largest));
    for beyond in ["9007199254740992", "18446744073709551615", "-1"] {
        let read = parse_json(text.replace(largest, beyond).as_bytes()).unwrap();
        let found = codes(&read);
        assert!(found.iter().any(|c| c == "schema-maximum" || c == "schema-minimum"), "{beyond}");
    }
    let long = "9".repeat(400);
    for no_integer in ["18446744073709551616", "1.0", "1e2", "1E400", "-0.0", "1e-400", &long] {
        let said = refused(text.replace(largest, no_integer).as_bytes());
        assert!(said.starts_with("not-json"), "{no_integer}: {said}");
    }
    // Decimals are texts, and come out as they went in.
    for decimal in ["2.026", "2.0260", "999999999999999.999999999", "14000", "0.0"] {
        record["goodsItem"][0]["quantity"][0]["value"] = json!(decimal);
        let read = parse_json(record.to_string().as_bytes()).unwrap();
        let parts = valid(&read).split();
        let kept = parts.values().flatten().any(|field| field.value == json!(decimal));
        assert!(kept, "{decimal}");
    }
    for no_decimal in ["2,026", "1e3", "+1", ".5", "1.", "00.1", "NaN", "", " 1", "١"] {
        record["goodsItem"][0]["quantity"][0]["value"] = json!(no_decimal);
        assert_eq!(codes(&record)[0], "wrong-form", "{no_decimal}");
    }
}

#[test]
fn look_alikes_in_identifiers_are_refused() {
    let container = "/consignment/transportEquipment/0/id";
    // Cyrillic, Greek and full-width letters, other digits, and what nobody sees.
    for (pointer, forged) in [
        (container, "СSQU3054383"),
        (container, "CSQU305438٣"),
        (container, "CSQU3054383\u{200b}"),
        (container, "ＣSQU3054383"),
        ("/goodsItem/0/substance/0/casNumber", "300‐62‐9"),
        ("/goodsItem/0/substance/0/casNumber", "３00-62-9"),
        ("/goodsItem/0/substance/0/inchiKey", "KWTSXDURSIMDCE-UHFFFAOYSA-Ν"),
        ("/goodsItem/0/found/classificationId", "29214б"),
        ("/consignment/itinerary/0/locationId", "SYLТK"),
        ("/event/reportingCountryCode", "ІT"),
        ("/goodsItem/0/quantity/0/unitCode", "КGM"),
        ("/consignment/borderTransportMeans/imoNumber", "９074729"),
    ] {
        let mut record = example("case-01");
        *record.pointer_mut(pointer).unwrap() = json!(forged);
        let findings = Standard::v1().validate(&record).unwrap_err();
        let at =
            |f: &&sealwire_schemas::Finding| f.pointer == pointer && f.severity == Severity::Error;
        assert!(findings.iter().find(at).is_some(), "{pointer} {forged}: {findings:?}");
    }
    // A name may be in any script; what hides in it may not, and a mixed word is pointed at.
    let mut record = example("case-01");
    record["party"][0]["name"] = json!("FICTIONAL Торговля");
    assert_eq!(valid(&record).warnings(), []);
    record["party"][0]["name"] = json!("FICTIONAL ТRADING");
    assert_eq!(valid(&record).warnings()[0].code, "mixed-script");
    record["remark"] = json!("Fictional: pay \u{202e}000,1");
    assert_eq!(codes(&record), ["hidden-character", "mixed-script"]);
}

#[test]
fn the_longest_texts_take_no_longer_than_their_length_asks() {
    let plain = example("case-01");
    let time = |record: &Value| {
        let started = Instant::now();
        assert!(Standard::v1().validate(record).is_err());
        started.elapsed()
    };
    // Long runs that make a pattern with nested repetition try again and again.
    for (what, run) in [
        ("a", "a"),
        ("0", "0"),
        ("0.", "0."),
        ("A-", "A-"),
        ("mail", "a.a@"),
        ("name", "Mr A "),
        ("phone", "+1 2-"),
        ("spaces", " "),
        ("wide", "é"),
        ("passport", "passport A"),
    ] {
        let at = |length: usize| {
            let text: String = run.repeat(length / run.len());
            let mut record = plain.clone();
            for pointer in [
                "/remark",
                "/issueDate",
                "/language",
                "/id",
                "/event/dateTime",
                "/goodsItem/0/quantity/0/value",
                "/goodsItem/0/found/description",
                "/consignment/transportEquipment/0/id",
                "/party/0/name",
            ] {
                match record.pointer_mut(pointer) {
                    Some(place) => *place = json!(text),
                    None => panic!("{pointer}"),
                }
            }
            (0..3).map(|_| time(&record)).min().unwrap()
        };
        let (short, long) = (at(2_000), at(32_000));
        // Sixteen times the length: linear takes about sixteen times, quadratic 256 times.
        let bound = (short * 100).max(Duration::from_millis(200));
        assert!(long < bound, "{what}: {short:?} for 2,000 and {long:?} for 32,000 bytes");
    }
}

#[test]
fn the_most_items_a_record_can_hold_are_refused_at_once_and_in_few_findings() {
    let items = MAX_RECORD_BYTES / 3 - 2_000;
    let mut record = example("case-01");
    record["goodsItem"] = Value::Array(vec![json!({}); items]);
    let text = record.to_string();
    assert!(text.len() < MAX_RECORD_BYTES);
    let findings = Standard::v1().validate(&parse_json(text.as_bytes()).unwrap()).unwrap_err();
    assert!(findings.len() <= 100);
    let size: usize = findings.iter().map(|f| f.to_string().len()).sum();
    assert!(size < 100_000, "{size} bytes of findings");
}
