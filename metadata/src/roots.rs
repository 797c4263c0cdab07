//! What garbage collection must keep, as every crate reports it. A plain set of digests; who collects is not said here.

use crate::Digest;
use std::collections::BTreeSet;

/// Digests that are in use. Each crate adds its own; `vzpkg::ops::collect_garbage` joins them and hands them to the
/// store, which adds what these refer to (the objects of a tree, the packages of a lock).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootSet {
    /// Trees in use: versions, mounted images, running builds.
    pub trees: BTreeSet<Digest>,
    /// Imported packages whose manifest is in use.
    pub packages: BTreeSet<Digest>,
    /// Single objects in use.
    pub objects: BTreeSet<Digest>,
}

impl RootSet {
    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.trees.extend(other.trees);
        self.packages.extend(other.packages);
        self.objects.extend(other.objects);
    }
}
