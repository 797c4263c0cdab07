//! Private changes of a container against a new version: what to change in its upper directory so that it stands on
//! another tree, and why.
//!
//! Pure: trees, a scan of the upper and readers of contents in; edits and a report out. The rules, for every path at
//! which the two trees differ and something private stands:
//!
//! * **packages** first (`packages`): changed on one side only, a package is taken whole from that side; changed on
//!   both, whole from where its version is higher. The union is checked by the caller.
//! * **files** (`files`): content and metadata are judged apart. Content equal to the old version's becomes the new
//!   version's, with the container's mode and owner; what both changed stays the container's, and the new version's is
//!   laid beside it as `NAME.vzpkg-new`; what would hide a new type is moved aside as `NAME.vzpkg-old`.
//! * **records** (`records`): users, groups, package states and their kin merge record by record.
//! * **state** (`state`): a state file is the container's own: the old version's copy is made private before the new
//!   version would change it.
//!
//! A rollback is the same merge with two other trees (`view`): from *the version with what the relink put over it* to
//! *the old version with what was private before*. What nobody touched in between is put back as the very file it was.

mod beside;
mod draft;
mod files;
mod judge;
mod packages;
mod records;
mod rpm;
mod state;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use packages::{STATUS, conffiles};
pub use records::RecordConflict;
pub(crate) use records::{field, is_record, paragraphs, read_record};
pub(crate) use state::{is_managers, is_place, listed};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{Digest, Family, RelPath};
use vzpkg_runtime::container::{
    ObjectSource, PrivateSource, Regenerate, RelinkPlan, UndoRecord, UpperScan,
};

/// A record file that is read whole: dpkg's status of 100,000 packages is 150 MB.
pub(crate) const RECORD_BYTES: u64 = 256 << 20;

/// What a merge judges.
#[derive(Debug, Clone, Copy)]
pub struct MergeInput<'a> {
    /// Which package manager's files are merged by record.
    pub family: Family,
    /// The tree that the container stands on.
    pub from: &'a Tree,
    /// The tree that it shall stand on.
    pub to: &'a Tree,
    /// The paths at which these two differ ([`differing`]): the same for every container between them.
    pub differing: &'a BTreeSet<RelPath>,
    /// What is private.
    pub upper: &'a UpperScan,
    /// The contents of private files.
    pub private: &'a dyn PrivateSource,
    /// The contents of both trees, and in a rollback of what the undo record keeps.
    pub objects: &'a dyn ObjectSource,
    /// In a rollback, the record of the relink that led to `from`.
    pub undo: Option<&'a UndoRecord>,
}

/// One package of the merged package state, for the check of the union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnionPackage {
    /// Its name.
    pub name: String,
    /// Its architecture as dpkg writes it.
    pub arch: String,
    /// Its version.
    pub version: String,
    /// Its paragraph of dpkg's status file.
    pub paragraph: String,
    /// Whether it comes from the container's own changes.
    pub private: bool,
}

/// Says whether packages fit together; the error is why not, for a person.
pub type UnionCheck<'a> = dyn FnMut(&[UnionPackage]) -> Result<(), String> + 'a;

/// What was decided about one path or package.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// The private copy equalled the old version's and gave way to the new version's.
    Taken,
    /// The new version's content got the container's mode, owner or attributes.
    TakenWithOwnMetadata,
    /// The private content stays; mode, owner or attributes follow the new version where the container had not changed
    /// them.
    KeptWithNewMetadata,
    /// Both changed it: the private one stays, the other side's lies beside it: the new version's, or in a rollback what was
    /// there before.
    KeptBeside {
        /// Where the other one lies.
        new: String,
    },
    /// The private one stays, and the new version's shows nowhere.
    Kept {
        /// Why.
        why: Why,
    },
    /// It hid a new type of entry and was moved aside.
    MovedAside {
        /// Where it is now.
        to: String,
    },
    /// Merged record by record.
    Merged {
        /// Records that both sides changed, and of which the container's was kept.
        conflicts: Vec<RecordConflict>,
    },
    /// A state file: the old version's was made private before the new version would have changed it.
    StateCopied,
    /// The private entry went because that was asked for; what the version has there shows.
    Reset,
    /// What was private before the relink was put back.
    PutBack,
    /// A cache: dropped, and made again at the next start.
    MadeAgain,
    /// rpm's database, to which the container had added nothing but keys: the new version's, which does not have them.
    KeysGone {
        /// Which keys, by the names that rpm gives them.
        keys: Vec<String>,
    },
    /// A package of which the container's version stays.
    PackageKept {
        /// The container's version; `None` where the container removed it.
        private: Option<String>,
        /// The new version's.
        template: Option<String>,
    },
    /// A package that the container had changed and of which the new version's is taken.
    PackageTaken {
        /// The container's version.
        private: Option<String>,
        /// The new version's.
        template: Option<String>,
    },
}

/// Why a private entry stays although the version below it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The container removed it.
    Removed,
    /// The new version does not have it any more.
    Gone,
    /// It is state.
    State,
    /// It lies where nothing may be laid beside it.
    NoRoomBeside,
    /// The container replaced it by another type of entry.
    OtherType,
    /// It belongs to a package that the container keeps.
    OfKeptPackage,
    /// It was changed since the relink that is rolled back.
    ChangedSince,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReportLine {
    /// The path or the package.
    pub subject: String,
    /// What was decided.
    #[serde(flatten)]
    pub decision: Decision,
}

