//! One template updated: what `update` does once it knows which and how.

use super::documents::Documents;
use super::{Context, create_cache, print_plan};
use crate::error::CommandResult;
use crate::ops::build_version::{self, Builder, Files, Order};
use crate::ops::decide::{self, Decision, Wish};
use crate::ops::plan::Question;
use crate::ops::{as_of, names, node, refresh_index, rolled_back, saved};
use crate::output::Tone;
use crate::output::progress::Progress;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use vzpkg_cache::store::{GuardName, Published, Store, VersionRecord, VersionRow, VersionState};
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{ByteSize, TemplateName, VersionNumber};
use vzpkg_repo_client::Client;
use vzpkg_repo_client::mirror::Moment;

/// What is the same for every template of one command.
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    /// Where is told what became of the templates.
    pub(super) documents: &'a Documents<'a>,
    pub(super) store: &'a Store,
    pub(super) area: &'a TemplateArea,
    pub(super) wish: &'a Wish,
    /// Whether a version may be made again although it was rolled back.
    pub(super) again: bool,
    /// Where to keep the plan of a dry run.
    pub(super) save: Option<&'a Path>,
    /// Take packages from the past.
    pub(super) as_of: Option<&'a Moment>,
    pub(super) threads: usize,
}

/// What became of the head of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It stays where it is.
    Unchanged,
    /// It would move, but for `--dry-run`.
    Planned,
    /// It is another version now; it was this one before.
    Made { before: VersionNumber },
}

