//! The image of a version: a file-backed EROFS mount, without a loop device.
//!
//! Works where the image lies on ext4, xfs or btrfs. On tmpfs and overlayfs the kernel says `ENOTBLK`: the other tiers
//! are for that.

use super::{MountError, MountSpec, Owners, shared};
use crate::sys::{Kernel, MountAttributes, Setting};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The version's image as a lower of an overlay: the node's one mount of it, or one of its own; owners shifted.
pub(super) fn lower(
    kernel: &dyn Kernel,
    spec: &MountSpec,
    owners: &Owners,
) -> Result<OwnedFd, MountError> {
    let image = &spec.lower.image;
    let mount = match &spec.shared {
        None => mount(kernel, image)?,
        Some(directory) => {
            let name = spec.lower.digest.to_string();
            shared::acquire(kernel, directory, &name, || mount(kernel, image))?
        }
    };
    owners.shift(kernel, &mount, image)?;
    Ok(mount)
}

/// Mounts an image, attached nowhere.
pub(super) fn mount(kernel: &dyn Kernel, image: &Path) -> Result<OwnedFd, MountError> {
    let on = || MountError::on("mount image", image);
    let context = kernel.new_filesystem("erofs").map_err(on())?;
    let created = kernel
        .configure(&context, "ro", Setting::Flag)
        .and_then(|()| kernel.configure(&context, "source", Setting::Text(image.as_os_str())))
        .and_then(|()| kernel.create(&context, MountAttributes::MOUNT_ATTR_RDONLY));
    created.map_err(|source| MountError::Refused {
        step: "mount image",
        path: image.to_owned(),
        kernel: kernel.explain(&context),
        source,
    })
}
