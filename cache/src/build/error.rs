//! Why a build fails. One enum for the whole pipeline: its callers map each variant to an exit code and advice.

use crate::import::ImportError;
use crate::store::{
    DatabaseError, ImageError, ManifestError, MaterializeError, ObjectError, PublishError,
};
use std::fmt;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::path::PathError;
use vzpkg_metadata::template::ScriptKind;
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::tree::TreeError;
use vzpkg_runtime::sandbox::{RunStatus, SandboxError};

/// A script or package manager run that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFailure {
    /// The package whose script it was; `None` for a template's script or the package manager itself.
    pub package: Option<String>,
    /// The script: `post-installation script`, `post-cache`, or the package manager's command.
    pub script: String,
    /// How it ended.
    pub status: RunStatus,
    /// The last lines it wrote, at most 20.
    pub output: Vec<String>,
}

impl fmt::Display for ScriptFailure {
    /// `the post-installation script of nginx exited with 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.package {
            Some(package) => write!(f, "the {} of {package} ", self.script)?,
            None => write!(f, "`{}` ", self.script)?,
        }
        match self.status {
            RunStatus::Exited(code) => write!(f, "exited with {code}"),
            RunStatus::Signaled(signal) => write!(f, "was killed by signal {signal}"),
            RunStatus::TimedOut => f.write_str("did not end in time and was killed"),
        }
    }
}

/// Why no version was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Whoever fetches failed before all packages had come, and says why.
    #[error("not every package could be fetched")]
    Unfetched,
    /// A package or template script, or the package manager, failed.
    #[error("{0}")]
    Script(Box<ScriptFailure>),
    /// The caller asked for its end.
    #[error("interrupted")]
    Cancelled,
    /// A package cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The transaction names a package that neither was sent nor had been imported.
    #[error("{0} was not fetched")]
    MissingPackage(Box<PackageRef>),
    /// The sandbox could not be used.
    #[error("the sandbox failed")]
    Sandbox(#[source] SandboxError),
    /// A file of the staging area or the upper cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Contents cannot be stored or read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// An image cannot be written or read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A tree cannot be laid out for a kernel that mounts no images.
    #[error(transparent)]
    Materialize(#[from] MaterializeError),
    /// The built tree breaks a rule of trees.
    #[error("the built tree is not valid")]
    Tree(#[from] TreeError),
    /// A name in the built tree that cannot be stored.
    #[error("the built tree holds a name that cannot be stored")]
    Path(#[from] PathError),
    /// The package manager left other packages than the transaction says.
    #[error("after the build, {package} is {found}, but the transaction says {expected}")]
    Outcome {
        /// Which package.
        package: String,
        /// Its state and version as the package manager has it.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The template has a script that no build of its family runs.
    #[error("the script `{0}` works in deb templates only")]
    DebScript(ScriptKind),
    /// A file of the base or of the result cannot be understood.
    #[error("`{path}` of the tree cannot be read: {problem}")]
    Content {
        /// Which file.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The id registry cannot be used, or gives a name another id than the build did.
    #[error(transparent)]
    Registry(#[from] DatabaseError),
    /// The version cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl From<SandboxError> for BuildError {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Cancelled => Self::Cancelled,
            error => Self::Sandbox(error),
        }
    }
}
