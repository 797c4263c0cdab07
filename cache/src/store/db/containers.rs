//! Containers, their links and the journal of unfinished relinks.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the path of a method of Session is not general enough in its lifetime"
)]

use super::session::{Session, value};
use super::versions::changed_one;
use super::{ContainerRow, Database, DatabaseError, Follow, Unsynced};
use rusqlite::{Row, params};
use vzpkg_metadata::{ContainerId, Digest, PackageName, TemplateName};

/// Host ids that containers may have, as systemd-nspawn keeps them for containers (systemd, UIDS-GIDS.md).
const FIRST_RANGE: u32 = 0x0008_0000;
const LAST_RANGE: u32 = 0x6fff_0000;
const RANGE: u32 = 0x1_0000;

type Raw = (
    (String, String, String, String, String),
    (String, String, u32, i64, i64),
);

fn row(raw: Raw) -> Result<ContainerRow, DatabaseError> {
    let (
        (id, template, link, os_digest, follow),
        (applications, packages, first_uid, created, generation),
    ) = raw;
    let list = |what, text: &str| {
        serde_json::from_str::<Vec<String>>(text).map_err(|_error| DatabaseError::Damaged {
            what,
            value: text.chars().take(200).collect(),
        })
    };
    let applications = list("list of applications", &applications)?;
    let packages = list("list of packages", &packages)?;
    Ok(ContainerRow {
        id: value("container name", &id)?,
        template: value("template name", &template)?,
        link: value("digest", &link)?,
        os_digest: value("digest", &os_digest)?,
        follow: match follow.as_str() {
            "head" => Follow::Head,
            _ => Follow::Pinned,
        },
        applications: applications
            .iter()
            .map(|name| value("template name", name))
            .collect::<Result<_, _>>()?,
        packages: packages
            .iter()
            .map(|name| value("package name", name))
            .collect::<Result<_, _>>()?,
        first_uid,
        created,
        generation: u64::try_from(generation).unwrap_or(0),
    })
}

/// The columns of a container, in the order of [`raw_row`].
const CONTAINER: &str =
    "SELECT id, template, link, os_digest, follow, applications, packages, first_uid, created,
                                generation
                         FROM containers ";

fn raw_row(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((
        (
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ),
        (
            row.get(5)?,
            row.get(6)?,
            row.get(7)?,
            row.get(8)?,
            row.get(9)?,
        ),
    ))
}

