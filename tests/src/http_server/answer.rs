//! One answer: which bytes with which headers, and how a planned fault spoils it.

use super::{Fault, Request, State, Validators, lock};
use crate::tools::{rfc_date, sha256};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// A file with what is said about it.
struct Resource {
    content: Vec<u8>,
    validator: Option<(&'static str, String)>,
}

/// An answer before it is sent.
struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

/// Answers and records one request. Returns whether the connection may go on.
pub(super) fn answer(
    stream: &TcpStream,
    state: &State,
    mut request: Request,
    fault: Option<&Fault>,
) -> bool {
    let ignore_range = fault == Some(&Fault::IgnoreRange);
    let mut answer = match fault {
        Some(Fault::Hang) => {
            state.record(request);
            wait_for_end(stream);
            return false;
        }
        Some(Fault::Raw(bytes)) => {
            request.sent = bytes.len() as u64;
            state.record(request);
            drop((&mut &*stream).write_all(bytes));
            return false;
        }
        Some(Fault::Status(status)) => Answer::status(*status),
        Some(Fault::Redirect(target)) => Answer {
            headers: format!("Location: {target}\r\n"),
            ..Answer::status(302)
        },
        Some(Fault::Body(bytes)) => Answer {
            status: 200,
            headers: String::new(),
            body: bytes.clone(),
        },
        _ => regular(state, &request, ignore_range),
    };
    if request.method == "HEAD" {
        answer.body.clear();
    }
    request.status = answer.status;
    let number = state.record(request);
    let healed = state.healed.load(Ordering::SeqCst);
    let hold = || {
        while state.healed.load(Ordering::SeqCst) == healed && !state.stopped.load(Ordering::SeqCst)
        {
            thread::sleep(Duration::from_millis(2));
        }
    };
    let sent = |bytes| state.add_sent(number, bytes);
    let end = send(stream, &answer, fault, &sent, &hold);
    if matches!(fault, Some(Fault::HangAfter(_))) {
        wait_for_end(stream);
    }
    end.is_ok_and(|keep| keep)
}

/// Blocks until the client gives up or the server is dropped.
fn wait_for_end(mut stream: &TcpStream) {
    let mut rest = [0_u8; 64];
    while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
}

/// Sends headers and body, spoilt by the fault. Returns whether the connection may go on.
fn send(
    mut stream: &TcpStream,
    answer: &Answer,
    fault: Option<&Fault>,
    sent: &dyn Fn(usize),
    hold: &dyn Fn(),
) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Answer\r\n{}", answer.status, answer.headers);
    if matches!(fault, Some(Fault::Endless)) {
        head.push_str("Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        loop {
            sent(8192);
            stream.write_all(&[b'x'; 8192])?;
        }
    }
    if answer.status != 304 {
        write!(head, "Content-Length: {}\r\n", answer.body.len()).unwrap();
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    let limit = match fault {
        Some(Fault::CutAfter(limit) | Fault::HangAfter(limit)) => {
            answer.body.len().min(usize::try_from(*limit).unwrap())
        }
        _ => answer.body.len(),
    };
    let (chunk, pause) = match fault {
        Some(Fault::Slow { chunk, pause }) => (*chunk, Some(*pause)),
        _ => (65_536, None),
    };
    let held = match fault {
        Some(Fault::HoldAfter(bytes)) => Some(usize::try_from(*bytes).unwrap()),
        _ => None,
    };
    for (number, part) in answer.body[..limit].chunks(chunk).enumerate() {
        if held.is_some_and(|held| number * chunk >= held) {
            hold();
        }
        sent(part.len());
        stream.write_all(part)?;
        if let Some(pause) = pause {
            thread::sleep(pause);
        }
    }
    Ok(!matches!(fault, Some(Fault::CutAfter(_))))
}

/// What a server without faults would say.
fn regular(state: &State, request: &Request, ignore_range: bool) -> Answer {
    let Some(resource) = load(state, &request.path) else {
        return Answer::status(404);
    };
    let mut headers = String::from("Accept-Ranges: bytes\r\n");
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    if let Some((name, value)) = &resource.validator {
        write!(headers, "{name}: {value}\r\n").unwrap();
        let asked = match *name {
            "ETag" => header("if-none-match"),
            _ => header("if-modified-since"),
        };
        if asked == Some(value) {
            return Answer {
                status: 304,
                headers,
                body: Vec::new(),
            };
        }
    }
    let current = resource.validator.as_ref().map(|(_, value)| value.as_str());
    let usable = header("if-range").is_none_or(|asked| Some(asked) == current);
    let range = header("range").filter(|_| usable && !ignore_range);
    match range.map(|range| slice(range, &resource.content)) {
        None => Answer {
            status: 200,
            headers,
            body: resource.content,
        },
        Some(Some((first, body))) => {
            let (last, all) = (first + body.len() - 1, resource.content.len());
            write!(headers, "Content-Range: bytes {first}-{last}/{all}\r\n").unwrap();
            Answer {
                status: 206,
                headers,
                body: body.to_vec(),
            }
        }
        Some(None) => Answer::status(416),
    }
}

/// The bytes that `bytes=FIRST-[LAST]` asks for, with the number of the first.
fn slice<'a>(range: &str, content: &'a [u8]) -> Option<(usize, &'a [u8])> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let end = match last {
        "" => content.len(),
        last => last.parse::<usize>().ok()? + 1,
    };
    let body = content.get(first..end.min(content.len()))?;
    (!body.is_empty()).then_some((first, body))
}

fn load(state: &State, path: &str) -> Option<Resource> {
    let path = decoded(path.split('?').next()?);
    let relative = Path::new(path.strip_prefix('/')?);
    let clean = relative
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    let file = clean.then(|| state.root.join(relative))?;
    let metadata = fs::metadata(&file).ok().filter(fs::Metadata::is_file)?;
    let content = fs::read(&file).ok()?;
    let validator = match lock(&state.plan).validators {
        Validators::None => None,
        Validators::ETag => Some(("ETag", format!("\"{}\"", &sha256(&content)[..16]))),
        Validators::LastModified => Some(("Last-Modified", rfc_date(metadata.mtime(), "GMT"))),
    };
    Some(Resource { content, validator })
}

/// Replaces `%XX` by its byte.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Answer {
    fn status(status: u16) -> Self {
        Self {
            status,
            headers: String::new(),
            body: format!("{status}\n").into_bytes(),
        }
    }
}
