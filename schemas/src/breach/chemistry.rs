//! Samples, results and substances.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fault, Found, Judged, decimal, more, number, select, text};
use crate::rules::Rule;

pub fn without_unit(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    if judged.object.get("value").is_none() {
        return Vec::new();
    }
    let missing = ["unitCode", "basis"].into_iter().filter(|n| judged.object.get(n).is_none());
    missing.map(|name| (name, name.to_owned())).collect()
}

pub fn below_detection(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let said = text(judged.object, "qualifier") == Some("<");
    let below = more(judged.object, "limitOfDetection", "value");
    if below && !said { vec![below_limit(judged.object, "limitOfDetection")] } else { Vec::new() }
}

pub fn below_quantification(_: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let said = judged.object.get("qualifier").is_some_and(|qualifier| qualifier != ">");
    let detected = !more(judged.object, "limitOfDetection", "value");
    let below = more(judged.object, "limitOfQuantification", "value");
    if detected && below && !said {
        vec![below_limit(judged.object, "limitOfQuantification")]
    } else {
        Vec::new()
    }
}

fn below_limit(result: &Value, limit: &str) -> Fault {
    let [value, limit] = ["value", limit].map(|name| text(result, name).unwrap_or_default());
    ("value", format!("{value} < {limit}"))
}

/// Lower and upper bound, in this order.
pub fn range(names: &'static [&'static str], judged: Judged<'_>) -> Vec<Fault> {
    let &[lower, upper] = names else { return Vec::new() };
    if !more(judged.object, lower, upper) {
        return Vec::new();
    }
    let [least, most] = [lower, upper].map(|name| text(judged.object, name).unwrap_or_default());
    vec![(upper, format!("{most} < {least} ({lower})"))]
}

pub fn result_without_sample(rule: &Rule, record: &Value, found: &mut Found) {
    let samples = select(record, "/sample/*/sequenceNumeric");
    for (pointer, number) in select(record, "/result/*/sampleSequence") {
        if !samples.iter().any(|(_, sample)| *sample == number) {
            found.push(rule.breach(pointer, number));
        }
    }
}

pub fn more_than_the_whole(rule: &Rule, record: &Value, found: &mut Found) {
    for path in ["/goodsItem/*", "/suspectedGoods/*"] {
        for (pointer, item) in select(record, path) {
            let fractions = select(item, "/substance/*/massFraction");
            let shown: Vec<&str> = fractions.iter().filter_map(|(_, v)| v.as_str()).collect();
            let sum: i128 = shown.iter().filter_map(|text| decimal(text)).sum();
            if sum > 100_000_000_000 {
                let evidence = format!("{} > 100", shown.join(" + "));
                found.push(rule.breach(format!("{pointer}/substance"), evidence));
            }
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
            let pointer = format!("{pointer}/sameConnectivity");
            found.push(rule.breach(pointer, block));
        }
    }
}

/// The substances of a record, wherever kinds have them, and what they were compared with.
pub const SUBSTANCES: &[&str] = &[
    "/substance",
    "/goodsItem/*/substance",
    "/suspectedGoods/*/substance",
    "/similarCase/*/substance",
    "/requestItem/*/analysis/substance",
    "/isomerCheck/*/comparedInchiKey",
];

pub fn isomers_mixed(rule: &Rule, record: &Value, found: &mut Found) {
    let compared = select(record, "/isomerCheck/*/comparedInchiKey");
    let told_apart = |key: &str| compared.iter().any(|(_, other)| *other == key);
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let lists = SUBSTANCES.iter().flat_map(|path| select(record, path));
    for (list, substances) in lists {
        for (pointer, substance) in select(substances, "/*") {
            let key = text(substance, "inchiKey").filter(|key| !told_apart(key));
            let key = key.filter(|_| text(substance, "role") != Some("excluded"));
            let Some((key, block)) = key.and_then(|key| Some((key, key.get(..14)?))) else {
                continue;
            };
            let earlier = *first.entry(block).or_insert(key);
            if earlier.get(..25) != key.get(..25) {
                let pointer = format!("{list}{pointer}/inchiKey");
                let evidence = format!("{key}, {earlier}");
                found.push(rule.breach(pointer, evidence));
            }
        }
    }
}

pub fn gross_under_net(rule: &Rule, record: &Value, found: &mut Found) {
    for path in MASSES {
        let Some(item) = path.strip_suffix("/quantity") else { continue };
        for (pointer, item) in select(record, item) {
            let mass = |basis: &str| {
                let of_basis = |(_, quantity): &(_, &Value)| text(quantity, "basis") == Some(basis);
                select(item, "/quantity/*").iter().filter(|q| of_basis(q)).find_map(
                    |(_, quantity)| {
                        let factor = milligrams(text(quantity, "unitCode")?)?;
                        let shown =
                            format!("{} {}", text(quantity, "value")?, text(quantity, "unitCode")?);
                        Some((number(quantity, "value")?.checked_mul(factor)?, shown))
                    },
                )
            };
            if let (Some((gross, shown)), Some((net, other))) = (mass("gross"), mass("net"))
                && gross < net
            {
                let evidence = format!("{shown} < {other}");
                found.push(rule.breach(format!("{pointer}/quantity"), evidence));
            }
        }
    }
}

/// Lists of quantities that belong to one thing.
pub const MASSES: &[&str] = &[
    "/goodsItem/*/quantity",
    "/suspectedGoods/*/quantity",
    "/sample/*/quantity",
    "/followUp/*/quantity",
];

fn milligrams(unit: &str) -> Option<i128> {
    match unit {
        "MGM" => Some(1),
        "GRM" => Some(1_000),
        "KGM" => Some(1_000_000),
        "TNE" => Some(1_000_000_000),
        _ => None,
    }
}
