//! Guards: locks between processes, each an flock on a file that says who holds it. Readers never take one.
//!
//! A guard ends with its process, however that ends. The files stay: removing a lock file that somebody waits for would
//! give two processes the same guard.

use super::layout::{Layout, template_file_name, template_of_file_name};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use vzpkg_metadata::durable::FileError;
pub use vzpkg_metadata::guard::Holder;
use vzpkg_metadata::guard::{Attempt, FileGuard, Share};
use vzpkg_metadata::{ContainerId, RepoId, TemplateName};

/// What a guard is for. Two guards of different names never wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuardName {
    /// Building, publishing, rolling back and removing versions of one template.
    Template(TemplateName),
    /// Changing one container.
    Container(ContainerId),
    /// Refreshing one repository or mirror.
    Repository(RepoId),
    /// Creating or migrating the database.
    Database,
    /// Garbage collection: one at a time.
    Collect,
}

impl fmt::Display for GuardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(name) => write!(f, "template `{name}`"),
            Self::Container(id) => write!(f, "container `{id}`"),
            Self::Repository(id) => write!(f, "repository `{id}`"),
            Self::Database => f.write_str("the database"),
            Self::Collect => f.write_str("garbage collection"),
        }
    }
}

impl GuardName {
    fn file_name(&self) -> String {
        match self {
            Self::Template(name) => format!("template:{}", template_file_name(name)),
            Self::Container(id) => format!("container:{id}"),
            Self::Repository(id) => format!("repository:{id}"),
            Self::Database => "database".to_owned(),
            Self::Collect => "collect".to_owned(),
        }
    }
}

/// How long to wait for a guard that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    Never,
    /// At most this long.
    AtMost(Duration),
}

/// Is told about waiting. All methods do nothing by default.
pub trait GuardReporter: Sync {
    /// Called about once per second while a guard is waited for, first at once. `holder` is `None` in the instant
    /// before a new holder has written its name.
    fn waiting(&self, guard: &GuardName, holder: Option<&Holder>, waited: Duration) {
        let _ = (guard, holder, waited);
    }

    /// Asked while a guard is waited for: whether nobody wants it any more.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentWait;

impl GuardReporter for SilentWait {}

/// Why a guard was not taken.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Somebody else held it for the whole time.
    #[error("{guard} is in use by {}", holder.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string))]
    Busy {
        /// What was wanted.
        guard: GuardName,
        /// Who holds it.
        holder: Option<Holder>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Nobody wanted it any more while it was waited for.
    #[error("interrupted while waiting for {0}")]
    Cancelled(GuardName),
    /// The lock file cannot be made or locked.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A guard that is held until it is dropped.
#[derive(Debug)]
#[must_use = "a guard protects only while it is alive"]
pub struct Guard {
    name: GuardName,
    _file: FileGuard,
}

impl Guard {
    /// What it guards.
    pub const fn name(&self) -> &GuardName {
        &self.name
    }

    /// Takes a guard, waiting as long as `wait` says.
    pub(super) fn take(
        layout: &Layout,
        name: GuardName,
        wait: Wait,
        reporter: &dyn GuardReporter,
    ) -> Result<Self, GuardError> {
        const POLL: Duration = Duration::from_millis(20);
        let path = layout.guard(&name.file_name());
        let mut file = open(&path)?;
        let begin = Instant::now();
        let mut next_report = Duration::ZERO;
        let mut held = loop {
            file = match FileGuard::attempt(file, Share::Exclusive)
                .map_err(FileError::on("lock", &path))?
            {
                Attempt::Held(held) => break held,
                Attempt::Busy(file) => file,
            };
            let waited = begin.elapsed();
            let limit = match wait {
                Wait::Never => Duration::ZERO,
                Wait::AtMost(limit) => limit,
            };
            if waited >= limit {
                let holder = Holder::read(&mut file);
                return Err(GuardError::Busy {
                    guard: name,
                    holder,
                    waited,
                });
            }
            if reporter.is_cancelled() {
                return Err(GuardError::Cancelled(name));
            }
            if waited >= next_report {
                reporter.waiting(&name, Holder::read(&mut file).as_ref(), waited);
                next_report = waited + Duration::from_secs(1);
            }
            thread::sleep(POLL.min(limit.saturating_sub(waited)));
        };
        held.sign().map_err(FileError::on("write", path))?;
        Ok(Self { name, _file: held })
    }
}

fn open(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)
        .map_err(FileError::on("open", path))
}

/// Takes the guards of these templates and of all that were ever built, in the order of their names: nobody builds any of
/// them while the result lives.
pub(super) fn take_templates(
    layout: &Layout,
    mut names: BTreeSet<TemplateName>,
    wait: Wait,
    reporter: &dyn GuardReporter,
) -> Result<Vec<Guard>, GuardError> {
    let directory = layout.guards();
    for entry in fs::read_dir(&directory).map_err(FileError::on("list", &directory))? {
        let name = entry
            .map_err(FileError::on("list", &directory))?
            .file_name();
        let template = name
            .to_str()
            .and_then(|name| name.strip_prefix("template:"));
        names.extend(template.and_then(template_of_file_name));
    }
    let guards = names.into_iter().map(GuardName::Template);
    guards
        .map(|name| Guard::take(layout, name, wait, reporter))
        .collect()
}

/// Takes every guard that there is, or none: nobody works on the store while the result lives, and nobody is waited for.
/// All but that of the database, which whoever opens it may need; that of collections even if there was none yet.
pub(super) fn take_all(layout: &Layout) -> Result<Vec<FileGuard>, GuardError> {
    let directory = layout.guards();
    let mut paths = BTreeSet::from([layout.guard(&GuardName::Collect.file_name())]);
    for entry in fs::read_dir(&directory).map_err(FileError::on("list", &directory))? {
        paths.insert(entry.map_err(FileError::on("list", &directory))?.path());
    }
    paths.remove(&layout.guard(&GuardName::Database.file_name()));
    let mut held = Vec::new();
    for path in paths {
        let file = open(&path)?;
        match FileGuard::attempt(file, Share::Exclusive).map_err(FileError::on("lock", &path))? {
            Attempt::Held(guard) => held.push(guard),
            Attempt::Busy(mut file) => {
                return Err(GuardError::Busy {
                    guard: GuardName::Database,
                    holder: Holder::read(&mut file),
                    waited: Duration::ZERO,
                });
            }
        }
    }
    Ok(held)
}

/// Who holds a guard right now, for `status`; `None` if nobody does.
pub(super) fn holder(layout: &Layout, name: &GuardName) -> Result<Option<Holder>, FileError> {
    let path: PathBuf = layout.guard(&name.file_name());
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::on("open", path)(error)),
    };
    match FileGuard::attempt(file, Share::Shared).map_err(FileError::on("lock", path))? {
        Attempt::Held(_) => Ok(None),
        Attempt::Busy(mut file) => Ok(Holder::read(&mut file)),
    }
}
