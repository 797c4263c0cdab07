//! A tree from nothing, the fast way (PACKAGE-RECIPES §9): all packages unpacked at once by merging their manifests,
//! dpkg's database written to match, then only the scripts: preinst of each, and dpkg configures.
//!
//! A package that this way cannot unpack exactly is put aside and unpacked by dpkg itself, after the Essential ones
//! work: one whose path another package ships, one without `md5sums` (dpkg makes them), one whose conffiles carry flags.

use super::{PACKAGES, closure, database, perl, report};
use crate::build::assemble::lay_file;
use crate::build::backend::Middle;
use crate::build::{Assembly, BuildError, Plan, Session};
use crate::store::PackageManifest;
use crate::tree::merge::{Layer, merge};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Node, NodeKind, Tree};
use vzpkg_metadata::{RelPath, Timestamp};
use vzpkg_runtime::sandbox::{Bind, RunCommand};

/// Where each package's preinst and control file wait; `tmp.ci`, where dpkg runs them, is linked to one after another.
const STAGED: &str = "tmp.ci.d";

/// The links of a merged `/usr`; those with a number only where a package ships something there.
const MERGED: [&str; 6] = ["bin", "lib", "sbin", "lib32", "lib64", "libx32"];

/// Lays out the tree with every package unpacked, while the hundreds of small files of dpkg's database are stored.
pub(super) fn assemble(plan: &Plan<'_>, staging: &Path) -> Result<Assembly, BuildError> {
    std::thread::scope(|scope| {
        let stored = scope.spawn(|| database::store_control_files(plan, plan.incoming));
        let assembly = lay_out(plan, staging);
        let stored = stored.join();
        stored.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        assembly
    })
}

fn lay_out(plan: &Plan<'_>, staging: &Path) -> Result<Assembly, BuildError> {
    let packages = in_unpack_order(plan.incoming);
    let (fast, mut aside): (Vec<_>, Vec<_>) =
        packages.into_iter().partition(|package| is_plain(package));
    let conffiles: Vec<BTreeSet<RelPath>> = fast
        .iter()
        .map(|package| package.conffiles.keys().cloned().collect())
        .collect();
    let layers: Vec<Layer<'_>> = fast
        .iter()
        .zip(&conffiles)
        .map(|(package, conffiles)| Layer {
            tree: &package.tree,
            conffiles,
        })
        .collect();
    let (root, links) = root(plan, &fast)?;
    let merged = merge(root, &links, &layers)?;
    let collided: BTreeSet<usize> = merged.aside.iter().map(|aside| aside.layer).collect();
    let mut unpacked = Vec::new();
    for (position, package) in fast.into_iter().enumerate() {
        if collided.contains(&position) {
            aside.push(package);
        } else {
            unpacked.push(&**package);
        }
    }
    let mut tree = merged.tree;
    database::write(plan, &mut tree, &unpacked)?;
    stage_scripts(plan, &mut tree, &unpacked)?;
    seed_accounts(&mut tree, &unpacked)?;
    let aside: Vec<&PackageManifest> = aside.into_iter().map(|package| &**package).collect();
    Ok(Assembly {
        tree,
        binds: offer_packages(plan, &aside, staging)?,
        aside: aside
            .iter()
            .map(|package| package.name.to_string())
            .collect(),
        ..Assembly::default()
    })
}

/// base-files first, for its directories have the modes that count; the rest as the transaction has it.
fn in_unpack_order(packages: &[Arc<PackageManifest>]) -> Vec<&Arc<PackageManifest>> {
    let is_first = |package: &&Arc<PackageManifest>| package.name.as_str() == "base-files";
    let (first, rest): (Vec<_>, Vec<_>) = packages.iter().partition(is_first);
    first.into_iter().chain(rest).collect()
}

/// Whether unpacking is no more than laying files down.
fn is_plain(package: &PackageManifest) -> bool {
    package.control.contains_key("md5sums") && package.conffiles.values().all(String::is_empty)
}

