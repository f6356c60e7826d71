//! What waits for somebody, and the acknowledgement of an amendment.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::{Map, Value};

use super::auth::Caller;
use super::records::{answered, ask, idempotency_key, language, read_body, record_id};
use super::{App, Problem};
use crate::node::Tasks;

/// What the caller may say of an acknowledgement; the node says the rest.
const SAID: [&str; 7] = [
    "action",
    "actionDate",
    "contactOffice",
    "functionalReferenceId",
    "language",
    "onwardRecipientQuantity",
    "remark",
];

pub(super) async fn tasks(State(app): State<App>) -> Result<Json<Tasks>, Problem> {
    ask(&app, |node| node.tasks()).await.map(Json)
}

pub(super) async fn acknowledge(
    State(app): State<App>,
    Extension(Caller(principal)): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let id = record_id(id)?;
    let key = idempotency_key(&headers)?;
    let said = said(&read_body(body).await?)?;
    let language = language(&headers);
    let submission = ask(&app, move |node| node.acknowledgement(&id, said, language)).await?;
    let work =
        tokio::spawn(
            async move { app.node.publish(&principal.name, key.as_deref(), submission).await },
        );
    let published = work.await.map_err(|_| Problem::fault())?;
    answered(published.map_err(|refusal| refusal.in_language(language))?)
}

/// The fields of the acknowledgement that the caller gives; an empty body gives none.
fn said(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let hint = "send {\"action\": [\"noted\"]}, with what else is to be said";
    let invalid = |detail: String| Problem::bad_request("submission-invalid", detail, hint);
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let value = sealwire_schemas::parse_json(bytes).map_err(|finding| {
        let detail = format!("cannot read the body as JSON: {}", finding.message);
        Problem::bad_request("body-not-json", detail, hint).with_findings(vec![finding])
    })?;
    let Value::Object(fields) = value else {
        return Err(invalid("cannot read the acknowledgement: it is no object".to_owned()));
    };
    match fields.keys().find(|name| !SAID.contains(&name.as_str())) {
        None => Ok(fields),
        Some(name) => Err(invalid(format!(
            "cannot read the acknowledgement: {name:?} is none of {}",
            SAID.join(", ")
        ))),
    }
}
