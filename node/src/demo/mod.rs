//! `demo`: three administrations on this machine, each with its own node process, exchange a real
//! laboratory alert and a real seizure notice.
//!
//! Nothing here is a model of the node: directories are made by `sealwire init`, the register by
//! `sealwire register`, nodes are `sealwire run`, and every line of the timeline states what one
//! of these processes answered. All of it is temporary: processes end and files go with the
//! demonstration. This module knows nothing of how a node works.

mod federation;
mod process;
mod story;
mod timeline;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::DemoArgs;
use crate::cli::output::Output;
use process::Node;
use timeline::Timeline;

/// Longest wait for any one condition.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Runs the demonstration; `Ok(true)` only if everything happened.
pub fn run(args: DemoArgs, output: Output) -> anyhow::Result<bool> {
    let interrupted = watch_signals()?;
    let timeline = Timeline::new(output);
    let dir = tempfile::Builder::new().prefix("sealwire-demo-").tempdir()?;
    let wait = Wait { interrupted: Arc::clone(&interrupted) };
    let played = play(dir.path(), &timeline, &wait);
    let nodes = match played {
        Ok(nodes) => nodes,
        Err(_) if interrupted.load(Ordering::Relaxed) => {
            output.note("interrupted before the end");
            return Ok(false);
        }
        Err(cause) => {
            timeline
                .event(&json!({"event": "done", "ok": false, "error": format!("{cause:#}")}))?;
            return Err(cause);
        }
    };
    let described: Vec<_> = nodes.iter().map(Node::describe).collect();
    let ms = timeline.elapsed_ms();
    timeline.event(&json!({"event": "done", "ok": true, "ms": ms, "nodes": described}))?;
    timeline.tell("", "everything above was answered by three separate processes")?;
    if args.once {
        return Ok(true);
    }
    invite(&nodes, &timeline)?;
    while !interrupted.load(Ordering::Relaxed) {
        if let Some(node) = nodes.iter().find(|node| node.ended()) {
            // An interrupt from the terminal reaches the nodes as well.
            std::thread::sleep(Duration::from_millis(200));
            if !interrupted.load(Ordering::Relaxed) {
                bail!("{}", node.obituary());
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    timeline.tell("", "interrupted: ending the nodes and removing their data")?;
    Ok(true)
}

fn play(dir: &std::path::Path, timeline: &Timeline, wait: &Wait) -> anyhow::Result<Vec<Node>> {
    timeline
        .tell("", "three administrations, three nodes, one register signed by 2 of 3 governors")?;
    let federation = federation::found(dir, timeline)?;
    let nodes = federation.start(timeline, wait)?;
    story::play(&nodes, dir, timeline, wait)?;
    Ok(nodes)
}

/// What to look at while the nodes run.
fn invite(nodes: &[Node], timeline: &Timeline) -> anyhow::Result<()> {
    timeline.tell("", "\nexplore, until you interrupt with Ctrl-C:")?;
    for node in nodes {
        let (url, token) = (node.url(), node.token_file());
        timeline.tell(node.member(), &format!("{url}  token in {}", token.display()))?;
    }
    let [first, .., last] = nodes else { return Ok(()) };
    for (node, path) in [(first, "/v1/records"), (last, "/v1/records"), (last, "/v1/status")] {
        let token = node.token_file();
        let (token, url) = (token.display(), node.url());
        timeline
            .tell("", &format!("  curl -H \"Authorization: Bearer $(cat {token})\" {url}{path}"))?;
    }
    let config = last.config();
    timeline.tell("", &format!("  sealwire tail --follow --config {}", config.display()))
}

/// A flag that an interrupt or a termination signal raises.
fn watch_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            flag.store(true, Ordering::Relaxed);
        })
        .context("cannot wait for signals")?;
    Ok(raised)
}

/// Bounded, interruptible waiting.
struct Wait {
    interrupted: Arc<AtomicBool>,
}

impl Wait {
    /// Looks until there is an answer. The last reason why there was none ends up in the failure.
    fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> anyhow::Result<Result<T, String>>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        loop {
            let missing = match look()? {
                Ok(answer) => return Ok(answer),
                Err(missing) => missing,
            };
            if self.interrupted.load(Ordering::Relaxed) {
                bail!("interrupted while waiting for {what}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("waited {} s in vain for {what}: {missing}", PATIENCE.as_secs());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_an_answer_a_failure_or_an_interrupt() {
        let wait = Wait { interrupted: Arc::new(AtomicBool::new(false)) };
        let mut looks = 0;
        let answer = wait.until("three looks", || {
            looks += 1;
            Ok(if looks == 3 { Ok(looks) } else { Err("not yet".to_owned()) })
        });
        assert_eq!(answer.unwrap(), 3);
        let failed = wait.until::<()>("a failure", || bail!("broken"));
        assert_eq!(failed.unwrap_err().to_string(), "broken");
        wait.interrupted.store(true, Ordering::Relaxed);
        let stopped = wait.until::<()>("nothing", || Ok(Err("nothing".to_owned())));
        assert!(stopped.unwrap_err().to_string().starts_with("interrupted"));
    }
}
