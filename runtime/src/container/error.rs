//! Why a verb on a container failed.

use super::config::ConfigError;
use super::link::JournalError;
use crate::oci::{LimitError, OciError};
use crate::rootfs::MountError;
use vzpkg_metadata::ContainerId;
use vzpkg_metadata::durable::FileError;

/// Why a verb on a container failed.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// There is no private area of this name.
    #[error("there is no container `{0}`")]
    Unknown(ContainerId),
    /// Its private area has no configuration: the machine went down before all of it was durable, or it was lost.
    #[error(
        "container `{0}` was never finished: the machine went down while it was made, or its configuration is lost"
    )]
    NeverMade(ContainerId),
    /// There is one already.
    #[error("container `{0}` exists already")]
    Exists(ContainerId),
    /// The verb needs a running container.
    #[error("container `{0}` is not running")]
    NotRunning(ContainerId),
    /// The verb needs a stopped container.
    #[error("container `{0}` is running")]
    Running(ContainerId),
    /// Another command is working on it.
    #[error("container `{0}` is in use by another vzpkg command")]
    Busy(ContainerId),
    /// It did not end in time, not even when killed.
    #[error("container `{container}` did not stop within {seconds} seconds")]
    DoesNotStop {
        /// Which.
        container: ContainerId,
        /// How long it was waited.
        seconds: u64,
    },
    /// A command in the container that cannot be run.
    #[error("`{command}` is not in container `{container}`")]
    NoCommand {
        /// Which.
        container: ContainerId,
        /// What was to be run.
        command: String,
    },
    /// A command in the container that is no executable file.
    #[error("`{command}` in container `{container}` cannot be executed")]
    NotExecutable {
        /// Which.
        container: ContainerId,
        /// What was to be run.
        command: String,
    },
    /// Its `config.json` cannot be made.
    #[error("the OCI bundle of container `{container}` cannot be described")]
    Bundle {
        /// Which.
        container: ContainerId,
        /// Why.
        source: oci_spec::OciSpecError,
    },
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of its private area.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its root file system.
    #[error("the root file system of container `{container}` cannot be put together")]
    Mount {
        /// Which.
        container: ContainerId,
        /// Why.
        source: MountError,
    },
    /// Its limits.
    #[error("container `{container}` cannot be limited so")]
    Limit {
        /// Which.
        container: ContainerId,
        /// Why.
        source: LimitError,
    },
    /// Its processes cannot be looked at.
    #[error("the processes of container `{container}` cannot be looked at")]
    Processes {
        /// Which.
        container: ContainerId,
        /// Why.
        source: std::io::Error,
    },
    /// What a command in it reads and prints cannot be exchanged with it.
    #[error("nothing can be exchanged with a command in container `{container}`")]
    Talk {
        /// Which.
        container: ContainerId,
        /// Why.
        source: std::io::Error,
    },
    /// The OCI runtime.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// The link of the container.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
