//! Local mirrors: copies of apt and yum repositories that are published one consistent, verified state at a time.
//!
//! ```text
//! mirror/.guard                    shared by whoever adds files or states, exclusive for whoever removes them
//! mirror/.own-key.pgp              the key that signs repositories made here; only root reads it
//! mirror/.files/<sha256>           signed roots and indexes of all mirrors, once (0444)
//! mirror/<name>/mirror.json        what is mirrored, from where, who may sign it
//! mirror/<name>/keys/              certificates that `add` was given
//! mirror/<name>/lock               one process at a time changes this mirror
//! mirror/<name>/states/<id>.files  the files of one state: hash, size, path; <id> is the hash of this list
//! mirror/<name>/states/<id>.json   when it was judged and who signed it; written last: without it the state is none
//! mirror/<name>/refs.json          the newest state, what was published when, snapshots, a sync that shall go on
//! mirror/<name>/checked.json       what the servers said last; only a hint
//! mirror/<name>/trees/<id>.<n>/    a state as upstream lays it out, of hard links
//! mirror/<name>/views/<id>/        the metadata of a past state, for who builds from it
//! mirror/<name>/published          → trees/<id>.<n>: what clients read
//! packages/<sha256>.{deb,rpm}      package files, once for all mirrors, their snapshots and the node
//! ```
//!
//! **What always holds.** `published` leads to a tree in which every file that its signed roots and indexes name (and
//! the configuration asks for) is there and was hashed. Only one rename changes it. Readers need no guard: the files of
//! the state before stay in the new tree wherever the new state has no file at their path.
//!
//! **Removed** are states that nothing refers to, by `gc` alone.

mod apt;
mod asked;
mod config;
mod control;
mod diff;
mod error;
mod fill;
mod folder;
mod gc;
mod import;
mod indexed;
mod layout;
mod list;
mod needed;
mod news;
mod places;
mod record;
mod repair;
mod selection;
mod serve;
mod sync;
mod tree;
mod verify;
mod view;
mod work;
mod yum;

pub use config::{
    AptUpstream, FolderUpstream, MirrorConfig, Part, Pin, Trust, Upstream, YumUpstream,
};
pub use diff::{Change, StateName};
pub use error::MirrorError;
pub use fill::Fetched;
pub use gc::Collected;
pub use import::FolderPackage;
pub use news::News;
pub use record::{Publication, Root, State};
pub use selection::{Chooser, Selection};
pub use serve::Server;
pub use sync::Synced;
pub use verify::{Repair, Verified};
pub use view::{Moment, View};

use crate::client::Client;
use crate::context::Context;
use crate::guard;
use crate::pool;
use crate::transport::Stop;
use layout::{Home, Layout};
use list::{Kind, ListReader};
use record::{Checked, Refs};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::{FileGuard, Share};
use vzpkg_metadata::{MirrorName, RootSet, SnapshotName};
use work::Work;

/// The mirrors of a node.
#[derive(Clone)]
pub struct Mirrors {
    context: Arc<Context>,
    layout: Layout,
    /// One mirror at a time fetches packages; others may ask for news meanwhile.
    fetching: Arc<Mutex<()>>,
    /// Whether verbs of [`control`] decide, but write nothing.
    trial: bool,
    /// Who knows what templates need.
    chooser: Option<Arc<dyn Chooser>>,
}

impl std::fmt::Debug for Mirrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Mirrors");
        debug.field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// What is known about one mirror without asking anybody.
#[derive(Debug, Clone)]
pub struct MirrorInfo {
    /// Its name.
    pub name: MirrorName,
    /// What it mirrors.
    pub config: MirrorConfig,
    /// The state that clients see.
    pub published: Option<State>,
    /// The last state that a sync completed.
    pub newest: Option<State>,
    /// When upstream was last asked, seconds since 1970.
    pub checked: Option<i64>,
    /// Whether a snapshot is published by name, so that a sync publishes nothing.
    pub pinned: bool,
    /// What was published when, oldest first.
    pub history: Vec<Publication>,
    /// Snapshots, with the time they were made.
    pub snapshots: BTreeMap<SnapshotName, Publication>,
    /// What a web server should serve.
    pub directory: PathBuf,
}

impl Client {
    /// The mirrors below `directory`, whose packages lie in this client's `packages/`.
    pub fn mirrors(&self, directory: PathBuf) -> Mirrors {
        let packages = self.context.options.packages_dir.clone();
        Mirrors {
            context: Arc::clone(&self.context),
            layout: Layout::new(directory, packages),
            fetching: Arc::default(),
            trial: false,
            chooser: None,
        }
    }
}

