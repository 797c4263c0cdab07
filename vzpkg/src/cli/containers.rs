//! Verbs about containers: `vzpkg ct …`.

use clap::{Args, Subcommand, ValueEnum};

/// The verbs below `ct`.
#[derive(Debug, Subcommand)]
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
    /// List containers
    List(CtList),
    /// Show one container
    Info(CtInfo),
    /// Move containers to another version, while they run or stopped
    Relink(CtRelink),
    /// Move a container back to the version before, while it runs or stopped
    Rollback(CtRollback),
    /// Remove containers with their private changes
    Destroy(CtDestroy),
}

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

/// `ct create`
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
    /// Which network it sees
    #[arg(long, value_enum, default_value_t, value_name = "NETWORK")]
    pub net: Net,
    /// Start it at once
    #[arg(long)]
    pub start: bool,
}

/// `ct start`
#[derive(Debug, Args)]
pub struct CtStart {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
}

/// `ct stop`
#[derive(Debug, Args)]
pub struct CtStop {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// Seconds before its processes are killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
}

/// `ct restart`
#[derive(Debug, Args)]
pub struct CtRestart {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// Seconds before its processes are killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
}

/// `ct relink`
#[derive(Debug, Args)]
pub struct CtRelink {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// The version: N, @N, :TAG or @sha256:DIGITS; by default the head of its template
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// Stop the services that are tied to the version, and start them on the new one
    #[arg(long)]
    pub restart: bool,
}

/// `ct destroy`
#[derive(Debug, Args)]
pub struct CtDestroy {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// Stop it first if it runs
    #[arg(short, long)]
    pub force: bool,
}

/// `ct rollback`
#[derive(Debug, Args)]
pub struct CtRollback {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
    /// The version to go to: N, @N, :TAG or @sha256:DIGITS; by default the one it had before
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// Stop the services that are tied to the version, and start them on the other one
    #[arg(long)]
    pub restart: bool,
}

/// `ct exec`
#[derive(Debug, Args)]
pub struct CtExec {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
    /// Set an environment variable: NAME=VALUE
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Run as this user id or UID:GID
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Use a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// The command and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<String>,
}

/// `ct enter`
#[derive(Debug, Args)]
pub struct CtEnter {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
}

/// `ct list`
#[derive(Debug, Args)]
pub struct CtList {
    /// Containers; none: all
    #[arg(value_name = "CT")]
    pub names: Vec<String>,
}

/// `ct info`
#[derive(Debug, Args)]
pub struct CtInfo {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
}
