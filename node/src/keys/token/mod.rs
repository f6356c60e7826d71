//! Keys in a PKCS#11 token (OASIS PKCS#11 3.1): a hardware security module, or SoftHSM.
//!
//! One thread of its own speaks to the module, since its calls block for as long as they like.
//! Whoever wants a signature waits for it, for a bounded time and off the threads of the runtime.
//! A session that was lost is opened again once for each request; a token that is gone is looked
//! for again with each request after [`PAUSE`]. A PIN that was refused is not tried again before
//! the next start: a token locks itself after a few.
//!
//! In the keys directory such a key has a file of its own, `<use>.token` or `<use>-<number>.token`:
//! the label of the key in the token, and its public half. Nothing secret is in it.

mod pkcs11;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::context::Pkcs11;
use cryptoki::types::AuthPin;
use sealwire_wire::signer::{Ed25519Signer, NoSignature};
use serde::{Deserialize, Serialize};

use super::KeysError;
use super::passphrase::{Passphrase, Source};
use crate::config::{Pkcs11Keys, TokenName};
use pkcs11::Connection;
pub use pkcs11::Seen;

/// Longest wait for a signature.
pub const SIGN_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for a new key.
pub const MAKE_WITHIN: Duration = Duration::from_secs(60);
/// Signatures that wait for the token.
pub const QUEUE: usize = 256;
/// How long a token that failed is left alone.
pub const PAUSE: Duration = Duration::from_millis(500);
/// Longest wait for the module to end with the process.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Why a token did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The module is not there, or is none.
    #[error(
        "cannot load the PKCS#11 module {}: {cause} \
         (hint: see keys.pkcs11.module in the configuration)", path.display()
    )]
    Module {
        /// Its path.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// No slot has the token.
    #[error(
        "cannot find the token {0} (hint: is it connected? see keys.pkcs11 in the configuration)"
    )]
    Absent(TokenName),
    /// Several slots have a token of that name.
    #[error("cannot choose among several tokens {0} (hint: give keys.pkcs11.serial)")]
    Several(TokenName),
    /// The PIN was refused.
    #[error(
        "cannot log in to the token: the PIN is wrong (hint: it is not tried again before the next \
         start, since a token locks itself after a few; give the right one and start again)"
    )]
    WrongPin,
    /// The PIN is locked.
    #[error(
        "cannot log in to the token: its PIN is locked or has expired (hint: its security officer \
         sets another; then start again)"
    )]
    Locked,
    /// No key has the label.
    #[error("cannot find an Ed25519 key {0:?} in the token (hint: is it the right token?)")]
    NoKey(String),
    /// Several keys have the label.
    #[error("cannot choose among several keys {0:?} in the token (hint: relabel one)")]
    KeyTwice(String),
    /// A new key was to have the label of another.
    #[error("cannot make the key {0:?}: the token has one (hint: take it with --adopt)")]
    LabelTaken(String),
    /// The public key is of another kind or form.
    #[error("cannot use the key {0:?} of the token: it is no Ed25519 public key")]
    NotEd25519(String),
    /// What came back does not verify.
    #[error(
        "cannot use what the token signed with key {0:?}: it does not verify under the public key \
         (hint: it is another key than the one in the keys directory, or the token is broken)"
    )]
    BadSignature(String),
    /// There is no room for a key.
    #[error("cannot make a key: the token is full (hint: have old keys removed from it)")]
    Full,
    /// The token has no such mechanism.
    #[error(
        "cannot make a key: the token has no CKM_EC_EDWARDS_KEY_PAIR_GEN (hint: see its manual)"
    )]
    NoMechanism,
    /// No answer in time.
    #[error("cannot reach the token: no answer within {} s, or too many wait (hint: see the token)", .0.as_secs())]
    Late(Duration),
    /// Nobody has logged in.
    #[error("cannot use the token: this program has not logged in")]
    NotOpened,
    /// A key is in a token, and the configuration names none.
    #[error("cannot use {}: the configuration has no [keys.pkcs11]", .0.display())]
    NotConfigured(PathBuf),
    /// A key whose secret half this program needs.
    #[error("cannot have this key in a token: only sign, log and cosign keys can be there")]
    NoSuchUse,
    /// The module refused a call.
    #[error("cannot use the token: {function}: {cause} (hint: see the token and its manual)")]
    Call {
        /// Which.
        function: &'static str,
        /// What it answered.
        cause: String,
    },
}

impl TokenError {
    /// Whether trying again can only do harm, or nothing.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::WrongPin | Self::Locked | Self::Module { .. } | Self::NotConfigured(_))
    }

    /// Whether another session may do better.
    fn is_lost(&self) -> bool {
        matches!(self, Self::Call { .. } | Self::NoKey(_) | Self::Absent(_))
    }
}

