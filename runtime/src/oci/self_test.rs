//! Which OCI runtime works here: the first of the known ones that runs `true` in a container.
//!
//! `--version` would not do: crun answers it and then refuses hosts with two kinds of cgroups. The answer is kept in
//! the state directory ([`crate::findings`]), so that only the first command after a boot pays (20–80 ms).

use super::ahead::{CONFIGURATION, Waiting};
use super::runtime::OciError;
use super::runtime_binary::RuntimeBinary;
use super::{bundle, rights};
use crate::findings::{FileIdentity, Finding};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBuilder, LinuxNamespaceBuilder, LinuxNamespaceType, Mount, MountBuilder, ProcessBuilder,
    RootBuilder, SpecBuilder,
};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use vzpkg_metadata::Digest;

/// The runtimes that are tried, best first: by start-up time.
pub const KNOWN: [&str; 3] = ["crun", "runc", "youki"];

impl RuntimeBinary {
    /// Finds the runtime: `named` if there is one (a name or a path), else the first of [`KNOWN`] that passes.
    ///
    /// # Errors
    /// [`OciError::NoneWorks`] with what each one said.
    pub fn find(named: Option<&Path>, state: &Path) -> Result<Self, OciError> {
        let names = named.map_or_else(
            || KNOWN.map(PathBuf::from).to_vec(),
            |name| vec![name.to_owned()],
        );
        let programs: Vec<Option<PathBuf>> = names.iter().map(|name| locate(name)).collect();
        let finding = finding(named, &programs, state);
        let found = |works: Works| Self::new(works.program, state.to_owned()).waiting(works.waits);
        if let Some(works) = finding.recall() {
            return Ok(found(works));
        }
        let mut tried = Vec::new();
        for (name, program) in names.iter().zip(programs) {
            let Some(program) = program else {
                tried.push(format!("{}: not installed", name.display()));
                continue;
            };
            match self_test(&program, state) {
                Ok(waits) => {
                    let works = Works { program, waits };
                    finding.keep(&works);
                    return Ok(found(works));
                }
                Err(words) => tried.push(format!("{}: {words}", name.display())),
            }
        }
        Err(OciError::NoneWorks { tried })
    }
}

/// A runtime that works here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Works {
    program: PathBuf,
    /// Whether it can be started before its bundle has a configuration.
    waits: bool,
}

/// A path as it is; a name in the usual directories, for what `PATH` of a caller says is not asked.
fn locate(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return name.exists().then(|| name.to_owned());
    }
    bundle::PATH
        .split(':')
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.exists())
}

/// Which runtime works, as a finding about all that come into question: one that is installed or upgraded is tried.
fn finding(named: Option<&Path>, programs: &[Option<PathBuf>], state: &Path) -> Finding {
    let found = programs.iter().flatten();
    let about: Vec<_> = found.map(|program| FileIdentity::of(program)).collect();
    let name = named.map_or_else(String::new, |name| {
        format!(
            ".{}",
            Digest::of(name.as_os_str().as_encoded_bytes()).short()
        )
    });
    Finding::new(state.join(format!("works{name}")), &about)
}

/// Makes the names of self-tests unique on the machine, also where threads of one process test at once.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Runs `true` of the host in a container of this runtime; whether it waits for its configuration. The error is what it
/// said.
fn self_test(program: &Path, state: &Path) -> Result<bool, String> {
    let waits = Mode::Waiting.run(program, state).is_ok();
    if !waits {
        Mode::Plain.run(program, state)?;
    }
    Ok(waits)
}

/// How a runtime gets its configuration.
#[derive(Clone, Copy)]
enum Mode {
    /// It finds it.
    Plain,
    /// It is given it after it was started, and finds none in its place.
    Waiting,
}

impl Mode {
    fn run(self, program: &Path, state: &Path) -> Result<(), String> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("vzpkg-self-test-{}-{serial}", std::process::id());
        let bundle = state.join(format!("bundle.{name}"));
        let outcome = match make_bundle(&bundle, &name) {
            Ok(configuration) => self.call(program, state, &bundle, &name, &configuration),
            Err(error) => Err(error.to_string()),
        };
        drop(fs::remove_dir_all(&bundle));
        outcome
    }

    fn call(
        self,
        program: &Path,
        state: &Path,
        bundle: &Path,
        name: &str,
        configuration: &[u8],
    ) -> Result<(), String> {
        let mut command = Command::new(program);
        command.arg("--root").arg(state);
        command.args(["run", "--bundle"]).arg(bundle).arg(name);
        command.env_clear().env("PATH", bundle::PATH);
        command.stdin(Stdio::null());
        let (status, said) = match self {
            Self::Plain => fs::write(bundle.join(CONFIGURATION), configuration)
                .and_then(|()| command.output())
                .map(|output| (output.status, output.stderr)),
            Self::Waiting => {
                command.stdout(Stdio::null()).stderr(Stdio::null());
                Waiting::start(command, bundle)
                    .and_then(|waiting| waiting.give(configuration))
                    .map(|status| (status, Vec::new()))
            }
        }
        .map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        // `run` deletes what it made, but not when it was stopped half-way.
        let _left = Command::new(program)
            .arg("--root")
            .arg(state)
            .args(["delete", "--force", name])
            .stdin(Stdio::null())
            .output();
        let said = String::from_utf8_lossy(&said).into_owned();
        Err(said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .map_or_else(|| status.to_string(), str::to_owned))
    }
}

