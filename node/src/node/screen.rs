//! The screen before sending: what looks like a natural person in a record's free text is not
//! published before an officer has decided so, and what was decided is kept with the record.
//!
//! What is found follows from the standard's rules of free text alone; see `sealwire-schemas`.

use sealwire_schemas::{Finding, ValidRecord};
use sealwire_wire::id::{MemberId, RecordId};
use serde::{Deserialize, Serialize};

use super::NodeHandle;
use crate::feed;
use crate::refusal::Refusal;
use crate::store::{Kept, Screened};

/// Most decisions that come with one record.
pub const MAX_KEEP: usize = 100;
/// Longest reason of a decision, in bytes.
pub const MAX_REASON_BYTES: usize = 500;
/// Most findings of one record that can be decided; the text has to be changed beyond.
pub const MAX_SCREENED: usize = 1000;

/// An officer's decision to send what the screen found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The field; absent means wherever it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The code of the finding; absent means whatever was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it may be sent.
    pub reason: String,
}

impl Keep {
    fn covers(&self, finding: &Finding) -> bool {
        self.pointer.as_ref().is_none_or(|pointer| *pointer == finding.pointer)
            && self.code.as_ref().is_none_or(|code| *code == finding.code)
    }
}

/// What the screen found in a record of ours, and who decided to send it.
#[derive(Debug, Clone, Serialize)]
pub struct ScreenView {
    /// The record.
    pub id: String,
    /// Who decided; absent if nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// When, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// What was found and is sent all the same: places and codes, not the text.
    pub kept: Vec<KeptView>,
}

/// One finding that was decided.
#[derive(Debug, Clone, Serialize)]
pub struct KeptView {
    /// The field.
    pub pointer: String,
    /// What was found in it.
    pub code: String,
    /// Why it may be sent.
    pub reason: String,
}

/// What the screen finds in a record, each with the decision to send it; or the refusal that names
/// what nobody has decided.
pub fn decided(valid: &ValidRecord, keep: &[Keep]) -> Result<Vec<Kept>, Refusal> {
    well_formed(keep)?;
    let found = valid.screen();
    let decision = |finding: &Finding| keep.iter().find(|keep| keep.covers(finding));
    let (decided, undecided): (Vec<&Finding>, Vec<&Finding>) =
        found.iter().partition(|finding| decision(finding).is_some());
    if !undecided.is_empty() || found.len() > MAX_SCREENED {
        return Err(refused(&undecided, found.len()));
    }
    let kept = decided.into_iter().filter_map(|finding| {
        let reason = decision(finding)?.reason.clone();
        Some(Kept { pointer: finding.pointer.clone(), code: finding.code.clone(), reason })
    });
    Ok(kept.collect())
}

fn refused(undecided: &[&Finding], found: usize) -> Refusal {
    let open = undecided.len();
    let message = if found > MAX_SCREENED {
        format!(
            "cannot publish: the screen found {found} things, and {MAX_SCREENED} can be decided"
        )
    } else {
        format!("cannot publish: {open} finding(s) of the screen before sending are not decided")
    };
    let hint = "change the text, or decide to send it as it is: --keep REASON, or `keep` in the \
                submission";
    let findings = undecided.iter().take(MAX_KEEP).map(|finding| (*finding).clone()).collect();
    Refusal { findings, ..Refusal::new("screen-undecided", 422, message, hint) }
}

fn well_formed(keep: &[Keep]) -> Result<(), Refusal> {
    let good = |keep: &Keep| {
        let reason = keep.reason.trim();
        !reason.is_empty() && keep.reason.len() <= MAX_REASON_BYTES
    };
    if keep.len() <= MAX_KEEP && keep.iter().all(good) {
        return Ok(());
    }
    let message = format!(
        "cannot take the decisions: at most {MAX_KEEP}, each with a reason of 1 to \
         {MAX_REASON_BYTES} bytes"
    );
    let hint = "say in a few words why it may be sent";
    Err(Refusal::new("screen-decision-invalid", 422, message, hint))
}

impl NodeHandle {
    /// What the screen found in a record of ours, and who decided to send it.
    pub fn screen(&self, id: &RecordId) -> Result<ScreenView, Refusal> {
        let context = &self.inner.context;
        let (log, _) = context.reader.locate(id).ok_or_else(|| feed::unknown(id))?;
        if log != context.own {
            return Err(not_ours(id, &log));
        }
        let screened = context.reader.screened(id).map_err(feed::fault)?;
        let view = |kept: Kept| {
            let Kept { pointer, code, reason } = kept;
            KeptView { pointer, code, reason }
        };
        let id = id.to_string();
        Ok(match screened {
            None => ScreenView { id, principal: None, at: None, kept: Vec::new() },
            Some(Screened { principal, at, kept, .. }) => ScreenView {
                id,
                principal: Some(principal),
                at: Some(at),
                kept: kept.into_iter().map(view).collect(),
            },
        })
    }
}

fn not_ours(id: &RecordId, log: &MemberId) -> Refusal {
    let message = format!("cannot say what was decided about {id}: it is a record of {log}");
    Refusal::new("not-ours", 409, message, "its originator keeps what was decided")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwire_schemas::Standard;
    use serde_json::Value;

    const EXAMPLE: &str = include_str!("../../../schemas/examples/case-01-salerno.json");

    fn record(remark: &str) -> ValidRecord {
        let mut record: Value = serde_json::from_str(EXAMPLE).unwrap();
        record["remark"] = remark.into();
        Standard::v1().accept(record).unwrap()
    }

    fn keep(pointer: Option<&str>, code: Option<&str>, reason: &str) -> Keep {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Keep { pointer: owned(pointer), code: owned(code), reason: reason.to_owned() }
    }

    #[test]
    fn nothing_that_was_found_is_sent_undecided() {
        assert_eq!(decided(&record("Fictional remark."), &[]).unwrap(), []);
        let named = record("Fictional: ring Mr Fictional on +00 000 0000 0000.");
        let refused = decided(&named, &[]).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.status), ("screen-undecided", 422));
        let codes: Vec<&str> = refused.findings.iter().map(|f| f.code.as_str()).collect();
        assert_eq!(codes, ["person-name-in-text", "telephone-in-text"]);

        let name = keep(Some("/remark"), Some("person-name-in-text"), "fictional");
        let refused = decided(&named, std::slice::from_ref(&name)).unwrap_err();
        assert_eq!(refused.findings.len(), 1, "the other one is still open");
        let elsewhere = keep(Some("/elsewhere"), None, "fictional");
        assert!(decided(&named, &[name.clone(), elsewhere]).is_err());

        let kept = decided(&named, &[name, keep(None, None, "a made-up number")]).unwrap();
        let reasons: Vec<&str> = kept.iter().map(|kept| kept.reason.as_str()).collect();
        assert_eq!(reasons, ["fictional", "a made-up number"]);
    }

    #[test]
    fn a_decision_has_a_reason_and_there_is_a_bound() {
        let named = record("Fictional: ask Mr Fictional.");
        let long = "x".repeat(MAX_REASON_BYTES + 1);
        for reason in ["", "  ", long.as_str()] {
            let refused = decided(&named, &[keep(None, None, reason)]).unwrap_err();
            assert_eq!(refused.code, "screen-decision-invalid", "{reason:?}");
        }
        assert!(decided(&named, &vec![keep(None, None, "y"); MAX_KEEP + 1]).is_err());
        assert!(decided(&named, &vec![keep(None, None, "y"); MAX_KEEP]).is_ok());
    }
}
