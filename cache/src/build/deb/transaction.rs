//! A transaction on a base: the tree's own apt carries it out, from a private index that holds only the packages of the
//! transaction, each named with its version. So apt decides order, deconfiguration and the moment of removals, and
//! nothing else; what it did is held against the lock afterwards. Trees without apt get plain dpkg.

use super::{PACKAGES, bootstrap, paragraph, report};
use crate::build::{Assembly, BuildError, Plan, Session};
use crate::store::PackageManifest;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::transaction::Step;
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{Arch, RelPath};
use vzpkg_runtime::sandbox::{Bind, RunCommand};

/// Where the index is seen; beside the packages, which are an own bind because there may be none.
const INDEX: &str = "/run/vzpkg/index";

/// The index as `apt-get update` would leave it for the line of [`SOURCES`]; so that is not run.
const LIST: &str = "lists/_run_vzpkg_index_Packages";

const SOURCES: &str = "deb [trusted=yes] file:/ run/vzpkg/index/\n";

/// apt's directories of this one run, on a file system of the session.
const STATE: &str = "/run/vzpkg/apt";

/// Everything that could make apt look elsewhere, ask, or think for itself is turned off. Logs go nowhere: they would
/// hold the date. Its caches are kept in memory, for it runs once.
///
/// `Immediate-Configure` configures each essential package before the next one is unpacked, in a dpkg of its own, "to
/// limit the effect of a failing dpkg call" (apt.conf(5)). Here a failure leaves nothing, so one dpkg unpacks all.
const CONFIGURATION: &str = r#"Dir::Etc::SourceList "/run/vzpkg/index/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "/run/vzpkg/index/lists";
Dir::Cache "/run/vzpkg/apt";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Log "/run/vzpkg/apt";
Dir::Log::Planner "/dev/null";
APT::Sandbox::User "root";
APT::Immediate-Configure "false";
APT::Install-Recommends "false";
APT::Get::Assume-Yes "true";
APT::Get::AutomaticRemove "false";
APT::Get::allow-downgrades "true";
APT::Get::allow-remove-essential "true";
APT::Get::allow-change-held-packages "true";
Acquire::Languages "none";
Dpkg::Use-Pty "false";
DPkg::Path "/run/vzpkg/build:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
Dpkg::Options { "--force-confdef"; "--force-confold"; };
quiet "1";
"#;

/// The base as it is, with packages and index to be seen.
pub(super) fn assemble(
    plan: &Plan<'_>,
    base: &Tree,
    staging: &Path,
) -> Result<Assembly, BuildError> {
    let packages: Vec<&PackageManifest> = plan.incoming.iter().map(|package| &**package).collect();
    let mut binds = bootstrap::offer_packages(plan, &packages, staging)?;
    binds.push(write_index(&packages, staging)?);
    Ok(Assembly {
        tree: base.clone(),
        binds,
        ..Assembly::default()
    })
}

fn write_index(packages: &[&PackageManifest], staging: &Path) -> Result<Bind, FileError> {
    let directory = staging.join("index");
    let lists = directory.join("lists");
    fs::create_dir_all(&lists).map_err(FileError::on("create directory", &lists))?;
    let mut index = String::new();
    for package in packages {
        for (name, value) in paragraph::fields(&package.record) {
            let separator = if value.starts_with('\n') { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = writeln!(index, "{name}:{separator}{value}");
        }
        let _ = writeln!(
            index,
            "Filename: .{PACKAGES}/{0}.deb\nSize: {1}\nSHA256: {0}\n",
            package.sha256, package.size
        );
    }
    for (name, content) in [
        (LIST, index.as_str()),
        ("sources.list", SOURCES),
        ("apt.conf", CONFIGURATION),
    ] {
        let path = directory.join(name);
        fs::write(&path, content).map_err(FileError::on("write", path))?;
    }
    Ok(Bind::read_only(directory, INDEX))
}

/// Carries the transaction out.
pub(super) fn run(
    plan: &Plan<'_>,
    base: &Tree,
    session: &mut Session<'_>,
) -> Result<(), BuildError> {
    let transaction = plan.request.transaction;
    if transaction.is_empty() {
        return Ok(());
    }
    if base.get(&RelPath::parse(b"usr/bin/apt-get")?).is_none() {
        return run_dpkg(plan, session);
    }
    let directories = format!("{STATE}/archives/partial");
    report::dpkg(
        session,
        &RunCommand::new(["mkdir", "-p", &directories]),
        "mkdir",
    )?;
    let mut install = RunCommand::new(["apt-get", "install"]);
    let configuration = format!("{INDEX}/apt.conf");
    install
        .environment
        .insert("APT_CONFIG".to_owned(), configuration);
    let native = &plan.lock.arch;
    let removed = transaction.removed();
    install
        .argv
        .extend(removed.map(|step| format!("{}-", qualified(step, native))));
    let incoming = transaction.incoming();
    install.argv.extend(
        incoming.map(|step| format!("{}={}", qualified(step, native), step.package.version)),
    );
    report::dpkg(session, &install, "apt-get")
}

/// `name`, or `name:arch` where the architecture is neither native nor none.
fn qualified(step: &Step, native: &Arch) -> String {
    let package = &step.package;
    if package.arch == *native || package.arch.is_independent() {
        package.name.to_string()
    } else {
        format!("{}:{}", package.name, package.arch)
    }
}

/// Without apt: what goes is removed first, then everything is unpacked and configured in the transaction's order.
fn run_dpkg(plan: &Plan<'_>, session: &mut Session<'_>) -> Result<(), BuildError> {
    let transaction = plan.request.transaction;
    let native = &plan.lock.arch;
    let mut remove = bootstrap::dpkg("--remove");
    let options = remove.len();
    remove.extend(transaction.removed().map(|step| qualified(step, native)));
    if remove.len() > options {
        report::dpkg(session, &RunCommand::new(remove), "dpkg")?;
    }
    let mut install = bootstrap::dpkg("--install");
    let options = install.len();
    let incoming = transaction.incoming();
    install.extend(incoming.map(|step| format!("{PACKAGES}/{}.deb", step.package.sha256)));
    if install.len() > options {
        install.insert(1, "--auto-deconfigure".to_owned());
        report::dpkg(session, &RunCommand::new(install), "dpkg")?;
    }
    Ok(())
}
