//! What is to be built, worked out before anything is touched: the new lock, the ids, the kind of build.

use super::{BuildError, BuildRequest, ids};
use crate::import::Imported;
use crate::store::{PackageManifest, VersionDraft};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use vzpkg_metadata::lock::{Ids, Lock};
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{Digest, Family};

/// What a version is built on: a tree that the store has the image of, and the lock it was made from.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// The digest of the tree.
    pub tree: Digest,
    /// What it is made of.
    pub lock: &'a Lock,
}

impl VersionDraft {
    /// This version as the base of another. It need not be published: a chain is replayed link by link, and only the
    /// last one becomes visible.
    pub const fn as_base(&self) -> Base<'_> {
        Base {
            tree: self.digest,
            lock: &self.lock,
        }
    }
}

/// Which scripts run, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildKind {
    /// A cache of an OS template, from nothing.
    Cache,
    /// A new version on an older one of the same template.
    Update,
    /// Applications on a version of their OS template.
    Application,
}

/// One build, worked out.
#[derive(Debug)]
pub struct Plan<'a> {
    /// What was asked for.
    pub request: &'a BuildRequest<'a>,
    /// Which kind of build it is.
    pub kind: BuildKind,
    /// What the version will be made of; which ids of [`Self::ids`] it uses is known only when it is built.
    pub lock: Lock,
    /// What comes, in the order of the transaction.
    pub incoming: &'a [Arc<PackageManifest>],
    /// The files of what comes, see [`Self::file`].
    pub files: &'a BTreeMap<Digest, Imported>,
    /// The ids that names are to get, by name; more than the build will create.
    pub ids: BTreeMap<String, Ids>,
    /// The tree of the base.
    pub base: Option<Tree>,
}

impl<'a> Plan<'a> {
    /// Works the plan out; reads the image of the base and nothing else.
    ///
    /// # Errors
    /// [`BuildError::Image`] where the base cannot be read.
    pub fn new(
        request: &'a BuildRequest<'a>,
        incoming: &'a [Arc<PackageManifest>],
        files: &'a BTreeMap<Digest, Imported>,
        known_ids: &BTreeMap<String, Ids>,
    ) -> Result<Self, BuildError> {
        let family = request.transaction.family;
        let arch = request.template.arch.in_family(family);
        let base = match request.base {
            Some(base) => Some(request.store.images.read(&base.tree)?),
            None => None,
        };
        let before = request.base.map(|base| base.lock.clone());
        let before = before.unwrap_or_else(|| Lock::empty(family, arch));
        let mut lock = before.after(request.transaction);
        lock.base = request.base.map(|base| base.tree);
        lock.epoch = request.epoch.max(before.epoch);
        let ids = ids::foresee(request.store, family, known_ids, incoming, base.as_ref())?;
        let kind = match (request.base, request.applications) {
            (None, _) => BuildKind::Cache,
            (Some(_), []) => BuildKind::Update,
            (Some(_), _) => BuildKind::Application,
        };
        Ok(Self {
            request,
            kind,
            lock,
            incoming,
            files,
            ids,
            base,
        })
    }

    /// The file of a package that comes.
    ///
    /// # Errors
    /// [`BuildError::MissingPackage`] where it was imported long ago and not sent with this build.
    pub fn file(&self, package: &PackageManifest) -> Result<&Path, BuildError> {
        let found = self.files.get(&package.sha256);
        let step = || {
            let mut incoming = self.request.transaction.incoming();
            incoming.find(|step| step.package.sha256 == package.sha256)
        };
        match (found, step()) {
            (Some(imported), _) => Ok(&imported.path),
            (None, Some(step)) => Err(BuildError::MissingPackage(Box::new(step.package.clone()))),
            (None, None) => Err(BuildError::Content {
                path: package.name.to_string(),
                problem: "it is not part of the transaction",
            }),
        }
    }

    /// Whether something was imported for it whose objects may not have reached the disk.
    pub fn is_new(&self) -> bool {
        self.files.values().any(|imported| imported.new)
    }

    /// The package family.
    pub const fn family(&self) -> Family {
        self.lock.family
    }
}
