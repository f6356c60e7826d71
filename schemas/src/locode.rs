//! UN/LOCODEs: the places of one release of UNECE's list, and what a record says against it.
//!
//! The list is large and changes twice a year, so that it is no part of the standard: whoever has
//! it gives it, and what it says are warnings without a number. It is kept as a text: lines that
//! begin with `#` name the release and what it was made of, then each place has a line with its
//! code, its functions and its status, as `IDTPP 14 AI`, in the order of the codes.

use std::fmt;

use serde_json::Value;

use crate::check;
use crate::finding::{Finding, Severity};
use crate::kind::walk;
use crate::language::{Words, say, words};
use crate::standard::{Standard, bounded};
use crate::tree::Check;

/// Largest list that is read, in bytes: about ten times that of 2023.
pub const MAX_LIST_BYTES: usize = 16 * 1024 * 1024;
/// Most files that a list is made of.
const MAX_SOURCES: usize = 100;
/// What the first line of a list begins with.
const HEAD: &str = "# UN/LOCODE ";
/// What each further line before the places begins with.
const SOURCE: &str = "# source ";
/// The functions that a place can have, in order: 0 is not known, 1 port, 2 rail, 3 road, 4
/// airport, 5 post, 6 multimodal, 7 fixed installation, B border crossing; others are to come.
const FUNCTIONS: &str = "0123456789AB";
/// The status of a place that the next release will no longer have.
const TO_BE_REMOVED: [u8; 2] = *b"XX";

/// The places of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locodes {
    edition: String,
    sources: Vec<String>,
    places: Vec<Place>,
}

/// A place of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    code: [u8; 5],
    /// A bit for each of [`FUNCTIONS`].
    functions: u16,
    status: [u8; 2],
}

/// Why something is no list of UN/LOCODEs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause} (hint: {hint})")]
pub struct LocodeError {
    cause: String,
    hint: &'static str,
}

const REMAKE: &str = "make the list with `sealwire codes import un-locode`";

fn fault<T>(cause: impl fmt::Display, hint: &'static str) -> Result<T, LocodeError> {
    Err(LocodeError { cause: format!("cannot read UN/LOCODE list: {cause}"), hint })
}

impl Place {
    /// Reads a row of the official list: country, location, functions as in `1--4----`, and status,
    /// which may be empty.
    pub fn new(
        country: &str,
        location: &str,
        functions: &str,
        status: &str,
    ) -> Result<Self, LocodeError> {
        const COLUMNS: &str = "the columns are change, country, location, two names, subdivision, \
                               function, status and five more";
        let code = <[u8; 5]>::try_from(format!("{country}{location}").as_bytes());
        let capitals = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        let Some(code) = code.ok().filter(|code| country.len() == 2 && code.iter().all(capitals))
        else {
            return fault(format!("no code {:?}", format!("{country:.5}{location:.5}")), COLUMNS);
        };
        let bit = |function| FUNCTIONS.find(function).map(|at| 1_u16 << at);
        let marks = functions.chars().filter(|mark| !matches!(mark, '-' | ' '));
        let Some(functions) = marks.map(bit).try_fold(0, |all, one| Some(all | one?)) else {
            return fault(format!("no functions {functions:.12?}"), COLUMNS);
        };
        let status = if status.is_empty() { "--" } else { status };
        let known = <[u8; 2]>::try_from(status.as_bytes()).ok();
        match known.filter(|s| *s == *b"--" || s.iter().all(u8::is_ascii_uppercase)) {
            Some(status) => Ok(Self { code, functions, status }),
            None => fault(format!("no status {status:.5?}"), COLUMNS),
        }
    }

    fn has(self, function: char) -> bool {
        FUNCTIONS.find(function).is_some_and(|at| self.functions >> at & 1 == 1)
    }

    fn functions(self) -> String {
        let all: String = FUNCTIONS.chars().filter(|function| self.has(*function)).collect();
        if all.is_empty() { "-".to_owned() } else { all }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        write!(f, "{} {} {}", text(&self.code), self.functions(), text(&self.status))
    }
}

impl Locodes {
    /// The list of an edition such as `2024-2`, made of these sources. Of a place that stands
    /// twice, as under names in two languages, the functions count together.
    pub fn new(
        edition: &str,
        sources: Vec<String>,
        mut places: Vec<Place>,
    ) -> Result<Self, LocodeError> {
        let form = edition.split_once('-').is_some_and(|(year, issue)| {
            let digits =
                |text: &str, n| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
            digits(year, 4) && digits(issue, 1)
        });
        if !form {
            let hint = "an edition is a year and the number of the issue, as 2024-2";
            return fault(format!("no edition {edition:.20?}"), hint);
        }
        if places.is_empty() {
            return fault("it has no places", REMAKE);
        }
        if sources.len() > MAX_SOURCES {
            return fault(format!("it is made of more than {MAX_SOURCES} files"), REMAKE);
        }
        places.sort_by_key(|place| place.code);
        places.dedup_by(|later, place| {
            let same = later.code == place.code;
            if same {
                place.functions |= later.functions;
                if place.status == TO_BE_REMOVED {
                    place.status = later.status;
                }
            }
            same
        });
        let line = |source: String| source.replace(char::is_control, " ");
        let sources = sources.into_iter().map(line).collect();
        Ok(Self { edition: edition.to_owned(), sources, places })
    }

