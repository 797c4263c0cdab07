//! What dpkg's database says after a build, held against the lock, and the one file that only the lock knows: which
//! packages apt may remove again.

use super::{database, paragraph};
use crate::build::{BuildError, Plan, assemble::put_file, ids};
use crate::store::Store;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::lock::LockedPackage;
use vzpkg_metadata::tree::{NodeKind, Tree};

/// The largest `status` that is read: ten times that of a full desktop.
const STATUS_BYTES: u64 = 128 << 20;

/// Checks that exactly the packages of the lock are installed, and nothing is half done.
pub(super) fn check(plan: &Plan<'_>, tree: &Tree) -> Result<(), BuildError> {
    let status = read(plan, tree, &database::path("status")?)?;
    let mut wanted: BTreeMap<(&str, &str), &LockedPackage> = plan
        .lock
        .packages
        .iter()
        .map(|package| ((package.name.as_str(), package.arch.as_str()), package))
        .collect();
    for text in paragraph::paragraphs(&status) {
        let field = |name| paragraph::field(text, name).unwrap_or_default();
        let (name, version, state) = (field("Package"), field("Version"), field("Status"));
        let expected = wanted.remove(&(name, field("Architecture")));
        let right = match expected {
            Some(package) => package.version == version && state.ends_with(" ok installed"),
            None => state.ends_with(" config-files") || state.ends_with(" not-installed"),
        };
        if !right {
            return Err(BuildError::Outcome {
                package: name.to_owned(),
                found: format!("{version} ({state})"),
                expected: expected.map_or_else(
                    || "not there".to_owned(),
                    |package| format!("{} (install ok installed)", package.version),
                ),
            });
        }
    }
    match wanted.into_values().next() {
        None => Ok(()),
        Some(missing) => Err(BuildError::Outcome {
            package: missing.name.to_string(),
            found: "not there".to_owned(),
            expected: missing.version.clone(),
        }),
    }
}

/// Name, version and architecture of every package that dpkg has installed; none where there is no dpkg.
pub(in crate::build) fn installed(
    store: &Store,
    tree: &Tree,
) -> Result<Vec<(String, String, String)>, BuildError> {
    let path = database::path("status")?;
    if tree.node(&path).is_none() {
        return Ok(Vec::new());
    }
    let status = read_from(store, tree, &path)?;
    let mut found = Vec::new();
    for text in paragraph::paragraphs(&status) {
        let field = |name| paragraph::field(text, name).unwrap_or_default().to_owned();
        let (name, version, state) = (field("Package"), field("Version"), field("Status"));
        match state.rsplit(' ').next().unwrap_or_default() {
            "installed" | "triggers-awaited" | "triggers-pending" => {
                found.push((name, version, field("Architecture")));
            }
            "config-files" | "not-installed" => {}
            _ => {
                return Err(BuildError::Outcome {
                    package: name,
                    found: format!("{version} ({state})"),
                    expected: "whole (dpkg --configure -a)".to_owned(),
                });
            }
        }
    }
    Ok(found)
}

/// Leaves apt's directories as its first run does: `extended_states` from the reasons of the lock, and download
/// directories that its unprivileged user may write to. Nothing where apt is no part of the tree.
pub(super) fn finish_apt(plan: &Plan<'_>, tree: &mut Tree) -> Result<(), BuildError> {
    let directory = RelPath::parse(b"var/lib/apt")?;
    if tree.get(&directory).is_none() {
        return Ok(());
    }
    let mut text = String::new();
    let native = plan.lock.arch.as_str();
    for package in plan
        .lock
        .packages
        .iter()
        .filter(|package| package.reason.is_automatic())
    {
        // apt files packages for every architecture under the native one.
        let arch = if package.arch.is_independent() {
            native
        } else {
            package.arch.as_str()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "Package: {}\nArchitecture: {arch}\nAuto-Installed: 1\n",
            package.name
        );
    }
    put_file(
        plan,
        tree,
        directory.join(b"extended_states")?,
        0o644,
        text.as_bytes(),
    )?;
    let user = ids::user_id(plan.request.store, tree, "_apt")?;
    for partial in [
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
    ] {
        let path = RelPath::parse(partial.as_bytes())?;
        if let (Some(node), Some(user)) = (tree.node_mut(&path), user) {
            node.meta.mode = 0o700;
            node.meta.uid = user;
        }
    }
    Ok(())
}

/// A text file of the tree.
pub(super) fn read(plan: &Plan<'_>, tree: &Tree, path: &RelPath) -> Result<String, BuildError> {
    read_from(plan.request.store, tree, path)
}

fn read_from(store: &Store, tree: &Tree, path: &RelPath) -> Result<String, BuildError> {
    let problem = |problem| BuildError::Content {
        path: path.to_string(),
        problem,
    };
    let Some(NodeKind::File { digest, .. }) = tree.node(path).map(|node| &node.kind) else {
        return Err(problem("it is not there"));
    };
    let bytes = store.objects.read(digest, STATUS_BYTES)?;
    String::from_utf8(bytes).map_err(|_not_text| problem("it is not UTF-8"))
}
