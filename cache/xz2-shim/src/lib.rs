//! The `xz2` that `debpkg` asks for: the same API, served by `liblzma`.
//!
//! `xz2` links `lzma-sys` and `rpm` links `liblzma-sys`; both claim `links = "lzma"`, so Cargo refuses the pair. Put in
//! with `[patch.crates-io]` in the workspace manifest. Not for use by our own code, which calls `liblzma` directly.
pub use liblzma::*;
