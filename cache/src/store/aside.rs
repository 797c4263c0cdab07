//! The old database while another is made in its place: `state.db.aside`.
//!
//! The file is there from before the old database leaves its place until everything that could be read of it is in the new
//! one. So it also says that a rebuild has not ended: nobody works with the new one until then, for it may lack everything
//! ([`super::db`]). It is empty where the old database was lost.

use super::db::FileId;
use super::layout::Layout;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};

const LOG: &str = "-wal";

/// SQLite's files of one database, the one that has its name first: with it the others lose their meaning.
const FILES: [&str; 3] = ["", LOG, "-shm"];

/// Moves the database out of the way. One that was moved before, and never finished with, has more in it and stays. Killed
/// anywhere, it goes on when it is called again.
pub(super) fn put(layout: &Layout) -> Result<(), FileError> {
    link(layout)?;
    let aside = layout.database_aside();
    if !aside.exists() {
        durable::write_file(&aside, 0o600, b"")?;
    }
    for ending in FILES {
        durable::remove_file(&with_ending(&layout.database(), ending))?;
    }
    Ok(())
}

/// Gives the database its second name, and its log before it: the log holds what was written last. Done again until the
/// database has left its place, for the log there may be another by then.
fn link(layout: &Layout) -> Result<(), FileError> {
    let (path, aside) = (layout.database(), layout.database_aside());
    let (here, there) = (FileId::of(&path), FileId::of(&aside));
    if there.is_some() && there != here {
        return Ok(());
    }
    if here.is_none() && !with_ending(&path, LOG).exists() {
        return Ok(());
    }
    durable::remove_file(&with_ending(&aside, LOG))?;
    for ending in [LOG, ""] {
        let (from, to) = (with_ending(&path, ending), with_ending(&aside, ending));
        match fs::hard_link(&from, &to) {
            // It has no log; or this was done before.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
                ) => {}
            other => other.map_err(FileError::on("link", to))?,
        }
    }
    durable::sync_parent(&aside)
}

/// Whether there is something to be read from it.
pub(super) fn has_content(layout: &Layout) -> bool {
    fs::metadata(layout.database_aside()).is_ok_and(|aside| aside.len() > 0)
}

/// Says that the new database has everything: the old one gets its last name, which is returned, or goes if there was none.
pub(super) fn finish(layout: &Layout, now: i64) -> Result<Option<PathBuf>, FileError> {
    let aside = layout.database_aside();
    let has_log = aside.exists() && with_ending(&aside, LOG).exists();
    if !has_content(layout) && !has_log {
        durable::remove_file(&aside)?;
        return Ok(None);
    }
    let damaged = layout.database_damaged(now);
    for ending in FILES {
        let from = with_ending(&aside, ending);
        if from.exists() {
            durable::publish(&from, &with_ending(&damaged, ending))?;
        }
    }
    Ok(Some(damaged))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
