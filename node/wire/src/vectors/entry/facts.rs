//! What a manifest says, as JSON.

use std::collections::BTreeMap;

use serde_json::json;

use crate::statement::*;

/// What a manifest says, with byte strings in hexadecimal digits.
pub(super) fn facts(manifest: &Manifest) -> serde_json::Value {
    let heads: BTreeMap<_, _> = manifest
        .heads
        .iter()
        .map(|(m, head)| (m.as_str(), json!([head.size, head.root])))
        .collect();
    let body = match &manifest.body {
        Body::Record(record) => {
            let parts: BTreeMap<_, _> = (record.parts.iter())
                .map(|(c, p)| (c, json!([p.commitment, p.length, hex::encode(p.audience)])))
                .collect();
            let mut body = json!({
                "community": record.community, "schema": record.schema,
                "schemaDigest": record.schema_digest, "codeLists": record.code_lists,
                "handling": record.handling.to_json().unwrap(), "parts": parts,
            });
            if let Some(to) = &record.to {
                body["to"] = json!(to);
            }
            if let Some(Relation { verb, record, issuer }) = &record.relation {
                body["relation"] = json!([verb.as_str(), record.to_string(), issuer]);
            }
            body
        }
        Body::Audience(audience) => json!({
            "audience": hex::encode(audience.audience), "community": audience.community,
            "to": audience.to, "commitment": audience.commitment, "until": audience.until,
        }),
        Body::Key(key) => {
            let mut body = json!({
                "epoch": key.epoch, "public": hex::encode(&key.public), "from": key.from,
                "until": key.until,
            });
            if let Some(key) = key.match_key {
                body["match"] = json!(hex::encode(key));
            }
            body
        }
        Body::Register(adopted) => json!({ "version": adopted.version, "digest": adopted.digest }),
        Body::Dummy => json!({}),
        Body::Reads(reads) => {
            let counts: BTreeMap<_, _> =
                reads.counts.iter().map(|(r, c)| (r.to_string(), c)).collect();
            json!({
                "to": reads.to, "from": reads.from, "until": reads.until, "counts": counts,
                "commitment": reads.commitment,
            })
        }
        Body::Matches(matches) => json!({
            "to": matches.to, "side": matches.side.as_str(), "day": matches.day,
            "counts": matches.counts,
        }),
    };
    let mut facts = json!({
        "profile": PROFILE, "federation": manifest.federation, "register": manifest.register,
        "nonce": hex::encode(manifest.nonce), "heads": heads, "kind": manifest.kind(),
    });
    facts.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    facts
}