    /// Reads what [`Locodes`] displays.
    pub fn parse(text: &str) -> Result<Self, LocodeError> {
        if text.len() > MAX_LIST_BYTES {
            let length = text.len();
            return fault(format!("{length} bytes exceed {MAX_LIST_BYTES}"), REMAKE);
        }
        let mut lines = text.lines().enumerate().peekable();
        let Some(edition) = lines.next().and_then(|(_, line)| line.strip_prefix(HEAD)) else {
            return fault(format!("its first line does not begin with {HEAD:?}"), REMAKE);
        };
        let mut sources = Vec::new();
        while let Some((_, source)) =
            lines.next_if(|(_, line)| line.starts_with('#') && sources.len() <= MAX_SOURCES)
        {
            sources.push(source.strip_prefix(SOURCE).unwrap_or(source).to_owned());
        }
        let mut places: Vec<Place> = Vec::new();
        for (at, line) in lines {
            let mut cells = line.splitn(3, ' ');
            let mut cell = || cells.next().unwrap_or_default();
            let (code, functions, status) = (cell(), cell(), cell());
            let (country, location) = code.split_at_checked(2).unwrap_or((code, ""));
            let place = Place::new(country, location, functions, status).ok();
            let Some(place) = place.filter(|place| place.to_string() == line) else {
                return fault(format!("line {}: no place {line:.40?}", at + 1), REMAKE);
            };
            if places.last().is_some_and(|last| last.code >= place.code) {
                return fault(format!("line {}: {code} is not in order", at + 1), REMAKE);
            }
            places.push(place);
        }
        Self::new(edition, sources, places)
    }

    /// The edition, such as `2024-2`.
    pub fn edition(&self) -> &str {
        &self.edition
    }

    /// How many places it has.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// The place with that code.
    pub fn place(&self, code: &str) -> Option<Place> {
        let code = code.as_bytes();
        let at = self.places.binary_search_by(|place| place.code.as_slice().cmp(code)).ok()?;
        self.places.get(at).copied()
    }

    /// What a record of a kind, or as much of it as is held, says against the list: warnings, for a
    /// place can be newer than the list. A code that has no form at all is the standard's finding.
    pub fn findings(&self, kind: &str, record: &Value) -> Vec<Finding> {
        let Some(kind) = Standard::v1().kind(kind) else { return Vec::new() };
        let mut findings = Vec::new();
        walk(&kind.tree, record, &mut |leaf, pointer, value| {
            let code = value.as_str().filter(|code| check::locode(code));
            let Some(code) = code.filter(|_| leaf.check == Some(Check::Locode)) else { return };
            let object = pointer.rsplit_once('/').map_or("", |(object, _)| object);
            let stated = record.pointer(&format!("{object}/placeType")).and_then(Value::as_str);
            if let Some((id, message, hint)) = self.against(code, stated) {
                let mut finding = Finding::error(id, pointer, message, hint).with_value(value);
                finding.severity = Severity::Warning;
                findings.push(finding);
            }
        });
        bounded(findings)
    }

    fn against(
        &self,
        code: &str,
        stated: Option<&str>,
    ) -> Option<(&'static str, Words<String>, Words<&'static str>)> {
        let edition = &self.edition;
        let Some(place) = self.place(code) else {
            let message = say!(
                "UN/LOCODE {code} is not in release {edition}",
                "l'UN/LOCODE {code} n'est pas dans la version {edition}",
                "UN/LOCODE {code} tidak ada dalam rilis {edition}",
            );
            return Some(("locode-unlisted", message, LOOK_UP));
        };
        if place.status == TO_BE_REMOVED {
            let message = say!(
                "UN/LOCODE {code} is to be removed after release {edition}",
                "l'UN/LOCODE {code} sera retiré après la version {edition}",
                "UN/LOCODE {code} akan dihapus setelah rilis {edition}",
            );
            return Some(("locode-to-be-removed", message, LOOK_UP));
        }
        let (function, wanted) = match stated? {
            "seaport" => ('1', words("seaport", "port maritime", "pelabuhan laut")),
            "airport" => ('4', words("airport", "aéroport", "bandar udara")),
            _ => return None,
        };
        let (Words { en, fr, id }, has) = (wanted, place.functions());
        let message = say!(
            "UN/LOCODE {code} is no {en} in release {edition}: its functions are {has}, without {function}",
            "l'UN/LOCODE {code} n'est pas un {fr} dans la version {edition} : ses fonctions sont {has}, sans {function}",
            "UN/LOCODE {code} bukan {id} dalam rilis {edition}: fungsinya {has}, tanpa {function}",
        );
        (!place.has(function)).then_some(("locode-function", message, LOOK_UP))
    }
}

const LOOK_UP: Words<&str> = words(
    "look the place up in the UN/LOCODE list; an airport code is not a location code",
    "chercher le lieu dans la liste UN/LOCODE ; un code d'aéroport n'est pas un code de lieu",
    "cari tempatnya dalam daftar UN/LOCODE; kode bandara bukan kode lokasi",
);

impl fmt::Display for Locodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}{}", self.edition)?;
        self.sources.iter().try_for_each(|source| writeln!(f, "{SOURCE}{source}"))?;
        self.places.iter().try_for_each(|place| writeln!(f, "{place}"))
    }
}

#[cfg(test)]
mod tests;
