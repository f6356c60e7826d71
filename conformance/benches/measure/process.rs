//! Nodes as processes of the real binary, and a plain HTTP client that keeps its connection.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// The federation's name.
pub const FEDERATION: &str = "measure.sealwire.example";
/// The community that all records are shared in.
pub const COMMUNITY: &str = "measured";
/// The two members; the first publishes.
pub const MEMBERS: [&str; 2] = ["ID", "SG"];
/// Longest wait for an answer of a node.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause before a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The node under measurement.
pub fn binary() -> anyhow::Result<PathBuf> {
    built("sealwire", "SEALWIRE_BIN")
}

/// The auditor's program under measurement.
pub fn auditor() -> anyhow::Result<PathBuf> {
    built("sealwire-audit", "SEALWIRE_AUDIT_BIN")
}

fn built(name: &str, variable: &str) -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Ok(named.into());
    }
    let own = std::env::current_exe().context("cannot find this program")?;
    let built = own.parent().and_then(Path::parent).map(|dir| dir.join(name));
    built.filter(|path| path.is_file()).with_context(|| {
        format!("cannot find {name}\nhint: cargo build --release, or name it with {variable}")
    })
}

/// Runs a command of the binary to its end, and reads what it says as JSON.
fn done(binary: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = clean(binary).arg("--json").args(arguments).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`sealwire {}` failed: {said}", arguments.join(" "));
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// The binary without settings from around.
pub fn clean(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for variable in ["SEALWIRE_TOKEN", "SEALWIRE_CONFIG", "SEALWIRE_URL", "SEALWIRE_LOG"] {
        command.env_remove(variable);
    }
    command
}

/// A member's directory.
#[derive(Clone)]
pub struct Place {
    pub dir: PathBuf,
    port: u16,
}

/// Makes both members and the signed register; returns the places and the register's digest.
pub fn found(binary: &Path, dir: &Path, record: &Value) -> anyhow::Result<(Vec<Place>, String)> {
    let draft = text(&dir.join("register.draft.json"))?;
    let (key, out) = (text(&dir.join("governor"))?, text(&dir.join("register.json"))?);
    let mut places = Vec::new();
    for member in MEMBERS {
        places.push(init(binary, dir, member)?);
    }
    let public = format!("{key}.pub.json");
    done(binary, &["register", "governor", "--seat", "seat", "--out", &key])?;
    done(
        binary,
        &[
            "register",
            "new",
            "--federation",
            FEDERATION,
            "--threshold",
            "1",
            "--out",
            &draft,
            "--governor",
            &public,
        ],
    )?;
    for place in &places {
        let introduction = text(&place.dir.join("member.json"))?;
        done(binary, &["register", "add", "member", "--draft", &draft, &introduction])?;
    }
    let purposes = record.pointer("/handling/purpose").and_then(Value::as_array);
    let purposes: Vec<&str> = purposes.into_iter().flatten().filter_map(Value::as_str).collect();
    let kind = record.get("kind").and_then(Value::as_str).unwrap_or_default();
    let kinds = format!("{kind},assistance-request");
    done(
        binary,
        &[
            "register",
            "add",
            "community",
            "--draft",
            &draft,
            "--id",
            COMMUNITY,
            "--title",
            "Measured",
            "--agreement",
            "measured-1",
            "--members",
            &MEMBERS.join(","),
            "--kinds",
            &kinds,
            "--classes",
            "open,core,operational,commercial,nominal,text",
            "--tlp",
            "AMBER+STRICT",
            "--purposes",
            &purposes.join(","),
            "--retention-days",
            "1825",
            "--witnesses",
            "1",
        ],
    )?;
    done(binary, &["register", "sign", "--draft", &draft, "--key", &key, "--out", &out])?;
    for place in &places {
        std::fs::copy(&out, place.dir.join("register.json"))?;
    }
    let shown = done(binary, &["register", "show", &out])?;
    let digest = shown.get("digest").and_then(Value::as_str).context("no register digest")?;
    Ok((places, digest.to_owned()))
}

/// A token of a new principal with one right.
pub fn token(binary: &Path, place: &Place, name: &str, right: &str) -> anyhow::Result<String> {
    let config = text(&place.dir.join("sealwire.toml"))?;
    let made = done(binary, &["token", "new", name, "--rights", right, "--config", &config])?;
    made.get("token").and_then(Value::as_str).map(str::to_owned).context("no token")
}

fn init(binary: &Path, around: &Path, member: &str) -> anyhow::Result<Place> {
    let (port, p2p) = (free_port()?, free_port()?);
    let dir = around.join(member);
    let quic = format!("/ip4/127.0.0.1/udp/{p2p}/quic-v1");
    let http = format!("127.0.0.1:{port}");
    done(
        binary,
        &[
            "init",
            "--no-passphrase",
            "--member",
            member,
            "--name",
            member,
            "--dir",
            &text(&dir)?,
            "--http-listen",
            &http,
            "--p2p-listen",
            &quic,
            "--address",
            &quic,
        ],
    )?;
    Ok(Place { dir, port })
}

/// A port that was free for TCP and UDP a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..20 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("cannot find a free port on 127.0.0.1")
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).context("cannot use a path that is not UTF-8")
}

