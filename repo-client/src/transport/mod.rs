//! One question to one address: opens a file of a `file://` or `http(s)://` source and hands out its bytes, bounded.
//!
//! No retries and no mirrors here ([`crate::retry`]), no hashes ([`crate::download`]).

mod http;

use crate::clock::Clock;
use crate::error::TransportError;
use crate::options::ClientOptions;
use crate::servers::Bandwidth;
use crate::source::FileUrl;
use reqwest::blocking;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vzpkg_metadata::durable::FileError;

/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// The longest stretch of a wait in which an interruption goes unseen.
const SLICE: Duration = Duration::from_millis(100);

/// What a server said about the state of a file, to be shown to it again. Compared as text, never interpreted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validator {
    pub(crate) etag: Option<String>,
    pub(crate) modified: Option<String>,
}

impl Validator {
    /// Whether there is anything to show.
    pub(crate) const fn is_empty(&self) -> bool {
        self.etag.is_none() && self.modified.is_none()
    }

    /// What an `If-Range` header may carry: a strong tag, else the time.
    pub(crate) fn for_range(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.modified.as_deref())
    }
}

/// A question for one file.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) url: &'a FileUrl,
    /// Bytes that are already here.
    pub(crate) from: u64,
    /// Resume only if the file is still this one.
    pub(crate) if_range: Option<&'a str>,
    /// Send nothing if the file is still this one.
    pub(crate) unless: Option<&'a Validator>,
}

impl<'a> Ask<'a> {
    /// Asks for all of a file.
    pub(crate) const fn whole(url: &'a FileUrl) -> Self {
        Self {
            url,
            from: 0,
            if_range: None,
            unless: None,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The file is the one that [`Ask::unless`] describes.
    NotModified,
    /// The file, or its end.
    Body(Body),
}

/// The bytes of a file from [`Body::offset`] on.
pub(crate) struct Body {
    /// [`Ask::from`], or 0 where the server starts over.
    pub(crate) offset: u64,
    /// Bytes to come, if the server says.
    pub(crate) length: Option<u64>,
    pub(crate) validator: Validator,
    reader: Box<dyn Read + Send>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("offset", &self.offset)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Whether work should end early: the user interrupted, or the batch it belongs to has failed.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) cancel: Arc<AtomicBool>,
    pub(crate) abort: Arc<AtomicBool>,
}

impl Stop {
    pub(crate) fn new(cancel: &Arc<AtomicBool>) -> Self {
        Self {
            cancel: Arc::clone(cancel),
            abort: Arc::default(),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || self.abort.load(Ordering::Relaxed)
    }
}

/// Why one attempt ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// [`Stop`] was set.
    Stopped,
    /// The source's fault: another attempt or another mirror may do better.
    Transport(TransportError),
    /// The connection failed after it brought real progress: try again without counting it.
    Progress(TransportError),
    /// This machine's fault: no mirror can help.
    Local(FileError),
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

/// Opens sources. The network client is made when it is first needed: `file://` and offline work pay nothing.
#[derive(Debug)]
pub(crate) struct Network {
    options: Arc<ClientOptions>,
    client: OnceLock<blocking::Client>,
}

impl Network {
    pub(crate) const fn new(options: Arc<ClientOptions>) -> Self {
        Self {
            options,
            client: OnceLock::new(),
        }
    }

    /// Makes the network client now, so that a faulty proxy address or certificate store is told apart from a server
    /// that does not answer.
    pub(crate) fn prepare(&self) -> Result<(), reqwest::Error> {
        self.client().map(|_| ())
    }

    fn client(&self) -> Result<&blocking::Client, reqwest::Error> {
        if self.client.get().is_none() {
            // Two threads may both make one; the second is dropped.
            drop(self.client.set(http::make_client(&self.options)?));
        }
        Ok(self.client.get_or_init(blocking::Client::default))
    }

    /// Asks once.
    pub(crate) fn open(&self, ask: &Ask<'_>) -> Result<Answer, TransportError> {
        if let Some(path) = ask.url.local() {
            return open_local(path, ask);
        }
        let client = self.client().map_err(|source| TransportError::Connect {
            source: source.without_url(),
        })?;
        http::open(client, ask)
    }
}

/// A file of this machine, with its time and size as validator.
fn open_local(path: &Path, ask: &Ask<'_>) -> Result<Answer, TransportError> {
    use std::os::unix::fs::MetadataExt as _;
    let mut file = File::open(path).map_err(FileError::on("open", path))?;
    let metadata = file.metadata().map_err(FileError::on("inspect", path))?;
    if !metadata.is_file() {
        let source = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(FileError::on("open", path)(source).into());
    }
    let (seconds, fraction) = (metadata.mtime(), metadata.mtime_nsec());
    let validator = Validator {
        etag: None,
        modified: Some(format!("{seconds}.{fraction:09} {}", metadata.len())),
    };
    if ask.unless == Some(&validator) {
        return Ok(Answer::NotModified);
    }
    let offset = if ask.from <= metadata.len() {
        ask.from
    } else {
        0
    };
    file.seek(SeekFrom::Start(offset))
        .map_err(FileError::on("read", path))?;
    Ok(Answer::Body(Body {
        offset,
        length: metadata.len().checked_sub(offset),
        validator,
        reader: Box::new(file),
    }))
}

/// How fast a body must come, and how fast it may.
#[derive(Debug)]
pub(crate) struct Pace<'a> {
    clock: &'a dyn Clock,
    bandwidth: Option<&'a Bandwidth>,
    windows: Vec<Window>,
}

/// Over each span so many bytes per second must arrive.
#[derive(Debug)]
struct Window {
    span: Duration,
    floor: u64,
    began: Duration,
    bytes: u64,
}

/// Over which span a server is compared with a faster one.
const COMPARED: Duration = Duration::from_secs(2);

impl<'a> Pace<'a> {
    pub(crate) fn new(options: &'a ClientOptions) -> Self {
        let mut pace = Self {
            clock: options.clock.as_ref(),
            bandwidth: options.bandwidth.as_deref(),
            windows: Vec::new(),
        };
        let timeouts = options.timeouts;
        pace.demand(timeouts.floor_window, timeouts.floor);
        pace
    }

