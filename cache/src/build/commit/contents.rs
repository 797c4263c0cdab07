//! The contents of changed files: which bytes each holds, and those that are new into the store.
//!
//! Most of what a package manager writes are the files of packages as they came. Comparing with the object that a file is
//! likely to equal is several times as fast as hashing it.

use super::scan::{ChangedFile, Scan};
use crate::build::{BuildError, parallel};
use crate::store::{Objects, PackageManifest};
use rustix::fs::{Mode, OFlags};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Entry, NodeKind};
use vzpkg_metadata::{Digest, RelPath, limits};

/// More files of one name and size are not compared: the file is hashed.
const MOST_CANDIDATES: usize = 4;

/// What files may hold: contents of packages, by name without directory and by size. The directory does not count, for
/// packages and trees name it differently where a link leads to it.
#[derive(Debug, Default)]
pub(in crate::build) struct Likely<'a> {
    contents: BTreeMap<(&'a [u8], u64), Vec<Digest>>,
}

impl<'a> Likely<'a> {
    /// The files of these packages.
    pub(in crate::build) fn of(packages: &'a [Arc<PackageManifest>]) -> Self {
        let mut contents: BTreeMap<_, Vec<Digest>> = BTreeMap::new();
        for (path, entry) in packages.iter().flat_map(|package| package.tree.iter()) {
            let Some(NodeKind::File { digest, size }) = entry.as_node().map(|node| &node.kind)
            else {
                continue;
            };
            let candidates = contents.entry((path.file_name(), *size)).or_default();
            if candidates.len() <= MOST_CANDIDATES && !candidates.contains(digest) {
                candidates.push(*digest);
            }
        }
        Self { contents }
    }

    fn candidates<'b>(&'b self, path: &'b RelPath, size: u64) -> &'b [Digest]
    where
        'a: 'b,
    {
        let contents: &BTreeMap<(&'b [u8], u64), Vec<Digest>> = &self.contents;
        let found = contents.get(&(path.file_name(), size));
        found
            .map(Vec::as_slice)
            .filter(|candidates| candidates.len() <= MOST_CANDIDATES)
            .unwrap_or_default()
    }
}

/// Turns the contents of files into objects.
pub(super) struct Contents<'a> {
    pub(super) objects: &'a Objects,
    pub(super) likely: &'a Likely<'a>,
}

impl Contents<'_> {
    /// Reads every changed file, biggest first, and gives its entry the digest of its bytes.
    pub(super) fn fill_in(&self, scan: &mut Scan, threads: usize) -> Result<(), BuildError> {
        scan.files
            .sort_by(|a, b| (Reverse(a.size), &a.path).cmp(&(Reverse(b.size), &b.path)));
        let kinds = parallel::map(threads, &scan.files, |file| self.kind(file))?;
        for (file, read) in scan.files.drain(..).zip(kinds) {
            if let Some(Entry::Node(node)) = scan.changed.get_mut(&file.path) {
                node.kind = read;
            }
        }
        Ok(())
    }

    fn kind(&self, changed: &ChangedFile) -> Result<NodeKind, BuildError> {
        let place = &changed.place;
        // Nobody of the sandbox is alive, but a link in its place would still be followed without this.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(place, flags, Mode::empty())
            .map_err(std::io::Error::from)
            .map_err(FileError::on("open", place))?;
        let file = File::from(file);
        for digest in self.likely.candidates(&changed.path, changed.size) {
            if self.objects.equals(digest, changed.size, &file)? {
                return Ok(NodeKind::File {
                    digest: *digest,
                    size: changed.size,
                });
            }
        }
        let (digest, size) = self.objects.put_file(&file, limits::FILE_BYTES)?;
        Ok(NodeKind::File { digest, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Access, Store};
    use std::fs;
    use std::path::Path;
    use vzpkg_metadata::Timestamp;
    use vzpkg_metadata::tree::{Node, Tree};

    /// A package with one file.
    fn package(store: &Store, path: &str, content: &[u8]) -> Arc<PackageManifest> {
        store.objects.put_bytes(content).unwrap();
        let mut tree = Tree::new();
        let node = Node::file(0o644, Timestamp::from_seconds(0), content);
        tree.insert(path.parse().unwrap(), node);
        Arc::new(PackageManifest {
            sha256: Digest::of(path.as_bytes()),
            size: 1,
            family: vzpkg_metadata::Family::Rpm,
            name: "p".parse().unwrap(),
            version: "1-1".to_owned(),
            arch: "x86_64".parse().unwrap(),
            record: String::new(),
            tree,
            control: BTreeMap::new(),
            conffiles: BTreeMap::new(),
        })
    }

    fn read(store: &Store, likely: &Likely<'_>, upper: &Path) -> Vec<(String, Digest)> {
        let mut scan = Scan::of(upper, &|_| true).unwrap();
        let objects = &store.objects;
        Contents { objects, likely }.fill_in(&mut scan, 2).unwrap();
        let files = scan.changed.iter().filter_map(|(path, entry)| {
            let kind = &entry.as_node()?.kind;
            let NodeKind::File { digest, size } = kind else {
                return None;
            };
            assert_eq!(
                store.objects.read(digest, *size).unwrap().len() as u64,
                *size
            );
            Some((path.to_string(), *digest))
        });
        files.collect()
    }

    #[test]
    fn what_a_package_ships_is_found_and_what_only_looks_so_is_hashed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("vz"), Access::ReadWrite).unwrap();
        let packages = [
            package(&store, "lib64/a.so", b"library"),
            package(&store, "etc/changed", b"as shipped"),
        ];
        let upper = directory.path().join("upper");
        fs::create_dir_all(upper.join("usr/lib64")).unwrap();
        // `lib64` is a link in the tree.
        fs::write(upper.join("usr/lib64/a.so"), b"library").unwrap();
        fs::write(upper.join("changed"), b"not shippe").unwrap();
        fs::write(upper.join("new"), b"new").unwrap();
        let found = read(&store, &Likely::of(&packages), &upper);
        let expected = [
            ("changed".to_owned(), Digest::of(b"not shippe")),
            ("new".to_owned(), Digest::of(b"new")),
            ("usr/lib64/a.so".to_owned(), Digest::of(b"library")),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_name_that_everybody_ships_is_not_compared_with_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("vz"), Access::ReadWrite).unwrap();
        let packages: Vec<_> = (0..9_u8)
            .map(|number| package(&store, &format!("doc/{number}/README"), &[number; 3]))
            .collect();
        let likely = Likely::of(&packages);
        assert_eq!(likely.candidates(&"x/README".parse().unwrap(), 3).len(), 0);
        let upper = directory.path().join("upper");
        fs::create_dir(&upper).unwrap();
        fs::write(upper.join("README"), [8; 3]).unwrap();
        let found = read(&store, &likely, &upper);
        assert_eq!(found, [("README".to_owned(), Digest::of(&[8; 3]))]);
    }
}
