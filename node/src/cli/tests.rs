use clap::{CommandFactory as _, Parser as _};
use serde_json::json;

use super::output::{Exit, finding_text, problem_text};
use super::publish::submission;
use super::{Cli, Command};

fn parse(line: &str) -> Result<Cli, String> {
    Cli::try_parse_from(line.split_whitespace()).map_err(|e| e.to_string())
}

fn published(line: &str) -> Result<serde_json::Value, ()> {
    match parse(line).unwrap().command {
        Command::Publish(args) => submission(&args, json!({"a": 1})).map_err(|_| ()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_states_the_exit_codes() {
    let help = Cli::command().render_help().to_string();
    for code in ["0  done", "1  refused", "2  cannot decide", "3  a fault"] {
        assert!(help.contains(code), "{help}");
    }
    assert_eq!([Exit::Done as u8, Exit::Refused as u8, Exit::Undecided as u8], [0, 1, 2]);
}

#[test]
fn a_decision_to_keep_names_a_field_or_all_of_them() {
    let line = "sealwire publish - --community labs --keep product-name --keep /remark=a=b";
    let kept = json!([{"reason": "product-name"}, {"pointer": "/remark", "reason": "a=b"}]);
    assert_eq!(published(line).unwrap()["keep"], kept);
    assert!(published("sealwire publish - --community labs").unwrap().get("keep").is_none());
    assert!(parse("sealwire publish - --community labs --keep /remark=").is_err());
}

#[test]
fn to_with_a_class_names_who_gets_that_class() {
    let body = published("sealwire publish - --community labs --to ID,SG --class operational");
    let body = body.unwrap();
    assert_eq!(body["audiences"], json!({"operational": ["ID", "SG"]}));
    assert!(body.get("to").is_none());
}

#[test]
fn to_alone_names_the_addressees() {
    let body = published("sealwire publish - --community labs --to SG").unwrap();
    assert_eq!(body["to"], json!(["SG"]));
    assert!(body.get("audiences").is_none());
    let body = published("sealwire publish - --community labs").unwrap();
    assert_eq!(body, json!({"community": "labs", "record": {"a": 1}}));
}

#[test]
fn classes_may_name_their_own_members() {
    let line =
        "sealwire publish - --community labs --to SG,AU --class nominal=SG --class text=SG,AU";
    let body = published(line).unwrap();
    assert_eq!(body["to"], json!(["SG", "AU"]));
    assert_eq!(body["audiences"], json!({"nominal": ["SG"], "text": ["SG", "AU"]}));
}

#[test]
fn a_class_without_members_is_wrong_usage() {
    assert!(published("sealwire publish - --community labs --class nominal").is_err());
    assert!(parse("sealwire publish - --community labs --class nominal=sg").is_err());
    assert!(parse("sealwire publish - --community labs --class =SG").is_err());
}

#[test]
fn json_is_global_and_commands_are_checked() {
    assert!(parse("sealwire demo --once --json").unwrap().json);
    assert!(parse("sealwire --json status").unwrap().json);
    let id = "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057";
    assert!(parse(&format!("sealwire show {id} --entry --out f")).is_ok());
    let line = "sealwire codes import un-locode 1.csv 2.csv --edition 2024-2 --out list.txt";
    assert!(parse(line).is_ok());
    assert!(parse(&format!("sealwire show {id} --entry --delivery")).is_err());
    for bad in [
        "sealwire",
        "sealwire show x",
        "sealwire token new lab --rights write --config c",
        "sealwire init --member id --name x --dir d --address /ip4/127.0.0.1/tcp/1",
        "sealwire audit verify data",
        "sealwire codes import un-locode --edition 2024-2 --out list.txt",
        "sealwire codes import un-locode part.csv --out list.txt",
        "sealwire run",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_problem_is_told_with_hint_and_every_finding() {
    let problem = json!({
        "detail": "cannot accept record: 1 finding(s)", "code": "record-invalid", "hint": "mend it",
        "findings": [{"pointer": "/handling/tlp", "code": "required", "message": "is missing",
                      "hint": "add it"}],
    });
    let expected = "cannot accept record: 1 finding(s) [record-invalid]\nhint: mend it\n  \
                    /handling/tlp: is missing [required]\n    hint: add it";
    assert_eq!(problem_text(&problem), expected);
    assert_eq!(finding_text(&json!({})), "  /:  []\n    hint: ");
}

#[test]
fn keys_are_rotated_by_use_and_ended_by_thumbprint() {
    let print = "ab".repeat(32);
    for good in [
        "sealwire keys list --config c --passphrase-file p".to_owned(),
        "sealwire keys rotate sign --config c".to_owned(),
        "sealwire keys rotate seal --epoch 3 --config c".to_owned(),
        format!("sealwire keys revoke {print} --until 7 --witnesses 2 --config c"),
        "sealwire keys passphrase --config c --new-passphrase-file n".to_owned(),
        "sealwire init --member ID --name x --dir d --address a --no-passphrase".to_owned(),
    ] {
        assert!(parse(&good).is_ok(), "{good}");
    }
    for bad in [
        "sealwire keys rotate data --config c",
        "sealwire keys revoke --config c",
        "sealwire keys revoke abcd --config c",
        "sealwire init --member ID --name x --dir d --address a --no-passphrase \
         --passphrase-file p",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
