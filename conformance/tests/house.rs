//! The rules of the house, held by a test: which module and crate may know of which, how long a
//! file may be, what may not stand in it, and that every dependency has been justified.
//!
//! Reads the sources as text and knows nothing of what they do. That every threat of SECURITY.md is
//! linked to a test is in `house/threats.rs`.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "house/threats.rs"]
mod threats;

/// The floors of `node/src`, from the top. A module may name those further down, and none on its
/// own floor or above.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["demo"],
    &["cli"],
    &["http"],
    &["node"],
    &["onward", "delivery"],
    &["explain", "feed", "tlog", "export"],
    &["consent", "matching", "sync"],
    &["amend", "exchange", "backup"],
    &["context"],
    &["admit", "forget", "issue", "unseal"],
    &["keys", "release"],
    &["store", "telemetry"],
    &["journal", "config", "locodes", "principals", "refusal"],
];

/// The crates of the house: folder, name, and those of ours that each may depend on.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("schemas", "sealwire-schemas", &[]),
    ("node/wire", "sealwire-wire", &[]),
    ("node/gossip", "sealwire-gossip", &[]),
    ("node/audit", "sealwire-audit", &["sealwire-schemas", "sealwire-wire"]),
    (
        "node",
        "sealwire",
        &["sealwire-audit", "sealwire-gossip", "sealwire-schemas", "sealwire-wire"],
    ),
    (
        "conformance",
        "sealwire-conformance",
        &["sealwire-audit", "sealwire-schemas", "sealwire-wire"],
    ),
];

/// Further ones that the tests alone of a crate may depend on, and what for.
const IN_TESTS: &[(&str, &str, &str)] =
    &[("sealwire-conformance", "sealwire-gossip", "a member that lies speaks as a node does")];

/// Foreign crates that only these of ours may use outside their tests. What cargo-deny can hold
/// too is also in `deny.toml`; others reach these crates on ways that it cannot tell from ours.
const CONFINED: &[(&str, &[&str])] = &[
    ("axum", &["sealwire"]),
    ("axum-server", &["sealwire"]),
    ("cryptoki", &["sealwire"]),
    ("futures", &["sealwire", "sealwire-gossip"]),
    ("hpke", &["sealwire-wire"]),
    ("jsonschema", &["sealwire-schemas"]),
    ("libp2p", &["sealwire-gossip"]),
    ("ml-dsa", &["sealwire-wire"]),
    ("olpc-cjson", &["sealwire-wire"]),
    ("rustls", &["sealwire"]),
    ("sled", &["sealwire"]),
    ("tokio", &["sealwire", "sealwire-gossip"]),
    ("tokio-stream", &["sealwire"]),
    ("tracing", &["sealwire", "sealwire-gossip"]),
    ("ureq", &["sealwire"]),
    ("voprf", &["sealwire-wire"]),
];

/// Longest source file, in lines.
const MAX_LINES: usize = 500;
/// Files that are longer, and why.
const LONGER: &[(&str, &str)] =
    &[("conformance/tests/house.rs", "all rules of the house stand in one place")];
/// Files that may sleep, and why.
const SLEEPERS: &[(&str, &str)] = &[
    ("conformance/benches/measure/main.rs", "leaves a node alone before its memory is read"),
    ("conformance/benches/measure/process.rs", "looks again at what other processes have done"),
    ("conformance/tests/world/mod.rs", "looks again at what other processes have done"),
    ("node/gossip/src/swarm.rs", "wakes when the next dial is due"),
    ("node/src/cli/publish.rs", "pauses before the same request is sent again"),
    ("node/src/cli/read.rs", "pauses before a lost stream is opened again"),
    ("node/src/demo/mod.rs", "looks again at what other processes have done"),
    ("node/src/demo/process.rs", "looks again whether another process has ended"),
    ("node/src/http/stream.rs", "says that a silent stream is alive"),
    ("node/src/node/peers.rs", "pauses before a push is sent again"),
];
/// What must not stand in a source file.
const FORBIDDEN: &[&str] = &["todo!", "unimplemented!", "#[ignore"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a folder").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

fn name_in(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Every source file of the house, ours only.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (folder, ..) in CRATES {
        for part in ["src", "tests", "benches", "cddl", "build.rs"] {
            collect(&root().join(folder).join(part), &mut found);
        }
    }
    found.sort();
    found.dedup();
    assert!(found.len() > 40, "the sources are not where this test looks for them");
    found
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
    } else if path.is_file() && path.extension().is_some_and(|e| e == "rs") {
        found.push(path.to_owned());
    }
}

