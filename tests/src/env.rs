//! A place of its own for each test: a root, a home, and commands that see nothing of this machine's settings.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A temporary directory with a root for vzpkg. Removed when dropped.
#[derive(Debug)]
pub struct TestEnv {
    directory: TempDir,
}

impl TestEnv {
    /// A new, empty one.
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A path inside it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What `--root` is given.
    pub fn root(&self) -> PathBuf {
        self.path("vz")
    }

    /// The whole directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A command that sees only this environment: no variables of the caller, fixed locale, width and clock, home and
    /// root inside the directory, no configuration of the machine.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("COLUMNS", "100")
            .env("NO_COLOR", "1")
            .env("VZPKG_ROOT", self.root())
            .current_dir(self.directory.path());
        command
    }
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}
