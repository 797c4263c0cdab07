//! The runs of rpm on the target: what goes and is not replaced, then everything that comes.
//!
//! Every package was verified against the signed index when it was fetched and again when it was imported, so rpm need
//! not know a key. Dependencies are left for rpm to check: an answer of the resolver that it does not accept is an error.

use super::accounts::SYSUSERS_COMMAND;
use super::offer::{self, Form};
use super::{COMMANDS, PACKAGES, TARGET, culprit};
use crate::build::run::failure;
use crate::build::{BuildError, Plan, ScriptFailure, Session};
use std::collections::BTreeSet;
use vzpkg_metadata::transaction::{Action, PackageRef, Step};
use vzpkg_runtime::sandbox::{RunCommand, RunOutcome, RunStatus};

/// The path that scriptlets get besides ours, as rpm's own macro has it.
const SCRIPT_PATH: &str = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/X11R6/bin";

/// Carries out the transaction.
pub(super) fn run(plan: &Plan<'_>, session: &mut Session<'_>) -> Result<(), BuildError> {
    let steps = &plan.request.transaction.steps;
    let replaced = replaced_names(plan);
    let mut erased: Vec<String> = steps
        .iter()
        .filter(|step| step.action == Action::Remove)
        .filter(|step| !replaced.contains(step.package.name.as_str()))
        .map(|step| full_name(&step.package))
        .collect();
    erased.sort();
    if !erased.is_empty() {
        // What is left without its dependencies here gets them back, or goes, in the same transaction.
        let mut argv = rpm(&["--erase", "--nodeps"]);
        argv.extend(erased);
        rpm_run(plan, session, argv)?;
    }
    let before: BTreeSet<&str> = plan
        .request
        .base
        .into_iter()
        .flat_map(|base| &base.lock.packages)
        .map(|package| package.name.as_str())
        .collect();
    // A further version beside the one that stays, a kernel for example, is not an upgrade; nor is a package of another
    // architecture, which an upgrade would put in the place of the first where neither says what it is made for.
    let beside =
        |step: &Step| step.action == Action::Install && before.contains(step.package.name.as_str());
    let (beside, upgrades): (Vec<&Step>, Vec<&Step>) = plan
        .request
        .transaction
        .incoming()
        .partition(|step| beside(step));
    // What comes in two runs may need what comes in the other.
    let in_two = !beside.is_empty() && !upgrades.is_empty();
    let before = in_two.then(|| gaps(session)).transpose()?;
    install(plan, session, &upgrades, "--upgrade", in_two)?;
    install(plan, session, &beside, "--install", in_two)?;
    let Some(before) = before else {
        return Ok(());
    };
    // What was missing before is none of this transaction's business.
    let new: Vec<String> = gaps(session)?.difference(&before).cloned().collect();
    if new.is_empty() {
        return Ok(());
    }
    Err(BuildError::Script(Box::new(ScriptFailure {
        package: None,
        script: "rpm".to_owned(),
        status: RunStatus::Exited(1),
        output: new,
    })))
}

/// What packages on the target need and nothing there provides, in rpm's words.
fn gaps(session: &mut Session<'_>) -> Result<BTreeSet<String>, BuildError> {
    let mut argv = rpm(&["--verify", "--all"]);
    let only_dependencies = ["--nofiles", "--noscripts", "--nodigest", "--nosignature"];
    argv.extend(only_dependencies.map(str::to_owned));
    let mut command = RunCommand::new(argv);
    command.stdout_limit = 1 << 20;
    let outcome = session.run(&command)?;
    let said =
        [outcome.stdout, outcome.tail].map(|text| String::from_utf8_lossy(&text).into_owned());
    let lines = said.iter().flat_map(|text| text.lines());
    let gaps = lines.filter(|line| line.contains(" is needed by "));
    Ok(gaps.map(|line| line.trim().to_owned()).collect())
}

/// One run of rpm; `dependencies_later` leaves the check of dependencies to whoever calls.
fn install(
    plan: &Plan<'_>,
    session: &mut Session<'_>,
    steps: &[&Step],
    action: &str,
    dependencies_later: bool,
) -> Result<(), BuildError> {
    // rpm orders what depends on each other; for the rest it keeps the order it is given, and its database shows it.
    let mut packages: Vec<&PackageRef> = steps.iter().map(|step| &step.package).collect();
    packages.sort();
    if packages.is_empty() {
        return Ok(());
    }
    let mut argv = rpm(&[action, "--nosignature"]);
    if offer::form(plan) == Form::Unpacked {
        argv.extend(["--nodigest", "--nofiledigest"].map(str::to_owned));
    }
    if action == "--upgrade" {
        argv.push("--oldpackage".to_owned());
    }
    // One that was built again has the name and version of the one it replaces.
    let again = |step: &&Step| matches!(&step.action, Action::Upgrade { from } if *from == step.package.version);
    if steps.iter().any(again) {
        argv.push("--replacepkgs".to_owned());
    }
    if dependencies_later {
        argv.push("--nodeps".to_owned());
    }
    let file = |package: &PackageRef| format!("{PACKAGES}/{}.rpm", package.sha256);
    argv.extend(packages.into_iter().map(file));
    rpm_run(plan, session, argv)
}

/// rpm on the target.
pub(super) fn rpm(arguments: &[&str]) -> Vec<String> {
    let path = format!("_install_script_path {COMMANDS}:{SCRIPT_PATH}");
    let sysusers = format!("__systemd_sysusers {COMMANDS}/{SYSUSERS_COMMAND}");
    let defines = ["--define", path.as_str(), "--define", sysusers.as_str()];
    let fixed = ["rpm", "--root", TARGET];
    let words = fixed.iter().chain(&defines).chain(arguments);
    words.map(|word| (*word).to_owned()).collect()
}

/// Runs rpm; a failure names the package and scriptlet that failed or did not end.
pub(super) fn rpm_run(
    plan: &Plan<'_>,
    session: &mut Session<'_>,
    argv: Vec<String>,
) -> Result<(), BuildError> {
    let outcome = session.run(&RunCommand::new(argv))?;
    if outcome.success() {
        return Ok(());
    }
    if outcome.status == RunStatus::TimedOut
        && let Some((package, script)) = culprit::hung(plan, session)?
    {
        return Err(failure(Some(package), script, &outcome));
    }
    Err(match culprit::failed(&outcome) {
        Some((package, script, status)) => {
            failure(Some(package), script, &RunOutcome { status, ..outcome })
        }
        None => failure(None, "rpm", &outcome),
    })
}

/// The names that packages which come declare obsolete: rpm takes those away itself.
fn replaced_names<'a>(plan: &'a Plan<'_>) -> BTreeSet<&'a str> {
    plan.incoming
        .iter()
        .flat_map(|package| package.record.lines())
        .filter_map(|line| line.strip_prefix("obsoletes "))
        .filter_map(|relation| relation.split(' ').next())
        .collect()
}

/// `name-version-release.arch`, which every `rpm --erase` takes. The epoch is left out: rpm 4.11 knows none in a label, and
/// of one name, version and release there are no two.
fn full_name(package: &PackageRef) -> String {
    let version = package.version.rsplit(':').next().unwrap_or_default();
    format!("{}-{version}.{}", package.name, package.arch)
}
