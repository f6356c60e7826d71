//! Forgetting: what comes due, erasing, legal holds, reviews.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::onward::{malformed, request};
use super::records::{ask, bad_query, read_body, record_id};
use super::{App, Problem};
use crate::node::{Decided, Due, ErasureState, HoldState, MAX_REASON_LEN};
use crate::store::HoldStep;

/// Days looked ahead unless asked otherwise.
const DEFAULT_WITHIN: i64 = 90;
/// Most days looked ahead.
const MAX_WITHIN: i64 = 36_525;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DueQuery {
    within: Option<i64>,
}

/// Records that come due.
#[derive(Debug, Serialize)]
pub(super) struct DueList {
    due: Vec<Due>,
}

/// Legal holds.
#[derive(Debug, Serialize)]
pub(super) struct HoldList {
    holds: Vec<HoldState>,
}

/// What is to be erased.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Erasing {
    classes: Option<BTreeSet<String>>,
    rule: String,
    reference: Option<String>,
}

/// A step of a legal hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Holding {
    step: Step,
    until: Date,
    reason: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Step {
    Asked,
    Placed,
    LiftAsked,
    Lifted,
}

/// The decision that a record is still needed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviewing {
    until: Date,
    reason: String,
}

pub(super) async fn due(
    State(app): State<App>,
    query: Result<Query<DueQuery>, QueryRejection>,
) -> Result<Json<DueList>, Problem> {
    let within = query.map_err(bad_query)?.0.within.unwrap_or(DEFAULT_WITHIN);
    let within = within.clamp(0, MAX_WITHIN);
    ask(&app, move |node| Ok(DueList { due: node.due(within) })).await.map(Json)
}

pub(super) async fn erasure(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ErasureState>, Problem> {
    let id = record_id(id)?;
    ask(&app, move |node| node.erasure(&id)).await.map(Json)
}

pub(super) async fn erase(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<ErasureState>, Problem> {
    let id = record_id(id)?;
    let Erasing { classes, rule, reference } = request(&read_body(body).await?)?;
    Ok(Json(app.node.erase(&id, classes, &rule, reference.as_deref()).await?))
}

pub(super) async fn holds(State(app): State<App>) -> Result<Json<HoldList>, Problem> {
    ask(&app, |node| Ok(HoldList { holds: node.holds() })).await.map(Json)
}

pub(super) async fn hold(
    State(app): State<App>,
    Extension(Caller(principal)): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<HoldState>, Problem> {
    let id = record_id(id)?;
    let Holding { step, until, reason } = request(&read_body(body).await?)?;
    let step = match step {
        Step::Asked => HoldStep::Asked,
        Step::Placed => HoldStep::Placed,
        Step::LiftAsked => HoldStep::LiftAsked,
        Step::Lifted => HoldStep::Lifted,
    };
    let decided = Decided { by: principal.name.clone(), until, reason: stated(reason)? };
    Ok(Json(app.node.hold(&id, step, decided).await?))
}

pub(super) async fn review(
    State(app): State<App>,
    Extension(Caller(principal)): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<DueList>, Problem> {
    let id = record_id(id)?;
    let Reviewing { until, reason } = request(&read_body(body).await?)?;
    let decided = Decided { by: principal.name.clone(), until, reason: stated(reason)? };
    app.node.review(&id, decided).await?;
    let text = id.to_string();
    let of = move |due: &Due| due.id == text;
    ask(&app, move |node| {
        Ok(DueList { due: node.due(MAX_WITHIN).into_iter().filter(of).collect() })
    })
    .await
    .map(Json)
}

fn stated(reason: String) -> Result<String, Problem> {
    let shown = (1..=MAX_REASON_LEN).contains(&reason.chars().count());
    if shown && !reason.chars().any(char::is_control) {
        return Ok(reason);
    }
    Err(malformed(format!("a reason has 1 to {MAX_REASON_LEN} characters on a line")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_says_all_that_it_must_and_nothing_else() {
        let held = |text: &str| request::<Holding>(text.as_bytes()).is_ok();
        assert!(held(r#"{"step":"lift-asked","until":"2027-01-31","reason":"court"}"#));
        for bad in [
            r#"{"step":"lift","until":"2027-01-31","reason":"court"}"#,
            r#"{"step":"asked","until":"2027-02-30","reason":"court"}"#,
            r#"{"step":"asked","until":"2027-01-31"}"#,
        ] {
            assert!(!held(bad), "{bad}");
        }
        assert!(request::<Erasing>(br#"{"rule":"court-order"}"#).is_ok());
        assert!(request::<Erasing>(br#"{"rule":"court-order","class":"text"}"#).is_err());
        assert!(stated("Court of Appeal, file 7".into()).is_ok());
        for bad in ["", "a\nb", &"x".repeat(501)] {
            assert!(stated(bad.into()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = request::<Erasing>(&bytes).is_ok();
            let _ = request::<Holding>(&bytes).is_ok();
            let _ = request::<Reviewing>(&bytes).is_ok();
        }
    }
}
