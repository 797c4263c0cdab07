//! Objects: the bytes of files, each once, under their sha256.
//!
//! Bytes are hashed while they are copied into the staging directory and renamed into place under the shared guard of
//! their shard. Nothing is synced here: [`Objects::sync_all`] is one `syncfs` before a commit that refers to objects.
//! So an object found in place may be a ruin of a power loss: it is hashed again, once per open store, before it is
//! reused, and replaced if it is not what its name says.

use super::Access;
use super::layout::Layout;
use super::staging::Staging;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use vzpkg_metadata::Digest;
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::durable::FileError;

/// Read by root only: the right to a file is in the trees that name it.
const MODE: u32 = 0o400;

/// Content up to this size is hashed in memory first, so that what is there already is never written again.
const IN_MEMORY: u64 = 1 << 20;

const CHUNK: usize = 256 << 10;

/// Why bytes were not stored or not read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// A file of the store cannot be made, read or renamed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The reader that was to be stored failed.
    #[error("cannot read what is to be stored")]
    Source(#[source] io::Error),
    /// The reader yields more than the caller allows.
    #[error("the content is longer than the {limit} bytes allowed")]
    TooLarge {
        /// The caller's limit.
        limit: u64,
    },
    /// There is no such object.
    #[error("object {0} is missing")]
    Missing(Digest),
    /// The file does not hold the bytes that its name says.
    #[error("object {digest} is damaged: its bytes hash to {found}")]
    Damaged {
        /// Its name.
        digest: Digest,
        /// The hash of what it holds.
        found: Digest,
    },
}

/// The objects of a store. All methods may be called from many threads at once.
#[derive(Debug)]
pub struct Objects {
    layout: Layout,
    staging: Arc<Staging>,
    /// Put or hashed by this open store, and safe from gc while its staging directory lives.
    known: Mutex<BTreeSet<Digest>>,
}

impl Objects {
    pub(super) fn new(layout: Layout, access: Access) -> Self {
        let staging = Arc::new(Staging::new(layout.clone(), access));
        Self {
            layout,
            staging,
            known: Mutex::default(),
        }
    }

    pub(super) fn staging(&self) -> Arc<Staging> {
        Arc::clone(&self.staging)
    }

    /// Stores bytes; about 40 µs for a small file that is new, 1 µs for one seen before.
    ///
    /// # Errors
    /// [`ObjectError::File`].
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, ObjectError> {
        let digest = Digest::of(bytes);
        if !self.reuse(&digest, bytes.len() as u64)? {
            let (path, file) = self.staging.stage_bytes(MODE, bytes)?;
            self.place(&path, &file, digest)?;
        }
        Ok(digest)
    }

    /// Stores everything `reader` yields, at most `limit` bytes, hashing while it copies.
    ///
    /// # Errors
    /// [`ObjectError::Source`] if the reader fails, [`ObjectError::TooLarge`] if it yields more, else
    /// [`ObjectError::File`].
    pub fn put_reader(
        &self,
        reader: &mut dyn Read,
        limit: u64,
    ) -> Result<(Digest, u64), ObjectError> {
        let mut start = Vec::new();
        let read = Read::take(&mut *reader, IN_MEMORY + 1)
            .read_to_end(&mut start)
            .map_err(ObjectError::Source)? as u64;
        if read > limit {
            return Err(ObjectError::TooLarge { limit });
        }
        if read <= IN_MEMORY {
            return Ok((self.put_bytes(&start)?, read));
        }
        self.put_stream(start, reader, limit)
    }

    fn put_stream(
        &self,
        start: Vec<u8>,
        reader: &mut dyn Read,
        limit: u64,
    ) -> Result<(Digest, u64), ObjectError> {
        let (path, mut file) = self.staging.stage(MODE)?;
        let mut hasher = Hasher::new();
        let mut chunk = start;
        loop {
            hasher.update(&chunk);
            if hasher.length() > limit {
                return Err(ObjectError::TooLarge { limit });
            }
            file.write_all(&chunk)
                .map_err(FileError::on("write", &path))?;
            chunk.resize(CHUNK, 0);
            match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => chunk.truncate(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => chunk.clear(),
                Err(error) => return Err(ObjectError::Source(error)),
            }
        }
        let size = hasher.length();
        let digest = hasher.finish();
        if self.reuse(&digest, size)? {
            fs::remove_file(&path).map_err(FileError::on("remove", &path))?;
        } else {
            self.place(&path, &file, digest)?;
        }
        Ok((digest, size))
    }

    /// Stores the bytes of an open file from its start, at most `limit`. Always a copy: the store never shares an inode
    /// with a file that somebody may write to. A large one is hashed first, for it may be there already.
    ///
    /// # Errors
    /// As [`Self::put_reader`].
    pub fn put_file(&self, file: &File, limit: u64) -> Result<(Digest, u64), ObjectError> {
        let mut file = file;
        let length = file.metadata().map_err(ObjectError::Source)?.len();
        if (IN_MEMORY..=limit).contains(&length) {
            let (size, digest) = hash_file(file).map_err(ObjectError::Source)?;
            if self.reuse(&digest, size)? {
                return Ok((digest, size));
            }
            file.rewind().map_err(ObjectError::Source)?;
        }
        self.put_reader(&mut file, limit)
    }

