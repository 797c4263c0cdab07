//! Plain directories in a root file system: materialised versions, further layers, and the upper.

use super::{MountError, Owners, Upper};
use crate::sys::{Kernel, MountAttributes};
use std::ffi::OsString;
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

/// The directory of objects, whose owners are nobody's affair: only contents are taken from it.
pub(super) fn data(kernel: &dyn Kernel, objects: &Path) -> Result<OwnedFd, MountError> {
    kernel
        .clone_mount(None, objects, false)
        .map_err(MountError::on("open objects", objects))
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

/// The upper and its work directory: names in a mount of the directory that both are in, owners shifted. The kernel
/// wants both under one mount, and dissolves this one with its descriptor.
#[derive(Debug)]
pub(super) struct UpperParts {
    pub(super) both: OwnedFd,
    pub(super) upper: OsString,
    pub(super) work: OsString,
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
    let apart = || MountError::Apart(upper.clone());
    let parent = upper.upper.parent().ok_or_else(apart)?;
    let (Some(first), Some(second)) = (upper.upper.file_name(), upper.work.file_name()) else {
        return Err(apart());
    };
    if upper.work.parent() != Some(parent) {
        return Err(apart());
    }
    Ok(UpperParts {
        both: lower(kernel, parent, owners)?,
        upper: first.to_owned(),
        work: second.to_owned(),
    })
}

/// A volatile mount leaves a mark in its work directory that makes the kernel refuse every later mount, since after a
/// crash the upper may hold anything. Whoever asks for a volatile mount has said that he would throw it away then.
fn forget_volatile(work: &Path) {
    // There is none on the first mount, and if it stays the kernel says so.
    fs::remove_dir_all(work.join("work/incompat")).ok();
}
