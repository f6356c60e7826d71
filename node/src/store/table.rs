//! The table of rows: sled, and before it the rows of the last commits in memory.
//!
//! A commit puts its rows into memory, which makes them visible at once and costs little;
//! [`Table::hand_over`] gives what many commits left there to sled, as one batch, on the thread that
//! writes the log files. What a crash takes of them is replayed from the journal: the row that says
//! how far the index has come goes the same way, in the same batch.
//!
//! Reads look first at the rows that no batch has taken, then at those of the last batch, which
//! stay until the next one, then at sled; so that a row on its way is never missed.
//!
//! This module knows nothing of what the rows mean.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sled::IVec;

/// Rows by key; none where the row is removed.
pub(super) type Rows = BTreeMap<IVec, Option<IVec>>;
/// The ends of a range of keys.
pub(super) type Ends<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// All rows of an index.
pub(super) struct Table {
    db: sled::Db,
    waiting: RwLock<Waiting>,
    /// One batch at a time.
    handing_over: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    /// Rows that no batch has taken.
    new: Rows,
    /// The rows of the last batch: in sled, or on their way there.
    taken: Arc<Rows>,
}

impl Table {
    /// The rows that sled holds.
    pub fn new(db: sled::Db) -> Self {
        Self { db, waiting: RwLock::default(), handing_over: Mutex::default() }
    }

    /// The value of a row.
    pub fn get(&self, key: &[u8]) -> sled::Result<Option<IVec>> {
        let waiting = self.read().get(key);
        match waiting {
            Some(value) => Ok(value),
            None => self.db.get(key),
        }
    }

    /// The rows of a range, in the order of their keys.
    pub fn range(&self, ends: Ends<'_>) -> Range {
        let waiting = {
            let waiting = self.read();
            let mut rows = part(&waiting.taken, ends);
            rows.extend(part(&waiting.new, ends));
            rows
        };
        // After what waits was copied: what is handed over in between is then seen twice, not never.
        let held = self.db.range::<&[u8], _>(ends);
        Range { waiting: waiting.into_iter().peekable(), held: held.peekable() }
    }

    /// The rows whose keys begin with `prefix`.
    pub fn scan_prefix(&self, prefix: impl AsRef<[u8]>) -> Range {
        let prefix = prefix.as_ref();
        let mut end = prefix.to_vec();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        let end = end.split_last().map(|(last, rest)| [rest, &[last + 1]].concat());
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.range((Bound::Included(prefix), end))
    }

    /// The last key that begins with `prefix`.
    pub fn last(&self, prefix: &[u8]) -> sled::Result<Option<IVec>> {
        let waiting = {
            let waiting = self.read();
            let with = |rows: &Rows| -> Rows {
                let rows = rows.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
                let rows = rows.take_while(|(key, _)| key.starts_with(prefix));
                rows.map(|(key, value)| (key.clone(), value.clone())).collect()
            };
            let mut rows = with(&waiting.taken);
            rows.extend(with(&waiting.new));
            rows
        };
        let put = waiting.iter().rev().find(|(_, value)| value.is_some());
        let put = put.map(|(key, _)| key.clone());
        // Of those in sled the last that is not removed here.
        for key in self.db.scan_prefix(prefix).keys().rev() {
            let key = key?;
            if !matches!(waiting.get(&key), Some(None)) {
                return Ok(put.max(Some(key)));
            }
        }
        Ok(put)
    }

    /// Makes rows visible; answers how many wait to be handed over.
    pub fn put(&self, rows: Rows) -> usize {
        let mut waiting = self.write();
        waiting.new.extend(rows);
        waiting.new.len()
    }

    /// Changes one row if it is as expected; answers whether it was.
    pub fn swap(&self, key: &[u8], from: Option<&[u8]>, to: Option<Vec<u8>>) -> sled::Result<bool> {
        let mut waiting = self.write();
        let found = match waiting.get(key) {
            Some(value) => value,
            None => self.db.get(key)?,
        };
        let same = found.as_deref() == from;
        if same {
            waiting.new.insert(key.into(), to.map(IVec::from));
        }
        Ok(same)
    }

