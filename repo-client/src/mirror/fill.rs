//! Brings the packages of a list here: those that are missing, in parallel, as the list is read.

use super::config::{MirrorConfig, Upstream};
use super::error::MirrorError;
use super::list::{Entry, Kind, ListReader};
use super::tree;
use super::work::Work;
use crate::download::{self, Item, Outcome};
use crate::error::FetchError;
use crate::pool;
use crate::source::BaseUrl;
use crate::transport::Stop;
use crate::verify::keyring;
use crate::verify::{self, PackageKeys, Policy};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use vzpkg_metadata::durable;
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::{ByteSize, Digest};

/// What was fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files that came over the network.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Digests of files that a committed state names: they were hashed and synced before it was.
#[derive(Debug, Default)]
pub(super) struct Trusted(Vec<Digest>);

impl Trusted {
    /// Those of one state. 32 bytes each.
    pub(super) fn of(list: &Path) -> Result<Self, MirrorError> {
        let mut digests = Vec::new();
        for entry in ListReader::open(list)? {
            digests.push(entry?.digest);
        }
        digests.sort_unstable();
        digests.dedup();
        Ok(Self(digests))
    }

    fn has(&self, digest: &Digest) -> bool {
        self.0.binary_search(digest).is_ok()
    }
}

/// Addresses and package keys of each part, by its directory.
struct Source {
    bases: Vec<BaseUrl>,
    keys: Option<PackageKeys>,
}

/// Brings every package of `list` here and hashes it, but those that `trusted` knows. `mirrors` are the addresses of yum
/// parts, by directory, as their mirror lists say today.
pub(super) fn packages(
    work: &Work<'_>,
    config: &MirrorConfig,
    list: &Path,
    trusted: Trusted,
    mirrors: &BTreeMap<String, Vec<String>>,
) -> Result<Fetched, MirrorError> {
    durable::create_directories(work.layout.packages(), 0o755)?;
    let (mut count, mut bytes): (usize, u64) = (0, 0);
    for entry in ListReader::open(list)? {
        let entry = entry?;
        let path = work.layout.file(entry.kind, &entry.digest);
        if entry.kind != Kind::Metadata && tree::check_file(&path, entry.size).is_err() {
            (count, bytes) = (count.saturating_add(1), bytes.saturating_add(entry.size));
        }
    }
    let sources = sources(work, config, mirrors)?;
    let (layout, config) = (work.layout.clone(), config.clone());
    let wanted = ListReader::open(list)?.filter_map(move |entry| match entry {
        Ok(entry) if entry.kind == Kind::Metadata => None,
        Ok(entry) => {
            let path = layout.file(entry.kind, &entry.digest);
            let whole = tree::check_file(&path, entry.size).is_ok();
            (!whole || !trusted.has(&entry.digest)).then_some(Ok(entry))
        }
        Err(error) => Some(Err(error)),
    });
    if count > 0 {
        work.context.reporter.started(count, ByteSize(bytes));
    }
    let (context, layout) = (Arc::clone(work.context), work.layout.clone());
    let mut fetched = Fetched::default();
    let mut account = |size: Option<u64>| {
        fetched.files = fetched.files.saturating_add(u64::from(size.is_some()));
        fetched.bytes = fetched.bytes.saturating_add(size.unwrap_or(0));
    };
    let threads = work.context.options.connections;
    // One of its own: a failure here ends this batch and nothing else.
    let stop = Stop::new(&work.context.options.cancel);
    let done = pool::stream(wanted, threads, &stop, &mut account, move |entry, stop| {
        let text = entry.shown();
        let (part, location) = config
            .part_of(&text)
            .ok_or_else(|| MirrorError::Config(format!("`{text}` belongs to no repository")))?;
        let source = sources.get(&part.directory);
        let bases = source.map_or(&[][..], |source| source.bases.as_slice());
        let urls = bases.iter().map(|base| base.append(location));
        let item = Item {
            name: name(&entry),
            urls: urls.collect::<Result<_, _>>()?,
            digest: entry.digest,
            size: entry.size,
            target: layout.file(entry.kind, &entry.digest),
            signed: Vec::new(),
        };
        let outcome = download::download(&context, stop, &item)?;
        if let Some(keys) = source.and_then(|source| source.keys.as_ref()) {
            check_signature(&item.target, &entry, keys, context.options.now)?;
        }
        if outcome == Outcome::Fetched {
            context.reporter.file_finished(&item.name);
        }
        Ok((outcome == Outcome::Fetched).then_some(entry.size))
    });
    if count > 0 {
        work.context.reporter.finished();
    }
    match done {
        None => Err(FetchError::Cancelled.into()),
        Some(done) => done.map(|()| fetched),
    }
}

fn name(entry: &Entry) -> String {
    match &entry.package {
        Some(names) => crate::source::shown(&names.join(" ")),
        None => entry.shown(),
    }
}

fn sources(
    work: &Work<'_>,
    config: &MirrorConfig,
    mirrors: &BTreeMap<String, Vec<String>>,
) -> Result<BTreeMap<String, Source>, MirrorError> {
    let mut sources = BTreeMap::new();
    for part in &config.parts {
        let listed = mirrors.get(&part.directory);
        let urls: Vec<&String> = match (&part.upstream, listed) {
            (Upstream::Yum(_), Some(listed)) => listed.iter().collect(),
            _ => part.upstream.urls().collect(),
        };
        let bases = urls.into_iter().map(|url| BaseUrl::parse(url));
        let bases = bases.collect::<Result<_, _>>()?;
        let keys = if part.trust.unsigned_metadata && !part.trust.trusted {
            let policy = if part.trust.legacy_signatures {
                Policy::Legacy
            } else {
                Policy::Standard
            };
            let pins = part.pins(work.home)?;
            let ring = keyring::find(work.context, work.stop, &pins, policy);
            Some(PackageKeys::new(ring, policy))
        } else {
            None
        };
        sources.insert(part.directory.clone(), Source { bases, keys });
    }
    Ok(sources)
}

/// Where nobody signs the index, the package proves itself.
fn check_signature(
    path: &Path,
    entry: &Entry,
    keys: &PackageKeys,
    now: i64,
) -> Result<(), MirrorError> {
    let wrong = || MirrorError::Config(format!("`{}` has an impossible name", entry.shown()));
    let Some([name, version, arch]) = &entry.package else {
        return Ok(());
    };
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
