//! Records: publish one, read pages and single ones, and what proves them.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt as _;
use sealwire_schemas::Language;
use sealwire_wire::id::{MemberId, RecordId, is_word};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::Caller;
use super::{App, DEFAULT_PAGE, MAX_BODY_BYTES, MAX_IDEMPOTENCY_KEY_LEN, MAX_PAGE, Problem};
use crate::delivery::Delivery;
use crate::feed::{Consented, Reading, RecordView};
use crate::node::{NodeHandle, Outcome, Preview, ScreenView, Submission, Waiting};
use crate::refusal::Refusal;
use crate::store::{KeptRead, ReadCursor};

/// Most bytes of a body that are read for the sake of its refusal.
const MAX_DISCARDED_BYTES: usize = 16 * MAX_BODY_BYTES;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishQuery {
    community: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    kind: Option<String>,
    purpose: Option<String>,
    restricted: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadingQuery {
    amended: Option<bool>,
    purpose: Option<String>,
    restricted: Option<bool>,
}

/// One page of records in the order of their arrival.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    records: Vec<RecordView>,
    /// The `after` of the next page.
    next: u64,
    /// Whether there may be more now.
    more: bool,
}

pub(super) async fn publish(
    State(app): State<App>,
    Extension(Caller(principal)): Extension<Caller>,
    query: Result<Query<PublishQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(bad_query)?;
    let key = idempotency_key(&headers)?;
    let bytes = read_body(body).await?;
    let language = language(&headers);
    let mut submission = submission(&bytes, query.community)?;
    submission.language = language;
    // In a task of its own: a caller that hangs up does not cut the work in half.
    let work =
        tokio::spawn(
            async move { app.node.publish(&principal.name, key.as_deref(), submission).await },
        );
    let published = work.await.map_err(|_| Problem::fault())?;
    answered(published.map_err(|refusal| refusal.in_language(language))?)
}

/// What a publisher is told.
pub(super) fn answered(outcome: Outcome) -> Result<Response, Problem> {
    let location = |id: &str| {
        let location = HeaderValue::from_str(&format!("/v1/records/{id}"));
        location.map(|at| [(header::LOCATION, at)]).map_err(|_| Problem::fault())
    };
    let published = match outcome {
        Outcome::Published(published) => published,
        Outcome::Queued(queued) => {
            return Ok((StatusCode::ACCEPTED, location(&queued.id)?, Json(queued)).into_response());
        }
    };
    let status = if published.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, location(&published.id)?, Json(published)).into_response())
}