/// Lays out a bundle, but for its configuration, which is returned.
fn make_bundle(bundle: &Path, name: &str) -> io::Result<Vec<u8>> {
    let root = bundle.join("root");
    for directory in ["proc", "dev", "sys"] {
        fs::create_dir_all(root.join(directory))?;
    }
    let mut binds = Vec::new();
    for name in ["usr", "bin", "lib", "lib64"] {
        let host = Path::new("/").join(name);
        match fs::read_link(&host) {
            Ok(target) => symlink(target, root.join(name))?,
            Err(_) if host.is_dir() => {
                fs::create_dir(root.join(name))?;
                binds.push(host);
            }
            Err(_) => {}
        }
    }
    config(&root, &binds, name).map_err(io::Error::other)
}

fn config(root: &Path, binds: &[PathBuf], name: &str) -> Result<Vec<u8>, OciSpecError> {
    let process = ProcessBuilder::default()
        .args(["true".to_owned()].to_vec())
        .env([format!("PATH={}", bundle::PATH)].to_vec())
        .cwd("/")
        .build()?;
    let namespaces: Result<Vec<_>, _> = [
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Cgroup,
    ]
    .into_iter()
    .map(|typ| LinuxNamespaceBuilder::default().typ(typ).build())
    .collect();
    let linux = LinuxBuilder::default()
        .namespaces(namespaces?)
        .cgroups_path(format!("/vzpkg/{name}"))
        .seccomp(rights::seccomp()?);
    let mut mounts = vec![mount("/proc", "proc", "proc", &[])?];
    for bind in binds {
        let place = bind.to_string_lossy();
        mounts.push(mount(&place, "bind", &place, &["bind", "ro"])?);
    }
    let root = RootBuilder::default().path(root).readonly(true).build()?;
    let spec = SpecBuilder::default()
        .version("1.0.2")
        .root(root)
        .process(process)
        .linux(linux.build()?)
        .mounts(mounts)
        .build()?;
    Ok(serde_json::to_vec(&spec)?)
}

fn mount(to: &str, kind: &str, from: &str, options: &[&str]) -> Result<Mount, OciSpecError> {
    let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
    MountBuilder::default()
        .destination(to)
        .typ(kind)
        .source(from)
        .options(options)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root: make check runs it"]
    fn privileged_a_working_runtime_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let found = RuntimeBinary::find(None, directory.path()).unwrap();
        let again = RuntimeBinary::find(None, directory.path()).unwrap();
        assert_eq!(found, again);
        let none = directory.path().join("none");
        let program = PathBuf::from("/bin/false");
        assert!(self_test(&program, &none).is_err());
    }

    /// What the program does is told by where the link leads: it says yes, or no.
    #[test]
    fn a_runtime_is_tested_once_until_it_is_another_program() {
        let directory = tempfile::tempdir().unwrap();
        let (state, program) = (
            directory.path().join("state"),
            directory.path().join("runtime"),
        );
        symlink("/bin/true", &program).unwrap();
        let find = || RuntimeBinary::find(Some(&program), &state);
        let found = find().unwrap();
        // No second test: what the first one kept would have to be found by trying else.
        let kept = finding(Some(&program), &[Some(program.clone())], &state);
        let works = |program: &Path| Works {
            program: program.to_owned(),
            waits: true,
        };
        assert_eq!(kept.recall(), Some(works(&program)));
        kept.keep(&works(Path::new("/kept")));
        assert_ne!(find().unwrap(), found);
        fs::remove_file(&program).unwrap();
        symlink("/bin/false", &program).unwrap();
        assert!(matches!(find(), Err(OciError::NoneWorks { .. })));
    }

    #[test]
    fn a_runtime_that_does_not_work_is_named_with_its_own_words() {
        let directory = tempfile::tempdir().unwrap();
        let error =
            RuntimeBinary::find(Some(Path::new("/bin/false")), directory.path()).unwrap_err();
        assert!(error.to_string().contains("/bin/false"), "{error}");
        let error =
            RuntimeBinary::find(Some(Path::new("no-such-runtime")), directory.path()).unwrap_err();
        assert!(error.to_string().contains("not installed"), "{error}");
    }
}
