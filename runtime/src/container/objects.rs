//! Where file contents come from: the store's objects by digest, the private files by path.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use vzpkg_metadata::{Digest, RelPath};

/// Opens file contents by their digest. The store implements it; [`Blobs`] puts contents made during a merge in front.
pub trait ObjectSource: fmt::Debug + Sync {
    /// The bytes of the object, from the start.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where no such object is; else what reading it gave.
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>>;
}

/// Reads the private files of a container, without following links.
pub trait PrivateSource: fmt::Debug {
    /// All bytes of the regular file at `path` in the upper directory.
    ///
    /// # Errors
    /// What opening and reading gave; [`io::ErrorKind::FileTooLarge`] beyond `limit` bytes.
    fn read(&self, path: &RelPath, limit: u64) -> io::Result<Vec<u8>>;

    /// The sha256 of the regular file at `path` in the upper directory.
    ///
    /// # Errors
    /// As [`PrivateSource::read`].
    fn digest(&self, path: &RelPath) -> io::Result<Digest>;
}

/// Contents in memory, in front of another source.
#[derive(Debug)]
pub struct Blobs<'a> {
    /// By digest.
    pub blobs: &'a BTreeMap<Digest, Vec<u8>>,
    /// Asked for everything else.
    pub behind: &'a dyn ObjectSource,
}

impl ObjectSource for Blobs<'_> {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        match self.blobs.get(digest) {
            Some(bytes) => Ok(Box::new(bytes.as_slice())),
            None => self.behind.open(digest),
        }
    }
}

/// Holds no object at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObjects;

impl ObjectSource for NoObjects {
    fn open(&self, _: &Digest) -> io::Result<Box<dyn Read + '_>> {
        Err(io::ErrorKind::NotFound.into())
    }
}
