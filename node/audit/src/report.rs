//! What an audit found, as text and as JSON.

use std::fmt;

use serde::Serialize;

use crate::Options;

/// What a pass does not prove; part of every report.
const NOT_PROVED: [&str; 4] = [
    "that the content of a record is true",
    "that the member published everything it ought to have published",
    "what parts above class core say: they are sealed, and only their lengths were checked",
    "that the log has not grown after the checkpoint that was checked",
];

/// Said when the standard was left out.
const NOT_ASKED: &str = "that the opened records are valid against the standard: left out";

/// The outcome of an audit or of one of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Checked, and holds.
    Verified,
    /// Cannot be decided with what is there.
    Undecided,
    /// Checked, and does not hold.
    Refuted,
}

/// One numbered step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// Its outcome.
    pub verdict: Verdict,
    /// What was checked, or what failed and where.
    pub detail: String,
}

/// What an audit found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Origin of the log, if it is known.
    pub origin: Option<String>,
    /// Size that was checked.
    pub size: u64,
    /// The outcome: the worst of the steps.
    pub verdict: Verdict,
    /// The steps, as far as they were taken.
    pub steps: Vec<Step>,
    /// What a pass does not prove.
    pub not_proved: Vec<&'static str>,
}

impl Report {
    /// A report without steps yet.
    pub fn new(options: Options) -> Self {
        let skipped = (!options.standard).then_some(NOT_ASKED);
        Self::empty(NOT_PROVED.into_iter().chain(skipped).collect())
    }

    /// A report without steps yet, and what it will not prove.
    pub fn empty(not_proved: Vec<&'static str>) -> Self {
        let (verdict, steps) = (Verdict::Verified, Vec::new());
        Self { origin: None, size: 0, verdict, steps, not_proved }
    }

    /// Nothing can be decided: there is no usable trust file.
    pub fn untrusted(cause: String) -> Self {
        let mut report = Self::new(Options::default());
        report.add(1, "trust file", Verdict::Undecided, cause);
        report
    }

    /// Adds a step.
    pub fn add(&mut self, number: u8, name: &'static str, verdict: Verdict, detail: String) {
        self.verdict = self.verdict.max(verdict);
        self.steps.push(Step { number, name, verdict, detail });
    }

    /// 0 verified, 1 refuted, 2 cannot decide.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Verified => 0,
            Verdict::Refuted => 1,
            Verdict::Undecided => 2,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let word = match step.verdict {
                Verdict::Verified => "ok",
                Verdict::Undecided => "undecided",
                Verdict::Refuted => "REFUTED",
            };
            writeln!(f, "{}. {:<22} {word:<10} {}", step.number, step.name, step.detail)?;
        }
        let origin = self.origin.as_deref().unwrap_or("the log");
        match self.verdict {
            Verdict::Verified => {
                writeln!(f, "verified: {origin}, {} entries. This does not prove", self.size)?;
                self.not_proved.iter().try_for_each(|line| writeln!(f, "  - {line}"))
            }
            Verdict::Undecided => writeln!(f, "cannot decide about {origin}"),
            Verdict::Refuted => writeln!(f, "refuted: {origin} is not what it claims to be"),
        }
    }
}
