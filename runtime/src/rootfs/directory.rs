//! Plain directories in a root file system: materialised versions, further layers, and the upper.

use super::{MountError, Owners, Upper, open};
use crate::sys::{Kernel, MountAttributes};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A directory as a lower of an overlay, owners shifted.
pub(super) fn lower(
    kernel: &dyn Kernel,
    directory: &Path,
    owners: &Owners,
) -> Result<OwnedFd, MountError> {
    let mount = kernel
        .clone_mount(None, directory, false)
        .map_err(MountError::on("open layer", directory))?;
    owners.shift(kernel, &mount, directory)?;
    Ok(mount)
}

/// A version that stands alone, without an overlay: nobody may write to it.
pub(super) fn read_only(
    kernel: &dyn Kernel,
    mount: OwnedFd,
    path: &Path,
) -> Result<OwnedFd, MountError> {
    kernel
        .set_attributes(&mount, MountAttributes::MOUNT_ATTR_RDONLY, false)
        .map_err(MountError::on("make read-only", path))?;
    Ok(mount)
}

/// The upper and its work directory, open until the overlay is made.
#[derive(Debug)]
pub(super) struct UpperParts {
    pub(super) upper: OwnedFd,
    pub(super) work: OwnedFd,
    /// The last component of its path.
    pub(super) work_name: String,
    /// The shifted mount that both lie in. The kernel dissolves it with its last descriptor, and then refuses them.
    _clone: Option<OwnedFd>,
}

/// The upper and its work directory, ready for an overlay.
pub(super) fn upper(
    kernel: &dyn Kernel,
    upper: &Upper,
    volatile: bool,
    owners: &Owners,
) -> Result<UpperParts, MountError> {
    if volatile {
        forget_volatile(&upper.work);
    }
    let work_name = upper.work.file_name().unwrap_or_default();
    let work_name = work_name.to_string_lossy().into_owned();
    if owners.namespace.is_none() {
        return Ok(UpperParts {
            upper: open(kernel, &upper.upper)?,
            work: open(kernel, &upper.work)?,
            work_name,
            _clone: None,
        });
    }
    // The kernel wants both under one mount, and two shifted clones would be two.
    let apart = || MountError::Apart(upper.clone());
    let parent = upper.upper.parent().ok_or_else(apart)?;
    let (Some(first), Some(second)) = (upper.upper.file_name(), upper.work.file_name()) else {
        return Err(apart());
    };
    if upper.work.parent() != Some(parent) {
        return Err(apart());
    }
    let both = lower(kernel, parent, owners)?;
    let open = |name: &Path, whole: &Path| {
        kernel
            .open_beneath(&both, name)
            .map_err(MountError::on("open", whole))
    };
    Ok(UpperParts {
        upper: open(Path::new(first), &upper.upper)?,
        work: open(Path::new(second), &upper.work)?,
        work_name,
        _clone: Some(both),
    })
}

/// A volatile mount leaves a mark in its work directory that makes the kernel refuse every later mount, since after a
/// crash the upper may hold anything. Whoever asks for a volatile mount has said that he would throw it away then.
fn forget_volatile(work: &Path) {
    // There is none on the first mount, and if it stays the kernel says so.
    fs::remove_dir_all(work.join("work/incompat")).ok();
}
