//! Whether the PKCS#11 token and the keys in it are there. No PIN is needed for that.

use super::{Found, Level, Patient, found, ok};
use crate::keys::{Token, references};

pub(super) fn token(patient: &Patient) -> Vec<Found> {
    let Some(settings) = &patient.config.keys.token else {
        return ok("no key is in a token");
    };
    let (named, seen) = match (references(&patient.config.keys_dir), Token::look(settings)) {
        (Ok(named), Ok(seen)) => (named, seen),
        (Err(cause), _) => return vec![found(Level::Problem, cause.to_string(), "see the file")],
        (_, Err(cause)) => {
            let hint = "connect the token; until then nothing is signed";
            return vec![found(Level::Problem, cause.to_string(), hint)];
        }
    };
    let mut findings = Vec::new();
    if seen.locked {
        let hint = "the security officer of the token sets another PIN";
        findings.push(found(Level::Problem, "the PIN of the token is locked", hint));
    } else if seen.final_try {
        let hint = "see which PIN is right before the node is started again";
        findings.push(found(Level::Warning, "one more wrong PIN locks the token", hint));
    }
    for (label, public) in &named {
        let mut of_label = seen.keys.iter().filter(|(known, _)| known == label);
        if !of_label.any(|(_, key)| key.as_ref() == Some(public)) {
            let text =
                format!("the token has no public key {label:?} that is the one of this node");
            findings.push(found(Level::Problem, text, "is it the right token?"));
        }
    }
    if findings.is_empty() {
        return ok(format!("the token {} has {} keys of this node", settings.token, named.len()));
    }
    findings
}
