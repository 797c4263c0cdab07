//! What differs between two states: packages by name and architecture. Holds the package names of both, nothing else.

use super::Mirrors;
use super::config::MirrorConfig;
use super::error::MirrorError;
use super::layout::Home;
use super::list::ListReader;
use super::record::Refs;
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::{Digest, MirrorName, SnapshotName};

/// A package in one or both of two states. A repository may offer several versions at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// Versions that only the first state offers.
    pub before: Vec<String>,
    /// Versions that only the second state offers.
    pub after: Vec<String>,
}

/// Which state of a mirror is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateName {
    /// The mirror.
    pub mirror: MirrorName,
    /// A snapshot; the published state where there is none.
    pub snapshot: Option<SnapshotName>,
}

type Versions = BTreeMap<(String, String), BTreeSet<String>>;

impl Mirrors {
    /// What a client that went from the first state to the second would see change, in the order of names.
    ///
    /// # Errors
    /// [`MirrorError`] where one of the states is none.
    pub fn diff(&self, from: &StateName, to: &StateName) -> Result<Vec<Change>, MirrorError> {
        let before = self.versions(from)?;
        let mut after = self.versions(to)?;
        let mut changes = Vec::new();
        for (key, before) in before {
            let after = after.remove(&key).unwrap_or_default();
            changes.extend(change(key, &before, &after));
        }
        let none = BTreeSet::new();
        changes.extend(
            after
                .into_iter()
                .filter_map(|(key, after)| change(key, &none, &after)),
        );
        changes.sort_unstable_by(|a, b| (&a.name, &a.arch).cmp(&(&b.name, &b.arch)));
        Ok(changes)
    }

    fn versions(&self, of: &StateName) -> Result<Versions, MirrorError> {
        let home = self.home(&of.mirror)?;
        let mut versions = Versions::new();
        // Of a mirror that brings nothing by itself, what it offers counts.
        let all = MirrorConfig::read(&home)?.selection.on_demand;
        for entry in ListReader::open(&home.list(&state(&home, of)?))? {
            let entry = entry?;
            if let (true, Some([name, version, arch])) = (entry.brought || all, entry.package) {
                versions.entry((name, arch)).or_default().insert(version);
            }
        }
        Ok(versions)
    }
}

fn state(home: &Home, of: &StateName) -> Result<Digest, MirrorError> {
    let refs = Refs::read(home)?;
    match &of.snapshot {
        None => refs
            .published()
            .ok_or_else(|| MirrorError::Empty(of.mirror.clone())),
        Some(snapshot) => match refs.snapshots.get(snapshot) {
            Some(known) => Ok(known.state),
            None => Err(MirrorError::NoSnapshot {
                mirror: of.mirror.clone(),
                snapshot: snapshot.clone(),
            }),
        },
    }
}

fn change(
    (name, arch): (String, String),
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Option<Change> {
    let change = Change {
        name,
        arch,
        before: before.difference(after).cloned().collect(),
        after: after.difference(before).cloned().collect(),
    };
    let differs = !change.before.is_empty() || !change.after.is_empty();
    differs.then_some(change)
}
