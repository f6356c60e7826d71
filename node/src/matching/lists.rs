//! The lists that an operator loads: for each community one file, under the local data key.
//!
//! A list is taken whole or not at all. It takes the place of the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sealwire_schemas::identifier::{Identifier, IdentifierType};
use sealwire_wire::oprf::MAX_LISTED;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::DataKey;
use crate::refusal::Refusal;

/// Directory of the lists, in the data directory.
const LISTS_DIR: &str = "match";
/// Largest list as it is loaded, in bytes.
pub const MAX_LIST_BYTES: usize = 16 * 1024 * 1024;
/// Most wrong lines that a refusal names.
const MAX_LINES_NAMED: usize = 10;
/// The head that a list may have.
const HEAD: &str = "type,identifier";

/// What may be matched in a community.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Listed {
    /// The community.
    pub community: String,
    /// The purposes for which others may ask.
    pub purposes: BTreeSet<String>,
    /// When it was loaded, seconds since 1970.
    pub loaded: u64,
    /// How many identifiers there are of each type.
    pub identifiers: BTreeMap<String, usize>,
}

/// A list in its file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    community: String,
    purposes: BTreeSet<String>,
    loaded: u64,
    /// Sorted, by type.
    identifiers: BTreeMap<String, Vec<String>>,
}

impl List {
    fn listed(&self) -> Listed {
        let sizes = self.identifiers.iter().map(|(kind, all)| (kind.clone(), all.len()));
        Listed {
            community: self.community.clone(),
            purposes: self.purposes.clone(),
            loaded: self.loaded,
            identifiers: sizes.collect(),
        }
    }
}

/// The lists of a node.
pub struct Lists {
    dir: PathBuf,
    key: DataKey,
    held: Mutex<BTreeMap<String, Listed>>,
}

impl Lists {
    /// Finds the lists in the data directory.
    pub fn open(data: &Path, key: DataKey) -> io::Result<Self> {
        let lists = Self { dir: data.join(LISTS_DIR), key, held: Mutex::default() };
        let entries = match fs::read_dir(&lists.dir) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(lists),
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(community) = name.strip_suffix(".list") else { continue };
            match lists.read(community) {
                Ok(list) => {
                    lists.lock().insert(community.to_owned(), list.listed());
                }
                Err(cause) => {
                    tracing::error!(file = name, %cause, "cannot read a list of identifiers (hint: it was made with other keys, or is damaged; load it again)");
                }
            }
        }
        Ok(lists)
    }

    /// Takes a list for a community and some of its purposes: a line for each identifier, `type`
    /// and `identifier` separated by a comma. Answers when it is durable. Without any identifier
    /// there is no list any more.
    pub fn load(
        &self,
        community: &str,
        purposes: BTreeSet<String>,
        text: &str,
        now: u64,
    ) -> Result<Listed, Refusal> {
        let identifiers = parse(text)?;
        let mut held = self.lock();
        // Later than the one before, so that tags made of that one are known to be old.
        let loaded = held.get(community).map_or(now, |before| now.max(before.loaded + 1));
        let list = List { community: community.to_owned(), purposes, loaded, identifiers };
        let kept = match list.identifiers.is_empty() {
            true => self.remove(community),
            false => self.write(&list),
        };
        kept.map_err(|cause| {
            let text = format!("cannot keep the list: {cause}");
            let hint = "free space on the data directory's disk and load the list again";
            Refusal { status: 507, ..Refusal::fault("disk-full", text, hint) }
        })?;
        let listed = list.listed();
        match listed.identifiers.is_empty() {
            true => held.remove(community),
            false => held.insert(community.to_owned(), listed.clone()),
        };
        Ok(listed)
    }

    /// What may be matched, by community.
    pub fn all(&self) -> Vec<Listed> {
        self.lock().values().cloned().collect()
    }

    /// What may be matched in a community.
    pub fn of(&self, community: &str) -> Option<Listed> {
        self.lock().get(community).cloned()
    }

    /// The identifiers of a type in a community's list.
    pub fn identifiers(&self, community: &str, kind: &str) -> io::Result<Vec<String>> {
        let mut list = self.read(community)?;
        Ok(list.identifiers.remove(kind).unwrap_or_default())
    }

    /// Seals every list again that rests under an older data key than the newest.
    pub fn seal_again(&self) -> io::Result<()> {
        let held = self.lock();
        for community in held.keys() {
            let sealed = fs::read(self.path(community))?;
            if !self.key.is_newest(&place(community), &sealed) {
                self.write(&self.read(community)?)?;
            }
        }
        Ok(())
    }

    fn read(&self, community: &str) -> io::Result<List> {
        let sealed = fs::read(self.path(community))?;
        let opened = self.key.open(&place(community), &sealed);
        let opened =
            opened.ok_or_else(|| io::Error::other("it does not open with the data key"))?;
        serde_json::from_slice(&opened).map_err(io::Error::other)
    }

    fn write(&self, list: &List) -> io::Result<()> {
        let plain = Zeroizing::new(serde_json::to_vec(list)?);
        let sealed = self.key.seal(&place(&list.community), &plain);
        fs::create_dir_all(&self.dir)?;
        let path = self.path(&list.community);
        let new = path.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        self.sync_dir()
    }

    fn remove(&self, community: &str) -> io::Result<()> {
        match fs::remove_file(self.path(community)) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(cause),
            Ok(()) => self.sync_dir(),
        }
    }

    fn sync_dir(&self) -> io::Result<()> {
        let parent = self.dir.parent().unwrap_or(&self.dir);
        fs::File::open(&self.dir)?.sync_all()?;
        fs::File::open(parent)?.sync_all()
    }

    fn path(&self, community: &str) -> PathBuf {
        self.dir.join(format!("{community}.list"))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Listed>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a list is sealed for: no file opens in the place of another.
fn place(community: &str) -> String {
    format!("match list {community}")
}

/// The identifiers of a list by type, each once, in order. Says of every wrong line what is wrong
/// with it, and does not repeat it.
fn parse(text: &str) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let mut found: BTreeMap<IdentifierType, BTreeSet<String>> = BTreeMap::new();
    let (mut wrong, mut named) = (0usize, Vec::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || (number == 0 && line == HEAD) {
            continue;
        }
        match identifier(line) {
            Ok(identifier) => {
                let of_kind = found.entry(identifier.kind()).or_default();
                of_kind.insert(identifier.as_str().to_owned());
            }
            Err(cause) => {
                wrong += 1;
                if named.len() < MAX_LINES_NAMED {
                    named.push(format!("line {}: {cause}", number + 1));
                }
            }
        }
    }
    if wrong > 0 {
        return Err(Refusal::new(
            "list-invalid",
            422,
            format!("cannot load the list: {wrong} line(s) are wrong: {}", named.join("; ")),
            "write a type and an identifier on each line, such as container,CSQU3054383; nothing \
             of the list was taken",
        ));
    }
    if let Some((kind, all)) = found.iter().find(|(_, all)| all.len() > MAX_LISTED) {
        let (count, limit) = (all.len(), MAX_LISTED);
        return Err(Refusal::new(
            "list-invalid",
            422,
            format!("cannot load the list: {count} identifiers of type {kind}, at most {limit}"),
            "load those that matter most; nothing of the list was taken",
        ));
    }
    let found = found.into_iter();
    Ok(found.map(|(kind, all)| (kind.to_string(), all.into_iter().collect())).collect())
}

