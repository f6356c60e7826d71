//! What a record's handling block says, as far as the rules ask.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::Value;

/// A TLP 2.0 label, from the least to the most restrictive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tlp {
    /// Anybody.
    Clear,
    /// The federation.
    Green,
    /// Recipients and their clients who need it.
    Amber,
    /// Recipients only.
    AmberStrict,
    /// Named members only.
    Red,
}

impl Tlp {
    /// All labels.
    pub const ALL: [Self; 5] =
        [Self::Clear, Self::Green, Self::Amber, Self::AmberStrict, Self::Red];

    /// The label without its prefix.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "CLEAR",
            Self::Green => "GREEN",
            Self::Amber => "AMBER",
            Self::AmberStrict => "AMBER+STRICT",
            Self::Red => "RED",
        }
    }
}

/// A text that is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownLabel;

impl FromStr for Tlp {
    type Err = UnknownLabel;

    fn from_str(label: &str) -> Result<Self, UnknownLabel> {
        let label = label.strip_prefix("TLP:").unwrap_or(label);
        Self::ALL.into_iter().find(|known| known.as_str() == label).ok_or(UnknownLabel)
    }
}

/// What a record says of how it may be used and passed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handling {
    /// Its TLP label; none if it has one that is not known here.
    pub tlp: Option<Tlp>,
    /// Whether its PAP label forbids every action that others could notice. A label that is not
    /// known here does.
    pub pap_red: bool,
    /// The purposes that it may be used for.
    pub purposes: BTreeSet<String>,
    /// Organisations to which recipients may report it.
    pub share_with: BTreeSet<String>,
}

impl Handling {
    /// Reads a record's handling block.
    pub fn of(handling: &Value) -> Self {
        let text = |key: &str| handling.get(key).and_then(Value::as_str).unwrap_or_default();
        // What is no text is kept as it is written, and so is in no agreement.
        let list = |key: &str| {
            let items = handling.get(key).and_then(Value::as_array).into_iter().flatten();
            items
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect()
        };
        Self {
            tlp: text("tlp").parse().ok(),
            pap_red: !["CLEAR", "GREEN", "AMBER"].contains(&text("pap")),
            purposes: list("purpose"),
            share_with: list("shareWith"),
        }
    }

    /// Whether it is for named members only. A label that is not known here is.
    pub fn is_red(&self) -> bool {
        self.tlp.is_none_or(|tlp| tlp == Tlp::Red)
    }
}
