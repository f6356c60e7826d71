//! What looks like a natural person in free text. Each search reads the text once, from left to
//! right, and takes time in proportion to its length.

/// Titles that go before a name, in English, French and Indonesian, without their full stop.
const TITLES: [&str; 23] = [
    "Mr",
    "Mrs",
    "Ms",
    "Miss",
    "Dr",
    "Prof",
    "Sir",
    "Mme",
    "Mlle",
    "Monsieur",
    "Madame",
    "Mademoiselle",
    "Maître",
    "Bapak",
    "Bpk",
    "Pak",
    "Ibu",
    "Sdr",
    "Sdri",
    "Saudara",
    "Saudari",
    "Ny",
    "Tn",
];
/// What follows a title and yet is no name: a vegetable.
const NO_NAMES: [&str; 3] = ["Choi", "Choy", "Soi"];
/// Words after which the number of a personal document stands.
const DOCUMENTS: [&str; 8] =
    ["passport", "passeport", "paspor", "nik", "ktp", "cni", "identity", "identité"];
/// Words after which a telephone number stands.
const TELEPHONES: [&str; 10] = [
    "tel",
    "tél",
    "phone",
    "telephone",
    "téléphone",
    "telp",
    "telepon",
    "mobile",
    "hp",
    "whatsapp",
];
/// Words after which a date of birth stands.
const BIRTHS: [&str; 9] =
    ["born", "birth", "dob", "né", "née", "naissance", "lahir", "kelahiran", "ttl"];
/// Digits of a payment card's number (ISO/IEC 7812-1), shortest and longest in use.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Letters and digits of an IBAN (ISO 13616), shortest and longest.
const IBAN_LEN: std::ops::RangeInclusive<usize> = 15..=34;
/// How many words after such a word the number may stand.
const NEAR: usize = 4;

/// The words of a text with their places in it.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let places = text.split_inclusive(char::is_whitespace).scan(0, |next, piece| {
        let at = *next;
        *next += piece.len();
        Some((at, piece.trim_end()))
    });
    places.filter(|(_, word)| !word.is_empty())
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '+')
}

/// A title and a name after it.
pub fn name(text: &str) -> Option<&str> {
    let mut title = None;
    for (at, word) in words(text) {
        let name = bare(word);
        let capital = name.chars().next().is_some_and(char::is_uppercase);
        let letters = name.chars().filter(|c| c.is_alphabetic()).count();
        let initial = word.ends_with('.');
        if let Some(start) = title
            && capital
            && (letters > 1 || initial)
            && !NO_NAMES.contains(&name)
        {
            return text.get(start..at + word.len());
        }
        let french = word == "M.";
        title = (french || TITLES.contains(&name)).then_some(at);
    }
    None
}

/// The number of a passport or an identity card, after the word for it.
pub fn document(text: &str) -> Option<&str> {
    after(text, &DOCUMENTS, |word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric());
        plain && digits >= 5 && (6..=16).contains(&word.len())
    })
}

/// A date of birth, after the word for it: three numbers, of which one can be a year.
pub fn birth(text: &str) -> Option<&str> {
    after(text, &BIRTHS, |word| {
        let parts: Vec<&str> = word.splitn(4, ['-', '/', '.']).collect();
        let number = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
        let year =
            |part: &&str| part.len() == 4 && (part.starts_with("19") || part.starts_with("20"));
        parts.len() == 3
            && parts.iter().all(|part| (1..=4).contains(&part.len()) && number(part))
            && parts.iter().any(year)
    })
}

/// A bank account (IBAN, ISO 13616) or a payment card (ISO/IEC 7812-1) whose check digits hold. The
/// number may be written in groups with blanks or hyphens between them.
pub fn account(text: &str) -> Option<&str> {
    let mut groups: Vec<(usize, &str)> = Vec::new();
    for (at, word) in words(text) {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let at = at + text.get(at..)?.find(word)?;
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let bank = word.len() == 4 && word.bytes().all(|b| b.is_ascii_uppercase());
        if word.is_empty()
            || word.len() > MAX_WRITTEN
            || !plain
            || !(bank || word.bytes().any(|b| b.is_ascii_digit()))
        {
            groups.clear();
            continue;
        }
        groups.push((at, word));
        if groups.len() > MAX_GROUPS {
            groups.remove(0);
        }
        let end = at + word.len();
        for (start, _) in &groups {
            let written = text.get(*start..end)?;
            let number: String = written.chars().filter(char::is_ascii_alphanumeric).collect();
            if is_card(&number) || is_iban(&number) {
                return Some(written);
            }
        }
    }
    None
}

