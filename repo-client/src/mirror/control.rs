//! Which state is published, by decision of the administrator: snapshots, publication by name, rollback.

use super::error::MirrorError;
use super::layout::Home;
use super::record::{Publication, Refs, State};
use super::{Mirrors, tree};
use crate::guard;
use crate::transport::Stop;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{FileGuard, Share};
use vzpkg_metadata::{Digest, MirrorName, SnapshotName};

/// A mirror whose references are being changed.
struct Held {
    home: Home,
    refs: Refs,
    /// In the order in which they are let go; none in a trial.
    guards: Option<(FileGuard, FileGuard)>,
}

impl Held {
    /// Writes what was decided, unless this is a trial.
    fn write(&self) -> Result<(), FileError> {
        match self.guards {
            Some(_) => self.refs.write(&self.home),
            None => Ok(()),
        }
    }
}

impl Mirrors {
    /// Keeps the newest state under a name, by default its date. Costs nothing: states never change.
    ///
    /// # Errors
    /// [`MirrorError::Empty`] before the first sync; [`MirrorError::SnapshotExists`] where the name means another state.
    pub fn snapshot(
        &self,
        name: &MirrorName,
        snapshot: Option<SnapshotName>,
    ) -> Result<(SnapshotName, State), MirrorError> {
        let mut held = self.hold(name)?;
        let newest = held.refs.newest;
        let newest = newest.ok_or_else(|| MirrorError::Empty(name.clone()))?;
        let state = State::read(&held.home, &newest)?;
        let at = self.context.options.now;
        let dated = || {
            let text = jiff::Timestamp::from_second(at).ok()?;
            text.strftime("%Y%m%dT%H%M%SZ").to_string().parse().ok()
        };
        let no_date = || MirrorError::Config("the clock shows no date".to_owned());
        let snapshot = snapshot.or_else(dated).ok_or_else(no_date)?;
        let publication = Publication { state: newest, at };
        let known = held.refs.snapshots.entry(snapshot.clone());
        if known.or_insert(publication).state != newest {
            let mirror = name.clone();
            return Err(MirrorError::SnapshotExists { mirror, snapshot });
        }
        held.write()?;
        Ok((snapshot, state))
    }

    /// Forgets a snapshot; its state stays while something else refers to it.
    ///
    /// # Errors
    /// [`MirrorError::NoSnapshot`].
    pub fn remove_snapshot(
        &self,
        name: &MirrorName,
        snapshot: &SnapshotName,
    ) -> Result<(), MirrorError> {
        let mut held = self.hold(name)?;
        if held.refs.snapshots.remove(snapshot).is_none() {
            return Err(no_snapshot(name, snapshot));
        }
        Ok(held.write()?)
    }

    /// Publishes a snapshot, which then stays published whatever a sync brings; or, without one, the newest state, and
    /// those that later syncs bring.
    ///
    /// # Errors
    /// [`MirrorError::NoSnapshot`], [`MirrorError::Empty`]; what is published stays then.
    pub fn publish(
        &self,
        name: &MirrorName,
        snapshot: Option<&SnapshotName>,
    ) -> Result<State, MirrorError> {
        let mut held = self.hold(name)?;
        let named = snapshot.map(|snapshot| {
            let known = held.refs.snapshots.get(snapshot);
            let state = known.map(|known| known.state);
            state.ok_or_else(|| no_snapshot(name, snapshot))
        });
        let empty = || MirrorError::Empty(name.clone());
        let state = named.unwrap_or_else(|| held.refs.newest.ok_or_else(empty))?;
        held.refs.pinned = snapshot.is_some();
        held.refs.rolled_back.remove(&state);
        self.switch(&mut held, state)
    }

    /// Publishes what was published before. The state that is left is not published again by a sync, only what is new
    /// upstream after it.
    ///
    /// # Errors
    /// [`MirrorError::NoEarlier`].
    pub fn rollback(&self, name: &MirrorName) -> Result<State, MirrorError> {
        let mut held = self.hold(name)?;
        let earlier = held.refs.earlier();
        let earlier = earlier.ok_or_else(|| MirrorError::NoEarlier(name.clone()))?;
        held.refs.rolled_back.extend(held.refs.published());
        held.refs.pinned = false;
        self.switch(&mut held, earlier)
    }

    /// The decision is written first: a kill in between leaves the old state published, and the same verb again ends it.
    fn switch(&self, held: &mut Held, state: Digest) -> Result<State, MirrorError> {
        let found = State::read(&held.home, &state)?;
        if held.guards.is_none() {
            return Ok(found);
        }
        held.write()?;
        let published = held.refs.published();
        if published != Some(state) {
            tree::publish(&self.layout, &held.home, &state, published)?;
            held.refs.publish(state, self.context.options.now);
            held.write()?;
        }
        Ok(found)
    }

    fn hold(&self, name: &MirrorName) -> Result<Held, MirrorError> {
        let home = self.home(name)?;
        if self.trial {
            let refs = Refs::read(&home)?;
            let guards = None;
            return Ok(Held { home, refs, guards });
        }
        let shared = self.guard(Share::Shared)?;
        let stop = Stop::new(&self.context.options.cancel);
        let guard = guard::lock(&self.context, &stop, &home.directory)?;
        let refs = Refs::read(&home)?;
        Ok(Held {
            home,
            refs,
            guards: Some((guard, shared)),
        })
    }
}

fn no_snapshot(mirror: &MirrorName, snapshot: &SnapshotName) -> MirrorError {
    MirrorError::NoSnapshot {
        mirror: mirror.clone(),
        snapshot: snapshot.clone(),
    }
}
