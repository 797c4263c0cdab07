//! How far a live relink is, for whoever comes after a crash: a file beside the undo record.
//!
//! Written while the container stands still, so what it says is true of the kernel's mounts and of the upper as long as
//! the machine runs. `moved` is written before the edits are on the disk, for nothing waits for a disk while it stands
//! still; a power loss may leave the word and not the edits. So it names this boot of the machine, and is worth no more
//! than `editing` after another one: the edits are carried out again. That must not happen to a container that has gone on
//! for long, for it would overwrite what it wrote since. So the edits are made durable as soon as the container moves
//! again, by the helper, which needs nobody, and then the word is one that holds for ever ([`settle`]). What is left is the
//! time that the disk takes, in which a power loss takes what the container wrote anyway unless it was synced.
//!
//! Not in the run directory, which is gone with the machine too: it goes when the container is stopped, and then the
//! edits would be carried out again over everything that it wrote in this run.
//!
//! Each state is one write of the same length in one sector: no reader sees half of one.

use crate::container::settle::boot_id;
use crate::container::{ContainerPaths, RelinkError, keep};
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
    /// Every namespace is moved, and every edit is there.
    Moved,
}

/// How long a word is; the boot of the machine follows.
const WORD: usize = 8;

const PLANNED: &[u8; WORD] = b"planned\n";
const EDITING: &[u8; WORD] = b"editing\n";
/// Of this boot of the machine.
const MOVED: &[u8; WORD] = b"moved.  ";
/// For ever: the edits are on the disk.
const SETTLED: &[u8; WORD] = b"settled\n";

fn path(paths: &ContainerPaths, from_generation: u64) -> PathBuf {
    paths.undo(from_generation).join("live")
}

/// Reads how far the relink from this generation is.
pub(super) fn read(paths: &ContainerPaths, from_generation: u64) -> Result<Progress, FileError> {
    let path = path(paths, from_generation);
    match fs::read(&path) {
        Ok(bytes) => Ok(meaning(&bytes, &boot_id()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Progress::Planned),
        Err(error) => Err(FileError::on("read", path)(error)),
    }
}

/// What the file says in this boot of the machine.
fn meaning(bytes: &[u8], boot: &str) -> Progress {
    let (word, of) = bytes.split_at_checked(WORD).unwrap_or((bytes, b""));
    if word == SETTLED || (word == MOVED && of.trim_ascii() == boot.as_bytes()) {
        Progress::Moved
    } else if word == EDITING || word == MOVED {
        Progress::Editing
    } else {
        Progress::Planned
    }
}

/// Waits until the edits of a relink that happened are on the disk, and says so for ever: from then on nobody carries them
/// out again.
pub(super) fn settle(paths: &ContainerPaths, from_generation: u64) -> Result<(), RelinkError> {
    keep::sync([paths.private.as_path()])?;
    let settled =
        Mark::open(paths, from_generation).and_then(|mark| mark.set(Progress::Moved, true));
    Ok(settled.map_err(FileError::on("write", path(paths, from_generation)))?)
}

/// The open file: it can be written from another mount namespace.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    boot: String,
}

impl Mark {
    /// Opens it; it says nothing if it is new.
    pub(super) fn open(paths: &ContainerPaths, from_generation: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path(paths, from_generation))?;
        let boot = boot_id().map_err(io::Error::other)?;
        Ok(Self { file, boot })
    }

    /// Says how far it is. `durable` is for edits that may outlive the machine: then this does too, before they begin; that
    /// the container has moved, after they are on the disk.
    pub(super) fn set(&self, progress: Progress, durable: bool) -> io::Result<()> {
        let word = match (progress, durable) {
            (Progress::Planned, _) => PLANNED,
            (Progress::Editing, _) => EDITING,
            (Progress::Moved, false) => MOVED,
            (Progress::Moved, true) => SETTLED,
        };
        let line = [word.as_slice(), self.boot.as_bytes(), b"\n"].concat();
        self.file.write_all_at(&line, 0)?;
        if durable {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn paths(directory: &Path) -> ContainerPaths {
        let paths = ContainerPaths {
            id: "web".parse().unwrap(),
            private: directory.into(),
            root: "/r".into(),
            bundle: "/b".into(),
        };
        fs::create_dir_all(paths.undo(3)).unwrap();
        paths
    }

    #[test]
    fn each_state_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        assert_eq!(read(&paths, 3).unwrap(), Progress::Planned);
        let mark = Mark::open(&paths, 3).unwrap();
        for durable in [false, true] {
            for state in [
                Progress::Planned,
                Progress::Editing,
                Progress::Moved,
                Progress::Planned,
            ] {
                mark.set(state, durable).unwrap();
                assert_eq!(read(&paths, 3).unwrap(), state);
            }
        }
    }

    /// A power loss may have kept the word and lost the edits.
    #[test]
    fn that_it_moved_is_not_believed_after_a_reboot_unless_the_edits_were_on_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        let mark = Mark::open(&paths, 3).unwrap();
        let after_a_reboot = || {
            let file = fs::read(path(&paths, 3)).unwrap();
            meaning(&file, "1f2b3c4d-0000-4000-8000-000000000000")
        };
        mark.set(Progress::Moved, false).unwrap();
        assert_eq!(read(&paths, 3).unwrap(), Progress::Moved);
        assert_eq!(after_a_reboot(), Progress::Editing);
        settle(&paths, 3).unwrap();
        assert_eq!(read(&paths, 3).unwrap(), Progress::Moved);
        assert_eq!(after_a_reboot(), Progress::Moved);
        mark.set(Progress::Planned, false).unwrap();
        assert_eq!(after_a_reboot(), Progress::Planned);
    }
}
