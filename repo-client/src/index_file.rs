//! The files of an index directory: the kept originals, read once and hashed while they are read; the mapped index that is
//! made of them; and what older releases left.

use crate::context::Context;
use crate::error::RepositoryProblem;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::index::{IndexBuilder, IndexWriteError};

/// Endings of the files that this crate makes in an index directory and may remove again.
const ENDINGS: [&str; 8] = [
    ".index",
    ".packages",
    ".metadata",
    ".advisories",
    ".groups",
    ".modules",
    ".part",
    ".from",
];

/// A compressed index of a repository as it was fetched. Hashes what it hands out, so that it is never in memory.
#[derive(Debug)]
pub(crate) struct Original {
    path: PathBuf,
    file: io::Take<File>,
    hasher: Hasher,
}

impl Original {
    /// Opens a file that has `size` bytes.
    pub(crate) fn open(path: &Path, size: u64) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::on("open", path))?;
        Ok(Self {
            path: path.to_owned(),
            // One byte more tells that there are too many.
            file: file.take(size.saturating_add(1)),
            hasher: Hasher::new(),
        })
    }

    /// Reads what is left, and says whether all of it was the file of this digest. It was when it was fetched: otherwise
    /// somebody changes our files.
    pub(crate) fn check(mut self, digest: &Digest) -> Result<(), FileError> {
        let path = self.path.clone();
        let read = io::copy(&mut self, &mut io::sink());
        read.map_err(FileError::on("read", &path))?;
        if self.hasher.finish() == *digest {
            return Ok(());
        }
        let error = io::Error::from(io::ErrorKind::InvalidData);
        Err(FileError::on("read", path)(error))
    }
}

impl Read for Original {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Makes one index of a client at a time: `fill` has the machine's two threads per index anyway, and what it takes of
/// memory is there once, however many repositories are loaded. The index goes to `path` as it is written.
pub(crate) fn make(
    context: &Context,
    path: &Path,
    fill: &mut dyn FnMut() -> Result<IndexBuilder, RepositoryProblem>,
) -> Result<(), RepositoryProblem> {
    let _one = context.one_index();
    let builder = fill()?;
    let (staging, file) = durable::stage(path, 0o644)?;
    let written = write(builder, file, path);
    let published = written.and_then(|()| Ok(durable::publish(&staging, path)?));
    if published.is_err() {
        // A staging file that stays is rubbish, which the next update finds by its prefix.
        drop(fs::remove_file(&staging));
    }
    published
}

fn write(builder: IndexBuilder, file: File, path: &Path) -> Result<(), RepositoryProblem> {
    let mut writer = BufWriter::with_capacity(256 << 10, file);
    builder.write_to(&mut writer).map_err(|error| match error {
        IndexWriteError::Index(error) => RepositoryProblem::from(error),
        IndexWriteError::Write { source } => FileError::on("write", path)(source).into(),
    })?;
    writer.flush().map_err(FileError::on("write", path))?;
    let synced = writer.get_ref().sync_all();
    synced.map_err(FileError::on("write", path))?;
    Ok(())
}

/// Removes what belongs to older releases: every file of ours whose name is not among `keep`. One that cannot be removed
/// is tried again next time.
pub(crate) fn remove_leftovers(directory: &Path, keep: &[String]) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = ENDINGS.iter().any(|ending| name.ends_with(ending));
        let staging = name.starts_with(durable::STAGING_PREFIX);
        if (ours || staging)
            && !keep.contains(&name)
            && let Err(error) = durable::remove_unsynced(&entry.path())
        {
            tracing::debug!(%error, "leftover stays");
        }
    }
}
