//! What makes bytes trustworthy: hashes, OpenPGP signatures by pinned keys, and freshness.

mod file;
pub(crate) mod freshness;
pub mod keyring;
pub mod openpgp;
mod rpm;
mod rpm_header;

pub use file::{FileCheckError, verify_file};
pub use freshness::StaleError;
pub use keyring::Keyring;
pub use openpgp::{Policy, SignatureError, Verified};
pub use rpm::{PackageKeys, RpmSignatureError, RpmSignatureProblem, rpm_package};
pub use rpm_header::RpmHeaderError;
