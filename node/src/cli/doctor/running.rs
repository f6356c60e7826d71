//! Checks of the running node, as far as it says of itself.

use serde_json::Value;

use super::{Found, Level, Patient, found, ok};

/// Asks `then` about the status; without one the check cannot tell.
fn asked(patient: &Patient, then: impl FnOnce(&Value) -> Vec<Found>) -> Vec<Found> {
    match &patient.status {
        Ok(status) => then(status),
        Err(_) => vec![found(Level::Unknown, "the node does not answer", "")],
    }
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn is(peer: &Value, name: &str) -> bool {
    peer.get(name) == Some(&Value::Bool(true))
}

/// One finding for each peer of which `wrong` says something; else that `none` is so.
fn each_peer(
    patient: &Patient,
    none: &str,
    wrong: impl Fn(&Value, &str) -> Option<Found>,
) -> Vec<Found> {
    asked(patient, |status| {
        let peers = status.get("peers").and_then(Value::as_array).into_iter().flatten();
        let findings: Vec<Found> = peers
            .filter_map(|peer| wrong(peer, peer.get("member").and_then(Value::as_str)?))
            .collect();
        if findings.is_empty() { ok(none) } else { findings }
    })
}

pub(super) fn node(patient: &Patient) -> Vec<Found> {
    match &patient.status {
        Ok(status) => ok(format!("it runs, with {} entries in its log", number(status, "size"))),
        Err(cause) => vec![found(
            Level::Unknown,
            format!("it cannot be asked: {cause}"),
            "start it with `sealwire run`, or give --url and --token-file",
        )],
    }
}

pub(super) fn ready(patient: &Patient) -> Vec<Found> {
    asked(patient, |status| {
        let reasons = status.get("reasons").and_then(Value::as_array).into_iter().flatten();
        let reasons = reasons.filter_map(Value::as_str).map(|reason| {
            found(
                Level::Problem,
                format!("it signs nothing: {reason}"),
                "see the operations manual, What to do when",
            )
        });
        let reasons: Vec<Found> = reasons.collect();
        if reasons.is_empty() { ok("it publishes and reads") } else { reasons }
    })
}

pub(super) fn peers(patient: &Patient) -> Vec<Found> {
    each_peer(patient, "all are connected, and no log was stopped", |peer, member| {
        if is(peer, "stopped") {
            return Some(found(
                Level::Problem,
                format!("the log of {member} was stopped: it contradicted itself"),
                "see evidence/ in the data directory, and tell the governors",
            ));
        }
        (!is(peer, "connected")).then(|| {
            found(
                Level::Warning,
                format!("{member} is not connected"),
                "check its addresses in the register, the firewall, and whether its node runs",
            )
        })
    })
}

pub(super) fn gaps(patient: &Patient) -> Vec<Found> {
    each_peer(patient, "every log is held as far as its owner signed it", |peer, member| {
        let (gaps, mirrored) = (number(peer, "gaps"), number(peer, "mirrored"));
        let announced = number(peer, "announced");
        if gaps == 0 && mirrored >= announced {
            return None;
        }
        Some(found(
            Level::Warning,
            format!(
                "of the log of {member} {mirrored} of {announced} entries are known, {gaps} are missing"
            ),
            "they are pulled from whoever is connected; look again in a minute",
        ))
    })
}

pub(super) fn witnesses(patient: &Patient) -> Vec<Found> {
    each_peer(patient, "every member has cosigned our head within 15 minutes", |peer, member| {
        if !is(peer, "stale") {
            return None;
        }
        let behind = patient.now.saturating_sub(number(peer, "behind_since") / 1000) / 60;
        let size = number(peer, "cosigned_ours");
        let connected = if is(peer, "connected") { "connected" } else { "not connected" };
        Some(found(
            Level::Warning,
            format!(
                "{member} has cosigned {size} entries of our log and nothing for {behind} minutes; it is {connected}"
            ),
            "ask its operators: they see gaps of our log, a full disk, or our log as stopped",
        ))
    })
}

pub(super) fn deliveries(patient: &Patient) -> Vec<Found> {
    asked(patient, |status| match number(status, "overdue") {
        0 => ok("every record of the last 500 entries has come to as many members as it should"),
        count => vec![found(
            Level::Warning,
            format!(
                "{count} records have not come to as many members within an hour as their community asks for"
            ),
            "`sealwire show --delivery ID` says whom one has reached",
        )],
    })
}

pub(super) fn drafts(patient: &Patient) -> Vec<Found> {
    let waiting = match &patient.status {
        Ok(status) => number(status, "drafts"),
        Err(_) => {
            let files = std::fs::read_dir(patient.config.data_dir.join("drafts"));
            files.into_iter().flatten().flatten().count() as u64
        }
    };
    match waiting {
        0 => ok("none waits"),
        count => vec![found(
            Level::Warning,
            format!("{count} drafts wait until this node may sign"),
            "they are published by themselves once it may; see `ready`",
        )],
    }
}
