//! The one way to print: which streams are alive is decided once, so no command asks about quietness.

use super::copied;
use crate::cli::Format;
use crate::settings::Settings;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

/// Why a result did not reach stdout, of which a process has one.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// A result that did not reach stdout.
#[derive(Debug, thiserror::Error)]
#[error("the result could not be written to the standard output: what arrived there is cut short")]
pub struct ResultLost(#[source] io::Error);

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
    color_out: bool,
    color_err: bool,
    format: Format,
    /// What commands that are shown need to act on the root of this one.
    root_flag: Option<&'static str>,
}

impl Printer {
    /// A printer as the settings want it.
    pub fn new(settings: &Settings) -> Self {
        Self {
            verbosity: settings.verbosity,
            color_out: settings.color_out,
            color_err: settings.color_err,
            format: settings.format,
            // A process has one root, and printers are copied everywhere.
            root_flag: copied::root_flag(settings).map(|flag| &*flag.leak()),
        }
    }

    /// A printer before there are settings: plain text, no colour.
    pub const fn plain() -> Self {
        Self {
            verbosity: Verbosity::Normal,
            color_out: false,
            color_err: false,
            format: Format::Text,
            root_flag: None,
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

    /// Writes a result to stdout as it is. A reader that went away (`| head`) is no failure; any other is remembered for
    /// [`Self::check`].
    pub fn result(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        let newline = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        self.piece(&format!("{text}{newline}"));
    }

    /// Writes a piece of a result as it is; `false` where the next one need not be tried. As [`Self::result`] otherwise.
    pub fn piece(&self, text: &str) -> bool {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes());
        remember(&LOST, written.and_then(|()| stdout.flush()))
    }

    /// Whether all results that were written have arrived, `written` too, which somebody else wrote.
    ///
    /// # Errors
    /// [`ResultLost`] with the first failure, once.
    pub fn check(&self, written: io::Result<()>) -> Result<(), ResultLost> {
        remember(&LOST, written);
        let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
        lost.take().map_or(Ok(()), |error| Err(ResultLost(error)))
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
            let verb = self.tint(tone, &format!("{verb:>12}"));
            line(&format!("{verb} {what}"));
        }
    }

    /// A plain line on stderr; commands in it are for copying. Silent when quiet.
    pub fn note(&self, text: impl std::fmt::Display) {
        if self.verbosity != Verbosity::Quiet {
            line(&copied::with_flag(&text.to_string(), self.root_flag));
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
        line(&format!("{} {text}", self.tint(Tone::Warning, "warning:")));
    }

    /// An error with its causes and hints. Printed always.
    pub fn error(&self, rendered: &str) {
        let rendered = copied::hints_with_flag(rendered, self.root_flag);
        line(&format!("{} {rendered}", self.tint(Tone::Bad, "error:")));
    }

    /// `text` of a result in the colour of `tone`, if stdout gets colours.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        painted(self.color_out, tone, text)
    }

    /// The same for what goes to stderr.
    fn tint(&self, tone: Tone, text: &str) -> String {
        painted(self.color_err, tone, text)
    }
}

fn painted(color: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Good => "1;32",
        Tone::Plain => "1;36",
        Tone::Warning => "1;33",
        Tone::Bad => "1;31",
    };
    if color {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// Keeps the first failure but that of a reader who went away; whether there was none of either kind.
fn remember(lost: &Mutex<Option<io::Error>>, written: io::Result<()>) -> bool {
    let Err(error) = written else { return true };
    if error.kind() != io::ErrorKind::BrokenPipe {
        let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.get_or_insert(error);
    }
    false
}

/// Writes one line to stderr. Control characters of foreign text were replaced where it came in (`clean`).
fn line(text: &str) {
    let mut stderr = io::stderr().lock();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_messages_have_colours_of_their_own() {
        let printer = Printer {
            color_err: true,
            ..Printer::plain()
        };
        assert_eq!(printer.paint(Tone::Good, "head"), "head");
        assert!(printer.tint(Tone::Bad, "error:").starts_with('\u{1b}'));
    }

    #[test]
    fn the_first_failure_counts_and_a_reader_who_goes_is_none() {
        let lost = Mutex::new(None);
        let fail = |kind: io::ErrorKind| remember(&lost, Err(kind.into()));
        let kept = || lost.lock().unwrap().as_ref().map(io::Error::kind);
        assert!(remember(&lost, Ok(())));
        assert!(!fail(io::ErrorKind::BrokenPipe));
        assert_eq!(kept(), None);
        assert!(!fail(io::ErrorKind::StorageFull) && !fail(io::ErrorKind::TimedOut));
        assert_eq!(kept(), Some(io::ErrorKind::StorageFull));
    }
}
