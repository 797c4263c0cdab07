//! dpkg's own database, written as dpkg would leave it after it had unpacked every package and configured none.
//!
//! dpkg rewrites `status` in its own field order as soon as it configures something, so fields are copied here as the
//! packages have them. `info/` is final: dpkg never rewrites those files.

use super::paragraph;
use crate::build::assemble::{lay_file, put_file};
use crate::build::{BuildError, Plan};
use crate::import::deb::LIST;
use crate::store::PackageManifest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use vzpkg_metadata::tree::{Node, Tree};
use vzpkg_metadata::{RelPath, Timestamp};

/// The database directory.
pub(super) const DATABASE: &str = "var/lib/dpkg";

/// Control files that dpkg runs.
const SCRIPTS: [&str; 5] = ["preinst", "postinst", "prerm", "postrm", "config"];

/// The permission bits that a control file has in `info/`.
pub(super) fn mode(control_file: &str) -> u16 {
    if SCRIPTS.contains(&control_file) {
        0o755
    } else {
        0o644
    }
}

/// How dpkg names a package in `info/` and in its triggers: with its architecture where several may be installed.
pub(super) fn qualified_name(package: &PackageManifest) -> String {
    match paragraph::field(&package.record, "Multi-Arch") {
        Some("same") => format!("{}:{}", package.name, package.arch),
        _ => package.name.to_string(),
    }
}

/// Writes the whole database for `packages`, all unpacked, in this order. Their control files are stored by
/// [`store_control_files`].
pub(super) fn write(
    plan: &Plan<'_>,
    tree: &mut Tree,
    packages: &[&PackageManifest],
) -> Result<(), BuildError> {
    for directory in ["", "alternatives", "info", "parts", "triggers", "updates"] {
        ensure_directory(tree, &path(directory)?, plan.lock.epoch);
    }
    let mut status = String::new();
    for package in packages {
        status.push_str(&status_paragraph(package));
        status.push('\n');
        write_info(plan, tree, package)?;
    }
    put_file(plan, tree, path("status")?, 0o644, status.as_bytes())?;
    put_file(plan, tree, path("info/format")?, 0o644, b"1\n")?;
    write_triggers(plan, tree, packages)
}

pub(super) fn path(below: &str) -> Result<RelPath, BuildError> {
    let text = format!("{DATABASE}/{below}");
    Ok(RelPath::parse(text.trim_end_matches('/').as_bytes())?)
}

/// Makes a directory and what is missing above it.
pub(super) fn ensure_directory(tree: &mut Tree, path: &RelPath, epoch: i64) {
    let time = Timestamp::from_seconds(epoch);
    let mut missing = Some(path.clone());
    while let Some(directory) = missing.filter(|directory| tree.get(directory).is_none()) {
        tree.insert(directory.clone(), Node::directory(0o755, time));
        missing = directory.parent();
    }
}

fn status_paragraph(package: &PackageManifest) -> String {
    let mut text = String::new();
    for (name, value) in paragraph::fields(&package.record) {
        let separator = if value.starts_with('\n') { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}:{separator}{value}");
        if name.eq_ignore_ascii_case("Package") {
            text.push_str("Status: install ok unpacked\n");
        }
    }
    let conffiles = package.control.get("conffiles").map(Vec::as_slice);
    let conffiles = String::from_utf8_lossy(conffiles.unwrap_or_default());
    let mut lines = conffiles
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .peekable();
    if lines.peek().is_some() {
        text.push_str("Conffiles:\n");
    }
    for line in lines {
        let _ = writeln!(text, " {line} newconffile");
    }
    text
}

/// The control files of packages become objects: all that `info/` holds, and `control` where it lies beside a preinst.
pub(super) fn store_control_files(
    plan: &Plan<'_>,
    packages: &[Arc<PackageManifest>],
) -> Result<(), BuildError> {
    for package in packages {
        let staged = package.control.contains_key("preinst");
        for (name, bytes) in &package.control {
            if staged || name != "control" {
                plan.request.store.objects.put_bytes(bytes)?;
            }
        }
    }
    Ok(())
}

fn write_info(
    plan: &Plan<'_>,
    tree: &mut Tree,
    package: &PackageManifest,
) -> Result<(), BuildError> {
    let stem = qualified_name(package);
    for (name, bytes) in &package.control {
        if name == "control" {
            continue;
        }
        let path = path(&format!("info/{stem}.{name}"))?;
        lay_file(plan, tree, path, mode(name), bytes);
    }
    debug_assert!(package.control.contains_key(LIST), "the importer adds it");
    Ok(())
}

/// The interest of packages in triggers: `triggers/File` for paths, one file for each other name.
fn write_triggers(
    plan: &Plan<'_>,
    tree: &mut Tree,
    packages: &[&PackageManifest],
) -> Result<(), BuildError> {
    let mut files = String::new();
    let mut explicit: BTreeMap<String, String> = BTreeMap::new();
    for package in packages {
        let text = package.control.get("triggers").map(Vec::as_slice);
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let (Some(directive), Some(trigger)) = (words.next(), words.next()) else {
                continue;
            };
            let options = match directive {
                "interest" | "interest-await" => "",
                "interest-noawait" => "/noawait",
                _ => continue,
            };
            let package = qualified_name(package);
            if trigger.starts_with('/') {
                let _ = writeln!(files, "{trigger} {package}{options}");
            } else {
                let lines = explicit.entry(trigger.to_owned()).or_default();
                let _ = writeln!(lines, "{package}{options}");
            }
        }
    }
    put_file(plan, tree, path("triggers/Unincorp")?, 0o644, b"")?;
    if !files.is_empty() {
        put_file(plan, tree, path("triggers/File")?, 0o644, files.as_bytes())?;
    }
    for (trigger, lines) in explicit {
        put_file(
            plan,
            tree,
            path(&format!("triggers/{trigger}"))?,
            0o644,
            lines.as_bytes(),
        )?;
    }
    Ok(())
}
