//! The one way to print: which streams are alive is decided once, so no command asks about quietness.

use crate::cli::Format;
use crate::settings::Settings;
use std::io::Write as _;

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Results and errors only.
    Quiet,
    /// What a person wants to follow.
    Normal,
    /// Decisions too; the number of `-v` given.
    Verbose(u8),
}

/// How a status line is to be read; it decides the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something was done.
    Good,
    /// Something to know.
    Plain,
    /// Something to act on.
    Warning,
    /// Something failed.
    Bad,
}

/// Prints results to stdout and everything else to stderr.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    verbosity: Verbosity,
    color: bool,
    format: Format,
}

impl Printer {
    /// A printer as the settings want it.
    pub fn new(settings: &Settings) -> Self {
        Self {
            verbosity: settings.verbosity,
            color: settings.color,
            format: settings.format,
        }
    }

    /// A printer before there are settings: plain text, no colour.
    pub const fn plain() -> Self {
        Self {
            verbosity: Verbosity::Normal,
            color: false,
            format: Format::Text,
        }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether the user asked for more than the normal amount.
    pub fn is_verbose(&self) -> bool {
        matches!(self.verbosity, Verbosity::Verbose(_))
    }

    /// Writes a result to stdout as it is. A reader that went away (`| head`) is no failure.
    pub fn result(&self, text: impl AsRef<str>) {
        let mut stdout = std::io::stdout().lock();
        let text = text.as_ref();
        let newline = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        drop(write!(stdout, "{text}{newline}").and_then(|()| stdout.flush()));
    }

    /// Writes one JSON document with its schema name to stdout.
    pub fn json(&self, schema: &str, mut document: serde_json::Value) {
        if let Some(object) = document.as_object_mut() {
            object.insert("schema".to_owned(), format!("vzpkg.{schema}.1").into());
        }
        self.result(format!("{document:#}"));
    }

    /// A line about what is done: a verb, then what it is done to. Silent when quiet.
    pub fn status(&self, tone: Tone, verb: &str, what: impl std::fmt::Display) {
        if self.verbosity != Verbosity::Quiet {
            let verb = self.paint(tone, &format!("{verb:>12}"));
            line(&format!("{verb} {what}"));
        }
    }

    /// A plain line on stderr. Silent when quiet.
    pub fn note(&self, text: impl std::fmt::Display) {
        if self.verbosity != Verbosity::Quiet {
            line(&text.to_string());
        }
    }

    /// The command that takes back what was just done: one line, after what it is about. Silent when quiet.
    pub fn undo(&self, command: impl std::fmt::Display) {
        self.note(format_args!("{:>12} {command}", "undo:"));
    }

    /// A line for `-v`.
    pub fn detail(&self, text: impl std::fmt::Display) {
        if self.is_verbose() {
            line(&text.to_string());
        }
    }

    /// Something the user should act on. Printed even when quiet.
    pub fn warning(&self, text: impl std::fmt::Display) {
        line(&format!("{} {text}", self.paint(Tone::Warning, "warning:")));
    }

    /// An error with its causes and hints. Printed always.
    pub fn error(&self, rendered: &str) {
        line(&format!("{} {rendered}", self.paint(Tone::Bad, "error:")));
    }

    /// `text` in the colour of `tone`, if there are colours.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "1;32",
            Tone::Plain => "1;36",
            Tone::Warning => "1;33",
            Tone::Bad => "1;31",
        };
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Writes one line to stderr. Control characters of foreign text were replaced where it came in (`clean`).
fn line(text: &str) {
    let mut stderr = std::io::stderr().lock();
    drop(writeln!(stderr, "{text}"));
}

/// Foreign text with control characters replaced, so that a package cannot write escapes to a terminal.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
