//! Refuses to build when a schema breaks the house rules: every field has a class and titles in
//! English and French, and only keywords that projection understands are used. Every file in
//! `json` but `common` is a kind.

#[allow(dead_code)]
#[path = "src/class.rs"]
mod class;
#[allow(dead_code)]
#[path = "src/tree.rs"]
mod tree;

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=json");
    println!("cargo::rerun-if-changed=src/tree.rs");
    println!("cargo::rerun-if-changed=src/class.rs");
    let read = |name: &str| -> serde_json::Value {
        let path = format!("json/{name}.v1.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path}: {e}"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("cannot read {path}: {e}"))
    };
    let common = read("common");
    let mut kinds: Vec<String> = fs::read_dir("json")
        .expect("cannot list the schemas")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|file| file.strip_suffix(".v1.json").map(str::to_owned))
        .filter(|name| name != "common")
        .collect();
    kinds.sort();
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo names the directory of the crate");
    let mut list = "[\n".to_owned();
    for kind in &kinds {
        if let Err(fault) = tree::parse(&read(kind), &common) {
            panic!("cannot accept schema {kind}: {fault}");
        }
        let path = Path::new(&here).join(format!("json/{kind}.v1.json"));
        writeln!(list, "    ({kind:?}, include_str!({path:?})),").expect("a string takes all");
    }
    list.push_str("]\n");
    let out = env::var("OUT_DIR").expect("cargo names a directory for what is built");
    fs::write(Path::new(&out).join("kinds.rs"), list).expect("cannot write the list of kinds");
}
