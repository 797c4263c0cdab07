//! The whole search: versions first, then the packages between the last good one and the first bad one.

use super::mixed::Way;
use super::trial::Trial;
use super::{Verdict, first_bad};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::build_version::{Builder, Order};
use crate::ops::refresh_index;
use crate::output::progress::Progress;
use vzpkg_cache::store::{Store, VersionRecord, VersionRow};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{Action, Step};
use vzpkg_repo_client::{Client, Repository};

/// One search.
pub(crate) struct Search<'a> {
    pub(crate) context: &'a Context,
    pub(crate) store: &'a Store,
    pub(crate) template: &'a Template,
    pub(crate) client: &'a Client,
    pub(crate) progress: &'a Progress,
    pub(crate) threads: usize,
    pub(crate) trial: Trial<'a>,
    /// Hears what was tried, and what came of it.
    pub(crate) tried: &'a dyn Fn(&str, Verdict),
}

/// What is bad.
#[derive(Debug)]
pub(crate) struct Found {
    /// The first bad version is one of these: the others could not be judged.
    pub(crate) versions: Vec<VersionRow>,
    /// What makes it bad is among these changes; none where its packages are those of the version before.
    pub(crate) packages: Vec<Step>,
}

/// The versions after `good` up to `bad`, oldest first: the line of parents, if that leads from one to the other; else by
/// number.
///
/// # Errors
/// [`Kind::Usage`] where `good` is not older.
pub(crate) fn between(
    store: &Store,
    good: &VersionRow,
    bad: &VersionRow,
) -> CommandResult<Vec<VersionRow>> {
    let template = &good.name.template;
    if good.name.number >= bad.name.number {
        let text = format!("`{}` is not older than `{}`", good.name, bad.name);
        return Err(CommandError::message(Kind::Usage, text)
            .hint(format!("vzpkg history {template} lists them, newest first")));
    }
    let rows = store.db.versions(template)?;
    let mut line = vec![bad.clone()];
    while let Some(parent) = line.last().and_then(|row| row.parent) {
        if parent == good.digest {
            line.reverse();
            return Ok(line);
        }
        let is_older = |row: &&VersionRow| {
            let child = line.last().map(|child| child.name.number);
            row.digest == parent && Some(row.name.number) < child
        };
        let Some(row) = rows.iter().find(is_older) else {
            break;
        };
        line.push(row.clone());
    }
    let numbers = good.name.number..=bad.name.number;
    let mut rows: Vec<VersionRow> = rows
        .into_iter()
        .filter(|row| row.name != good.name && numbers.contains(&row.name.number))
        .collect();
    rows.sort_by_key(|row| row.name.number);
    Ok(rows)
}

impl Search<'_> {
    /// Finds what is bad among `versions`, which come after `good`; the last of them is.
    ///
    /// # Errors
    /// [`Kind::Unmet`] where the test does not tell the ends apart, and for packages that are nowhere any more; as
    /// [`Trial::judge`].
    pub(crate) fn run(&self, good: &VersionRow, versions: &[VersionRow]) -> CommandResult<Found> {
        self.trial.sweep()?;
        self.check_ends(good, versions)?;
        let found = first_bad(versions.len(), &mut |at| self.judge_version(&versions[at]))?;
        let suspects = &versions[found.clone()];
        let before = found
            .start()
            .checked_sub(1)
            .map_or(good, |at| &versions[at]);
        let packages = match suspects.last() {
            Some(bad) => self.packages(before, bad)?,
            None => Vec::new(),
        };
        Ok(Found {
            versions: suspects.to_vec(),
            packages,
        })
    }

    /// The test must tell the two versions apart that the user named.
    fn check_ends(&self, good: &VersionRow, versions: &[VersionRow]) -> CommandResult {
        for (version, wanted) in [(Some(good), Verdict::Good), (versions.last(), Verdict::Bad)] {
            let Some(version) = version else { continue };
            let found = self.judge_version(version)?;
            if found != wanted {
                let (name, wanted, found) = (&version.name, wanted.word(), found.word());
                let text = format!("`{name}` should be {wanted}, but the test says {found}");
                return Err(CommandError::message(Kind::Unmet, text).hint(
                    "try the test in a container of your own: vzpkg ct create, vzpkg ct exec",
                ));
            }
        }
        Ok(())
    }

    fn judge_version(&self, version: &VersionRow) -> CommandResult<Verdict> {
        let verdict = self.trial.judge(&version.digest)?;
        (self.tried)(&version.name.to_string(), verdict);
        Ok(verdict)
    }

    /// The changes from a good version to a bad one that make it bad: those of one package, if they fit in alone.
    fn packages(&self, good: &VersionRow, bad: &VersionRow) -> CommandResult<Vec<Step>> {
        let read = |row: &VersionRow| self.store.versions.read(&row.name.template, &row.digest);
        let (below, above) = (read(good)?, read(bad)?);
        let repositories = refresh_index::load(self.client, self.template)?;
        self.progress.end_stage();
        let way = Way::find(
            self.store,
            self.template,
            &repositories,
            &below.lock,
            &above.lock,
        )?;
        if way.blocks.is_empty() {
            return Ok(Vec::new());
        }
        let found = first_bad(way.blocks.len(), &mut |at| {
            self.judge_mix(&way, at + 1, &below, &above, &repositories)
        })?;
        Ok(way.blocks[found].concat())
    }

    /// Builds the good version with the first `count` blocks of changes, and tries it. What cannot be built says nothing.
    fn judge_mix(
        &self,
        way: &Way<'_>,
        count: usize,
        below: &VersionRecord,
        above: &VersionRecord,
        repositories: &[Repository],
    ) -> CommandResult<Verdict> {
        let last = way.blocks.get(count - 1).and_then(|block| block.last());
        let to = last.map_or_else(String::new, describe);
        let what = format!(
            "{} with {count} of {} changes, up to {to}",
            below.name(),
            way.blocks.len()
        );
        let transaction = way.transaction(count)?;
        let order = Order {
            template: self.template,
            repositories,
            base: Some(below.as_base()),
            parent: None,
            transaction: &transaction,
            epoch: above.lock.epoch,
            ids: &above.lock.ids,
            threads: self.threads,
            why: "bisect",
        };
        let builder = Builder {
            context: self.context,
            store: self.store,
            client: self.client,
            progress: self.progress,
        };
        let verdict = match builder.tree(&order) {
            Ok(made) => self.trial.judge(&made.digest)?,
            Err(error) if error.kind == Kind::Script => {
                let text = format_args!("{what} cannot be built: {}", error.source);
                self.context.printer.warning(text);
                Verdict::Skip
            }
            Err(error) => return Err(error),
        };
        (self.tried)(&what, verdict);
        Ok(verdict)
    }
}

/// `hello 1 -> 2`, `hello 2, new`, `hello 1, removed`
pub(crate) fn describe(step: &Step) -> String {
    let (name, version) = (&step.package.name, &step.package.version);
    match &step.action {
        Action::Install => format!("{name} {version}, new"),
        Action::Remove => format!("{name} {version}, removed"),
        Action::Upgrade { from } | Action::Downgrade { from } => {
            format!("{name} {from} -> {version}")
        }
    }
}
