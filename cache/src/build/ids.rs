//! User and group ids: one name has one id in every version of an OS template, for ever (DESIGN, Ids).
//!
//! The registry of the template (or a lock that is built again) comes first, then a shipped table, then a hash of the
//! name into 300–899. Names are foreseen by reading what packages bring: `sysusers.d` files, and scripts that call
//! `useradd` and its kin. A name too many does no harm; one that was missed shows in the built `passwd`, and the tree is
//! built once more with an id for it. Backends make the distribution's tools use the ids.

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

const TOOLS: [&str; 4] = ["adduser", "addgroup", "useradd", "groupadd"];

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
            names.extend(names_in_script(text).map(str::to_owned));
        }
        for (_, text) in sysusers_files(store, package)? {
            names.extend(
                text.lines()
                    .filter_map(|line| Some(parse_sysusers(line)?.1.to_owned())),
            );
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

/// The `sysusers.d` files of a package: name and content.
fn sysusers_files(
    store: &Store,
    package: &PackageManifest,
) -> Result<Vec<(String, String)>, BuildError> {
    let directory = RelPath::parse(b"usr/lib/sysusers.d")?;
    let mut files = Vec::new();
    for (path, entry) in package.tree.below(&directory) {
        let name = String::from_utf8_lossy(path.file_name()).into_owned();
        if path
            .as_path()
            .extension()
            .is_some_and(|ending| ending == "conf")
            && let Some(text) = read(store, entry.as_node())?
        {
            files.push((name, text));
        }
    }
    Ok(files)
}

/// The `sysusers.d` files of what comes, with the ids that names are to have; only those that change by it.
pub(super) fn pinned_sysusers(plan: &Plan<'_>) -> Result<BTreeMap<String, String>, BuildError> {
    let mut pinned = BTreeMap::new();
    for package in plan.incoming {
        for (name, text) in sysusers_files(plan.request.store, package)? {
            let lines: Vec<String> = text.lines().map(|line| pin(line, &plan.ids)).collect();
            let new = lines.join("\n") + "\n";
            if new != text {
                pinned.insert(name, new);
            }
        }
    }
    Ok(pinned)
}

/// Type, name, id and the rest of a line that makes a user or group; `-` where it leaves the id open.
fn parse_sysusers(line: &str) -> Option<(&str, &str, &str, &str)> {
    fn word(text: &str) -> Option<(&str, &str)> {
        let text = text.trim_start();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        (!word.is_empty()).then_some((word, rest))
    }
    let (kind, rest) = word(line)?;
    if !matches!(kind, "u" | "u!" | "g") {
        return None;
    }
    let (name, rest) = word(rest)?;
    let (id, rest) = word(rest).unwrap_or(("-", ""));
    is_name(name).then_some((kind, name, id, rest))
}

fn pin(line: &str, ids: &BTreeMap<String, Ids>) -> String {
    let Some((kind, name, id, rest)) = parse_sysusers(line) else {
        return line.to_owned();
    };
    let ids = ids.get(name).copied().unwrap_or_default();
    let number = if kind == "g" { ids.gid } else { ids.uid };
    let (Some(number), Some(group)) = (number, id.strip_prefix('-')) else {
        return line.to_owned();
    };
    match ids.gid {
        // A user's own group would get the user's number.
        Some(gid) if kind != "g" && group.is_empty() && gid != number => {
            format!("g {name} {gid}\n{kind} {name} {number}:{gid}{rest}")
        }
        _ => format!("{kind} {name} {number}{group}{rest}"),
    }
}

/// Words that may be names in the command lines of [`TOOLS`], and in assignments of a script that uses them.
fn names_in_script(text: &str) -> impl Iterator<Item = &str> {
    let uses_tools = TOOLS.iter().any(|tool| text.contains(tool));
    let mut continued = false;
    let lines = text.lines().filter(move |line| {
        let line = line.trim();
        let here = continued || TOOLS.iter().any(|tool| line.contains(tool));
        continued = here && line.ends_with('\\');
        let assignment = line.split_once('=').is_some_and(|(name, _)| {
            name.bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        });
        uses_tools && !line.starts_with('#') && (here || assignment)
    });
    let separators = |c: char| c.is_whitespace() || "\"'`=;()|&<>,:".contains(c);
    lines
        .flat_map(move |line| line.split(separators))
        .filter(|word| is_name(word) && !is_command(word))
}

fn is_name(word: &str) -> bool {
    let mut bytes = word.bytes();
    word.len() <= 32
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Words of shell scripts that are no names, to keep the ids close.
fn is_command(word: &str) -> bool {
    TOOLS.contains(&word)
        || matches!(
            word,
            "if" | "then"
                | "else"
                | "fi"
                | "do"
                | "done"
                | "true"
                | "false"
                | "exit"
                | "return"
                | "echo"
                | "getent"
                | "passwd"
                | "group"
                | "dev"
                | "null"
                | "id"
                | "grep"
                | "exec"
                | "root"
                | "nogroup"
                | "nobody"
                | "bin"
                | "sbin"
                | "usr"
                | "test"
                | "not"
        )
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

    #[test]
    fn open_ids_of_sysusers_lines_are_filled_in() {
        let ids = BTreeMap::from([
            (
                "sshd".to_owned(),
                Ids {
                    uid: Some(7),
                    gid: Some(7),
                },
            ),
            (
                "odd".to_owned(),
                Ids {
                    uid: Some(8),
                    gid: Some(9),
                },
            ),
        ]);
        for (line, pinned) in [
            (
                "u sshd - \"SSH daemon\" /run/sshd",
                "u sshd 7 \"SSH daemon\" /run/sshd",
            ),
            ("u! sshd -:65534 - /run", "u! sshd 7:65534 - /run"),
            ("g sshd", "g sshd 7"),
            ("u odd -", "g odd 9\nu odd 8:9"),
            ("u root 0:0 root", "u root 0:0 root"),
            ("m odd sshd", "m odd sshd"),
            ("# u sshd -", "# u sshd -"),
        ] {
            assert_eq!(pin(line, &ids), pinned);
        }
    }

    #[test]
    fn names_in_scripts_are_found_across_continued_lines_and_variables() {
        let script = "#!/bin/sh\nUSER=\"some-user\"\nadduser \\\n  --system --home /var/lib/redis \\\n  redis\n\
                      groupadd -r $GROUP\necho unrelated\n";
        let found: Vec<&str> = names_in_script(script).collect();
        assert_eq!(found, ["some-user", "redis"]);
        assert_eq!(names_in_script("USER=x\necho hi\n").count(), 0);
    }
}
