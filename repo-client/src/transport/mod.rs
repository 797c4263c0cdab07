//! One question to one address: opens a file of a `file://` or `http(s)://` source and hands out its bytes, bounded.
//!
//! No retries and no mirrors here ([`crate::retry`]), no hashes ([`crate::download`]).

mod direct;
mod head;
mod http;
mod pace;

use crate::error::TransportError;
use crate::options::ClientOptions;
use crate::source::FileUrl;
use direct::Direct;
pub(crate) use pace::Pace;
use reqwest::blocking;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use vzpkg_metadata::durable::FileError;

/// Bytes that are read at a time, at most: a file system takes few large writes for half the cost of many small ones.
const CHUNK: usize = 256 << 10;

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

    /// The header lines that make it a question for a part, or for news only.
    fn conditions(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if self.from > 0 {
            lines.push(("range", format!("bytes={}-", self.from)));
            lines.extend(self.if_range.map(|value| ("if-range", value.to_owned())));
        } else if let Some(validator) = self.unless {
            let etag = validator.etag.clone();
            let modified = validator.modified.clone();
            lines.extend(etag.map(|etag| ("if-none-match", etag)));
            lines.extend(modified.map(|time| ("if-modified-since", time)));
        }
        lines
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
    reader: Box<dyn BufRead + Send>,
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
    direct: Arc<Direct>,
    client: OnceLock<blocking::Client>,
}

impl Network {
    pub(crate) fn new(options: Arc<ClientOptions>) -> Self {
        Self {
            direct: Arc::new(Direct::new(&options)),
            options,
            client: OnceLock::new(),
        }
    }

    /// Makes the network client now where one of these addresses needs it, so that a faulty proxy address or certificate
    /// store is told apart from a server that does not answer.
    pub(crate) fn prepare(&self, urls: &[FileUrl]) -> Result<(), reqwest::Error> {
        let mut urls = urls.iter().filter_map(FileUrl::remote);
        if urls.all(|url| self.direct.reaches(url)) {
            return Ok(());
        }
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
        if let Some(url) = ask.url.remote().filter(|url| self.direct.reaches(url))
            && let Some(answer) = self.direct.open(url, ask)?
        {
            return Ok(answer);
        }
        let client = self.client().map_err(|source| TransportError::Connect {
            source: source.without_url().into(),
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
        reader: Box::new(BufReader::with_capacity(CHUNK, file)),
    }))
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
        loop {
            if stop.is_set() {
                return Err(Failure::Stopped);
            }
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if http::is_timeout(&error) => {
                    return Err(TransportError::Stalled { received }.into());
                }
                Err(source) => {
                    let source = http::without_url(source);
                    return Err(TransportError::Interrupted { received, source }.into());
                }
            };
            let came = chunk.len();
            if came == 0 {
                break;
            }
            received = received.saturating_add(came as u64);
            if received > limit {
                return Err(TransportError::TooLarge { limit }.into());
            }
            sink(chunk).map_err(Failure::Local)?;
            self.reader.consume(came);
            pace.wait(came as u64, stop);
            if !pace.keeps_up(came as u64) {
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
