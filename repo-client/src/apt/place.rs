//! Where a repository is on the network and where its metadata is kept here.
//!
//! The directory's name is made from the template's repository id and a hash of what the line says: two templates that
//! call different repositories `base0` do not share one.

use crate::source::{BaseUrl, FileUrl, UrlError};
use std::path::{Path, PathBuf};
use vzpkg_metadata::template::AptSource;
use vzpkg_metadata::{Arch, Digest, Family};

/// The place of one apt repository.
#[derive(Debug)]
pub(super) struct Place {
    /// `uri` of the line: locations of packages are appended to it.
    pub(super) base: BaseUrl,
    /// Where its metadata is kept.
    pub(super) directory: PathBuf,
    /// In the spelling of dpkg.
    pub(super) arch: Arch,
    suite: String,
}

impl Place {
    pub(super) fn new(index_dir: &Path, source: &AptSource, arch: &Arch) -> Result<Self, UrlError> {
        let base = BaseUrl::parse(&source.uri)?;
        let arch = arch.in_family(Family::Deb);
        // Everything that decides which indexes are read and what makes them trusted: what was accepted under a weaker
        // rule does not count under a stricter one. No credentials: the digest is visible.
        let trust = match (source.trusted, source.options.legacy_signatures) {
            (true, _) => "trusted",
            (false, true) => "legacy",
            (false, false) => "signed",
        };
        let words = [
            "apt",
            &base.to_string(),
            &source.suite,
            &source.components.join(" "),
            arch.as_str(),
            trust,
        ];
        let digest = Digest::of(words.join("\n").as_bytes()).short();
        Ok(Self {
            base,
            directory: index_dir.join(format!("{}-{digest}", source.id)),
            arch,
            suite: source.suite.clone(),
        })
    }

    /// Whether it has no `dists/` and no components: the suite ends in `/`.
    pub(super) fn is_flat(&self) -> bool {
        self.suite.ends_with('/')
    }

    /// The address of a file that the release names, or of the release itself.
    pub(super) fn below_suite(&self, name: &str) -> Result<FileUrl, UrlError> {
        let location = if self.is_flat() {
            let suite = self.suite.trim_start_matches("./").trim_matches('/');
            if suite.is_empty() {
                name.to_owned()
            } else {
                format!("{suite}/{name}")
            }
        } else {
            format!("dists/{}/{name}", self.suite)
        };
        self.base.append(&location)
    }

    /// The mapped index made from indexes with this digest.
    pub(super) fn index_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{digest}.index"))
    }
}

/// A repository for messages: `http://host/debian trixie`.
pub(super) fn shown(source: &AptSource) -> String {
    let base = BaseUrl::parse(&source.uri);
    let base = base.map_or_else(
        |_| crate::source::shown_address(&source.uri),
        |base| base.to_string(),
    );
    format!("{} {}", base.trim_end_matches('/'), source.suite)
}
