//! Runs the binary and reads what it says.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use vzpkg_tests::env::TestEnv;

/// The binary under test.
pub(crate) const VZPKG: &str = env!("CARGO_BIN_EXE_vzpkg");

/// What a run said and how it ended.
#[derive(Debug)]
#[must_use]
pub(crate) struct Run {
    /// The exit code; 255 if a signal ended it.
    pub(crate) code: i32,
    /// Results.
    pub(crate) stdout: String,
    /// Everything else.
    pub(crate) stderr: String,
}

impl Run {
    /// Of a finished process.
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(255),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its stdout, if it ended with 0.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Its stderr, if it ended with `code`.
    pub(crate) fn fails_with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// A root of its own for a scenario; whatever runs or is mounted there ends with it.
pub(crate) struct Site {
    env: TestEnv,
}

impl Site {
    /// A root below the build directory, which lies on a real file system where `/tmp` may be a tmpfs.
    pub(crate) fn new() -> Self {
        Self {
            env: TestEnv::new(),
        }
    }

    /// The root.
    pub(crate) fn root(&self) -> PathBuf {
        self.env.root()
    }

    /// A path beside the root.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.env.path(name)
    }

    /// The command with these words, not yet run.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.env.command(VZPKG);
        command
            .env("VZPKG_CONFIG", self.path("etc"))
            .env("VZPKG_RUN_DIRECTORY", self.path("run"))
            .args(words);
        command
    }

    /// Runs the command with these words.
    pub(crate) fn vzpkg(&self, words: &[&str]) -> Run {
        Run::of(&self.command(words).output().unwrap())
    }

    /// Writes an EZ template: the directory of its set below the template area, and its files.
    pub(crate) fn template(&self, directory: &str, files: &[(&str, &str)]) {
        let directory = self.root().join("template").join(directory);
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !self.root().join("private").exists() {
            return;
        }
        for entry in fs::read_dir(self.root().join("private"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().into_string().unwrap_or_default();
            // Best effort: a scenario that failed may have left a container running.
            drop(
                self.command(&["-q", "ct", "destroy", "--force", &name])
                    .output(),
            );
        }
    }
}

/// What a scenario measured; shown with `--nocapture`, as `make torture` does.
pub(crate) fn say(text: &str) {
    let line = format!("{text}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// The folder of real packages; a scenario that needs it fails without.
pub(crate) fn fixtures() -> PathBuf {
    vzpkg_tests::fixtures::fixture("").canonicalize().unwrap()
}

/// Mount points below `root` in this mount namespace.
pub(crate) fn mounts_below(root: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = root.to_str().unwrap().to_owned();
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| point.starts_with(&root))
        .map(str::to_owned)
        .collect()
}
