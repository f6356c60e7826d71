//! Semantic rules: what a schema cannot say. One table; each rule names the fields it reads, so
//! that a member that cannot open one of them says `not-checkable` instead of passing.

use jiff::civil::Date;
use serde_json::Value;

use crate::check;
use crate::finding::{Finding, Severity};
use crate::tree::Check;

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
    /// Where it finds breaches: pointer, value, what is wrong.
    check: fn(&Rule, &Value, &mut Vec<Finding>),
    hint: &'static str,
}

/// The fields that a rule reads.
pub enum Reads {
    /// Every field with this check.
    Checked(Check),
    /// These paths, with `*` for list items; those that a kind does not have are left out.
    Paths(&'static [&'static str]),
}

/// All rules.
pub const RULES: &[Rule] = &[
    identifier(
        "hs-structure",
        Check::Hs,
        "A Harmonized System code has a chapter from 01 to 97 without 77, and four or six digits",
        "Un code SH a un chapitre de 01 à 97 sauf 77, et quatre ou six chiffres",
        "check the code against the nomenclature of the edition stated",
    ),
    identifier(
        "container-check-digit",
        Check::Container,
        "A container number has the check digit of ISO 6346",
        "Un numéro de conteneur porte le chiffre de contrôle ISO 6346",
        "read the number again; its last digit is computed from the others",
    ),
    identifier(
        "cas-check-digit",
        Check::Cas,
        "A CAS registry number has the right check digit",
        "Un numéro CAS porte le bon chiffre de contrôle",
        "read the number again; its last digit is computed from the others",
    ),
    identifier(
        "imo-check-digit",
        Check::Imo,
        "An IMO ship number has the right check digit",
        "Un numéro OMI porte le bon chiffre de contrôle",
        "read the number again; its last digit is computed from the others",
    ),
    identifier(
        "country-assigned",
        Check::Country,
        "A country code is assigned in ISO 3166-1, or is XI or XK",
        "Un code de pays est attribué par ISO 3166-1, ou est XI ou XK",
        "use the alpha-2 code",
    ),
    identifier(
        "currency-assigned",
        Check::Currency,
        "A currency code is in ISO 4217",
        "Un code de devise figure dans ISO 4217",
        "use the three letters of the currency",
    ),
    identifier(
        "locode-form",
        Check::Locode,
        "A UN/LOCODE begins with an assigned country",
        "Un UN/LOCODE commence par un pays attribué",
        "look the place up in the UN/LOCODE list; an airport code is not a location code",
    ),
    Rule {
        id: "country-locode-agreement",
        text: "A UN/LOCODE lies in the country stated beside it",
        text_fr: "Un UN/LOCODE est dans le pays indiqué à côté",
        severity: Severity::Error,
        reads: Reads::Paths(&[
            "/event/place/countryCode",
            "/event/place/locationId",
            "/event/towedTo/countryCode",
            "/event/towedTo/locationId",
            "/detection/place/countryCode",
            "/detection/place/locationId",
            "/consignment/itinerary/*/countryCode",
            "/consignment/itinerary/*/locationId",
        ]),
        check: country_agrees,
        hint: "mend the country or the location code",
    },
    Rule {
        id: "date-order",
        text: "Days exist; issue comes before review, review before the end of retention and within a year, and events before issue",
        text_fr: "Les dates existent ; l'émission précède le réexamen, le réexamen la fin de conservation et d'un an au plus, les faits l'émission",
        severity: Severity::Error,
        reads: Reads::Paths(&[
            "/issueDate",
            "/handling/reviewDate",
            "/handling/retainUntil",
            "/handling/feedbackDue",
            "/event/date",
            "/detection/date",
            "/sample/*/receivedDate",
            "/sample/*/analysedDate",
        ]),
        check: dates_in_order,
        hint: "mend the day that is out of order",
    },
    Rule {
        id: "handling-present",
        text: "A record says how it may be handled: label, purposes, legal basis, review and retention",
        text_fr: "Un enregistrement dit comment il peut être traité",
        severity: Severity::Error,
        reads: Reads::Paths(&[
            "/handling/tlp",
            "/handling/pap",
            "/handling/purpose/*",
            "/handling/legalBasis",
            "/handling/reviewDate",
            "/handling/retainUntil",
        ]),
        check: handling_present,
        hint: "add the handling block; see the examples",
    },
    Rule {
        id: "below-detection-limit",
        text: "A result below its limit of detection carries the qualifier <",
        text_fr: "Un résultat inférieur à la limite de détection porte le signe <",
        severity: Severity::Error,
        reads: Reads::Paths(&[
            "/result/*/value",
            "/result/*/limitOfDetection",
            "/result/*/qualifier",
        ]),
        check: below_limit,
        hint: "set qualifier to < and value to the limit of detection",
    },
    Rule {
        id: "result-unit",
        text: "A numeric result states its unit and basis",
        text_fr: "Un résultat numérique indique son unité et sa base",
        severity: Severity::Error,
        reads: Reads::Paths(&["/result/*/value", "/result/*/unitCode", "/result/*/basis"]),
        check: result_unit,
        hint: "add unitCode and basis",
    },
];

impl Rule {
    /// Appends what breaks the rule in `record`.
    pub fn run(&self, record: &Value, findings: &mut Vec<Finding>) {
        (self.check)(self, record, findings);
    }

