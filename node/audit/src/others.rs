//! Steps 10 and 11: what came of the log's entries, and what its owner keeps of other logs.

use sealwire_wire::bundle::{Held, MAX_HELD_BYTES, Manifest, Outcome};
use sealwire_wire::checkpoint::SignedCheckpoint;
use sealwire_wire::evidence::{Fork, MAX_EVIDENCE_BYTES};
use sealwire_wire::id::MemberId;
use sealwire_wire::merkle::root_at;
use sealwire_wire::register::{KeyUse, Register};
use sealwire_wire::statement::Denial;
use sealwire_wire::tile::{TileId, TileReader};

use crate::source::Source;
use crate::steps::{Checked, Log, checkpoint, refuted, undecided};
use crate::trust::Trust;

/// Most findings named in one line of a report.
const NAMED: usize = 8;

/// Names the first few of many.
pub(crate) fn some_of(found: &[String]) -> String {
    let mut text = found.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if found.len() > NAMED {
        text += &format!(" and {} more", found.len() - NAMED);
    }
    text
}

/// The outcomes of one log, as its file says.
pub(crate) fn read_outcomes(log: &Log<'_>) -> Checked<Vec<Outcome>> {
    let bytes = log.read("outcomes")?.unwrap_or_default();
    let (mut rest, mut outcomes) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        match Outcome::next(&mut rest) {
            Ok(outcome) => outcomes.push(outcome),
            Err(cause) => return refuted(format!("outcomes of {}: {cause}", log.member)),
        }
    }
    Ok(outcomes)
}

/// Step 10: which entries somebody did not accept, and where an operator stepped in.
pub(crate) fn outcomes(log: &Log<'_>) -> Checked<((), String)> {
    let mut said = Vec::new();
    for outcome in read_outcomes(log)? {
        said.push(match outcome {
            Outcome::Denied(_) => continue,
            Outcome::Quarantined { index, code } => format!("entry {index} quarantined ({code})"),
            Outcome::Refused { by, index, code } => {
                format!("entry {index} quarantined by {by} ({code})")
            }
            Outcome::Erased { index, classes, rule, at } => {
                let classes = classes.join(", ");
                format!("entry {index}: parts {classes} erased ({rule}), {at} ms after 1970")
            }
            Outcome::Hold { index, step, by, at, until, reason } => format!(
                "entry {index}: legal hold {step} by {by}, {at} ms after 1970, until {until}: {reason:?}"
            ),
            Outcome::HeadAccepted { size, at, reason } => format!(
                "at size {size} an operator let the node sign without its peers' word, {at} ms \
                 after 1970: {reason:?}"
            ),
        });
    }
    let detail = if said.is_empty() { "none to report".to_owned() } else { some_of(&said) };
    Ok(((), detail))
}

/// What a member keeps of another member's log.
pub(crate) struct Mirror<'a> {
    log: Log<'a>,
    pub signed: SignedCheckpoint,
    pub held: Held,
    pub denials: Vec<Denial>,
    /// Indexes of quarantined entries, with their codes.
    pub quarantined: Vec<(u64, String)>,
}

impl<'a> Mirror<'a> {
    /// Reads and verifies what `asker` keeps of the log of `member`.
    pub fn read(
        source: &'a Source,
        register: &Register,
        asker: Option<&MemberId>,
        member: &'a MemberId,
    ) -> Checked<Self> {
        let origin = format!("{}/{member}", register.federation());
        let log = Log::new(source, member, origin);
        let (signed, _) = checkpoint(&log, register)?;
        let held = log.read_up_to("held", MAX_HELD_BYTES as u64)?;
        let held = match held.as_deref().map(Held::parse) {
            None => Held::default(),
            Some(Ok(held)) if held.end() <= signed.checkpoint().size => held,
            Some(Ok(_)) => return refuted(format!("{member}: holds more than was mirrored")),
            Some(Err(cause)) => return refuted(format!("{member}: {cause}")),
        };
        let keys = register.member(member).map(|m| m.keys.as_slice()).unwrap_or_default();
        let (mut denials, mut quarantined) = (Vec::new(), Vec::new());
        for outcome in read_outcomes(&log)? {
            match outcome {
                Outcome::Denied(bytes) => {
                    let denial = Denial::verify(&bytes, |issuer, thumbprint| {
                        let named = |key: &&sealwire_wire::register::MemberKey| {
                            key.use_ == KeyUse::Sign && key.thumbprint == *thumbprint
                        };
                        keys.iter().find(named).filter(|_| issuer == member).map(|key| key.public)
                    });
                    match denial {
                        Ok((_, denial)) if asker.is_none_or(|asker| denial.asker == *asker) => {
                            denials.push(denial);
                        }
                        Ok((_, denial)) => {
                            let other = denial.asker;
                            return refuted(format!("{member}: an answer that {other} was given"));
                        }
                        Err(cause) => return refuted(format!("{member}: {cause}")),
                    }
                }
                Outcome::Quarantined { index, code } => quarantined.push((index, code)),
                Outcome::Erased { .. } | Outcome::Hold { .. } => {}
                _ => return refuted(format!("{member}: an outcome of another log")),
            }
        }
        Ok(Self { log, signed, held, denials, quarantined })
    }

