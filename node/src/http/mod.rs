//! The HTTP interface of a node: for this administration's own programs, and for those of other
//! members that mirror and cosign.
//!
//! Every request but the two probes needs a bearer token; each route names the rights that open
//! it. Requests, bodies, streams, connections and times are bounded by the constants below. There
//! is no CORS: pages of other origins have no business here. The routes are one table, from which
//! the router is built and against which `openapi.json` is tested. This module decides nothing
//! about records: it asks the node and words the answer (RFC 9457 for refusals).

mod auth;
mod log;
mod matching;
mod onward;
mod problem;
mod records;
mod register;
mod retention;
mod serve;
mod stream;
mod system;
mod tasks;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Extension, Router};
use tokio::sync::Semaphore;

pub use problem::Problem;
pub use serve::serve;

use crate::node::NodeHandle;
use crate::principals::{Principals, Right};
use auth::{Access, Guard};

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Requests in work at once; streams count while they are being opened.
pub const MAX_REQUESTS: usize = 256;
/// Event streams open at once.
pub const MAX_STREAMS: usize = 64;
/// Connections open at once.
pub const MAX_CONNECTIONS: usize = 512;
/// Longest time for one request, its body included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time for the head of a request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for requests in work at shutdown.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Pause between the comments that keep a silent stream open.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Records on one page unless asked otherwise.
pub const DEFAULT_PAGE: usize = 50;
/// Most records on one page.
pub const MAX_PAGE: usize = 500;
/// Longest idempotency key, in characters.
pub const MAX_IDEMPOTENCY_KEY_LEN: usize = 128;

/// The description of the interface that `/v1/openapi.json` answers with.
const OPENAPI: &str = include_str!("openapi.json");

/// What every request can reach.
#[derive(Clone)]
struct App {
    node: NodeHandle,
    principals: Arc<Principals>,
    streams: Arc<Semaphore>,
}

struct Route {
    /// As the interface description names it.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it with the description"))]
    method: &'static str,
    path: &'static str,
    access: Access,
    handler: MethodRouter<App>,
}

