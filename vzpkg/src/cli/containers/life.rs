//! Making, starting, stopping and removing containers.

use super::{LimitOptions, SurroundingOptions, UserNamespace};
use clap::Args;

// `ct create`
#[derive(Debug, Args)]
pub struct CtCreate {
    /// The name of the container
    #[arg(value_name = "CT")]
    pub name: String,
    /// The template it follows; TEMPLATE@N, TEMPLATE:TAG or @sha256:DIGITS to stay on that version
    #[arg(short, long, value_name = "TEMPLATE")]
    pub template: String,
    /// Host name inside; by default the container's name
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Whose user ids it uses
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE")]
    pub user_namespace: UserNamespace,
    /// What it is limited to.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// What it sees of this node.
    #[command(flatten)]
    pub surroundings: SurroundingOptions,
    /// Start it at once
    #[arg(long)]
    pub start: bool,
}

// `ct start`: its options hold for this run, `ct set` keeps them.
#[derive(Debug, Args)]
pub struct CtStart {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// What they see of this node, this time.
    #[command(flatten)]
    pub surroundings: SurroundingOptions,
}

// `ct stop`
#[derive(Debug, Args)]
pub struct CtStop {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// Seconds before its processes are killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
}

// `ct restart`
#[derive(Debug, Args)]
pub struct CtRestart {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// Seconds before its processes are killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
}

// `ct destroy`
#[derive(Debug, Args)]
pub struct CtDestroy {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// Stop it first if it runs
    #[arg(short, long)]
    pub force: bool,
}

// `ct rename`
//
// Its host name inside stays what it is.
#[derive(Debug, Args)]
pub struct CtRename {
    /// The container, stopped
    #[arg(value_name = "CT")]
    pub name: String,
    /// Its new name
    #[arg(value_name = "NEW")]
    pub new: String,
}

// `ct clone`
//
// The copy is on the same version and has the same private changes, limits and mounts; its machine id, its keys and
// its ids on this node are its own.
#[derive(Debug, Args)]
pub struct CtClone {
    /// The container to copy, stopped
    #[arg(value_name = "CT")]
    pub name: String,
    /// The name of the copy
    #[arg(value_name = "NEW")]
    pub new: String,
    /// Host name inside; by default the copy's name, where the original's was its name
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Start it at once
    #[arg(long)]
    pub start: bool,
}
