//! Containers: a private area, a link to one version, and an OCI runtime that runs the two as one system.
//!
//! One verb per file. What a version is, where objects lie and which link a container has are values and traits given
//! by the caller ([`crate::rootfs`], [`ObjectSource`], [`LinkJournal`]); nothing here asks a store or a repository, and
//! nothing prints. Every verb holds the container's guard ([`guard`]) and starts by clearing up what a crash left.
//!
//! ```text
//! private/<ctid>/ct.toml            the configuration (config); ct.toml.<boot id>: not yet durable (settle)
//! private/<ctid>/console.log        what process 1 printed since the last start; console.log.1: in the run before
//! private/<ctid>/upper/             the private changes, with the ids that the container sees
//! private/<ctid>/work.<generation>/ overlayfs' own; a fresh one for each link
//! private/<ctid>/undo/<generation>/ what the relink from that generation replaced (undo), and its plan
//! root/<ctid>/                      the mount point
//! /run/vzpkg/<root>/ct/<ctid>/      the OCI bundle, gone with the machine; <root> tells roots apart (paths::root_mark)
//! ```

mod accounts;
pub mod ahead;
mod apply;
mod beneath;
pub mod captured;
mod clusters;
pub mod config;
mod copy;
pub mod create;
pub mod destroy;
pub mod duplicate;
pub mod error;
pub mod exec;
pub mod guard;
mod init;
mod journal_files;
mod keep;
mod leftovers;
pub mod link;
pub mod live;
pub mod objects;
pub mod paths;
pub mod prepare;
#[cfg(test)]
mod privileged;
pub mod processes;
pub mod quota;
pub mod relink;
pub mod scan;
pub mod set;
pub mod settle;
pub mod start;
pub mod state;
pub mod stop;
pub mod stopped;
pub mod undo;
pub mod upper_dir;
pub mod upper_edits;
mod wire;

pub use accounts::ids_of;
pub use ahead::Ahead;
pub use captured::{Captured, exec_captured};
pub use config::{Config, ConfigError, Network, UserNamespace};
pub use copy::Treatment;
pub use create::{NodeFile, RootDirectory, Staged, create, stage};
pub use destroy::destroy;
pub use duplicate::{duplicate, rename, stands_still};
pub use error::ContainerError;
pub use exec::{ExecSpec, enter, exec};
pub use journal_files::journal_files;
pub use leftovers::clear;
pub use link::{Intent, JournalError, Link, LinkJournal};
pub use objects::{ObjectSource, PrivateSource};
pub use paths::{ContainerPaths, root_mark};
pub use prepare::Regenerate;
pub use processes::{ProcessInfo, processes};
pub use quota::NoQuota;
pub use relink::{
    Recovered, RelinkError, RelinkPlan, RelinkTools, UndoObjects, recover, undo_record,
};
pub use scan::{UpperEntry, UpperKind, UpperScan};
pub use set::{Changed, has_unsettled_limits, set, settle_limits};
pub use settle::{Placed, discard, is_made, is_remains, is_unsettled, settle};
pub use start::{StartSpec, start, start_beside, start_new};
pub use state::{ContainerState, RunState, state};
pub use stop::{StopMode, stop};
pub use stopped::{Prepared, prepare_relink, relink_prepared, relink_stopped};
pub use undo::{Before, UndoEntry, UndoRecord};
pub use upper_dir::UpperDir;
pub use upper_edits::UpperEdit;
