//! C2SP `signed-note`: a text and signature lines over it.
//!
//! Text, an empty line, then one or more lines `— <name> <base64(key id ‖ signature)>`. The text
//! and the signatures are parted at the last empty line. This module knows nothing of what the
//! text says, nor of which keys are to be trusted.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::mldsa::MLDSA_PUBLIC_BYTES;

/// Largest note accepted, in bytes.
pub const MAX_NOTE_BYTES: usize = 256 * 1024;
/// Most signatures accepted.
pub const MAX_SIGNATURES: usize = 512;
/// Note signature type: Ed25519.
pub const TYPE_ED25519: u8 = 0x01;
/// Note signature type: timestamped Ed25519 cosignature (`cosignature/v1`).
pub const TYPE_COSIGNATURE: u8 = 0x04;
/// Note signature type: timestamped ML-DSA-44 cosignature (`subtree/v1`).
pub const TYPE_MLDSA_COSIGNATURE: u8 = 0x06;

/// Why a note was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More bytes or signatures than the limit.
    #[error(
        "cannot read note: larger than {MAX_NOTE_BYTES} bytes or more than {MAX_SIGNATURES} signatures"
    )]
    TooLarge,
    /// Not UTF-8, or with a control character.
    #[error("cannot read note: not UTF-8 text without control characters")]
    NotText,
    /// No empty line before the signatures, or no newline at the end.
    #[error(
        "cannot read note: no text, empty line and signatures (hint: nothing may follow the last line)"
    )]
    NoSignatures,
    /// A signature line of another form.
    #[error("cannot read note: signature line {0} is not `— name base64`")]
    SignatureLine(usize),
    /// A key name that the format does not allow.
    #[error(
        "cannot use key name {0:?}: it must be non-empty and without white space and plus signs"
    )]
    KeyName(String),
    /// A verifier key of another form.
    #[error("cannot read verifier key: not `name+hash+base64`, or the hash does not fit the key")]
    VerifierKey,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// A signature by the key `name` with id `key_id`.
    pub fn new(name: &str, key_id: [u8; 4], bytes: Vec<u8>) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key_id, bytes })
    }

    /// Name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the key.
    pub fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// The signature, in the form of its type.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads one line, without its newline.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let decoded = STANDARD.decode(encoded).ok()?;
        let (key_id, bytes) = decoded.split_first_chunk::<4>()?;
        if bytes.is_empty() {
            return None;
        }
        Self::new(name, *key_id, bytes.to_vec()).ok()
    }
}

impl fmt::Display for NoteSignature {
    /// The line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.as_slice(), &self.bytes].concat();
        write!(f, "\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A text with its signatures; nothing is known yet of whether they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Puts a note together. The text ends in a newline.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Self {
        Self { text, signatures }
    }

    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if note.chars().any(|c| c != '\n' && c.is_ascii_control()) {
            return Err(NoteError::NotText);
        }
        let split = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, rest) = note.split_at_checked(split + 1).ok_or(NoteError::NoSignatures)?;
        let lines = rest.strip_prefix('\n').and_then(|l| l.strip_suffix('\n'));
        let lines = lines.filter(|l| !l.is_empty()).ok_or(NoteError::NoSignatures)?;
        let signatures = lines
            .split('\n')
            .take(MAX_SIGNATURES + 1)
            .enumerate()
            .map(|(i, line)| NoteSignature::parse(line).ok_or(NoteError::SignatureLine(i + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The signed text, ending in a newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, unless the same line is there already.
    pub fn add(&mut self, signature: NoteSignature) {
        if !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// Key id: the first four bytes of SHA-256 over `name ‖ 0A ‖ type ‖ public key`.
pub fn key_id(name: &str, type_: u8, public: &[u8]) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', type_])
        .chain_update(public)
        .finalize();
    let mut id = [0; 4];
    id.copy_from_slice(hash.first_chunk::<4>().unwrap_or(&[0; 4]));
    id
}

/// A public key, by the type of the signatures that it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// [`TYPE_ED25519`]: a log's key.
    Ed25519([u8; 32]),
    /// [`TYPE_COSIGNATURE`]: a cosigner's Ed25519 key.
    Cosignature([u8; 32]),
    /// [`TYPE_MLDSA_COSIGNATURE`]: a cosigner's ML-DSA-44 key.
    MlDsaCosignature(Box<[u8; MLDSA_PUBLIC_BYTES]>),
}

impl PublicKey {
    /// The signature type.
    pub fn type_(&self) -> u8 {
        match self {
            Self::Ed25519(_) => TYPE_ED25519,
            Self::Cosignature(_) => TYPE_COSIGNATURE,
            Self::MlDsaCosignature(_) => TYPE_MLDSA_COSIGNATURE,
        }
    }

    /// The key itself.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(public) | Self::Cosignature(public) => public,
            Self::MlDsaCosignature(public) => public.as_slice(),
        }
    }

    fn from_bytes(type_: u8, public: &[u8]) -> Option<Self> {
        match type_ {
            TYPE_ED25519 => Some(Self::Ed25519(public.try_into().ok()?)),
            TYPE_COSIGNATURE => Some(Self::Cosignature(public.try_into().ok()?)),
            TYPE_MLDSA_COSIGNATURE => {
                Some(Self::MlDsaCosignature(Box::new(public.try_into().ok()?)))
            }
            _ => None,
        }
    }
}

