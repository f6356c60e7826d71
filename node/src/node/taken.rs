//! What is asked about release, and what leaves for others than members: each of it is in the read
//! log before it is given out.

use std::collections::BTreeSet;
use std::sync::Arc;

use sealwire_wire::id::{MemberId, RecordId};

use super::{Inner, NodeHandle, driver, reads};
use crate::explain::{self, Explanation, Question};
use crate::feed::Consented;
use crate::onward::{Asked, ExportPage, Recipient, Taken};
use crate::refusal::Refusal;

impl NodeHandle {
    /// Which rule lets which field of a record reach a member, and which does not.
    pub fn explain(
        &self,
        id: &RecordId,
        member: &MemberId,
        purpose: Option<&str>,
    ) -> Result<Explanation, Refusal> {
        let Inner { context, consents, .. } = &*self.inner;
        let grants = match purpose {
            None => Vec::new(),
            Some(_) => consents.standing(context).map_err(fault)?,
        };
        let day = today();
        let question = Question { member, purpose, day: &day, grants: &grants };
        explain::explain(context, id, &question)
    }

    /// The proof of single fields of a record, for a recipient if one is named.
    pub async fn open(
        &self,
        principal: &str,
        id: RecordId,
        pointers: BTreeSet<String>,
        recipient: Option<Recipient>,
    ) -> Result<Vec<u8>, Refusal> {
        self.take(principal, recipient, move |asked| asked.open(&id, &pointers)).await
    }

    /// Records as a recipient may get them, after a cursor.
    pub async fn export(
        &self,
        principal: &str,
        recipient: Recipient,
        after: u64,
        limit: usize,
    ) -> Result<ExportPage, Refusal> {
        self.take(principal, Some(recipient), move |asked| asked.export(after, limit)).await
    }

    /// Takes something out, and gives it once it is durable who took what, for whom.
    async fn take<T: Send + 'static>(
        &self,
        principal: &str,
        recipient: Option<Recipient>,
        of: impl FnOnce(&Asked<'_>) -> Result<Taken<T>, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (by, purpose) = match &recipient {
            None => (principal.to_owned(), String::new()),
            Some(to) => (format!("{principal} for {}", to.name), to.purpose.clone()),
        };
        let taken = self
            .beside(move |inner| {
                let day = today();
                of(&Asked::new(&inner.context, &inner.consents, recipient.as_ref(), &day)?)
            })
            .await?;
        reads::keep_taken(&self.inner, &by, &purpose, &taken.reads).await?;
        Ok(taken.what)
    }

    /// What originators have consented to, today.
    pub(super) async fn consented(&self) -> Result<Consented, Refusal> {
        let standing = |inner: &Inner| inner.consents.standing(&inner.context).map_err(fault);
        Ok(Consented { grants: self.beside(standing).await?, day: today() })
    }

    /// Asks on a thread that may wait for the disk.
    async fn beside<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Inner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let inner = Arc::clone(&self.inner);
        let answer = tokio::task::spawn_blocking(move || question(&inner)).await;
        answer.map_err(|_| super::reading_failed())?
    }
}

/// Today's date, UTC.
pub(super) fn today() -> String {
    let seconds = i64::try_from(driver::unix_ms() / 1000).unwrap_or(i64::MAX);
    let now = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    now.strftime("%Y-%m-%d").to_string()
}

fn fault(cause: crate::store::StoreFault) -> Refusal {
    Refusal::fault("store-fault", cause.to_string(), "see the node's log")
}
