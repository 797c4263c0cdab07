//! What a container has of its own, and moving it to other versions.

use clap::Args;

// `ct relink`
#[derive(Debug, Args)]
pub struct CtRelink {
    /// Containers
    #[arg(value_name = "CT", required = true)]
    pub names: Vec<String>,
    /// The version: N, @N, :TAG or @sha256:DIGITS; by default the head of its template, unless it is pinned
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// Let it follow its template from now on, also if it was pinned to a version
    #[arg(long, conflicts_with = "pin")]
    pub follow: bool,
    /// Pin it to the version it is on, or with --to goes to: it is moved only to versions that are named, or back
    #[arg(long)]
    pub pin: bool,
    /// Stop the services that are tied to the version, and start them on the new one
    #[arg(long)]
    pub restart: bool,
    /// Let its own package manager install the packages of the version; it must run, and stays on the version it is on
    #[arg(long, conflicts_with_all = ["follow", "pin", "restart"])]
    pub in_place: bool,
}

// `ct rollback`
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

// `ct diff`
//
// Each private change on a line: A added, C changed, R replaced as a whole, D removed; what kind of thing it is; and
// what is another. A directory that is private only for what is in it is left out.
#[derive(Debug, Args)]
pub struct CtDiff {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
    /// Only what is at or below these paths
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Private copies that equal the version's too, with =
    #[arg(long)]
    pub all: bool,
}

// `ct reset`
//
// Takes private changes away, so that the version shows again: at and below the paths, or all but the files that each
// container is given (host name, name servers, machine id, repositories). The data of its services goes too.
#[derive(Debug, Args)]
pub struct CtReset {
    /// The container
    #[arg(value_name = "CT")]
    pub name: String,
    /// Paths in the container; none: everything
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// If it runs: stop the services that are tied to its files, and start them again
    #[arg(long)]
    pub restart: bool,
}

// `ct commit`
//
// Makes the next version of a template of its own: what the container's version has, with what the container changed.
// Data (/var/lib, /srv, /home, /root), keys and identities, logs, caches and the files that each container is given stay
// the container's; passwords in /etc/shadow go in. `ct commit --dry-run` lists both.
#[derive(Debug, Args)]
pub struct CtCommit {
    /// The container, which is stopped
    #[arg(value_name = "CT")]
    pub name: String,
    /// The template: a new set of the container's OS template, OS-VERSION-ARCH-NAME or only NAME; or one that was committed
    #[arg(long = "as", value_name = "TEMPLATE")]
    pub template: String,
}
