//! One request after the other from a connection: parsed by `httparse`, bounded, and reduced to what a file server needs.

use std::io::{self, Read as _};
use std::net::TcpStream;

/// The head of a request. Package clients send 500 bytes.
const HEAD_BYTES: usize = 16 << 10;

/// Header lines of one request.
const HEADERS: usize = 64;

/// What a client wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// The path as sent, without a query; decoded and judged where a file is looked for.
    pub(super) path: String,
    /// `HEAD`: everything but the content.
    pub(super) head: bool,
    /// Neither `GET` nor `HEAD`.
    pub(super) other_method: bool,
    /// `Range`.
    pub(super) range: Option<String>,
    /// `If-Range`.
    pub(super) if_range: Option<String>,
    /// `If-None-Match`.
    pub(super) if_none_match: Option<String>,
    /// `If-Modified-Since`.
    pub(super) if_modified_since: Option<String>,
    /// The connection ends after the answer.
    pub(super) close: bool,
}

/// What comes next on a connection.
#[derive(Debug)]
pub(super) enum Next {
    Request(Request),
    /// Not HTTP, or too long.
    Malformed,
    /// The client is done.
    End,
}

/// Reads requests, also those that a client sends before it has its answer.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    stream: &'a TcpStream,
    waiting: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(stream: &'a TcpStream) -> Self {
        Self {
            stream,
            waiting: Vec::new(),
        }
    }

    pub(super) fn read(&mut self) -> io::Result<Next> {
        let mut buffer = [0_u8; 4096];
        loop {
            match parse(&self.waiting) {
                Parsed::Whole(request, length) => {
                    self.waiting.drain(..length);
                    return Ok(Next::Request(request));
                }
                Parsed::Wrong => return Ok(Next::Malformed),
                Parsed::Partial if self.waiting.len() >= HEAD_BYTES => return Ok(Next::Malformed),
                Parsed::Partial => {}
            }
            let read = (&mut &*self.stream).read(&mut buffer)?;
            if read == 0 {
                return Ok(Next::End);
            }
            self.waiting
                .extend_from_slice(buffer.get(..read).unwrap_or_default());
        }
    }
}

enum Parsed {
    Whole(Request, usize),
    Partial,
    Wrong,
}

fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Wrong,
    };
    let (Some(method), Some(target)) = (head.method, head.path) else {
        return Parsed::Wrong;
    };
    let mut request = Request {
        path: target
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .to_owned(),
        head: method == "HEAD",
        other_method: !matches!(method, "GET" | "HEAD"),
        close: head.version == Some(0),
        ..Request::default()
    };
    for header in &*head.headers {
        let Ok(value) = std::str::from_utf8(header.value) else {
            continue;
        };
        let value = value.trim().to_owned();
        match header.name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value),
            "if-range" => request.if_range = Some(value),
            "if-none-match" => request.if_none_match = Some(value),
            "if-modified-since" => request.if_modified_since = Some(value),
            "connection" => {
                request.close = value.eq_ignore_ascii_case("close")
                    || request.close && !value.eq_ignore_ascii_case("keep-alive");
            }
            // A body would be taken for the next request.
            "content-length" if value != "0" => return Parsed::Wrong,
            "transfer-encoding" => return Parsed::Wrong,
            _ => {}
        }
    }
    Parsed::Whole(request, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Parsed::Whole(request, length) => {
                assert_eq!(length, text.len());
                request
            }
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn what_a_file_server_needs_is_read() {
        let request = whole("GET /m/a%20b?x HTTP/1.1\r\nHost: h\r\nRANGE: bytes=3-\r\n\r\n");
        assert_eq!(request.path, "/m/a%20b");
        assert_eq!(request.range.as_deref(), Some("bytes=3-"));
        assert!(!request.head && !request.close && !request.other_method);
        assert!(whole("HEAD / HTTP/1.0\r\n\r\n").close);
        assert!(whole("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").close);
        assert!(whole("DELETE / HTTP/1.1\r\n\r\n").other_method);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "\0\0\0\0",
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(matches!(parse(text.as_bytes()), Parsed::Wrong), "{text:?}");
        }
        assert!(matches!(parse(b"GET / HTTP/1.1\r\nHo"), Parsed::Partial));
    }
}