    fn breach(&self, pointer: &str, value: Option<&Value>, message: String) -> Finding {
        let finding = Finding {
            rule: Some(self.id.to_owned()),
            severity: self.severity,
            ..Finding::error(self.id, pointer, message, self.hint)
        };
        value.map_or(finding.clone(), |v| finding.with_value(v))
    }

    /// Checks one identifier; used for every field with the rule's [`Check`].
    pub fn identifier(&self, check: Check, pointer: &str, value: &Value) -> Option<Finding> {
        let text = value.as_str()?;
        let good = match check {
            Check::Cas => check::cas(text),
            Check::Container => check::container(text),
            Check::Country => check::country(text),
            Check::Currency => check::currency(text),
            Check::Hs => check::hs(text),
            Check::Imo => check::imo(text),
            Check::Locode => check::locode(text),
        };
        let message = || format!("{text} does not hold: {}", self.text);
        (!good).then(|| self.breach(pointer, Some(value), message()))
    }
}

const fn identifier(
    id: &'static str,
    check: Check,
    text: &'static str,
    text_fr: &'static str,
    hint: &'static str,
) -> Rule {
    Rule {
        id,
        text,
        text_fr,
        severity: Severity::Error,
        reads: Reads::Checked(check),
        check: |_, _, _| {},
        hint,
    }
}

/// The values at a path with `*` for list items, each with its pointer.
pub fn select<'r>(record: &'r Value, path: &str) -> Vec<(String, &'r Value)> {
    let mut found = vec![(String::new(), record)];
    for segment in path.split('/').skip(1) {
        found = found
            .into_iter()
            .flat_map(|(pointer, value)| match (segment, value) {
                ("*", Value::Array(items)) => items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| (format!("{pointer}/{i}"), item))
                    .collect(),
                (name, Value::Object(fields)) => {
                    fields.get(name).map(|v| (format!("{pointer}/{name}"), v)).into_iter().collect()
                }
                _ => Vec::new(),
            })
            .collect();
    }
    found
}

fn country_agrees(rule: &Rule, record: &Value, findings: &mut Vec<Finding>) {
    for path in ["/event/place", "/event/towedTo", "/detection/place", "/consignment/itinerary/*"] {
        for (pointer, place) in select(record, path) {
            let text = |name: &str| place.get(name).and_then(Value::as_str);
            let (Some(country), Some(code)) = (text("countryCode"), text("locationId")) else {
                continue;
            };
            if !code.starts_with(country) {
                let value = place.get("locationId");
                let message = format!("{code} does not lie in {country}");
                findings.push(rule.breach(&format!("{pointer}/locationId"), value, message));
            }
        }
    }
}

fn dates_in_order(rule: &Rule, record: &Value, findings: &mut Vec<Finding>) {
    let mut read = |path: &str| -> Vec<(String, Date)> {
        let mut dates = Vec::new();
        for (pointer, value) in select(record, path) {
            let Some(text) = value.as_str() else { continue };
            match text.parse::<Date>() {
                Ok(date) => dates.push((pointer, date)),
                Err(_) => {
                    let message = format!("{text} is no day of the calendar");
                    findings.push(rule.breach(&pointer, Some(value), message));
                }
            }
        }
        dates
    };
    let issued = read("/issueDate").pop();
    let review = read("/handling/reviewDate").pop();
    let retain = read("/handling/retainUntil").pop();
    let feedback = read("/handling/feedbackDue").pop();
    let mut events = read("/event/date");
    events.extend(read("/detection/date"));
    events.extend(read("/sample/*/receivedDate"));
    events.extend(read("/sample/*/analysedDate"));
    let mut ordered = |early: &Option<(String, Date)>, late: &Option<(String, Date)>| {
        if let (Some((before, early)), Some((pointer, late))) = (early, late)
            && early > late
        {
            let message = format!("{late} comes before {early} of {before}");
            findings.push(rule.breach(pointer, None, message));
        }
    };
    ordered(&issued, &review);
    ordered(&review, &retain);
    ordered(&issued, &feedback);
    for event in events {
        ordered(&Some(event), &issued);
    }
    if let (Some((_, issued)), Some((pointer, review))) = (&issued, &review)
        && issued.checked_add(jiff::Span::new().years(1)).is_ok_and(|limit| *review > limit)
    {
        let message = format!("review on {review} is more than a year after issue on {issued}");
        findings.push(rule.breach(pointer, None, message));
    }
}

fn handling_present(rule: &Rule, record: &Value, findings: &mut Vec<Finding>) {
    if record.get("handling").is_none() {
        let message = "the record does not say how it may be handled".to_owned();
        findings.push(rule.breach("/handling", None, message));
    }
}

fn below_limit(rule: &Rule, record: &Value, findings: &mut Vec<Finding>) {
    for (pointer, result) in select(record, "/result/*") {
        let number = |name: &str| result.get(name)?.as_str()?.parse::<f64>().ok();
        let below = number("value").zip(number("limitOfDetection")).is_some_and(|(v, l)| v < l);
        if below && result.get("qualifier").and_then(Value::as_str) != Some("<") {
            let message = "the value is below its limit of detection".to_owned();
            let value = result.get("value");
            findings.push(rule.breach(&format!("{pointer}/value"), value, message));
        }
    }
}

fn result_unit(rule: &Rule, record: &Value, findings: &mut Vec<Finding>) {
    for (pointer, result) in select(record, "/result/*") {
        let has = |name: &str| result.get(name).is_some();
        if has("value") && !(has("unitCode") && has("basis")) {
            let message = "a numeric result without unit or basis".to_owned();
            findings.push(rule.breach(&pointer, None, message));
        }
    }
}
