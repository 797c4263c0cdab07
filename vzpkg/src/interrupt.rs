//! Ctrl-C, SIGTERM and SIGHUP. Verbs that look whether they were asked to stop end where guard types clean up, with the
//! first one; the second ends the process. All others end at once: a signal that nobody looks at would only be lost.
//!
//! That is safe, for whatever is killed between two calls leaves what the next command goes on with, undoes or removes:
//!
//! * Verbs that only read (`list`, `diff`, `verify` …) leave nothing.
//! * `mirror gc` takes the header of a state first and its list last: the next one finds the rest.
//! * `gc` and `remove-cache` take names away before what these name: rows, manifests, images, then objects. What is left is
//!   garbage for the next `gc`, as their own place below `store/tmp` is; the reserve is set aside by whoever opens the store.
//! * `clean` takes files that each stand for themselves; metadata of which some is missing is fetched again.
//! * `export` into a directory shows nothing before it is whole; the next one of that name removes what was staged.
//! * `ct create`, `start`, `stop`, `restart`, `set`, `rename`, `clone` and `destroy` write down what they are about to do, or
//!   make it visible last; whoever uses the container next, or `gc`, does the rest. A container that was asked to stop does
//!   so without us.
//! * Marks (`keep`, `tag`, `hold` …) are one transaction.
//!
//! `tests/cli/torture` kills `gc` and most verbs of containers at many instants.

use crate::cli::{Command, ContainerCommand, MirrorCommand};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

/// How often it is looked for a program that a signal is for and that is just being started.
const PAUSE: Duration = Duration::from_millis(20);

/// What the first signal does to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// It ends the process.
    Ends,
    /// It sets the flag, at which the verb looks.
    Asks,
    /// It sets the flag and never ends the process, which waits for a command of the user's and has its exit code. A terminal
    /// sends Ctrl-C to that command as well; SIGTERM is passed on ([`pass_on`]); after SIGHUP nobody waits any more.
    Waits,
}

impl First {
    /// Of a verb.
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::List(_)
            | Command::Info(_)
            | Command::History(_)
            | Command::Diff(_)
            | Command::Lock(_)
            | Command::Hold(_)
            | Command::Unhold(_)
            | Command::Keep(_)
            | Command::Unkeep(_)
            | Command::Tag(_)
            | Command::RemoveCache(_)
            | Command::Gc(_)
            | Command::Clean(_)
            | Command::Doctor(_)
            | Command::Config(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Mirror(
                MirrorCommand::List(_)
                | MirrorCommand::Info(_)
                | MirrorCommand::Diff(_)
                | MirrorCommand::Gc(_),
            ) => Self::Ends,
            Command::Verify(arguments) if !arguments.repair => Self::Ends,
            Command::Export(arguments) if !crate::commands::export_looks(arguments) => Self::Ends,
            Command::Ct(command) => Self::of_container_verb(command),
            Command::Status(_)
            | Command::Search(_)
            // The work of a moment, done to its end.
            | Command::NewTemplate(_)
            | Command::UpdateMetadata(_)
            | Command::CreateCache(_)
            | Command::Update(_)
            | Command::Fetch(_)
            | Command::Rollback(_)
            | Command::Bisect(_)
            | Command::Verify(_)
            | Command::Export(_)
            | Command::Mirror(_) => Self::Asks,
        }
    }

    const fn of_container_verb(command: &ContainerCommand) -> Self {
        match command {
            ContainerCommand::Exec(_) | ContainerCommand::Enter(_) => Self::Waits,
            ContainerCommand::Logs(_)
            | ContainerCommand::Reset(_)
            | ContainerCommand::Commit(_)
            | ContainerCommand::Relink(_)
            | ContainerCommand::Rollback(_) => Self::Asks,
            ContainerCommand::Create(_)
            | ContainerCommand::Start(_)
            | ContainerCommand::Stop(_)
            | ContainerCommand::Restart(_)
            | ContainerCommand::Top(_)
            | ContainerCommand::Diff(_)
            | ContainerCommand::Clone(_)
            | ContainerCommand::Rename(_)
            | ContainerCommand::Set(_)
            | ContainerCommand::List(_)
            | ContainerCommand::Info(_)
            | ContainerCommand::Destroy(_) => Self::Ends,
        }
    }
}

/// A flag that becomes true with the first signal. One that ends the process gives it the code of an interruption.
pub(crate) fn watch(first: First) -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let ends = match first {
            First::Ends => Some(Arc::new(AtomicBool::new(true))),
            First::Waits if signal == SIGHUP => Some(Arc::new(AtomicBool::new(true))),
            First::Asks => Some(Arc::clone(&asked)),
            First::Waits => None,
        };
        // In this order: a second signal finds the flag set and ends the process.
        let ended = ends.map(|ends| flag::register_conditional_shutdown(signal, 130, ends));
        let registered = flag::register(signal, Arc::clone(&asked));
        if let Err(error) = ended.transpose().and(registered) {
            tracing::warn!(signal, %error, "signals keep their default effect");
        }
    }
    asked
}

/// Sends SIGTERM, whenever it comes from here on, on to the programs that this process has started: whoever supervises a
/// command in a container knows only us.
pub(crate) fn pass_on() {
    let begun = UnixStream::pair().and_then(|(mut told, teller)| {
        pipe::register(SIGTERM, teller)?;
        let pass = move || {
            while told.read_exact(&mut [0]).is_ok() {
                while !terminate_children() {
                    thread::sleep(PAUSE);
                }
            }
        };
        thread::Builder::new().spawn(pass).map(drop)
    });
    if let Err(error) = begun {
        tracing::warn!(%error, "SIGTERM is not passed on");
    }
}

/// Whether there was one.
fn terminate_children() -> bool {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let sent = ids.filter_map(Pid::from_raw).filter_map(|id| {
        is_child(id).then_some(())?;
        let process = pidfd_open(id, PidfdFlags::empty()).ok()?;
        // Ids come again: what is held now may be another one.
        is_child(id).then_some(())?;
        pidfd_send_signal(process, Signal::TERM).ok()
    });
    sent.count() > 0
}

fn is_child(id: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", id.as_raw_nonzero()));
    let status = status.unwrap_or_default();
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:"));
    parent.and_then(|parent| parent.trim().parse().ok()) == Some(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn the_first_signal_ends_what_does_not_look() {
        for (line, first) in [
            ("verify", First::Ends),
            ("verify --repair", First::Asks),
            ("gc", First::Ends),
            ("export t@1 t.tar.gz", First::Asks),
            ("export t@1 t", First::Ends),
            ("export t@1 -", First::Ends),
            ("create-cache t", First::Asks),
            ("ct stop web", First::Ends),
            ("ct exec web true", First::Waits),
            ("ct logs web", First::Asks),
            ("mirror list", First::Ends),
            ("mirror sync", First::Asks),
        ] {
            let words = std::iter::once("vzpkg").chain(line.split(' '));
            let cli = crate::cli::Cli::try_parse_from(words).unwrap();
            assert_eq!(First::of(&cli.command), first, "{line}");
        }
    }

    #[test]
    fn children_are_told_from_everybody_else() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let id = |id: u32| Pid::from_raw(id.try_into().unwrap()).unwrap();
        let found = [child.id(), std::process::id(), 1].map(|other| is_child(id(other)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, [true, false, false]);
    }
}
