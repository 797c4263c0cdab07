//! Library errors to exit codes and advice. Matches are exhaustive on purpose: a new variant without an exit code does
//! not compile.

use super::{CommandError, Kind};
use crate::config::ConfigError;
use std::io::ErrorKind;
use vzpkg_cache::archive::{DirectoryError, TarballError};
use vzpkg_cache::build::BuildError;
use vzpkg_cache::compare::CompareError;
use vzpkg_cache::import::ImportError;
use vzpkg_cache::import::record::RecordError;
use vzpkg_cache::merge::MergeError;
use vzpkg_cache::store::{
    DatabaseError, GcError, GuardError, ImageError, ManifestError, MaterializeError, ObjectError,
    OpenError, PublishError, RebuildError, VerifyError, VersionError,
};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::lock::LockError;
use vzpkg_metadata::name::NameError;
use vzpkg_metadata::saved_plan::PlanError;
use vzpkg_metadata::template::TemplateError;
use vzpkg_repo_client::mirror::MirrorError;
use vzpkg_repo_client::{FetchError, RepositoryError, RepositoryProblem, TransportError};
use vzpkg_resolver::ResolveError;
use vzpkg_runtime::container::JournalError;
use vzpkg_runtime::sandbox::SandboxError;

const REPAIR: &str = "`vzpkg verify` says what is damaged, `vzpkg verify --repair` brings it back";

/// The class of an error that is of one class in all its variants.
macro_rules! always {
    ($($error:ty => $kind:ident),+ $(,)?) => { $(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::new(Kind::$kind, error)
            }
        }
    )+ };
}

always! {
    ConfigError => Usage,
    NameError => Usage,
    LockError => Usage,
    PlanError => Usage,
    ResolveError => Usage,
    JournalError => Environment,
    MergeError => Environment,
}

impl From<FileError> for CommandError {
    fn from(error: FileError) -> Self {
        let hint = match error.source.kind() {
            ErrorKind::PermissionDenied => Some("run it with sudo"),
            ErrorKind::ReadOnlyFilesystem => Some("name a writable place: --root DIR"),
            _ => None,
        };
        let kind = if error.source.kind() == ErrorKind::NotFound && error.operation == "read" {
            Kind::Usage
        } else {
            Kind::Environment
        };
        let error = Self::new(kind, error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<TemplateError> for CommandError {
    fn from(error: TemplateError) -> Self {
        let hint = match &error {
            TemplateError::File(_) => return Self::new(Kind::Environment, error),
            TemplateError::NotFound { near, .. } if near.is_empty() => "vzpkg list".to_owned(),
            TemplateError::NotFound { near, .. } => {
                format!("did you mean {}? `vzpkg list` shows all", near.join(", "))
            }
            TemplateError::Ambiguous { .. } => "write the name with its architecture".to_owned(),
            TemplateError::Name(_) | TemplateError::NewName(_) | TemplateError::Exists(_) => {
                return Self::new(Kind::Usage, error);
            }
            TemplateError::NotCommitted { base, .. } => {
                format!("versions of containers go to a set of their OS template: {base}-NAME")
            }
            TemplateError::BadFile { .. } | TemplateError::Line { .. } => {
                "the files of a template: docs/templates.md".to_owned()
            }
        };
        Self::new(Kind::Usage, error).hint(hint)
    }
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::File(error) => error.into(),
            OpenError::Database(error) => error.into(),
            missing @ OpenError::Missing(_) => Self::new(Kind::Unmet, missing),
        }
    }
}

impl From<DatabaseError> for CommandError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::File(error) => error.into(),
            DatabaseError::Guard(error) => error.into(),
            DatabaseError::Unknown { .. } => {
                Self::new(Kind::Unmet, error).hint("vzpkg history TEMPLATE, vzpkg ct list")
            }
            DatabaseError::Exists { .. }
            | DatabaseError::InUse { .. }
            | DatabaseError::IdClash(_)
            | DatabaseError::NoIdRange => Self::new(Kind::Unmet, error),
            error if error.is_damage() => Self::new(Kind::Verification, error)
                .hint("make the database again: vzpkg doctor --rebuild"),
            error if error.is_no_space() => {
                Self::new(Kind::Environment, error).hint(super::FULL_DISK)
            }
            DatabaseError::Sqlite { .. } | DatabaseError::Damaged { .. } => {
                Self::new(Kind::Environment, error).hint("vzpkg doctor")
            }
            DatabaseError::Older { .. } => Self::new(Kind::Environment, error)
                .hint("the first verb that root runs brings it up to date: sudo vzpkg list"),
            DatabaseError::Newer { .. } => Self::new(Kind::Environment, error)
                .hint("use the vzpkg that made it, or a newer one"),
        }
    }
}

impl From<GuardError> for CommandError {
    fn from(error: GuardError) -> Self {
        match error {
            GuardError::File(error) => error.into(),
            busy @ GuardError::Busy { .. } => {
                Self::new(Kind::Environment, busy).hint("wait longer: --wait DURATION")
            }
            cancelled @ GuardError::Cancelled(_) => Self::new(Kind::Interrupted, cancelled),
        }
    }
}

