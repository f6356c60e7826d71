//! The keys directory as stories.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt as _;

const DAY: u64 = 24 * 3600;
const WINDOWS: Windows = Windows { epoch: 31 * DAY, grace: 14 * DAY };
const NOW: u64 = 1_000_000;
const WORDS: &str = "correct horse battery staple";

fn made(passphrase: Option<&Passphrase>) -> (tempfile::TempDir, PathBuf, Keys) {
    let dir = tempfile::tempdir().unwrap();
    let keys_dir = dir.path().join("keys");
    let keys = Keys::create(&keys_dir, NOW, WINDOWS, passphrase).unwrap();
    (dir, keys_dir, keys)
}

fn fresh() -> (tempfile::TempDir, PathBuf, Keys) {
    made(None)
}

fn open(dir: &Path) -> Result<Keys, KeysError> {
    Keys::open(dir, &Source::default())
}

/// A source that reads this passphrase from a file of its own.
fn source(dir: &Path, words: &str) -> Source {
    let file = dir.join(format!("{}.words", words.len()));
    fs::write(&file, format!("{words}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Source { file: Some(file), ..Source::default() }
}

fn secrets(keys: &Keys) -> Vec<[u8; 32]> {
    keys.sets().iter().flat_map(|(_, set)| set.all().map(|(_, key)| key.seed().unwrap())).collect()
}

fn publics(keys: &Keys) -> Vec<Vec<u8>> {
    let all = keys.seal.all();
    all.iter().map(|e| e.key.public().unwrap().as_bytes().to_vec()).collect()
}

/// Nothing that the directory holds may be read without the passphrase.
fn assert_no_secret_in_clear(dir: &Path, keys: &Keys) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for secret in secrets(keys) {
            for form in [secret.to_vec(), hex::encode(secret).into_bytes()] {
                let found = bytes.windows(form.len()).any(|window| window == form);
                assert!(!found, "a key is in clear in {}", path.display());
            }
        }
        assert!(!bytes.windows(4).any(|w| w == b"seed"), "{}", path.display());
    }
}

#[test]
fn keys_are_read_back_and_never_overwritten() {
    let (_guard, dir, made) = fresh();
    let read = open(&dir).unwrap();
    assert_eq!(secrets(&made), secrets(&read));
    assert_eq!(secrets(&read).len(), USES.len());
    assert_ne!(made.log.current().seed().unwrap(), made.sign.current().seed().unwrap());
    assert_eq!(read.seal.all().len(), 1);
    assert_eq!(read.data.open("c", &made.data.seal("c", b"x")).unwrap().as_slice(), b"x");
    let refused = Keys::create(&dir, NOW, WINDOWS, None).unwrap_err();
    assert!(matches!(refused, KeysError::Format(FormatError::NotEmpty(_))), "{refused}");
    assert_eq!(secrets(&open(&dir).unwrap()), secrets(&made));
}

#[test]
fn keys_under_a_passphrase_are_read_with_it_alone_and_none_rests_in_clear() {
    let (guard, dir, made) = made(Some(&Passphrase::of(WORDS)));
    assert_no_secret_in_clear(&dir, &made);
    let read = Keys::open(&dir, &source(guard.path(), WORDS)).unwrap();
    assert_eq!(secrets(&read), secrets(&made));
    assert_eq!(publics(&read), publics(&made));
    let wrong = Keys::open(&dir, &source(guard.path(), "incorrect horse")).unwrap_err();
    assert!(matches!(wrong, KeysError::Passphrase(_)), "{wrong}");
    let master = fs::read_to_string(dir.join(MASTER_FILE)).unwrap();
    for said in ["kdf = \"argon2id\"", "memory-kib = 65536", "passes = 3", "lanes = 4"] {
        assert!(master.contains(said), "{master}");
    }
}

#[test]
fn a_passphrase_is_changed_in_one_step_and_the_old_one_opens_no_more() {
    let (guard, dir, mut keys) = made(Some(&Passphrase::of(WORDS)));
    let sign = fs::read(dir.join("sign.key")).unwrap();
    // What an attempt left that was broken off before the rename.
    fs::write(dir.join("master.key.new"), "half").unwrap();
    keys.set_passphrase(&Passphrase::of("another dozen of letters")).unwrap();
    assert_eq!(fs::read(dir.join("sign.key")).unwrap(), sign, "no key is written again");
    let read = Keys::open(&dir, &source(guard.path(), "another dozen of letters")).unwrap();
    assert_eq!(secrets(&read), secrets(&keys));
    assert!(Keys::open(&dir, &source(guard.path(), WORDS)).is_err());
}

