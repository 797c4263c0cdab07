//! A small web server for what mirrors publish: files only, with ranges and conditional requests, a thread for each
//! connection. `/NAME/…` is `mirror/NAME/published/…`.
//!
//! With [`Server::on_demand`] it is a caching proxy too: what the signed index names and is not here is fetched.
//!
//! Each request goes through the `published` link anew, so a client sees a new state with its next request. Nothing is
//! listed, nothing is written, and no path leaves the published tree: it is opened below the tree by the kernel's rules.
//! No TLS: for other machines than the node's own network, put a web server in front.

mod answer;
mod demand;
mod file;
mod freshen;
mod request;
mod transfer;

use super::Mirrors;
use super::error::MirrorError;
use demand::{Demand, Unanswered};
use file::Found;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use vzpkg_metadata::durable::FileError;

/// Connections at the same time; further ones are closed at once.
const CONNECTIONS: usize = 512;

/// How long a connection may be idle, and how long one write may take.
const IDLE: Duration = Duration::from_secs(30);

/// Between two looks at whether the server shall end, in nanoseconds.
const TICK: i64 = 100_000_000;

/// A server that listens; it answers while [`Server::run`] does.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    mirrors: Mirrors,
    demand: Option<Arc<Demand>>,
}

impl Mirrors {
    /// Listens on `address`, `127.0.0.1:8080` for example; port 0 is any that is free.
    ///
    /// # Errors
    /// [`MirrorError::Listen`] where that is not possible.
    pub fn listen(&self, address: &str) -> Result<Server, MirrorError> {
        let listen = |source| MirrorError::Listen {
            address: address.to_owned(),
            source,
        };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let mirrors = self.clone();
        Ok(Server {
            listener,
            mirrors,
            demand: None,
        })
    }
}

impl Server {
    /// Also fetches what the published indexes name and is not here, and asks upstream for a newer state of mirrors that
    /// bring nothing by themselves when the one that is published was asked for longer ago than this.
    #[must_use]
    pub fn on_demand(mut self, max_age: Duration) -> Self {
        let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        self.demand = Some(Arc::new(Demand::new(seconds)));
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`MirrorError::File`] where the system does not say.
    pub fn address(&self) -> Result<SocketAddr, MirrorError> {
        let address = self.listener.local_addr();
        Ok(address.map_err(FileError::on("listen on", "socket"))?)
    }

    /// Answers until the user interrupts. Connections that are open then end with the process.
    ///
    /// # Errors
    /// [`MirrorError::File`] where the socket fails.
    pub fn run(&self) -> Result<(), MirrorError> {
        let open = Arc::new(AtomicUsize::new(0));
        let cancel = &self.mirrors.context.options.cancel;
        while !cancel.load(Ordering::Relaxed) {
            let tick = Timespec {
                tv_sec: 0,
                tv_nsec: TICK,
            };
            let mut wanted = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut wanted, Some(&tick)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => {
                    // A client that went away again, or too many open files: the next may do better.
                    if let Ok((stream, _)) = self.listener.accept() {
                        self.begin(stream, &open);
                    }
                }
                Err(error) => {
                    return Err(FileError::on("listen on", "socket")(error.into()).into());
                }
            }
        }
        Ok(())
    }

    fn begin(&self, stream: TcpStream, open: &Arc<AtomicUsize>) {
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let (mirrors, ended) = (self.mirrors.clone(), Arc::clone(open));
        let demand = self.demand.clone();
        let spawned = thread::Builder::new().spawn(move || {
            if let Err(error) = converse(&stream, &mirrors, demand.as_ref())
                && !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            {
                tracing::debug!(%error, "connection ended");
            }
            ended.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Answers one request after the other.
fn converse(stream: &TcpStream, mirrors: &Mirrors, demand: Option<&Arc<Demand>>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut reader = request::Reader::new(stream);
    loop {
        match reader.read()? {
            request::Next::End => return Ok(()),
            request::Next::Malformed => return answer::refuse(stream, 400),
            request::Next::Request(request) => {
                match find(mirrors, demand, &request.path) {
                    Ok(found) => answer::send(stream, &request, found)?,
                    Err(status) => answer::decline(stream, status)?,
                }
                if request.close {
                    return Ok(());
                }
            }
        }
    }
}

/// The file that a path stands for, `None` where there is none, or the status that says why there is no answer.
fn find(mirrors: &Mirrors, demand: Option<&Arc<Demand>>, path: &str) -> Result<Option<Found>, u16> {
    let Some(asked) = file::asked(path) else {
        return Ok(None);
    };
    let Some(demand) = demand else {
        return Ok(file::published(&mirrors.layout, &asked));
    };
    let now = jiff::Timestamp::now().as_second();
    demand.news.refresh(mirrors, &asked, now);
    if let Some(found) = file::published(&mirrors.layout, &asked) {
        return Ok(Some(found));
    }
    match demand.fetch(mirrors, &asked, now) {
        Ok(found) => Ok(Some(found)),
        Err(Unanswered::Unknown) => Ok(None),
        Err(Unanswered::Busy) => Err(503),
        Err(Unanswered::Upstream) => Err(502),
    }
}
