//! What can go wrong with a mirror.

use crate::error::{FetchError, RepositoryError};
use crate::sign::SignError;
use crate::source::UrlError;
use crate::verify::{FileCheckError, StaleError};
use std::path::PathBuf;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::{Digest, MirrorName, SnapshotName};

/// Why something could not be done with a mirror.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// There is none of that name.
    #[error("there is no mirror `{0}`")]
    Unknown(MirrorName),
    /// There is one already.
    #[error("there is a mirror `{0}` already")]
    Exists(MirrorName),
    /// What is to be mirrored contradicts itself.
    #[error("this cannot be mirrored: {0}")]
    Config(String),
    /// A file of ours is not what it was written as.
    #[error("`{}` is damaged: {problem}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Something of ours was replaced by a link, or by what others may write.
    #[error("`{}` is {problem}: somebody else put it there", path.display())]
    Foreign {
        /// What was found.
        path: PathBuf,
        /// What it is.
        problem: &'static str,
    },
    /// The upstream cannot be had or trusted.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A file cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// An index names a place that is none.
    #[error("the upstream names a file that cannot be mirrored")]
    Location(#[from] UrlError),
    /// Two indexes disagree about one path.
    #[error("the upstream says that `{path}` is two different files")]
    Contradiction {
        /// The path below the mirror.
        path: String,
    },
    /// A path that is a file and a directory, or that hides another.
    #[error("`{path}` cannot be published")]
    Path {
        /// The path below the mirror.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The memory of what was seen before.
    #[error(transparent)]
    Stale(#[from] StaleError),
    /// Upstream says that it has nothing new, but what it has is too old to be used.
    #[error("upstream shows nothing newer than a `{root}` that nobody should use any more")]
    Expired {
        /// The suite, or the directory of a yum repository.
        root: String,
        /// What is wrong with its dates.
        source: StaleError,
    },
    /// A file that a state names is gone or has another size.
    #[error("`{path}` ({digest}) is missing from this node")]
    Missing {
        /// The path below the mirror.
        path: String,
        /// What was wanted.
        digest: Digest,
    },
    /// Nothing was synced or published yet.
    #[error("mirror `{0}` has no state yet")]
    Empty(MirrorName),
    /// There is no older publication.
    #[error("mirror `{0}` has published nothing before what it publishes now")]
    NoEarlier(MirrorName),
    /// No snapshot of that name.
    #[error("mirror `{mirror}` has no snapshot `{snapshot}`")]
    NoSnapshot {
        /// Of which mirror.
        mirror: MirrorName,
        /// What was asked for.
        snapshot: SnapshotName,
    },
    /// The state of a moment in the past is not here.
    #[error("mirror `{mirror}` {}", if *was_published {
        "does not have what it published then any more; a snapshot would have kept it"
    } else {
        "had published nothing then"
    })]
    NoPast {
        /// Of which mirror.
        mirror: MirrorName,
        /// Whether there was one.
        was_published: bool,
    },
    /// A snapshot of that name means another state.
    #[error("mirror `{mirror}` has a snapshot `{snapshot}` already, of another state")]
    SnapshotExists {
        /// Of which mirror.
        mirror: MirrorName,
        /// The name.
        snapshot: SnapshotName,
    },
    /// A repository of our own cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A package of a folder is another than when it was read.
    #[error("`{}` cannot be copied, or changed while it was", path.display())]
    Copied {
        /// The package.
        path: PathBuf,
        /// What is different.
        source: FileCheckError,
    },
    /// Nobody could say what templates need.
    #[error("what the templates of this mirror need cannot be told")]
    Choice(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The web server cannot listen.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl MirrorError {
    /// Whether a newer state upstream could explain it: a file that is gone, or that has become another.
    pub(super) fn may_have_moved(&self) -> bool {
        let fetch = match self {
            Self::Fetch(error) => error,
            Self::Repository(error) => match &*error.problem {
                crate::error::RepositoryProblem::Fetch(error) => error,
                _ => return false,
            },
            _ => return false,
        };
        fetch.is_superseded()
    }
}