impl Session<'_> {
    /// All containers, by name.
    pub(in crate::store) fn containers(&self) -> Result<Vec<ContainerRow>, DatabaseError> {
        let raw = self.query(&format!("{CONTAINER} ORDER BY id"), [], raw_row)?;
        raw.into_iter().map(row).collect()
    }

    fn find_container(&self, id: &ContainerId) -> Result<Option<ContainerRow>, DatabaseError> {
        let raw = self.query_one(&format!("{CONTAINER} WHERE id = ?"), [id.as_str()], raw_row)?;
        raw.map(row).transpose()
    }

    fn container(&self, id: &ContainerId) -> Result<ContainerRow, DatabaseError> {
        self.find_container(id)?
            .ok_or_else(|| DatabaseError::Unknown {
                what: "container",
                name: id.to_string(),
            })
    }

    /// Writes a container; `statement` takes its columns in the order of the schema. What it links to must be there in
    /// the same transaction, or gc could have taken it just before.
    fn write_container(&self, statement: &str, row: &ContainerRow) -> Result<usize, DatabaseError> {
        for digest in [row.link, row.os_digest] {
            let known = self.query_one(
                "SELECT 1 FROM versions WHERE digest = ?1
                 UNION SELECT 1 FROM cached_trees WHERE digest = ?1
                 UNION SELECT 1 FROM containers WHERE link = ?1 OR os_digest = ?1 LIMIT 1",
                [digest.to_string()],
                |_| Ok(()),
            )?;
            known.ok_or_else(|| DatabaseError::Unknown {
                what: "version with tree",
                name: digest.to_string(),
            })?;
        }
        let list = |names: Vec<&str>| serde_json::Value::from(names).to_string();
        let applications = row.applications.iter().map(TemplateName::as_str).collect();
        let packages = row.packages.iter().map(PackageName::as_str).collect();
        let follow = match row.follow {
            Follow::Head => "head",
            Follow::Pinned => "pinned",
        };
        self.execute(
            statement,
            params![
                row.id.as_str(),
                row.template.as_str(),
                row.link.to_string(),
                row.os_digest.to_string(),
                follow,
                list(applications),
                list(packages),
                row.first_uid,
                row.created,
                i64::try_from(row.generation).unwrap_or(i64::MAX)
            ],
        )
    }

    fn insert_container(&self, row: &ContainerRow) -> Result<(), DatabaseError> {
        let statement = "INSERT INTO containers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                         ON CONFLICT (id) DO NOTHING";
        match self.write_container(statement, row)? {
            0 => Err(DatabaseError::Exists {
                what: "container",
                name: row.id.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn insert_container_with_ids(&self, row: &ContainerRow) -> Result<ContainerRow, DatabaseError> {
        let row = ContainerRow {
            first_uid: self.free_id_range()?,
            ..row.clone()
        };
        self.insert_container(&row)?;
        Ok(row)
    }

    fn free_id_range(&self) -> Result<u32, DatabaseError> {
        let taken: Vec<u32> = self.query(
            "SELECT first_uid FROM containers WHERE first_uid <> 0 ORDER BY first_uid",
            [],
            |row| row.get(0),
        )?;
        let mut ranges = (FIRST_RANGE..=LAST_RANGE).step_by(RANGE as usize);
        ranges
            .find(|first| taken.binary_search(first).is_err())
            .ok_or(DatabaseError::NoIdRange)
    }
}

impl Database {
    /// All containers, by name.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn containers(&self) -> Result<Vec<ContainerRow>, DatabaseError> {
        self.read("list containers", |session| session.containers())
    }

    /// One container.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn container(&self, id: &ContainerId) -> Result<ContainerRow, DatabaseError> {
        self.read("read a container", |session| session.container(id))
    }

    /// One container, if there is one of this name.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn find_container(&self, id: &ContainerId) -> Result<Option<ContainerRow>, DatabaseError> {
        self.read("read a container", |session| session.find_container(id))
    }

    /// Adds a container with the range of ids it has.
    ///
    /// # Errors
    /// [`DatabaseError::Exists`] if there is one of this name.
    pub fn insert_container(&self, row: &ContainerRow) -> Result<(), DatabaseError> {
        self.write("add a container", |session| session.insert_container(row))
    }

    /// Adds a container and gives it the lowest range of 65,536 host ids that no other has.
    ///
    /// # Errors
    /// [`DatabaseError::Exists`], [`DatabaseError::NoIdRange`].
    pub fn insert_container_with_ids(
        &self,
        row: &ContainerRow,
    ) -> Result<ContainerRow, DatabaseError> {
        self.write("add a container", |session| {
            session.insert_container_with_ids(row)
        })
    }

    /// Adds a container, with a range of ids of its own if `ids`, and does not wait for the disk: after a power loss
    /// the row is there if the caller had synced it, else perhaps.
    ///
    /// # Errors
    /// [`DatabaseError::Exists`], [`DatabaseError::NoIdRange`].
    pub fn insert_container_unsynced(
        &self,
        row: &ContainerRow,
        ids: bool,
    ) -> Result<(ContainerRow, Unsynced), DatabaseError> {
        self.write_unsynced("add a container", |session| {
            if ids {
                return session.insert_container_with_ids(row);
            }
            session.insert_container(row)?;
            Ok(row.clone())
        })
    }

    /// Changes everything of a container but its name.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn update_container(&self, row: &ContainerRow) -> Result<(), DatabaseError> {
        self.write("change a container", |session| {
            session.update_container(row)
        })
    }

    /// Changes a container and sets or ends its journal entry, in one transaction.
    ///
    /// # Errors
    /// As [`Self::update_container`].
    pub fn update_container_and_journal(
        &self,
        row: &ContainerRow,
        entry: Option<&str>,
    ) -> Result<(), DatabaseError> {
        self.write("change a container", |session| {
            session.update_container(row)?;
            session.set_journal(&row.id, entry)
        })
    }

    /// Links containers to other trees and ends their journal entries: all of them in one transaction, or none.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if one of the containers or trees is not there.
    pub fn link_containers(
        &self,
        links: &[(&ContainerId, Digest, u64)],
    ) -> Result<(), DatabaseError> {
        self.write("change the links of containers", |session| {
            for &(id, tree, generation) in links {
                let row = ContainerRow {
                    link: tree,
                    os_digest: tree,
                    generation,
                    ..session.container(id)?
                };
                session.update_container(&row)?;
                session.set_journal(id, None)?;
            }
            Ok(())
        })
    }

    /// Gives a container another name and writes the journal entry of that, in one transaction.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none, [`DatabaseError::Exists`] if the name is another's.
    pub fn rename_container(
        &self,
        from: &ContainerId,
        to: &ContainerId,
        entry: &str,
    ) -> Result<(), DatabaseError> {
        self.write("rename a container", |session| {
            if session.containers()?.iter().any(|row| row.id == *to) {
                return Err(DatabaseError::Exists {
                    what: "container",
                    name: to.to_string(),
                });
            }
            let statement = "UPDATE containers SET id = ?2 WHERE id = ?1";
            let changed = session.execute(statement, [from.as_str(), to.as_str()])?;
            changed_one(changed, "container", from.as_str())?;
            session.set_journal(from, None)?;
            session.set_journal(to, Some(entry))
        })
    }

    /// Removes a container and its journal entry.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn remove_container(&self, id: &ContainerId) -> Result<(), DatabaseError> {
        self.write("remove a container", |session| {
            session.set_journal(id, None)?;
            let gone = session.execute("DELETE FROM containers WHERE id = ?", [id.as_str()])?;
            changed_one(gone, "container", id.as_str())
        })
    }

    /// The unfinished relink of a container, as it was written.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn journal(&self, id: &ContainerId) -> Result<Option<String>, DatabaseError> {
        self.read("read the journal", |session| {
            let statement = "SELECT entry FROM journal WHERE container = ?";
            session.query_one(statement, [id.as_str()], |row| row.get(0))
        })
    }

    /// All unfinished relinks, by container.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn journals(&self) -> Result<Vec<(ContainerId, String)>, DatabaseError> {
        self.read("read the journal", |session| {
            let raw = session.query(
                "SELECT container, entry FROM journal ORDER BY container",
                [],
                |row| Ok((row.get::<_, String>(0)?, row.get(1)?)),
            )?;
            raw.into_iter()
                .map(|(id, entry)| Ok((value("container name", &id)?, entry)))
                .collect()
        })
    }

    /// Writes the journal entry of a container, or ends it with `None`. Durable when this returns.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn set_journal(&self, id: &ContainerId, entry: Option<&str>) -> Result<(), DatabaseError> {
        self.write("write the journal", |session| {
            session.set_journal(id, entry)
        })
    }

    /// Writes the journal entries of several containers: all of them in one transaction, or none.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn set_journals(&self, entries: &[(&ContainerId, String)]) -> Result<(), DatabaseError> {
        self.write("write the journal", |session| {
            let mut entries = entries.iter();
            entries.try_for_each(|(id, entry)| session.set_journal(id, Some(entry)))
        })
    }
}

impl Session<'_> {
    /// Every entry of the journal, as it was written.
    pub(in crate::store) fn journal_entries(&self) -> Result<Vec<String>, DatabaseError> {
        self.query("SELECT entry FROM journal", [], |row| row.get(0))
    }

    fn update_container(&self, row: &ContainerRow) -> Result<(), DatabaseError> {
        let statement = "UPDATE containers SET template = ?2, link = ?3, os_digest = ?4, follow = ?5,
                         applications = ?6, packages = ?7, first_uid = ?8, created = ?9, generation = ?10 WHERE id = ?1";
        let changed = self.write_container(statement, row)?;
        changed_one(changed, "container", row.id.as_str())
    }

    fn set_journal(&self, id: &ContainerId, entry: Option<&str>) -> Result<(), DatabaseError> {
        match entry {
            Some(entry) => self.execute(
                "INSERT OR REPLACE INTO journal (container, entry) VALUES (?, ?)",
                [id.as_str(), entry],
            )?,
            None => self.execute("DELETE FROM journal WHERE container = ?", [id.as_str()])?,
        };
        Ok(())
    }
}
