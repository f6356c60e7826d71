//! `sealwire`: one administration's node, and the commands that prepare and operate it.
//!
//! Parse, load, run; nothing else lives here.

mod admit;
mod amend;
mod backup;
mod cli;
mod config;
mod consent;
mod context;
mod delivery;
mod demo;
mod exchange;
mod explain;
mod export;
mod feed;
mod forget;
mod http;
mod issue;
mod journal;
mod keys;
mod locodes;
mod matching;
mod node;
mod onward;
mod principals;
mod refusal;
mod release;
mod store;
mod sync;
mod telemetry;
mod tlog;
mod unseal;

/// Gives memory back after a burst, and costs less than half of the system's allocator.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<mimalloc::MiMalloc> =
    zeroizing_alloc::ZeroAlloc(mimalloc::MiMalloc);

fn main() -> std::process::ExitCode {
    cli::main(demo::run)
}
