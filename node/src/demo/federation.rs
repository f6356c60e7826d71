//! The federation of the demonstration: three members, three governors, two communities.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::Wait;
use super::process::{Node, Place, done};
use super::timeline::Timeline;

/// Id, name, and the governor's seat of each member.
const MEMBERS: [(&str, &str, &str); 3] = [
    ("ID", "Customs of Indonesia (demonstration)", "jakarta"),
    ("SG", "Customs of Singapore (demonstration)", "singapore"),
    ("AU", "Customs of Australia (demonstration)", "canberra"),
];
/// Governors that must sign.
const THRESHOLD: &str = "2";
/// Name of the federation.
const FEDERATION: &str = "demo.sealwire.example";
/// Community of the laboratory alerts.
pub(super) const SUBSTANCES: &str = "substances";
/// Community of the seizure notices.
pub(super) const SEIZURES: &str = "seizures";
/// Field classes of both agreements.
const CLASSES: &str = "open,core,operational,commercial,nominal,text";
/// Cosignatures after which an entry counts as witnessed: both other members.
pub(super) const WITNESSES: u32 = 2;

/// Members with directories and keys, and a signed register.
pub(super) struct Federation {
    places: Vec<Place>,
}

fn place_of(dir: &Path, member: &str) -> std::path::PathBuf {
    dir.join(member.to_ascii_lowercase())
}

/// Makes the members' directories and the register, each step a command of this program.
pub(super) fn found(dir: &Path, timeline: &Timeline) -> anyhow::Result<Federation> {
    let ports = free_ports(2 * MEMBERS.len())?;
    let mut places = Vec::new();
    for ((member, name, _), ports) in MEMBERS.iter().zip(ports.chunks_exact(2)) {
        let [http_port, p2p_port] = ports else { continue };
        let dir = place_of(dir, member);
        let place = Place { member, name, dir, http_port: *http_port, p2p_port: *p2p_port };
        init(&place, timeline)?;
        places.push(place);
    }
    let register = register(dir, &places, timeline)?;
    for place in &places {
        std::fs::copy(&register, place.dir.join("register.json"))
            .with_context(|| format!("cannot hand the register to {}", place.member))?;
    }
    Ok(Federation { places })
}

impl Federation {
    /// Starts all nodes and waits until each has the log of every other.
    pub fn start(self, timeline: &Timeline, wait: &Wait) -> anyhow::Result<Vec<Node>> {
        let nodes = self.places.into_iter().map(Node::start).collect::<anyhow::Result<Vec<_>>>()?;
        for node in &nodes {
            wait.until(&format!("{}/readyz", node.url()), || node.get("/readyz"))?;
            let (name, pid) = (node.name(), node.pid());
            let text = format!("ready: {name}, process {pid}, {}", node.url());
            timeline.tell(node.member(), &text)?;
        }
        for node in &nodes {
            let what = format!("the node of {} to meet its peers", node.member());
            wait.until(&what, || Ok(node.get("/v1/status")?.and_then(met)))?;
        }
        timeline.tell("", "   all three have met and know each other's sealing keys")?;
        Ok(nodes)
    }
}

/// Whether a node is connected with every peer and has all of its log: the sealing key is in it.
fn met(status: Value) -> Result<(), String> {
    let peers = status.get("peers").and_then(Value::as_array).map(Vec::as_slice);
    let number = |peer: &Value, key: &str| peer.get(key).and_then(Value::as_u64);
    let met = |peer: &Value| {
        let mirrored = number(peer, "mirrored").unwrap_or(0);
        peer.get("connected") == Some(&Value::Bool(true))
            && mirrored > 0
            && number(peer, "announced") <= Some(mirrored)
            && number(peer, "gaps") == Some(0)
    };
    match peers {
        Some(peers) if peers.len() == MEMBERS.len() - 1 && peers.iter().all(met) => Ok(()),
        _ => Err(format!("its peers are {}", status.get("peers").unwrap_or(&Value::Null))),
    }
}

fn init(place: &Place, timeline: &Timeline) -> anyhow::Result<()> {
    let Place { member, name, dir, http_port, p2p_port } = place;
    let quic = format!("/ip4/127.0.0.1/udp/{p2p_port}/quic-v1");
    let tcp = format!("/ip4/127.0.0.1/tcp/{p2p_port}");
    let http = format!("127.0.0.1:{http_port}");
    let around = dir.parent().unwrap_or(dir);
    let dir = path(dir)?;
    let made = done(
        around,
        &[
            "init",
            "--no-passphrase",
            "--member",
            member,
            "--name",
            name,
            "--dir",
            dir,
            "--http-listen",
            &http,
            "--p2p-listen",
            &quic,
            "--p2p-listen",
            &tcp,
            "--address",
            &quic,
            "--address",
            &tcp,
        ],
    )?;
    let fingerprint = made.get("fingerprint").and_then(Value::as_str).unwrap_or_default();
    timeline.tell(member, &format!("made keys; introduction {}", shortened(fingerprint)))
}

