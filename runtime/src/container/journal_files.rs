//! The journal that a container with systemd has kept in its private area, for whoever wants to read it while it is stopped.

use super::beneath;
use rustix::fs::{Dir, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::durable::FileError;

/// Where journald keeps what outlives a run.
const PLACE: &str = "var/log/journal";

/// journald keeps some dozens; a container may make as many as it likes.
const MOST: usize = 1000;

/// The files of its journal, open; none where it has kept none. The container's links are not followed, and what is no
/// regular file is none of them.
///
/// # Errors
/// [`FileError`]
pub fn journal_files(upper: &Path) -> Result<Vec<File>, FileError> {
    let failed = |error: Errno| FileError::on("read", upper.join(PLACE))(error.into());
    let root = beneath::open_root(upper).map_err(failed)?;
    let place = RelPath::parse(PLACE.as_bytes()).unwrap_or_default();
    let mut files = Vec::new();
    for machine in names(&root, &place).map_err(failed)? {
        for path in names(&root, &machine).map_err(failed)? {
            if files.len() < MOST && path.as_bytes().ends_with(b".journal") {
                files.extend(beneath::open_file(&root, &path).ok());
            }
        }
    }
    Ok(files)
}

/// What is in a directory; nothing where there is none.
fn names(root: &OwnedFd, directory: &RelPath) -> rustix::io::Result<Vec<RelPath>> {
    let opened = beneath::open(root.as_fd(), directory, OFlags::RDONLY | OFlags::DIRECTORY);
    let opened = match opened {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut names = Vec::new();
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.extend(directory.join(name).ok());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_journals_that_are_files_of_the_private_area_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let upper = directory.path().join("upper");
        fs::create_dir(&upper).unwrap();
        assert!(journal_files(&upper).unwrap().is_empty());
        let machine = upper.join(PLACE).join("0123");
        fs::create_dir_all(&machine).unwrap();
        fs::write(directory.path().join("foreign.journal"), "foreign").unwrap();
        fs::write(machine.join("system.journal"), "own").unwrap();
        fs::write(machine.join("notes"), "").unwrap();
        fs::create_dir(machine.join("directory.journal")).unwrap();
        symlink("../../../../../foreign.journal", machine.join("a.journal")).unwrap();
        symlink(directory.path(), upper.join(PLACE).join("link")).unwrap();
        let mut files = journal_files(&upper).unwrap();
        assert_eq!(files.len(), 1);
        let mut text = String::new();
        files.remove(0).read_to_string(&mut text).unwrap();
        assert_eq!(text, "own");
    }
}
