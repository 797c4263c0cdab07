//! Files of records that both sides add to: users, groups, overrides, package states. Merged record by record, by a key.
//!
//! A record changed on one side only is taken from that side. One that both changed is merged field by field where it
//! has fields, and where that does not decide the container's stays and is reported. The new version's order is kept;
//! what only the container has comes after it.

mod format;

pub(super) use format::Format;
pub(crate) use format::{field, paragraphs};

use super::judge::{differ, merged_meta};
use super::packages::{INFO, STATUS};
use super::{Decision, MergeError, ObjectSource, Obstacle, RECORD_BYTES, draft::Draft};
use format::{Records, records};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use vzpkg_metadata::tree::{Node, NodeKind};
use vzpkg_metadata::{Family, RelPath};
use vzpkg_runtime::container::UpperKind;

/// A record that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RecordConflict {
    /// The key of the record: the user, the package.
    pub record: String,
}

const PACKAGE_KEY: &[&str] = &["Package", "Architecture"];

/// Every record file, with the family it belongs to where it does.
const FILES: [(&str, Format, Option<Family>); 13] = [
    ("etc/passwd", Format::Accounts { lists: &[] }, None),
    ("etc/shadow", Format::Accounts { lists: &[] }, None),
    ("etc/group", Format::Accounts { lists: &[3] }, None),
    ("etc/gshadow", Format::Accounts { lists: &[2, 3] }, None),
    ("etc/subuid", Format::Lines, None),
    ("etc/subgid", Format::Lines, None),
    (
        "var/lib/dpkg/diversions",
        Format::Triples,
        Some(Family::Deb),
    ),
    (
        "var/lib/dpkg/statoverride",
        Format::LastWord,
        Some(Family::Deb),
    ),
    (
        "var/lib/dpkg/triggers/File",
        Format::Lines,
        Some(Family::Deb),
    ),
    (
        "var/lib/dpkg/triggers/Unincorp",
        Format::FirstWord,
        Some(Family::Deb),
    ),
    (
        "var/lib/apt/extended_states",
        Format::Paragraphs(PACKAGE_KEY),
        Some(Family::Deb),
    ),
    (
        "var/cache/debconf/config.dat",
        Format::Paragraphs(&["Name"]),
        Some(Family::Deb),
    ),
    (
        "var/cache/debconf/templates.dat",
        Format::Paragraphs(&["Name"]),
        Some(Family::Deb),
    ),
];

/// Lists of packages that wait for a trigger, one file for each trigger.
const TRIGGERS: &str = "var/lib/dpkg/triggers";

/// All bytes of a regular file of a version; nothing for anything else.
///
/// # Errors
/// [`MergeError::Object`], also where it is longer than any record is.
pub(crate) fn read_record(
    objects: &dyn ObjectSource,
    path: &RelPath,
    node: Option<&Node>,
) -> Result<Vec<u8>, MergeError> {
    let Some(NodeKind::File { digest, .. }) = node.map(|node| &node.kind) else {
        return Ok(Vec::new());
    };
    let mut bytes = Vec::new();
    let opened = objects.open(digest);
    let read = opened.and_then(|object| object.take(RECORD_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(read) if read as u64 <= RECORD_BYTES => Ok(bytes),
        other => Err(MergeError::Object {
            digest: *digest,
            path: path.clone(),
            source: other
                .err()
                .unwrap_or_else(|| io::ErrorKind::FileTooLarge.into()),
        }),
    }
}

/// Whether a path is merged record by record.
pub(crate) fn is_record(path: &RelPath) -> bool {
    let files = FILES.iter().map(|(file, ..)| *file);
    files
        .chain([STATUS])
        .any(|file| path.as_bytes() == file.as_bytes())
}

/// Whether a merge may read what is at `path`: record files, and what dpkg keeps about single packages and triggers.
pub(super) fn is_read(path: &RelPath) -> bool {
    let within = |directory: &str| {
        let directory = directory.parse::<RelPath>();
        directory.is_ok_and(|directory| path.is_within(&directory))
    };
    is_record(path) || within(TRIGGERS) || within(INFO) && path.as_bytes().ends_with(b".list")
}

/// Merges every record file that both sides changed; one that only one side changed is left to the file rules.
pub(super) fn merge_all(draft: &mut Draft<'_>, family: Family) -> Result<(), MergeError> {
    let mut files: BTreeMap<RelPath, Format> = FILES
        .into_iter()
        .filter(|(_, _, of)| of.is_none_or(|of| of == family))
        .filter_map(|(path, format, _)| Some((path.parse().ok()?, format)))
        .collect();
    if let Ok(directory) = TRIGGERS.parse::<RelPath>() {
        let upper = draft.upper();
        for (path, _) in upper
            .below(&directory)
            .filter(|(path, _)| **path != directory)
        {
            files.entry(path.clone()).or_insert(Format::Lines);
        }
    }
    for (path, format) in files {
        merge_file(draft, &path, format)?;
    }
    Ok(())
}

fn merge_file(draft: &mut Draft<'_>, path: &RelPath, format: Format) -> Result<(), MergeError> {
    let (old, new) = (draft.old(path), draft.new_node(path));
    let Some(private) = draft.private(path) else {
        return Ok(());
    };
    let is_file = |kind: &NodeKind| matches!(kind, NodeKind::File { .. });
    let Some(new) = new.filter(|new| is_file(&new.kind)) else {
        return Ok(());
    };
    if !matches!(private.kind, UpperKind::File { .. }) || !differ(old, Some(new)) {
        return Ok(());
    }
    let old_bytes = draft.read_node(path, old)?;
    let new_bytes = draft.read_node(path, Some(new))?;
    let private_bytes = draft.read_private(path)?;
    if private_bytes == old_bytes || private_bytes == new_bytes {
        return Ok(());
    }
    let merged = merge(format, &old_bytes, &private_bytes, &new_bytes);
    if matches!(format, Format::Accounts { .. }) {
        for clash in clashes(path, &old_bytes, &private_bytes, &new_bytes) {
            draft.object_to(clash);
        }
    }
    let meta = merged_meta(old, &private.meta, new);
    draft.say(
        &path,
        Decision::Merged {
            conflicts: merged.conflicts,
        },
    );
    if merged.bytes == new_bytes && super::judge::same_meta(&meta, &new.meta) {
        draft.take(path);
    } else {
        draft.put_bytes(path, meta, merged.bytes);
    }
    Ok(())
}

/// The outcome of one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) bytes: Vec<u8>,
    pub(super) conflicts: Vec<RecordConflict>,
}

