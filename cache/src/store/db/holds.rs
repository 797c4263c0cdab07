//! Packages that an update leaves at their version.

use super::session::value;
use super::{Database, DatabaseError, Hold};
use rusqlite::{Row, params};
use vzpkg_metadata::{PackagePattern, TemplateName};

impl Database {
    /// Holds packages of a template at their version, in the place of a hold on the same pattern.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn hold(&self, template: &TemplateName, hold: &Hold) -> Result<(), DatabaseError> {
        self.write("hold packages", |session| {
            session.execute(
                "INSERT OR REPLACE INTO holds (template, pattern, until, reason, since)
                 VALUES (?, ?, ?, ?, ?)",
                params![
                    template.as_str(),
                    hold.pattern.as_str(),
                    hold.until,
                    hold.reason,
                    hold.since
                ],
            )?;
            Ok(())
        })
    }

    /// Takes a hold away and returns it; `None` if there was none on exactly this pattern.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn unhold(
        &self,
        template: &TemplateName,
        pattern: &PackagePattern,
    ) -> Result<Option<Hold>, DatabaseError> {
        self.write("let go of packages", |session| {
            let gone = session.query_one(
                "DELETE FROM holds WHERE template = ? AND pattern = ?
                 RETURNING pattern, until, reason, since",
                [template.as_str(), pattern.as_str()],
                raw,
            )?;
            gone.map(hold).transpose()
        })
    }

    /// The holds of a template by pattern, those that are over included.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn holds(&self, template: &TemplateName) -> Result<Vec<Hold>, DatabaseError> {
        self.read("list holds", |session| {
            let rows = session.query(
                "SELECT pattern, until, reason, since FROM holds WHERE template = ? ORDER BY pattern",
                [template.as_str()],
                raw,
            )?;
            rows.into_iter().map(hold).collect()
        })
    }
}

type Raw = (String, Option<i64>, String, i64);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn hold((pattern, until, reason, since): Raw) -> Result<Hold, DatabaseError> {
    Ok(Hold {
        pattern: value("pattern of package names", &pattern)?,
        until,
        reason,
        since,
    })
}
