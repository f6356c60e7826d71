//! Many requests in flight from one thread, so that the client takes little of the cores that it
//! shares with the nodes: as many connections, each kept, each with one request at a time. Of an
//! answer it looks at the status, and reads the rest to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What the connections share.
struct Load {
    request: Vec<u8>,
    /// Requests begun.
    begun: AtomicU64,
    count: u64,
    until: Instant,
}

/// Sends `request` `count` times, or as often as `at_most` allows; each has to be answered with
/// 201. Answers how many were, and how long that took.
pub fn send(
    address: SocketAddr,
    request: Vec<u8>,
    in_flight: usize,
    count: u64,
    at_most: Duration,
) -> anyhow::Result<(u64, Duration)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..in_flight {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            connections.push(stream);
        }
        let begun = Instant::now();
        let until = begun + at_most;
        let load = Arc::new(Load { request, begun: AtomicU64::new(0), count, until });
        let mut work = JoinSet::new();
        for stream in connections {
            work.spawn(one_after_another(stream, Arc::clone(&load)));
        }
        let mut done = 0;
        while let Some(finished) = work.join_next().await {
            done += finished??;
        }
        anyhow::Ok((done, begun.elapsed()))
    })
}

async fn one_after_another(mut stream: TcpStream, load: Arc<Load>) -> anyhow::Result<u64> {
    let (mut answer, mut done) = (Vec::with_capacity(16 * 1024), 0);
    while Instant::now() < load.until && load.begun.fetch_add(1, Ordering::Relaxed) < load.count {
        stream.write_all(&load.request).await?;
        answer.clear();
        while length(&answer)?.is_none_or(|length| answer.len() < length) {
            ensure!(stream.read_buf(&mut answer).await? > 0, "the answer broke off");
        }
        let said = || String::from_utf8_lossy(&answer);
        ensure!(answer.starts_with(b"HTTP/1.1 201 "), "refused: {}", said());
        done += 1;
    }
    Ok(done)
}

/// Length of an answer with its head, once the head is there.
fn length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = answer.windows(END.len()).position(|bytes| bytes == END) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
    let body = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    Ok(Some(end + END.len() + body.context("an answer without a length")??))
}
