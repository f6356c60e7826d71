//! Two members' bundles: what one says it sent, against what the other says it got.
//!
//! 1. trust file (read by the caller); 2. and 3. each bundle's register, checkpoint and tree;
//! 4. and 5. what was sent and got, in each direction; 6. questions of one to the other, if any.
//!
//! Each bundle is to be verified by itself as well: here only what both say is compared.

use std::collections::BTreeMap;
use std::path::Path;

use sealwire_wire::bundle::{Element, Manifest};
use sealwire_wire::checkpoint::{SignedCheckpoint, verify_cosignature};
use sealwire_wire::id::{Digest, MemberId};
use sealwire_wire::merkle::{Frontier, leaf_hash};
use sealwire_wire::register::{KeyUse, Register};
use sealwire_wire::statement::{Addressees, Body, MatchSide, Statement, leaf_data};
use sealwire_wire::tile::index_path;

use crate::Options;
use crate::others::{Mirror, some_of};
use crate::report::{Report, Verdict};
use crate::source::Source;
use crate::steps::{
    Checked, Log, WIDTH, chain, checkpoint, opened, refuted, take, tree, undecided,
};
use crate::trust::Trust;

/// How many questions, by day, community, purpose and type of identifier.
type Questions = BTreeMap<(u64, String, String, String), u64>;

/// What two bundles that agree do not prove.
const NOT_PROVED: [&str; 3] = [
    "that either bundle is whole and its records valid: verify each by itself",
    "that the receiver opened or read what it holds",
    "anything about entries that neither bundle covers",
];

/// Compares the bundles `a` and `b` of two members.
pub fn run(a: &Path, b: &Path, trust: &Trust) -> Report {
    let mut report = Report::empty(NOT_PROVED.to_vec());
    let detail = format!("register {}", trust.register);
    report.add(1, "trust file", Verdict::Verified, detail);
    let mut sides = Vec::new();
    for (number, path) in [(2, a), (3, b)] {
        let read = opened(path).and_then(|(source, manifest)| match manifest {
            Some(manifest) => Ok((source, manifest)),
            None => undecided(format!("{} is not a bundle", path.display())),
        });
        let bundle = match read {
            Ok(bundle) => bundle,
            Err(failure) => {
                take::<()>(&mut report, number, "bundle", Err(failure));
                return report;
            }
        };
        sides.push(bundle);
    }
    let [(a_source, a_manifest), (b_source, b_manifest)] = sides.as_slice() else { return report };
    if a_manifest.member == b_manifest.member {
        let detail = format!("both bundles are of {}", a_manifest.member);
        report.add(3, "bundle", Verdict::Undecided, detail);
        return report;
    }
    let a = take(&mut report, 2, "bundle", Side::read(a_source, a_manifest, trust));
    let b = take(&mut report, 3, "bundle", Side::read(b_source, b_manifest, trust));
    let (Some(a), Some(b)) = (a, b) else { return report };
    report.origin = Some(format!("{} and {}", a.log.origin, b.log.origin));
    report.size = a.leaves.len() as u64 + b.leaves.len() as u64;
    take(&mut report, 4, "first to second", sent(&a, &b));
    take(&mut report, 5, "second to first", sent(&b, &a));
    if let Some(compared) = questions(&a, &b).transpose() {
        take(&mut report, 6, "questions", compared);
    }
    report
}

/// One bundle, as far as it is needed here.
struct Side<'a> {
    source: &'a Source,
    manifest: &'a Manifest,
    versions: Vec<Register>,
    log: Log<'a>,
    signed: SignedCheckpoint,
    leaves: Vec<Digest>,
}

impl<'a> Side<'a> {
    /// Steps 2 and 3: the bundle's register is the trusted one, and its own log is signed whole.
    fn read(source: &'a Source, manifest: &'a Manifest, trust: &Trust) -> Checked<(Self, String)> {
        let (versions, _) = chain(source, "register/", trust)?;
        let Some(register) = versions.last() else { return undecided("no register is there") };
        let origin = format!("{}/{}", register.federation(), manifest.member);
        let log = Log::new(source, &manifest.member, origin);
        let (signed, _) = checkpoint(&log, register)?;
        let (leaves, _) = tree(&log, signed.checkpoint(), Options::default().threads())?;
        let Manifest { member, from, to, .. } = manifest;
        let size = leaves.len();
        let detail =
            format!("log of {member}, {size} entries signed, {from} to {to} in the bundle");
        Ok((Self { source, manifest, versions, log, signed, leaves }, detail))
    }

