//! The words of the command line: types for clap, no behaviour. One file per group of verbs.
//!
//! What a verb is for is said at its variant, and its arguments are not made before somebody types it (`defer`): to make
//! those of all verbs took half of a short command's time.
#![expect(
    missing_docs,
    reason = "clap takes what documents the arguments of a verb for another description of the verb"
)]

mod caches;
mod containers;
mod marks;
mod mirror;
mod node;
pub mod spelling;
mod templates;
mod versions;

pub use caches::{CreateCache, Fetch, FollowOptions, RemoveCache, Update};
pub use containers::{
    ContainerCommand, CtClone, CtCommit, CtCreate, CtDestroy, CtDiff, CtEnter, CtExec, CtInfo,
    CtList, CtLogs, CtRelink, CtRename, CtReset, CtRestart, CtRollback, CtSet, CtStart, CtStop,
    CtTop, LimitOptions, Net, SurroundingOptions, UserNamespace,
};
pub use marks::{Hold, Keep, Tag, Unhold};
pub use mirror::{
    MirrorAdd, MirrorCommand, MirrorDiff, MirrorGc, MirrorImport, MirrorInfo, MirrorList,
    MirrorPublish, MirrorRemove, MirrorRollback, MirrorServe, MirrorSnapshot, MirrorSync,
    MirrorUse, MirrorVerify,
};
pub use node::{Clean, Completions, Config, Doctor, Gc, Man};
pub use templates::{Info, Like, List, NewTemplate, Search, Status, UpdateMetadata};
pub use versions::{Bisect, Diff, Export, ExportFormat, History, LockShow, Rollback, Verify};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What stands below the long help, the manual page and `docs/commands.md` (the codes are those of [`crate::error::Kind`]).
const AFTER_HELP: &str = "\
Start with: vzpkg create-cache debian-13-x86_64-minimal

Exit codes:
    0  done
    1  what was asked for cannot be met
    2  usage or configuration
    3  environment: network, disk, permission, a guard that another process holds
    4  verification failed: a signature, a hash, freshness
    5  a package or template script failed
   10  `status`: updates are available
   70  a bug in vzpkg
  130  interrupted

Of several objects that fail the first one's code counts; the others are done all the same. `ct exec` ends with the code of
the command; 125, 126 and 127 are vzpkg's own there.";

/// Build, run, update and roll back versioned operating-system templates
///
/// A template is a list of package names and repositories. vzpkg resolves them, installs the packages in a sandbox and
/// publishes the result as an immutable, numbered version; containers link to a version and hold only their own
/// changes. Two-word verbs may be written with a blank, as in the original: `vzpkg create cache debian-13-x86_64`.
#[derive(Debug, Parser)]
#[command(
    name = "vzpkg",
    version,
    max_term_width = 100,
    disable_help_subcommand = false,
    after_help = "Start with: vzpkg create-cache debian-13-x86_64-minimal",
    after_long_help = AFTER_HELP
)]
pub struct Cli {
    /// Options that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// Where templates, store and containers lie [default: /vz]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print what would be done, change nothing
    #[arg(short = 'n', long, global = true, visible_alias = "check-only")]
    pub dry_run: bool,
    /// Answer every question with yes
    #[arg(short = 'y', long = "yes", global = true, visible_alias = "assumeyes")]
    pub yes: bool,
    /// How reading verbs print their result
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more; twice for the decisions of every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Use local metadata and packages only
    #[arg(
        short = 'C',
        long,
        global = true,
        visible_alias = "cache",
        conflicts_with = "refresh"
    )]
    pub offline: bool,
    /// Ask the repositories even if metadata is young
    #[arg(short, long, global = true, visible_alias = "remote")]
    pub refresh: bool,
    /// How long to wait for a guard that another process holds: seconds, or 90s, 10m, 1h30m [default: 600]
    #[arg(long, global = true, value_name = "DURATION")]
    pub wait: Option<String>,
    /// Do not wait for other processes at all
    #[arg(long, global = true, conflicts_with = "wait")]
    pub no_wait: bool,
    /// Write progress events to this open descriptor, one JSON object a line
    #[arg(long, global = true, value_name = "FD")]
    pub progress_fd: Option<i32>,
}

/// How reading verbs print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned text for people.
    #[default]
    Text,
    /// One JSON document with a `schema` field.
    Json,
}

/// Every verb.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List templates, versions and what they hold
    List(List),
    /// Show one template, version or container
    Info(Info),
    /// Say whether updates are available (exit code 10 if so)
    Status(Status),
    /// Search package names and summaries in a template's repositories
    Search(Search),
    /// Make a template directory to start from
    NewTemplate(NewTemplate),
    /// Fetch the repositories' metadata of templates now
    UpdateMetadata(UpdateMetadata),
    /// Build the first version of a template
    CreateCache(CreateCache),
    /// Make new versions of templates, or move containers to the newest
    Update(Update),
    /// Remove all versions of templates
    RemoveCache(RemoveCache),
    /// Download the packages of templates without building
    Fetch(Fetch),
    /// Remove downloaded packages and metadata
    Clean(Clean),
    /// Show the versions of a template, newest first
    History(History),
    /// Show what differs between two versions
    Diff(Diff),
    /// Print the lock of a version
    Lock(LockShow),
    /// Go back to an earlier version of a template or container
    Rollback(Rollback),
    /// Find the version, and the package in it, that made something fail
    Bisect(Bisect),
    /// Leave packages of a template at their version when it is updated
    Hold(Hold),
    /// Let packages be updated again
    Unhold(Unhold),
    /// Keep versions from gc
    Keep(Keep),
    /// Let gc take versions again
    Unkeep(Keep),
    /// Give a version a name besides its number
    Tag(Tag),
    /// Check that stored versions are undamaged
    Verify(Verify),
    /// Remove what no version and no container uses
    Gc(Gc),
    /// Write a version as an archive or directory
    Export(Export),
    /// Containers
    #[command(subcommand)]
    Ct(ContainerCommand),
    /// Local mirrors of repositories
    #[command(subcommand)]
    Mirror(MirrorCommand),
    /// Check this machine and say what vzpkg can use here
    Doctor(Doctor),
    /// Print every setting with its origin
    Config(Config),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man(Man),
}
