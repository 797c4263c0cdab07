//! What tests of every crate stand on: real packages, signed repositories, a server that misbehaves on demand.
//!
//! This crate depends on no product crate, so that every crate may dev-depend on it without meeting two copies of its
//! own types, and so that a writer never shares a bug with the reader it tests: packages are made by the real
//! `dpkg-deb` and `rpmbuild`, yum metadata by the real `createrepo_c`; signatures by OpenPGP keys made on the spot.
//!
//! A fixture that cannot be made panics, with the command and what it printed: the test that asked for it fails there.
//!
//! ```no_run
//! use vzpkg_tests::{apt_repo::AptRepo, deb_writer::Deb, http_server::{Fault, HttpServer, Times}, keys::TestKey};
//!
//! let directory = tempfile::tempdir().unwrap();
//! let key = TestKey::new("archive");
//! let hello = Deb::new("hello", "1.0").file("usr/bin/hello", 0o755, b"#!/bin/sh\n").build(directory.path());
//! let mut repo = AptRepo::new(directory.path().join("repo"));
//! repo.suite("stable").add("main", &hello);
//! repo.publish(&key);
//! let server = HttpServer::serve(repo.root());
//! server.fault("/dists/stable/InRelease", Times::Once, Fault::Status(503));
//! // … a client with `deb {server.url()} stable main` and `key.fingerprint()` …
//! assert_eq!(server.requests().len(), 2);
//! ```
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "fixtures fail the test that asks for them, at the place where it asks"
)]

pub mod apt_repo;
pub mod deb_writer;
pub mod env;
pub mod fixtures;
pub mod http_server;
pub mod keys;
pub mod rpm_writer;
pub mod tiny_debian;
pub mod tools;
pub mod tree_assert;
pub mod yum_repo;
