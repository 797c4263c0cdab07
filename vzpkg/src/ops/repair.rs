//! Bringing back what is damaged in the store: from package files that are here or in the repositories, and by building
//! trees again from their locks.
//!
//! A package that brought a damaged object, or whose manifest is damaged, is imported again. What no package brought was
//! made by a build: then the versions that have it are built again, oldest first, and must come out with the digest they
//! had; nothing new is published. A version's record and the database have no second copy and are not repaired here.

use super::build_version::{self, Builder, Order};
use super::{node, refresh_index};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::Tone;
use crate::output::progress::Progress;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use vzpkg_cache::import::{self, Fetched};
use vzpkg_cache::store::{Finding, Store, VersionRecord};
use vzpkg_metadata::template::{Template, TemplateArea};
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::{Digest, Family, TemplateName};
use vzpkg_repo_client::{Client, Repository, Wanted};

/// A repair that is under way.
pub(crate) struct Repair<'a> {
    context: &'a Context,
    store: &'a Store,
    area: &'a TemplateArea,
    progress: Arc<Progress>,
    client: Rc<Client>,
    /// Of each template, read once if something must be fetched.
    repositories: BTreeMap<TemplateName, Vec<Repository>>,
    /// Every version, oldest first.
    records: Vec<VersionRecord>,
}

impl<'a> Repair<'a> {
    /// Reads what versions there are; one whose record is damaged is left out.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub(crate) fn new(
        context: &'a Context,
        store: &'a Store,
        area: &'a TemplateArea,
    ) -> CommandResult<Self> {
        let mut records = Vec::new();
        for template in store.db.templates()? {
            for row in store.db.versions(&template.name)? {
                records.extend(store.versions.read(&template.name, &row.digest).ok());
            }
        }
        records.sort_by_key(|record| (record.created, record.number));
        let progress = Arc::new(Progress::new(&context.settings, context.printer));
        let client = Rc::new(refresh_index::client(context, &progress));
        Ok(Self {
            context,
            store,
            area,
            progress,
            client,
            repositories: BTreeMap::new(),
            records,
        })
    }

    /// Imports again what packages brought. Says what it did; what it could not do it says too, and goes on.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub(crate) fn packages(&mut self, findings: &[Finding]) -> CommandResult {
        let mut wanted = self.store.packages_with(&objects(findings))?;
        for finding in findings {
            if let Finding::Manifest { package, .. } = finding {
                self.store.discard_manifest(package)?;
                if self.known(package).is_some() {
                    wanted.insert(*package);
                } else {
                    let what = format!("manifest {}, which no version needs", package.short());
                    self.context.printer.status(Tone::Good, "Removed", what);
                }
            }
        }
        for package in wanted {
            self.report(|this| this.import_again(&package))?;
        }
        Ok(self.store.sync()?)
    }

    /// Builds again the versions whose image is damaged, or that name an object which no package brought.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub(crate) fn versions(&mut self, findings: &[Finding]) -> CommandResult {
        let objects = objects(findings);
        let images: BTreeSet<Digest> = findings.iter().filter_map(image).collect();
        let mut done = BTreeSet::new();
        for record in self.records.clone() {
            let damaged =
                images.contains(&record.digest) || self.store.tree_has(&record.digest, &objects);
            if damaged && done.insert(record.digest) {
                self.store.discard_swapped_image(&record.digest)?;
                self.report(|this| this.build_again(&record))?;
            }
        }
        Ok(self.store.sync()?)
    }

    /// A failure of one thing does not end the others; an interrupt does.
    fn report(&mut self, work: impl FnOnce(&mut Self) -> CommandResult<String>) -> CommandResult {
        node::check_interrupt(self.context)?;
        let printer = self.context.printer;
        match work(self) {
            Ok(what) => printer.status(Tone::Good, "Repaired", what),
            Err(error) => printer.warning(crate::output::render(&error)),
        }
        Ok(())
    }

    /// A package as the version that brought it knows it.
    fn known(&self, sha256: &Digest) -> Option<(Family, TemplateName, PackageRef)> {
        self.records.iter().rev().find_map(|record| {
            let mut steps = record.transaction.incoming();
            let step = steps.find(|step| step.package.sha256 == *sha256)?;
            let template = record.template.clone();
            Some((record.lock.family, template, step.package.clone()))
        })
    }

    fn import_again(&mut self, sha256: &Digest) -> CommandResult<String> {
        let (family, template, package) = self.known(sha256).ok_or_else(|| {
            let text = format!("no version says where package {sha256} came from");
            CommandError::message(Kind::Unmet, text).hint("vzpkg gc removes what nothing uses")
        })?;
        let wanted = self.wanted(&template, family, &package)?;
        for path in self.client.fetch(&[wanted])? {
            let package = package.clone();
            import::import_again(self.store, family, &Fetched { package, path })?;
        }
        Ok(format!("package {package}"))
    }

    fn build_again(&mut self, record: &VersionRecord) -> CommandResult<String> {
        if record.lock.committed.is_some() {
            let name = record.name();
            let text =
                format!("{name} was committed from a container, and nothing can make it again");
            return Err(CommandError::message(Kind::Unmet, text));
        }
        let (_, location) = node::locate(self.area, record.template.as_str())?;
        let template = node::load(self.area, &location)?;
        let base = match &record.lock.base {
            Some(base) => Some(self.store.versions.read(&record.template, base)?),
            None => None,
        };
        let found = self.build_tree(record, &template, base.as_ref())?;
        if found != record.digest {
            let text = format!(
                "`{}` was built again, but came out as tree {} instead of {}",
                record.name(),
                found.short(),
                record.digest.short()
            );
            return Err(CommandError::message(Kind::Verification, text).hint(
                "its template has changed since, or this vzpkg builds otherwise; `vzpkg update --rebuild` makes a new version",
            ));
        }
        Ok(format!("{}, built again from its lock", record.name()))
    }

    /// The tree that the lock of `record` makes now.
    fn build_tree(
        &mut self,
        record: &VersionRecord,
        template: &Template,
        base: Option<&VersionRecord>,
    ) -> CommandResult<Digest> {
        let order = Order {
            template,
            repositories: &[],
            base: base.map(|base| base.as_base()),
            parent: record.parent,
            transaction: &record.transaction,
            epoch: record.lock.epoch,
            ids: &record.lock.ids,
            threads: self.context.settings.threads(),
            why: &record.why,
        };
        let (client, progress) = (Rc::clone(&self.client), Arc::clone(&self.progress));
        let store = self.store;
        let builder = Builder {
            context: self.context,
            store,
            client: &client,
            progress: &progress,
        };
        let family = record.lock.family;
        let made = builder.tree_from(&order, &mut |files| {
            build_version::coming(store, &record.transaction, files)
                .map(|package| self.wanted(&record.template, family, package))
                .collect()
        })?;
        Ok(made.digest)
    }

    /// The file of a package: the one that is here and right, else from a repository that has its hash.
    fn wanted(
        &mut self,
        template: &TemplateName,
        family: Family,
        package: &PackageRef,
    ) -> CommandResult<Wanted> {
        let here = build_version::package_file(self.store, family, &package.sha256);
        if is_right(&here, package) {
            Ok(from(family, package.clone(), None))
        } else {
            self.offered(template, family, package)
        }
    }

    /// Where a package can be had now: wherever its hash is.
    fn offered(
        &mut self,
        template: &TemplateName,
        family: Family,
        package: &PackageRef,
    ) -> CommandResult<Wanted> {
        if !self.repositories.contains_key(template) {
            let (_, location) = node::locate(self.area, template.as_str())?;
            let loaded = node::load(self.area, &location)?;
            let repositories = refresh_index::load(&self.client, &loaded)?;
            self.repositories.insert(template.clone(), repositories);
        }
        for repository in &self.repositories[template] {
            for found in repository.index.as_index().by_name(package.name.as_str()) {
                let found = found.to_package_ref(&repository.id)?;
                if found.sha256 == package.sha256 {
                    return Ok(from(family, found, Some(repository)));
                }
            }
        }
        let text = format!("no repository of `{template}` has {package} any more");
        Err(CommandError::message(Kind::Unmet, text).hint(format!(
            "put the file with sha256 {} into {}, or name a mirror that has it in the template's `repositories`",
            package.sha256,
            self.store.layout.packages().display()
        )))
    }
}

