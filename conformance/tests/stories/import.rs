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
    let output = run(&["template", "seizure-notice", "--minimal", "--csv"]);
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

#[test]
fn a_filled_template_comes_back_with_its_bad_cells_marked() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["template", "seizure-notice"]);
    assert!(output.status.success(), "{}", said(&output));
    let book = dir.path().join("template.xlsx");
    fs::write(&book, &output.stdout).unwrap();
    let import = |file: &std::path::Path, more: &[&str]| {
        let given = ["--json", "import", text(file), "--kind", "seizure-notice", "--dry-run"];
        let output = run(&[&given[..], more].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), report, said(&output))
    };
    let (code, report, said_so) = import(&book, &[]);
    assert_eq!((code, &report["rows"]), (Some(0), &0.into()), "{said_so}");

    // A table is marked in the same way as a workbook, and the marked workbook is read again.
    let table = dir.path().join("cases.csv");
    fs::write(&table, "/issueDate,/goodsItem/0/found/classificationId\n2026-10-02,771234\n")
        .unwrap();
    let marked = dir.path().join("marked.xlsx");
    let (code, report, said_so) = import(&table, &["--marked", text(&marked)]);
    assert_eq!((code, &report["bad"]), (Some(1), &1.into()), "{said_so}");
    let profile = dir.path().join("profile.toml");
    fs::write(&profile, "[column]\n\"what is wrong\" = \"/remark\"\n").unwrap();
    let (_, report, said_so) = import(&marked, &["--profile", text(&profile)]);
    let hs = report["faults"].as_array().unwrap().iter().find(|f| f["code"] == "hs-structure");
    let hs = hs.unwrap_or_else(|| panic!("{said_so}"));
    assert_eq!((&hs["row"], &hs["column"]), (&2.into(), &"B".into()), "{report}");
}

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<md:MetaData xmlns:md="urn:wco:datamodel:WCO:DocumentMetaData-DMS:2"
    xmlns="urn:wco:datamodel:WCO:DEC-DMS:2">
  <Declaration>
    <FunctionalReferenceID>FICTIONAL-1</FunctionalReferenceID>
    <ID>26FICTIONAL0000001</ID>
    <Consignment>
      <Itinerary><SequenceNumeric>1</SequenceNumeric>
        <RoutingCountryCode>SG</RoutingCountryCode></Itinerary>
    </Consignment>
    <GoodsShipment>
      <Consignor><Name>FICTIONAL SHIPPER</Name></Consignor>
      <Consignment>
        <TransportEquipment><ID>CSQU3054383</ID><Seal><ID>F-1</ID></Seal></TransportEquipment>
      </Consignment>
      <GovernmentAgencyGoodsItem>
        <SequenceNumeric>1</SequenceNumeric>
        <Commodity>
          <Description>paper in rolls</Description>
          <Classification><ID>48119000</ID><IdentificationTypeCode>TSP</IdentificationTypeCode></Classification>
          <Classification><ID>00</ID><IdentificationTypeCode>TRC</IdentificationTypeCode></Classification>
          <GoodsMeasure><GrossMassMeasure unitCode="KGM">14000</GrossMassMeasure></GoodsMeasure>
        </Commodity>
      </GovernmentAgencyGoodsItem>
    </GoodsShipment>
  </Declaration>
</md:MetaData>
"#;

#[test]
fn a_declaration_in_xml_becomes_a_warning_and_its_faults_are_told_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let (file, profile) = (dir.path().join("declaration.xml"), dir.path().join("profile.toml"));
    let shipped = include_str!("../../../deploy/import-wco-declaration.example.toml");
    fs::write(&profile, shipped).unwrap();
    let days = ["--set", "/issueDate=2026-12-01", "--set", "/validFrom=2026-12-01"];
    let import = |xml: &str, until: &str| {
        fs::write(&file, xml).unwrap();
        let given = ["--json", "import", text(&file), "--profile", text(&profile), "--dry-run"];
        let until = format!("/validUntil={until}");
        let output = run(&[&given[..], &days, &["--set", &until]].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), report, said(&output))
    };
    let (code, report, said_so) = import(DECLARATION, "2026-12-31");
    assert_eq!((code, &report["rows"]), (Some(0), &1.into()), "{said_so}");
    let (code, report, said_so) =
        import(&DECLARATION.replace("CSQU3054383", "CSQU3054384"), "2026-12-31");
    assert_eq!(code, Some(1), "{said_so}");
    let fault = &report["faults"][0];
    assert_eq!(
        (&fault["code"], &fault["row"]),
        (&"container-check-digit".into(), &14.into()),
        "{report}"
    );
    let path = "GoodsShipment/Consignment/TransportEquipment[]/ID";
    assert_eq!(fault["header"], path, "{report}");
    let (code, _, said_so) = import("<!DOCTYPE a><Declaration/>", "2026-12-31");
    assert_eq!(code, Some(1), "{said_so}");
    assert!(said_so.contains("document type"), "{said_so}");
}
