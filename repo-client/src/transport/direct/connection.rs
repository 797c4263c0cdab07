//! One connection: a question, the head of its answer, and what of the answer was read so far.

use super::super::head::{self, Head};
use super::super::{Ask, CHUNK};
use crate::clock::Clock;
use reqwest::Url;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A head of an answer is no longer.
const HEAD_BYTES: usize = 64 << 10;

/// Lines of a head.
const HEADERS: usize = 64;

/// A connection and what was read from it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer is not used yet.
    from: usize,
    to: usize,
}

/// Why there is no head.
#[derive(Debug)]
pub(super) enum NoHead {
    /// The server had closed the connection before it saw the question.
    Stale,
    Failed(io::Error),
    /// There is one, for somebody else.
    NotForUs,
}

/// A head, and whether the connection may be used again.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) head: Head,
    pub(super) keep: bool,
}

/// The question; `None` where it has a value that does not belong into a head.
pub(super) fn request(url: &Url, ask: &Ask<'_>) -> Option<String> {
    let mut text = format!("GET {}", url.path());
    if let Some(query) = url.query() {
        let _ = write!(text, "?{query}");
    }
    let host = url.host_str()?;
    let port = url.port().map(|port| format!(":{port}"));
    let port = port.unwrap_or_default();
    let agent = concat!("vzpkg/", env!("CARGO_PKG_VERSION"));
    let _ = write!(
        text,
        " HTTP/1.1\r\nhost: {host}{port}\r\nuser-agent: {agent}\r\n"
    );
    text.push_str("accept: */*\r\naccept-encoding: identity\r\n");
    for (name, value) in ask.conditions() {
        if value.chars().any(char::is_control) {
            return None;
        }
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    Some(text)
}

impl Connection {
    pub(super) fn new(stream: TcpStream, no_progress: Duration) -> io::Result<Self> {
        stream.set_read_timeout(Some(no_progress))?;
        stream.set_write_timeout(Some(no_progress))?;
        Ok(Self {
            stream,
            buffer: vec![0; CHUNK],
            from: 0,
            to: 0,
        })
    }

    /// Whether the server has neither closed the connection nor said what nobody asked for.
    pub(super) fn is_silent(&self) -> bool {
        let peek = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        recv(&self.stream, &mut [0_u8; 1], peek).is_err_and(|error| error == Errno::AGAIN)
    }

    /// Sends a question and reads the head of the answer.
    pub(super) fn ask(
        &mut self,
        request: &str,
        until: Duration,
        clock: &dyn Clock,
    ) -> Result<Answered, NoHead> {
        if self.stream.write_all(request.as_bytes()).is_err() {
            return Err(NoHead::Stale);
        }
        (self.from, self.to) = (0, 0);
        loop {
            let free = self.buffer.get_mut(self.to..HEAD_BYTES);
            let free = free
                .filter(|free| !free.is_empty())
                .ok_or(NoHead::NotForUs)?;
            let read = match self.stream.read(free) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) if self.to == 0 => return Err(NoHead::Stale),
                Err(error) if self.to == 0 && error.kind() == ErrorKind::ConnectionReset => {
                    return Err(NoHead::Stale);
                }
                Ok(0) => return Err(NoHead::Failed(ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(error) => return Err(NoHead::Failed(timed_out(error))),
            };
            self.to = self.to.saturating_add(read);
            if let Some((answered, length)) = parse(self.buffer.get(..self.to).unwrap_or_default())?
            {
                self.from = length;
                return Ok(answered);
            }
            if clock.elapsed() > until {
                return Err(NoHead::Failed(ErrorKind::TimedOut.into()));
            }
        }
    }

    /// What came and is not used yet; waits for it. Nothing where the server has closed the connection.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] where it is silent, and what the network says.
    pub(super) fn read(&mut self) -> io::Result<&[u8]> {
        if self.is_used_up() {
            (self.from, self.to) = (0, 0);
            self.to = self.stream.read(&mut self.buffer).map_err(timed_out)?;
        }
        Ok(self.buffer.get(self.from..self.to).unwrap_or_default())
    }

    /// So many bytes of what came are used.
    pub(super) fn used(&mut self, bytes: usize) {
        self.from = self.from.saturating_add(bytes).min(self.to);
    }

    /// Whether there is nothing of what came that is not used.
    pub(super) const fn is_used_up(&self) -> bool {
        self.from == self.to
    }
}

/// The head at the beginning of these bytes and its length, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(Answered, usize)>, NoHead> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(NoHead::NotForUs),
    };
    let status = response.code.ok_or(NoHead::NotForUs)?;
    let mut head = Head {
        status,
        ..Head::default()
    };
    let mut keep = response.version == Some(1);
    let mut encoded = false;
    for field in &*response.headers {
        let Ok(value) = std::str::from_utf8(field.value) else {
            continue;
        };
        let value = value.trim();
        match field.name.to_ascii_lowercase().as_str() {
            "content-range" => head.range = Some(value.to_owned()),
            "content-length" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let length = value
                    .parse()
                    .ok()
                    .filter(|_| digits && head.length.is_none());
                head.length = Some(length.ok_or(NoHead::NotForUs)?);
            }
            "etag" => head.validator.etag = head::kept(Some(value)),
            "last-modified" => head.validator.modified = head::kept(Some(value)),
            "connection" => keep &= !value.to_ascii_lowercase().contains("close"),
            "transfer-encoding" => encoded = true,
            _ => {}
        }
    }
    match status {
        // Another place, or no last word.
        ..200 | 300..=303 | 305..=399 => Err(NoHead::NotForUs),
        200 | 206 if encoded => Err(NoHead::NotForUs),
        _ => Ok(Some((Answered { head, keep }, length))),
    }
}

/// A wait that was too long, under its name.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock {
        ErrorKind::TimedOut.into()
    } else {
        error
    }
}