/// The code without comments and without the content of literals; line ends stay.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, code.chars().last()) {
            length
        } else if first == '"' {
            quoted(rest)
        } else if let Some(length) = character(rest) {
            length
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        code.extend(rest[..skipped].matches('\n'));
        rest = &rest[skipped..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn raw_string(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') && !text.starts_with('#') {
        // `r` or `b` at the end of a name begins no literal, unless the name is that prefix.
        let prefix = matches!(before, Some('b')) && text.starts_with('r');
        if !prefix {
            return None;
        }
    }
    let after = text.strip_prefix('r').or_else(|| text.strip_prefix("br"))?;
    let hashes = after.chars().take_while(|c| *c == '#').count();
    let opened = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = opened.find(&end).map_or(opened.len(), |at| at + end.len());
    Some(text.len() - opened.len() + length)
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if inner.starts_with('\\') {
        return inner.get(2..)?.find('\'').map(|at| at + 4);
    }
    let first = inner.chars().next()?;
    inner[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

/// The first names of the paths below `prefix` (such as `crate::`), each with its line.
fn named_after(code: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().last();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let after = code[at + prefix.len()..].trim_start();
        if let Some(group) = after.strip_prefix('{') {
            named.extend(group_heads(group).into_iter().map(|head| (line, head)));
        } else {
            named.push((line, identifier(after)));
        }
    }
    named.retain(|(_, name)| !name.is_empty());
    named
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first name of each path in a braced import, its opening brace left off.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut heads = vec![identifier(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(identifier(&group[at + 1..])),
            _ => {}
        }
    }
    heads
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The arrows of one file of `node/src` that do not point down. `path` is relative to that folder.
fn upward_arrows(path: &str, text: &str) -> Vec<String> {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let module = parts[0];
    // How many times `super` leads from this file to the crate's root.
    let depth = parts.len() - usize::from(parts.len() > 1 && parts.last() == Some(&"mod"));
    let Some(floor) = floor_of(module) else {
        return vec![format!("{path}:1: module `{module}` has no floor")];
    };
    let code = code_of(text);
    let supers = "super::".repeat(depth);
    let by_super = named_after(&code, &supers).into_iter();
    let by_super = by_super.filter(|(_, name)| floor_of(name).is_some());
    let mut arrows: Vec<(usize, String)> = named_after(&code, "crate::");
    if module != "main" {
        arrows.extend(by_super);
    }
    let mut wrong = Vec::new();
    for (line, name) in arrows {
        match floor_of(&name) {
            _ if name == module => {}
            Some(below) if below > floor => {}
            Some(_) => {
                wrong.push(format!("{path}:{line}: `{module}` names `{name}`, not below it"))
            }
            None => {
                wrong.push(format!("{path}:{line}: `{module}` names `{name}`, which has no floor"))
            }
        }
    }
    wrong
}

fn assert_none(wrong: &[String], hint: &str) {
    assert!(wrong.is_empty(), "\n{}\nhint: {hint}\n", wrong.join("\n"));
}

#[test]
fn modules_of_the_node_import_strictly_downwards() {
    let folder = root().join("node/src");
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in sources() {
        let Ok(relative) = path.strip_prefix(&folder) else { continue };
        let relative = relative.display().to_string();
        wrong.extend(upward_arrows(&relative, &read(&path)));
        let module = relative.split('/').next().unwrap_or_default();
        seen.insert(module.trim_end_matches(".rs").to_owned());
    }
    assert_none(&wrong, "move what is shared to a lower floor, or pass it in as an argument");
    let vacant: Vec<String> = FLOORS
        .concat()
        .into_iter()
        .filter(|module| !seen.contains(*module))
        .map(str::to_owned)
        .collect();
    assert_none(&vacant, "these modules have a floor and do not exist; strike them from FLOORS");
}

#[test]
fn the_floor_test_sees_every_way_to_name_a_module() {
    for upward in [
        "use crate::node::NodeHandle;",
        "use crate::{journal::Journal, node::{self, NodeHandle}};",
        "use crate::{\n    journal::{Frame, Journal},\n    http,\n};",
        "fn f() -> u8 { crate::feed::f() }",
        "use super::node;",
        "mod tests { use crate::exchange::Input; }",
        "const C: char = '\"'; use crate::node::NodeHandle;",
        "use crate::unlisted::X;",
    ] {
        assert_eq!(upward_arrows("store.rs", upward).len(), 1, "{upward}");
    }
    assert_eq!(upward_arrows("store/index.rs", "use super::super::node::X;").len(), 1);
    assert_eq!(upward_arrows("unlisted.rs", "").len(), 1);
    for downward in [
        "use crate::journal::{Frame, Journal};\nuse super::journal;",
        "//! See [`crate::node`].\n/* crate::http */",
        "const S: &str = \"crate::node\"; const R: &str = r#\"crate::\"http\"#;",
        "use crate::store::fact::Fact;",
        "macro_rules! m { () => { $crate::node::f() } }",
        "fn f<'a>(x: &'a str) -> &'a str { x }",
    ] {
        assert_eq!(upward_arrows("store.rs", downward), Vec::<String>::new(), "{downward}");
    }
    assert_eq!(upward_arrows("store/index.rs", "use super::node::X;"), Vec::<String>::new());
}

#[test]
fn files_are_short_and_finished() {
    let root = root();
    let mut wrong = Vec::new();
    let (mut long, mut sleeping) = (BTreeSet::new(), BTreeSet::new());
    for path in sources() {
        let name = name_in(&root, &path);
        let text = read(&path);
        let lines = text.lines().count();
        if lines > MAX_LINES {
            long.insert(name.clone());
            if !LONGER.iter().any(|(file, _)| *file == name) {
                wrong.push(format!("{name}: {lines} lines, at most {MAX_LINES}"));
            }
        }
        let code = code_of(&text);
        for (number, line) in code.lines().enumerate() {
            let number = number + 1;
            for word in FORBIDDEN.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{name}:{number}: `{word}` stands for something unfinished"));
            }
            if line.contains("sleep(") {
                sleeping.insert(name.clone());
                if !SLEEPERS.iter().any(|(file, _)| *file == name) {
                    wrong.push(format!("{name}:{number}: sleeps; wait for what is waited for"));
                }
            }
        }
    }
    for (file, why) in LONGER.iter().filter(|(file, _)| !long.contains(*file)) {
        wrong.push(format!("{file}: is listed as longer ({why}), and is not"));
    }
    for (file, why) in SLEEPERS.iter().filter(|(file, _)| !sleeping.contains(*file)) {
        wrong.push(format!("{file}: is listed as one that sleeps ({why}), and does not"));
    }
    assert_none(&wrong, "a file that outgrows the limit is two rooms; see LONGER and SLEEPERS");
}

/// The tables of one Cargo.toml: what is used, and what only its tests use.
fn dependencies(folder: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let path = root().join(folder).join("Cargo.toml");
    let manifest: toml::Table = read(&path).parse().unwrap();
    let names = |table: &str| -> BTreeSet<String> {
        let table = manifest.get(table).and_then(toml::Value::as_table);
        table.into_iter().flat_map(|t| t.keys().cloned()).collect()
    };
    let mut used = names("dependencies");
    used.extend(names("build-dependencies"));
    (used, names("dev-dependencies"))
}

#[test]
fn crates_depend_on_each_other_as_the_design_says() {
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let members: BTreeSet<&str> = manifest["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|m| m.as_str())
        .collect();
    let listed: BTreeSet<&str> = CRATES.iter().map(|(folder, ..)| *folder).collect();
    assert_eq!(members, listed, "every crate has its arrows here");
    let ours: BTreeSet<&str> = CRATES.iter().map(|(_, name, _)| *name).collect();
    let mut wrong = Vec::new();
    for (folder, name, allowed) in CRATES {
        let (used, in_tests) = dependencies(folder);
        let for_tests =
            |d: &str| IN_TESTS.iter().any(|(user, arrow, _)| (*user, *arrow) == (name, d));
        let unknown = |d: &&String| ours.contains(d.as_str()) && !allowed.contains(&d.as_str());
        let in_tests = in_tests.iter().filter(unknown).filter(|d| !for_tests(d));
        for arrow in used.iter().filter(unknown).chain(in_tests) {
            wrong.push(format!("{folder}/Cargo.toml: {name} depends on {arrow}"));
        }
        for (foreign, users) in CONFINED {
            if used.contains(*foreign) && !users.contains(name) {
                wrong.push(format!("{folder}/Cargo.toml: {name} depends on {foreign}"));
            }
        }
    }
    assert_none(&wrong, "the arrows are drawn in docs/ARCHITECTURE.md");
}

#[test]
fn every_dependency_is_used_and_justified() {
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let table = manifest["workspace"]["dependencies"].as_table().unwrap();
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    for (folder, ..) in CRATES {
        let (used, in_tests) = dependencies(folder);
        for name in used.union(&in_tests) {
            *users.entry(name.clone()).or_default() += 1;
        }
    }
    let document = read(&root().join("docs/dependencies.md"));
    let rows: BTreeSet<&str> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut wrong = Vec::new();
    let mut foreign = BTreeSet::new();
    for (name, value) in table {
        if !users.contains_key(name) {
            wrong.push(format!("Cargo.toml: no crate uses {name}"));
        }
        if value.get("path").is_none() {
            foreign.insert(name.as_str());
        }
    }
    wrong
        .extend(foreign.difference(&rows).map(|n| format!("docs/dependencies.md: no line on {n}")));
    let stale = rows.difference(&foreign);
    wrong.extend(stale.map(|n| format!("docs/dependencies.md: {n} is no dependency")));
    assert_none(&wrong, "say what it is for, why this one, its licence and its health");
}

/// How the node names a refusal code in its sources.
const REFUSERS: &[&str] = &[
    "Refusal::new(",
    "Refusal::fault(",
    "Problem::new(",
    "Self::new(",
    "bad_request(",
    "ignore(",
    "not_taken(",
    "refuse(",
    "refused(",
    "reject(",
];

/// The codes that a source file gives to refusals: literals of several words in kebab case.
fn refusal_codes(text: &str) -> Vec<String> {
    let mut codes = Vec::new();
    for (at, call) in REFUSERS.iter().flat_map(|call| text.match_indices(call)) {
        let mut rest = text[at + call.len()..].trim_start();
        if rest.starts_with("StatusCode::") || rest.starts_with("Verdict::") {
            rest = rest.split_once(',').map_or("", |(_, after)| after.trim_start());
        }
        let literal = rest.strip_prefix('"').and_then(|text| text.split_once('"'));
        let Some((code, _)) = literal else { continue };
        let words =
            code.split('-').all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()));
        if words && code.contains('-') {
            codes.push(code.to_owned());
        }
    }
    codes
}

#[test]
fn every_refusal_code_is_in_the_protocol() {
    let root = root();
    let document = read(&root.join("docs/PROTOCOL.md"));
    let mut wrong = Vec::new();
    let mut found = 0;
    for path in sources() {
        let name = name_in(&root, &path);
        if !name.starts_with("node/src/") || name.ends_with("tests.rs") {
            continue;
        }
        for code in refusal_codes(&read(&path)) {
            found += 1;
            if !document.contains(&format!("`{code}`")) {
                wrong.push(format!("{name}: code {code} is not in docs/PROTOCOL.md"));
            }
        }
    }
    assert!(found > 50, "only {found} codes were found; does REFUSERS name all that refuse?");
    assert_none(&wrong, "codes are stable: document each in section 13, or use one that is there");
}
