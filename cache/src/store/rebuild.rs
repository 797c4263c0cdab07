//! Making the database again from the records of versions, after it was lost or damaged.
//!
//! From the records come templates, versions, numbers and heads (the newest version). What only the database knew
//! (marks, tags, holds, containers, ids) comes from the damaged one as far as that can be read. Containers have their own
//! files in their private areas.
//!
//! A damaged database is first linked under the name `state.db.aside`, then removed from its place; it gets its last name
//! after everything was taken from it. So killed anywhere, the next rebuild goes on.

use super::db::{DatabaseError, Salvaged};
use super::guard::{self, GuardError};
use super::layout::Layout;
use super::version::{VersionError, VersionRecord};
use super::{Access, OpenError, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::{TemplateName, VersionName};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Versions that are in the database now and were not.
    pub restored: Vec<VersionName>,
    /// Records that were not taken, each with the reason.
    pub skipped: Vec<(VersionName, &'static str)>,
    /// What was taken from a damaged database.
    pub salvaged: Vec<Salvaged>,
    /// Where that one is now.
    pub damaged: Option<PathBuf>,
}

/// Why the database was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A record cannot be read.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The store cannot be opened for another reason than damage.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Somebody uses the database that is to be replaced.
    #[error("the database cannot be replaced now")]
    Guard(#[from] GuardError),
    /// A file cannot be linked or renamed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Opens the store below `root`; a damaged database is replaced by one made from the records and from what can be read of
/// the old one, which is kept. A sound one only gets the versions that it lacks.
///
/// # Errors
/// [`RebuildError`]; [`RebuildError::Guard`] if somebody works on the store.
pub fn rebuild(root: &Path, now: i64) -> Result<(Store, RebuildReport), RebuildError> {
    let layout = Layout::new(root);
    let store = match Store::open(root, Access::ReadWrite) {
        Ok(store) if is_sound(&store)? => store,
        Ok(store) => {
            drop(store);
            put_aside(&layout)?;
            Store::open(root, Access::ReadWrite)?
        }
        Err(OpenError::Database(error)) if error.is_damage() => {
            put_aside(&layout)?;
            Store::open(root, Access::ReadWrite)?
        }
        Err(error) => return Err(error.into()),
    };
    let mut report = store.rebuild_database()?;
    let aside = layout.database_aside();
    if aside.exists() {
        report.salvaged = store.db.salvage(&aside)?;
        let damaged = layout.database_damaged(now);
        for ending in ["-wal", "-shm", ""] {
            let from = with_ending(&aside, ending);
            if from.exists() {
                durable::publish(&from, &with_ending(&damaged, ending))?;
            }
        }
        report.damaged = Some(damaged);
    }
    Ok((store, report))
}

fn is_sound(store: &Store) -> Result<bool, DatabaseError> {
    match store.db.check() {
        Ok(problems) => Ok(problems.is_empty()),
        Err(error) if error.is_damage() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Moves the database out of the way. One that was moved before, and never finished with, has more in it and stays.
fn put_aside(layout: &Layout) -> Result<(), RebuildError> {
    let _nobody = guard::take_all(layout)?;
    let (path, aside) = (layout.database(), layout.database_aside());
    let endings = ["", "-wal"];
    if !aside.exists() {
        for ending in endings {
            let (from, to) = (with_ending(&path, ending), with_ending(&aside, ending));
            match fs::hard_link(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(FileError::on("link", to))?,
            }
        }
        durable::sync_parent(&aside)?;
    }
    for ending in ["", "-wal", "-shm"] {
        durable::remove_file(&with_ending(&path, ending))?;
    }
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Store {
    /// Adds every recorded version that has its image and is not in the database, in one transaction. Harmless on a
    /// sound store: a version that was removed comes back only if gc has not run since.
    ///
    /// # Errors
    /// [`RebuildError`]; the database is then as it was.
    pub fn rebuild_database(&self) -> Result<RebuildReport, RebuildError> {
        let mut records = Vec::new();
        for digest in self.versions.list()? {
            records.extend(self.versions.read_all(&digest)?);
        }
        // A build that was killed between its record and its row left a record whose number was given again: the
        // later one counts.
        records.sort_by_key(|record| (record.name(), record.created));
        let report = self.db.write("restore versions", |session| {
            let mut report = RebuildReport::default();
            let rows = session.all_versions()?;
            let rows: BTreeSet<VersionName> = rows.into_iter().map(|row| row.name).collect();
            let mut restored = BTreeSet::new();
            let mut newest: BTreeMap<TemplateName, VersionName> = BTreeMap::new();
            for record in records.iter().rev() {
                let name = record.name();
                if rows.contains(&name) {
                    continue;
                }
                if let Some(why) = self.why_not(record, restored.contains(&name)) {
                    report.skipped.push((name, why));
                    continue;
                }
                session.insert_version(record.number, record)?;
                let head = newest.entry(record.template.clone());
                head.or_insert_with(|| name.clone());
                restored.insert(name);
            }
            for (template, name) in newest {
                if session.head(&template)?.is_none() {
                    session.set_head(&name)?;
                }
            }
            report.restored.extend(restored);
            Ok(report)
        })?;
        let restored = records.iter().rev();
        for record in restored.filter(|record| report.restored.contains(&record.name())) {
            // Oldest locks last: where two contradict each other, the newest names what containers have.
            match self
                .db
                .reserve(&os_template(&record.template), &record.lock.ids)
            {
                Ok(()) | Err(DatabaseError::IdClash(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(report)
    }

    /// Why a record that has no row is not restored; `None` if it is.
    fn why_not(&self, record: &VersionRecord, taken: bool) -> Option<&'static str> {
        if taken {
            Some("a later record has its number")
        } else if self.images.contains(&record.digest) {
            None
        } else {
            Some("its image is missing")
        }
    }
}

/// The OS template of an application template `OS/APPLICATION`; of any other, itself.
fn os_template(template: &TemplateName) -> TemplateName {
    let os = template.as_str().split('/').next().unwrap_or_default();
    os.parse().unwrap_or_else(|_error| template.clone())
}
