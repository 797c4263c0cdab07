//! Relinks on real upper directories: forward, back, cut short at every point, and hostile uppers. Root only.

use super::{Node, ROOT, in_every_tier};
use crate::container::apply::Editor;
use crate::container::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use vzpkg_metadata::tree::{Meta, Node as TreeNode, NodeKind};
use vzpkg_metadata::{ContainerId, Digest, RelPath, Timestamp};

in_every_tier!(
    privileged_what_a_container_changed_survives_a_relink_a_rollback_and_an_undone_relink,
    privileged_a_relink_carries_mode_and_owner_of_the_root_there_and_back,
    privileged_a_stopped_container_moves_forward_and_back_and_runs_on_both,
    privileged_a_relink_cut_short_at_every_edit_is_finished_by_the_next_command,
    privileged_a_relink_that_fails_half_way_is_undone,
    privileged_old_records_that_cannot_be_removed_do_not_make_a_relink_fail,
    privileged_evil_links_in_an_upper_lead_nowhere,
);

/// One row of a database.
#[derive(Debug)]
struct Journal {
    link: RefCell<Link>,
    intent: RefCell<Option<Intent>>,
}

impl Journal {
    fn new() -> Self {
        let link = Link {
            tree: Digest::of(b"1"),
            generation: 1,
        };
        Self {
            link: RefCell::new(link),
            intent: RefCell::new(None),
        }
    }
}

impl LinkJournal for Journal {
    fn link(&self, _: &ContainerId) -> Result<Link, JournalError> {
        Ok(*self.link.borrow())
    }

    fn intent(&self, _: &ContainerId) -> Result<Option<Intent>, JournalError> {
        Ok(self.intent.borrow().clone())
    }

    fn begin_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError> {
        for &(_, intent) in intents {
            assert!(self.intent.replace(Some(intent.clone())).is_none());
        }
        Ok(())
    }

    fn finish_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError> {
        for (_, intent) in intents {
            self.link.replace(intent.to);
            self.intent.replace(None);
        }
        Ok(())
    }

    fn abandon(&self, _: &ContainerId, _: &Intent) -> Result<(), JournalError> {
        self.intent.replace(None);
        Ok(())
    }
}

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

/// Every private entry with its content.
pub(super) type Listing = BTreeMap<RelPath, (UpperEntry, Option<Digest>)>;

pub(super) fn listing(paths: &ContainerPaths) -> Listing {
    let upper = UpperDir::open(&paths.upper()).unwrap();
    let scan = upper.scan().unwrap();
    let entry = |(path, mut entry): (RelPath, UpperEntry)| {
        let content =
            matches!(entry.kind, UpperKind::File { .. }).then(|| upper.digest(&path).unwrap());
        if matches!(entry.kind, UpperKind::Directory { .. }) {
            entry.meta.mtime = Timestamp::default();
        }
        (path, (entry, content))
    };
    scan.entries.into_iter().map(entry).collect()
}

/// A container with private files of every kind, and a plan that does every kind of edit.
pub(super) fn prepared(node: &Node, name: &str) -> (ContainerPaths, RelinkPlan) {
    let paths = node.paths(name);
    create(&paths, &Node::config(&paths), &ROOT, &[]).unwrap();
    let upper = paths.upper();
    for directory in ["opt", "opt/gone", "opt/hides"] {
        fs::create_dir_all(upper.join(directory)).unwrap();
    }
    for file in [
        "opt/kept",
        "opt/mode",
        "opt/gone/f",
        "opt/hides/f",
        "opt/replaced",
    ] {
        fs::write(upper.join(file), file).unwrap();
    }
    symlink("kept", upper.join("opt/link")).unwrap();
    let merged = b"merged".to_vec();
    let meta = |mode| Meta {
        mode,
        uid: 7,
        gid: 8,
        xattrs: BTreeMap::from([(b"user.note".to_vec(), b"x".to_vec())]),
        ..Meta::default()
    };
    let put = |at: &str, mode| UpperEdit::Put {
        path: path(at),
        node: TreeNode {
            meta: meta(mode),
            kind: NodeKind::File {
                digest: Digest::of(&merged),
                size: 6,
            },
        },
    };
    let edits = vec![
        UpperEdit::Keep {
            path: path("opt/kept"),
        },
        UpperEdit::Reveal {
            path: path("opt/link"),
        },
        UpperEdit::Reveal {
            path: path("opt/gone/f"),
        },
        UpperEdit::Reveal {
            path: path("opt/gone"),
        },
        UpperEdit::MoveAside {
            path: path("opt/hides"),
            to: path("opt/hides.vzpkg-old"),
        },
        UpperEdit::SetMeta {
            path: path("opt/mode"),
            meta: meta(0o4750),
        },
        put("opt/replaced", 0o2711),
        UpperEdit::Hide {
            path: path("opt/hidden"),
        },
        UpperEdit::EnsureDirectory {
            path: path("srv"),
            meta: meta(0o1777),
        },
        put("srv/new", 0o600),
        UpperEdit::SetOpaque {
            path: path("srv"),
            opaque: true,
        },
    ];
    let plan = RelinkPlan {
        edits,
        blobs: BTreeMap::from([(Digest::of(&merged), merged)]),
        regenerate: Vec::new(),
    };
    (paths, plan)
}

