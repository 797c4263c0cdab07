//! How the command is linked: at a fixed address.
//!
//! A program that may lie anywhere has 44,000 pointers in its own tables put right whenever it starts: half a millisecond,
//! and helpers are the same program. Stack, heap, libraries and mapped files lie at random addresses all the same.
#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by variables what is built"
)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_TARGET_ENV").is_some_and(|env| env == "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
