//! Garbage collection: removes what nothing refers to, while others read, build and publish.
//!
//! 1. One threshold in time: the start of the oldest running build, this collection's own included. Builds touch what
//!    they put or reuse, so everything not older than the threshold may be theirs and stays.
//! 2. Old versions leave the database ([`Retention`]); then the roots are read: versions, containers,
//!    cached trees, mounts, and what the other crates name.
//! 3. Mark: the objects of all root trees and of the manifests that root versions were made from.
//! 4. Sweep, each directory under its exclusive guard with a second look at each file's time: manifests, then images;
//!    what was touched since the mark is spared, and its objects with it; then records without a row; then objects.
//!
//! A build that touches a manifest or an image after its sweep finds it there, so it was marked or spared; one that
//! comes too late does not find it and imports or writes again. Nothing that a build found is taken from under it.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the path of a method of Session is not general enough in its lifetime"
)]

mod mark;
mod sweep;

use super::Store;
use super::builds::{self, BuildDir};
use super::db::DatabaseError;
use super::guard::{Guard, GuardName};
use super::image_error::ImageError;
use super::package::ManifestError;
use super::reserve::Reserve;
use super::version::VersionError;
use mark::{Marked, Roots};
use std::collections::BTreeMap;
use std::fs;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::{ByteSize, Digest, RootSet, Timestamp, VersionName};

/// Whether to remove or only to say what would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcMode {
    /// Only say.
    DryRun,
    /// Remove.
    Remove,
}

/// What a collection may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcOptions {
    /// Whether to remove.
    pub mode: GcMode,
    /// Which versions stay besides heads, kept and tagged ones and those in use.
    pub keep: Retention,
}

/// Which versions of each template stay though nothing uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub newest: usize,
    /// Those built at this second since 1970 or later.
    pub since: i64,
}

impl Retention {
    /// The newest, however old they are; nothing for its age.
    pub const fn newest(newest: usize) -> Self {
        Self {
            newest,
            since: i64::MAX,
        }
    }
}

/// A tree that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedTree {
    /// The digest of the tree.
    pub digest: Digest,
    /// The versions that have it; none for what a dead build or a removed version left.
    pub versions: Vec<VersionName>,
    /// The bytes of its image and of the objects that no other tree has; those it shares with another tree that goes
    /// are counted for the first of them.
    pub bytes: ByteSize,
}

/// What was or would be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Trees whose image goes, by digest.
    pub trees: Vec<RemovedTree>,
    /// How many objects go.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: ByteSize,
    /// How many package manifests go.
    pub manifests: u64,
    /// Their bytes.
    pub manifest_bytes: ByteSize,
    /// How many directories of dead builds go.
    pub dead_builds: u64,
    /// How many objects stay.
    pub kept_objects: u64,
    /// The bytes of the images that go.
    pub image_bytes: ByteSize,
}

impl GcReport {
    /// All bytes that are freed.
    pub fn bytes(&self) -> ByteSize {
        // The objects of trees are among all objects.
        [self.object_bytes, self.manifest_bytes, self.image_bytes]
            .into_iter()
            .sum()
    }
}

