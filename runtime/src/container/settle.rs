//! From the moment a new private area is in its place to the moment a power loss cannot undo it.
//!
//! A container may start while the disk is still waited for. So long its configuration bears the name of this boot of
//! the machine, `ct.toml.<boot id>`; when everything else is durable it is renamed to `ct.toml`. The first name therefore
//! holds while the machine is up, whoever was killed, and the second one for ever. What only has the name of an earlier
//! boot may be half there: it was never made.

use super::{ContainerError, ContainerPaths};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use vzpkg_metadata::durable::{self, FileError, OpenTree};

/// Which boot of the machine this is: 36 characters, RFC 9562.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How the name of a configuration begins that is not durable yet; the boot follows.
const UNSETTLED: &str = "ct.toml.";

/// A private area in its place, which may be used; a power loss may still undo it.
#[derive(Debug)]
#[must_use = "it is durable when it has settled"]
pub struct Placed {
    settling: Mutex<Settling>,
}

/// The disk is waited for by a thread of its own from [`Placed::begin`] on.
enum Settling {
    NotBegun(Box<dyn FnOnce() -> Result<(), FileError> + Send>),
    Begun(JoinHandle<Result<(), FileError>>),
    Taken,
}

impl fmt::Debug for Settling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBegun(_) => "NotBegun",
            Self::Begun(_) => "Begun",
            Self::Taken => "Taken",
        })
    }
}

impl Placed {
    /// Waiting for the disk is for `tree`, which was opened in the private area, and whatever `record` makes durable; then
    /// for its place and name.
    pub(super) fn new(
        paths: &ContainerPaths,
        tree: OpenTree,
        unsettled: PathBuf,
        record: impl FnOnce() -> Result<(), FileError> + Send + 'static,
    ) -> Self {
        let config = paths.config();
        let work = move || {
            tree.sync()?;
            // Often durable by that already.
            record()?;
            rename(&unsettled, &config)
        };
        Self {
            settling: Mutex::new(Settling::NotBegun(Box::new(work))),
        }
    }

    /// Has threads wait for the disk while the caller goes on; the second call does nothing. They take a processor for
    /// two milliseconds: the best moment is when the caller itself has to wait for something.
    pub fn begin(&self) {
        let mut settling = self.lock();
        *settling = match mem::replace(&mut *settling, Settling::Taken) {
            Settling::NotBegun(work) => Settling::Begun(thread::spawn(work)),
            other => other,
        };
    }

    /// Waits until it is durable.
    ///
    /// # Errors
    /// [`ContainerError::File`]
    pub fn settle(self) -> Result<(), ContainerError> {
        let settling = mem::replace(&mut *self.lock(), Settling::Taken);
        let settled = match settling {
            Settling::NotBegun(work) => work(),
            Settling::Begun(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Settling::Taken => Ok(()),
        };
        Ok(settled?)
    }

    fn lock(&self) -> MutexGuard<'_, Settling> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is a whole private area: one that was never made is no container, whatever its row says.
pub fn is_made(paths: &ContainerPaths) -> bool {
    current(paths).is_some()
}

/// Whether it is made and was not durable when it was last looked at: somebody is at it, or was killed.
pub fn is_unsettled(paths: &ContainerPaths) -> bool {
    current(paths).is_some_and(|current| current != paths.config())
}

/// Makes durable what a `ct create` that was killed had put in its place. Costs a system call where there is nothing to do.
/// Whoever uses the container calls it first: what is done in there must outlast this boot.
///
/// # Errors
/// [`ContainerError::File`]
pub fn settle(paths: &ContainerPaths) -> Result<(), ContainerError> {
    if !is_unsettled(paths) {
        return Ok(());
    }
    // It may run, so that files go while they are looked at: the whole file system, this once.
    let synced = File::open(&paths.private).and_then(|area| Ok(rustix::fs::syncfs(&area)?));
    synced.map_err(FileError::on("sync", &paths.private))?;
    Ok(rename(&unsettled(&paths.private)?, &paths.config())?)
}

/// Whether there is what a power loss left of a private area that was never made: a configuration of an earlier boot, and
/// none else.
pub fn is_remains(paths: &ContainerPaths) -> bool {
    let entries = fs::read_dir(&paths.private).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    !is_made(paths) && names.any(|name| name.as_encoded_bytes().starts_with(UNSETTLED.as_bytes()))
}

/// Removes what a power loss left of a private area that was never made, if anything. The caller holds the container's
/// guard.
///
/// # Errors
/// [`ContainerError::Exists`] for anything else that is there; [`ContainerError::File`]
pub fn discard(paths: &ContainerPaths) -> Result<(), ContainerError> {
    if paths.private.exists() && !is_remains(paths) {
        return Err(ContainerError::Exists(paths.id.clone()));
    }
    match fs::remove_dir_all(&paths.private) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", &paths.private)(error).into())
        }
        _ => Ok(()),
    }
}

