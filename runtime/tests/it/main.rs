//! What needs a process of its own or root: sandboxes and mounts.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod escape;
mod fixture;
mod live;
mod rootfs;
mod sandbox;