/// The root directory, with the links of a merged `/usr` where the release has one: its base-files ships them, or it
/// has the package that stands for the merge. A package that ships such a link takes it over.
fn root(
    plan: &Plan<'_>,
    packages: &[&Arc<PackageManifest>],
) -> Result<(Tree, BTreeSet<RelPath>), BuildError> {
    let time = Timestamp::from_seconds(plan.lock.epoch);
    let directory = |name: &str| RelPath::parse(name.as_bytes());
    let mut tree = Tree::new();
    let mut links = BTreeSet::new();
    tree.insert(RelPath::root(), Node::directory(0o755, time));
    let bin = directory("bin")?;
    let stands_for_it = |package: &&Arc<PackageManifest>| {
        let ships_link = || {
            let node = package.tree.node(&bin);
            matches!(node.map(|node| &node.kind), Some(NodeKind::Symlink { .. }))
        };
        matches!(package.name.as_str(), "usr-is-merged" | "usrmerge") || ships_link()
    };
    if !packages.iter().any(stands_for_it) {
        return Ok((tree, links));
    }
    tree.insert(directory("usr")?, Node::directory(0o755, time));
    for name in MERGED {
        let link = directory(name)?;
        let ships = |package: &&Arc<PackageManifest>| package.tree.get(&link).is_some();
        if name.ends_with(char::is_numeric) && !packages.iter().any(ships) {
            continue;
        }
        tree.insert(
            directory(&format!("usr/{name}"))?,
            Node::directory(0o755, time),
        );
        tree.insert(link.clone(), Node::symlink(format!("usr/{name}"), time));
        links.insert(link);
    }
    Ok((tree, links))
}

/// Puts each preinst beside its control file, as `dpkg-deb --control` would for dpkg: debconf finds the owner there.
fn stage_scripts(
    plan: &Plan<'_>,
    tree: &mut Tree,
    packages: &[&PackageManifest],
) -> Result<(), BuildError> {
    for package in packages {
        if !package.control.contains_key("preinst") {
            continue;
        }
        let stem = format!("{STAGED}/{}", package.name);
        database::ensure_directory(tree, &database::path(&stem)?, plan.lock.epoch);
        for (name, content) in &package.control {
            let mode = database::mode(name);
            let path = database::path(&format!("{stem}/{name}"))?;
            lay_file(plan, tree, path, mode, content);
        }
    }
    Ok(())
}

/// Takes out what [`assemble`] and [`run`] put into the database directory for the time of the build.
pub(super) fn remove_staged_scripts(tree: &mut Tree) {
    for name in [STAGED, "tmp.ci"] {
        if let Ok(path) = database::path(name) {
            tree.remove_subtree(&path);
        }
    }
}

/// Before Debian 12, base-passwd has no preinst that makes the first accounts; debootstrap copied its masters.
fn seed_accounts(tree: &mut Tree, packages: &[&PackageManifest]) -> Result<(), BuildError> {
    let Some(owner) = packages
        .iter()
        .find(|package| package.name.as_str() == "base-passwd")
    else {
        return Ok(());
    };
    if owner.control.contains_key("preinst") {
        return Ok(());
    }
    for name in ["passwd", "group"] {
        let master = RelPath::parse(format!("usr/share/base-passwd/{name}.master").as_bytes())?;
        let place = RelPath::parse(format!("etc/{name}").as_bytes())?;
        if let Some(node) = tree.node(&master).cloned()
            && tree.get(&place).is_none()
        {
            tree.insert(place, node);
        }
    }
    Ok(())
}

/// Makes the files of these packages visible in the sandbox.
pub(super) fn offer_packages(
    plan: &Plan<'_>,
    packages: &[&PackageManifest],
    staging: &Path,
) -> Result<Vec<Bind>, BuildError> {
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let directory = staging.join("packages");
    fs::create_dir(&directory).map_err(FileError::on("create directory", &directory))?;
    for package in packages {
        let source = plan.file(package)?;
        let place = directory.join(format!("{}.deb", package.sha256));
        // On another file system the file is copied; the sandbox sees either read-only.
        if fs::hard_link(source, &place).is_err() {
            fs::copy(source, &place).map_err(FileError::on("copy", source))?;
        }
    }
    Ok(vec![Bind::read_only(directory, PACKAGES)])
}

/// Runs every preinst, then configures: the Essential packages and what they need, then everything. All of it is one
/// command, so that perl is loaded once, unless the template has something to do in between.
pub(super) fn run(
    plan: &Plan<'_>,
    assembly: &Assembly,
    session: &mut Session<'_>,
    middle: Option<&mut Middle<'_>>,
) -> Result<(), BuildError> {
    let is_aside = |package: &PackageManifest| {
        assembly
            .aside
            .iter()
            .any(|name| name == package.name.as_str())
    };
    let essential = closure::essential(plan.incoming);
    let (early, late): (Vec<_>, Vec<_>) = plan
        .incoming
        .iter()
        .enumerate()
        .filter(|(_, package)| is_aside(package))
        .partition(|(position, _)| essential.contains(position));
    let mut steps = preinsts(plan, &is_aside);
    steps.extend(unpack(early.into_iter().map(|(_, package)| &**package)));
    let names: Vec<String> = plan
        .incoming
        .iter()
        .enumerate()
        .filter(|(position, _)| essential.contains(position))
        .map(|(_, package)| package.name.to_string())
        .collect();
    if !names.is_empty() {
        steps.push(words(dpkg("--configure").into_iter().chain(names)));
    }
    if let Some(middle) = middle {
        carry_out(session, &steps)?;
        steps.clear();
        middle(session)?;
    }
    steps.extend(unpack(late.into_iter().map(|(_, package)| &**package)));
    let pending = dpkg("--configure").into_iter();
    steps.push(words(pending.chain(["--pending".to_owned()])));
    carry_out(session, &steps)
}

