//! Where a yum repository's metadata is kept here, and what the memory of newest releases knows it by.
//!
//! The directory's name is made from the template's repository id and a hash of what the line says: two templates that
//! call different repositories `base0` do not share one.

use crate::source::{BaseUrl, FileUrl, UrlError};
use std::path::{Path, PathBuf};
use vzpkg_metadata::template::YumSource;
use vzpkg_metadata::{Arch, Digest};

/// Segments at the end of a path that tell a distribution's repositories apart: `7/os/x86_64`, `9-stream/BaseOS/x86_64/os`.
const TELLING_SEGMENTS: usize = 4;

/// The place of one yum repository.
#[derive(Debug)]
pub(super) struct Place {
    /// `base_urls` of the line; empty for a line of mirror lists.
    pub(super) bases: Vec<BaseUrl>,
    /// `mirror_lists` of the line.
    pub(super) mirror_lists: Vec<FileUrl>,
    /// Where its metadata is kept.
    pub(super) directory: PathBuf,
    /// For messages.
    pub(super) shown: String,
    /// The same for every mirror.
    pub(super) content: String,
}

impl Place {
    pub(super) fn new(index_dir: &Path, source: &YumSource, arch: &Arch) -> Result<Self, UrlError> {
        Self::of(index_dir, source, arch.as_str())
    }

    /// For a question that is the same for every architecture.
    pub(super) fn of_any_arch(index_dir: &Path, source: &YumSource) -> Result<Self, UrlError> {
        Self::of(index_dir, source, "")
    }

    fn of(index_dir: &Path, source: &YumSource, arch: &str) -> Result<Self, UrlError> {
        let bases: Vec<BaseUrl> = source
            .base_urls
            .iter()
            .map(|url| BaseUrl::parse(url))
            .collect::<Result<_, _>>()?;
        let mirror_lists: Vec<FileUrl> = source
            .mirror_lists
            .iter()
            .map(|url| FileUrl::parse(url))
            .collect::<Result<_, _>>()?;
        // Everything that decides what is read and what makes it trusted: what was accepted under a weaker rule does not
        // count under a stricter one. No credentials: the digest is visible.
        let options = &source.options;
        let trust = match (
            source.trusted,
            options.unsigned_metadata,
            options.legacy_signatures,
        ) {
            (true, ..) => "trusted",
            (false, true, _) => "unsigned",
            (false, false, true) => "legacy",
            (false, false, false) => "signed",
        };
        let mut words = vec![format!("yum {trust}"), arch.to_owned()];
        words.extend(bases.iter().map(ToString::to_string));
        words.extend(mirror_lists.iter().map(ToString::to_string));
        let shown = words.get(2).cloned().unwrap_or_default();
        let digest = Digest::of(words.join("\n").as_bytes()).short();
        Ok(Self {
            content: content(&shown),
            bases,
            mirror_lists,
            directory: index_dir.join(format!("{}-{digest}", source.id)),
            shown,
        })
    }

    /// The mapped index of this name.
    pub(super) fn index_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{digest}.index"))
    }
}

/// What an address says about the content rather than about the mirror: the query of a mirror list, else the end of the
/// path. yum metadata has no name of its own, and one key often signs all repositories of a distribution.
fn content(url: &str) -> String {
    if let Some((_, query)) = url.split_once('?') {
        return query.to_owned();
    }
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut segments: Vec<&str> = path
        .split('/')
        .skip(1)
        .filter(|segment| !segment.is_empty())
        .collect();
    let from = segments.len().saturating_sub(TELLING_SEGMENTS);
    segments.drain(..from);
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::content;

    #[test]
    fn mirrors_of_one_content_are_known_by_one_name() {
        for (url, name) in [
            ("http://a/centos/7/os/x86_64/", "centos/7/os/x86_64"),
            (
                "https://b/pub/linux/centos/7/os/x86_64",
                "centos/7/os/x86_64",
            ),
            ("https://m/?release=7&repo=os", "release=7&repo=os"),
            ("http://h/", ""),
        ] {
            assert_eq!(content(url), name);
        }
    }
}
