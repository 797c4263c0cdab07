//! Real `.deb` files, made by the real `dpkg-deb` from a small tree.

use crate::tools::{command, run};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// A package to be made. Fields that are not set are left out of its control file.
///
/// ```no_run
/// # use vzpkg_tests::deb_writer::Deb;
/// let path = Deb::new("hello", "1.0-1")
///     .field("Depends", "libc6 (>= 2.36)")
///     .file("usr/bin/hello", 0o755, b"#!/bin/sh\necho hello\n")
///     .conffile("etc/hello.conf", b"greeting=hello\n")
///     .script("postinst", "#!/bin/sh\nexit 0\n")
///     .build("/tmp/debs".as_ref());
/// ```
#[derive(Debug, Clone)]
pub struct Deb {
    name: String,
    version: String,
    arch: String,
    fields: Vec<(String, String)>,
    entries: Vec<Entry>,
    control: Vec<(String, Vec<u8>, u32)>,
    compression: &'static str,
}

#[derive(Debug, Clone)]
enum Entry {
    File(String, u32, Vec<u8>),
    Directory(String, u32),
    Symlink(String, String),
    HardLink(String, String),
}

impl Deb {
    /// An empty package for architecture `all`.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            arch: "all".into(),
            fields: Vec::new(),
            entries: Vec::new(),
            control: Vec::new(),
            compression: "xz",
        }
    }

    /// The architecture, `amd64` for example.
    #[must_use]
    pub fn arch(mut self, arch: &str) -> Self {
        self.arch = arch.into();
        self
    }

    /// A field of the control file: `Depends`, `Essential`, `Multi-Arch` …
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// A regular file with its permission bits. Directories above it are made with mode 0755.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, content: &[u8]) -> Self {
        let entry = Entry::File(path.into(), mode, content.into());
        self.entries.push(entry);
        self
    }

    /// A directory with its permission bits.
    #[must_use]
    pub fn directory(mut self, path: &str, mode: u32) -> Self {
        self.entries.push(Entry::Directory(path.into(), mode));
        self
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        self.entries
            .push(Entry::Symlink(path.into(), target.into()));
        self
    }

    /// A second name for a file that was added before.
    #[must_use]
    pub fn hard_link(mut self, path: &str, of: &str) -> Self {
        self.entries.push(Entry::HardLink(path.into(), of.into()));
        self
    }

    /// A file that is also listed in `conffiles`.
    #[must_use]
    pub fn conffile(mut self, path: &str, content: &[u8]) -> Self {
        let list = self
            .control
            .iter_mut()
            .find(|(name, ..)| name == "conffiles");
        let line = format!("/{path}\n").into_bytes();
        match list {
            Some((_, text, _)) => text.extend(line),
            None => self.control.push(("conffiles".into(), line, 0o644)),
        }
        self.file(path, 0o644, content)
    }

    /// A maintainer script: `preinst`, `postinst`, `prerm`, `postrm`, `config`.
    #[must_use]
    pub fn script(mut self, name: &str, text: &str) -> Self {
        self.control.push((name.into(), text.into(), 0o755));
        self
    }

    /// Another control file: `triggers`, `shlibs`, `templates` …
    #[must_use]
    pub fn control_file(mut self, name: &str, text: &str) -> Self {
        self.control.push((name.into(), text.into(), 0o644));
        self
    }

    /// `xz` (default), `zstd`, `gzip` or `none`, for control and data.
    #[must_use]
    pub const fn compression(mut self, name: &'static str) -> Self {
        self.compression = name;
        self
    }

    /// Makes the file `NAME_VERSION_ARCH.deb` in `directory` (made if missing) and returns its path. The same package
    /// always has the same bytes.
    pub fn build(&self, directory: &Path) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let staging = tempfile::tempdir().unwrap();
        let tree = staging.path();
        fs::set_permissions(tree, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in &self.entries {
            entry.write(tree);
        }
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::write(tree.join("DEBIAN/control"), self.control_text()).unwrap();
        for (name, text, mode) in &self.control {
            let path = tree.join("DEBIAN").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let name = format!("{}_{}_{}.deb", self.name, self.file_version(), self.arch);
        let path = directory.join(name);
        run(command("dpkg-deb")
            .args(["--root-owner-group", "--uniform-compression"])
            .arg(format!("-Z{}", self.compression))
            .arg("--build")
            .args([tree, &path]));
        path
    }

    /// The version without its epoch, as file names have it.
    fn file_version(&self) -> &str {
        let version = self.version.split_once(':');
        version.map_or(&self.version, |(_, rest)| rest)
    }

    fn control_text(&self) -> String {
        let mut text = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: Test <test@example.org>\n",
            self.name, self.version, self.arch
        );
        for (name, value) in &self.fields {
            writeln!(text, "{name}: {value}").unwrap();
        }
        if !self.fields.iter().any(|(name, _)| name == "Description") {
            writeln!(text, "Description: test package {}", self.name).unwrap();
        }
        text
    }
}

impl Entry {
    fn write(&self, tree: &Path) {
        let place = |path: &str| {
            let place = tree.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            place
        };
        match self {
            Self::File(path, mode, content) => {
                fs::write(place(path), content).unwrap();
                fs::set_permissions(tree.join(path), fs::Permissions::from_mode(*mode)).unwrap();
            }
            Self::Directory(path, mode) => {
                fs::create_dir_all(place(path)).unwrap();
                fs::set_permissions(tree.join(path), fs::Permissions::from_mode(*mode)).unwrap();
            }
            Self::Symlink(path, target) => symlink(target, place(path)).unwrap(),
            Self::HardLink(path, of) => fs::hard_link(tree.join(of), place(path)).unwrap(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_package_has_the_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let deb = Deb::new("hello", "1:1.0")
            .field("Depends", "libc6")
            .conffile("etc/hello", b"x")
            .file("usr/bin/hello", 0o755, b"#!/bin/sh\n");
        let one = deb.build(&directory.path().join("a"));
        let two = deb.build(&directory.path().join("b"));
        assert_eq!(one.file_name().unwrap(), "hello_1.0_all.deb");
        assert_eq!(fs::read(one).unwrap(), fs::read(&two).unwrap());
        let fields = run(command("dpkg-deb").arg("--field").arg(&two));
        assert!(
            String::from_utf8(fields)
                .unwrap()
                .contains("\nDepends: libc6\n")
        );
    }
}
