//! Writes `conformance/vectors/identifier`, or holds the checks of identifiers to the files there.
//!
//! With `SEALWIRE_WRITE_VECTORS=1` the files are written; otherwise they are compared with what
//! would be written. Values are drawn by a fixed sequence, some built to be good, the others spoilt
//! on purpose; `conformance/second/identifiers.py` judges each by other people's code.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::BTreeSet;
use std::path::Path;

use sealwire_schemas::check;
use serde_json::{Value, json};

/// Values of an identifier with one verdict.
const EACH: usize = 250;
const DIGITS: &str = "0123456789";
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BOTH: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const MARKED: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-/()";
/// Characters that a value is spoilt with; some only look like a letter or a digit.
const SPOILERS: &str = "0123456789AIOQSXZar-/ _()０１АОé";
/// Countries that are assigned, and pairs of letters that are not.
const COUNTRIES: &[&str] = &["ID", "SG", "DE", "LT", "US", "CN", "ZA", "XI", "QQ", "AA"];

/// The same numbers in every run (Steele, Lea and Flood's SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % bound
    }

    fn of(&mut self, alphabet: &str) -> char {
        let letters: Vec<char> = alphabet.chars().collect();
        letters[self.below(letters.len())]
    }

    fn text(&mut self, alphabet: &str, length: usize) -> String {
        (0..length).map(|_| self.of(alphabet)).collect()
    }

    fn country(&mut self) -> &'static str {
        COUNTRIES[self.below(COUNTRIES.len())]
    }

    /// One character changed, two changed round, one lost or one added.
    fn spoil(&mut self, value: &str) -> String {
        let mut letters: Vec<char> = value.chars().collect();
        let at = self.below(letters.len());
        match self.below(5) {
            0 if at > 0 => letters.swap(at - 1, at),
            1 => drop(letters.remove(at)),
            2 => letters.insert(at, self.of(SPOILERS)),
            _ => letters[at] = self.of(SPOILERS),
        }
        letters.into_iter().collect()
    }
}

/// An identifier: its check, and values of its form with every check character in turn.
struct Identifier {
    name: &'static str,
    good: fn(&str) -> bool,
    draw: fn(&mut Draw) -> Vec<String>,
}

fn ending(body: &str, endings: &str) -> Vec<String> {
    endings.chars().map(|last| format!("{body}{last}")).collect()
}