/// A public key with its name, as `vkey` text: `name+key id in hex+base64(type ‖ public key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    /// Name of the key.
    pub name: String,
    /// The key.
    pub public: PublicKey,
}

impl VerifierKey {
    /// Its key id.
    pub fn key_id(&self) -> [u8; 4] {
        key_id(&self.name, self.public.type_(), self.public.as_bytes())
    }

    /// Reads the `vkey` text.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let bad = || NoteError::VerifierKey;
        let (name, rest) = text.split_once('+').ok_or_else(bad)?;
        let (hash, key) = rest.split_once('+').ok_or_else(bad)?;
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| bad())?;
        let (type_, public) = key.split_first().ok_or_else(bad)?;
        let public = PublicKey::from_bytes(*type_, public).ok_or_else(bad)?;
        let key = Self { name: name.to_owned(), public };
        if hex::encode(key.key_id()) == hash { Ok(key) } else { Err(bad()) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.public.type_()], self.public.as_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.key_id()), STANDARD.encode(key))
    }
}

/// Whether a key may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = name.is_empty() || name.contains('+') || name.contains(char::is_whitespace);
    if bad { Err(NoteError::KeyName(name.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signature() -> NoteSignature {
        NoteSignature::new("test.example/ID", [1, 2, 3, 4], vec![5; 64]).unwrap()
    }

    #[test]
    fn a_note_is_parted_at_its_last_empty_line() {
        let note = Note::new("a\n\nb\n".into(), vec![signature()]);
        assert_eq!(Note::parse(note.to_string().as_bytes()).unwrap(), note);
    }

    #[test]
    fn refuses_what_is_not_a_note() {
        let line = signature().to_string();
        for bad in [
            String::new(),
            "text\n".into(),
            "text\n\n".into(),
            format!("text\n\n{line}"),
            format!("text\n\n{line}\n\n"),
            format!("text\n\n{line}\nmore\n"),
            format!("te\u{7}xt\n\n{line}\n"),
            "text\n\n\u{2014} a+b AAAAAAA=\n".into(),
            "text\n\n\u{2014} name AAAAAA==\n".into(),
        ] {
            assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn verifier_keys_are_read_back_and_a_wrong_hash_is_refused() {
        for public in [
            PublicKey::Ed25519([7; 32]),
            PublicKey::Cosignature([7; 32]),
            PublicKey::MlDsaCosignature(Box::new([7; MLDSA_PUBLIC_BYTES])),
        ] {
            let key = VerifierKey { name: "n".into(), public };
            assert_eq!(VerifierKey::parse(&key.to_string()).unwrap(), key);
            let other = key.to_string().replacen("n+", "m+", 1);
            assert_eq!(VerifierKey::parse(&other), Err(NoteError::VerifierKey));
        }
    }

    #[test]
    fn refuses_verifier_keys_of_an_unknown_type_or_another_length() {
        for (type_, length) in [(0x01, 33), (0x04, 31), (0x06, 1311), (0x06, 32), (0x02, 32)] {
            let public = vec![7; length];
            let id = hex::encode(key_id("n", type_, &public));
            let vkey = format!("n+{id}+{}", STANDARD.encode([&[type_], &public[..]].concat()));
            assert_eq!(VerifierKey::parse(&vkey), Err(NoteError::VerifierKey), "{vkey}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Note::parse(&bytes);
            let _ = VerifierKey::parse(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn arbitrary_text_never_panics_and_is_read_back(text in "[ -~\n\u{2014}]{0,200}") {
            if let Ok(note) = Note::parse(text.as_bytes()) {
                prop_assert_eq!(Note::parse(note.to_string().as_bytes()).unwrap(), note);
            }
        }
    }
}
