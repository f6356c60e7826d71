//! The rows of the index: keys and values.
//!
//! The first byte of a key says what the row is; then come member ids, each ended by a zero byte,
//! and integers, big-endian, so that rows sort as they are read. Values have fixed layouts; one
//! that does not fit its layout means that the index is damaged, never that the node is.
//!
//! This module knows nothing of sled and of what rows mean together.

use sealwire_wire::id::{Digest, MemberId};

use super::StoreFault;
use crate::journal::Position;

/// Layout of the rows; another one makes the index foreign, and it is rebuilt.
pub(super) const LAYOUT: u8 = 4;

/// First byte of a key: what the row is.
pub(super) mod row {
    pub const STATE: u8 = b'M';
    pub const LOG: u8 = b'L';
    pub const HEAD: u8 = b'c';
    pub const HEAD_AT: u8 = b'C';
    pub const ENTRY: u8 = b'e';
    pub const LATE: u8 = b'p';
    pub const QUARANTINE: u8 = b'q';
    pub const RECORD: u8 = b'r';
    pub const CONTENT: u8 = b'k';
    pub const FEED: u8 = b'f';
    pub const CONTROL: u8 = b't';
    pub const LEAF: u8 = b'd';
    pub const NODE: u8 = b'h';
    pub const MISSING: u8 = b'm';
    pub const DENIED_AHEAD: u8 = b'n';
    pub const COSIGNED: u8 = b'o';
    pub const COSIGNED_AT: u8 = b'O';
    pub const COSIGNED_PQ_AT: u8 = b'Q';
    pub const SECRET: u8 = b's';
    pub const IDEMPOTENT: u8 = b'i';
    pub const REFUSED_BY: u8 = b'R';
    pub const REGISTER: u8 = b'g';
    pub const STALE: u8 = b'w';
    pub const OUTCOME: u8 = b'u';
    pub const READ: u8 = b'v';
    pub const UNCOUNTED: u8 = b'V';
    pub const READS: u8 = b'y';
    pub const READS_OF: u8 = b'Y';
    pub const SECRET_AT: u8 = b'S';
    pub const AUDIENCE_AT: u8 = b'a';
    pub const TERMS: u8 = b'T';
    pub const ERASES: u8 = b'Z';
    pub const ERASE_LATER: u8 = b'z';
    pub const ERASED: u8 = b'x';
    pub const PURGE: u8 = b'X';
    pub const DESTROYED: u8 = b'D';
    pub const ATTEST: u8 = b'A';
    pub const HOLD: u8 = b'H';
    pub const REVIEW: u8 = b'W';
    pub const RELATED: u8 = b'b';
    pub const ACKNOWLEDGED: u8 = b'j';
    pub const DUE: u8 = b'l';
    pub const MATCH: u8 = b'1';
    pub const MATCH_DAY: u8 = b'3';
    pub const MATCH_UNCOUNTED: u8 = b'5';
    pub const MATCH_ENTRY: u8 = b'7';
    pub const SCREENED: u8 = b'K';
}

/// Key of a row that belongs to a log.
pub(super) fn log_key(row: u8, log: &MemberId) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    key.push(row);
    key.extend_from_slice(log.as_str().as_bytes());
    key.push(0);
    key
}