/// Merges three contents of a file.
pub(super) fn merge(format: Format, old: &[u8], private: &[u8], new: &[u8]) -> Merged {
    let [old, private, new] = [old, private, new].map(|bytes| records(format, bytes));
    let index = |records: &Records<'_>| -> BTreeMap<Vec<u8>, Vec<u8>> {
        records
            .iter()
            .map(|(key, record)| (key.clone(), record.to_vec()))
            .collect()
    };
    let (old, by_private, by_new) = (index(&old), index(&private), index(&new));
    let order = new
        .iter()
        .chain(private.iter().filter(|(key, _)| !by_new.contains_key(key)));
    let (mut merged, mut conflicts, mut done) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (key, _) in order {
        if !done.insert(key) {
            continue;
        }
        let (o, p, n) = (old.get(key), by_private.get(key), by_new.get(key));
        let chosen = if p == n || p == o {
            n.cloned()
        } else if n == o {
            p.cloned()
        } else {
            let (record, agreed) = both_changed(format, o, p, n);
            if !agreed {
                let record = String::from_utf8_lossy(key).into_owned();
                conflicts.push(RecordConflict { record });
            }
            record
        };
        merged.extend(chosen);
    }
    let mut bytes = Vec::new();
    for record in merged {
        bytes.extend_from_slice(&record);
        bytes.extend_from_slice(if matches!(format, Format::Paragraphs(_)) {
            b"\n\n"
        } else {
            b"\n"
        });
    }
    Merged { bytes, conflicts }
}

/// A record that both sides changed: the merged one, and whether both sides are in it.
fn both_changed(
    format: Format,
    old: Option<&Vec<u8>>,
    private: Option<&Vec<u8>>,
    new: Option<&Vec<u8>>,
) -> (Option<Vec<u8>>, bool) {
    let (Some(private), Some(new)) = (private, new) else {
        // One side removed what the other changed: as the container has it.
        return (private.cloned(), false);
    };
    let Format::Accounts { lists } = format else {
        return (Some(private.clone()), false);
    };
    let fields = |record: &[u8]| -> Vec<Vec<u8>> {
        record
            .split(|&byte| byte == b':')
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (private, new) = (fields(private), fields(new));
    let old = old.map(|old| fields(old)).unwrap_or_default();
    if private.len() != new.len() {
        return (Some(private.join(&b':')), false);
    }
    let mut agreed = true;
    let merged: Vec<Vec<u8>> = private
        .iter()
        .zip(&new)
        .enumerate()
        .map(|(at, (p, n))| {
            let o = old.get(at);
            if p == n || Some(p) == o {
                n.clone()
            } else if Some(n) == o {
                p.clone()
            } else if lists.contains(&at) {
                merge_list(o.map_or(&[][..], Vec::as_slice), p, n)
            } else {
                agreed = false;
                p.clone()
            }
        })
        .collect();
    (Some(merged.join(&b':')), agreed)
}

/// Members that either side added, without those that either side removed.
fn merge_list(old: &[u8], private: &[u8], new: &[u8]) -> Vec<u8> {
    let [old, private, new] = [old, private, new].map(|list| -> Vec<&[u8]> {
        list.split(|&byte| byte == b',')
            .filter(|item| !item.is_empty())
            .collect()
    });
    let kept = new
        .iter()
        .filter(|item| private.contains(item) || !old.contains(item));
    let added = private
        .iter()
        .filter(|item| !new.contains(item) && !old.contains(item));
    let all: Vec<&[u8]> = kept.chain(added).copied().collect();
    all.join(&b',')
}

/// Ids that the container and the new version both gave out since the old version, to different names; and names to
/// which both gave different ids.
fn clashes(path: &RelPath, old: &[u8], private: &[u8], new: &[u8]) -> Vec<Obstacle> {
    let kind = match path.as_bytes() {
        b"etc/passwd" => "user",
        b"etc/group" => "group",
        _ => return Vec::new(),
    };
    let ids = |bytes: &[u8]| -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines = text.lines().filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?.to_owned(), fields.nth(1)?.to_owned()))
        });
        lines.collect()
    };
    let (old, private, new) = (ids(old), ids(private), ids(new));
    let added = |side: &BTreeMap<String, String>| -> Vec<(String, String)> {
        let added = side.iter().filter(|(name, _)| !old.contains_key(*name));
        added.map(|(name, id)| (name.clone(), id.clone())).collect()
    };
    let mut found = Vec::new();
    for mine in added(&private) {
        for theirs in added(&new) {
            let (same_name, same_id) = (mine.0 == theirs.0, mine.1 == theirs.1);
            if same_name != same_id {
                found.push(Obstacle::IdClash {
                    kind,
                    private: mine.clone(),
                    template: theirs,
                });
            }
        }
    }
    found
}
