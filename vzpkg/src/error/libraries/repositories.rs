//! Errors of repositories, downloads and mirrors.

use super::file_hint;
use crate::error::{CommandError, Kind};
use std::io::ErrorKind;
use vzpkg_repo_client::mirror::MirrorError;
use vzpkg_repo_client::{Attempt, FetchError, RepositoryError, RepositoryProblem, TransportError};

/// What class a failed fetch is of and what helps, be it of a package or on the way to a repository.
fn class(error: &FetchError) -> (Kind, Option<&'static str>) {
    match error {
        FetchError::Cancelled => (Kind::Interrupted, None),
        FetchError::Busy { .. } => (Kind::Environment, Some("wait longer: --wait DURATION")),
        FetchError::Offline { .. } => (Kind::Environment, Some("run it once without --offline")),
        FetchError::NoUrl { .. } | FetchError::Url { .. } => (Kind::Usage, None),
        FetchError::AllFailed { attempts, .. } => {
            let kind = if are_wrong(attempts) {
                Kind::Verification
            } else {
                Kind::Environment
            };
            // What cannot be written here is no matter of servers.
            let here = attempts.iter().find_map(|attempt| match &attempt.error {
                TransportError::File(error) => file_hint(error),
                _ => None,
            });
            (kind, Some(here.unwrap_or(OTHER_SERVER)))
        }
        FetchError::Setup { .. } => (Kind::Environment, None),
        FetchError::File(error) => (Kind::Environment, file_hint(error)),
        FetchError::Size { .. } => (
            Kind::Verification,
            Some(
                "its mirror is faulty; another can be named in template/conf/vztt/url.map below the root",
            ),
        ),
        FetchError::Signature { .. } => (
            Kind::Verification,
            Some(
                "the file `keys` of the template names the keys that may sign; old distributions need `signatures=legacy` on the repository's line",
            ),
        ),
    }
}

/// What helps where no server has what is wanted.
const OTHER_SERVER: &str = "another server can be named in template/conf/vztt/url.map below the root; `vzpkg update-metadata` refreshes what is known";

/// Whether all servers answered, and with something else than what was signed.
fn are_wrong(attempts: &[Attempt]) -> bool {
    let wrong = |attempt: &Attempt| {
        matches!(
            attempt.error,
            TransportError::Mismatch { .. } | TransportError::TooLarge { .. }
        )
    };
    !attempts.is_empty() && attempts.iter().all(wrong)
}

impl From<FetchError> for CommandError {
    fn from(error: FetchError) -> Self {
        if matches!(error, FetchError::Cancelled) {
            let text = "interrupted; nothing was changed, downloads are kept";
            return Self::message(Kind::Interrupted, text);
        }
        let (kind, hint) = class(&error);
        Self::new(kind, error).hint_if(hint)
    }
}

/// Who reads a repository, and so where it is written what helps.
#[derive(Clone, Copy)]
enum Reader {
    Template,
    Mirror,
}

