//! What is known about mirrors without asking anybody, and what they keep. Nothing is changed here.

use super::Mirrors;
use super::config::MirrorConfig;
use super::error::MirrorError;
use super::layout::Home;
use super::list::{Kind, ListReader};
use super::record::{Checked, Publication, Refs, State};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{FileGuard, Share};
use vzpkg_metadata::{Digest, MirrorName, SnapshotName};

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

impl Mirrors {
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

    /// What must stay in `packages/`: every package of every state.
    ///
    /// # Errors
    /// [`MirrorError::Damaged`] for a list that cannot be read; nothing may be removed then.
    pub fn packages(&self) -> Result<BTreeSet<Digest>, MirrorError> {
        let mut packages = BTreeSet::new();
        for name in self.names()? {
            for list in lists(&self.layout.home(&name))? {
                for entry in ListReader::open(&list)? {
                    let entry = entry?;
                    if entry.brought && entry.kind != Kind::Metadata {
                        packages.insert(entry.digest);
                    }
                }
            }
        }
        Ok(packages)
    }

    /// As [`Self::packages`], for who removes others: while the guard lives, nobody adds any. There is none where there are
    /// no mirrors.
    ///
    /// # Errors
    /// As [`Self::packages`]; [`MirrorError::Fetch`] where a sync takes longer than this one may wait.
    pub fn packages_guarded(&self) -> Result<(BTreeSet<Digest>, Option<FileGuard>), MirrorError> {
        if !self.layout.mirrors.is_dir() {
            return Ok((BTreeSet::new(), None));
        }
        let guard = self.guard(Share::Exclusive)?;
        Ok((self.packages()?, Some(guard)))
    }
}

/// The lists of all states of a mirror.
pub(super) fn lists(home: &Home) -> Result<Vec<PathBuf>, FileError> {
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
