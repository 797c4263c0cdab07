//! Our own binary run again: namespaces and forks want a process with one thread and few file descriptors.
//!
//! The caller says how to start it ([`HelperCommand`]), because "our own binary" inside a test harness is the harness.
//! What it starts must do nothing but call [`helper_main`]. The helper's standard input is a socket on which it is told
//! what it is to be; it reads no argument and no environment variable.
//!
//! A crate whose tests need a helper has a binary of two lines for it (`src/bin/…-helper.rs`, as this crate has) and
//! names it by `env!("CARGO_BIN_EXE_…")`.

use crate::sandbox;
use crate::sys::Linux;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

/// How to start a process that calls [`helper_main`] first thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperCommand {
    /// The binary: for the `vzpkg` command `/proc/self/exe`, in tests a binary made for it.
    pub program: PathBuf,
    /// Arguments that make it call [`helper_main`].
    pub args: Vec<String>,
}

impl HelperCommand {
    /// A helper that is started as `program args…`.
    pub fn new(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
        }
    }

    /// Starts the helper with an empty environment and gives it its job. Its standard error is a pipe.
    pub(crate) fn start(&self, job: &Job) -> io::Result<(Child, Channel)> {
        self.start_with(job, Stdio::null())
    }

    /// [`HelperCommand::start`] with this as standard output, to which no helper writes: a locked file there stays locked
    /// until the helper has ended, also where its caller was killed.
    pub(crate) fn start_with(&self, job: &Job, output: Stdio) -> io::Result<(Child, Channel)> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut channel = Channel::new(ours);
        // A helper that dies at once is noticed by whoever waits for its first answer.
        channel.tell(job).ok();
        Ok((child, channel))
    }
}

/// What a helper is told to be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// The parent of PID 1 of a sandbox.
    Sandbox(Box<sandbox::SandboxSpec>),
    /// Moves a running container to another overlay; the order follows.
    Move,
}

/// Does what the process at the other end of standard input asks for, and ends with it. Must be called before any
/// thread is started; prints nothing.
pub fn helper_main() -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let mut channel = Channel::new(UnixStream::from(socket));
    match channel.hear::<Job>() {
        Ok(Job::Sandbox(spec)) => sandbox::serve(channel, &spec),
        Ok(Job::Move) => crate::container::live::serve(channel, &Linux),
        // Standard input was no socket, or the caller went away: nobody is there to be told.
        Err(_) => ExitCode::FAILURE,
    }
}

/// No frame is longer: the largest holds the standard input of a command.
const FRAME_BYTES: u32 = 64 << 20;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A message as JSON.
    Message,
    /// Bytes of standard output, or for the helper, of standard input.
    Output,
    /// Bytes of standard error.
    Complaint,
}

/// Frames over a socket: one byte of kind, four of length, the bytes.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
}

impl Channel {
    pub(crate) const fn new(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Sends a frame; waits while the other side does not read.
    pub(crate) fn send(&mut self, kind: FrameKind, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if length > FRAME_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut header = [kind as u8, 0, 0, 0, 0];
        header[1..].copy_from_slice(&length.to_le_bytes());
        self.stream.write_all(&header)?;
        self.stream.write_all(bytes)
    }

    /// Sends a message.
    pub(crate) fn tell<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.send(FrameKind::Message, &serde_json::to_vec(message)?)
    }

    /// Receives a frame into `bytes`; `UnexpectedEof` when the other side is gone.
    pub(crate) fn receive(&mut self, bytes: &mut Vec<u8>) -> io::Result<FrameKind> {
        let mut header = [0_u8; 5];
        self.stream.read_exact(&mut header)?;
        let [kind, length @ ..] = header;
        let length = u32::from_le_bytes(length);
        let kind = match kind {
            0 => FrameKind::Message,
            1 => FrameKind::Output,
            2 => FrameKind::Complaint,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        if length > FRAME_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.clear();
        let wanted = u64::from(length);
        if (&self.stream).take(wanted).read_to_end(bytes)? as u64 != wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(kind)
    }

    /// Receives a message.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut bytes = Vec::new();
        match self.receive(&mut bytes)? {
            FrameKind::Message => Ok(serde_json::from_slice(&bytes)?),
            FrameKind::Output | FrameKind::Complaint => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// How long [`Channel::receive`] waits for the other side before it gives up; never zero.
    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        let least = Duration::from_millis(1);
        self.stream.set_read_timeout(Some(patience.max(least)))
    }

    /// Tells the other side that this is the end.
    pub(crate) fn close(&self) {
        // It may be gone already, which is the same.
        self.stream.shutdown(std::net::Shutdown::Both).ok();
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
