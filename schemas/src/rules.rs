//! Semantic rules: what a schema cannot say. One table; each rule names the fields it reads, so
//! that a member that cannot open one of them says `not-checkable` instead of passing.

use std::fmt::Display;

use serde_json::Value;

use crate::finding::{Finding, Severity};
use crate::tree::Check;
use crate::{breach, check, substance};

/// A semantic rule.
pub struct Rule {
    /// Stable kebab-case id; also the code of its findings.
    pub id: &'static str,
    /// What it asks for.
    pub text: &'static str,
    /// The same in French.
    pub text_fr: &'static str,
    /// How bad a breach is.
    pub severity: Severity,
    /// What it reads.
    pub reads: Reads,
    /// How to mend a breach.
    pub hint: &'static str,
}

/// The fields that a rule reads, and how it judges them.
pub enum Reads {
    /// Every field with this check, each alone: whether its text is good.
    Checked(Check, fn(&str) -> bool),
    /// These paths, with `*` for list items, together; those that a kind does not have are left
    /// out. The function appends what breaks the rule.
    Paths(&'static [&'static str], fn(&Rule, &Value, &mut Vec<Finding>)),
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        id: "hs-structure",
        text: "A Harmonized System code has a chapter from 01 to 97 without 77, and four or six digits",
        text_fr: "Un code SH a un chapitre de 01 à 97 sauf 77, et quatre ou six chiffres",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Hs, check::hs),
        hint: "check the code against the nomenclature of the edition stated",
    },
    Rule {
        id: "hs-listed",
        text: "A Harmonized System code is in the list of edition 2022",
        text_fr: "Un code SH figure dans la liste de l'édition 2022",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Hs, |code| !check::hs(code) || check::hs_2022(code)),
        hint: "use a subheading of edition 2022; some of earlier editions no longer exist",
    },
    Rule {
        id: "hs-edition-stated",
        text: "A record that classifies goods states the edition of the Harmonized System",
        text_fr: "Un enregistrement qui classe des marchandises indique l'édition du SH",
        severity: Severity::Warning,
        reads: Reads::Paths(
            &[
                "/hsEdition",
                "/goodsItem/*/declared/classificationId",
                "/goodsItem/*/declaredPart/*/classificationId",
                "/goodsItem/*/coverLoad/*/classificationId",
                "/goodsItem/*/found/classificationId",
                "/goodsItem/*/alternativeClassification/*/classificationId",
            ],
            breach::edition_missing,
        ),
        hint: "add hsEdition",
    },
    Rule {
        id: "container-check-digit",
        text: "A container number has the check digit of ISO 6346",
        text_fr: "Un numéro de conteneur porte le chiffre de contrôle ISO 6346",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Container, check::container),
        hint: "read the number again; its last digit is computed from the others",
    },
    Rule {
        id: "cas-check-digit",
        text: "A CAS registry number has the right check digit",
        text_fr: "Un numéro CAS porte le bon chiffre de contrôle",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Cas, check::cas),
        hint: "read the number again; its last digit is computed from the others",
    },
    Rule {
        id: "ec-number-check-digit",
        text: "An EC number has the right check digit",
        text_fr: "Un numéro CE porte le bon chiffre de contrôle",
        severity: Severity::Error,
        reads: Reads::Checked(Check::EcNumber, check::ec_number),
        hint: "read the number again; its last digit is computed from the others",
    },
    Rule {
        id: "cus-form",
        text: "A CUS number is seven digits, a hyphen and a digit",
        text_fr: "Un numéro CUS a sept chiffres, un trait d'union et un chiffre",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Cus, check::cus),
        hint: "look the substance up in the European customs inventory of chemical substances",
    },
    Rule {
        id: "inchi-key-form",
        text: "An InChIKey is of the form of version 1",
        text_fr: "Une InChIKey a la forme de la version 1",
        severity: Severity::Error,
        reads: Reads::Checked(Check::InchiKey, check::inchi_key),
        hint: "copy the key whole; the letter before the last hyphen is A",
    },
    Rule {
        id: "imo-check-digit",
        text: "An IMO ship number has the right check digit",
        text_fr: "Un numéro OMI porte le bon chiffre de contrôle",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Imo, check::imo),
        hint: "read the number again; its last digit is computed from the others",
    },
    Rule {
        id: "vin-check-digit",
        text: "A vehicle identification number has 17 characters without I, O and Q, and the check digit where the maker's region has one",
        text_fr: "Un numéro de véhicule a 17 caractères sans I, O ni Q, et la clé si la région du constructeur l'impose",
        severity: Severity::Warning,
        reads: Reads::Checked(Check::Vin, check::vin),
        hint: "read the number again on the vehicle, not on its papers",
    },
    Rule {
        id: "air-waybill-check-digit",
        text: "The number of an air waybill has eleven digits, the last the remainder of the seven before it by 7",
        text_fr: "Un numéro de lettre de transport aérien a onze chiffres, le dernier étant le reste par 7 des sept précédents",
        severity: Severity::Error,
        reads: Reads::Paths(
            &[
                "/consignment/transportContractDocument/*/id",
                "/consignment/transportContractDocument/*/typeCode",
            ],
            breach::air_waybill_number,
        ),
        hint: "write prefix and number as in 020-43210985, or choose another typeCode",
    },
    Rule {
        id: "postal-item-check-digit",
        text: "The number of a postal item is of the form of UPU S10, with its check digit",
        text_fr: "Un numéro d'envoi postal a la forme UPU S10, avec sa clé",
        severity: Severity::Warning,
        reads: Reads::Paths(
            &[
                "/consignment/transportContractDocument/*/id",
                "/consignment/transportContractDocument/*/typeCode",
            ],
            breach::postal_item_number,
        ),
        hint: "write the 13 characters under the bar code; for a courier's own number use the typeCode courier",
    },
    Rule {
        id: "gtin-check-digit",
        text: "The number of a trade item (GTIN) has 8, 12, 13 or 14 digits and the right check digit",
        text_fr: "Un code article (GTIN) a 8, 12, 13 ou 14 chiffres et la bonne clé",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Gtin, check::gtin),
        hint: "read the number again; its last digit is computed from the others",
    },
    Rule {
        id: "sscc-check-digit",
        text: "The number of a logistic unit (SSCC) has 18 digits and the right check digit",
        text_fr: "Un numéro d'unité logistique (SSCC) a 18 chiffres et la bonne clé",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Sscc, check::sscc),
        hint: "write the 18 digits after (00) under the bar code",
    },
    Rule {
        id: "lei-check-digits",
        text: "A legal entity identifier has the check digits of ISO 17442",
        text_fr: "Un identifiant LEI porte les chiffres de contrôle ISO 17442",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Lei, check::lei),
        hint: "read the identifier again; its last two digits are computed from the others",
    },
    Rule {
        id: "eori-form",
        text: "An EORI number is a country and up to 15 capital letters and digits",
        text_fr: "Un numéro EORI est un pays suivi de 15 majuscules ou chiffres au plus",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Eori, check::eori),
        hint: "begin with the country that gave the number, and leave out blanks",
    },
    Rule {
        id: "ucr-form",
        text: "A unique consignment reference is a digit of the year, a country and the company's own reference",
        text_fr: "Une référence unique d'envoi est un chiffre de l'année, un pays et la référence de l'entreprise",
        severity: Severity::Warning,
        reads: Reads::Checked(Check::Ucr, check::ucr),
        hint: "write it as in 0SG12345678A-ORDER17, without blanks",
    },
    Rule {
        id: "mrn-check-digit",
        text: "A movement reference number has 18 characters and the check digit of ISO 6346",
        text_fr: "Un numéro de référence du mouvement a 18 caractères et la clé ISO 6346",
        severity: Severity::Warning,
        reads: Reads::Checked(Check::Mrn, check::mrn),
        hint: "read the number again; some declaration systems compute no such digit",
    },
    Rule {
        id: "country-assigned",
        text: "A country code is assigned in ISO 3166-1, or is XI or XK",
        text_fr: "Un code de pays est attribué par ISO 3166-1, ou est XI ou XK",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Country, check::country),
        hint: "use the alpha-2 code",
    },
    Rule {
        id: "currency-assigned",
        text: "A currency code is in ISO 4217",
        text_fr: "Un code de devise figure dans ISO 4217",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Currency, check::currency),
        hint: "use the three letters of the currency",
    },
    Rule {
        id: "amount-decimals",
        text: "An amount has no more decimal places than its currency",
        text_fr: "Un montant n'a pas plus de décimales que sa devise",
        severity: Severity::Error,
        reads: Reads::Paths(
            &["/goodsItem/*/value/amount", "/goodsItem/*/value/currencyCode"],
            breach::amount_decimals,
        ),
        hint: "round the amount to the currency's smallest unit",
    },
    Rule {
        id: "locode-form",
        text: "A UN/LOCODE begins with an assigned country",
        text_fr: "Un UN/LOCODE commence par un pays attribué",
        severity: Severity::Error,
        reads: Reads::Checked(Check::Locode, check::locode),
        hint: "look the place up in the UN/LOCODE list; an airport code is not a location code",
    },
    Rule {
        id: "country-locode-agreement",
        text: "A UN/LOCODE lies in the country stated beside it",
        text_fr: "Un UN/LOCODE est dans le pays indiqué à côté",
        severity: Severity::Error,
        reads: Reads::Paths(
            &[
                "/event/place/countryCode",
                "/event/place/locationId",
                "/event/towedTo/countryCode",
                "/event/towedTo/locationId",
                "/detection/place/countryCode",
                "/detection/place/locationId",
                "/consignment/itinerary/*/countryCode",
                "/consignment/itinerary/*/locationId",
            ],
            breach::country_disagrees,
        ),
        hint: "mend the country or the location code",
    },
    Rule {
        id: "itinerary-place",
        text: "A point of the route states its country, or is on the high seas",
        text_fr: "Un point de l'itinéraire indique son pays, ou se trouve en haute mer",
        severity: Severity::Error,
        reads: Reads::Paths(
            &["/consignment/itinerary/*/countryCode", "/consignment/itinerary/*/placeType"],
            breach::itinerary_nowhere,
        ),
        hint: "add countryCode, or set placeType to high-seas",
    },
    Rule {
        id: "transit-destination",
        text: "Goods in transit or transhipment have a stated onward place",
        text_fr: "Des marchandises en transit ou en transbordement ont un lieu de destination",
        severity: Severity::Warning,
        reads: Reads::Paths(
            &["/event/direction", "/detection/direction", "/consignment/itinerary/*/function"],
            breach::transit_to_nowhere,
        ),
        hint: "add a route point with function destination or planned-unloading",
    },
    Rule {
        id: "position-range",
        text: "A position has a latitude within 90 degrees and a longitude within 180",
        text_fr: "Une position a une latitude de 90 degrés et une longitude de 180 au plus",
        severity: Severity::Error,
        reads: Reads::Paths(
            &[
                "/event/place/latitude",
                "/event/place/longitude",
                "/event/towedTo/latitude",
                "/event/towedTo/longitude",
                "/detection/place/latitude",
                "/detection/place/longitude",
            ],
            breach::position_off_earth,
        ),
        hint: "give both in decimal degrees, north and east positive",
    },
    Rule {
        id: "date-order",
        text: "Days exist; issue comes before review, review before the end of retention and within a year, and events before issue",
        text_fr: "Les dates existent ; l'émission précède le réexamen, le réexamen la fin de conservation et d'un an au plus, les faits l'émission",
        severity: Severity::Error,
        reads: Reads::Paths(
            &[
                "/issueDate",
                "/handling/reviewDate",
                "/handling/retainUntil",
                "/handling/feedbackDue",
                "/event/date",
                "/detection/date",
                "/sample/*/receivedDate",
                "/sample/*/analysedDate",
                "/statusHistory/*/date",
                "/followUp/*/date",
            ],
            breach::dates_out_of_order,
        ),
        hint: "mend the day that is out of order",
    },
    Rule {
        id: "instant-exists",
        text: "A date and time exists in the calendar",
        text_fr: "Une date et heure existe dans le calendrier",
        severity: Severity::Error,
        reads: Reads::Paths(
            &[
                "/event/dateTime",
                "/consignment/itinerary/*/dateTime",
                "/sample/*/custodyEvent/*/dateTime",
            ],
            breach::instant_unreal,
        ),
        hint: "write the day, the time and its offset from UTC, as in 2020-12-01T09:10:00+07:00",
    },
    Rule {
        id: "event-day",
        text: "The day of an event is that of its exact time",
        text_fr: "Le jour d'un événement est celui de son heure exacte",
        severity: Severity::Error,
        reads: Reads::Paths(&["/event/date", "/event/dateTime"], breach::event_day),
        hint: "give both in local time at the place of the event",
    },
    Rule {
        id: "handling-present",
        text: "A record says how it may be handled: label, purposes, legal basis, review and retention",
        text_fr: "Un enregistrement dit comment il peut être traité",
        severity: Severity::Error,
        reads: Reads::Paths(
            &[
                "/handling/tlp",
                "/handling/pap",
                "/handling/purpose/*",
                "/handling/legalBasis",
                "/handling/reviewDate",
                "/handling/retainUntil",
            ],
            breach::handling_missing,
        ),
        hint: "add the handling block; see the examples",
    },
    Rule {
        id: "below-detection-limit",
        text: "A result below its limit of detection carries the qualifier <",
        text_fr: "Un résultat inférieur à la limite de détection porte le signe <",
        severity: Severity::Error,
        reads: Reads::Paths(
            &["/result/*/value", "/result/*/limitOfDetection", "/result/*/qualifier"],
            breach::below_limit,
        ),
        hint: "set qualifier to < and value to the limit of detection",
    },
    Rule {
        id: "result-unit",
        text: "A numeric result states its unit and basis",
        text_fr: "Un résultat numérique indique son unité et sa base",
        severity: Severity::Error,
        reads: Reads::Paths(
            &["/result/*/value", "/result/*/unitCode", "/result/*/basis"],
            breach::result_without_unit,
        ),
        hint: "add unitCode and basis",
    },
    Rule {
        id: "result-sample",
        text: "A result belongs to a sample of the record",
        text_fr: "Un résultat se rapporte à un échantillon de l'enregistrement",
        severity: Severity::Error,
        reads: Reads::Paths(
            &["/result/*/sampleSequence", "/sample/*/sequenceNumeric"],
            breach::result_without_sample,
        ),
        hint: "give sampleSequence the sequenceNumeric of a sample",
    },
    Rule {
        id: "mass-fraction-sum",
        text: "The mass fractions of one thing are together at most 100 per cent",
        text_fr: "Les fractions massiques d'une même chose font au plus 100 pour cent",
        severity: Severity::Error,
        reads: Reads::Paths(
            &["/goodsItem/*/substance/*/massFraction"],
            breach::more_than_the_whole,
        ),
        hint: "mend the fractions; they are in per cent",
    },
    Rule {
        id: "isomer-connectivity",
        text: "Whether a compared isomer has the same connectivity follows from the first block of the InChIKeys",
        text_fr: "La connectivité commune d'un isomère comparé résulte du premier bloc des InChIKey",
        severity: Severity::Error,
        reads: Reads::Paths(
            &[
                "/substance/*/inchiKey",
                "/isomerCheck/*/comparedInchiKey",
                "/isomerCheck/*/sameConnectivity",
            ],
            breach::isomer_disagrees,
        ),
        hint: "compare the first 14 letters with those of the substances of the record",
    },
    Rule {
        id: "substance-agreement",
        text: "Name, CAS number, InChIKey and subheading of a substance do not contradict the table of substances",
        text_fr: "Nom, numéro CAS, InChIKey et sous-position d'une substance ne contredisent pas la table des substances",
        severity: Severity::Warning,
        reads: Reads::Paths(
            &[
                "/substance/*/commonName",
                "/substance/*/casNumber",
                "/substance/*/inchiKey",
                "/goodsItem/*/substance/*/commonName",
                "/goodsItem/*/substance/*/casNumber",
                "/goodsItem/*/substance/*/inchiKey",
                "/goodsItem/*/substance/*/role",
                "/goodsItem/*/found/classificationId",
                "/suspectedGoods/*/substance/*/commonName",
                "/suspectedGoods/*/substance/*/casNumber",
                "/suspectedGoods/*/substance/*/inchiKey",
                "/requestItem/*/analysis/substance/*/commonName",
                "/requestItem/*/analysis/substance/*/casNumber",
                "/requestItem/*/analysis/substance/*/inchiKey",
                "/similarCase/*/substance/*/commonName",
                "/similarCase/*/substance/*/casNumber",
                "/similarCase/*/substance/*/inchiKey",
            ],
            substance::disagrees,
        ),
        hint: "find out which is right; a salt or an isomer has a name, a number and a key of its own",
    },
];

impl Rule {
    /// A breach of the rule at a place.
    pub(crate) fn breach(
        &self,
        pointer: impl Display,
        value: Option<&Value>,
        message: String,
    ) -> Finding {
        let finding = Finding {
            rule: Some(self.id.to_owned()),
            severity: self.severity,
            ..Finding::error(self.id, &pointer.to_string(), message, self.hint)
        };
        match value {
            Some(value) => finding.with_value(value),
            None => finding,
        }
    }
}
