//! Errors of imports, builds and exports.

use super::REPAIR;
use crate::error::{CommandError, Kind};
use vzpkg_cache::archive::{DirectoryError, TarballError};
use vzpkg_cache::build::BuildError;
use vzpkg_cache::import::ImportError;
use vzpkg_cache::import::record::RecordError;
use vzpkg_cache::store::ObjectError;
use vzpkg_runtime::sandbox::SandboxError;

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
            BuildError::DebScript(_) => Self::new(Kind::Usage, error).hint(
                "in rpm templates: pre-cache, post-cache and post-install; docs/templates.md",
            ),
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