/// A running node; it ends with this value.
pub struct Node {
    place: Place,
    token: String,
    child: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// Starts it and waits until it says that it is ready.
    pub fn start(binary: &Path, place: &Place) -> anyhow::Result<Self> {
        let log = File::create(place.dir.join("node.log"))?;
        let token = std::fs::read_to_string(place.dir.join("operator.token"))?.trim().to_owned();
        let child = clean(binary)
            .arg("run")
            .arg("--config")
            .arg(place.dir.join("sealwire.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start the node")?;
        let mut node = Self { place: place.clone(), token, child };
        wait("the node to be ready", Duration::from_secs(60), || {
            if let Some(status) = node.child.try_wait()? {
                let log = std::fs::read_to_string(node.place.dir.join("node.log"))?;
                bail!("the node ended with {status}: {log}");
            }
            let ready = node.connect().and_then(|mut c| c.call("GET", "/readyz", b""));
            Ok(ready.is_ok_and(|(status, _)| status == 200))
        })?;
        Ok(node)
    }

    /// Where its interface listens.
    pub fn port(&self) -> u16 {
        self.place.port
    }

    /// Its operator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A connection that is kept.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        self.connect_as(&self.token)
    }

    /// The same with another token.
    pub fn connect_as(&self, token: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.place.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Connection { stream: BufReader::new(stream), token: token.to_owned() })
    }

    /// Where its interface listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.place.port).into()
    }

    /// The bytes of a request that publishes one submission.
    pub fn request(&self, submission: &[u8]) -> anyhow::Result<Vec<u8>> {
        request(&self.token, "POST", "/v1/records", submission)
    }

    /// A resource as JSON, on a fresh connection.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.connect()?.call("GET", path, b"")?;
        ensure!(status == 200, "GET {path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }

    /// Size of its own log.
    pub fn size(&self) -> anyhow::Result<u64> {
        let status = self.get("/v1/status")?;
        status.get("size").and_then(Value::as_u64).context("cannot read the log's size")
    }

    /// Whether it is connected and holds all of the first `size` entries of `member`.
    pub fn holds(&self, member: &str, size: u64) -> anyhow::Result<bool> {
        let status = self.get("/v1/status")?;
        let peers = status.get("peers").and_then(Value::as_array).into_iter().flatten();
        let number = |peer: &Value, key: &str| peer.get(key).and_then(Value::as_u64);
        let mut peers =
            peers.filter(|peer| peer.get("member").and_then(Value::as_str) == Some(member));
        Ok(peers.any(|peer| {
            peer.get("connected") == Some(&Value::Bool(true))
                && number(peer, "mirrored") >= Some(size)
                && number(peer, "gaps") == Some(0)
        }))
    }

    /// Resident memory in MB.
    pub fn resident_mb(&self) -> anyhow::Result<f64> {
        memory_mb(self.child.id(), "VmRSS:")
    }
}

/// A figure of a process's memory, in MB (10^6 bytes).
pub fn memory_mb(process: u32, name: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: f64 = kib.with_context(|| format!("cannot read {name}"))?.trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// Runs a command to its end: how long it took, and its peak memory in MB. The peak is looked at
/// every few milliseconds while it runs.
pub fn to_the_end(command: &mut Command, at_most: Duration) -> anyhow::Result<(Duration, f64)> {
    let begun = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let (id, mut peak) = (child.id(), 0.0);
    wait("a command to end", at_most, || {
        // Gone with the process; what was seen last stands.
        peak = memory_mb(id, "VmHWM:").unwrap_or(peak);
        Ok(child.try_wait()?.is_some())
    })?;
    let time = begun.elapsed();
    ensure!(child.wait()?.success(), "{command:?} failed");
    Ok((time, peak))
}

/// Waits until `condition` holds; says how long that took.
pub fn wait(
    what: &str,
    at_most: Duration,
    mut condition: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    while !condition()? {
        ensure!(begun.elapsed() < at_most, "cannot wait longer for {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(begun.elapsed())
}

fn request(token: &str, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut request = Vec::with_capacity(body.len() + 512);
    write!(
        request,
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    request.extend_from_slice(body);
    Ok(request)
}

/// One HTTP/1.1 connection that is used again and again.
pub struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Connection {
    /// Sends a request and reads the whole answer.
    pub fn call(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        self.stream.get_mut().write_all(&request(&self.token, method, path, body)?)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("cannot read the answer's first line")?;
        let status: u16 = status.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the answer broke off");
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok((status, answer))
    }

    /// Publishes one submission; done when the node says that it is logged.
    pub fn publish(&mut self, submission: &[u8]) -> anyhow::Result<()> {
        let (status, answer) = self.call("POST", "/v1/records", submission)?;
        ensure!(status == 201, "refused: {status} {}", String::from_utf8_lossy(&answer));
        Ok(())
    }
}
