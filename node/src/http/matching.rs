//! Whether other members hold identifiers, and what others may match here. Identifiers stand in
//! bodies, never in a path or query, which others log.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use sealwire_schemas::identifier::{Identifier, IdentifierType};
use sealwire_wire::id::{MemberId, is_word};
use sealwire_wire::oprf::MAX_QUESTIONS;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::records::{ask, bad_query, page_limit, purpose_word, read_body, read_body_up_to};
use super::{App, Problem};
use crate::matching::{Listed, MAX_LIST_BYTES};
use crate::node::{Answers, Asking};
use crate::store::{KeptAsked, ReadCursor};

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    community: String,
    purpose: String,
    #[serde(rename = "type")]
    kind: String,
    identifiers: Vec<String>,
    #[serde(default)]
    of: BTreeSet<MemberId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    community: String,
    /// Separated by commas.
    purposes: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchesQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// Questions of one request, as they are kept.
#[derive(Debug, Serialize)]
struct Kept {
    cursor: String,
    at: u64,
    side: &'static str,
    member: MemberId,
    #[serde(skip_serializing_if = "String::is_empty")]
    principal: String,
    community: String,
    purpose: String,
    #[serde(rename = "type")]
    kind: String,
    count: u64,
}

/// One page of them.
#[derive(Debug, Serialize)]
pub(super) struct MatchesPage {
    matches: Vec<Kept>,
    next: Option<String>,
    more: bool,
}

pub(super) async fn question(
    State(app): State<App>,
    Extension(Caller(principal)): Extension<Caller>,
    body: Body,
) -> Result<Json<Answers>, Problem> {
    let asking = asking(&read_body(body).await?)?;
    // In a task of its own: a caller that hangs up does not cut the work in half.
    let work = tokio::spawn(async move { app.node.ask_members(&principal.name, asking).await });
    Ok(Json(work.await.map_err(|_| Problem::fault())??))
}

pub(super) async fn load(
    State(app): State<App>,
    query: Result<Query<ListQuery>, QueryRejection>,
    body: Body,
) -> Result<Json<Listed>, Problem> {
    let ListQuery { community, purposes } = query.map_err(bad_query)?.0;
    if !is_word(&community) {
        return Err(malformed("a community is a word such as seizures".to_owned()));
    }
    let purposes: BTreeSet<String> = purposes.split(',').map(str::to_owned).collect();
    for purpose in &purposes {
        purpose_word(purpose)?;
    }
    let bytes = read_body_up_to(body, MAX_LIST_BYTES).await?;
    let text = String::from_utf8(bytes.into())
        .map_err(|_| malformed("the list is not text in UTF-8".to_owned()))?;
    ask(&app, move |node| node.load_list(&community, purposes, &text)).await.map(Json)
}

pub(super) async fn lists(State(app): State<App>) -> Result<Json<Vec<Listed>>, Problem> {
    ask(&app, |node| Ok(node.lists())).await.map(Json)
}

pub(super) async fn kept(
    State(app): State<App>,
    query: Result<Query<MatchesQuery>, QueryRejection>,
) -> Result<Json<MatchesPage>, Problem> {
    let MatchesQuery { after, limit } = query.map_err(bad_query)?.0;
    let limit = page_limit(limit)?;
    let after = after.map(|after| after.parse::<ReadCursor>()).transpose().map_err(|_| {
        let hint = "give `next` of the page before";
        Problem::bad_request("cursor-invalid", "cannot read `after`: it is no cursor", hint)
    })?;
    let found = ask(&app, move |node| node.matches(after, limit)).await?;
    let more = found.len() == limit;
    let next = found.last().map(|kept| kept.cursor.to_string());
    let matches = found.into_iter().map(shown).collect();
    Ok(Json(MatchesPage { matches, next, more }))
}

fn shown(KeptAsked { cursor, asked }: KeptAsked) -> Kept {
    Kept {
        cursor: cursor.to_string(),
        at: asked.at,
        side: asked.side.as_str(),
        member: asked.with,
        principal: asked.by,
        community: asked.about.community,
        purpose: asked.about.purpose,
        kind: asked.about.kind,
        count: asked.count,
    }
}

fn asking(bytes: &[u8]) -> Result<Asking, Problem> {
    let Question { community, purpose, kind, identifiers, of } =
        serde_json::from_slice(bytes).map_err(|cause| malformed(cause.to_string()))?;
    purpose_word(&purpose)?;
    let kind: IdentifierType = kind.parse().map_err(|e| malformed(format!("{e}")))?;
    if !(1..=MAX_QUESTIONS).contains(&identifiers.len()) {
        let count = identifiers.len();
        return Err(malformed(format!("{count} identifiers, where 1 to {MAX_QUESTIONS} are")));
    }
    let read = |(number, text): (usize, &String)| {
        Identifier::parse(kind, text).map_err(|e| {
            let detail = format!("cannot ask: identifier {}: {e}", number + 1);
            let hint = "nobody was asked; correct it";
            Problem::bad_request("identifier-invalid", detail, hint)
        })
    };
    let identifiers = identifiers.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Asking { community, purpose, kind, identifiers, of })
}

fn malformed(cause: String) -> Problem {
    let detail = format!("cannot read the request: {cause}");
    Problem::bad_request("submission-invalid", detail, "see /v1/openapi.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(kind: &str, identifiers: &[&str]) -> Result<Asking, Problem> {
        let body = serde_json::json!({"community": "seizures", "purpose": "risk-analysis",
            "type": kind, "identifiers": identifiers});
        asking(body.to_string().as_bytes())
    }

    #[test]
    fn a_question_is_about_well_formed_identifiers_of_one_type() {
        let good = read("container", &["msku 601167-2", "CSQU3054383"]).unwrap();
        let forms: Vec<&str> = good.identifiers.iter().map(Identifier::as_str).collect();
        assert_eq!(forms, ["MSKU6011672", "CSQU3054383"]);
        for (kind, identifiers) in [
            ("container", &["MSKU6011673"][..]),
            ("container", &["9074729"]),
            ("vessel", &[]),
            ("vessel", &["9074729"; 33]),
            ("person", &["A"]),
        ] {
            let refused = read(kind, identifiers).unwrap_err();
            let told = serde_json::to_string(&refused).unwrap();
            assert!(!told.contains("6011673"), "{told}");
        }
        assert!(asking(br#"{"community":"a"}"#).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = asking(&bytes).is_ok();
        }
    }
}
