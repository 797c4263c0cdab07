//! Where everything lies on a node: the only file that joins paths below the root. Not for making or reading anything.
//!
//! The picture is in the crate documentation. Names from the network never come here: every component is a digest, a
//! checked name type or a constant.

use std::path::{Path, PathBuf};
use vzpkg_metadata::{ContainerId, Digest, RepoId, TemplateName};

/// The paths below one root directory (`/vz` by default). Cheap to clone; touches no file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`, which should be absolute.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// EZ templates.
    pub fn templates(&self) -> PathBuf {
        self.root.join("template")
    }

    /// Everything the store owns.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// File contents: what a mount gets as its data layer. Mode 0700.
    pub fn objects(&self) -> PathBuf {
        self.store().join("objects")
    }

    /// The directory of the objects whose digest starts with this byte.
    pub fn shard(&self, shard: u8) -> PathBuf {
        self.objects().join(format!("{shard:02x}"))
    }

    /// One object.
    pub fn object(&self, digest: &Digest) -> PathBuf {
        self.objects().join(object_name(digest))
    }

    /// Metadata images.
    pub fn images(&self) -> PathBuf {
        self.store().join("images")
    }

    /// The image of the tree with this digest.
    pub fn image(&self, tree: &Digest) -> PathBuf {
        self.images().join(format!("{tree}.erofs"))
    }

    /// Manifests of imported packages.
    pub fn manifests(&self) -> PathBuf {
        self.store().join("packages")
    }

    /// The manifest of the package file with this sha256.
    pub fn manifest(&self, package: &Digest) -> PathBuf {
        self.manifests().join(package.to_string())
    }

    /// Records of published versions.
    pub fn versions(&self) -> PathBuf {
        self.store().join("versions")
    }

    /// The record of the version (or versions) with this tree.
    pub fn version(&self, tree: &Digest) -> PathBuf {
        self.versions().join(format!("{tree}.json"))
    }

    /// Trees of versions as plain directories, for kernels that cannot mount images (mount tier 3, and stubs for tier 2).
    pub fn materialized_trees(&self) -> PathBuf {
        self.store().join("trees")
    }

    /// One tree as a plain directory; complete if it is there.
    pub fn materialized(&self, tree: &Digest) -> PathBuf {
        self.materialized_trees().join(tree.to_string())
    }

    /// One tree as stubs that point to objects; complete if it is there.
    pub fn stubs(&self, tree: &Digest) -> PathBuf {
        self.materialized_trees().join(format!("{tree}.stubs"))
    }

    /// The state database.
    pub fn database(&self) -> PathBuf {
        self.store().join("state.db")
    }

    /// A damaged database while it is being replaced.
    pub fn database_aside(&self) -> PathBuf {
        self.store().join("state.db.aside")
    }

    /// A damaged database after everything readable was taken from it at this second since 1970.
    pub fn database_damaged(&self, at: i64) -> PathBuf {
        self.store().join(format!("state.db.damaged-{at}"))
    }

    /// Lock files between processes.
    pub fn guards(&self) -> PathBuf {
        self.store().join("guards")
    }

    /// The lock file of one guard. `name` is made of a constant and a checked name by `guard.rs` alone.
    pub(super) fn guard(&self, name: &str) -> PathBuf {
        self.guards().join(name)
    }

    /// Staging directories of running builds, on the same file system as the objects. Mode 0700.
    pub fn builds(&self) -> PathBuf {
        self.store().join("tmp")
    }

    /// Space that gc gives back before it works, so that it works on a full disk.
    pub fn reserve(&self) -> PathBuf {
        self.store().join("reserve")
    }

    /// Downloaded packages.
    pub fn packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    /// Verified repository metadata.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Verified metadata of one repository.
    pub fn repository(&self, id: &RepoId) -> PathBuf {
        self.index().join(id.as_str())
    }

    /// Private areas of all containers.
    pub fn private_areas(&self) -> PathBuf {
        self.root.join("private")
    }

    /// The private area of one container.
    pub fn private_area(&self, container: &ContainerId) -> PathBuf {
        self.private_areas().join(container.as_str())
    }

    /// Mount points of all containers.
    pub fn mount_points(&self) -> PathBuf {
        self.root.join("root")
    }

    /// The mount point of one container.
    pub fn mount_point(&self, container: &ContainerId) -> PathBuf {
        self.mount_points().join(container.as_str())
    }

    /// Local mirrors.
    pub fn mirrors(&self) -> PathBuf {
        self.root.join("mirror")
    }
}

/// Where an object lies below the objects directory: `ab/cdef…`. Images refer to objects by exactly this.
pub fn object_name(digest: &Digest) -> String {
    let text = digest.to_string();
    let (shard, rest) = text.split_at(2);
    format!("{shard}/{rest}")
}

/// A template name as one file name. `@` never occurs in a template name.
pub(super) fn template_file_name(template: &TemplateName) -> String {
    template.as_str().replace('/', "@")
}

/// The template whose [`template_file_name`] this is.
pub(super) fn template_of_file_name(name: &str) -> Option<TemplateName> {
    name.replace('@', "/").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_lie_in_256_shards() {
        let layout = Layout::new("/vz");
        let digest = Digest::of(b"abc");
        assert_eq!(
            layout.object(&digest),
            Path::new(
                "/vz/store/objects/ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            )
        );
        assert!(layout.object(&digest).starts_with(layout.shard(0xba)));
    }
}