/// Why nothing, or not everything, was collected.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// A file cannot be listed or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The roots cannot be read from the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A tree in use cannot be read; nothing was removed.
    #[error("nothing was removed, for a tree in use cannot be read")]
    Image(#[from] ImageError),
    /// A manifest in use cannot be read; nothing was removed.
    #[error("nothing was removed, for a manifest in use cannot be read")]
    Manifest(#[from] ManifestError),
    /// A record in use cannot be read; nothing was removed.
    #[error("nothing was removed, for a version's record cannot be read")]
    Version(#[from] VersionError),
}

/// A collection that has begun.
struct Collection<'a> {
    store: &'a Store,
    mode: GcMode,
    /// What is not older stays.
    threshold: Timestamp,
    marked: Marked,
    /// Unmarked objects of trees that go → index into the report's trees.
    owners: BTreeMap<Digest, usize>,
    report: GcReport,
}

impl Store {
    /// Collects garbage; other processes may build, publish and read meanwhile. `roots` is what the other crates use:
    /// the store adds versions, containers, cached trees, running builds and mounted trees by itself. `guard` is
    /// [`GuardName::Collect`]. Works on a full disk.
    ///
    /// # Errors
    /// [`GcError`]. Where marking fails, no file was removed.
    pub fn gc(
        &self,
        guard: &Guard,
        roots: &RootSet,
        options: GcOptions,
    ) -> Result<GcReport, GcError> {
        debug_assert_eq!(
            *guard.name(),
            GuardName::Collect,
            "one collection at a time"
        );
        let _reserve = (options.mode == GcMode::Remove).then(|| self.release_reserve());
        let own = match options.mode {
            GcMode::Remove => Some(BuildDir::begin(&self.layout)?),
            GcMode::DryRun => None,
        };
        let found = builds::list(&self.layout)?;
        let threshold = found.iter().filter_map(|build| build.alive_since).min();
        let dead = found.iter().filter(|build| build.alive_since.is_none());
        let dead: Vec<_> = dead.map(|build| build.path.clone()).collect();

        let removed = self.expire_versions(roots, options)?;
        let roots = Roots::read(self, roots, &removed)?;
        let mut collection = Collection {
            store: self,
            mode: options.mode,
            threshold: threshold.unwrap_or(Timestamp::from_seconds(i64::MAX)),
            marked: Marked::mark(self, &roots)?,
            owners: BTreeMap::new(),
            report: GcReport::default(),
        };
        collection.sweep_builds(&dead)?;
        collection.sweep_manifests(&roots)?;
        collection.sweep_images(&roots, &removed)?;
        if options.mode == GcMode::Remove {
            self.sweep_records()?;
        }
        collection.sweep_objects()?;
        drop(own);
        Ok(collection.report)
    }

    /// Takes versions out of the database that nothing keeps; says which. A dry run takes none, but says the same.
    fn expire_versions(
        &self,
        roots: &RootSet,
        options: GcOptions,
    ) -> Result<BTreeMap<VersionName, Digest>, GcError> {
        let mut expired = BTreeMap::new();
        let rows = self
            .db
            .read("list versions", |session| session.all_versions())?;
        let mounted = mark::mounted_trees();
        let in_use = |digest| mounted.contains(digest) || roots.trees.contains(digest);
        for template in self.db.templates()? {
            let mut newest: Vec<_> = rows
                .iter()
                .filter(|row| row.name.template == template.name)
                .collect();
            newest.sort_by_key(|row| std::cmp::Reverse(row.name.number));
            for row in newest.into_iter().skip(options.keep.newest) {
                if row.created >= options.keep.since {
                    continue;
                }
                let unused = !in_use(&row.digest) && self.db.user_of_version(&row.name)?.is_none();
                let last = Some(row.name.number) == template.head;
                if unused && !last {
                    expired.insert(row.name.clone(), row.digest);
                }
            }
        }
        if options.mode == GcMode::Remove {
            for version in expired.keys() {
                match self.db.remove_version(version) {
                    // Somebody began to use or removed it just now.
                    Ok(()) | Err(DatabaseError::InUse { .. } | DatabaseError::Unknown { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(expired)
    }

    /// Removes records that no row names. A publication writes its record inside its transaction, so none is seen here.
    fn sweep_records(&self) -> Result<(), GcError> {
        let swept = self.db.write("sweep records", |session| {
            let rows = session.all_versions()?;
            let sweep = || {
                for digest in self.versions.list()? {
                    let records = match self.versions.read_all(&digest) {
                        // Nobody needs it, and nobody could use it.
                        Err(VersionError::Damaged { path, .. })
                            if rows.iter().all(|row| row.digest != digest) =>
                        {
                            durable::remove_file(&path)?;
                            continue;
                        }
                        other => other?,
                    };
                    for record in records {
                        let known = rows.iter().any(|row| {
                            row.digest == digest && row.name.template == record.template
                        });
                        if !known {
                            self.versions.remove(&record.template, &digest)?;
                        }
                    }
                }
                Ok::<(), VersionError>(())
            };
            Ok(sweep())
        })?;
        Ok(swept?)
    }

    /// Gives the reserved space back; it is taken again when the returned value is dropped.
    pub fn release_reserve(&self) -> Reserve {
        let reserve = Reserve {
            path: self.layout.reserve(),
        };
        // If it is not there, there is nothing to give back.
        drop(fs::remove_file(&reserve.path));
        reserve
    }
}
