//! What was found out by trying, and holds until the machine, the kernel or a program changes: kept in the run
//! directory, so that only the first command after such a change pays for the try.
//!
//! Only ever a saving: what cannot be read is found out again, and where nothing can be kept the next command finds out
//! as well.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable;

/// A finding is a name or a few lines about mounts.
const FINDING_BYTES: u64 = 64 << 10;

/// Which file a path names; another one as soon as it is replaced or written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    /// Of its content, in seconds and nanoseconds.
    modified: (i64, i64),
}

impl FileIdentity {
    /// The file that `path` leads to, if there is one.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        })
    }
}

/// Everything that a finding depends on, besides what it is about.
#[derive(Debug, Serialize)]
struct Circumstances<'a, A> {
    boot: String,
    kernel: String,
    vzpkg: &'static str,
    program: Option<FileIdentity>,
    about: &'a A,
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    circumstances: Value,
    finding: T,
}

/// A place for one finding.
#[derive(Debug)]
pub(crate) struct Finding {
    file: PathBuf,
    /// `None` where they cannot be told: then nothing is recalled and nothing is kept.
    circumstances: Option<Value>,
}

impl Finding {
    /// The finding in `file` about `about`: the directory or programs that were tried.
    pub(crate) fn new(file: PathBuf, about: &impl Serialize) -> Self {
        let circumstances = Circumstances {
            boot: line("/proc/sys/kernel/random/boot_id"),
            kernel: line("/proc/sys/kernel/osrelease") + &line("/proc/sys/kernel/version"),
            vzpkg: env!("CARGO_PKG_VERSION"),
            program: FileIdentity::of(Path::new("/proc/self/exe")),
            about,
        };
        let known = !circumstances.boot.is_empty() && circumstances.program.is_some();
        Self {
            file,
            circumstances: serde_json::to_value(circumstances).ok().filter(|_| known),
        }
    }

    /// What was found out, if nothing that it depends on has changed.
    pub(crate) fn recall<T: DeserializeOwned>(&self) -> Option<T> {
        let bytes = durable::read_file(&self.file, FINDING_BYTES).ok()?;
        let kept: Kept<T> = serde_json::from_slice(&bytes).ok()?;
        (Some(&kept.circumstances) == self.circumstances.as_ref()).then_some(kept.finding)
    }

    /// Keeps what was found out.
    pub(crate) fn keep(&self, finding: &impl Serialize) {
        let Some(circumstances) = self.circumstances.clone() else {
            return;
        };
        let kept = Kept {
            circumstances,
            finding,
        };
        if let Ok(bytes) = serde_json::to_vec(&kept)
            && let Some(directory) = self.file.parent()
            && durable::create_directories(directory, 0o700).is_ok()
        {
            drop(durable::write_file(&self.file, 0o600, &bytes));
        }
    }

    /// The next command finds out again.
    pub(crate) fn forget(&self) {
        drop(durable::remove_unsynced(&self.file));
    }
}

fn line(path: &str) -> String {
    let bytes = durable::read_file(Path::new(path), 4096).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_recalled_until_what_it_is_about_changes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("run/finding");
        let program = directory.path().join("program");
        fs::write(&program, "1").unwrap();
        let about = || Finding::new(file.clone(), &FileIdentity::of(&program));
        assert_eq!(about().recall::<String>(), None);
        about().keep(&"works");
        assert_eq!(about().recall::<String>().as_deref(), Some("works"));
        fs::write(&program, "22").unwrap();
        assert_eq!(about().recall::<String>(), None);
        about().keep(&"still works");
        assert_eq!(about().recall::<String>().as_deref(), Some("still works"));
        about().forget();
        assert_eq!(about().recall::<String>(), None);
    }

    #[test]
    fn a_finding_of_another_boot_or_kernel_or_vzpkg_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("finding");
        for member in ["boot", "kernel", "vzpkg", "program"] {
            let mut finding = Finding::new(file.clone(), &());
            finding.keep(&1);
            assert_eq!(finding.recall(), Some(1));
            finding.circumstances.as_mut().unwrap()[member] = Value::from("another");
            assert_eq!(finding.recall::<u32>(), None, "{member}");
        }
    }

    #[test]
    fn rubbish_in_the_place_of_a_finding_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("finding");
        for rubbish in [
            "",
            "{}",
            "[1]",
            "{\"circumstances\":null,\"finding\":1}",
            "\0",
        ] {
            fs::write(&file, rubbish).unwrap();
            assert_eq!(Finding::new(file.clone(), &()).recall::<u32>(), None);
        }
    }
}
