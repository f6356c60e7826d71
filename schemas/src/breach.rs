//! How each rule that reads several fields finds its breaches. The functions take what is there:
//! a field of the wrong form is the schema's finding, not theirs.

use std::fmt;

use jiff::civil::Date;
use serde_json::Value;

use crate::check;
use crate::finding::Finding;
use crate::rules::Rule;

type Found = Vec<Finding>;

/// Lists within lists that a path can cross.
const MAX_LISTS: usize = 4;

/// Where a value was found: a path, and the list items chosen for its `*`. Displays as pointer.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    path: &'p str,
    items: [usize; MAX_LISTS],
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = self.items.iter();
        self.path.split('/').skip(1).try_for_each(|segment| match segment {
            "*" => write!(f, "/{}", items.next().copied().unwrap_or_default()),
            name => write!(f, "/{name}"),
        })
    }
}

/// The values at a path with `*` for list items, each with its place.
pub fn select<'r, 'p>(record: &'r Value, path: &'p str) -> Vec<(Place<'p>, &'r Value)> {
    let mut found = Vec::new();
    let place = Place { path, items: [0; MAX_LISTS] };
    collect(record, path.get(1..).unwrap_or_default(), place, 0, &mut found);
    found
}

fn collect<'r, 'p>(
    value: &'r Value,
    rest: &str,
    mut place: Place<'p>,
    lists: usize,
    found: &mut Vec<(Place<'p>, &'r Value)>,
) {
    if rest.is_empty() {
        found.push((place, value));
        return;
    }
    let (segment, rest) = rest.split_once('/').unwrap_or((rest, ""));
    match (segment, value) {
        ("*", Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                if let Some(chosen) = place.items.get_mut(lists) {
                    *chosen = i;
                }
                collect(item, rest, place, lists + 1, found);
            }
        }
        (name, Value::Object(fields)) => {
            if let Some(field) = fields.get(name) {
                collect(field, rest, place, lists, found);
            }
        }
        _ => {}
    }
}

fn text<'r>(object: &'r Value, name: &str) -> Option<&'r str> {
    object.get(name).and_then(Value::as_str)
}

fn number(object: &Value, name: &str) -> Option<i128> {
    text(object, name).and_then(decimal)
}

/// A decimal text in units of 10^-9, exactly; the form allows 15 digits before the point.
fn decimal(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let form = (1..=15).contains(&whole.len()) && fraction.len() <= 9;
    if !form || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    Some(if negative { -value } else { value })
}

pub fn edition_missing(rule: &Rule, record: &Value, found: &mut Found) {
    let goods = select(record, "/goodsItem/*");
    let coded = |object: &Value| text(object, "classificationId").is_some();
    let classified = goods.iter().any(|(_, item)| {
        let one = |name| item.get(name).is_some_and(coded);
        let any = |name| select(item, name).iter().any(|(_, object)| coded(object));
        one("declared")
            || one("found")
            || ["/declaredPart/*", "/coverLoad/*", "/alternativeClassification/*"]
                .into_iter()
                .any(any)
    });
    if classified && record.get("hsEdition").is_none() {
        let message = "goods are classified, but by which edition is not said".to_owned();
        found.push(rule.breach("/hsEdition", None, message));
    }
}

pub fn amount_decimals(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, money) in select(record, "/goodsItem/*/value") {
        let (Some(amount), Some(code)) = (text(money, "amount"), text(money, "currencyCode"))
        else {
            continue;
        };
        let places = amount.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if let Some(units) = check::minor_units(code).filter(|units| places > *units) {
            let message = format!("{amount} has {places} decimal places, {code} has {units}");
            found.push(rule.breach(format!("{pointer}/amount"), money.get("amount"), message));
        }
    }
}

pub fn country_disagrees(rule: &Rule, record: &Value, found: &mut Found) {
    for path in ["/event/place", "/event/towedTo", "/detection/place", "/consignment/itinerary/*"] {
        for (pointer, place) in select(record, path) {
            let (Some(country), Some(code)) =
                (text(place, "countryCode"), text(place, "locationId"))
            else {
                continue;
            };
            if !code.starts_with(country) {
                let message = format!("{code} does not lie in {country}");
                let pointer = format!("{pointer}/locationId");
                found.push(rule.breach(pointer, place.get("locationId"), message));
            }
        }
    }
}

