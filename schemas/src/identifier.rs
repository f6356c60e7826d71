//! Identifiers of things that members compare without showing them: each in one form only.
//!
//! Two members that write the same number differently have to come to the same bytes, and a number
//! that fails its check digit must not be compared at all. The forms and check digits are those of
//! [`crate::check`]. An EORI number has no check digit; its form and country are what is checked.

use std::fmt;
use std::str::FromStr;

use crate::check;

/// Longest text that is read as an identifier, in bytes.
pub const MAX_IDENTIFIER_TEXT: usize = 64;

/// What is identified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentifierType {
    /// A freight container: ISO 6346.
    Container,
    /// An air waybill: airline prefix and serial number with their check digit.
    AirWaybill,
    /// A vessel: IMO ship number.
    Vessel,
    /// A company: legal entity identifier (ISO 17442) or EORI number.
    Company,
}

impl IdentifierType {
    /// All types.
    pub const ALL: [Self; 4] = [Self::Container, Self::AirWaybill, Self::Vessel, Self::Company];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::AirWaybill => "air-waybill",
            Self::Vessel => "vessel",
            Self::Company => "company",
        }
    }

    /// What a text of this type has to be.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Container => "a container number of ISO 6346 with its check digit",
            Self::AirWaybill => "an air waybill of 11 digits, the last a check digit",
            Self::Vessel => "an IMO ship number of 7 digits, the last a check digit",
            Self::Company => "a legal entity identifier with its check digits, or an EORI number",
        }
    }
}

impl fmt::Display for IdentifierType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no type of identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownIdentifierType;

impl fmt::Display for UnknownIdentifierType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no type of identifier: container, air-waybill, vessel or company")
    }
}

impl std::error::Error for UnknownIdentifierType {}

impl FromStr for IdentifierType {
    type Err = UnknownIdentifierType;

    fn from_str(word: &str) -> Result<Self, UnknownIdentifierType> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownIdentifierType)
    }
}

/// A well-formed identifier in its one form. Its text is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    kind: IdentifierType,
    text: String,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({})", self.kind)
    }
}

/// A text that is no identifier of its type. It does not repeat the text: what is asked about is
/// not for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotIdentifier(IdentifierType);

impl fmt::Display for NotIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is not {}", self.0.expected())
    }
}

impl std::error::Error for NotIdentifier {}

impl Identifier {
    /// Reads an identifier as people write it: in capitals or small letters, with spaces, hyphens,
    /// dots and slashes between its groups, a ship number also with `IMO` before it.
    pub fn parse(kind: IdentifierType, text: &str) -> Result<Self, NotIdentifier> {
        let bad = || NotIdentifier(kind);
        if text.len() > MAX_IDENTIFIER_TEXT {
            return Err(bad());
        }
        let grouping = |c: &char| matches!(c, ' ' | '\t' | '-' | '.' | '/');
        let plain: String =
            text.chars().filter(|c| !grouping(c)).map(|c| c.to_ascii_uppercase()).collect();
        let canonical = match kind {
            IdentifierType::Container => Some(plain).filter(|number| check::container(number)),
            IdentifierType::AirWaybill => check::air_waybill(&plain)
                .then(|| plain.split_at_checked(3))
                .flatten()
                .map(|(airline, serial)| format!("{airline}-{serial}")),
            IdentifierType::Vessel => {
                let number = plain.strip_prefix("IMO").unwrap_or(&plain);
                check::imo(number).then(|| number.to_owned())
            }
            IdentifierType::Company => {
                Some(plain).filter(|code| check::lei(code) || check::eori(code))
            }
        };
        canonical.map(|text| Self { kind, text }).ok_or_else(bad)
    }

    /// What it identifies.
    pub fn kind(&self) -> IdentifierType {
        self.kind
    }

    /// The one form of its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(kind: IdentifierType, text: &str) -> Option<String> {
        Identifier::parse(kind, text).ok().map(|identifier| identifier.as_str().to_owned())
    }

    #[test]
    fn what_is_written_in_several_ways_has_one_form() {
        use IdentifierType::{AirWaybill, Company, Container, Vessel};
        for (kind, good, ways) in [
            (Container, "MSKU6011672", ["MSKU6011672", "msku 601167-2", "MSKU 601 167/2"]),
            (AirWaybill, "020-43210985", ["020-43210985", "02043210985", "020 4321 0985"]),
            (Vessel, "9074729", ["9074729", "IMO 9074729", "imo9074729"]),
            (
                Company,
                "529900T8BM49AURSDO55",
                ["529900T8BM49AURSDO55", "5299 00T8 BM49 AURS DO55", "529900t8bm49aursdo55"],
            ),
            (Company, "GB123456789000", ["GB123456789000", "gb 123456789000", "GB-123456789-000"]),
        ] {
            for way in ways {
                assert_eq!(canonical(kind, way).as_deref(), Some(good), "{way}");
            }
        }
    }

    #[test]
    fn what_fails_its_check_digit_or_form_is_none() {
        use IdentifierType::{AirWaybill, Company, Container, Vessel};
        for (kind, bad) in [
            (Container, "MSKU6011673"),
            (Container, ""),
            (Container, "MSKU60116721"),
            (AirWaybill, "020-43210984"),
            (Vessel, "IMO 9074720"),
            (Vessel, "IMOIMO9074729"),
            (Company, "529900T8BM49AURSDO56"),
            (Company, "QQ123456789000"),
            (Company, "é"),
        ] {
            assert_eq!(canonical(kind, bad), None, "{bad}");
        }
        let long = format!("MSKU{}6011672", " ".repeat(MAX_IDENTIFIER_TEXT));
        assert_eq!(canonical(Container, &long), None);
    }

    #[test]
    fn a_type_is_named_by_its_word_and_an_identifier_is_not_printed() {
        for kind in IdentifierType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("Container".parse::<IdentifierType>().is_err());
        let container = Identifier::parse(IdentifierType::Container, "MSKU6011672").unwrap();
        assert!(!format!("{container:?}").contains("6011672"));
        let refused = Identifier::parse(IdentifierType::Container, "MSKU6011673").unwrap_err();
        assert!(!refused.to_string().contains("6011673"));
    }

    proptest! {
        #[test]
        fn one_form_is_read_as_itself(text in "[ -~é]{0,30}", at in 0usize..4) {
            let kind = IdentifierType::ALL[at];
            if let Some(form) = canonical(kind, &text) {
                prop_assert_eq!(canonical(kind, &form), Some(form));
            }
        }

        #[test]
        fn a_container_is_read_with_one_check_digit_only(body in "[A-Z]{3}U[0-9]{6}") {
            let read = (0..10)
                .filter(|d| canonical(IdentifierType::Container, &format!("{body}{d}")).is_some());
            prop_assert_eq!(read.count(), 1);
        }
    }
}