fn identifier(line: &str) -> Result<Identifier, String> {
    let (kind, text) = line.split_once(',').ok_or("it has no type, a comma and an identifier")?;
    let kind: IdentifierType = kind.trim().parse().map_err(|e| format!("{e}"))?;
    Identifier::parse(kind, text.trim()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: &str = "type,identifier\n# seen in November\ncontainer,MSKU6011672\n\
                        container, csqu 305438-3\ncontainer,MSKU6011672\nvessel,IMO 9074729\n";

    fn lists(dir: &Path) -> Lists {
        Lists::open(dir, DataKey::from_bytes([3; 32])).unwrap()
    }

    fn purposes() -> BTreeSet<String> {
        BTreeSet::from(["risk-analysis".to_owned()])
    }

    #[test]
    fn a_list_is_there_after_a_restart_in_one_form_and_nothing_of_it_is_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let listed = lists(dir.path()).load("seizures", purposes(), LIST, 1000).unwrap();
        let sizes = [("container".to_owned(), 2), ("vessel".to_owned(), 1)];
        assert_eq!(listed.identifiers, BTreeMap::from(sizes));
        for entry in fs::read_dir(dir.path().join(LISTS_DIR)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(7).any(|w| w == b"6011672" || w == b"9074729"));
        }
        let again = lists(dir.path());
        assert_eq!(again.of("seizures"), Some(listed));
        let containers = again.identifiers("seizures", "container").unwrap();
        assert_eq!(containers, ["CSQU3054383", "MSKU6011672"]);
        assert_eq!(again.identifiers("seizures", "company").unwrap(), Vec::<String>::new());
        assert_eq!(again.of("substances"), None);
    }

    #[test]
    fn a_list_takes_the_place_of_the_one_before_and_an_empty_one_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let lists = lists(dir.path());
        let first = lists.load("seizures", purposes(), LIST, 1000).unwrap();
        let second = lists.load("seizures", purposes(), "vessel,9074729", 1000).unwrap();
        assert!(second.loaded > first.loaded);
        assert_eq!(lists.all(), std::slice::from_ref(&second));
        lists.load("seizures", purposes(), "", 1001).unwrap();
        assert_eq!((lists.all(), lists.of("seizures")), (vec![], None));
        assert_eq!(fs::read_dir(dir.path().join(LISTS_DIR)).unwrap().count(), 0);
    }

    #[test]
    fn a_list_with_a_wrong_line_is_refused_whole_and_no_identifier_is_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let lists = lists(dir.path());
        let bad = "container,MSKU6011672\ncontainer,MSKU6011673\ntruck,B1234XY\nMSKU6011672";
        let refused = lists.load("seizures", purposes(), bad, 1000).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.status), ("list-invalid", 422));
        for part in ["3 line(s)", "line 2: it is not a container", "line 3: no type", "line 4: it"]
        {
            assert!(refused.message.contains(part), "{refused}");
        }
        assert!(!refused.message.contains("601167") && !refused.message.contains("B1234XY"));
        assert_eq!(lists.all(), []);
    }

    #[test]
    fn a_list_is_sealed_again_under_the_newest_key_and_opens_in_its_own_place_only() {
        let dir = tempfile::tempdir().unwrap();
        let lists = lists(dir.path());
        lists.load("seizures", purposes(), LIST, 1000).unwrap();
        lists.seal_again().unwrap();
        let folder = dir.path().join(LISTS_DIR);
        fs::copy(folder.join("seizures.list"), folder.join("substances.list")).unwrap();
        let again = Lists::open(dir.path(), DataKey::from_bytes([3; 32])).unwrap();
        assert_eq!(again.all().len(), 1);
    }

    proptest! {
        #[test]
        fn arbitrary_lists_never_panic(text in "([a-z]{0,9},?[ -~é]{0,12}\n){0,6}") {
            let _ = parse(&text);
        }
    }
}
