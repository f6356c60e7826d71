//! Probes, status, metrics and the description of the interface.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::records::ask;
use super::{App, OPENAPI, Problem};
use crate::node::Status;

/// The process runs and answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "live"}))
}

/// The node can take and deliver records now; if not, why.
pub(super) async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    let status = ask(&app, |node| Ok(node.status())).await?;
    let code = if status.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({"ready": status.ready, "reasons": status.reasons});
    Ok((code, Json(body)).into_response())
}

pub(super) async fn status(State(app): State<App>) -> Result<Json<Status>, Problem> {
    ask(&app, |node| Ok(node.status())).await.map(Json)
}

pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let text = ask(&app, |node| Ok(node.metrics())).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
