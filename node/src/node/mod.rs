//! The node: performs the machine's orders, owns channels, clock and shutdown, and is the one
//! door through which HTTP and the command line publish and read.

mod adopt;
mod amendment;
mod announce;
mod catch_up;
mod draft;
mod drafts;
mod driver;
mod epochs;
mod forgetting;
mod guard;
mod matching;
mod metrics;
mod paced;
mod peers;
mod proofs;
mod publish;
mod reads;
mod recover;
mod retention;
mod screen;
mod startup;
mod status;
mod taken;
mod tasks;
mod versions;
mod witness;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use sealwire_gossip as gossip;
use sealwire_wire::id::{MemberId, RecordId};
use sealwire_wire::register::{Member, Register, Status as MemberStatus};
use tokio::sync::{mpsc, watch};

use crate::config::{Config, Traffic};
use crate::consent::Consents;
use crate::context::Context;
use crate::delivery::{self, Delivery};
use crate::feed::{self, Reading, RecordView};
use crate::keys::{Source, Windows};
use crate::locodes;
use crate::matching::Lists;
use crate::refusal::Refusal;
use crate::store::{KeptRead, ReadCursor};

pub use draft::{Preview, Submission};
use drafts::Drafts;
pub use drafts::{Queued, Waiting};
use driver::{Driver, Message, Snapshot};
use guard::Guard;
use matching::Matching;
pub use matching::{Answers, Asking};
use metrics::Counters;
use peers::Peers;
pub use publish::Published;
use retention::Notices;
pub use retention::{Decided, Due, ErasureState, HoldState, MAX_REASON_LEN};
pub use screen::ScreenView;
pub use status::Status;
use status::register_expiry;
pub use tasks::Tasks;
pub use versions::Taken;
use versions::Versions;
pub use witness::Witnessed;

/// How long after its expiry a register still serves, in seconds: 30 days, each start and each
/// publication in it being logged as a warning.
pub const REGISTER_GRACE_SECS: i64 = 30 * 24 * 3600;

/// How often drafts that wait are looked at.
const DRAFTS_EVERY: Duration = Duration::from_secs(1);

/// What became of a submission.
#[derive(Debug)]
pub enum Outcome {
    /// It is in the log.
    Published(Box<Published>),
    /// It is kept until this node may sign.
    Queued(Queued),
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
    drafts: Drafts,
    publisher: publish::Publisher,
    /// The version of the register that our log says is in force.
    announced: tokio::sync::Mutex<Option<u64>>,
    versions: Arc<Versions>,
    matching: Arc<Matching>,
    windows: Windows,
    purpose_required: bool,
    traffic: Option<Traffic>,
    consents: Consents,
    notices: Mutex<Notices>,
}

