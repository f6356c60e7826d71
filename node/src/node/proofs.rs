//! What proves records and logs to others: receipts, entries, checkpoints, tiles, cosignatures.

use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::tile::Resource;

use super::{NodeHandle, Witnessed, witness};
use crate::feed;
use crate::refusal::Refusal;
use crate::tlog;

impl NodeHandle {
    /// The proof for one entry (C2SP tlog-proof).
    pub fn receipt(&self, id: &RecordId) -> Result<String, Refusal> {
        feed::receipt(&self.inner.context, id).map(|receipt| receipt.to_string())
    }

    /// The proof for one entry of ours as a COSE receipt (RFC 9942) beside its checkpoint.
    pub fn cose_receipt(&self, id: &RecordId) -> Result<Vec<u8>, Refusal> {
        feed::cose_receipt(&self.inner.context, id)
    }

    /// One entry as it travels, for `sealwire unseal`.
    pub fn entry_file(&self, id: &RecordId) -> Result<Vec<u8>, Refusal> {
        feed::entry_file(&self.inner.context, id)
    }

    /// The latest checkpoint held of a log, with its cosignatures.
    pub fn log_checkpoint(&self, log: &MemberId) -> Result<String, Refusal> {
        tlog::checkpoint(&self.inner.context, log)
    }

    /// A tile or entry bundle of a log.
    pub fn log_resource(&self, log: &MemberId, resource: Resource) -> Result<Vec<u8>, Refusal> {
        tlog::resource(&self.inner.context, log, resource)
    }

    /// The statement of an entry, for our own people or for another member.
    pub fn log_statement(
        &self,
        log: &MemberId,
        index: u64,
        asker: Option<&MemberId>,
    ) -> Result<Vec<u8>, Refusal> {
        tlog::statement(&self.inner.context, log, index, asker)
    }

    /// Answers a request to cosign a checkpoint (C2SP tlog-witness).
    pub async fn add_checkpoint(&self, body: &[u8]) -> Result<Witnessed, Refusal> {
        witness::add_checkpoint(&self.inner, body).await
    }
}
