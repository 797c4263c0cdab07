//! Files that the signed index of a state names and that are not here: fetched when somebody asks for them, once for all
//! who ask meanwhile, and passed on while they come ([`Transfer`]).
//!
//! Nothing is passed on that an index does not name with its hash, and nothing whole before that hash was found right. What
//! was fetched lies in `packages/` like any other package; `vzpkg clean` removes it.

use super::file::{self, Asked, Content, Found};
use super::freshen::Freshener;
use super::transfer::{End, Transfer};
use crate::download;
use crate::mirror::Mirrors;
use crate::mirror::config::MirrorConfig;
use crate::mirror::error::MirrorError;
use crate::mirror::layout::Home;
use crate::mirror::list::{self, Entry, ListReader};
use crate::mirror::places::Places;
use crate::mirror::record::Refs;
use crate::transport::Stop;
use std::collections::{BTreeMap, btree_map};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::Share;
use vzpkg_metadata::{Digest, MirrorName};

/// Files that are fetched at the same time; who asks for a further one is told to come back.
const DOWNLOADS: usize = 16;

/// Beginnings of the digests of paths, in order, with the places of their lines.
type Lookup = Vec<(u64, u64)>;

/// What a server that fetches on demand remembers.
#[derive(Debug)]
pub(super) struct Demand {
    /// Newer states.
    pub(super) news: Freshener,
    /// The states that were looked into last, by mirror.
    lookups: Mutex<BTreeMap<MirrorName, BTreeMap<Digest, Arc<Lookup>>>>,
    /// What is being fetched, by its digest.
    transfers: Mutex<BTreeMap<Digest, Arc<Transfer>>>,
}

/// What an index names at a path.
#[derive(Debug)]
struct Named {
    entry: Entry,
    /// When its state was listed, in seconds since 1970.
    listed: i64,
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
    /// `max_age`: seconds after which upstream is asked whether there is a newer state.
    pub(super) const fn new(max_age: i64) -> Self {
        Self {
            news: Freshener::new(max_age),
            lookups: Mutex::new(BTreeMap::new()),
            transfers: Mutex::new(BTreeMap::new()),
        }
    }

    /// What the published state, or the one before, names at this path: here, or on its way. A package signature is judged
    /// at `now`, for the server may have run for months.
    pub(super) fn fetch(
        self: &Arc<Self>,
        mirrors: &Mirrors,
        asked: &Asked,
        now: i64,
    ) -> Result<Found, Unanswered> {
        let named = self.look_up(mirrors, asked);
        let named = named.map_err(|error| told(asked, &error))?;
        let Named { entry, listed } = named.ok_or(Unanswered::Unknown)?;
        let (size, digest) = (entry.size, entry.digest);
        let transfer = self.transfer(mirrors, asked, entry, now)?;
        // Who gets nothing is told by the status.
        if transfer.begun() == Some(End::Failed) {
            return Err(Unanswered::Upstream);
        }
        Ok(Found {
            content: Content::Coming(transfer),
            size,
            tag: format!("\"{digest}\""),
            modified: file::time(listed).ok_or(Unanswered::Unknown)?,
        })
    }

