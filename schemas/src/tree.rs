//! A record kind as a tree of objects, lists and classified fields, read from its JSON Schema.
//!
//! Only the keywords listed here are understood, and any other refuses the schema: projecting a
//! schema to some classes must stay mechanical. References are followed into the shared
//! definitions; the tree holds no references.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::class::FieldClass;

/// How references into the shared definitions begin.
pub const COMMON: &str = "common.v1.json#/$defs/";
/// Deepest nesting of a schema.
const MAX_DEPTH: usize = 16;
/// Keywords that constrain a field.
const LEAF_KEYWORDS: [&str; 8] =
    ["type", "pattern", "enum", "const", "minLength", "maxLength", "minimum", "maximum"];

/// One place in a kind.
#[derive(Debug, Clone)]
pub enum Node {
    /// An object: its properties, and whether each is required.
    Object(BTreeMap<String, (Node, bool)>),
    /// A list of at least one and at most `max` items.
    Array {
        /// What the items are.
        items: Box<Node>,
        /// Most items.
        max: u64,
    },
    /// A field.
    Leaf(Box<Leaf>),
}

/// A field.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Its class.
    pub class: FieldClass,
    /// English and French title.
    pub title: [String; 2],
    /// English description.
    pub description: String,
    /// Number in the WCO Data Model.
    pub wco_id: Option<String>,
    /// The constraining keywords.
    pub schema: Map<String, Value>,
    /// How a coarser value is made of it.
    pub coarse: Option<Coarse>,
    /// Which check applies to it.
    pub check: Option<Check>,
}

/// How a coarser value is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coarse {
    /// First four digits of a Harmonized System code.
    HsHeading,
    /// Country of a UN/LOCODE.
    LocodeCountry,
    /// Day of a date and time.
    Day,
    /// Power of ten below a quantity, as `10^n`.
    QuantityBand,
}

impl Coarse {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "hs-heading" => Self::HsHeading,
            "locode-country" => Self::LocodeCountry,
            "day" => Self::Day,
            "quantity-band" => Self::QuantityBand,
            _ => return None,
        })
    }

    /// The pattern of the coarser value.
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::HsHeading => "^[0-9]{4}$",
            Self::LocodeCountry => "^[A-Z]{2}$",
            Self::Day => "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            Self::QuantityBand => "^(0|10\\^-?[0-9]{1,2})$",
        }
    }

    /// The coarser value of a text of the exact form.
    pub fn apply(self, exact: &str) -> Option<String> {
        match self {
            Self::HsHeading => exact.get(..4).map(str::to_owned),
            Self::LocodeCountry => exact.get(..2).map(str::to_owned),
            Self::Day => exact.get(..10).map(str::to_owned),
            Self::QuantityBand => {
                let digits = exact.trim_start_matches('-');
                let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
                if whole != "0" {
                    return Some(format!("10^{}", whole.len().checked_sub(1)?));
                }
                let zeros = fraction.bytes().take_while(|b| *b == b'0').count();
                let nothing = zeros == fraction.len();
                Some(if nothing { "0".to_owned() } else { format!("10^-{}", zeros + 1) })
            }
        }
    }
}

/// A check beyond the schema's keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// CAS registry number.
    Cas,
    /// ISO 6346 container number.
    Container,
    /// ISO 3166-1 alpha-2.
    Country,
    /// ISO 4217.
    Currency,
    /// Number in the European customs inventory of chemical substances.
    Cus,
    /// Day of the calendar.
    Day,
    /// EC number of a substance.
    EcNumber,
    /// EORI number of an economic operator.
    Eori,
    /// GS1 number of a trade item.
    Gtin,
    /// Harmonized System.
    Hs,
    /// IMO ship number.
    Imo,
    /// InChIKey.
    InchiKey,
    /// Date and time with offset.
    Instant,
    /// Legal entity identifier.
    Lei,
    /// UN/LOCODE.
    Locode,
    /// Movement reference number.
    Mrn,
    /// UN/ECE Recommendation 21.
    PackageType,
    /// GS1 number of a logistic unit.
    Sscc,
    /// Unique consignment reference.
    Ucr,
    /// Vehicle identification number.
    Vin,
}

