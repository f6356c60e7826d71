//! The log files follow the index on a thread of their own.
//!
//! Writing them costs more than a commit, so one pass takes many commits. The first pass over
//! each log compares what is there with what must be and writes what is missing or cut.
//!
//! This module knows nothing of what the files hold: [`super::files`] does.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::files::{Discloser, Worker};
use super::index::Touched;
use super::{Reader, StoreFault};
use crate::journal::Disk;

/// Shortest time between two passes while commits keep coming.
const PACE: Duration = Duration::from_millis(200);
/// Longest time before sled writes what it was given.
const FLUSH: Duration = Duration::from_secs(1);
/// Time before a pass that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The thread that writes the log files.
pub(super) struct LogFiles {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    touched: Touched,
    busy: bool,
    /// Somebody waits in [`LogFiles::settle`]: no pacing.
    waited_for: usize,
    closing: bool,
    /// Why the last pass failed.
    failed: Option<String>,
}

impl LogFiles {
    /// Starts the thread, with a first pass over everything.
    pub fn start(
        reader: Reader,
        disk: Arc<dyn Disk>,
        discloser: Discloser,
    ) -> std::io::Result<Self> {
        let touched = Touched { logs: reader.logs().into_iter().collect(), register: true };
        let queue = Mutex::new(Queue { touched, ..Queue::default() });
        let shared = Arc::new(Shared { queue, changed: Condvar::new() });
        let worker = Worker::new(reader, disk, discloser);
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("log-files".to_owned())
            .spawn(move || run(worker, &theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Says what a commit changed.
    pub fn touch(&self, touched: Touched) {
        if touched.logs.is_empty() && !touched.register {
            return;
        }
        let mut queue = self.shared.lock();
        let first = !queue.has_work();
        queue.touched.logs.extend(touched.logs);
        queue.touched.register |= touched.register;
        // Where there was work before, the thread is not waiting for it.
        if first {
            self.shared.changed.notify_all();
        }
    }

    /// Waits until the files say what the index says, or a pass has failed.
    pub fn settle(&self) -> Result<(), StoreFault> {
        let mut queue = self.shared.lock();
        queue.waited_for += 1;
        queue.failed = None;
        self.shared.changed.notify_all();
        while (queue.busy || queue.has_work()) && queue.failed.is_none() {
            queue = self.shared.wait(queue);
        }
        queue.waited_for -= 1;
        queue.failed.clone().map_or(Ok(()), |cause| Err(StoreFault::LogFiles(cause)))
    }
}

impl Drop for LogFiles {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in there was reported when it happened; the files are repaired at the
            // next start.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn has_work(&self) -> bool {
        !self.touched.logs.is_empty() || self.touched.register
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        queue: std::sync::MutexGuard<'a, Queue>,
    ) -> std::sync::MutexGuard<'a, Queue> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `time`, or until somebody is in a hurry.
    fn pause(&self, time: Duration) {
        let hurry = |queue: &mut Queue| !queue.closing && queue.waited_for == 0;
        drop(
            self.changed
                .wait_timeout_while(self.lock(), time, hurry)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

fn run(mut worker: Worker, shared: &Shared) {
    // Since when sled has something to write.
    let mut unwritten: Option<Instant> = None;
    loop {
        if unwritten.is_some_and(|since| since.elapsed() >= FLUSH) {
            // Tried again after the next pass, or a second.
            unwritten = worker.flush().is_err().then(Instant::now);
        }
        let (touched, closing) = {
            let mut queue = shared.lock();
            if !queue.has_work() && !queue.closing && unwritten.is_some() {
                let idle = |queue: &mut Queue| !queue.has_work() && !queue.closing;
                let waited = shared.changed.wait_timeout_while(queue, FLUSH, idle);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                if !queue.has_work() && !queue.closing {
                    continue;
                }
            }
            while !queue.has_work() && !queue.closing {
                queue = shared.wait(queue);
            }
            queue.busy = true;
            (std::mem::take(&mut queue.touched), queue.closing)
        };
        let outcome = worker.pass(&touched);
        unwritten.get_or_insert_with(Instant::now);
        let failed = outcome.is_err();
        {
            let mut queue = shared.lock();
            queue.busy = false;
            if let Err(fault) = outcome {
                tracing::error!(cause = %fault, "cannot write log files; they are tried again");
                queue.failed = Some(fault.to_string());
                queue.touched.logs.extend(touched.logs);
                queue.touched.register |= touched.register;
            } else if queue.closing && !queue.has_work() {
                return;
            }
            shared.changed.notify_all();
        }
        if failed && closing {
            return;
        }
        shared.pause(if failed { RETRY } else { PACE });
    }
}
