//! What a build would do: the request of a template, the packages of a base, and the resolver's answer.

use super::sources::{self, Sources};
use super::wanted;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use vzpkg_cache::store::{Store, VersionRecord};
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::lock::LockedPackage;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{Digest, Family, PackagePattern};
use vzpkg_repo_client::Repository;
use vzpkg_resolver::{InstallOnly, Installed, Request, Solve, Target, Upgrade};

/// The priority of a repository line that says none, as yum has it; lower wins.
pub(crate) const DEFAULT_PRIORITY: i32 = 99;

/// What the packages of a template are asked to become.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal<'a> {
    /// Everything from nothing.
    Bootstrap,
    /// Everything from nothing, but what is held as this version has it.
    Rebuild(&'a VersionRecord),
    /// This version with everything newer that the repositories have.
    Update(&'a VersionRecord),
    /// This version with these packages moved, and others only where those need it.
    Move(&'a VersionRecord, &'a [Target]),
}

/// Everything that a question to the resolver is put together from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The settings and the clock.
    pub(crate) context: &'a Context,
    /// What is installed, and the holds; `None` on a node without versions.
    pub(crate) store: Option<&'a Store>,
    /// What is wanted.
    pub(crate) template: &'a Template,
    /// Where from.
    pub(crate) repositories: &'a [Repository],
}

/// Resolves `template` against `repositories`.
///
/// # Errors
/// [`Kind::Unmet`] with the tree of reasons where it cannot be met.
pub(crate) fn transaction(
    context: &Context,
    store: Option<&Store>,
    template: &Template,
    repositories: &[Repository],
    goal: Goal<'_>,
) -> CommandResult<Transaction> {
    let question = Question {
        context,
        store,
        template,
        repositories,
    };
    question.transaction(goal)
}

