//! What a mirror mirrors, from where, and who may sign it: `mirror.json`, written by `add` and not changed by a sync.

use super::error::MirrorError;
use super::layout::Home;
use super::selection::Selection;
use crate::source::{BaseUrl, FileUrl, has_credentials};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::template::{
    AptSource, Fingerprint, KeyPin, KeyPlace, RepositoryOptions, YumSource,
};
use vzpkg_metadata::{Arch, Digest, Family, RepoId};

/// Another number: a newer vzpkg wrote it.
const FORMAT: u32 = 1;

/// A configuration has about 1 KB.
const CONFIG_BYTES: u64 = 1 << 20;

/// A file of keys beside the configuration.
const KEY_BYTES: u64 = 4 << 20;

/// A mirror: one or more repositories that are published together, as one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfig {
    format: u32,
    pub(super) parts: Vec<Part>,
    /// What of them is brought here.
    #[serde(default, skip_serializing_if = "Selection::is_everything")]
    pub(super) selection: Selection,
}

/// One repository of a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The directory below the published one; empty for the only repository of a mirror.
    pub directory: String,
    /// Where it comes from.
    pub upstream: Upstream,
    /// Who may sign it.
    pub keys: Vec<Pin>,
    /// How it is trusted.
    pub trust: Trust,
}

/// Where a repository comes from, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upstream {
    /// An apt repository.
    Apt(AptUpstream),
    /// A yum repository.
    Yum(YumUpstream),
    /// A folder of packages on this node.
    Folder(FolderUpstream),
}

/// Suites of an apt repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AptUpstream {
    /// Where `dists/` lies, best first: alternatives with the same content.
    pub urls: Vec<String>,
    /// `bookworm`, `bookworm-updates` …; a flat repository's ends in `/`.
    pub suites: Vec<String>,
    /// `main` …; empty for a flat repository.
    pub components: Vec<String>,
    /// As dpkg spells them.
    pub architectures: Vec<Arch>,
    /// Whose `Translation` files are mirrored: `en` …
    pub languages: Vec<String>,
    /// Whether the lists of files (`Contents`) are mirrored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contents: bool,
    /// Whether catalogs are mirrored: of applications with their icons (DEP-11), and of commands (`command-not-found`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub catalogs: bool,
    /// Whether source packages are mirrored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sources: bool,
}

/// A yum repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YumUpstream {
    /// Where `repodata/` lies, best first; empty where there are mirror lists.
    pub urls: Vec<String>,
    /// Lists of mirrors, tried in turn.
    pub mirror_lists: Vec<String>,
}

/// A folder of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderUpstream {
    /// Where it lies.
    pub path: String,
    /// Which packages of it are taken.
    pub family: Family,
}

/// A pinned key, and where a copy of it may lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Which certificate counts.
    pub fingerprint: Fingerprint,
    /// Absolute paths, URLs, or names of files that `add` put beside the configuration.
    pub places: Vec<String>,
}

/// What is asked of a repository beside a signature by a pinned key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// No signature at all.
    pub trusted: bool,
    /// `Valid-Until` may have passed.
    pub ignore_valid_until: bool,
    /// Nothing signs `repomd.xml`; every package must be signed.
    pub unsigned_metadata: bool,
    /// Signature formats of old distributions count.
    pub legacy_signatures: bool,
}

impl MirrorConfig {
    /// A mirror of these repositories.
    ///
    /// # Errors
    /// [`MirrorError::Config`] where they cannot be published together, or say nothing.
    pub fn new(parts: Vec<Part>) -> Result<Self, MirrorError> {
        let config = Self {
            format: FORMAT,
            parts,
            selection: Selection::default(),
        };
        config.check()?;
        Ok(config)
    }

