//! The same work on many things, with as many threads as a build has.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Does `work` on every item, begun in their order, with at most `threads` threads; the results are in the same order.
///
/// # Errors
/// One of the errors of `work`; what was begun by then is finished, nothing more is begun.
pub(super) fn map<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let share = || -> Result<Vec<(usize, R)>, E> {
        let mut done = Vec::new();
        loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(position) else {
                return Ok(done);
            };
            if failed.load(Ordering::Relaxed) {
                return Ok(done);
            }
            let result = work(item).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            done.push((position, result));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let threads = threads.clamp(1, items.len().max(1));
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        let mut done = Vec::with_capacity(items.len());
        for worker in workers {
            match worker.join() {
                Ok(share) => done.extend(share?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(done)
    })?;
    done.sort_by_key(|(position, _)| *position);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        for threads in [0, 1, 3, 2000] {
            let doubled = map(threads, &items, |item| Ok::<_, ()>(item * 2)).unwrap();
            assert!(
                doubled
                    .iter()
                    .copied()
                    .eq(items.iter().map(|item| item * 2))
            );
        }
        assert_eq!(map(4, &[], |(): &()| Ok::<_, ()>(())), Ok(Vec::new()));
    }

    #[test]
    fn the_first_error_ends_the_work() {
        let begun = AtomicUsize::new(0);
        let items: Vec<u32> = (0..1000).collect();
        let failed = map(1, &items, |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *item == 7 { Err("seven") } else { Ok(()) }
        });
        assert_eq!(failed, Err("seven"));
        assert_eq!(begun.into_inner(), 8);
    }
}
