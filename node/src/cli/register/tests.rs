//! Three governors and two members make a register, file by file.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Parser;
use ed25519_dalek::SigningKey;
use sealwire_wire::register::{Introduction, Register};

use super::*;

const NOW: i64 = 1_800_000_000;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: FileCommand,
}

/// Runs a command line in which `@` stands for the directory.
fn sealwire(directory: &Path, line: &str) -> Result<Report> {
    let line = line.replace('@', directory.to_str().unwrap());
    let words = std::iter::once("register").chain(line.split_whitespace());
    execute(Line::try_parse_from(words)?.command, NOW)
}

fn introduce(directory: &Path, member: &str) {
    let key = |n: u8| SigningKey::from_bytes(&Digest::of(format!("{member} {n}").as_bytes()).0);
    let [node, log, cosign] = [1, 2, 3].map(|n| key(n).verifying_key().to_bytes());
    let names = BTreeMap::from([("en".to_owned(), format!("Customs of {member}"))]);
    let addresses = vec!["/ip4/127.0.0.1/tcp/4001".to_owned()];
    let roles = vec!["administration".to_owned()];
    let id = member.parse().unwrap();
    let keys = (&node, &log, &cosign);
    let file = Introduction::new(id, names, roles, addresses, keys, &key(4)).unwrap();
    std::fs::write(directory.join(format!("{member}.json")), file.to_bytes()).unwrap();
}

/// A directory with governors a, b, c and a draft of 2 of 3 with members ID and SG.
fn drafted() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for seat in ["a", "b", "c"] {
        sealwire(at, &format!("governor --seat {seat} --out @/{seat}")).unwrap();
    }
    let governors = "--governor @/a.pub.json @/b.pub.json @/c.pub.json";
    let line = format!("new --federation example.org --threshold 2 {governors} --out @/draft");
    sealwire(at, &line).unwrap();
    introduce(at, "ID");
    introduce(at, "SG");
    sealwire(at, "add member --draft @/draft @/ID.json @/SG.json").unwrap();
    sealwire(at, &community("substances", "ID,SG")).unwrap();
    directory
}

fn community(id: &str, members: &str) -> String {
    let kind = Standard::v1().kinds().next().unwrap().name().to_owned();
    format!(
        "add community --draft @/draft --id {id} --title Substances --agreement MoU-1 \
         --members {members} --kinds {kind} --classes open,core --tlp AMBER \
         --purposes drug-control --retention-days 365 --witnesses 1"
    )
}

#[test]
fn two_of_three_governors_make_a_register() {
    let directory = drafted();
    let at = directory.path();
    let first = sealwire(at, "sign --draft @/draft --key @/a --out @/register.json").unwrap();
    assert_eq!(first.json["complete"], false);
    assert!(!at.join("register.json").exists());
    assert!(first.text.contains("1 valid"), "{}", first.text);

    let second = sealwire(at, "sign --draft @/draft --key @/c --out @/register.json").unwrap();
    assert_eq!(second.json["complete"], true);
    let bytes = std::fs::read(at.join("register.json")).unwrap();
    let register = Register::trust_first(&bytes, None).unwrap();
    assert!(second.text.contains(&register.fingerprint()));

    let shown = sealwire(at, "show @/register.json").unwrap();
    for part in [register.fingerprint().as_str(), "Customs of ID", "substances", "2 of 3"] {
        assert!(shown.text.contains(part), "{}", shown.text);
    }
    assert_eq!(shown.json["members"][1]["id"], "SG");
    assert_eq!(shown.json["complete"], true);
    assert_eq!(shown.json["expired"], false);
}

#[test]
fn the_next_version_needs_governors_of_both() {
    let directory = drafted();
    let at = directory.path();
    sealwire(at, "sign --draft @/draft --key @/a").unwrap();
    sealwire(at, "sign --draft @/draft --key @/b --out @/1.json").unwrap();
    sealwire(at, "governor --seat d --out @/d").unwrap();
    let line = "new --from @/1.json --governor @/d.pub.json --threshold 1 --out @/draft2";
    sealwire(at, line).unwrap();
    let unknown = sealwire(at, "sign --draft @/draft2 --key @/d").unwrap_err();
    assert!(format!("{unknown:#}").contains("--previous"), "{unknown:#}");
    let sign = |key: &str| {
        let line =
            format!("sign --draft @/draft2 --previous @/1.json --key @/{key} --out @/2.json");
        sealwire(at, &line).unwrap().json["complete"] == true
    };
    assert!(!sign("d"));
    assert!(!sign("a"));
    assert!(sign("c"));
    let shown = sealwire(at, "show @/2.json --previous @/1.json").unwrap();
    assert_eq!(shown.json["version"], 2);
    assert!(shown.text.contains("and of the one before"), "{}", shown.text);
}