impl Job<'_> {
    /// Updates one template, or says what that would do.
    ///
    /// # Errors
    /// As the resolver's and the builder's; nothing is changed then.
    pub(super) fn run(&self, name: &TemplateName) -> CommandResult<Outcome> {
        let Self {
            context,
            store,
            area,
            ..
        } = *self;
        let started = Instant::now();
        let guard = GuardName::Template(name.clone());
        let _guard = node::guard_to_change(context, store, guard)?;
        let (_, location) = node::locate(area, name.as_str())?;
        let mut template = node::load(area, &location)?;
        let past = self
            .as_of
            .map(|moment| as_of::apply(context, &mut template, moment));
        let past = past.transpose()?.unwrap_or_default();
        let head = names::head(store, name)?;
        let base = store.versions.read(name, &head.digest)?;
        let progress = Arc::new(Progress::new(&context.settings, context.printer));
        let client = refresh_index::client_of_past(context, &progress, past);
        progress.stage("Reading", None);
        let repositories = refresh_index::load(&client, &template)?;
        progress.stage("Resolving", None);
        let question = Question {
            context,
            store: Some(store),
            template: &template,
            repositories: &repositories,
        };
        let decision = decide::decide(&question, store, &base, self.wish)?;
        progress.end_stage();
        self.tell(&decision);
        if decision.transaction.is_empty() {
            self.unchanged(&head);
            return self.leave(&question, &base, decision);
        }
        let on = (!decision.from_nothing).then_some(&base);
        let result = rolled_back::lock_after(&template, on, &decision.transaction);
        if let Some(bad) = rolled_back::find(store, &template, &result)? {
            if self.again {
                return self.take_again(&question, &base, &decision, &bad);
            }
            self.left_alone(&bad);
            return self.leave(&question, &base, decision);
        }
        let files = Files::of(template.family, !decision.from_nothing);
        let download = build_version::to_download(store, &decision.transaction, files);
        let changes = super::history::changes(&decision.transaction);
        let what = format_args!("{name}: {changes} ({download} to download)");
        context.printer.status(Tone::Plain, "Resolved", what);
        if context.settings.dry_run {
            return self.plan(&question, &base, &decision, download);
        }
        let published = self.build(&question, &client, &progress, &base, &decision)?;
        create_cache::announce(self.documents, &published, started);
        Ok(self.tell_way_back(&head, &published))
    }

    /// What is not in the transaction, and why.
    fn tell(&self, decision: &Decision) {
        let printer = self.context.printer;
        for held in &decision.held {
            printer.status(Tone::Plain, "Held back", held);
        }
        for package in &decision.left_out {
            let what = format_args!("{package}: it does not fit to the rest");
            printer.status(Tone::Warning, "Left out", what);
        }
    }

    /// The plan of a dry run, printed and kept.
    fn plan(
        &self,
        question: &Question<'_>,
        base: &VersionRecord,
        decision: &Decision,
        download: ByteSize,
    ) -> CommandResult<Outcome> {
        let Decision {
            transaction, held, ..
        } = decision;
        let (documents, template) = (self.documents, question.template);
        print_plan::print(documents, template, transaction, download, held);
        self.save(question, base, decision)?;
        Ok(Outcome::Planned)
    }

    /// Nothing is done, for the reason that was told. That is a plan, too: whoever asked for it must not find an older one.
    fn leave(
        &self,
        question: &Question<'_>,
        base: &VersionRecord,
        decision: Decision,
    ) -> CommandResult<Outcome> {
        if self.context.settings.dry_run {
            let nothing = Decision {
                transaction: print_plan::nothing(question.template.family),
                ..decision
            };
            self.plan(question, base, &nothing, ByteSize::default())?;
        } else {
            self.documents.add(|| create_cache::document(base, false));
        }
        Ok(Outcome::Unchanged)
    }

    /// Keeps the plan where that was asked for.
    fn save(
        &self,
        question: &Question<'_>,
        base: &VersionRecord,
        decision: &Decision,
    ) -> CommandResult {
        let Some(path) = self.save else {
            return Ok(());
        };
        saved::write(path, question.template, base, decision)?;
        let printer = self.context.printer;
        let what = format_args!("the plan in {}", path.display());
        printer.status(Tone::Good, "Saved", what);
        if !decision.transaction.is_empty() {
            let again = if self.again { " --again" } else { "" };
            let command = format_args!("vzpkg update --plan {}{again}", path.display());
            printer.note(format_args!("{:>12} carry it out: {command}", ""));
        }
        Ok(())
    }

    fn unchanged(&self, head: &VersionRow) {
        let printer = self.context.printer;
        let why = match self.wish {
            Wish::Only(_) => "of these packages there is nothing newer that is not in it",
            Wish::Security => "there is no security update for it that fits",
            Wish::ToLock(_) => "it has the packages of the lock",
            Wish::Everything | Wish::Rebuild | Wish::Plan(_) => "is up to date",
        };
        let joint = if why.starts_with("is ") { " " } else { ": " };
        let what = format_args!("{}{joint}{why}", head.name);
        printer.status(Tone::Plain, "Unchanged", what);
    }

    fn build(
        &self,
        question: &Question<'_>,
        client: &Client,
        progress: &Progress,
        base: &VersionRecord,
        decision: &Decision,
    ) -> CommandResult<Published> {
        let order = Order {
            template: question.template,
            repositories: question.repositories,
            base: (!decision.from_nothing).then(|| base.as_base()),
            parent: Some(base.digest),
            transaction: &decision.transaction,
            epoch: decision.epoch,
            ids: &decision.ids,
            threads: self.threads,
            why: &decision.why,
        };
        let builder = Builder {
            context: self.context,
            store: self.store,
            client,
            progress,
        };
        builder.publish(&order)
    }

    /// What became of the head, told with the command that takes it back.
    fn tell_way_back(&self, head: &VersionRow, published: &Published) -> Outcome {
        let (before, after) = (head.name.number, published.record().number);
        if before == after {
            return Outcome::Unchanged;
        }
        let printer = self.context.printer;
        let template = &head.name.template;
        if matches!(published, Published::Unchanged(_)) {
            let what = format_args!("{template} from @{before} to @{after}");
            printer.status(Tone::Good, "Moved", what);
        }
        printer.undo(format_args!("vzpkg rollback {template} --to {before}"));
        Outcome::Made { before }
    }

    /// What an update would make is there and was rolled back: it is left alone.
    fn left_alone(&self, bad: &VersionRow) {
        let printer = self.context.printer;
        let template = &bad.name.template;
        let why = rolled_back::describe(bad);
        let what = format!("{template}: nothing to do, an update would make {why}");
        printer.status(Tone::Plain, "Unchanged", what);
        let command = match self.wish {
            Wish::Everything => format!("vzpkg update {template} --again"),
            _ => "the same with --again".to_owned(),
        };
        printer.note(format_args!("{:>12} take it all the same: {command}", ""));
    }

    /// The same, but it is made the head again. Nothing is to be downloaded.
    fn take_again(
        &self,
        question: &Question<'_>,
        base: &VersionRecord,
        decision: &Decision,
        bad: &VersionRow,
    ) -> CommandResult<Outcome> {
        let printer = self.context.printer;
        let template = &bad.name.template;
        let (from, to) = (base.number, bad.name.number);
        let moved = format!("{template} from @{from} to @{to} again");
        if self.context.settings.dry_run {
            printer.status(Tone::Plain, "Would move", moved);
            return self.plan(question, base, decision, ByteSize::default());
        }
        let record = self.store.versions.read(template, &bad.digest)?;
        self.store.db.set_state(&bad.name, &VersionState::Good)?;
        self.store.db.set_head(&bad.name)?;
        printer.status(Tone::Good, "Moved", moved);
        printer.undo(format_args!("vzpkg rollback {template} --to {from}"));
        self.documents
            .add(|| create_cache::document(&record, false));
        Ok(Outcome::Made { before: from })
    }
}
