//! Errors of the store: damage always comes with the command that repairs.

use super::REPAIR;
use crate::error::{CommandError, Kind};
use vzpkg_cache::compare::CompareError;
use vzpkg_cache::store::{
    DatabaseError, GcError, GuardError, ImageError, ManifestError, MaterializeError, ObjectError,
    OpenError, PublishError, RebuildError, VerifyError, VersionError,
};

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
                Self::new(Kind::Environment, error).hint(crate::error::FULL_DISK)
            }
            error if error.is_read_only() => {
                Self::new(Kind::Environment, error).hint("name a writable place: --root DIR")
            }
            DatabaseError::Sqlite { .. }
            | DatabaseError::Damaged { .. }
            | DatabaseError::Lost { .. }
            | DatabaseError::Unfinished { .. } => {
                Self::new(Kind::Environment, error).hint("vzpkg doctor")
            }
            DatabaseError::Replaced { .. } => {
                Self::new(Kind::Environment, error).hint("run the command again")
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
            error @ (GcError::Image(_) | GcError::Manifest(_) | GcError::Version(_)) => {
                Self::new(Kind::Verification, error).hint(REPAIR)
            }
            error @ GcError::Record(_) => Self::new(Kind::Environment, error)
                .hint("when it can be read and removed again: vzpkg gc"),
        }
    }
}

impl From<RebuildError> for CommandError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Version(error) => error.into(),
            RebuildError::Database(error) => error.into(),
            RebuildError::Open(error) => error.into(),
            RebuildError::Guard(busy @ GuardError::Busy { .. }) => {
                Self::new(Kind::Environment, busy)
                    .hint("it waits for nobody; when that has ended: vzpkg doctor --rebuild")
            }
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
