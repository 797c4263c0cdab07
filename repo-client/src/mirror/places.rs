//! Where the files of a mirror may be had upstream, and what a package must carry beside its hash.

use super::config::{MirrorConfig, Part, Upstream};
use super::error::MirrorError;
use super::layout::Layout;
use super::list::{Entry, Kind};
use super::record::{Checked, Refs};
use super::work::Work;
use crate::download::Item;
use crate::error::FetchError;
use crate::source::{self, BaseUrl};
use crate::verify::{self, PackageKeys, Policy, keyring};
use std::collections::BTreeMap;
use std::path::Path;
use vzpkg_metadata::ByteSize;
use vzpkg_metadata::transaction::PackageRef;

/// The addresses of every repository of a mirror.
#[derive(Debug)]
pub(super) struct Places {
    config: MirrorConfig,
    layout: Layout,
    /// By the directory of the repository.
    of: BTreeMap<String, Place>,
}

#[derive(Debug)]
struct Place {
    bases: Vec<BaseUrl>,
    /// Where nobody signs the index.
    keys: Option<PackageKeys>,
}

impl Places {
    /// `mirrors` are the addresses of yum repositories, by directory, as their mirror lists say.
    pub(super) fn new(
        work: &Work<'_>,
        config: &MirrorConfig,
        mirrors: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, MirrorError> {
        let mut of = BTreeMap::new();
        for part in &config.parts {
            let listed = mirrors.get(&part.directory);
            let urls: Vec<&String> = match (&part.upstream, listed) {
                (Upstream::Yum(_), Some(listed)) => listed.iter().collect(),
                _ => part.upstream.urls().collect(),
            };
            let bases = urls.into_iter().map(|url| BaseUrl::parse(url));
            let bases = bases.collect::<Result<_, _>>()?;
            let keys = package_keys(work, part)?;
            of.insert(part.directory.clone(), Place { bases, keys });
        }
        Ok(Self {
            config: config.clone(),
            layout: work.layout.clone(),
            of,
        })
    }

    /// The addresses that the last sync had, without asking anybody.
    pub(super) fn of_last_sync(
        work: &Work<'_>,
        config: &MirrorConfig,
        refs: &Refs,
    ) -> Result<Self, MirrorError> {
        let servers = Checked::read(work.home, refs.newest).servers.into_iter();
        let mirrors = servers.map(|server| (server.part, vec![server.base]));
        let listed = |part: &String| config.has_mirror_list(part);
        let mirrors = mirrors.filter(|(part, _)| listed(part)).collect();
        Self::new(work, config, &mirrors)
    }

    /// One file, which may lie at several paths, as something to be downloaded.
    pub(super) fn item(&self, entries: &[&Entry]) -> Result<Item, MirrorError> {
        let first = entries.first().ok_or_else(|| FetchError::NoUrl {
            name: String::new(),
        })?;
        let mut urls = Vec::new();
        for entry in entries {
            let text = entry.shown();
            let (place, location) = self.find(&text)?;
            for base in &place.bases {
                urls.push(base.append(location)?);
            }
        }
        Ok(Item {
            name: name(first),
            urls,
            digest: first.digest,
            size: first.size,
            target: self.layout.file(first.kind, &first.digest),
            shared: true,
            signed: Vec::new(),
        })
    }

    /// Where nobody signs the index, the package proves itself.
    pub(super) fn check_signature(
        &self,
        path: &Path,
        entry: &Entry,
        now: i64,
    ) -> Result<(), MirrorError> {
        let text = entry.shown();
        let (Some(keys), Some(names)) = (&self.find(&text)?.0.keys, &entry.package) else {
            return Ok(());
        };
        let [name, version, arch] = names;
        let wrong = || MirrorError::Config(format!("`{text}` has an impossible name"));
        let package = PackageRef {
            name: name.parse().ok().ok_or_else(wrong)?,
            arch: arch.parse().ok().ok_or_else(wrong)?,
            version: version.clone(),
            sha256: entry.digest,
            size: ByteSize(entry.size),
            installed_size: ByteSize(0),
            repository: None,
            location: String::new(),
        };
        let checked = verify::rpm_package(path, &package, keys, now);
        checked.map(drop).map_err(|source| {
            let name = package.to_string();
            MirrorError::Fetch(FetchError::Signature { name, source })
        })
    }

    /// The repository of a path below the published directory, and the path in it.
    fn find<'a>(&self, text: &'a str) -> Result<(&Place, &'a str), MirrorError> {
        let belongs = self.config.part_of(text);
        let found =
            belongs.and_then(|(part, location)| Some((self.of.get(&part.directory)?, location)));
        found.ok_or_else(|| MirrorError::Config(format!("`{text}` belongs to no repository")))
    }
}

/// For people.
fn name(entry: &Entry) -> String {
    match (&entry.package, entry.kind) {
        (Some(names), Kind::Deb | Kind::Rpm) => source::shown(&names.join(" ")),
        _ => entry.shown(),
    }
}

fn package_keys(work: &Work<'_>, part: &Part) -> Result<Option<PackageKeys>, MirrorError> {
    if !part.trust.unsigned_metadata || part.trust.trusted {
        return Ok(None);
    }
    let policy = if part.trust.legacy_signatures {
        Policy::Legacy
    } else {
        Policy::Standard
    };
    let pins = part.pins(work.home)?;
    let ring = keyring::find(work.context, work.stop, &pins, policy);
    Ok(Some(PackageKeys::new(ring, policy)))
}
