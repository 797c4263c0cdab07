//! Whose script it was that failed, or did not end.
//!
//! rpm says which one failed. Of one that it waited for when it was killed it says nothing below its debugging output of
//! a line per file; but it lets the interpreter read the script from a file in `/var/tmp` of the target, which is then
//! left there. Scripts in rpm's own Lua and programs without a script have no such file; they are not named.

use super::TARGET;
use crate::build::{BuildError, Plan, Session};
use crate::import::rpm::SCRIPTLETS;
use crate::store::PackageManifest;
use std::collections::BTreeMap;
use std::sync::Arc;
use vzpkg_runtime::sandbox::{RunCommand, RunOutcome, RunStatus};

/// The largest script that is looked for.
const SCRIPT_BYTES: usize = 1 << 20;

/// The package and the script that rpm was waiting for when it was killed. Several where they share the script's text.
pub(super) fn hung(
    plan: &Plan<'_>,
    session: &mut Session<'_>,
) -> Result<Option<(String, String)>, BuildError> {
    let show = format!("cat {TARGET}/var/tmp/rpm-tmp.*");
    let mut command = RunCommand::new(["sh", "-c", &show]);
    command.stdout_limit = SCRIPT_BYTES;
    let outcome = session.run(&command)?;
    let text = outcome.stdout.trim_ascii();
    if !outcome.success() || text.is_empty() {
        return Ok(None);
    }
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in involved(plan)? {
        for (script, _) in SCRIPTLETS {
            let content = package.control.get(script);
            if content.is_some_and(|content| content.trim_ascii() == text) {
                let owners = found.entry(script).or_default();
                owners.push(full_name(&package));
            }
        }
    }
    Ok(found.into_iter().next().map(|(script, mut owners)| {
        owners.sort();
        (owners.join(" or "), format!("%{script} script"))
    }))
}

/// What comes, and what was there and may go.
fn involved(plan: &Plan<'_>) -> Result<Vec<Arc<PackageManifest>>, BuildError> {
    let mut involved = plan.incoming.to_vec();
    let before = plan.request.base.into_iter();
    for package in before.flat_map(|base| &base.lock.packages) {
        let manifest = plan.request.store.packages.get(&package.sha256)?;
        involved.extend(manifest.map(Arc::new));
    }
    Ok(involved)
}

/// `name-version-release.arch`, as rpm says it.
fn full_name(package: &PackageManifest) -> String {
    let version = package.version.rsplit(':').next().unwrap_or_default();
    format!("{}-{version}.{}", package.name, package.arch)
}

/// The script that rpm says failed: `error: %pre(nginx-1.2-3.x86_64) scriptlet failed, exit status 7`
pub(super) fn failed(outcome: &RunOutcome) -> Option<(String, String, RunStatus)> {
    let text = String::from_utf8_lossy(&outcome.tail);
    text.lines().find_map(|line| {
        let (script, rest) = line.strip_prefix("error: ")?.split_once('(')?;
        let (package, rest) = rest.split_once(") scriptlet failed")?;
        let code = rest.strip_prefix(", exit status ").map(str::trim);
        let status = match (outcome.status, code.and_then(|code| code.parse().ok())) {
            (RunStatus::Exited(_), Some(code)) => RunStatus::Exited(code),
            (status, _) => status,
        };
        script
            .starts_with('%')
            .then(|| (package.to_owned(), format!("{script} script"), status))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failing_package_and_script_are_found_in_what_rpm_says() {
        let outcome = |text: &str| RunOutcome {
            status: RunStatus::Exited(1),
            tail: text.as_bytes().to_vec(),
            stdout: Vec::new(),
            stdout_truncated: false,
            left_behind: 0,
        };
        let text = "warning: x\nerror: %pre(nginx-1.2-3.x86_64) scriptlet failed, exit status 7\n\
                    error: nginx-1.2-3.x86_64: install failed\n";
        let expected = (
            "nginx-1.2-3.x86_64".to_owned(),
            "%pre script".to_owned(),
            RunStatus::Exited(7),
        );
        assert_eq!(failed(&outcome(text)), Some(expected));
        assert_eq!(failed(&outcome("error: Failed dependencies:\n")), None);
    }
}
