//! The store: objects, images, manifests, versions and the database that makes versions visible.
//!
//! The format is described in the crate documentation. This file opens a store and joins its parts; what each part
//! does is in its own file.

mod agreement;
mod apart;
mod aside;
mod builds;
mod db;
mod erofs;
mod gc;
mod guard;
mod image;
mod image_error;
mod layout;
mod materialize;
mod object;
mod package;
mod publish;
mod rebuild;
mod repair;
mod reserve;
mod staging;
mod verify;
mod version;

pub use builds::BuildDir;
pub use db::{
    CachedTree, ContainerRow, Database, DatabaseError, Follow, Hold, IdClash, Salvaged,
    TemplateRow, Unsynced, VersionRow, VersionState,
};
pub use gc::{GcError, GcMode, GcOptions, GcReport, RemovedTree, Retention};
pub use guard::{Guard, GuardError, GuardName, GuardReporter, Holder, SilentWait, Wait};
pub use image::Images;
pub use image_error::ImageError;
pub use layout::{Layout, object_name};
pub use materialize::MaterializeError;
pub use object::{ObjectError, Objects};
pub use package::{ManifestError, PackageManifest, Packages};
pub use publish::{PublishError, Published};
pub use rebuild::{RebuildError, RebuildReport, rebuild};
pub use reserve::Reserve;
pub use verify::{Finding, VerifyError, VerifyReporter};
pub use version::{Timing, VersionDraft, VersionError, VersionRecord, Versions};

use db::Purpose;
use std::collections::BTreeSet;
use std::path::Path;
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::durable::{self, FileError};

/// What a command may do to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only; the store must exist. For every user.
    ReadOnly,
    /// Read and change; what is missing is made. For root.
    ReadWrite,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store below this root.
    #[error("there is no store below `{}`", .0.display())]
    Missing(std::path::PathBuf),
    /// A directory cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// An open store. Shared by threads as a reference; processes may open the same store at once.
#[derive(Debug)]
pub struct Store {
    /// Where everything lies.
    pub layout: Layout,
    /// File contents.
    pub objects: Objects,
    /// Metadata of trees.
    pub images: Images,
    /// Imported packages.
    pub packages: Packages,
    /// Records of published versions.
    pub versions: Versions,
    /// Names, heads, links, ids.
    pub db: Database,
}

/// The directories of a store and their permission bits. Objects hold `/etc/shadow`'s bytes: nobody else may look.
fn directories(layout: &Layout) -> [(std::path::PathBuf, u32); 9] {
    [
        (layout.store(), 0o755),
        (layout.objects(), 0o700),
        (layout.images(), 0o755),
        (layout.manifests(), 0o755),
        (layout.versions(), 0o755),
        (layout.guards(), 0o755),
        (layout.materialized_trees(), 0o700),
        (layout.builds(), 0o700),
        // Process 1 of a user namespace walks through to its own; nobody lists it.
        (layout.private_areas(), 0o711),
    ]
}

fn make_directories(layout: &Layout) -> Result<(), FileError> {
    for (path, mode) in directories(layout) {
        durable::create_directories(&path, mode)?;
    }
    Ok(())
}

impl Store {
    /// Opens the store below `root`, which `ReadWrite` makes if it is not there.
    ///
    /// # Errors
    /// [`OpenError`] by what is missing or refused. A store whose database was lost is not one that is not there yet:
    /// [`DatabaseError::Lost`].
    pub fn open(root: &Path, access: Access) -> Result<Self, OpenError> {
        Self::open_for(root, access, Purpose::Use)
    }

    fn open_for(root: &Path, access: Access, purpose: Purpose) -> Result<Self, OpenError> {
        let layout = Layout::new(root);
        match access {
            Access::ReadOnly if !layout.database().exists() => {
                db::check_place(&layout, purpose)?;
                return Err(OpenError::Missing(root.to_owned()));
            }
            Access::ReadOnly => {}
            Access::ReadWrite => {
                make_directories(&layout)?;
                for many in [layout.builds(), layout.private_areas()] {
                    apart::keep_apart(&many);
                }
                reserve::set_aside(&layout.reserve());
            }
        }
        let objects = Objects::new(layout.clone(), access);
        let db = Database::open(&layout, access, purpose)?;
        Ok(Self {
            images: Images::new(layout.clone(), objects.staging()),
            packages: Packages::new(layout.clone(), objects.staging()),
            versions: Versions::new(layout.clone()),
            db,
            objects,
            layout,
        })
    }

    /// Makes everything put so far durable: one `syncfs`, after which the manifests put since the last call are visible
    /// to other processes. [`Self::publish`] does it by itself.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn sync(&self) -> Result<(), FileError> {
        let put = self.packages.staged();
        self.objects.sync_all()?;
        self.packages.place(&put)
    }

    /// Refuses to go on if the database was lost or replaced since this store was opened, or is being replaced: for whoever
    /// waited for a guard and then believes what is *not* in it.
    ///
    /// # Errors
    /// [`DatabaseError::Lost`], [`DatabaseError::Unfinished`], [`DatabaseError::Replaced`].
    pub fn check_database(&self) -> Result<(), DatabaseError> {
        db::check_place(&self.layout, Purpose::Use)?;
        self.db.check_in_place()
    }

    /// Begins a build: a staging directory of its own, on the file system of the objects.
    ///
    /// # Errors
    /// [`FileError`] where it cannot be made.
    pub fn begin_build(&self) -> Result<BuildDir, FileError> {
        BuildDir::begin(&self.layout)
    }

    /// Takes a guard, waiting as long as `wait` says.
    ///
    /// # Errors
    /// [`GuardError::Busy`] names who holds it.
    pub fn guard(
        &self,
        name: GuardName,
        wait: Wait,
        reporter: &dyn GuardReporter,
    ) -> Result<Guard, GuardError> {
        Guard::take(&self.layout, name, wait, reporter)
    }

    /// Takes the guards of `names` and of all templates that were ever built, waiting as long as `wait` says for each: while
    /// they live, none of them is built, and what builds have downloaded may go.
    ///
    /// # Errors
    /// As [`Self::guard`].
    pub fn guard_templates(
        &self,
        names: BTreeSet<TemplateName>,
        wait: Wait,
        reporter: &dyn GuardReporter,
    ) -> Result<Vec<Guard>, GuardError> {
        guard::take_templates(&self.layout, names, wait, reporter)
    }

    /// Who holds a guard right now; `None` if nobody does.
    ///
    /// # Errors
    /// [`FileError`] where the lock file cannot be read.
    pub fn guard_holder(&self, name: &GuardName) -> Result<Option<Holder>, FileError> {
        guard::holder(&self.layout, name)
    }
}
