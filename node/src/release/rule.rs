//! The rules by name, in their order.

use serde::{Serialize, Serializer};

/// A rule that lets something be seen, or withholds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The originator sees all of its record.
    Originator,
    /// The member does not take part in the federation.
    MemberNotActive,
    /// The member is not of the record's community.
    NotInCommunity,
    /// In that community the originator does not send, or the member does not receive.
    DirectionNotAgreed,
    /// The agreement does not cover the record kind.
    KindNotInAgreement,
    /// The TLP label is above the community's ceiling.
    TlpAboveCeiling,
    /// The record states a purpose that the agreement does not cover.
    PurposeNotInAgreement,
    /// A TLP:RED record names nobody.
    RedNeedsNamedMembers,
    /// The entry is addressed to others.
    NotAddressed,
    /// Only its originator hands out an entry for named members.
    RelayOfNamed,
    /// The agreement does not cover the field class.
    ClassNotInAgreement,
    /// The part is for its originator alone.
    EmptyAudience,
    /// The part is sealed for others.
    NotInAudience,
    /// For whom the part is sealed is not known here.
    AudienceUnknown,
    /// TLP:RED: for nobody but the named members.
    TlpRed,
    /// PAP:RED: handing it out is an action that others could notice.
    PapRed,
    /// The originator has consented for this body or member, purpose, day and class.
    ConsentGrant,
    /// The originator lets recipients report the record to this organisation.
    SharedWith,
    /// TLP:CLEAR: anybody may have what all addressees get.
    TlpClear,
    /// Nothing lets this body have it.
    NoConsent,
    /// The purpose is none of the record's, and its originator has not consented to it.
    PurposeNotAgreed,
    /// The part is sealed for the member.
    InAudience,
}

impl Rule {
    /// All rules, in the order in which they are asked.
    #[cfg(test)]
    pub const ALL: [Self; 22] = [
        Self::Originator,
        Self::MemberNotActive,
        Self::NotInCommunity,
        Self::DirectionNotAgreed,
        Self::KindNotInAgreement,
        Self::TlpAboveCeiling,
        Self::PurposeNotInAgreement,
        Self::RedNeedsNamedMembers,
        Self::NotAddressed,
        Self::RelayOfNamed,
        Self::ClassNotInAgreement,
        Self::EmptyAudience,
        Self::NotInAudience,
        Self::AudienceUnknown,
        Self::TlpRed,
        Self::PapRed,
        Self::ConsentGrant,
        Self::SharedWith,
        Self::TlpClear,
        Self::NoConsent,
        Self::PurposeNotAgreed,
        Self::InAudience,
    ];

    /// Its stable id. Where publishing is refused for the same reason, the refusal's code.
    pub fn id(self) -> &'static str {
        match self {
            Self::Originator => "originator",
            Self::MemberNotActive => "member-not-active",
            Self::NotInCommunity => "not-in-community",
            Self::DirectionNotAgreed => "direction-not-agreed",
            Self::KindNotInAgreement => "kind-not-in-agreement",
            Self::TlpAboveCeiling => "tlp-above-ceiling",
            Self::PurposeNotInAgreement => "purpose-not-in-agreement",
            Self::RedNeedsNamedMembers => "red-needs-named-members",
            Self::NotAddressed => "not-addressed",
            Self::RelayOfNamed => "relay-of-named",
            Self::ClassNotInAgreement => "class-not-in-agreement",
            Self::EmptyAudience => "empty-audience",
            Self::NotInAudience => "not-in-audience",
            Self::AudienceUnknown => "audience-unknown",
            Self::PurposeNotAgreed => "purpose-not-agreed",
            Self::TlpRed => "tlp-red",
            Self::PapRed => "pap-red",
            Self::ConsentGrant => "consent-grant",
            Self::SharedWith => "shared-with",
            Self::TlpClear => "tlp-clear",
            Self::NoConsent => "no-consent",
            Self::InAudience => "in-audience",
        }
    }

    /// What it says, for people.
    pub fn why(self) -> &'static str {
        match self {
            Self::Originator => "the originator sees all of its record",
            Self::MemberNotActive => "the member does not take part in the federation",
            Self::NotInCommunity => "the member is not of the record's community",
            Self::DirectionNotAgreed => {
                "in the community the originator does not send, or the member does not receive"
            }
            Self::KindNotInAgreement => "the agreement does not cover the record kind",
            Self::TlpAboveCeiling => "the TLP label is above the community's ceiling",
            Self::PurposeNotInAgreement => {
                "the record states a purpose that the agreement does not cover"
            }
            Self::RedNeedsNamedMembers => "a TLP:RED record that names nobody is for nobody",
            Self::NotAddressed => "the entry is addressed to others",
            Self::RelayOfNamed => "only its originator hands out an entry for named members",
            Self::ClassNotInAgreement => "the agreement does not cover the field class",
            Self::EmptyAudience => "the part is for its originator alone",
            Self::NotInAudience => "the part is sealed for others",
            Self::AudienceUnknown => "for whom the part is sealed is not known here",
            Self::PurposeNotAgreed => {
                "the purpose is none of the record's, and its originator has not consented to it"
            }
            Self::TlpRed => "TLP:RED is for nobody but the named members",
            Self::PapRed => "PAP:RED: handing it out is an action that others could notice",
            Self::ConsentGrant => "the originator has consented, for this recipient and purpose",
            Self::SharedWith => "the originator lets recipients report it to this organisation",
            Self::TlpClear => "TLP:CLEAR: anybody may have what all addressees get",
            Self::NoConsent => "the originator has not consented for this body, purpose and day",
            Self::InAudience => "the part is sealed for the member",
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
