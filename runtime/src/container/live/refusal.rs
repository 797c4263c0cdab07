//! Why a mount namespace does not cross, and which process is in it: what a person can do something about.

use std::fmt;
use std::io;

/// A step that was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    /// A process of the namespace.
    process: u32,
    /// What was tried.
    step: String,
    /// Why.
    source: io::Error,
}

impl Refusal {
    /// Of a step in the namespace of this process.
    pub(super) fn of(process: u32, step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self {
            process,
            step,
            source,
        }
    }

    /// The line that says it. In the host's namespace: it reads the name of the process.
    pub(super) fn line(&self) -> String {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.process));
        let name = name.unwrap_or_default();
        format!("process {} {}: {self}", self.process, name.trim_end())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.step, self.source)
    }
}
