//! A few worker threads over a list of jobs, whose caller can be interrupted at any time.
//!
//! The workers are not joined when the user interrupts: one that waits for a dead server would hold up the command for
//! [`crate::Timeouts::no_progress`]. It only ever writes a partial download, which is made to survive.

use crate::transport::Stop;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The longest time an interruption goes unseen.
const TICK: Duration = Duration::from_millis(100);

/// Runs `work` on every job with up to `threads` threads and returns the results in the order of the jobs. `each` sees
/// every result as it arrives, on the caller's thread.
///
/// The first failure ends the call: no new jobs are started, and running ones are asked to end. `None` where the user
/// interrupted, or a worker died.
pub(crate) fn run<J, T, E>(
    jobs: Vec<J>,
    threads: usize,
    stop: &Stop,
    each: &mut dyn FnMut(&T),
    work: impl Fn(J, &Stop) -> Result<T, E> + Send + Sync + 'static,
) -> Option<Result<Vec<T>, E>>
where
    J: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let count = jobs.len();
    let jobs = jobs.into_iter().enumerate().map(Ok);
    let mut results: Vec<(usize, T)> = Vec::with_capacity(count);
    let mut take = |(number, result): (usize, T)| {
        each(&result);
        results.push((number, result));
    };
    let threads = threads.min(count);
    let ended = stream(
        jobs,
        threads,
        stop,
        &mut take,
        move |(number, job), stop| work(job, stop).map(|result| (number, result)),
    )?;
    results.sort_by_key(|(number, _)| *number);
    Some(ended.map(|()| results.into_iter().map(|(_, result)| result).collect()))
}

/// As [`run`], over jobs that are made as they are needed, and without keeping results. A job that cannot be made is a
/// failure like one that cannot be done.
pub(crate) fn stream<J, T, E>(
    jobs: impl Iterator<Item = Result<J, E>> + Send + 'static,
    threads: usize,
    stop: &Stop,
    each: &mut dyn FnMut(T),
    work: impl Fn(J, &Stop) -> Result<T, E> + Send + Sync + 'static,
) -> Option<Result<(), E>>
where
    J: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let queue = Arc::new(Mutex::new(jobs));
    let work = Arc::new(work);
    // `None` is the last word of a worker that found the queue empty.
    let (sender, receiver) = mpsc::channel();
    let threads = threads.max(1);
    for _ in 0..threads {
        let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
        let (sender, stop) = (sender.clone(), stop.clone());
        thread::spawn(move || {
            while !stop.is_set() {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(job) = next else { break };
                let result = job.and_then(|job| work(job, &stop));
                let failed = result.is_err();
                if sender.send(Some(result)).is_err() {
                    return;
                }
                // Set after the failure is on its way: what ends because of it arrives later.
                if failed {
                    stop.abort.store(true, Ordering::Relaxed);
                }
            }
            // Nobody may be left to hear it.
            drop(sender.send(None));
        });
    }
    drop(sender);
    let mut ended: usize = 0;
    while ended < threads {
        if stop.cancel.load(Ordering::Relaxed) {
            return None;
        }
        match receiver.recv_timeout(TICK) {
            Ok(Some(Ok(result))) => each(result),
            Ok(Some(Err(error))) => return Some(Err(error)),
            Ok(None) => ended = ended.saturating_add(1),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    Some(Ok(()))
}
