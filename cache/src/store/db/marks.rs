//! What is noted of a version after it was published: bad, kept, tags, and the head that moves back.

use super::session::Session;
use super::versions::{VERSION, changed_one, raw, raw_version};
use super::{Database, DatabaseError, VersionRow, VersionState};
use rusqlite::params;
use vzpkg_metadata::{TagName, TemplateName, VersionName};

impl Database {
    /// Makes `version` the head of its template, and good, for somebody chose it. Going back marks the head it had bad,
    /// for the reason given; going forward, which undoes that, says nothing against any version.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is no such version.
    pub fn roll_back(&self, version: &VersionName, why: &str) -> Result<(), DatabaseError> {
        self.write("roll back", |session| {
            let before = session.head(&version.template)?;
            session.set_head(version)?;
            mark(session, version, "bad", None::<&str>)?;
            match before.filter(|head| head.name.number > version.number) {
                Some(head) => mark(session, &head.name, "bad", Some(why)),
                None => Ok(()),
            }
        })
    }

    /// Says whether a version may be chosen.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn set_state(
        &self,
        version: &VersionName,
        state: &VersionState,
    ) -> Result<(), DatabaseError> {
        let why = match state {
            VersionState::Good => None,
            VersionState::Bad(why) => Some(why.as_str()),
        };
        self.write("mark a version", |session| {
            mark(session, version, "bad", why)
        })
    }

    /// Says whether gc must keep a version.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn set_kept(&self, version: &VersionName, kept: bool) -> Result<(), DatabaseError> {
        self.write("mark a version", |session| {
            mark(session, version, "kept", kept)
        })
    }

    /// Gives a version a tag, which leaves the version of the same template that has it.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is no such version.
    pub fn tag(&self, version: &VersionName, tag: &TagName) -> Result<(), DatabaseError> {
        self.write("tag a version", |session| {
            session.version(version)?;
            session.execute(
                "INSERT OR REPLACE INTO tags (template, tag, number) VALUES (?, ?, ?)",
                params![version.template.as_str(), tag.as_str(), raw(version.number)],
            )?;
            Ok(())
        })
    }

    /// Takes a tag away.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if no version has it.
    pub fn untag(&self, template: &TemplateName, tag: &TagName) -> Result<(), DatabaseError> {
        self.write("remove a tag", |session| {
            let gone = session.execute(
                "DELETE FROM tags WHERE template = ? AND tag = ?",
                params![template.as_str(), tag.as_str()],
            )?;
            changed_one(gone, "tag", tag.as_str())
        })
    }

    /// The version that has a tag.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn tagged(
        &self,
        template: &TemplateName,
        tag: &TagName,
    ) -> Result<Option<VersionRow>, DatabaseError> {
        self.read("find a tag", |session| {
            let statement = format!(
                "{VERSION} WHERE template = ?1 AND number =
                 (SELECT number FROM tags WHERE template = ?1 AND tag = ?2)"
            );
            let rows =
                session.query_one(&statement, [template.as_str(), tag.as_str()], raw_version)?;
            rows.map(|row| session.version_row(row)).transpose()
        })
    }
}

/// Sets one column of a version.
fn mark(
    session: &Session<'_>,
    version: &VersionName,
    column: &'static str,
    value: impl rusqlite::ToSql,
) -> Result<(), DatabaseError> {
    let changed = session.execute(
        &format!("UPDATE versions SET {column} = ? WHERE template = ? AND number = ?"),
        params![value, version.template.as_str(), raw(version.number)],
    )?;
    changed_one(changed, "version", &version.to_string())
}
