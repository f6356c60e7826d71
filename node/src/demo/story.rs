//! The story: what is published, and what each of the three processes says about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use sealwire_schemas::Standard;
use serde_json::{Value, json};

use super::Wait;
use super::federation::{SEIZURES, SUBSTANCES, WITNESSES};
use super::process::{Node, command};
use super::timeline::{Timeline, millis};
use crate::cli::output::Failure;

/// A public case of the shared standard, and who publishes it to whom.
struct Case {
    /// The record as the examples of the standard have it.
    record: &'static str,
    /// What it is about, for people.
    title: &'static str,
    community: &'static str,
    publisher: &'static str,
    /// The country whose case it is.
    country: &'static str,
    /// The one member that gets the restricted classes.
    trusted: &'static str,
    /// The member that gets what the whole community gets, and no more.
    outsider: &'static str,
    /// The restricted classes.
    restricted: &'static [&'static str],
}

const LAB_ALERT: Case = Case {
    record: include_str!("../../../schemas/examples/case-05-soekarno-hatta.json"),
    title: "laboratory alert, Soekarno-Hatta airport, 1 December 2020: MDMB-4en-PINACA",
    community: SUBSTANCES,
    publisher: "ID",
    country: "ID",
    trusted: "SG",
    outsider: "AU",
    restricted: &["operational", "commercial", "nominal", "text"],
};

const SEIZURE: Case = Case {
    record: include_str!("../../../schemas/examples/case-01-salerno.json"),
    title: "seizure notice, Salerno, 1 July 2020: 84 million tablets",
    community: SEIZURES,
    publisher: "SG",
    country: "IT",
    trusted: "ID",
    outsider: "AU",
    restricted: &["operational"],
};

/// A record that is in the log of its publisher.
struct Published<'a> {
    case: &'a Case,
    id: String,
    index: u64,
    sent: Instant,
}

/// All purposes of the two records: what the agreements of the demonstration allow.
pub(super) fn purposes() -> BTreeSet<String> {
    let mut purposes = BTreeSet::new();
    for case in [&LAB_ALERT, &SEIZURE] {
        let record: Value = serde_json::from_str(case.record).unwrap_or_default();
        let stated = record.pointer("/handling/purpose").and_then(Value::as_array);
        let stated = stated.into_iter().flatten().filter_map(Value::as_str);
        purposes.extend(stated.map(str::to_owned));
    }
    purposes
}

/// Plays it to the end; any line that cannot be told truthfully is a failure.
pub(super) fn play(
    nodes: &[Node],
    dir: &Path,
    timeline: &Timeline,
    wait: &Wait,
) -> anyhow::Result<()> {
    let stage = Stage { nodes, dir, timeline, wait };
    for case in [&LAB_ALERT, &SEIZURE] {
        let published = stage.publish(case)?;
        stage.delivered(&published)?;
        stage.withheld(&published)?;
    }
    stage.audited("ID")
}

struct Stage<'a> {
    nodes: &'a [Node],
    dir: &'a Path,
    timeline: &'a Timeline,
    wait: &'a Wait,
}