/// Key of a row that belongs to an index of a log.
pub(super) fn at_key(row: u8, log: &MemberId, index: u64) -> Vec<u8> {
    let mut key = log_key(row, log);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// Key of a complete subtree of a log.
pub(super) fn node_key(log: &MemberId, level: u8, index: u64) -> Vec<u8> {
    let mut key = log_key(row::NODE, log);
    key.push(level);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// Key of a row that belongs to a log and a member that cosigned it.
pub(super) fn by_key(row: u8, log: &MemberId, by: &MemberId) -> Vec<u8> {
    let mut key = log_key(row, log);
    key.extend_from_slice(by.as_str().as_bytes());
    key.push(0);
    key
}

/// Key of a control entry of a kind, in order of arrival.
pub(super) fn control_key(kind: &str) -> Vec<u8> {
    let mut key = vec![row::CONTROL];
    key.extend_from_slice(kind.as_bytes());
    key.push(0);
    key
}

/// Key of an idempotent request.
pub(super) fn idempotent_key(principal: &str, key: &str) -> Vec<u8> {
    let mut name = (principal.len() as u64).to_be_bytes().to_vec();
    name.extend_from_slice(principal.as_bytes());
    name.extend_from_slice(key.as_bytes());
    prefixed(row::IDEMPOTENT, &Digest::of(&name).0)
}

/// A row byte and the rest of a key.
pub(super) fn prefixed(row: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(row);
    key.extend_from_slice(rest);
    key
}

/// Reads row values and keys piece by piece.
pub(super) struct Columns<'a>(pub &'a [u8]);

impl<'a> Columns<'a> {
    /// The next `N` bytes.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreFault> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(StoreFault::Row)?;
        self.0 = rest;
        Ok(*head)
    }

    /// The next integer.
    pub fn u64(&mut self) -> Result<u64, StoreFault> {
        self.take().map(u64::from_be_bytes)
    }

    /// The next journal position.
    pub fn position(&mut self) -> Result<Position, StoreFault> {
        self.take().map(|bytes| Position::from_bytes(&bytes))
    }

    /// A member id up to the next zero byte.
    pub fn member(&mut self) -> Result<MemberId, StoreFault> {
        let mut pieces = self.0.splitn(2, |b| *b == 0);
        let (id, rest) = (pieces.next().unwrap_or_default(), pieces.next().ok_or(StoreFault::Row)?);
        self.0 = rest;
        member(id)
    }

    /// A member id to the end.
    pub fn last_member(self) -> Result<MemberId, StoreFault> {
        member(self.0)
    }

    /// The rest, as text.
    pub fn text(self) -> Result<&'a str, StoreFault> {
        std::str::from_utf8(self.0).map_err(|_| StoreFault::Row)
    }
}

fn member(bytes: &[u8]) -> Result<MemberId, StoreFault> {
    std::str::from_utf8(bytes).ok().and_then(|id| id.parse().ok()).ok_or(StoreFault::Row)
}

/// Where an entry is: index and log.
pub(super) fn place_value(log: &MemberId, index: u64) -> Vec<u8> {
    let mut value = index.to_be_bytes().to_vec();
    value.extend_from_slice(log.as_str().as_bytes());
    value
}

/// Reads where an entry is.
pub(super) fn read_place(value: &[u8]) -> Result<(MemberId, u64), StoreFault> {
    let mut columns = Columns(value);
    let index = columns.u64()?;
    Ok((columns.last_member()?, index))
}

/// What one row says of the whole index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// Whose node this is.
    pub own: MemberId,
    /// The last frame applied, and the digest of that frame: another journal has another one.
    pub applied: Option<(Position, Digest)>,
    /// The last cursor given out.
    pub cursor: u64,
    /// Entries held, control entries included.
    pub entries: u64,
    /// Register versions held.
    pub registers: u64,
}

impl State {
    /// The state of an empty index.
    pub fn new(own: &MemberId) -> Self {
        Self { own: own.clone(), applied: None, cursor: 0, entries: 0, registers: 0 }
    }

    /// Reads the row of an index that may be anybody's.
    pub fn read(value: &[u8]) -> Result<Self, StoreFault> {
        let mut columns = Columns(value);
        if columns.take::<1>()? != [LAYOUT] {
            return Err(StoreFault::Row);
        }
        let (cursor, entries, registers) = (columns.u64()?, columns.u64()?, columns.u64()?);
        let applied = match columns.take::<1>()? {
            [0] => None,
            _ => Some((columns.position()?, Digest(columns.take()?))),
        };
        Ok(Self { own: columns.last_member()?, applied, cursor, entries, registers })
    }

    /// The row.
    pub fn to_value(&self) -> Vec<u8> {
        let mut value = vec![LAYOUT];
        for number in [self.cursor, self.entries, self.registers] {
            value.extend_from_slice(&number.to_be_bytes());
        }
        match &self.applied {
            None => value.push(0),
            Some((position, digest)) => {
                value.push(1);
                value.extend_from_slice(&position.to_bytes());
                value.extend_from_slice(&digest.0);
            }
        }
        value.extend_from_slice(self.own.as_str().as_bytes());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_state_is_read_back() {
        let own: MemberId = "ID-RCL".parse().unwrap();
        let mut state = State::new(&own);
        assert_eq!(State::read(&state.to_value()).unwrap(), state);
        state.applied = Some((Position::START, Digest([7; 32])));
        state.cursor = 9;
        assert_eq!(State::read(&state.to_value()).unwrap(), state);
    }

    proptest! {
        #[test]
        fn arbitrary_rows_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = State::read(&bytes);
            let _ = read_place(&bytes);
            let _ = Columns(&bytes).member();
            let _ = Columns(&bytes).text();
        }
    }
}
