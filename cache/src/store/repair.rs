//! What a repair needs of the store: which packages damaged objects came from, and taking away what only stands in the
//! way. Bringing the bytes again is for whoever knows the repositories.

use super::Store;
use super::agreement::lock_directory;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::Share;

impl Store {
    /// The packages, among those whose manifest can be read, that brought one of these objects. Reads all manifests.
    ///
    /// # Errors
    /// [`FileError`] if they cannot be listed.
    pub fn packages_with(&self, objects: &BTreeSet<Digest>) -> Result<BTreeSet<Digest>, FileError> {
        let mut found = BTreeSet::new();
        for package in self.packages.list()? {
            if let Ok(Some(manifest)) = self.packages.peek(&package)
                && manifest
                    .tree
                    .objects()
                    .any(|(digest, _)| objects.contains(&digest))
            {
                found.insert(package);
            }
        }
        Ok(found)
    }

    /// Whether a tree, as far as its image can be read, names one of these objects.
    pub fn tree_has(&self, tree: &Digest, objects: &BTreeSet<Digest>) -> bool {
        let named = self.images.objects_of(tree).unwrap_or_default();
        named.iter().any(|digest| objects.contains(digest))
    }

    /// Takes a manifest away: the package is imported again when it is needed.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be removed.
    pub fn discard_manifest(&self, package: &Digest) -> Result<(), FileError> {
        remove(&self.layout.manifests(), &self.packages.path(package))
    }

    /// Takes an image away if its bytes are what was written, but not the image of this tree: a build would take it for
    /// its own. Any other damage is seen by the build, and written over when the new image is there.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be removed.
    pub fn discard_swapped_image(&self, tree: &Digest) -> Result<(), FileError> {
        if self.images.load(tree).is_ok() && self.images.peek(tree).is_err() {
            remove(&self.layout.images(), &self.images.path(tree))?;
        }
        Ok(())
    }
}

/// Removes a file as gc does: nobody puts one there or relies on it meanwhile.
fn remove(directory: &Path, path: &Path) -> Result<(), FileError> {
    let _exclusive = lock_directory(directory, Share::Exclusive)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", path)(error))
        }
        _ => Ok(()),
    }
}