/// Steps in the words of the shell, one after the other until one fails, with perl loaded for them.
fn carry_out(session: &mut Session<'_>, steps: &[String]) -> Result<(), BuildError> {
    let script = steps.join(" &&\n");
    let command = RunCommand::new([perl::WITH_SERVER, "sh", "-c", &script]);
    report::dpkg(session, &command, "dpkg")
}

/// A command in the words of the shell.
fn words(command: impl IntoIterator<Item = String>) -> String {
    let quoted = command.into_iter().map(|word| quoted(&word));
    quoted.collect::<Vec<_>>().join(" ")
}

/// A word that the shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-._/:=~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// dpkg, told never to ask: a conffile that a script made before stays as it is.
pub(super) fn dpkg(action: &str) -> Vec<String> {
    ["dpkg", "--force-confdef", "--force-confold", action]
        .map(str::to_owned)
        .to_vec()
}

fn unpack<'a>(packages: impl Iterator<Item = &'a PackageManifest>) -> Option<String> {
    let files: Vec<String> = packages
        .map(|package| format!("{PACKAGES}/{}.deb", package.sha256))
        .collect();
    (!files.is_empty()).then(|| words(dpkg("--unpack").into_iter().chain(files)))
}

/// The preinst of each package that has one, as dpkg would run it; what is said is what dpkg says.
fn preinsts(plan: &Plan<'_>, is_aside: &dyn Fn(&PackageManifest) -> bool) -> Vec<String> {
    let version = plan
        .incoming
        .iter()
        .find(|package| package.name.as_str() == "dpkg");
    let version = version.map_or("", |dpkg| dpkg.version.as_str());
    let has_preinst = |package: &&Arc<PackageManifest>| {
        package.control.contains_key("preinst") && !is_aside(package)
    };
    let mut packages: Vec<_> = plan.incoming.iter().filter(has_preinst).collect();
    packages.sort_by_cached_key(|package| Turn::of(package));
    let scripts = packages.into_iter();
    scripts.map(|package| preinst(package, version)).collect()
}

/// When a preinst has its turn; within a turn they are in the order of the transaction.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// It makes the first accounts.
    First,
    /// It needs no perl, which is loaded meanwhile.
    WhilePerlLoads,
    /// It asks debconf.
    Last,
}

impl Turn {
    fn of(package: &PackageManifest) -> Self {
        let script = package.control.get("preinst").map(Vec::as_slice);
        let script = String::from_utf8_lossy(script.unwrap_or_default());
        match package.name.as_str() {
            "base-passwd" => Self::First,
            _ if script.contains("debconf/confmodule") => Self::Last,
            _ => Self::WhilePerlLoads,
        }
    }
}

fn preinst(package: &PackageManifest, dpkg_version: &str) -> String {
    let name = package.name.as_str();
    let variables = [
        ("DPKG_MAINTSCRIPT_PACKAGE", name),
        ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1"),
        ("DPKG_MAINTSCRIPT_ARCH", package.arch.as_str()),
        ("DPKG_MAINTSCRIPT_NAME", "preinst"),
        ("DPKG_MAINTSCRIPT_DEBUG", "0"),
        ("DPKG_RUNNING_VERSION", dpkg_version),
        ("DPKG_ADMINDIR", "/var/lib/dpkg"),
        ("DPKG_ROOT", ""),
    ]
    .map(|(variable, value)| format!("{variable}={}", quoted(value)))
    .join(" ");
    let said = quoted(&format!("Unpacking {name} ({}) ...", package.version));
    let database = database::DATABASE;
    format!(
        "{{ echo {said} && ln -sfn {STAGED}/{name} /{database}/tmp.ci && {variables} /{database}/tmp.ci/preinst install || \
         {{ echo \" new {name} package pre-installation script subprocess returned error exit status $?\" >&2; false; }}; }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_sees_every_word_as_it_is() {
        for plain in ["--configure", "libc6:amd64", "1:2.3~4+b1"] {
            assert_eq!(quoted(plain), plain);
        }
        let odd = ["", "a b", "$HOME", "it's", "a;b", "`c`", "x\ny"];
        let script = format!("printf '%s|' {}", words(odd.map(str::to_owned)));
        let said = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), odd.join("|") + "|");
    }
}
