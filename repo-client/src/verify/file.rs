//! The check of a package file on every read: its size and SHA-256 against what the signed index says.

use std::fs::File;
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::FileError;

/// Why a file is not the one that was signed.
#[derive(Debug, thiserror::Error)]
pub enum FileCheckError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is shorter or longer.
    #[error("`{}` has {found} bytes instead of {expected}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// The signed size.
        expected: u64,
        /// Its size.
        found: u64,
    },
    /// Its content is another.
    #[error("`{}` has sha256 {found} instead of {expected}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// From the signed index.
        expected: Digest,
        /// Of its content.
        found: Digest,
    },
}

/// Reads the whole file and compares it with its signed size and digest. About 1 GB/s.
///
/// # Errors
/// [`FileCheckError`] by what is different.
pub fn verify_file(path: &Path, expected: &Digest, size: u64) -> Result<(), FileCheckError> {
    let file = File::open(path).map_err(FileError::on("open", path))?;
    let metadata = file.metadata().map_err(FileError::on("inspect", path))?;
    if metadata.len() != size {
        return Err(FileCheckError::Size {
            path: path.to_owned(),
            expected: size,
            found: metadata.len(),
        });
    }
    let (found, _) = Digest::of_reader(&file).map_err(FileError::on("read", path))?;
    if found == *expected {
        Ok(())
    } else {
        Err(FileCheckError::Mismatch {
            path: path.to_owned(),
            expected: *expected,
            found,
        })
    }
}
