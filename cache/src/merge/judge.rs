//! The rules for one path, as a function of what the old version, the container and the new version have there.

use vzpkg_metadata::Digest;
use vzpkg_metadata::tree::{Meta, Node, NodeKind};
use vzpkg_runtime::container::{UpperEntry, UpperKind};

/// What is to happen at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ruling {
    /// The private entry stays as it is, and there is nothing to say.
    Leave,
    /// The private entry goes; what the new version has, if anything, shows.
    Take,
    /// The new version's content with this metadata becomes the private one.
    TakeWith(Meta),
    /// The private content stays and gets this metadata.
    KeepWith(Meta),
    /// The private entry stays, with this metadata if it changes; the new version's is laid beside it.
    Beside(Option<Meta>),
    /// The private entry stays although the new version does not have it any more.
    Outlives,
    /// The container removed it, and it stays removed.
    StaysRemoved,
    /// The container made another type of entry of it, which stays.
    OtherType,
    /// The private entry hides a type that is new: it is moved aside.
    MoveAside,
}

/// Judges one path at which `old` and `new` differ. `content` is the digest of a private regular file, asked for only
/// where it matters.
pub(super) fn judge<E>(
    old: Option<&Node>,
    private: &UpperEntry,
    new: Option<&Node>,
    content: impl FnOnce() -> Result<Digest, E>,
) -> Result<Ruling, E> {
    if private.kind == UpperKind::Whiteout {
        return Ok(match new {
            Some(_) => Ruling::StaysRemoved,
            None => Ruling::Leave,
        });
    }
    if let UpperKind::Directory { .. } = private.kind {
        return Ok(directory(old, private, new));
    }
    let content = match private.kind {
        UpperKind::File { size } if wants_digest(old, new, size) => Some(content()?),
        _ => None,
    };
    let equals =
        |node: Option<&Node>| node.is_some_and(|node| same(&private.kind, content, &node.kind));
    if equals(old) {
        // Content is the version's own affair: only what the container did to the metadata is private.
        return Ok(match new {
            None => Ruling::Take,
            Some(new) if new.is_directory() => Ruling::Take,
            Some(new) => match merged_meta(old, &private.meta, new) {
                meta if same_meta(&meta, &new.meta) => Ruling::Take,
                _ if !alike(&private.kind, &new.kind) => Ruling::Take,
                meta => Ruling::TakeWith(meta),
            },
        });
    }
    let Some(new) = new else {
        return Ok(if old.is_some() {
            Ruling::Outlives
        } else {
            Ruling::Leave
        });
    };
    let meta = merged_meta(old, &private.meta, new);
    let changed = (!same_meta(&meta, &private.meta)).then_some(meta);
    if equals(Some(new)) {
        return Ok(match &changed {
            _ if same_meta(changed.as_ref().unwrap_or(&private.meta), &new.meta) => Ruling::Take,
            Some(meta) => Ruling::KeepWith(meta.clone()),
            None => Ruling::Leave,
        });
    }
    if alike(&private.kind, &new.kind) {
        let same_content = old.is_some_and(|old| old.kind == new.kind);
        return Ok(match (same_content, changed) {
            (true, Some(meta)) => Ruling::KeepWith(meta),
            (true, None) => Ruling::Leave,
            (false, changed) => Ruling::Beside(changed),
        });
    }
    if old.is_some_and(|old| type_of(&old.kind) == type_of(&new.kind)) {
        return Ok(Ruling::OtherType);
    }
    Ok(Ruling::MoveAside)
}

fn directory(old: Option<&Node>, private: &UpperEntry, new: Option<&Node>) -> Ruling {
    match new {
        // What becomes of an emptied directory is decided when its content has been.
        None => Ruling::Leave,
        Some(new) if new.is_directory() => {
            let meta = merged_meta(old, &private.meta, new);
            if same_meta(&meta, &private.meta) {
                Ruling::Leave
            } else {
                Ruling::KeepWith(meta)
            }
        }
        // The container made a directory of something else, long ago, and the version changed that something.
        Some(new) if old.is_some_and(|old| type_of(&old.kind) == type_of(&new.kind)) => {
            Ruling::OtherType
        }
        Some(_) => Ruling::MoveAside,
    }
}

/// A digest is needed only against a regular file of the same length.
fn wants_digest(old: Option<&Node>, new: Option<&Node>, length: u64) -> bool {
    [old, new]
        .into_iter()
        .flatten()
        .any(|node| matches!(node.kind, NodeKind::File { size, .. } if size == length))
}

/// Whether a private entry has the content of a node.
fn same(private: &UpperKind, content: Option<Digest>, node: &NodeKind) -> bool {
    match (private, node) {
        (UpperKind::File { size }, NodeKind::File { digest, size: of }) => {
            size == of && content == Some(*digest)
        }
        (UpperKind::Symlink { target }, NodeKind::Symlink { target: of }) => target == of,
        _ => false,
    }
}

/// Files and links can lie beside each other and stand for each other's change; a directory or device cannot.
fn alike(private: &UpperKind, node: &NodeKind) -> bool {
    matches!(
        (private, node),
        (UpperKind::File { .. }, NodeKind::File { .. })
            | (UpperKind::Symlink { .. }, NodeKind::Symlink { .. })
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Directory,
    File,
    Symlink,
    Special,
}

fn type_of(kind: &NodeKind) -> Type {
    match kind {
        NodeKind::Directory => Type::Directory,
        NodeKind::File { .. } => Type::File,
        NodeKind::Symlink { .. } => Type::Symlink,
        _ => Type::Special,
    }
}

/// Each attribute that the container changed stays; each other one is the new version's. The time is the new version's.
pub(super) fn merged_meta(old: Option<&Node>, private: &Meta, new: &Node) -> Meta {
    let Some(old) = old.map(|old| &old.meta) else {
        return Meta {
            mtime: new.meta.mtime,
            ..private.clone()
        };
    };
    let new = &new.meta;
    let mut xattrs = new.xattrs.clone();
    for name in private.xattrs.keys().chain(old.xattrs.keys()) {
        if private.xattrs.get(name) == old.xattrs.get(name) {
            continue;
        }
        match private.xattrs.get(name) {
            Some(value) => drop(xattrs.insert(name.clone(), value.clone())),
            None => drop(xattrs.remove(name)),
        }
    }
    Meta {
        mode: pick(old.mode, private.mode, new.mode),
        uid: pick(old.uid, private.uid, new.uid),
        gid: pick(old.gid, private.gid, new.gid),
        mtime: new.mtime,
        xattrs,
    }
}

fn pick<T: PartialEq + Copy>(old: T, private: T, new: T) -> T {
    if private == old { new } else { private }
}

/// Equal but for the time.
pub(super) fn same_meta(one: &Meta, other: &Meta) -> bool {
    (one.mode, one.uid, one.gid, &one.xattrs) == (other.mode, other.uid, other.gid, &other.xattrs)
}

/// Whether two nodes differ in anything but the time.
pub(super) fn differ(one: Option<&Node>, other: Option<&Node>) -> bool {
    match (one, other) {
        (None, None) => false,
        (Some(one), Some(other)) => {
            // The mode of a symbolic link means nothing and file systems report it differently.
            let both_links = matches!(one.kind, NodeKind::Symlink { .. });
            one.kind != other.kind
                || !(both_links && one.meta.uid == other.meta.uid && one.meta.gid == other.meta.gid
                    || same_meta(&one.meta, &other.meta))
        }
        _ => true,
    }
}
