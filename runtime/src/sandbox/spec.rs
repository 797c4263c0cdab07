//! What a session is made of, what it is asked to run and what comes out: plain values.

use crate::rootfs::MountSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What `/` is inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there is one for each session")]
pub enum Root {
    /// A tree; changes go to its scratch upper.
    Tree(MountSpec),
    /// The host's `/usr`, `/bin`, `/sbin`, `/lib*` and a minimal `/etc`, all read-only: for host-side template scripts.
    Host,
}

/// A tree that is mounted somewhere below `/`, besides the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeMount {
    /// Where, as an absolute path inside. Made if it lies on a tmpfs of the session.
    pub at: PathBuf,
    /// What.
    pub tree: MountSpec,
    /// Whether it gets `/proc`, `/sys`, `/dev` and tmpfs of its own too, because something will chroot into it.
    pub system: bool,
}

/// A path of the host that is visible inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The host's file or directory.
    pub source: PathBuf,
    /// Where it appears, as an absolute path inside. Made if it lies on a tmpfs of the session, else it must exist.
    pub at: PathBuf,
    /// Whether the sandbox may write to it.
    pub writable: bool,
}

impl Bind {
    /// `source` at `at`, read-only.
    pub fn read_only(source: impl Into<PathBuf>, at: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            at: at.into(),
            writable: false,
        }
    }
}

/// Bounds of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long one command may run, unless it says otherwise.
    pub timeout: Duration,
    /// How many processes and threads may live at once.
    pub processes: u32,
    /// How many files one process may have open, once it has raised its limit from the customary 1024.
    pub open_files: u64,
    /// How large each tmpfs may become, in bytes.
    pub tmpfs_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(30),
            processes: 4096,
            open_files: 65_536,
            tmpfs_bytes: 4 << 30,
        }
    }
}

/// What a session is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// What `/` is.
    pub root: Root,
    /// Further trees.
    pub trees: Vec<TreeMount>,
    /// Paths of the host.
    pub binds: Vec<Bind>,
    /// Directories that are an empty tmpfs, so that nothing of theirs enters the tree; default `/run` and `/tmp`.
    pub temporary: Vec<PathBuf>,
    /// The whole environment of every command; nothing of the caller's is inherited.
    pub environment: BTreeMap<String, String>,
    /// Its host name.
    pub hostname: String,
    /// Whether setuid programs work. Scripts run as root, so they hardly ever need it.
    pub setuid: bool,
    /// Its bounds.
    pub limits: Limits,
}

impl SandboxSpec {
    /// A session on `root` with `/run` and `/tmp` as tmpfs, a plain environment and default limits.
    pub fn new(root: Root) -> Self {
        let environment = [
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("TERM", "dumb"),
        ];
        Self {
            root,
            trees: Vec::new(),
            binds: Vec::new(),
            temporary: vec!["/run".into(), "/tmp".into()],
            environment: environment
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            hostname: "localhost".to_owned(),
            setuid: false,
            limits: Limits::default(),
        }
    }
}

/// One command of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCommand {
    /// The program, looked up in `PATH` unless it holds a slash, and its arguments.
    pub argv: Vec<String>,
    /// Variables besides those of the session; they win.
    pub environment: BTreeMap<String, String>,
    /// Where it starts; `/` if empty.
    pub directory: PathBuf,
    /// What it reads on standard input; nothing if empty. At most 64 MiB.
    #[serde(skip)]
    pub stdin: Vec<u8>,
    /// How long it may run, if not as the session says.
    pub timeout: Option<Duration>,
    /// How many bytes of its standard output are returned, from the beginning.
    pub stdout_limit: usize,
}

impl RunCommand {
    /// A command with these words and no input.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Hears what commands write, line by line, while they run.
pub trait OutputReporter {
    /// One line without its newline; longer ones come in pieces of 8 KiB. May hold any byte.
    fn line(&self, _stream: Stream, _line: &[u8]) {}
    /// Asked about ten times a second while a command runs: `true` kills it and everything else in the session.
    fn cancelled(&self) -> bool {
        false
    }
}

impl OutputReporter for () {}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunStatus {
    /// With this exit code.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
    /// It was killed because its time was over.
    TimedOut,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RunOutcome {
    /// How it ended.
    pub status: RunStatus,
    /// The last lines of both its streams in order of arrival, at most 64 KiB.
    pub tail: Vec<u8>,
    /// Its standard output from the beginning, up to [`RunCommand::stdout_limit`] bytes.
    pub stdout: Vec<u8>,
    /// Whether `stdout` is not all of it.
    pub stdout_truncated: bool,
    /// How many processes it left behind, which were killed.
    pub left_behind: u32,
}

impl RunOutcome {
    /// Whether it exited with 0.
    pub const fn success(&self) -> bool {
        matches!(self.status, RunStatus::Exited(0))
    }
}
