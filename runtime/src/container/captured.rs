//! A command in a running container that talks to us instead of to the terminal: what it reads comes from us, what it
//! prints is kept, within bounds.
//!
//! It is given pipes only. A file of the host as its standard input could be opened again through `/proc/self/fd`, to be
//! written to where the container has the host's ids. Who asks waits for the command, not for its pipes; but
//! runc itself waits until nobody holds them any more, so a command that may leave a service behind must redirect its
//! output inside. And it is told nothing by the terminal: a package manager that Ctrl-C meets in the
//! middle of its work leaves half of it.

use super::exec::exec_with;
use super::{Config, ContainerError, ContainerPaths, ExecSpec};
use crate::oci::{OciRuntime, Streams};
use crate::sandbox::Stream;
use crate::sandbox::output::Output;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io::{self, PipeReader, PipeWriter, Read, Write as _};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::thread;

/// Between two looks at whether the command has ended, where it prints nothing.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// What is read or written at once.
const PIECE: usize = 64 << 10;

/// How many pieces are taken after the command has ended: more than a pipe holds, for others may go on to print.
const LAST_PIECES: usize = 32;

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its own exit code; 128 + N if signal N ended it.
    pub code: u8,
    /// The beginning of its standard output.
    pub stdout: Vec<u8>,
    /// Whether there was more of that.
    pub truncated: bool,
    /// The end of both its streams, 64 KiB at most.
    pub tail: Vec<u8>,
}

/// As [`super::exec()`], but the command reads `input` and ends up with at most `limit` bytes of its standard output kept.
/// What it does not read of `input` is left.
///
/// # Errors
/// As [`super::exec()`]; [`ContainerError::Talk`] where `input` cannot be read, or no pipe can be made.
pub fn exec_captured(
    paths: &ContainerPaths,
    config: &Config,
    spec: &ExecSpec,
    input: Option<&mut dyn Read>,
    limit: usize,
    runtime: &dyn OciRuntime,
) -> Result<Captured, ContainerError> {
    let failed = |source| ContainerError::Talk {
        container: paths.id.clone(),
        source,
    };
    let (mut talk, streams) = Talk::begin(input, limit).map_err(failed)?;
    let (code, fed) = thread::scope(|scope| {
        let command = scope.spawn(|| exec_with(paths, config, spec, streams, runtime));
        let mut fed = Ok(());
        while fed.is_ok() && talk.is_open() && !command.is_finished() {
            fed = talk.turn(&PAUSE);
        }
        if fed.is_err() {
            // Whoever waits for more of it sees an end, and what is printed is not waited for.
            talk.feed = None;
            talk.pipes = Vec::new();
        }
        let code = command
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (code, fed)
    });
    let code = code?;
    fed.map_err(failed)?;
    talk.feed = None;
    for _ in 0..LAST_PIECES {
        talk.take().map_err(failed)?;
    }
    let (tail, stdout, truncated) = talk.output.finish(&());
    Ok(Captured {
        code,
        stdout,
        truncated,
        tail,
    })
}

/// Our ends of the pipes.
struct Talk<'a> {
    feed: Option<Feed<'a>>,
    pipes: Vec<(Stream, PipeReader)>,
    output: Output,
}

/// What the command is still to read.
struct Feed<'a> {
    from: &'a mut dyn Read,
    to: PipeWriter,
    /// What was read and does not fit into the pipe yet.
    waiting: Vec<u8>,
}

impl<'a> Talk<'a> {
    fn begin(input: Option<&'a mut dyn Read>, limit: usize) -> io::Result<(Self, Streams)> {
        let (out, out_end) = io::pipe()?;
        let (errors, errors_end) = io::pipe()?;
        let mut input_end = Stdio::null();
        let mut feed = None;
        if let Some(from) = input {
            let (end, to) = io::pipe()?;
            not_waiting(&to)?;
            input_end = end.into();
            let waiting = Vec::new();
            feed = Some(Feed { from, to, waiting });
        }
        not_waiting(&out)?;
        not_waiting(&errors)?;
        let talk = Self {
            feed,
            pipes: vec![(Stream::Stdout, out), (Stream::Stderr, errors)],
            output: Output::new(limit),
        };
        let streams = Streams {
            input: input_end,
            output: out_end.into(),
            errors: errors_end.into(),
        };
        Ok((talk, streams))
    }

