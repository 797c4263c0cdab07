//! The mirror of exactly what templates need: their repositories, their keys, their packages.

use crate::error::{CommandError, CommandResult, Kind};
use std::collections::BTreeSet;
use std::path::Path;
use vzpkg_metadata::template::{
    AptSource, KeyPin, KeyPlace, RepositoryLine, RepositoryOptions, Template, YumSource,
};
use vzpkg_metadata::{Arch, Digest, Family};
use vzpkg_repo_client::mirror::{
    AptUpstream, MirrorConfig, Part, Pin, Selection, Trust, Upstream, YumUpstream,
};
use vzpkg_repo_client::source::BaseUrl;

/// A configuration, and the certificates that lie beside it.
pub(crate) type Wanted = (MirrorConfig, Vec<(String, Vec<u8>)>);

/// The configuration that these templates make on a node whose mirrors lie in `mirrors`.
///
/// # Errors
/// [`Kind::Usage`] for templates without repositories, or whose repositories cannot be mirrored.
pub(crate) fn config(templates: &[Template], mirrors: &Path) -> CommandResult<Wanted> {
    let (mut parts, mut files) = (Vec::<Part>::new(), Vec::new());
    for template in templates {
        let arch = template.arch.in_family(template.family);
        for line in &template.repositories {
            let keys = pins(&template.keys_for(line.id()), &mut files);
            add(&mut parts, line, &arch, keys);
        }
    }
    if parts.iter().any(|part| is_mirror(part, mirrors)) {
        let text = "these templates use a mirror of this node already";
        return Err(CommandError::message(Kind::Usage, text)
            .hint("undo that first: vzpkg mirror use --undo NAME"));
    }
    name_directories(&mut parts);
    let names = templates.iter().map(|template| template.name.clone());
    let selection = Selection {
        templates: names.collect(),
        ..Selection::default()
    };
    Ok((MirrorConfig::new(parts)?.with_selection(selection), files))
}

fn is_mirror(part: &Part, mirrors: &Path) -> bool {
    let bases = part.upstream.urls().map(|url| BaseUrl::parse(url));
    let mut paths = bases.filter_map(|base| Some(base.ok()?.local()?.to_owned()));
    paths.any(|path| path.starts_with(mirrors))
}

/// A line as a repository; suites of one apt repository are one.
fn add(parts: &mut Vec<Part>, line: &RepositoryLine, arch: &Arch, keys: Vec<Pin>) {
    let trust = trust(line.is_trusted(), line.options());
    let upstream = match line {
        RepositoryLine::Apt(source) => apt(source, arch),
        RepositoryLine::Yum(source) => yum(source),
    };
    let known = parts.iter_mut().find(|part| {
        let same_place = match (&part.upstream, &upstream) {
            (Upstream::Apt(a), Upstream::Apt(b)) => {
                (&a.urls, &a.components, &a.architectures)
                    == (&b.urls, &b.components, &b.architectures)
            }
            (a, b) => a == b,
        };
        same_place && part.trust == trust && part.keys == keys
    });
    match (known.map(|part| &mut part.upstream), &upstream) {
        (Some(Upstream::Apt(known)), Upstream::Apt(new)) => {
            let new = new
                .suites
                .iter()
                .filter(|suite| !known.suites.contains(suite));
            let new: Vec<String> = new.cloned().collect();
            known.suites.extend(new);
        }
        (Some(_), _) => {}
        (None, _) => parts.push(Part {
            directory: String::new(),
            upstream,
            keys,
            trust,
        }),
    }
}

fn apt(source: &AptSource, arch: &Arch) -> Upstream {
    Upstream::Apt(AptUpstream {
        urls: vec![source.uri.clone()],
        suites: vec![source.suite.clone()],
        components: source.components.clone(),
        architectures: vec![arch.in_family(Family::Deb)],
        languages: Vec::new(),
        contents: false,
        catalogs: false,
        sources: false,
    })
}

fn yum(source: &YumSource) -> Upstream {
    Upstream::Yum(YumUpstream {
        urls: source.base_urls.clone(),
        mirror_lists: source.mirror_lists.clone(),
    })
}

const fn trust(trusted: bool, options: &RepositoryOptions) -> Trust {
    Trust {
        trusted,
        ignore_valid_until: options.ignore_valid_until,
        unsigned_metadata: options.unsigned_metadata,
        legacy_signatures: options.legacy_signatures,
    }
}

/// Pins as a mirror keeps them; a key beside a template is copied.
fn pins(keys: &[KeyPin], files: &mut Vec<(String, Vec<u8>)>) -> Vec<Pin> {
    let mut place = |place: &KeyPlace| match place {
        KeyPlace::Path(path) => path.display().to_string(),
        KeyPlace::Url(url) => url.clone(),
        KeyPlace::Beside { content, .. } => {
            let name = format!("{}.pgp", Digest::of(content).short());
            if !files.iter().any(|(known, _)| *known == name) {
                files.push((name.clone(), content.clone()));
            }
            name
        }
    };
    let pin = |key: &KeyPin| Pin {
        fingerprint: key.fingerprint.clone(),
        places: key.places.iter().map(&mut place).collect(),
    };
    keys.iter().map(pin).collect()
}

/// Each of several repositories gets a directory that says what it is: the end of its address.
fn name_directories(parts: &mut [Part]) {
    if parts.len() < 2 {
        return;
    }
    let mut taken = BTreeSet::new();
    for part in parts {
        let lists = match &part.upstream {
            Upstream::Yum(yum) => yum.mirror_lists.as_slice(),
            Upstream::Apt(_) | Upstream::Folder(_) => &[],
        };
        let url = part.upstream.urls().chain(lists).next().cloned();
        let segments = match &part.upstream {
            Upstream::Apt(_) | Upstream::Folder(_) => 1,
            Upstream::Yum(_) => 3,
        };
        let name = directory_name(&url.unwrap_or_default(), segments);
        let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        part.directory = names
            .find(|name| taken.insert(name.clone()))
            .unwrap_or_default();
    }
}

fn directory_name(url: &str, segments: usize) -> String {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let parts: Vec<&str> = path.split(['/', '?', '&', '=']).skip(1).collect();
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let from = parts.len().saturating_sub(segments);
    let name = parts.get(from..).unwrap_or_default().join("-");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    match name.trim_start_matches('.') {
        "" => "repository".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_after_the_end_of_the_address() {
        for (url, segments, name) in [
            ("http://h/debian", 1, "debian"),
            ("http://h/debian/", 1, "debian"),
            ("http://h/7.9.2009/os/x86_64", 3, "7.9.2009-os-x86_64"),
            ("http://h/", 1, "repository"),
            ("https://h/m?repo=os&arch=x", 3, "os-arch-x"),
            ("http://h/..", 1, "repository"),
        ] {
            assert_eq!(directory_name(url, segments), name, "{url}");
        }
    }
}