const IDENTIFIERS: &[Identifier] = &[
    Identifier {
        name: "air-waybill",
        good: check::air_waybill,
        draw: |draw| {
            let hyphen = ["", "-"][draw.below(2)];
            ending(&format!("{}{hyphen}{}", draw.text(DIGITS, 3), draw.text(DIGITS, 7)), DIGITS)
        },
    },
    Identifier {
        name: "cas",
        good: check::cas,
        draw: |draw| {
            let (first, rest) = (draw.of("123456789"), 1 + draw.below(6));
            ending(&format!("{first}{}-{}-", draw.text(DIGITS, rest), draw.text(DIGITS, 2)), DIGITS)
        },
    },
    Identifier {
        name: "container",
        good: check::container,
        draw: |draw| {
            let owner = draw.text(LETTERS, 3);
            ending(&format!("{owner}{}{}", draw.of("UJZ"), draw.text(DIGITS, 6)), DIGITS)
        },
    },
    Identifier {
        name: "cus",
        good: check::cus,
        draw: |draw| vec![format!("{}-{}", draw.text(DIGITS, 7), draw.of(DIGITS))],
    },
    Identifier {
        name: "ec-number",
        good: check::ec_number,
        draw: |draw| {
            let first = draw.of("2345679");
            ending(&format!("{first}{}-{}-", draw.text(DIGITS, 2), draw.text(DIGITS, 3)), DIGITS)
        },
    },
    Identifier {
        name: "eori",
        good: check::eori,
        draw: |draw| {
            let length = 1 + draw.below(15);
            vec![format!("{}{}", draw.country(), draw.text(BOTH, length))]
        },
    },
    Identifier {
        name: "gtin",
        good: check::gtin,
        draw: |draw| {
            let length = [7, 11, 12, 13][draw.below(4)];
            ending(&draw.text(DIGITS, length), DIGITS)
        },
    },
    Identifier {
        name: "imo",
        good: check::imo,
        draw: |draw| ending(&draw.text(DIGITS, 6), DIGITS),
    },
    Identifier {
        name: "inchi-key",
        good: check::inchi_key,
        draw: |draw| {
            let (skeleton, rest) = (draw.text(LETTERS, 14), draw.text(LETTERS, 8));
            let (standard, protons) = (draw.of("SN"), draw.of(LETTERS));
            vec![format!("{skeleton}-{rest}{standard}A-{protons}")]
        },
    },
    Identifier {
        name: "lei",
        good: check::lei,
        draw: |draw| {
            let body = draw.text(BOTH, 18);
            (2..99).map(|check| format!("{body}{check:02}")).collect()
        },
    },
    Identifier {
        name: "mrn",
        good: check::mrn,
        draw: |draw| {
            let year = draw.text(DIGITS, 2);
            ending(&format!("{year}{}{}", draw.country(), draw.text(BOTH, 13)), DIGITS)
        },
    },
    Identifier {
        name: "postal-item",
        good: check::postal_item,
        draw: |draw| {
            let (body, country) = (draw.text(LETTERS, 2) + &draw.text(DIGITS, 8), draw.country());
            DIGITS.chars().map(|digit| format!("{body}{digit}{country}")).collect()
        },
    },
    Identifier {
        name: "sscc",
        good: check::sscc,
        draw: |draw| ending(&draw.text(DIGITS, 17), DIGITS),
    },
    Identifier {
        name: "ucr",
        good: check::ucr,
        draw: |draw| {
            let (year, length) = (draw.of(DIGITS), 1 + draw.below(32));
            vec![format!("{year}{}{}", draw.country(), draw.text(MARKED, length))]
        },
    },
    Identifier {
        name: "vin",
        good: check::vin,
        draw: |draw| {
            let letters = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
            let maker = draw.of("11245LLWJSVZ");
            let (head, tail) = (draw.text(letters, 7), draw.text(letters, 8));
            "0123456789X".chars().map(|check| format!("{maker}{head}{check}{tail}")).collect()
        },
    },
];

/// As many good values as bad ones, of either kind no two alike.
fn vectors(identifier: &Identifier, seed: u64) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut valid, mut invalid) = (BTreeSet::new(), BTreeSet::new());
    let mut draw = Draw(seed);
    // A round adds one value of each verdict at least, but for the rare one seen before.
    for _ in 0..EACH * 20 {
        let built = (identifier.draw)(&mut draw);
        let (good, bad): (Vec<&String>, Vec<&String>) =
            built.iter().partition(|value| (identifier.good)(value));
        let chosen = [good.first().copied(), bad.get(draw.below(bad.len().max(1))).copied()];
        let spoilt = draw.spoil(chosen[0].unwrap_or(&built[0]));
        for value in chosen.into_iter().flatten().chain([&spoilt]) {
            let set = if (identifier.good)(value) { &mut valid } else { &mut invalid };
            if set.len() < EACH {
                set.insert(value.clone());
            }
        }
    }
    (valid, invalid)
}

#[test]
fn the_vectors_are_what_the_checks_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/vectors/identifier");
    let write = std::env::var("SEALWIRE_WRITE_VECTORS").is_ok_and(|v| v == "1");
    if write {
        std::fs::create_dir_all(&folder).unwrap();
    }
    let mut listed = BTreeSet::new();
    for (identifier, seed) in IDENTIFIERS.iter().zip(1..) {
        let (valid, invalid) = vectors(identifier, seed);
        assert_eq!((valid.len(), invalid.len()), (EACH, EACH), "{}", identifier.name);
        let content: Value =
            json!({ "identifier": identifier.name, "valid": valid, "invalid": invalid });
        let (name, text) = (format!("{}.json", identifier.name), format!("{content:#}\n"));
        let path = folder.join(&name);
        if write {
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let hint = "hint: if the change is meant, run with SEALWIRE_WRITE_VECTORS=1";
        assert!(found == text, "{} is not what this program writes\n{hint}", path.display());
        listed.insert(name);
    }
    let present: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(present, listed, "every file in {} is read", folder.display());
}