    fn look_up(&self, mirrors: &Mirrors, asked: &Asked) -> Result<Option<Named>, MirrorError> {
        let home = match mirrors.home(&asked.mirror) {
            Ok(home) => home,
            Err(MirrorError::Unknown(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let _shared = mirrors.guard(Share::Shared)?;
        self.named(&home, &Refs::read(&home)?, asked)
    }

    /// The fetch of a file that runs, or one that begins now.
    fn transfer(
        self: &Arc<Self>,
        mirrors: &Mirrors,
        asked: &Asked,
        entry: Entry,
        now: i64,
    ) -> Result<Arc<Transfer>, Unanswered> {
        let mut transfers = self.transfers();
        if let Some(running) = transfers.get(&entry.digest) {
            return Ok(Arc::clone(running));
        }
        if transfers.len() >= DOWNLOADS {
            return Err(Unanswered::Busy);
        }
        let transfer = Arc::new(Transfer::default());
        let digest = entry.digest;
        let running = Running {
            demand: Arc::clone(self),
            transfer: Arc::clone(&transfer),
            digest,
        };
        transfers.insert(digest, Arc::clone(&transfer));
        // A fetch that ends takes itself off the list.
        drop(transfers);
        let (mirrors, asked) = (mirrors.clone(), asked.clone());
        let spawned = thread::Builder::new().spawn(move || {
            let running = running;
            match bring(&mirrors, &asked, &entry, now, &running.transfer) {
                Ok(file) => running.end(Some(file)),
                Err(error) => drop(told(&asked, &error)),
            }
        });
        spawned.map_err(|_busy| Unanswered::Busy)?;
        Ok(transfer)
    }

    fn transfers(&self) -> MutexGuard<'_, BTreeMap<Digest, Arc<Transfer>>> {
        let transfers = self.transfers.lock();
        transfers.unwrap_or_else(PoisonError::into_inner)
    }

    /// What the published state, or the one before it, names at a path.
    fn named(&self, home: &Home, refs: &Refs, asked: &Asked) -> Result<Option<Named>, MirrorError> {
        let key = list::beginning(&Digest::of(asked.path.as_bytes()));
        for state in refs.published().into_iter().chain(refs.before()) {
            let list = home.list(&state);
            let Ok(about) = fs::metadata(&list) else {
                continue;
            };
            let lookup = self.lookup(home, &asked.mirror, state)?;
            let from = lookup.partition_point(|(of, _)| *of < key);
            let found = lookup.iter().skip(from).take_while(|(of, _)| *of == key);
            for (_, at) in found {
                let entry = list::entry_at(&list, *at)?;
                if let Some(entry) = entry.filter(|entry| entry.path == asked.path) {
                    let listed = about.mtime();
                    return Ok(Some(Named { entry, listed }));
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

/// Brings a file here, before the eyes of those who wait for it.
fn bring(
    mirrors: &Mirrors,
    asked: &Asked,
    entry: &Entry,
    now: i64,
    transfer: &Transfer,
) -> Result<File, MirrorError> {
    let home = mirrors.home(&asked.mirror)?;
    let _shared = mirrors.guard(Share::Shared)?;
    let refs = Refs::read(&home)?;
    let stop = Stop::new(&mirrors.context.options.cancel);
    let work = mirrors.work(&home, &stop);
    let path = mirrors.layout.file(entry.kind, &entry.digest);
    durable::create_directories(mirrors.layout.packages(), 0o755)?;
    let places = Places::of_last_sync(&work, &MirrorConfig::read(&home)?, &refs)?;
    let item = places.item(&[entry])?;
    download::download_watched(&mirrors.context, &stop, &item, Some(transfer))?;
    places.check_signature(&path, entry, now)?;
    Ok(File::open(&path).map_err(FileError::on("open", &path))?)
}

/// Notes why somebody gets no answer.
fn told(asked: &Asked, error: &MirrorError) -> Unanswered {
    let path = String::from_utf8_lossy(asked.path.as_bytes());
    let text = format!("`{path}`: {error}");
    tracing::debug!("{}", crate::source::shown(&text));
    Unanswered::Upstream
}

/// A fetch that runs. However it ends, those who wait are told.
struct Running {
    demand: Arc<Demand>,
    transfer: Arc<Transfer>,
    digest: Digest,
}

impl Running {
    /// Who asks from now on begins anew; who waits is told.
    fn end(&self, file: Option<File>) {
        let mut transfers = self.demand.transfers();
        if let btree_map::Entry::Occupied(one) = transfers.entry(self.digest)
            && Arc::ptr_eq(one.get(), &self.transfer)
        {
            one.remove();
        }
        drop(transfers);
        self.transfer.end(file);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(None);
    }
}
