//! What the database holds, as values.

use vzpkg_metadata::{
    ContainerId, Digest, PackageName, PackagePattern, TagName, TemplateName, VersionName,
    VersionNumber,
};

/// Whether a version may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionState {
    /// Nothing is known against it.
    Good,
    /// It was rolled back from; the text says why. A scheduled update does not choose it again.
    Bad(String),
}

/// A template that has, or had, versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRow {
    /// Its name.
    pub name: TemplateName,
    /// The version new containers get; `None` after the last one was removed.
    pub head: Option<VersionNumber>,
    /// How many versions there are.
    pub versions: u64,
}

/// A published version, as the database knows it; more is in its [`crate::store::VersionRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// Template and number.
    pub name: VersionName,
    /// The digest of its tree.
    pub digest: Digest,
    /// The tree digest of its parent.
    pub parent: Option<Digest>,
    /// When it was built, seconds since 1970.
    pub created: i64,
    /// Whether it may be chosen.
    pub state: VersionState,
    /// Whether gc must keep it.
    pub kept: bool,
    /// Its tags, sorted.
    pub tags: Vec<TagName>,
}

/// Packages of a template that an update leaves as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Which packages.
    pub pattern: PackagePattern,
    /// The first second since 1970 at which it is over; `None`: it stays until it is taken away.
    pub until: Option<i64>,
    /// Why; empty if nobody said.
    pub reason: String,
    /// When it was made, seconds since 1970; 0 if that is not known.
    pub since: i64,
}

impl Hold {
    /// Whether it holds at the second `now`.
    pub fn is_active(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What a container's link does when its template's head moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// An update of the container moves it to the head.
    Head,
    /// It stays until it is moved by name.
    Pinned,
}

/// A container and its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRow {
    /// Its name.
    pub id: ContainerId,
    /// Its OS template.
    pub template: TemplateName,
    /// The digest of the tree it is linked to: a version of its template, or an appcache on one.
    pub link: Digest,
    /// The OS version below the link; equal to `link` without applications.
    pub os_digest: Digest,
    /// How often its link has changed: names its work and undo directories. 1 when it is made.
    pub generation: u64,
    /// What its link does when the head moves.
    pub follow: Follow,
    /// Its application templates, sorted.
    pub applications: Vec<TemplateName>,
    /// Extra packages that were asked for, sorted.
    pub packages: Vec<PackageName>,
    /// Where its 65,536 ids start on the host; 0 for the host's own ids.
    pub first_uid: u32,
    /// When it was created, seconds since 1970.
    pub created: i64,
}

/// A tree that is kept under a key made of what it was built from: an appcache, or the rpm tools of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedTree {
    /// What it is: `appcache` or `rpm-tools`.
    pub kind: String,
    /// The digest of everything it was built from.
    pub key: Digest,
    /// The digest of its tree.
    pub digest: Digest,
    /// Whom it belongs to: the OS template.
    pub template: TemplateName,
    /// What it was built from, as the caller wrote it (JSON).
    pub description: String,
    /// When it was built, seconds since 1970.
    pub created: i64,
}