impl From<ImageError> for CommandError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::File(error) => error.into(),
            other => Self::new(Kind::Verification, other).hint(REPAIR),
        }
    }
}

impl From<ManifestError> for CommandError {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::File(error) => error.into(),
            other => Self::new(Kind::Verification, other).hint(REPAIR),
        }
    }
}

impl From<ObjectError> for CommandError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::File(error) => error.into(),
            other => Self::new(Kind::Verification, other).hint(REPAIR),
        }
    }
}

impl From<CompareError> for CommandError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Image(error) => error.into(),
            CompareError::Manifest(error) => error.into(),
            CompareError::Object(error) => error.into(),
        }
    }
}

impl From<VersionError> for CommandError {
    fn from(error: VersionError) -> Self {
        match error {
            VersionError::File(error) => error.into(),
            VersionError::Unknown { .. } => Self::new(Kind::Unmet, error),
            VersionError::Newer { .. } => Self::new(Kind::Environment, error)
                .hint("use the vzpkg that made it, or a newer one"),
            VersionError::Damaged { .. } => Self::new(Kind::Verification, error).hint(REPAIR),
        }
    }
}

impl From<PublishError> for CommandError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::File(error) => error.into(),
            PublishError::Version(error) => error.into(),
            PublishError::Database(error) => error.into(),
            error @ PublishError::NoImage(_) => Self::new(Kind::Bug, error),
        }
    }
}

impl From<GcError> for CommandError {
    fn from(error: GcError) -> Self {
        match error {
            GcError::File(error) => error.into(),
            GcError::Database(error) => error.into(),
            other => Self::new(Kind::Verification, other).hint(REPAIR),
        }
    }
}

impl From<RebuildError> for CommandError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Version(error) => error.into(),
            RebuildError::Database(error) => error.into(),
            RebuildError::Open(error) => error.into(),
            RebuildError::Guard(error) => error.into(),
            RebuildError::File(error) => error.into(),
        }
    }
}

impl From<VerifyError> for CommandError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::File(error) => error.into(),
            VerifyError::Database(error) => error.into(),
        }
    }
}

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

impl From<ImportError> for CommandError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::File(error) => error.into(),
            ImportError::Manifest(error) => error.into(),
            other => Self::new(Kind::Verification, other),
        }
    }
}

impl From<RecordError> for CommandError {
    fn from(error: RecordError) -> Self {
        Self::new(Kind::Verification, error).hint(REPAIR)
    }
}

impl From<BuildError> for CommandError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Script(failure) => {
                let output: String = failure
                    .output
                    .iter()
                    .map(|line| format!("\n    {line}"))
                    .collect();
                Self::message(Kind::Script, format!("{failure}{output}"))
                    .hint("nothing was published; the version before is as it was")
            }
            BuildError::Cancelled => Self::message(
                Kind::Interrupted,
                "interrupted; nothing was changed, downloads are kept",
            ),
            BuildError::Import(error) => error.into(),
            BuildError::File(error) => error.into(),
            BuildError::Object(error) => error.into(),
            BuildError::Manifest(error) => error.into(),
            BuildError::Image(error) => error.into(),
            BuildError::Materialize(error) => error.into(),
            BuildError::Publish(error) => error.into(),
            BuildError::Registry(error) => error.into(),
            BuildError::Sandbox(error) => error.into(),
            other => Self::new(Kind::Bug, other),
        }
    }
}

impl From<SandboxError> for CommandError {
    fn from(error: SandboxError) -> Self {
        Self::new(Kind::Environment, error).hint("vzpkg doctor")
    }
}

impl From<TarballError> for CommandError {
    fn from(error: TarballError) -> Self {
        match &error {
            TarballError::Write { .. }
            | TarballError::Content {
                source: ObjectError::File(_),
                ..
            } => Self::new(Kind::Environment, error),
            TarballError::Tree(_) => Self::new(Kind::Verification, error),
            TarballError::Content { .. } | TarballError::Length { .. } => {
                Self::new(Kind::Verification, error).hint(REPAIR)
            }
        }
    }
}

impl From<DirectoryError> for CommandError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::File(error) => error.into(),
            DirectoryError::Entry { .. }
            | DirectoryError::Content {
                source: ObjectError::File(_),
                ..
            } => Self::new(Kind::Environment, error),
            DirectoryError::Tree(_) => Self::new(Kind::Verification, error),
            DirectoryError::Content { .. } | DirectoryError::Length { .. } => {
                Self::new(Kind::Verification, error).hint(REPAIR)
            }
        }
    }
}

impl From<MaterializeError> for CommandError {
    fn from(error: MaterializeError) -> Self {
        match error {
            MaterializeError::Image(error) => error.into(),
            MaterializeError::Directory(error) => error.into(),
            MaterializeError::File(error) => error.into(),
            other @ MaterializeError::Stubs(_) => Self::new(Kind::Environment, other),
        }
    }
}