    /// The root that the mirrored tree had at `size`, from its tiles.
    pub fn root_at(&self, size: u64) -> Checked<sealwire_wire::id::Digest> {
        let whole = self.signed.checkpoint().size;
        let fetch = |tile: TileId| self.log.read(&tile.path()).ok().flatten();
        match root_at(&TileReader::new(whole, fetch), size) {
            Ok(root) => Ok(root),
            Err(cause) => undecided(format!("{}: {cause}", self.log.member)),
        }
    }
}

/// Step 11: every other log that is kept is signed by its key and not forked, its tree is the one
/// signed, and what its owner denied is signed as well.
pub(crate) fn logs(
    source: &Source,
    register: &Register,
    manifest: Option<&Manifest>,
    trust: &Trust,
) -> Checked<((), String)> {
    let asker = manifest.map(|manifest| &manifest.member);
    let mut said = Vec::new();
    for name in source.list("logs")? {
        let Ok(member) = name.parse::<MemberId>() else {
            return refuted(format!("logs/{name} is not the log of a member"));
        };
        if member == trust.log || Some(&member) == asker {
            continue;
        }
        let has_head = source.read(&format!("logs/{member}/checkpoint"), 1 << 20)?.is_some();
        if manifest.is_none() && !has_head {
            // A log whose first checkpoint has not come yet.
            continue;
        }
        let mirror = Mirror::read(source, register, asker, &member)?;
        let head = mirror.signed.checkpoint();
        if let Some(manifest) = manifest {
            if manifest.mirrors.get(&member) != Some(&head.size) {
                return refuted(format!("{member}: not of the size that the manifest says"));
            }
            if mirror.root_at(head.size)? != head.root {
                return refuted(format!("{member}: its tiles are not of its checkpoint"));
            }
        }
        let mut text = format!("{member} size {}", head.size);
        if manifest.is_some() {
            let (held, denials) = (mirror.held.count(), mirror.denials.len());
            text += &format!(", {held} entries held, {denials} answers of its owner");
        }
        if !mirror.quarantined.is_empty() {
            let which = mirror.quarantined.iter().map(|(index, code)| format!("{index} ({code})"));
            text += &format!(", quarantined {}", some_of(&which.collect::<Vec<_>>()));
        }
        said.push(text);
    }
    let listed = said.len();
    if let Some(missing) = manifest.filter(|m| listed < m.mirrors.len()) {
        return refuted(format!(
            "{} of {} logs are missing",
            missing.mirrors.len() - listed,
            missing.mirrors.len()
        ));
    }
    for name in source.list("evidence")? {
        let Some(member) = name.strip_suffix(".json").and_then(|id| id.parse::<MemberId>().ok())
        else {
            continue;
        };
        let bytes = source.read(&format!("evidence/{name}"), MAX_EVIDENCE_BYTES as u64)?;
        let keys = register.member(&member).map(|m| m.keys.as_slice()).unwrap_or_default();
        let keys: Vec<[u8; 32]> =
            keys.iter().filter(|key| key.use_ == KeyUse::Log).map(|key| key.public).collect();
        let origin = format!("{}/{member}", register.federation());
        let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
        match Fork::parse(&text).and_then(|fork| fork.verify(&origin, &keys)) {
            Ok(_) if member == trust.log => {
                return refuted("evidence in it proves that its key signed two histories");
            }
            Ok(_) => said.push(format!("evidence proves that the log of {member} was forked")),
            Err(cause) => return refuted(format!("evidence/{name}: {cause}")),
        }
    }
    let detail = if said.is_empty() { "none kept here".to_owned() } else { said.join("; ") };
    Ok(((), detail))
}