    const fn is_open(&self) -> bool {
        self.feed.is_some() || !self.pipes.is_empty()
    }

    /// Waits until there is something to do on a pipe, and does it.
    fn turn(&mut self, pause: &Timespec) -> io::Result<()> {
        let mut ends: Vec<PollFd<'_>> = self
            .pipes
            .iter()
            .map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN))
            .collect();
        if let Some(feed) = &self.feed {
            ends.push(PollFd::new(&feed.to, PollFlags::OUT));
        }
        match poll(&mut ends, Some(pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.take()?;
        if let Some(feed) = &mut self.feed
            && !feed.give()?
        {
            self.feed = None;
        }
        Ok(())
    }

    /// One piece of each pipe that has something; those that have ended go.
    fn take(&mut self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        let mut open = Vec::new();
        for (stream, mut pipe) in std::mem::take(&mut self.pipes) {
            match pipe.read(&mut piece) {
                Ok(0) => continue,
                Ok(count) => {
                    let read = piece.get(..count).unwrap_or_default();
                    self.output.take(stream, read, &());
                }
                Err(error) if is_later(&error) => {}
                Err(error) => return Err(error),
            }
            open.push((stream, pipe));
        }
        self.pipes = open;
        Ok(())
    }
}

impl Feed<'_> {
    /// Gives the command what its pipe takes; `false` where there is no more, or nobody reads it.
    fn give(&mut self) -> io::Result<bool> {
        if self.waiting.is_empty() {
            let room = u64::try_from(PIECE).unwrap_or(u64::MAX);
            let mut piece = (&mut *self.from).take(room);
            if piece.read_to_end(&mut self.waiting)? == 0 {
                return Ok(false);
            }
        }
        match self.to.write(&self.waiting) {
            Ok(count) => {
                self.waiting.drain(..count.min(self.waiting.len()));
                Ok(true)
            }
            Err(error) if is_later(&error) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Of our end alone: the command finds its own as it expects it.
fn not_waiting(end: &impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(end)?;
    Ok(fcntl_setfl(end, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// As `exec_captured`, with a command of the host.
    fn said(line: &str, input: Option<&mut dyn Read>, limit: usize) -> (Vec<u8>, bool, Vec<u8>) {
        let (mut talk, streams) = Talk::begin(input, limit).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command.stdin(streams.input);
        command.stdout(streams.output).stderr(streams.errors);
        let mut child = command.spawn().unwrap();
        drop(command);
        while talk.is_open() && child.try_wait().unwrap().is_none() {
            talk.turn(&PAUSE).unwrap();
        }
        child.wait().unwrap();
        for _ in 0..LAST_PIECES {
            talk.take().unwrap();
        }
        let (tail, stdout, truncated) = talk.output.finish(&());
        (stdout, truncated, tail)
    }

    #[test]
    fn what_goes_in_comes_out_however_long_it_is() {
        let long: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let (out, truncated, _) = said("cat", Some(&mut long.as_slice()), 2_000_000);
        assert!(out == long && !truncated);
        let (out, truncated, _) = said("cat", Some(&mut long.as_slice()), 10);
        assert_eq!((out.as_slice(), truncated), (&long[..10], true));
    }

    #[test]
    fn nobody_has_to_read_or_to_close_anything() {
        let endless = &mut io::repeat(b'x');
        let (out, _, tail) = said("echo read; echo failed >&2", Some(endless), 100);
        assert_eq!(out, b"read\n");
        let tail = String::from_utf8(tail).unwrap();
        assert!(tail.contains("read") && tail.contains("failed"), "{tail}");
        let begin = std::time::Instant::now();
        let (out, ..) = said("sleep 20 & echo begun", None, 100);
        assert_eq!(out, b"begun\n");
        assert!(begin.elapsed().as_secs() < 15, "waited for a service");
    }
}