impl Stage<'_> {
    fn node(&self, member: &str) -> anyhow::Result<&Node> {
        let node = self.nodes.iter().find(|node| node.member() == member);
        node.with_context(|| format!("cannot find the node of {member}"))
    }

    fn publish<'c>(&self, case: &'c Case) -> anyhow::Result<Published<'c>> {
        let Case { publisher, country, .. } = case;
        let record: Value = serde_json::from_str(case.record).context("cannot read the example")?;
        let kind = record.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.timeline.tell("", "")?;
        self.timeline.tell(publisher, case.title)?;
        let republished = publisher != country;
        if republished {
            let text = format!("republished by {publisher}, original case of {country}");
            self.timeline.tell(publisher, &text)?;
        }
        let checking = Instant::now();
        check(&record)?;
        let checked_us = checking.elapsed().as_micros();
        self.timeline.tell(
            publisher,
            &format!("validated  {kind} against the schema and the rules, {checked_us} µs"),
        )?;

        let audiences: BTreeMap<&str, [&str; 1]> =
            case.restricted.iter().map(|class| (*class, [case.trusted])).collect();
        let body = json!({"community": case.community, "record": record, "audiences": audiences});
        let sent = Instant::now();
        let answer = self
            .node(publisher)?
            .client
            .post("/v1/records", None, body.to_string().as_bytes())
            .and_then(|answer| answer.accepted()?.json())
            .map_err(Failure::into_error)?;
        let ms = millis(sent);
        let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").context("cannot read the answer: no id")?;
        let index = answer.get("index").and_then(Value::as_u64);
        let index = index.context("cannot read the answer: no index")?;
        let classes = answer.get("classes").cloned().unwrap_or_default();
        self.timeline.tell(publisher, &format!("sealed     {}", sealed(&classes)))?;
        self.timeline.tell(
            publisher,
            &format!("logged     at index {index} of its own log, signed and durable, {ms} ms"),
        )?;
        self.timeline.event(&json!({
            "event": "published", "member": publisher, "id": id, "kind": kind,
            "community": case.community, "index": index, "classes": classes,
            "originalCase": country, "republished": republished,
            "validatedUs": u64::try_from(checked_us).unwrap_or(u64::MAX), "ms": ms,
        }))?;
        Ok(Published { case, id, index, sent })
    }

    /// The publisher's own proof: cosignatures of the receivers that cover the index.
    fn delivered(&self, published: &Published<'_>) -> anyhow::Result<()> {
        let Published { case, id, index, sent } = published;
        let node = self.node(case.publisher)?;
        for member in [case.trusted, case.outsider] {
            let what = format!("a cosignature of {member} that covers index {index}");
            let delivered = self.wait.until(&what, || {
                let found = node.get(&format!("/v1/records/{id}/delivery"))?;
                found.map_or_else(|why| Ok(Err(why)), |delivery| arrived(&delivery, member))
            })?;
            let ms = millis(*sent);
            let classes = list(&delivered, "classes");
            self.timeline.tell(
                case.publisher,
                &format!(
                    "delivered  to {member} in {ms} ms, with {}; its cosignature covers index \
                     {index}",
                    classes.join(", ")
                ),
            )?;
            self.timeline.event(&json!({
                "event": "delivered", "id": id, "from": case.publisher, "member": member,
                "index": index, "classes": classes, "ms": ms,
                "cosignedAt": delivered.get("cosigned_at"),
            }))?;
        }
        Ok(())
    }

    /// The outsider's own process: its view, and its keys against the trusted member's copy.
    fn withheld(&self, published: &Published<'_>) -> anyhow::Result<()> {
        let Published { case, id, .. } = published;
        let (outsider, trusted) = (self.node(case.outsider)?, self.node(case.trusted)?);
        let path = format!("/v1/records/{id}");
        let what = format!("the record at {}", outsider.member());
        let view = self.wait.until(&what, || outsider.get(&path))?;
        let (opened, withheld) = (list(&view, "opened"), list(&view, "withheld"));
        for class in case.restricted {
            ensure!(
                withheld.iter().any(|c| c == class) && !opened.iter().any(|c| c == class),
                "{} does not say that class {class} is withheld from it: opened {opened:?}, \
                 withheld {withheld:?}",
                outsider.member()
            );
        }
        ensure!(opened.iter().any(|c| c == "core"), "{} opened {opened:?} only", outsider.member());

        let entry = trusted
            .client
            .get(&format!("{path}/entry"))
            .and_then(|answer| answer.accepted())
            .map_err(Failure::into_error)?;
        let file = self.dir.join(format!("{}-{}.entry", trusted.member(), published.index));
        std::fs::write(&file, entry.body).context("cannot keep the entry")?;
        let at_outsider = self.unseal(outsider, &file)?;
        let at_trusted = self.unseal(trusted, &file)?;
        for class in case.restricted {
            ensure!(
                at_outsider.get(*class) == Some(&false),
                "the keys of {} open class {class}, or it is not in the entry: {at_outsider:?}",
                outsider.member()
            );
            ensure!(
                at_trusted.get(*class) == Some(&true),
                "the keys of {} do not open class {class}: {at_trusted:?}",
                trusted.member()
            );
        }
        let (who, from) = (outsider.member(), trusted.member());
        let restricted = case.restricted.join(", ");
        self.timeline.tell(who, &format!("opened     {}", opened.join(", ")))?;
        self.timeline.tell(
            who,
            &format!(
                "withheld   {restricted}: it holds no part it can open, and its keys fail on the \
                 ciphertext of {from}"
            ),
        )?;
        self.timeline.event(&json!({
            "event": "withheld", "id": id, "member": who, "classes": case.restricted,
            "allWithheld": withheld, "opened": opened, "ciphertextFrom": from,
        }))
    }

    /// Which classes of an entry file a member's keys open, as its own command says.
    fn unseal(&self, node: &Node, file: &Path) -> anyhow::Result<BTreeMap<String, bool>> {
        let (config, file) = (node.config(), file.to_string_lossy());
        let arguments = ["unseal", "--config", &config.to_string_lossy(), &file];
        let answer = command(self.dir, &arguments)?;
        let classes = answer.json.get("classes").and_then(Value::as_object).with_context(|| {
            format!("`sealwire unseal` at {} said {}", node.member(), answer.stderr)
        })?;
        let opened = |class: &Value| class.get("opened") == Some(&Value::Bool(true));
        Ok(classes.iter().map(|(name, class)| (name.clone(), opened(class))).collect())
    }

    /// An auditor's process on the plain files of a node, with the auditor's own trust file.
    fn audited(&self, member: &str) -> anyhow::Result<()> {
        let node = self.node(member)?;
        let trust = self.dir.join("auditor-trust.toml");
        let register = self.register_digest(node)?;
        let text = trust_file(member, &register);
        std::fs::write(&trust, text).context("cannot write the auditor's trust file")?;
        let data = node.dir().join("data");
        let (data, trust) = (data.to_string_lossy(), trust.to_string_lossy());
        let begun = Instant::now();
        let answer = command(self.dir, &["audit", "verify", &data, "--trust", &trust])?;
        let ms = millis(begun);
        if answer.code != 0 {
            bail!(
                "`sealwire audit verify` ended with code {}: {} {}",
                answer.code,
                answer.json,
                answer.stderr
            );
        }
        self.timeline.tell("", "")?;
        self.timeline.tell(
            member,
            &format!("audited    its log is verified offline by a separate process, {ms} ms"),
        )?;
        self.timeline.event(&json!({
            "event": "audited", "member": member, "verified": true, "ms": ms,
            "report": answer.json,
        }))
    }

    fn register_digest(&self, node: &Node) -> anyhow::Result<String> {
        let file = node.dir().join("register.json");
        let shown = super::process::done(self.dir, &["register", "show", &file.to_string_lossy()])?;
        let digest = shown.get("digest").and_then(Value::as_str);
        digest.map(str::to_owned).context("cannot read the register's digest")
    }
}