pub(super) fn assert_relinked(paths: &ContainerPaths) {
    let now = listing(paths);
    let kind = |at: &str| now.get(&path(at)).map(|(entry, _)| entry.kind.clone());
    assert_eq!(kind("opt/link"), None);
    assert_eq!(kind("opt/gone"), None);
    assert_eq!(kind("opt/hides"), None);
    assert!(kind("opt/hides.vzpkg-old/f").is_some());
    assert_eq!(kind("opt/hidden"), Some(UpperKind::Whiteout));
    assert_eq!(kind("srv"), Some(UpperKind::Directory { opaque: true }));
    let (replaced, content) = &now[&path("opt/replaced")];
    assert_eq!(*content, Some(Digest::of(b"merged")));
    let meta = &replaced.meta;
    assert_eq!((meta.mode, meta.uid, meta.gid), (0o2711, 7, 8));
    assert_eq!(meta.xattrs[&b"user.note"[..]], b"x");
    assert_eq!(now[&path("opt/mode")].0.meta.mode, 0o4750);
    assert!(!paths.private.join("staging").exists());
}

const TOOLS: fn(&Journal) -> RelinkTools<'_> = |journal| RelinkTools {
    objects: &objects::NoObjects,
    journal,
};

fn privileged_a_stopped_container_moves_forward_and_back_and_runs_on_both(node: &Node) {
    let (paths, plan) = prepared(node, "move");
    let (config, journal) = (Node::config(&paths), Journal::new());
    let before = listing(&paths);
    let run = |release: &str, generation| {
        let spec = node.spec(release, generation);
        start(&paths, &config, &spec, &node.runtime).unwrap();
        assert_eq!(
            node.shell(&paths, &format!("test $(cat /etc/release) = {release}")),
            0
        );
        assert_eq!(node.shell(&paths, "test -f /opt/kept"), 0);
        let busy = relink_stopped(
            &paths,
            *journal.link.borrow(),
            Digest::of(b"x"),
            &plan,
            &node.runtime,
            &TOOLS(&journal),
        );
        assert!(matches!(busy, Err(RelinkError::Running(_))));
        stop(&paths, StopMode::Kill, &node.runtime).unwrap();
    };
    run("1", 1);
    let machine_id = fs::read(paths.upper().join("etc/machine-id")).unwrap();
    assert_eq!(machine_id.len(), 33);
    let before_relink = listing(&paths);
    assert_eq!(before_relink.len(), before.len());
    let first = *journal.link.borrow();
    let to = Digest::of(b"2");
    let second = relink_stopped(&paths, first, to, &plan, &node.runtime, &TOOLS(&journal)).unwrap();
    assert_eq!((second.tree, second.generation), (to, 2));
    assert_relinked(&paths);
    run("2", 2);
    let stale = relink_stopped(&paths, first, to, &plan, &node.runtime, &TOOLS(&journal));
    assert!(matches!(stale, Err(RelinkError::Stale { .. })));
    // Back: nobody touched anything, so everything is put back.
    let record = undo_record(&paths, second).unwrap();
    let back = RelinkPlan {
        edits: record.inverse(),
        ..RelinkPlan::default()
    };
    let third = relink_stopped(
        &paths,
        second,
        first.tree,
        &back,
        &node.runtime,
        &TOOLS(&journal),
    )
    .unwrap();
    assert_eq!(third.generation, 3);
    assert_eq!(listing(&paths), before_relink);
    run("1", 3);
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

/// Relinks a stopped container by these edits.
fn relink(
    node: &Node,
    paths: &ContainerPaths,
    journal: &Journal,
    edits: Vec<UpperEdit>,
) -> Result<Link, RelinkError> {
    let from = *journal.link.borrow();
    let to = Digest::of(&from.generation.to_le_bytes());
    let plan = RelinkPlan {
        edits,
        ..RelinkPlan::default()
    };
    relink_stopped(paths, from, to, &plan, &node.runtime, &TOOLS(journal))
}

fn privileged_what_a_container_changed_survives_a_relink_a_rollback_and_an_undone_relink(
    node: &Node,
) {
    let paths = node.paths("mine");
    let (config, journal) = (Node::config(&paths), Journal::new());
    create(&paths, &config, &ROOT, &[]).unwrap();
    let run = |release: &str, line: &str| {
        let generation = journal.link.borrow().generation;
        start(
            &paths,
            &config,
            &node.spec(release, generation),
            &node.runtime,
        )
        .unwrap();
        let line = format!("test $(cat /etc/release) = {release} && {line}");
        assert_eq!(node.shell(&paths, &line), 0, "{line}");
        stop(&paths, StopMode::Kill, &node.runtime).unwrap();
    };
    let change = "echo mine > /etc/mine && echo mine >> /etc/changed && rm /etc/removed && chmod 4711 /bin/busybox \
                  && mkdir /opt && ln -s ../etc /opt/link";
    let holds = "test $(cat /etc/mine) = mine && test $(stat -c %s /etc/changed) = 20 && ! test -e /etc/removed \
                 && test $(stat -c %a /bin/busybox) = 4711 && test -f /opt/link/release";
    run("1", change);
    run("1", holds);
    let before = listing(&paths);
    let second = relink(node, &paths, &journal, Vec::new()).unwrap();
    run("2", holds);
    let back = undo_record(&paths, second).unwrap().inverse();
    relink(node, &paths, &journal, back).unwrap();
    run("1", holds);
    assert_eq!(listing(&paths), before);
    // An edit that cannot be carried out, after one that can.
    let edits = vec![
        UpperEdit::Hide {
            path: path("etc/mine"),
        },
        UpperEdit::Reveal { path: path("opt") },
    ];
    relink(node, &paths, &journal, edits).unwrap_err();
    assert_eq!(journal.link.borrow().generation, 3);
    assert_eq!(listing(&paths), before);
    run("1", holds);
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

fn privileged_a_relink_carries_mode_and_owner_of_the_root_there_and_back(node: &Node) {
    let paths = node.paths("root");
    let (config, journal) = (Node::config(&paths), Journal::new());
    create(&paths, &config, &ROOT, &[]).unwrap();
    let run = |expected: &str| {
        let generation = journal.link.borrow().generation;
        start(&paths, &config, &node.spec("1", generation), &node.runtime).unwrap();
        let line = format!("test $(stat -c %a:%u:%g /) = {expected}");
        assert_eq!(node.shell(&paths, &line), 0, "{line}");
        stop(&paths, StopMode::Kill, &node.runtime).unwrap();
    };
    run("755:0:0");
    let before = UpperDir::open(&paths.upper()).unwrap().scan().unwrap().root;
    let meta = Meta {
        mode: 0o1711,
        uid: 7,
        gid: 8,
        ..before.clone()
    };
    let edit = UpperEdit::SetMeta {
        path: RelPath::root(),
        meta,
    };
    let second = relink(node, &paths, &journal, vec![edit.clone()]).unwrap();
    run("1711:7:8");
    let back = undo_record(&paths, second).unwrap().inverse();
    relink(node, &paths, &journal, back).unwrap();
    run("755:0:0");
    // Undone, for what follows cannot be carried out.
    let impossible = UpperEdit::Reveal { path: path("etc") };
    relink(node, &paths, &journal, vec![edit, impossible]).unwrap_err();
    run("755:0:0");
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

fn privileged_a_relink_cut_short_at_every_edit_is_finished_by_the_next_command(node: &Node) {
    let (_, plan) = prepared(node, "count");
    for done in 0..=plan.edits.len() {
        let (paths, plan) = prepared(node, &format!("cut{done}"));
        let journal = Journal::new();
        let from = *journal.link.borrow();
        let to = Link {
            tree: Digest::of(b"2"),
            generation: 2,
        };
        let (record, digest) = keep::keep(&paths, from, to, &plan).unwrap();
        let intent = Intent {
            from,
            to,
            plan: digest,
            live: false,
        };
        journal.begin(&paths.id, &intent).unwrap();
        let objects = objects::Blobs {
            blobs: &plan.blobs,
            behind: &objects::NoObjects,
        };
        let staging = paths.private.join("staging");
        let editor = Editor::new(&paths.upper(), staging, paths.undo_area(), &objects).unwrap();
        editor.apply(&record.edits[..done]).unwrap();
        // Killed here: the staging directory stays.
        drop(editor);
        fs::create_dir_all(paths.private.join("staging/rubbish")).unwrap();
        let recovered = recover(&paths, &TOOLS(&journal)).unwrap();
        assert_eq!(recovered, Recovered::Finished(to));
        assert_relinked(&paths);
        assert_eq!(
            recover(&paths, &TOOLS(&journal)).unwrap(),
            Recovered::Nothing
        );
    }
}

fn privileged_a_relink_that_fails_half_way_is_undone(node: &Node) {
    let (paths, mut plan) = prepared(node, "fails");
    let (before, journal) = (listing(&paths), Journal::new());
    // The content of the two files is nowhere to be had.
    plan.blobs.clear();
    let from = *journal.link.borrow();
    let error = relink_stopped(
        &paths,
        from,
        Digest::of(b"2"),
        &plan,
        &node.runtime,
        &TOOLS(&journal),
    )
    .unwrap_err();
    assert!(error.to_string().contains("opt/replaced"), "{error}");
    assert_eq!(listing(&paths), before);
    assert_eq!(*journal.link.borrow(), from);
    assert!(journal.intent.borrow().is_none());
}

/// The row is changed by then.
fn privileged_old_records_that_cannot_be_removed_do_not_make_a_relink_fail(node: &Node) {
    let (paths, _) = prepared(node, "stray");
    let journal = Journal::new();
    fs::create_dir_all(paths.undo_area()).unwrap();
    // No directory, so that it is not removed as one.
    fs::write(paths.undo_area().join("stray"), "").unwrap();
    let edit = UpperEdit::Reveal {
        path: path("opt/link"),
    };
    let second = relink(node, &paths, &journal, vec![edit]).unwrap();
    assert_eq!((*journal.link.borrow(), second.generation), (second, 2));
    // Nor one that the next command finishes.
    let to = Link {
        tree: Digest::of(b"3"),
        generation: 3,
    };
    let (_, plan) = keep::keep(&paths, second, to, &RelinkPlan::default()).unwrap();
    let intent = Intent {
        from: second,
        to,
        plan,
        live: false,
    };
    journal.begin(&paths.id, &intent).unwrap();
    let recovered = recover(&paths, &TOOLS(&journal)).unwrap();
    assert_eq!(recovered, Recovered::Finished(to));
    assert_eq!(*journal.link.borrow(), to);
}

fn privileged_evil_links_in_an_upper_lead_nowhere(node: &Node) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("f"), "outside").unwrap();
    for (name, edit) in [
        (
            "put",
            UpperEdit::Put {
                path: path("evil/f"),
                node: TreeNode::symlink("x", Timestamp::default()),
            },
        ),
        (
            "hide",
            UpperEdit::Hide {
                path: path("evil/f"),
            },
        ),
        (
            "reveal",
            UpperEdit::Reveal {
                path: path("evil/f"),
            },
        ),
        (
            "meta",
            UpperEdit::SetMeta {
                path: path("evil/f"),
                meta: Meta {
                    mode: 0o4777,
                    ..Meta::default()
                },
            },
        ),
        (
            "move",
            UpperEdit::MoveAside {
                path: path("evil/f"),
                to: path("evil/g"),
            },
        ),
    ] {
        let paths = node.paths(name);
        create(&paths, &Node::config(&paths), &ROOT, &[]).unwrap();
        symlink(outside.path(), paths.upper().join("evil")).unwrap();
        let journal = Journal::new();
        let plan = RelinkPlan {
            edits: vec![edit],
            ..RelinkPlan::default()
        };
        let from = *journal.link.borrow();
        let result = relink_stopped(
            &paths,
            from,
            Digest::of(b"2"),
            &plan,
            &node.runtime,
            &TOOLS(&journal),
        );
        assert!(result.is_err() || name == "reveal", "{name}");
        let left = fs::read(outside.path().join("f")).unwrap();
        assert_eq!(left, b"outside", "{name}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{name}");
    }
}