#[test]
fn a_draft_suspends_a_member_and_exchanges_its_keys() {
    let directory = drafted();
    let at = directory.path();
    sealwire(at, "sign --draft @/draft --key @/a").unwrap();
    sealwire(at, "sign --draft @/draft --key @/b --out @/1.json").unwrap();
    let stand = |line: &str| {
        sealwire(at, "new --from @/1.json --out @/2.draft").unwrap();
        let done = sealwire(at, line);
        let shown = sealwire(at, "show @/2.draft").unwrap();
        std::fs::remove_file(at.join("2.draft")).unwrap();
        (done, shown)
    };
    let (_, shown) = stand("status --draft @/2.draft --member SG suspended");
    assert_eq!(shown.json["members"][1]["status"], "suspended");
    assert_eq!(shown.json["communities"][0]["members"], json!(["ID", "SG"]));

    let key = |use_: &str| {
        let shown = sealwire(at, "show @/1.json").unwrap();
        let keys = shown.json["members"][1]["keys"].as_array().unwrap().clone();
        keys.iter().find(|k| k["use"] == use_).unwrap()["thumbprint"].as_str().unwrap().to_owned()
    };
    let public = hex::encode(SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes());
    let add =
        format!("key add --draft @/2.draft --member SG --use sign --public {public} --from 9");
    let (added, shown) = stand(&add);
    let print = added.unwrap().json["thumbprint"].as_str().unwrap().to_owned();
    assert!(shown.text.contains(&format!("sign   {print} from 9")), "{}", shown.text);
    let end =
        format!("key end --draft @/2.draft --member SG --thumbprint {} --until 9", key("cosign"));
    let (refused, shown) = stand(&end);
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(refused.contains("cosign"), "an active member cosigns: {refused}");
    assert!(!shown.text.contains("until"), "{}", shown.text);
    let end = end.replace(&key("cosign"), &key("sign"));
    let (_, shown) = stand(&end);
    assert!(!shown.text.contains("until"), "one sign key has to be in force: {}", shown.text);
    for line in ["status --draft @/2.draft --member FR left", &end.replace("SG", "FR")] {
        let refused = format!("{:#}", stand(line).0.unwrap_err());
        assert!(refused.contains("FR"), "{refused}");
    }
}

#[test]
fn governors_keys_and_the_threshold_change_and_the_difference_says_so() {
    let directory = drafted();
    let at = directory.path();
    sealwire(at, "sign --draft @/draft --key @/a").unwrap();
    sealwire(at, "sign --draft @/draft --key @/b --out @/1.json").unwrap();
    sealwire(at, "new --from @/1.json --out @/2.draft").unwrap();
    sealwire(at, "governor --seat c --out @/c2").unwrap();
    sealwire(at, "governor --seat d --out @/d").unwrap();
    let refused = sealwire(at, "seat add --draft @/2.draft @/c2.pub.json").unwrap_err();
    assert!(format!("{refused:#}").contains("already has it"), "{refused:#}");
    sealwire(at, "seat replace --draft @/2.draft @/c2.pub.json").unwrap();
    sealwire(at, "seat add --draft @/2.draft @/d.pub.json").unwrap();
    sealwire(at, "seat remove --draft @/2.draft --seat b").unwrap();
    let refused = sealwire(at, "threshold --draft @/2.draft 4").unwrap_err();
    assert!(format!("{refused:#}").contains("4 of 3"), "{refused:#}");
    sealwire(at, "threshold --draft @/2.draft 3").unwrap();

    let diff = || sealwire(at, "diff @/1.json @/2.draft").unwrap();
    let difference = diff();
    assert_eq!((&difference.json["from"], &difference.json["to"]), (&json!(1), &json!(2)));
    assert_eq!(difference.json["follows"], false);
    for part in
        ["governor b\n    - key: ", "governor d\n    + key: ", "threshold: 2 -> 3", "do not take"]
    {
        assert!(difference.text.contains(part), "{part}: {}", difference.text);
    }
    for key in ["a", "c2", "d"] {
        let line = format!("sign --draft @/2.draft --previous @/1.json --key @/{key}");
        assert_eq!(sealwire(at, &line).unwrap().json["complete"], false, "{key}");
    }
    sealwire(at, "sign --draft @/2.draft --previous @/1.json --key @/b").unwrap();
    assert_eq!(diff().json["follows"], true, "the old b signs for the old governors");
    assert!(diff().text.contains("nodes that have the first take the second"));
    let none = sealwire(at, "diff @/1.json @/1.json").unwrap();
    assert!(none.text.contains("no difference"), "{}", none.text);
}

