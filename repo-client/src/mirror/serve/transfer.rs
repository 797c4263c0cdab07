//! A file that is passed on while it is fetched: one fetch, however many clients want it.
//!
//! The clients read from the partial file, behind whoever writes it. **The last byte of an answer waits until the hash of
//! the whole was found right**; where it is wrong, or upstream gives up, the connection is cut before that byte, so that no
//! client can take what it has for the file. What had to be begun anew may differ from what a client has: it is cut off too.

use crate::download::Watch;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that are sent at a time.
const PIECE: usize = 128 << 10;

/// Bytes that must be here before anything is said: a file that does not have so many is known to be right or wrong by
/// then, and who wants a wrong or absent one gets a status instead of a beginning.
const BEGINNING: u64 = 64 << 10;

/// The fetch of one file, seen by those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// How far a fetch is.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// The file that is written, or the one that is whole.
    file: Option<Arc<File>>,
    /// Bytes of it that are here.
    came: u64,
    /// How often it was begun anew.
    restarts: u64,
    end: Option<End>,
}

/// What a fetch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The file is here and right.
    Right,
    /// It is not to be had.
    Failed,
}

impl Transfer {
    /// Waits until there is something to be said, or for the end.
    pub(super) fn begun(&self) -> Option<End> {
        self.wait(|progress| progress.came > BEGINNING).end
    }

    /// The fetch is over, unless it was before. A `file` is whole and right.
    pub(super) fn end(&self, file: Option<File>) {
        let mut progress = self.progress();
        if progress.end.is_some() {
            return;
        }
        progress.end = Some(match file {
            Some(file) => {
                progress.file = Some(Arc::new(file));
                End::Right
            }
            None => End::Failed,
        });
        self.changed.notify_all();
    }

    /// Sends a part of the file as it comes.
    ///
    /// # Errors
    /// Where the client takes nothing more, and where the file turns out to be wrong or does not come.
    pub(super) fn send(&self, mut to: &TcpStream, first: u64, length: u64) -> io::Result<()> {
        let end = first.saturating_add(length);
        // Of what is not known to be right, the last byte stays here.
        let unproved = end.saturating_sub(1);
        let (mut at, mut buffer) = (first, vec![0; PIECE]);
        let mut restarts = self.progress().restarts;
        while at < end {
            let seen = self
                .wait(|progress| progress.restarts != restarts || progress.came.min(unproved) > at);
            if seen.restarts != restarts {
                if at > first {
                    // What was sent is of a file that was thrown away.
                    return Err(ErrorKind::InvalidData.into());
                }
                restarts = seen.restarts;
                continue;
            }
            let upto = match seen.end {
                Some(End::Right) => end,
                // What came before it failed is passed on, whoever of the two is faster.
                Some(End::Failed) if seen.came.min(unproved) <= at => {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                Some(End::Failed) | None => seen.came.min(unproved),
            };
            let file = seen.file.ok_or(ErrorKind::UnexpectedEof)?;
            let wanted = usize::try_from(upto.saturating_sub(at)).unwrap_or(PIECE);
            let piece = buffer.get_mut(..wanted.min(PIECE)).unwrap_or_default();
            let read = file.read_at(piece, at)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            to.write_all(piece.get(..read).unwrap_or_default())?;
            at = at.saturating_add(read as u64);
        }
        Ok(())
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the fetch is over, or so far.
    fn wait(&self, is_enough: impl Fn(&Progress) -> bool) -> Progress {
        let waits = |progress: &mut Progress| progress.end.is_none() && !is_enough(progress);
        let waited = self.changed.wait_while(self.progress(), waits);
        waited.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watch for Transfer {
    fn came(&self, file: &File, bytes: u64) {
        let mut progress = self.progress();
        if bytes < progress.came {
            progress.restarts = progress.restarts.saturating_add(1);
        }
        progress.came = bytes;
        if progress.file.is_none() {
            progress.file = file.try_clone().map(Arc::new).ok();
        }
        self.changed.notify_all();
    }
}
