//! Every path at which the two versions differ: the ruling of [`super::judge`] carried into the draft.

use super::beside::{self, NEW, OLD};
use super::draft::Draft;
use super::judge::{Ruling, judge, merged_meta, same_meta};
use super::packages::Packages;
use super::state::{self, Owned};
use super::{Decision, MergeError, Why};
use std::collections::BTreeSet;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::NodeKind;
use vzpkg_runtime::container::{Before, Regenerate, UpperEdit, UpperEntry, UpperKind};

/// Caches that the container makes again from what it has.
const CACHES: [(&str, Regenerate); 1] = [("etc/ld.so.cache", Regenerate::LdSoCache)];

/// Copies that programs keep of a record file's last state, and locks: the container's, without a word.
const BYSTANDERS: [&str; 16] = [
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/passwords.dat",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dpkg/available",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/status-old",
];

/// Judges every path that differs, and in a rollback every path that the relink changed.
pub(super) fn merge(draft: &mut Draft<'_>, packages: &Packages) -> Result<(), MergeError> {
    let moved = move_back(draft);
    let mut owned = Owned::default();
    for path in candidates(draft, packages) {
        if draft.is_settled(&path) {
            continue;
        }
        if moved.iter().any(|moved| path.is_within(moved)) {
            // Returns with its directory; what the relink took out of it, or put into it, is put back too.
            if was_changed(draft, &path)? {
                draft.take(&path);
            }
            continue;
        }
        one(draft, packages, &mut owned, &path)?;
    }
    root(draft);
    Ok(())
}

/// An overlay shows the root directory of its upper: what the new version says about it is written there, but for what
/// the container changed. Nothing is said about it: nobody chose it.
fn root(draft: &mut Draft<'_>) {
    let root = RelPath::root();
    let Some(new) = draft.new_node(&root) else {
        return;
    };
    let private = &draft.upper().root;
    let meta = merged_meta(draft.old(&root), private, new);
    if !same_meta(&meta, private) {
        draft.set_meta(&root, meta);
    }
}

/// Whether the relink that is rolled back changed a path below a directory that moves, and nobody has since.
fn was_changed(draft: &Draft<'_>, path: &RelPath) -> Result<bool, MergeError> {
    Ok(match (draft.before(path), draft.private(path)) {
        (None, _) | (Some(Before::Nothing), None) => false,
        (Some(_), None) => true,
        (Some(_), Some(entry)) => {
            let ruling = judge(draft.old(path), entry, None, || draft.private_digest(path))?;
            ruling == Ruling::Take
        }
    })
}

fn candidates(draft: &Draft<'_>, packages: &Packages) -> BTreeSet<RelPath> {
    let mut paths = draft.views().differing();
    if let Some(undo) = draft.input.undo {
        let kept: BTreeSet<&RelPath> = undo
            .edits
            .iter()
            .filter(|edit| matches!(edit, UpperEdit::Keep { .. }))
            .map(UpperEdit::path)
            .collect();
        let changed = undo.before.iter().map(|entry| &entry.path);
        paths.extend(changed.filter(|path| !kept.contains(path)).cloned());
    }
    let private = |path: &&RelPath| draft.private(path).is_some();
    paths.extend(packages.take.iter().filter(private).cloned());
    paths.remove(&RelPath::root());
    paths
}