/// A token, once somebody has logged in.
pub struct Token {
    settings: Pkcs11Keys,
    worker: OnceLock<Worker>,
}

/// The thread that speaks to the module.
struct Worker {
    jobs: Option<SyncSender<Job>>,
    /// Since when it has been at what it does now.
    busy: Arc<Mutex<Option<Instant>>>,
    ended: Mutex<Receiver<()>>,
}

type Job = Box<dyn FnOnce(&mut Reach) + Send>;

impl Token {
    /// A token as configured; nobody has looked for it yet.
    pub fn new(settings: Pkcs11Keys) -> Self {
        Self { settings, worker: OnceLock::new() }
    }

    /// The label in the token of the key of a use with a number, if such keys are there.
    pub fn label(&self, use_: &str, number: u64) -> Option<String> {
        let label = self.settings.labels.get(use_)?;
        Some(if number == 1 { label.clone() } else { format!("{label}-{number}") })
    }

    /// The token that a source names, logged in to; none if it names none.
    pub fn opened(source: &Source) -> Result<Option<Arc<Self>>, KeysError> {
        let Some(source) = &source.token else { return Ok(None) };
        let token = Self::new(source.settings.clone());
        token.open(&source.pin()?)?;
        Ok(Some(Arc::new(token)))
    }

    /// Logs in. The PIN is kept for as long as the token is used, for the session may be lost.
    pub fn open(&self, pin: &Passphrase) -> Result<(), TokenError> {
        let text = std::str::from_utf8(pin.as_bytes()).map_err(|_| TokenError::WrongPin)?;
        let settings = self.settings.clone();
        let pin = AuthPin::new(text.into());
        let reach =
            Reach { settings, pin: Some(pin), module: None, connection: None, failed: None };
        let worker = Worker::start(reach).ok_or(TokenError::NotOpened)?;
        // A second time changes nothing.
        let _ = self.worker.set(worker);
        self.call(SIGN_WITHIN, |_| Ok(()))
    }

    /// Makes a key.
    pub fn generate(&self, label: &str) -> Result<[u8; 32], TokenError> {
        let label = label.to_owned();
        self.call(MAKE_WITHIN, move |connection| connection.generate(&label))
    }

    /// The public half of a key that is there.
    pub fn adopt(&self, label: &str) -> Result<[u8; 32], TokenError> {
        let label = label.to_owned();
        self.call(SIGN_WITHIN, move |connection| connection.tried(&label))
    }

    /// What can be seen of a token without its PIN.
    pub fn look(settings: &Pkcs11Keys) -> Result<Seen, TokenError> {
        let (settings, pin) = (settings.clone(), None);
        let reach = Reach { settings, pin, module: None, connection: None, failed: None };
        let worker = Worker::start(reach).ok_or(TokenError::NotOpened)?;
        worker.call(SIGN_WITHIN, |connection| connection.seen())
    }

    fn call<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl Fn(&mut Connection) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        self.worker.get().ok_or(TokenError::NotOpened)?.call(within, work)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("token", &self.settings.token).finish_non_exhaustive()
    }
}

impl Worker {
    fn start(mut reach: Reach) -> Option<Self> {
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE);
        let (end, ended) = mpsc::sync_channel(1);
        let busy = Arc::new(Mutex::new(None));
        let since = Arc::clone(&busy);
        let set = move |at| *since.lock().unwrap_or_else(PoisonError::into_inner) = at;
        let run = move || {
            while let Ok(job) = queue.recv() {
                set(Some(Instant::now()));
                job(&mut reach);
                set(None);
            }
            drop(reach);
            let _ = end.send(());
        };
        std::thread::Builder::new().name("token".into()).spawn(run).ok()?;
        Some(Self { jobs: Some(jobs), busy, ended: Mutex::new(ended) })
    }

    fn call<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl Fn(&mut Connection) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        let busy = *self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.is_some_and(|since| since.elapsed() > within) {
            return Err(TokenError::Late(within));
        }
        let (reply, answer) = mpsc::sync_channel(1);
        let until = Instant::now() + within;
        let job: Job = Box::new(move |reach| {
            // Nobody waits for it any more.
            if Instant::now() < until {
                let _ = reply.send(reach.perform(&work));
            }
        });
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => return Err(TokenError::Late(within)),
            Some(Err(TrySendError::Disconnected(_))) | None => return Err(TokenError::NotOpened),
        }
        match off_the_runtime(|| answer.recv_timeout(within)) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(TokenError::Late(within))
            }
        }
    }
}

impl Drop for Worker {
    /// Ends the use of the module before the process ends, which some modules need.
    fn drop(&mut self) {
        drop(self.jobs.take());
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(END_WITHIN);
    }
}

