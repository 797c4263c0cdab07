//! Looking at containers, and running commands in them.

use clap::Args;

// `ct exec`
#[derive(Debug, Args)]
pub struct CtExec {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
    /// Set an environment variable: NAME=VALUE
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Run as this user of the container: NAME, UID, NAME:GROUP or UID:GID
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Use a terminal, which it does by itself where there is one
    #[arg(short, long)]
    pub tty: bool,
    /// Pass the standard input on, which it always does
    #[arg(short, long)]
    pub interactive: bool,
    /// Not done: a command is waited for
    #[arg(short, long, hide = true)]
    pub detach: bool,
    /// The command and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<String>,
}

// `ct enter`
#[derive(Debug, Args)]
pub struct CtEnter {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
}

// `ct list`
#[derive(Debug, Args)]
pub struct CtList {
    /// Containers; none: all
    #[arg(value_name = "CT")]
    pub names: Vec<String>,
}

// `ct info`
#[derive(Debug, Args)]
pub struct CtInfo {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
}

// `ct top`
#[derive(Debug, Args)]
pub struct CtTop {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
}

// `ct logs`
//
// The journal of a container that has systemd; of any other what its process 1 has printed since its last start. Both
// also after it was stopped.
#[derive(Debug, Args)]
pub struct CtLogs {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
    /// Go on printing until the container stops
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last N lines
    #[arg(long, value_name = "N", visible_alias = "lines")]
    pub tail: Option<usize>,
    /// What process 1 printed, not the journal
    #[arg(long)]
    pub console: bool,
}
