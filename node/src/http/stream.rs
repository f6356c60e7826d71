//! The stream of records as server-sent events: resumable, bounded, and ended by shutdown.
//!
//! The id of an event is the record's cursor; a client that lost the connection sends it back as
//! `Last-Event-ID` and misses nothing. Without it and without `after` the stream begins now. One
//! page is in memory for each stream; a slow reader slows only itself.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::auth::Caller;
use super::records::{bad_query, reading};
use super::{App, Closing, KEEP_ALIVE, MAX_STREAMS, Problem};
use crate::feed::{Reading, RecordView};
use crate::principals::Right;

/// Records read at once for one stream.
const STREAM_PAGE: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    after: Option<u64>,
    kind: Option<String>,
    purpose: Option<String>,
    restricted: Option<bool>,
}

struct Tail {
    app: App,
    caller: Caller,
    after: u64,
    kind: Option<String>,
    reading: Reading,
    page: VecDeque<RecordView>,
    last_cursor: watch::Receiver<u64>,
    closing: Option<watch::Receiver<bool>>,
    failed: bool,
    _permit: OwnedSemaphorePermit,
}

pub(super) async fn open(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    closing: Option<Closing>,
    query: Result<Query<StreamQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let StreamQuery { after, kind, purpose, restricted } = query.map_err(bad_query)?.0;
    let reading = reading(&app, &caller, purpose, restricted)?;
    let resume = last_event_id(&headers)?;
    let permit = app.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Problem::overloaded(MAX_STREAMS, "streams"))?;
    let last_cursor = app.node.subscribe();
    let now = *last_cursor.borrow();
    let tail = Tail {
        app,
        caller,
        after: resume.or(after).unwrap_or(now),
        kind,
        reading,
        page: VecDeque::new(),
        last_cursor,
        closing: closing.map(|Extension(closing)| closing),
        failed: false,
        _permit: permit,
    };
    let events = futures::stream::unfold(tail, next);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")))
}

/// The cursor that a client resumes from.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let detail = "cannot resume the stream: Last-Event-ID is no cursor";
        let hint = "send the id of the last event that came, or leave the header out";
        Problem::bad_request("cursor-invalid", detail, hint)
    })
}

/// What is told of a conflict, once: a record of ours is disputed, or another's by us.
fn disputed(view: &mut RecordView) -> Option<String> {
    let disputed = view.disputes.take()?;
    let told = serde_json::json!({
        "id": view.id,
        "log": view.log,
        "index": view.index,
        "record": disputed.record.to_string(),
        "originator": disputed.issuer,
    });
    Some(told.to_string())
}

async fn next(mut tail: Tail) -> Option<(Result<Event, Infallible>, Tail)> {
    loop {
        if let Some(dispute) = tail.page.front_mut().and_then(disputed) {
            // Before its record, under the cursor before that: who resumes there gets both again.
            let event = Event::default().id(tail.after.to_string()).event("disputed");
            return Some((Ok(event.data(dispute)), tail));
        }
        if let Some(record) = tail.page.pop_front() {
            tail.after = record.cursor;
            let data = serde_json::to_string(&record).ok()?;
            let event = Event::default().id(record.cursor.to_string()).event("record").data(data);
            return Some((Ok(event), tail));
        }
        if tail.failed || !tail.still_allowed() {
            return None;
        }
        let last = *tail.last_cursor.borrow_and_update();
        if last <= tail.after {
            tail.wait().await?;
            continue;
        }
        let (after, kind) = (tail.after, tail.kind.clone());
        match tail.app.node.records(after, STREAM_PAGE, kind, tail.reading.clone()).await {
            // Nothing of this kind up to there.
            Ok(records) if records.is_empty() => tail.after = last,
            Ok(records) => tail.page = records.into(),
            Err(refusal) => {
                tail.failed = true;
                let data = serde_json::to_string(&Problem::from(refusal)).ok()?;
                return Some((Ok(Event::default().event("problem").data(data)), tail));
            }
        }
    }
}

impl Tail {
    /// A revoked token ends its streams as well.
    fn still_allowed(&self) -> bool {
        self.caller.0.may(Right::Read) && self.app.principals.holds(&self.caller.0)
    }

    /// Waits for news, for a while; `None` when there will be none.
    async fn wait(&mut self) -> Option<()> {
        let Self { last_cursor, closing, .. } = self;
        let closed = async {
            match closing {
                Some(closing) => {
                    let _ = closing.wait_for(|closing| *closing).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = last_cursor.changed() => changed.ok(),
            () = tokio::time::sleep(KEEP_ALIVE) => Some(()),
            () = closed => None,
        }
    }
}
