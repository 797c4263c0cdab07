//! Packages as wholes (deb): which side each one comes from, and the merged package state.
//!
//! A package that only one side changed is that side's; for one that both changed the higher version wins, whole. What
//! a container removed stays removed.

use super::judge::{differ, merged_meta};
use super::records::{field, paragraphs};
use super::state::listed;
use super::{Decision, MergeError, Obstacle, UnionCheck, UnionPackage, draft::Draft};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::tree::{NodeKind, Tree};
use vzpkg_metadata::{Family, RelPath, version};
use vzpkg_runtime::container::UpperKind;

pub(crate) const STATUS: &str = "var/lib/dpkg/status";
pub(super) const INFO: &str = "var/lib/dpkg/info";

/// What the packages say about single paths.
#[derive(Debug, Default)]
pub(super) struct Packages {
    /// Of packages that the container keeps: nothing changes there.
    pub(super) keep: BTreeSet<RelPath>,
    /// Of packages that both changed and the new version gives: the container's copies go, whatever is in them.
    pub(super) take: BTreeSet<RelPath>,
    /// Of packages that the container keeps or removed: names that only the new version's package has.
    pub(super) hide: BTreeSet<RelPath>,
}

/// Name and architecture.
type Key = (String, String);

/// One paragraph of a status file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stanza {
    version: String,
    installed: bool,
    text: Vec<u8>,
}

type Status = BTreeMap<Key, Stanza>;

/// Which side a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The container changed nothing: the new version's, file by file.
    New,
    /// The container's, whole.
    Private,
    /// Both changed it, and the new version's is higher: the new version's, whole.
    NewWhole,
}

/// Decides every package, merges the status file and asks whether the union fits together.
pub(super) fn merge(
    draft: &mut Draft<'_>,
    check: &mut UnionCheck<'_>,
) -> Result<Packages, MergeError> {
    let mut packages = Packages::default();
    let Ok(path) = STATUS.parse::<RelPath>() else {
        return Ok(packages);
    };
    let (old, new) = (draft.old(&path), draft.new_node(&path));
    let private = draft.private(&path);
    let (Some(private), Some(new)) = (private, new) else {
        return Ok(packages);
    };
    if !matches!(private.kind, UpperKind::File { .. }) || !differ(old, Some(new)) {
        return Ok(packages);
    }
    let old_bytes = draft.read_node(&path, old)?;
    let new_bytes = draft.read_node(&path, Some(new))?;
    let private_bytes = draft.read_private(&path)?;
    if private_bytes == old_bytes {
        return Ok(packages);
    }
    let [olds, privates, news] = [&old_bytes, &private_bytes, &new_bytes].map(|bytes| parse(bytes));
    let sides = sides(&olds, &privates, &news);
    let lists = Lists::new(draft);
    for (key, side) in &sides {
        let (mine, theirs) = (privates.get(key), news.get(key));
        explain(draft, key, *side, olds.get(key), mine, theirs);
        lists.claim(draft, &mut packages, key, *side, mine, theirs)?;
    }
    let kept = std::mem::take(&mut packages.keep);
    packages.take.retain(|path| !kept.contains(path));
    packages.hide.retain(|path| !kept.contains(path));
    packages.keep = kept;
    let (bytes, union) = union(&sides, &privates, &news, &new_bytes);
    if sides.values().any(|side| *side == Side::Private)
        && let Err(why) = check(&union)
    {
        draft.object_to(Obstacle::Packages { why });
    }
    let meta = merged_meta(old, &private.meta, new);
    draft.say(&path, Decision::Merged { conflicts: vec![] });
    if bytes == new_bytes && super::judge::same_meta(&meta, &new.meta) {
        draft.take(&path);
    } else {
        draft.put_bytes(&path, meta, bytes);
    }
    Ok(packages)
}

fn parse(bytes: &[u8]) -> Status {
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    paragraphs(bytes)
        .map(|paragraph| {
            let get = |name| field(paragraph, name);
            let key = (text(get("Package")), text(get("Architecture")));
            let stanza = Stanza {
                version: text(get("Version")),
                installed: get("Status").is_some_and(|status| {
                    // "install ok unpacked" and the like are present too, only not finished.
                    !status.ends_with(b" config-files") && !status.ends_with(b" not-installed")
                }),
                text: paragraph.to_vec(),
            };
            (key, stanza)
        })
        .collect()
}

