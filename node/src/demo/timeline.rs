//! The timeline: readable lines for people, one JSON object a line for programs.

use std::time::Instant;

use serde_json::Value;

use crate::cli::output::{Failure, Output};

/// Tells what happened, in one of the two forms.
pub(super) struct Timeline {
    output: Output,
    begun: Instant,
}

impl Timeline {
    pub fn new(output: Output) -> Self {
        Self { output, begun: Instant::now() }
    }

    /// Milliseconds since the beginning.
    pub fn elapsed_ms(&self) -> u64 {
        millis(self.begun)
    }

    /// A line for people; programs get none.
    pub fn tell(&self, member: &str, text: &str) -> anyhow::Result<()> {
        if self.output.json() {
            return Ok(());
        }
        let line = if member.is_empty() {
            text.to_owned()
        } else {
            format!("{:>7.3} s  {member}  {text}", self.begun.elapsed().as_secs_f64())
        };
        self.output.line(line).map_err(Failure::into_error)
    }

    /// An event for programs; people get none.
    pub fn event(&self, event: &Value) -> anyhow::Result<()> {
        if !self.output.json() {
            return Ok(());
        }
        self.output.line(event).map_err(Failure::into_error)
    }
}

/// Milliseconds since an instant.
pub(super) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
