//! Characters that show a reader something else than what a program compares: invisible ones,
//! ones that turn the direction of writing, and letters that stand for others.
//!
//! Text in any script is welcome. What is refused has no use in a record: control characters,
//! direction marks (as in Unicode Technical Report 36), blank or invisible letters, and letters
//! and digits in the forms of typesetting. A word that mixes Latin with Cyrillic letters is taken,
//! with a warning: a look-alike there makes two identifiers of one (Unicode Technical Standard 39).

use crate::finding::{Finding, Severity};
use crate::language::{say, words};

/// The first character of a text that deserves a finding, if one does.
pub fn finding(pointer: &str, text: &str) -> Option<Finding> {
    // Almost every text: no control character, and nothing beyond ASCII.
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return None;
    }
    if let Some(c) = text.chars().find(|c| hidden(*c)) {
        let code = format!("U+{:04X}", u32::from(c));
        let message = say!(
            "has the character {code}, which readers do not see as it is",
            "contient le caractère {code}, que les lecteurs ne voient pas tel quel",
            "memuat karakter {code}, yang tidak terlihat sebagaimana adanya",
        );
        let hint = words(
            "write the text anew with plain letters and digits",
            "réécrire le texte en lettres et chiffres simples",
            "tulis ulang teks dengan huruf dan angka biasa",
        );
        return Some(Finding::error("hidden-character", pointer, message, hint));
    }
    let mixed = text.split(|c: char| !c.is_alphanumeric()).find(|word| mixed(word))?;
    let message = say!(
        "mixes Latin and Cyrillic letters in {mixed:?}",
        "mélange des lettres latines et cyrilliques dans {mixed:?}",
        "mencampur huruf Latin dan Kiril dalam {mixed:?}",
    );
    let hint = words(
        "write the word in one script; some letters only look alike",
        "écrire le mot dans une seule écriture ; certaines lettres ne font que se ressembler",
        "tulis kata dalam satu aksara; beberapa huruf hanya tampak sama",
    );
    let mut finding = Finding::error("mixed-script", pointer, message, hint);
    finding.severity = Severity::Warning;
    Some(finding)
}

/// Control characters but line feed and tab; direction marks, embeddings and isolates; letters
/// that show nothing; full-width and mathematical forms; what Unicode assigns to nobody.
const fn hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ff01}'..='\u{ff5e}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
        | '\u{1d400}'..='\u{1d7ff}' | '\u{e0000}'..='\u{10ffff}')
}

fn mixed(word: &str) -> bool {
    word.chars().any(|c| c.is_ascii_alphabetic())
        && word.chars().any(|c| matches!(c, '\u{400}'..='\u{52f}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<String> {
        finding("/x", text).map(|finding| finding.code)
    }

    #[test]
    fn text_in_any_script_is_taken() {
        for text in [
            "Δ9-THC and α-PVP in 5 µg",
            "Échantillon prélevé à l'entrepôt",
            "เคตามีน",
            "مادة بيضاء",
            "می‌خواهم",
            "白色粉末",
            "Белый порошок, MDMA",
            "two\nlines\tand a tab",
            "",
        ] {
            assert_eq!(code(text), None, "{text}");
        }
    }

    #[test]
    fn what_hides_or_turns_round_is_refused_and_named() {
        for text in ["a\u{202e}b", "pass\u{200b}port", "\u{feff}x", "bell\u{7}", "ＣＡＳ", "𝐀"]
        {
            assert_eq!(code(text).as_deref(), Some("hidden-character"), "{text:?}");
        }
        assert!(finding("/x", "a\u{202e}b").unwrap().message.contains("U+202E"));
    }

    #[test]
    fn a_word_of_two_scripts_is_a_warning() {
        let found = finding("/x", "seal АB1234").unwrap();
        assert_eq!((found.code.as_str(), found.severity), ("mixed-script", Severity::Warning));
        assert!(found.message.contains("АB1234"), "{}", found.message);
    }
}
