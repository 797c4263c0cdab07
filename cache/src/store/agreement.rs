//! What those who put files into the store and those who remove them agree on: the lock of the directory, and the time of
//! the file. What they conclude from it is theirs ([`super::builds`], [`super::staging`], [`super::gc`]).

use rustix::fs::{Timespec, Timestamps, futimens};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use vzpkg_metadata::Timestamp;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{FileGuard, Share};

/// Opens and locks a directory, waiting for whoever has it.
pub(super) fn lock_directory(path: &Path, share: Share) -> Result<FileGuard, FileError> {
    let directory = File::open(path).map_err(FileError::on("open", path))?;
    FileGuard::wait(directory, share).map_err(FileError::on("lock", path))
}

/// The modification time of an open file.
pub(super) fn modified(file: &File) -> io::Result<Timestamp> {
    file.metadata().map(|metadata| time_of(&metadata))
}

/// The modification time among metadata.
pub(super) fn time_of(metadata: &fs::Metadata) -> Timestamp {
    Timestamp {
        seconds: metadata.mtime(),
        nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or_default(),
    }
}

/// Sets the modification time of an open file.
pub(super) fn set_modified(file: &File, time: Timestamp) -> io::Result<()> {
    let time = Timespec {
        tv_sec: time.seconds,
        tv_nsec: i64::from(time.nanoseconds),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(futimens(file, &times)?)
}
