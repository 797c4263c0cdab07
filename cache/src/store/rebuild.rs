//! Making the database again from the records of versions, after it was lost.
//!
//! What comes back: templates, versions, numbers, heads (the newest version). What does not: marks, tags, holds,
//! containers and registered ids other than those that locks carry. Containers have their own files in their private areas.

use super::Store;
use super::db::DatabaseError;
use super::version::{VersionError, VersionRecord};
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::{TemplateName, VersionName};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Versions that are in the database now and were not.
    pub restored: Vec<VersionName>,
    /// Records that were not taken, each with the reason.
    pub skipped: Vec<(VersionName, &'static str)>,
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
