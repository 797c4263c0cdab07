//! Clients of a container's services, which never stop asking: what was answered, and the longest time without an answer.
//!
//! Each is a thread in the container's network and nothing else of it. It speaks the service's own protocol, so that a
//! request costs a millisecond and an answer is the service's word: whatever it acknowledged must be there in the end.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two requests, and before a service is asked again that did not answer.
const BREATH: Duration = Duration::from_millis(2);

/// No answer is waited for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Service {
    /// A page, over a new connection each time.
    Nginx,
    /// The next number, over one connection as long as that lasts.
    Redis,
    /// A row with the next number, likewise.
    Postgresql,
}

/// One that is at work.
pub(super) struct Client {
    counters: Arc<Counters>,
    thread: JoinHandle<u64>,
}

#[derive(Debug, Default)]
struct Counters {
    stop: AtomicBool,
    answers: AtomicU64,
    /// The longest time without an answer since it was last asked for, in microseconds.
    silence: AtomicU64,
}

impl Client {
    /// Begins to ask a service of the container whose process 1 this is.
    pub(super) fn begin(init: u64, service: Service) -> Self {
        let counters = Arc::new(Counters::default());
        let network = File::open(format!("/proc/{init}/ns/net")).unwrap();
        let shared = Arc::clone(&counters);
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            ask(service, &shared)
        });
        let client = Self { counters, thread };
        client.next_answer();
        client
    }

    /// Waits for an answer to something that is asked from now on.
    pub(super) fn next_answer(&self) {
        let before = self.counters.answers.load(Ordering::Relaxed);
        crate::tiny::wait_until("the service answers", || {
            self.counters.answers.load(Ordering::Relaxed) > before + 1
        });
    }

    /// The longest time without an answer since this was last asked.
    pub(super) fn silence(&self) -> Duration {
        self.next_answer();
        Duration::from_micros(self.counters.silence.swap(0, Ordering::Relaxed))
    }

    /// The last number that was acknowledged, after nothing more is asked.
    pub(super) fn end(self) -> u64 {
        self.counters.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn ask(service: Service, counters: &Counters) -> u64 {
    let mut last = 0;
    let mut connection = None;
    let mut answered = Instant::now();
    while !counters.stop.load(Ordering::Relaxed) {
        match request(service, &mut connection, last) {
            Ok(number) => {
                assert!(number > last, "{service:?} said {last}, and then {number}");
                last = number;
                counters.answers.fetch_add(1, Ordering::Relaxed);
                let silence = u64::try_from(answered.elapsed().as_micros()).unwrap();
                counters.silence.fetch_max(silence, Ordering::Relaxed);
                answered = Instant::now();
            }
            Err(error) => {
                assert!(answered.elapsed() < 12 * PATIENCE, "{service:?}: {error}");
                connection = None;
            }
        }
        std::thread::sleep(BREATH);
    }
    last
}

/// The number of an answer, more than that of the last.
fn request(service: Service, connection: &mut Option<TcpStream>, last: u64) -> io::Result<u64> {
    let port = match service {
        Service::Nginx => 80,
        Service::Redis => 6379,
        Service::Postgresql => 5432,
    };
    let stream = if let Some(stream) = connection {
        stream
    } else {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        if let Service::Postgresql = service {
            postgresql::begin(&mut stream)?;
        }
        connection.insert(stream)
    };
    match service {
        Service::Nginx => {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut page = String::new();
            stream.read_to_string(&mut page)?;
            *connection = None;
            let fine = page.starts_with("HTTP/1.1 200") && page.ends_with("\r\n\r\nhello\n");
            fine.then_some(last + 1).ok_or_else(|| refused(&page))
        }
        Service::Redis => {
            stream.write_all(b"INCR turns\r\n")?;
            let mut answer = [0; 64];
            let length = stream.read(&mut answer)?;
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            let number = answer.strip_prefix(':').and_then(|n| n.trim().parse().ok());
            number.ok_or_else(|| refused(&answer))
        }
        Service::Postgresql => {
            // The row may be there although the answer did not come.
            let row = last + 1;
            postgresql::query(
                stream,
                &format!("insert into turns values ({row}) on conflict do nothing"),
            )?;
            Ok(row)
        }
    }
}

fn refused(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

/// As much of version 3 of its protocol as a trusted client needs.
mod postgresql {
    use super::{Read as _, TcpStream, Write as _, io, refused};

    pub(super) fn begin(stream: &mut TcpStream) -> io::Result<()> {
        let startup = b"\0\x03\0\0user\0app\0database\0app\0\0";
        let length = u32::try_from(startup.len() + 4).unwrap();
        stream.write_all(&[&length.to_be_bytes(), &startup[..]].concat())?;
        until_ready(stream)
    }

    pub(super) fn query(stream: &mut TcpStream, text: &str) -> io::Result<()> {
        let length = u32::try_from(text.len() + 5).unwrap();
        let message = [b"Q", &length.to_be_bytes()[..], text.as_bytes(), b"\0"];
        stream.write_all(&message.concat())?;
        until_ready(stream)
    }

    /// Reads messages up to the one that says that the next query may come.
    fn until_ready(stream: &mut TcpStream) -> io::Result<()> {
        loop {
            let mut header = [0; 5];
            stream.read_exact(&mut header)?;
            let [kind, length @ ..] = header;
            let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
            stream.read_exact(&mut body)?;
            match kind {
                b'Z' => return Ok(()),
                b'E' => return Err(refused(&String::from_utf8_lossy(&body))),
                _ => {}
            }
        }
    }
}
