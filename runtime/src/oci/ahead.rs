//! A runtime that is started before its bundle has a configuration. To load takes a runtime half of its time, and it needs
//! nothing for that; so it loads while the container is got ready.
//!
//! The configuration of the bundle is a link to a pipe that the runtime inherits, which it reads to its end. A pipe, and
//! no FIFO: opening it never waits, and where we die before the configuration is given it is empty, which the runtime
//! refuses. Whether a runtime works so is tried once ([`super::self_test`]).

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

/// The file of a bundle that says what the container is to be.
pub(super) const CONFIGURATION: &str = "config.json";

/// A runtime at the pipe; killed where it is given nothing.
#[derive(Debug)]
pub(super) struct Waiting {
    runtime: Child,
    configuration: Option<File>,
}

impl Waiting {
    /// Starts a command that works on `bundle`, which has no configuration.
    pub(super) fn start(mut command: Command, bundle: &Path) -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let link = format!("/proc/self/fd/{}", read.as_raw_fd());
        symlink(link, bundle.join(CONFIGURATION))?;
        // Whatever else this process starts in this instant inherits it too: the end of an empty pipe.
        rustix::io::fcntl_setfd(&read, FdFlags::empty())?;
        let runtime = command.spawn()?;
        Ok(Self {
            runtime,
            configuration: Some(write.into()),
        })
    }

    /// Gives the runtime its configuration and waits until it has ended.
    pub(super) fn give(mut self, configuration: &[u8]) -> io::Result<ExitStatus> {
        if let Some(pipe) = self.configuration.take() {
            self.write(pipe, configuration)?;
        }
        self.runtime.wait()
    }

    /// A runtime that ends, or that has found the configuration in its place meanwhile, need not read all of it.
    fn write(&mut self, mut pipe: File, mut rest: &[u8]) -> io::Result<()> {
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        while !rest.is_empty() {
            match pipe.write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.runtime.try_wait()?.is_some() {
                        break;
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has made nothing yet.
        if self.configuration.take().is_some() {
            drop(self.runtime.kill());
            drop(self.runtime.wait());
        }
    }
}

/// Puts a configuration in its place, for all who look there later. Not durable on purpose: the bundle is gone with the
/// machine.
pub(super) fn put(path: &Path, configuration: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&new)?.write_all(configuration)?;
    Ok(rustix::fs::rename(new, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Stdio;

    fn reader(script: &str, bundle: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(bundle);
        command.stdin(Stdio::null());
        command
    }

    #[test]
    fn a_program_reads_what_it_is_given_later() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path();
        // More than a pipe holds.
        let configuration = vec![b'x'; 300 << 10];
        let reads = reader("exec cat config.json >copy", bundle);
        let waiting = Waiting::start(reads, bundle).unwrap();
        thread::sleep(Duration::from_millis(20));
        assert!(waiting.give(&configuration).unwrap().success());
        assert_eq!(fs::read(bundle.join("copy")).unwrap(), configuration);
    }

    #[test]
    fn a_program_that_reads_nothing_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let configuration = vec![b'x'; 300 << 10];
        for (script, code) in [("exit 3", 3), ("sleep 0.1; exit 4", 4)] {
            drop(fs::remove_file(directory.path().join(CONFIGURATION)));
            let ends = reader(script, directory.path());
            let waiting = Waiting::start(ends, directory.path()).unwrap();
            assert_eq!(waiting.give(&configuration).unwrap().code(), Some(code));
        }
    }

    #[test]
    fn what_is_in_its_place_is_read_as_well() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path();
        let late = reader("sleep 0.1; exec cat config.json >copy", bundle);
        let waiting = Waiting::start(late, bundle).unwrap();
        put(&bundle.join(CONFIGURATION), b"{}").unwrap();
        assert!(waiting.give(b"{}").unwrap().success());
        assert_eq!(fs::read(bundle.join("copy")).unwrap(), b"{}");
    }

    #[test]
    fn what_is_given_up_ends() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path();
        let waits = reader("cat config.json; sleep 60", bundle);
        let waiting = Waiting::start(waits, bundle).unwrap();
        let process = format!("/proc/{}", waiting.runtime.id());
        assert!(Path::new(&process).exists());
        drop(waiting);
        assert!(!Path::new(&process).exists());
    }
}