#[test]
fn plain_keys_come_under_a_passphrase_whatever_interrupts_it() {
    let (guard, dir, mut keys) = fresh();
    let plain: Vec<(PathBuf, Vec<u8>)> = cover::key_files(&dir, "key")
        .unwrap()
        .into_iter()
        .map(|name| (dir.join(&name), fs::read(dir.join(&name)).unwrap()))
        .collect();
    keys.set_passphrase(&Passphrase::of(WORDS)).unwrap();
    assert!(!keys.is_plain());
    assert_no_secret_in_clear(&dir, &keys);
    let source = source(guard.path(), WORDS);
    assert_eq!(secrets(&Keys::open(&dir, &source).unwrap()), secrets(&keys));

    // Interrupted after master.key was there, with none, one or all of the files in place.
    let sealed: Vec<Vec<u8>> = plain.iter().map(|(path, _)| fs::read(path).unwrap()).collect();
    for in_place in 0..=plain.len() {
        for (at, ((path, plain), sealed)) in plain.iter().zip(&sealed).enumerate() {
            if at >= in_place {
                fs::write(path, plain).unwrap();
                let waiting = PathBuf::from(format!("{}.covered", path.display()));
                fs::write(&waiting, sealed).unwrap();
                fs::set_permissions(&waiting, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
        assert_eq!(secrets(&Keys::open(&dir, &source).unwrap()), secrets(&keys));
        assert_no_secret_in_clear(&dir, &keys);
    }

    // Interrupted before it was there: the directory is plain as it was.
    for ((path, plain), sealed) in plain.iter().zip(&sealed) {
        fs::write(path, plain).unwrap();
        fs::write(format!("{}.covered", path.display()), sealed).unwrap();
    }
    fs::remove_file(dir.join(MASTER_FILE)).unwrap();
    let read = open(&dir).unwrap();
    assert!(read.is_plain());
    assert_eq!(secrets(&read), secrets(&keys));
    assert_eq!(cover::key_files(&dir, "covered").unwrap(), [] as [String; 0]);
}

#[test]
fn nobody_slips_a_key_among_those_under_a_passphrase() {
    let (guard, dir, keys) = made(Some(&Passphrase::of(WORDS)));
    let source = source(guard.path(), WORDS);
    let (log, sign) = (dir.join("log.key"), dir.join("sign.key"));
    let good = fs::read(&sign).unwrap();
    fs::write(&sign, format!("{}\n", hex::encode([7; 32]))).unwrap();
    assert!(matches!(Keys::open(&dir, &source), Err(KeysError::NotOurs(_))), "a plain one");
    fs::copy(&log, &sign).unwrap();
    assert!(matches!(Keys::open(&dir, &source), Err(KeysError::NotOurs(_))), "that of another use");
    fs::write(&sign, &good).unwrap();
    assert_eq!(secrets(&Keys::open(&dir, &source).unwrap()), secrets(&keys));
}

#[test]
fn a_master_key_cannot_ask_for_more_memory_than_is_allowed() {
    let (guard, dir, _) = made(Some(&Passphrase::of(WORDS)));
    let source = source(guard.path(), WORDS);
    let path = dir.join(MASTER_FILE);
    let good = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("memory-kib = 65536", "memory-kib = 262145"),
        ("passes = 3", "passes = 17"),
        ("lanes = 4", "lanes = 0"),
        ("argon2id", "argon2i"),
    ] {
        fs::write(&path, good.replace(from, to)).unwrap();
        let refused = Keys::open(&dir, &source).unwrap_err();
        assert!(matches!(refused, KeysError::Form { .. }), "{to}: {refused}");
    }
}

#[test]
fn a_plain_key_is_not_written_where_a_passphrase_was_set_meanwhile() {
    let (_guard, dir, running) = fresh();
    open(&dir).unwrap().set_passphrase(&Passphrase::of(WORDS)).unwrap();
    let refused = running.next_epoch(NOW, WINDOWS, 1).unwrap_err();
    assert!(matches!(refused, KeysError::CoveredMeanwhile(_)), "{refused}");
    assert!(matches!(running.make("sign"), Err(KeysError::CoveredMeanwhile(_))));
}

#[test]
fn a_directory_of_version_1_is_opened_after_a_checked_copy() {
    let (guard, dir, keys) = fresh();
    fs::write(dir.join("format"), "sealwire-keys 1\n").unwrap();
    assert_eq!(secrets(&open(&dir).unwrap()), secrets(&keys));
    assert_eq!(fs::read_to_string(dir.join("format")).unwrap(), "sealwire-keys 2\n");
    let before = guard.path().join("keys.before-1");
    for name in cover::key_files(&dir, "key").unwrap() {
        assert_eq!(fs::read(before.join(&name)).unwrap(), fs::read(dir.join(&name)).unwrap());
    }
}

#[test]
fn a_new_key_waits_beside_the_old_one_until_it_is_chosen() {
    let (_guard, dir, keys) = fresh();
    let (number, public) = keys.make("sign").unwrap();
    assert_eq!(number, 2);
    let mut read = open(&dir).unwrap();
    let old = read.sign.current().seed().unwrap();
    assert_eq!(old, keys.sign.current().seed().unwrap());
    assert!(!read.log.choose(&public) && read.sign.choose(&public));
    assert_ne!(read.sign.current().seed().unwrap(), old);
    assert_eq!(read.make("sign").unwrap().0, 3);
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let (_guard, dir, _) = fresh();
    for (path, good) in [(dir.join("sign.key"), 0o600), (dir.join("seal-1.key"), 0o600)] {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, good);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = open(&dir).unwrap_err();
        assert!(matches!(refused, KeysError::Readable { mode: 0o640, .. }), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(good)).unwrap();
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(open(&dir), Err(KeysError::Readable { directory: true, .. })));
}

#[test]
fn a_newer_format_and_damaged_keys_are_refused() {
    let (_guard, dir, _) = fresh();
    let seal = fs::read(dir.join("seal-1.key")).unwrap();
    fs::write(dir.join("seal-1.key"), "epoch = 2\nfrom = 1\nuntil = 2\nseed = \"\"\n").unwrap();
    assert!(matches!(open(&dir), Err(KeysError::Form { .. })));
    fs::write(dir.join("seal-1.key"), seal).unwrap();
    fs::write(dir.join("log.key"), "abc\n").unwrap();
    assert!(matches!(open(&dir), Err(KeysError::Form { .. })));
    fs::write(dir.join("format"), "sealwire-keys 3\n").unwrap();
    let refused = open(&dir).unwrap_err();
    assert!(matches!(refused, KeysError::Format(FormatError::Newer { .. })), "{refused}");
}

#[test]
fn the_next_seal_epoch_is_made_before_the_end_and_meets_the_last() {
    let (_guard, dir, keys) = fresh();
    let end = NOW + WINDOWS.epoch;
    assert!(keys.ensure_epoch(end - 4 * DAY, WINDOWS).unwrap().is_none());
    let next = keys.ensure_epoch(end - 2 * DAY, WINDOWS).unwrap().unwrap();
    assert_eq!((next.epoch, next.from), (2, end));
    assert!(keys.ensure_epoch(end - DAY, WINDOWS).unwrap().is_none());
    let late = end + 100 * DAY;
    let third = keys.ensure_epoch(late, WINDOWS).unwrap().unwrap();
    assert_eq!((third.epoch, third.from), (3, late));
    let read = open(&dir).unwrap();
    let epochs: Vec<u64> = read.seal.all().iter().map(|e| e.epoch).collect();
    assert_eq!(epochs, [1, 2, 3]);
    assert_eq!(publics(&keys), publics(&read));
}

#[test]
fn the_keys_of_an_epoch_are_destroyed_a_grace_period_after_the_next_began() {
    let (_guard, dir, keys) = made(Some(&Passphrase::of(WORDS)));
    let old = keys.data.seal("secret", b"of the first epoch");
    let (seal, data) = (dir.join("seal-1.key"), dir.join("data.key"));
    let copies = [fs::read(&seal).unwrap(), fs::read(&data).unwrap()];
    let next = keys.ensure_epoch(NOW + WINDOWS.epoch - DAY, WINDOWS).unwrap().unwrap();
    let new = keys.data.seal("secret", b"kept again");
    let over = next.from + WINDOWS.grace;
    assert!(!keys.are_over(over - 1, WINDOWS));
    assert_eq!(keys.destroy_over(over - 1, WINDOWS).unwrap(), [] as [u64; 0]);
    assert!(keys.data.open("secret", &old).is_some(), "within the grace period it opens");

    assert!(keys.are_over(over, WINDOWS));
    assert_eq!(keys.destroy_over(over, WINDOWS).unwrap(), [1]);
    assert!(!seal.exists() && !data.exists() && !keys.are_over(over, WINDOWS));
    for file in fs::read_dir(&dir).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!copies.contains(&bytes), "no copy is left behind");
    }
    assert!(keys.data.open("secret", &old).is_none());
    assert_eq!(keys.data.open("secret", &new).unwrap().as_slice(), b"kept again");
    assert_eq!(keys.seal.all().iter().map(|e| e.epoch).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_match_key_of_an_epoch_is_made_once_and_destroyed_when_there_is_a_newer_one() {
    let (_guard, dir, keys) = fresh();
    assert_eq!(keys.matching.public(), None);
    assert!(keys.ensure_match_key().unwrap() && !keys.ensure_match_key().unwrap());
    let first = keys.matching.public().unwrap();
    assert_eq!(first.0, 1);
    assert_eq!(open(&dir).unwrap().matching.public(), Some(first));
    assert_eq!(keys.destroy_match_keys().unwrap(), Vec::<u64>::new(), "not the newest");
    keys.next_epoch(NOW, WINDOWS, 1).unwrap();
    assert!(keys.ensure_match_key().unwrap());
    let second = keys.matching.public().unwrap();
    assert!(second.0 == 2 && second.1 != first.1);
    assert_eq!(keys.destroy_match_keys().unwrap(), [1], "without a grace period");
    assert!(!dir.join("match.key").exists() && dir.join("match-2.key").exists());
    assert_eq!(open(&dir).unwrap().matching.public(), Some(second));
    assert!(!format!("{keys:?}{:?}", keys.matching).contains(&hex::encode(second.1)));
}

#[test]
fn the_newest_keys_are_never_destroyed() {
    let (_guard, dir, keys) = fresh();
    assert_eq!(keys.destroy_over(u64::MAX, WINDOWS).unwrap(), [] as [u64; 0]);
    keys.next_epoch(NOW, Windows { grace: 0, ..WINDOWS }, 1).unwrap();
    assert_eq!(keys.destroy_over(u64::MAX, WINDOWS).unwrap(), [1]);
    assert_eq!(keys.destroy_over(u64::MAX, WINDOWS).unwrap(), [] as [u64; 0]);
    assert_eq!(open(&dir).unwrap().seal.newest().unwrap().epoch, 2);
}

#[test]
fn a_lost_seal_key_is_replaced_by_one_of_a_later_epoch() {
    let (_guard, dir, _) = fresh();
    fs::remove_file(dir.join("seal-1.key")).unwrap();
    let keys = open(&dir).unwrap();
    assert!(matches!(keys.ensure_epoch(NOW, WINDOWS), Err(KeysError::NoSealKey(_))));
    assert_eq!(keys.next_epoch(NOW, WINDOWS, 2).unwrap().epoch, 2);
    assert_eq!(open(&dir).unwrap().seal.newest().unwrap().epoch, 2);
}

#[test]
fn no_key_shows_in_debug_output() {
    let (_guard, _dir, keys) = fresh();
    let shown = format!("{keys:?}{:?}", keys.data);
    for secret in secrets(&keys) {
        assert!(!shown.contains(&hex::encode(secret)));
    }
    assert!(!shown.contains("seed"));
}

proptest! {
    /// Whatever stands in a file, reading it ends in keys or in an error.
    #[test]
    fn no_bytes_in_a_key_file_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_guard, dir, _) = fresh();
        for name in ["sign.key", "seal-1.key", MASTER_FILE] {
            let before = fs::read(dir.join(name)).ok();
            fs::write(dir.join(name), &bytes).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
            prop_assert!(open(&dir).is_err());
            match before {
                Some(before) => fs::write(dir.join(name), before).unwrap(),
                None => fs::remove_file(dir.join(name)).unwrap(),
            }
        }
    }
}

#[test]
fn a_member_made_earlier_gets_the_key_of_mldsa_once() {
    let (guard, dir, _) = made(Some(&Passphrase::of(WORDS)));
    let open = || Keys::open(&dir, &source(guard.path(), WORDS)).unwrap();
    let first = open().cosign_pq.unwrap().public();
    fs::remove_file(dir.join(COSIGN_PQ)).unwrap();
    let mut keys = open();
    assert!(keys.cosign_pq.is_none());
    let file = keys.ensure_cosign_pq().unwrap().unwrap();
    let public = keys.cosign_pq.as_ref().unwrap().public();
    assert_ne!(public, first);
    assert_eq!(fs::read_to_string(file).unwrap().trim_end(), hex::encode(public));
    assert_eq!(fs::metadata(dir.join(COSIGN_PQ)).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(keys.ensure_cosign_pq().unwrap().is_none());
    assert_eq!(open().cosign_pq.unwrap().public(), public);
    assert_no_secret_in_clear(&dir, &keys);
}
