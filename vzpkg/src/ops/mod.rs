//! Use cases: the only place where the libraries meet. No printing beyond progress; results are values.

pub(crate) mod bisect;
pub(crate) mod build_version;
pub(crate) mod chosen;
pub(crate) mod collect_garbage;
pub(crate) mod containers;
pub(crate) mod decide;
pub(crate) mod held_back;
pub(crate) mod host;
pub(crate) mod mirrors;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod node_files;
pub(crate) mod outlook;
pub(crate) mod plan;
pub(crate) mod refresh_index;
pub(crate) mod relink;
pub(crate) mod relink_live;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod rolled_back;
pub(crate) mod saved;
pub(crate) mod security;
pub(crate) mod sources;
pub(crate) mod union;
pub(crate) mod wanted;
