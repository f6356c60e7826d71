//! The node: performs the machine's orders, owns channels, clock and shutdown, and is the one
//! door through which HTTP and the command line publish and read.

mod adopt;
mod draft;
mod driver;
mod guard;
mod metrics;
mod peers;
mod publish;
mod startup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use sealwire_gossip as gossip;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::register::{Expiry, Register, Status as MemberStatus};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::config::Config;
use crate::context::Context;
use crate::feed::{self, Delivery, RecordView};
use crate::keys::Keys;
use crate::locodes;
use crate::refusal::Refusal;

pub use draft::{Preview, Submission};
use driver::{Driver, Message, Snapshot};
use guard::Guard;
use metrics::Counters;
use peers::Peers;
pub use publish::Published;

/// How long after its expiry a register still serves, in seconds: 30 days, each start and each
/// publication in it being logged as a warning.
pub const REGISTER_GRACE_SECS: i64 = 30 * 24 * 3600;

/// The running node, as HTTP and the command line see it.
#[derive(Clone)]
pub struct NodeHandle {
    inner: Arc<Inner>,
}

struct Inner {
    context: Arc<Context>,
    inputs: mpsc::Sender<Message>,
    snapshot: watch::Receiver<Snapshot>,
    cursor: watch::Receiver<u64>,
    counters: Arc<Counters>,
    guard: Arc<Guard>,
    publisher: publish::Publisher,
    announced: AtomicBool,
}

/// What must be ended in order.
pub struct Running {
    gossip: gossip::Handle,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

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
    /// Whether its log contradicted itself.
    pub stopped: bool,
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
    /// Size of our log.
    pub size: u64,
    /// The other members.
    pub peers: Vec<PeerStatus>,
    /// Whether records can be published and read.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

/// Why a node does not start with what its operator gave it: the register, or keys that do not
/// fit it.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Unusable(anyhow::Error);

/// Starts a node: opens the store, takes the register, listens to peers. Must be called in a
/// tokio runtime. A node without a valid register does not start.
pub async fn start(config: &Config) -> anyhow::Result<(NodeHandle, Running)> {
    let now = driver::unix_ms();
    let mut keys = Keys::open(&config.keys_dir)?;
    keys.ensure_seal_epoch(&config.keys_dir, now / 1000)?;
    let (mut writer, reader) = startup::open_store(config, &keys)?;
    let (register, new) = adopt::register_in_force(config, &reader, now).map_err(Unusable)?;
    startup::check_own_keys(config, &keys, &register).map_err(Unusable)?;
    for bytes in new {
        writer.commit(&[crate::store::Fact::Register { bytes }])?;
    }
    let locodes = config.locodes.as_deref().map(locodes::read).transpose().map_err(Unusable)?;
    let federation = register.federation().to_owned();
    let topics = peers::topics(&register, &config.member);
    let peers_listed = listed_peers(&register, &config.member);
    let quorum = register.communities().map(|c| c.witnesses as usize).max().unwrap_or(1);
    let guard = Arc::new(Guard::new(config.data_dir.clone(), quorum.max(1)));
    if reader.evidence(&config.member).is_some() {
        guard.forked();
    }

    let (handle, events) = gossip::start(gossip::Config {
        seed: *keys.node,
        listen: config.p2p_listen.clone(),
        peers: peers_listed,
        topics: topics.into_iter().collect(),
    })
    .context("cannot listen to peers")?;

    let context = Arc::new(Context::new(config.member.clone(), keys, register, reader, locodes));
    let counters = Arc::new(Counters::default());
    let (inputs, queue) = mpsc::channel(driver::INPUT_QUEUE);
    let (orders, order_queue) = mpsc::channel(driver::ORDER_QUEUE);
    let (snapshot_sender, snapshot) = watch::channel(Snapshot::default());
    let exchange = driver::load(&context, Default::default());
    let driver = Driver {
        context: Arc::clone(&context),
        writer,
        orders,
        snapshot: snapshot_sender,
        counters: Arc::clone(&counters),
    };
    let writer = std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || driver.run(exchange, queue))
        .context("cannot start the writer thread")?;
    let peers = Peers::new(
        Arc::clone(&context),
        handle.clone(),
        inputs.clone(),
        Arc::clone(&counters),
        Arc::clone(&guard),
    );
    let (cursor_sender, cursor) = watch::channel(0);
    let mut seen = snapshot.clone();
    let tasks = vec![
        tokio::spawn(Arc::clone(&peers).listen(events)),
        tokio::spawn(Arc::clone(&peers).perform(order_queue)),
        tokio::spawn(Arc::clone(&peers).tick()),
        tokio::spawn(async move {
            loop {
                let last = seen.borrow_and_update().cursor;
                cursor_sender.send_if_modified(|known| std::mem::replace(known, last) != last);
                if seen.changed().await.is_err() {
                    return;
                }
            }
        }),
    ];
    let publisher = publish::Publisher::default();
    let announced = AtomicBool::new(false);
    let inner = Inner { context, inputs, snapshot, cursor, counters, guard, publisher, announced };
    let node = NodeHandle { inner: Arc::new(inner) };
    node.announce_self().await;
    tracing::info!(member = %config.member, federation, "node started");
    Ok((node, Running { gossip: handle, tasks, writer: Some(writer) }))
}

