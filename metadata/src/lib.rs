//! What things are: names, versions, packages, templates, locks, the canonical tree and the package index.
//!
//! Bytes in, values out. Every parser of repository, template and lock formats lives here; nothing here talks to the
//! network, mounts, solves or builds. The only files this crate reads are template directories ([`template`]), and the
//! only ones it writes go through [`durable`], the one way the workspace makes a file visible.
//!
//! Input is foreign: parsers are bounded by [`limits`], refuse what they do not understand and never panic.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::string_slice
    )
)]

pub mod apt;
pub mod arch;
pub mod dependency;
pub mod digest;
pub mod durable;
pub mod family;
pub mod glob;
pub mod guard;
pub mod index;
pub mod limits;
pub mod lock;
pub mod name;
pub mod package;
pub mod path;
pub mod roots;
pub mod saved_plan;
pub mod size;
pub mod template;
pub mod text;
pub mod timestamp;
pub mod transaction;
pub mod tree;
pub mod version;
pub mod yum;

pub use arch::Arch;
pub use digest::Digest;
pub use family::Family;
pub use name::{
    ContainerId, MirrorName, PackageName, PackagePattern, RepoId, SnapshotName, TagName,
    TemplateName, VersionName, VersionNumber, VersionReference,
};
pub use path::RelPath;
pub use roots::RootSet;
pub use size::ByteSize;
pub use timestamp::Timestamp;
