//! The overlay: layers from top to bottom, options spelled out.
//!
//! Every option is set, whatever the kernel's default: with `metacopy` or `redirect_dir` an upper would hold references
//! into the version below it, and show wrong bytes when that changes; `index` and `xino` remember inodes of the version.

use super::{MountError, MountSpec, Owners, Tier, erofs, open, shared};
use crate::sys::{Kernel, MountAttributes, Setting};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

/// An overlay to be created. Descriptors stay open until it is.
#[derive(Debug, Default)]
pub(super) struct Stack {
    /// Topmost first.
    pub(super) lowers: Vec<OwnedFd>,
    /// Where the files of the lowest lower have their contents.
    pub(super) data: Option<OwnedFd>,
    /// Upper and work directory.
    pub(super) upper: Option<super::directory::UpperParts>,
}

/// Options of an overlay that somebody writes to, or may later with the same upper.
pub(super) const PRIVATE: [(&str, &str); 5] = [
    ("metacopy", "off"),
    ("redirect_dir", "nofollow"),
    ("index", "off"),
    ("xino", "off"),
    ("nfs_export", "off"),
];

/// Options of the read-only overlay of one version: kernels that need `metacopy` to find data in a data layer have it
/// here only, below the overlay that is written to. Such kernels refuse it together with `redirect_dir=nofollow`.
const VERSION: [(&str, &str); 5] = [
    ("metacopy", "on"),
    ("redirect_dir", "follow"),
    ("index", "off"),
    ("xino", "off"),
    ("nfs_export", "off"),
];

impl Stack {
    /// Creates the overlay, attached nowhere.
    pub(super) fn create(
        &self,
        kernel: &dyn Kernel,
        options: &[(&str, &str)],
        spec: &MountSpec,
    ) -> Result<OwnedFd, MountError> {
        let path = &spec.lower.image;
        let context = kernel
            .new_filesystem("overlay")
            .map_err(MountError::on("mount", path))?;
        let volatile = spec.volatile && self.upper.is_some();
        self.configure(kernel, &context, options, volatile)
            .and_then(|attributes| match (&spec.id_map, &self.upper) {
                (Some(map), Some(_)) => kernel.create_as(&context, attributes, map.first),
                _ => kernel.create(&context, attributes),
            })
            .map_err(|source| MountError::Refused {
                step: "mount",
                path: path.clone(),
                kernel: kernel.explain(&context),
                source,
            })
    }

    /// What the mount table says was mounted: of an overlay that is written to also which work directory it has, by which
    /// a relink tells the overlays of one container apart.
    fn name(&self) -> String {
        let work = self.upper.as_ref().map(|parts| parts.work_name.as_str());
        work.map_or_else(|| "vzpkg".to_owned(), |work| format!("vzpkg:{work}"))
    }

    fn configure(
        &self,
        kernel: &dyn Kernel,
        context: &OwnedFd,
        options: &[(&str, &str)],
        volatile: bool,
    ) -> io::Result<MountAttributes> {
        let text =
            |key, value: &str| kernel.configure(context, key, Setting::Text(OsStr::new(value)));
        let descriptor = |key, value: &OwnedFd| {
            kernel.configure(context, key, Setting::Descriptor(value.as_fd()))
        };
        text("source", &self.name())?;
        for lower in &self.lowers {
            descriptor("lowerdir+", lower)?;
        }
        if let Some(data) = &self.data {
            descriptor("datadir+", data)?;
        }
        let mut attributes = MountAttributes::MOUNT_ATTR_RDONLY;
        if let Some(parts) = &self.upper {
            descriptor("upperdir", &parts.upper)?;
            descriptor("workdir", &parts.work)?;
            attributes = MountAttributes::empty();
        }
        for (key, value) in options {
            text(key, value)?;
        }
        if volatile {
            kernel.configure(context, "volatile", Setting::Flag)?;
        }
        Ok(attributes)
    }
}

/// The version as one read-only overlay of image (or stubs) and objects: the lower half of tier 2. Shared between
/// mounts unless owners are shifted: an overlay cannot be shifted, so then the image below it is.
pub(super) fn version(
    kernel: &dyn Kernel,
    spec: &MountSpec,
    owners: &Owners,
) -> Result<OwnedFd, MountError> {
    let make = || {
        let metadata = if spec.tier == Tier::Stubs {
            let stubs = spec.lower.stubs.as_deref();
            let stubs = stubs.ok_or(MountError::NotStubbed(spec.lower.digest))?;
            super::directory::lower(kernel, stubs, owners)?
        } else {
            let mount = erofs::mount(kernel, &spec.lower.image)?;
            owners.shift(kernel, &mount, &spec.lower.image)?;
            mount
        };
        let stack = Stack {
            lowers: vec![metadata],
            data: Some(open(kernel, &spec.lower.objects)?),
            upper: None,
        };
        stack.create(kernel, &VERSION, spec)
    };
    match &spec.shared {
        Some(directory) if owners.namespace.is_none() => {
            let name = format!("{}.stacked", spec.lower.digest);
            shared::acquire(kernel, directory, &name, make)
        }
        _ => make(),
    }
}