impl Running {
    /// Ends the node: no new work, what is queued is finished, the journal is closed.
    pub async fn shutdown(mut self, node: NodeHandle) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
        self.gossip.shutdown().await;
        drop(node);
        if let Some(writer) = self.writer.take() {
            let joined = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!(
                    "the writer thread did not end in order; the journal recovers at the next start"
                );
            }
        }
        tracing::info!("node stopped");
    }
}

impl NodeHandle {
    /// Validates, seals, signs and logs a record; answers when it is durable.
    pub async fn publish(
        &self,
        principal: &str,
        idempotency_key: Option<&str>,
        submission: Submission,
    ) -> Result<Published, Refusal> {
        let outcome = publish::publish(&self.inner, principal, idempotency_key, submission).await;
        let counters = &self.inner.counters;
        let counter = if outcome.is_ok() { &counters.published } else { &counters.refused };
        Counters::add(counter, 1);
        outcome
    }

    /// What each member would see of a record, which is checked like a published one and goes
    /// nowhere.
    pub fn preview(&self, submission: Submission) -> Result<Preview, Refusal> {
        draft::preview(&self.inner.context, submission, driver::unix_ms())
    }

    /// Records in the order of arrival, after a cursor.
    pub fn records(
        &self,
        after: u64,
        limit: usize,
        kind: Option<&str>,
    ) -> Result<Vec<RecordView>, Refusal> {
        feed::records(&self.inner.context, after, limit, kind)
    }

    /// One record.
    pub fn record(&self, id: &RecordId) -> Result<RecordView, Refusal> {
        feed::record(&self.inner.context, id)
    }

    /// Where a record of ours has arrived.
    pub fn delivery(&self, id: &RecordId) -> Result<Delivery, Refusal> {
        feed::delivery(&self.inner.context, id)
    }

    /// The proof for one entry (C2SP tlog-proof).
    pub fn receipt(&self, id: &RecordId) -> Result<String, Refusal> {
        feed::receipt(&self.inner.context, id)
    }

    /// One entry as it travels, for `sealwire unseal`.
    pub fn entry_file(&self, id: &RecordId) -> Result<Vec<u8>, Refusal> {
        feed::entry_file(&self.inner.context, id)
    }

    /// The last cursor of the feed, as it moves.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.cursor.clone()
    }

    /// The node's state.
    pub fn status(&self) -> Status {
        let context = &self.inner.context;
        let register = context.register();
        let snapshot = self.inner.snapshot.borrow().clone();
        let cosigned: BTreeMap<MemberId, u64> =
            context.reader.cosignatures(&context.own).into_iter().map(|c| (c.by, c.size)).collect();
        let peers = register.members().filter(|m| m.id != context.own).map(|member| {
            let mirror = snapshot.mirrors.get(&member.id).cloned().unwrap_or_default();
            PeerStatus {
                member: member.id.clone(),
                connected: snapshot.connected.contains(&member.id),
                mirrored: mirror.size,
                announced: mirror.announced,
                cosigned: mirror.cosigned,
                gaps: mirror.gaps,
                cosigned_ours: cosigned.get(&member.id).copied().unwrap_or(0),
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
            size: snapshot.size,
            peers,
            ready: reasons.is_empty(),
            reasons,
        }
    }

    /// Logs our seal key and the register in force, if our log does not say them yet.
    async fn announce_self(&self) {
        if let Err(refusal) = publish::announce_self(&self.inner).await {
            tracing::warn!(code = refusal.code, %refusal, "cannot announce our seal key yet; it is tried again before the first publication");
        }
    }
}

fn listed_peers(register: &Register, own: &MemberId) -> Vec<gossip::Peer> {
    let active = register.members().filter(|m| m.status == MemberStatus::Active && m.id != *own);
    active
        .map(|m| gossip::Peer { peer_id: m.peer_id.clone(), addresses: m.addresses.clone() })
        .collect()
}

fn register_expiry(register: &Register) -> Expiry {
    let now = i64::try_from(driver::unix_ms() / 1000).unwrap_or(i64::MAX);
    register.check_expiry(now, REGISTER_GRACE_SECS)
}
