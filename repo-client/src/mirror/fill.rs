//! Brings the packages of a list here: those that are missing, in parallel, as the list is read.

use super::config::MirrorConfig;
use super::error::MirrorError;
use super::list::{Kind, ListReader};
use super::places::Places;
use super::tree;
use super::work::Work;
use crate::download::{self, Outcome};
use crate::error::FetchError;
use crate::pool;
use crate::transport::Stop;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use vzpkg_metadata::durable;
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
            let entry = entry?;
            if entry.brought {
                digests.push(entry.digest);
            }
        }
        digests.sort_unstable();
        digests.dedup();
        Ok(Self(digests))
    }

    fn has(&self, digest: &Digest) -> bool {
        self.0.binary_search(digest).is_ok()
    }
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
        if entry.brought
            && entry.kind != Kind::Metadata
            && tree::check_file(&path, entry.size).is_err()
        {
            (count, bytes) = (count.saturating_add(1), bytes.saturating_add(entry.size));
        }
    }
    let places = Places::new(work, config, mirrors)?;
    let layout = work.layout.clone();
    let wanted = ListReader::open(list)?.filter_map(move |entry| match entry {
        Ok(entry) if entry.kind == Kind::Metadata || !entry.brought => None,
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
    let context = Arc::clone(work.context);
    let mut fetched = Fetched::default();
    let mut account = |size: Option<u64>| {
        fetched.files = fetched.files.saturating_add(u64::from(size.is_some()));
        fetched.bytes = fetched.bytes.saturating_add(size.unwrap_or(0));
    };
    let threads = work.context.options.connections;
    // One of its own: a failure here ends this batch and nothing else.
    let stop = Stop::new(&work.context.options.cancel);
    let done = pool::stream(wanted, threads, &stop, &mut account, move |entry, stop| {
        let item = places.item(&[&entry])?;
        let outcome = download::download(&context, stop, &item)?;
        places.check_signature(&item.target, &entry, context.options.now)?;
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
