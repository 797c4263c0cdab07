//! The template's scripts around the package manager, in the order of the original (VZPKG-REFERENCE §2.5, §2.7).
//!
//! Host-side scripts run with the host's programs, read-only, on the mounted tree as `$1` and nothing else; the others
//! run inside the tree with bash. Values reach both as environment, never as shell text. Scripts leave no file behind.

use super::assemble::Stage;
use super::backend::Middle;
use super::run::{self, Session};
use super::{Backend, BuildError, BuildKind, Plan};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::template::{Script, ScriptKind, Template};
use vzpkg_runtime::sandbox::{Bind, RunCommand};

/// Where scripts are seen inside; a file system of the session, so never part of the tree.
const INSIDE: &str = "/run/vzpkg/scripts";

/// The host's bash, where it has one.
const BASH: &str = "/bin/bash";

/// Where the tree is seen by host-side scripts.
const TARGET: &str = "/run/vzpkg/root";

/// Mounts, runs everything in order, unmounts. Consecutive steps in the tree share one session.
pub(super) fn run_all(
    plan: &Plan<'_>,
    stage: &Stage,
    backend: &dyn Backend,
) -> Result<(), BuildError> {
    let scripts = Scripts::write(plan, stage)?;
    let mut runner = Runner {
        plan,
        stage,
        scripts: &scripts,
        serial: 0,
        session: None,
    };
    let (os, applications) = (plan.request.template, plan.request.applications);
    match plan.kind {
        BuildKind::Cache => {
            runner.run(os, ScriptKind::PreCache)?;
            runner.packages(backend, true)?;
            runner.run(os, ScriptKind::PostCache)?;
            runner.run(os, ScriptKind::PostInstall)?;
        }
        BuildKind::Update => {
            runner.run(os, ScriptKind::PreUpdate)?;
            runner.packages(backend, false)?;
            runner.run(os, ScriptKind::PostUpdate)?;
        }
        BuildKind::Application => {
            runner.run_each(applications, ScriptKind::PreInstallHn)?;
            runner.run_each(applications, ScriptKind::PreInstall)?;
            runner.packages(backend, false)?;
            runner.run_each(applications, ScriptKind::PostInstallHn)?;
            runner.run_each(applications, ScriptKind::PostInstall)?;
        }
    }
    runner.end_session()
}

struct Runner<'a> {
    plan: &'a Plan<'a>,
    stage: &'a Stage,
    scripts: &'a Scripts,
    serial: u32,
    session: Option<Session<'a>>,
}

impl<'a> Runner<'a> {
    fn run_each(&mut self, templates: &[&Template], kind: ScriptKind) -> Result<(), BuildError> {
        templates
            .iter()
            .try_for_each(|template| self.run(template, kind))
    }

    fn run(&mut self, template: &Template, kind: ScriptKind) -> Result<(), BuildError> {
        if template.scripts.get(kind).is_none() {
            return Ok(());
        }
        if kind.runs_on_host() {
            return self.run_on_host(template, kind);
        }
        let plan = self.plan;
        run_inside(plan, self.inside()?, template, kind)
    }

    fn packages(&mut self, backend: &dyn Backend, middle: bool) -> Result<(), BuildError> {
        let (plan, stage) = (self.plan, self.stage);
        let os = plan.request.template;
        let mut kinds = vec![ScriptKind::MidPreInstall, ScriptKind::MidPostInstall];
        kinds.retain(|kind| middle && os.scripts.get(*kind).is_some());
        let mut in_the_middle = |session: &mut Session<'_>| {
            let mut kinds = kinds.iter();
            kinds.try_for_each(|kind| run_inside(plan, session, os, *kind))
        };
        let middle: &mut Middle<'_> = &mut in_the_middle;
        let middle = (!kinds.is_empty()).then_some(middle);
        let session = self.inside()?;
        backend.run(plan, &stage.assembly, session, middle)
    }

    /// The session on the target; started if there is none.
    fn inside(&mut self) -> Result<&mut Session<'a>, BuildError> {
        let session = if let Some(session) = self.session.take() {
            session
        } else {
            self.serial += 1;
            let scripts = Bind::read_only(&self.scripts.directory, INSIDE);
            Session::on_target(self.plan, self.stage, self.serial, vec![scripts])?
        };
        Ok(self.session.insert(session))
    }

    fn end_session(&mut self) -> Result<(), BuildError> {
        self.session.take().map_or(Ok(()), Session::finish)
    }

    fn run_on_host(&mut self, template: &Template, kind: ScriptKind) -> Result<(), BuildError> {
        self.end_session()?;
        self.serial += 1;
        let scripts = Bind::read_only(&self.scripts.directory, INSIDE);
        let target = Path::new(TARGET);
        let mut session =
            Session::on_host(self.plan, self.stage, self.serial, target, vec![scripts])?;
        let path = format!("{INSIDE}/{}", file_name(template, kind));
        let shell = host_shell();
        let command = RunCommand::new([shell, &path, TARGET, plain_name(template)]);
        let outcome = session.run(&command)?;
        if !outcome.success() {
            return Err(run::failure(None, script_name(template, kind), &outcome));
        }
        session.finish()
    }
}

/// What runs scripts on the host: bash, for which those of the original are written, else the shell that every host has.
fn host_shell() -> &'static str {
    if Path::new(BASH).exists() {
        BASH
    } else {
        "/bin/sh"
    }
}

fn run_inside(
    plan: &Plan<'_>,
    session: &mut Session<'_>,
    template: &Template,
    kind: ScriptKind,
) -> Result<(), BuildError> {
    let path = format!("{INSIDE}/{}", file_name(template, kind));
    let mut command = RunCommand::new(["bash", &path]);
    if plan.kind == BuildKind::Application {
        command.environment.insert("APP_CACHE".into(), "1".into());
    }
    let outcome = session.run_in_target(&command)?;
    if outcome.success() {
        Ok(())
    } else {
        Err(run::failure(None, script_name(template, kind), &outcome))
    }
}

/// The scripts of all templates of a build, as files that only its sandboxes see.
struct Scripts {
    directory: PathBuf,
}

impl Scripts {
    fn write(plan: &Plan<'_>, stage: &Stage) -> Result<Self, FileError> {
        let directory = stage.upper().with_file_name("scripts");
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&directory)
            .map_err(FileError::on("create directory", &directory))?;
        let applications = plan.request.applications.iter().copied();
        for template in std::iter::once(plan.request.template).chain(applications) {
            for Script { kind, content } in template.scripts.iter() {
                let path = directory.join(file_name(template, *kind));
                fs::OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o755)
                    .open(&path)
                    .and_then(|mut file| file.write_all(content))
                    .map_err(FileError::on("write", path))?;
            }
        }
        Ok(Self { directory })
    }
}

/// Template names hold `/` between OS and application.
fn file_name(template: &Template, kind: ScriptKind) -> String {
    format!("{}.{kind}", template.name.as_str().replace('/', "_"))
}

fn script_name(template: &Template, kind: ScriptKind) -> String {
    format!("{kind} of {}", template.name)
}

fn plain_name(template: &Template) -> &str {
    template.name.as_str()
}
