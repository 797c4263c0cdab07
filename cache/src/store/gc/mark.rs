//! What is in use: the roots, and everything they refer to.

use super::GcError;
use crate::store::db::{DatabaseError, VersionRow};
use crate::store::{ImageError, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};
use vzpkg_metadata::{Digest, RootSet, VersionName};

/// Trees and packages in use.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Trees whose image must be there.
    pub(super) trees: BTreeSet<Digest>,
    /// Trees that others name and that may be gone.
    named: BTreeSet<Digest>,
    pub(super) packages: BTreeSet<Digest>,
    objects: BTreeSet<Digest>,
}

impl Roots {
    /// Reads the roots; `expired` versions are none, though they are in the database still.
    pub(super) fn read(
        store: &Store,
        others: &RootSet,
        expired: &BTreeMap<VersionName, Digest>,
    ) -> Result<Self, GcError> {
        let mut roots = Self {
            named: others.trees.clone(),
            packages: others.packages.clone(),
            objects: others.objects.clone(),
            ..Self::default()
        };
        let in_use = InUse::read(store)?;
        roots.named.extend(in_use.named);
        roots.named.extend(in_use.held);
        let versions = in_use.versions.iter().map(|row| (&row.name, row.digest));
        roots.add(
            store,
            versions.filter(|(name, _)| !expired.contains_key(name)),
        )?;
        Ok(roots)
    }

    /// The roots that these versions are.
    pub(super) fn of_versions(
        store: &Store,
        versions: &BTreeMap<VersionName, Digest>,
    ) -> Result<Self, GcError> {
        let mut roots = Self::default();
        roots.add(store, versions.iter().map(|(name, digest)| (name, *digest)))?;
        Ok(roots)
    }

    fn add<'v>(
        &mut self,
        store: &Store,
        versions: impl Iterator<Item = (&'v VersionName, Digest)>,
    ) -> Result<(), GcError> {
        for (name, digest) in versions {
            self.trees.insert(digest);
            let record = store.versions.read(&name.template, &digest)?;
            let packages = record.lock.packages.iter();
            self.packages.extend(packages.map(|package| package.sha256));
        }
        Ok(())
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.trees.extend(more.trees);
        self.named.extend(more.named);
        self.packages.extend(more.packages);
        self.objects.extend(more.objects);
    }

    pub(super) fn has_tree(&self, digest: &Digest) -> bool {
        self.trees.contains(digest) || self.named.contains(digest)
    }
}

/// The objects in use.
#[derive(Debug, Default)]
pub(super) struct Marked {
    /// Sorted.
    objects: Vec<Digest>,
    /// Of what was spared while sweeping.
    late: BTreeSet<Digest>,
}

impl Marked {
    /// Marks the objects of all roots. Removes nothing.
    pub(super) fn mark(store: &Store, roots: &Roots) -> Result<Self, GcError> {
        let mut work: Vec<(Digest, Kind)> = Vec::new();
        work.extend(roots.trees.iter().map(|digest| (*digest, Kind::Tree)));
        let named = roots.named.difference(&roots.trees);
        work.extend(named.map(|digest| (*digest, Kind::NamedTree)));
        work.extend(roots.packages.iter().map(|digest| (*digest, Kind::Package)));
        let parts = on_threads(usize::MAX, &work, &|part| objects_of_all(store, part));
        // The empty file needs no object, but trees name it.
        let mut objects = vec![Digest::of(b"")];
        objects.extend(&roots.objects);
        for part in parts {
            objects.extend(part?);
        }
        objects.sort_unstable();
        objects.dedup();
        Ok(Self {
            objects,
            late: BTreeSet::new(),
        })
    }

    pub(super) fn contains(&self, object: &Digest) -> bool {
        self.objects.binary_search(object).is_ok() || self.late.contains(object)
    }

