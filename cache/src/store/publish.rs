//! Publishing: the one moment in which a version becomes visible.
//!
//! Order: objects and images are written; one `syncfs`; manifests are put in place; then, inside one database
//! transaction, the record is written and the row inserted. Killed before the commit, nothing is visible and gc finds
//! rubbish; after it, everything is.

use super::Store;
use super::db::{DatabaseError, VersionState};
use super::version::{VersionDraft, VersionError, VersionRecord};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::{Digest, VersionNumber};

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// A new version, now the head.
    New(VersionRecord),
    /// The template has a version with this tree already; [`Store::publish`] has made it the head unless it is marked bad.
    Unchanged(VersionRecord),
}

impl Published {
    /// The version that has the tree.
    pub const fn record(&self) -> &VersionRecord {
        match self {
            Self::New(record) | Self::Unchanged(record) => record,
        }
    }
}

/// What becomes of a version that has the tree already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Equal {
    /// The head, unless it is marked bad.
    BecomesHead,
    /// The head only where there is none, and not if it is marked bad.
    StaysAsItIs,
}

/// Why a version was not published. Nothing became visible.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The image of its tree was not written.
    #[error("the image of tree {0} is missing")]
    NoImage(Digest),
    /// The store cannot be synced.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its record cannot be written.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Store {
    /// Makes a finished build visible as the next version of its template and its head.
    ///
    /// # Errors
    /// [`PublishError`]; the store then shows what it showed before.
    pub fn publish(&self, draft: VersionDraft) -> Result<Published, PublishError> {
        self.publish_or(draft, Equal::BecomesHead)
    }

    /// As [`Store::publish`], but where the template has a version with this tree already, its head stays where it is.
    ///
    /// # Errors
    /// As [`Store::publish`].
    pub fn publish_if_new(&self, draft: VersionDraft) -> Result<Published, PublishError> {
        self.publish_or(draft, Equal::StaysAsItIs)
    }

    fn publish_or(&self, draft: VersionDraft, equal: Equal) -> Result<Published, PublishError> {
        if !self.images.protect(&draft.digest)? {
            return Err(PublishError::NoImage(draft.digest));
        }
        self.sync()?;
        // The record is written inside the transaction: its number is this one's only while nobody else may publish.
        self.db
            .write("publish a version", |session| {
                let versions = session.versions(&draft.template)?;
                let same = versions.iter().find(|row| row.digest == draft.digest);
                if let Some(row) = same {
                    let moves =
                        equal == Equal::BecomesHead || session.head(&draft.template)?.is_none();
                    if moves && row.state == VersionState::Good {
                        session.set_head(&row.name)?;
                    }
                    let number = row.name.number;
                    return Ok(self.recorded(number, draft).map(Published::Unchanged));
                }
                let number = session.next_number(&draft.template)?;
                let record = VersionRecord { number, draft };
                if let Err(error) = self.versions.write(&record) {
                    return Ok(Err(error));
                }
                session.insert_version(number, &record)?;
                session.set_head(&record.name())?;
                Ok(Ok(Published::New(record)))
            })?
            .map_err(PublishError::from)
    }

    /// The record of a version that has its row; written again where it was lost.
    fn recorded(
        &self,
        number: VersionNumber,
        draft: VersionDraft,
    ) -> Result<VersionRecord, VersionError> {
        match self.versions.read(&draft.template, &draft.digest) {
            Err(VersionError::Unknown { .. }) => {
                let record = VersionRecord { number, draft };
                self.versions.write(&record)?;
                Ok(record)
            }
            other => other,
        }
    }
}
