//! A few worker threads over a list of jobs, whose caller can be interrupted at any time.
//!
//! The workers are not joined when the user interrupts: one that waits for a dead server would hold up the command for
//! [`crate::Timeouts::no_progress`]. It only ever writes a partial download, which is made to survive.

use crate::transport::Stop;
use std::collections::VecDeque;
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
    let queue: VecDeque<(usize, J)> = jobs.into_iter().enumerate().collect();
    let queue = Arc::new(Mutex::new(queue));
    let work = Arc::new(work);
    let (sender, receiver) = mpsc::channel();
    for _ in 0..threads.clamp(1, count.max(1)) {
        let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
        let (sender, stop) = (sender.clone(), stop.clone());
        thread::spawn(move || {
            while !stop.is_set() {
                let next = queue
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .pop_front();
                let Some((number, job)) = next else { return };
                let result = work(job, &stop);
                let failed = result.is_err();
                if sender.send((number, result)).is_err() {
                    return;
                }
                // Set after the failure is on its way: what ends because of it arrives later.
                if failed {
                    stop.abort.store(true, Ordering::Relaxed);
                }
            }
        });
    }
    drop(sender);
    let mut results: Vec<(usize, T)> = Vec::with_capacity(count);
    while results.len() < count {
        if stop.cancel.load(Ordering::Relaxed) {
            return None;
        }
        match receiver.recv_timeout(TICK) {
            Ok((number, Ok(result))) => {
                each(&result);
                results.push((number, result));
            }
            Ok((_, Err(error))) => return Some(Err(error)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    results.sort_by_key(|(number, _)| *number);
    Some(Ok(results.into_iter().map(|(_, result)| result).collect()))
}
