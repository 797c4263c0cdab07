//! The small files of a mirror: what is known about a state, which states count, and what the servers said last.
//!
//! Which state is published is told by the `published` link alone; `refs.json` has the history and follows it.

use super::error::MirrorError;
use super::layout::Home;
use super::tree;
use crate::transport::Validator;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::template::Fingerprint;
use vzpkg_metadata::{Digest, SnapshotName};

/// A record has some KB; a history of ten years of daily publications half a MB.
const RECORD_BYTES: u64 = 16 << 20;

/// Publications that are remembered.
const HISTORY: usize = 1000;

/// One verified, complete state of a mirror. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The digest of its list of files.
    pub id: Digest,
    /// When its signatures and dates were judged, seconds since 1970.
    pub judged: i64,
    /// Files, each path counted once.
    pub files: u64,
    /// Packages among them.
    pub packages: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// What is signed, in the order of the configuration.
    pub roots: Vec<Root>,
}

/// A signed file that a state hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The directory of its repository below the published one.
    pub part: String,
    /// The suite; empty for a yum repository.
    pub suite: String,
    /// Of the signed file.
    pub digest: Digest,
    /// When upstream made it, seconds since 1970.
    pub date: i64,
    /// Until when upstream wants it to be used.
    pub valid_until: Option<i64>,
    /// Pinned keys that signed it; empty where no signature is asked for.
    pub signers: Vec<Fingerprint>,
}

/// One time that a state became the published one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Which state.
    pub state: Digest,
    /// When, seconds since 1970.
    pub at: i64,
}

/// Which states count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refs {
    /// The last one that a sync completed.
    pub(super) newest: Option<Digest>,
    /// Oldest first.
    pub(super) history: Vec<Publication>,
    pub(super) snapshots: BTreeMap<SnapshotName, Publication>,
    /// A snapshot was published by name: a sync brings new states and publishes none.
    pub(super) pinned: bool,
    /// States that were rolled back: a sync publishes only what is another.
    pub(super) rolled_back: BTreeSet<Digest>,
    /// A sync that has not come to its end, and shall go on where it was.
    #[serde(default)]
    pub(super) begun: Option<Begun>,
}

/// What a sync that was killed, or failed, was about to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// The list of its files, once that was complete.
    pub(super) list: Option<Digest>,
}

/// What the servers said last. Only a hint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checked {
    /// When they were asked, seconds since 1970.
    pub(super) at: i64,
    /// The state that this is about.
    pub(super) state: Option<Digest>,
    pub(super) servers: Vec<Server>,
}

/// What one server said about one signed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Server {
    pub(super) part: String,
    pub(super) suite: String,
    /// Its address, without credentials.
    pub(super) base: String,
    /// The signed file as it came.
    pub(super) digest: Digest,
    pub(super) inline: bool,
    pub(super) validator: Validator,
}

impl State {
    pub(super) fn read(home: &Home, id: &Digest) -> Result<Self, MirrorError> {
        read(&home.header(id))?.ok_or_else(|| MirrorError::Damaged {
            path: home.header(id),
            problem: "it is gone".to_owned(),
        })
    }

    /// Writes what is known about a new state. What is there already stays: it was judged first.
    pub(super) fn write(&self, home: &Home) -> Result<Self, MirrorError> {
        let path = home.header(&self.id);
        if let Ok(Some(known)) = read(&path) {
            return Ok(known);
        }
        write(&path, self)?;
        Ok(self.clone())
    }
}

impl Refs {
    /// Reads the references and adds a publication that a kill kept out of them.
    pub(super) fn read(home: &Home) -> Result<Self, MirrorError> {
        let mut refs: Self = read(&home.refs())?.unwrap_or_default();
        if let Some(published) = tree::published(home)?
            && refs.published() != Some(published)
        {
            let at = State::read(home, &published).map_or(0, |state| state.judged);
            refs.publish(published, at);
        }
        Ok(refs)
    }

    pub(super) fn write(&self, home: &Home) -> Result<(), FileError> {
        write(&home.refs(), self)
    }

    /// The state that is published.
    pub(super) fn published(&self) -> Option<Digest> {
        self.history.last().map(|publication| publication.state)
    }

    /// Writes that a sync has come so far; no more than once for each step of it.
    pub(super) fn note_begun(
        &mut self,
        home: &Home,
        begun: Option<Begun>,
    ) -> Result<(), FileError> {
        if self.begun == begun {
            return Ok(());
        }
        self.begun = begun;
        self.write(home)
    }

    pub(super) fn publish(&mut self, state: Digest, at: i64) {
        self.history.push(Publication { state, at });
        let excess = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..excess);
    }

    /// The last published state that is not the one that is published now and was not rolled back.
    pub(super) fn earlier(&self) -> Option<Digest> {
        let now = self.published();
        let states = self
            .history
            .iter()
            .rev()
            .map(|publication| publication.state);
        let mut others = states.filter(|state| Some(*state) != now);
        others.find(|state| !self.rolled_back.contains(state))
    }

    /// The state that was published before this one, rolled back or not.
    pub(super) fn before(&self) -> Option<Digest> {
        let mut latest = self.history.iter().rev().skip(1);
        latest.next().map(|publication| publication.state)
    }

    /// Every state that is still of use: what is published and could be returned to, the newest, and all snapshots.
    pub(super) fn in_use(&self) -> BTreeSet<Digest> {
        let snapshots = self.snapshots.values().map(|snapshot| snapshot.state);
        let states = self.published().into_iter().chain(self.earlier());
        states.chain(self.newest).chain(snapshots).collect()
    }

    /// The list of a sync that shall go on, unless it became a state.
    pub(super) fn begun_list(&self) -> Option<Digest> {
        self.begun.as_ref().and_then(|begun| begun.list)
    }
}

impl Checked {
    /// What the servers said, if it is about `state`.
    pub(super) fn read(home: &Home, state: Option<Digest>) -> Self {
        let checked: Self = read(&home.checked()).ok().flatten().unwrap_or_default();
        if checked.state.is_some() && checked.state == state {
            checked
        } else {
            Self::default()
        }
    }

    /// Not synced: what is lost costs a few requests.
    pub(super) fn write(&self, home: &Home) -> Result<(), FileError> {
        let path = home.checked();
        let text = json(&path, self)?;
        let (staging, mut file) = durable::stage(&path, 0o644)?;
        io::Write::write_all(&mut file, &text).map_err(FileError::on("write", &path))?;
        durable::put_in_place_unsynced(&staging, &path)
    }

    /// What is known about a repository without suites.
    pub(super) fn of_part(&self, part: &str) -> Option<&Server> {
        let mut servers = self.servers.iter();
        servers.find(|one| one.part == part && one.suite.is_empty())
    }

    pub(super) fn of(&self, part: &str, suite: &str, base: &str) -> Option<&Server> {
        let mut servers = self.servers.iter();
        servers.find(|one| one.part == part && one.suite == suite && one.base == base)
    }
}

fn json<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, FileError> {
    serde_json::to_vec_pretty(value).map_err(|error| FileError::on("write", path)(error.into()))
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    durable::write_file(path, 0o644, &json(path, value)?)
}

/// `None` where there is no such file.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, MirrorError> {
    let text = match durable::read_file(path, RECORD_BYTES) {
        Ok(text) => text,
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let value = serde_json::from_slice(&text).map_err(|error| MirrorError::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    Ok(Some(value))
}