/// A package file that this repository has; one that is here already without any.
pub(crate) fn from(family: Family, package: PackageRef, repository: Option<&Repository>) -> Wanted {
    Wanted {
        package,
        family,
        base_urls: repository.map_or_else(Vec::new, |of| of.base_urls.clone()),
        package_keys: repository.and_then(|of| of.package_keys.clone()),
    }
}

/// Whether the file of a package is here with the bytes of its hash.
pub(crate) fn is_right(path: &std::path::Path, package: &PackageRef) -> bool {
    let mut hasher = vzpkg_metadata::digest::Hasher::new();
    let copied =
        std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
    copied.is_ok() && hasher.finish() == package.sha256
}

/// The objects that findings are about.
fn objects(findings: &[Finding]) -> BTreeSet<Digest> {
    let object = |finding: &Finding| match finding {
        Finding::ObjectMissing(digest)
        | Finding::ObjectDamaged { digest, .. }
        | Finding::ObjectSize { digest, .. }
        | Finding::ObjectUnreadable { digest, .. } => Some(*digest),
        Finding::Image { .. }
        | Finding::Manifest { .. }
        | Finding::Version { .. }
        | Finding::Database { .. } => None,
    };
    findings.iter().filter_map(object).collect()
}

fn image(finding: &Finding) -> Option<Digest> {
    match finding {
        Finding::Image { digest, .. } => Some(*digest),
        _ => None,
    }
}
