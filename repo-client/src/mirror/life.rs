//! A mirror is made and removed: its directory with the configuration, still without a state.

use super::config::MirrorConfig;
use super::error::MirrorError;
use super::layout::Home;
use super::{Mirrors, real_directory};
use crate::guard;
use crate::transport::Stop;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use vzpkg_metadata::MirrorName;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::Share;

impl Mirrors {
    /// Makes a mirror, still empty. `keys` are certificates that pins name: file names without a directory, and bytes.
    ///
    /// # Errors
    /// [`MirrorError::Exists`]; [`MirrorError::File`] where it cannot be written.
    pub fn add(
        &self,
        name: &MirrorName,
        config: &MirrorConfig,
        keys: &[(String, Vec<u8>)],
    ) -> Result<(), MirrorError> {
        let home = self.layout.home(name);
        for directory in [&self.layout.files(), &home.directory] {
            durable::create_directories(directory, 0o755)?;
        }
        real_directory(&home)?;
        let stop = Stop::new(&self.context.options.cancel);
        let _guard = guard::lock(&self.context, &stop, &home.directory)?;
        if home.config().exists() {
            return Err(MirrorError::Exists(name.clone()));
        }
        clear(&home)?;
        for directory in [&home.states(), &home.keys()] {
            durable::create_directories(directory, 0o755)?;
        }
        for (file, bytes) in keys {
            let plain = Path::new(file).file_name() == Some(OsStr::new(file));
            if !plain {
                let problem = format!("`{file}` is no file name");
                return Err(MirrorError::Config(problem));
            }
            durable::write_file(&home.keys().join(file), 0o644, bytes)?;
        }
        durable::sync_parent(&home.directory)?;
        Ok(config.write(&home)?)
    }

    /// Removes a mirror with its states and snapshots. Files that nothing else names are removed by `gc`.
    ///
    /// # Errors
    /// [`MirrorError::Unknown`]; [`MirrorError::File`] where something stays, which then is no mirror any more.
    pub fn remove(&self, name: &MirrorName) -> Result<(), MirrorError> {
        let home = self.home(name)?;
        let stop = Stop::new(&self.context.options.cancel);
        let _exclusive = self.guard(Share::Exclusive)?;
        let _guard = guard::lock(&self.context, &stop, &home.directory)?;
        // Without its configuration it is none; a leftover is taken over by the next mirror of the name.
        durable::remove_file(&home.config())?;
        let path = &home.directory;
        Ok(fs::remove_dir_all(path).map_err(FileError::on("remove", path))?)
    }
}

/// Removes what a removal that was killed left of an earlier mirror of the name; the guard stays.
fn clear(home: &Home) -> Result<(), FileError> {
    let directory = &home.directory;
    let entries = fs::read_dir(directory).map_err(FileError::on("list", directory))?;
    for entry in entries {
        let entry = entry.map_err(FileError::on("list", directory))?;
        if entry.file_name() == "lock" {
            continue;
        }
        let path = entry.path();
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
            _ => fs::remove_file(&path),
        };
        removed.map_err(FileError::on("remove", &path))?;
    }
    Ok(())
}
