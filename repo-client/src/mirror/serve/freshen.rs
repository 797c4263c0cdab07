//! News for a server that fetches on demand: asked of upstream when a client asks for a signed root, by one thread for all
//! who ask meanwhile. An upstream that is down or silent costs each of them a moment, and is left alone for a while.

use super::file::Asked;
use crate::mirror::Mirrors;
use crate::mirror::config::MirrorConfig;
use crate::mirror::error::MirrorError;
use crate::mirror::record::{Checked, Refs};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use vzpkg_metadata::MirrorName;

/// How long a client waits for news where there is something to serve already. apt gives a server 30 seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits where there is nothing yet.
const FIRST_PATIENCE: Duration = Duration::from_mins(10);

/// How long, in seconds, an upstream that failed is left alone, where nobody wants news sooner.
const REST: i64 = 30;

/// Who asks the upstreams of a server's mirrors, and when that failed.
#[derive(Debug)]
pub(super) struct Freshener {
    /// Seconds after which upstream is asked whether there is a newer state.
    max_age: i64,
    turns: Mutex<BTreeMap<MirrorName, Arc<Turn>>>,
}

/// The asking for one mirror.
#[derive(Debug, Default)]
struct Turn {
    progress: Mutex<Progress>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    runs: bool,
    failed: Option<Instant>,
}

impl Freshener {
    pub(super) const fn new(max_age: i64) -> Self {
        let turns = Mutex::new(BTreeMap::new());
        Self { max_age, turns }
    }

    /// Before a signed root is answered: asks upstream for a newer state of a mirror that brings nothing by itself, unless
    /// that was done a moment ago. What fails, and what takes long, leaves what is published.
    pub(super) fn refresh(&self, mirrors: &Mirrors, asked: &Asked, now: i64) {
        let path = String::from_utf8_lossy(asked.path.as_bytes());
        let file = path.rsplit('/').next().unwrap_or_default();
        if !matches!(file, "InRelease" | "Release" | "repomd.xml") {
            return;
        }
        let Ok(Some(is_published)) = self.is_due(mirrors, &asked.mirror, now) else {
            return;
        };
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(asked.mirror.clone()).or_default())
        };
        let mut progress = turn.progress();
        if !progress.runs {
            let rest = self.max_age.clamp(1, REST).unsigned_abs();
            let rests = |failed: Instant| failed.elapsed() < Duration::from_secs(rest);
            // Who had the turn before may have brought it.
            let is_due = self.is_due(mirrors, &asked.mirror, now);
            if progress.failed.is_some_and(rests) || !matches!(is_due, Ok(Some(_))) {
                return;
            }
            let (mirrors, mirror) = (mirrors.clone(), asked.mirror.clone());
            let ours = Arc::clone(&turn);
            let begun = thread::Builder::new().spawn(move || {
                let _ended = Ended(&ours);
                ours.progress().failed = sync(&mirrors, &mirror, now);
            });
            progress.runs = begun.is_ok();
        }
        let patience = if is_published {
            PATIENCE
        } else {
            FIRST_PATIENCE
        };
        let waited = turn
            .ended
            .wait_timeout_while(progress, patience, |progress| progress.runs);
        drop(waited);
    }

    /// Whether upstream is to be asked for a newer state; if so, whether there is an older one.
    fn is_due(
        &self,
        mirrors: &Mirrors,
        mirror: &MirrorName,
        now: i64,
    ) -> Result<Option<bool>, MirrorError> {
        let home = mirrors.home(mirror)?;
        let on_demand = MirrorConfig::read(&home)?.selection.on_demand;
        let refs = Refs::read(&home)?;
        let checked = Checked::read(&home, refs.newest);
        let age = now.saturating_sub(checked.at);
        let is_fresh = refs.newest.is_some() && (0..=self.max_age).contains(&age);
        Ok((on_demand && !is_fresh).then_some(refs.newest.is_some()))
    }
}

impl Turn {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        let progress = self.progress.lock();
        progress.unwrap_or_else(PoisonError::into_inner)
    }
}

/// However a sync ends, those who wait are told.
struct Ended<'a>(&'a Turn);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.progress().runs = false;
        self.0.ended.notify_all();
    }
}

/// Syncs; when it failed, if it did.
fn sync(mirrors: &Mirrors, mirror: &MirrorName, now: i64) -> Option<Instant> {
    let error = mirrors.sync_one_at(mirror, now).err()?;
    let text = format!("mirror `{mirror}`: {error}; what it has is served");
    let reporter = &mirrors.context.reporter;
    reporter.message(&crate::source::shown(&text));
    Some(Instant::now())
}
