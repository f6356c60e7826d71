//! The node: performs the machine's orders, owns channels, clock and shutdown, and is the one
//! door through which HTTP and the command line publish and read.

mod driver;
mod guard;
mod peers;
mod publish;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, anyhow, bail};
use sealwire_gossip as gossip;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::message::Item;
use sealwire_wire::register::{Expiry, KeyUse, Register, Status as MemberStatus};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::config::Config;
use crate::context::{self, Context};
use crate::feed::{self, Delivery, RecordView};
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::store::{self, Fact, Reader, Writer};

use driver::{Driver, Message, Snapshot};
use guard::Guard;
use peers::Peers;
pub use publish::{Published, Submission};

/// How long after its expiry a register still serves, in seconds: 30 days, each start and each
/// publication in it being logged as a warning.
pub const REGISTER_GRACE_SECS: i64 = 30 * 24 * 3600;

/// Counts for operators.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    ignored: AtomicU64,
    rejected: AtomicU64,
    quarantined: AtomicU64,
    peers_refused: AtomicU64,
    published: AtomicU64,
    refused: AtomicU64,
    commits: AtomicU64,
    commit_failures: AtomicU64,
    facts: AtomicU64,
    orders_dropped: AtomicU64,
    not_announced: AtomicU64,
    alarms: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

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

/// Starts a node: opens the store, takes the register, listens to peers. Must be called in a
/// tokio runtime. A node without a valid register does not start.
pub async fn start(config: &Config) -> anyhow::Result<(NodeHandle, Running)> {
    let now = driver::unix_ms();
    let mut keys = Keys::open(&config.keys_dir)?;
    keys.ensure_seal_epoch(&config.keys_dir, now / 1000)?;
    let (mut writer, reader) = open_store(config, &keys)?;
    let register = adopt_register(config, &mut writer, &reader, now)?;
    check_own_keys(config, &keys, &register)?;
    let federation = register.federation().to_owned();
    let topics = peers::topics(&register, &config.member);
    let peers_listed = listed_peers(&register, &config.member);
    let restored = config.data_dir.join("restored");
    let quorum = register.communities().map(|c| c.witnesses as usize).max().unwrap_or(1);
    let guard = Arc::new(Guard::new(restored, quorum.max(1)));

    let (handle, events) = gossip::start(gossip::Config {
        seed: *keys.node,
        listen: config.p2p_listen.clone(),
        peers: peers_listed,
        topics: topics.into_iter().collect(),
    })
    .context("cannot listen to peers")?;

    let context = Arc::new(Context::new(config.member.clone(), keys, register, reader));
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

    /// Logs our seal key and the register in force, if our log does not say them yet.
    async fn announce_self(&self) {
        if let Err(refusal) = publish::announce_self(&self.inner).await {
            tracing::warn!(code = refusal.code, %refusal, "cannot announce our seal key yet; it is tried again before the first publication");
        }
    }
}

/// Opens the store. The plain log files show the parts of the core classes, as far as this member
/// can open them; what is above core never rests in clear.
fn open_store(config: &Config, keys: &Keys) -> anyhow::Result<(Writer, Reader)> {
    let data = keys.data.clone();
    let discloser =
        move |reader: &Reader, _: &MemberId, item: &Item| context::disclosed(&data, reader, item);
    Ok(store::open(&config.data_dir, &config.member, Box::new(discloser))?)
}

/// The register in force: the versions adopted earlier, then the configured file, if it is the
/// next one.
fn adopt_register(
    config: &Config,
    writer: &mut Writer,
    reader: &Reader,
    now_ms: u64,
) -> anyhow::Result<Register> {
    let mut adopted: Option<Register> = None;
    for bytes in reader.register_versions() {
        let next = match &adopted {
            None => Register::trust_first(&bytes, None),
            Some(previous) => previous.update(&bytes),
        };
        adopted = Some(next.context("cannot read a register version that was adopted earlier")?);
    }
    let path = &config.register;
    let file = fs::read(path);
    let register = match (adopted, file) {
        (None, Err(cause)) => bail!(
            "cannot start without a register: {}: {cause} (hint: put the signed register.json that the governors published there)",
            path.display()
        ),
        (Some(adopted), Err(_)) => adopted,
        (None, Ok(bytes)) => {
            let first = Register::trust_first(&bytes, None).with_context(|| {
                format!("cannot start: {} is not a valid register", path.display())
            })?;
            commit_register(writer, &bytes)?;
            first
        }
        (Some(adopted), Ok(bytes)) if bytes == adopted.bytes() => adopted,
        (Some(adopted), Ok(bytes)) => match adopted.update(&bytes) {
            Ok(next) => {
                commit_register(writer, &bytes)?;
                next
            }
            Err(cause) => bail!(
                "cannot start: {} is neither the register in force (version {}) nor its next version: {cause}",
                path.display(),
                adopted.version()
            ),
        },
    };
    match register
        .check_expiry(i64::try_from(now_ms / 1000).unwrap_or(i64::MAX), REGISTER_GRACE_SECS)
    {
        Expiry::Valid => {}
        Expiry::Grace { until_unix } => {
            tracing::warn!(
                until_unix,
                "the register has expired; it serves until its grace period is over"
            );
        }
        Expiry::Expired => tracing::error!(
            "the register has expired and its grace period is over: nothing can be published"
        ),
    }
    Ok(register)
}

fn commit_register(writer: &mut Writer, bytes: &[u8]) -> anyhow::Result<()> {
    writer.commit(&[Fact::Register { bytes: bytes.to_vec() }]).map_err(|e| anyhow!("{e}"))
}

fn check_own_keys(config: &Config, keys: &Keys, register: &Register) -> anyhow::Result<()> {
    let member = register.member(&config.member).ok_or_else(|| {
        anyhow!(
            "cannot start: the register (version {}) has no member {} (hint: send your member.json to a governor)",
            register.version(),
            config.member
        )
    })?;
    if member.status != MemberStatus::Active {
        tracing::warn!(
            status = member.status.as_str(),
            "this member is not active in the register"
        );
    }
    let node = ed25519_dalek::SigningKey::from_bytes(&keys.node).verifying_key().to_bytes();
    let ours = [
        (KeyUse::Node, node),
        (KeyUse::Log, keys.log.verifying_key().to_bytes()),
        (KeyUse::Cosign, keys.cosign.verifying_key().to_bytes()),
        (KeyUse::Sign, keys.sign.verifying_key().to_bytes()),
    ];
    for (use_, public) in ours {
        if !member.keys.iter().any(|k| k.use_ == use_ && k.public == public) {
            bail!(
                "cannot start: the {} key in {} is not the one that the register lists for {} (hint: restore the right keys, or have the register changed)",
                use_.as_str(),
                config.keys_dir.display(),
                config.member
            );
        }
    }
    Ok(())
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

/// Whether `path` exists; used for markers.
fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}
