//! Runs of dpkg and of maintainer scripts, and which package and script a failed one was about.

use crate::build::run::failure;
use crate::build::{BuildError, Session};
use vzpkg_runtime::sandbox::{RunCommand, RunOutcome, RunStatus};

/// Runs dpkg or apt; `program` is which of them a failure names that no script is to blame for.
pub(super) fn dpkg(
    session: &mut Session<'_>,
    command: &RunCommand,
    program: &str,
) -> Result<(), BuildError> {
    let outcome = session.run_in_target(command)?;
    if outcome.success() {
        return Ok(());
    }
    Err(match culprit(&outcome) {
        Some((package, script, status)) => {
            let outcome = RunOutcome { status, ..outcome };
            failure(Some(package), script, &outcome)
        }
        None => failure(None, program, &outcome),
    })
}

/// What dpkg says about the script that failed, or which package it was busy with when its time was over.
fn culprit(outcome: &RunOutcome) -> Option<(String, String, RunStatus)> {
    let text = String::from_utf8_lossy(&outcome.tail);
    if outcome.status == RunStatus::TimedOut {
        let busy = text.lines().rev().find_map(|line| {
            let rest = line
                .strip_prefix("Setting up ")
                .map(|rest| (rest, "post-installation script"))
                .or_else(|| Some((line.strip_prefix("Processing triggers for ")?, "triggers")))
                .or_else(|| Some((line.strip_prefix("Unpacking ")?, "pre-installation script")))
                .or_else(|| Some((line.strip_prefix("Removing ")?, "pre-removal script")))?;
            let package = rest.0.split(' ').next()?;
            Some((package.to_owned(), rest.1.to_owned()))
        })?;
        return Some((busy.0, busy.1, RunStatus::TimedOut));
    }
    // ` installed nginx package post-installation script subprocess returned error exit status 1`
    text.lines().find_map(|line| {
        let (before, after) = line.trim().split_once(" script subprocess ")?;
        let (package, script) = before.split_once(" package ")?;
        let package = package.rsplit(' ').next()?;
        let code = after.strip_prefix("returned error exit status ")?;
        let status = RunStatus::Exited(code.trim().parse().ok()?);
        Some((package.to_owned(), format!("{script} script"), status))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: RunStatus, text: &str) -> RunOutcome {
        RunOutcome {
            status,
            tail: text.as_bytes().to_vec(),
            stdout: Vec::new(),
            stdout_truncated: false,
            left_behind: 0,
        }
    }

    #[test]
    fn the_failing_package_and_script_are_found_in_what_dpkg_says() {
        let text = "Setting up nginx (1.2-3) ...\ndpkg: error processing package nginx (--configure):\n \
                    installed nginx package post-installation script subprocess returned error exit status 7\n";
        let found = culprit(&outcome(RunStatus::Exited(1), text)).unwrap();
        assert_eq!(
            found,
            (
                "nginx".into(),
                "post-installation script".into(),
                RunStatus::Exited(7)
            )
        );
    }

    #[test]
    fn a_hanging_script_is_named() {
        let text = "Setting up a (1) ...\nSetting up b:amd64 (2) ...\nwaiting\n";
        let found = culprit(&outcome(RunStatus::TimedOut, text)).unwrap();
        assert_eq!(found.0, "b:amd64");
        assert_eq!(found.2, RunStatus::TimedOut);
    }
}
