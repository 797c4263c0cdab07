//! What the tests share: a place, a clock that only moves itself, a reporter that remembers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vzpkg_metadata::template::{
    AptSource, Fingerprint, KeyPin, KeyPlace, RepositoryLine, RepositoryOptions,
};
use vzpkg_metadata::{Arch, Family};
use vzpkg_repo_client::clock::Clock;
use vzpkg_repo_client::report::Loaded;
use vzpkg_repo_client::{
    Client, ClientOptions, FetchReporter, Refresh, Repository, RepositoryError, TransportError,
    Wanted,
};
use vzpkg_tests::env::TestEnv;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::EPOCH;

/// The time of the tests: an hour after everything was signed.
pub(crate) const NOW: i64 = EPOCH + 3600;

/// A clock that stands still but for the waits it is asked for. Each really takes a moment: who waits for a lock that a
/// child of another test has inherited until it executes its program would else move the clock by hours, for all who
/// measure the pace of a server with it.
#[derive(Debug, Default)]
pub(crate) struct StillClock(Mutex<Duration>);

impl Clock for StillClock {
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration.min(Duration::from_millis(1)));
        *self.0.lock().unwrap() += duration;
    }
}

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) loaded: Mutex<Vec<Loaded>>,
    pub(crate) messages: Mutex<Vec<String>>,
    pub(crate) retries: Mutex<Vec<String>>,
    pub(crate) bytes: Mutex<u64>,
}

impl FetchReporter for Recorder {
    fn progressed(&self, bytes: vzpkg_metadata::ByteSize) {
        *self.bytes.lock().unwrap() += bytes.0;
    }

    fn repository_finished(&self, _: &vzpkg_metadata::RepoId, _: usize, loaded: Loaded) {
        self.loaded.lock().unwrap().push(loaded);
    }

    fn retrying(&self, url: &str, error: &TransportError, _: Duration) {
        self.retries.lock().unwrap().push(format!("{url}: {error}"));
    }

    fn message(&self, text: &str) {
        self.messages.lock().unwrap().push(text.to_owned());
    }
}

/// A client's directories, options and reporter.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) env: TestEnv,
    pub(crate) options: ClientOptions,
    pub(crate) clock: Arc<StillClock>,
    pub(crate) recorder: Arc<Recorder>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let env = TestEnv::new();
        let clock = Arc::new(StillClock::default());
        let mut options = ClientOptions::new(env.path("index"), env.path("packages"), NOW);
        options.refresh = Refresh::Always;
        options.clock = Arc::<StillClock>::clone(&clock);
        options.connections = 4;
        // By a clock that others move no server is fast enough: tests of slow ones set it.
        options.timeouts.floor = 0;
        Self {
            env,
            options,
            clock,
            recorder: Arc::default(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.options.clone(), Arc::<Recorder>::clone(&self.recorder))
    }

    pub(crate) fn load(
        &self,
        line: &RepositoryLine,
        keys: &[KeyPin],
    ) -> Result<Repository, RepositoryError> {
        self.client().load(line, keys, &arch())
    }

    #[expect(clippy::unused_self, reason = "reads as a sentence")]
    pub(crate) fn package(&self, repository: &Repository, name: &str) -> Wanted {
        let index = repository.index.as_index();
        let package = index.by_name(name).next().unwrap();
        Wanted {
            package: package.to_package_ref(&repository.id).unwrap(),
            family: Family::Deb,
            base_urls: repository.base_urls.clone(),
            package_keys: repository.package_keys.clone(),
        }
    }

    pub(crate) fn packages(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.env.path("packages"));
        let mut paths: Vec<PathBuf> = entries
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        paths.sort();
        paths
    }
}

pub(crate) fn arch() -> Arch {
    "x86_64".parse().unwrap()
}

/// `deb URI stable main`.
pub(crate) fn line(uri: &str) -> RepositoryLine {
    line_of(uri, "stable", &["main"])
}

pub(crate) fn line_of(uri: &str, suite: &str, components: &[&str]) -> RepositoryLine {
    RepositoryLine::Apt(AptSource {
        id: "base0".parse().unwrap(),
        uri: uri.to_owned(),
        suite: suite.to_owned(),
        components: components.iter().map(ToString::to_string).collect(),
        trusted: false,
        options: RepositoryOptions::default(),
    })
}

/// Pins `key`, with a copy beside the template.
pub(crate) fn pin(key: &TestKey) -> KeyPin {
    KeyPin {
        fingerprint: fingerprint(key),
        places: vec![KeyPlace::Beside {
            name: "key.asc".into(),
            content: key.armored(),
        }],
        origin: "base".into(),
    }
}

pub(crate) fn fingerprint(key: &TestKey) -> Fingerprint {
    key.fingerprint().parse().unwrap()
}

/// An error with all its causes, as the command prints it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
