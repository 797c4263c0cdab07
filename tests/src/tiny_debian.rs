//! A distribution of one package, made from the host's own shell, dpkg and account tools: small enough to be built in a
//! second without a network, and real enough for maintainer scripts. It has no apt.

use crate::deb_writer::Deb;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that dpkg and the scripts of tests call.
const PROGRAMS: [&str; 24] = [
    "dash",
    "bash",
    "dpkg",
    "dpkg-deb",
    "dpkg-query",
    "dpkg-split",
    "dpkg-divert",
    "dpkg-trigger",
    "tar",
    "rm",
    "ln",
    "mkdir",
    "cat",
    "cp",
    "mv",
    "chmod",
    "chown",
    "sleep",
    "touch",
    "sed",
    "grep",
    "id",
    "env",
    "diff",
];

/// Those that belong to the administrator.
const ADMINISTRATION: [&str; 5] = [
    "useradd",
    "groupadd",
    "ldconfig",
    "start-stop-daemon",
    "chroot",
];

/// The name of the package that is the distribution.
pub const BASE: &str = "tiny-base";

/// A package with `md5sums`, without which the builder leaves a package to dpkg.
pub fn package(name: &str, version: &str) -> Deb {
    Deb::new(name, version).control_file("md5sums", "")
}

/// Shell, dpkg and what they need, with the links of a merged `/usr`.
pub fn base(version: &str) -> Deb {
    let mut base = package(BASE, version)
        .compression("none")
        .field("Essential", "yes")
        .symlink("usr/bin/sh", "dash")
        .directory("tmp", 0o1777)
        .file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")
        .file("etc/group", 0o644, b"root:x:0:\n");
    for name in ["var/lib/dpkg", "var/log", "run", "proc", "sys", "dev"] {
        base = base.directory(name, 0o755);
    }
    for name in ["bin", "lib", "lib64", "sbin"] {
        base = base
            .symlink(name, &format!("usr/{name}"))
            .directory(&format!("usr/{name}"), 0o755);
    }
    let users = PROGRAMS.iter().map(|program| ("usr/bin", program));
    let administrators = ADMINISTRATION.iter().map(|program| ("usr/sbin", program));
    let mut libraries = BTreeSet::new();
    for (place, program) in users.chain(administrators) {
        let path = on_the_host(program);
        libraries.extend(libraries_of(&path));
        base = base.file(
            &format!("{place}/{program}"),
            0o755,
            &fs::read(&path).unwrap(),
        );
    }
    for library in libraries {
        let place = library.to_str().unwrap().trim_start_matches('/');
        let place = format!("usr/{}", place.trim_start_matches("usr/"));
        base = base.file(&place, 0o755, &fs::read(&library).unwrap());
    }
    base
}

fn on_the_host(program: &str) -> PathBuf {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .map(|directory| Path::new(directory).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("the host has no {program}"))
}

/// The shared libraries of a program, as the host's own linker finds them.
fn libraries_of(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}
