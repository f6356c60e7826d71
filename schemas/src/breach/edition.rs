//! Codes of the Harmonized System that the edition in question does not have.

use crate::check;
use crate::codes;
use crate::language::{Words, say};

/// What becomes of a code in the editions, if it is not in the one stated, or in the newest where
/// none is stated. An edition that the standard does not hold is its schema's finding.
pub fn unlisted(code: &str, stated: Option<&str>) -> Option<Words<String>> {
    let editions: Vec<&str> = codes::editions("HS").map(|list| list.edition).collect();
    let stated = match stated {
        Some(edition) => editions.iter().position(|known| *known == edition)?,
        None => editions.len().checked_sub(1)?,
    };
    let (to_stated, newer) = editions.split_at_checked(stated + 1)?;
    let stated = to_stated.last()?;
    if !check::hs(code) || check::hs_listed(code, stated) {
        return None;
    }
    let has = |edition: &&str| check::hs_listed(code, edition);
    let removed = to_stated.array_windows().rev().find(|[last, _]| has(last));
    Some(match (removed, newer.iter().find(|edition| has(edition))) {
        (Some([last, next]), _) => say!(
            "{code} was removed with edition {next}; edition {last} has it",
            "{code} a été supprimé avec l'édition {next} ; il est dans l'édition {last}",
            "{code} dihapus dengan edisi {next}; kode ini ada dalam edisi {last}",
        ),
        (None, Some(first)) => say!(
            "{code} is new in edition {first}; edition {stated} does not have it",
            "{code} est nouveau dans l'édition {first} ; il n'est pas dans l'édition {stated}",
            "{code} baru ada dalam edisi {first}; kode ini tidak ada dalam edisi {stated}",
        ),
        (None, None) => {
            let all = editions.join(", ");
            say!(
                "{code} is in none of the editions {all}",
                "{code} n'est dans aucune des éditions {all}",
                "{code} tidak ada dalam satu pun edisi {all}",
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_editions_before_and_after_say_what_became_of_a_code() {
        for (code, stated, expected) in [
            ("293971", Some("2022"), "293971 was removed with edition 2022; edition 2017 has it"),
            ("293971", None, "293971 was removed with edition 2022; edition 2017 has it"),
            ("080520", None, "080520 was removed with edition 2017; edition 2012 has it"),
            ("080520", Some("2017"), "080520 was removed with edition 2017; edition 2012 has it"),
            (
                "293972",
                Some("2017"),
                "293972 is new in edition 2022; edition 2017 does not have it",
            ),
            (
                "293971",
                Some("2012"),
                "293971 is new in edition 2017; edition 2012 does not have it",
            ),
            ("8549", Some("2012"), "8549 is new in edition 2022; edition 2012 does not have it"),
            ("999999", None, ""),
            ("770100", Some("2017"), ""),
            ("010199", None, "010199 is in none of the editions 2012, 2017, 2022"),
            ("293971", Some("2017"), ""),
            ("293971", Some("1996"), ""),
            ("0507", Some("2012"), ""),
        ] {
            let said = unlisted(code, stated).map(|words| words.en).unwrap_or_default();
            assert_eq!(said, expected, "{code} {stated:?}");
        }
    }

    proptest! {
        #[test]
        fn a_code_of_an_edition_is_no_breach_in_it_and_is_explained_in_the_others(
            list in 0usize..3, code in any::<prop::sample::Index>(), heading in any::<bool>(),
        ) {
            let lists: Vec<_> = codes::editions("HS").collect();
            let code = code.get(&lists[list].codes().collect::<Vec<_>>()).to_string();
            let code = if heading { &code[..4] } else { &code };
            for stated in &lists {
                let said = unlisted(code, Some(stated.edition));
                prop_assert_eq!(said.is_none(), check::hs_listed(code, stated.edition));
                prop_assert!(said.is_none_or(|words| !words.en.contains("none of")));
            }
        }
    }
}
