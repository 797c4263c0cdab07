//! HTTP/1.1 without TLS and proxy, on the thread that asks: most archives are read so, for what counts there is signed.
//!
//! A package goes from the socket into one buffer, and from there to the hash and the file. `reqwest` takes it through a
//! thread and a runtime of its own, which costs more than all the rest of a download from a near server. Only what is
//! needed for that is here: an answer in one piece. To everything else (a redirect, chunks, a user name) this says
//! `None`, and [`super::http`] asks again, and the next time at once.

mod connection;
mod content;

use super::{Answer, Ask, Body};
use crate::clock::Clock;
use crate::error::TransportError;
use crate::options::{ClientOptions, Timeouts};
use connection::{Answered, Connection, NoHead, request};
use content::Content;
use reqwest::Url;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A server is asked on a connection that was idle for so long, and no longer.
const IDLE: Duration = Duration::from_mins(1);

/// How long each address of a server is tried before the next is, as long as none has answered.
const EAGER: Duration = Duration::from_millis(300);

/// Servers that are asked directly, and connections to them.
#[derive(Debug)]
pub(super) struct Direct {
    timeouts: Timeouts,
    clock: Arc<dyn Clock>,
    /// Idle connections of a server.
    most: usize,
    through_proxy: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By host and port, each with the time since when it is idle.
    idle: BTreeMap<String, Vec<(Duration, Connection)>>,
    /// Servers that said something which is not for us.
    detours: BTreeSet<String>,
}

impl Direct {
    pub(super) fn new(options: &ClientOptions) -> Self {
        Self {
            timeouts: options.timeouts,
            clock: Arc::clone(&options.clock),
            most: options.connections,
            through_proxy: options.proxies.http.is_some(),
            known: Mutex::default(),
        }
    }

    /// Whether this address may be asked directly, as far as that is known.
    pub(super) fn reaches(&self, url: &Url) -> bool {
        url.scheme() == "http"
            && !self.through_proxy
            && url.username().is_empty()
            && url.password().is_none()
            && server_of(url).is_some_and(|server| !self.known().detours.contains(&server))
    }

    /// Asks; `None` where the answer is not for us.
    pub(super) fn open(
        self: &Arc<Self>,
        url: &Url,
        ask: &Ask<'_>,
    ) -> Result<Option<Answer>, TransportError> {
        let (Some(server), Some(request)) = (server_of(url), request(url, ask)) else {
            return Ok(None);
        };
        let failed = |source: io::Error| TransportError::Connect {
            source: source.into(),
        };
        loop {
            let idle = self.idle(&server);
            let is_new = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.connect(url).map_err(failed)?,
            };
            let until = self
                .clock
                .elapsed()
                .saturating_add(self.timeouts.no_progress);
            match connection.ask(&request, until, self.clock.as_ref()) {
                Ok(answered) => return self.answer(server, connection, answered, ask).map(Some),
                Err(NoHead::Stale) if !is_new => {}
                Err(NoHead::Stale) => return Err(failed(ErrorKind::UnexpectedEof.into())),
                Err(NoHead::Failed(error)) => return Err(failed(error)),
                Err(NoHead::NotForUs) => {
                    self.known().detours.insert(server);
                    return Ok(None);
                }
            }
        }
    }

    fn answer(
        self: &Arc<Self>,
        server: String,
        connection: Connection,
        Answered { head, keep }: Answered,
        ask: &Ask<'_>,
    ) -> Result<Answer, TransportError> {
        let offset = head.judge(ask)?;
        let length = offset.map_or(Some(0), |_| head.length);
        let home = keep.then(|| (Arc::clone(self), server));
        let content = Content::new(connection, length, home);
        Ok(match offset {
            None => Answer::NotModified,
            Some(offset) => Answer::Body(Body {
                offset,
                length: head.length,
                validator: head.validator,
                reader: Box::new(content),
            }),
        })
    }

    /// A connection to this server that is still open.
    fn idle(&self, server: &str) -> Option<Connection> {
        let now = self.clock.elapsed();
        loop {
            let (since, connection) = self.known().idle.get_mut(server)?.pop()?;
            if now.saturating_sub(since) < IDLE && connection.is_silent() {
                return Some(connection);
            }
        }
    }

    fn keep(&self, server: String, connection: Connection) {
        let now = self.clock.elapsed();
        let mut known = self.known();
        let idle = known.idle.entry(server).or_default();
        if idle.len() < self.most {
            idle.push((now, connection));
        }
    }

    /// Connects to the first of the server's addresses that answers.
    fn connect(&self, url: &Url) -> io::Result<Connection> {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().unwrap_or(80);
        let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
        let mut last = io::Error::from(ErrorKind::NotFound);
        for patience in [EAGER, self.timeouts.connect] {
            let patience = if addresses.len() > 1 {
                patience.min(self.timeouts.connect)
            } else {
                self.timeouts.connect
            };
            let mut silent = Vec::new();
            for address in addresses {
                match TcpStream::connect_timeout(&address, patience) {
                    Ok(stream) => return Connection::new(stream, self.timeouts.no_progress),
                    Err(error) if error.kind() == ErrorKind::TimedOut => {
                        silent.push(address);
                        last = error;
                    }
                    Err(error) => last = error,
                }
            }
            if patience == self.timeouts.connect {
                break;
            }
            addresses = silent;
        }
        Err(last)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Host and port.
fn server_of(url: &Url) -> Option<String> {
    let port = url.port_or_known_default()?;
    Some(format!("{}:{port}", url.host_str()?))
}

#[cfg(test)]
mod tests;
