//! The register: the versions held, and the next one. A register proves itself by its governors'
//! signatures; the right to hand one in only keeps strangers from having them checked.

use axum::Json;
use axum::body::{self, Body};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwire_wire::register::MAX_REGISTER_BYTES;
use serde_json::{Value, json};

use super::records::ask;
use super::{App, Problem};
use crate::node::Taken;

pub(super) async fn in_force(State(app): State<App>) -> Result<Response, Problem> {
    held(&app, None).await
}

pub(super) async fn version(
    State(app): State<App>,
    version: Result<Path<u64>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(version) = version.map_err(|rejection| {
        let detail = format!("cannot read the path: {}", rejection.body_text());
        let hint = "/v1/register/<version>, a number from 1";
        Problem::new(StatusCode::NOT_FOUND, "path-unknown", detail, hint)
    })?;
    held(&app, Some(version)).await
}

async fn held(app: &App, version: Option<u64>) -> Result<Response, Problem> {
    let bytes = ask(app, move |node| node.register_version(version)).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

pub(super) async fn take(State(app): State<App>, body: Body) -> Result<Json<Value>, Problem> {
    let bytes = body::to_bytes(body, MAX_REGISTER_BYTES).await.map_err(|_| {
        let detail = format!("cannot read the body: more than {MAX_REGISTER_BYTES} bytes");
        let hint = "send one register, as `sealwire register sign` wrote it";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail, hint)
    })?;
    // In a task of its own: a caller that hangs up does not cut the work in half.
    let node = app.node.clone();
    let work = tokio::spawn(async move { node.take_register(bytes.into()).await });
    let taken = work.await.map_err(|_| Problem::fault())??;
    let status = ask(&app, |node| Ok(node.status())).await?;
    Ok(Json(json!({
        "adopted": taken == Taken::Adopted,
        "version": status.register_version,
        "fingerprint": status.register_fingerprint,
    })))
}
