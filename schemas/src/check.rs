//! Checks of identifiers: form and check digit. A value that passes is well formed; that it was
//! issued, or names what the record says, is for others to find out.

/// Harmonized System: chapter 01 to 97 without 77, four or six digits.
pub fn hs(code: &str) -> bool {
    let digits = matches!(code.len(), 4 | 6) && code.bytes().all(|b| b.is_ascii_digit());
    let chapter = code.get(..2).and_then(|c| c.parse::<u8>().ok());
    let heading = code.get(2..4).is_some_and(|h| h != "00");
    digits && heading && chapter.is_some_and(|c| (1..=97).contains(&c) && c != 77)
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
        .map(|(d, weight)| u32::from(d.wrapping_sub(b'0')) * weight)
        .sum();
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

/// UN/LOCODE: an assigned country and three of A to Z and 2 to 9.
pub fn locode(code: &str) -> bool {
    let place = code.get(2..).unwrap_or_default();
    code.len() == 5
        && code.get(..2).is_some_and(country)
        && place.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'9').contains(&b))
}

/// ISO 3166-1 alpha-2 as officially assigned, with XK and XI of customs practice.
pub fn country(code: &str) -> bool {
    code.len() == 2 && listed(include_str!("../codes/iso-3166-1.txt"), code)
}

/// ISO 4217 alphabetic code in use.
pub fn currency(code: &str) -> bool {
    code.len() == 3 && listed(include_str!("../codes/iso-4217.txt"), code)
}

/// Whether a calendar day exists.
pub fn day(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok()
}

fn listed(list: &str, code: &str) -> bool {
    list.lines().any(|line| line == code)
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
        assert!(country("ID") && !country("QQ") && !country("id"));
        assert!(currency("SGD") && !currency("XYZ"));
        assert!(day("2024-02-29") && !day("2023-02-29"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,14}") {
            let _ = (hs(&text), container(&text), cas(&text), imo(&text), locode(&text));
        }

        #[test]
        fn one_changed_digit_of_a_cas_number_is_found(at in 0usize..7, to in b'0'..=b'9') {
            let good = "2504100-70-1";
            let mut bytes = good.as_bytes().to_vec();
            bytes[at] = to;
            let changed = String::from_utf8(bytes).unwrap();
            // A weight that shares a factor with 10 lets some changes pass; equality always does.
            if changed != good && [0usize, 2, 6].contains(&at) {
                prop_assert!(!cas(&changed), "{}", changed);
            }
        }
    }
}