impl Question<'_> {
    /// The resolver's answer.
    ///
    /// # Errors
    /// For requests that are none, and packages of the base that the store has lost.
    pub(crate) fn solve(&self, goal: Goal<'_>) -> CommandResult<Solve> {
        match (goal, self.store) {
            (Goal::Update(base) | Goal::Move(base, _), Some(store)) => {
                self.solve_on(store, base, &self.request(goal)?)
            }
            (Goal::Rebuild(base), Some(store)) => self.solve_with_held(store, base, goal),
            _ => self.ask(&self.views(), None, &self.request(goal)?),
        }
    }

    fn solve_on(
        &self,
        store: &Store,
        base: &VersionRecord,
        request: &Request,
    ) -> CommandResult<Solve> {
        let bytes = installed_index(store, base)?;
        let index = Index::access(&bytes).map_err(|error| CommandError::new(Kind::Bug, error))?;
        let lock = &base.lock;
        self.ask(&self.views(), Some(&Installed { index, lock }), request)
    }

    /// From nothing; a held package may be one that only this node still has.
    fn solve_with_held(
        &self,
        store: &Store,
        base: &VersionRecord,
        goal: Goal<'_>,
    ) -> CommandResult<Solve> {
        let holds = self.holds()?;
        let is_held =
            |package: &&LockedPackage| holds.iter().any(|hold| hold.matches(&package.name));
        let held: Vec<_> = base.lock.packages.iter().filter(is_held).collect();
        let family = self.template.family;
        let own =
            sources::own_packages(Some(store), self.repositories, family, held.iter().copied())?;
        let sources = Sources::new(Some(store), self.repositories, family, &own)?;
        let mut request = self.request(goal)?;
        request.fixed = held
            .iter()
            .map(|package| (package.name.to_string(), package.version.clone()))
            .collect();
        let solve = self.ask(&sources.views(), None, &request)?;
        Ok(match solve {
            Solve::Solved(transaction) => Solve::Solved(sources.without_own_name(transaction)),
            Solve::Impossible(conflict) => Solve::Impossible(conflict),
        })
    }

    fn views(&self) -> Vec<vzpkg_resolver::Repository<'_>> {
        self.repositories.iter().map(view).collect()
    }

    fn ask(
        &self,
        views: &[vzpkg_resolver::Repository<'_>],
        installed: Option<&Installed<'_>>,
        request: &Request,
    ) -> CommandResult<Solve> {
        let family = self.template.family;
        let arch = self.template.arch.in_family(family);
        Ok(vzpkg_resolver::resolve(
            family, &arch, views, installed, request,
        )?)
    }

    /// The steps to a goal.
    ///
    /// # Errors
    /// [`Kind::Unmet`] with the tree of reasons where it cannot be met; else as [`Self::solve`].
    pub(crate) fn transaction(&self, goal: Goal<'_>) -> CommandResult<Transaction> {
        match self.solve(goal)? {
            Solve::Solved(transaction) => Ok(transaction),
            Solve::Impossible(conflict) => {
                let name = &self.template.name;
                let text =
                    format!("the packages of `{name}` cannot be installed together\n{conflict}");
                Err(CommandError::message(Kind::Unmet, text.trim_end()))
            }
        }
    }

    fn request(&self, goal: Goal<'_>) -> CommandResult<Request> {
        let wanted = wanted::of(self.template, self.repositories)?;
        let request = Request {
            holds: self.holds()?.iter().map(ToString::to_string).collect(),
            recommends: self.context.settings.recommends,
            best: self.context.settings.best,
            allow_erasing: self.context.settings.allow_erasing,
            install_only: InstallOnly::usual(),
            modules: wanted.modules,
            ..Request::default()
        };
        let upgrade = match goal {
            // Only what is named moves: what else the template wants by now, or needs no more, waits for an update of all.
            Goal::Move(_, targets) => {
                let upgrade = Upgrade::Only(targets.to_vec());
                return Ok(Request { upgrade, ..request });
            }
            Goal::Update(_) => Upgrade::All,
            Goal::Bootstrap | Goal::Rebuild(_) => Upgrade::None,
        };
        Ok(Request {
            install: wanted.install,
            if_present: wanted.if_present,
            upgrade,
            essential: self.template.family == Family::Deb,
            autoremove: true,
            ..request
        })
    }

    /// What is held now.
    fn holds(&self) -> CommandResult<Vec<PackagePattern>> {
        let Some(store) = self.store else {
            return Ok(Vec::new());
        };
        let holds = store.db.holds(&self.template.name)?;
        let active = holds
            .into_iter()
            .filter(|hold| hold.is_active(self.context.clock.now));
        Ok(active.map(|hold| hold.pattern).collect())
    }
}

/// A repository as the resolver sees it.
pub(crate) fn view(repository: &Repository) -> vzpkg_resolver::Repository<'_> {
    vzpkg_resolver::Repository {
        id: repository.id.clone(),
        index: repository.index.as_index(),
        priority: repository.priority.unwrap_or(DEFAULT_PRIORITY),
        excludes: repository.excludes.clone(),
        hotfixes: repository.hotfixes,
        automatic: repository.automatic,
    }
}

/// The index of what a version holds, from the records in its packages' manifests.
pub(crate) fn installed_index(store: &Store, version: &VersionRecord) -> CommandResult<IndexBytes> {
    let mut builder = IndexBuilder::new(version.lock.family);
    for package in &version.lock.packages {
        let manifest = store
            .packages
            .get(&package.sha256)?
            .ok_or_else(|| missing(&package.sha256))?;
        let record = vzpkg_cache::import::record::record_of(&manifest)?;
        builder.add(&record);
    }
    builder
        .finish()
        .map_err(|error| CommandError::new(Kind::Bug, error))
}

fn missing(package: &Digest) -> CommandError {
    CommandError::message(
        Kind::Environment,
        format!("the manifest of package {package} is missing from the store"),
    )
    .hint("`vzpkg update --rebuild TEMPLATE` builds without it")
}
