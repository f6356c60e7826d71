//! Drafts: records that were taken while nothing may be signed, kept until it may.
//!
//! A draft is checked like a record that is published at once, and answered only when it is
//! durable. It rests under the local data key, a file each in `drafts/`, and is published under
//! an idempotency key, so that a crash between publishing and removing it publishes it once.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sealwire_wire::id::{Digest, RecordId};
use serde::{Deserialize, Serialize};

use crate::keys::DataKey;
use crate::refusal::Refusal;

use super::Submission;

/// Most drafts kept.
pub const MAX_DRAFTS: usize = 1000;
/// Directory of the drafts, in the data directory.
pub const DRAFTS_DIR: &str = "drafts";

/// A draft as it is listed.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Waiting {
    /// Record id.
    pub id: String,
    /// Who submitted it.
    pub principal: String,
    /// When, milliseconds since 1970.
    pub since: u64,
    /// Why it was refused when it could be published; it then waits to be removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    #[serde(skip)]
    key: String,
    #[serde(skip)]
    digest: Digest,
}

/// The answer for a record that waits.
#[derive(Debug, Clone, Serialize)]
pub struct Queued {
    /// Record id.
    pub id: String,
    /// Always true.
    pub queued: bool,
    /// Why nothing is signed now.
    pub reason: String,
}

/// A draft in its file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    id: String,
    principal: String,
    key: String,
    digest: Digest,
    since: u64,
    refused: Option<String>,
    submission: Submission,
}

/// What a draft takes to be published.
pub struct Due {
    file: String,
    draft: Draft,
}

impl Due {
    /// Who submitted it, under which idempotency key, the digest of what was sent, and what is
    /// to be published.
    pub fn request(&self) -> (&str, &str, Digest, Submission) {
        let Draft { principal, key, digest, submission, .. } = &self.draft;
        (principal, key, *digest, submission.clone())
    }

    /// Record id.
    pub fn id(&self) -> &str {
        &self.draft.id
    }
}

/// The drafts of a node.
pub struct Drafts {
    dir: PathBuf,
    key: DataKey,
    /// By file name: in the order of arrival.
    waiting: Mutex<BTreeMap<String, Waiting>>,
}

