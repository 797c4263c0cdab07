//! Library errors to exit codes and advice. A match without `other` does not compile until a new variant has its exit code;
//! where there is one, everything that is not named is of one class.

mod build;
mod repositories;
mod store;

use super::{CommandError, Kind};
use crate::config::ConfigError;
use std::io::ErrorKind;
use vzpkg_cache::merge::MergeError;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::lock::LockError;
use vzpkg_metadata::name::NameError;
use vzpkg_metadata::saved_plan::PlanError;
use vzpkg_metadata::template::{Origin, TemplateError};
use vzpkg_resolver::ResolveError;
use vzpkg_runtime::container::JournalError;

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

/// What helps against an error of a file.
fn file_hint(error: &FileError) -> Option<&'static str> {
    match error.source.kind() {
        ErrorKind::PermissionDenied => Some("run it with sudo"),
        ErrorKind::ReadOnlyFilesystem => Some("name a writable place: --root DIR"),
        _ => None,
    }
}

impl From<FileError> for CommandError {
    fn from(error: FileError) -> Self {
        let kind = if error.source.kind() == ErrorKind::NotFound && error.operation == "read" {
            Kind::Usage
        } else {
            Kind::Environment
        };
        let hint = file_hint(&error);
        Self::new(kind, error).hint_if(hint)
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
            TemplateError::NoOrigin(_) => format!(
                "say which one it is like: --like with one of {}",
                Origin::distributions().join(", ")
            ),
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
