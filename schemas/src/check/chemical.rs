//! Identifiers of substances. Knows nothing of which substance an identifier names.

use super::{digits, value, weighted};

/// CAS registry number: two to seven digits, two digits, check digit.
pub fn cas(number: &str) -> bool {
    let mut groups = number.split('-');
    let (Some(a), Some(b), Some(c), None) =
        (groups.next(), groups.next(), groups.next(), groups.next())
    else {
        return false;
    };
    let form = (2..=7).contains(&a.len()) && b.len() == 2 && c.len() == 1 && !a.starts_with('0');
    let body: Vec<u8> = a.bytes().chain(b.bytes()).rev().collect();
    form && digits(&body) && c.parse() == Ok(weighted(&body, 1..) % 10)
}

/// EC number: two groups of three digits, check digit. Where the remainder is 10 no number was
/// issued, but for some that begin with 4, whose check digit is then 1.
pub fn ec_number(number: &str) -> bool {
    let &[a, b, c, b'-', d, e, f, b'-', check] = number.as_bytes() else { return false };
    let body = [a, b, c, d, e, f];
    let expected = match weighted(&body, 1..) % 11 {
        10 if a == b'4' => 1,
        remainder => remainder,
    };
    digits(&body) && check.is_ascii_digit() && value(check) == expected
}

/// Number in the European customs inventory of chemical substances: seven digits and one more.
pub fn cus(number: &str) -> bool {
    let [body @ .., b'-', last] = number.as_bytes() else { return false };
    body.len() == 7 && digits(body) && last.is_ascii_digit()
}

/// InChIKey: 14 letters, 8 letters with standard or not and version 1 of the InChI, protonation.
pub fn inchi_key(key: &str) -> bool {
    let bytes = key.as_bytes();
    bytes.len() == 27
        && bytes.iter().enumerate().all(|(i, b)| match i {
            14 | 25 => *b == b'-',
            23 => matches!(b, b'S' | b'N'),
            24 => *b == b'A',
            _ => b.is_ascii_uppercase(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_the_published_good_values_and_refuses_their_neighbours() {
        for good in ["437-38-7", "50-36-2", "2504100-70-1", "7440-57-5"] {
            assert!(cas(good), "{good}");
        }
        for bad in
            ["437-38-8", "437-387", "0437-38-7", "a-38-7", "437-38-7-1", "437-38-", "٤37-38-7"]
        {
            assert!(!cas(bad), "{bad}");
        }
        for good in ["200-001-8", "200-003-9", "200-839-4", "206-557-8", "231-165-9"] {
            assert!(ec_number(good), "{good}");
        }
        for bad in ["200-001-9", "2000018", "200-001-", "200-001-8 ", "20a-001-8", ""] {
            assert!(!ec_number(bad), "{bad}");
        }
        assert!(cus("0012345-6") && !cus("0012345-a") && !cus("012345-6") && !cus("00123456"));
        assert!(inchi_key("PJMPHNIQZUBGLI-UHFFFAOYSA-N"));
        for bad in ["PJMPHNIQZUBGLI-UHFFFAOYXA-N", "PJMPHNIQZUBGLI-UHFFFAOYSB-N", "PJMPHNIQZUBGLI"]
        {
            assert!(!inchi_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_remainder_of_ten_has_a_number_only_among_those_that_begin_with_4() {
        let issued = |body: &str| (0..10).filter(|d| ec_number(&format!("{body}-{d}"))).count();
        // 2·1 + 4·2 = 10, and 4·1 + 3·2 = 10.
        assert_eq!((issued("240-000"), issued("430-000")), (0, 1));
        assert!(ec_number("430-000-1"));
    }

    proptest! {
        #[test]
        fn a_cas_number_holds_with_one_check_digit_only(body in "[1-9][0-9]{1,6}-[0-9]{2}") {
            prop_assert_eq!((0..10).filter(|digit| cas(&format!("{body}-{digit}"))).count(), 1);
        }

        #[test]
        fn an_ec_number_holds_with_one_check_digit_at_most(body in "[0-9]{3}-[0-9]{3}") {
            let good = (0..10).filter(|digit| ec_number(&format!("{body}-{digit}"))).count();
            prop_assert!(good <= 1);
        }
    }
}
