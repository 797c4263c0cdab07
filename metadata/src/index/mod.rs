//! The mapped package index: the packages of one repository as flat arrays that are read in place, from a memory map.
//!
//! ```text
//! 0   "vzpkg-index\0"      magic
//! 12  u32                  format number, little endian
//! 16  rkyv archive         names and their hash table · texts · packages · by name · provides · relations
//! ```
//!
//! Every distinct text is held once, every distinct relation is parsed once, and what follows from other columns (most
//! file names, the text of most relations) is not held at all: Debian's main has 260 bytes a package. Opening checks that the arrays lie within
//! the bytes and costs microseconds, for they hold only numbers; each number is checked where it is used, so a damaged
//! file gives wrong answers at worst and never a panic. Whoever maps a file makes sure that root wrote it: an index is
//! derived from verified metadata, but carries no signature itself. The same records in the same order give the same
//! bytes on any machine.
//!
//! ```
//! use vzpkg_metadata::{Digest, Family, index::{Index, IndexBuilder}, package::*};
//! let mut builder = IndexBuilder::new(Family::Deb);
//! builder.add(&PackageRecord {
//!     family: Family::Deb,
//!     name: "mawk",
//!     version: "1.3.4".into(),
//!     arch: "amd64",
//!     source: "mawk",
//!     section: "utils",
//!     location: "pool/main/m/mawk/mawk_1.3.4_amd64.deb",
//!     size: 132_000,
//!     installed_size: 281_600,
//!     sha256: Digest::of(b"mawk"),
//!     essential: false,
//!     protected: false,
//!     multi_arch: MultiArch::Foreign,
//!     priority: Priority::Required,
//!     summary: "Pattern scanning and text processing language",
//!     relations: vec![(RelationKind::Provides, "awk".into())],
//! });
//! let bytes = builder.finish()?;
//! let index = Index::access(&bytes)?;
//! assert_eq!(index.by_name("mawk").next().unwrap().version(), "1.3.4");
//! assert_eq!(index.providers("awk").next().unwrap().package.name(), "mawk");
//! # Ok::<(), vzpkg_metadata::index::IndexError>(())
//! ```

mod builder;
mod clauses;
mod interner;
mod package;
mod resume;
mod tables;
#[cfg(test)]
mod tests;
mod view;
mod words;
mod write;

pub use builder::IndexBuilder;
pub use package::{Clause, IndexedPackage};
pub use view::{Index, Provider};

/// The format that this code writes and reads. Any change of the tables or of the hash raises it.
pub const FORMAT: u32 = 2;

const MAGIC: &[u8; 12] = b"vzpkg-index\0";
const HEADER_BYTES: usize = 16;

/// Why bytes are not an index, or records do not fit into one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IndexError {
    /// The bytes do not begin as an index does.
    #[error("not a package index")]
    NotAnIndex,
    /// Another format number: build the index again.
    #[error("package index of format {found}, this vzpkg reads {expected}")]
    Format {
        /// In the bytes.
        found: u32,
        /// What this code reads and writes.
        expected: u32,
    },
    /// The bytes do not start at an address that is a multiple of 16 (a memory map and [`IndexBytes`] do).
    #[error("the package index does not lie at an aligned address")]
    Misaligned,
    /// The arrays do not lie within the bytes.
    #[error("the package index is damaged")]
    Damaged,
    /// More names, relations or text than 32 bits can number.
    #[error("the repository is too large for a package index")]
    TooLarge,
}

/// Why an index was not written.
#[derive(Debug, thiserror::Error)]
pub enum IndexWriteError {
    /// The records do not fit into one.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The bytes were not taken.
    #[error("the package index cannot be written")]
    Write {
        /// What the writer said.
        source: std::io::Error,
    },
}

/// The bytes of an index, at an aligned address. Derefs to `[u8]`.
#[derive(Debug, Clone)]
pub struct IndexBytes(rkyv::util::AlignedVec<16>);

impl IndexBytes {
    /// Copies bytes that lie anywhere, for a caller that has no memory map.
    pub fn copy_from(bytes: &[u8]) -> Self {
        let mut copy = rkyv::util::AlignedVec::with_capacity(bytes.len());
        copy.extend_from_slice(bytes);
        Self(copy)
    }
}

impl std::ops::Deref for IndexBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
