//! A small tree made durable at once, before or after it is renamed into place.
//!
//! Syncing its files one after the other waits for the disk once for each. Where the machine has little to write, its
//! whole file system is synced instead: one wait, and a quarter of the processor time (a dozen files: 0.3 ms instead of
//! 1.2, 8 changes of context instead of 44). Elsewhere that would wait for what others have written, and the files are
//! asked for together: the file system writes its journal once or twice for all. Not for the store's thousands of
//! objects, which are one `syncfs` whatever else there is.

use super::FileError;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many are asked for at the same time: more only take the processors from who goes on meanwhile.
const TOGETHER: usize = 4;

/// What the machine may have to write for its file system to be synced as a whole, in pages: 4 MiB, which a slow disk
/// writes in 40 ms.
const LITTLE: u64 = 1024;

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
        match self.files.first() {
            Some((root, directory)) if to_write().is_some_and(|pages| pages <= LITTLE) => {
                rustix::fs::syncfs(directory)
                    .map_err(|error| FileError::on("sync", root)(error.into()))
            }
            _ => self.sync_each(),
        }
    }

    fn sync_each(&self) -> Result<(), FileError> {
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

/// How many pages the machine has to write, to whatever disk; `None` where the kernel does not say.
fn to_write() -> Option<u64> {
    let statistics = fs::read_to_string("/proc/vmstat").ok()?;
    let of = |name: &str| {
        let mut lines = statistics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.parse::<u64>().ok()
    };
    of("nr_dirty")?.checked_add(of("nr_writeback")?)
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
        OpenTree::open(&root).unwrap().sync_each().unwrap();
    }

    #[test]
    fn the_kernel_says_how_much_it_has_to_write() {
        let machine = super::to_write().unwrap();
        assert!(machine < 1 << 40, "{machine}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = OpenTree::open("/nonexistent/tree".as_ref()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/tree"), "{error}");
    }
}
