//! What can go wrong between a URL and a verified file.

use crate::decompress::DecompressError;
use crate::repository::MapError;
use crate::source::UrlError;
use crate::verify::{RpmSignatureError, SignatureError, StaleError};
use crate::yum::YumError;
use std::fmt;
use vzpkg_metadata::apt::packages::PackagesError;
use vzpkg_metadata::apt::release::ReleaseError;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::index::IndexError;
use vzpkg_metadata::{Digest, RepoId};

/// One attempt on one URL that failed. URLs are shown without credentials by whoever holds this.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection, no answer, or a broken one.
    #[error("no answer from the server")]
    Connect {
        /// What the network said, without the address.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server said something else than the file.
    #[error("the server answered {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The connection broke before the end.
    #[error("the connection broke after {received} bytes")]
    Interrupted {
        /// Bytes of the file that are here.
        received: u64,
        /// What the network said.
        #[source]
        source: std::io::Error,
    },
    /// The answer ended before the size that was announced or signed.
    #[error("the answer ended after {received} of {expected} bytes")]
    Short {
        /// Bytes that came.
        received: u64,
        /// Bytes that should have come.
        expected: u64,
    },
    /// Nothing, or next to nothing, arrived for too long.
    #[error("the server is too slow: {received} bytes, then less than the floor")]
    Stalled {
        /// Bytes that came.
        received: u64,
    },
    /// More than the signed size, or than the bound for files without one.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// The bytes are not those that were signed.
    #[error("the content has sha256 {found}, signed is {expected}")]
    Mismatch {
        /// From the signed index.
        expected: Digest,
        /// Of what came.
        found: Digest,
    },
    /// The server asked for a detour that is not taken.
    #[error("a redirect was refused: {reason}")]
    Redirect {
        /// Why.
        reason: &'static str,
    },
    /// A `file://` source cannot be read, or the download cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl TransportError {
    /// Whether the source said that there is no such file.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::Status { status } => matches!(status, 404 | 410),
            Self::File(error) => error.source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// One failed attempt with the URL it was made on.
#[derive(Debug)]
pub struct Attempt {
    /// Without user name and password.
    pub url: String,
    /// How it failed.
    pub error: TransportError,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.error)?;
        let mut cause = std::error::Error::source(&self.error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The user interrupted.
    #[error("interrupted")]
    Cancelled,
    /// Another process kept its guard for longer than this one would wait.
    #[error("{holder} {work}")]
    Busy {
        /// Who, as far as that is known.
        holder: String,
        /// What it does: "brings `base0` up to date".
        work: String,
    },
    /// The work is offline and the file is not here.
    #[error("`{name}` is not here and the work is offline")]
    Offline {
        /// What was wanted.
        name: String,
    },
    /// No mirror is known for it.
    #[error("no address is known for `{name}`")]
    NoUrl {
        /// What was wanted.
        name: String,
    },
    /// Every mirror failed; the attempts say how.
    #[error("cannot fetch `{name}`: {}", attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    AllFailed {
        /// What was wanted.
        name: String,
        /// The last attempt on each mirror, in order.
        attempts: Vec<Attempt>,
    },
    /// An index gives a size that the file of this sha256 has not: the index is wrong, not the file that is here.
    #[error(
        "the index says that `{name}` has {claimed} bytes, but what has its sha256 has {found}"
    )]
    Size {
        /// What was wanted.
        name: String,
        /// What the index says.
        claimed: u64,
        /// Of the file that is here.
        found: u64,
    },
    /// The address is none that is followed.
    #[error("cannot fetch `{name}`")]
    Url {
        /// What was wanted.
        name: String,
        /// What is wrong with the address.
        source: UrlError,
    },
    /// The network client cannot be set up (certificates, proxy address).
    #[error("cannot set up the network client")]
    Setup {
        /// What it said.
        source: reqwest::Error,
    },
    /// The download cannot be kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// The package is whole, but no pinned key signed it.
    #[error("`{name}` cannot be used")]
    Signature {
        /// What was wanted.
        name: String,
        /// What is wrong.
        source: RpmSignatureError,
    },
}

