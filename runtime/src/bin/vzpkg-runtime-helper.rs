//! The helper of this crate's own tests; the `vzpkg` command is its own helper.
//!
//! With the argument `hold` it is a caller instead: it starts a session in which a command sleeps, says so with one
//! line, and waits to be killed. That is how the tests see what a dead caller leaves.

use std::io::Write as _;
use std::process::ExitCode;
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::sandbox::{OutputReporter, Root, RunCommand, Sandbox, SandboxSpec, Stream};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("hold") => hold(&std::env::args().nth(2).unwrap_or_default()),
        _ => vzpkg_runtime::helper_main(),
    }
}

/// Passes lines on to standard output, for the test that waits for them.
struct Announce;

impl OutputReporter for Announce {
    fn line(&self, _stream: Stream, line: &[u8]) {
        let mut stdout = std::io::stdout();
        stdout.write_all(line).ok();
        stdout.write_all(b"\n").ok();
        stdout.flush().ok();
    }
}

fn hold(mark: &str) -> ExitCode {
    let helper = HelperCommand::new("/proc/self/exe", [""; 0]);
    let script = format!("setsid sleep {mark} & sleep {mark} & echo asleep; wait");
    let command = RunCommand::new(["sh", "-c", &script]);
    let outcome = Sandbox::start(&SandboxSpec::new(Root::Host), &helper)
        .and_then(|mut sandbox| sandbox.run(&command, &Announce));
    ExitCode::from(u8::from(outcome.is_err()))
}