pub fn itinerary_nowhere(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, point) in select(record, "/consignment/itinerary/*") {
        let somewhere = point.get("countryCode").is_some();
        let high_seas = text(point, "placeType") == Some("high-seas");
        if !somewhere && !high_seas {
            let message = "a point of the route without a country".to_owned();
            found.push(rule.breach(format!("{pointer}/countryCode"), None, message));
        }
    }
}

pub fn transit_to_nowhere(rule: &Rule, record: &Value, found: &mut Found) {
    let onward = ["destination", "planned-unloading"];
    let stated = select(record, "/consignment/itinerary/*/function")
        .iter()
        .any(|(_, function)| function.as_str().is_some_and(|word| onward.contains(&word)));
    for path in ["/event/direction", "/detection/direction"] {
        for (pointer, direction) in select(record, path) {
            if matches!(direction.as_str(), Some("transit" | "transhipment")) && !stated {
                let message = "goods on their way to a place that is not said".to_owned();
                found.push(rule.breach(pointer, Some(direction), message));
            }
        }
    }
}

pub fn position_off_earth(rule: &Rule, record: &Value, found: &mut Found) {
    for path in ["/event/place", "/event/towedTo", "/detection/place"] {
        for (pointer, place) in select(record, path) {
            let mut both = 0;
            for (name, limit) in [("latitude", 90), ("longitude", 180)] {
                let Some(degrees) = place.get(name) else { continue };
                both += 1;
                let off = number(place, name).is_some_and(|d| d.abs() > limit * 1_000_000_000);
                if off {
                    let message = format!("{name} is beyond {limit} degrees");
                    found.push(rule.breach(format!("{pointer}/{name}"), Some(degrees), message));
                }
            }
            if both == 1 {
                let message = "latitude and longitude go together".to_owned();
                found.push(rule.breach(pointer, None, message));
            }
        }
    }
}

pub fn dates_out_of_order(rule: &Rule, record: &Value, found: &mut Found) {
    let mut read = |path: &'static str| -> Vec<(Place<'static>, Date)> {
        let mut dates = Vec::new();
        for (pointer, value) in select(record, path) {
            let Some(text) = value.as_str() else { continue };
            match text.parse::<Date>() {
                Ok(date) => dates.push((pointer, date)),
                Err(_) => {
                    let message = format!("{text} is no day of the calendar");
                    found.push(rule.breach(pointer, Some(value), message));
                }
            }
        }
        dates
    };
    let issued = read("/issueDate").pop();
    let review = read("/handling/reviewDate").pop();
    let retain = read("/handling/retainUntil").pop();
    let feedback = read("/handling/feedbackDue").pop();
    let mut events = Vec::new();
    for path in [
        "/event/date",
        "/detection/date",
        "/sample/*/receivedDate",
        "/sample/*/analysedDate",
        "/statusHistory/*/date",
        "/followUp/*/date",
    ] {
        events.extend(read(path));
    }
    type Dated = Option<(Place<'static>, Date)>;
    let mut ordered = |early: &Dated, late: &Dated| {
        if let (Some((before, early)), Some((pointer, late))) = (early, late)
            && early > late
        {
            let message = format!("{late} comes before {early} of {before}");
            found.push(rule.breach(pointer, None, message));
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
        found.push(rule.breach(pointer, None, message));
    }
}

pub fn instant_unreal(rule: &Rule, record: &Value, found: &mut Found) {
    for path in [
        "/event/dateTime",
        "/consignment/itinerary/*/dateTime",
        "/sample/*/custodyEvent/*/dateTime",
    ] {
        for (pointer, value) in select(record, path) {
            if value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_err()) {
                let message = "no such day or time".to_owned();
                found.push(rule.breach(pointer, Some(value), message));
            }
        }
    }
}

pub fn event_day(rule: &Rule, record: &Value, found: &mut Found) {
    let Some(event) = record.get("event") else { return };
    if let (Some(day), Some(instant)) = (text(event, "date"), text(event, "dateTime"))
        && !instant.starts_with(day)
    {
        let message = format!("{day} is not the day of {instant}");
        found.push(rule.breach("/event/date", event.get("date"), message));
    }
}

pub fn handling_missing(rule: &Rule, record: &Value, found: &mut Found) {
    if record.get("handling").is_none() {
        let message = "the record does not say how it may be handled".to_owned();
        found.push(rule.breach("/handling", None, message));
    }
}

