//! The bytes that follow a head, as many as it announced. At their end the connection goes back to where others find it.

use super::Direct;
use super::connection::Connection;
use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::Arc;

/// What was announced and is still to come.
#[derive(Debug)]
pub(super) struct Content {
    /// `None` at the end.
    connection: Option<Connection>,
    /// `None`: as much as comes until the server closes the connection.
    left: Option<u64>,
    /// Where the connection belongs; nowhere if the server is going to close it.
    home: Option<(Arc<Direct>, String)>,
}

impl Content {
    pub(super) fn new(
        connection: Connection,
        length: Option<u64>,
        home: Option<(Arc<Direct>, String)>,
    ) -> Self {
        let mut content = Self {
            connection: Some(connection),
            left: length,
            home,
        };
        if length == Some(0) {
            content.end();
        }
        content
    }

    fn end(&mut self) {
        let (connection, home) = (self.connection.take(), self.home.take());
        if let (Some(connection), Some((direct, server))) = (connection, home) {
            // What follows nobody asked for.
            if connection.is_used_up() {
                direct.keep(server, connection);
            }
        }
    }
}

impl Read for Content {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(to)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Content {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let Some(connection) = &mut self.connection else {
            return Ok(&[]);
        };
        let here = connection.read()?;
        let Some(left) = self.left else {
            return Ok(here);
        };
        if here.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        Ok(here.get(..most).unwrap_or(here))
    }

    fn consume(&mut self, bytes: usize) {
        if let Some(connection) = &mut self.connection {
            connection.used(bytes);
        }
        self.left = self.left.map(|left| left.saturating_sub(bytes as u64));
        if self.left == Some(0) {
            self.end();
        }
    }
}