    /// Gives sled the rows that wait, as one batch.
    pub fn hand_over(&self) -> sled::Result<()> {
        let _one = self.one();
        let taken = {
            let mut waiting = self.write();
            if waiting.new.is_empty() {
                return Ok(());
            }
            waiting.taken = Arc::new(std::mem::take(&mut waiting.new));
            Arc::clone(&waiting.taken)
        };
        let mut batch = sled::Batch::default();
        for (key, value) in taken.iter() {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.db.apply_batch(batch).inspect_err(|_| {
            // Still visible, and still to be handed over.
            let mut waiting = self.write();
            for (key, value) in taken.iter() {
                waiting.new.entry(key.clone()).or_insert_with(|| value.clone());
            }
        })
    }

    /// Has sled write what it was given.
    pub fn flush(&self) -> sled::Result<()> {
        self.db.flush().map(|_| ())
    }

    fn read(&self) -> RwLockReadGuard<'_, Waiting> {
        self.waiting.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Waiting> {
        self.waiting.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn one(&self) -> MutexGuard<'_, ()> {
        self.handing_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// What is known of a row here: its value, or that it was removed.
    fn get(&self, key: &[u8]) -> Option<Option<IVec>> {
        self.new.get(key).or_else(|| self.taken.get(key)).cloned()
    }
}

/// Rows in the order of their keys.
pub(super) struct Range {
    waiting: Peekable<std::collections::btree_map::IntoIter<IVec, Option<IVec>>>,
    held: Peekable<sled::Iter>,
}

impl Range {
    /// The keys alone.
    pub fn keys(self) -> impl Iterator<Item = sled::Result<IVec>> {
        self.map(|row| row.map(|(key, _)| key))
    }
}

impl Iterator for Range {
    type Item = sled::Result<(IVec, IVec)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = self.waiting.peek().map(|(key, _)| key);
            let held = match self.held.peek() {
                Some(Ok((held, _))) => Some(held),
                Some(Err(_)) => return self.held.next(),
                None => None,
            };
            match (key, held) {
                (Some(key), Some(held)) if key > held => return self.held.next(),
                (Some(key), Some(held)) if key == held => {
                    // What waits is newer.
                    self.held.next();
                }
                (None, _) => return self.held.next(),
                _ => {}
            }
            if let Some((key, Some(value))) = self.waiting.next() {
                return Some(Ok((key, value)));
            }
        }
    }
}

fn part(rows: &Rows, ends: Ends<'_>) -> Rows {
    // A range that ends before it begins is empty; the map would not have it.
    let (Bound::Included(first) | Bound::Excluded(first)) = ends.0 else {
        return rows
            .range::<[u8], _>(ends)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
    };
    let empty = match ends.1 {
        Bound::Included(last) => first > last,
        Bound::Excluded(last) => first >= last,
        Bound::Unbounded => false,
    };
    if empty {
        return Rows::new();
    }
    rows.range::<[u8], _>(ends).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(dir: &tempfile::TempDir) -> Table {
        Table::new(sled::open(dir.path()).unwrap())
    }

    fn all(table: &Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        let rows = table.scan_prefix([]).map(|row| row.unwrap());
        rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    #[test]
    fn rows_are_handed_over_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = table(&dir);
        first.put(Rows::from([(b"a".into(), Some(b"1".into())), (b"b".into(), Some(b"2".into()))]));
        first.hand_over().unwrap();
        first.put(Rows::from([(b"b".into(), None), (b"c".into(), Some(b"3".into()))]));
        let expected = vec![(b"a".to_vec(), b"1".to_vec()), (b"c".to_vec(), b"3".to_vec())];
        assert_eq!(all(&first), expected);
        assert_eq!(first.get(b"b").unwrap(), None);
        first.hand_over().unwrap();
        drop(first);
        assert_eq!(all(&table(&dir)), expected);
    }

    #[test]
    fn a_row_is_changed_only_if_it_is_as_expected() {
        let dir = tempfile::tempdir().unwrap();
        let table = table(&dir);
        assert!(!table.swap(b"a", Some(b"1"), None).unwrap());
        assert!(table.swap(b"a", None, Some(b"1".to_vec())).unwrap());
        table.hand_over().unwrap();
        assert!(!table.swap(b"a", None, Some(b"2".to_vec())).unwrap());
        assert!(table.swap(b"a", Some(b"1"), None).unwrap());
        assert_eq!(table.get(b"a").unwrap(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_answers_like_one_map_wherever_its_rows_are(
            steps in prop::collection::vec((0u8..12, 0u8..4, any::<u8>()), 1..60),
            (first, last) in (0u8..14, 0u8..14),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let table = table(&dir);
            let mut expected = BTreeMap::new();
            for (key, what, value) in steps {
                let row = vec![key, 7];
                match what {
                    0 => table.hand_over().unwrap(),
                    1 => {
                        expected.remove(&row);
                        table.put(Rows::from([(row.into(), None)]));
                    }
                    _ => {
                        expected.insert(row.clone(), vec![value]);
                        table.put(Rows::from([(row.into(), Some(vec![value].into()))]));
                    }
                }
            }
            let rows: Vec<_> = expected.clone().into_iter().collect();
            prop_assert_eq!(all(&table), rows);
            let highest = table.last(&[]).unwrap().map(|key| key.to_vec());
            prop_assert_eq!(highest.as_ref(), expected.keys().next_back());
            for key in 0..12 {
                let found = table.last(&[key]).unwrap().map(|key| key.to_vec());
                prop_assert_eq!(found, expected.contains_key(&vec![key, 7]).then(|| vec![key, 7]));
            }
            let (first, last) = ([first, 7], [last, 7]);
            let range = table.range((Bound::Included(&first), Bound::Excluded(&last)));
            let found: Vec<_> = range.map(|row| row.unwrap().0.to_vec()).collect();
            let within: Vec<_> =
                expected.keys().filter(|key| (&first[..]..&last[..]).contains(&&key[..])).cloned().collect();
            prop_assert_eq!(found, within);
            for key in 0..12 {
                let value = table.get(&[key, 7]).unwrap().map(|value| value.to_vec());
                prop_assert_eq!(value.as_ref(), expected.get(&vec![key, 7]));
            }
        }
    }
}
