//! Making the database again from the records of versions, after it was lost or damaged.
//!
//! From the records come templates, versions, numbers and heads (the newest version). What only the database knew
//! (marks, tags, holds, containers, ids) comes from the damaged one as far as that can be read. Containers have their own
//! files in their private areas.
//!
//! The old database goes aside first ([`super::aside`]) and gets its last name after everything was taken from it; until
//! then nobody else works with the new one. So killed anywhere, the next rebuild goes on, and no collection takes what the
//! new one does not name yet.

use super::db::{DatabaseError, Purpose, Salvaged};
use super::guard::{self, GuardError, GuardName, SilentWait, Wait};
use super::layout::Layout;
use super::version::{VersionError, VersionRecord};
use super::{Access, Guard, OpenError, Store, Versions, aside};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::{TemplateName, VersionName};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Versions that are in the database now and were not.
    pub restored: Vec<VersionName>,
    /// Records that were not taken, each with the reason.
    pub skipped: Vec<(VersionName, &'static str)>,
    /// Files of records that cannot be understood, each with what is wrong. Nothing else knows what their versions are
    /// made of; the next collection takes those that the database does not name.
    pub unreadable: Vec<(PathBuf, String)>,
    /// What was taken from a damaged database.
    pub salvaged: Vec<Salvaged>,
    /// Where that one is now.
    pub damaged: Option<PathBuf>,
}

/// Why the database was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A record cannot be read from the disk, or is of a newer vzpkg.
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

/// Opens the store below `root`; a database that is damaged or lost is replaced by one made from the records and from what
/// can be read of the old one, which is kept. A sound one only gets the versions that it lacks.
///
/// # Errors
/// [`RebuildError`]; [`RebuildError::Guard`] if somebody works on the store.
pub fn rebuild(root: &Path, now: i64) -> Result<(Store, RebuildReport), RebuildError> {
    let layout = Layout::new(root);
    super::make_directories(&layout)?;
    // Until the new database has everything, and names it to a collection.
    let _nobody = guard::take_all(&layout)?;
    // All that may be refused is before the first change.
    let records = read_records(&Versions::new(layout.clone()))?;
    let store = match Store::open_for(root, Access::ReadWrite, Purpose::Rebuild) {
        Ok(store) if is_sound(&store)? => store,
        Ok(store) => {
            drop(store);
            replace(&layout)?
        }
        Err(OpenError::Database(error)) if error.is_damage() => replace(&layout)?,
        Err(error) => return Err(error.into()),
    };
    let mut report = store.restore(&records.readable)?;
    report.unreadable = records.unreadable;
    if aside::has_content(&layout) {
        report.salvaged = store.db.salvage(&layout.database_aside())?;
    }
    report.damaged = aside::finish(&layout, now)?;
    Ok((store, report))
}

fn is_sound(store: &Store) -> Result<bool, DatabaseError> {
    match store.db.check() {
        Ok(problems) => Ok(problems.is_empty()),
        Err(error) if error.is_damage() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts an empty database in the place of the one that is there, or was.
fn replace(layout: &Layout) -> Result<Store, RebuildError> {
    {
        let _migrating = Guard::take(layout, GuardName::Database, Wait::Never, &SilentWait)?;
        aside::put(layout)?;
    }
    let store = Store::open_for(layout.root(), Access::ReadWrite, Purpose::Rebuild)?;
    Ok(store)
}

/// Every record of the store.
struct Records {
    /// By name, and by age where several have one.
    readable: Vec<VersionRecord>,
    unreadable: Vec<(PathBuf, String)>,
}

/// A damaged record is no reason to leave the others; one that a disk does not give now, or that another vzpkg reads, is:
/// what is left out goes with the next collection.
fn read_records(versions: &Versions) -> Result<Records, VersionError> {
    let mut records = Records {
        readable: Vec::new(),
        unreadable: Vec::new(),
    };
    for digest in versions.list()? {
        match versions.read_all(&digest) {
            Err(VersionError::Damaged { path, problem }) => {
                records.unreadable.push((path, problem));
            }
            found => records.readable.extend(found?),
        }
    }
    // A build that was killed between its record and its row left a record whose number was given again: the later one
    // counts.
    let key = |record: &VersionRecord| (record.name(), record.created);
    records.readable.sort_by_key(key);
    Ok(records)
}

impl Store {
    /// Adds every recorded version that has its image and is not in the database, in one transaction. Harmless on a
    /// sound store: a version that was removed comes back only if gc has not run since.
    fn restore(&self, records: &[VersionRecord]) -> Result<RebuildReport, RebuildError> {
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
        self.reserve_ids(records)?;
        Ok(report)
    }

    /// Registers the ids of every version that is in the database, also of those that a rebuild restored which was killed
    /// before it came to this.
    fn reserve_ids(&self, records: &[VersionRecord]) -> Result<(), DatabaseError> {
        let named: BTreeSet<_> = self.db.read("list versions", |session| {
            let rows = session.all_versions()?.into_iter();
            Ok(rows.map(|row| (row.name, row.digest)).collect())
        })?;
        // Oldest locks last: where two contradict each other, the newest names what containers have.
        let records = records.iter().rev();
        for record in records.filter(|record| named.contains(&(record.name(), record.digest))) {
            let template = os_template(&record.template);
            match self.db.reserve(&template, &record.lock.ids) {
                Ok(()) | Err(DatabaseError::IdClash(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
