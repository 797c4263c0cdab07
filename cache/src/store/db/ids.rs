//! The id registry: one user or group name has one id in every version of an OS template, for ever.

use super::session::Session;
use super::{Database, DatabaseError, IdClash};
use rusqlite::params;
use std::collections::BTreeMap;
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::lock::Ids;

impl Session<'_> {
    fn ids(&self, template: &TemplateName) -> Result<BTreeMap<String, Ids>, DatabaseError> {
        let rows = self.query(
            "SELECT name, uid, gid FROM ids WHERE template = ? ORDER BY name",
            [template.as_str()],
            |row| {
                let ids = Ids {
                    uid: row.get(1)?,
                    gid: row.get(2)?,
                };
                Ok((row.get(0)?, ids))
            },
        )?;
        Ok(rows.into_iter().collect())
    }
}

impl Database {
    /// The ids of an OS template by user or group name.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn ids_for(
        &self,
        os_template: &TemplateName,
    ) -> Result<BTreeMap<String, Ids>, DatabaseError> {
        self.read("read the id registry", |session| session.ids(os_template))
    }

    /// Registers ids, all or none. A name that has one of the two ids may get the other; the same ids again are no
    /// change.
    ///
    /// # Errors
    /// [`DatabaseError::IdClash`] names the holder of an id that is taken, or the ids that a name has already.
    pub fn reserve(
        &self,
        os_template: &TemplateName,
        wanted: &BTreeMap<String, Ids>,
    ) -> Result<(), DatabaseError> {
        self.write("register ids", |session| {
            let mut registry = session.ids(os_template)?;
            for (name, ids) in wanted {
                let merged = merge(&registry, name, *ids)
                    .map_err(|clash| DatabaseError::IdClash(Box::new(clash)))?;
                if registry.insert(name.clone(), merged) != Some(merged) {
                    session.execute(
                        "INSERT OR REPLACE INTO ids (template, name, uid, gid) VALUES (?, ?, ?, ?)",
                        params![os_template.as_str(), name, merged.uid, merged.gid],
                    )?;
                }
            }
            Ok(())
        })
    }
}

/// What `name` has after it was also given `wanted`.
fn merge(registry: &BTreeMap<String, Ids>, name: &str, wanted: Ids) -> Result<Ids, IdClash> {
    let clash = |holder: &str, held: Ids| IdClash {
        name: name.to_owned(),
        wanted,
        holder: holder.to_owned(),
        held,
    };
    let held = registry.get(name).copied().unwrap_or_default();
    let differs = |held: Option<u32>, wanted: Option<u32>| {
        held.is_some_and(|held| wanted.is_some_and(|wanted| wanted != held))
    };
    if differs(held.uid, wanted.uid) || differs(held.gid, wanted.gid) {
        return Err(clash(name, held));
    }
    let same = |held: Option<u32>, wanted: Option<u32>| wanted.is_some() && held == wanted;
    let other = registry.iter().find(|(other, ids)| {
        *other != name && (same(ids.uid, wanted.uid) || same(ids.gid, wanted.gid))
    });
    if let Some((other, ids)) = other {
        return Err(clash(other, *ids));
    }
    Ok(Ids {
        uid: held.uid.or(wanted.uid),
        gid: held.gid.or(wanted.gid),
    })
}
