//! Identifiers of goods, companies, consignments and customs declarations. Knows nothing of who
//! was given them.

use super::transport::iso_6346;
use super::{capitals, country, digits, value};

/// GS1 number of a trade item: 8, 12, 13 or 14 digits, the last a check digit.
pub fn gtin(number: &str) -> bool {
    matches!(number.len(), 8 | 12..=14) && gs1(number.as_bytes())
}

/// GS1 number of a logistic unit: 18 digits, the last a check digit.
pub fn sscc(number: &str) -> bool {
    number.len() == 18 && gs1(number.as_bytes())
}

/// From the right, every second digit counts three times; the whole is a multiple of ten.
fn gs1(number: &[u8]) -> bool {
    let weights = [1, 3].into_iter().cycle();
    let sum: u32 = number.iter().rev().zip(weights).map(|(d, weight)| value(*d) * weight).sum();
    digits(number) && sum.is_multiple_of(10)
}

/// Legal entity identifier: 18 characters and two check digits of ISO 7064, modulus 97-10.
pub fn lei(code: &str) -> bool {
    let bytes = code.as_bytes();
    let (Some((_, check)), 20) = (bytes.split_last_chunk::<2>(), bytes.len()) else { return false };
    let remainder = bytes.iter().fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + value(*byte)) % 97,
        _ => (rest * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97,
    });
    capitals(bytes) && digits(check) && remainder == 1
}

/// Movement reference number: year, country, 13 characters, and the check digit of ISO 6346 over
/// them. Some declaration systems give numbers with another check digit, or none.
pub fn mrn(number: &str) -> bool {
    let Ok(bytes) = <[u8; 18]>::try_from(number.as_bytes()) else { return false };
    let [body @ .., check] = bytes;
    let [year, decade, ..] = body;
    let form = digits(&[year, decade, check]) && capitals(&body);
    form && number.get(2..4).is_some_and(country) && iso_6346(&body) == value(check)
}

/// Number of an economic operator: the country or XI, and up to 15 characters.
pub fn eori(number: &str) -> bool {
    let rest = number.as_bytes().get(2..).unwrap_or_default();
    (1..=15).contains(&rest.len()) && capitals(rest) && number.get(..2).is_some_and(country)
}

/// Unique consignment reference: last digit of the year, country, and what the company and its
/// order are known by; 35 characters at most.
pub fn ucr(reference: &str) -> bool {
    let (Some(year), Some(rest)) = (reference.as_bytes().first(), reference.as_bytes().get(3..))
    else {
        return false;
    };
    let company = |b: &u8| capitals(&[*b]) || matches!(b, b'-' | b'/' | b'(' | b')');
    let form = year.is_ascii_digit() && (1..=32).contains(&rest.len()) && rest.iter().all(company);
    form && reference.get(1..3).is_some_and(country)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hold(good: fn(&str) -> bool, values: &[&str], expected: bool) {
        for value in values {
            assert_eq!(good(value), expected, "{value}");
        }
    }

    #[test]
    fn accepts_the_published_good_values_and_refuses_their_neighbours() {
        hold(gtin, &["4006381333931", "96385074", "036000291452", "00012345600012"], true);
        let bad = ["4006381333932", "400638133393", "963850740", "400638133393a", ""];
        hold(gtin, &bad, false);
        hold(sscc, &["106141412345678908"], true);
        hold(sscc, &["106141412345678909", "10614141234567890", "4006381333931"], false);
        hold(lei, &["529900T8BM49AURSDO55", "213800KUD8LAJWSQ9D15"], true);
        let bad = ["529900T8BM49AURSDO56", "529900t8bm49aursdo55", "529900T8BM49AURSDO5", ""];
        hold(lei, &bad, false);
        hold(mrn, &["10NL5663962BE1E825"], true);
        let bad = ["22GB02I89012847596", "10NL5663962BE1E826", "10QQ5663962BE1E825", "10NL"];
        hold(mrn, &bad, false);
        hold(eori, &["GB123456789000", "XI123456789000", "DE1"], true);
        hold(eori, &["QQ123456789000", "GB", "GB1234567890123456", "GB1 2", "gb123"], false);
        hold(ucr, &["8GB123456789012-INV(7)/A", "0IDX", "1SGFICTIONAL0001"], true);
        hold(ucr, &["GB123456789012", "8QQ1", "8GB", "8GBa", "8GB1_2", "é", ""], false);
        assert!(!ucr(&format!("8GB{}", "1".repeat(33))) && ucr(&format!("8GB{}", "1".repeat(32))));
    }

    proptest! {
        #[test]
        fn a_trade_item_number_holds_with_one_check_digit_only(
            body in "[0-9]{7}|[0-9]{11,13}"
        ) {
            prop_assert_eq!((0..10).filter(|digit| gtin(&format!("{body}{digit}"))).count(), 1);
        }

        #[test]
        fn a_wrong_letter_in_a_legal_entity_identifier_is_noticed(
            body in "[A-Z]{18}", at in 0usize..18, other in "[A-Z]"
        ) {
            let good = (2..99).map(|check| format!("{body}{check:02}")).find(|code| lei(code));
            let mut spoilt = good.unwrap();
            let same = spoilt.get(at..=at) == Some(&other);
            spoilt.replace_range(at..=at, &other);
            prop_assert_eq!(lei(&spoilt), same);
        }
    }
}
