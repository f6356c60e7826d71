//! What `register show` prints, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use sealwire_wire::id::MemberId;
use sealwire_wire::register::{
    Community, CosignPqKey, Draft, KeyUse, Member, MemberKey, SignatureState, Summary,
};
use serde_json::{Value, json};

use super::files::{in_file, read_draft, read_register};
use super::{Report, ShowArgs};

pub(super) fn show(args: &ShowArgs, now_unix: i64) -> Result<Report> {
    let draft = read_draft(&args.file)?;
    let summary = draft.summary().with_context(|| in_file(&args.file))?;
    let seats = draft.signatures()?;
    let valid = seats.iter().filter(|s| s.valid).count();
    let enough = valid >= usize::try_from(draft.threshold())?;
    if let Some(previous) = &args.previous {
        draft.finish(Some(&read_register(previous)?)).with_context(|| in_file(&args.file))?;
    }
    let follows = args.previous.is_some();
    let state = match (enough, draft.version(), follows) {
        (false, _, _) => "not signed by enough governors: a draft",
        (true, 1, _) => "signed by enough governors",
        (true, _, true) => "signed by enough governors of this version and of the one before",
        (true, _, false) => {
            "signed by enough governors of this version; --previous checks those of the one before"
        }
    };
    let expired = summary.expires_unix <= now_unix;
    let text = show_text(&draft, &summary, &seats, state, expired);
    let json = show_json(&draft, &summary, &seats, (enough, expired));
    Ok(Report { text, json })
}

fn show_text(
    draft: &Draft,
    summary: &Summary,
    seats: &[SignatureState],
    state: &str,
    expired: bool,
) -> String {
    let mut lines = vec![
        format!("federation   {}", draft.federation()),
        format!("version      {} ({state})", draft.version()),
        format!(
            "expires      {}{}",
            time(summary.expires_unix),
            if expired { " EXPIRED" } else { "" }
        ),
        format!("fingerprint  {}", draft.fingerprint()),
        format!("governors    {} of {} must sign", draft.threshold(), seats.len()),
    ];
    for seat in seats {
        let mark = if seat.valid { "signed" } else { "no valid signature" };
        lines.push(format!("  {:<12} {mark}", seat.seat));
    }
    push_members(&mut lines, summary);
    lines.push("schemas".to_owned());
    lines.extend(
        summary.schemas.iter().map(|(kind, s)| format!("  {kind:<16} {} {}", s.digest, s.id)),
    );
    lines.push("code lists".to_owned());
    lines
        .extend(summary.code_lists.iter().map(|(list, edition)| format!("  {list:<16} {edition}")));
    lines.join("\n")
}

fn show_json(
    draft: &Draft,
    summary: &Summary,
    seats: &[SignatureState],
    (enough, expired): (bool, bool),
) -> Value {
    let seat = |s: &SignatureState| json!({"seat": s.seat, "keyid": s.keyid, "valid": s.valid});
    let mut value = json!({
        "federation": draft.federation(), "version": draft.version(),
        "threshold": draft.threshold(), "complete": enough,
        "seats": seats.iter().map(seat).collect::<Vec<_>>(),
        "expires": time(summary.expires_unix), "expired": expired,
        "digest": draft.digest(), "fingerprint": draft.fingerprint(),
        "codeLists": summary.code_lists,
    });
    let member = |m: &Member| {
        let key = |k: &MemberKey| {
            json!({"use": k.use_.as_str(), "thumbprint": k.thumbprint, "from": k.from,
                   "until": k.until})
        };
        let pq = |k: &CosignPqKey| {
            json!({"use": KeyUse::CosignPq.as_str(), "thumbprint": k.thumbprint, "from": k.from,
                   "until": k.until})
        };
        json!({"id": m.id, "names": m.names, "roles": m.roles, "status": m.status.as_str(),
               "peerId": m.peer_id, "addresses": m.addresses,
               "keys": m.keys.iter().map(key).chain(m.cosign_pq.iter().map(pq)).collect::<Vec<_>>()})
    };
    let community = |c: &Community| {
        json!({"id": c.id, "title": c.title, "agreement": c.agreement, "members": c.members,
               "kinds": c.kinds, "classes": c.classes, "tlpCeiling": c.tlp_ceiling,
               "purposes": c.purposes, "retentionDays": c.retention_days,
               "classRetentionDays": c.class_retention_days,
               "witnesses": c.witnesses, "delivery": c.delivery, "directions": directions(c)})
    };
    let schemas: BTreeMap<_, _> = summary
        .schemas
        .iter()
        .map(|(kind, s)| (kind, json!({"id": s.id, "digest": s.digest})))
        .collect();
    if let Some(object) = value.as_object_mut() {
        object.insert("members".into(), summary.members.iter().map(member).collect());
        object.insert("communities".into(), summary.communities.iter().map(community).collect());
        object.insert("schemas".into(), json!(schemas));
    }
    value
}

fn push_members(lines: &mut Vec<String>, summary: &Summary) {
    lines.push(format!("members      {}", summary.members.len()));
    for member in &summary.members {
        let addresses = member.addresses.join(" ");
        lines.push(format!(
            "  {:<12} {} ({})",
            member.id.as_str(),
            member.name("en"),
            member.status
        ));
        lines.push(format!("               {} {addresses}", member.peer_id));
        let keys = member.keys.iter().map(|k| (k.use_, k.thumbprint, k.from, k.until));
        let pq = member.cosign_pq.iter();
        let pq = pq.map(|k| (KeyUse::CosignPq, k.thumbprint, k.from, k.until));
        lines.extend(keys.chain(pq).map(|(use_, thumbprint, from, until)| {
            let until = until.map_or(String::new(), |until| format!(" until {until}"));
            format!("               {:<6} {thumbprint} from {from}{until}", use_.as_str())
        }));
    }
    lines.push(format!("communities  {}", summary.communities.len()));
    for c in &summary.communities {
        let members: Vec<_> = c.members.iter().map(MemberId::as_str).collect();
        lines.push(format!("  {:<12} {} ({})", c.id, c.title, c.agreement));
        lines.push(format!("               members {}", members.join(", ")));
        lines.push(format!(
            "               kinds {}; classes {}; up to TLP:{}",
            join(&c.kinds),
            join(&c.classes),
            c.tlp_ceiling
        ));
        lines.push(format!(
            "               purposes {}; kept {} days{}; {} witnesses; delivered to {}",
            join(&c.purposes),
            c.retention_days,
            shorter(c),
            c.witnesses,
            c.delivery.map_or_else(|| "all".to_owned(), |k| k.to_string())
        ));
        if !c.directions.is_empty() {
            let only = c.directions.iter().map(|(member, way)| format!("{member} may only {way}"));
            lines.push(format!("               {}", only.collect::<Vec<_>>().join("; ")));
        }
    }
}

fn shorter(community: &Community) -> String {
    let classes = community.class_retention_days.iter();
    classes.map(|(class, days)| format!(", {class} {days}")).collect()
}

fn directions(community: &Community) -> BTreeMap<&str, &str> {
    community.directions.iter().map(|(member, way)| (member.as_str(), way.as_str())).collect()
}

fn join(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn time(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).map_or_else(|_| unix.to_string(), |time| time.to_string())
}
