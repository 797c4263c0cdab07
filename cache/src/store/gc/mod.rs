//! Garbage collection: removes what nothing refers to, while others read, build and publish.
//!
//! 1. One threshold in time: the start of the oldest running build, this collection's own included. Builds touch what
//!    they put or reuse, so everything not older than the threshold may be theirs and stays.
//! 2. The roots are read: versions but those that are old ([`Retention`]) and unused, containers, cached trees, mounts, and
//!    what the other crates name.
//! 3. Mark: the objects of all root trees and of the manifests that root versions were made from. Where that fails,
//!    nothing was removed.
//! 4. The old versions leave the database; one that somebody began to use meanwhile stays, and is marked.
//! 5. Sweep, each directory under its exclusive guard with a second look at each file's time: manifests, then images;
//!    what was touched since the mark is spared, and its objects with it; then records without a row; then objects.
//!
//! A build that touches a manifest or an image after its sweep finds it there, so it was marked or spared; one that
//! comes too late does not find it and imports or writes again. Nothing that a build found is taken from under it.

mod expire;
mod mark;
mod sweep;
#[cfg(test)]
mod tests;

pub(super) use mark::InUse;

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
use std::path::PathBuf;
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
    /// A record that nothing needs cannot be read or removed; what was found before it is gone.
    #[error("not everything was removed, for a record that no version needs is in the way")]
    Record(#[source] VersionError),
}

/// A collection that has begun.
struct Collection<'a> {
    store: &'a Store,
    mode: GcMode,
    /// A place for what is being removed; none in a dry run.
    own: Option<BuildDir>,
    /// What is not older stays.
    threshold: Timestamp,
    /// Directories of dead builds.
    dead: Vec<PathBuf>,
    /// Versions that go.
    expired: BTreeMap<VersionName, Digest>,
    roots: Roots,
    marked: Marked,
    /// Unmarked objects of trees that go → index into the report's trees.
    owners: BTreeMap<Digest, usize>,
    report: GcReport,
}

impl Store {
    /// Collects garbage; other processes may build, publish and read meanwhile. `roots` is what the other crates use:
    /// the store adds versions, containers, cached trees, running builds and mounted trees by itself. `guard` is
    /// [`GuardName::Collect`]; a dry run, which removes nothing, needs none. Works on a full disk.
    ///
    /// # Errors
    /// [`GcError`]. Where marking fails, nothing was removed.
    pub fn gc(
        &self,
        guard: Option<&Guard>,
        roots: &RootSet,
        options: GcOptions,
    ) -> Result<GcReport, GcError> {
        debug_assert!(
            match guard {
                Some(guard) => *guard.name() == GuardName::Collect,
                None => options.mode == GcMode::DryRun,
            },
            "one collection at a time"
        );
        // Else its roots would be none, or old ones.
        self.check_database()?;
        let _reserve = (options.mode == GcMode::Remove).then(|| self.release_reserve());
        let mut collection = Collection::begin(self, roots, options)?;
        collection.sweep()?;
        Ok(collection.report)
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
        swept.map_err(GcError::Record)
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

impl<'a> Collection<'a> {
    /// Finds and marks what is in use. Removes nothing.
    fn begin(store: &'a Store, others: &RootSet, options: GcOptions) -> Result<Self, GcError> {
        let own = match options.mode {
            GcMode::Remove => Some(BuildDir::begin(&store.layout)?),
            GcMode::DryRun => None,
        };
        let found = builds::list(&store.layout)?;
        let threshold = found.iter().filter_map(|build| build.alive_since).min();
        let dead = found.iter().filter(|build| build.alive_since.is_none());
        // Only now: what is published after the roots were read is of a build that the threshold knows, or younger.
        let expired = store.expirable(others, options.keep)?;
        let roots = Roots::read(store, others, &expired)?;
        Ok(Self {
            store,
            mode: options.mode,
            own,
            threshold: threshold.unwrap_or(Timestamp::from_seconds(i64::MAX)),
            dead: dead.map(|build| build.path.clone()).collect(),
            expired,
            marked: Marked::mark(store, &roots)?,
            roots,
            owners: BTreeMap::new(),
            report: GcReport::default(),
        })
    }

    /// Removes everything else.
    fn sweep(&mut self) -> Result<(), GcError> {
        if self.mode == GcMode::Remove {
            self.remove_expired()?;
        }
        self.sweep_builds()?;
        self.sweep_manifests()?;
        self.sweep_images()?;
        self.sweep_materialized()?;
        if self.mode == GcMode::Remove {
            self.store.sweep_records()?;
        }
        self.sweep_objects()
    }
}