fn sides(old: &Status, private: &Status, new: &Status) -> BTreeMap<Key, Side> {
    let keys: BTreeSet<&Key> = old.keys().chain(private.keys()).chain(new.keys()).collect();
    keys.into_iter()
        .map(|key| {
            let side = side(old.get(key), private.get(key), new.get(key));
            (key.clone(), side)
        })
        .collect()
}

fn side(old: Option<&Stanza>, private: Option<&Stanza>, new: Option<&Stanza>) -> Side {
    if private == old || private == new {
        return Side::New;
    }
    if new == old {
        return Side::Private;
    }
    match (private, new) {
        (Some(private), Some(new)) if private.installed && new.installed => {
            match version::compare(Family::Deb, &private.version, &new.version) {
                Ordering::Greater => Side::Private,
                Ordering::Less | Ordering::Equal => Side::NewWhole,
            }
        }
        // Removed by the container, or removed by the new version and changed by the container.
        _ => Side::Private,
    }
}

fn explain(
    draft: &mut Draft<'_>,
    key: &Key,
    side: Side,
    old: Option<&Stanza>,
    private: Option<&Stanza>,
    new: Option<&Stanza>,
) {
    let shown = |stanza: Option<&Stanza>| {
        stanza
            .filter(|stanza| stanza.installed)
            .map(|stanza| stanza.version.clone())
    };
    let (private, template) = (shown(private), shown(new));
    // Only the text changed (a conffile's checksum): not worth a line.
    if side == Side::Private && private == shown(old) && private == template {
        return;
    }
    let decision = match side {
        Side::New => return,
        Side::Private => Decision::PackageKept { private, template },
        Side::NewWhole => Decision::PackageTaken { private, template },
    };
    draft.say(&format_args!("package {}:{}", key.0, key.1), decision);
}

/// The merged status file in the new version's order, and its installed packages.
fn union(
    sides: &BTreeMap<Key, Side>,
    private: &Status,
    new: &Status,
    new_bytes: &[u8],
) -> (Vec<u8>, Vec<UnionPackage>) {
    let order: Vec<Key> = paragraphs(new_bytes)
        .flat_map(|paragraph| parse(paragraph).into_keys())
        .collect();
    let present: BTreeSet<&Key> = order.iter().collect();
    let extra = private.keys().filter(|key| !present.contains(key));
    let (mut bytes, mut union) = (Vec::new(), Vec::new());
    for key in order.iter().chain(extra) {
        let is_private = sides.get(key) == Some(&Side::Private);
        let from = if is_private { private } else { new };
        let Some(stanza) = from.get(key) else {
            continue;
        };
        bytes.extend_from_slice(&stanza.text);
        bytes.extend_from_slice(b"\n\n");
        if stanza.installed {
            union.push(UnionPackage {
                name: key.0.clone(),
                arch: key.1.clone(),
                version: stanza.version.clone(),
                paragraph: String::from_utf8_lossy(&stanza.text).into_owned(),
                private: is_private,
            });
        }
    }
    (bytes, union)
}

/// dpkg's files about single packages, by package, on both sides.
struct Lists {
    private: BTreeMap<String, Vec<RelPath>>,
    new: BTreeMap<String, Vec<RelPath>>,
}

impl Lists {
    fn new(draft: &Draft<'_>) -> Self {
        let Ok(info) = INFO.parse::<RelPath>() else {
            return Self {
                private: BTreeMap::new(),
                new: BTreeMap::new(),
            };
        };
        let views = draft.views();
        let upper = draft.upper();
        // What the container sees: the old version's but for whiteouts, and its own.
        let shown = views.base.below(&info).map(|(path, _)| path);
        let shown = shown.filter(|path| upper.get(path).is_none());
        let own = upper
            .below(&info)
            .filter(|(_, entry)| matches!(entry.kind, UpperKind::File { .. }));
        Self {
            private: by_package(shown.chain(own.map(|(path, _)| path))),
            new: by_package(views.target.below(&info).map(|(path, _)| path)),
        }
    }