impl Reader {
    fn url(self) -> &'static str {
        match self {
            Self::Template => "the file `repositories`: docs/templates.md",
            Self::Mirror => "its URLs, suites and components are those of `vzpkg mirror add`",
        }
    }

    fn unsigned(self) -> &'static str {
        match self {
            Self::Template => {
                "`[metadata=unsigned]` on its line where every rpm is signed; only `[trusted=yes]` takes it without any signature"
            }
            Self::Mirror => {
                "`vzpkg mirror add --unsigned-metadata` where every rpm is signed; only `--trusted` takes it without any signature"
            }
        }
    }

    fn signature(self) -> &'static str {
        match self {
            Self::Template => {
                "pinned keys stand in the template's file `keys`; on Debian the keyring comes with debian-archive-keyring"
            }
            Self::Mirror => {
                "`vzpkg mirror add --key` or `--keyring` names who may sign; old distributions need `--legacy-signatures`"
            }
        }
    }

    fn stale(self) -> &'static str {
        match self {
            Self::Template => {
                "the mirror may be behind; name another in template/conf/vztt/url.map below the root"
            }
            Self::Mirror => "the upstream may be behind; `vzpkg mirror add` takes several",
        }
    }

    fn of_fetch(self, error: &FetchError) -> (Kind, Option<&'static str>) {
        let (kind, hint) = class(error);
        match (self, error) {
            (Self::Mirror, FetchError::AllFailed { .. } | FetchError::Size { .. }) => {
                (kind, Some(self.url()))
            }
            (Self::Mirror, FetchError::Signature { .. }) => (kind, Some(self.signature())),
            _ => (kind, hint),
        }
    }

    fn of(self, error: RepositoryError) -> CommandError {
        use RepositoryProblem as Problem;
        let (kind, hint) = match &*error.problem {
            Problem::Fetch(error) => self.of_fetch(error),
            Problem::Url(_) | Problem::NoIndex { .. } => (Kind::Usage, Some(self.url())),
            Problem::Unsigned => (Kind::Verification, Some(self.unsigned())),
            Problem::Signature { .. } => (Kind::Verification, Some(self.signature())),
            Problem::Stale(_) => (Kind::Verification, Some(self.stale())),
            Problem::WrongSuite { .. }
            | Problem::NotText { .. }
            | Problem::Release(_)
            | Problem::Packages { .. }
            | Problem::Decompress { .. }
            | Problem::Yum(_) => (Kind::Verification, None),
            Problem::Index(_) | Problem::Map(_) => {
                (Kind::Environment, Some("vzpkg clean --metadata"))
            }
            Problem::File(error) => (Kind::Environment, file_hint(error)),
        };
        CommandError::new(kind, error).hint_if(hint)
    }
}

impl From<RepositoryError> for CommandError {
    fn from(error: RepositoryError) -> Self {
        Reader::Template.of(error)
    }
}

impl From<MirrorError> for CommandError {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::File(error) => error.into(),
            MirrorError::Fetch(FetchError::Cancelled) => FetchError::Cancelled.into(),
            MirrorError::Fetch(error) => {
                let (kind, hint) = Reader::Mirror.of_fetch(&error);
                Self::new(kind, error).hint_if(hint)
            }
            MirrorError::Repository(error) => Reader::Mirror.of(error),
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
            MirrorError::Expired { .. } => {
                Self::new(Kind::Verification, error).hint(Reader::Mirror.stale())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_metadata::{Digest, RepoId};

    fn failed(error: TransportError) -> FetchError {
        FetchError::AllFailed {
            name: "Packages.xz".into(),
            attempts: vec![Attempt {
                url: "http://mirror".into(),
                error,
            }],
        }
    }

    fn of_a_repository(error: FetchError) -> CommandError {
        let id: RepoId = "base0".parse().unwrap();
        let problem = Box::new(RepositoryProblem::Fetch(error));
        let place = String::new();
        RepositoryError { id, place, problem }.into()
    }

    #[test]
    fn a_failed_fetch_has_one_class_wherever_it_fails() {
        let cases: [(fn() -> FetchError, Kind); 5] = [
            (
                || {
                    failed(TransportError::Mismatch {
                        expected: Digest::of(b"signed"),
                        found: Digest::of(b"sent"),
                    })
                },
                Kind::Verification,
            ),
            (
                || failed(TransportError::Status { status: 404 }),
                Kind::Environment,
            ),
            (
                || FetchError::Offline {
                    name: "InRelease".into(),
                },
                Kind::Environment,
            ),
            (
                || FetchError::NoUrl {
                    name: "InRelease".into(),
                },
                Kind::Usage,
            ),
            (|| FetchError::Cancelled, Kind::Interrupted),
        ];
        for (make, kind) in cases {
            let (alone, within) = (CommandError::from(make()), of_a_repository(make()));
            assert_eq!((alone.kind, within.kind), (kind, kind), "{:?}", make());
            assert_eq!(alone.hints, within.hints, "{:?}", make());
        }
    }
}
