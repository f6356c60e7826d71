//! The local data key: what protects things that rest opened on this disk.
//!
//! There is one per seal epoch, and the newest seals. An older one opens until everything under it
//! has been sealed again and it is destroyed: then what an old copy of the disk holds under it
//! opens no more.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

/// Length of an AES-GCM nonce, in bytes.
const NONCE_LEN: usize = 12;

/// One AES-256-GCM key.
#[derive(Clone)]
pub(super) struct LocalKey(Zeroizing<[u8; 32]>);

impl LocalKey {
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Nonce, then AES-256-GCM with `context` as associated data, so that what was sealed for one
    /// place does not open in another.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the operating system gave random bytes at the start");
        let mut sealed = nonce.to_vec();
        sealed.extend(
            self.cipher()
                .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad: context.as_bytes() })
                .expect("a plaintext far below AES-GCM's limit of 64 GiB is always sealed"),
        );
        sealed
    }

    /// Opens what [`Self::seal`] made under the same context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload { msg, aad: context.as_bytes() };
        self.cipher().decrypt(&Nonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> Aes256Gcm {
        let key: &[u8; 32] = &self.0;
        Aes256Gcm::new(key.into())
    }
}

/// The local data key in all its epochs: AES-256-GCM. Its copies share what they hold.
#[derive(Clone)]
pub struct DataKey(Arc<RwLock<Vec<(u64, LocalKey)>>>);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    /// Takes keys by number, oldest first.
    pub(super) fn new(keys: Vec<(u64, LocalKey)>) -> Self {
        Self(Arc::new(RwLock::new(keys)))
    }

    /// Takes 32 random bytes.
    #[cfg(test)]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self::new(vec![(1, LocalKey::new(Zeroizing::new(bytes)))])
    }

    /// Seals bytes for this disk under the newest key; `context` is bound to them.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Vec<u8> {
        let keys = self.read();
        let (_, newest) = keys.last().expect("a data key is made with the directory");
        newest.seal(context, plaintext)
    }

    /// Opens what [`Self::seal`] made under the same context, with any key that is left.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.read().iter().rev().find_map(|(_, key)| key.open(context, sealed))
    }

    /// Whether the newest key has sealed this.
    pub fn is_newest(&self, context: &str, sealed: &[u8]) -> bool {
        self.read().last().is_some_and(|(_, newest)| newest.open(context, sealed).is_some())
    }

    /// The numbers of the keys, oldest first.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.read().iter().map(|(number, _)| *number).collect()
    }

    pub(super) fn add(&self, number: u64, key: LocalKey) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push((number, key));
    }

    pub(super) fn forget(&self, number: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|(n, _)| *n != number);
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<(u64, LocalKey)>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_key_opens_only_what_it_sealed_in_the_same_context() {
        let key = DataKey::from_bytes([7; 32]);
        let sealed = key.seal("secret 1", b"plain");
        assert_ne!(sealed, key.seal("secret 1", b"plain"), "a fresh nonce each time");
        assert_eq!(key.open("secret 1", &sealed).unwrap().as_slice(), b"plain");
        assert!(key.open("secret 2", &sealed).is_none());
        assert!(DataKey::from_bytes([8; 32]).open("secret 1", &sealed).is_none());
        for cut in 0..sealed.len() {
            assert!(key.open("secret 1", &sealed[..cut]).is_none());
        }
        let mut changed = sealed;
        changed[14] ^= 1;
        assert!(key.open("secret 1", &changed).is_none());
    }

    #[test]
    fn an_older_data_key_opens_until_it_is_forgotten_and_seals_no_more() {
        let key = DataKey::from_bytes([7; 32]);
        let old = key.seal("c", b"old");
        assert!(key.is_newest("c", &old));
        key.add(2, LocalKey::new(Zeroizing::new([8; 32])));
        let new = key.clone().seal("c", b"new");
        assert_eq!(key.open("c", &old).unwrap().as_slice(), b"old");
        assert!(key.is_newest("c", &new) && !key.is_newest("c", &old));
        key.clone().forget(1);
        assert!(key.open("c", &old).is_none(), "copies share what they hold");
        assert_eq!(key.open("c", &new).unwrap().as_slice(), b"new");
    }
}
