//! How large two versions are, and how much of the second is new on the disk.

use std::collections::BTreeMap;
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{ByteSize, Digest};

/// How much one version has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct TreeSize {
    /// Names, directories included.
    pub names: usize,
    /// The bytes of its files, as `du --apparent-size` counts them: each inode once.
    pub bytes: ByteSize,
    /// The bytes of the objects that only this one of the two has.
    pub own_bytes: ByteSize,
}

/// How much both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// The first version.
    pub from: TreeSize,
    /// The second version.
    pub to: TreeSize,
}

impl Sizes {
    pub(super) fn of(before: &Tree, after: &Tree) -> Self {
        let objects = |tree: &Tree| -> BTreeMap<Digest, u64> { tree.objects().collect() };
        let (old, new) = (objects(before), objects(after));
        let size = |tree: &Tree, own: &BTreeMap<Digest, u64>, other: &BTreeMap<Digest, u64>| {
            let only = own
                .iter()
                .filter(|(digest, _)| !other.contains_key(*digest));
            TreeSize {
                names: tree.len(),
                bytes: tree.objects().map(|(_, size)| ByteSize(size)).sum(),
                own_bytes: only.map(|(_, size)| ByteSize(*size)).sum(),
            }
        };
        Self {
            from: size(before, &old, &new),
            to: size(after, &new, &old),
        }
    }
}
