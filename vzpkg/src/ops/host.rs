//! What this host knows that a template may use: the servers of its own apt sources (DESIGN §9).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vzpkg_metadata::apt::sources;
use vzpkg_metadata::durable;
use vzpkg_metadata::template::host_tokens;

/// Bytes of one sources file; they are written by hand.
const SOURCES_BYTES: u64 = 1 << 20;

/// The `url.map` tokens that the host's own apt sources answer: on Debian or Ubuntu a template then uses the mirror the
/// administrator chose for the host. Files that cannot be read or understood answer nothing; that is no failure, for
/// the table of `url.map` holds public servers.
pub(crate) fn apt_servers(etc_apt: &Path) -> BTreeMap<String, String> {
    let mut found = Vec::new();
    for (text, deb822) in source_files(etc_apt) {
        let parsed = if deb822 {
            sources::parse_deb822(&text)
        } else {
            sources::parse_list(&text)
        };
        found.extend(parsed.unwrap_or_default());
    }
    // Every distribution has a `main`; vendors who add to one with packages of their own seldom call theirs so.
    let is_own = |source: &&sources::Source| source.components.iter().any(|it| it == "main");
    let enabled = found.iter().filter(|source| source.enabled).filter(is_own);
    host_tokens(enabled.flat_map(|source| {
        let suite = source.suites.first().map_or("", String::as_str);
        source.uris.iter().map(move |uri| (uri.as_str(), suite))
    }))
}

/// The texts of `sources.list` and of `sources.list.d`, with whether they are in the deb822 format.
fn source_files(etc_apt: &Path) -> Vec<(String, bool)> {
    let mut paths = vec![etc_apt.join("sources.list")];
    let parts = std::fs::read_dir(etc_apt.join("sources.list.d"));
    let mut found: Vec<_> = parts
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    // Those of the distribution before those that others have added.
    let of_others = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        !matches!(name, Some("debian.sources" | "ubuntu.sources"))
    };
    found.sort();
    found.sort_by_key(of_others);
    paths.extend(found);
    let text = |path: &Path| String::from_utf8(durable::read_file(path, SOURCES_BYTES).ok()?).ok();
    paths
        .iter()
        .filter_map(|path| {
            let deb822 = match path.extension()?.to_str()? {
                "sources" => true,
                "list" => false,
                _ => return None,
            };
            Some((text(path)?, deb822))
        })
        .collect()
}
