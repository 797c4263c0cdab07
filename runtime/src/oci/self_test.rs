//! Which OCI runtime works here: the first of the known ones that runs `true` in a container.
//!
//! `--version` would not do: crun answers it and then refuses hosts with two kinds of cgroups. The answer is kept in
//! the state directory, which is gone with the machine, so that only the first command after a boot pays (20–80 ms).

use super::runtime_binary::{OciError, RuntimeBinary};
use super::{bundle, rights};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBuilder, LinuxNamespaceBuilder, LinuxNamespaceType, Mount, MountBuilder, ProcessBuilder,
    RootBuilder, SpecBuilder,
};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use vzpkg_metadata::durable;

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
        if named.is_none()
            && let Some(known) = remembered(state)
        {
            return Ok(Self::new(known, state.to_owned()));
        }
        let mut tried = Vec::new();
        for name in names {
            let Some(program) = locate(&name) else {
                tried.push(format!("{}: not installed", name.display()));
                continue;
            };
            match self_test(&program, state) {
                Ok(()) => {
                    if named.is_none() {
                        remember(state, &program);
                    }
                    return Ok(Self::new(program, state.to_owned()));
                }
                Err(words) => tried.push(format!("{}: {words}", name.display())),
            }
        }
        Err(OciError::NoneWorks { tried })
    }
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

fn memory(state: &Path) -> PathBuf {
    state.join("works")
}

fn remembered(state: &Path) -> Option<PathBuf> {
    let bytes = durable::read_file(&memory(state), 4096).ok()?;
    let path = PathBuf::from(String::from_utf8(bytes).ok()?);
    path.exists().then_some(path)
}

fn remember(state: &Path, program: &Path) {
    // Only a saving: where it cannot be kept, the next command finds out again.
    if let Some(text) = program.to_str() {
        drop(durable::write_file(&memory(state), 0o600, text.as_bytes()));
    }
}

/// Runs `true` of the host in a container of this runtime. The error is what it said.
fn self_test(program: &Path, state: &Path) -> Result<(), String> {
    let bundle = state.join(format!("self-test.{}", std::process::id()));
    let made = make_bundle(&bundle).map_err(|error| error.to_string());
    let outcome = made.and_then(|()| run(program, state, &bundle));
    drop(fs::remove_dir_all(&bundle));
    outcome
}

fn run(program: &Path, state: &Path, bundle: &Path) -> Result<(), String> {
    let name = format!("vzpkg-self-test-{}", std::process::id());
    let output = Command::new(program)
        .arg("--root")
        .arg(state)
        .args(["run", "--bundle"])
        .arg(bundle)
        .arg(&name)
        .env_clear()
        .env("PATH", bundle::PATH)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    // `run` deletes what it made, but not when it was stopped half-way.
    let _left = Command::new(program)
        .arg("--root")
        .arg(state)
        .args(["delete", "--force", &name])
        .stdin(Stdio::null())
        .output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(said
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .map_or_else(|| output.status.to_string(), str::to_owned))
}

fn make_bundle(bundle: &Path) -> io::Result<()> {
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
    let spec = config(&root, &binds).map_err(io::Error::other)?;
    fs::write(bundle.join("config.json"), spec)
}

fn config(root: &Path, binds: &[PathBuf]) -> Result<Vec<u8>, OciSpecError> {
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
        .cgroups_path(format!("/vzpkg/self-test-{}", std::process::id()))
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
    fn privileged_a_working_runtime_is_found_and_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let found = RuntimeBinary::find(None, directory.path()).unwrap();
        assert_eq!(
            remembered(directory.path()).as_deref(),
            Some(super::super::OciRuntime::program(&found))
        );
        assert_eq!(RuntimeBinary::find(None, directory.path()).unwrap(), found);
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