/// The file of the configuration that holds now.
pub(super) fn current(paths: &ContainerPaths) -> Option<PathBuf> {
    let settled = paths.config();
    if settled.exists() {
        return Some(settled);
    }
    let unsettled = unsettled(&paths.private).ok()?;
    if unsettled.exists() {
        return Some(unsettled);
    }
    // It may have been renamed between the two looks.
    settled.exists().then_some(settled)
}

/// Where the configuration lies until all of the private area is durable.
pub(super) fn unsettled(private: &Path) -> Result<PathBuf, FileError> {
    Ok(private.join(format!("{UNSETTLED}{}", boot_id()?)))
}

/// Which boot of the machine this is.
pub(super) fn boot_id() -> Result<String, FileError> {
    let id = fs::read_to_string(BOOT_ID).map_err(FileError::on("read", BOOT_ID))?;
    Ok(id.trim().to_owned())
}

/// The last step, after everything else is durable. Somebody may have done it before.
fn rename(unsettled: &Path, config: &Path) -> Result<(), FileError> {
    match durable::publish(unsettled, config) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound && config.exists() => {
            durable::sync_parent(config)?;
        }
        renamed => renamed?,
    }
    durable::sync_parent(config.parent().unwrap_or(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Config, RootDirectory, Staged, UserNamespace, stage};
    use vzpkg_metadata::ContainerId;

    fn paths(root: &Path) -> ContainerPaths {
        let id: ContainerId = "web".parse().unwrap();
        ContainerPaths {
            private: root.join("web"),
            root: root.join("root"),
            bundle: root.join("run"),
            id,
        }
    }

    fn staged(paths: &ContainerPaths) -> Staged {
        let root = RootDirectory {
            mode: 0o755,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        };
        let config = Config::new(paths.id.clone(), 0, UserNamespace::Host);
        stage(paths, &config, &root, &[]).unwrap()
    }

    fn place(paths: &ContainerPaths) -> Placed {
        staged(paths).put_in_place(|| Ok(())).unwrap()
    }

    #[test]
    fn a_container_may_be_used_before_it_has_settled_and_has_one_configuration_then() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        assert!(!is_made(&paths));
        let placed = place(&paths);
        assert!(is_made(&paths) && is_unsettled(&paths));
        assert_eq!(Config::of(&paths).unwrap().id, paths.id);
        placed.begin();
        placed.begin();
        placed.settle().unwrap();
        assert_eq!(current(&paths), Some(paths.config()));
        assert!(!unsettled(&paths.private).unwrap().exists());
        assert!(matches!(discard(&paths), Err(ContainerError::Exists(_))));
    }

    #[test]
    fn what_a_killed_create_left_is_settled_by_the_next_command() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        place(&paths).settle().unwrap();
        let unsettled = unsettled(&paths.private).unwrap();
        durable::put_in_place_unsynced(&paths.config(), &unsettled).unwrap();
        assert_eq!(Config::of(&paths).unwrap().id, paths.id);
        settle(&paths).unwrap();
        assert!(paths.config().exists() && !unsettled.exists());
        settle(&paths).unwrap();
    }

    #[test]
    fn what_was_not_durable_when_the_machine_went_down_was_never_made() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        place(&paths).settle().unwrap();
        let earlier = paths
            .private
            .join("ct.toml.00000000-0000-4000-8000-000000000000");
        durable::put_in_place_unsynced(&paths.config(), &earlier).unwrap();
        assert!(!is_made(&paths));
        let refused = Config::of(&paths);
        assert!(
            matches!(refused, Err(ContainerError::NeverMade(_))),
            "{refused:?}"
        );
        settle(&paths).unwrap();
        assert!(!is_made(&paths));
        assert!(is_remains(&paths));
        discard(&paths).unwrap();
        assert!(!paths.private.exists());
        place(&paths).settle().unwrap();
    }

    #[test]
    fn a_private_area_without_any_configuration_is_nobodys_to_remove() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        fs::create_dir_all(paths.upper().join("srv")).unwrap();
        assert!(!is_made(&paths) && !is_remains(&paths));
        assert!(matches!(discard(&paths), Err(ContainerError::Exists(_))));
        assert!(paths.upper().join("srv").exists());
    }

    #[test]
    fn what_is_not_recorded_does_not_settle() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        let full = || {
            Err(FileError::on("sync", "/db")(
                io::ErrorKind::StorageFull.into(),
            ))
        };
        let error = staged(&paths)
            .put_in_place(full)
            .unwrap()
            .settle()
            .unwrap_err();
        assert!(error.to_string().contains("/db"), "{error}");
        assert!(!paths.config().exists());
    }
}
