//! What the runtime is told of the store: links and unfinished relinks in `state.db`, and the contents of objects.

use std::io::Read;
use vzpkg_cache::store::{Database, Store};
use vzpkg_metadata::{ContainerId, Digest};
use vzpkg_runtime::container::{Intent, JournalError, Link, LinkJournal, ObjectSource};

/// The journal of relinks in `state.db`, as the runtime sees it.
#[derive(Debug)]
pub(crate) struct Journal<'a>(pub(crate) &'a Database);

impl Journal<'_> {
    fn failed<E: std::error::Error + Send + Sync + 'static>(
        operation: &'static str,
        container: &ContainerId,
    ) -> impl FnOnce(E) -> JournalError {
        let container = container.clone();
        move |source| JournalError {
            operation,
            container,
            source: Box::new(source),
        }
    }
}

impl LinkJournal for Journal<'_> {
    fn link(&self, container: &ContainerId) -> Result<Link, JournalError> {
        let row = self
            .0
            .container(container)
            .map_err(Self::failed("read the link", container))?;
        Ok(Link {
            tree: row.link,
            generation: row.generation,
        })
    }

    fn intent(&self, container: &ContainerId) -> Result<Option<Intent>, JournalError> {
        let entry = self
            .0
            .journal(container)
            .map_err(Self::failed("read the journal", container))?;
        entry
            .map(|entry| {
                serde_json::from_str(&entry)
                    .map_err(Self::failed("understand the journal", container))
            })
            .transpose()
    }

    fn begin_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError> {
        let Some((first, _)) = intents.first() else {
            return Ok(());
        };
        let what = "write the journal";
        let entry = |&(id, intent): &(_, &Intent)| Ok((id, serde_json::to_string(intent)?));
        let entries: Result<Vec<_>, serde_json::Error> = intents.iter().map(entry).collect();
        let entries = entries.map_err(Self::failed(what, first))?;
        let written = self.0.set_journals(&entries);
        written.map_err(Self::failed(what, first))
    }

    fn finish_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError> {
        let Some((first, _)) = intents.first() else {
            return Ok(());
        };
        let links: Vec<_> = intents
            .iter()
            .map(|&(id, intent)| (id, intent.to.tree, intent.to.generation))
            .collect();
        let changed = self.0.link_containers(&links);
        changed.map_err(Self::failed("change the link", first))
    }

    fn abandon(&self, container: &ContainerId, _: &Intent) -> Result<(), JournalError> {
        self.0
            .set_journal(container, None)
            .map_err(Self::failed("clear the journal", container))
    }
}

/// Objects of the store, as the runtime reads them.
#[derive(Debug)]
pub(crate) struct StoreObjects<'a>(pub(crate) &'a Store);

impl ObjectSource for StoreObjects<'_> {
    fn open(&self, digest: &Digest) -> std::io::Result<Box<dyn Read + '_>> {
        match self.0.objects.open(digest) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(std::io::Error::other(error)),
        }
    }
}

/// The trees that an unfinished relink is between; none if the entry cannot be read (the row's own link still counts).
pub(crate) fn trees_of_journal(entry: &str) -> Vec<Digest> {
    serde_json::from_str::<Intent>(entry).map_or_else(
        |_| Vec::new(),
        |intent| vec![intent.from.tree, intent.to.tree],
    )
}