pub(super) async fn preview(
    State(app): State<App>,
    query: Result<Query<PublishQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Preview>, Problem> {
    let Query(query) = query.map_err(bad_query)?;
    let language = language(&headers);
    let mut submission = submission(&read_body(body).await?, query.community)?;
    submission.language = language;
    ask(&app, move |node| node.preview(submission).map_err(|refusal| refusal.in_language(language)))
        .await
        .map(Json)
}

/// The records that wait until this node may sign.
pub(super) async fn drafts(State(app): State<App>) -> Result<Json<Vec<Waiting>>, Problem> {
    ask(&app, |node| Ok(node.drafts())).await.map(Json)
}

pub(super) async fn remove_draft(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let id = record_id(id)?;
    let removed = ask(&app, move |node| Ok(node.remove_draft(&id))).await?;
    if removed {
        return Ok(StatusCode::NO_CONTENT);
    }
    let hint = "GET /v1/drafts lists those that wait";
    let detail = "cannot remove the draft: none of that record waits";
    Err(Problem::new(StatusCode::NOT_FOUND, "unknown-draft", detail, hint))
}

/// The first language of `Accept-Language` in which findings can be told.
pub(super) fn language(headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let tags = accepted.unwrap_or_default().split(',');
    let mut tags = tags.map(|tag| tag.split(';').next().unwrap_or_default().trim());
    tags.find_map(|tag| tag.parse().ok()).unwrap_or_default()
}

pub(super) async fn page(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let query = query.map_err(bad_query)?.0;
    let PageQuery { after, limit, kind, purpose, restricted } = query;
    let limit = page_limit(limit)?;
    let reading = reading(&app, &caller, purpose, restricted)?;
    let records = app.node.records(after, limit, kind, reading).await?;
    let next = records.last().map_or(after, |record| record.cursor);
    Ok(Json(Page { more: records.len() == limit, next, records }))
}

pub(super) async fn one(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<ReadingQuery>, QueryRejection>,
) -> Result<Json<RecordView>, Problem> {
    let id = record_id(id)?;
    let ReadingQuery { amended, purpose, restricted } = query.map_err(bad_query)?.0;
    let reading = reading(&app, &caller, purpose, restricted)?;
    let view = match amended {
        Some(true) => app.node.amended(id, reading).await?,
        _ => app.node.record(id, reading).await?,
    };
    Ok(Json(view))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadsQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// One page of the read log.
#[derive(Debug, Serialize)]
pub(super) struct ReadsPage {
    reads: Vec<LoggedRead>,
    /// The `after` of the next page.
    next: Option<String>,
    /// Whether there may be more now.
    more: bool,
}

/// One restricted part that was given to one reader.
#[derive(Debug, Serialize)]
struct LoggedRead {
    cursor: String,
    at: u64,
    principal: String,
    record: String,
    originator: MemberId,
    class: String,
    purpose: String,
}

pub(super) async fn reads(
    State(app): State<App>,
    query: Result<Query<ReadsQuery>, QueryRejection>,
) -> Result<Json<ReadsPage>, Problem> {
    let ReadsQuery { after, limit } = query.map_err(bad_query)?.0;
    let limit = page_limit(limit)?;
    let after: Option<ReadCursor> = after.map(|after| after.parse()).transpose().map_err(|_| {
        let detail = "cannot read the page: `after` is no place in the read log";
        Problem::bad_request("cursor-invalid", detail, "give `next` of the page before")
    })?;
    let kept = ask(&app, move |node| node.reads(after, limit)).await?;
    let next = kept.last().map(|read| read.cursor).or(after).map(|place| place.to_string());
    let more = kept.len() == limit;
    let reads = kept.into_iter().map(|KeptRead { cursor, log, read }| LoggedRead {
        cursor: cursor.to_string(),
        at: read.at,
        principal: read.by,
        record: read.record.to_string(),
        originator: log,
        class: read.class,
        purpose: read.purpose,
    });
    Ok(Json(ReadsPage { reads: reads.collect(), next, more }))
}

/// Who reads, and what for.
pub(super) fn reading(
    app: &App,
    Caller(principal): &Caller,
    purpose: Option<String>,
    restricted: Option<bool>,
) -> Result<Reading, Problem> {
    if let Some(purpose) = &purpose {
        purpose_word(purpose)?;
    }
    Ok(Reading {
        principal: principal.name.clone(),
        purpose,
        purpose_required: app.node.purpose_required(),
        closed: (restricted == Some(false)).then_some("not-asked"),
        consented: Consented::default(),
    })
}

/// Whether a purpose is one by its form.
pub(super) fn purpose_word(purpose: &str) -> Result<(), Problem> {
    if is_word(purpose) {
        return Ok(());
    }
    let detail = "cannot read the purpose: it is no word of small letters, digits and hyphens";
    let hint = "state one of the record's purposes, such as drug-control";
    Err(Problem::bad_request("query-invalid", detail, hint))
}

pub(super) fn page_limit(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("cannot read a page of {limit} records: at least 1, at most {MAX_PAGE}");
    Err(Problem::bad_request("query-invalid", detail, "follow `next` for more"))
}

pub(super) async fn delivery(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Delivery>, Problem> {
    let id = record_id(id)?;
    ask(&app, move |node| node.delivery(&id)).await.map(Json)
}

pub(super) async fn screen(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ScreenView>, Problem> {
    let id = record_id(id)?;
    ask(&app, move |node| node.screen(&id)).await.map(Json)
}

pub(super) async fn receipt(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = record_id(id)?;
    let proof = ask(&app, move |node| node.receipt(&id)).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], proof).into_response())
}

pub(super) async fn cose_receipt(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = record_id(id)?;
    let export = ask(&app, move |node| node.cose_receipt(&id)).await?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], export).into_response())
}

