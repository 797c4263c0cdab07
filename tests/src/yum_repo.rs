//! A yum repository made from real `.rpm` files by the real `createrepo_c`, signed by a test key.

use crate::keys::TestKey;
use crate::tools::{EPOCH, command, run};
use std::fs;
use std::path::{Path, PathBuf};

/// A repository directory: `Packages/` and `repodata/`.
#[derive(Debug)]
pub struct YumRepo {
    /// The directory to serve: its URL is the `baseurl`.
    pub root: PathBuf,
    /// `<revision>` of `repomd.xml`; [`EPOCH`] unless changed.
    pub revision: i64,
    /// `xz`, `zstd` or `gz`.
    pub compression: &'static str,
}

impl YumRepo {
    /// An empty repository at `root` (made if missing).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        fs::create_dir_all(root.join("Packages")).unwrap();
        Self {
            root,
            revision: EPOCH,
            compression: "gz",
        }
    }

    /// The directory to serve: its URL is the `baseurl`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Copies `rpm` into the repository. Returns its location below the root.
    pub fn add(&mut self, rpm: &Path) -> String {
        let name = rpm.file_name().unwrap().to_str().unwrap();
        let location = format!("Packages/{name}");
        fs::copy(rpm, self.root.join(&location)).unwrap();
        location
    }

    /// Makes the metadata and signs it: `repomd.xml` and `repomd.xml.asc`.
    pub fn publish(&self, key: &TestKey) {
        self.publish_unsigned();
        self.sign(key);
    }

    /// Makes the metadata without a signature.
    pub fn publish_unsigned(&self) {
        let old = self.root.join("repodata");
        if old.exists() {
            fs::remove_dir_all(old).unwrap();
        }
        run(command("createrepo_c")
            .args(["--quiet", "--no-database", "--set-timestamp-to-revision"])
            .args(["--revision", &self.revision.to_string()])
            .args(["--general-compress-type", self.compression])
            .arg(&self.root));
    }

    /// Signs `repomd.xml` as it is now.
    pub fn sign(&self, key: &TestKey) {
        let repomd = fs::read(self.repomd()).unwrap();
        let signature = key.sign_detached(&repomd);
        fs::write(self.root.join("repodata/repomd.xml.asc"), signature).unwrap();
    }

    /// The path of `repomd.xml`.
    pub fn repomd(&self) -> PathBuf {
        self.root.join("repodata/repomd.xml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpm_writer::Rpm;

    #[test]
    fn a_repository_has_signed_metadata_of_its_packages() {
        let directory = tempfile::tempdir().unwrap();
        let rpm = Rpm::new("hello", "1.0", "1").build(directory.path());
        let mut repo = YumRepo::new(directory.path().join("repo"));
        assert_eq!(repo.add(&rpm), "Packages/hello-1.0-1.noarch.rpm");
        repo.publish(&TestKey::new("packager"));
        let repomd = fs::read_to_string(repo.repomd()).unwrap();
        assert!(repomd.contains("type=\"primary\""), "{repomd}");
        let signature = fs::read_to_string(repo.root().join("repodata/repomd.xml.asc")).unwrap();
        assert!(signature.starts_with("-----BEGIN PGP SIGNATURE-----"));
    }
}
