//! A past state of a mirror as a repository: its metadata alone, laid out as it was published.
//!
//! ```text
//! mirror/<name>/views/<id>/    links to the metadata of one state
//! ```
//!
//! Packages are read from `packages/` by their hash, where they are as long as the state is kept. A view costs a few
//! links; it goes with its state.

use super::error::MirrorError;
use super::list::{Entry, Kind, ListReader};
use super::record::{Refs, State};
use super::{Mirrors, real_directory, tree};
use std::path::PathBuf;
use vzpkg_metadata::guard::Share;
use vzpkg_metadata::{Digest, MirrorName, SnapshotName};

/// A moment in the past of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// When the state was the newest that is kept under this name.
    Snapshot(SnapshotName),
    /// What was published then, seconds since 1970.
    At(i64),
}

/// A past state that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which state.
    pub state: Digest,
    /// Where its metadata lies, as upstream lays it out.
    pub directory: PathBuf,
    /// When its signatures and dates were judged, seconds since 1970.
    pub judged: i64,
}

impl Mirrors {
    /// Makes the state of a moment readable.
    ///
    /// # Errors
    /// [`MirrorError::NoSnapshot`]; [`MirrorError::NoPast`] where nothing was published then, or it was removed since.
    pub fn view(&self, name: &MirrorName, moment: &Moment) -> Result<View, MirrorError> {
        let home = self.home(name)?;
        real_directory(&home)?;
        let _shared = self.guard(Share::Shared)?;
        let refs = Refs::read(&home)?;
        let state = match moment {
            Moment::Snapshot(snapshot) => {
                let known = refs.snapshots.get(snapshot);
                let known = known.ok_or_else(|| MirrorError::NoSnapshot {
                    mirror: name.clone(),
                    snapshot: snapshot.clone(),
                })?;
                known.state
            }
            Moment::At(at) => {
                let mut past = refs.history.iter().rev();
                let found = past.find(|publication| publication.at <= *at);
                let kept = found.filter(|publication| home.header(&publication.state).is_file());
                let none = || MirrorError::NoPast {
                    mirror: name.clone(),
                    was_published: found.is_some(),
                };
                kept.ok_or_else(none)?.state
            }
        };
        let judged = State::read(&home, &state)?.judged;
        let entries: Result<Vec<Entry>, MirrorError> = ListReader::open(&home.list(&state))?
            .take_while(|entry| {
                let metadata = entry.as_ref().map(|entry| entry.kind == Kind::Metadata);
                metadata.unwrap_or(true)
            })
            .collect();
        let directory = home.view(&state);
        tree::lay_metadata(&self.layout, &directory, entries?.iter())?;
        Ok(View {
            state,
            directory,
            judged,
        })
    }

    /// The published directory of every mirror, and when its state was judged.
    ///
    /// # Errors
    /// [`MirrorError::Damaged`] for records that cannot be read.
    pub fn judged(&self) -> Result<Vec<(PathBuf, i64)>, MirrorError> {
        let mut judged = Vec::new();
        for name in self.names()? {
            let home = self.home(&name)?;
            if let Some(state) = Refs::read(&home)?.published() {
                judged.push((home.published(), State::read(&home, &state)?.judged));
            }
        }
        Ok(judged)
    }
}