    /// The same mirror, of which only this is brought here.
    #[must_use]
    pub fn with_selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// What of the repositories is brought here.
    pub const fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The repositories.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn check(&self) -> Result<(), MirrorError> {
        let refuse = |problem: &str| Err(MirrorError::Config(problem.to_owned()));
        if self.parts.is_empty() {
            return refuse("no repository is named");
        }
        for (number, part) in self.parts.iter().enumerate() {
            let directory = part.directory.as_str();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let named = !directory.starts_with('.')
                && !directory.is_empty()
                && directory.chars().all(plain);
            if !named && (self.parts.len() > 1 || !directory.is_empty()) {
                return refuse("each of several repositories needs a directory of its own");
            }
            let mut others = self.parts.iter().take(number);
            if others.any(|other| other.directory == directory) {
                return refuse("two repositories have the same directory");
            }
            part.check()?;
        }
        Ok(())
    }

    pub(super) fn write(&self, home: &Home) -> Result<(), FileError> {
        let path = home.config();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| FileError::on("write", &path)(error.into()))?;
        // An address may hold a password.
        let secret = self.parts.iter().any(Part::has_credentials);
        durable::write_file(&path, if secret { 0o600 } else { 0o644 }, &text)
    }

    pub(super) fn read(home: &Home) -> Result<Self, MirrorError> {
        let path = home.config();
        let text = durable::read_file(&path, CONFIG_BYTES)?;
        let config: Self = serde_json::from_slice(&text).map_err(|error| MirrorError::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        if config.format != FORMAT {
            let problem = format!("format {} is not known here", config.format);
            return Err(MirrorError::Damaged { path, problem });
        }
        config.check()?;
        Ok(config)
    }

    /// The part that a path below the published directory belongs to, and the rest of the path.
    pub(super) fn part_of<'a>(&self, path: &'a str) -> Option<(&Part, &'a str)> {
        match path.split_once('/') {
            Some((first, rest)) => {
                let named = self.parts.iter().find(|part| part.directory == first);
                let named = named.map(|part| (part, rest));
                named.or_else(|| Some((self.only()?, path)))
            }
            None => Some((self.only()?, path)),
        }
    }

    /// Whether the addresses of this repository come from lists of mirrors.
    pub(super) fn has_mirror_list(&self, directory: &str) -> bool {
        let mut parts = self.parts.iter();
        let part = parts.find(|part| part.directory == directory);
        part.is_some_and(|part| match &part.upstream {
            Upstream::Yum(yum) => yum.urls.is_empty(),
            Upstream::Apt(_) | Upstream::Folder(_) => false,
        })
    }

    /// Whether this is the repository of a folder of such packages.
    pub(super) fn is_folder(&self, family: Family) -> bool {
        let upstream = self.only().map(|part| &part.upstream);
        matches!(upstream, Some(Upstream::Folder(folder)) if folder.family == family)
    }

    fn only(&self) -> Option<&Part> {
        self.parts.first().filter(|part| part.directory.is_empty())
    }
}

impl Part {
    fn check(&self) -> Result<(), MirrorError> {
        let refuse = |problem: &str| Err(MirrorError::Config(problem.to_owned()));
        for url in self.upstream.urls() {
            BaseUrl::parse(url)?;
        }
        if self.keys.is_empty() && !self.trust.trusted {
            return refuse("no key is named that may sign it");
        }
        match &self.upstream {
            Upstream::Apt(apt) => {
                let flat = apt.suites.iter().any(|suite| suite.ends_with('/'));
                if apt.urls.is_empty() || apt.suites.is_empty() || apt.architectures.is_empty() {
                    return refuse("an apt repository needs a URL, suites and architectures");
                }
                if apt.components.is_empty() && !flat {
                    return refuse("an apt repository with suites needs components");
                }
                if self.trust.unsigned_metadata {
                    return refuse("packages of apt repositories are not signed themselves");
                }
            }
            Upstream::Yum(yum) => {
                for url in &yum.mirror_lists {
                    FileUrl::parse(url)?;
                }
                if yum.urls.is_empty() == yum.mirror_lists.is_empty() {
                    return refuse("a yum repository needs either URLs or mirror lists");
                }
            }
            Upstream::Folder(folder) => {
                if !folder.path.starts_with('/') {
                    return refuse("a folder needs an absolute path");
                }
            }
        }
        Ok(())
    }

