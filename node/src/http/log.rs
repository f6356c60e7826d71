//! Logs over HTTP: C2SP `tlog-tiles` below `/v1/logs/{member}`, `tlog-witness` below `/v1/witness`.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, body};
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::tile::Resource;
use sealwire_wire::witness::{MAX_ADD_CHECKPOINT_BYTES, TLOG_SIZE_TYPE};

use super::auth::Caller;
use super::records::ask;
use super::{App, Problem};
use crate::node::Witnessed;

/// A tile never changes; whoever may not read it here may not read it in a cache either.
const IMMUTABLE: &str = "private, max-age=31536000, immutable";
/// Kept, and asked for again each time.
const REVALIDATED: &str = "private, no-cache";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

pub(super) async fn checkpoint(
    State(app): State<App>,
    log: Result<Path<MemberId>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(log) = log.map_err(bad_path)?;
    let note = ask(&app, move |node| node.log_checkpoint(&log)).await?;
    let tag = format!("\"{}\"", Digest::of(note.as_bytes()));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let tag = HeaderValue::from_str(&tag).map_err(|_| Problem::fault())?;
    let caching =
        [(header::ETAG, tag), (header::CACHE_CONTROL, HeaderValue::from_static(REVALIDATED))];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    Ok((caching, [(header::CONTENT_TYPE, TEXT)], note).into_response())
}

pub(super) async fn tile(
    State(app): State<App>,
    path: Result<Path<(MemberId, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((log, path)) = path.map_err(bad_path)?;
    let resource: Resource = format!("tile/{path}").parse().map_err(|cause| {
        let hint = "tile/<level>/<index>, tile/entries/<index>, with .p/<width> if partial";
        Problem::new(StatusCode::NOT_FOUND, "path-unknown", format!("{cause}"), hint)
    })?;
    // One small file, read on the spot as static file servers do: to hand it to a thread that may
    // block, and to wake up again, was a third of such a request.
    let bytes = app.node.log_resource(&log, resource)?;
    Ok(([(header::CONTENT_TYPE, BYTES), (header::CACHE_CONTROL, IMMUTABLE)], bytes).into_response())
}

pub(super) async fn statement(
    State(app): State<App>,
    Extension(Caller(principal)): Extension<Caller>,
    path: Result<Path<(MemberId, u64)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((log, index)) = path.map_err(bad_path)?;
    let asker = principal.member;
    let bytes = ask(&app, move |node| node.log_statement(&log, index, asker.as_ref())).await?;
    let kind = "application/sealwire-statement+cose";
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, IMMUTABLE)], bytes).into_response())
}

/// Whoever asks proves by the checkpoint's signature whose log it is.
pub(super) async fn add_checkpoint(
    State(app): State<App>,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::to_bytes(body, MAX_ADD_CHECKPOINT_BYTES).await.map_err(|_| {
        let detail = format!("cannot read the body: more than {MAX_ADD_CHECKPOINT_BYTES} bytes");
        let hint = "send one checkpoint with at most 63 lines of proof";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail, hint)
    })?;
    Ok(match app.node.add_checkpoint(&bytes).await? {
        Witnessed::Cosigned(lines) => ([(header::CONTENT_TYPE, TEXT)], lines).into_response(),
        Witnessed::Conflict(known) => {
            let kind = [(header::CONTENT_TYPE, TLOG_SIZE_TYPE)];
            (StatusCode::CONFLICT, kind, format!("{known}\n")).into_response()
        }
    })
}

fn bad_path(rejection: PathRejection) -> Problem {
    let detail = format!("cannot read the path: {}", rejection.body_text());
    let hint = "/v1/logs/<member>/…; see /v1/openapi.json";
    Problem::new(StatusCode::NOT_FOUND, "path-unknown", detail, hint)
}
