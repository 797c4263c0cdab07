//! From a repository line to verified bytes: trust, freshness, download, and the mapped index.
//!
//! [`Client::load`] turns one line of a template into a [`Repository`] whose index is verified and memory-mapped;
//! [`Client::fetch`] turns packages that a resolver chose into verified files. Nothing here chooses packages or keeps
//! trees. What the network names never becomes a path on this machine: files are named by their SHA-256.
//!
//! No environment and no calendar: proxies and `now` come in as values ([`ClientOptions`]). Nothing is printed: progress
//! goes to a [`FetchReporter`].
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::string_slice
    )
)]

mod apt;
mod client;
pub mod clock;
mod context;
mod decompress;
mod download;
mod error;
mod fetch;
mod guard;
mod index_file;
pub mod mirror;
mod options;
mod origin;
mod pool;
pub mod report;
mod repository;
mod retry;
mod servers;
mod sign;
pub mod source;
mod transport;
pub mod verify;
mod yum;

pub use client::Client;
pub use decompress::DecompressError;
pub use error::{Attempt, FetchError, RepositoryError, RepositoryProblem, TransportError};
pub use fetch::{Arrived, Wanted};
pub use options::{ClientOptions, Proxies, Refresh, Timeouts};
pub use report::FetchReporter;
pub use repository::{MapError, MappedIndex, Repository, Security};
pub use servers::Bandwidth;
pub use sign::SignError;
pub use verify::PackageKeys;
pub use yum::{Advisories, YumError, read_groups, read_modules};
