//! What a node says of itself: its log, its peers, and why it is not ready.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use sealwire_wire::id::MemberId;
use sealwire_wire::register::{Expiry, Register, Status as MemberStatus};
use serde::Serialize;

use crate::delivery;

use super::{NodeHandle, REGISTER_GRACE_SECS, driver};

/// One peer in a [`Status`].
#[derive(Debug, Clone, Serialize)]
pub struct PeerStatus {
    /// The member.
    pub member: MemberId,
    /// Whether its node is connected.
    pub connected: bool,
    /// Leaves of its log verified here.
    pub mirrored: u64,
    /// Size that it is known to have signed.
    pub announced: u64,
    /// Size of its log that we cosigned.
    pub cosigned: u64,
    /// Indexes of its log neither held nor answered for.
    pub gaps: usize,
    /// Size of our log that it cosigned last.
    pub cosigned_ours: u64,
    /// The same, with ML-DSA-44; 0 for none.
    pub cosigned_ours_pq: u64,
    /// Since when it has not cosigned the head of our log, in milliseconds since 1970.
    pub behind_since: Option<u64>,
    /// Whether that is longer than [`delivery::STALE_AFTER_MS`].
    pub stale: bool,
    /// Whether its log contradicted itself.
    pub stopped: bool,
}

/// The publishing tick in a [`Status`].
#[derive(Debug, Clone, Serialize)]
pub struct TrafficStatus {
    /// How often our log grows, in seconds.
    pub tick_seconds: u64,
    /// By how many entries each time.
    pub entries: usize,
    /// Dummies made since the start.
    pub dummies: u64,
}

/// The node's state.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Who we are.
    pub member: MemberId,
    /// The federation.
    pub federation: String,
    /// Version of the register in force.
    pub register_version: u64,
    /// Its fingerprint.
    pub register_fingerprint: String,
    /// When it expires (RFC 3339).
    pub register_expires: String,
    /// Other registers of versions held here, validly signed: files in `evidence/`.
    pub register_forks: Vec<String>,
    /// Size of our log.
    pub size: u64,
    /// Drafts that wait until this node may sign.
    pub drafts: usize,
    /// Records of ours that have not come to as many members as they should have by now; of the
    /// newest [`delivery::MAX_OVERDUE_LOOKED_AT`] entries.
    pub overdue: usize,
    /// The publishing tick, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStatus>,
    /// The other members.
    pub peers: Vec<PeerStatus>,
    /// Whether records can be published and read.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

impl NodeHandle {
    /// The node's state.
    pub fn status(&self) -> Status {
        let context = &self.inner.context;
        let register = context.register();
        let snapshot = self.inner.snapshot.borrow().clone();
        let now = driver::unix_ms();
        let cosigned: BTreeMap<MemberId, u64> =
            context.reader.cosignatures(&context.own).into_iter().map(|c| (c.by, c.size)).collect();
        let peers = register.members().filter(|m| m.id != context.own).map(|member| {
            let mirror = snapshot.mirrors.get(&member.id).cloned().unwrap_or_default();
            let cosigned_ours = cosigned.get(&member.id).copied().unwrap_or(0);
            let behind_since = Some(cosigned_ours)
                .filter(|_| member.status == MemberStatus::Active)
                .and_then(|cosigned| delivery::behind_since(context, cosigned));
            PeerStatus {
                member: member.id.clone(),
                connected: snapshot.connected.contains(&member.id),
                mirrored: mirror.size,
                announced: mirror.announced,
                cosigned: mirror.cosigned,
                gaps: mirror.gaps,
                cosigned_ours,
                cosigned_ours_pq: context.reader.pq_cosigned(&context.own, &member.id),
                behind_since,
                stale: delivery::is_stale(behind_since, now),
                stopped: mirror.stopped,
            }
        });
        let peers = peers.collect();
        let mut reasons: Vec<String> = snapshot.fault.into_iter().collect();
        reasons.extend(self.inner.guard.reason());
        if register_expiry(&register) == Expiry::Expired {
            reasons.push("the register has expired and its grace period is over".to_owned());
        }
        Status {
            member: context.own.clone(),
            federation: register.federation().to_owned(),
            register_version: register.version(),
            register_fingerprint: register.fingerprint(),
            register_expires: utc(register.expires_unix()),
            register_forks: context.reader.register_forks(),
            size: snapshot.size,
            drafts: self.inner.drafts.list().len(),
            overdue: delivery::overdue(context, now).len(),
            traffic: self.inner.traffic.as_ref().map(|traffic| TrafficStatus {
                tick_seconds: traffic.tick.as_secs(),
                entries: traffic.entries,
                dummies: self.inner.counters.dummies.load(Ordering::Relaxed),
            }),
            peers,
            ready: reasons.is_empty(),
            reasons,
        }
    }
}

/// Whether a register is in force now.
pub(super) fn register_expiry(register: &Register) -> Expiry {
    let now = i64::try_from(driver::unix_ms() / 1000).unwrap_or(i64::MAX);
    register.check_expiry(now, REGISTER_GRACE_SECS)
}

fn utc(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).map_or_else(|_| unix.to_string(), |time| time.to_string())
}
