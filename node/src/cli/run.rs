//! `run`: one node in the foreground, until it is told to end.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::keys::PassphraseArgs;
use super::output::{Exit, Failure};
use crate::config::Config;
use crate::keys::Source;
use crate::principals::Principals;
use crate::{http, node, telemetry};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration file.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// After a restore: sign without waiting until peers have confirmed the head of the log. The
    /// reason is kept in the journal. A peer that knows a longer log still stops the signing.
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub accept_head: Option<String>,
    /// Where the passphrase of the keys is.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// Runs a node until it gets an interrupt or a termination signal, then ends it in order.
pub fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let config = Config::load_for_run(&args.config).map_err(Failure::usage)?;
    telemetry::start(&config.log).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::fault)?;
    let passphrase = args.passphrase.source(&config);
    let served = serve(&config, args.accept_head.as_deref(), &passphrase);
    runtime.block_on(served).map_err(|cause| match cause.downcast::<node::Unusable>() {
        Ok(unusable) => Failure::usage(unusable),
        Err(fault) => Failure::Fault(fault),
    })?;
    Ok(Exit::Done)
}

async fn serve(
    config: &Config,
    accept_head: Option<&str>,
    passphrase: &Source,
) -> anyhow::Result<()> {
    // Before anything is opened: a signal during the start is not lost.
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let told_to_end = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("ending");
    };
    let principals = Arc::new(Principals::open(&config.keys_dir)?);
    let (handle, running) = node::start(config, accept_head, passphrase).await?;
    let router = http::router(handle.clone(), principals);
    let served = http::serve(&config.http, router, told_to_end).await;
    running.shutdown(handle).await;
    Ok(served?)
}