#[test]
fn a_community_changes_in_what_is_named_and_ends() {
    let directory = drafted();
    let at = directory.path();
    let community = |line: &str| {
        let changed =
            sealwire(at, &format!("community change --draft @/draft --id substances {line}"));
        let shown = sealwire(at, "show @/draft").unwrap();
        (changed.map_err(|e| format!("{e:#}")), shown.json["communities"][0].clone(), shown.text)
    };
    let (_, before, _) = community("--retention-days 100");
    assert_eq!((&before["retentionDays"], &before["tlpCeiling"]), (&json!(100), &json!("AMBER")));
    let (_, after, shown) = community("--direction SG=receive --tlp GREEN --purposes a,b");
    assert_eq!(after["directions"], json!({"SG": "receive"}));
    assert_eq!((&after["tlpCeiling"], &after["purposes"]), (&json!("GREEN"), &json!(["a", "b"])));
    assert!(shown.contains("SG may only receive"), "{shown}");
    let (_, both, _) = community("--direction SG=both");
    assert_eq!(both["directions"], json!({}));
    for (line, part) in [
        ("--direction SG=sideways", "expected publish or receive"),
        ("--direction SG", "MEMBER=publish"),
        ("--direction FR=receive", "a member of the community"),
        ("--direction SG=receive --direction ID=receive", "a member that publishes"),
        ("--remove-members FR", "it is not in it"),
        ("--add-members FR", "FR is not a member"),
        ("--remove-members SG", "witnesses"),
        ("", "nothing is changed"),
    ] {
        let (refused, now, _) = community(line);
        let refused = refused.map(|_| ()).unwrap_err();
        assert!(refused.contains(part), "{line}: {refused}");
        assert_eq!(now, both, "{line}");
    }
    assert!(community("--remove-members SG --witnesses 0").0.is_ok());
    assert!(community("--add-members SG").0.is_ok());
    sealwire(at, "community end --draft @/draft --id substances").unwrap();
    assert_eq!(sealwire(at, "show @/draft").unwrap().json["communities"], json!([]));
    let refused = sealwire(at, "community end --draft @/draft --id substances").unwrap_err();
    assert!(format!("{refused:#}").contains("does not have it"), "{refused:#}");
}

#[test]
fn a_replaced_key_ends_where_its_successor_begins() {
    let directory = drafted();
    let at = directory.path();
    let public = hex::encode(SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes());
    let stranger =
        format!("key replace --draft @/draft --member FR --use log --public {public} --from 9");
    assert!(format!("{:#}", sealwire(at, &stranger).unwrap_err()).contains("FR"));
    let line =
        format!("key replace --draft @/draft --member SG --use log --public {public} --from 9");
    let print = sealwire(at, &line).unwrap().json["thumbprint"].as_str().unwrap().to_owned();
    let shown = sealwire(at, "show @/draft").unwrap();
    let keys = shown.json["members"][1]["keys"].as_array().unwrap().clone();
    let log: Vec<_> = keys.iter().filter(|k| k["use"] == "log").collect();
    assert_eq!((&log[0]["until"], &log[1]["from"]), (&json!(9), &json!(9)));
    assert_eq!(log[1]["thumbprint"], print);
    let again = sealwire(at, &line.replace("log", "cosign")).unwrap_err();
    assert!(format!("{again:#}").contains("no key serves two"), "{again:#}");
}

#[test]
fn refusals_say_how_to_mend_them_and_leave_the_files_as_they_were() {
    let directory = drafted();
    let at = directory.path();
    let before = std::fs::read(at.join("draft")).unwrap();
    let cases = [
        ("governor --seat a --out @/a", "the file exists"),
        ("governor --seat a/b --out @/x", "hint: expected 1 to 64 letters"),
        ("new --federation example.org --threshold 4 --governor @/a.pub.json --out @/x", "4 of 1"),
        ("new --federation example.org --threshold 1 --governor @/a --out @/x", "pub.json"),
        ("new --federation A --threshold 1 --governor @/a.pub.json --out @/x", "hint: expected"),
        ("add member --draft @/draft @/absent.json", "cannot read"),
        ("add member --draft @/draft @/a.pub.json", "hint: the file is not a member introduction"),
        ("sign --draft @/draft --key @/a.pub.json", "chmod 600"),
        ("sign --draft @/ID.json --key @/a", "hint: the file is not a register or register draft"),
        ("show @/a", "hint: the file is not a register or register draft"),
    ];
    for (line, part) in cases {
        let refused = format!("{:#}", sealwire(at, line).unwrap_err());
        assert!(refused.contains(part), "{line}: {refused}");
    }
    for line in
        [community("substances", "ID,SG"), community("other", "ID,FR"), community("other", "ID")]
    {
        let refused = format!("{:#}", sealwire(at, &line).unwrap_err());
        assert!(refused.contains("hint: "), "{refused}");
    }
    assert_eq!(std::fs::read(at.join("draft")).unwrap(), before);
    assert!(!at.join("x").exists());
    let replaced = community("substances", "SG,ID") + " --replace";
    assert!(sealwire(at, &replaced).is_ok());
}

#[cfg(unix)]
#[test]
fn a_secret_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = drafted();
    let secret = directory.path().join("a");
    let mode = std::fs::metadata(&secret).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = sealwire(directory.path(), "sign --draft @/draft --key @/a").unwrap_err();
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
}
