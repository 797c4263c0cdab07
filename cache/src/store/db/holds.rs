//! Packages that an update leaves at their version.

use super::session::value;
use super::{Database, DatabaseError};
use vzpkg_metadata::{PackageName, TemplateName};

impl Database {
    /// Holds a package of a template at its version.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn hold(
        &self,
        template: &TemplateName,
        package: &PackageName,
    ) -> Result<(), DatabaseError> {
        self.write("hold a package", |session| {
            session.execute(
                "INSERT OR IGNORE INTO holds (template, package) VALUES (?, ?)",
                [template.as_str(), package.as_str()],
            )?;
            Ok(())
        })
    }

    /// Lets go of a package; returns whether it was held.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn unhold(
        &self,
        template: &TemplateName,
        package: &PackageName,
    ) -> Result<bool, DatabaseError> {
        self.write("let go of a package", |session| {
            let gone = session.execute(
                "DELETE FROM holds WHERE template = ? AND package = ?",
                [template.as_str(), package.as_str()],
            )?;
            Ok(gone > 0)
        })
    }

    /// The held packages of a template, by name.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn holds(&self, template: &TemplateName) -> Result<Vec<PackageName>, DatabaseError> {
        self.read("list holds", |session| {
            let names = session.query(
                "SELECT package FROM holds WHERE template = ? ORDER BY package",
                [template.as_str()],
                |row| row.get::<_, String>(0),
            )?;
            names
                .iter()
                .map(|name| value("package name", name))
                .collect()
        })
    }
}
