//! The section `[traffic]`.

use std::time::Duration;

use toml::de::DeTable;

use super::{Walk, section};
use crate::config::{
    DEFAULT_TICK_ENTRIES, MAX_TICK_ENTRIES, MAX_TICK_SECS, MIN_TICK_ENTRIES, Traffic,
};

const NAME: &str = "traffic";

impl Walk<'_> {
    /// `None` is a problem that was reported, `Some(None)` is no tick.
    pub(super) fn traffic(&mut self, root: &DeTable<'_>) -> Option<Option<Traffic>> {
        let what = "it is no number of entries";
        let bounds = MIN_TICK_ENTRIES..=MAX_TICK_ENTRIES;
        let entries = self.whole(root, (NAME, "entries"), what, DEFAULT_TICK_ENTRIES, bounds);
        let tick = match self.text(root, NAME, "tick") {
            Some((text, line)) => {
                let seconds = text.strip_suffix('s').and_then(|number| number.parse().ok());
                let seconds = seconds.filter(|seconds| (1..=MAX_TICK_SECS).contains(seconds));
                if seconds.is_none() {
                    let problem = format!("accept {NAME}.tick {text:?}: it is no time");
                    self.problem(line, problem, &format!("\"1s\" to \"{MAX_TICK_SECS}s\""));
                }
                seconds.map(Duration::from_secs)
            }
            None => {
                let given = section(root, NAME);
                if given.is_some_and(|table| {
                    table.contains_key("entries") && !table.contains_key("tick")
                }) {
                    let line = self.section_line(root, NAME);
                    let hint = "give how often the log grows, such as tick = \"10s\"";
                    self.problem(line, format!("find {NAME}.tick: it is missing"), hint);
                }
                return if given.is_some_and(|table| table.contains_key("tick")) {
                    None
                } else {
                    Some(None)
                };
            }
        };
        let entries = usize::try_from(entries?).unwrap_or(usize::MAX);
        Some(Some(Traffic { tick: tick?, entries }))
    }
}
