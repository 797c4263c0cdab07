//! Verbs that build and remove caches.

use clap::Args;
use std::path::PathBuf;

/// `create-cache`
#[derive(Debug, Args)]
pub struct CreateCache {
    /// Templates to build; none: every template that has no cache yet
    #[arg(value_name = "TEMPLATE")]
    pub templates: Vec<String>,
    /// Build exactly what this lock says
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Threads that unpack and hash; by default one for each processor
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// `update`
#[derive(Debug, Args)]
pub struct Update {
    /// Templates to update or containers to relink; none: all templates, never containers
    #[arg(value_name = "TEMPLATE|CT")]
    pub objects: Vec<String>,
    /// Build from nothing instead of on the newest version
    #[arg(long)]
    pub rebuild: bool,
    /// Make a version again although it was rolled back
    #[arg(long)]
    pub again: bool,
    /// Threads that unpack and hash; by default one for each processor
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// `remove-cache`
#[derive(Debug, Args)]
pub struct RemoveCache {
    /// Templates, all of whose versions are removed, or single versions: TEMPLATE@N
    #[arg(value_name = "TEMPLATE|VERSION", required = true)]
    pub templates: Vec<String>,
}

/// `fetch`
#[derive(Debug, Args)]
pub struct Fetch {
    /// Templates whose packages are downloaded
    #[arg(value_name = "TEMPLATE", required = true)]
    pub templates: Vec<String>,
}
