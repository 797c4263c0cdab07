//! What tells that a private entry changed: its identity, metadata and change time.

use crate::container::{UpperDir, beneath};
use rustix::fs::{AtFlags, FileType, OFlags, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::io;
use vzpkg_metadata::RelPath;

/// A private entry at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of the entry at `path`, no link followed; `None` where nothing private is there.
    pub(super) fn of(upper: &UpperDir, path: &RelPath) -> io::Result<Option<Self>> {
        let found = match path.parent() {
            None => rustix::fs::fstat(upper.root()),
            Some(parent) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                beneath::open(upper.root(), &parent, flags)
                    .and_then(|parent| statat(parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW))
            }
        };
        match found {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            other => {
                let stat = other?;
                Ok(Some(Self {
                    inode: stat.st_ino,
                    mode: stat.st_mode,
                    owner: (stat.st_uid, stat.st_gid),
                    size: stat.st_size,
                    modified: (
                        stat.st_mtime,
                        i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
                    ),
                    changed: (
                        stat.st_ctime,
                        i64::try_from(stat.st_ctime_nsec).unwrap_or(0),
                    ),
                }))
            }
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::Directory
    }

    /// Whether only names in a directory may have changed.
    pub(super) fn is_same_owner(&self, other: &Self) -> bool {
        (self.inode, self.mode, self.owner) == (other.inode, other.mode, other.owner)
    }

    /// Whether everything but the change time is the same.
    pub(super) fn is_same_but_change_time(&self, other: &Self) -> bool {
        let own = Self {
            changed: other.changed,
            ..self.clone()
        };
        own == *other
    }
}
