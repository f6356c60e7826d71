//! Who is calling, and may they?

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Problem;
use crate::principals::{Principal, Principals, Right};

/// Longest bearer token looked at, in bytes.
const MAX_TOKEN_LEN: usize = 256;

/// What opens a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing: a probe.
    Open,
    /// A token with one of these rights.
    AnyOf(&'static [Right]),
}

#[derive(Clone)]
pub(super) struct Guard {
    pub principals: Arc<Principals>,
    pub access: Access,
}

/// The authenticated caller, put into the request for the handlers.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub Principal);

/// Lets a request through to its handler, or refuses it.
pub(super) async fn check(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&guard, request.headers()) {
        Ok(Some(principal)) => {
            request.extensions_mut().insert(Caller(principal));
        }
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    next.run(request).await
}

fn admit(guard: &Guard, headers: &HeaderMap) -> Result<Option<Principal>, Problem> {
    let needed = match guard.access {
        Access::Open => return Ok(None),
        Access::AnyOf(needed) => needed,
    };
    let token = bearer(headers).ok_or_else(Problem::no_token)?;
    let principal = guard.principals.authenticate(token).ok_or_else(Problem::unknown_token)?;
    if needed.iter().any(|right| principal.may(*right)) {
        return Ok(Some(principal));
    }
    tracing::warn!(principal = principal.name, "right missing");
    Err(Problem::missing_right(&principal.name, needed))
}

/// The token of an `Authorization: Bearer` header, if there is exactly one.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() || value.len() > MAX_TOKEN_LEN {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
