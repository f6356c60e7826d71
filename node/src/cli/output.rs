//! What a command says, and with which code it ends.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; the answer is yes.
    Done = 0,
    /// Refused, or the answer is no.
    Refused = 1,
    /// Cannot decide.
    Undecided = 2,
    /// A fault.
    Fault = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was told.
#[derive(Debug)]
pub enum Failure {
    /// The input is at fault.
    Refused(String),
    /// The node refused, with its problem document.
    Problem(Value),
    /// The usage is at fault, or something is missing.
    Usage(String),
    /// We are at fault, or the machine.
    Fault(anyhow::Error),
}

impl Failure {
    /// The input is at fault.
    pub fn refused(cause: impl Into<anyhow::Error>) -> Self {
        Self::Refused(chain(&cause.into()))
    }

    /// The usage is at fault.
    pub fn usage(cause: impl Display) -> Self {
        Self::Usage(cause.to_string())
    }

    /// The same as an error with its whole text.
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Self::Refused(text) | Self::Usage(text) => anyhow::Error::msg(text),
            Self::Problem(problem) => anyhow::Error::msg(problem_text(&problem)),
            Self::Fault(cause) => cause,
        }
    }

    /// We are at fault.
    pub fn fault(cause: impl Into<anyhow::Error>) -> Self {
        Self::Fault(cause.into())
    }
}

impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Self {
        Self::fault(cause)
    }
}

/// Where data goes, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Data to standard output, as JSON or as text.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether data is JSON.
    pub fn json(self) -> bool {
        self.json
    }

    /// Says the same in one form or the other.
    pub fn say(self, json: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json {
            let line = serde_json::to_string(json).map_err(Failure::fault)?;
            return self.line(line);
        }
        self.line(text)
    }

    /// Writes a line of data.
    pub fn line(self, line: impl Display) -> Result<(), Failure> {
        self.raw(format!("{line}\n").as_bytes())
    }

    /// Writes bytes of data as they are.
    pub fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        match written {
            // The reader has seen enough, as `head` does.
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => Ok(other?),
        }
    }

    /// Writes a line for the user, beside the data.
    pub fn note(self, line: impl Display) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Says why a command failed, and gives its code.
    pub fn fail(self, failure: Failure) -> Exit {
        match failure {
            Failure::Refused(text) => {
                if self.json {
                    let _ = self.line(serde_json::json!({"refused": text}));
                }
                self.note(text);
                Exit::Refused
            }
            Failure::Problem(problem) => {
                if self.json {
                    let _ = self.line(&problem);
                } else {
                    self.note(problem_text(&problem));
                }
                match problem.get("status").and_then(Value::as_u64) {
                    Some(401 | 403) => Exit::Undecided,
                    Some(500..) => Exit::Fault,
                    _ => Exit::Refused,
                }
            }
            Failure::Usage(text) => {
                self.note(text);
                Exit::Undecided
            }
            Failure::Fault(cause) => {
                self.note(chain(&cause));
                Exit::Fault
            }
        }
    }
}

/// A problem document as text: what, the hint, and each finding.
pub fn problem_text(problem: &Value) -> String {
    let text = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut lines = format!(
        "{} [{}]\nhint: {}",
        text(problem, "detail"),
        text(problem, "code"),
        text(problem, "hint")
    );
    for finding in problem.get("findings").and_then(Value::as_array).into_iter().flatten() {
        lines.push('\n');
        lines.push_str(&finding_text(finding));
    }
    lines
}

/// One finding as text.
pub fn finding_text(finding: &Value) -> String {
    let text = |key: &str| finding.get(key).and_then(Value::as_str).unwrap_or_default();
    let pointer = text("pointer");
    let pointer = if pointer.is_empty() { "/" } else { pointer };
    format!("  {pointer}: {} [{}]\n    hint: {}", text("message"), text("code"), text("hint"))
}

/// An error with its causes, leaving out those that the text above them already tells.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
