//! Verbs about local mirrors: `vzpkg mirror …`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The verbs below `mirror`.
#[derive(Debug, Subcommand)]
pub enum MirrorCommand {
    /// Say what a new mirror mirrors; `sync` then fills it
    Add(MirrorAdd),
    /// Bring mirrors up to date; each publishes one complete state or none
    Sync(MirrorSync),
    /// List mirrors
    List(MirrorList),
    /// Show one mirror: what it mirrors, its state, its snapshots
    Info(MirrorInfo),
    /// Keep the newest state of a mirror under a name
    Snapshot(MirrorSnapshot),
    /// Publish a snapshot, or the newest state again
    Publish(MirrorPublish),
    /// Publish what was published before
    Rollback(MirrorRollback),
    /// Show which packages differ between two states
    Diff(MirrorDiff),
    /// Hash every file of mirrors
    Verify(MirrorVerify),
    /// Remove states that nothing refers to, and the files that only they named
    Gc(MirrorGc),
    /// Serve what mirrors publish over HTTP
    Serve(MirrorServe),
    /// Remove mirrors with their states and snapshots
    Remove(MirrorRemove),
}

/// `mirror add`
#[derive(Debug, Args)]
pub struct MirrorAdd {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where it comes from, best first: addresses of the same content
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Suites of an apt repository; without any it is a yum repository
    #[arg(long, value_name = "SUITE", value_delimiter = ',')]
    pub suites: Vec<String>,
    /// Components of an apt repository
    #[arg(
        long,
        value_name = "COMPONENT",
        value_delimiter = ',',
        default_value = "main"
    )]
    pub components: Vec<String>,
    /// Architectures of an apt repository [default: this machine's]
    #[arg(long = "arch", value_name = "ARCH", value_delimiter = ',')]
    pub architectures: Vec<String>,
    /// Languages whose translated descriptions an apt repository offers
    #[arg(
        long,
        value_name = "LANGUAGE",
        value_delimiter = ',',
        default_value = "en"
    )]
    pub languages: Vec<String>,
    /// Lists of mirrors of a yum repository, in place of URLs
    #[arg(long = "mirror-list", value_name = "URL", conflicts_with = "suites")]
    pub mirror_lists: Vec<String>,
    /// Every key in this file may sign it
    #[arg(long = "keyring", value_name = "FILE")]
    pub keyrings: Vec<PathBuf>,
    /// A key that may sign it: its fingerprint, and after commas where a copy may lie
    #[arg(long = "key", value_name = "FINGERPRINT[,PLACE]")]
    pub keys: Vec<String>,
    /// Take it without any signature
    #[arg(long)]
    pub trusted: bool,
    /// Take it though its `Valid-Until` has passed
    #[arg(long)]
    pub ignore_valid_until: bool,
    /// Of a yum repository, only the packages are signed
    #[arg(long, conflicts_with = "suites")]
    pub unsigned_metadata: bool,
    /// Take signature formats of old distributions
    #[arg(long)]
    pub legacy_signatures: bool,
}

/// `mirror sync`
#[derive(Debug, Args)]
pub struct MirrorSync {
    /// Mirrors; none: all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `mirror list`
#[derive(Debug, Args)]
pub struct MirrorList;

/// `mirror info`
#[derive(Debug, Args)]
pub struct MirrorInfo {
    /// The mirror
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `mirror snapshot`
#[derive(Debug, Args)]
pub struct MirrorSnapshot {
    /// The mirror
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What to call the snapshot; by default its time
    #[arg(long = "as", value_name = "TAG")]
    pub tag: Option<String>,
    /// Forget the snapshot instead
    #[arg(long, requires = "tag")]
    pub remove: bool,
}

/// `mirror publish`
#[derive(Debug, Args)]
pub struct MirrorPublish {
    /// The mirror, for its newest state, or a snapshot of it, which then stays published
    #[arg(value_name = "NAME[@SNAPSHOT]")]
    pub state: String,
}

/// `mirror rollback`
#[derive(Debug, Args)]
pub struct MirrorRollback {
    /// The mirror
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `mirror diff`
#[derive(Debug, Args)]
pub struct MirrorDiff {
    /// A mirror, for what it publishes, or a snapshot of it
    #[arg(value_name = "NAME[@SNAPSHOT]")]
    pub from: String,
    /// What to compare it with
    #[arg(value_name = "NAME[@SNAPSHOT]")]
    pub to: String,
}

/// `mirror verify`
#[derive(Debug, Args)]
pub struct MirrorVerify {
    /// Mirrors; none: all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Fetch what is damaged or gone again
    #[arg(long)]
    pub repair: bool,
}

/// `mirror gc`
#[derive(Debug, Args)]
pub struct MirrorGc;

/// `mirror serve`
#[derive(Debug, Args)]
pub struct MirrorServe {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: String,
}

/// `mirror remove`
#[derive(Debug, Args)]
pub struct MirrorRemove {
    /// Mirrors
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}
