//! Logs: to standard error, as text or as one JSON object a line. Knows nothing of what is logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Log;

/// Variable that overrides the configured filter, for one start.
pub const FILTER_VARIABLE: &str = "SEALWIRE_LOG";

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A filter that is no filter.
    #[error(
        "cannot read the log filter {filter:?}: {cause}\n\
         hint: a level, or directives such as \"info,sealwire=debug\""
    )]
    Filter {
        /// The filter.
        filter: String,
        /// The cause.
        #[source]
        cause: tracing_subscriber::filter::ParseError,
    },
    /// Logging was started before.
    #[error("cannot start logging: {0}")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging for the whole process. [`FILTER_VARIABLE`] goes before the configuration.
pub fn start(log: &Log) -> Result<(), TelemetryError> {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| log.filter.clone());
    let directives = EnvFilter::builder()
        .parse(&filter)
        .map_err(|cause| TelemetryError::Filter { filter: filter.clone(), cause })?;
    // libp2p's gossipsub would write the bytes of messages.
    let quiet = "libp2p_gossipsub=error".parse().expect("a target and a level is a directive");
    let directives = directives.add_directive(quiet);
    // A log that cannot be written, on a full disk, is no reason to end a thread by a panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(directives)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    if log.json {
        builder.json().flatten_event(true).finish().try_init()?;
    } else {
        let colour = std::io::stderr().is_terminal();
        builder.with_ansi(colour).finish().try_init()?;
    }
    Ok(())
}