    /// Whether `file`, from its start, holds the `size` bytes of an object. They are compared, which is several times as
    /// fast as hashing; the object itself is hashed unless this open store knows it. Leaves the file at its start.
    ///
    /// # Errors
    /// [`ObjectError::Source`] if `file` cannot be read, else [`ObjectError::File`].
    pub fn equals(&self, digest: &Digest, size: u64, file: &File) -> Result<bool, ObjectError> {
        if !self.reuse(digest, size)? {
            return Ok(false);
        }
        let mut file = file;
        let mut object = self.open(digest)?;
        let chunk = CHUNK.min(usize::try_from(size).unwrap_or(CHUNK) + 1);
        let (mut ours, mut theirs) = (vec![0; chunk], vec![0; chunk]);
        let equal = loop {
            let stored = fill(&mut object, &mut ours);
            let stored = stored.map_err(FileError::on("read", self.path(digest)))?;
            let given = fill(&mut file, &mut theirs).map_err(ObjectError::Source)?;
            if ours.get(..stored) != theirs.get(..given) {
                break false;
            }
            if given < chunk {
                break true;
            }
        };
        file.rewind().map_err(ObjectError::Source)?;
        Ok(equal)
    }

    /// Opens an object for reading. Its bytes are not hashed.
    ///
    /// # Errors
    /// [`ObjectError::Missing`], else [`ObjectError::File`].
    pub fn open(&self, digest: &Digest) -> Result<File, ObjectError> {
        let path = self.path(digest);
        match File::open(&path) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ObjectError::Missing(*digest))
            }
            Err(error) => Err(FileError::on("open", path)(error).into()),
        }
    }

    /// Reads a whole object of at most `limit` bytes and checks it against its name.
    ///
    /// # Errors
    /// [`ObjectError::TooLarge`], [`ObjectError::Damaged`], else as [`Self::open`].
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, ObjectError> {
        let mut bytes = Vec::new();
        let read = self
            .open(digest)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(FileError::on("read", self.path(digest)))?;
        if read as u64 > limit {
            return Err(ObjectError::TooLarge { limit });
        }
        match Digest::of(&bytes) {
            found if found == *digest => Ok(bytes),
            found => Err(ObjectError::Damaged {
                digest: *digest,
                found,
            }),
        }
    }

    /// Copies the whole object, which has `size` bytes, to `out` and checks it against its name, once per open store.
    /// An error may come after some of it was written.
    ///
    /// # Errors
    /// [`ObjectError::Damaged`], [`ObjectError::Missing`], [`ObjectError::Source`] if `out` fails, else
    /// [`ObjectError::File`].
    pub fn copy_to(
        &self,
        digest: &Digest,
        size: u64,
        out: &mut dyn io::Write,
    ) -> Result<(), ObjectError> {
        if !self.reuse(digest, size)? {
            let (_, found) = self.hash(digest)?;
            return Err(ObjectError::Damaged {
                digest: *digest,
                found,
            });
        }
        let mut file = self.open(digest)?;
        let copied = io::copy(&mut file, out).map_err(ObjectError::Source)?;
        if copied == size {
            Ok(())
        } else {
            Err(ObjectError::Source(io::ErrorKind::UnexpectedEof.into()))
        }
    }

    /// Whether an object is there. Says nothing about its bytes.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Where an object lies, whether or not it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.layout.object(digest)
    }

    /// Makes everything put so far durable, by one `syncfs`.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn sync_all(&self) -> Result<(), FileError> {
        let path = self.layout.objects();
        let directory = File::open(&path).map_err(FileError::on("open", &path))?;
        rustix::fs::syncfs(&directory)
            .map_err(io::Error::from)
            .map_err(FileError::on("sync", path))
    }

    /// Hashes an object as it lies on disk: its size and the hash of its bytes.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn hash(&self, digest: &Digest) -> Result<(u64, Digest), ObjectError> {
        let file = self.open(digest)?;
        hash_file(&file)
            .map_err(FileError::on("read", self.path(digest)))
            .map_err(ObjectError::from)
    }

    /// Whether the object is there with the right bytes. If so, gc will not take it away while this store is open.
    fn reuse(&self, digest: &Digest, size: u64) -> Result<bool, ObjectError> {
        if self.known().contains(digest) {
            return Ok(true);
        }
        if self.staging.protect(&self.path(digest))? != Some(size) {
            return Ok(false);
        }
        // One that the disk does not give back any more is replaced like one that holds other bytes.
        let sound = self.hash(digest).is_ok_and(|(_, found)| found == *digest);
        if sound {
            self.known().insert(*digest);
        }
        Ok(sound)
    }

    fn place(&self, staged: &Path, file: &File, digest: Digest) -> Result<(), FileError> {
        self.staging.place(staged, file, &self.path(&digest))?;
        self.known().insert(digest);
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until the buffer is full or the file ends; how many bytes came.
fn fill(mut file: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut full = 0;
    while let Some(rest) = buffer.get_mut(full..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => full += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(full)
}

fn hash_file(mut file: &File) -> io::Result<(u64, Digest)> {
    let mut hasher = Hasher::new();
    let mut chunk =
        vec![0; CHUNK.min(usize::try_from(file.metadata()?.len()).unwrap_or(CHUNK) + 1)];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok((hasher.length(), hasher.finish())),
            Ok(count) => hasher.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
