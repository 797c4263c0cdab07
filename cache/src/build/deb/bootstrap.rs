//! A tree from nothing, the fast way (PACKAGE-RECIPES §9): all packages unpacked at once by merging their manifests,
//! dpkg's database written to match, then only the scripts: preinst of each, and dpkg configures.
//!
//! A package that this way cannot unpack exactly is put aside and unpacked by dpkg itself, after the Essential ones
//! work: one whose path another package ships, one without `md5sums` (dpkg makes them), one whose conffiles carry flags.

use super::{PACKAGES, closure, database, perl, report};
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

/// Lays out the tree with every package unpacked.
pub(super) fn assemble(plan: &Plan<'_>, staging: &Path) -> Result<Assembly, BuildError> {
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
            crate::build::assemble::put_file(plan, tree, path, mode, content)?;
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

/// Runs every preinst, then configures: the Essential packages and what they need, then everything.
pub(super) fn run(
    plan: &Plan<'_>,
    assembly: &Assembly,
    session: &mut Session<'_>,
    middle: &mut dyn FnMut(&mut Session<'_>) -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    let is_aside = |package: &PackageManifest| {
        assembly
            .aside
            .iter()
            .any(|name| name == package.name.as_str())
    };
    run_preinsts(plan, session, &is_aside)?;
    let essential = closure::essential(plan.incoming);
    let (early, late): (Vec<_>, Vec<_>) = plan
        .incoming
        .iter()
        .enumerate()
        .filter(|(_, package)| is_aside(package))
        .partition(|(position, _)| essential.contains(position));
    unpack(session, early.into_iter().map(|(_, package)| &**package))?;
    let names: Vec<String> = plan
        .incoming
        .iter()
        .enumerate()
        .filter(|(position, _)| essential.contains(position))
        .map(|(_, package)| package.name.to_string())
        .collect();
    if !names.is_empty() {
        let mut argv = configure();
        argv.extend(names);
        report::dpkg(session, &RunCommand::new(argv))?;
    }
    middle(session)?;
    unpack(session, late.into_iter().map(|(_, package)| &**package))?;
    let mut argv = configure();
    argv.push("--pending".to_owned());
    report::dpkg(session, &RunCommand::new(argv))
}

/// dpkg, told never to ask: a conffile that a script made before stays as it is.
pub(super) fn dpkg(action: &str) -> Vec<String> {
    ["dpkg", "--force-confdef", "--force-confold", action]
        .map(str::to_owned)
        .to_vec()
}

/// dpkg that configures, with perl loaded for its scripts.
fn configure() -> Vec<String> {
    let mut argv = dpkg("--configure");
    argv.insert(0, perl::WITH_SERVER.to_owned());
    argv
}

fn unpack<'a>(
    session: &mut Session<'_>,
    packages: impl Iterator<Item = &'a PackageManifest>,
) -> Result<(), BuildError> {
    let mut argv = dpkg("--unpack");
    let options = argv.len();
    argv.extend(packages.map(|package| format!("{PACKAGES}/{}.deb", package.sha256)));
    if argv.len() == options {
        return Ok(());
    }
    report::dpkg(session, &RunCommand::new(argv))
}

fn run_preinsts(
    plan: &Plan<'_>,
    session: &mut Session<'_>,
    is_aside: &dyn Fn(&PackageManifest) -> bool,
) -> Result<(), BuildError> {
    let version = plan
        .incoming
        .iter()
        .find(|package| package.name.as_str() == "dpkg");
    let version = version.map_or("", |dpkg| dpkg.version.as_str());
    let has_preinst = |package: &&Arc<PackageManifest>| {
        package.control.contains_key("preinst") && !is_aside(package)
    };
    let makes_accounts = |package: &&Arc<PackageManifest>| package.name.as_str() == "base-passwd";
    let (first, rest): (Vec<_>, Vec<_>) = plan
        .incoming
        .iter()
        .filter(has_preinst)
        .partition(makes_accounts);
    for package in first.into_iter().chain(rest) {
        let name = package.name.as_str();
        let script = format!(
            "ln -sfn {STAGED}/{name} /{0}/tmp.ci && exec /{0}/tmp.ci/preinst install",
            database::DATABASE
        );
        let mut command = RunCommand::new(["sh", "-c", &script]);
        for (variable, value) in [
            ("DPKG_MAINTSCRIPT_PACKAGE", name),
            ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1"),
            ("DPKG_MAINTSCRIPT_ARCH", package.arch.as_str()),
            ("DPKG_MAINTSCRIPT_NAME", "preinst"),
            ("DPKG_MAINTSCRIPT_DEBUG", "0"),
            ("DPKG_RUNNING_VERSION", version),
            ("DPKG_ADMINDIR", "/var/lib/dpkg"),
            ("DPKG_ROOT", ""),
        ] {
            command
                .environment
                .insert(variable.to_owned(), value.to_owned());
        }
        report::script(session, &command, name, "pre-installation script")?;
    }
    Ok(())
}