pub fn air_waybill_number(rule: &Rule, record: &Value, found: &mut Found) {
    document_number(rule, record, ("air-waybill", check::air_waybill), found);
}

pub fn postal_item_number(rule: &Rule, record: &Value, found: &mut Found) {
    document_number(rule, record, ("postal-item", check::postal_item), found);
}

fn document_number(
    rule: &Rule,
    record: &Value,
    (kind, good): (&str, fn(&str) -> bool),
    found: &mut Found,
) {
    for (pointer, document) in select(record, "/consignment/transportContractDocument/*") {
        let id = text(document, "id").filter(|_| text(document, "typeCode") == Some(kind));
        if let Some(id) = id.filter(|id| !good(id)) {
            let message = format!("{id} does not hold: {}", rule.text);
            found.push(rule.breach(format!("{pointer}/id"), document.get("id"), message));
        }
    }
}

pub fn below_limit(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, result) in select(record, "/result/*") {
        let (value, limit) = (number(result, "value"), number(result, "limitOfDetection"));
        let below = value.zip(limit).is_some_and(|(value, limit)| value < limit);
        if below && text(result, "qualifier") != Some("<") {
            let message = "the value is below its limit of detection".to_owned();
            found.push(rule.breach(format!("{pointer}/value"), result.get("value"), message));
        }
    }
}

pub fn result_without_unit(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, result) in select(record, "/result/*") {
        let has = |name: &str| result.get(name).is_some();
        if has("value") && !(has("unitCode") && has("basis")) {
            let message = "a numeric result without unit or basis".to_owned();
            found.push(rule.breach(pointer, None, message));
        }
    }
}

pub fn result_without_sample(rule: &Rule, record: &Value, found: &mut Found) {
    let samples = select(record, "/sample/*/sequenceNumeric");
    for (pointer, number) in select(record, "/result/*/sampleSequence") {
        if !samples.iter().any(|(_, sample)| *sample == number) {
            let message = format!("the record has no sample {number}");
            found.push(rule.breach(pointer, Some(number), message));
        }
    }
}

pub fn more_than_the_whole(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, item) in select(record, "/goodsItem/*") {
        let fractions = select(item, "/substance/*/massFraction");
        let sum: i128 = fractions.iter().filter_map(|(_, v)| decimal(v.as_str()?)).sum();
        if sum > 100_000_000_000 {
            let message = "the mass fractions add up to more than 100 per cent".to_owned();
            found.push(rule.breach(format!("{pointer}/substance"), None, message));
        }
    }
}

pub fn isomer_disagrees(rule: &Rule, record: &Value, found: &mut Found) {
    let own = select(record, "/substance/*/inchiKey");
    for (pointer, compared) in select(record, "/isomerCheck/*") {
        let block = text(compared, "comparedInchiKey").and_then(|key| key.get(..14));
        let said = compared.get("sameConnectivity").and_then(Value::as_bool);
        let (Some(block), Some(said)) = (block, said) else { continue };
        let same = own.iter().any(|(_, key)| key.as_str().is_some_and(|k| k.starts_with(block)));
        if same != said {
            let message = format!("the first block {block} says {same}");
            let pointer = format!("{pointer}/sameConnectivity");
            found.push(rule.breach(pointer, compared.get("sameConnectivity"), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selected_values_know_their_pointers() {
        let record = serde_json::json!({"a": [{"b": [1, 2]}, {"c": 3}, {"b": [4]}], "a/b": 5});
        let found = select(&record, "/a/*/b/*");
        let pointers: Vec<String> = found.iter().map(|(place, _)| place.to_string()).collect();
        assert_eq!(pointers, ["/a/0/b/0", "/a/0/b/1", "/a/2/b/0"]);
        assert!(found.iter().all(|(place, v)| record.pointer(&place.to_string()) == Some(*v)));
    }

    #[test]
    fn decimals_are_compared_exactly() {
        assert_eq!(decimal("0.5"), decimal("0.500000000"));
        assert!(decimal("0.500000001") > decimal("0.5"));
        assert!(decimal("-1") < decimal("0"));
        assert!(decimal("999999999999999.999999999") > decimal("999999999999999"));
        for bad in ["", "-", "1e5", "1.0000000001", "1234567890123456", ".5.", "+1"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}
