//! The answer to one request: a file, a part of it, or word that it has not changed.

use super::file::{Content, Found};
use super::request::Request;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpStream;

/// What of a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// From this byte on, so many.
    Range(u64, u64),
    /// A range beyond the end.
    Unsatisfiable,
    NotModified,
}

/// Answers without a file and gives up the connection.
pub(super) fn refuse(mut stream: &TcpStream, status: u16) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        reason(status)
    );
    stream.write_all(head.as_bytes())
}

/// Answers without a file; the connection goes on.
pub(super) fn decline(mut stream: &TcpStream, status: u16) -> io::Result<()> {
    let reason = reason(status);
    let head = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes())
}

/// Answers a request.
pub(super) fn send(
    mut stream: &TcpStream,
    request: &Request,
    found: Option<Found>,
) -> io::Result<()> {
    let (status, found) = match found {
        _ if request.other_method => (405, None),
        None => (404, None),
        Some(found) => (200, Some(found)),
    };
    let Some(found) = found else {
        return decline(stream, status);
    };
    let part = part(request, &found);
    let (status, first, length) = match part {
        Part::Whole => (200, 0, found.size),
        Part::Range(first, length) => (206, first, length),
        Part::Unsatisfiable => (416, 0, 0),
        Part::NotModified => (304, 0, 0),
    };
    let mut head = format!(
        "HTTP/1.1 {status} {}\r\nAccept-Ranges: bytes\r\nETag: {}\r\nLast-Modified: {}\r\n",
        reason(status),
        found.tag,
        found.modified
    );
    let range = match part {
        Part::Range(..) => {
            let last = first.saturating_add(length).saturating_sub(1);
            format!("Content-Range: bytes {first}-{last}/{}\r\n", found.size)
        }
        Part::Unsatisfiable => format!("Content-Range: bytes */{}\r\n", found.size),
        Part::Whole | Part::NotModified => String::new(),
    };
    head.push_str(&range);
    if status != 304 {
        let size = format!("Content-Length: {length}\r\n");
        head.push_str("Content-Type: application/octet-stream\r\n");
        head.push_str(&size);
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.head || length == 0 {
        return Ok(());
    }
    match found.content {
        Content::Coming(transfer) => transfer.send(stream, first, length),
        Content::Whole(mut file) => {
            file.seek(SeekFrom::Start(first))?;
            // The standard library lets the kernel move the bytes.
            let sent = io::copy(&mut file.take(length), &mut stream)?;
            // The client was promised more: only the end of the connection can tell it.
            let cut = io::ErrorKind::UnexpectedEof;
            (sent == length).then_some(()).ok_or_else(|| cut.into())
        }
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        405 => "Method Not Allowed",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        416 => "Range Not Satisfiable",
        _ => "Not Found",
    }
}

/// Times are compared as text: after a rollback, what is published is older than what the client has, and another.
fn part(request: &Request, found: &Found) -> Part {
    let same = match (&request.if_none_match, &request.if_modified_since) {
        (Some(tags), _) => tags
            .split(',')
            .any(|tag| tag.trim() == found.tag || tag.trim() == "*"),
        (None, Some(time)) => *time == found.modified,
        (None, None) => false,
    };
    if same {
        return Part::NotModified;
    }
    let still = request.if_range.as_ref();
    if still.is_some_and(|known| *known != found.tag && *known != found.modified) {
        return Part::Whole;
    }
    request
        .range
        .as_ref()
        .map_or(Part::Whole, |range| range_of(range, found.size))
}

/// One range; several at once, and what is no range, are answered with the whole, as RFC 9110 allows.
fn range_of(text: &str, size: u64) -> Part {
    let range = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let Some((first, last)) = range else {
        return Part::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| digits)
    };
    let (first, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => (first, size),
        (None, Some(length)) if first.is_empty() => (size.saturating_sub(length), size),
        _ => return Part::Whole,
    };
    match end.checked_sub(first) {
        Some(length) if length > 0 => Part::Range(first, length),
        _ => Part::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        for (text, part) in [
            ("bytes=0-", Part::Range(0, 10)),
            ("bytes=3-5", Part::Range(3, 3)),
            ("bytes=3-99", Part::Range(3, 7)),
            ("bytes=-4", Part::Range(6, 4)),
            ("bytes=-99", Part::Range(0, 10)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-3", Part::Whole),
            ("bytes=1-2,4-5", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("items=1-2", Part::Whole),
        ] {
            assert_eq!(range_of(text, 10), part, "{text}");
        }
    }
}
