//! What the caller and PID 1 of a session say to each other.

use super::{RunCommand, RunStatus};
use serde::{Deserialize, Serialize};

/// From the caller. The end of the session is the end of the connection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Run this; its standard input follows in a frame of its own.
    Run(RunCommand),
}

/// From PID 1. While a command runs, what it writes comes in frames in between.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The session is set up; whether the number of its processes is bounded.
    Ready { bounded: bool },
    /// It could not be.
    Setup { step: String, message: String },
    /// The program cannot be executed.
    Exec { program: String, message: String },
    /// The command has ended, everything it wrote has been sent, and nothing of it lives.
    Ended { status: RunStatus, left_behind: u32 },
}
