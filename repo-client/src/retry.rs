//! Trying again: over mirrors, with growing waits between rounds, and without end only while there is progress; and from
//! the start where files of a mirror do not belong together, because it is being updated.

use crate::context::Context;
use crate::error::{Attempt, FetchError, RepositoryProblem, TransportError};
use crate::source::FileUrl;
use crate::transport::{Failure, Stop};
use std::io;
use std::time::Duration;

/// The longest stretch of a wait in which an interruption goes unseen.
const SLICE: Duration = Duration::from_millis(100);

/// Calls `attempt` for one address after the other until one succeeds.
///
/// A mirror that says "no" (not found, wrong content) is not asked again; one that fails otherwise gets
/// [`crate::Timeouts::attempts`] attempts. Between rounds over all mirrors that are left there is a wait, which doubles.
/// An attempt that ended with [`Failure::Progress`] is repeated at once and not counted.
pub(crate) fn over_mirrors<T>(
    context: &Context,
    stop: &Stop,
    name: &str,
    urls: &[FileUrl],
    attempt: &mut dyn FnMut(&FileUrl) -> Result<T, Failure>,
) -> Result<T, FetchError> {
    if urls.is_empty() {
        return Err(FetchError::NoUrl { name: name.into() });
    }
    let prepared = context.network.prepare(urls);
    prepared.map_err(|source| FetchError::Setup {
        source: source.without_url(),
    })?;
    let timeouts = context.options.timeouts;
    let mut wait = timeouts.first_wait;
    let mut mirrors: Vec<Mirror<'_>> = urls
        .iter()
        .map(|url| Mirror::new(url, timeouts.attempts))
        .collect();
    loop {
        for mirror in mirrors.iter_mut().filter(|mirror| mirror.left > 0) {
            if let Some(value) = mirror.ask(context, stop, attempt)? {
                return Ok(value);
            }
        }
        if mirrors.iter().all(|mirror| mirror.left == 0) {
            let attempts = mirrors.into_iter().filter_map(Mirror::into_attempt);
            return Err(FetchError::AllFailed {
                name: name.into(),
                attempts: attempts.collect(),
            });
        }
        for mirror in mirrors.iter().filter(|mirror| mirror.left > 0) {
            if let Some(error) = &mirror.error {
                let url = mirror.url.to_string();
                context.reporter.retrying(&url, error, wait);
            }
        }
        sleep(context, stop, wait)?;
        wait = wait.saturating_mul(2).min(timeouts.longest_wait);
    }
}

/// How often files that do not belong together are asked for in all. A mirror swaps its files within seconds.
const WHOLE_ROUNDS: u32 = 4;

/// Whether files that were fetched one after the other may be of two states of a mirror.
#[derive(Debug)]
pub(crate) enum Torn {
    /// They may: asking for all of them again can help.
    Maybe(RepositoryProblem),
    /// Something else is wrong.
    No(RepositoryProblem),
}

/// Calls `attempt` again, after a wait that doubles, while what it fetched may be torn.
pub(crate) fn while_torn<T>(
    context: &Context,
    stop: &Stop,
    attempt: &mut dyn FnMut() -> Result<T, Torn>,
) -> Result<T, RepositoryProblem> {
    let mut wait = context.options.timeouts.first_wait;
    for _ in 1..WHOLE_ROUNDS {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(Torn::No(problem)) => return Err(problem),
            Err(Torn::Maybe(problem)) => tracing::debug!(%problem, "asking from the start"),
        }
        sleep(context, stop, wait)?;
        wait = wait.saturating_mul(2);
    }
    attempt().map_err(|torn| match torn {
        Torn::Maybe(problem) | Torn::No(problem) => problem,
    })
}

struct Mirror<'a> {
    url: &'a FileUrl,
    left: u32,
    error: Option<TransportError>,
}

impl<'a> Mirror<'a> {
    const fn new(url: &'a FileUrl, attempts: u32) -> Self {
        let left = if attempts == 0 { 1 } else { attempts };
        Self {
            url,
            left,
            error: None,
        }
    }

    /// One counted attempt.
    fn ask<T>(
        &mut self,
        context: &Context,
        stop: &Stop,
        attempt: &mut dyn FnMut(&FileUrl) -> Result<T, Failure>,
    ) -> Result<Option<T>, FetchError> {
        loop {
            if stop.is_set() {
                return Err(FetchError::Cancelled);
            }
            match attempt(self.url) {
                Ok(value) => return Ok(Some(value)),
                Err(Failure::Stopped) => return Err(FetchError::Cancelled),
                Err(Failure::Local(error)) => return Err(error.into()),
                Err(Failure::Progress(error)) => {
                    let url = self.url.to_string();
                    context.reporter.retrying(&url, &error, Duration::ZERO);
                }
                Err(Failure::Transport(error)) => {
                    tracing::debug!(url = %self.url, %error, "attempt failed");
                    self.left = if is_final(&error) {
                        0
                    } else {
                        self.left.saturating_sub(1)
                    };
                    self.error = Some(error);
                    return Ok(None);
                }
            }
        }
    }

    fn into_attempt(self) -> Option<Attempt> {
        let url = self.url.to_string();
        self.error.map(|error| Attempt { url, error })
    }
}

/// Whether asking the same mirror again cannot help.
fn is_final(error: &TransportError) -> bool {
    match error {
        // Too many requests, timeouts and "too early" pass; so do troubles of the server.
        TransportError::Status { status } => {
            matches!(status, 300..500) && !matches!(status, 408 | 425 | 429)
        }
        TransportError::TooLarge { .. }
        | TransportError::Mismatch { .. }
        | TransportError::Redirect { .. } => true,
        TransportError::File(error) => error.source.kind() != io::ErrorKind::Interrupted,
        TransportError::Connect { .. }
        | TransportError::Interrupted { .. }
        | TransportError::Short { .. }
        | TransportError::Stalled { .. } => false,
    }
}

/// Waits on the client's clock; an interruption ends the wait.
pub(crate) fn sleep(context: &Context, stop: &Stop, wait: Duration) -> Result<(), FetchError> {
    let mut left = wait;
    while !left.is_zero() {
        if stop.is_set() {
            return Err(FetchError::Cancelled);
        }
        let slice = left.min(SLICE);
        context.options.clock.sleep(slice);
        left = left.saturating_sub(slice);
    }
    Ok(())
}
