//! Brings damaged files of a mirror back: from upstream, by the path they have there, to the hash they had here.
//!
//! Packages and indexes under their hashes stay upstream for long; a signed file that was replaced there since is gone,
//! and the next sync brings its successor. The published tree is made again, for its links lead to the damaged copies.

use super::config::MirrorConfig;
use super::error::MirrorError;
use super::list::{Entry, ListReader};
use super::places::Places;
use super::record::Refs;
use super::tree;
use super::verify::{Damage, Stored};
use super::work::Work;
use crate::download;
use crate::error::FetchError;
use crate::pool;
use crate::source;
use crate::transport::Stop;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use vzpkg_metadata::durable;

/// Fetches what is damaged and publishes the published state again; why some of it stays damaged, in order.
pub(super) fn fetch(work: &Work<'_>, damage: &Damage) -> Result<Vec<String>, MirrorError> {
    let config = MirrorConfig::read(work.home)?;
    let refs = Refs::read(work.home)?;
    let wanted = entries(work, &refs, damage)?;
    for (kind, digest, _) in wanted.keys() {
        let path = work.layout.file(*kind, digest);
        match fs::symlink_metadata(&path) {
            // Whatever it is that lies there: it is not ours to write through.
            Ok(metadata) if metadata.is_dir() => {
                let problem = "a directory";
                return Err(MirrorError::Foreign { path, problem });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            _ => durable::remove_file(&path)?,
        }
    }
    let failed = bring(work, &config, &refs, wanted)?;
    let Some(state) = refs.published() else {
        return Ok(failed);
    };
    let carry = refs.before().filter(|_| tree::carries(work.home));
    match tree::publish(work.layout, work.home, &state, carry) {
        // What it lacks was told already.
        Err(MirrorError::Missing { .. }) if !failed.is_empty() => Ok(failed),
        published => published.map(|()| failed),
    }
}

/// The paths of each damaged file.
fn entries(
    work: &Work<'_>,
    refs: &Refs,
    damage: &Damage,
) -> Result<BTreeMap<Stored, Vec<Entry>>, MirrorError> {
    let mut wanted: BTreeMap<Stored, Vec<Entry>> = BTreeMap::new();
    for state in refs.in_use() {
        for entry in ListReader::open(&work.home.list(&state))? {
            let entry = entry?;
            let stored = (entry.kind, entry.digest, entry.size);
            if damage.contains_key(&stored) {
                let known = wanted.entry(stored).or_default();
                if !known.contains(&entry) {
                    known.push(entry);
                }
            }
        }
    }
    Ok(wanted)
}

fn bring(
    work: &Work<'_>,
    config: &MirrorConfig,
    refs: &Refs,
    wanted: BTreeMap<Stored, Vec<Entry>>,
) -> Result<Vec<String>, MirrorError> {
    durable::create_directories(work.layout.packages(), 0o755)?;
    let places = Places::of_last_sync(work, config, refs)?;
    let context = Arc::clone(work.context);
    let mut failed = Vec::new();
    let mut take = |problem: Option<String>| failed.extend(problem);
    let jobs = wanted.into_values().map(Ok::<_, MirrorError>);
    let threads = work.context.options.connections;
    let done = pool::stream(
        jobs,
        threads,
        work.stop,
        &mut take,
        move |entries, stop| match again(&context, stop, &places, &entries) {
            Err(MirrorError::Fetch(FetchError::Cancelled)) => Err(FetchError::Cancelled.into()),
            other => Ok(other.err().map(|error| source::told(&error))),
        },
    );
    done.unwrap_or(Err(FetchError::Cancelled.into()))?;
    failed.sort_unstable();
    Ok(failed)
}

fn again(
    context: &crate::context::Context,
    stop: &Stop,
    places: &Places,
    entries: &[Entry],
) -> Result<(), MirrorError> {
    let all: Vec<&Entry> = entries.iter().collect();
    let item = places.item(&all)?;
    download::download(context, stop, &item)?;
    for entry in entries {
        places.check_signature(&item.target, entry, context.options.now)?;
    }
    Ok(())
}