/// What the auditor trusts: the register, by its digest, and how many must have cosigned.
fn trust_file(member: &str, register_digest: &str) -> String {
    format!("log = \"{member}\"\nregister = \"{register_digest}\"\nwitnesses = {WITNESSES}\n")
}

/// Refuses an example that is not valid, with all findings.
fn check(record: &Value) -> anyhow::Result<()> {
    match Standard::v1().validate(record) {
        Ok(_) => Ok(()),
        Err(findings) => bail!("the example is not valid: {findings:?}"),
    }
}

/// The state of a delivery to one member: there, refused, or not yet.
fn arrived(delivery: &Value, member: &str) -> anyhow::Result<Result<Value, String>> {
    let members = delivery.get("members").and_then(Value::as_array).into_iter().flatten();
    let one = members.clone().find(|m| m.get("member").and_then(Value::as_str) == Some(member));
    let Some(one) = one else { bail!("{member} is no addressee: {delivery}") };
    if let Some(reason) = one.get("refused").and_then(Value::as_str) {
        bail!("{member} refused the record: {reason}");
    }
    let delivered = one.get("delivered") == Some(&Value::Bool(true));
    Ok(if delivered { Ok(one.clone()) } else { Err(format!("so far {delivery}")) })
}

/// Who can open what: the classes by their audience.
fn sealed(classes: &Value) -> String {
    let mut by_audience: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (class, members) in classes.as_object().into_iter().flatten() {
        let members: Vec<&str> =
            members.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let audience = if members.is_empty() { "nobody".into() } else { members.join(" and ") };
        by_audience.entry(audience).or_default().push(class);
    }
    let told = by_audience.iter().map(|(to, classes)| format!("{} to {to}", classes.join(", ")));
    told.collect::<Vec<_>>().join("; ")
}

fn list(value: &Value, key: &str) -> Vec<String> {
    let items = value.get(key).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_are_valid_and_hold_what_is_to_be_withheld() {
        for case in [&LAB_ALERT, &SEIZURE] {
            let record: Value = serde_json::from_str(case.record).unwrap();
            check(&record).unwrap();
        }
        assert!(!purposes().is_empty());
        assert_ne!(SEIZURE.publisher, SEIZURE.country);
        assert_eq!(LAB_ALERT.publisher, LAB_ALERT.country);
    }

    #[test]
    fn classes_are_told_by_their_audience() {
        let classes = json!({"core": ["AU", "SG"], "open": ["AU", "SG"], "nominal": ["SG"],
                             "text": []});
        assert_eq!(sealed(&classes), "core, open to AU and SG; nominal to SG; text to nobody");
    }

    #[test]
    fn a_delivery_is_there_refused_or_awaited() {
        let delivery = |one: Value| json!({"members": [one]});
        let there = delivery(json!({"member": "SG", "delivered": true, "classes": ["core"]}));
        assert!(arrived(&there, "SG").unwrap().is_ok());
        assert!(arrived(&there, "AU").is_err());
        let awaited = delivery(json!({"member": "SG", "delivered": false}));
        assert!(arrived(&awaited, "SG").unwrap().is_err());
        let refused = delivery(json!({"member": "SG", "delivered": true, "refused": "x: y"}));
        assert!(arrived(&refused, "SG").is_err());
    }
}
