//! The languages that findings and rules speak: English, French and Indonesian.

use std::fmt::Display;
use std::str::FromStr;

/// A language of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
    /// Indonesian.
    Id,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 3] = [Self::En, Self::Fr, Self::Id];

    /// Its tag of BCP 47.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
            Self::Id => "id",
        }
    }
}

/// A word that names no language of findings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read language {0:?} (hint: one of en, fr, id)")]
pub struct UnknownLanguage(pub String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Reads a tag such as `fr` or `fr-BE`.
    fn from_str(tag: &str) -> Result<Self, UnknownLanguage> {
        let primary = tag.split('-').next().unwrap_or_default();
        let known = Self::ALL.into_iter().find(|l| l.as_str().eq_ignore_ascii_case(primary));
        known.ok_or_else(|| UnknownLanguage(tag.to_owned()))
    }
}

/// English, French and Indonesian, in this order, each with captured values as `format!` has them.
macro_rules! say {
    ($en:literal, $fr:literal, $id:literal $(,)?) => {
        $crate::language::Words { en: format!($en), fr: format!($fr), id: format!($id) }
    };
}
pub(crate) use say;

/// The same in each language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words<T> {
    /// English.
    pub en: T,
    /// French.
    pub fr: T,
    /// Indonesian.
    pub id: T,
}

impl<T> Words<T> {
    /// What it is in one of them.
    pub const fn in_language(&self, language: Language) -> &T {
        match language {
            Language::En => &self.en,
            Language::Fr => &self.fr,
            Language::Id => &self.id,
        }
    }
}

impl Words<&'static str> {
    /// The words, and after a colon what they are said of.
    pub(crate) fn of(&self, evidence: impl Display) -> Words<String> {
        let Words { en, fr, id } = self;
        say!("{en}: {evidence}", "{fr} : {evidence}", "{id}: {evidence}")
    }
}

impl Words<String> {
    /// Each followed by what is said of it.
    pub(crate) fn says(&self, said: Words<&str>) -> Self {
        let Words { en, fr, id } = self;
        Words {
            en: format!("{en} {}", said.en),
            fr: format!("{fr} {}", said.fr),
            id: format!("{id} {}", said.id),
        }
    }
}

impl From<Words<&'static str>> for Words<String> {
    fn from(words: Words<&'static str>) -> Self {
        Words { en: words.en.to_owned(), fr: words.fr.to_owned(), id: words.id.to_owned() }
    }
}

/// English, French and Indonesian, in this order.
pub(crate) const fn words(
    en: &'static str,
    fr: &'static str,
    id: &'static str,
) -> Words<&'static str> {
    Words { en, fr, id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_languages_whatever_their_region_and_case() {
        for (tag, language) in [("en", Language::En), ("fr-BE", Language::Fr), ("ID", Language::Id)]
        {
            assert_eq!(tag.parse(), Ok(language));
        }
        for bad in ["", "de", "english", "-fr"] {
            assert_eq!(bad.parse::<Language>(), Err(UnknownLanguage(bad.to_owned())));
        }
    }
}
