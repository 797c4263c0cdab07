//! Which repository of which mirror a repository line of a template is about: by the address it has upstream, or by the
//! place where the mirror publishes it.

use std::path::Path;
use vzpkg_metadata::Arch;
use vzpkg_metadata::template::RepositoryLine;
use vzpkg_repo_client::mirror::{MirrorConfig, Part, Upstream};
use vzpkg_repo_client::source::BaseUrl;

/// A mirror as lines may be about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mirror<'a> {
    pub(crate) config: &'a MirrorConfig,
    /// Where it publishes.
    pub(crate) published: &'a Path,
}

impl<'a> Mirror<'a> {
    /// The repository that has all that a line of a template for this architecture asks for.
    pub(crate) fn part_of(&self, line: &RepositoryLine, arch: &Arch) -> Option<&'a Part> {
        let mut parts = self.config.parts().iter();
        parts.find(|part| match (line, &part.upstream) {
            (RepositoryLine::Apt(source), Upstream::Apt(upstream)) => {
                let arch = arch.in_family(vzpkg_metadata::Family::Deb);
                let has = |component| upstream.components.contains(component);
                self.is_place(part, &source.uri)
                    && upstream.suites.contains(&source.suite)
                    && upstream.architectures.contains(&arch)
                    && source.components.iter().all(has)
            }
            (RepositoryLine::Yum(source), Upstream::Yum(upstream)) => {
                let listed = |list| upstream.mirror_lists.contains(list);
                source.base_urls.iter().any(|url| self.is_place(part, url))
                    || source.mirror_lists.iter().any(listed)
            }
            (RepositoryLine::Apt(source), Upstream::Folder(_)) => self.is_place(part, &source.uri),
            (RepositoryLine::Yum(source), Upstream::Folder(_)) => {
                source.base_urls.iter().any(|url| self.is_place(part, url))
            }
            _ => false,
        })
    }

    fn is_place(&self, part: &Part, url: &str) -> bool {
        part.upstream.urls().any(|of| is_same(of, url))
            || is_same(&below(self.published, part), url)
    }
}

/// The address of a repository of a mirror whose state lies in `directory`.
pub(crate) fn below(directory: &Path, part: &Part) -> String {
    let path = directory.join(&part.directory);
    format!(
        "file://{}",
        path.display().to_string().trim_end_matches('/')
    )
}

/// The line with another address; it says the same of everything else.
pub(crate) fn moved(line: &RepositoryLine, url: String) -> RepositoryLine {
    match line.clone() {
        RepositoryLine::Apt(mut source) => {
            source.uri = url;
            RepositoryLine::Apt(source)
        }
        RepositoryLine::Yum(mut source) => {
            source.mirror_lists.clear();
            source.base_urls = vec![url];
            RepositoryLine::Yum(source)
        }
    }
}

/// Whether two addresses are one, credentials aside.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    let shown = |url: &str| BaseUrl::parse(url).map(|base| base.to_string());
    matches!((shown(a), shown(b)), (Ok(a), Ok(b)) if a == b)
}