    pub(super) fn add(&mut self, objects: impl IntoIterator<Item = Digest>) {
        self.late.extend(objects);
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.late.extend(more.objects);
        self.late.extend(more.late);
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tree,
    NamedTree,
    Package,
}

/// Does work on the threads of the machine, on at most so many; each gets a part, in turns: a tree takes many times as
/// long as a package.
pub(super) fn on_threads<W: Sync, T: Send>(
    most: usize,
    work: &[W],
    each: &(dyn Fn(&mut dyn Iterator<Item = &W>) -> T + Sync),
) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(most));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| work.iter().skip(first).step_by(threads))
            .map(|mut part| scope.spawn(move || each(&mut part)))
            .collect();
        let ended = workers.into_iter().map(ScopedJoinHandle::join);
        ended
            .map(|end| end.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

fn objects_of_all(
    store: &Store,
    work: &mut dyn Iterator<Item = &(Digest, Kind)>,
) -> Result<Vec<Digest>, GcError> {
    let mut objects = Vec::new();
    for (digest, kind) in work {
        match kind {
            Kind::Tree => objects.extend(store.images.objects_of(digest)?),
            Kind::NamedTree => match store.images.objects_of(digest) {
                Ok(more) => objects.extend(more),
                Err(ImageError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            },
            Kind::Package => {
                // One that is missing is imported again when it is needed.
                if let Some(manifest) = store.packages.peek(digest)? {
                    objects.extend(manifest.tree.objects().map(|(digest, _)| digest));
                }
            }
        }
        if objects.len() > 200_000 {
            objects.sort_unstable();
            objects.dedup();
        }
    }
    Ok(objects)
}

/// The trees in use besides those of versions, and the versions: what the database says at one moment, and the kernel.
pub(in crate::store) struct InUse {
    pub(in crate::store) versions: Vec<VersionRow>,
    /// Those that containers and cached trees name; they must be there.
    pub(in crate::store) named: BTreeSet<Digest>,
    /// Those of moves that have not ended, and those that are mounted.
    pub(in crate::store) held: BTreeSet<Digest>,
}

impl InUse {
    pub(in crate::store) fn read(store: &Store) -> Result<Self, DatabaseError> {
        let mut held = mounted_trees();
        let (versions, containers, cached, journal) =
            store.db.read("read the trees in use", |session| {
                Ok((
                    session.all_versions()?,
                    session.containers()?,
                    session.cached_trees()?,
                    session.journal_entries()?,
                ))
            })?;
        held.extend(trees_of(&journal));
        let of_containers = containers.iter().flat_map(|row| [row.link, row.os_digest]);
        let of_cached = cached.iter().map(|tree| tree.digest);
        Ok(Self {
            versions,
            named: of_containers.chain(of_cached).collect(),
            held,
        })
    }
}

/// The trees that any mount of any mount namespace of this machine refers to: every digest that stands in a mount
/// table, for the kernel shows an image as a mount's source and a materialised tree as its lower directory.
pub(super) fn mounted_trees() -> BTreeSet<Digest> {
    let mut trees = BTreeSet::new();
    let mut namespaces = BTreeSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = process.path();
        // Processes end while this runs, and those of others may be unreadable: their namespaces have other members,
        // or no mounts of ours.
        let Ok(namespace) = fs::read_link(path.join("ns/mnt")) else {
            continue;
        };
        if !namespaces.insert(namespace.clone()) {
            continue;
        }
        match fs::read(path.join("mountinfo")) {
            Ok(table) => digests_in(&table, &mut trees),
            Err(_) => {
                namespaces.remove(&namespace);
            }
        }
    }
    trees
}

/// The trees that entries of the journal name: containers are between them, and may yet go back.
pub(super) fn trees_of(journal: &[String]) -> BTreeSet<Digest> {
    let mut trees = BTreeSet::new();
    for entry in journal {
        digests_in(entry.as_bytes(), &mut trees);
    }
    trees
}

/// Every run of exactly 64 hexadecimal digits.
fn digests_in(text: &[u8], found: &mut BTreeSet<Digest>) {
    for word in text.split(|byte| !byte.is_ascii_hexdigit()) {
        let word = str::from_utf8(word).unwrap_or_default();
        found.extend(word.parse::<Digest>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_every_place_of_a_mount_table() {
        let (image, tree) = (Digest::of(b"image"), Digest::of(b"tree"));
        let table = format!(
            "50 1 0:9 / /run/x ro - erofs /vz/store/images/{image}.erofs ro\n\
             51 1 0:8 / /m rw - overlay x rw,lowerdir+=/vz/store/trees/{tree},upperdir=/u/00{image}\n"
        );
        let mut found = BTreeSet::new();
        digests_in(table.as_bytes(), &mut found);
        assert_eq!(found, BTreeSet::from([image, tree]));
    }
}
