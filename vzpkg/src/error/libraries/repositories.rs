//! Errors of repositories, downloads and mirrors.

use crate::error::{CommandError, Kind};
use std::io::ErrorKind;
use vzpkg_repo_client::mirror::MirrorError;
use vzpkg_repo_client::{FetchError, RepositoryError, RepositoryProblem, TransportError};

impl From<FetchError> for CommandError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Cancelled => Self::message(
                Kind::Interrupted,
                "interrupted; nothing was changed, downloads are kept",
            ),
            FetchError::File(error) => error.into(),
            FetchError::Offline { .. } => {
                Self::new(Kind::Environment, error).hint("run it once without --offline")
            }
            FetchError::NoUrl { .. } | FetchError::Url { .. } => Self::new(Kind::Usage, error),
            FetchError::AllFailed { ref attempts, .. } => {
                let wrong = attempts.iter().all(|attempt| {
                    matches!(
                        attempt.error,
                        TransportError::Mismatch { .. } | TransportError::TooLarge { .. }
                    )
                });
                let kind = if wrong && !attempts.is_empty() {
                    Kind::Verification
                } else {
                    Kind::Environment
                };
                Self::new(kind, error).hint("another server can be named in url.map; `vzpkg update-metadata` refreshes what is known")
            }
            FetchError::Setup { .. } => Self::new(Kind::Environment, error),
            FetchError::Signature { .. } => Self::new(Kind::Verification, error).hint(
                "the file `keys` of the template names the keys that may sign; old distributions need `signatures=legacy` on the repository's line",
            ),
        }
    }
}

impl From<RepositoryError> for CommandError {
    fn from(error: RepositoryError) -> Self {
        use RepositoryProblem as Problem;
        let (kind, hint) = match &*error.problem {
            Problem::Fetch(FetchError::Cancelled) => (Kind::Interrupted, None),
            Problem::Fetch(_) => (
                Kind::Environment,
                Some("another server can be named in url.map"),
            ),
            Problem::Url(_) | Problem::NoIndex { .. } => (
                Kind::Usage,
                Some("the file `repositories`: docs/templates.md"),
            ),
            Problem::Unsigned => (
                Kind::Verification,
                Some("only `[trusted=yes]` on its line takes an unsigned repository"),
            ),
            Problem::Signature { .. } => (
                Kind::Verification,
                Some(
                    "pinned keys stand in the template's file `keys`; on Debian the keyring comes with debian-archive-keyring",
                ),
            ),
            Problem::Stale(_) => (
                Kind::Verification,
                Some("the mirror may be behind; name another in url.map"),
            ),
            Problem::WrongSuite { .. }
            | Problem::NotText { .. }
            | Problem::Release(_)
            | Problem::Packages { .. }
            | Problem::Decompress { .. }
            | Problem::Yum(_) => (Kind::Verification, None),
            Problem::Index(_) | Problem::Map(_) => {
                (Kind::Environment, Some("vzpkg clean --metadata"))
            }
            Problem::File(_) => (Kind::Environment, None),
        };
        let error = Self::new(kind, error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<MirrorError> for CommandError {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::File(error) => error.into(),
            MirrorError::Fetch(error) => error.into(),
            MirrorError::Repository(error) => error.into(),
            MirrorError::Unknown(_) => Self::new(Kind::Unmet, error).hint("vzpkg mirror list"),
            MirrorError::Exists(_) | MirrorError::Config(_) => Self::new(Kind::Usage, error),
            MirrorError::Empty(ref name) => {
                let hint = format!("vzpkg mirror sync {name}");
                Self::new(Kind::Unmet, error).hint(hint)
            }
            MirrorError::NoSnapshot { ref mirror, .. } | MirrorError::NoPast { ref mirror, .. } => {
                let hint = format!("vzpkg mirror info {mirror}");
                Self::new(Kind::Unmet, error).hint(hint)
            }
            MirrorError::Listen { .. } | MirrorError::Sign(_) | MirrorError::Copied { .. } => {
                Self::new(Kind::Environment, error)
            }
            MirrorError::NoEarlier(_)
            | MirrorError::SnapshotExists { .. }
            | MirrorError::Choice(_) => Self::new(Kind::Unmet, error),
            MirrorError::Path { ref source, .. } if source.kind() == ErrorKind::CrossesDevices => {
                Self::new(Kind::Environment, error)
                    .hint("`mirror/` and `packages/` below the root must be on one file system")
            }
            MirrorError::Damaged { .. }
            | MirrorError::Foreign { .. }
            | MirrorError::Location(_)
            | MirrorError::Contradiction { .. }
            | MirrorError::Path { .. }
            | MirrorError::Missing { .. }
            | MirrorError::Stale(_) => Self::new(Kind::Verification, error),
        }
    }
}