/// Every route there is.
fn routes() -> Vec<Route> {
    const READ: Access = Access::AnyOf(&[Right::Read]);
    const ERASE: Access = Access::AnyOf(&[Right::Erase]);
    const EXPORT: Access = Access::AnyOf(&[Right::Export]);
    const PROOF: Access = Access::AnyOf(&[Right::Read, Right::Audit]);
    const LOG: Access = Access::AnyOf(&[Right::Read, Right::Audit, Right::Mirror]);
    let route = |method, path, access, handler| Route { method, path, access, handler };
    vec![
        route("get", "/healthz", Access::Open, get(system::live)),
        route("get", "/readyz", Access::Open, get(system::ready)),
        route("get", "/metrics", PROOF, get(system::metrics)),
        route("get", "/v1/status", Access::AnyOf(&Right::OURS), get(system::status)),
        route("get", "/v1/openapi.json", Access::AnyOf(&Right::ALL), get(system::openapi)),
        route("get", "/v1/register", Access::AnyOf(&Right::ALL), get(register::in_force)),
        route("get", "/v1/register/{version}", Access::AnyOf(&Right::ALL), get(register::version)),
        route("post", "/v1/register", Access::AnyOf(&[Right::Publish]), post(register::take)),
        route("get", "/v1/stream", READ, get(stream::open)),
        route("get", "/v1/records", READ, get(records::page)),
        route("post", "/v1/records", Access::AnyOf(&[Right::Publish]), post(records::publish)),
        route("post", "/v1/preview", Access::AnyOf(&[Right::Publish]), post(records::preview)),
        route("get", "/v1/drafts", Access::AnyOf(&[Right::Publish]), get(records::drafts)),
        route(
            "delete",
            "/v1/drafts/{id}",
            Access::AnyOf(&[Right::Publish]),
            delete(records::remove_draft),
        ),
        route("get", "/v1/records/{id}", READ, get(records::one)),
        route(
            "get",
            "/v1/records/{id}/delivery",
            Access::AnyOf(&Right::OURS),
            get(records::delivery),
        ),
        route("get", "/v1/records/{id}/screen", PROOF, get(records::screen)),
        route("get", "/v1/records/{id}/receipt", PROOF, get(records::receipt)),
        route("get", "/v1/records/{id}/cose-receipt", PROOF, get(records::cose_receipt)),
        route("get", "/v1/records/{id}/entry", PROOF, get(records::entry)),
        route(
            "post",
            "/v1/records/{id}/acknowledgement",
            Access::AnyOf(&[Right::Publish]),
            post(tasks::acknowledge),
        ),
        route("get", "/v1/tasks", READ, get(tasks::tasks)),
        route("get", "/v1/records/{id}/explain", READ, get(onward::explain)),
        route("post", "/v1/records/{id}/open", EXPORT, post(onward::open)),
        route("post", "/v1/exports", EXPORT, post(onward::export)),
        route("get", "/v1/retention", Access::AnyOf(&Right::PEOPLE), get(retention::due)),
        route("get", "/v1/holds", Access::AnyOf(&Right::PEOPLE), get(retention::holds)),
        route(
            "get",
            "/v1/records/{id}/erasure",
            Access::AnyOf(&Right::PEOPLE),
            get(retention::erasure),
        ),
        route("post", "/v1/records/{id}/erasure", ERASE, post(retention::erase)),
        route("post", "/v1/records/{id}/hold", ERASE, post(retention::hold)),
        route("post", "/v1/records/{id}/review", ERASE, post(retention::review)),
        route("post", "/v1/match", Access::AnyOf(&[Right::Match]), post(matching::question)),
        route("get", "/v1/match/lists", Access::AnyOf(&Right::OURS), get(matching::lists)),
        route("post", "/v1/match/lists", Access::AnyOf(&[Right::Publish]), post(matching::load)),
        route("get", "/v1/matches", Access::AnyOf(&[Right::Audit]), get(matching::kept)),
        route("get", "/v1/reads", Access::AnyOf(&[Right::Audit]), get(records::reads)),
        route("get", "/v1/logs/{member}/checkpoint", LOG, get(log::checkpoint)),
        route("get", "/v1/logs/{member}/tile/{*path}", LOG, get(log::tile)),
        route("get", "/v1/logs/{member}/statement/{index}", LOG, get(log::statement)),
        route(
            "post",
            "/v1/witness/add-checkpoint",
            Access::AnyOf(&[Right::Mirror]),
            post(log::add_checkpoint),
        ),
    ]
}

/// The router of the whole interface.
pub fn router(node: NodeHandle, principals: Arc<Principals>) -> Router {
    let app = App { node, principals, streams: Arc::new(Semaphore::new(MAX_STREAMS)) };
    let guard = |access| Guard { principals: Arc::clone(&app.principals), access };
    let mut router = Router::new();
    for Route { path, access, handler, .. } in routes() {
        let handler = handler.layer(from_fn_with_state(guard(access), auth::check));
        router = router.route(path, handler);
    }
    let unknown = get(problem::unknown_path)
        .fallback(problem::unknown_path)
        .layer(from_fn_with_state(guard(Access::AnyOf(&Right::ALL)), auth::check));
    router
        .fallback_service(unknown.with_state(app.clone()))
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(from_fn_with_state(Arc::new(Semaphore::new(MAX_REQUESTS)), bounded))
        .layer(from_fn(guarded_headers))
        .with_state(app)
}

/// Ends a stream or a wait when the node shuts down.
type Closing = Extension<tokio::sync::watch::Receiver<bool>>;

/// At most so many requests at once, each for at most so long.
async fn bounded(State(permits): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    use axum::response::IntoResponse as _;
    let Ok(_permit) = permits.try_acquire() else {
        return Problem::overloaded(MAX_REQUESTS, "requests").into_response();
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout().into_response(),
    }
}

/// Nothing of this interface is a page, to be framed or guessed at; nor stored, unless its route
/// says so.
async fn guarded_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let not_stored = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(not_stored);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
