//! An HTTP server for tests: serves a directory, keeps account of every request, and misbehaves where it is told to.
//!
//! It speaks enough of HTTP/1.1 for a package client: keep-alive, `Range`, `If-Range`, `If-None-Match`,
//! `If-Modified-Since`, and the requests that a client sends to a proxy. It listens on an unused port of 127.0.0.1 and ends with the value that started it.

mod answer;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Promises the whole body, sends this many bytes of it and closes the connection.
    CutAfter(u64),
    /// Never answers.
    Hang,
    /// Sends the headers and this many bytes, then nothing more, with the connection open.
    HangAfter(u64),
    /// Sends the headers and at least this many bytes, and the rest when the server is [healed](HttpServer::heal).
    HoldAfter(u64),
    /// Sends `chunk` bytes, pauses, sends the next.
    Slow {
        /// Bytes at a time.
        chunk: usize,
        /// Between two chunks.
        pause: Duration,
    },
    /// Answers with this status and a short body.
    Status(u16),
    /// Answers 200 with these bytes instead of the file's: wrong bytes, old content, an error page.
    Body(Vec<u8>),
    /// Answers 200 without a length and never stops sending.
    Endless,
    /// Answers 200 with the whole file though a range was asked for.
    IgnoreRange,
    /// Sends the client elsewhere (302).
    Redirect(String),
    /// Sends these bytes instead of any answer, and closes.
    Raw(Vec<u8>),
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// The next request only.
    Once,
    /// The next so many requests.
    Next(u32),
    /// From now on.
    Always,
}

/// Which validators the server sends (and honours).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validators {
    /// Neither, as some mirrors do.
    None,
    /// A strong `ETag`, made from the content.
    ETag,
    /// `Last-Modified`, made from the file's time.
    LastModified,
}

/// One request as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `HEAD`.
    pub method: String,
    /// The path as sent, `/dists/…`.
    pub path: String,
    /// Header names in lower case with their values.
    pub headers: BTreeMap<String, String>,
    /// The status that was sent; 0 if none was.
    pub status: u16,
    /// Bytes of the body that were sent (or at least handed to the kernel).
    pub sent: u64,
}

/// A server over one directory. Stops when dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    root: PathBuf,
    stopped: AtomicBool,
    healed: AtomicU64,
    plan: Mutex<Plan>,
    requests: Mutex<Account>,
    connections: Mutex<Vec<TcpStream>>,
}

/// Requests as they begin, with a number each; what is sent is added before it is sent, so that a client that has its
/// answer finds it in the account.
#[derive(Debug, Default)]
struct Account {
    next: u64,
    requests: Vec<(u64, Request)>,
}

#[derive(Debug)]
struct Plan {
    faults: Vec<(String, Times, Fault)>,
    validators: Validators,
}

impl HttpServer {
    /// Serves the files below `root`, which may change at any time.
    pub fn serve(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            root: root.to_owned(),
            stopped: AtomicBool::new(false),
            healed: AtomicU64::new(0),
            plan: Mutex::new(Plan {
                faults: Vec::new(),
                validators: Validators::ETag,
            }),
            requests: Mutex::default(),
            connections: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &shared));
        Self { address, state }
    }

    /// `http://127.0.0.1:PORT`, without a final `/`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Plans a fault for a path (`/dists/stable/InRelease`; `*` is every path). Of several plans for one path the
    /// oldest that is not used up strikes.
    pub fn fault(&self, path: &str, times: Times, fault: Fault) {
        self.plan().faults.push((path.to_owned(), times, fault));
    }

    /// Forgets all planned faults, and goes on with what is held.
    pub fn heal(&self) {
        self.plan().faults.clear();
        self.state.healed.fetch_add(1, Ordering::SeqCst);
    }

    /// Chooses which validators are sent; [`Validators::ETag`] at first.
    pub fn validators(&self, validators: Validators) {
        self.plan().validators = validators;
    }

    /// All requests since the start or since [`HttpServer::forget_requests`], in the order of their answers.
    pub fn requests(&self) -> Vec<Request> {
        let account = lock(&self.state.requests);
        account
            .requests
            .iter()
            .map(|(_, request)| request.clone())
            .collect()
    }

    /// The requests for one path.
    pub fn requests_of(&self, path: &str) -> Vec<Request> {
        let requests = self.requests().into_iter();
        requests.filter(|request| request.path == path).collect()
    }

    /// Bytes of bodies that were sent for one path, over all its requests.
    pub fn sent(&self, path: &str) -> u64 {
        self.requests_of(path)
            .iter()
            .map(|request| request.sent)
            .sum()
    }

    /// Begins a new account of requests.
    pub fn forget_requests(&self) {
        lock(&self.state.requests).requests.clear();
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.state.plan)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; it sees the flag and ends.
        drop(TcpStream::connect(self.address));
        for connection in lock(&self.state.connections).drain(..) {
            // It may have been closed by the client already.
            drop(connection.shutdown(Shutdown::Both));
        }
    }
}

impl State {
    /// The fault that strikes this request, used up by one.
    fn take_fault(&self, path: &str) -> Option<Fault> {
        let mut plan = lock(&self.plan);
        let position = plan
            .faults
            .iter()
            .position(|(of, ..)| of == path || of == "*")?;
        let (_, times, fault) = &mut plan.faults[position];
        let fault = fault.clone();
        *times = match *times {
            Times::Always => return Some(fault),
            Times::Next(left) if left > 1 => Times::Next(left - 1),
            Times::Next(_) | Times::Once => {
                plan.faults.remove(position);
                return Some(fault);
            }
        };
        Some(fault)
    }

    /// Enters a request into the account.
    fn record(&self, request: Request) -> u64 {
        let mut account = lock(&self.requests);
        let number = account.next;
        account.next += 1;
        account.requests.push((number, request));
        number
    }

    /// Adds bytes to a request, unless it was forgotten.
    fn add_sent(&self, number: u64, bytes: usize) {
        let mut account = lock(&self.requests);
        let request = account.requests.iter_mut().find(|(of, _)| *of == number);
        if let Some((_, request)) = request {
            request.sent += bytes as u64;
        }
    }
}

/// A poisoned lock means that another thread's test already failed; the data is still good for this one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(copy) = stream.try_clone() {
            lock(&state.connections).push(copy);
        }
        let state = Arc::clone(state);
        thread::spawn(move || serve_connection(&stream, &state));
    }
}

/// Answers requests until the client or a fault ends the connection.
fn serve_connection(stream: &TcpStream, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let fault = state.take_fault(&request.path);
        if !answer::answer(stream, state, request, fault.as_ref()) {
            break;
        }
    }
    // The server keeps a copy of the stream, so dropping this one would not close it.
    drop(stream.shutdown(Shutdown::Both));
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let mut words = line.split_ascii_whitespace();
    let method = words.next()?.to_owned();
    let path = words.next()?;
    // A client that takes this server for its proxy sends whole URLs.
    let path = path.strip_prefix("http://").map_or(path, |rest| {
        rest.find('/').map_or("/", |slash| &rest[slash..])
    });
    let path = path.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Request {
        method,
        path,
        headers,
        status: 0,
        sent: 0,
    })
}

#[cfg(test)]
mod tests;
