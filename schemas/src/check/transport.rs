//! Identifiers of containers, vessels, vehicles and what they carry documents for. Knows nothing
//! of who owns or moves them.

use super::{capitals, country, digits, value, weighted};

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
    form && check.is_ascii_digit() && value(*check) == iso_6346(body)
}

/// Check digit of ISO 6346: letters count from 10 on and leave out the multiples of 11, and each
/// place weighs twice the one before. At most 17 characters.
pub(super) fn iso_6346(body: &[u8]) -> u32 {
    let letter = |byte: u8| match byte {
        b'0'..=b'9' => value(byte),
        b'A' => 10,
        b'B'..=b'K' => u32::from(byte - b'B') + 12,
        b'L'..=b'U' => u32::from(byte - b'L') + 23,
        _ => u32::from(byte.saturating_sub(b'V')) + 34,
    };
    body.iter().zip(0..17).map(|(b, place)| letter(*b) << place).sum::<u32>() % 11 % 10
}

/// IMO ship number: seven digits, the last a check digit.
pub fn imo(number: &str) -> bool {
    let Ok(bytes) = <[u8; 7]>::try_from(number.as_bytes()) else { return false };
    let [body @ .., check] = bytes;
    digits(&bytes) && weighted(&body, (2..=7).rev()) % 10 == value(check)
}

/// Air waybill: prefix of the airline, a hyphen or none, seven digits and their remainder by 7.
pub fn air_waybill(number: &str) -> bool {
    let Some((airline, rest)) = number.as_bytes().split_first_chunk::<3>() else { return false };
    let serial = rest.strip_prefix(b"-").unwrap_or(rest);
    let Some((body, [check])) = serial.split_last_chunk::<1>() else { return false };
    let form = body.len() == 7 && digits(airline) && digits(serial);
    form && body.iter().fold(0, |rest, digit| (rest * 10 + value(*digit)) % 7) == value(*check)
}

/// Postal item of UPU S10: two letters, eight digits, check digit, country.
pub fn postal_item(number: &str) -> bool {
    let Ok(bytes) = <[u8; 13]>::try_from(number.as_bytes()) else { return false };
    let [a, b, serial @ .., check, _, _] = bytes;
    let expected = match 11 - weighted(&serial, [8, 6, 4, 2, 3, 5, 9, 7]) % 11 {
        10 => 0,
        11 => 5,
        digit => digit,
    };
    let service = a.is_ascii_uppercase() && b.is_ascii_uppercase();
    let form = service && digits(&serial) && check.is_ascii_digit();
    form && value(check) == expected && number.get(11..).is_some_and(country)
}

/// Vehicle identification number: 17 characters without I, O and Q. The ninth is a check digit in
/// North America and China, and anything elsewhere.
pub fn vin(number: &str) -> bool {
    let Ok(bytes) = <[u8; 17]>::try_from(number.as_bytes()) else { return false };
    let form = capitals(&bytes) && !bytes.iter().any(|b| matches!(b, b'I' | b'O' | b'Q'));
    let checked = matches!(bytes.first(), Some(b'1'..=b'5' | b'L'));
    form && (!checked || bytes.get(8) == Some(&vin_check(&bytes)))
}

fn vin_check(bytes: &[u8; 17]) -> u8 {
    let letter = |byte: u8| match byte {
        b'0'..=b'9' => value(byte),
        b'A'..=b'H' => u32::from(byte - b'A') + 1,
        b'J'..=b'R' => u32::from(byte - b'J') + 1,
        _ => u32::from(byte.saturating_sub(b'S')) + 2,
    };
    let weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let sum: u32 = bytes.iter().zip(weights).map(|(b, weight)| letter(*b) * weight).sum();
    b"0123456789X".get((sum % 11) as usize).copied().unwrap_or_default()
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
        hold(container, &["CSQU3054383", "MSKU6011672"], true);
        let bad = ["CSQU3054384", "TEXU3070070", "CSQX3054383", "CSQU305438", "csqu3054383", ""];
        hold(container, &bad, false);
        hold(imo, &["9074729", "8814275"], true);
        hold(imo, &["9074720", "907472", "IMO9074729", "907472é"], false);
        hold(air_waybill, &["000-12345675", "00012345675", "020-43210985"], true);
        let bad = ["000-12345674", "00-12345675", "000--2345675", "000 12345675", "000-1234567"];
        hold(air_waybill, &bad, false);
        hold(postal_item, &["RR473124829GB", "EE000000005CH", "CP473124829ID"], true);
        let bad =
            ["RR473124828GB", "RR473124829QQ", "rr473124829GB", "R1473124829GB", "RR47312482"];
        hold(postal_item, &bad, false);
    }

    #[test]
    fn a_vehicle_s_check_digit_binds_in_north_america_and_china_only() {
        hold(vin, &["1M8GDM9AXKP042788", "11111111111111111"], true);
        hold(vin, &["1M8GDM9A1KP042788", "LFPH1BCP1F1L00001"], false);
        hold(vin, &["WVWZZZ1JZ3W386752", "JMZBK14Z001234567"], true);
        hold(vin, &["WVWZZZ1JZ3W38675", "WVWZZZ1JZ3W38675O", "wvwzzz1jz3w386752"], false);
    }

    proptest! {
        #[test]
        fn a_container_number_holds_with_one_check_digit_only(body in "[A-Z]{3}[UJZ][0-9]{6}") {
            let good = (0..10).filter(|digit| container(&format!("{body}{digit}"))).count();
            prop_assert_eq!(good, 1);
        }

        #[test]
        fn an_imo_number_holds_with_one_check_digit_only(body in "[0-9]{6}") {
            prop_assert_eq!((0..10).filter(|digit| imo(&format!("{body}{digit}"))).count(), 1);
        }

        #[test]
        fn a_postal_item_holds_with_one_check_digit_only(body in "[A-Z]{2}[0-9]{8}") {
            let good = (0..10).filter(|digit| postal_item(&format!("{body}{digit}ID"))).count();
            prop_assert_eq!(good, 1);
        }

        #[test]
        fn an_air_waybill_holds_with_one_check_digit_only(body in "[0-9]{3}-[0-9]{7}") {
            prop_assert_eq!((0..10).filter(|d| air_waybill(&format!("{body}{d}"))).count(), 1);
        }
    }
}
