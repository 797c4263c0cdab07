//! Templates, versions and heads. What is noted of a version later is in [`super::marks`].

use super::session::{Session, value};
use super::{Database, DatabaseError, TemplateRow, VersionRow, VersionState};
use crate::store::VersionDraft;
use rusqlite::{Row, params};
use vzpkg_metadata::name::DigestPrefix;
use vzpkg_metadata::{Digest, TemplateName, VersionName, VersionNumber};

pub(super) const VERSION: &str =
    "SELECT template, number, digest, parent, created, bad, kept FROM versions ";

pub(super) type RawVersion = (
    String,
    i64,
    String,
    Option<String>,
    i64,
    Option<String>,
    bool,
);

pub(super) fn raw_version(row: &Row<'_>) -> rusqlite::Result<RawVersion> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
    ))
}

fn number(raw: i64) -> Result<VersionNumber, DatabaseError> {
    let number = u64::try_from(raw).ok().and_then(VersionNumber::new);
    number.ok_or_else(|| DatabaseError::Damaged {
        what: "version number",
        value: raw.to_string(),
    })
}

/// SQLite's integers are signed; no template reaches 2^63 versions.
pub(super) fn raw(number: VersionNumber) -> i64 {
    i64::try_from(number.get()).unwrap_or(i64::MAX)
}

fn unknown(version: &VersionName) -> DatabaseError {
    DatabaseError::Unknown {
        what: "version",
        name: version.to_string(),
    }
}

impl Session<'_> {
    pub(super) fn version_row(&self, row: RawVersion) -> Result<VersionRow, DatabaseError> {
        let (template, raw_number, digest, parent, created, bad, kept) = row;
        let tags = self.query(
            "SELECT tag FROM tags WHERE template = ? AND number = ? ORDER BY tag",
            params![template, raw_number],
            |row| row.get::<_, String>(0),
        )?;
        let tags = tags.iter().map(|tag| value("tag", tag));
        Ok(VersionRow {
            name: VersionName {
                template: value("template name", &template)?,
                number: number(raw_number)?,
            },
            digest: value("digest", &digest)?,
            parent: parent.map(|text| value("digest", &text)).transpose()?,
            created,
            state: bad.map_or(VersionState::Good, VersionState::Bad),
            kept,
            tags: tags.collect::<Result<_, _>>()?,
        })
    }

    /// All versions of one template, oldest first.
    pub(in crate::store) fn versions(
        &self,
        template: &TemplateName,
    ) -> Result<Vec<VersionRow>, DatabaseError> {
        let statement = format!("{VERSION} WHERE template = ? ORDER BY number");
        let rows = self.query(&statement, [template.as_str()], raw_version)?;
        rows.into_iter().map(|row| self.version_row(row)).collect()
    }

    /// All versions of all templates.
    pub(in crate::store) fn all_versions(&self) -> Result<Vec<VersionRow>, DatabaseError> {
        let statement = format!("{VERSION} ORDER BY template, number");
        let rows = self.query(&statement, [], raw_version)?;
        rows.into_iter().map(|row| self.version_row(row)).collect()
    }

    pub(super) fn version(&self, name: &VersionName) -> Result<VersionRow, DatabaseError> {
        let statement = format!("{VERSION} WHERE template = ? AND number = ?");
        let key = params![name.template.as_str(), raw(name.number)];
        let rows = self.query_one(&statement, key, raw_version)?;
        self.version_row(rows.ok_or_else(|| unknown(name))?)
    }

    pub(in crate::store) fn head(
        &self,
        template: &TemplateName,
    ) -> Result<Option<VersionRow>, DatabaseError> {
        let statement = format!(
            "{VERSION} WHERE template = ?1 AND number = (SELECT head FROM templates WHERE name = ?1)"
        );
        let rows = self.query_one(&statement, [template.as_str()], raw_version)?;
        rows.map(|row| self.version_row(row)).transpose()
    }

    pub(in crate::store) fn set_head(&self, version: &VersionName) -> Result<(), DatabaseError> {
        self.version(version)?;
        self.execute(
            "UPDATE templates SET head = ? WHERE name = ?",
            params![raw(version.number), version.template.as_str()],
        )?;
        Ok(())
    }

    /// The number that the next version of a template gets.
    pub(in crate::store) fn next_number(
        &self,
        template: &TemplateName,
    ) -> Result<VersionNumber, DatabaseError> {
        let statement = "SELECT next FROM templates WHERE name = ?";
        let next = self.query_one(statement, [template.as_str()], |row| row.get(0))?;
        next.map_or(Ok(VersionNumber::FIRST), number)
    }

    /// Makes a version visible. Its head moves only by [`Self::set_head`].
    pub(in crate::store) fn insert_version(
        &self,
        new: VersionNumber,
        draft: &VersionDraft,
    ) -> Result<(), DatabaseError> {
        self.execute(
            "INSERT INTO templates (name, next) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET next = max(next, ?2)",
            params![draft.template.as_str(), raw(new.next())],
        )?;
        self.execute(
            "INSERT INTO versions (template, number, digest, parent, created) VALUES (?, ?, ?, ?, ?)",
            params![
                draft.template.as_str(),
                raw(new),
                draft.digest.to_string(),
                draft.parent.map(|parent| parent.to_string()),
                draft.created
            ],
        )?;
        Ok(())
    }

    /// What keeps a version from being removed, in words.
    fn user_of(&self, row: &VersionRow) -> Result<Option<String>, DatabaseError> {
        let head = self.head(&row.name.template)?;
        if head.is_some_and(|head| head.name == row.name)
            && self.versions(&row.name.template)?.len() > 1
        {
            return Ok(Some("it is the head".to_owned()));
        }
        if row.kept {
            return Ok(Some("it is kept".to_owned()));
        }
        if let Some(tag) = row.tags.first() {
            return Ok(Some(format!("it has the tag {tag}")));
        }
        let linked = self.query_one(
            "SELECT id FROM containers WHERE template = ?1 AND (link = ?2 OR os_digest = ?2) LIMIT 1",
            params![row.name.template.as_str(), row.digest.to_string()],
            |row| row.get::<_, String>(0),
        )?;
        Ok(linked.map(|id| format!("container {id} is linked to it")))
    }

    /// Whether a version is there and not for gc to take: something uses it, or new containers get it.
    pub(in crate::store) fn is_kept(&self, version: &VersionName) -> Result<bool, DatabaseError> {
        let row = match self.version(version) {
            Err(DatabaseError::Unknown { .. }) => return Ok(false),
            row => row?,
        };
        let head = self.head(&version.template)?;
        Ok(head.is_some_and(|head| head.name == row.name) || self.user_of(&row)?.is_some())
    }

    /// Takes the row of a version away, whoever uses it.
    pub(in crate::store) fn remove_version(
        &self,
        version: &VersionName,
    ) -> Result<(), DatabaseError> {
        self.execute(
            "UPDATE templates SET head = NULL WHERE name = ? AND head = ?",
            params![version.template.as_str(), raw(version.number)],
        )?;
        self.execute(
            "DELETE FROM versions WHERE template = ? AND number = ?",
            params![version.template.as_str(), raw(version.number)],
        )?;
        Ok(())
    }
}

