use axum::http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;

use super::auth::{Access, bearer};
use super::records::{idempotency_key, submission};
use super::stream::last_event_id;
use super::{OPENAPI, Problem, routes};
use crate::principals::Right;
use crate::refusal::Refusal;

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

#[test]
fn the_description_names_every_route_and_no_other_with_its_rights() {
    let described: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut named = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let rights: Vec<String> = operation["x-rights"]
                .as_array()
                .unwrap()
                .iter()
                .map(|right| right.as_str().unwrap().to_owned())
                .collect();
            assert_eq!(rights.is_empty(), operation.get("security").is_some(), "{method} {path}");
            named.push((method.clone(), path.clone(), rights));
        }
    }
    let mut built: Vec<_> = routes()
        .into_iter()
        .map(|route| {
            let rights: &[Right] = match route.access {
                Access::Open => &[],
                Access::AnyOf(rights) => rights,
            };
            let rights = rights.iter().map(Right::to_string).collect();
            (route.method.to_owned(), route.path.to_owned(), rights)
        })
        .collect();
    named.sort();
    built.sort();
    assert_eq!(named, built);
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    found.push(reference.clone());
                }
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let described: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut found = Vec::new();
    references(&described, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(described.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn only_the_probes_are_open() {
    let open: Vec<_> =
        routes().into_iter().filter(|r| r.access == Access::Open).map(|r| r.path).collect();
    assert_eq!(open, ["/healthz", "/readyz"]);
}

#[test]
fn a_bearer_token_is_read_in_one_form_only() {
    assert_eq!(bearer(&headers(&[("authorization", "Bearer swt_x")])), Some("swt_x"));
    assert_eq!(bearer(&headers(&[("authorization", "bearer  swt_x")])), Some("swt_x"));
    for bad in
        ["swt_x", "Basic swt_x", "Bearer", "Bearer  ", &format!("Bearer {}", "x".repeat(300))]
    {
        assert_eq!(bearer(&headers(&[("authorization", bad)])), None, "{bad}");
    }
    let mut twice = headers(&[("authorization", "Bearer a")]);
    twice.append("authorization", HeaderValue::from_static("Bearer b"));
    assert_eq!(bearer(&twice), None);
}

#[test]
fn idempotency_keys_are_printable_and_short() {
    let read = |key: &str| idempotency_key(&headers(&[("idempotency-key", key)]));
    assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    assert_eq!(read("retry-1").unwrap().as_deref(), Some("retry-1"));
    assert!(read(&"x".repeat(128)).is_ok());
    for bad in ["", &"x".repeat(129), "tab\there", "a b"] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
    let mut latin = HeaderMap::new();
    latin.insert("idempotency-key", HeaderValue::from_bytes(b"\xe9").unwrap());
    assert!(idempotency_key(&latin).is_err());
}

#[test]
fn a_stream_resumes_from_a_cursor_or_says_why_not() {
    assert_eq!(last_event_id(&HeaderMap::new()).unwrap(), None);
    assert_eq!(last_event_id(&headers(&[("last-event-id", "17")])).unwrap(), Some(17));
    assert!(last_event_id(&headers(&[("last-event-id", "-1")])).is_err());
}

#[test]
fn a_submission_is_whole_or_a_bare_record_with_a_community() {
    let whole = submission(br#"{"community":"labs","record":{"a":1},"to":["SG"]}"#, None).unwrap();
    assert_eq!(whole.community, "labs");
    assert_eq!(whole.to.unwrap().len(), 1);
    let bare = submission(br#"{"a":1}"#, Some("labs".to_owned())).unwrap();
    assert_eq!(bare.record["a"], 1);
    for (bad, code) in [
        (&b"<xml/>"[..], "body-not-json"),
        (b"", "body-not-json"),
        (br#"{"community":"labs","record":{"a":1,"a":2}}"#, "body-not-json"),
        (br#"{"record":{}}"#, "submission-invalid"),
        (br#"{"community":"labs","record":{},"copy":[]}"#, "submission-invalid"),
        (br#"{"community":"labs","record":{},"to":["sg"]}"#, "submission-invalid"),
    ] {
        let problem = serde_json::to_value(submission(bad, None).unwrap_err()).unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], 400);
    }
}

#[test]
fn a_refusal_keeps_its_status_code_and_hint() {
    let refusal = Refusal::new("community-unknown", 422, "cannot publish to x: unknown", "ask");
    let problem = serde_json::to_value(Problem::from(refusal)).unwrap();
    assert_eq!(problem["type"], "urn:sealwire:problem:community-unknown");
    assert_eq!(problem["title"], "community unknown");
    assert_eq!(problem["status"], 422);
    assert_eq!(problem["detail"], "cannot publish to x: unknown");
    assert_eq!(problem["hint"], "ask");
    let odd = Problem::from(Refusal::new("odd", 200, "x", "y"));
    assert_eq!(serde_json::to_value(odd).unwrap()["status"], 500);
    let right = Problem::missing_right("lab", &[Right::Read, Right::Audit]);
    let right = serde_json::to_value(right).unwrap();
    assert!(right["detail"].as_str().unwrap().ends_with("lacks the right read or audit"));
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = submission(&bytes, None);
        let _ = submission(&bytes, Some("labs".to_owned()));
    }
}
