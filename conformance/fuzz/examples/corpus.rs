//! Writes the seeds that each target accepts into `corpus/<target>`, where cargo-fuzz looks.

use std::fs;
use std::io;
use std::path::Path;

use sealwire_fuzz::{TARGETS, seeds};
use sealwire_wire::id::Digest;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let seeds = seeds::all();
    for (name, target) in TARGETS {
        let folder = corpus.join(name);
        fs::create_dir_all(&folder)?;
        for seed in seeds.iter().filter(|seed| target(seed)) {
            fs::write(folder.join(Digest::of(seed).to_string()), seed)?;
        }
    }
    Ok(())
}