/// The governors' part: keys, draft, members, communities, two signatures.
fn register(
    dir: &Path,
    places: &[Place],
    timeline: &Timeline,
) -> anyhow::Result<std::path::PathBuf> {
    let governors = dir.join("governors");
    std::fs::create_dir(&governors).context("cannot make the governors' directory")?;
    let draft = governors.join("register.draft.json");
    let draft = path(&draft)?;
    let mut keys = Vec::new();
    let mut new = ["register", "new", "--federation", FEDERATION, "--threshold", THRESHOLD]
        .map(str::to_owned)
        .to_vec();
    new.extend(["--out".to_owned(), draft.to_owned(), "--governor".to_owned()]);
    for (_, _, seat) in MEMBERS {
        let key = governors.join(seat);
        done(dir, &["register", "governor", "--seat", seat, "--out", path(&key)?])?;
        new.push(format!("{}.pub.json", path(&key)?));
        keys.push(key);
    }
    done(dir, &new.iter().map(String::as_str).collect::<Vec<_>>())?;
    let introductions: Vec<_> = places.iter().map(|place| place.dir.join("member.json")).collect();
    let mut add = vec!["register", "add", "member", "--draft", draft];
    for introduction in &introductions {
        add.push(path(introduction)?);
    }
    done(dir, &add)?;
    for (id, title, kind) in [
        (SUBSTANCES, "New and dangerous substances", "lab-alert"),
        (SEIZURES, "Seizures and concealments", "seizure-notice"),
    ] {
        community(dir, draft, id, title, kind)?;
    }
    let out = governors.join("register.json");
    for key in keys.iter().take(2) {
        let (key, out) = (path(key)?, path(&out)?);
        done(dir, &["register", "sign", "--draft", draft, "--key", key, "--out", out])?;
    }
    let shown = done(dir, &["register", "show", path(&out)?])?;
    let fingerprint = shown.get("fingerprint").and_then(Value::as_str).unwrap_or_default();
    timeline.tell(
        "",
        &format!("   register version 1 of {FEDERATION}, fingerprint {}", shortened(fingerprint)),
    )?;
    Ok(out)
}

fn community(dir: &Path, draft: &str, id: &str, title: &str, kind: &str) -> anyhow::Result<()> {
    let members: Vec<&str> = MEMBERS.iter().map(|(member, ..)| *member).collect();
    let purposes: Vec<String> = super::story::purposes().into_iter().collect();
    done(
        dir,
        &[
            "register",
            "add",
            "community",
            "--draft",
            draft,
            "--id",
            id,
            "--title",
            title,
            "--agreement",
            &format!("demo-{id}"),
            "--members",
            &members.join(","),
            "--kinds",
            kind,
            "--classes",
            CLASSES,
            "--tlp",
            "AMBER+STRICT",
            "--purposes",
            &purposes.join(","),
            "--retention-days",
            "1825",
            "--witnesses",
            &WITNESSES.to_string(),
        ],
    )?;
    Ok(())
}

/// Ports of this machine that were free, for TCP and UDP alike, a moment ago.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut held = Vec::new();
    for _ in 0..count.saturating_mul(20) {
        if held.len() == count {
            break;
        }
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
        let port = tcp.local_addr().context("cannot find a free port")?.port();
        if let Ok(udp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, tcp, udp));
        }
    }
    anyhow::ensure!(held.len() == count, "cannot find {count} free ports on 127.0.0.1");
    Ok(held.iter().map(|(port, ..)| *port).collect())
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("cannot use {}: it is not UTF-8", path.display()))
}

/// The first groups of a fingerprint.
fn shortened(fingerprint: &str) -> String {
    let groups: Vec<&str> = fingerprint.split_whitespace().take(4).collect();
    format!("{} …", groups.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn free_ports_are_distinct() {
        let mut ports = free_ports(6).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }

    #[test]
    fn nodes_have_met_when_each_has_the_whole_log_of_each_other() {
        let peer = |mirrored: u64, connected: bool| json!({"connected": connected, "mirrored": mirrored, "announced": 2, "gaps": 0});
        assert!(met(json!({"peers": [peer(2, true), peer(2, true)]})).is_ok());
        for not in [
            json!({"peers": [peer(2, true)]}),
            json!({"peers": [peer(2, true), peer(1, true)]}),
            json!({"peers": [peer(2, true), peer(2, false)]}),
            json!({}),
        ] {
            assert!(met(not).is_err());
        }
    }
}