impl Mirrors {
    /// The same mirrors, of which [`Self::snapshot`], [`Self::remove_snapshot`], [`Self::publish`] and [`Self::rollback`]
    /// only say what they would do, and fail where they would; as readers, they wait for nobody.
    #[must_use]
    pub fn for_trial(mut self) -> Self {
        self.trial = true;
        self
    }

    /// The same mirrors; a sync asks `chooser` what templates need.
    #[must_use]
    pub fn with_chooser(mut self, chooser: Arc<dyn Chooser>) -> Self {
        self.chooser = Some(chooser);
        self
    }

    /// Makes a mirror, still empty. `keys` are certificates that pins name: file names without a directory, and bytes.
    ///
    /// # Errors
    /// [`MirrorError::Exists`]; [`MirrorError::File`] where it cannot be written.
    pub fn add(
        &self,
        name: &MirrorName,
        config: &MirrorConfig,
        keys: &[(String, Vec<u8>)],
    ) -> Result<(), MirrorError> {
        let home = self.layout.home(name);
        for directory in [&self.layout.files(), &home.directory] {
            durable::create_directories(directory, 0o755)?;
        }
        real_directory(&home)?;
        let stop = Stop::new(&self.context.options.cancel);
        let _guard = guard::lock(&self.context, &stop, &home.directory)?;
        if home.config().exists() {
            return Err(MirrorError::Exists(name.clone()));
        }
        clear(&home)?;
        for directory in [&home.states(), &home.keys()] {
            durable::create_directories(directory, 0o755)?;
        }
        for (file, bytes) in keys {
            let plain = Path::new(file).file_name() == Some(OsStr::new(file));
            if !plain {
                let problem = format!("`{file}` is no file name");
                return Err(MirrorError::Config(problem));
            }
            durable::write_file(&home.keys().join(file), 0o644, bytes)?;
        }
        durable::sync_parent(&home.directory)?;
        Ok(config.write(&home)?)
    }

