//! A tree as a plain directory in the store, for kernels that cannot mount images: whole (mount tier 3), or as stubs
//! (tier 2 without images). One of each per tree; most nodes need neither.

use super::{ImageError, Store};
use crate::archive::{DirectoryError, write_directory};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_runtime::rootfs::{self, Lower, StubError, Tier};

/// Why a tree was not laid out.
#[derive(Debug, thiserror::Error)]
pub enum MaterializeError {
    /// The tree cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It cannot be written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// It cannot be written as stubs.
    #[error(transparent)]
    Stubs(#[from] StubError),
    /// It cannot be put in place.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Store {
    /// Lays a tree out as a plain directory, unless it is there, and says where. It is complete and durable when it has
    /// its name; gc takes the name away first, after the image is gone. Contents are reflinked where the file system can,
    /// else copied.
    ///
    /// # Errors
    /// [`MaterializeError`] by the step that failed.
    pub fn materialize(&self, digest: &Digest) -> Result<PathBuf, MaterializeError> {
        let path = self.layout.materialized(digest);
        if path.is_dir() {
            return Ok(path);
        }
        let tree = self.images.read(digest)?;
        let build = self.begin_build()?;
        let staged = build.path().join("tree");
        write_directory(&tree, &self.objects, &[], &staged)?;
        self.put_tree(&staged, path)
    }

    /// Lays a tree out as stubs that point to its objects, unless it is there, and says where. As complete and durable
    /// as [`Store::materialize`], without the contents.
    ///
    /// # Errors
    /// [`MaterializeError`] by the step that failed.
    pub fn stub_tree(&self, digest: &Digest) -> Result<PathBuf, MaterializeError> {
        let path = self.layout.stubs(digest);
        if path.is_dir() {
            return Ok(path);
        }
        let tree = self.images.read(digest)?;
        let build = self.begin_build()?;
        let staged = build.path().join("tree");
        fs::create_dir(&staged).map_err(FileError::on("create directory", &staged))?;
        rootfs::write_stubs(&tree, &staged)?;
        self.put_tree(&staged, path)
    }

    /// What the runtime is told of a tree, whose image is there, with all that this tier needs.
    ///
    /// # Errors
    /// [`MaterializeError`] by the step that failed.
    pub fn lower(&self, digest: &Digest, tier: Tier) -> Result<Lower, MaterializeError> {
        let (mut stubs, mut materialized) = (None, None);
        match tier {
            Tier::Image | Tier::Stacked => {}
            Tier::Stubs => stubs = Some(self.stub_tree(digest)?),
            Tier::Directory => materialized = Some(self.materialize(digest)?),
        }
        Ok(Lower {
            digest: *digest,
            image: self.images.path(digest),
            objects: self.layout.objects(),
            stubs,
            materialized,
        })
    }

    /// Gives a staged tree its name.
    fn put_tree(&self, staged: &Path, path: PathBuf) -> Result<PathBuf, MaterializeError> {
        self.objects.sync_all()?;
        match durable::publish(staged, &path) {
            Ok(()) => Ok(path),
            // Another process was faster.
            Err(error)
                if matches!(
                    error.source.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) && fs::exists(&path).unwrap_or(false) =>
            {
                Ok(path)
            }
            Err(error) => Err(error.into()),
        }
    }
}
