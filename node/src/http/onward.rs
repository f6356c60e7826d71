//! Why who sees what, and what leaves for bodies that are no members.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use sealwire_wire::id::MemberId;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::auth::Caller;
use super::records::{ask, bad_query, page_limit, purpose_word, read_body, record_id};
use super::{App, Problem};
use crate::explain::Explanation;
use crate::onward::{ExportPage, MAX_FIELDS, MAX_RECIPIENT_LEN, Recipient};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainQuery {
    member: MemberId,
    purpose: Option<String>,
}

/// What is to be opened of a record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    fields: BTreeSet<String>,
    recipient: Option<String>,
    purpose: Option<String>,
}

/// For whom records are to be exported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exporting {
    recipient: String,
    purpose: String,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

pub(super) async fn explain(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<ExplainQuery>, QueryRejection>,
) -> Result<Json<Explanation>, Problem> {
    let id = record_id(id)?;
    let ExplainQuery { member, purpose } = query.map_err(bad_query)?.0;
    if let Some(purpose) = &purpose {
        purpose_word(purpose)?;
    }
    ask(&app, move |node| node.explain(&id, &member, purpose.as_deref())).await.map(Json)
}

pub(super) async fn open(
    State(app): State<App>,
    Extension(Caller(principal)): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let id = record_id(id)?;
    let Opening { fields, recipient, purpose } = request(&read_body(body).await?)?;
    if !(1..=MAX_FIELDS).contains(&fields.len()) {
        return Err(malformed(format!("{} fields, where 1 to {MAX_FIELDS} are", fields.len())));
    }
    let recipient = match (recipient, purpose) {
        (None, None) => None,
        (Some(name), Some(purpose)) => Some(recipient_of(name, purpose)?),
        _ => return Err(malformed("a recipient has a purpose, and a purpose a recipient".into())),
    };
    let proof = app.node.open(&principal.name, id, fields, recipient).await?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], proof).into_response())
}

pub(super) async fn export(
    State(app): State<App>,
    Extension(Caller(principal)): Extension<Caller>,
    body: Body,
) -> Result<Json<ExportPage>, Problem> {
    let Exporting { recipient, purpose, after, limit } = request(&read_body(body).await?)?;
    let limit = page_limit(limit)?;
    let recipient = recipient_of(recipient, purpose)?;
    Ok(Json(app.node.export(&principal.name, recipient, after, limit).await?))
}

fn recipient_of(name: String, purpose: String) -> Result<Recipient, Problem> {
    purpose_word(&purpose)?;
    let shown = (1..=MAX_RECIPIENT_LEN).contains(&name.chars().count());
    if shown && !name.chars().any(char::is_control) {
        return Ok(Recipient { name, purpose });
    }
    Err(malformed(format!("a recipient's name has 1 to {MAX_RECIPIENT_LEN} characters on a line")))
}

pub(super) fn request<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|cause| malformed(cause.to_string()))
}

pub(super) fn malformed(cause: String) -> Problem {
    let detail = format!("cannot read the request: {cause}");
    Problem::bad_request("submission-invalid", detail, "see /v1/openapi.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_says_all_that_it_must_and_nothing_else() {
        let opening = |text: &str| request::<Opening>(text.as_bytes());
        assert!(opening(r#"{"fields":["/a"]}"#).is_ok());
        for bad in ["", "{}", r#"{"fields":"/a"}"#, r#"{"fields":["/a"],"to":"x"}"#] {
            assert!(opening(bad).is_err(), "{bad}");
        }
        assert!(recipient_of("Court of Appeal".into(), "criminal-proceedings".into()).is_ok());
        for bad in ["", "a\nb", &"x".repeat(141)] {
            assert!(recipient_of(bad.into(), "training".into()).is_err(), "{bad:?}");
        }
        assert!(recipient_of("Court".into(), "Any purpose".into()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = request::<Opening>(&bytes).is_ok();
            let _ = request::<Exporting>(&bytes).is_ok();
        }
    }
}
