//! One fault from outside: the n-th call of a kind fails, or kills who makes it. strace injects it, so the code under test
//! has no seams for it, and SQLite, dpkg and the OCI runtime meet the same faults.
//!
//! strace counts the calls of each thread for itself; the n-th call is that of the first thread that gets so far. Where
//! strace itself fails, which under load it rarely does, nothing was found out: the state is prepared anew.

use crate::support::{Run, Site, say};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// A run under fault may retry and wait, but not for ever.
const PATIENCE: Duration = Duration::from_mins(5);

/// How often strace may fail in a row.
const ATTEMPTS: usize = 5;

/// Calls that change a file system, by what they do; and the error that a disk answers.
pub(crate) const KINDS: [Kind; 7] = [
    Kind::new("write", "write,pwrite64,writev,copy_file_range", "ENOSPC"),
    Kind::new("sync", "fsync,fdatasync,syncfs", "EIO"),
    Kind::new("link", "link,linkat,symlink,symlinkat", "ENOSPC"),
    Kind::new("rename", "rename,renameat,renameat2", "EIO"),
    Kind::new("truncate", "ftruncate,truncate,fallocate", "ENOSPC"),
    Kind::new("remove", "unlink,unlinkat,rmdir", "EIO"),
    Kind::new("make", "mkdir,mkdirat", "ENOSPC"),
];

/// Calls that are alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    name: &'static str,
    calls: &'static str,
    error: &'static str,
}

impl Kind {
    const fn new(name: &'static str, calls: &'static str, error: &'static str) -> Self {
        Self { name, calls, error }
    }

    /// Whether it is the one that puts things in their places.
    pub(crate) fn is_rename(self) -> bool {
        self.name == "rename"
    }

    /// Whether it is the one that messages go through, too.
    pub(crate) fn is_write(self) -> bool {
        self.name == "write"
    }
}

/// What happens to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It fails with the error of its kind.
    Fail,
    /// The process dies of it.
    Kill,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) action: Action,
    pub(crate) nth: usize,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, action, nth } = self;
        write!(f, "{action:?} at {kind} {nth}")
    }
}

/// How often one thread of this command makes a call of each of [`KINDS`], at most. The command is carried out, on what
/// `prepare` makes.
pub(crate) fn counts(site: &Site, words: &[&str], prepare: &dyn Fn()) -> Vec<usize> {
    let all: Vec<&str> = KINDS.iter().map(|kind| kind.calls).collect();
    let trace = site.path("trace");
    let run = traced(site, words, &[format!("trace={}", all.join(","))], prepare);
    assert_eq!(run.code, 0, "{words:?} undisturbed: {}", run.stderr);
    let text = fs::read_to_string(&trace).unwrap();
    let mut seen: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for line in text.lines() {
        // `PID call(arguments…) = result`; the rest are signals, ends, and calls that are resumed.
        let mut words = line.split_whitespace();
        let (Some(thread), Some(call)) = (words.next(), words.next()) else {
            continue;
        };
        let call = call.split('(').next().unwrap_or_default();
        let kind = KINDS
            .iter()
            .position(|kind| kind.calls.split(',').any(|one| one == call));
        if let Some(kind) = kind {
            *seen.entry((thread, kind)).or_default() += 1;
        }
    }
    let most = |kind| {
        let of_kind = seen.iter().filter(|((_, of), _)| *of == kind);
        of_kind.map(|(_, count)| *count).max().unwrap_or(0)
    };
    (0..KINDS.len()).map(most).collect()
}

/// Runs a command that meets a fault, on what `prepare` makes.
pub(crate) fn run(site: &Site, words: &[&str], fault: Fault, prepare: &dyn Fn()) -> Run {
    let Kind { calls, error, .. } = fault.kind;
    let what = match fault.action {
        Action::Fail => format!("error={error}"),
        Action::Kill => "signal=KILL".to_owned(),
    };
    let inject = format!("inject={calls}:{what}:when={}", fault.nth);
    let run = traced(site, words, &[format!("trace={calls}"), inject], prepare);
    let panicked = run.stderr.contains("panicked") && !is_not_of_a_disk(&run);
    assert!(!panicked, "{fault}: {}", run.stderr);
    run
}

/// Whether the call was the one that wakes a thread, which no disk answers; strace knows no difference.
fn is_not_of_a_disk(run: &Run) -> bool {
    run.stderr.contains("failed to wake I/O driver")
}

fn traced(site: &Site, words: &[&str], expressions: &[String], prepare: &dyn Fn()) -> Run {
    let mut attempt = 0;
    loop {
        prepare();
        // Its output ends when the command does, which goes on untraced where strace gave up.
        let began = Instant::now();
        let run = Run::of(&strace(site, words, expressions).output().unwrap());
        if !run.stderr.contains("strace: ptrace(") {
            // `timeout` ends as one whom a fault kills does: only the time tells them apart.
            let in_time = began.elapsed() < PATIENCE;
            assert!(in_time, "{expressions:?}: {words:?} does not end");
            return run;
        }
        say(&format!("{words:?}: {}", run.stderr.trim()));
        attempt += 1;
        assert!(attempt < ATTEMPTS, "{words:?}: {}", run.stderr);
    }
}

fn strace(site: &Site, words: &[&str], expressions: &[String]) -> Command {
    let command = site.command(words);
    let mut strace = Command::new("timeout");
    strace.args([
        "--signal=KILL",
        &PATIENCE.as_secs().to_string(),
        "strace",
        "-f",
        "-qq",
        "--seccomp-bpf",
    ]);
    for expression in expressions {
        strace.args(["-e", expression]);
    }
    strace.arg("-o").arg(site.path("trace"));
    strace.arg(command.get_program()).args(command.get_args());
    strace.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.env(name, value);
        }
    }
    strace.current_dir(command.get_current_dir().unwrap());
    strace
}
