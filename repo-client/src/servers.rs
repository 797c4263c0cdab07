//! How fast servers are: which of several is asked first, when one is dropped for another, and how much all of them
//! together may send.
//!
//! Times come from the client's clock, so a test decides how long something took.

use crate::clock::Clock;
use crate::source::FileUrl;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Servers that share the files of one batch; a list of mirrors may name a hundred.
const SHARING: usize = 4;

/// A server so many times slower than the fastest is dropped for it.
const SLOWER: u64 = 8;

/// Bytes after which it is known how fast a server is.
const KNOWN: u64 = 512 << 10;

/// What is known of the servers of one client.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    servers: BTreeMap<String, Server>,
    /// Whose turn it is.
    turn: usize,
}

#[derive(Debug, Default)]
struct Server {
    bytes: u64,
    busy: Duration,
    /// It was slow or did not answer, and there were others.
    slow: bool,
}

impl Server {
    /// Bytes per second, once that is known.
    fn rate(&self) -> Option<u64> {
        let milliseconds = u64::try_from(self.busy.as_millis()).unwrap_or(u64::MAX);
        let known = self.bytes >= KNOWN && milliseconds > 0;
        known.then(|| {
            let bytes = self.bytes.saturating_mul(1000);
            bytes.checked_div(milliseconds).unwrap_or(0)
        })
    }
}

impl Known {
    fn is_slow(&self, url: &FileUrl) -> bool {
        let server = self.servers.get(&server_of(url));
        server.is_some_and(|server| server.slow)
    }
}

impl Servers {
    /// The addresses in the order in which they are asked: the first few take turns, slow ones come last.
    pub(crate) fn in_turn(&self, mut urls: Vec<FileUrl>) -> Vec<FileUrl> {
        let mut known = self.known();
        urls.sort_by_key(|url| known.is_slow(url));
        let fast = urls.iter().filter(|url| !known.is_slow(url)).count();
        let sharing = fast.min(SHARING);
        known.turn = known.turn.wrapping_add(1);
        if let Some(turn) = known.turn.checked_rem(sharing)
            && let Some(first) = urls.get_mut(..sharing)
        {
            first.rotate_left(turn);
        }
        urls
    }

    /// The addresses in their order, but those that were slow or silent last.
    pub(crate) fn slow_last(&self, mut urls: Vec<FileUrl>) -> Vec<FileUrl> {
        let known = self.known();
        urls.sort_by_key(|url| known.is_slow(url));
        urls
    }

    /// The rate below which this server is dropped for another of these; `None` where no other is known to be faster.
    pub(crate) fn floor(&self, url: &FileUrl, all: &[FileUrl]) -> Option<u64> {
        let known = self.known();
        let own = server_of(url);
        let others = all.iter().map(server_of).filter(|server| *server != own);
        let rates = others.filter_map(|server| known.servers.get(&server)?.rate());
        rates.max().and_then(|fastest| fastest.checked_div(SLOWER))
    }

    /// Notes what a server sent in this time.
    pub(crate) fn sent(&self, url: &FileUrl, bytes: u64, took: Duration) {
        let mut known = self.known();
        let server = known.servers.entry(server_of(url)).or_default();
        server.bytes = server.bytes.saturating_add(bytes);
        server.busy = server.busy.saturating_add(took);
    }

    /// Notes that a server was dropped; whether that is news.
    pub(crate) fn dropped(&self, url: &FileUrl) -> bool {
        let mut known = self.known();
        let server = known.servers.entry(server_of(url)).or_default();
        !std::mem::replace(&mut server.slow, true)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scheme, host and port; for a local file nothing.
pub(crate) fn server_of(url: &FileUrl) -> String {
    let origin = url.remote().map(|url| url.origin().ascii_serialization());
    origin.unwrap_or_default()
}

/// How many bytes per second may come, over all connections of a client.
#[derive(Debug)]
pub struct Bandwidth {
    /// Bytes per second.
    limit: u64,
    /// When what came so far is paid for.
    paid: Mutex<Duration>,
}

impl Bandwidth {
    /// A limit in bytes per second; 0 is taken for 1.
    pub fn new(limit: u64) -> Self {
        Self {
            limit: limit.max(1),
            paid: Mutex::default(),
        }
    }

    /// Notes bytes that came; how long their connection has to pause.
    pub(crate) fn take(&self, bytes: u64, clock: &dyn Clock) -> Duration {
        let now = clock.elapsed();
        let nanoseconds = u128::from(bytes).saturating_mul(1_000_000_000);
        let cost = nanoseconds.checked_div(u128::from(self.limit));
        let cost = Duration::from_nanos(cost.unwrap_or(0).try_into().unwrap_or(u64::MAX));
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        *paid = (*paid).max(now).saturating_add(cost);
        paid.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> FileUrl {
        FileUrl::parse(&format!("http://{host}/file")).unwrap()
    }

    fn hosts(urls: &[FileUrl]) -> Vec<String> {
        let host = |url: &FileUrl| url.remote().unwrap().host_str().unwrap().to_owned();
        urls.iter().map(host).collect()
    }

    #[test]
    fn servers_take_turns_and_a_dropped_one_comes_last() {
        let servers = Servers::default();
        let all = || vec![url("a"), url("b"), url("c")];
        let mut first: Vec<String> = (0..3)
            .map(|_| hosts(&servers.in_turn(all())).remove(0))
            .collect();
        first.sort();
        assert_eq!(first, ["a", "b", "c"]);
        assert!(servers.dropped(&url("b")) && !servers.dropped(&url("b")));
        for _ in 0..4 {
            assert_eq!(hosts(&servers.in_turn(all()))[2], "b");
        }
        assert_eq!(hosts(&servers.in_turn(vec![url("b")])), ["b"]);
        assert_eq!(servers.in_turn(Vec::new()), []);
    }

    #[test]
    fn a_server_is_measured_against_the_fastest_other() {
        let servers = Servers::default();
        let all = [url("a"), url("b")];
        assert_eq!(servers.floor(&all[0], &all), None);
        servers.sent(&all[1], 4 << 20, Duration::from_secs(2));
        assert_eq!(servers.floor(&all[0], &all), Some((2 << 20) / SLOWER));
        assert_eq!(servers.floor(&all[1], &all), None, "nobody else is known");
    }

    #[test]
    fn a_limit_holds_for_all_connections_together() {
        #[derive(Debug)]
        struct Still;
        impl Clock for Still {
            fn elapsed(&self) -> Duration {
                Duration::from_secs(5)
            }
            fn sleep(&self, _: Duration) {}
        }
        let limit = Bandwidth::new(1000);
        assert_eq!(limit.take(500, &Still), Duration::from_millis(500));
        assert_eq!(limit.take(1500, &Still), Duration::from_secs(2));
    }
}
