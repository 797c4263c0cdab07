//! User and group ids: one name has one id in every version of an OS template, for ever (DESIGN, Ids).
//!
//! The registry of the template (or a lock that is built again) comes first, then a shipped table, then a hash of the
//! name into 300–899. Names are foreseen by reading what packages bring: `sysusers.d` files, and scripts that call
//! `useradd` and its kin. A name too many does no harm; one that was missed shows in the built `passwd`, and the tree is
//! built once more with an id for it. Backends make the distribution's tools use the ids.

mod script;
mod sysusers;

pub(super) use sysusers::pinned as pinned_sysusers;

use super::{BuildError, Plan};
use crate::store::{PackageManifest, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::tree::{Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, Family, RelPath};

/// Where a hash puts a name. Distributions count system users up from 100 or down from 999, so both ends stay free for
/// names that nobody foresaw.
const HASHED: std::ops::RangeInclusive<u32> = 300..=899;

/// Whether a distribution gives this id while packages are installed, rather than having fixed it.
///
/// Debian fixes those below 100 and the group `users`, which is 100; distributions of rpm those up to 200.
const fn is_dynamic(family: Family, is_group: bool, id: u32) -> bool {
    let first = match family {
        Family::Deb if is_group => 101,
        Family::Deb => 100,
        Family::Rpm => 201,
    };
    first <= id && id <= 999
}

/// Names that nearly every node meets, so that people recognise their ids.
const SHIPPED: [(&str, u32); 24] = [
    ("messagebus", 201),
    ("sshd", 202),
    ("_ssh", 203),
    ("systemd-network", 204),
    ("systemd-resolve", 205),
    ("systemd-timesync", 206),
    ("systemd-journal", 207),
    ("systemd-coredump", 208),
    ("systemd-oom", 209),
    ("polkitd", 210),
    ("ssl-cert", 211),
    ("postgres", 212),
    ("redis", 213),
    ("mysql", 214),
    ("Debian-exim", 215),
    ("postfix", 216),
    ("postdrop", 217),
    ("crontab", 218),
    ("uuidd", 219),
    ("tss", 220),
    ("_chrony", 221),
    ("nginx", 222),
    ("apache", 223),
    ("dbus", 224),
];

/// The largest account or `sysusers.d` file that is read.
const FILE_BYTES: u64 = 16 << 20;

/// `known`, and an id for every other name that the packages may create. Ids that `base` uses are left alone.
pub(super) fn foresee(
    store: &Store,
    family: Family,
    known: &BTreeMap<String, Ids>,
    incoming: &[Arc<PackageManifest>],
    base: Option<&Tree>,
) -> Result<BTreeMap<String, Ids>, BuildError> {
    let mut ids = known.clone();
    if let Some(base) = base {
        for (name, there) in accounts(store, family, base)? {
            ids.entry(name).or_insert(there);
        }
    }
    let mut names = BTreeSet::new();
    for package in incoming {
        for text in package
            .control
            .values()
            .filter_map(|bytes| std::str::from_utf8(bytes).ok())
        {
            names.extend(script::names(text).map(str::to_owned));
        }
        for (_, text) in sysusers::files(store, package)? {
            names.extend(sysusers::names(&text).map(str::to_owned));
        }
    }
    assign(&mut ids, names);
    Ok(ids)
}

/// Gives each name of `names` that has none an id for both its user and its group.
fn assign(ids: &mut BTreeMap<String, Ids>, names: BTreeSet<String>) {
    let numbers = |ids: &Ids| [ids.uid, ids.gid].into_iter().flatten();
    let mut taken: BTreeSet<u32> = ids.values().flat_map(numbers).collect();
    // Shipped ids stay free for their names, whoever comes first.
    taken.extend(SHIPPED.iter().map(|(_, id)| *id));
    for name in names {
        let shipped = SHIPPED
            .iter()
            .find(|(shipped, _)| *shipped == name)
            .map(|(_, id)| *id);
        let held = ids.entry(name).or_insert_with_key(|name| {
            let id = shipped.or_else(|| free_hash(name, &taken));
            taken.extend(id);
            Ids { uid: id, gid: id }
        });
        // A name with only one of the two gets the same number for the other, where that is free.
        let one = held.uid.or(held.gid);
        held.uid = held.uid.or(one);
        held.gid = held.gid.or(one);
    }
}

fn free_hash(name: &str, taken: &BTreeSet<u32>) -> Option<u32> {
    let [a, b, c, d, ..] = *Digest::of(name.as_bytes()).as_bytes();
    let slots = HASHED.end() - HASHED.start() + 1;
    let start = u32::from_be_bytes([a, b, c, d]) % slots;
    (0..slots)
        .map(|step| HASHED.start() + (start + step) % slots)
        .find(|id| !taken.contains(id))
}

/// The names that the built tree has with ids from the range that builds give, and their ids.
pub(super) fn given(plan: &Plan<'_>, tree: &Tree) -> Result<BTreeMap<String, Ids>, BuildError> {
    accounts(plan.request.store, plan.family(), tree)
}

/// Those of `given` that did not get the id they should have had.
pub(super) fn unforeseen(plan: &Plan<'_>, given: &BTreeMap<String, Ids>) -> BTreeMap<String, Ids> {
    let differs = |given: Option<u32>, wanted: Option<u32>| given.is_some() && given != wanted;
    let names = given.iter().filter(|(name, got)| {
        let wanted = plan.ids.get(*name).copied().unwrap_or_default();
        differs(got.uid, wanted.uid) || differs(got.gid, wanted.gid)
    });
    let names: BTreeSet<String> = names.map(|(name, _)| name.clone()).collect();
    let mut ids = plan.ids.clone();
    assign(&mut ids, names.clone());
    ids.retain(|name, _| names.contains(name));
    ids
}

fn accounts(
    store: &Store,
    family: Family,
    tree: &Tree,
) -> Result<BTreeMap<String, Ids>, BuildError> {
    let mut found: BTreeMap<String, Ids> = BTreeMap::new();
    for file in ["etc/passwd", "etc/group"] {
        let path = RelPath::parse(file.as_bytes())?;
        let Some(text) = read(store, tree.node(&path))? else {
            continue;
        };
        for line in text.lines() {
            let mut fields = line.split(':');
            let name = fields.next().unwrap_or_default();
            let id = fields.nth(1).and_then(|id| id.parse().ok());
            let Some(id) = id.filter(|id| is_dynamic(family, file == "etc/group", *id)) else {
                continue;
            };
            let ids = found.entry(name.to_owned()).or_default();
            if file == "etc/passwd" {
                ids.uid = Some(id);
            } else {
                ids.gid = Some(id);
            }
        }
    }
    Ok(found)
}

/// The user id of a name in a tree's `passwd`, whatever range it is from.
pub(super) fn user_id(store: &Store, tree: &Tree, name: &str) -> Result<Option<u32>, BuildError> {
    let path = RelPath::parse(b"etc/passwd")?;
    let text = read(store, tree.node(&path))?.unwrap_or_default();
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(lines.find_map(|rest| rest.split(':').nth(1)?.parse().ok()))
}

fn read(store: &Store, node: Option<&Node>) -> Result<Option<String>, BuildError> {
    let Some(NodeKind::File { digest, .. }) = node.map(|node| &node.kind) else {
        return Ok(None);
    };
    let bytes = store.objects.read(digest, FILE_BYTES)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_name_gets_the_same_id_whoever_comes_with_it() {
        let (mut alone, mut together) = (BTreeMap::new(), BTreeMap::new());
        assign(&mut alone, set(&["some-daemon"]));
        assign(&mut together, set(&["another", "some-daemon", "zeta"]));
        assert_eq!(alone["some-daemon"], together["some-daemon"]);
        assert!(HASHED.contains(&alone["some-daemon"].uid.unwrap()));
    }

    #[test]
    fn postgres_and_redis_never_share_an_id() {
        let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
        assign(&mut first, set(&["postgres"]));
        assign(&mut second, set(&["redis", "postgres"]));
        assert_eq!(first["postgres"], second["postgres"]);
        assert_ne!(second["redis"].uid, second["postgres"].uid);
    }

    #[test]
    fn the_registry_wins_and_its_numbers_are_not_given_again() {
        let mut ids = BTreeMap::new();
        assign(&mut ids, set(&["x"]));
        let taken = ids["x"];
        let mut other = BTreeMap::from([("old".to_owned(), taken)]);
        assign(&mut other, set(&["x", "old"]));
        assert_eq!(other["old"], taken);
        assert_ne!(other["x"], taken);
    }
}