impl Database {
    /// Every template that has or had versions, by name.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`], as for every method of this type.
    pub fn templates(&self) -> Result<Vec<TemplateRow>, DatabaseError> {
        self.read("list templates", |session| {
            let rows = session.query(
                "SELECT name, head, (SELECT count(*) FROM versions WHERE template = name)
                 FROM templates ORDER BY name",
                [],
                |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, i64>(2)?)),
            )?;
            rows.into_iter()
                .map(|(name, head, versions)| {
                    Ok(TemplateRow {
                        name: value("template name", &name)?,
                        head: Option::map(head, number).transpose()?,
                        versions: u64::try_from(versions).unwrap_or_default(),
                    })
                })
                .collect()
        })
    }

    /// The versions of one template, oldest first; none for an unknown one.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn versions(&self, template: &TemplateName) -> Result<Vec<VersionRow>, DatabaseError> {
        self.read("list versions", |session| session.versions(template))
    }

    /// One version.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn version(&self, name: &VersionName) -> Result<VersionRow, DatabaseError> {
        self.read("read a version", |session| session.version(name))
    }

    /// All versions with this tree, of whichever template.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn versions_with(&self, digest: &Digest) -> Result<Vec<VersionRow>, DatabaseError> {
        self.read("find versions", |session| {
            let statement = format!("{VERSION} WHERE digest = ? ORDER BY template");
            let rows = session.query(&statement, [digest.to_string()], raw_version)?;
            rows.into_iter()
                .map(|row| session.version_row(row))
                .collect()
        })
    }

    /// The versions, of whichever template, whose digest begins so.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn versions_beginning(
        &self,
        prefix: &DigestPrefix,
    ) -> Result<Vec<VersionRow>, DatabaseError> {
        self.read("find versions", |session| {
            // The index is on the text: `g` comes after every digit.
            let statement = format!(
                "{VERSION} WHERE digest >= ?1 AND digest < ?1 || 'g' ORDER BY template, number"
            );
            let rows = session.query(&statement, [prefix.to_string()], raw_version)?;
            rows.into_iter()
                .map(|row| session.version_row(row))
                .collect()
        })
    }

    /// The version that new containers get; `None` if the template has none.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn head(&self, template: &TemplateName) -> Result<Option<VersionRow>, DatabaseError> {
        self.read("read the head", |session| session.head(template))
    }

    /// Makes a version the one that new containers get.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn set_head(&self, version: &VersionName) -> Result<(), DatabaseError> {
        self.write("move the head", |session| session.set_head(version))
    }

    /// What keeps a version from being removed, in words: `it is the head`; `None` if nothing does.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is no such version.
    pub fn user_of_version(&self, version: &VersionName) -> Result<Option<String>, DatabaseError> {
        self.read("read a version", |session| {
            session.user_of(&session.version(version)?)
        })
    }

    /// Removes a version; its files go with the next gc. The last version of a template may be removed though it is the
    /// head.
    ///
    /// # Errors
    /// [`DatabaseError::InUse`] for the head, a kept or tagged version and one a container is linked to;
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn remove_version(&self, version: &VersionName) -> Result<(), DatabaseError> {
        self.write("remove a version", |session| {
            let row = session.version(version)?;
            if let Some(user) = session.user_of(&row)? {
                let version = version.clone();
                return Err(DatabaseError::InUse { version, user });
            }
            session.remove_version(version)
        })
    }
}

/// An error if a change found nothing to change.
pub(super) fn changed_one(
    changed: usize,
    what: &'static str,
    name: &str,
) -> Result<(), DatabaseError> {
    if changed > 0 {
        return Ok(());
    }
    let name = name.to_owned();
    Err(DatabaseError::Unknown { what, name })
}
