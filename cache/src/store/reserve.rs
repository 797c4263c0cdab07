//! The reserve: space set aside so that removing works on a full disk, where SQLite could not even note a removal.

use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// Room for SQLite's log and a few directories.
const BYTES: u64 = 8 << 20;

/// Space that was given back. It is set aside again when this is dropped, as far as the disk has it by then.
#[derive(Debug)]
#[must_use = "the space is taken again at once"]
pub struct Reserve {
    pub(super) path: PathBuf,
}

impl Drop for Reserve {
    fn drop(&mut self) {
        set_aside(&self.path);
    }
}

/// Sets the reserve aside if it is not there. A store without one works; only a full disk is then harder to leave.
pub(super) fn set_aside(path: &PathBuf) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == BYTES) {
        return;
    }
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let done = file.is_ok_and(|file| fallocate(file, FallocateFlags::empty(), 0, BYTES).is_ok());
    if !done {
        // A file system without fallocate, or a full one: half a reserve is none.
        drop(fs::remove_file(path));
    }
}
