//! Repositories of both families as a template names them: where each is, and what its line says beside that.

mod line;
mod variables;

use super::address::shown_address;
use super::url_map::UrlMap;
use crate::{Arch, Family, RepoId};
use std::fmt;

pub(super) use line::{parse, written_urls, yes_no};

/// What a line says beside where the repository is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryOptions {
    /// `priority=N`: a lower number wins, as in dnf; 99 where absent.
    pub priority: Option<i32>,
    /// `excludepkgs=A,B`: patterns of packages that are not taken from here.
    pub excludes: Vec<String>,
    /// `module_hotfixes=yes` (rpm): module streams hide no package of this repository.
    pub module_hotfixes: bool,
    /// `check-valid-until=no`: an archive whose `Valid-Until` has passed for ever.
    pub ignore_valid_until: bool,
    /// `metadata=unsigned` (rpm): nothing signs `repomd.xml`; every package must carry a pinned key's signature.
    pub unsigned_metadata: bool,
    /// `signatures=legacy`: the signature formats and hashes of old distributions are accepted here.
    pub legacy_signatures: bool,
}

/// One apt repository: one suite below one URL. Debugging shows its address without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct AptSource {
    /// `base0`, `nginx1` …
    pub id: RepoId,
    /// Where `dists/` lies; `http`, `https` or `file`.
    pub uri: String,
    /// `bookworm`, `bookworm-security`, or a path that ends in `/` for a flat repository.
    pub suite: String,
    /// `main`, `contrib` …; empty for a flat repository.
    pub components: Vec<String>,
    /// `trusted=yes`: used without any signature.
    pub trusted: bool,
    /// The rest of the options.
    pub options: RepositoryOptions,
}

/// One yum repository: alternatives of one content. Debugging shows its addresses without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct YumSource {
    /// `base0`, `httpd1` …
    pub id: RepoId,
    /// Where `repodata/` lies, best first; empty for a line of `mirrorlist`.
    pub base_urls: Vec<String>,
    /// Lists of mirrors, tried in turn; empty for a line of `repositories`.
    pub mirror_lists: Vec<String>,
    /// `trusted=yes`: used without any signature.
    pub trusted: bool,
    /// The rest of the options.
    pub options: RepositoryOptions,
}

impl fmt::Debug for AptSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AptSource")
            .field("id", &self.id)
            .field("uri", &shown_address(&self.uri))
            .field("suite", &self.suite)
            .field("components", &self.components)
            .field("trusted", &self.trusted)
            .field("options", &self.options)
            .finish()
    }
}

impl fmt::Debug for YumSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |urls: &[String]| {
            urls.iter()
                .map(|url| shown_address(url))
                .collect::<Vec<_>>()
        };
        f.debug_struct("YumSource")
            .field("id", &self.id)
            .field("base_urls", &shown(&self.base_urls))
            .field("mirror_lists", &shown(&self.mirror_lists))
            .field("trusted", &self.trusted)
            .field("options", &self.options)
            .finish()
    }
}

/// One repository of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryLine {
    /// Of a deb template.
    Apt(AptSource),
    /// Of an rpm template.
    Yum(YumSource),
}

impl RepositoryLine {
    /// The id of the repository.
    pub const fn id(&self) -> &RepoId {
        match self {
            Self::Apt(source) => &source.id,
            Self::Yum(source) => &source.id,
        }
    }

    /// Whether the line says `trusted=yes`.
    pub const fn is_trusted(&self) -> bool {
        match self {
            Self::Apt(source) => source.trusted,
            Self::Yum(source) => source.trusted,
        }
    }

    /// The options of the line.
    pub const fn options(&self) -> &RepositoryOptions {
        match self {
            Self::Apt(source) => &source.options,
            Self::Yum(source) => &source.options,
        }
    }

    /// Whether both lines read the same content, whatever their ids: the second is then dropped (VZPKG-REFERENCE §2.4).
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Apt(a), Self::Apt(b)) => {
                (&a.uri, &a.suite, &a.components) == (&b.uri, &b.suite, &b.components)
            }
            (Self::Yum(a), Self::Yum(b)) => {
                (&a.base_urls, &a.mirror_lists) == (&b.base_urls, &b.mirror_lists)
            }
            _ => false,
        }
    }
}
/// Which file a line stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RepositoryFile {
    Repositories,
    MirrorList,
}

impl RepositoryFile {
    pub(super) const fn file_name(self) -> &'static str {
        match self {
            Self::Repositories => "repositories",
            Self::MirrorList => "mirrorlist",
        }
    }
}

/// What the words of a line may refer to.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) family: Family,
    pub(super) version: &'a str,
    pub(super) arch: &'a Arch,
    pub(super) environment: &'a [(String, String)],
    pub(super) url_map: &'a UrlMap,
}
/// An address as a template writes it, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenUrl {
    /// As written, without a final `/`: `$DEB_SERVER/debian`.
    pub written: String,
    /// What it is with a `url.map` and the variables of the template.
    pub url: String,
    /// The suite of an apt repository.
    pub suite: Option<String>,
    /// The components of an apt repository.
    pub components: Vec<String>,
}
