//! The read log: no restricted part is given out before it is durable who got it, and from time to
//! time an entry for each originator counts what was read of its records.

use std::time::Duration;

use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::reads::{self, Read};

use super::Inner;
use super::driver::unix_ms;
use super::publish::log;
use crate::exchange::Unit;
use crate::feed::{self, Reading, RecordView};
use crate::refusal::Refusal;
use crate::store::{Fact, KeptRead};

/// Keeps who was given restricted parts of these records, as far as there are such.
pub async fn keep(inner: &Inner, reading: &Reading, views: &[RecordView]) -> Result<(), Refusal> {
    let at = unix_ms() / 1000;
    let mut facts = Vec::new();
    for view in views {
        let record = view.id.parse().map_err(|_| super::reading_failed())?;
        for class in view.opened.iter().filter(|class| feed::restricted(class)) {
            let (by, class, purpose) =
                (reading.principal.clone(), class.clone(), view.purpose.clone());
            let read = Read { at, by, record, class, purpose };
            facts.push(Fact::Read { log: view.log.clone(), read });
        }
    }
    if facts.is_empty() {
        return Ok(());
    }
    log(inner, Unit { token: 0, entries: Vec::new(), facts, request: None }).await.map(|_| ())
}

/// Keeps what was taken out for others than members, whatever its class.
pub async fn keep_taken(
    inner: &Inner,
    by: &str,
    purpose: &str,
    taken: &[(RecordId, MemberId, Vec<&'static str>)],
) -> Result<(), Refusal> {
    let at = unix_ms() / 1000;
    let mut facts = Vec::new();
    for (record, log, classes) in taken {
        for class in classes {
            let (by, class, purpose) = (by.to_owned(), (*class).to_owned(), purpose.to_owned());
            let read = Read { at, by, record: *record, class, purpose };
            facts.push(Fact::Read { log: log.clone(), read });
        }
    }
    if facts.is_empty() {
        return Ok(());
    }
    log(inner, Unit { token: 0, entries: Vec::new(), facts, request: None }).await.map(|_| ())
}

/// Counts reads in our log, again and again.
pub async fn count(inner: &Inner, every: Duration) {
    log_due(inner, every, "reads", next).await;
}

/// Logs what `next` gives until it gives no more, again and again; not at once, so that a start
/// alone logs nothing. `what` is counted, for whoever reads the node's log.
pub(super) async fn log_due(
    inner: &Inner,
    every: Duration,
    what: &str,
    next: fn(&Inner) -> Option<Result<Unit, Refusal>>,
) {
    let mut looks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if inner.guard.ready().await.is_err() {
            continue;
        }
        while let Some(entry) = next(inner) {
            let logged = match entry {
                Ok(unit) => log(inner, unit).await,
                Err(refusal) => Err(refusal),
            };
            if let Err(refusal) = logged {
                tracing::warn!(%refusal, "cannot count {what} in our log yet");
                break;
            }
        }
    }
}

/// The next entry that counts reads, with those it counts.
fn next(inner: &Inner) -> Option<Result<Unit, Refusal>> {
    let context = &inner.context;
    let oldest = match context.reader.uncounted_reads(reads::MAX_READS) {
        Ok(oldest) => oldest,
        Err(cause) => {
            tracing::error!(%cause, "cannot read the read log");
            return None;
        }
    };
    let of = oldest.first()?.log.clone();
    let oldest: Vec<Read> = oldest.into_iter().map(|KeptRead { read, .. }| read).collect();
    let now = context.now(unix_ms());
    match context.issuer.reads(&now, &of, counted(&oldest)) {
        Ok(None) => None,
        Ok(Some((issued, kept))) => {
            Some(Ok(Unit { token: 0, entries: vec![issued], facts: vec![kept], request: None }))
        }
        Err(refusal) => Some(Err(refusal)),
    }
}

/// The first of these reads: as many as one entry counts.
fn counted(oldest: &[Read]) -> &[Read] {
    let mut records = std::collections::BTreeSet::new();
    let fits = oldest.iter().take_while(|read| {
        records.insert(read.record);
        records.len() <= reads::MAX_RECORDS
    });
    let fits = fits.count();
    oldest.get(..fits).unwrap_or_default()
}
