//! How a file comes into the store: staged, then renamed into place under the shared guard of its directory.
//!
//! Not durable by itself: one `syncfs` before a commit is ([`super::Store::sync`]). Whoever puts or reuses a file
//! gives it a time that is not before the start of the build it works for, so that gc leaves it alone (`builds.rs`).

use super::Access;
use super::agreement::{lock_directory, modified, set_modified, time_of};
use super::builds::BuildDir;
use super::layout::Layout;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{FileGuard, Share};

/// The staging directory of one open store, made when something is first put or reused.
#[derive(Debug)]
pub(super) struct Staging {
    layout: Layout,
    access: Access,
    build: OnceLock<BuildDir>,
    making: Mutex<()>,
}

impl Staging {
    pub(super) const fn new(layout: Layout, access: Access) -> Self {
        Self {
            layout,
            access,
            build: OnceLock::new(),
            making: Mutex::new(()),
        }
    }

    /// The directory. Costs one comparison after the first call.
    pub(super) fn get(&self) -> Result<&BuildDir, FileError> {
        if let Some(build) = self.build.get() {
            return Ok(build);
        }
        if self.access == Access::ReadOnly {
            let error = io::ErrorKind::ReadOnlyFilesystem.into();
            return Err(FileError::on("stage in", self.layout.builds())(error));
        }
        let _one = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(build) = self.build.get() {
            return Ok(build);
        }
        let build = BuildDir::begin(&self.layout)?;
        Ok(self.build.get_or_init(|| build))
    }

    /// Whether the store may be changed.
    pub(super) fn is_writable(&self) -> bool {
        self.access == Access::ReadWrite
    }

    /// Makes an empty file in the staging directory.
    pub(super) fn stage(&self, mode: u32) -> Result<(PathBuf, File), FileError> {
        let path = self.get()?.fresh_path();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(FileError::on("create", &path))?;
        Ok((path, file))
    }

    /// Makes a staged file with these bytes.
    pub(super) fn stage_bytes(
        &self,
        mode: u32,
        bytes: &[u8],
    ) -> Result<(PathBuf, File), FileError> {
        let (path, mut file) = self.stage(mode)?;
        file.write_all(bytes)
            .map_err(FileError::on("write", &path))?;
        Ok((path, file))
    }

    /// Renames a staged file into its place, which may be taken: a mount that has the old file open keeps it.
    pub(super) fn place(&self, staged: &Path, file: &File, path: &Path) -> Result<(), FileError> {
        let started = self.get()?.started();
        let written = modified(file).map_err(FileError::on("read", staged))?;
        if written < started {
            // The clock went back since this build began.
            set_modified(file, started).map_err(FileError::on("touch", staged))?;
        }
        let _shared = lock_shared(path.parent().unwrap_or(path))?;
        rustix::fs::rename(staged, path)
            .map_err(io::Error::from)
            .map_err(FileError::on("put in place", path))
    }

    /// Keeps a file of the store from gc while this store is open; returns its size, or `None` if it is not there.
    pub(super) fn protect(&self, path: &Path) -> Result<Option<u64>, FileError> {
        let started = self.get()?.started();
        // Most files are new: no lock is needed to see that. One that appears just now is written twice, no more.
        if !path.exists() {
            return Ok(None);
        }
        let _shared = lock_shared(path.parent().unwrap_or(path))?;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::on("open", path)(error)),
        };
        let metadata = file.metadata().map_err(FileError::on("read", path))?;
        if time_of(&metadata) < started {
            set_modified(&file, started).map_err(FileError::on("touch", path))?;
        }
        Ok(Some(metadata.len()))
    }
}

/// The shared side of a directory's guard; gc takes the exclusive side while it removes. Shards are made here.
fn lock_shared(directory: &Path) -> Result<FileGuard, FileError> {
    match lock_directory(directory, Share::Shared) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
            match fs::DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    Err(FileError::on("create directory", directory)(error))
                }
                _ => lock_directory(directory, Share::Shared),
            }
        }
        other => other,
    }
}
