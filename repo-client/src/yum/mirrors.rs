//! Mirror lists and metalinks: from the addresses of a `mirrorlist` line to base URLs.

use super::{Work, YumError};
use crate::context::Small;
use crate::error::{FetchError, RepositoryProblem};
use crate::source::{BaseUrl, FileUrl};
use vzpkg_metadata::yum::{metalink, mirrorlist};
use vzpkg_metadata::{Digest, limits};

/// The mirrors of a repository, best first.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    pub(super) bases: Vec<BaseUrl>,
    /// What `repomd.xml` may be, where a metalink says so. Empty: anything, its signature decides.
    pub(super) digests: Vec<Digest>,
}

/// The base URLs of the line, or those that its first usable mirror list names.
pub(super) fn find(
    work: &Work<'_>,
    place: &super::Place,
    known: &[String],
) -> Result<Mirrors, RepositoryProblem> {
    if !place.bases.is_empty() {
        let bases = place.bases.clone();
        let digests = Vec::new();
        return Ok(Mirrors { bases, digests });
    }
    let mut first = None;
    for list in &place.mirror_lists {
        match read(work, place, list) {
            Ok(mirrors) => return Ok(mirrors),
            Err(RepositoryProblem::Fetch(FetchError::Cancelled)) => {
                return Err(FetchError::Cancelled.into());
            }
            Err(problem) => first = first.or(Some(problem)),
        }
    }
    // A server of lists that is down stops nobody who knows mirrors from the last time. Where nothing is signed, what a
    // metalink says is all that keeps a mirror from showing an old state, and whoever blocks it would have his way.
    let bases = parse(known);
    let proved = work.wants_signature() || work.source.trusted;
    match first {
        Some(_) if proved && !bases.is_empty() => Ok(Mirrors {
            bases,
            digests: Vec::new(),
        }),
        Some(problem) => Err(problem),
        None => Err(no_mirrors(place)),
    }
}

fn read(
    work: &Work<'_>,
    place: &super::Place,
    list: &FileUrl,
) -> Result<Mirrors, RepositoryProblem> {
    let name = format!("mirror list {list}");
    let limit = limits::RELEASE_BYTES;
    let small = work
        .context
        .small(work.stop, &name, vec![list.clone()], limit, None)?;
    let Small::Bytes(bytes, _) = small else {
        return Err(no_mirrors(place));
    };
    let (urls, digests) = if bytes.trim_ascii_start().starts_with(b"<") {
        let metalink = metalink::parse(&bytes).map_err(|source| YumError::Metalink {
            url: list.to_string(),
            source,
        })?;
        (metalink.base_urls, metalink.digests)
    } else {
        (
            mirrorlist::parse(&String::from_utf8_lossy(&bytes)),
            Vec::new(),
        )
    };
    let bases = parse(&urls);
    if bases.is_empty() {
        return Err(no_mirrors(place));
    }
    Ok(Mirrors { bases, digests })
}

/// Those that are addresses; a list is foreign and may hold others.
fn parse(urls: &[String]) -> Vec<BaseUrl> {
    let parsed = urls.iter().map(|url| BaseUrl::parse(url));
    parsed.filter_map(Result::ok).collect()
}

fn no_mirrors(place: &super::Place) -> RepositoryProblem {
    let list = place.shown.clone();
    YumError::NoMirrors { list }.into()
}
