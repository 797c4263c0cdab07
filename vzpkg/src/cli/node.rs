//! Verbs about the node: space, health, settings, completions.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

// `clean`
#[derive(Debug, Args)]
pub struct Clean {
    /// Remove downloaded packages (the default)
    #[arg(short = 'k', long)]
    pub packages: bool,
    /// Remove repository metadata
    #[arg(short = 'm', long)]
    pub metadata: bool,
    /// Remove both
    #[arg(short, long)]
    pub all: bool,
}

// `gc`
#[derive(Debug, Args)]
pub struct Gc;

// `doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Make the database again: from the versions in the store, and from what can be read of a damaged one
    #[arg(long)]
    pub rebuild: bool,
}

// `config`
#[derive(Debug, Args)]
pub struct Config;

// `completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

// `man`
#[derive(Debug, Args)]
pub struct Man {
    /// The directory that gets one page for each verb
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}
