//! Syncs of several mirrors at once, each under its guard. What one sync does: [`super::sync`].

use super::Mirrors;
use super::error::MirrorError;
use super::sync::{self, Synced};
use crate::context::Context;
use crate::error::FetchError;
use crate::guard;
use crate::pool;
use crate::transport::Stop;
use std::sync::Arc;
use vzpkg_metadata::MirrorName;
use vzpkg_metadata::durable;
use vzpkg_metadata::guard::Share;

impl Mirrors {
    /// Syncs mirrors, several at once, and gives each result to `done` as it comes, on the caller's thread.
    pub fn sync(
        &self,
        names: &[MirrorName],
        done: &mut dyn FnMut(&MirrorName, Result<Synced, MirrorError>),
    ) {
        self.several(names, Self::sync_one, done);
    }

    /// Does something with each of several mirrors, some at once.
    pub(super) fn several<T: Send + 'static>(
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
            done(name, Err(FetchError::Cancelled.into()));
        }
    }

    /// Syncs one mirror as if it were this time, seconds since 1970: for who runs longer than a command.
    pub(super) fn sync_one_at(&self, name: &MirrorName, now: i64) -> Result<Synced, MirrorError> {
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
}
