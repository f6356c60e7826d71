//! Goods on their way: amounts, numbers of documents, places, routes, seals.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fault, Found, Judged, any, number, parts_over_whole, says, select, text};
use crate::check;
use crate::rules::Rule;

pub fn amount_decimals(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let amount = text(judged.object, "amount");
    let Some((amount, code)) = amount.zip(text(judged.object, "currencyCode")) else {
        return Vec::new();
    };
    let places = amount.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    match check::minor_units(code) {
        Some(units) if places > units => {
            vec![("amount", format!("{amount} {code}: {places} > {units}"))]
        }
        _ => Vec::new(),
    }
}

pub fn air_waybill_number(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    document_number(judged.object, "air-waybill", check::air_waybill)
}

pub fn postal_item_number(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    document_number(judged.object, "postal-item", check::postal_item)
}

fn document_number(document: &Value, kind: &str, good: fn(&str) -> bool) -> Vec<Fault> {
    let id = text(document, "id").filter(|_| text(document, "typeCode") == Some(kind));
    id.filter(|id| !good(id)).map(|id| ("id", id.to_owned())).into_iter().collect()
}

pub fn country_disagrees(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    match (text(judged.object, "countryCode"), text(judged.object, "locationId")) {
        (Some(country), Some(code)) if !code.starts_with(country) => {
            vec![("locationId", format!("{code}, {country}"))]
        }
        _ => Vec::new(),
    }
}

pub fn position_off_earth(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let axes = [("latitude", 90), ("longitude", 180)];
    let off = axes.into_iter().filter_map(|(name, limit)| {
        let beyond = number(judged.object, name)?.abs() > limit * 1_000_000_000;
        beyond
            .then(|| (name, format!("{} > {limit}", text(judged.object, name).unwrap_or_default())))
    });
    let mut faults: Vec<Fault> = off.collect();
    let missing: Vec<&'static str> =
        axes.into_iter().map(|(name, _)| name).filter(|n| judged.object.get(n).is_none()).collect();
    if let [missing] = *missing {
        faults.push((missing, missing.to_owned()));
    }
    faults
}

pub fn itinerary_nowhere(rule: &Rule, record: &Value, found: &mut Found) {
    for (pointer, point) in select(record, "/consignment/itinerary/*") {
        let somewhere = point.get("countryCode").is_some();
        let high_seas = text(point, "placeType") == Some("high-seas");
        if !somewhere && !high_seas {
            found.push(rule.breach(format!("{pointer}/countryCode"), ""));
        }
    }
}

pub const DIRECTIONS: &[&str] = &["/event/direction", "/detection/direction", "/direction"];

pub fn transit_to_nowhere(rule: &Rule, record: &Value, found: &mut Found) {
    let route = select(record, "/consignment/itinerary/*/function");
    let onward = ["destination", "planned-unloading"];
    let stated = route.iter().any(|(_, f)| onward.iter().any(|word| *f == word))
        || any(record, "/profile/destinationCountryCode/*", |_| true);
    for (pointer, direction) in DIRECTIONS.iter().flat_map(|path| select(record, path)) {
        let underway = matches!(direction.as_str(), Some("transit" | "transhipment"));
        if underway && !stated && !route.is_empty() {
            let shown = direction.as_str().unwrap_or_default();
            found.push(rule.breach(pointer, shown));
        }
    }
}

pub fn nothing_misdeclared(rule: &Rule, record: &Value, found: &mut Found) {
    let said = says(record, "/event/offenceType/*", "misdeclaration")
        || says(record, "/offenceType/*", "misdeclaration")
        || says(record, "/alertType", "misclassification");
    let mut same = Vec::new();
    for (path, is) in [("/goodsItem/*", "found"), ("/suspectedGoods/*", "suspected")] {
        for (pointer, item) in select(record, path) {
            let code =
                |name: &str| item.get(name).and_then(|goods| text(goods, "classificationId"));
            match (code("declared"), code(is)) {
                (Some(declared), Some(found)) if declared == found => {
                    same.push((format!("{pointer}/{is}/classificationId"), found));
                }
                // One thing that differs is the misdeclaration.
                (Some(_), Some(_)) => return,
                _ => {}
            }
        }
    }
    for (pointer, code) in same.into_iter().filter(|_| said) {
        found.push(rule.breach(pointer, code));
    }
}

pub fn seal_contradicted(rule: &Rule, record: &Value, found: &mut Found) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for path in ["/consignment/transportEquipment/*/seal/*", "/sample/*/seal/*"] {
        for (pointer, seal) in select(record, path) {
            let Some((id, condition)) = text(seal, "id").zip(text(seal, "condition")) else {
                continue;
            };
            let earlier = *first.entry(id).or_insert(condition);
            if (earlier == "intact") != (condition == "intact") {
                let evidence = format!("{id}: {condition}, {earlier}");
                let pointer = format!("{pointer}/condition");
                found.push(rule.breach(pointer, evidence));
            }
        }
    }
}

pub fn equipment(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let part = ["transportEquipmentAffectedQuantity"];
    parts_over_whole(judged.object, &part, "transportEquipmentQuantity")
}
