//! Field classes: how sensitive a field is, and so who gets it.

use std::fmt;
use std::str::FromStr;

/// The sensitivity of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldClass {
    /// Ids, kind, version, day, handling.
    Open,
    /// Substance, classification, results, quantity, country.
    Core,
    /// Coarser values of core fields, for a wider audience.
    CoreCoarse,
    /// Container, transport document, vessel, seal, exact route.
    Operational,
    /// Coarser values of operational fields, for a wider audience.
    OperationalCoarse,
    /// Company names and ids, values, confidential formulations.
    Commercial,
    /// Natural persons.
    Nominal,
    /// Free text.
    Text,
}

/// A word that names no class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownClass(pub String);

impl fmt::Display for UnknownClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read field class {:?} (hint: one of", self.0)?;
        FieldClass::ALL.iter().try_for_each(|class| write!(f, " {}", class.as_str()))?;
        f.write_str(")")
    }
}

impl std::error::Error for UnknownClass {}

impl FieldClass {
    /// All classes, in order.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Core,
        Self::CoreCoarse,
        Self::Operational,
        Self::OperationalCoarse,
        Self::Commercial,
        Self::Nominal,
        Self::Text,
    ];

    /// The word in schemas, manifests and the interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Core => "core",
            Self::CoreCoarse => "core.coarse",
            Self::Operational => "operational",
            Self::OperationalCoarse => "operational.coarse",
            Self::Commercial => "commercial",
            Self::Nominal => "nominal",
            Self::Text => "text",
        }
    }

    /// The class that holds the coarser values of this one.
    pub const fn coarse(self) -> Option<Self> {
        match self {
            Self::Core => Some(Self::CoreCoarse),
            Self::Operational => Some(Self::OperationalCoarse),
            _ => None,
        }
    }
}

impl FromStr for FieldClass {
    type Err = UnknownClass;

    fn from_str(word: &str) -> Result<Self, UnknownClass> {
        let known = Self::ALL.into_iter().find(|class| class.as_str() == word);
        known.ok_or_else(|| UnknownClass(word.to_owned()))
    }
}

/// A set of classes, small and cheap to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Classes(u8);

impl Classes {
    /// Every class.
    pub const ALL: Self = Self(u8::MAX);

    /// Adds one.
    pub fn insert(&mut self, class: FieldClass) {
        self.0 |= 1 << class as u8;
    }

    /// Whether one is in it.
    pub fn contains(self, class: FieldClass) -> bool {
        self.0 & (1 << class as u8) != 0
    }

    /// Whether all of its are also in `other`.
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Those in it, in order.
    pub fn iter(self) -> impl Iterator<Item = FieldClass> {
        FieldClass::ALL.into_iter().filter(move |class| self.contains(*class))
    }
}

impl FromIterator<FieldClass> for Classes {
    fn from_iter<I: IntoIterator<Item = FieldClass>>(classes: I) -> Self {
        let mut set = Self::default();
        classes.into_iter().for_each(|class| set.insert(class));
        set
    }
}
