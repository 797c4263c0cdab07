//! The edge: what a failed command is, and which exit code that makes. [`libraries`] maps the errors of every crate.

mod containers;
mod libraries;

use std::error::Error;
use std::io;
use std::process::ExitCode;

/// What class a failure is of; each class is one exit code (DESIGN §11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for cannot be met: 1.
    Unmet,
    /// A usage or configuration mistake: 2.
    Usage,
    /// Network, disk, permission, a guard of another process: 3.
    Environment,
    /// A signature, hash or freshness check said no: 4.
    Verification,
    /// A package or template script failed: 5.
    Script,
    /// Not a failure: updates are available: 10.
    UpdatesAvailable,
    /// A broken promise inside vzpkg: 70.
    Bug,
    /// Ctrl-C or SIGTERM: 130.
    Interrupted,
    /// The code of a command that `ct exec` ran, or 125, 126, 127.
    Passed(u8),
}

impl Kind {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unmet => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::Verification => 4,
            Self::Script => 5,
            Self::UpdatesAvailable => 10,
            Self::Bug => 70,
            Self::Interrupted => 130,
            Self::Passed(code) => code,
        }
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        Self::from(kind.code())
    }
}

/// A failed command: its class, what failed with the chain of causes, and what helps.
#[derive(Debug)]
pub struct CommandError {
    /// The class, which decides the exit code.
    pub kind: Kind,
    /// What failed.
    pub source: Box<dyn Error + Send + Sync>,
    /// Commands or changes that help, each one line.
    pub hints: Vec<String>,
    /// Whether there is nothing to print (the exit code says it all).
    pub silent: bool,
}

/// What helps against a full disk.
const FULL_DISK: &str = "free space: vzpkg gc, vzpkg clean";

/// Whether a full disk or quota is among the causes.
fn is_full_disk(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(
            kind,
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        ) {
            return true;
        }
        next = error.source();
    }
    false
}

/// A failure of one of several templates.
#[derive(Debug, thiserror::Error)]
#[error("`{template}`: {source}")]
struct About {
    template: String,
    source: Box<dyn Error + Send + Sync>,
}

/// The result of every command.
pub type CommandResult<T = ()> = Result<T, CommandError>;

impl CommandError {
    /// Wraps a library error. A full disk is of the environment, whatever was being done when it was met.
    pub fn new(kind: Kind, source: impl Error + Send + Sync + 'static) -> Self {
        let full = is_full_disk(&source);
        let error = Self {
            kind: if full { Kind::Environment } else { kind },
            source: Box::new(source),
            hints: Vec::new(),
            silent: false,
        };
        if full {
            return error.hint(FULL_DISK);
        }
        error
    }

    /// A failure that the command itself found.
    pub fn message(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            source: text.into().into(),
            hints: Vec::new(),
            silent: false,
        }
    }

    /// Only an exit code; everything is printed already.
    pub fn silent(kind: Kind) -> Self {
        Self {
            silent: true,
            ..Self::message(kind, "")
        }
    }

    /// The same, told with the template it is about where it does not say that itself.
    #[must_use]
    pub fn about(mut self, template: &str) -> Self {
        if !self.source.to_string().contains(template) {
            self.source = Box::new(About {
                template: template.to_owned(),
                source: self.source,
            });
        }
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds advice, if there is any.
    #[must_use]
    fn hint_if(self, hint: Option<&str>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}