    /// The names of all mirrors, in order.
    ///
    /// # Errors
    /// [`MirrorError::File`] where the directory cannot be read.
    pub fn names(&self) -> Result<Vec<MirrorName>, MirrorError> {
        let directory = &self.layout.mirrors;
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::on("list", directory)(error).into()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(FileError::on("list", directory))?;
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.parse().ok());
            names.extend(name.filter(|name| self.layout.home(name).config().is_file()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What is known about a mirror.
    ///
    /// # Errors
    /// [`MirrorError::Unknown`]; [`MirrorError::Damaged`] for records that cannot be read.
    pub fn info(&self, name: &MirrorName) -> Result<MirrorInfo, MirrorError> {
        let home = self.home(name)?;
        let refs = Refs::read(&home)?;
        let state = |id| State::read(&home, &id);
        let checked = Checked::read(&home, refs.newest);
        Ok(MirrorInfo {
            name: name.clone(),
            config: MirrorConfig::read(&home)?,
            published: refs.published().map(state).transpose()?,
            newest: refs.newest.map(state).transpose()?,
            checked: checked.state.map(|_| checked.at),
            pinned: refs.pinned,
            history: refs.history,
            snapshots: refs.snapshots,
            directory: home.published(),
        })
    }

    /// Syncs mirrors, several at once, and gives each result to `done` as it comes, on the caller's thread.
    pub fn sync(
        &self,
        names: &[MirrorName],
        done: &mut dyn FnMut(&MirrorName, Result<Synced, MirrorError>),
    ) {
        self.several(names, Self::sync_one, done);
    }

    /// Does something with each of several mirrors, some at once.
    fn several<T: Send + 'static>(
        &self,
        names: &[MirrorName],
        work: fn(&Self, &MirrorName) -> Result<T, MirrorError>,
        done: &mut dyn FnMut(&MirrorName, Result<T, MirrorError>),
    ) {
        let stop = Stop::new(&self.context.options.cancel);
        let this = self.clone();
        let owned = names.to_vec();
        let jobs = owned.into_iter().map(Ok::<_, MirrorError>);
        let mut each = |(name, result): (MirrorName, Result<T, MirrorError>)| {
            done(&name, result);
        };
        let threads = self.context.options.connections.min(names.len());
        let ended = pool::stream(jobs, threads, &stop, &mut each, move |name, _| {
            let result = work(&this, &name);
            Ok((name, result))
        });
        if !matches!(ended, Some(Ok(())))
            && let Some(name) = names.first()
        {
            done(name, Err(crate::error::FetchError::Cancelled.into()));
        }
    }

    /// Syncs one mirror as if it were this time, seconds since 1970: for who runs longer than a command.
    fn sync_one_at(&self, name: &MirrorName, now: i64) -> Result<Synced, MirrorError> {
        let mut options = (*self.context.options).clone();
        options.now = now;
        let context = Context::new(options, Arc::clone(&self.context.reporter));
        let mut this = self.clone();
        this.context = Arc::new(context);
        this.sync_one(name)
    }

    fn sync_one(&self, name: &MirrorName) -> Result<Synced, MirrorError> {
        let home = self.home(name)?;
        let stop = &Stop::new(&self.context.options.cancel);
        let _shared = self.guard(Share::Shared)?;
        let _guard = guard::lock(&self.context, stop, &home.directory)?;
        durable::create_directories(&self.context.options.index_dir, 0o755)?;
        sync::sync(&self.work(&home, stop))
    }

    /// What every step of work on one mirror shares.
    fn work<'a>(&'a self, home: &'a Home, stop: &'a Stop) -> Work<'a> {
        Work {
            context: &self.context,
            stop,
            layout: &self.layout,
            home,
            fetching: &self.fetching,
            chooser: self.chooser.as_deref(),
        }
    }

    /// Removes a mirror with its states and snapshots. Files that nothing else names are removed by `gc`.
    ///
    /// # Errors
    /// [`MirrorError::Unknown`]; [`MirrorError::File`] where something stays, which then is no mirror any more.
    pub fn remove(&self, name: &MirrorName) -> Result<(), MirrorError> {
        let home = self.home(name)?;
        let stop = Stop::new(&self.context.options.cancel);
        let _exclusive = self.guard(Share::Exclusive)?;
        let _guard = guard::lock(&self.context, &stop, &home.directory)?;
        // Without its configuration it is none; a leftover is taken over by the next mirror of the name.
        durable::remove_file(&home.config())?;
        let path = &home.directory;
        Ok(fs::remove_dir_all(path).map_err(FileError::on("remove", path))?)
    }

    /// What must stay in `packages/`: every package of every state.
    ///
    /// # Errors
    /// [`MirrorError::Damaged`] for a list that cannot be read; nothing may be removed then.
    pub fn roots(&self) -> Result<RootSet, MirrorError> {
        let mut roots = RootSet::default();
        for name in self.names()? {
            for list in lists(&self.layout.home(&name))? {
                for entry in ListReader::open(&list)? {
                    let entry = entry?;
                    if entry.brought && entry.kind != Kind::Metadata {
                        roots.downloads.insert(entry.digest);
                    }
                }
            }
        }
        Ok(roots)
    }

    /// The directory of a mirror that is there and is a directory.
    fn home(&self, name: &MirrorName) -> Result<Home, MirrorError> {
        let home = self.layout.home(name);
        if !home.config().is_file() {
            return Err(MirrorError::Unknown(name.clone()));
        }
        real_directory(&home)?;
        Ok(home)
    }

    fn guard(&self, share: Share) -> Result<FileGuard, MirrorError> {
        let path = self.layout.guard();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(FileError::on("open", &path))?;
        Ok(FileGuard::wait(file, share).map_err(FileError::on("lock", &path))?)
    }
}

/// That nobody put a link in the place of a mirror: everything below is written and removed with our rights.
fn real_directory(home: &Home) -> Result<(), MirrorError> {
    for path in [home.directory.clone(), home.states(), home.trees()] {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.is_dir() => {
                let problem = "no directory";
                return Err(MirrorError::Foreign { path, problem });
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(FileError::on("inspect", path)(error).into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes what a removal that was killed left of an earlier mirror of the name; the guard stays.
fn clear(home: &Home) -> Result<(), FileError> {
    let directory = &home.directory;
    let entries = fs::read_dir(directory).map_err(FileError::on("list", directory))?;
    for entry in entries {
        let entry = entry.map_err(FileError::on("list", directory))?;
        if entry.file_name() == "lock" {
            continue;
        }
        let path = entry.path();
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
            _ => fs::remove_file(&path),
        };
        removed.map_err(FileError::on("remove", &path))?;
    }
    Ok(())
}

/// The lists of all states of a mirror.
fn lists(home: &Home) -> Result<Vec<PathBuf>, FileError> {
    let directory = home.states();
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::on("list", directory)(error)),
    };
    let mut lists = Vec::new();
    for entry in entries {
        let path = entry.map_err(FileError::on("list", &directory))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "files")
        {
            lists.push(path);
        }
    }
    lists.sort_unstable();
    Ok(lists)
}

/// Waits for the turn to fetch packages.
fn turn(fetching: &Mutex<()>) -> std::sync::MutexGuard<'_, ()> {
    // Whoever panicked held no data.
    fetching.lock().unwrap_or_else(PoisonError::into_inner)
}