    /// Also so many bytes per second, for there is a server that sends more.
    pub(crate) fn compared_with(mut self, floor: Option<u64>) -> Self {
        // With a limit no server can show what it could do.
        if let (Some(floor), None) = (floor, self.bandwidth) {
            self.demand(COMPARED, floor);
        }
        self
    }

    fn demand(&mut self, span: Duration, floor: u64) {
        self.windows.push(Window {
            span,
            floor,
            began: self.clock.elapsed(),
            bytes: 0,
        });
    }

    /// Notes `bytes` more; says whether the last full windows were fast enough.
    fn keeps_up(&mut self, bytes: u64) -> bool {
        let now = self.clock.elapsed();
        let windows = self.windows.iter_mut();
        windows.fold(true, |all, window| all & window.keeps_up(bytes, now))
    }

    /// Waits until these bytes may have come. Time that is waited is not the server's.
    fn wait(&mut self, bytes: u64, stop: &Stop) {
        let Some(bandwidth) = self.bandwidth else {
            return;
        };
        let mut left = bandwidth.take(bytes, self.clock);
        for window in &mut self.windows {
            window.began = window.began.saturating_add(left);
        }
        while !left.is_zero() && !stop.is_set() {
            let slice = left.min(SLICE);
            self.clock.sleep(slice);
            left = left.saturating_sub(slice);
        }
    }
}

impl Window {
    fn keeps_up(&mut self, bytes: u64, now: Duration) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        let took = now.saturating_sub(self.began);
        if took < self.span {
            return true;
        }
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let needed = self.floor.saturating_mul(milliseconds).div_euclid(1000);
        let enough = self.bytes >= needed;
        self.began = now;
        self.bytes = 0;
        enough
    }
}

impl Body {
    /// Reads to the end and gives each chunk to `sink`; more than `limit` bytes are an error, and so is less than
    /// the server announced. Returns how many came.
    pub(crate) fn drain(
        &mut self,
        limit: u64,
        pace: &mut Pace<'_>,
        stop: &Stop,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), FileError>,
    ) -> Result<u64, Failure> {
        let mut received: u64 = 0;
        if self.length.is_some_and(|length| length > limit) {
            return Err(TransportError::TooLarge { limit }.into());
        }
        let mut buffer = vec![0_u8; CHUNK];
        loop {
            if stop.is_set() {
                return Err(Failure::Stopped);
            }
            let read = match self.reader.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if http::is_timeout(&error) => {
                    return Err(TransportError::Stalled { received }.into());
                }
                Err(source) => {
                    let source = http::without_url(source);
                    return Err(TransportError::Interrupted { received, source }.into());
                }
            };
            let chunk = buffer.get(..read).unwrap_or_default();
            if chunk.is_empty() {
                break;
            }
            received = received.saturating_add(chunk.len() as u64);
            if received > limit {
                return Err(TransportError::TooLarge { limit }.into());
            }
            sink(chunk).map_err(Failure::Local)?;
            pace.wait(chunk.len() as u64, stop);
            if !pace.keeps_up(chunk.len() as u64) {
                return Err(TransportError::Stalled { received }.into());
            }
        }
        match self.length {
            Some(expected) if received < expected => {
                Err(TransportError::Short { received, expected }.into())
            }
            _ => Ok(received),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::Mutex;

    /// A clock that stands still until it is moved.
    #[derive(Debug, Default)]
    struct Moved(Mutex<Duration>);

    impl Clock for Moved {
        fn elapsed(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, duration: Duration) {
            *self.0.lock().unwrap() += duration;
        }
    }

    fn options() -> ClientOptions {
        let mut options = ClientOptions::new(PathBuf::new(), PathBuf::new(), 0);
        options.clock = Arc::new(Moved::default());
        options
    }

    #[test]
    fn a_server_keeps_up_with_the_floor_and_with_a_faster_one() {
        let options = options();
        let second = Duration::from_secs(1);
        for (floor, bytes, keeps_up) in [
            (None, 5_000, true),
            (Some(10_000), 12_000, true),
            (Some(10_000), 5_000, false),
        ] {
            let mut pace = Pace::new(&options).compared_with(floor);
            options.clock.sleep(second);
            assert!(pace.keeps_up(bytes), "the window is not full");
            options.clock.sleep(second);
            assert_eq!(pace.keeps_up(bytes), keeps_up, "{floor:?} {bytes}");
        }
    }

    #[test]
    fn time_that_a_limit_costs_is_not_the_servers() {
        let mut options = options();
        options.bandwidth = Some(Arc::new(Bandwidth::new(100)));
        let stop = Stop::new(&options.cancel);
        let mut pace = Pace::new(&options).compared_with(Some(1 << 30));
        for _ in 0..10 {
            pace.wait(6000, &stop);
            assert!(pace.keeps_up(6000), "a minute of waiting each");
        }
        assert!(options.clock.elapsed() >= Duration::from_mins(10));
    }
}
