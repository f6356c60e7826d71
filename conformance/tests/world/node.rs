//! One node: its process, and its interface as a program of the administration uses it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::{HeaderMap, Request};

use super::{alone, done, program, sealwire, text, until};

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What the node answered; no status is no answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    pub bytes: Vec<u8>,
    headers: HeaderMap,
}

impl Answer {
    fn none(cause: String) -> Self {
        Self { status: 0, text: cause, bytes: Vec::new(), headers: HeaderMap::new() }
    }

    /// A header, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The body of an answer that has to be good.
    pub fn good(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }

    /// The body, if the status is as wanted.
    pub fn with(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

/// An event stream that was opened.
pub struct Stream(Box<dyn std::io::BufRead + Send>);

impl Stream {
    /// The next event that is no comment.
    pub fn next(&mut self) -> Event {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line).expect("a line of the stream");
            assert!(read > 0, "the stream ended");
            match line.trim_end().split_once(':') {
                Some(("id", value)) => event.id = value.trim().to_owned(),
                Some(("event", value)) => event.name = value.trim().to_owned(),
                Some(("data", value)) => event.data = serde_json::from_str(value).expect("JSON"),
                None if !event.id.is_empty() => return event,
                _ => {}
            }
        }
    }
}

/// A member's directory, and its process if it runs.
pub struct Node {
    member: String,
    dir: PathBuf,
    url: String,
    token: String,
    agent: ureq::Agent,
    /// A command that the node runs under; none for most.
    wrapper: Vec<String>,
    /// Variables of its environment.
    variables: Vec<(&'static str, PathBuf)>,
    process: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.join("node.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
            eprintln!("--- the node of {} said last:\n{}", self.member, last.join("\n"));
        }
    }
}

