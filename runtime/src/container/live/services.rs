//! Which service of a plain init a process belongs to, and how services are stopped and started from outside.
//!
//! systemd keeps each service in a cgroup ([`super::report::unit`]). Others leave a file with the process's number below
//! `/run`, named like their script in `/etc/init.d`. Everything is opened inside the container's root.

use super::report::Process;
use crate::container::beneath::{open_file, open_inside, open_root};
use crate::container::{Config, ContainerError, ContainerPaths, ExecSpec, exec};
use crate::oci::OciRuntime;
use rustix::fs::{Dir, OFlags};
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use vzpkg_metadata::RelPath;

/// More files than this below `/run` are not looked through.
const FILES: usize = 10_000;

/// How the services of a container are told to stop and to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// `systemctl`
    Systemd,
    /// `service`
    Plain,
}

/// What runs as process 1 of a container.
pub fn manager(init: u32) -> Manager {
    let name = std::fs::read_to_string(format!("/proc/{init}/comm"));
    if name.is_ok_and(|name| name.trim_end() == "systemd") {
        Manager::Systemd
    } else {
        Manager::Plain
    }
}

/// The service that has to be stopped for a process to end; `None` where it belongs to none.
pub fn service_of(init: u32, process: &Process) -> Option<String> {
    if let Some(unit) = process.service() {
        return Some(unit.to_owned());
    }
    if process.unit.is_some() {
        return None;
    }
    let root = open_root(Path::new(&format!("/proc/{init}/root"))).ok()?;
    let mut line = ancestors(process.pid);
    line.push(process.inner);
    named_by_file(&root, &line)
}

/// The numbers, inside, of a process's parents and their parents, short of process 1.
fn ancestors(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut here = pid;
    // Nobody nests processes deeper.
    for _ in 0..64 {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{here}/status")) else {
            break;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace()
                .next_back()?
                .parse::<u32>()
                .ok()
        };
        match field("NSpid:") {
            Some(inner) if inner > 1 => found.push(inner),
            _ => break,
        }
        let Some(parent) = field("PPid:") else { break };
        here = parent;
    }
    found
}

/// The script whose process file holds one of these numbers.
fn named_by_file(root: &OwnedFd, numbers: &[u32]) -> Option<String> {
    let mut directories = vec![PathBuf::from("/run")];
    let mut looked = 0;
    while let Some(directory) = directories.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let Ok(opened) = open_inside(root, &directory, flags) else {
            continue;
        };
        for entry in Dir::read_from(&opened).ok()?.flatten() {
            looked += 1;
            if looked > FILES {
                return None;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(stem) = name.strip_suffix(".pid") {
                let number = number_in(&opened, &name);
                let stem = stem.to_owned();
                let script = Path::new("/etc/init.d").join(&stem);
                if number.is_some_and(|number| numbers.contains(&number))
                    && open_inside(root, &script, OFlags::PATH).is_ok()
                {
                    return Some(stem);
                }
            } else if directory == Path::new("/run")
                && entry.file_type() == rustix::fs::FileType::Directory
                && !name.starts_with('.')
            {
                directories.push(directory.join(name));
            }
        }
    }
    None
}

/// The number in a file of a directory; none where a link is, which may lead to what is better not read.
fn number_in(directory: impl AsFd, name: &str) -> Option<u32> {
    let file = open_file(directory, &RelPath::parse(name.as_bytes()).ok()?).ok()?;
    let mut text = String::new();
    file.take(64).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Stops or starts services, in the container, and waits for it. What they print goes to standard error.
///
/// # Errors
/// [`ContainerError`] where nothing can be run; a service that does not do as told is not an error here.
pub fn tell(
    paths: &ContainerPaths,
    config: &Config,
    runtime: &dyn OciRuntime,
    manager: Manager,
    verb: &str,
    services: &[String],
) -> Result<bool, ContainerError> {
    let script = match manager {
        Manager::Systemd => "verb=$1; shift; exec systemctl \"$verb\" -- \"$@\" </dev/null >&2",
        Manager::Plain => {
            "verb=$1; shift; end=0; for name; do service \"$name\" \"$verb\" </dev/null >&2 || end=1; done; exit $end"
        }
    };
    let mut argv = ["/bin/sh", "-c", script, "sh", verb]
        .map(str::to_owned)
        .to_vec();
    argv.extend(services.iter().cloned());
    let spec = ExecSpec {
        argv,
        ..ExecSpec::default()
    };
    Ok(exec(paths, config, &spec, runtime)? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_process_file_names_the_script_and_foreign_links_lead_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["run/sub", "etc/init.d"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("etc/init.d/cron"), "").unwrap();
        fs::write(at("etc/init.d/db"), "").unwrap();
        fs::write(at("run/cron.pid"), "12\n").unwrap();
        fs::write(at("run/sub/db.pid"), " 13").unwrap();
        fs::write(at("run/noscript.pid"), "14").unwrap();
        fs::write(at("run/long.pid"), "1".repeat(1000)).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", at("run/link.pid")).unwrap();
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mkfifoat(rustix::fs::CWD, at("run/fifo.pid"), mode).unwrap();
        let root = open_root(directory.path()).unwrap();
        assert_eq!(named_by_file(&root, &[12]).as_deref(), Some("cron"));
        assert_eq!(named_by_file(&root, &[99, 13]).as_deref(), Some("db"));
        assert_eq!(named_by_file(&root, &[14]), None);
        assert_eq!(named_by_file(&root, &[]), None);
        assert!(ancestors(std::process::id()).contains(&std::process::id()));
    }
}
