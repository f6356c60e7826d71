//! Refusals as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use sealwire_schemas::Finding;
use serde::Serialize;

use crate::principals::Right;
use crate::refusal::Refusal;

/// What a caller is told that was refused.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Document>);

#[derive(Debug, Clone, Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    code: String,
    hint: String,
    findings: Vec<Finding>,
    #[serde(skip)]
    authenticate: Option<&'static str>,
}

impl Problem {
    /// A problem of the interface itself.
    pub fn new(
        status: StatusCode,
        code: &str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self(Box::new(Document {
            kind: format!("urn:sealwire:problem:{code}"),
            title: code.replace('-', " "),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            hint: hint.into(),
            findings: Vec::new(),
            authenticate: None,
        }))
    }

    /// A request that cannot be understood.
    pub fn bad_request(code: &str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail, hint)
    }

    /// No token came along.
    pub fn no_token() -> Self {
        let detail = "cannot serve this request: it carries no bearer token";
        let hint = "send `Authorization: Bearer swt_…`; `sealwire token new` makes a token";
        let realm = "Bearer realm=\"sealwire\"";
        let problem = Self::new(StatusCode::UNAUTHORIZED, "token-missing", detail, hint);
        problem.with_authenticate(realm)
    }

    /// A token came along that belongs to nobody.
    pub fn unknown_token() -> Self {
        let detail = "cannot serve this request: its bearer token is not known here";
        let hint = "see `sealwire token list`; a revoked token stays unknown";
        let realm = "Bearer realm=\"sealwire\", error=\"invalid_token\"";
        let problem = Self::new(StatusCode::UNAUTHORIZED, "token-unknown", detail, hint);
        problem.with_authenticate(realm)
    }

    /// The principal may not do this.
    pub fn missing_right(name: &str, needed: &[Right]) -> Self {
        let needed: Vec<&str> = needed.iter().map(|right| right.as_str()).collect();
        let needed = needed.join(" or ");
        let detail =
            format!("cannot serve this request: principal {name:?} lacks the right {needed}");
        let hint =
            format!("use a token with the right {needed}: `sealwire token new NAME --rights`");
        Self::new(StatusCode::FORBIDDEN, "right-missing", detail, hint)
    }

    /// Too many at once.
    pub fn overloaded(limit: usize, what: &str) -> Self {
        let detail = format!("cannot serve this request now: {limit} {what} are open, the limit");
        let hint = "try again in a few seconds";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail, hint)
    }

    /// It took too long.
    pub fn timeout() -> Self {
        let detail = "cannot finish this request in time";
        let hint = "send it again; a publish with the same Idempotency-Key takes effect once";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail, hint)
    }

    /// A fault of this node.
    pub fn fault() -> Self {
        let detail = "cannot serve this request: a fault of this node";
        let hint = "see the node's log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", detail, hint)
    }

    /// The same with findings in the body that was sent.
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.0.findings = findings;
        self
    }

    fn with_authenticate(mut self, realm: &'static str) -> Self {
        self.0.authenticate = Some(realm);
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, &refusal.code, refusal.message, refusal.hint)
            .with_findings(refusal.findings)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let authenticate = self.0.authenticate;
        let mut response = (status, Json(self.0)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(realm) = authenticate {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(realm));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// The answer where there is no route.
pub(super) async fn unknown_path(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(80).collect();
    let detail = format!("cannot find {path}: there is no such resource");
    Problem::new(StatusCode::NOT_FOUND, "path-unknown", detail, "see /v1/openapi.json")
}

/// The answer where there is a route, but not for this method.
pub(super) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(80).collect();
    let detail = format!("cannot {method} {path}: the resource has no such method");
    let hint = "see /v1/openapi.json";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-unknown", detail, hint)
}
