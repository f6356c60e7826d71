//! The threats of SECURITY.md: each names the tests that show its control, or the known limit that
//! says that there is none.

use std::collections::BTreeSet;
use std::fs;

use super::{assert_none, read, root};

/// Who is looked at. Each has at least one row.
const ACTORS: [&str; 9] = [
    "outsider",
    "malicious member",
    "curious relay",
    "stolen disk",
    "stolen key",
    "rogue operator",
    "rogue governor minority",
    "lying witness",
    "coerced member",
];

/// The part of a document below a heading of the second level.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let start = document.find(&format!("\n## {heading}\n"));
    let rest = start.map_or("", |at| &document[at + heading.len() + 5..]);
    rest.find("\n## ").map_or(rest, |end| &rest[..end])
}

/// What stands between two marks, every second piece.
fn between<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.split(mark).skip(1).step_by(2).collect()
}

/// Whether a source file has a test of this name.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let named = |line: &str| {
        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        rest.is_some_and(|rest| rest.strip_prefix(name).is_some_and(|end| end.starts_with('(')))
    };
    let mut found = lines.iter().enumerate().filter(|(_, line)| named(line));
    found.any(|(at, _)| {
        let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        attributes.into_iter().any(|line| line.starts_with("#[test]") || line.contains("::test"))
    })
}

/// What is wrong with the table of a document; `source` gives a file's text, if there is one.
fn unlinked(document: &str, source: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let limits: BTreeSet<&str> = section(document, "Known limits")
        .lines()
        .filter_map(|line| line.strip_prefix("- **")?.split("**").next())
        .map(|title| title.trim_end_matches('.'))
        .collect();
    let rows = section(document, "Threats and controls").lines();
    let rows = rows.filter(|line| line.starts_with("| ")).skip(1);
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[threat, control, links] = cells.as_slice() else {
            wrong.push(format!("not three cells: {row}"));
            continue;
        };
        match threat.split_once(": ") {
            Some((actor, _)) if ACTORS.contains(&actor) => _ = seen.insert(actor),
            _ => wrong.push(format!("{threat}: of none of those who are looked at")),
        }
        if control.is_empty() {
            wrong.push(format!("{threat}: says nothing of a control"));
        }
        let (tests, named) = (between(links, "`"), between(links, "**"));
        if tests.is_empty() && named.is_empty() {
            wrong.push(format!("{threat}: names no test and no known limit"));
        }
        for test in tests {
            let known = test
                .split_once("::")
                .is_some_and(|(file, name)| source(file).is_some_and(|text| has_test(&text, name)));
            if !known {
                wrong.push(format!("{threat}: there is no test {test}"));
            }
        }
        for limit in named.into_iter().filter(|limit| !limits.contains(limit)) {
            wrong.push(format!("{threat}: there is no known limit \"{limit}\""));
        }
    }
    let unseen = ACTORS.iter().filter(|actor| !seen.contains(*actor));
    wrong.extend(unseen.map(|actor| format!("{actor}: no threat of this one is looked at")));
    wrong
}

#[test]
fn every_threat_names_tests_that_exist_or_a_known_limit() {
    let root = root();
    let document = read(&root.join("SECURITY.md"));
    let wrong = unlinked(&document, |file| fs::read_to_string(root.join(file)).ok());
    assert_none(
        &wrong,
        "SECURITY.md: write the test, or say under Known limits that there is none",
    );
}

#[test]
fn the_threat_test_sees_every_way_to_leave_a_threat_unlinked() {
    let source = "#[test]\nfn good() {}\n#[tokio::test]\nasync fn later() {}\nfn helper() {}\n";
    let judged = |rows: &str| {
        let all = ACTORS.map(|actor| format!("| {actor}: a | b | `a.rs::good` |\n")).concat();
        let document = format!(
            "# S\n\n## Threats and controls\n\n| threat | control | test |\n|---|---|---|\n\
             {all}{rows}\n## Known limits\n\n- **A limit.** Text.\n"
        );
        unlinked(&document, |file| (file == "a.rs").then(|| source.to_owned())).len()
    };
    for good in [
        "",
        "| outsider: x | y | `a.rs::good` `a.rs::later` **A limit** |\n",
        "| outsider: x | y | **A limit** |\n",
    ] {
        assert_eq!(judged(good), 0, "{good}");
    }
    for bad in [
        "| outsider: x | y |  |\n",
        "| outsider: x | y |\n",
        "| outsider: x |  | `a.rs::good` |\n",
        "| a stranger: x | y | `a.rs::good` |\n",
        "| outsider: x | y | `a.rs::goo` |\n",
        "| outsider: x | y | `a.rs::helper` |\n",
        "| outsider: x | y | `b.rs::good` |\n",
        "| outsider: x | y | `good` |\n",
        "| outsider: x | y | `a.rs::good` **Another limit** |\n",
    ] {
        assert_eq!(judged(bad), 1, "{bad}");
    }
    assert_eq!(unlinked("# S\n", |_| None).len(), ACTORS.len());
}
