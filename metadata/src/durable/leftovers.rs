//! What killed commands left of files and directories that they had not put in place yet.

use super::{FileError, STAGING_PREFIX};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Removes what processes that live no more left in a directory under a name of [`STAGING_PREFIX`], their id and a dot.
/// Those of living ones are left alone: they may be at work. A directory that is not there has nothing.
///
/// # Errors
/// [`FileError`] for what cannot be listed or removed.
pub fn sweep(directory: &Path) -> Result<(), FileError> {
    sweep_owned(directory, &|name| {
        name.strip_prefix(STAGING_PREFIX)?.split('.').next()
    })
}

/// As [`sweep`], of what was to get this name in the end, and of nothing else: for a directory that is the user's, where
/// other machines may write, whose processes cannot be seen from here.
///
/// # Errors
/// As [`sweep`].
pub fn sweep_of(directory: &Path, name: &str) -> Result<(), FileError> {
    sweep_owned(directory, &|found| {
        // The id of the process; for files a number after it.
        let rest = found.strip_prefix(STAGING_PREFIX)?;
        let numbers = rest.strip_suffix(name)?.strip_suffix('.')?;
        let (process, serial) = numbers.split_once('.').unwrap_or((numbers, "0"));
        let are_numbers = serial.parse::<u64>().is_ok() && process.parse::<u32>().is_ok();
        are_numbers.then_some(process)
    })
}

/// Removes the entries of dead processes; `owner` says whose a name is, if anybody's.
fn sweep_owned(
    directory: &Path,
    owner: &dyn for<'n> Fn(&'n str) -> Option<&'n str>,
) -> Result<(), FileError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::on("list", directory)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(FileError::on("list", directory))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if owner(&name).is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let path = entry.path();
            let removed = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(FileError::on("remove", path))?;
        }
    }
    Ok(())
}

/// A path in `directory` that nothing has, for a file or directory of this process alone: [`STAGING_PREFIX`], the id of the
/// process, a dot and `name`. Ids come again: what a dead process left there goes. The caller makes sure that nobody alive
/// uses it, in another namespace of processes for example.
///
/// # Errors
/// [`FileError`] for what cannot be removed.
pub fn own_place(directory: &Path, name: &str) -> Result<PathBuf, FileError> {
    let place = directory.join(own_name(name));
    make_room(&place)?;
    Ok(place)
}

pub(super) fn own_name(name: &str) -> String {
    format!("{STAGING_PREFIX}{}.{name}", std::process::id())
}

fn make_room(own: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(own) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(own),
        Ok(_) => fs::remove_file(own),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", own)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{STAGING_PREFIX, make_room, sweep};
    use std::fs;

    #[test]
    fn rubbish_of_dead_processes_is_swept_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let living = format!("{STAGING_PREFIX}{}.web", std::process::id());
        let dead = format!("{STAGING_PREFIX}4194999.gone.web");
        let dead_file = format!("{STAGING_PREFIX}4194999.0.ct.toml");
        for name in [living.as_str(), dead.as_str(), "web"] {
            fs::create_dir_all(place(name).join("upper")).unwrap();
        }
        fs::write(place(&dead_file), "x").unwrap();
        sweep(directory.path()).unwrap();
        assert!(place(&living).exists() && place("web").exists());
        assert!(!place(&dead).exists() && !place(&dead_file).exists());
        sweep(&place("none")).unwrap();
    }

    #[test]
    fn what_a_dead_process_of_the_same_id_left_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("own");
        make_room(&own).unwrap();
        fs::create_dir_all(own.join("full")).unwrap();
        make_room(&own).unwrap();
        fs::write(&own, "").unwrap();
        make_room(&own).unwrap();
        assert!(!own.exists());
    }
}
