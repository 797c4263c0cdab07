//! Verbs about containers: `vzpkg ct …`.

mod inside;
mod life;
mod link;
mod shape;

pub use inside::{CtEnter, CtExec, CtInfo, CtList, CtLogs, CtTop};
pub use life::{CtClone, CtCreate, CtDestroy, CtRename, CtRestart, CtStart, CtStop};
pub use link::{CtCommit, CtDiff, CtRelink, CtReset, CtRollback};
pub use shape::{CtSet, LimitOptions, Net, SurroundingOptions, UserNamespace};

use clap::Subcommand;

/// The verbs below `ct`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ContainerCommand {
    /// Create a container that links to a version
    Create(CtCreate),
    /// Start containers
    Start(CtStart),
    /// Stop containers
    Stop(CtStop),
    /// Stop and start containers
    Restart(CtRestart),
    /// Run a command in a running container
    Exec(CtExec),
    /// Open a shell in a running container
    Enter(CtEnter),
    /// Show the processes of a running container
    Top(CtTop),
    /// Show what a container's process 1 printed, or its journal
    Logs(CtLogs),
    /// List containers
    #[command(alias = "ps")]
    List(CtList),
    /// Show one container
    Info(CtInfo),
    /// Show what a container has changed
    Diff(CtDiff),
    /// Take private changes of a container away
    Reset(CtReset),
    /// Make a version of a template from a stopped container
    Commit(CtCommit),
    /// Copy a stopped container
    Clone(CtClone),
    /// Give a stopped container another name
    Rename(CtRename),
    /// Change limits, environment, mounts or network of a container
    Set(CtSet),
    /// Move containers to another version, while they run or stopped
    Relink(CtRelink),
    /// Move a container back to the version before, while it runs or stopped
    Rollback(CtRollback),
    /// Remove containers with their private changes
    // Words of other tools; the nearest verb by its letters would be `reset`, which is another thing.
    #[command(aliases = ["rm", "delete", "remove"])]
    Destroy(CtDestroy),
}
