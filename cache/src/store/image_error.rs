//! Why an image cannot be written or read: for those who make its bytes and those who keep the file.

use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::TreeError;
use vzpkg_metadata::{Digest, RelPath};

/// Why an image cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no image of this tree.
    #[error("the image of tree {0} is missing")]
    Missing(Digest),
    /// The tree breaks a rule of trees.
    #[error("the tree cannot be written as an image")]
    Tree(#[from] TreeError),
    /// The tree holds something that the image format cannot express.
    #[error("`{path}` cannot be stored in an image: {problem}")]
    Unsupported {
        /// Which entry.
        path: RelPath,
        /// What about it.
        problem: &'static str,
    },
    /// The writer of the format refused the tree.
    #[error("the tree cannot be written as an image: {0}")]
    Writer(String),
    /// The image was written in a format this vzpkg does not know, or is no image.
    #[error("the image of tree {digest} is damaged: {problem}")]
    Format {
        /// Which tree.
        digest: Digest,
        /// What is wrong.
        problem: String,
    },
    /// The image was read, but it is not the tree that its name says.
    #[error("the image of tree {digest} is damaged: it holds tree {found}")]
    Damaged {
        /// Its name.
        digest: Digest,
        /// The digest of the tree in it.
        found: Digest,
    },
}
