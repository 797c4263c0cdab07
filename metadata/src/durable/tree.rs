//! A small tree made durable at once, before or after it is renamed into place.
//!
//! Syncing its files one after the other waits for the disk once for each; asked for together, the file system writes
//! its journal once or twice for all. Not for the store's thousands of objects, which are one `syncfs`.

use super::FileError;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many are asked for at the same time: more only take the processors from who goes on meanwhile.
const TOGETHER: usize = 4;

/// A directory and everything beneath it, held open: it may be renamed before it is synced.
#[derive(Debug)]
pub struct OpenTree {
    files: Vec<(PathBuf, File)>,
}

impl OpenTree {
    /// Opens what is there. Costs two system calls and a descriptor for each file and directory.
    ///
    /// # Errors
    /// [`FileError`] of one that could not be read.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        let mut paths = Vec::new();
        collect(root, &mut paths)?;
        let open = |path: PathBuf| match File::open(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(FileError::on("open", path)(error)),
        };
        let files: Result<Vec<_>, FileError> = paths.into_iter().map(open).collect();
        Ok(Self { files: files? })
    }

    /// Makes it durable: contents, owners and names, but not its own name in its parent. Costs about two waits for the
    /// disk for a dozen files and directories.
    ///
    /// # Errors
    /// [`FileError`] of one that could not be synced, by the path it was opened with.
    pub fn sync(self) -> Result<(), FileError> {
        let next = AtomicUsize::new(0);
        let sync_some = || {
            while let Some((path, file)) = self.files.get(next.fetch_add(1, Ordering::Relaxed)) {
                file.sync_all().map_err(FileError::on("sync", path))?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            // Threads end together, whatever the first error is.
            let others: Vec<_> = (1..self.files.len().min(TOGETHER))
                .map(|_| scope.spawn(sync_some))
                .collect();
            let own = sync_some();
            others.into_iter().fold(own, |result, other| {
                result.and(
                    other
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                )
            })
        })
    }
}

/// Directories and files; of a link its directory knows all there is.
fn collect(directory: &Path, into: &mut Vec<PathBuf>) -> Result<(), FileError> {
    into.push(directory.to_owned());
    for entry in fs::read_dir(directory).map_err(FileError::on("list", directory))? {
        let entry = entry.map_err(FileError::on("list", directory))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(FileError::on("read", &path))?;
        if kind.is_dir() {
            collect(&path, into)?;
        } else if kind.is_file() {
            into.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::OpenTree;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn everything_is_found_once_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("tree");
        fs::create_dir_all(root.join("a/b")).unwrap();
        for serial in 0..40 {
            fs::write(root.join(format!("a/b/{serial}")), "x").unwrap();
        }
        symlink("/nonexistent", root.join("a/link")).unwrap();
        let mut found = Vec::new();
        super::collect(&root, &mut found).unwrap();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 43);
        OpenTree::open(&root).unwrap().sync().unwrap();
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = OpenTree::open("/nonexistent/tree".as_ref()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/tree"), "{error}");
    }
}