/// Waits without holding up the other tasks of a runtime's thread, if this is one.
fn off_the_runtime<T>(wait: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(wait)
        }
        _ => wait(),
    }
}

/// The way to the token: on its own thread alone.
struct Reach {
    settings: Pkcs11Keys,
    pin: Option<AuthPin>,
    // Never unloaded: modules leave things behind that run at the end of the process.
    module: Option<Pkcs11>,
    connection: Option<Connection>,
    failed: Option<(Instant, TokenError)>,
}

impl Reach {
    fn perform<T>(
        &mut self,
        work: &impl Fn(&mut Connection) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let fresh = self.connection.is_none();
        match self.once(work) {
            Err(cause) if cause.is_lost() && !fresh => self.once(work),
            outcome => outcome,
        }
    }

    fn once<T>(
        &mut self,
        work: &impl Fn(&mut Connection) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let outcome = self.connected().and_then(work);
        if let Err(cause) = &outcome
            && cause.is_lost()
        {
            self.connection = None;
        }
        outcome
    }

    fn connected(&mut self) -> Result<&mut Connection, TokenError> {
        if let Some((at, cause)) = &self.failed
            && (cause.is_final() || at.elapsed() < PAUSE)
        {
            return Err(cause.clone());
        }
        if self.connection.is_none() {
            match self.connect() {
                Ok(connection) => self.connection = Some(connection),
                Err(cause) => {
                    self.failed = Some((Instant::now(), cause.clone()));
                    return Err(cause);
                }
            }
        }
        self.failed = None;
        self.connection.as_mut().ok_or(TokenError::NotOpened)
    }

    fn connect(&mut self) -> Result<Connection, TokenError> {
        let module = match &self.module {
            Some(module) => module,
            None => self.module.insert(pkcs11::load(&self.settings)?),
        };
        Connection::open(module, &self.settings, self.pin.as_ref())
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        self.connection = None;
        if let Some(module) = self.module.take() {
            std::mem::forget(module);
        }
    }
}

/// A key in a token: its public half is known, its secret half never leaves it.
#[derive(Debug, Clone)]
pub struct TokenKey {
    token: Arc<Token>,
    label: String,
    public: [u8; 32],
}

/// The content of a `.token` file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    label: String,
    public: String,
}

impl TokenKey {
    /// The key of a label with this public half.
    pub fn new(token: Arc<Token>, label: String, public: [u8; 32]) -> Self {
        Self { token, label, public }
    }

    /// Its label in the token.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Reads its file.
    pub fn read(path: &Path, token: Arc<Token>) -> Result<Self, KeysError> {
        let (label, public) = parse(&super::read_private(path)?).ok_or_else(|| form(path))?;
        Ok(Self::new(token, label, public))
    }

    /// The text of its file.
    pub fn to_text(&self) -> String {
        let reference = Reference { label: self.label.clone(), public: hex::encode(self.public) };
        toml::to_string(&reference).expect("texts are always written")
    }
}

impl Ed25519Signer for TokenKey {
    fn public(&self) -> [u8; 32] {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], NoSignature> {
        let (label, public, message) = (self.label.clone(), self.public, message.to_vec());
        let work = move |connection: &mut Connection| connection.sign(&label, &public, &message);
        self.token.call(SIGN_WITHIN, work).map_err(|cause| NoSignature(cause.to_string()))
    }
}

/// The keys in a token that the files of a keys directory name: label and public half. The
/// passphrase is not needed.
pub fn references(dir: &Path) -> Result<Vec<(String, [u8; 32])>, KeysError> {
    let mut keys = Vec::new();
    for name in super::cover::key_files(dir, ENDING)? {
        let path = dir.join(name);
        let (label, public) = parse(&super::read_private(&path)?).ok_or_else(|| form(&path))?;
        keys.push((label, public));
    }
    Ok(keys)
}

fn parse(text: &str) -> Option<(String, [u8; 32])> {
    let Reference { label, public } = toml::from_str(text).ok()?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(public, &mut bytes).ok()?;
    Some((label, bytes))
}

fn form(path: &Path) -> KeysError {
    let expected = "TOML with the label of a key in the token and its public half";
    KeysError::Form { path: path.to_owned(), expected }
}

/// The name of the file of a key in a token.
pub fn file_name(use_: &str, number: u64) -> String {
    if number == 1 { format!("{use_}.{ENDING}") } else { format!("{use_}-{number}.{ENDING}") }
}

/// The ending of the files of keys in a token.
pub const ENDING: &str = "token";

/// Refuses the file of a key in a token where the configuration names none.
pub fn configured(token: Option<&Arc<Token>>, file: &Path) -> Result<Arc<Token>, TokenError> {
    token.cloned().ok_or_else(|| TokenError::NotConfigured(file.to_owned()))
}

#[cfg(test)]
mod tests;
