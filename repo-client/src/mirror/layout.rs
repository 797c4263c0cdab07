//! Where everything about mirrors lies. Names here come from the user or from hashes, never from the network.

use super::error::MirrorError;
use super::list::Kind;
use std::path::{Path, PathBuf};
use vzpkg_metadata::{Digest, MirrorName};

/// All mirrors of a node, and the files they share.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// `mirror/` below the root.
    pub(super) mirrors: PathBuf,
    /// `packages/` below the root: package files of mirrors and of the node are the same files.
    packages: PathBuf,
}

/// The directory of one mirror.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) directory: PathBuf,
}

impl Layout {
    pub(super) const fn new(mirrors: PathBuf, packages: PathBuf) -> Self {
        Self { mirrors, packages }
    }

    pub(super) fn packages(&self) -> &Path {
        &self.packages
    }

    /// Metadata files of all mirrors under their hashes.
    pub(super) fn files(&self) -> PathBuf {
        self.mirrors.join(".files")
    }

    /// Where the one copy of a file is.
    pub(super) fn file(&self, kind: Kind, digest: &Digest) -> PathBuf {
        match kind {
            Kind::Metadata => self.files().join(digest.to_string()),
            Kind::Deb => self.packages.join(format!("{digest}.deb")),
            Kind::Rpm => self.packages.join(format!("{digest}.rpm")),
            Kind::Source => self.packages.join(format!("{digest}.src")),
        }
    }

    /// Held shared by whoever adds files or states, exclusively by whoever removes them.
    pub(super) fn guard(&self) -> PathBuf {
        self.mirrors.join(".guard")
    }

    /// The key that signs repositories made here.
    pub(super) fn own_key(&self) -> PathBuf {
        self.mirrors.join(".own-key.pgp")
    }

    pub(super) fn home(&self, name: &MirrorName) -> Home {
        Home {
            directory: self.mirrors.join(name.as_str()),
        }
    }
}

impl Home {
    /// The mirror's name, which is that of its directory.
    pub(super) fn name(&self) -> Result<MirrorName, MirrorError> {
        let name = self.directory.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.parse().ok());
        name.ok_or_else(|| MirrorError::Config("this directory is no mirror's".to_owned()))
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory.join("mirror.json")
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.directory.join("keys")
    }

    pub(super) fn refs(&self) -> PathBuf {
        self.directory.join("refs.json")
    }

    pub(super) fn checked(&self) -> PathBuf {
        self.directory.join("checked.json")
    }

    pub(super) fn states(&self) -> PathBuf {
        self.directory.join("states")
    }

    /// The files of one state.
    pub(super) fn list(&self, state: &Digest) -> PathBuf {
        self.states().join(format!("{state}.files"))
    }

    /// What else is known about it.
    pub(super) fn header(&self, state: &Digest) -> PathBuf {
        self.states().join(format!("{state}.json"))
    }

    /// The metadata of one state, to be read as a repository.
    pub(super) fn view(&self, state: &Digest) -> PathBuf {
        self.directory.join("views").join(state.to_string())
    }

    pub(super) fn trees(&self) -> PathBuf {
        self.directory.join("trees")
    }

    /// The symbolic link that a web server or `file://` client goes through.
    pub(super) fn published(&self) -> PathBuf {
        self.directory.join("published")
    }
}