pub(super) async fn entry(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = record_id(id)?;
    let file = ask(&app, move |node| node.entry_file(&id)).await?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], file).into_response())
}

/// Asks the node on a thread that may wait for the disk.
pub(super) async fn ask<T: Send + 'static>(
    app: &App,
    question: impl FnOnce(&NodeHandle) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Problem> {
    let node = app.node.clone();
    let answer = tokio::task::spawn_blocking(move || question(&node)).await;
    answer.map_err(|_| Problem::fault())?.map_err(Problem::from)
}

pub(super) fn bad_query(rejection: QueryRejection) -> Problem {
    let detail = format!("cannot read the query: {}", rejection.body_text());
    Problem::bad_request("query-invalid", detail, "see /v1/openapi.json")
}

/// The key under which the same request takes effect once.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let good = values.next().is_none()
        && (1..=MAX_IDEMPOTENCY_KEY_LEN).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic());
    if good {
        return Ok(Some(text.to_owned()));
    }
    let detail = "cannot use the Idempotency-Key: it has to be there once, with 1 to 128 \
                  printable ASCII characters";
    let hint = "send a random UUID for each record, and the same one when you repeat";
    Err(Problem::bad_request("idempotency-key-invalid", detail, hint))
}

/// The body up to its limit. What is beyond is read on for a while and thrown away, so that a
/// caller who is still sending comes to read the refusal.
pub(super) async fn read_body(body: Body) -> Result<Bytes, Problem> {
    read_body_up_to(body, MAX_BODY_BYTES).await
}

/// The same of a resource whose bodies may be larger.
pub(super) async fn read_body_up_to(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut seen) = (Vec::new(), 0usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            let detail = "cannot read the body: it broke off";
            Problem::bad_request("body-incomplete", detail, "send the request again")
        })?;
        seen = seen.saturating_add(chunk.len());
        if seen > MAX_DISCARDED_BYTES {
            break;
        }
        if seen <= limit {
            bytes.extend_from_slice(&chunk);
        }
    }
    if seen > limit {
        let detail = format!("cannot read the body: it is larger than {limit} bytes");
        let hint = "name large attachments in the record instead of including them";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail, hint));
    }
    Ok(bytes.into())
}

/// A submission, or with a community in the query the bare record.
pub(super) fn submission(bytes: &[u8], community: Option<String>) -> Result<Submission, Problem> {
    let value = sealwire_schemas::parse_json(bytes).map_err(|finding| {
        let detail = format!("cannot read the body as JSON: {}", finding.message);
        let hint = "send one JSON document in UTF-8, with no name twice in an object";
        Problem::bad_request("body-not-json", detail, hint).with_findings(vec![finding])
    })?;
    if let Some(community) = community {
        return Ok(Submission {
            community,
            record: value,
            to: None,
            audiences: BTreeMap::new(),
            keep: Vec::new(),
            language: Language::default(),
        });
    }
    // The record is taken out as it is; only what stands around it is read into types.
    let mut value = value;
    let record = value.as_object_mut().and_then(|fields| fields.get_mut("record"));
    let record = record.map(Value::take);
    let mut submission: Submission = serde_json::from_value(value).map_err(|cause| {
        let detail = format!("cannot read the submission: {cause}");
        let hint = "send {\"community\": …, \"record\": {…}}, optionally \"to\", \
                    \"audiences\" and \"keep\"; or the record alone to /v1/records?community=…";
        Problem::bad_request("submission-invalid", detail, hint)
    })?;
    submission.record = record.unwrap_or_default();
    Ok(submission)
}

pub(super) fn record_id(path: Result<Path<String>, PathRejection>) -> Result<RecordId, Problem> {
    let text = path.map(|Path(text)| text).unwrap_or_default();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        let detail = format!("cannot read record id {shown:?}: it is none");
        let hint = "urn:uuid: followed by a version 7 UUID in lower case";
        Problem::bad_request("record-id-invalid", detail, hint)
    })
}