/// What must be ended in order.
pub struct Running {
    gossip: gossip::Handle,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

/// Why a node does not start with what its operator gave it: the register, or keys that do not
/// fit it.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Unusable(anyhow::Error);

/// Starts a node: opens the store, takes the register, listens to peers. Must be called in a
/// tokio runtime. A node without a valid register does not start. `accept_head` is an operator's
/// reason to sign after a restore although peers have not confirmed the head.
pub async fn start(
    config: &Config,
    accept_head: Option<&str>,
    passphrase: &Source,
) -> anyhow::Result<(NodeHandle, Running)> {
    let now = driver::unix_ms();
    let mut keys = startup::open_keys(config, passphrase).map_err(|e| Unusable(e.into()))?;
    let windows = Windows::of(&config.keys);
    keys.ensure_epoch(now / 1000, windows)?;
    startup::ensure_match_key(&keys);
    startup::ensure_cosign_pq(&mut keys);
    let (mut writer, reader) = startup::open_store(config, &keys)?;
    let adopt::InForce { register, new, forks } =
        adopt::register_in_force(config, &reader, now).map_err(Unusable)?;
    startup::choose_keys(config, &mut keys, &register).map_err(Unusable)?;
    for bytes in new {
        writer.commit(&[crate::store::Fact::Register { bytes }])?;
    }
    let locodes = config.locodes.as_deref().map(locodes::read).transpose().map_err(Unusable)?;
    let federation = register.federation().to_owned();
    let topics = announce::topics(&register, &config.member);
    let peers_listed = listed_peers(&register, &config.member);
    let active: BTreeSet<MemberId> =
        active_peers(&register, &config.member).map(|m| m.id.clone()).collect();
    let guard = Arc::new(Guard::new(config.data_dir.clone(), quorum(&register), active.clone()));
    let size = reader.size(&config.member);
    if let Some(unfit) = startup::unfit(&keys, &register, &config.member, size) {
        guard.set_register(quorum(&register), active, Some(unfit));
    }
    if let Some(reason) = accept_head {
        startup::accept_head(config, &mut writer, &reader, reason, now).map_err(Unusable)?;
        guard.accept();
    }
    let drafts = Drafts::open(&config.data_dir, keys.data.clone())
        .context("cannot read the drafts that wait")?;
    if reader.evidence(&config.member).is_some() {
        guard.forked();
    }

    let (handle, events) = gossip::start(gossip::Config {
        seed: keys.node_seed().context("the node key is no file")?,
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
    let (cursor_sender, cursor) = watch::channel(0);
    let exchange = driver::load(&context, Default::default());
    let driver = Driver {
        context: Arc::clone(&context),
        writer,
        orders,
        snapshot: snapshot_sender,
        cursor: cursor_sender,
        counters: Arc::clone(&counters),
        paced: config.traffic.as_ref().map(paced::Paced::new),
    };
    for other in &forks {
        driver.register_forked(other);
    }
    let writer = std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || driver.run(exchange, queue))
        .context("cannot start the writer thread")?;
    let (versions, ahead) =
        Versions::new(Arc::clone(&context), handle.clone(), inputs.clone(), Arc::clone(&guard));
    let lists = Lists::open(&config.data_dir, context.keys.data.clone())
        .context("cannot read the lists of identifiers")?;
    let matching = Matching::new(
        Arc::clone(&context),
        handle.clone(),
        inputs.clone(),
        lists,
        config.questions_a_day,
    );
    let peers = Peers::new(
        Arc::clone(&context),
        handle.clone(),
        inputs.clone(),
        Arc::clone(&counters),
        Arc::clone(&guard),
        Arc::clone(&versions),
        Arc::clone(&matching),
    );
    let mut tasks = vec![
        tokio::spawn(Arc::clone(&peers).listen(events)),
        tokio::spawn(Arc::clone(&peers).perform(order_queue)),
        tokio::spawn(Arc::clone(&peers).tick()),
        tokio::spawn(Arc::clone(&peers).spread_versions(ahead)),
        tokio::spawn(Arc::clone(&versions).watch(config.register.clone())),
    ];
    let publisher = publish::Publisher::default();
    let announced = tokio::sync::Mutex::default();
    let purpose_required = config.reads.purpose_required;
    let inner = Inner {
        context,
        inputs,
        snapshot,
        cursor,
        counters,
        guard,
        drafts,
        publisher,
        announced,
        versions,
        matching,
        windows,
        purpose_required,
        traffic: config.traffic.clone(),
        consents: Consents::default(),
        notices: Mutex::default(),
    };
    let node = NodeHandle { inner: Arc::new(inner) };
    tasks.push(tokio::spawn(node.clone().begin()));
    tasks.extend(paced::start(&node.inner));
    let (forgetting, every) = (Arc::clone(&node.inner), config.forget_every);
    tasks.push(tokio::spawn(async move { forgetting::keep_on(&forgetting, every).await }));
    let (counting, every) = (Arc::clone(&node.inner), config.reads.every);
    tasks.push(tokio::spawn(async move { reads::count(&counting, every).await }));
    let counting = Arc::clone(&node.inner);
    tasks.push(tokio::spawn(async move { matching::count(&counting, every).await }));
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
    /// Validates, seals, signs and logs a record; answers when it is durable. While nothing may
    /// be signed the record is validated and kept.
    pub async fn publish(
        &self,
        principal: &str,
        idempotency_key: Option<&str>,
        submission: Submission,
    ) -> Result<Outcome, Refusal> {
        let inner = &self.inner;
        let outcome = match inner.guard.ready().await {
            Err(held_back) if inner.guard.holds_back() => {
                publish::queue(inner, principal, idempotency_key, submission, held_back)
                    .map(Outcome::Queued)
            }
            _ => publish::publish(inner, principal, idempotency_key, submission)
                .await
                .map(|published| Outcome::Published(Box::new(published))),
        };
        match &outcome {
            Ok(Outcome::Published(_)) => Counters::add(&inner.counters.published, 1),
            Ok(Outcome::Queued(_)) => {}
            Err(_) => Counters::add(&inner.counters.refused, 1),
        }
        outcome
    }

    /// The drafts that wait, in the order of arrival.
    pub fn drafts(&self) -> Vec<Waiting> {
        self.inner.drafts.list()
    }

    /// Removes a draft; answers whether there was one.
    pub fn remove_draft(&self, id: &RecordId) -> bool {
        self.inner.drafts.remove(id)
    }

    /// What each member would see of a record, which is checked like a published one and goes
    /// nowhere.
    pub fn preview(&self, submission: Submission) -> Result<Preview, Refusal> {
        draft::preview(&self.inner.context, submission, driver::unix_ms())
    }

    /// Records in the order of arrival, after a cursor. Restricted parts in them are given out once
    /// it is durable to whom.
    pub async fn records(
        &self,
        after: u64,
        limit: usize,
        kind: Option<String>,
        reading: Reading,
    ) -> Result<Vec<RecordView>, Refusal> {
        self.read(reading, move |context, reading| {
            feed::records(context, after, limit, kind.as_deref(), reading)
        })
        .await
    }

    /// One record, likewise.
    pub async fn record(&self, id: RecordId, reading: Reading) -> Result<RecordView, Refusal> {
        let views = self.read(reading, move |context, reading| {
            feed::record(context, &id, reading).map(|view| vec![view])
        });
        views.await?.pop().ok_or_else(reading_failed)
    }

    /// One record as it stands, with its originator's amendments and every field that they change.
    pub async fn amended(&self, id: RecordId, reading: Reading) -> Result<RecordView, Refusal> {
        let views =
            self.read(reading, move |context, reading| feed::amended(context, &id, reading));
        views.await?.pop().ok_or_else(reading_failed)
    }

    async fn read(
        &self,
        mut reading: Reading,
        views: impl Fn(&Context, &Reading) -> Result<Vec<RecordView>, Refusal> + Send + Sync + 'static,
    ) -> Result<Vec<RecordView>, Refusal> {
        if self.inner.guard.holds_back() {
            // Of what came back from a backup, others may have been told to forget some meanwhile.
            reading.closed.get_or_insert("restored");
        }
        if reading.purpose.is_some() {
            reading.consented = self.consented().await?;
        }
        let views = Arc::new(views);
        let made = |reading: Reading| {
            let (context, views) = (Arc::clone(&self.inner.context), Arc::clone(&views));
            tokio::task::spawn_blocking(move || views(&context, &reading))
        };
        let given = made(reading.clone()).await.map_err(|_| reading_failed())??;
        match reads::keep(&self.inner, &reading, &given).await {
            Ok(()) => Ok(given),
            Err(refusal) => {
                tracing::warn!(%refusal, "restricted parts are held back: who reads them cannot be logged");
                let closed = Reading { closed: Some("not-logged"), ..reading };
                made(closed).await.map_err(|_| reading_failed())?
            }
        }
    }

    /// Who was given which restricted part, in order, after a cursor.
    pub fn reads(&self, after: Option<ReadCursor>, limit: usize) -> Result<Vec<KeptRead>, Refusal> {
        let reads = self.inner.context.reader.reads(after, limit);
        reads
            .map_err(|cause| Refusal::fault("store-fault", cause.to_string(), "see the node's log"))
    }

    /// Whether restricted parts are given only for a stated purpose.
    pub fn purpose_required(&self) -> bool {
        self.inner.purpose_required
    }

    /// Where a record of ours has arrived.
    pub fn delivery(&self, id: &RecordId) -> Result<Delivery, Refusal> {
        delivery::delivery(&self.inner.context, id)
    }

    /// Takes the next version of the register.
    pub async fn take_register(&self, bytes: Vec<u8>) -> Result<Taken, Refusal> {
        self.inner.versions.offer(bytes).await
    }

    /// A version of the register as its governors signed it; without a number the one in force.
    pub fn register_version(&self, version: Option<u64>) -> Result<Vec<u8>, Refusal> {
        let context = &self.inner.context;
        let Some(version) = version else { return Ok(context.register().bytes().to_vec()) };
        let held = crate::sync::held(&context.reader.register_versions(), version);
        held.map(|register| register.bytes().to_vec()).ok_or_else(|| {
            Refusal::new(
                "unknown-register-version",
                404,
                format!("cannot give register version {version}: it is not held here"),
                "GET /v1/status names the version in force",
            )
        })
    }

    /// The last cursor of the feed, as it moves.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.cursor.clone()
    }

    /// What begins once the head was compared with peers: announcing ourselves, and publishing the
    /// drafts that wait, now and whenever signing was held back.
    async fn begin(self) {
        let inner = &self.inner;
        if tokio::time::timeout(guard::HEAD_WAIT, inner.guard.ready()).await.is_err() {
            inner.guard.waited();
        }
        if let Err(refusal) = publish::announce_self(inner).await {
            tracing::warn!(code = refusal.code, %refusal, "cannot announce our seal key yet; it is tried again before the first publication");
        }
        let mut looks = tokio::time::interval(DRAFTS_EVERY);
        let mut turns = tokio::time::interval(epochs::TURN_EVERY);
        let mut in_force = inner.versions.in_force();
        loop {
            tokio::select! {
                _ = looks.tick() => publish::drafts(inner).await,
                _ = turns.tick() => epochs::turn(inner, driver::unix_ms()).await,
                Ok(()) = in_force.changed() => {
                    if let Err(refusal) = publish::announce_self(inner).await {
                        tracing::warn!(code = refusal.code, %refusal, "cannot log yet which register is in force");
                    }
                }
            }
        }
    }
}

fn reading_failed() -> Refusal {
    Refusal::fault("store-fault", "cannot read: the reading task ended", "see the node's log")
}

fn active_peers<'a>(register: &'a Register, own: &'a MemberId) -> impl Iterator<Item = &'a Member> {
    register.members().filter(move |m| m.status == MemberStatus::Active && m.id != *own)
}

fn listed_peers(register: &Register, own: &MemberId) -> Vec<gossip::Peer> {
    let peer = |m: &Member| {
        let peer = gossip::Peer { peer_id: m.peer_id.clone(), addresses: m.addresses.clone() };
        match gossip::check_peer(&peer) {
            Ok(()) => peer,
            // One bad address in a register must not part us from all others.
            Err(cause) => {
                tracing::error!(member = %m.id, %cause, "cannot dial a member: it has to dial us");
                gossip::Peer { addresses: Vec::new(), ..peer }
            }
        }
    };
    active_peers(register, own).map(peer).collect()
}

/// How many peers have to confirm our head after a restore.
fn quorum(register: &Register) -> usize {
    register.communities().map(|c| c.witnesses as usize).max().unwrap_or(1).max(1)
}
