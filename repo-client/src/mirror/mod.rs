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
mod kept;
mod layout;
mod life;
mod list;
mod many;
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
pub use kept::MirrorInfo;
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
use crate::transport::Stop;
use layout::{Home, Layout};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use vzpkg_metadata::MirrorName;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{FileGuard, Share};
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

    /// The directory of a mirror that is there and is a directory.
    fn home(&self, name: &MirrorName) -> Result<Home, MirrorError> {
        let home = self.layout.home(name);
        if !home.config().is_file() {
            return Err(MirrorError::Unknown(name.clone()));
        }
        real_directory(&home)?;
        Ok(home)
    }

    /// The guard of all mirrors, for which is waited as for any other.
    fn guard(&self, share: Share) -> Result<FileGuard, MirrorError> {
        let stop = Stop::new(&self.context.options.cancel);
        let work = "works on the mirrors";
        let guard = guard::take(&self.context, &stop, &self.layout.guard(), share, work);
        Ok(guard?)
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

/// Waits for the turn to fetch packages.
fn turn(fetching: &Mutex<()>) -> std::sync::MutexGuard<'_, ()> {
    // Whoever panicked held no data.
    fetching.lock().unwrap_or_else(PoisonError::into_inner)
}