fn one(
    draft: &mut Draft<'_>,
    packages: &Packages,
    owned: &mut Owned,
    path: &RelPath,
) -> Result<(), MergeError> {
    if packages.keep.contains(path) {
        if draft.private(path).is_some() {
            draft.keep(path);
        }
        return Ok(());
    }
    if is_hidden(draft, path) {
        return Ok(());
    }
    if packages.hide.contains(path) && draft.private(path).is_none() {
        draft.hide(path);
        return Ok(());
    }
    let Some(entry) = draft.private(path) else {
        return without_private(draft, owned, path);
    };
    if packages.take.contains(path) && !matches!(entry.kind, UpperKind::Directory { .. }) {
        draft.take(path);
        return Ok(());
    }
    if let Some((_, again)) = CACHES
        .iter()
        .find(|(cache, _)| path.as_bytes() == cache.as_bytes())
    {
        draft.take(path);
        draft.make_again(*again);
        draft.say(&path, Decision::MadeAgain);
        return Ok(());
    }
    if BYSTANDERS
        .iter()
        .any(|name| path.as_bytes() == name.as_bytes())
    {
        return bystander(draft, path, entry);
    }
    let (old, new) = (draft.old(path), draft.new_node(path));
    let ruling = judge(old, entry, new, || draft.private_digest(path))?;
    let directory = matches!(entry.kind, UpperKind::Directory { .. });
    // A rollback puts back what it finds untouched, state or not.
    let put_back = ruling == Ruling::Take && draft.before(path).is_some();
    if !put_back && !directory && owned.is_state(draft, path)? {
        if ruling != Ruling::Leave {
            draft.say(&path, Decision::Kept { why: Why::State });
        }
        return Ok(());
    }
    carry_out(draft, path, entry, ruling);
    Ok(())
}

/// Nothing private is there: the new version shows, unless it would change state or what was private is to come back.
fn without_private(
    draft: &mut Draft<'_>,
    owned: &mut Owned,
    path: &RelPath,
) -> Result<(), MergeError> {
    if let Some(before) = draft.before(path) {
        // Revealed by the relink, and still nothing private: as it was.
        if *before != Before::Nothing {
            draft.take(path);
            draft.say(&path, Decision::PutBack);
        }
        return Ok(());
    }
    let Some(old) = draft.old(path) else {
        return Ok(());
    };
    if owned.is_state(draft, path)? && !follows_back(draft, path) {
        let is_directory = matches!(old.kind, NodeKind::Directory);
        // A directory that stays a directory needs no copy; one that would go does, for its content is copied.
        if is_directory
            && draft
                .new_node(path)
                .is_some_and(vzpkg_metadata::tree::Node::is_directory)
        {
            return Ok(());
        }
        let node = old.clone();
        draft.put(path, node);
        draft.say(&path, Decision::StateCopied);
    }
    Ok(())
}

/// Whether state that only the newer version brought goes with it in a rollback: where the container wrote nothing into
/// it. One private file in a database makes all of it the container's.
fn follows_back(draft: &Draft<'_>, path: &RelPath) -> bool {
    let upper = draft.upper();
    draft.input.undo.is_some()
        && !upper.below(&state::unit(path)).any(|(path, entry)| {
            let directory = matches!(entry.kind, UpperKind::Directory { .. });
            !directory && draft.before(path).is_none()
        })
}

/// A copy that nobody reads: dropped where it is the old version's, kept else.
fn bystander(draft: &mut Draft<'_>, path: &RelPath, entry: &UpperEntry) -> Result<(), MergeError> {
    let (old, new) = (draft.old(path), draft.new_node(path));
    if judge(old, entry, new, || draft.private_digest(path))? == Ruling::Take {
        draft.take(path);
    } else {
        draft.keep(path);
    }
    Ok(())
}