impl Node {
    pub fn new(member: &str, dir: PathBuf, url: String) -> Self {
        let token = fs::read_to_string(dir.join("operator.token")).expect("a token");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(ANSWER_TIMEOUT))
            .max_idle_connections(0)
            .build()
            .into();
        Self {
            member: member.to_owned(),
            dir,
            url,
            token: token.trim().to_owned(),
            agent,
            wrapper: Vec::new(),
            variables: Vec::new(),
            process: None,
        }
    }

    /// Has the process started by a command of its own, which has to become it at last.
    pub fn wrap(&mut self, command: &[&str]) {
        self.wrapper = command.iter().map(|&word| word.to_owned()).collect();
    }

    /// Puts its keys under a passphrase, and has the process find it in a file, which is given.
    pub fn cover(&mut self) -> PathBuf {
        let file = self.dir.join("passphrase");
        fs::write(&file, "nine words that nobody would ever guess\n").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
        let config = self.config();
        done(&[
            "keys",
            "passphrase",
            "--config",
            text(&config),
            "--new-passphrase-file",
            text(&file),
        ]);
        self.variable("SEALWIRE_PASSPHRASE_FILE", file.clone());
        file
    }

    /// Sets a variable of its environment.
    pub fn variable(&mut self, name: &'static str, value: PathBuf) {
        self.variables.push((name, value));
    }

    /// Gives the process a clock that [`Self::advance`] sets forward, by Debian's libfaketime: the
    /// program itself knows nothing of it.
    pub fn own_clock(&mut self) {
        let library = fs::read_dir("/usr/lib")
            .expect("a directory")
            .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
            .find(|path| path.is_file())
            .expect("cannot find libfaketime\nhint: apt-get install libfaketime");
        self.advance(0);
        self.variable("LD_PRELOAD", library);
        self.variable("FAKETIME_TIMESTAMP_FILE", self.dir.join("clock"));
        self.variable("FAKETIME_CACHE_DURATION", "1".into());
        self.variable("DONT_FAKE_MONOTONIC", "1".into());
    }

    /// Sets the clock of the process so many days after that of this machine.
    pub fn advance(&self, days: i64) {
        fs::write(self.dir.join("clock"), format!("+{days}d\n")).expect("a file");
    }

    /// The variables of its environment.
    pub fn variables(&self) -> &[(&'static str, PathBuf)] {
        &self.variables
    }

    /// Leaves its environment as it is.
    pub fn forget_variables(&mut self) {
        self.variables.clear();
    }

    /// What the kernel says of the running process, in a file of its directory in `/proc`.
    pub fn process_file(&self, name: &str) -> PathBuf {
        let pid = self.process.as_ref().expect("a running node").id();
        PathBuf::from(format!("/proc/{pid}/{name}"))
    }

    /// All memory of the process that can be read and written, as a debugger would dump it.
    pub fn memory(&self) -> std::io::Result<Vec<u8>> {
        let maps = fs::read_to_string(self.process_file("maps"))?;
        let mut mem = File::open(self.process_file("mem"))?;
        let mut all = Vec::new();
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (range, _) = line.split_once(' ').unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let at = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
            mem.seek(SeekFrom::Start(at(from)))?;
            let mut rest = usize::try_from(at(to) - at(from)).unwrap();
            let mut chunk = [0; 64 * 1024];
            while rest > 0 {
                let pages = &mut chunk[..rest.min(64 * 1024)];
                rest -= pages.len();
                // A page that the kernel keeps for itself cannot be read.
                if mem.read_exact(pages).is_err() {
                    break;
                }
                // Most of what an allocator has reserved was never used.
                if pages.iter().any(|byte| *byte != 0) {
                    all.extend_from_slice(pages);
                }
            }
        }
        Ok(all)
    }

    pub fn member(&self) -> &str {
        &self.member
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("sealwire.toml")
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// The same member with its files elsewhere.
    pub fn at(&self, dir: PathBuf) -> Self {
        let mut other = Self::new(&self.member, dir, self.url.clone());
        other.variables = self.variables.clone();
        other
    }

    /// Starts the process, whatever comes of it.
    pub fn launch(&mut self) {
        self.launch_with(&[]);
    }

    fn launch_with(&mut self, arguments: &[&str]) {
        assert!(self.process.is_none(), "{} runs already", self.member);
        let log = File::options().create(true).append(true).open(self.dir.join("node.log"));
        let mut command = match self.wrapper.split_first() {
            None => sealwire(),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program("sealwire"));
                alone(command)
            }
        };
        let child = command
            .args(["run", "--config", text(&self.config())])
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn();
        self.process = Some(child.expect("a process"));
    }

    /// What the process sees at a path, which may be a mount of its own.
    pub fn seen(&self, path: &Path) -> PathBuf {
        let pid = self.process.as_ref().expect("a running node").id();
        let inside = path.strip_prefix("/").expect("a path from the root");
        PathBuf::from(format!("/proc/{pid}/root")).join(inside)
    }

    /// Starts the process and waits until it is ready.
    pub fn start(&mut self) {
        self.launch();
        self.ready(200);
    }

    /// The same with further arguments.
    pub fn start_with(&mut self, arguments: &[&str]) {
        self.launch_with(arguments);
        self.ready(200);
    }

    /// Waits until the running process says whether it is ready: 200, or 503 if it is not.
    pub fn ready(&mut self, status: u16) {
        until(&format!("readiness of {}", self.member), || {
            let ended = self.process.as_mut().and_then(|p| p.try_wait().ok().flatten());
            assert!(ended.is_none(), "the node of {} ended: {ended:?}", self.member);
            let answer = self.get("/readyz");
            if answer.status == status { Ok(()) } else { Err(format!("{answer:?}")) }
        });
    }

    /// Starts a process that is to refuse, and gives its code and what it said.
    pub fn refuses_to_start(&self) -> (i32, String) {
        let mut child = sealwire()
            .args(["run", "--config", text(&self.config())])
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .stdout(Stdio::null())
            .stderr(File::create(self.dir.join("refused.log")).expect("a log"))
            .spawn()
            .map(Ended)
            .expect("a process");
        let code = until("end of a node that is to refuse", || {
            let status = child.0.try_wait().map_err(|e| e.to_string())?;
            status.and_then(|s| s.code()).ok_or_else(|| "it runs".to_owned())
        });
        (code, fs::read_to_string(self.dir.join("refused.log")).expect("a log"))
    }

    /// Ends the process in order, as an operator does.
    pub fn stop(&mut self) {
        let mut child = self.process.take().expect("a running node");
        let pid = child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        assert!(told.success());
        let status = until(&format!("end of the node of {}", self.member), || {
            child.try_wait().map_err(|e| e.to_string())?.ok_or_else(|| "it runs".to_owned())
        });
        assert!(status.success(), "the node of {} ended with {status}", self.member);
    }

    /// Ends the process at once, as a power cut does.
    pub fn kill(&mut self) {
        if let Some(child) = self.process.take() {
            drop(Ended(child));
        }
    }

    /// Cuts the power: the process gets no chance to end in order. It is collected by `kill`.
    pub fn cut_power(&self) {
        let pid = self.process.as_ref().expect("a running node").id().to_string();
        let told = Command::new("kill").args(["-KILL", &pid]).status().expect("kill");
        assert!(told.success());
    }

    /// Limits the length of every file that the process writes, in bytes or as `unlimited`.
    pub fn limit_files(&self, bytes: &str) {
        let pid = self.process.as_ref().expect("a running node").id().to_string();
        let limit = format!("--fsize={bytes}:");
        let told = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
        assert!(
            told.as_ref().is_ok_and(|status| status.success()),
            "cannot limit the files of a process: {told:?}\nhint: install util-linux"
        );
    }

    /// Sends a request with any headers.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = if body.is_empty() {
            self.agent.run(request.body(()).expect("a request"))
        } else {
            self.agent.run(request.body(body).expect("a request"))
        };
        match answer {
            Ok(mut answer) => {
                let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec();
                match body {
                    Ok(bytes) => {
                        let text = String::from_utf8_lossy(&bytes).into();
                        Answer { status, text, bytes, headers }
                    }
                    Err(cause) => Answer::none(cause.to_string()),
                }
            }
            Err(cause) => Answer::none(cause.to_string()),
        }
    }

    /// Makes a token, and gives the header value that proves it.
    pub fn token(&self, arguments: &[&str]) -> String {
        let made = done(&[&["token", "new", "--config", text(&self.config())], arguments].concat());
        format!("Bearer {}", made["token"].as_str().expect("a token"))
    }

    /// Asks as the operator.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("authorization", &self.bearer())], b"")
    }

    /// Publishes as the operator.
    pub fn post(&self, body: &[u8], key: Option<&str>) -> Answer {
        let bearer = self.bearer();
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        self.send("POST", "/v1/records", &headers, body)
    }

    /// Publishes a record to a community.
    pub fn publish(&self, community: &str, record: &Value) -> Value {
        let body = json!({"community": community, "record": record});
        self.post(body.to_string().as_bytes(), None).with(201)
    }

    /// The header value that proves the operator.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Opens the stream of records after a cursor.
    pub fn stream(&self, last_event_id: &str) -> Stream {
        let request = Request::builder()
            .uri(format!("{}/v1/stream", self.url))
            .header("authorization", self.bearer())
            .header("last-event-id", last_event_id)
            .body(())
            .expect("a request");
        let answer = self.agent.run(request).expect("a stream");
        assert_eq!(answer.status().as_u16(), 200);
        Stream(Box::new(BufReader::new(answer.into_body().into_reader())))
    }

    /// Size of its log.
    pub fn size(&self) -> u64 {
        self.get("/v1/status").good()["size"].as_u64().expect("a size")
    }

    /// Size of its log, once it has announced its seal key and the register.
    pub fn announced(&self) -> u64 {
        until(&format!("announcement of {}", self.member), || {
            let size = self.size();
            if size >= 2 { Ok(size) } else { Err(format!("{size} entries")) }
        })
    }

    /// What it says of a peer.
    pub fn peer(&self, member: &str) -> Value {
        let status = self.get("/v1/status").good();
        let peers = status["peers"].as_array().cloned().unwrap_or_default();
        peers.into_iter().find(|peer| peer["member"] == member).unwrap_or(Value::Null)
    }

    /// A record, once it is there.
    pub fn record(&self, id: &str) -> Value {
        until(&format!("record {id} at {}", self.member), || {
            let answer = self.get(&format!("/v1/records/{id}"));
            if answer.status == 200 { Ok(answer.json()) } else { Err(format!("{answer:?}")) }
        })
    }

    /// All records, as they arrived.
    pub fn records(&self) -> Value {
        self.get("/v1/records?limit=500").with(200)["records"].take()
    }

    /// A number from its metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").text;
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("a metric")
    }

    /// Publishes by the command, the record through standard input.
    pub fn publish_by_command(&self, record: &Value, arguments: &[&str]) -> std::process::Output {
        let mut child = sealwire()
            .args(["--json", "publish", "-", "--config", text(&self.config())])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut stdin = child.stdin.take().expect("standard input");
        stdin.write_all(record.to_string().as_bytes()).expect("a written record");
        drop(stdin);
        child.wait_with_output().expect("an ended process")
    }
}

/// A process that ends, at the latest, with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