/// Why a relink cannot be done from outside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "obstacle")]
pub enum Obstacle {
    /// The union of packages does not fit together: only the container's own package manager can bring it forward.
    Packages {
        /// Why.
        why: String,
    },
    /// The container changed a package database that cannot be merged.
    Database {
        /// Which.
        path: String,
    },
    /// One id would belong to two names, or one name to two ids.
    IdClash {
        /// `user` or `group`.
        kind: &'static str,
        /// The container's name and id.
        private: (String, String),
        /// The new version's name and id.
        template: (String, String),
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packages { why } => write!(f, "the packages do not fit together: {why}"),
            Self::Database { path } => {
                write!(f, "the container changed its package database `{path}`")
            }
            Self::IdClash {
                kind,
                private: (name, id),
                template: (other, other_id),
            } => write!(
                f,
                "the container's {kind} `{name}` ({id}) clashes with the template's `{other}` ({other_id})"
            ),
        }
    }
}

impl ReportLine {
    /// Whether a person may want to do something about it.
    pub fn needs_attention(&self) -> bool {
        match &self.decision {
            Decision::KeptBeside { .. }
            | Decision::MovedAside { .. }
            | Decision::KeysGone { .. }
            | Decision::PackageKept { .. }
            | Decision::PackageTaken { .. } => true,
            Decision::Kept { why } => *why != Why::State && *why != Why::Removed,
            Decision::Merged { conflicts } => !conflicts.is_empty(),
            Decision::Taken
            | Decision::TakenWithOwnMetadata
            | Decision::KeptWithNewMetadata
            | Decision::StateCopied
            | Decision::Reset
            | Decision::PutBack
            | Decision::MadeAgain => false,
        }
    }
}

impl fmt::Display for ReportLine {
    /// `etc/motd: …`, one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.decision)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
        match self {
            Self::Taken => f.write_str("the template's, for the container's was unchanged"),
            Self::TakenWithOwnMetadata => {
                f.write_str("the template's content with the container's mode and owner")
            }
            Self::KeptWithNewMetadata => {
                f.write_str("the container's content with the template's mode and owner")
            }
            Self::KeptBeside { new } => {
                write!(f, "changed on both sides: kept, the other one is `{new}`")
            }
            Self::Kept { why } => write!(f, "kept: {why}"),
            Self::MovedAside { to } => write!(f, "hid a new type of file: moved to `{to}`"),
            Self::Merged { conflicts } if conflicts.is_empty() => f.write_str("merged"),
            Self::Merged { conflicts } => {
                let names: Vec<&str> = conflicts.iter().map(|of| of.record.as_str()).collect();
                write!(f, "merged; the container's own: {}", names.join(", "))
            }
            Self::StateCopied => f.write_str("state: the container got its own copy"),
            Self::Reset => f.write_str("the container's is gone"),
            Self::PutBack => f.write_str("put back as it was"),
            Self::MadeAgain => f.write_str("made again at the next start"),
            Self::KeysGone { keys } => write!(
                f,
                "the template's, without the keys that the container imported (rpm --import imports them again): {}",
                keys.join(", ")
            ),
            Self::PackageKept { private, template } => write!(
                f,
                "the container's {} stays (template: {})",
                shown(private),
                shown(template)
            ),
            Self::PackageTaken { private, template } => write!(
                f,
                "the template's {} replaces the container's {}",
                shown(template),
                shown(private)
            ),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "the container removed what the template has there",
            Self::Gone => "the template does not have it any more",
            Self::State => "it is the container's state",
            Self::NoRoomBeside => "changed on both sides, where nothing can be laid beside it",
            Self::OtherType => "the container made another type of file of it",
            Self::OfKeptPackage => "it belongs to a package that the container keeps",
            Self::ChangedSince => "it was changed since the relink",
        })
    }
}

/// What a merge decided, for a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct MergeReport {
    /// One line for each decision, by subject.
    pub lines: Vec<ReportLine>,
    /// What stands in the way; with any of these the plan must not be carried out.
    pub obstacles: Vec<Obstacle>,
}

/// What came out of a merge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merge {
    /// What to carry out.
    pub plan: RelinkPlan,
    /// What was decided, and what stands in the way.
    pub report: MergeReport,
}

/// Why a merge could not be worked out.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A private file cannot be read.
    #[error("cannot read the private file `{path}`")]
    Private {
        /// Which.
        path: RelPath,
        /// Why.
        source: io::Error,
    },
    /// An object of one of the trees cannot be read.
    #[error("cannot read object {} of `{path}`", digest.short())]
    Object {
        /// Which.
        digest: Digest,
        /// The path that has it.
        path: RelPath,
        /// Why.
        source: io::Error,
    },
}

/// Works out what a container needs to stand on `input.to`. Linear in the two trees and in the private entries; reads
/// only contents that both sides changed.
///
/// # Errors
/// [`MergeError`] where a content cannot be read. What stands in the way of the relink is in [`MergeReport::obstacles`].
pub fn merge(input: &MergeInput<'_>, check: &mut UnionCheck<'_>) -> Result<Merge, MergeError> {
    let views = view::Views::new(input);
    let mut draft = draft::Draft::new(input, &views);
    let packages = match input.family {
        Family::Deb => packages::merge(&mut draft, check)?,
        Family::Rpm => {
            rpm::check(&mut draft)?;
            packages::Packages::default()
        }
    };
    records::merge_all(&mut draft, input.family)?;
    files::merge(&mut draft, &packages)?;
    draft.finish()
}

/// The paths at which a merge finds two trees different: in anything but times.
pub fn differing(one: &Tree, other: &Tree) -> BTreeSet<RelPath> {
    let both = one.iter().chain(other.iter()).map(|(path, _)| path);
    both.filter(|path| judge::differ(one.node(path), other.node(path)))
        .cloned()
        .collect()
}

/// Contents that a merge made, by digest.
type Blobs = BTreeMap<Digest, Vec<u8>>;

/// What to make again, once each.
type Again = BTreeSet<Regenerate>;
