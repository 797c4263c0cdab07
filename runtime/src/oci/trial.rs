//! One try of an OCI runtime: a shell of the host in a container, which looks at its mounts.
//!
//! Everything of it lies in a directory of its own, `self-test/<name>`, apart from the state of containers: its bundle, and
//! the state of the runtime. What a killed one leaves, its cgroup included, is removed by the next.

use super::ahead::{CONFIGURATION, Waiting};
use super::{bundle, cgroups, rights};
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
use std::sync::atomic::{AtomicU32, Ordering};
use vzpkg_metadata::durable;

/// How the names of self-tests begin; the id of the process that made one follows.
const PREFIX: &str = "vzpkg-self-test-";

/// Makes the names of self-tests unique on the machine, also where threads of one process test at once.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// What is mounted in a test with the words that hold for everything below, and with them alone.
const CLOSED: &str = "/closed";

/// Fails unless everything that is mounted at [`CLOSED`] and below is as those words say. The fifth field of a mount is its
/// place, the sixth its own options.
const LOOK: &str = r#"
    found=no
    while read -r id parent device root place options rest; do
        case $place in /closed | /closed/*) ;; *) continue ;; esac
        found=yes
        for wanted in ro nosuid nodev; do
            case ,$options, in *,$wanted,*) ;; *) found=no; break 2 ;; esac
        done
    done </proc/self/mountinfo
    test $found = yes && exit
    echo "it does not know mounts that are read-only all the way down (rro): a newer one does" >&2
    exit 1"#;

/// Removes what tests left whose process was killed. Only ever tidying: what cannot be removed is tried again.
pub(super) fn sweep(program: &Path, area: &Path) {
    for entry in fs::read_dir(area).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            clear(program, &entry.path(), &name);
        }
    }
}

/// Ends and removes what there is of a test.
fn clear(program: &Path, place: &Path, name: &str) {
    delete(program, place, name);
    drop(cgroups::remove(&group(name)));
    drop(fs::remove_dir_all(place));
}

/// The cgroup of a test.
fn group(name: &str) -> PathBuf {
    Path::new("/vzpkg").join(name)
}

/// Where the runtime keeps its state of a test.
fn state_in(place: &Path) -> PathBuf {
    place.join("state")
}

/// Ends what the runtime has not deleted by itself.
fn delete(program: &Path, place: &Path, name: &str) {
    let _left = Command::new(program)
        .arg("--root")
        .arg(state_in(place))
        .args(["delete", "--force", name])
        .env_clear()
        .env("PATH", bundle::PATH)
        .stdin(Stdio::null())
        .output();
}

/// How a runtime gets its configuration.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// It finds it.
    Plain,
    /// It is given it after it was started, and finds none in its place.
    Waiting,
}

impl Mode {
    pub(super) fn run(self, program: &Path, area: &Path) -> Result<(), String> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{serial}", std::process::id());
        let place = area.join(&name);
        if place.exists() {
            // Of a process that had our id.
            clear(program, &place, &name);
        }
        let outcome = match make_bundle(&place, &name) {
            Ok(configuration) => self.call(program, &place, &name, &configuration),
            Err(error) => Err(error.to_string()),
        };
        drop(fs::remove_dir_all(&place));
        outcome
    }

    /// `bundle` holds the state of the runtime as well.
    fn call(
        self,
        program: &Path,
        bundle: &Path,
        name: &str,
        configuration: &[u8],
    ) -> Result<(), String> {
        let mut command = Command::new(program);
        command.arg("--root").arg(state_in(bundle));
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
        delete(program, bundle, name);
        drop(cgroups::remove(&group(name)));
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
    // Nobody but root learns what runs here.
    durable::create_directories(bundle, 0o700).map_err(io::Error::other)?;
    for directory in ["proc", "dev", "sys", "open/below", "closed"] {
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
        .args(["sh", "-c", LOOK].map(str::to_owned).to_vec())
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
        .cgroups_path(group(name))
        .seccomp(rights::seccomp()?);
    let mut mounts = vec![mount("/proc", "proc", "proc", &[])?];
    for bind in binds {
        let place = bind.to_string_lossy();
        mounts.push(mount(&place, "bind", &place, &["bind", "ro"])?);
    }
    // A mount that is there before the next one, which takes it along.
    mounts.push(mount("/open/below", "tmpfs", "tmpfs", &[])?);
    let open = root.join("open").to_string_lossy().into_owned();
    let words = ["rbind", "rro", "rnosuid", "rnodev"];
    mounts.push(mount(CLOSED, "bind", &open, &words)?);
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
    fn what_a_killed_test_left_is_swept_and_what_a_living_one_has_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let place = directory.path().join(name);
            fs::create_dir(&place).unwrap();
            place
        };
        let dead = place(&format!("{PREFIX}4194305-0"));
        let alive = place(&format!("{PREFIX}{}-7", std::process::id()));
        let foreign = place("foreign");
        sweep(Path::new("/bin/true"), directory.path());
        assert!(!dead.exists() && alive.exists() && foreign.exists());
    }
}
