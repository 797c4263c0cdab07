//! Verbs about local mirrors: `vzpkg mirror …`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The verbs below `mirror`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum MirrorCommand {
    /// Say what a new mirror mirrors; `sync` then fills it
    Add(Box<MirrorAdd>),
    /// Make a signed repository of a folder of .deb or .rpm files
    Import(MirrorImport),
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
    /// Make templates read a mirror instead of its upstream
    Use(MirrorUse),
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

// `mirror add`
#[derive(Debug, Args)]
pub struct MirrorAdd {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where it comes from, best first: addresses of the same content
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Exactly what these templates need: their repositories, keys and packages, with dependencies
    #[arg(
        long = "for",
        value_name = "TEMPLATE",
        num_args = 1..,
        value_delimiter = ',',
        conflicts_with_all = ["urls", "suites", "mirror_lists", "keyrings", "keys", "trusted", "ignore_valid_until",
            "unsigned_metadata", "legacy_signatures", "architectures"]
    )]
    pub templates: Vec<String>,
    /// Only packages of these names, and what they depend on; * and ? stand for any characters
    #[arg(long, value_name = "PACKAGE", value_delimiter = ',')]
    pub packages: Vec<String>,
    /// Only packages of these sections (deb) or groups (rpm), beside those of --packages
    #[arg(long, value_name = "SECTION", value_delimiter = ',')]
    pub sections: Vec<String>,
    /// No packages until somebody asks for them: for `mirror serve --on-demand`
    #[arg(long, conflicts_with_all = ["packages", "sections", "newest", "templates"])]
    pub on_demand: bool,
    /// At most so many versions of each package, the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub newest: Option<u32>,
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
    /// Architectures [default: this machine's of an apt repository, all of a yum repository]
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
    /// Also the lists of files (`Contents`) of an apt repository, for `apt-file`
    #[arg(long, requires = "suites")]
    pub contents: bool,
    /// Not the catalogs of an apt repository, which clients with `appstream` or `command-not-found` ask for
    #[arg(long, requires = "suites")]
    pub no_catalogs: bool,
    /// Also the source packages of an apt repository
    #[arg(long, requires = "suites", conflicts_with_all = ["packages", "sections", "newest"])]
    pub sources: bool,
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

// `mirror import`
#[derive(Debug, Args)]
pub struct MirrorImport {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The folder, with all below it; afterwards `mirror sync NAME` reads it again
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

// `mirror sync`
#[derive(Debug, Args)]
pub struct MirrorSync {
    /// Mirrors; none: all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// What all downloads together may take each second: bytes, or 500K, 10M [default: the setting `bandwidth`]
    #[arg(long, value_name = "RATE")]
    pub limit_rate: Option<String>,
}

// `mirror list`
#[derive(Debug, Args)]
pub struct MirrorList;

// `mirror info`
#[derive(Debug, Args)]
pub struct MirrorInfo {
    /// The mirror
    #[arg(value_name = "NAME")]
    pub name: String,
}

// `mirror snapshot`
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

// `mirror publish`
#[derive(Debug, Args)]
pub struct MirrorPublish {
    /// The mirror, for its newest state, or a snapshot of it, which then stays published
    #[arg(value_name = "NAME[@SNAPSHOT]")]
    pub state: String,
}

// `mirror rollback`
#[derive(Debug, Args)]
pub struct MirrorRollback {
    /// The mirror
    #[arg(value_name = "NAME")]
    pub name: String,
}

// `mirror use`
#[derive(Debug, Args)]
pub struct MirrorUse {
    /// The mirror
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Let templates read its upstream again
    #[arg(long)]
    pub undo: bool,
}

// `mirror diff`
#[derive(Debug, Args)]
pub struct MirrorDiff {
    /// A mirror, for what it publishes, or a snapshot of it
    #[arg(value_name = "NAME[@SNAPSHOT]")]
    pub from: String,
    /// What to compare it with
    #[arg(value_name = "NAME[@SNAPSHOT]")]
    pub to: String,
}

// `mirror verify`
#[derive(Debug, Args)]
pub struct MirrorVerify {
    /// Mirrors; none: all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Fetch what is damaged or gone again
    #[arg(long)]
    pub repair: bool,
}

// `mirror gc`
#[derive(Debug, Args)]
pub struct MirrorGc;

// `mirror serve`
#[derive(Debug, Args)]
pub struct MirrorServe {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: String,
    /// Fetch what the signed indexes name and is not here when a client asks for it
    #[arg(long)]
    pub on_demand: bool,
    /// With --on-demand: how old the state of a mirror that was added with --on-demand may be: seconds, or 90s, 10m, 1h
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5m",
        requires = "on_demand"
    )]
    pub max_age: String,
}

// `mirror remove`
#[derive(Debug, Args)]
pub struct MirrorRemove {
    /// Mirrors
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}
