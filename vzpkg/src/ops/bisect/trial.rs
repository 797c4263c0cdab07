//! One tree judged by a command in a container that is made for it and thrown away.

use super::Verdict;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{containers, node};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use vzpkg_cache::store::{CachedTree, ContainerRow, Follow, Store};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::{ContainerId, Digest};
use vzpkg_runtime::container::{self, Config, ExecSpec, Network, StopMode};
use vzpkg_runtime::oci::RuntimeBinary;

/// How the names of these containers begin; the number of the process that made them follows.
const PREFIX: &str = "bisect-";

/// Between two looks at whether the user wants to stop.
const POLL: Duration = Duration::from_millis(50);

/// The command reads nothing, and what it writes is no result of ours.
const WRAPPER: &str = "exec </dev/null >&2; eval \"$1\"";

/// The kind of the trees that are being tried.
const KIND: &str = "trial";

/// What a tree that is being tried is noted under.
fn key(id: &ContainerId) -> Digest {
    Digest::of(id.as_str().as_bytes())
}

/// Somebody else's container has the name that this search uses.
fn taken(id: &ContainerId) -> CommandError {
    let error = CommandError::from(container::ContainerError::Exists(id.clone()));
    error.hint(format!(
        "a search tries versions in a container of that name: search again, or vzpkg ct rename {id} NEW"
    ))
}

/// What is the same for all trees of one search.
pub(crate) struct Trial<'a> {
    pub(crate) context: &'a Context,
    pub(crate) store: &'a Store,
    pub(crate) template: &'a Template,
    pub(crate) runtime: &'a RuntimeBinary,
    /// A shell command.
    pub(crate) command: &'a str,
}

impl Trial<'_> {
    /// Runs the command in a container on `tree`.
    ///
    /// # Errors
    /// [`Kind::Unmet`] for a command that cannot be run, or that a signal ended, and where somebody has a container of
    /// this name; [`Kind::Interrupted`]; what the store and the runtime say. The container is gone in any case.
    pub(crate) fn judge(&self, tree: &Digest) -> CommandResult<Verdict> {
        let id: ContainerId = format!("{PREFIX}{}", std::process::id()).parse()?;
        // From here on what has this name is ours to remove.
        let row = self.reserve(&id, tree)?;
        let ended = self.make(&row).and_then(|()| self.run(&id));
        let removed = self.remove(&id);
        let code = ended?;
        removed?;
        match code {
            0 => Ok(Verdict::Good),
            125 => Ok(Verdict::Skip),
            1..=124 => Ok(Verdict::Bad),
            code => {
                let text = format!("the test ended with {code}, which says nothing of the version");
                Err(CommandError::message(Kind::Unmet, text).hint(
                    "0 is good, 1 to 124 is bad, 125 is neither; 126 and 127: it cannot be run; more: a signal ended it",
                ))
            }
        }
    }

    /// Removes what searches that were killed have left.
    ///
    /// # Errors
    /// What the store and the runtime say.
    pub(crate) fn sweep(&self) -> CommandResult {
        for tree in self.store.db.cached_trees(KIND)? {
            let process = tree.description.strip_prefix(PREFIX).unwrap_or_default();
            // This process has made none yet: one of its name is of an earlier process that had the same id.
            let is_own = process.parse() == Ok(std::process::id());
            if is_own || !Path::new("/proc").join(process).exists() {
                self.remove(&tree.description.parse()?)?;
            }
        }
        Ok(())
    }

    /// Notes the tree and the container, of which there is nothing yet but the name.
    fn reserve(&self, id: &ContainerId, tree: &Digest) -> CommandResult<ContainerRow> {
        let Self {
            context,
            store,
            template,
            ..
        } = *self;
        node::check_interrupt(context)?;
        let private = containers::paths(context, store, id).private;
        if store.db.find_container(id)?.is_some() || private.exists() {
            return Err(taken(id));
        }
        // A container is on a version, or on a tree that is noted; what is noted is a root of gc.
        store.sync()?;
        store.db.insert_cached_tree(&CachedTree {
            kind: KIND.to_owned(),
            key: key(id),
            digest: *tree,
            template: template.name.clone(),
            description: id.to_string(),
            created: context.clock.now,
        })?;
        let row = ContainerRow {
            id: id.clone(),
            template: template.name.clone(),
            link: *tree,
            generation: 1,
            os_digest: *tree,
            follow: Follow::Pinned,
            applications: Vec::new(),
            packages: Vec::new(),
            first_uid: 0,
            created: context.clock.now,
        };
        let reserved = store.db.insert_container_with_ids(&row);
        // Somebody may have taken the name since it was looked for; the note is ours all the same.
        let reserved = reserved.inspect_err(|_| drop(store.db.remove_cached_tree(KIND, &key(id))));
        Ok(reserved?)
    }

    fn make(&self, row: &ContainerRow) -> CommandResult {
        let Self {
            context,
            store,
            template,
            ..
        } = *self;
        let id = &row.id;
        let mut alone = Config::new(id.clone(), row.created, containers::user_namespace(row));
        alone.network = Network::None;
        containers::stage(context, store, template, row, &alone)?
            .put_in_place(|| Ok(()))?
            .settle()?;
        containers::start(context, store, id, self.runtime, |_| Ok(()))?;
        Ok(())
    }

    /// The exit code of the command. It is ended when the user wants to stop.
    fn run(&self, id: &ContainerId) -> CommandResult<u8> {
        let paths = containers::paths(self.context, self.store, id);
        let config = Config::of(&paths)?;
        let words = ["/bin/sh", "-c", WRAPPER, "sh", self.command];
        let spec = ExecSpec {
            argv: words.map(str::to_owned).to_vec(),
            ..ExecSpec::default()
        };
        let (ended, waiting) = mpsc::channel::<()>();
        let code = std::thread::scope(|scope| {
            let command = scope.spawn(|| {
                let _ended = ended;
                container::exec(&paths, &config, &spec, self.runtime)
            });
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(POLL) {
                if self.context.interrupted.load(Ordering::Relaxed) {
                    // Its processes go with it; what it says does not matter any more.
                    drop(container::stop(&paths, StopMode::Kill, self.runtime));
                    break;
                }
            }
            command
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        node::check_interrupt(self.context)?;
        Ok(code?)
    }

    /// The row first: from there on the rest is rubbish, whatever happens.
    fn remove(&self, id: &ContainerId) -> CommandResult {
        let Self { context, store, .. } = *self;
        let paths = containers::paths(context, store, id);
        if store.db.find_container(id)?.is_some() {
            store.db.remove_container(id)?;
        }
        match container::destroy(&paths, self.runtime) {
            Ok(()) | Err(container::ContainerError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if store.db.cached_tree(KIND, &key(id))?.is_some() {
            store.db.remove_cached_tree(KIND, &key(id))?;
        }
        containers::release_versions(context, store, self.runtime)
    }
}
