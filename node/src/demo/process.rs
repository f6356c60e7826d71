//! Processes of this very program: commands that end, and nodes that run.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{LOOK_AGAIN, PATIENCE};
use crate::cli::client::{Client, TOKEN_VARIABLE, read_token};
use crate::cli::output::Failure;

/// Name of a node's log in its directory.
const NODE_LOG: &str = "node.log";
/// Lines of a node's log that are shown when it ended by itself.
const LAST_LINES: usize = 12;

/// What a command answered.
pub(super) struct Answer {
    pub code: i32,
    pub json: Value,
    pub stderr: String,
}

/// Runs a command of this program with `--json` to its end, within a bounded time.
pub(super) fn command(dir: &Path, arguments: &[&str]) -> anyhow::Result<Answer> {
    let shown = arguments.join(" ");
    let context = || format!("cannot run `sealwire {shown}`");
    // Files, not pipes: nothing blocks, however much is said.
    let out = tempfile::NamedTempFile::new_in(dir).with_context(context)?;
    let err = tempfile::NamedTempFile::new_in(dir).with_context(context)?;
    let mut child = Ended(
        program()?
            .arg("--json")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.reopen().with_context(context)?)
            .stderr(err.reopen().with_context(context)?)
            .spawn()
            .with_context(context)?,
    );
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.0.try_wait().with_context(context)? {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            bail!("cannot wait for `sealwire {shown}`: no end after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(LOOK_AGAIN);
    };
    let text = std::fs::read_to_string(out.path()).with_context(context)?;
    Ok(Answer {
        code: status.code().unwrap_or(-1),
        json: serde_json::from_str(text.trim()).unwrap_or(Value::Null),
        stderr: std::fs::read_to_string(err.path()).with_context(context)?.trim().to_owned(),
    })
}

/// The same for a command that has to succeed.
pub(super) fn done(dir: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let answer = command(dir, arguments)?;
    if answer.code != 0 {
        bail!(
            "`sealwire {}` ended with code {}: {}",
            arguments.join(" "),
            answer.code,
            answer.stderr
        );
    }
    Ok(answer.json)
}

/// This program, with nothing of the caller's own configuration.
fn program() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    for variable in [
        TOKEN_VARIABLE,
        "SEALWIRE_CONFIG",
        "SEALWIRE_URL",
        "SEALWIRE_LOG",
        "SEALWIRE_PASSPHRASE_FILE",
    ] {
        command.env_remove(variable);
    }
    Ok(command)
}

/// The last lines of the log of the node in `dir`; nothing if there is none.
pub(super) fn last_lines(dir: &Path) -> String {
    let log = std::fs::read_to_string(dir.join(NODE_LOG)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
    last.join("\n")
}

/// A process that ends, at the latest, with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is needed to start a member's node.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub member: &'static str,
    pub name: &'static str,
    pub dir: PathBuf,
    pub http_port: u16,
    pub p2p_port: u16,
}

impl Place {
    pub fn config(&self) -> PathBuf {
        self.dir.join("sealwire.toml")
    }

    pub fn token_file(&self) -> PathBuf {
        self.dir.join("operator.token")
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    fn log(&self) -> PathBuf {
        self.dir.join(NODE_LOG)
    }
}

/// A running node.
pub(super) struct Node {
    place: Place,
    pub client: Client,
    process: Mutex<Ended>,
    pid: u32,
}

impl Node {
    /// Starts `sealwire run`; whether it is ready is another question.
    pub fn start(place: Place) -> anyhow::Result<Self> {
        let context = || format!("cannot start the node of {}", place.member);
        let log = File::create(place.log()).with_context(context)?;
        let child = program()?
            .arg("run")
            .arg("--config")
            .arg(place.config())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(context)?;
        let pid = child.id();
        let process = Mutex::new(Ended(child));
        let token = read_token(&place.token_file()).map_err(Failure::into_error)?;
        let client = Client::new(&place.url(), token, None).map_err(Failure::into_error)?;
        Ok(Self { client, process, pid, place })
    }

    pub fn member(&self) -> &'static str {
        self.place.member
    }

    pub fn name(&self) -> &'static str {
        self.place.name
    }

    pub fn dir(&self) -> &Path {
        &self.place.dir
    }

    pub fn config(&self) -> PathBuf {
        self.place.config()
    }

    pub fn token_file(&self) -> PathBuf {
        self.place.token_file()
    }

    pub fn url(&self) -> String {
        self.place.url()
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process has ended by itself.
    pub fn ended(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(process.0.try_wait(), Ok(None))
    }

    /// What it said last.
    pub fn obituary(&self) -> String {
        format!("the node of {} ended by itself:\n{}", self.member(), last_lines(self.dir()))
    }

    /// Where programs reach it.
    pub fn describe(&self) -> Value {
        json!({
            "member": self.member(),
            "url": self.url(),
            "pid": self.pid,
            "config": self.config(),
            "tokenFile": self.token_file(),
        })
    }

    /// A resource as JSON, or the status and problem as text.
    pub fn get(&self, path: &str) -> anyhow::Result<Result<Value, String>> {
        match self.client.get(path) {
            Ok(answer) if answer.status == 200 => {
                answer.json().map(Ok).map_err(Failure::into_error)
            }
            Ok(answer) => {
                Ok(Err(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))))
            }
            Err(_) if self.ended() => bail!("{}", self.obituary()),
            Err(failure) => Ok(Err(failure.into_error().to_string())),
        }
    }
}