impl Check {
    /// All checks.
    pub const ALL: [Self; 20] = [
        Self::Cas,
        Self::Container,
        Self::Country,
        Self::Currency,
        Self::Cus,
        Self::Day,
        Self::EcNumber,
        Self::Eori,
        Self::Gtin,
        Self::Hs,
        Self::Imo,
        Self::InchiKey,
        Self::Instant,
        Self::Lei,
        Self::Locode,
        Self::Mrn,
        Self::PackageType,
        Self::Sscc,
        Self::Ucr,
        Self::Vin,
    ];

    /// The word in schemas.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cas => "cas",
            Self::Container => "container",
            Self::Country => "country",
            Self::Currency => "currency",
            Self::Cus => "cus",
            Self::Day => "day",
            Self::EcNumber => "ec-number",
            Self::Eori => "eori",
            Self::Gtin => "gtin",
            Self::Hs => "hs",
            Self::Imo => "imo",
            Self::InchiKey => "inchi-key",
            Self::Instant => "instant",
            Self::Lei => "lei",
            Self::Locode => "locode",
            Self::Mrn => "mrn",
            Self::PackageType => "package-type",
            Self::Sscc => "sscc",
            Self::Ucr => "ucr",
            Self::Vin => "vin",
        }
    }
}

/// Reads a kind's schema over the shared definitions.
pub fn parse(kind: &Value, common: &Value) -> Result<Node, String> {
    node(kind, common, "#", 0)
}

/// Calls `visit` for each field with its path; list items have the segment `*`.
pub fn leaves<'t>(node: &'t Node, path: &str, visit: &mut dyn FnMut(&str, &'t Leaf)) {
    match node {
        Node::Object(properties) => {
            for (name, (child, _)) in properties {
                leaves(child, &format!("{path}/{name}"), visit);
            }
        }
        Node::Array { items, .. } => leaves(items, &format!("{path}/*"), visit),
        Node::Leaf(leaf) => visit(path, leaf),
    }
}

fn node(schema: &Value, common: &Value, at: &str, depth: usize) -> Result<Node, String> {
    if depth > MAX_DEPTH {
        return Err(format!("{at}: nested too deep, or a definition that holds itself"));
    }
    let resolved = resolve(schema, common, at)?;
    match resolved.get("type").and_then(Value::as_str) {
        Some("object") => object(&resolved, common, at, depth),
        Some("array") => array(&resolved, common, at, depth),
        Some("string" | "integer" | "boolean") => leaf(&resolved, at),
        other => Err(format!(
            "{at}: type {other:?} is not allowed (no numbers with a fraction, no null)"
        )),
    }
}

/// A schema with the shared definition that it refers to: what stands beside the reference is said
/// of this place, and goes before.
struct Resolved<'s> {
    own: &'s Map<String, Value>,
    shared: Option<&'s Map<String, Value>>,
}

impl<'s> Resolved<'s> {
    fn get(&self, key: &str) -> Option<&'s Value> {
        self.own.get(key).or_else(|| self.shared?.get(key))
    }

    fn keys(&self) -> impl Iterator<Item = &'s String> {
        let shared = self.shared.into_iter().flat_map(Map::keys);
        self.own.keys().filter(|key| *key != "$ref").chain(shared)
    }
}

fn resolve<'s>(schema: &'s Value, common: &'s Value, at: &str) -> Result<Resolved<'s>, String> {
    let own = schema.as_object().ok_or_else(|| format!("{at}: not an object"))?;
    let Some(reference) = own.get("$ref").and_then(Value::as_str) else {
        return Ok(Resolved { own, shared: None });
    };
    let name = reference.strip_prefix(COMMON).ok_or_else(|| format!("{at}: {reference}"))?;
    let target = common.get("$defs").and_then(|defs| defs.get(name)).and_then(Value::as_object);
    let shared = target.ok_or_else(|| format!("{at}: no definition {name}"))?;
    Ok(Resolved { own, shared: Some(shared) })
}