/// Groups of which a number is written, at most: an IBAN of 34 in fours.
const MAX_GROUPS: usize = 9;

/// Letters, digits and hyphens of one such group, at most.
const MAX_WRITTEN: usize = 42;

/// Whether these are the digits of a payment card: a first digit that cards have, and Luhn's check.
fn is_card(number: &str) -> bool {
    let cards = number.starts_with(['2', '3', '4', '5', '6']);
    if !cards || !CARD_DIGITS.contains(&number.len()) {
        return false;
    }
    let mut sum = 0;
    for (place, digit) in number.bytes().rev().enumerate() {
        if !digit.is_ascii_digit() {
            return false;
        }
        let digit = u32::from(digit - b'0');
        let doubled = if digit > 4 { 2 * digit - 9 } else { 2 * digit };
        sum += if place % 2 == 1 { doubled } else { digit };
    }
    sum % 10 == 0
}

/// Whether this is an IBAN: two letters, two digits, and ISO 7064 MOD 97-10 over the whole.
fn is_iban(number: &str) -> bool {
    let bytes = number.as_bytes();
    let head = matches!(bytes, [a, b, c, d, ..] if a.is_ascii_uppercase()
        && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit());
    if !head || !IBAN_LEN.contains(&number.len()) {
        return false;
    }
    let (country, rest) = number.split_at(4);
    let remainder = rest.chars().chain(country.chars()).try_fold(0u32, |remainder, c| {
        let value = c.to_digit(36)?;
        let scale = if value > 9 { 100 } else { 10 };
        Some((remainder * scale + value) % 97)
    });
    remainder == Some(1)
}

/// A telephone number: international, or after the word for it.
pub fn telephone(text: &str) -> Option<&str> {
    international(text)
        .or_else(|| after(text, &TELEPHONES, |word| digits(word) >= 4 && phone_like(word)))
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

fn phone_like(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b"+-./()".contains(&b))
}

/// A plus, and at least nine digits that nothing but blanks and the like divides.
fn international(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find('+') {
        let number = rest.get(at..)?;
        let tail = number.get(1..)?;
        let end = tail.find(|c: char| !c.is_ascii_digit() && !" -./()".contains(c));
        let written = number.get(..=end.unwrap_or(tail.len()))?;
        if digits(written) >= 9 && tail.starts_with(|c: char| c.is_ascii_digit() || c == '(') {
            return Some(written.trim_end_matches(|c: char| !c.is_ascii_digit()));
        }
        rest = number.get(written.len()..)?;
    }
    None
}

/// One of the words, and soon after it something of a form.
fn after<'t>(text: &'t str, these: &[&str], form: impl Fn(&str) -> bool) -> Option<&'t str> {
    let mut near: Option<(usize, usize)> = None;
    for (at, word) in words(text) {
        if let Some((start, left)) = near {
            if form(bare(word)) {
                return text.get(start..at + word.len());
            }
            near = (left > 1).then_some((start, left - 1));
        }
        let lower = bare(word).to_lowercase();
        if these.contains(&lower.as_str()) {
            near = Some((at, NEAR));
        }
    }
    None
}

