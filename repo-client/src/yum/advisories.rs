//! What the security advisories of a yum repository name, kept beside its index: read only where somebody asks for it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use vzpkg_metadata::Family;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::version;
use vzpkg_metadata::yum::updateinfo::Advised;

/// Another number: the file is not understood.
const FORMAT: u32 = 1;

/// Fedora's newest release has 20,000 packages in security advisories after a year: 2 MB.
const BYTES: u64 = 256 << 20;

/// For each name and architecture the versions that advisories name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Advisories {
    format: u32,
    packages: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Advisories {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            format: FORMAT,
            packages: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, advised: Advised) {
        let Advised {
            name,
            arch,
            version,
        } = advised;
        self.packages
            .entry(name)
            .or_default()
            .insert((arch, version));
    }

    /// The highest version of a package that an advisory names, if that is higher than `than`.
    pub fn newest(&self, name: &str, arch: &str, than: &str) -> Option<&str> {
        let compare = |a: &str, b: &str| version::compare(Family::Rpm, a, b);
        let named = self.packages.get(name)?.iter();
        let versions = named
            .filter(|(of, _)| of == arch)
            .map(|(_, version)| version.as_str());
        let newest = versions.max_by(|a, b| compare(a, b))?;
        compare(newest, than).is_gt().then_some(newest)
    }

    /// Reads the file of [`Security::Advisories`](crate::Security::Advisories).
    ///
    /// # Errors
    /// [`FileError`] where it cannot be read, or is none of this vzpkg.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let bytes = durable::read_file(path, BYTES)?;
        let read = serde_json::from_slice::<Self>(&bytes).map_err(std::io::Error::from);
        let read = read.map_err(FileError::on("read", path))?;
        if read.format != FORMAT {
            let error = std::io::Error::from(std::io::ErrorKind::InvalidData);
            return Err(FileError::on("read", path)(error));
        }
        Ok(read)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), FileError> {
        let text =
            serde_json::to_vec(self).map_err(|error| FileError::on("write", path)(error.into()))?;
        durable::write_file(path, 0o644, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_advised_version_counts_for_its_architecture_only() {
        let mut advisories = Advisories::new();
        for (arch, version) in [("x86_64", "2-1"), ("x86_64", "10-1"), ("i686", "11-1")] {
            advisories.add(Advised {
                name: "a".to_owned(),
                arch: arch.to_owned(),
                version: version.to_owned(),
            });
        }
        assert_eq!(advisories.newest("a", "x86_64", "1-1"), Some("10-1"));
        assert_eq!(advisories.newest("a", "x86_64", "10-1"), None);
        assert_eq!(advisories.newest("a", "noarch", "1-1"), None);
        assert_eq!(advisories.newest("b", "x86_64", "1-1"), None);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.advisories");
        advisories.write(&path).unwrap();
        assert_eq!(Advisories::read(&path).unwrap(), advisories);
        std::fs::write(&path, "{}").unwrap();
        assert!(Advisories::read(&path).is_err());
    }
}
