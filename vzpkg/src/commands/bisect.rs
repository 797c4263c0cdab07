//! `vzpkg bisect T --good A --bad B --test COMMAND`: the version, then the package, that made something fail.

use super::Context;
use crate::cli::Bisect;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::bisect::mixed::Way;
use crate::ops::bisect::trial::Trial;
use crate::ops::bisect::{self, Verdict};
use crate::ops::build_version::{self, Order};
use crate::ops::{containers, names, node, refresh_index};
use crate::output::Tone;
use crate::output::progress::Progress;
use std::cell::RefCell;
use std::sync::Arc;
use vzpkg_cache::store::{Store, VersionRecord, VersionRow};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{Action, Step};
use vzpkg_repo_client::{Client, Repository};

pub(super) fn run(context: &Context, arguments: &Bisect) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let (name, location) = node::locate(&area, &arguments.template)?;
    let template = node::load(&area, &location)?;
    let good = names::version_of(&store, &area, &name, &arguments.good)?;
    let bad = names::version_of(&store, &area, &name, &arguments.bad)?;
    let versions = between(&store, &good, &bad)?;
    if context.settings.dry_run {
        let rounds = versions.len().ilog2() + 2;
        let what = format_args!(
            "{} versions of {name} after @{} up to @{}, in about {rounds} trials, then packages",
            versions.len(),
            good.name.number,
            bad.name.number
        );
        context.printer.status(Tone::Plain, "Would test", what);
        return Ok(());
    }
    let progress = Progress::new(&context.settings, context.printer);
    let progress = Arc::new(progress);
    let client = refresh_index::client(context, &progress);
    let search = Search {
        context,
        store: &store,
        template: &template,
        client: &client,
        progress: &progress,
        threads: arguments.threads.unwrap_or(context.settings.threads),
        trial: Trial {
            context,
            store: &store,
            template: &template,
            runtime: &containers::runtime(context)?,
            command: &arguments.test,
        },
        told: RefCell::default(),
    };
    search.trial.sweep()?;
    search.run(&good, &versions)
}

/// The versions after `good` up to `bad`, oldest first: the line of parents, if that leads from one to the other; else by
/// number.
fn between(store: &Store, good: &VersionRow, bad: &VersionRow) -> CommandResult<Vec<VersionRow>> {
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

/// One search.
struct Search<'a> {
    context: &'a Context,
    store: &'a Store,
    template: &'a Template,
    client: &'a Client,
    progress: &'a Progress,
    threads: usize,
    trial: Trial<'a>,
    /// What was tried, for JSON.
    told: RefCell<Vec<serde_json::Value>>,
}

impl Search<'_> {
    fn run(&self, good: &VersionRow, versions: &[VersionRow]) -> CommandResult {
        self.check_ends(good, versions)?;
        let found = bisect::first_bad(versions.len(), &mut |at| self.judge_version(&versions[at]))?;
        let suspects = &versions[found.clone()];
        let before = found
            .start()
            .checked_sub(1)
            .map_or(good, |at| &versions[at]);
        let packages = match suspects.last() {
            Some(bad) => self.packages(before, bad)?,
            None => Vec::new(),
        };
        self.tell(suspects, &packages);
        Ok(())
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
        self.say(&version.name.to_string(), verdict);
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
        let found = bisect::first_bad(way.blocks.len(), &mut |at| {
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
        let Self {
            context,
            store,
            client,
            progress,
            ..
        } = self;
        let verdict = match build_version::build_base(context, store, client, progress, &order) {
            Ok(made) => self.trial.judge(&made.digest)?,
            Err(error) if error.kind == Kind::Script => {
                context
                    .printer
                    .warning(format_args!("it cannot be built: {}", error.source));
                Verdict::Skip
            }
            Err(error) => return Err(error),
        };
        self.say(&what, verdict);
        Ok(verdict)
    }

    fn say(&self, what: &str, verdict: Verdict) {
        let tone = match verdict {
            Verdict::Good => Tone::Good,
            Verdict::Bad => Tone::Bad,
            Verdict::Skip => Tone::Warning,
        };
        let word = match verdict {
            Verdict::Good => "Good",
            Verdict::Bad => "Bad",
            Verdict::Skip => "Skipped",
        };
        self.context.printer.status(tone, word, what);
        let told = serde_json::json!({ "what": what, "verdict": verdict.word() });
        self.told.borrow_mut().push(told);
    }

    fn tell(&self, suspects: &[VersionRow], packages: &[Step]) {
        let printer = self.context.printer;
        let names: Vec<String> = suspects.iter().map(|row| row.name.to_string()).collect();
        if printer.is_json() {
            printer.json("bisect", serde_json::json!({
                "template": self.template.name, "versions": names, "packages": packages, "tried": *self.told.borrow(),
            }));
            return;
        }
        printer.result(match names.as_slice() {
            [name] => format!("{name} is the first bad version"),
            _ => format!("the first bad version is one of {}", names.join(", ")),
        });
        printer.result(match packages {
            [] => {
                "its packages are those of the version before; the template or its scripts differ"
                    .to_owned()
            }
            [step] => format!("what makes it bad: {}", describe(step)),
            steps => {
                let steps: Vec<String> = steps.iter().map(describe).collect();
                format!("what makes it bad is among: {}", steps.join(", "))
            }
        });
        if let [step] = packages
            && matches!(step.action, Action::Upgrade { .. })
        {
            let (template, name) = (&self.template.name, &step.package.name);
            let hint = format_args!(
                "{:>12} keep the old one: vzpkg hold {template} '{name}'",
                ""
            );
            printer.note(hint);
        }
    }
}

/// `hello 1 -> 2`, `hello 2, new`, `hello 1, removed`
fn describe(step: &Step) -> String {
    let (name, version) = (&step.package.name, &step.package.version);
    match &step.action {
        Action::Install => format!("{name} {version}, new"),
        Action::Remove => format!("{name} {version}, removed"),
        Action::Upgrade { from } | Action::Downgrade { from } => {
            format!("{name} {from} -> {version}")
        }
    }
}