fn object(schema: &Resolved<'_>, common: &Value, at: &str, depth: usize) -> Result<Node, String> {
    let mut allowed =
        vec!["type", "required", "properties", "additionalProperties", "minProperties"];
    if depth == 0 {
        allowed.push("x-full");
    }
    only(schema, &allowed, at)?;
    titled(schema, at)?;
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let filled = schema.get("minProperties").and_then(Value::as_u64) == Some(1);
    if !closed || !filled {
        return Err(format!(
            "{at}: an object must have additionalProperties false and minProperties 1"
        ));
    }
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.ok_or_else(|| format!("{at}: no properties"))?;
    if let Some(name) = required.iter().find(|name| !properties.contains_key(**name)) {
        return Err(format!("{at}: requires {name}, which is no property"));
    }
    let children = properties.iter().map(|(name, child)| {
        let child = node(child, common, &format!("{at}/{name}"), depth + 1)?;
        Ok((name.clone(), (child, required.contains(&name.as_str()))))
    });
    Ok(Node::Object(children.collect::<Result<_, String>>()?))
}

fn array(schema: &Resolved<'_>, common: &Value, at: &str, depth: usize) -> Result<Node, String> {
    only(schema, &["type", "minItems", "maxItems", "items"], at)?;
    let max = schema.get("maxItems").and_then(Value::as_u64);
    let filled = schema.get("minItems").and_then(Value::as_u64) == Some(1);
    let (Some(max), true, Some(items)) = (max, filled, schema.get("items")) else {
        return Err(format!("{at}: a list must have items, minItems 1 and maxItems"));
    };
    let items = Box::new(node(items, common, &format!("{at}/*"), depth + 1)?);
    Ok(Node::Array { items, max })
}

fn leaf(schema: &Resolved<'_>, at: &str) -> Result<Node, String> {
    let annotations = ["x-class", "x-tded", "x-coarse", "x-check"];
    only(schema, &[LEAF_KEYWORDS.as_slice(), &annotations].concat(), at)?;
    let title = titled(schema, at)?;
    if !["description", "x-description-fr"].iter().all(|key| filled(schema, key).is_some()) {
        return Err(format!("{at}: no description in English and French"));
    }
    let word = |key: &str| schema.get(key).and_then(Value::as_str);
    let class = word("x-class").ok_or_else(|| format!("{at}: no x-class"))?;
    let class: FieldClass = class.parse().map_err(|e| format!("{at}: {e}"))?;
    let unknown = |key: &str| format!("{at}: unknown {key}");
    let coarse = word("x-coarse")
        .map(|w| Coarse::from_word(w).ok_or_else(|| unknown("x-coarse")))
        .transpose()?;
    if coarse.is_some() && class.coarse().is_none() {
        return Err(format!("{at}: class {} has no coarser class", class.as_str()));
    }
    let check = word("x-check")
        .map(|w| Check::ALL.into_iter().find(|c| c.as_str() == w).ok_or_else(|| unknown("x-check")))
        .transpose()?;
    let bounded = word("type") != Some("string")
        || ["maxLength", "enum", "const", "pattern"].iter().any(|k| schema.get(k).is_some());
    if !bounded {
        return Err(format!("{at}: a text must be bounded"));
    }
    let constraints = LEAF_KEYWORDS.iter().filter_map(|keyword| {
        schema.get(keyword).map(|value| ((*keyword).to_owned(), value.clone()))
    });
    let (description, wco_id) = (word("description").unwrap_or_default(), word("x-wco-id"));
    Ok(Node::Leaf(Box::new(Leaf {
        class,
        title,
        description: description.to_owned(),
        wco_id: wco_id.map(str::to_owned),
        schema: constraints.collect(),
        coarse,
        check,
    })))
}

fn only(schema: &Resolved<'_>, allowed: &[&str], at: &str) -> Result<(), String> {
    let always =
        ["$schema", "$id", "title", "x-title-fr", "description", "x-description-fr", "x-wco-id"];
    let foreign =
        schema.keys().find(|k| !allowed.contains(&k.as_str()) && !always.contains(&k.as_str()));
    foreign.map_or(Ok(()), |keyword| Err(format!("{at}: keyword {keyword} is not allowed")))
}

fn titled(schema: &Resolved<'_>, at: &str) -> Result<[String; 2], String> {
    match (filled(schema, "title"), filled(schema, "x-title-fr")) {
        (Some(title), Some(french)) => Ok([title.to_owned(), french.to_owned()]),
        _ => Err(format!("{at}: no title in English and French")),
    }
}

