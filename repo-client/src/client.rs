//! The client: what the command calls. How packages are fetched is in [`crate::fetch`].

use crate::apt;
use crate::context::Context;
use crate::error::{FetchError, RepositoryError};
use crate::options::ClientOptions;
use crate::pool;
use crate::report::FetchReporter;
use crate::repository::Repository;
use crate::transport::Stop;
use crate::verify::{Keyring, Policy, keyring};
use crate::yum::{self, Paths};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use vzpkg_metadata::template::{KeyPin, RepositoryLine};
use vzpkg_metadata::{Arch, RepoId};

/// Fetches and verifies. Cheap to clone; usable from several threads.
#[derive(Clone)]
pub struct Client {
    pub(crate) context: Arc<Context>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", &self.context.options)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client. Opens nothing yet.
    pub fn new(options: ClientOptions, reporter: Arc<dyn FetchReporter>) -> Self {
        Self {
            context: Arc::new(Context::new(options, reporter)),
        }
    }

    /// The same client with another memory: what it verifies and has seen is kept in `index_dir`.
    #[must_use]
    pub fn with_index_dir(&self, index_dir: PathBuf) -> Self {
        let mut options = (*self.context.options).clone();
        options.index_dir = index_dir;
        Self::new(options, Arc::clone(&self.context.reporter))
    }

    /// Verifies and maps the index of one repository. Costs one small request where nothing changed, none where
    /// [`crate::Refresh`] says so.
    ///
    /// # Errors
    /// [`RepositoryError`] by what failed; the index that an earlier load left stays.
    pub fn load(
        &self,
        line: &RepositoryLine,
        keys: &[KeyPin],
        arch: &Arch,
    ) -> Result<Repository, RepositoryError> {
        let lines = [(line.clone(), keys.to_vec())];
        let mut loaded = self.load_all(&lines, arch)?;
        loaded.pop().ok_or_else(|| cancelled(line.id()))
    }

    /// Looks for `paths` that the user names in the `filelists` of yum repositories, so that the indexes can tell which
    /// package owns them. `repositories` are those that [`Client::load_all`] made of `lines`, in the same order. Asks
    /// nobody for news; fetches `filelists` where they are not here.
    ///
    /// # Errors
    /// [`RepositoryError`] of the first repository whose `filelists` cannot be had.
    pub fn load_paths(
        &self,
        lines: &[(RepositoryLine, Vec<KeyPin>)],
        arch: &Arch,
        repositories: &mut [Repository],
        paths: &BTreeSet<String>,
    ) -> Result<(), RepositoryError> {
        let stop = Stop::new(&self.context.options.cancel);
        let wish = (paths, Unreachable::Fails);
        add_paths(&self.context, &stop, lines, arch, repositories, wish)
    }

    /// As [`Client::load`], for all repositories of a template at once; each comes with the keys that may sign it.
    ///
    /// A path that a package of one yum repository asks for, and that no `primary` lists, is looked for in the
    /// `filelists` of all of them; these are fetched only then.
    ///
    /// # Errors
    /// [`RepositoryError`] of the first repository, in order, that failed.
    pub fn load_all(
        &self,
        lines: &[(RepositoryLine, Vec<KeyPin>)],
        arch: &Arch,
    ) -> Result<Vec<Repository>, RepositoryError> {
        let stop = Stop::new(&self.context.options.cancel);
        let (context, of) = (Arc::clone(&self.context), arch.clone());
        let threads = self.context.options.connections;
        let loaded = pool::run(
            lines.to_vec(),
            threads,
            &stop,
            &mut |_| {},
            move |(line, keys), stop| load_one(&context, stop, &line, &keys, &of),
        );
        match (loaded, lines.first()) {
            (Some(result), _) => {
                let mut repositories = result?;
                add_missing_paths(&self.context, &stop, lines, arch, &mut repositories)?;
                Ok(repositories)
            }
            (None, None) => Ok(Vec::new()),
            (None, Some((line, _))) => Err(cancelled(line.id())),
        }
    }

