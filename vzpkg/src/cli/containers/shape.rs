//! What a container is given: ids, limits, and what it sees of the node.

use clap::{Args, ValueEnum};

/// Whose user ids a container uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum UserNamespace {
    /// A range of 65,536 ids of its own.
    #[default]
    Private,
    /// The host's ids: root in the container is root on the host.
    Host,
}

/// Which network a container sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Net {
    /// The host's.
    #[default]
    Host,
    /// A loopback of its own, nothing else.
    None,
}

// Options that limit a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct LimitOptions {
    /// Memory: 512M, 2G, or max for no limit
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Processors: 2, 0.5, or max
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<String>,
    /// Processes and threads, or max
    #[arg(long, value_name = "NUMBER", visible_alias = "pids-limit")]
    pub pids: Option<String>,
    /// Bytes a second read from the disk of its private area, and as many written: 20M, or max
    #[arg(long, value_name = "SIZE")]
    pub io: Option<String>,
    /// Disk space of its private area, on file systems with project quotas: 10G, or max
    #[arg(long, value_name = "SIZE")]
    pub disk: Option<String>,
}

// Options about what a container sees of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct SurroundingOptions {
    /// Set a variable for process 1 and everything run in the container: NAME=VALUE
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Show a directory or file of this node inside: `SOURCE:TARGET[:ro]`, or `type=bind,source=SOURCE,target=TARGET[,ro]`
    ///
    /// Both paths are absolute. Ids are not translated: what the container's root may write belongs to the first of its
    /// ids on this node, which `ct info` prints.
    #[arg(long, value_name = "SOURCE:TARGET")]
    pub mount: Vec<String>,
    /// Which network it sees [default for a new one: host]
    #[arg(long, visible_alias = "network", value_enum, value_name = "NETWORK")]
    pub net: Option<Net>,
}

// `ct set`
//
// Limits of a running container change at once, everything else with its next start.
#[derive(Debug, Args)]
pub struct CtSet {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
    /// What it is limited to.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// What it sees of this node.
    #[command(flatten)]
    pub surroundings: SurroundingOptions,
    /// Forget a variable
    #[arg(long, value_name = "NAME")]
    pub unset_env: Vec<String>,
    /// Show what is mounted at this path no longer
    #[arg(long, value_name = "TARGET")]
    pub unmount: Vec<String>,
}

impl CtSet {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        let Self {
            name: _,
            limits,
            surroundings,
            unset_env,
            unmount,
        } = self;
        *limits == LimitOptions::default()
            && *surroundings == SurroundingOptions::default()
            && unset_env.is_empty()
            && unmount.is_empty()
    }
}
