//! Verbs about templates and their repositories.

use clap::{Args, ValueEnum};

// `list`
#[derive(Debug, Args)]
pub struct List {
    /// Templates to list; none: all
    #[arg(value_name = "TEMPLATE")]
    pub templates: Vec<String>,
    /// Only templates that have a cache
    #[arg(short, long)]
    pub cached: bool,
    /// The packages of a template's head, or of the version that is named
    #[arg(short, long)]
    pub packages: bool,
    /// Only operating-system templates
    #[arg(short = 'O', long)]
    pub os: bool,
    /// Only application templates
    #[arg(short = 'A', long, conflicts_with = "os")]
    pub app: bool,
    /// Summaries instead of versions
    #[arg(short = 'S', long)]
    pub with_summary: bool,
}

// `info`
#[derive(Debug, Args)]
pub struct Info {
    /// A template, a version (TEMPLATE@N, TEMPLATE:TAG, @sha256:DIGITS) or a container
    #[arg(value_name = "OBJECT")]
    pub object: String,
    /// Fields to print; none: all
    #[arg(value_name = "FIELD")]
    pub fields: Vec<String>,
}

// `status`
#[derive(Debug, Args)]
pub struct Status {
    /// Templates to check, told in detail; none: all that have a cache, a line each
    #[arg(value_name = "TEMPLATE")]
    pub templates: Vec<String>,
}

// `search`
#[derive(Debug, Args)]
pub struct Search {
    /// The template whose repositories are searched
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// Words that name or summary must hold
    #[arg(value_name = "WORD", required = true)]
    pub words: Vec<String>,
}

/// The distribution of the shipped template that a new base starts from: its packages, repositories and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Like {
    /// AlmaLinux.
    Almalinux,
    /// CentOS.
    Centos,
    /// CentOS Stream.
    CentosStream,
    /// Debian.
    Debian,
    /// Fedora.
    Fedora,
    /// openSUSE Leap.
    OpensuseLeap,
    /// Rocky Linux.
    Rocky,
}

// `new-template`
#[derive(Debug, Args)]
pub struct NewTemplate {
    /// Its name: OS-VERSION-ARCH or OS-VERSION-ARCH-SET
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// The distribution a new base starts from, its newest version; by default the nearest version of its own
    #[arg(long, value_enum, value_name = "DISTRIBUTION")]
    pub like: Option<Like>,
}

// `update-metadata`
#[derive(Debug, Args)]
pub struct UpdateMetadata {
    /// Templates whose repositories are asked; none: all that have a cache
    #[arg(value_name = "TEMPLATE")]
    pub templates: Vec<String>,
}
