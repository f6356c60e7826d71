//! Calls every target with every seed, and with damaged copies of those that it accepts, so that
//! the targets and their promises hold on every run of the tests, without libFuzzer.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sealwire_fuzz::{TARGETS, Target, seeds};

/// Most places at which one seed is cut and changed.
const MAX_PLACES: usize = 400;

/// Calls a target, and says which bytes it was called with if it panics.
fn call(name: &str, target: Target, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(bytes))).unwrap_or_else(|_| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name} breaks a promise on {hex}")
    })
}

#[test]
fn every_target_keeps_its_promises_on_the_seeds_and_on_damaged_copies() {
    let seeds = seeds::all();
    assert!(seeds.len() > 1000, "the vectors are not where this test looks for them");
    for (name, target) in TARGETS {
        let accepted: Vec<&Vec<u8>> =
            seeds.iter().filter(|seed| call(name, target, seed)).collect();
        assert!(!accepted.is_empty(), "{name} accepts no seed, so it tests nothing");
        for seed in accepted {
            for at in (0..seed.len()).step_by(seed.len() / MAX_PLACES + 1) {
                call(name, target, &seed[..at]);
                let mut changed = seed.clone();
                changed[at] ^= 1 << (at % 8);
                call(name, target, &changed);
            }
        }
    }
}

#[test]
fn every_target_is_a_program() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz_targets");
    let manifest = include_str!("../Cargo.toml");
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let programs: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(programs, targets);
    for name in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        let program = fs::read_to_string(format!("{folder}/{name}.rs")).unwrap();
        assert!(program.contains(&format!("sealwire_fuzz::{name}(")), "{name} calls another");
    }
}
