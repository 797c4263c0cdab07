//! Who holds a guard, as the locked file itself says: for people who wait, and for nothing else.
//!
//! The text is written over the last one without cutting the file: a file that is cut waits for its own blocks to be
//! written, which is a millisecond of every command.

use super::FileGuard;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

/// How much of a command line is kept, in characters.
const COMMAND: usize = 500;

/// How much of the file is looked at: a number, [`COMMAND`] characters of at most four bytes, and some room.
const READ: u64 = 4096;

/// The process that holds a guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its command line, without control characters.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}: {}", self.pid, self.command)
    }
}

impl Holder {
    /// Who has signed the file of a guard that is busy; `None` in the instant before a new holder has, and where the
    /// last that did lives no more.
    pub fn read(file: &mut File) -> Option<Self> {
        let mut bytes = Vec::new();
        file.rewind().ok()?;
        file.take(READ).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        let pid: u32 = lines.next()?.parse().ok()?;
        let command = printable(lines.next()?);
        let lives = Path::new("/proc").join(pid.to_string()).exists();
        lives.then_some(Self { pid, command })
    }
}

impl FileGuard {
    /// Says in the file that this process holds it. Not durable, for after a power loss nobody does; a full disk is no
    /// error, for the guard holds without.
    ///
    /// # Errors
    /// What the file system says.
    pub fn sign(&mut self) -> io::Result<()> {
        let mut text = format!("{}\n{}\n", std::process::id(), own_command());
        let last = usize::try_from(self.metadata()?.len().min(READ)).unwrap_or_default();
        // Empty lines cover what is left of a longer one.
        text.extend(std::iter::repeat_n('\n', last.saturating_sub(text.len())));
        match self.rewind().and_then(|()| self.write_all(text.as_bytes())) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
            other => other,
        }
    }
}

/// The command line of this process.
fn own_command() -> String {
    let bytes = fs::read("/proc/self/cmdline").unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    printable(text.trim_end())
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(COMMAND)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{FileGuard, Share};
    use super::Holder;
    use std::fs;

    #[test]
    fn a_shorter_text_covers_a_longer_one_and_the_dead_hold_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guard");
        fs::write(&path, format!("4194305\n{}\n", "x".repeat(1900))).unwrap();
        let open = || {
            fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap()
        };
        assert_eq!(Holder::read(&mut open()), None);
        let mut guard = FileGuard::wait(open(), Share::Exclusive).unwrap();
        guard.sign().unwrap();
        let holder = Holder::read(&mut open()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(
            !holder.command.is_empty()
                && !holder.command.contains('x'.to_string().repeat(50).as_str())
        );
    }

    #[test]
    fn rubbish_names_nobody_and_control_characters_are_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guard");
        let pid = std::process::id();
        for (content, command) in [
            (Vec::new(), None),
            (b"\xff\xfe\n\n".to_vec(), None),
            (format!("{pid}").into_bytes(), None),
            (format!("{pid}\na\x1b[2Jb\n").into_bytes(), Some("a?[2Jb")),
        ] {
            fs::write(&path, content).unwrap();
            let holder = Holder::read(&mut fs::File::open(&path).unwrap());
            assert_eq!(holder.map(|holder| holder.command).as_deref(), command);
        }
    }
}