    fn member(&self) -> &'a MemberId {
        &self.manifest.member
    }

    fn root_at(&self, size: u64) -> Option<Digest> {
        let mut frontier = Frontier::new();
        let leaves = self.leaves.get(..usize::try_from(size).ok()?)?;
        leaves.iter().for_each(|digest| frontier.push(leaf_hash(&leaf_data(digest))));
        Some(frontier.root())
    }

    /// The statements in the bundle, in order, each the one in the tree.
    fn statements(&self, mut each: impl FnMut(u64, &Statement) -> Checked<()>) -> Checked<()> {
        let Manifest { from, to, .. } = self.manifest;
        for file in from / WIDTH..to.div_ceil(WIDTH) {
            let bytes = self.log.read(&format!("statement/{}", index_path(file)))?;
            let bytes = bytes.unwrap_or_default();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let element = match Element::next(&mut rest) {
                    Ok(element) => element,
                    Err(cause) => return refuted(format!("statement file {file}: {cause}")),
                };
                let index = element.index;
                let leaf = usize::try_from(index).ok().and_then(|i| self.leaves.get(i));
                if leaf != Some(&Digest::of(element.statement)) {
                    return refuted(format!("entry {index} is not the one in the tree"));
                }
                match Statement::parse(element.statement) {
                    Ok(statement) => each(index, &statement)?,
                    Err(cause) => return refuted(format!("entry {index}: {cause}")),
                }
            }
        }
        Ok(())
    }

    /// Whether an entry is addressed to `member` under the register version that it names, and
    /// whether it is under that version or a later one.
    fn addressed(&self, statement: &Statement, member: &MemberId) -> (bool, bool) {
        let manifest = statement.manifest();
        let under = |register: &Register| match manifest.addressees() {
            Addressees::Named(to) => to.contains(member),
            Addressees::Community(id) => register.community(id).is_some_and(|community| {
                community.receives(member)
                    && register.active_members(community).any(|m| m.id == *member)
            }),
            Addressees::Federation => register.member(member).is_some(),
        };
        let mut then = self.versions.iter().filter(|v| v.version() == manifest.register);
        let mut since = self.versions.iter().filter(|v| v.version() >= manifest.register);
        (then.any(under), since.any(under))
    }

    /// What the entries in the bundle count of questions with a member.
    fn questions(&self, side: MatchSide, with: &MemberId) -> Checked<Questions> {
        let mut found = Questions::new();
        self.statements(|_, statement| {
            if let Body::Matches(matches) = &statement.manifest().body
                && matches.side == side
                && matches.to.contains(with)
            {
                for (community, purposes) in &matches.counts {
                    for (purpose, kinds) in purposes {
                        for (kind, count) in kinds {
                            let words = (community.clone(), purpose.clone(), kind.clone());
                            let key = (matches.day, words.0, words.1, words.2);
                            let sum = found.entry(key).or_default();
                            *sum = u64::saturating_add(*sum, *count);
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The size up to which this member cosigned `signed`, a checkpoint of the other's log.
    fn cosigned(&self, signed: &SignedCheckpoint) -> u64 {
        let Some(register) = self.versions.last() else { return 0 };
        let keys = register.member(self.member()).map(|m| m.keys.as_slice()).unwrap_or_default();
        let name = format!("{}/{}", register.federation(), self.member());
        let head = signed.checkpoint();
        let by_us = keys.iter().filter(|key| key.use_ == KeyUse::Cosign).any(|key| {
            let mut lines = signed.signatures();
            lines.any(|line| verify_cosignature(head, &name, &key.public, line).is_ok())
        });
        if by_us { head.size } else { 0 }
    }
}

/// Steps 4 and 5: both know one history of the sender's log, and every entry in it that is
/// addressed to the receiver is held or quarantined there, and no other one is.
fn sent(sender: &Side<'_>, receiver: &Side<'_>) -> Checked<((), String)> {
    let (from, to) = (sender.member(), receiver.member());
    if !receiver.manifest.mirrors.contains_key(from) {
        return undecided(format!("the bundle of {to} holds nothing of the log of {from}"));
    }
    let Some(register) = receiver.versions.last() else { return undecided("no register is there") };
    let mirror = Mirror::read(receiver.source, register, Some(to), from)?;
    let (mirrored, size) = (mirror.signed.checkpoint(), sender.leaves.len() as u64);
    let one_history = match sender.root_at(mirrored.size) {
        Some(root) => root == mirrored.root,
        None => {
            mirror.root_at(mirrored.size)? == mirrored.root
                && mirror.root_at(size)? == sender.signed.checkpoint().root
        }
    };
    if !one_history {
        return refuted(format!(
            "{to} mirrored {} entries of {from} that are not in the log that {from} shows",
            mirrored.size
        ));
    }
    let cosigned = receiver.cosigned(&mirror.signed).max(receiver.cosigned(&sender.signed));
    let (mut addressed, mut held, mut quarantined) = (0u64, 0u64, Vec::new());
    let (mut late, mut wrong) = (Vec::new(), Vec::new());
    sender.statements(|index, statement| {
        if index >= mirrored.size {
            return Ok(());
        }
        let (owed, allowed) = sender.addressed(statement, to);
        let code = mirror.quarantined.iter().find(|(at, _)| *at == index);
        let holds = mirror.held.holds(index);
        addressed += u64::from(owed);
        held += u64::from(owed && holds && code.is_none());
        match code {
            Some((_, code)) if allowed => quarantined.push(format!("{index} ({code})")),
            _ if holds && !allowed => {
                wrong.push(format!("entry {index} is held and is not addressed to {to}"));
            }
            _ if owed && mirror.denials.iter().any(|denial| denial.covers(index)) => wrong.push(
                format!("{from} signed that entry {index} is not addressed to {to}, and it is"),
            ),
            _ if owed && !holds && index < cosigned => {
                wrong.push(format!("{to} cosigned that it has entry {index}, and does not have it"))
            }
            _ if owed && !holds => late.push(index.to_string()),
            _ => {}
        }
        Ok(())
    })?;
    if !wrong.is_empty() {
        return refuted(some_of(&wrong));
    }
    let mut detail = format!("{from} sent {to} {addressed} entries, {held} arrived");
    if !quarantined.is_empty() {
        detail += &format!(", quarantined {}", some_of(&quarantined));
    }
    if late.is_empty() {
        Ok(((), detail))
    } else {
        undecided(format!("{detail}; not there yet: {}", some_of(&late)))
    }
}

/// Step 6: as many questions as one answered the other asked. An asker counts a question before it
/// sends it, and logs the count some time later: what is missing may still come.
fn questions(a: &Side<'_>, b: &Side<'_>) -> Checked<Option<((), String)>> {
    let (mut said, mut uncounted) = (Vec::new(), Vec::new());
    for (asker, responder) in [(a, b), (b, a)] {
        let asked = asker.questions(MatchSide::Asked, responder.member())?;
        let answered = responder.questions(MatchSide::Answered, asker.member())?;
        if asked.is_empty() && answered.is_empty() {
            continue;
        }
        let (from, to) = (asker.member(), responder.member());
        let (all, of_them) = (asked.values().sum::<u64>(), answered.values().sum::<u64>());
        said.push(format!("{from} asked {to} {all} questions, {of_them} were answered"));
        for ((day, community, purpose, kind), answered) in &answered {
            let key = (*day, community.clone(), purpose.clone(), kind.clone());
            let asked = asked.get(&key).copied().unwrap_or(0);
            if *answered > asked {
                uncounted.push(format!(
                    "on day {day} {to} answered {answered} of {from} about {kind} in {community} \
                     for {purpose}, and {from} counts {asked}"
                ));
            }
        }
    }
    if !uncounted.is_empty() {
        return undecided(format!("{}; {}", said.join("; "), some_of(&uncounted)));
    }
    Ok((!said.is_empty()).then(|| ((), said.join("; "))))
}
