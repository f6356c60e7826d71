//! A federation in a temporary directory, made by the commands that its people would give.
//!
//! Three members, three governors of whom two sign, two communities. Knows the commands and the
//! HTTP interface, and nothing of how a node does its work.

mod liar;
mod node;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use liar::{Liar, seed};
pub use node::{Answer, Event, Node};

/// Longest wait for anything: far beyond what a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(90);
/// Pause before a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Ports below those that the system gives to outgoing connections, so that a node that was
/// stopped finds its own again.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;
/// Community of the laboratory alerts.
pub const SUBSTANCES: &str = "substances";
/// Community of the seizure notices.
pub const SEIZURES: &str = "seizures";
const PURPOSES: &str = "customs-enforcement,risk-analysis,laboratory-cooperation";
const CLASSES: &str = "open,core,operational,commercial,nominal,text";
const MEMBERS: [&str; 3] = ["ID", "SG", "AU"];

/// Looks at a condition until it holds, for a bounded time.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(so_far) if begun.elapsed() > PATIENCE => {
                panic!("no {what} after {} s; so far: {so_far}", PATIENCE.as_secs())
            }
            Err(_) => std::thread::sleep(LOOK_AGAIN),
        }
    }
}

/// The built program of a name: from its variable, or beside the executable of this test.
pub fn program(name: &str) -> PathBuf {
    let variable = format!("{}_BIN", name.to_uppercase().replace('-', "_"));
    if let Some(path) = std::env::var_os(&variable) {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the path of this test");
    let path = test.parent().and_then(Path::parent).expect("a target directory").join(name);
    assert!(
        path.is_file(),
        "cannot find {name} at {}\nhint: cargo build --release --workspace --bins, or set {variable}",
        path.display()
    );
    path
}

/// A command of the program, with nothing of the caller's own configuration.
pub fn sealwire() -> Command {
    alone(Command::new(program("sealwire")))
}

fn alone(mut command: Command) -> Command {
    for variable in [
        "SEALWIRE_TOKEN",
        "SEALWIRE_CONFIG",
        "SEALWIRE_URL",
        "SEALWIRE_LOG",
        "SEALWIRE_PASSPHRASE_FILE",
        "SEALWIRE_PIN_FILE",
        "SOFTHSM2_CONF",
        "CREDENTIALS_DIRECTORY",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Output {
    sealwire().args(arguments).output().expect("a process")
}

/// Runs a command that has to succeed, and gives its JSON.
pub fn done(arguments: &[&str]) -> Value {
    done_in(&[], arguments)
}

/// The same in an environment.
pub fn done_in(variables: &[(&'static str, PathBuf)], arguments: &[&str]) -> Value {
    let variables = variables.iter().map(|(name, value)| (name, value));
    let output = sealwire().envs(variables).arg("--json").args(arguments).output();
    let output = output.expect("a process");
    assert!(output.status.success(), "sealwire {}: {}", arguments.join(" "), said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// What a command said, data and all else.
pub fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    format!("{:?}: {}", output.status.code(), String::from_utf8_lossy(&text))
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// An example of the standard, without its id, so that it can be published more than once.
pub fn example(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/examples").join(name);
    let bytes = fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut record: Value = serde_json::from_slice(&bytes).expect("JSON");
    record.as_object_mut().expect("an object").remove("id");
    record
}

/// The laboratory alert of Soekarno-Hatta.
pub fn lab_alert() -> Value {
    example("case-05-soekarno-hatta.json")
}

/// The same with a reference of its own.
pub fn numbered(reference: &str) -> Value {
    let mut record = lab_alert();
    record["functionalReferenceId"] = Value::from(reference);
    record
}

/// All files below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Copies a directory with all below it.
pub fn copy_dir(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).expect("a file below it"));
        fs::create_dir_all(target.parent().expect("a directory")).expect("a directory");
        fs::copy(&file, &target).expect("a copy");
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % u32::from(PORTS)).expect("a small number");
    for _ in 0..PORTS {
        let port = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(offset) % PORTS + FIRST_PORT;
        let here = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(here).is_ok() && UdpSocket::bind(here).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1");
}

/// Members with directories and keys, their register, and the nodes that run.
///
/// The nodes end before the directory is removed: fields are dropped in this order.
pub struct World {
    nodes: Vec<Node>,
    dir: tempfile::TempDir,
}

impl World {
    /// Founds a federation; no node runs yet.
    pub fn new() -> Self {
        Self::new_with(&[])
    }

    fn new_with(kinds: &[&str]) -> Self {
        Self::made(kinds, Self::init)
    }

    /// The same with members' directories that are made in another way.
    pub fn of(init: impl Fn(&Path, &str) -> Node) -> Self {
        Self::made(&[], init)
    }

    fn made(kinds: &[&str], init: impl Fn(&Path, &str) -> Node) -> Self {
        let dir = tempfile::Builder::new().prefix("sealwire-test-").tempdir().expect("a directory");
        let nodes: Vec<Node> = MEMBERS.iter().map(|id| init(dir.path(), id)).collect();
        let introductions: Vec<PathBuf> =
            nodes.iter().map(|node| node.dir().join("member.json")).collect();
        let register = Self::register_with(&dir.path().join("governors"), &introductions, kinds);
        for node in &nodes {
            fs::copy(&register, node.dir().join("register.json")).expect("a copy");
        }
        Self { nodes, dir }
    }

    /// Founds a federation and starts all its nodes, which then have met.
    pub fn started() -> Self {
        Self::started_with(&[])
    }

    /// The same with further kinds in the agreement on laboratory alerts.
    pub fn started_with(kinds: &[&str]) -> Self {
        let mut world = Self::new_with(kinds);
        for member in MEMBERS {
            world.node_mut(member).start();
        }
        world.meet();
        world
    }

    /// Makes a member's directory.
    pub fn init(dir: &Path, member: &str) -> Node {
        Self::init_with(dir, member, &[], &[])
    }

    /// The same with further arguments, in an environment that is also the node's.
    pub fn init_with(
        dir: &Path,
        member: &str,
        arguments: &[&str],
        variables: &[(&'static str, PathBuf)],
    ) -> Node {
        let (http, p2p) = (free_port(), free_port());
        let home = dir.join(member.to_ascii_lowercase());
        let quic = format!("/ip4/127.0.0.1/udp/{p2p}/quic-v1");
        let tcp = format!("/ip4/127.0.0.1/tcp/{p2p}");
        let listen = format!("127.0.0.1:{http}");
        let name = format!("Customs of {member}");
        done_in(
            variables,
            &[
                &["init", "--member", member, "--name", &name, "--dir", text(&home)][..],
                &["--http-listen", &listen, "--p2p-listen", &quic, "--p2p-listen", &tcp],
                &["--address", &quic, "--address", &tcp, "--no-passphrase"],
                arguments,
            ]
            .concat(),
        );
        let mut node = Node::new(member, home, format!("http://{listen}"));
        for (name, value) in variables {
            node.variable(name, value.clone());
        }
        node
    }

    /// The governors' part, in a directory of theirs.
    pub fn register(dir: &Path, introductions: &[PathBuf]) -> PathBuf {
        Self::register_with(dir, introductions, &[])
    }

    fn register_with(dir: &Path, introductions: &[PathBuf], kinds: &[&str]) -> PathBuf {
        fs::create_dir_all(dir).expect("a directory");
        let (draft, out) = (dir.join("register.draft.json"), dir.join("register.json"));
        let keys: Vec<PathBuf> = ["one", "two", "three"].iter().map(|s| dir.join(s)).collect();
        let publics: Vec<String> =
            keys.iter().map(|key| format!("{}.pub.json", text(key))).collect();
        for key in &keys {
            let seat = key.file_name().and_then(|n| n.to_str()).expect("a name");
            done(&["register", "governor", "--seat", seat, "--out", text(key)]);
        }
        let publics: Vec<&str> = publics.iter().map(String::as_str).collect();
        let new = ["register", "new", "--federation", "test.sealwire.example", "--threshold", "2"];
        let lasting = ["--expires-days", "3650", "--out", text(&draft), "--governor"];
        done(&[&new[..], &lasting, &publics].concat());
        let introductions: Vec<&str> = introductions.iter().map(|path| text(path)).collect();
        done(
            &[&["register", "add", "member", "--draft", text(&draft)], &introductions[..]].concat(),
        );
        let alerts = [&["lab-alert", "consent-grant", "withdrawal"], kinds].concat().join(",");
        for (id, kind) in
            [(SUBSTANCES, alerts.as_str()), (SEIZURES, "seizure-notice,assistance-request")]
        {
            let members = MEMBERS.get(..introductions.len()).expect("members").join(",");
            Self::community(text(&draft), id, kind, &members, &[]);
        }
        for key in keys.iter().take(2) {
            let (draft, key, out) = (text(&draft), text(key), text(&out));
            done(&["register", "sign", "--draft", draft, "--key", key, "--out", out]);
        }
        out
    }

    /// Makes a further member's directory; no register lists it yet.
    pub fn join(&mut self, member: &str) {
        let node = Self::init(self.dir.path(), member);
        self.nodes.push(node);
    }

    /// A signed version of the register.
    pub fn version(&self, version: u64) -> PathBuf {
        let name = if version == 1 { "register.json".into() } else { format!("{version}.json") };
        self.dir.path().join("governors").join(name)
    }

    /// The governors make the version after the last: `edit` changes the draft.
    pub fn next_version(&self, version: u64, edit: impl FnOnce(&str)) {
        self.sign_version(&self.version(version), version, &["one", "three"], edit);
    }

    /// The same with the signatures of the governors whose key files are named, into any file.
    pub fn sign_version(&self, out: &Path, version: u64, keys: &[&str], edit: impl FnOnce(&str)) {
        let previous = self.version(version - 1);
        let draft = out.with_extension("draft");
        let (draft, out, previous) = (text(&draft), text(out), text(&previous));
        let lasting = ["--expires-days", "3650", "--out", draft];
        done(&[&["register", "new", "--from", previous][..], &lasting].concat());
        edit(draft);
        for key in keys {
            let key = self.governor(key);
            let sign = ["register", "sign", "--draft", draft, "--key", text(&key)];
            done(&[&sign[..], &["--previous", previous, "--out", out]].concat());
        }
    }

    /// A governor's key file.
    pub fn governor(&self, key: &str) -> PathBuf {
        self.dir.path().join("governors").join(key)
    }

    /// Adds a member to a draft and to the community of the laboratory alerts.
    pub fn admit(&self, draft: &str, member: &str) {
        let introduction = self.node(member).dir().join("member.json");
        done(&["register", "add", "member", "--draft", draft, text(&introduction)]);
        let members = [&MEMBERS[..], &[member]].concat().join(",");
        Self::community(draft, SUBSTANCES, "lab-alert", &members, &["--replace"]);
    }

    fn community(draft: &str, id: &str, kind: &str, members: &str, more: &[&str]) {
        let add = ["register", "add", "community", "--draft", draft, "--id", id, "--title", id];
        let who = ["--agreement", "test-1", "--members", members, "--kinds", kind];
        let what = ["--classes", CLASSES, "--tlp", "AMBER+STRICT", "--purposes", PURPOSES];
        let witnesses = MEMBERS.len().min(members.split(',').count()) - 1;
        let how = ["--retention-days", "1825", "--witnesses", &witnesses.to_string()];
        done(&[&add[..], &who, &what, &how, more].concat());
    }

    /// The directory of all.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A member's node.
    pub fn node(&self, member: &str) -> &Node {
        self.nodes.iter().find(|node| node.member() == member).expect("a member")
    }

    /// A member's node, to start or stop it.
    pub fn node_mut(&mut self, member: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.member() == member).expect("a member")
    }

    /// Waits until each running node has the whole log of each other running one.
    pub fn meet(&self) {
        let running: Vec<&Node> = self.nodes.iter().filter(|node| node.runs()).collect();
        for node in &running {
            for other in running.iter().filter(|other| other.member() != node.member()) {
                self.mirrored(node.member(), other.member());
            }
        }
    }

    /// Waits until one member has the whole log of another, without gaps.
    pub fn mirrored(&self, member: &str, log: &str) -> Value {
        let (node, other) = (self.node(member), self.node(log));
        until(&format!("whole log of {log} at {member}"), || {
            let size = other.size();
            let peer = node.peer(log);
            let whole = size > 0 && peer["mirrored"] == size && peer["gaps"] == 0;
            if whole { Ok(peer) } else { Err(format!("{peer}, the log has {size} entries")) }
        })
    }

    /// Waits until the originator holds the member's cosignature over a record.
    pub fn delivered(&self, from: &str, id: &str, member: &str) -> Value {
        until(&format!("delivery of {id} to {member}"), || {
            let delivery = self.node(from).get(&format!("/v1/records/{id}/delivery")).good();
            let members = delivery["members"].as_array().cloned().unwrap_or_default();
            let found = members.into_iter().find(|m| m["member"] == member);
            found.filter(|m| m["delivered"] == true).ok_or_else(|| delivery.to_string())
        })
    }

    /// Writes what an auditor of a member's log trusts.
    pub fn trust(&self, log: &str) -> PathBuf {
        let register = self.node(log).dir().join("register.json");
        let shown = done(&["register", "show", text(&register)]);
        let digest = shown["digest"].as_str().expect("a digest");
        let file = self.dir().join(format!("{log}.trust.toml"));
        let trust = format!("log = \"{log}\"\nregister = \"{digest}\"\nwitnesses = 2\n");
        fs::write(&file, trust).expect("a file");
        file
    }

    /// Audits the log of a running member until its files, which follow the node, hold all of it
    /// with the cosignatures of both other members.
    pub fn audited(&self, member: &str) {
        let (trust, node) = (self.trust(member), self.node(member));
        until(&format!("verified audit of {member}"), || {
            let (data, trust) = (node.data(), text(&trust));
            let output = run(&["--json", "audit", "verify", text(&data), "--trust", trust]);
            let report: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            let whole = output.status.success() && report["size"] == node.size();
            if whole { Ok(()) } else { Err(said(&output)) }
        });
    }
}
