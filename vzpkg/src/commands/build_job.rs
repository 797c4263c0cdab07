//! One template built from nothing or from a lock: what `create-cache` does once it knows what and where.

use super::documents::Documents;
use super::{Context, print_plan};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::build_version::{self, Builder, Order};
use crate::ops::plan::{self, Goal};
use crate::ops::replay::{self, Replay};
use crate::output::progress::Progress;
use crate::output::{Tone, counted};
use std::collections::BTreeMap;
use vzpkg_cache::build::Base;
use vzpkg_cache::store::{Published, Store};
use vzpkg_metadata::lock::{Ids, Lock};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{ByteSize, Digest};
use vzpkg_repo_client::{Client, Repository};

/// Of a build that no lock demands ids of.
static NO_IDS: BTreeMap<String, Ids> = BTreeMap::new();

/// One template to be built, with everything that takes.
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    /// Where plans of a dry run go.
    pub(super) documents: &'a Documents<'a>,
    pub(super) store: Option<&'a Store>,
    pub(super) template: &'a Template,
    pub(super) client: &'a Client,
    pub(super) progress: &'a Progress,
    pub(super) repositories: &'a [Repository],
    pub(super) threads: usize,
}

impl Job<'_> {
    /// Builds what the template asks for, newest; `None` for a dry run.
    ///
    /// # Errors
    /// As the resolver's and the builder's.
    pub(super) fn bootstrap(&self) -> CommandResult<Option<Published>> {
        let Self {
            context,
            template,
            repositories,
            ..
        } = self;
        let goal = Goal::Bootstrap;
        let transaction = plan::transaction(context, self.store, template, repositories, goal)?;
        self.progress.end_stage();
        build_version::check_not_empty(template, &transaction)?;
        self.resolved(&transaction);
        let epoch = build_version::epoch(context, repositories);
        let order = self.order(&transaction, epoch, &NO_IDS);
        self.build(&order)
    }

    /// Builds what `lock` says: the versions below it that are not here yet, then itself. Only the last becomes visible.
    ///
    /// # Errors
    /// [`Kind::Verification`] where a version below becomes another tree than the lock says; else as [`Self::bootstrap`].
    pub(super) fn replay(&self, lock: &Lock) -> CommandResult<Option<Published>> {
        let Replay { base, links } =
            replay::plan(self.store, self.template, self.repositories, lock)?;
        self.progress.end_stage();
        let mut below = base;
        let count = links.len();
        for (link, number) in links.into_iter().zip(1..) {
            if count > 1 {
                let what = format_args!("version {number} of {count} of the lock's chain");
                self.context.printer.status(Tone::Plain, "Replaying", what);
            }
            build_version::check_not_empty(self.template, &link.transaction)?;
            self.resolved(&link.transaction);
            let order = Order {
                base: below
                    .as_ref()
                    .map(|(tree, lock)| Base { tree: *tree, lock }),
                ..self.order(&link.transaction, link.lock.epoch, &link.lock.ids)
            };
            let Some(tree) = link.tree else {
                return self.build(&order);
            };
            let Some(store) = self.store_or_plan(&order) else {
                continue;
            };
            let made = self.builder(store).tree(&order)?;
            if made.digest != tree {
                return Err(self.other_tree(&made.digest, &tree));
            }
            below = Some((tree, link.lock));
        }
        Ok(None)
    }

    fn order<'o>(
        &'o self,
        transaction: &'o Transaction,
        epoch: i64,
        ids: &'o BTreeMap<String, Ids>,
    ) -> Order<'o> {
        Order {
            template: self.template,
            repositories: self.repositories,
            base: None,
            parent: None,
            transaction,
            epoch,
            ids,
            threads: self.threads,
            why: "create-cache",
        }
    }

    fn resolved(&self, transaction: &Transaction) {
        let incoming = transaction.incoming();
        let size: ByteSize = incoming.map(|step| step.package.installed_size).sum();
        let name = &self.template.name;
        let count = counted(transaction.steps.len(), "package");
        let what = format_args!("{name}: {count}, {size} to install");
        self.context.printer.status(Tone::Plain, "Resolved", what);
    }

    /// Builds and publishes, without moving the head back; shows what it would do in a dry run.
    fn build(&self, order: &Order<'_>) -> CommandResult<Option<Published>> {
        let Some(store) = self.store_or_plan(order) else {
            return Ok(None);
        };
        self.builder(store).publish_if_new(order).map(Some)
    }

    const fn builder<'b>(&'b self, store: &'b Store) -> Builder<'b> {
        Builder {
            context: self.context,
            store,
            client: self.client,
            progress: self.progress,
        }
    }

    /// The store to build in; in a dry run the plan is printed, and there is none.
    fn store_or_plan(&self, order: &Order<'_>) -> Option<&Store> {
        if let (Some(store), false) = (self.store, self.context.settings.dry_run) {
            return Some(store);
        }
        let files = order.files();
        let download = self.store.map_or_else(
            || order.transaction.download_size(),
            |store| build_version::to_download(store, order.transaction, files),
        );
        print_plan::print(
            self.documents,
            self.template,
            order.transaction,
            download,
            &[],
        );
        None
    }

    fn other_tree(&self, made: &Digest, wanted: &Digest) -> CommandError {
        let name = &self.template.name;
        let text = format!("a version below the lock's became tree {made}, not {wanted}");
        CommandError::message(Kind::Verification, text).hint(format!(
            "the template `{name}` is not the one that built it: its scripts or this vzpkg differ"
        ))
    }
}