/// An address of electronic mail.
pub fn email(text: &str) -> Option<&str> {
    let split = |c: char| c.is_whitespace() || "<>()[],;:\"'".contains(c);
    text.split(split).map(|word| word.trim_end_matches('.')).find(|word| {
        let parts = word.split_once('@').filter(|(local, _)| !local.is_empty());
        parts.and_then(|(_, domain)| domain.rsplit_once('.')).is_some_and(|(host, top)| {
            let letters = top.len() > 1 && top.chars().all(char::is_alphabetic);
            !host.is_empty() && !host.contains('@') && letters
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_persons_in_three_languages_and_leaves_trade_alone() {
        for (text, found) in [
            ("Told by Mr Fictional at noon", "Mr Fictional"),
            ("vu par Mme. Fictive, douane", "Mme. Fictive,"),
            ("M. Fictif a signé", "M. Fictif"),
            ("diperiksa oleh Bapak Fiktif", "Bapak Fiktif"),
            ("Dr. A. Fictional", "Dr. A."),
        ] {
            assert_eq!(name(text), Some(found));
        }
        for text in ["80 boxes of Pak Choi", "MR scan", "Ibu kota", "the Dr", "5 M. of rope", ""] {
            assert_eq!(name(text), None, "{text}");
        }
        for text in ["passport no. X1234567", "paspor: A 1234567", "NIK 3171234567890001"] {
            assert!(document(text).is_some(), "{text}");
        }
        for text in ["lot X1234567", "passport control at 09:10", "HS 293399"] {
            assert_eq!(document(text), None, "{text}");
        }
        for text in ["call +62 812-3456-7890 now", "tel. 021 5550123", "HP 08123456789"] {
            assert!(telephone(text).is_some(), "{text}");
        }
        assert_eq!(telephone("ring +44 (0)20 7946 0000."), Some("+44 (0)20 7946 0000"));
        for text in ["CAS 2504100-70-1", "[M+H]+ 357.2", "container CSQU3054383", "1+1", "+"] {
            assert_eq!(telephone(text), None, "{text}");
        }
        for text in ["born on 1980-02-29", "DOB: 29/02/1980", "né le 29.2.1980", "lahir 1-2-2001"]
        {
            assert!(birth(text).is_some(), "{text}");
        }
        for text in ["seized on 2020-02-29", "birth control pills, lot 12-34-56", "born 1980", ""] {
            assert_eq!(birth(text), None, "{text}");
        }
        let with_bank = account("paid to GB82 WEST 1234 5698 7654 32, yes");
        assert_eq!(with_bank, Some("GB82 WEST 1234 5698 7654 32"));
        assert_eq!(account("to DE89370400440532013000."), Some("DE89370400440532013000"));
        let grouped = "to DE89 3704 0044 0532 0130 00, in two rates";
        assert_eq!(account(grouped), Some("DE89 3704 0044 0532 0130 00"));
        assert_eq!(account("card 4111-1111-1111-1111"), Some("4111-1111-1111-1111"));
        assert_eq!(account("card 4111 1111 1111 1111 ok"), Some("4111 1111 1111 1111"));
        for text in
            ["4111 1111 1111 1112", "CSQU3054383", "HS 293399 14000 KGM", "DE88370400440532013000"]
        {
            assert_eq!(account(text), None, "{text}");
        }
        assert_eq!(email("write to <a.b@lab.example>."), Some("a.b@lab.example"));
        for text in ["1 kg @ 5.00", "@lab.example", "a@b", "a@.example"] {
            assert_eq!(email(text), None, "{text}");
        }
    }

    #[test]
    fn hostile_text_is_searched_in_one_pass() {
        // Half a million repetitions would take hours if a search began anew at each of them.
        let groups = "1111 ".repeat(500_000);
        assert_eq!(account(&groups), None);
        assert_eq!(account(&"1".repeat(1_000_000)), None);
        for part in ["+", "+1", "+1 ", "passport ", "tel 1 ", "Mr ", "M. a", "@", "a@", "a@b.", " "]
        {
            let text = part.repeat(500_000);
            for search in [document, email, birth] {
                assert_eq!(search(&text), None, "{part:?}");
            }
            assert!(telephone(&text).is_none_or(|number| number.len() <= text.len()));
            assert!(name(&text).is_none_or(|name| name.len() < 20), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_what_is_found_stands_in_it(text in "\\PC{0,80}") {
            for search in [name, document, telephone, email, birth, account] {
                let found = search(&text);
                prop_assert!(found.is_none_or(|part| text.contains(part) && !part.is_empty()));
            }
        }

        #[test]
        fn what_follows_a_title_is_found(name_ in "[A-Z][a-z]{2,12}", title in 0usize..TITLES.len()) {
            let named = format!("{}. {name_}", TITLES[title]);
            let text = format!("seen by {named} at the gate");
            prop_assert_eq!(name(&text), Some(named.as_str()));
        }
    }
}
