//! Refuses to build when a schema breaks the house rules: every field has a class and titles in
//! English and French, and only keywords that projection understands are used.

#[allow(dead_code)]
#[path = "src/class.rs"]
mod class;
#[allow(dead_code)]
#[path = "src/tree.rs"]
mod tree;

use std::fs;

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
    for kind in ["lab-alert", "seizure-notice"] {
        if let Err(fault) = tree::parse(&read(kind), &common) {
            panic!("cannot accept schema {kind}: {fault}");
        }
    }
}
