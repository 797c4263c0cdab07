//! What is known about a published version: its lock, parent and provenance, as the files `versions/<digest>.json`.
//!
//! Enough to rebuild the database. Marks that change later (bad, kept, tags, the head) are in the database only.

use super::layout::Layout;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::PathBuf;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{Digest, TemplateName, VersionName, VersionNumber, limits};

/// The number of the record format this code writes.
const SCHEMA: u32 = 1;

/// How long one step of a build took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Which step: `resolve`, `fetch`, `import` …
    pub step: String,
    /// Wall time in milliseconds.
    pub milliseconds: u64,
}

/// A finished build before it has a number: what [`super::Store::publish`] takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionDraft {
    /// Whose version it is.
    pub template: TemplateName,
    /// The digest of its tree.
    pub digest: Digest,
    /// The tree digest of the version it was built on or replaces; `None` for the first.
    pub parent: Option<Digest>,
    /// What it is made of.
    #[serde(with = "lock_as_text")]
    pub lock: Lock,
    /// What was done to the parent.
    pub transaction: Transaction,
    /// Digest of the EZ template that made it.
    pub template_digest: Digest,
    /// When it was built, seconds since 1970.
    pub created: i64,
    /// Who asked for it: a user name, or `schedule`.
    pub who: String,
    /// The command, as it was typed.
    pub why: String,
    /// How long each step took, in order.
    pub timings: Vec<Timing>,
}

/// A published version. Its fields are those of its [`VersionDraft`] and the number it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Its number.
    pub number: VersionNumber,
    /// Everything that was known before it had one.
    #[serde(flatten)]
    pub draft: VersionDraft,
}

impl VersionRecord {
    /// `template@number`.
    pub fn name(&self) -> VersionName {
        VersionName {
            template: self.template.clone(),
            number: self.number,
        }
    }
}

impl Deref for VersionRecord {
    type Target = VersionDraft;

    fn deref(&self) -> &VersionDraft {
        &self.draft
    }
}

/// One file: all versions that have the same tree. Two templates may well build equal trees.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordFile {
    schema: u32,
    versions: Vec<VersionRecord>,
}

/// Why a version's record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not a record, or names another tree than its own name says.
    #[error("the version record `{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Written by a newer vzpkg.
    #[error("the version record `{}` has schema {found}, newer than this vzpkg, which knows {SCHEMA}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema number.
        found: u32,
    },
    /// No version of this template has this tree.
    #[error("`{template}` has no recorded version with tree {digest}")]
    Unknown {
        /// The template.
        template: TemplateName,
        /// The tree digest.
        digest: Digest,
    },
}

/// The records of published versions.
#[derive(Debug, Clone)]
pub struct Versions {
    layout: Layout,
}

impl Versions {
    pub(super) const fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// Reads the records of all versions with this tree, one per template; empty if there is none.
    ///
    /// # Errors
    /// [`VersionError`] for a file that cannot be read or is not what was written.
    pub fn read_all(&self, digest: &Digest) -> Result<Vec<VersionRecord>, VersionError> {
        let path = self.layout.version(digest);
        let bytes = match durable::read_file(&path, limits::LOCK_BYTES * 4) {
            Ok(bytes) => bytes,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        decode(&bytes, digest, path)
    }

    /// Reads the record of the version of `template` with this tree.
    ///
    /// # Errors
    /// [`VersionError::Unknown`] if there is none, else as [`Self::read_all`].
    pub fn read(
        &self,
        template: &TemplateName,
        digest: &Digest,
    ) -> Result<VersionRecord, VersionError> {
        let records = self.read_all(digest)?;
        let found = records
            .into_iter()
            .rfind(|record| record.template == *template);
        found.ok_or_else(|| VersionError::Unknown {
            template: template.clone(),
            digest: *digest,
        })
    }

    /// The tree digests of all recorded versions, sorted. Files with other names are left alone.
    ///
    /// # Errors
    /// [`VersionError::File`] if the directory cannot be listed.
    pub fn list(&self) -> Result<Vec<Digest>, VersionError> {
        let directory = self.layout.versions();
        let mut digests = Vec::new();
        let error = || FileError::on("list", &directory);
        for entry in fs::read_dir(&directory).map_err(error())? {
            let name = entry.map_err(error())?.file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(".json"));
            digests.extend(digest.and_then(|digest| digest.parse::<Digest>().ok()));
        }
        digests.sort_unstable();
        Ok(digests)
    }

    /// Adds a record durably, in the place of an earlier one of the same template and tree.
    pub(super) fn write(&self, record: &VersionRecord) -> Result<(), VersionError> {
        let mut records = self.read_all(&record.digest)?;
        records.retain(|other| other.template != record.template);
        records.push(record.clone());
        self.write_all(&record.digest, records)
    }

    /// Takes the record of one template's version away; the file goes with the last one.
    pub(super) fn remove(
        &self,
        template: &TemplateName,
        digest: &Digest,
    ) -> Result<(), VersionError> {
        let mut records = self.read_all(digest)?;
        records.retain(|record| record.template != *template);
        if records.is_empty() {
            Ok(durable::remove_file(&self.layout.version(digest))?)
        } else {
            self.write_all(digest, records)
        }
    }

    fn write_all(
        &self,
        digest: &Digest,
        mut versions: Vec<VersionRecord>,
    ) -> Result<(), VersionError> {
        versions.sort_by_key(VersionRecord::name);
        let path = self.layout.version(digest);
        let file = RecordFile {
            schema: SCHEMA,
            versions,
        };
        let mut bytes =
            serde_json::to_vec_pretty(&file).map_err(|error| VersionError::Damaged {
                path: path.clone(),
                problem: error.to_string(),
            })?;
        bytes.push(b'\n');
        Ok(durable::write_file(&path, 0o644, &bytes)?)
    }
}

fn decode(
    bytes: &[u8],
    digest: &Digest,
    path: PathBuf,
) -> Result<Vec<VersionRecord>, VersionError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    let damaged = |problem: String| VersionError::Damaged {
        path: path.clone(),
        problem,
    };
    let head: Head = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if head.schema > SCHEMA {
        return Err(VersionError::Newer {
            path,
            found: head.schema,
        });
    }
    let file: RecordFile =
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    match file.versions.iter().find(|record| record.digest != *digest) {
        Some(record) => Err(damaged(format!(
            "it is about {}, not about {digest}",
            record.digest
        ))),
        None => Ok(file.versions),
    }
}

/// A lock in JSON is its text form, so that it can be cut out and built from.
mod lock_as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};
    use vzpkg_metadata::lock::Lock;

    pub(super) fn serialize<S: Serializer>(lock: &Lock, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(lock)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Lock, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map_err(de::Error::custom)
    }
}
