//! Where the passphrase of a keys directory comes from: a file, a service manager's credential, or
//! a person at the terminal.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use zeroize::Zeroizing;

use super::{KeysError, check_private, io};
use crate::config::Pkcs11Keys;

/// Where systemd says that it puts the credentials of a service.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;
/// Shortest new passphrase, in characters.
pub const MIN_PASSPHRASE_CHARS: usize = 12;

/// What unlocks a keys directory. Wiped from memory on drop.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the bytes up to the line's end.
    fn of_line(mut bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        for end in [b'\n', b'\r'] {
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
        }
        let usable = (1..=MAX_PASSPHRASE_BYTES).contains(&bytes.len()) && !bytes.contains(&b'\n');
        usable.then_some(Self(bytes))
    }

    /// Takes a text.
    #[cfg(test)]
    pub fn of(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// Where to look for a passphrase, in this order: the file, the credential, the terminal.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// A file with the passphrase in its only line, readable by this user alone.
    pub file: Option<PathBuf>,
    /// Name of a credential that the service manager hands in.
    pub credential: Option<String>,
    /// The token that has some of the keys.
    pub token: Option<TokenSource>,
}

/// A token, and where to look for its PIN, in this order: the file, the credential, the terminal.
#[derive(Debug, Clone)]
pub struct TokenSource {
    /// Which token, and which keys are there.
    pub settings: Pkcs11Keys,
    /// A file with the PIN in its only line, readable by this user alone.
    pub pin_file: Option<PathBuf>,
}

impl TokenSource {
    /// The PIN.
    pub(super) fn pin(&self) -> Result<Passphrase, KeysError> {
        match stored(self.pin_file.as_deref(), self.settings.pin_credential.as_deref()) {
            Some(file) => read(&file),
            None => at_terminal(&format!("PIN of the token {}: ", self.settings.token)).map_err(
                |cause| match cause {
                    KeysError::NoPassphrase => KeysError::NoPin,
                    other => other,
                },
            ),
        }
    }
}

impl Source {
    /// The passphrase of the keys in `dir`.
    pub fn ask(&self, dir: &Path) -> Result<Passphrase, KeysError> {
        match self.stored() {
            Some(file) => read(&file),
            None => at_terminal(&format!("Passphrase of the keys in {}: ", dir.display())),
        }
    }

    /// A new passphrase for the keys in `dir`: at a terminal it is asked for twice.
    pub fn ask_new(&self, dir: &Path) -> Result<Passphrase, KeysError> {
        let new = match self.stored() {
            Some(file) => read(&file)?,
            None => {
                let prompt = format!("New passphrase for the keys in {}: ", dir.display());
                let first = at_terminal(&prompt)?;
                if first.as_bytes() != at_terminal("The same again: ")?.as_bytes() {
                    return Err(KeysError::PassphrasesDiffer);
                }
                first
            }
        };
        let length = String::from_utf8_lossy(new.as_bytes()).chars().count();
        if length < MIN_PASSPHRASE_CHARS {
            return Err(KeysError::PassphraseShort { length });
        }
        Ok(new)
    }

    /// The file, or the one of the credential where the service manager gave any.
    fn stored(&self) -> Option<PathBuf> {
        stored(self.file.as_deref(), self.credential.as_deref())
    }
}

fn stored(file: Option<&Path>, credential: Option<&str>) -> Option<PathBuf> {
    if let Some(file) = file {
        return Some(file.to_owned());
    }
    let dir = std::env::var_os(CREDENTIALS_VARIABLE)?;
    Some(Path::new(&dir).join(credential?))
}

fn read(file: &Path) -> Result<Passphrase, KeysError> {
    check_private(file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_BYTES + 3));
    let opened = File::open(file).map_err(|source| io(file, source))?;
    opened
        .take(MAX_PASSPHRASE_BYTES as u64 + 3)
        .read_to_end(&mut bytes)
        .map_err(|source| io(file, source))?;
    Passphrase::of_line(bytes).ok_or_else(|| KeysError::Form {
        path: file.to_owned(),
        expected: "one line of 1 to 1024 bytes",
    })
}

/// Puts the terminal back as it was, whatever happens.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Asks a person, without showing what is typed.
fn at_terminal(prompt: &str) -> Result<Passphrase, KeysError> {
    let path = Path::new("/dev/tty");
    let Ok(terminal) = fs::OpenOptions::new().read(true).write(true).open(path) else {
        return Err(KeysError::NoPassphrase);
    };
    let failed = |source: std::io::Error| io(path, source);
    let before = termios::tcgetattr(&terminal).map_err(|e| failed(e.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    let _quiet = Quiet { terminal: &terminal, before };
    termios::tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|e| failed(e.into()))?;
    (&terminal).write_all(prompt.as_bytes()).map_err(failed)?;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_BYTES + 3));
    // The buffer holds the line as well: it is short-lived, and no larger than a terminal's line.
    let mut reader = BufReader::with_capacity(1, &terminal).take(MAX_PASSPHRASE_BYTES as u64 + 3);
    reader.read_until(b'\n', &mut line).map_err(failed)?;
    Passphrase::of_line(line).ok_or(KeysError::NoPassphrase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_passphrase_is_one_line_of_bounded_length() {
        let of = |bytes: &[u8]| Passphrase::of_line(Zeroizing::new(bytes.to_vec()));
        for good in [&b"a b"[..], b"a b\n", b"a b\r\n"] {
            assert_eq!(of(good).unwrap().as_bytes(), b"a b");
        }
        for bad in [&b""[..], b"\n", b"a\nb", b"a\n\n", &[b'a'; MAX_PASSPHRASE_BYTES + 1]] {
            assert!(of(bad).is_none(), "{bad:?}");
        }
        assert!(!format!("{:?}", Passphrase::of("hunter-two")).contains("hunter"));
    }

    #[test]
    fn a_passphrase_file_is_private_and_a_new_passphrase_long() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passphrase");
        fs::write(&file, "twelve chars\n").unwrap();
        let credential = Some("unused".to_owned());
        let source = Source { file: Some(file.clone()), credential, token: None };
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(source.ask(dir.path()), Err(KeysError::Readable { .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(source.ask(dir.path()).unwrap().as_bytes(), b"twelve chars");
        source.ask_new(dir.path()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "eleven char\n").unwrap();
        source.ask(dir.path()).unwrap();
        let refused = source.ask_new(dir.path()).unwrap_err();
        assert!(matches!(refused, KeysError::PassphraseShort { length: 11 }), "{refused}");
    }
}
