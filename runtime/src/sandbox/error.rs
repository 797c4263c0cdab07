//! Why a session or a command did not come about.

use std::io;
use std::path::PathBuf;

/// Why a session or a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The helper could not be started.
    #[error("cannot start the sandbox helper `{}`", program.display())]
    Helper {
        /// Its binary.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A step of setting up the session failed inside the helper.
    #[error("cannot set up the sandbox: {step}: {message}")]
    Setup {
        /// Which step.
        step: String,
        /// What the system said.
        message: String,
    },
    /// The program does not exist or cannot be executed.
    #[error("cannot run `{program}` in the sandbox: {message}")]
    Exec {
        /// The program.
        program: String,
        /// What the system said.
        message: String,
    },
    /// The caller did not want to wait for the end of a command; the session is over.
    #[error("the sandbox was ended by its user")]
    Cancelled,
    /// The helper died or spoke nonsense.
    #[error("the sandbox helper died{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Lost {
        /// What it said last.
        message: String,
    },
}
