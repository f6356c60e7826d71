//! The list of UN/LOCODEs beside a node: made of the files that UNECE publishes, and read again.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sealwire_schemas::locode::{Locodes, MAX_LIST_BYTES, Place};
use sha2::{Digest as _, Sha256};

/// Largest file of UNECE that is read, in bytes; the largest of 2023 has 5 million.
const MAX_PART_BYTES: usize = 64 * 1024 * 1024;

/// Reads a list that [`import`] made.
pub fn read(path: &Path) -> anyhow::Result<Locodes> {
    let bytes = bytes(path, MAX_LIST_BYTES)?;
    let cannot = || format!("in {}", path.display());
    let text = std::str::from_utf8(&bytes).with_context(cannot)?;
    Locodes::parse(text).with_context(cannot)
}

/// Makes the list of an edition of the files that it was published in: CSV without a head, in any
/// encoding, for codes, functions and status are ASCII.
pub fn import(edition: &str, parts: &[PathBuf]) -> anyhow::Result<Locodes> {
    let (mut sources, mut places) = (Vec::new(), Vec::new());
    for path in parts {
        let bytes = bytes(path, MAX_PART_BYTES)?;
        let digest = hex::encode(Sha256::digest(&bytes));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        sources.push(format!("sha256 {digest} {name}"));
        rows(&bytes, &mut places).with_context(|| format!("in {}", path.display()))?;
    }
    Ok(Locodes::new(edition, sources, places)?)
}

/// The places of one file. A row without a location is the head of a country, or another name that
/// refers to a row of its own.
fn rows(bytes: &[u8], places: &mut Vec<Place>) -> anyhow::Result<()> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    for row in reader.byte_records() {
        let row = row.context("cannot read CSV")?;
        let cell = |at: usize| String::from_utf8_lossy(row.get(at).unwrap_or_default());
        if row.len() > 2 && cell(2).trim().is_empty() {
            continue;
        }
        let place = Place::new(cell(1).trim(), cell(2).trim(), cell(6).trim(), cell(7).trim());
        let line = row.position().map_or(0, csv::Position::line);
        places.push(place.with_context(|| format!("line {line}"))?);
    }
    Ok(())
}

fn bytes(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(cannot)?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).with_context(cannot)?;
    ensure!(bytes.len() <= limit, "{}: it is larger than {limit} bytes", cannot());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows as UNECE writes them: a country, places, one place under two names in ISO 8859-1, and a
    /// name that refers to another.
    const PART: &[u8] = b",\"US\",,\".UNITED STATES\",,,,,,,,\r\n\
        \"!\",\"US\",\"SDF\",\"Smiths Creek\",\"Smiths Creek\",\"MI\",\"--3-----\",\"RQ\",\"9307\",,,\r\n\
        ,\"US\",\"LUI\",\"Louisville\",\"Louisville\",\"KY\",\"1-34----\",\"RN\",\"1101\",\"SDF\",\"3814N 08546W\",\"\"\r\n\
        ,\"ES\",\"XYZ\",\"Ca\xf1on, \"\"A\"\"\",\"Canon\",,\"1-------\",\"RL\",\"0001\",,,\r\n\
        ,\"ES\",\"XYZ\",\"Other\",\"Other\",,\"---4----\",,\"0001\",,,\r\n\
        \"=\",\"ES\",\"\",\"Canon = Other\",\"Canon = Other\",\"\",,\"\",,\"\",\"\",\"\"\r\n";

    fn part(directory: &Path, bytes: &[u8]) -> PathBuf {
        let path = directory.join("Part 1.csv");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn the_files_of_a_release_become_a_list_that_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let list = import("2024-2", &[part(directory.path(), PART)]).unwrap();
        let digest = hex::encode(Sha256::digest(PART));
        let expected = format!(
            "# UN/LOCODE 2024-2\n# source sha256 {digest} Part 1.csv\n\
             ESXYZ 14 RL\nUSLUI 134 RN\nUSSDF 3 RQ\n"
        );
        assert_eq!(list.to_string(), expected);
        let path = directory.path().join("un-locode.txt");
        std::fs::write(&path, expected).unwrap();
        assert_eq!(read(&path).unwrap(), list);
    }

    #[test]
    fn what_is_no_release_is_refused_by_file_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let turned =
            b",\"US\",\"SDF\",\"Smiths Creek\",\"Smiths Creek\",\"MI\",\"RQ\",\"--3-----\",,,,\n";
        for (bytes, cause) in [
            (&turned[..], "line 1: cannot read UN/LOCODE list: no functions \"RQ\""),
            (b"<html>\n", "line 1: cannot read UN/LOCODE list: no code"),
            (b"", "it has no places"),
        ] {
            let error = import("2024-2", &[part(directory.path(), bytes)]).unwrap_err();
            assert!(format!("{error:#}").contains(cause), "{error:#}");
        }
        let file = part(directory.path(), PART);
        assert!(import("December", &[file]).is_err() && import("2024-2", &[]).is_err());
        assert!(read(&directory.path().join("missing")).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(prop::sample::select(&b"\",AZ19-\r\n\xf1\xff"[..]), 0..200)
        ) {
            let _ = rows(&bytes, &mut Vec::new());
        }
    }
}
