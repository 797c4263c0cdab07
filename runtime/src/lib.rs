//! Sandbox and containers: root file systems, namespaces, OCI bundles, link and relink.
//!
//! This crate mounts and runs. It knows no package, no repository and no store: what to mount is given to it as a
//! value ([`rootfs::MountSpec`]), and whoever gives it decides what is in there.
//!
//! * [`rootfs`]: an immutable version (image and objects) with or without a private upper, in the best of three tiers.
//! * [`container`]: system containers, one verb per file; [`oci`]: the runtime binary that runs them.
//! * [`sandbox`]: a short-lived container for package managers and template scripts; nothing of it outlives it.
//! * [`helper`]: the second life of our own binary, in which everything happens that needs a single-threaded process.
//! * [`sys`]: the system calls behind all of it, and the only unsafe code of this crate.

mod cgroup_mounts;
pub mod container;
mod findings;
pub mod helper;
pub mod oci;
pub mod rootfs;
pub mod sandbox;
pub mod sys;

pub use helper::{HelperCommand, helper_main};
