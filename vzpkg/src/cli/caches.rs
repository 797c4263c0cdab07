//! Verbs that build and remove caches.

use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

// `create-cache`
#[derive(Debug, Args)]
pub struct CreateCache {
    /// Templates to build; none: the default set of every OS template that has no version yet
    #[arg(value_name = "TEMPLATE")]
    pub templates: Vec<String>,
    /// Build exactly what this lock says
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Build from what local mirrors had at a date, or keep under a snapshot's name
    #[arg(long, value_name = "DATE|SNAPSHOT", conflicts_with = "lock")]
    pub as_of: Option<String>,
    /// Threads that unpack and hash; by default one for each processor
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

// `update`
#[derive(Debug, Args)]
pub struct Update {
    /// Templates to update or containers to relink; none: all templates, never containers
    #[arg(value_name = "TEMPLATE|CT")]
    pub objects: Vec<String>,
    /// Build from nothing instead of on the newest version
    #[arg(long)]
    pub rebuild: bool,
    /// Move only these packages of the template, and what they need; * and ? stand for any characters
    #[arg(
        long,
        value_name = "PACKAGE",
        num_args = 1..,
        value_delimiter = ',',
        requires = "objects",
        conflicts_with_all = ["rebuild", "security", "to_lock"]
    )]
    pub only: Vec<String>,
    /// Move only packages that have security updates
    ///
    /// Of deb packages those for which a security archive has something newer: an apt repository whose signed Release file
    /// has a Suite, Codename, Label or Origin that ends in "-security" (Debian's, Ubuntu's). They move to the newest
    /// version of such an archive. Of rpm packages those that an advisory of type security names (updateinfo of the
    /// repositories). They move to the version of the newest advisory, or the first after it. Others move only where
    /// these need them.
    #[arg(long, conflicts_with_all = ["rebuild", "to_lock"])]
    pub security: bool,
    /// Make a version that has exactly the packages of this lock, whatever is newer or held
    #[arg(long, value_name = "FILE", conflicts_with = "rebuild")]
    pub to_lock: Option<PathBuf>,
    /// With --dry-run: write the plan to this file, for --plan
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    pub save_plan: Option<PathBuf>,
    /// Take packages from what local mirrors had at a date, or keep under a snapshot's name; with --rebuild also older ones
    #[arg(long, value_name = "DATE|SNAPSHOT", conflicts_with_all = ["to_lock", "plan"])]
    pub as_of: Option<String>,
    /// Carry out this plan, if the head is still the version it was made for
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["objects", "rebuild", "only", "security", "to_lock"]
    )]
    pub plan: Option<PathBuf>,
    /// Make a version again although it was rolled back
    #[arg(long)]
    pub again: bool,
    /// Of running containers: stop the services that are tied to the version, and start them on the other one
    #[arg(long)]
    pub restart: bool,
    /// Of running containers: let their own package managers install the packages of the head; they stay on their versions
    #[arg(
        long,
        requires = "objects",
        conflicts_with_all = [
            "rebuild", "only", "security", "to_lock", "plan", "save_plan", "as_of", "again", "restart", "containers"
        ]
    )]
    pub in_place: bool,
    /// Whether containers are taken along.
    #[command(flatten)]
    pub follow: FollowOptions,
    /// Threads that unpack and hash; by default one for each processor
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

// Options that take the containers of a template along.
#[derive(Debug, Clone, Args)]
pub struct FollowOptions {
    /// Of templates: take the containers that follow them along, running or stopped
    #[arg(long)]
    pub containers: bool,
    /// How many containers are a batch: those that are stopped are moved at once, those that run four at a time
    #[arg(long, value_name = "N", default_value = "32", requires = "containers")]
    pub batch: NonZeroUsize,
    /// Stop after the batch with which more than N containers have failed; those that were moved stay moved
    #[arg(long, value_name = "N", default_value_t = 0, requires = "containers")]
    pub max_failures: usize,
}

// `remove-cache`
#[derive(Debug, Args)]
pub struct RemoveCache {
    /// Templates, all of whose versions are removed, or single versions: TEMPLATE@N
    #[arg(value_name = "TEMPLATE|VERSION", required = true)]
    pub templates: Vec<String>,
}

// `fetch`
#[derive(Debug, Args)]
pub struct Fetch {
    /// Templates whose packages are downloaded
    #[arg(value_name = "TEMPLATE", required = true)]
    pub templates: Vec<String>,
}