    /// Whether an address has a user name or password, of the repository, a list of mirrors or a key.
    fn has_credentials(&self) -> bool {
        let lists = match &self.upstream {
            Upstream::Yum(yum) => yum.mirror_lists.as_slice(),
            Upstream::Apt(_) | Upstream::Folder(_) => &[],
        };
        let keys = self.keys.iter().flat_map(|key| &key.places);
        let mut addresses = self.upstream.urls().chain(lists).chain(keys);
        addresses.any(|address| has_credentials(address))
    }

    /// The pins with the keys that lie beside the configuration.
    pub(super) fn pins(&self, home: &Home) -> Result<Vec<KeyPin>, MirrorError> {
        let mut pins = Vec::new();
        for pin in &self.keys {
            let places = pin.places.iter().map(|place| place_of(place, home));
            pins.push(KeyPin {
                fingerprint: pin.fingerprint.clone(),
                places: places.collect::<Result<_, _>>()?,
                origin: String::new(),
            });
        }
        Ok(pins)
    }

    /// What messages call it; a mirror of several repositories has a directory for each.
    fn id(&self) -> Option<RepoId> {
        if self.directory.is_empty() {
            return "upstream".parse().ok();
        }
        let id = Digest::of(self.directory.as_bytes()).short();
        format!("mirror-{id}").parse().ok()
    }

    const fn options(&self) -> RepositoryOptions {
        RepositoryOptions {
            priority: None,
            excludes: Vec::new(),
            module_hotfixes: false,
            ignore_valid_until: self.trust.ignore_valid_until,
            unsigned_metadata: self.trust.unsigned_metadata,
            legacy_signatures: self.trust.legacy_signatures,
        }
    }

    /// One suite at one address, as a line of a template would say it.
    pub(super) fn apt_source(
        &self,
        apt: &AptUpstream,
        url: &str,
        suite: &str,
    ) -> Option<AptSource> {
        Some(AptSource {
            id: self.id()?,
            uri: url.to_owned(),
            suite: suite.to_owned(),
            components: apt.components.clone(),
            trusted: self.trust.trusted,
            options: self.options(),
        })
    }

    /// The repository, as a line of a template would say it.
    pub(super) fn yum_source(&self, yum: &YumUpstream) -> Option<YumSource> {
        Some(YumSource {
            id: self.id()?,
            base_urls: yum.urls.clone(),
            mirror_lists: yum.mirror_lists.clone(),
            trusted: self.trust.trusted,
            options: self.options(),
        })
    }
}

impl Upstream {
    /// The addresses, best first.
    pub fn urls(&self) -> impl Iterator<Item = &String> {
        match self {
            Self::Apt(apt) => apt.urls.iter(),
            Self::Yum(yum) => yum.urls.iter(),
            Self::Folder(_) => [].iter(),
        }
    }
}

fn place_of(place: &str, home: &Home) -> Result<KeyPlace, FileError> {
    if place.starts_with('/') {
        return Ok(KeyPlace::Path(PathBuf::from(place)));
    }
    if place.contains("://") {
        return Ok(KeyPlace::Url(place.to_owned()));
    }
    // The name was checked when `add` wrote the file.
    let path = home.keys().join(place);
    let content = durable::read_file(&path, KEY_BYTES)?;
    let name = place.to_owned();
    Ok(KeyPlace::Beside { name, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(urls: &[&str], mirror_lists: &[&str], places: &[&str]) -> Part {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Part {
            directory: String::new(),
            upstream: Upstream::Yum(YumUpstream {
                urls: owned(urls),
                mirror_lists: owned(mirror_lists),
            }),
            keys: vec![Pin {
                fingerprint: "A".repeat(40).parse().unwrap(),
                places: owned(places),
            }],
            trust: Trust::default(),
        }
    }

    #[test]
    fn a_password_makes_the_file_a_secret_wherever_it_stands() {
        let secret = "https://user:secret@host/x";
        let plain = ["https://host/a@b", "/etc/pki/key@host", "kept.pgp"];
        assert!(!part(&plain[..1], &plain[..1], &plain).has_credentials());
        assert!(part(&[secret], &[], &[]).has_credentials());
        assert!(part(&[], &[secret], &[]).has_credentials());
        assert!(part(&plain[..1], &[], &[secret]).has_credentials());
        assert!(part(&["https://user@host/"], &[], &[]).has_credentials());
    }
}
