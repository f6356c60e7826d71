//! Fields that are opened in a bundle: proofs that the node gave, held against the tree that the
//! bundle has.

use std::collections::BTreeMap;

use sealwire_wire::bundle::opening_name;
use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::field_proof::FieldProof;
use sealwire_wire::id::{Digest, RecordId};
use sealwire_wire::merkle;
use sealwire_wire::receipt::Receipt;
use sealwire_wire::statement::leaf_data;
use sealwire_wire::tile::TileReader;

use super::{Data, ExportError};
use crate::release;

/// The proofs of opened fields that go into a bundle, by record.
pub type Openings = BTreeMap<RecordId, FieldProof>;

impl Data<'_> {
    /// The files of the openings, in the order of their records, each under the checkpoint `note`
    /// of the own log: so the same fields under the same head make the same bytes.
    pub(super) fn openings(
        &self,
        openings: &Openings,
        note: &[u8],
    ) -> Result<Vec<(String, Vec<u8>)>, ExportError> {
        let path = self.log(self.own).join("checkpoint");
        let head = super::head(&path, note)?;
        let text = std::str::from_utf8(note);
        let text = text.map_err(|e| ExportError::Damaged { path, cause: e.to_string() })?;
        let each = openings.iter().map(|(record, proof)| {
            Ok((opening_name(record), self.opening(record, proof, &head, text)?.to_bytes()))
        });
        each.collect()
    }

    fn opening(
        &self,
        record: &RecordId,
        proof: &FieldProof,
        head: &Checkpoint,
        note: &str,
    ) -> Result<FieldProof, ExportError> {
        let refused = |cause: String| ExportError::Opening { record: *record, cause };
        let (statement, index) = (proof.statement(), proof.receipt().index());
        if statement.claims().issuer != *self.own || statement.claims().subject != *record {
            let issuer = &statement.claims().issuer;
            return Err(refused(format!("it is of {issuer}, and a bundle opens its own log's")));
        }
        release::opened_to_auditors(statement.manifest())
            .map_err(|rule| refused(rule.why().to_owned()))?;
        if index >= head.size {
            return Err(refused(format!("entry {index} came after the {} exported", head.size)));
        }
        let tiles = TileReader::new(head.size, |tile| {
            self.tile(self.own, &tile.path(), tile.full(), tile, tile.byte_len()).ok()
        });
        let path = merkle::inclusion_proof(&tiles, index, head.size);
        let path = path.map_err(|cause| refused(cause.to_string()))?;
        let leaf = merkle::leaf_hash(&leaf_data(&Digest::of(statement.bytes())));
        merkle::verify_inclusion(&leaf, index, head.size, &path, &head.root).map_err(|_| {
            refused("the node that opened it has another log than these files".into())
        })?;
        let receipt = Receipt::new(index, path, note.to_owned());
        let receipt = receipt.with_statement(statement.bytes().to_vec());
        FieldProof::new(receipt, proof.parts().clone()).map_err(|cause| refused(cause.to_string()))
    }
}
