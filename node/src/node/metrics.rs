//! Counts and sizes for operators, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::NodeHandle;

impl NodeHandle {
    /// Counts in the Prometheus text format.
    pub fn metrics(&self) -> String {
        let counters = &self.inner.counters;
        let mut text = String::new();
        let mut counter = |name: &str, help: &str, value: u64| {
            let _ = writeln!(
                text,
                "# HELP sealwire_{name} {help}\n# TYPE sealwire_{name} counter\nsealwire_{name} {value}"
            );
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        counter("records_published_total", "Records published here.", read(&counters.published));
        counter(
            "records_refused_total",
            "Records refused at publication.",
            read(&counters.refused),
        );
        counter("messages_accepted_total", "Gossip messages accepted.", read(&counters.accepted));
        counter("messages_ignored_total", "Gossip messages ignored.", read(&counters.ignored));
        counter(
            "messages_rejected_total",
            "Messages and answers rejected as forged or malformed.",
            read(&counters.rejected),
        );
        counter(
            "entries_quarantined_total",
            "Entries of peers quarantined.",
            read(&counters.quarantined),
        );
        counter("peers_refused_total", "Connections refused.", read(&counters.peers_refused));
        counter("commits_total", "Journal commits.", read(&counters.commits));
        counter(
            "commit_failures_total",
            "Journal commits that failed.",
            read(&counters.commit_failures),
        );
        counter("facts_total", "Facts made durable.", read(&counters.facts));
        counter(
            "orders_dropped_total",
            "Network orders dropped because the queue was full.",
            read(&counters.orders_dropped),
        );
        counter(
            "announcements_not_sent_total",
            "Announcements that found no peer.",
            read(&counters.not_announced),
        );
        counter("alarms_total", "Logs that contradicted themselves.", read(&counters.alarms));
        let status = self.status();
        let mut gauge = |name: &str, labels: &str, value: u64| {
            let _ = writeln!(text, "sealwire_{name}{labels} {value}");
        };
        gauge("log_size", "", status.size);
        gauge("entries_held", "", self.inner.context.reader.entry_count());
        gauge("ready", "", u64::from(status.ready));
        gauge("register_version", "", status.register_version);
        for peer in status.peers {
            let label = format!("{{member=\"{}\"}}", peer.member);
            gauge("peer_connected", &label, u64::from(peer.connected));
            gauge("peer_mirrored", &label, peer.mirrored);
            gauge("peer_announced", &label, peer.announced);
            gauge("peer_gaps", &label, peer.gaps as u64);
            gauge("peer_cosigned_ours", &label, peer.cosigned_ours);
        }
        text
    }
}
