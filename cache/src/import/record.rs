//! The package records of what is installed, from manifests: what the resolver is shown as the base of an update.

use crate::store::PackageManifest;
use vzpkg_metadata::Family;
use vzpkg_metadata::apt::control::{self, ControlError, PackageFile};
use vzpkg_metadata::package::PackageRecord;

/// A manifest whose record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A deb package's control paragraph.
    #[error("the record of {package} cannot be read")]
    Deb {
        /// Name, version and architecture.
        package: String,
        /// What is wrong with it.
        source: ControlError,
    },
}

/// The record of an imported package, borrowed from its manifest. Its location is empty.
///
/// # Errors
/// [`RecordError`] for a manifest that this vzpkg would not have written.
pub fn record_of(manifest: &PackageManifest) -> Result<PackageRecord<'_>, RecordError> {
    match manifest.family {
        Family::Deb => {
            let file = PackageFile {
                location: "",
                size: manifest.size,
                sha256: manifest.sha256,
            };
            control::parse(&manifest.record, file).map_err(|source| RecordError::Deb {
                package: format!("{} {} {}", manifest.name, manifest.version, manifest.arch),
                source,
            })
        }
        Family::Rpm => Ok(super::rpm::record::of_manifest(manifest)),
    }
}
