//! What a client is told once: places, policies, limits, and the time.

use crate::clock::{Clock, SystemClock};
use crate::servers::Bandwidth;
use crate::source::{BaseUrl, shown_address};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// When the server is asked whether an index is still the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// If the last check is older than this, or the signed data has expired.
    IfExpired(Duration),
    /// On every load.
    Always,
    /// Only where nothing is cached.
    Never,
}

/// How long the client is patient. The defaults suit a slow line, not a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Without a single byte, headers included.
    pub no_progress: Duration,
    /// Over this span at least [`Timeouts::floor`] bytes per second must arrive.
    pub floor_window: Duration,
    /// Bytes per second below which a mirror counts as stalling; 0 switches the floor off.
    pub floor: u64,
    /// Attempts per mirror that end without real progress.
    pub attempts: u32,
    /// The wait before the second attempt; doubles each time.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            no_progress: Duration::from_secs(30),
            floor_window: Duration::from_mins(1),
            floor: 1024,
            attempts: 4,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
        }
    }
}

/// Proxies by scheme, as URLs; `None` connects directly. The command reads `http_proxy` and its kin. Debugging shows them
/// without user name and password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://`.
    pub http: Option<String>,
    /// For `https://`.
    pub https: Option<String>,
    /// Hosts that are reached directly, in the syntax of `no_proxy`.
    pub direct: Option<String>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |url: &Option<String>| url.as_deref().map(shown_address);
        f.debug_struct("Proxies")
            .field("http", &shown(&self.http))
            .field("https", &shown(&self.https))
            .field("direct", &self.direct)
            .finish()
    }
}

/// Everything a [`crate::Client`] needs to know.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// `index/` below the root: verified metadata and mapped indexes.
    pub index_dir: PathBuf,
    /// `packages/` below the root: verified package files.
    pub packages_dir: PathBuf,
    /// Never opens a connection; `file://` repositories still work.
    pub offline: bool,
    /// When indexes are checked for news.
    pub refresh: Refresh,
    /// Files fetched at the same time.
    pub connections: usize,
    /// Seconds since 1970: what `Date`, `Valid-Until` and key expiry are compared with.
    pub now: i64,
    /// Directories and files in which pinned keys are looked for, after the places the template names.
    pub keyring_dirs: Vec<PathBuf>,
    /// How servers are reached.
    pub proxies: Proxies,
    /// How long the client waits for what.
    pub timeouts: Timeouts,
    /// How much all connections together may bring; as much as they can where there is none.
    pub bandwidth: Option<Arc<Bandwidth>>,
    /// Directories of this node that hold states which were judged before, and when, seconds since 1970: mirrors. What
    /// lies there may have expired since, and be older than what was seen elsewhere.
    pub judged: Vec<(PathBuf, i64)>,
    /// How long to wait for another process that works on the same repository or mirror.
    pub guard_wait: Duration,
    /// Set by a signal handler; checked between chunks and while waiting.
    pub cancel: Arc<AtomicBool>,
    /// How the client waits; a test brings its own.
    pub clock: Arc<dyn Clock>,
}

impl ClientOptions {
    /// When what lies at this address was judged, if it was before.
    pub(crate) fn judged_at(&self, url: &str) -> Option<i64> {
        let base = BaseUrl::parse(url).ok()?;
        let path = base.local()?;
        let mut judged = self.judged.iter();
        let found = judged.find(|(directory, _)| path.starts_with(directory));
        found.map(|(_, at)| *at)
    }

    /// Options with eight connections, an index age of a day, no proxy, endless patience with other processes and the
    /// machine's clock.
    pub fn new(index_dir: PathBuf, packages_dir: PathBuf, now: i64) -> Self {
        Self {
            index_dir,
            packages_dir,
            offline: false,
            refresh: Refresh::IfExpired(Duration::from_hours(24)),
            connections: 8,
            now,
            keyring_dirs: Vec::new(),
            proxies: Proxies::default(),
            timeouts: Timeouts::default(),
            bandwidth: None,
            judged: Vec::new(),
            guard_wait: Duration::MAX,
            cancel: Arc::default(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}