    /// Says which paths a package's side decides.
    fn claim(
        &self,
        draft: &Draft<'_>,
        packages: &mut Packages,
        key: &Key,
        side: Side,
        private: Option<&Stanza>,
        new: Option<&Stanza>,
    ) -> Result<(), MergeError> {
        if side == Side::New {
            return Ok(());
        }
        let views = draft.views();
        let infos = |by: &BTreeMap<String, Vec<RelPath>>| -> Vec<RelPath> {
            let stems = [key.0.clone(), format!("{}:{}", key.0, key.1)];
            stems
                .iter()
                .filter_map(|stem| by.get(stem))
                .flatten()
                .cloned()
                .collect()
        };
        let (own_info, new_info) = (infos(&self.private), infos(&self.new));
        let mut theirs = read_lists(draft, &new_info, false)?;
        theirs.extend(new_info);
        let mut mine = BTreeSet::new();
        if private.is_some_and(|stanza| stanza.installed) {
            mine.extend(read_lists(draft, &own_info, true)?);
        }
        if private.is_some() {
            mine.extend(own_info);
        }
        let is_directory = |tree: &Tree, path: &RelPath| {
            tree.node(path)
                .is_some_and(|node| matches!(node.kind, NodeKind::Directory))
        };
        match side {
            Side::New => {}
            Side::Private => {
                let absent = |path: &&RelPath| {
                    !mine.contains(*path)
                        && views.base.node(path).is_none()
                        && !is_directory(&views.target, path)
                };
                packages.hide.extend(theirs.iter().filter(absent).cloned());
                packages.keep.extend(mine);
            }
            Side::NewWhole => {
                let conffiles = conffiles(text_of(private))
                    .chain(conffiles(text_of(new)))
                    .collect::<BTreeSet<_>>();
                mine.extend(theirs);
                mine.retain(|path| !conffiles.contains(path));
                packages.take.extend(mine);
            }
        }
        Ok(())
    }
}

fn by_package<'a>(paths: impl Iterator<Item = &'a RelPath>) -> BTreeMap<String, Vec<RelPath>> {
    let mut found: BTreeMap<String, Vec<RelPath>> = BTreeMap::new();
    for path in paths {
        let name = String::from_utf8_lossy(path.file_name()).into_owned();
        if let Some((stem, _)) = name.rsplit_once('.') {
            found.entry(stem.to_owned()).or_default().push(path.clone());
        }
    }
    found
}

/// The paths in the `.list` files among `infos`, as the container (or the new version) has them. Directories, which
/// many packages share, are left out.
fn read_lists(
    draft: &Draft<'_>,
    infos: &[RelPath],
    private: bool,
) -> Result<BTreeSet<RelPath>, MergeError> {
    let views = draft.views();
    let mut paths = BTreeSet::new();
    for info in infos
        .iter()
        .filter(|info| info.as_bytes().ends_with(b".list"))
    {
        let tree: &Tree = if private { &views.base } else { &views.target };
        let bytes = if private && draft.private(info).is_some() {
            draft.read_private(info)?
        } else {
            draft.read_node(info, tree.node(info))?
        };
        for path in listed(tree, &bytes) {
            let entry = draft.private(&path).filter(|_| private);
            let directory = match entry.map(|entry| &entry.kind) {
                Some(kind) => matches!(kind, UpperKind::Directory { .. }),
                None => tree
                    .node(&path)
                    .is_some_and(|node| matches!(node.kind, NodeKind::Directory)),
            };
            if !directory {
                paths.insert(path);
            }
        }
    }
    Ok(paths)
}

fn text_of(stanza: Option<&Stanza>) -> &[u8] {
    stanza.map_or(&[], |stanza| stanza.text.as_slice())
}

/// The conffiles that a paragraph of the status file names.
pub(crate) fn conffiles(text: &[u8]) -> impl Iterator<Item = RelPath> + use<> {
    let lines = text.split(|&byte| byte == b'\n');
    let mut inside = false;
    let mut found = Vec::new();
    for line in lines {
        if let Some(entry) = line.strip_prefix(b" ").filter(|_| inside) {
            let path = entry.split(|&byte| byte == b' ').next().unwrap_or_default();
            found.extend(RelPath::parse_member(path));
        } else {
            inside = line.eq_ignore_ascii_case(b"Conffiles:");
        }
    }
    found.into_iter()
}
