//! Real `.rpm` files, made by the real `rpmbuild`.

use crate::keys::TestKey;
use crate::tools::{command, run};
use std::fs;
use std::path::{Path, PathBuf};

/// A package to be made.
///
/// ```no_run
/// # use vzpkg_tests::rpm_writer::Rpm;
/// let path = Rpm::new("hello", "1.0", "1")
///     .tag("Requires", "/bin/sh")
///     .file("/usr/bin/hello", 0o755, b"#!/bin/sh\n")
///     .section("%post", "exit 0")
///     .build("/tmp/rpms".as_ref());
/// ```
#[derive(Debug, Clone)]
pub struct Rpm {
    name: String,
    version: String,
    release: String,
    arch: String,
    tags: Vec<(String, String)>,
    files: Vec<(String, u32, Vec<u8>, String)>,
    sections: Vec<(String, String)>,
    defines: Vec<(String, String)>,
}

impl Rpm {
    /// An empty `noarch` package.
    pub fn new(name: &str, version: &str, release: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            release: release.into(),
            arch: "noarch".into(),
            tags: Vec::new(),
            files: Vec::new(),
            sections: Vec::new(),
            defines: Vec::new(),
        }
    }

    /// The architecture: `x86_64`.
    #[must_use]
    pub fn arch(mut self, arch: &str) -> Self {
        self.arch = arch.into();
        self
    }

    /// A line of the preamble: `Requires`, `Provides`, `Obsoletes`, `Epoch` …
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// A file with its absolute path and permission bits, owned by root.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> Self {
        self.file_with(path, mode, content, "")
    }

    /// A file with a directive of `%files` in front: `%config(noreplace)`, `%doc`, `%ghost`; `%attr` for another owner, in
    /// place of root and the mode.
    #[must_use]
    pub fn file_with(mut self, path: &str, mode: u32, content: &[u8], directive: &str) -> Self {
        let file = (path.into(), mode, content.into(), directive.into());
        self.files.push(file);
        self
    }

    /// A section with its head line: `%post`, `%pre -p <lua>`, `%triggerin -- bash`.
    #[must_use]
    pub fn section(mut self, head: &str, body: &str) -> Self {
        self.sections.push((head.into(), body.into()));
        self
    }

    /// A macro: `_binary_payload` `w19.zstdio`, for example.
    #[must_use]
    pub fn define(mut self, name: &str, value: &str) -> Self {
        self.defines.push((name.into(), value.into()));
        self
    }

    /// Makes the file in `directory` (made if missing) and returns its path. The same package always has the same
    /// bytes.
    pub fn build(&self, directory: &Path) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let top = tempfile::tempdir().unwrap();
        let sources = top.path().join("SOURCES");
        fs::create_dir_all(&sources).unwrap();
        for (number, (_, _, content, _)) in self.files.iter().enumerate() {
            fs::write(sources.join(format!("file{number}")), content).unwrap();
        }
        let spec = top.path().join("package.spec");
        fs::write(&spec, self.spec()).unwrap();
        let mut rpmbuild = command("rpmbuild");
        rpmbuild.args(["-bb", "--quiet", "--target", &self.arch]);
        rpmbuild.env("HOME", top.path());
        let top_text = top.path().to_str().unwrap();
        let fixed = [
            ("_topdir", top_text),
            ("_buildhost", "test.example.org"),
            ("use_source_date_epoch_as_buildtime", "1"),
            ("clamp_mtime_to_source_date_epoch", "1"),
            ("_build_id_links", "none"),
            ("debug_package", "%{nil}"),
        ];
        let fixed = fixed
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (name, value) in fixed.chain(self.defines.iter().cloned()) {
            rpmbuild.args(["--define", &format!("{name} {value}")]);
        }
        run(rpmbuild.arg(&spec));
        let file = format!(
            "{}-{}-{}.{}.rpm",
            self.name, self.version, self.release, self.arch
        );
        let path = directory.join(&file);
        fs::copy(top.path().join("RPMS").join(&self.arch).join(&file), &path).unwrap();
        path
    }

    fn spec(&self) -> String {
        let mut lines = vec![
            format!("Name: {}", self.name),
            format!("Version: {}", self.version),
            format!("Release: {}", self.release),
            format!("Summary: test package {}", self.name),
            "License: MIT".into(),
            // Only what a test asks for: no generated dependencies.
            "AutoReqProv: no".into(),
        ];
        lines.extend(
            self.tags
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        for number in 0..self.files.len() {
            lines.push(format!("Source{number}: file{number}"));
        }
        lines.push("%description\nTest package.\n%install".into());
        for (number, (path, mode, ..)) in self.files.iter().enumerate() {
            lines.push(format!(
                "install -D -m {mode:o} %{{SOURCE{number}}} %{{buildroot}}{path}"
            ));
        }
        lines.extend(
            self.sections
                .iter()
                .map(|(head, body)| format!("{head}\n{body}")),
        );
        lines.push("%files".into());
        for (path, mode, _, directive) in &self.files {
            let owned = directive.contains("%attr");
            let attributes = format!("%attr({mode:o},root,root) ");
            let attributes = if owned { "" } else { attributes.as_str() };
            lines.push(format!("{attributes}{directive} {path}"));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// Signs a package in place with the real `rpmsign`, as a distribution does.
pub fn sign(path: &Path, key: &TestKey) {
    let home = tempfile::tempdir().unwrap();
    let secret = home.path().join("secret.asc");
    fs::write(&secret, key.secret_armored()).unwrap();
    let gpg = |program: &str| {
        let mut command = command(program);
        command.arg("--homedir").arg(home.path());
        command
    };
    run(gpg("gpg")
        .args(["--batch", "--quiet", "--import"])
        .arg(&secret));
    let mut rpmsign = command("rpmsign");
    rpmsign.env("HOME", home.path());
    // Debian builds rpm for a `gpg2` that it does not have.
    rpmsign.args(["--define", "__gpg /usr/bin/gpg"]);
    rpmsign.args(["--define", &format!("_gpg_name {}", key.fingerprint())]);
    rpmsign.args(["--define", &format!("_gpg_path {}", home.path().display())]);
    run(rpmsign.arg("--addsign").arg(path));
    // gpg leaves an agent behind.
    run(gpg("gpgconf").args(["--kill", "all"]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpm_itself_sees_the_signature() {
        let directory = tempfile::tempdir().unwrap();
        let rpm = Rpm::new("hello", "1.0", "1").build(directory.path());
        let signature = || {
            let mut command = command("rpm");
            command.args(["-qp", "--nosignature", "--qf"]);
            command.arg("%{RSAHEADER:pgpsig} %{DSAHEADER:pgpsig}");
            String::from_utf8(run(command.arg(&rpm))).unwrap()
        };
        assert_eq!(signature(), "(none) (none)");
        sign(&rpm, &TestKey::new("packager"));
        assert!(signature().contains("SHA256"), "{}", signature());
    }

    #[test]
    fn the_same_package_has_the_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let rpm = Rpm::new("hello", "1.0", "1")
            .tag("Requires", "/bin/sh")
            .file("/usr/bin/hello", 0o755, b"#!/bin/sh\n")
            .section("%post", "exit 0");
        let one = rpm.build(&directory.path().join("a"));
        let two = rpm.build(&directory.path().join("b"));
        assert_eq!(fs::read(one).unwrap(), fs::read(&two).unwrap());
        let requires = run(command("rpm")
            .args(["-qp", "--requires", "--nosignature"])
            .arg(&two));
        assert!(String::from_utf8(requires).unwrap().contains("/bin/sh\n"));
    }
}
