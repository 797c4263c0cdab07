//! The lock behind every guard between processes: an `flock` that ends with its value, and with its process at the latest.
//!
//! Closing a locked file is not enough to let it go: a child that another thread has just forked still holds a copy of
//! the descriptor until it executes its program, and with it the lock. So dropping a [`FileGuard`] unlocks, which the
//! kernel does for all copies at once (flock(2)). How long one waits for a guard is its user's to say.

mod holder;

pub use holder::Holder;

use std::fs::{File, TryLockError};
use std::io;
use std::ops::{Deref, DerefMut};

/// Who else may hold the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Nobody.
    Exclusive,
    /// Others that asked for the same.
    Shared,
}

/// An open file that is locked until this is dropped.
#[derive(Debug)]
#[must_use = "a guard protects only while it is alive"]
pub struct FileGuard(File);

/// What came of trying to lock a file without waiting.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Held(FileGuard),
    /// Another has it; the open file is given back.
    Busy(File),
}

impl FileGuard {
    /// Locks an open file or directory, waiting for whoever has it.
    ///
    /// # Errors
    /// What flock(2) says; a signal is not an error.
    ///
    /// # Examples
    /// ```
    /// use vzpkg_metadata::guard::{Attempt, FileGuard, Share};
    /// let path = std::env::temp_dir().join(format!("guard-{}", std::process::id()));
    /// let open = || std::fs::File::create(&path);
    /// let held = FileGuard::wait(open()?, Share::Exclusive)?;
    /// assert!(matches!(FileGuard::attempt(open()?, Share::Shared)?, Attempt::Busy(_)));
    /// drop(held);
    /// assert!(matches!(FileGuard::attempt(open()?, Share::Shared)?, Attempt::Held(_)));
    /// std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait(file: File, share: Share) -> io::Result<Self> {
        loop {
            let locked = match share {
                Share::Exclusive => file.lock(),
                Share::Shared => file.lock_shared(),
            };
            match locked {
                Ok(()) => return Ok(Self(file)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Locks an open file or directory if nobody else has it.
    ///
    /// # Errors
    /// What flock(2) says; that another holds the file is not an error.
    pub fn attempt(file: File, share: Share) -> io::Result<Attempt> {
        loop {
            let locked = match share {
                Share::Exclusive => file.try_lock(),
                Share::Shared => file.try_lock_shared(),
            };
            match locked {
                Ok(()) => return Ok(Attempt::Held(Self(file))),
                Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy(file)),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

impl Deref for FileGuard {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for FileGuard {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for FileGuard {
    fn drop(&mut self) {
        // Unlocking an open file does not fail; if it did, closing it right after is what is left to do.
        drop(self.0.unlock());
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, FileGuard, Share};
    use std::fs::File;

    /// As a child between fork and exec has it: a second descriptor of the same open file.
    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let open = || File::open(directory.path()).unwrap();
        let held = FileGuard::wait(open(), Share::Exclusive).unwrap();
        let copy = held.try_clone().unwrap();
        drop(held);
        assert!(matches!(
            FileGuard::attempt(open(), Share::Exclusive).unwrap(),
            Attempt::Held(_)
        ));
        drop(copy);
    }
}
