//! Files that the signed index of a state names and that are not here: fetched when somebody asks for them.
//!
//! Nothing is passed on that an index does not name with its hash, and nothing before that hash was found right. What was
//! fetched lies in `packages/` like any other package; `vzpkg clean` removes it.

use super::file::{self, Asked, Found};
use crate::download;
use crate::error::FetchError;
use crate::mirror::Mirrors;
use crate::mirror::config::MirrorConfig;
use crate::mirror::error::MirrorError;
use crate::mirror::layout::Home;
use crate::mirror::list::{self, Entry, ListReader};
use crate::mirror::places::Places;
use crate::mirror::record::{Checked, Refs};
use crate::transport::Stop;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use vzpkg_metadata::durable;
use vzpkg_metadata::guard::Share;
use vzpkg_metadata::{Digest, MirrorName};

/// Downloads at the same time; further ones wait.
const DOWNLOADS: usize = 16;

/// Beginnings of the digests of paths, in order, with the places of their lines.
type Lookup = Vec<(u64, u64)>;

/// What a server that fetches on demand remembers.
#[derive(Debug)]
pub(super) struct Demand {
    /// Seconds after which upstream is asked whether there is a newer state.
    max_age: i64,
    /// The states that were looked into last, by mirror.
    lookups: Mutex<BTreeMap<MirrorName, BTreeMap<Digest, Arc<Lookup>>>>,
    running: Mutex<usize>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// No index names it.
    Unknown,
    /// Too many at once.
    Busy,
    /// Upstream does not have it, or something else.
    Upstream,
}

impl Demand {
    pub(super) const fn new(max_age: i64) -> Self {
        Self {
            max_age,
            lookups: Mutex::new(BTreeMap::new()),
            running: Mutex::new(0),
        }
    }

    /// Before a signed root is answered: asks upstream for a newer state of a mirror that brings nothing by itself, unless
    /// that was done a moment ago. What fails leaves what is published.
    pub(super) fn refresh(&self, mirrors: &Mirrors, asked: &Asked, now: i64) {
        let path = String::from_utf8_lossy(asked.path.as_bytes());
        let file = path.rsplit('/').next().unwrap_or_default();
        if !matches!(file, "InRelease" | "Release" | "repomd.xml") {
            return;
        }
        let due = || -> Result<bool, MirrorError> {
            let home = mirrors.home(&asked.mirror)?;
            let on_demand = MirrorConfig::read(&home)?.selection.on_demand;
            let refs = Refs::read(&home)?;
            let checked = Checked::read(&home, refs.newest);
            let age = now.saturating_sub(checked.at);
            let is_fresh = refs.newest.is_some() && (0..=self.max_age).contains(&age);
            Ok(on_demand && !is_fresh)
        };
        if due().unwrap_or(false)
            && let Err(error) = mirrors.sync_one_at(&asked.mirror, now)
        {
            let text = format!("mirror `{}`: {error}; what it has is served", asked.mirror);
            mirrors
                .context
                .reporter
                .message(&crate::source::shown(&text));
        }
    }

    /// Fetches what the published state, or the one before, names at this path.
    pub(super) fn fetch(&self, mirrors: &Mirrors, asked: &Asked) -> Result<Found, Unanswered> {
        let _running = Running::begin(&self.running).ok_or(Unanswered::Busy)?;
        match self.try_fetch(mirrors, asked) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Unanswered::Unknown),
            Err(error) => {
                let text = format!(
                    "`{}`: {error}",
                    String::from_utf8_lossy(asked.path.as_bytes())
                );
                tracing::debug!("{}", crate::source::shown(&text));
                Err(Unanswered::Upstream)
            }
        }
    }

    fn try_fetch(&self, mirrors: &Mirrors, asked: &Asked) -> Result<Option<Found>, MirrorError> {
        let home = match mirrors.home(&asked.mirror) {
            Ok(home) => home,
            Err(MirrorError::Unknown(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let _shared = mirrors.guard(Share::Shared)?;
        let refs = Refs::read(&home)?;
        let Some(entry) = self.named(&home, &refs, asked)? else {
            return Ok(None);
        };
        let stop = Stop::new(&mirrors.context.options.cancel);
        let work = mirrors.work(&home, &stop);
        let path = mirrors.layout.file(entry.kind, &entry.digest);
        durable::create_directories(mirrors.layout.packages(), 0o755)?;
        let places = Places::of_last_sync(&work, &MirrorConfig::read(&home)?, &refs)?;
        let item = places.item(&[&entry])?;
        download::download(&mirrors.context, &stop, &item)?;
        places.check_signature(&path, &entry, mirrors.context.options.now)?;
        let opened = File::open(&path).map_err(durable::FileError::on("open", &path))?;
        let cancelled = || MirrorError::from(FetchError::Cancelled);
        file::found(opened).map(Some).ok_or_else(cancelled)
    }

    /// What the published state, or the one before it, names at a path.
    fn named(&self, home: &Home, refs: &Refs, asked: &Asked) -> Result<Option<Entry>, MirrorError> {
        let key = list::beginning(&Digest::of(asked.path.as_bytes()));
        for state in refs.published().into_iter().chain(refs.before()) {
            if !home.list(&state).is_file() {
                continue;
            }
            let lookup = self.lookup(home, &asked.mirror, state)?;
            let from = lookup.partition_point(|(of, _)| *of < key);
            let found = lookup.iter().skip(from).take_while(|(of, _)| *of == key);
            for (_, at) in found {
                let entry = list::entry_at(&home.list(&state), *at)?;
                if let Some(entry) = entry.filter(|entry| entry.path == asked.path) {
                    return Ok(Some(entry));
                }
            }
        }
        Ok(None)
    }

    /// Made once for a state: 16 bytes for each file.
    fn lookup(
        &self,
        home: &Home,
        mirror: &MirrorName,
        state: Digest,
    ) -> Result<Arc<Lookup>, MirrorError> {
        let lookups = || self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lookups()
            .get(mirror)
            .and_then(|states| states.get(&state).cloned());
        if let Some(known) = known {
            return Ok(known);
        }
        let mut lookup = Lookup::new();
        ListReader::places(&home.list(&state), &mut |at, entry| {
            lookup.push((list::beginning(&Digest::of(entry.path.as_bytes())), at));
        })?;
        lookup.sort_unstable();
        let lookup = Arc::new(lookup);
        let mut lookups = lookups();
        let states = lookups.entry(mirror.clone()).or_default();
        // The published state and the one before; others are of the past.
        while states.len() > 1 {
            states.pop_first();
        }
        states.insert(state, Arc::clone(&lookup));
        Ok(lookup)
    }
}

/// One download among those that may run.
struct Running<'a>(&'a Mutex<usize>);

impl<'a> Running<'a> {
    fn begin(count: &'a Mutex<usize>) -> Option<Self> {
        let mut running = count.lock().unwrap_or_else(PoisonError::into_inner);
        (*running < DOWNLOADS).then(|| {
            *running = running.saturating_add(1);
            Self(count)
        })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *running = running.saturating_sub(1);
    }
}
