//! Cases that arrive as a table.

use std::fs;

use serde_json::Value;

use crate::world::{SEIZURES, World, run, said, text};

/// The profile that administrations begin with.
const PROFILE: &str = include_str!("../../../deploy/import-seizures.example.toml");

const TABLE: &str = "\
Case,Reported,Seized,Country,Category,Goods,HS,Means
FICTIONAL-1,2026-10-02,2026-10-01,ID,DRG,methamphetamine,293945,canine
FICTIONAL-2,2026-10-03,2026-10-01,ID,TOB,cigarettes,771234,x-ray-image
FICTIONAL-3,2026-10-04,2026-10-02,ID,TOB,cigarettes,240220,x-ray-image; canine
";

#[test]
fn a_table_is_checked_by_cell_and_its_good_rows_are_published_once() {
    let mut world = World::new();
    world.node_mut("ID").start();
    let (profile, table) = (world.dir().join("profile.toml"), world.dir().join("cases.csv"));
    fs::write(&profile, PROFILE).unwrap();
    fs::write(&table, TABLE).unwrap();
    let config = world.node("ID").config();
    let import = |more: &[&str]| {
        let given = ["--json", "import", text(&table), "--profile", text(&profile)];
        let to = ["--community", SEIZURES, "--config", text(&config)];
        let output = run(&[&given[..], &to, more].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
            panic!("{e}: {}", said(&output));
        });
        (output.status.code(), report)
    };
    let (code, report) = import(&[]);
    assert_eq!(
        (code, &report["rows"], &report["bad"]),
        (Some(1), &3.into(), &1.into()),
        "{report}"
    );
    assert_eq!(report["published"], 0, "nothing is sent while a row is bad: {report}");
    let fault = &report["faults"][0];
    assert_eq!((&fault["row"], &fault["column"]), (&3.into(), &"G".into()), "{report}");
    assert_eq!(fault["header"], "HS", "{report}");

    let bad_rows = world.dir().join("bad.csv");
    let (code, report) = import(&["--good-rows", "--bad-rows", text(&bad_rows)]);
    assert_eq!((code, &report["published"]), (Some(1), &2.into()), "{report}");
    let kept = fs::read_to_string(&bad_rows).unwrap();
    assert!(kept.contains("FICTIONAL-2") && kept.contains("hs-structure"), "{kept}");
    assert!(!kept.contains("FICTIONAL-1"), "{kept}");
    let (_, report) = import(&["--good-rows"]);
    assert_eq!((&report["published"], &report["repeated"]), (&0.into(), &2.into()), "{report}");
    let records = world.node("ID").records();
    assert_eq!(records.as_array().unwrap().len(), 2);
    let means = &records[1]["record"]["event"]["detectionMethod"];
    assert_eq!(*means, serde_json::json!(["x-ray-image", "canine"]), "a list in one cell");
}

#[test]
fn a_template_is_a_table_without_rows() {
    let output = run(&["template", "seizure-notice", "--minimal"]);
    assert!(output.status.success(), "{}", said(&output));
    let head = String::from_utf8(output.stdout).unwrap();
    assert!(head.contains("/event/date,") && !head.contains("/kind"), "{head}");
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("empty.csv");
    fs::write(&table, &head).unwrap();
    let output = run(&["import", text(&table), "--kind", "seizure-notice", "--dry-run"]);
    assert!(output.status.success(), "{}", said(&output));
    fs::write(&table, head.replace("/event/date", "/event/day")).unwrap();
    let output = run(&["import", text(&table), "--kind", "seizure-notice", "--dry-run"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("/event/day"), "{}", said(&output));
}
