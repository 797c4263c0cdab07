//! Verbs about versions.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `history`
#[derive(Debug, Args)]
pub struct History {
    /// The template
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
}

/// `diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The earlier version: TEMPLATE@N
    #[arg(value_name = "A")]
    pub from: String,
    /// The later version: TEMPLATE@N, or only @N for the same template
    #[arg(value_name = "B")]
    pub to: String,
    /// Print changed files too
    #[arg(long)]
    pub files: bool,
}

/// `lock`
#[derive(Debug, Args)]
pub struct LockShow {
    /// A template (its newest version) or TEMPLATE@N
    #[arg(value_name = "VERSION")]
    pub version: String,
}

/// `rollback`
#[derive(Debug, Args)]
pub struct Rollback {
    /// The template or container
    #[arg(value_name = "TEMPLATE|CT")]
    pub object: String,
    /// The version to go to; by default the one before
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Templates or versions; none: everything in the store
    #[arg(value_name = "VERSION")]
    pub versions: Vec<String>,
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

/// `export`
#[derive(Debug, Args)]
pub struct Export {
    /// A template (its newest version) or TEMPLATE@N
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
