//! Users and groups that packages declare in `sysusers.d` (sysusers.d(5)): their names, and the same files with ids.

use super::script::is_name;
use super::{BuildError, Plan, read};
use crate::store::{PackageManifest, Store};
use std::collections::BTreeMap;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::lock::Ids;

/// The `sysusers.d` files of a package: name and content.
pub(super) fn files(
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
pub(in crate::build) fn pinned(plan: &Plan<'_>) -> Result<BTreeMap<String, String>, BuildError> {
    let mut pinned = BTreeMap::new();
    for package in plan.incoming {
        for (name, text) in files(plan.request.store, package)? {
            let lines: Vec<String> = text.lines().map(|line| pin(line, &plan.ids)).collect();
            let new = lines.join("\n") + "\n";
            if new != text {
                pinned.insert(name, new);
            }
        }
    }
    Ok(pinned)
}

/// The names that a file makes users or groups of.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| Some(parse(line)?.1))
}

/// Type, name, id and the rest of a line that makes a user or group; `-` where it leaves the id open.
fn parse(line: &str) -> Option<(&str, &str, &str, &str)> {
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
    let Some((kind, name, id, rest)) = parse(line) else {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
