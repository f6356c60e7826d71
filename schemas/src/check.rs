//! Checks of identifiers: form, check digit and, where the list is short, membership. A value
//! that passes is well formed; that it was issued, or names what the record says, is for others
//! to find out.

/// Six-digit codes of the Harmonized System, edition 2022, seven bytes a line, sorted.
const HS: &str = include_str!("../codes/hs-2022.txt");
/// Country codes, three bytes a line, sorted.
const COUNTRIES: &str = include_str!("../codes/iso-3166-1.txt");
/// Currency codes and their decimal places, six bytes a line, sorted.
const CURRENCIES: &str = include_str!("../codes/iso-4217.txt");

/// Harmonized System: chapter 01 to 97 without 77, four or six digits.
pub fn hs(code: &str) -> bool {
    let digits = matches!(code.len(), 4 | 6) && code.bytes().all(|b| b.is_ascii_digit());
    let chapter = code.get(..2).and_then(|c| c.parse::<u8>().ok());
    let heading = code.get(2..4).is_some_and(|h| h != "00");
    digits && heading && chapter.is_some_and(|c| (1..=97).contains(&c) && c != 77)
}

/// Harmonized System, edition 2022: the subheading, or the heading of one, is in the list.
pub fn hs_2022(code: &str) -> bool {
    matches!(code.len(), 4 | 6) && line(HS, 7, code).is_some()
}

/// ISO 6346 container number: owner code, category U, J or Z, six digits, check digit.
pub fn container(number: &str) -> bool {
    let bytes = number.as_bytes();
    let (Some((body, [check])), 11) = (bytes.split_last_chunk::<1>(), bytes.len()) else {
        return false;
    };
    let form = body.iter().enumerate().all(|(i, b)| match i {
        0..=2 => b.is_ascii_uppercase(),
        3 => matches!(b, b'U' | b'J' | b'Z'),
        _ => b.is_ascii_digit(),
    });
    let sum: u32 = body.iter().enumerate().map(|(i, b)| letter_value(*b) << i).sum();
    form && check.is_ascii_digit() && u32::from(check - b'0') == sum % 11 % 10
}

/// Letters count from 10 on and leave out the multiples of 11.
fn letter_value(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A' => 10,
        b'B'..=b'K' => u32::from(byte - b'B') + 12,
        b'L'..=b'U' => u32::from(byte - b'L') + 23,
        _ => u32::from(byte.saturating_sub(b'V')) + 34,
    }
}

/// CAS registry number: two to seven digits, two digits, check digit.
pub fn cas(number: &str) -> bool {
    let mut groups = number.split('-');
    let (Some(a), Some(b), Some(c), None) =
        (groups.next(), groups.next(), groups.next(), groups.next())
    else {
        return false;
    };
    let digits = |s: &str| s.bytes().all(|d| d.is_ascii_digit());
    let form = (2..=7).contains(&a.len()) && b.len() == 2 && c.len() == 1 && !a.starts_with('0');
    let sum: u32 = a
        .bytes()
        .chain(b.bytes())
        .rev()
        .zip(1u32..)
        .map(|(d, weight)| u32::from(d.wrapping_sub(b'0')).wrapping_mul(weight))
        .fold(0, u32::wrapping_add);
    form && digits(a) && digits(b) && digits(c) && c.parse() == Ok(sum % 10)
}

/// IMO ship number: seven digits, the last a check digit.
pub fn imo(number: &str) -> bool {
    let bytes = number.as_bytes();
    if bytes.len() != 7 || !bytes.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 =
        bytes.iter().zip([7, 6, 5, 4, 3, 2, 0]).map(|(d, w)| u32::from(d - b'0') * w).sum();
    bytes.last().is_some_and(|d| u32::from(d - b'0') == sum % 10)
}

/// InChIKey: 14 letters, 8 letters with standard or not and a version, protonation.
pub fn inchi_key(key: &str) -> bool {
    let bytes = key.as_bytes();
    bytes.len() == 27
        && bytes.iter().enumerate().all(|(i, b)| match i {
            14 | 25 => *b == b'-',
            23 => matches!(b, b'S' | b'N'),
            _ => b.is_ascii_uppercase(),
        })
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
        for good in ["CSQU3054383", "MSKU6011672"] {
            assert!(container(good), "{good}");
        }
        for bad in ["CSQU3054384", "TEXU3070070", "CSQX3054383", "CSQU305438", ""] {
            assert!(!container(bad), "{bad}");
        }
        for good in ["437-38-7", "50-36-2", "2504100-70-1", "7440-57-5"] {
            assert!(cas(good), "{good}");
        }
        for bad in ["437-38-8", "437-387", "0437-38-7", "a-38-7", "437-38-7-1"] {
            assert!(!cas(bad), "{bad}");
        }
        assert!(imo("9074729") && !imo("9074720") && !imo("907472"));
        assert!(hs("293972") && hs("0507") && !hs("770100") && !hs("980000") && !hs("29397"));
        assert!(locode("ITSAL") && locode("SYLTK") && !locode("QQABC") && !locode("ITSA1"));
        assert!(country("ID") && !country("QQ") && !country("id") && !country(""));
        assert!(currency("SGD") && !currency("XYZ") && !currency("SG"));
        assert!(day("2024-02-29") && !day("2023-02-29"));
        assert!(inchi_key("PJMPHNIQZUBGLI-UHFFFAOYSA-N"));
        assert!(!inchi_key("PJMPHNIQZUBGLI-UHFFFAOYXA-N") && !inchi_key("PJMPHNIQZUBGLI"));
    }

    #[test]
    fn the_lists_are_whole_and_of_one_width() {
        for (list, width, count) in [(HS, 7, 5612), (COUNTRIES, 3, 251), (CURRENCIES, 6, 178)] {
            assert_eq!(list.len(), width * count);
            let lines: Vec<&str> = list.lines().collect();
            assert!(lines.is_sorted() && lines.iter().all(|l| l.len() == width - 1));
        }
        for heading_or_code in HS.lines().flat_map(|code| [code, &code[..4]]) {
            assert!(hs(heading_or_code) && hs_2022(heading_or_code), "{heading_or_code}");
        }
        // Deleted in 2022, new in 2022, never there.
        assert!(!hs_2022("293971") && hs_2022("293972") && !hs_2022("7701") && !hs_2022("29"));
        assert_eq!(
            ["JPY", "EUR", "KWD", "XAU", "XYZ", "J"].map(minor_units),
            [Some(0), Some(2), Some(3), None, None, None]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,14}") {
            let _ = (hs(&text), container(&text), cas(&text), imo(&text), locode(&text));
            let _ = (hs_2022(&text), minor_units(&text), inchi_key(&text), day(&text));
            let _ = (country(&text), currency(&text));
        }

        #[test]
        fn a_container_number_holds_with_one_check_digit_only(body in "[A-Z]{3}[UJZ][0-9]{6}") {
            let good = (0..10).filter(|digit| container(&format!("{body}{digit}"))).count();
            prop_assert_eq!(good, 1);
        }

        #[test]
        fn a_cas_number_holds_with_one_check_digit_only(body in "[1-9][0-9]{1,6}-[0-9]{2}") {
            prop_assert_eq!((0..10).filter(|digit| cas(&format!("{body}-{digit}"))).count(), 1);
        }

        #[test]
        fn an_imo_number_holds_with_one_check_digit_only(body in "[0-9]{6}") {
            prop_assert_eq!((0..10).filter(|digit| imo(&format!("{body}{digit}"))).count(), 1);
        }
    }
}
