//! Stopped containers that are relinked together: each succeeds or fails for itself. Root only.

use super::relink::{assert_relinked, listing, prepared};
use super::{Node, ROOT, in_every_tier};
use crate::container::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use vzpkg_metadata::{ContainerId, Digest};

in_every_tier!(privileged_of_containers_that_are_relinked_together_each_fails_alone);

/// Rows of a database that changes several at once or none.
#[derive(Debug, Default)]
struct Rows {
    links: RefCell<BTreeMap<ContainerId, Link>>,
    intents: RefCell<BTreeMap<ContainerId, Intent>>,
    /// The container whose link cannot be changed.
    refuses: RefCell<Option<ContainerId>>,
    transactions: Cell<u32>,
}

impl LinkJournal for Rows {
    fn link(&self, id: &ContainerId) -> Result<Link, JournalError> {
        let first = Link {
            tree: Digest::of(b"1"),
            generation: 1,
        };
        Ok(self.links.borrow().get(id).copied().unwrap_or(first))
    }

    fn intent(&self, id: &ContainerId) -> Result<Option<Intent>, JournalError> {
        Ok(self.intents.borrow().get(id).cloned())
    }

    fn begin_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError> {
        self.transactions.set(self.transactions.get() + 1);
        let entries = intents
            .iter()
            .map(|&(id, intent)| (id.clone(), intent.clone()));
        self.intents.borrow_mut().extend(entries);
        Ok(())
    }

    fn finish_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError> {
        self.transactions.set(self.transactions.get() + 1);
        if let Some(refused) = &*self.refuses.borrow()
            && intents.iter().any(|(id, _)| *id == refused)
        {
            return Err(JournalError {
                operation: "change the link",
                container: refused.clone(),
                source: "no".into(),
            });
        }
        for (id, intent) in intents {
            self.links.borrow_mut().insert((*id).clone(), intent.to);
            self.intents.borrow_mut().remove(id);
        }
        Ok(())
    }

    fn abandon(&self, id: &ContainerId, _: &Intent) -> Result<(), JournalError> {
        self.intents.borrow_mut().remove(id);
        Ok(())
    }
}

fn privileged_of_containers_that_are_relinked_together_each_fails_alone(node: &Node) {
    let rows = Rows::default();
    let tools = RelinkTools {
        objects: &objects::NoObjects,
        journal: &rows,
    };
    let from = rows.link(&"any".parse().unwrap()).unwrap();
    let to = Digest::of(b"2");
    let begin = |paths: &ContainerPaths, plan: &RelinkPlan| {
        prepare_relink(paths, from, to, plan, &node.runtime, &rows).unwrap()
    };
    let (edited, plan) = prepared(node, "edited");
    let plain = node.paths("plain");
    create(&plain, &Node::config(&plain), &ROOT, &[]).unwrap();
    let (broken, mut without) = prepared(node, "broken");
    // The content of its two files is nowhere to be had.
    without.blobs.clear();
    let before = listing(&broken);
    let (refused, _) = prepared(node, "refused");
    let all = vec![
        begin(&edited, &plan),
        begin(&plain, &RelinkPlan::default()),
        begin(&broken, &without),
        begin(&refused, &plan),
    ];
    rows.refuses.replace(Some(refused.id.clone()));
    let held = relink_stopped(&plain, from, to, &plan, &node.runtime, &tools);
    assert!(matches!(held, Err(RelinkError::Container(_))), "{held:?}");
    let results: BTreeMap<_, _> = relink_prepared(all, &tools).into_iter().collect();

    for moved in [&edited, &plain] {
        assert_eq!(results[&moved.id].as_ref().unwrap().generation, 2);
        assert_eq!(rows.link(&moved.id).unwrap().tree, to);
        assert_eq!(
            undo_record(moved, rows.link(&moved.id).unwrap())
                .unwrap()
                .from,
            from
        );
    }
    assert_relinked(&edited);
    let error = results[&broken.id].as_ref().unwrap_err().to_string();
    assert!(error.contains("opt/replaced"), "{error}");
    assert_eq!(listing(&broken), before);
    assert_eq!(rows.link(&broken.id).unwrap(), from);
    assert!(rows.intent(&broken.id).unwrap().is_none());
    let error = results[&refused.id].as_ref().unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    // One for the three intents, one for all links, then each link alone.
    assert_eq!(rows.transactions.get(), 5);

    // Its upper is changed and its intent is recorded: the next command finishes it.
    rows.refuses.replace(None);
    let recovered = recover(&refused, &tools).unwrap();
    assert!(matches!(recovered, Recovered::Finished(link) if link.tree == to));
    assert_relinked(&refused);
    for paths in [&edited, &plain, &broken, &refused] {
        destroy(paths, &node.runtime).unwrap();
        node.assert_clean(paths);
    }
}