fn filled<'s>(schema: &Resolved<'s>, key: &str) -> Option<&'s str> {
    schema.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field() -> Value {
        json!({
            "type": "string", "maxLength": 9, "x-class": "core", "title": "A", "x-title-fr": "A",
            "description": "B", "x-description-fr": "B",
        })
    }

    fn kind(field: Value) -> Value {
        json!({
            "type": "object", "title": "K", "x-title-fr": "K", "additionalProperties": false,
            "minProperties": 1, "properties": { "a": field },
        })
    }

    fn refusal(field: Value) -> String {
        parse(&kind(field), &json!({"$defs": {}})).expect_err("the schema is against the rules")
    }

    #[test]
    fn accepts_a_classified_field_and_names_its_place() {
        let tree = parse(&kind(field()), &json!({"$defs": {}})).unwrap();
        let mut paths = Vec::new();
        leaves(&tree, "", &mut |path, leaf| paths.push((path.to_owned(), leaf.class)));
        assert_eq!(paths, [("/a".to_owned(), FieldClass::Core)]);
    }

    #[test]
    fn a_schema_against_the_house_rules_does_not_build() {
        for (key, value, cause) in [
            ("x-class", Value::Null, "no x-class"),
            ("x-class", json!("secret"), "secret"),
            ("title", Value::Null, "no title"),
            ("x-title-fr", json!(""), "no title"),
            ("x-description-fr", Value::Null, "no description"),
            ("maxLength", Value::Null, "bounded"),
            ("type", json!("number"), "not allowed"),
            ("type", json!("null"), "not allowed"),
            ("type", json!(["string", "null"]), "not allowed"),
            ("oneOf", json!([]), "keyword oneOf"),
            ("format", json!("date"), "keyword format"),
            ("x-coarse", json!("vague"), "unknown x-coarse"),
            ("x-check", json!("horoscope"), "unknown x-check"),
            ("$ref", json!("elsewhere.json#/a"), "elsewhere"),
            ("$ref", json!("common.v1.json#/$defs/none"), "no definition none"),
        ] {
            let mut field = field();
            match value {
                Value::Null => drop(field.as_object_mut().unwrap().remove(key)),
                value => field[key] = value,
            }
            let said = refusal(field);
            assert!(said.contains(cause) && said.contains("#/a"), "{key}: {said}");
        }
        let mut coarse_text = field();
        coarse_text["x-class"] = json!("text");
        coarse_text["x-coarse"] = json!("day");
        assert!(refusal(coarse_text).contains("no coarser class"));
        assert!(refusal(json!({"type": "array", "items": field()})).contains("maxItems"));
        assert!(
            refusal(json!({"type": "object", "title": "O", "x-title-fr": "O"}))
                .contains("an object")
        );
    }

    #[test]
    fn a_definition_that_holds_itself_is_refused() {
        let reference = json!({"$ref": "common.v1.json#/$defs/loop"});
        let mut common = json!({"$defs": {"loop": kind(reference.clone())}});
        common["$defs"]["loop"]["title"] = json!("L");
        assert!(parse(&kind(reference), &common).unwrap_err().contains("too deep"));
    }

    #[test]
    fn coarser_values_say_less() {
        for (function, exact, coarse) in [
            (Coarse::HsHeading, "293972", "2939"),
            (Coarse::LocodeCountry, "IDCGK", "ID"),
            (Coarse::Day, "2020-07-01T06:30:00Z", "2020-07-01"),
            (Coarse::QuantityBand, "14000", "10^4"),
            (Coarse::QuantityBand, "9", "10^0"),
            (Coarse::QuantityBand, "2.026", "10^0"),
            (Coarse::QuantityBand, "0.0026", "10^-3"),
            (Coarse::QuantityBand, "0.00", "0"),
        ] {
            assert_eq!(function.apply(exact).as_deref(), Some(coarse), "{exact}");
        }
        assert_eq!(Coarse::HsHeading.apply("29"), None);
        assert_eq!(Coarse::LocodeCountry.apply("é"), Some("é".to_owned()));
    }
}
