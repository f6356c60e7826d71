//! Counts and sizes for operators, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::NodeHandle;

/// Makes [`Counters`]: one line for each counter, with its name and help in the metrics.
macro_rules! counters {
    ($($field:ident $name:literal $help:literal;)*) => {
        /// Counts for operators, from zero at each start.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(super) $field: AtomicU64,)*
        }

        impl Counters {
            /// Name, help and value of each.
            fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($name, $help, self.$field.load(Ordering::Relaxed)),)*].into_iter()
            }
        }
    };
}

counters! {
    published "records_published_total" "Records published here.";
    dummies "dummy_entries_total" "Entries made to fill the publishing tick.";
    refused "records_refused_total" "Records refused at publication.";
    accepted "messages_accepted_total" "Gossip messages accepted.";
    ignored "messages_ignored_total" "Gossip messages ignored.";
    rejected "messages_rejected_total" "Messages and answers rejected as forged or malformed.";
    quarantined "entries_quarantined_total" "Entries of peers quarantined.";
    peers_refused "peers_refused_total" "Connections refused.";
    commits "commits_total" "Journal commits.";
    commit_failures "commit_failures_total" "Journal commits that failed.";
    facts "facts_total" "Facts made durable.";
    orders_dropped "orders_dropped_total" "Network orders dropped because the queue was full.";
    not_announced "announcements_not_sent_total" "Announcements that found no peer.";
    alarms "alarms_total" "Logs that contradicted themselves.";
    register_forks "register_forks_total" "Other registers found, validly signed, of a version held here.";
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl NodeHandle {
    /// Counts in the Prometheus text format.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        for (name, help, value) in self.inner.counters.each() {
            let _ = writeln!(
                text,
                "# HELP sealwire_{name} {help}\n# TYPE sealwire_{name} counter\nsealwire_{name} {value}"
            );
        }
        let status = self.status();
        let mut gauge = |name: &str, labels: &str, value: u64| {
            let _ = writeln!(text, "sealwire_{name}{labels} {value}");
        };
        gauge("log_size", "", status.size);
        gauge("entries_held", "", self.inner.context.reader.entry_count());
        gauge("ready", "", u64::from(status.ready));
        gauge("register_version", "", status.register_version);
        gauge("drafts", "", status.drafts as u64);
        gauge("deliveries_overdue", "", status.overdue as u64);
        {
            let notices = self.inner.notices.lock().unwrap_or_else(PoisonError::into_inner);
            for (days, count) in &notices.due {
                gauge("retention_due", &format!("{{within_days=\"{days}\"}}"), *count as u64);
            }
            gauge("attestations_missing", "", notices.missing as u64);
        }
        if let Ok(tasks) = self.tasks() {
            gauge("amendments_to_acknowledge", "", tasks.to_acknowledge.len() as u64);
            gauge("amendments_unacknowledged", "", tasks.unacknowledged.len() as u64);
            gauge("disputes_open", "", tasks.disputes.len() as u64);
        }
        let expires = self.inner.context.register().expires_unix();
        gauge("register_expires_seconds", "", u64::try_from(expires).unwrap_or_default());
        gauge("register_forks", "", status.register_forks.len() as u64);
        for peer in status.peers {
            let label = format!("{{member=\"{}\"}}", peer.member);
            gauge("peer_connected", &label, u64::from(peer.connected));
            gauge("peer_mirrored", &label, peer.mirrored);
            gauge("peer_announced", &label, peer.announced);
            gauge("peer_gaps", &label, peer.gaps as u64);
            gauge("peer_cosigned_ours", &label, peer.cosigned_ours);
            gauge("peer_stale", &label, u64::from(peer.stale));
            gauge("peer_cosigned_ours_pq", &label, peer.cosigned_ours_pq);
        }
        text
    }
}
