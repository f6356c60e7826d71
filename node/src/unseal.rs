//! Tries our keys on an entry file, and says what opens and what does not.
//!
//! An entry file holds one record as it travels: sealed parts, wrapped audience secrets, the
//! checkpoint and inclusion proofs. This shows an administration, an auditor or a court what a
//! given node's keys can and cannot read; nothing is fetched and nothing is stored.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use sealwire_wire::cbor;
use sealwire_wire::id::MemberId;
use sealwire_wire::message::{Announcement, WRAP};
use sealwire_wire::seal::{self, AudienceContext, AudienceSecret, PartContext};
use sealwire_wire::statement::{Body, Statement};
use serde_json::{Value, json};

use crate::keys::Keys;

/// What opens, per class, with these keys.
pub fn report(keys: &Keys, member: &MemberId, bytes: &[u8]) -> anyhow::Result<Value> {
    let file = Announcement::from_file(bytes).context("cannot read entry file")?;
    let mut secrets: BTreeMap<seal::AudienceId, Result<AudienceSecret, String>> = BTreeMap::new();
    let mut found = None;
    for item in &file.items {
        let statement = Statement::parse(&item.statement).context("cannot read entry file")?;
        match &statement.manifest().body {
            Body::Audience(audience) => {
                let context =
                    AudienceContext { originator: &file.log, audience: &audience.audience };
                let wrap = item.sealed.get(WRAP).map(Vec::as_slice).unwrap_or_default();
                let mut outcome = Err("no seal key at hand".to_owned());
                for epoch in keys.seal.all() {
                    let commitment = &audience.commitment;
                    outcome = seal::unwrap(wrap, context, member, &epoch.key, commitment)
                        .map_err(|e| e.to_string());
                    if outcome.is_ok() {
                        break;
                    }
                }
                secrets.insert(audience.audience, outcome);
            }
            Body::Record(_) => found = Some((item, statement)),
            _ => {}
        }
    }
    let Some((item, statement)) = found else {
        bail!("cannot read entry file: it holds no record");
    };
    let Body::Record(record) = &statement.manifest().body else {
        bail!("cannot read entry file: it holds no record");
    };
    let mut classes = serde_json::Map::new();
    for (class, part) in &record.parts {
        let context = PartContext {
            originator: &file.log,
            record: &statement.claims().subject,
            class,
            commitment: &part.commitment,
        };
        let sealed = item.sealed.get(class).map(Vec::as_slice).unwrap_or_default();
        let outcome = match secrets.get(&part.audience) {
            None => {
                Err("cannot open: its audience secret was not distributed to this holder"
                    .to_owned())
            }
            Some(Err(cause)) => Err(cause.clone()),
            Some(Ok(secret)) => seal::open_part(secret, context, sealed).map_err(|e| e.to_string()),
        };
        let told = match outcome {
            Err(cause) => json!({ "opened": false, "reason": cause, "sealedBytes": sealed.len() }),
            Ok(part) => {
                let fields: serde_json::Map<String, Value> = part
                    .disclosures()
                    .iter()
                    .filter_map(|d| Some((d.pointer.clone(), cbor::to_json(&d.value)?)))
                    .collect();
                json!({ "opened": true, "fields": fields, "sealedBytes": sealed.len() })
            }
        };
        classes.insert(class.clone(), told);
    }
    Ok(json!({
        "member": member,
        "log": file.log,
        "index": item.index,
        "id": statement.claims().subject.to_string(),
        "kind": record.kind,
        "classes": classes,
    }))
}
