//! Tests of the resolver through its public API.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not inside test functions"
)]

mod brute_force;
mod cases;
mod fixture_centos;
mod hostile;
mod libsolv;
mod network_apt;
mod stream9;
mod universe;
