//! Staging directories of running builds: `tmp/<build>/`, alive while a lock inside is held, rubbish afterwards.
//!
//! A build also has a *start*: everything it puts or reuses in the store is touched and so carries a time not before
//! it. Garbage collection keeps what is not older than the start of the oldest running build; that is all the
//! protection a build needs, however long it runs. Starts never run backwards, even where the clock does.

use super::agreement::{lock_directory, modified, set_modified};
use super::layout::Layout;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use vzpkg_metadata::Timestamp;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{Attempt, FileGuard, Share};

const LOCK: &str = "lock";

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// The staging directory of a running build of this process. Removed with everything in it when dropped; a process
/// that is killed leaves it behind as rubbish, which the next gc removes.
#[derive(Debug)]
pub struct BuildDir {
    path: PathBuf,
    started: Timestamp,
    serial: AtomicU64,
    _lock: FileGuard,
}

/// A build directory that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundBuild {
    pub(super) path: PathBuf,
    /// When it started; `None` for the rubbish of a dead one.
    pub(super) alive_since: Option<Timestamp>,
}

impl BuildDir {
    /// Makes a new one.
    pub(super) fn begin(layout: &Layout) -> Result<Self, FileError> {
        let builds = layout.builds();
        // Whoever judges which directories are dead holds the exclusive side, so none is judged half made.
        let _shared = lock_directory(&builds, Share::Shared)?;
        let path = make_directory(&builds)?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(FileError::on("create", &lock_path))?;
        let lock =
            FileGuard::wait(lock, Share::Exclusive).map_err(FileError::on("lock", &lock_path))?;
        let newest = find(&builds)?
            .into_iter()
            .filter_map(|build| build.alive_since)
            .max();
        let mut started = modified(&lock).map_err(FileError::on("read", &lock_path))?;
        if let Some(newest) = newest.filter(|newest| *newest > started) {
            set_modified(&lock, newest).map_err(FileError::on("touch", &lock_path))?;
            started = newest;
        }
        Ok(Self {
            path,
            started,
            serial: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// Its path. The owner may make files and directories in it whose names are not all digits.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When it started, as the file system tells time.
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// A path in it that was never given out before.
    pub fn fresh_path(&self) -> PathBuf {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        self.path.join(serial.to_string())
    }
}

impl Drop for BuildDir {
    fn drop(&mut self) {
        // What cannot be removed now is rubbish that gc finds.
        drop(fs::remove_dir_all(&self.path));
    }
}

fn make_directory(builds: &Path) -> Result<PathBuf, FileError> {
    loop {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = builds.join(format!("{}.{serial}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            // Left by a dead process that had the same id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileError::on("create directory", &path)(error)),
        }
    }
}

/// Every build directory, alive or dead. The caller holds a lock of the builds directory.
fn find(builds: &Path) -> Result<Vec<FoundBuild>, FileError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(builds).map_err(FileError::on("list", builds))? {
        let path = entry.map_err(FileError::on("list", builds))?.path();
        let lock_path = path.join(LOCK);
        let lock = match File::open(&lock_path) {
            Ok(lock) => Some(lock),
            // A file, or a directory whose maker died before it had a lock.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                None
            }
            Err(error) => return Err(FileError::on("open", &lock_path)(error)),
        };
        let alive_since = match lock {
            Some(lock) => match FileGuard::attempt(lock, Share::Shared)
                .map_err(FileError::on("lock", &lock_path))?
            {
                Attempt::Held(_) => None,
                Attempt::Busy(lock) => {
                    Some(modified(&lock).map_err(FileError::on("read", &lock_path))?)
                }
            },
            None => None,
        };
        found.push(FoundBuild { path, alive_since });
    }
    Ok(found)
}

/// Every build directory, alive or dead. Waits for builds that are just being begun.
pub(super) fn list(layout: &Layout) -> Result<Vec<FoundBuild>, FileError> {
    let builds = layout.builds();
    let _exclusive = lock_directory(&builds, Share::Exclusive)?;
    find(&builds)
}
