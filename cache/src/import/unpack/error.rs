//! Why a tar stream is refused.

use std::io;
use vzpkg_metadata::path::PathError;
use vzpkg_metadata::{ByteSize, RelPath};

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// A member name that is absolute, leaves its root or is not canonical.
    #[error("a member has an unsafe name")]
    Path(#[from] PathError),
    /// Two members for one path.
    #[error("`{0}` is there twice")]
    Duplicate(RelPath),
    /// A member below a path that is a file or a link.
    #[error("`{path}` lies below `{ancestor}`, which is no directory")]
    ThroughNonDirectory {
        /// The member.
        path: RelPath,
        /// What stands in its way.
        ancestor: RelPath,
    },
    /// A hard link to something that no earlier member is.
    #[error("`{path}` is a hard link to `{target}`, which is no file of this archive")]
    HardLinkTarget {
        /// The link.
        path: RelPath,
        /// What it names.
        target: RelPath,
    },
    /// A member type that packages do not have.
    #[error("`{path}` has the unknown type {kind:?}")]
    UnknownType {
        /// The member, as far as its name can be read.
        path: String,
        /// The type byte of its header.
        kind: char,
    },
    /// A field that contradicts another, or that cannot be read.
    #[error("`{path}`: {problem}")]
    Contradiction {
        /// The member, as far as its name can be read.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Bytes after the end of the archive.
    #[error("there is data after the end of the archive")]
    TrailingData,
    /// The stream stops without the blocks that end an archive.
    #[error("the archive has no end")]
    NoEnd,
    /// More bytes than the package may hold.
    #[error("it unpacks to more than {0}, far more than the package claims")]
    TooLarge(ByteSize),
    /// More members than [`super::UnpackLimits::entries`].
    #[error("it holds more than {0} members")]
    TooMany(usize),
    /// The stream cannot be decompressed or parsed, or its contents cannot be stored.
    #[error("the archive cannot be read")]
    Stream(#[source] io::Error),
}
