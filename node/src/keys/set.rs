//! The Ed25519 keys of one use, in files and in a token.

use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use sealwire_wire::signer::{Ed25519Signer, NoSignature};

use super::token::{self, Token, TokenKey};
use super::{KeysError, cover, number_of, write_new};

/// One Ed25519 key, wherever its secret half is.
#[derive(Clone)]
pub enum Key {
    /// In a file.
    File(SigningKey),
    /// In a PKCS#11 token.
    Token(TokenKey),
}

impl Key {
    /// The secret half, if it is in a file.
    pub(super) fn seed(&self) -> Option<[u8; 32]> {
        match self {
            Self::File(key) => Some(key.to_bytes()),
            Self::Token(_) => None,
        }
    }

    /// Its label in the token, if it is there.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Token(key) => Some(key.label()),
        }
    }
}

impl From<SigningKey> for Key {
    fn from(key: SigningKey) -> Self {
        Self::File(key)
    }
}

impl Ed25519Signer for Key {
    fn public(&self) -> [u8; 32] {
        match self {
            Self::File(key) => key.public(),
            Self::Token(key) => key.public(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], NoSignature> {
        match self {
            Self::File(key) => Ed25519Signer::sign(key, message),
            Self::Token(key) => key.sign(message),
        }
    }
}

/// The Ed25519 keys of one use: one in use, and others before or after it.
#[derive(Clone)]
pub struct KeySet {
    pub(super) all: Vec<(u64, Key)>,
    pub(super) chosen: usize,
}

impl KeySet {
    /// The key in use: the first one made, until another is chosen.
    pub fn current(&self) -> &Key {
        let (_, key) = self.all.get(self.chosen).expect("only a key that is there is chosen");
        key
    }

    /// Every key by its number, oldest first.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Key)> {
        self.all.iter().map(|(number, key)| (*number, key))
    }

    /// Takes the key with this public half into use; answers whether it is there.
    pub fn choose(&mut self, public: &[u8; 32]) -> bool {
        let is = |(_, key): &(u64, Key)| key.public() == *public;
        let found = self.all.iter().position(is);
        self.chosen = found.unwrap_or(self.chosen);
        found.is_some()
    }
}

/// The keys of a use that are in the token.
pub(super) fn read_references(
    dir: &Path,
    use_: &str,
    token: Option<&Arc<Token>>,
) -> Result<Vec<(u64, Key)>, KeysError> {
    let mut keys = Vec::new();
    for name in cover::key_files(dir, token::ENDING)? {
        let Some(number) = number_of(use_, token::ENDING, &name) else { continue };
        let path = dir.join(&name);
        let token = token::configured(token, &path)?;
        let key = TokenKey::read(&path, token)?;
        keys.push((number, Key::Token(key)));
    }
    Ok(keys)
}

/// Writes the file of a key in the token.
pub(super) fn refer(dir: &Path, use_: &str, number: u64, key: &TokenKey) -> Result<(), KeysError> {
    write_new(&dir.join(token::file_name(use_, number)), key.to_text().as_bytes())
}