    /// Finds the pinned keys, for signatures that are checked by the caller (rpm packages). Looks at the places that the
    /// pins name, then in the host's keyrings, then on servers; what is not found is missing from the result, and
    /// everything is where the user interrupts.
    pub fn keyring(&self, keys: &[KeyPin], policy: Policy) -> Keyring {
        let stop = Stop::new(&self.context.options.cancel);
        let (context, pins) = (Arc::clone(&self.context), keys.to_vec());
        let found = pool::run(vec![pins], 1, &stop, &mut |_| {}, move |pins, stop| {
            Ok::<_, Infallible>(keyring::find(&context, stop, &pins, policy))
        });
        let found = found.and_then(|Ok(mut found)| found.pop());
        found.unwrap_or_else(|| Keyring::new(keys.iter().map(|pin| pin.fingerprint.clone())))
    }
}

fn load_one(
    context: &Arc<Context>,
    stop: &Stop,
    line: &RepositoryLine,
    keys: &[KeyPin],
    arch: &Arch,
) -> Result<Repository, RepositoryError> {
    context.reporter.repository_started(line.id());
    let (repository, loaded) = match line {
        RepositoryLine::Apt(source) => apt::load(context, stop, source, keys, arch)?,
        RepositoryLine::Yum(source) => {
            let paths = Paths {
                wanted: &BTreeSet::new(),
                only: false,
            };
            yum::load(context, stop, source, keys, arch, paths)?
        }
    };
    let packages = repository.index.package_count();
    context
        .reporter
        .repository_finished(line.id(), packages, loaded);
    Ok(repository)
}

fn cancelled(id: &RepoId) -> RepositoryError {
    RepositoryError {
        id: id.clone(),
        place: String::new(),
        problem: Box::new(FetchError::Cancelled.into()),
    }
}

/// What it means that the `filelists` of a repository cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unreachable {
    Fails,
    IsTold,
}

/// Looks for the paths that packages ask for and no index has yet.
fn add_missing_paths(
    context: &Arc<Context>,
    stop: &Stop,
    lines: &[(RepositoryLine, Vec<KeyPin>)],
    arch: &Arch,
    repositories: &mut [Repository],
) -> Result<(), RepositoryError> {
    let missing = yum::missing_paths(repositories);
    if missing.is_empty() {
        return Ok(());
    }
    // Few packages need such a path; without its owner they cannot be installed, and the resolver says so.
    let wish = (&missing, Unreachable::IsTold);
    add_paths(context, stop, lines, arch, repositories, wish)
}

/// Puts those of `wanted` that `filelists` have into the indexes of the yum repositories. On threads of its own, so that
/// an interruption need not wait for a silent server.
fn add_paths(
    context: &Arc<Context>,
    stop: &Stop,
    lines: &[(RepositoryLine, Vec<KeyPin>)],
    arch: &Arch,
    repositories: &mut [Repository],
    (wanted, unreachable): (&BTreeSet<String>, Unreachable),
) -> Result<(), RepositoryError> {
    let yum_lines = lines
        .iter()
        .enumerate()
        .filter_map(|(place, line)| match line {
            (RepositoryLine::Yum(source), keys) => Some((place, source.clone(), keys.clone())),
            (RepositoryLine::Apt(_), _) => None,
        });
    let jobs: Vec<_> = yum_lines.collect();
    let Some(first) = jobs.first().map(|(_, source, _)| source.id.clone()) else {
        return Ok(());
    };
    let threads = context.options.connections;
    let (context, arch, wanted) = (Arc::clone(context), arch.clone(), wanted.clone());
    let loaded = pool::run(jobs, threads, stop, &mut |_| {}, move |job, stop| {
        let (place, source, keys) = job;
        let paths = Paths {
            wanted: &wanted,
            only: true,
        };
        match yum::load(&context, stop, &source, &keys, &arch, paths) {
            Ok((repository, _)) => Ok(Some((place, repository))),
            Err(error) if unreachable == Unreachable::IsTold && error.problem.is_unreachable() => {
                let text = format!("{error}: paths outside of the package list stay unknown");
                context.reporter.message(&text);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    });
    let loaded = loaded.ok_or_else(|| cancelled(&first))??;
    for (place, repository) in loaded.into_iter().flatten() {
        if let Some(old) = repositories.get_mut(place) {
            *old = repository;
        }
    }
    Ok(())
}