fn carry_out(draft: &mut Draft<'_>, path: &RelPath, entry: &UpperEntry, ruling: Ruling) {
    let kept = |why| Decision::Kept { why };
    let directory = matches!(entry.kind, UpperKind::Directory { .. });
    if let (Some(Before::Directory { opaque, .. }), UpperKind::Directory { opaque: now }) =
        (draft.before(path), &entry.kind)
        && opaque != now
        && matches!(ruling, Ruling::Leave | Ruling::KeepWith(_))
    {
        draft.set_opaque(path, *opaque);
    }
    match ruling {
        Ruling::Leave => draft.keep(path),
        Ruling::Take => {
            let decision = if draft.before(path).is_some() {
                Decision::PutBack
            } else {
                Decision::Taken
            };
            draft.take(path);
            draft.say(&path, decision);
        }
        Ruling::TakeWith(meta) => {
            if let Some(new) = draft.new_node(path) {
                let mut node = new.clone();
                node.meta = meta;
                draft.put_new(path, path, node);
                draft.say(&path, Decision::TakenWithOwnMetadata);
            }
        }
        Ruling::KeepWith(meta) => {
            // Copied up for the sake of a file below it, a directory has metadata that nobody chose.
            let chosen = !directory
                || !draft
                    .old(path)
                    .is_some_and(|old| same_meta(&old.meta, &entry.meta));
            draft.set_meta(path, meta);
            if chosen {
                draft.say(&path, Decision::KeptWithNewMetadata);
            }
        }
        Ruling::Beside(meta) => {
            match meta {
                Some(meta) => draft.set_meta(path, meta),
                None => draft.keep(path),
            }
            lay_beside(draft, path);
        }
        Ruling::Outlives | Ruling::StaysRemoved | Ruling::OtherType => {
            draft.keep(path);
            draft.say(
                &path,
                kept(match ruling {
                    Ruling::Outlives => Why::Gone,
                    Ruling::StaysRemoved => Why::Removed,
                    _ => Why::OtherType,
                }),
            );
        }
        Ruling::MoveAside if directory => draft.clear_the_way(path),
        Ruling::MoveAside => {
            if let Some(to) = beside::free_name(draft, path, OLD) {
                draft.say(&path, Decision::MovedAside { to: to.to_string() });
                draft.move_aside(path, to);
            }
        }
    }
}

fn lay_beside(draft: &mut Draft<'_>, path: &RelPath) {
    let place = beside::name(path, NEW).filter(|_| beside::has_room(path));
    // Where the container has a directory of that name there is no room either.
    let place = place.filter(|place| {
        let there = draft.private(place).map(|entry| &entry.kind);
        !matches!(there, Some(UpperKind::Directory { .. }))
    });
    match (place, draft.new_node(path)) {
        (Some(place), Some(new)) => {
            let node = new.clone();
            draft.put_new(path, &place, node);
            let new = place.to_string();
            draft.say(&path, Decision::KeptBeside { new });
        }
        _ => draft.say(
            &path,
            Decision::Kept {
                why: Why::NoRoomBeside,
            },
        ),
    }
}

/// Whether a private entry above `path` keeps what the versions have there from showing. A directory that the container
/// made where no version had one hides nothing on purpose: overlayfs marks it so to save look-ups.
fn is_hidden(draft: &mut Draft<'_>, path: &RelPath) -> bool {
    let Some(above) = draft.upper().hidden_by(path) else {
        return false;
    };
    let opaque = draft
        .private(&above)
        .is_some_and(|entry| matches!(entry.kind, UpperKind::Directory { .. }));
    let was_there = draft
        .old(&above)
        .is_some_and(vzpkg_metadata::tree::Node::is_directory);
    let is_there = draft
        .new_node(&above)
        .is_some_and(vzpkg_metadata::tree::Node::is_directory);
    if opaque && !was_there && is_there {
        draft.set_opaque(&above, false);
        return false;
    }
    if draft.private(path).is_none() && !draft.is_settled(&above) {
        draft.settle(&above);
        draft.say(&above, Decision::Kept { why: Why::Removed });
    }
    // Below an opaque directory everything is the container's own.
    opaque || draft.private(path).is_none()
}

/// In a rollback: what the relink moved aside returns, unless something new stands in its place. Returns the places.
fn move_back(draft: &mut Draft<'_>) -> Vec<RelPath> {
    let Some(undo) = draft.input.undo else {
        return Vec::new();
    };
    let mut places = Vec::new();
    for edit in undo.moves_back() {
        let UpperEdit::MoveAside { path: aside, to } = edit else {
            continue;
        };
        if draft.private(&aside).is_none() {
            continue;
        }
        if draft.private(&to).is_some() {
            draft.say(
                &to,
                Decision::Kept {
                    why: Why::ChangedSince,
                },
            );
            continue;
        }
        draft.say(&to, Decision::PutBack);
        draft.move_aside(&aside, to.clone());
        places.extend([aside, to]);
    }
    places
}
