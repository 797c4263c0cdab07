//! Verbs about versions.

use super::FollowOptions;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

// `history`
#[derive(Debug, Args)]
pub struct History {
    /// The template
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
}

// `diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The earlier version: TEMPLATE@N, TEMPLATE:TAG, @sha256:DIGITS, or TEMPLATE for its head
    #[arg(value_name = "A")]
    pub from: String,
    /// The later version; without a template, as @N or :TAG, of the same one
    #[arg(value_name = "B")]
    pub to: String,
    /// Print changed files too
    #[arg(long)]
    pub files: bool,
    /// Print what the packages say of their changes
    #[arg(long)]
    pub changelogs: bool,
}

// `lock`
#[derive(Debug, Args)]
pub struct LockShow {
    /// TEMPLATE@N, TEMPLATE:TAG, @sha256:DIGITS, or TEMPLATE for its head
    #[arg(value_name = "VERSION")]
    pub version: String,
}

// `rollback`
#[derive(Debug, Args)]
pub struct Rollback {
    /// The template or container
    #[arg(value_name = "TEMPLATE|CT")]
    pub object: String,
    /// The version to go to: N, @N, :TAG or @sha256:DIGITS; by default the one before
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// Why, for the history and for the updates that would make the version again
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Of running containers: stop the services that are tied to the version, and start them on the other one
    #[arg(long)]
    pub restart: bool,
    /// Whether containers are taken along.
    #[command(flatten)]
    pub follow: FollowOptions,
}

// `bisect`
#[derive(Debug, Args)]
pub struct Bisect {
    /// The template
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// A version that works: N, @N, :TAG or @sha256:DIGITS
    #[arg(long, value_name = "VERSION")]
    pub good: String,
    /// A later one that does not
    #[arg(long, value_name = "VERSION")]
    pub bad: String,
    /// A shell command that tells them apart
    ///
    /// It is run by /bin/sh as root in a container that is made for each trial and thrown away, without a network. Exit
    /// code 0 says that the version is good, 1 to 124 that it is bad, 125 that neither can be said; anything else ends the
    /// search. Where the template has an init, the container has just been started: wait for what the test needs.
    #[arg(long, value_name = "COMMAND")]
    pub test: String,
    /// Threads that unpack and hash; by default one for each processor
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

// `verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Versions: TEMPLATE@N, TEMPLATE:TAG, @sha256:DIGITS, or TEMPLATE for its head; none: everything in the store
    #[arg(value_name = "VERSION", conflicts_with = "all")]
    pub versions: Vec<String>,
    /// Everything in the store: all versions, package manifests and the database (the default)
    #[arg(short, long)]
    pub all: bool,
    /// Bring back what is damaged, from package files and repositories, or by building it again
    #[arg(long)]
    pub repair: bool,
}

/// The shape of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A tar archive, packed with zstd.
    #[value(name = "tar.zst")]
    TarZst,
    /// A tar archive, packed with gzip.
    #[value(name = "tar.gz")]
    TarGz,
    /// A directory tree.
    #[value(name = "directory", alias = "dir")]
    Directory,
}

// `export`
#[derive(Debug, Args)]
pub struct Export {
    /// TEMPLATE@N, TEMPLATE:TAG, @sha256:DIGITS, or TEMPLATE for its head
    #[arg(value_name = "VERSION")]
    pub version: String,
    /// Where to write: FILE.tar.zst, FILE.tar.gz, a new directory, or - for stdout
    #[arg(value_name = "PATH")]
    pub target: PathBuf,
    /// The format; by default told by the name of PATH
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub kind: Option<ExportFormat>,
    /// The host name written into it
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub hostname: String,
}
