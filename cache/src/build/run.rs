//! A session of the sandbox in which commands run, and how their failures are told.

use super::assemble::Stage;
use super::{BuildError, BuildReporter, Plan, ScriptFailure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use vzpkg_runtime::sandbox::{
    Bind, OutputReporter, Root, RunCommand, RunOutcome, Sandbox, SandboxSpec, Stream, TreeMount,
};

/// How many of the last lines of a failed command an error carries.
const TAIL_LINES: usize = 20;

/// A running session on the target.
pub struct Session<'a> {
    sandbox: Sandbox,
    reporter: &'a dyn BuildReporter,
    cancel: &'a AtomicBool,
    /// Where the target is inside, if it is not the root.
    target: Option<PathBuf>,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("sandbox", &self.sandbox)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// Mounts the target (inside the tools, if there are any) and starts a session on it. `binds` are seen by what runs
    /// in the target.
    pub(super) fn on_target(
        plan: &Plan<'a>,
        stage: &Stage,
        serial: u32,
        binds: Vec<Bind>,
    ) -> Result<Self, BuildError> {
        let target = stage.target(serial)?;
        let (mut spec, inside) = match stage.tools(serial)? {
            Some((tools, at)) => {
                let mut spec = SandboxSpec::new(Root::Tree(tools));
                spec.trees.push(TreeMount {
                    at: at.to_owned(),
                    tree: target,
                    system: true,
                });
                (spec, Some(at.to_owned()))
            }
            None => (SandboxSpec::new(Root::Tree(target)), None),
        };
        spec.binds.extend(stage.assembly.binds.iter().cloned());
        spec.binds.extend(binds.into_iter().map(|mut bind| {
            if let Some(target) = &inside {
                bind.at = target.join(bind.at.strip_prefix("/").unwrap_or(&bind.at));
            }
            bind
        }));
        spec.environment.extend(environment(plan));
        spec.environment.extend(stage.assembly.environment.clone());
        Self::start(plan, spec, inside)
    }

    /// A session with the host's programs, in which the target is a directory.
    pub(super) fn on_host(
        plan: &Plan<'a>,
        stage: &Stage,
        serial: u32,
        at: &Path,
        binds: Vec<Bind>,
    ) -> Result<Self, BuildError> {
        let mut spec = SandboxSpec::new(Root::Host);
        spec.trees.push(TreeMount {
            at: at.to_owned(),
            tree: stage.target(serial)?,
            system: false,
        });
        spec.binds = binds;
        spec.environment.extend(environment(plan));
        Self::start(plan, spec, None)
    }

    fn start(
        plan: &Plan<'a>,
        mut spec: SandboxSpec,
        target: Option<PathBuf>,
    ) -> Result<Self, BuildError> {
        spec.limits.timeout = plan.request.timeout;
        Ok(Self {
            sandbox: Sandbox::start(&spec, plan.request.helper)?,
            reporter: plan.request.reporter,
            cancel: plan.request.cancel,
            target,
        })
    }

    /// Where the target is inside; `None` if it is the root.
    pub fn target(&self) -> Option<&Path> {
        self.target.as_deref()
    }

    /// Runs a command and returns how it went, whatever that is.
    ///
    /// # Errors
    /// [`BuildError::Sandbox`] where it cannot be run at all.
    pub fn run(&mut self, command: &RunCommand) -> Result<RunOutcome, BuildError> {
        let reporter = Lines {
            reporter: self.reporter,
            cancel: self.cancel,
        };
        Ok(self.sandbox.run(command, &reporter)?)
    }

    /// Runs a command inside the target, also where that is not the root.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_in_target(&mut self, command: &RunCommand) -> Result<RunOutcome, BuildError> {
        let Some(target) = &self.target else {
            return self.run(command);
        };
        let mut command = command.clone();
        let prefix = ["chroot".to_owned(), target.display().to_string()];
        command.argv.splice(0..0, prefix);
        self.run(&command)
    }

    /// Ends the session; its mounts are gone when this returns.
    ///
    /// # Errors
    /// [`BuildError::Sandbox`] where it had died before.
    pub fn finish(self) -> Result<(), BuildError> {
        Ok(self.sandbox.finish()?)
    }
}

/// The failure of a run, with the last lines it wrote.
pub(super) fn failure(
    package: Option<String>,
    script: impl Into<String>,
    outcome: &RunOutcome,
) -> BuildError {
    let text = String::from_utf8_lossy(&outcome.tail);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    BuildError::Script(Box::new(ScriptFailure {
        package,
        script: script.into(),
        status: outcome.status,
        output: lines.into_iter().skip(first).collect(),
    }))
}

/// What every command of a build sees: the template's variables, and the time that reproducible tools write.
fn environment(plan: &Plan<'_>) -> BTreeMap<String, String> {
    let request = plan.request;
    let applications = request.applications.iter().copied();
    let templates = std::iter::once(request.template).chain(applications);
    let mut environment: BTreeMap<String, String> = templates
        .flat_map(|template| template.environment.iter().cloned())
        .collect();
    environment.insert("SOURCE_DATE_EPOCH".into(), plan.lock.epoch.to_string());
    environment
}

struct Lines<'a> {
    reporter: &'a dyn BuildReporter,
    cancel: &'a AtomicBool,
}

impl OutputReporter for Lines<'_> {
    fn line(&self, _stream: Stream, line: &[u8]) {
        self.reporter.output(line);
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