impl FetchError {
    /// Whether some mirror has another file there, or none: it may have a newer state.
    pub(crate) fn is_superseded(&self) -> bool {
        let Self::AllFailed { attempts, .. } = self else {
            return false;
        };
        attempts.iter().any(|attempt| {
            let error = &attempt.error;
            let other = matches!(
                error,
                TransportError::Mismatch { .. }
                    | TransportError::TooLarge { .. }
                    | TransportError::Short { .. }
            );
            other || error.is_not_found()
        })
    }

    /// Whether every mirror said that there is no such file.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::AllFailed { attempts, .. } => {
                attempts.iter().all(|attempt| attempt.error.is_not_found())
            }
            _ => false,
        }
    }
}

/// Why a repository cannot be used: which one, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("repository `{id}`{}", if place.is_empty() { String::new() } else { format!(" ({place})") })]
pub struct RepositoryError {
    /// Its id in the template.
    pub id: RepoId,
    /// Where it is, without credentials.
    pub place: String,
    /// What is wrong.
    #[source]
    pub problem: Box<RepositoryProblem>,
}

/// What is wrong with a repository.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryProblem {
    /// Something cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its address is none that is followed.
    #[error("its address cannot be used")]
    Url(#[from] UrlError),
    /// It has no signature, and the template does not say `trusted=yes`.
    #[error("it is not signed")]
    Unsigned,
    /// Its signature does not count.
    #[error("`{file}` is not trusted")]
    Signature {
        /// `InRelease`, `Release.gpg`, `repomd.xml.asc`.
        file: &'static str,
        /// Why.
        source: SignatureError,
    },
    /// Its signed metadata is not used though the signature is good.
    #[error("its metadata is stale")]
    Stale(#[from] StaleError),
    /// The signed metadata is of another suite than the one asked for.
    #[error("the server sent suite `{suite}` (`{codename}`) instead of `{wanted}`")]
    WrongSuite {
        /// As the template says.
        wanted: String,
        /// `Suite` of the metadata.
        suite: String,
        /// `Codename` of the metadata.
        codename: String,
    },
    /// A component or architecture of the template is not in the signed metadata.
    #[error("it has no index for component `{component}` and architecture `{arch}`")]
    NoIndex {
        /// The component; empty for a flat repository.
        component: String,
        /// The architecture.
        arch: String,
    },
    /// The metadata is no text.
    #[error("`{file}` is not UTF-8 text")]
    NotText {
        /// Which file.
        file: String,
        /// Where it stops being text.
        source: std::str::Utf8Error,
    },
    /// `Release` cannot be understood.
    #[error("its `Release` file cannot be used")]
    Release(#[from] ReleaseError),
    /// `Packages` cannot be understood.
    #[error("`{file}` cannot be used")]
    Packages {
        /// Its place below the suite.
        file: String,
        /// What is wrong.
        source: PackagesError,
    },
    /// Compressed metadata is damaged or larger than signed.
    #[error("`{file}` cannot be decompressed")]
    Decompress {
        /// Its place.
        file: String,
        /// What is wrong.
        source: DecompressError,
    },
    /// Metadata of a yum repository cannot be understood or verified.
    #[error("its metadata cannot be used")]
    Yum(#[from] YumError),
    /// The mapped index cannot be made.
    #[error("its index cannot be made")]
    Index(#[from] IndexError),
    /// The mapped index cannot be opened.
    #[error("its index cannot be opened")]
    Map(#[from] MapError),
    /// The index directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl RepositoryProblem {
    /// Whether every mirror has another file, or none, in the place of one that was signed.
    pub(crate) fn is_of_other_content(&self) -> bool {
        let Self::Fetch(FetchError::AllFailed { attempts, .. }) = self else {
            return false;
        };
        attempts.iter().all(|attempt| {
            attempt.error.is_not_found()
                || matches!(
                    attempt.error,
                    TransportError::Mismatch { .. }
                        | TransportError::Short { .. }
                        | TransportError::TooLarge { .. }
                )
        })
    }

    /// Whether no signature in `file` is one of a pinned key over what it should sign.
    pub(crate) fn is_untrusted(&self, file: &str) -> bool {
        matches!(
            self,
            Self::Signature {
                file: of,
                source: SignatureError::Untrusted { .. }
            } if *of == file
        )
    }

    /// Whether something could not be had, be it for the network or because the work is offline.
    pub(crate) const fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Fetch(FetchError::Offline { .. } | FetchError::AllFailed { .. })
        )
    }
}
