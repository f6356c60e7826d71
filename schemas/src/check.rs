//! Checks of identifiers: form, check digit and, where the list is short, membership. A value
//! that passes is well formed; that it was issued, or names what the record says, is for others
//! to find out.

mod chemical;
mod trade;
mod transport;

use crate::codes;

pub use chemical::{cas, cus, ec_number, inchi_key};
pub use trade::{eori, gtin, lei, mrn, sscc, ucr};
pub use transport::{air_waybill, container, imo, postal_item, vin};

/// Country codes, three bytes a line, sorted.
const COUNTRIES: &str = include_str!("../codes/iso-3166-1.txt");
/// Currency codes and their decimal places, six bytes a line, sorted.
const CURRENCIES: &str = include_str!("../codes/iso-4217.txt");
/// Package types of UN/ECE Recommendation 21, three bytes a line, sorted.
const PACKAGES: &str = include_str!("../codes/unece-rec-21.txt");

/// Harmonized System: chapter 01 to 97 without 77, four or six digits.
pub fn hs(code: &str) -> bool {
    let digits = matches!(code.len(), 4 | 6) && code.bytes().all(|b| b.is_ascii_digit());
    let chapter = code.get(..2).and_then(|c| c.parse::<u8>().ok());
    let heading = code.get(2..4).is_some_and(|h| h != "00");
    digits && heading && chapter.is_some_and(|c| (1..=97).contains(&c) && c != 77)
}

/// Harmonized System: the subheading, or the heading of one, is in the list of this edition.
pub fn hs_listed(code: &str, edition: &str) -> bool {
    let list = codes::editions("HS").find(|list| list.edition == edition);
    // Six digits a line.
    matches!(code.len(), 4 | 6) && list.is_some_and(|list| line(list.text, 7, code).is_some())
}

/// UN/LOCODE: an assigned country and three of A to Z and 2 to 9.
pub fn locode(code: &str) -> bool {
    let place = code.get(2..).unwrap_or_default();
    code.len() == 5
        && code.get(..2).is_some_and(country)
        && place.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'9').contains(&b))
}

/// ISO 3166-1 alpha-2 as officially assigned, with XK and XI of customs practice.
pub fn country(code: &str) -> bool {
    code.len() == 2 && line(COUNTRIES, 3, code).is_some()
}

/// ISO 4217 alphabetic code in use.
pub fn currency(code: &str) -> bool {
    code.len() == 3 && line(CURRENCIES, 6, code).is_some()
}

/// Decimal places that amounts in a currency can have; `None` for a code that is unknown or, like
/// gold, has no smaller unit laid down.
pub fn minor_units(code: &str) -> Option<usize> {
    let units = line(CURRENCIES, 6, code).filter(|_| code.len() == 3)?.get(4..5)?;
    units.parse().ok()
}

/// Whether a calendar day exists.
pub fn day(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok()
}

/// Whether a date and time with its offset from UTC exists.
pub fn instant(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
}

/// UN/ECE Recommendation 21: type of package.
pub fn package_type(code: &str) -> bool {
    code.len() == 2 && line(PACKAGES, 3, code).is_some()
}

fn digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

/// Whether every byte is a digit or a capital letter.
fn capitals(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

/// The digits, each times its weight, added up.
fn weighted(digits: &[u8], weights: impl IntoIterator<Item = u32>) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| value(*digit) * weight).sum()
}

fn value(digit: u8) -> u32 {
    u32::from(digit.wrapping_sub(b'0'))
}

/// The first line that begins with `prefix`, in a sorted list of lines of `width` bytes.
fn line<'l>(list: &'l str, width: usize, prefix: &str) -> Option<&'l str> {
    let (mut low, mut high) = (0, list.len() / width);
    while low < high {
        let middle = low + (high - low) / 2;
        let at = list.get(middle * width..(middle + 1) * width)?;
        if at < prefix {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    list.get(low * width..(low + 1) * width).filter(|line| line.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_the_published_good_values_and_refuses_their_neighbours() {
        assert!(hs("293972") && hs("0507") && !hs("770100") && !hs("980000") && !hs("29397"));
        assert!(locode("ITSAL") && locode("SYLTK") && !locode("QQABC") && !locode("ITSA1"));
        assert!(country("ID") && !country("QQ") && !country("id") && !country(""));
        assert!(currency("SGD") && !currency("XYZ") && !currency("SG"));
        assert!(day("2024-02-29") && !day("2023-02-29"));
        assert!(instant("2024-02-29T10:00:00+07:00") && !instant("2023-02-29T10:00:00Z"));
        assert!(package_type("CT") && !package_type("QW") && !package_type("C"));
    }

    #[test]
    fn the_lists_are_whole_and_of_one_width() {
        let editions: Vec<(&str, &str)> =
            codes::editions("HS").map(|list| (list.edition, list.text)).collect();
        let [hs_2012, hs_2017, hs_2022] = [0, 1, 2].map(|i| editions[i].1);
        for (list, width, count) in [
            (hs_2012, 7, 5205),
            (hs_2017, 7, 5387),
            (hs_2022, 7, 5612),
            (COUNTRIES, 3, 251),
            (CURRENCIES, 6, 178),
            (PACKAGES, 3, 406),
        ] {
            assert_eq!(list.len(), width * count);
            let lines: Vec<&str> = list.lines().collect();
            assert!(lines.is_sorted() && lines.iter().all(|l| l.len() == width - 1));
        }
        for (edition, list) in editions {
            for code in list.lines().flat_map(|code| [code, &code[..4]]) {
                assert!(hs(code) && hs_listed(code, edition), "{code} {edition}");
            }
        }
        assert_eq!(
            ["JPY", "EUR", "KWD", "XAU", "XYZ", "J"].map(minor_units),
            [Some(0), Some(2), Some(3), None, None, None]
        );
    }

    #[test]
    fn a_code_is_in_the_editions_that_have_it() {
        let of = |code: &str| ["2012", "2017", "2022"].map(|edition| hs_listed(code, edition));
        // New in 2017 and deleted in 2022, new in 2022, deleted in 2017, in all; a heading deleted in
        // 2017 and one new in 2022; never there.
        assert_eq!(of("293971"), [false, true, false]);
        assert_eq!(of("293972"), [false, false, true]);
        assert_eq!(of("080520"), [true, false, false]);
        assert_eq!(of("050710"), [true, true, true]);
        assert_eq!((of("8469"), of("8549")), ([true, false, false], [false, false, true]));
        assert_eq!((of("7701"), of("29"), of("")), ([false; 3], [false; 3], [false; 3]));
        assert!(!hs_listed("050710", "1996"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,40}") {
            let _ = (hs(&text), hs_listed(&text, &text), hs_listed(&text, "2022"), minor_units(&text), day(&text));
            let _ = (country(&text), currency(&text), locode(&text));
            let _ = (container(&text), imo(&text), vin(&text), air_waybill(&text));
            let _ = (postal_item(&text), cas(&text), ec_number(&text), cus(&text));
            let _ = (inchi_key(&text), gtin(&text), sscc(&text), lei(&text));
            let _ = (mrn(&text), eori(&text), ucr(&text), instant(&text), package_type(&text));
        }
    }
}
