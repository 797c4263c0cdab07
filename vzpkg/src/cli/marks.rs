//! Verbs that note something of a version or of a template's packages, and take it away again.

use clap::Args;

// `hold`
#[derive(Debug, Args)]
pub struct Hold {
    /// The template
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// Packages: names in which * and ? stand for any characters; none: print the holds there are
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// The last day of the hold: 2026-12-31
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,
    /// Why, for whoever wonders later
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

// `unhold`
#[derive(Debug, Args)]
pub struct Unhold {
    /// The template
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// The patterns, as they were given to `hold`
    #[arg(value_name = "PATTERN", required = true)]
    pub patterns: Vec<String>,
}

// `keep` and `unkeep`
#[derive(Debug, Args)]
pub struct Keep {
    /// Versions: TEMPLATE@N, TEMPLATE:TAG, @sha256:DIGITS, or TEMPLATE for its head
    #[arg(value_name = "VERSION", required = true)]
    pub versions: Vec<String>,
}

// `tag`
#[derive(Debug, Args)]
pub struct Tag {
    /// The version: TEMPLATE@N, @sha256:DIGITS, or TEMPLATE for its head
    #[arg(value_name = "VERSION", required_unless_present = "remove")]
    pub version: Option<String>,
    /// The tag, which any other version of the template loses
    #[arg(value_name = "NAME", required_unless_present = "remove")]
    pub name: Option<String>,
    /// Take this tag away instead
    #[arg(long, value_name = "TEMPLATE:NAME", conflicts_with_all = ["version", "name"])]
    pub remove: Option<String>,
}