impl Drafts {
    /// Reads what waits in the data directory.
    pub fn open(data: &Path, key: DataKey) -> io::Result<Self> {
        let dir = data.join(DRAFTS_DIR);
        let drafts = Self { dir, key, waiting: Mutex::default() };
        let entries = match fs::read_dir(&drafts.dir) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(drafts),
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.ends_with(".draft") {
                continue;
            }
            match drafts.read(&name) {
                Ok(draft) => {
                    drafts.lock().insert(name, listed(&draft));
                }
                Err(cause) => {
                    tracing::error!(file = name, %cause, "cannot read a draft (hint: it was made with other keys, or is damaged; send the record again and remove the file)");
                }
            }
        }
        Ok(drafts)
    }

    /// Keeps a submission until it can be published; answers when it is durable. The same request
    /// under the same key is kept once.
    pub fn keep(
        &self,
        id: &RecordId,
        principal: &str,
        key: &str,
        digest: Digest,
        submission: Submission,
        now_ms: u64,
    ) -> Result<String, Refusal> {
        let mut waiting = self.lock();
        if let Some(known) = waiting.values().find(|w| w.principal == principal && w.key == key) {
            if known.digest == digest {
                return Ok(known.id.clone());
            }
            return Err(Refusal::new(
                "idempotency-key-reused",
                422,
                "cannot keep the draft: this idempotency key was used for another record",
                "use a fresh key for each record",
            ));
        }
        if waiting.len() >= MAX_DRAFTS {
            return Err(Refusal::fault(
                "drafts-full",
                format!("cannot keep the draft: {MAX_DRAFTS} are waiting"),
                "GET /v1/status says why nothing is signed; send the record again after that",
            ));
        }
        let id = id.to_string();
        let name = format!("{now_ms:015}-{}.draft", id.trim_start_matches("urn:uuid:"));
        let (principal, key) = (principal.to_owned(), key.to_owned());
        let draft = Draft { id, principal, key, digest, since: now_ms, refused: None, submission };
        self.write(&name, &draft).map_err(|cause| {
            let text = format!("cannot keep the draft: {cause}");
            let hint = "free space on the data directory's disk and send the record again";
            Refusal { status: 507, ..Refusal::fault("disk-full", text, hint) }
        })?;
        waiting.insert(name, listed(&draft));
        Ok(draft.id)
    }

    /// The oldest draft that was not refused.
    pub fn due(&self) -> Option<Due> {
        let waiting = self.lock();
        let file =
            waiting.iter().find(|(_, w)| w.refused.is_none()).map(|(name, _)| name.clone())?;
        drop(waiting);
        match self.read(&file) {
            Ok(draft) => Some(Due { file, draft }),
            Err(cause) => {
                tracing::error!(file, %cause, "cannot read a draft");
                self.lock().remove(&file);
                None
            }
        }
    }

    /// Seals every draft again that rests under an older data key than the newest.
    pub fn seal_again(&self) -> io::Result<()> {
        let waiting = self.lock();
        for name in waiting.keys() {
            let sealed = fs::read(self.dir.join(name))?;
            if !self.key.is_newest(&place(name), &sealed) {
                self.write(name, &self.read(name)?)?;
            }
        }
        Ok(())
    }

    /// It was published: nothing of it stays.
    pub fn published(&self, due: &Due) {
        self.forget(&due.file);
    }

    /// It cannot be published: it stays, with the reason, until it is removed.
    pub fn refused(&self, due: Due, refusal: &Refusal) {
        let refused = Some(format!("{}: {}", refusal.code, refusal.message));
        let draft = Draft { refused, ..due.draft };
        if let Err(cause) = self.write(&due.file, &draft) {
            tracing::warn!(%cause, "cannot note why a draft was refused");
        }
        self.lock().insert(due.file, listed(&draft));
    }

    /// Removes a draft of this record; answers whether there was one.
    pub fn remove(&self, id: &RecordId) -> bool {
        let id = id.to_string();
        let file = self.lock().iter().find(|(_, w)| w.id == id).map(|(file, _)| file.clone());
        file.is_some_and(|file| {
            self.forget(&file);
            true
        })
    }

    /// What waits, in the order of arrival.
    pub fn list(&self) -> Vec<Waiting> {
        self.lock().values().cloned().collect()
    }

    fn forget(&self, file: &str) {
        let removed = fs::remove_file(self.dir.join(file)).and_then(|()| self.sync_dir());
        if let Err(cause) = removed {
            // Published again, it is the same entry: its idempotency key is known.
            tracing::warn!(file, %cause, "cannot remove a draft");
        }
        self.lock().remove(file);
    }

    fn read(&self, name: &str) -> io::Result<Draft> {
        let sealed = fs::read(self.dir.join(name))?;
        let opened = self.key.open(&place(name), &sealed);
        let opened =
            opened.ok_or_else(|| io::Error::other("it does not open with the data key"))?;
        serde_json::from_slice(&opened).map_err(io::Error::other)
    }

    fn write(&self, name: &str, draft: &Draft) -> io::Result<()> {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(draft)?);
        let sealed = self.key.seal(&place(name), &plain);
        fs::create_dir_all(&self.dir)?;
        let new = self.dir.join(format!("{name}.new"));
        let mut file = fs::File::create(&new)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        fs::rename(&new, self.dir.join(name))?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> io::Result<()> {
        let parent = self.dir.parent().unwrap_or(&self.dir);
        fs::File::open(&self.dir)?.sync_all()?;
        fs::File::open(parent)?.sync_all()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a draft is sealed for: no file opens in the place of another.
fn place(name: &str) -> String {
    format!("draft {name}")
}

fn listed(draft: &Draft) -> Waiting {
    Waiting {
        id: draft.id.clone(),
        principal: draft.principal.clone(),
        since: draft.since,
        refused: draft.refused.clone(),
        key: draft.key.clone(),
        digest: draft.digest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057";

    fn drafts(dir: &Path) -> Drafts {
        Drafts::open(dir, DataKey::from_bytes([3; 32])).unwrap()
    }

    fn submission() -> Submission {
        serde_json::from_value(json!({"community": "labs", "record": {"note": "canary-7f3a"}}))
            .unwrap()
    }

    fn keep(drafts: &Drafts, key: &str, digest: u8) -> Result<String, Refusal> {
        let id = ID.parse().unwrap();
        drafts.keep(&id, "lab", key, Digest([digest; 32]), submission(), 1_700_000_000_000)
    }

    #[test]
    fn a_draft_is_there_after_a_restart_and_nothing_of_it_is_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(keep(&drafts(dir.path()), "k", 1).unwrap(), ID);
        for entry in fs::read_dir(dir.path().join(DRAFTS_DIR)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|w| w == b"canary"));
        }
        let again = drafts(dir.path());
        let due = again.due().unwrap();
        let (principal, key, digest, submission) = due.request();
        assert_eq!((principal, key, digest), ("lab", "k", Digest([1; 32])));
        assert_eq!(submission.record["note"], "canary-7f3a");
        again.published(&due);
        assert!(again.due().is_none() && drafts(dir.path()).list().is_empty());
    }

    #[test]
    fn the_same_request_is_kept_once_and_another_under_its_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let drafts = drafts(dir.path());
        keep(&drafts, "k", 1).unwrap();
        keep(&drafts, "k", 1).unwrap();
        assert_eq!(drafts.list().len(), 1);
        assert_eq!(keep(&drafts, "k", 2).unwrap_err().code, "idempotency-key-reused");
    }

    #[test]
    fn a_refused_draft_waits_with_its_reason_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let first = drafts(dir.path());
        keep(&first, "k", 1).unwrap();
        let due = first.due().unwrap();
        first.refused(due, &Refusal::new("unknown-community", 422, "cannot", "ask"));
        let again = drafts(dir.path());
        assert!(again.due().is_none());
        assert_eq!(again.list()[0].refused.as_deref(), Some("unknown-community: cannot"));
        assert!(again.remove(&ID.parse().unwrap()));
        assert!(!again.remove(&ID.parse().unwrap()));
    }

    #[test]
    fn a_damaged_draft_is_not_taken_for_another() {
        let dir = tempfile::tempdir().unwrap();
        keep(&drafts(dir.path()), "k", 1).unwrap();
        let folder = dir.path().join(DRAFTS_DIR);
        let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        fs::rename(&file, folder.join("000000000000001-x.draft")).unwrap();
        assert!(drafts(dir.path()).list().is_empty());
    }
}
