//! How far a live relink is, for whoever comes after a crash: a file beside the undo record.
//!
//! Written while the container stands still, so what it says is true of the kernel's mounts and of the upper as long as
//! the machine runs. Each state is one write of eight bytes: no reader sees half of one.

use crate::container::ContainerPaths;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use vzpkg_metadata::durable::FileError;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing was changed yet, or everything was undone.
    Planned,
    /// From the first edit to the last namespace: what stands still may move again only when it has gone all the way, or
    /// all the way back.
    Editing,
    /// Every namespace is moved.
    Moved,
}

const PLANNED: &[u8; 8] = b"planned\n";
const EDITING: &[u8; 8] = b"editing\n";
const MOVED: &[u8; 8] = b"moved.  ";

fn path(paths: &ContainerPaths, from_generation: u64) -> PathBuf {
    paths.undo(from_generation).join("live")
}

/// Reads how far the relink from this generation is.
pub(super) fn read(paths: &ContainerPaths, from_generation: u64) -> Result<Progress, FileError> {
    let path = path(paths, from_generation);
    match fs::read(&path) {
        Ok(bytes) if bytes == EDITING => Ok(Progress::Editing),
        Ok(bytes) if bytes == MOVED => Ok(Progress::Moved),
        Ok(_) => Ok(Progress::Planned),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Progress::Planned),
        Err(error) => Err(FileError::on("read", path)(error)),
    }
}

/// The open file: it can be written from another mount namespace.
#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    /// Opens it; it says nothing if it is new.
    pub(super) fn open(paths: &ContainerPaths, from_generation: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path(paths, from_generation))?;
        Ok(Self(file))
    }

    /// Says how far it is. `durable` is for edits that may outlive the machine: then this does too, before they begin.
    pub(super) fn set(&self, progress: Progress, durable: bool) -> io::Result<()> {
        let word = match progress {
            Progress::Planned => PLANNED,
            Progress::Editing => EDITING,
            Progress::Moved => MOVED,
        };
        self.0.write_all_at(word, 0)?;
        if durable {
            self.0.sync_data()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ContainerPaths {
            id: "web".parse().unwrap(),
            private: directory.path().into(),
            root: "/r".into(),
            bundle: "/b".into(),
        };
        fs::create_dir_all(paths.undo(3)).unwrap();
        assert_eq!(read(&paths, 3).unwrap(), Progress::Planned);
        let mark = Mark::open(&paths, 3).unwrap();
        for state in [
            Progress::Planned,
            Progress::Editing,
            Progress::Moved,
            Progress::Planned,
        ] {
            mark.set(state, true).unwrap();
            assert_eq!(read(&paths, 3).unwrap(), state);
        }
    }
}
