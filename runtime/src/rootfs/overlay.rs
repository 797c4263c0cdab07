//! The overlay: layers from top to bottom, options spelled out.
//!
//! Every option is set, whatever the kernel's default: with `metacopy` or `redirect_dir` an upper would hold references
//! into the version below it, and show wrong bytes when that changes; `index` and `xino` remember inodes of the version.

use super::by_name::{self, Names};
use super::{MountError, MountSpec, Owners, Tier, erofs, shared};
use crate::sys::{Kernel, MountAttributes, Setting};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// An overlay to be created. Descriptors stay open until it is.
#[derive(Debug, Default)]
pub(super) struct Stack {
    /// Topmost first.
    pub(super) lowers: Vec<OwnedFd>,
    /// A mount of the directory where the files of the lowest lower have their contents.
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
pub(super) const VERSION: [(&str, &str); 5] = [
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
        let overlay = Overlay {
            stack: self,
            options,
            spec,
        };
        match overlay.create(kernel, Layers::Descriptors) {
            Err(MountError::Refused { source, .. }) if wants_names(&source) => {
                overlay.create_by_name(kernel)
            }
            created => created,
        }
    }

    /// What the mount table says was mounted: of an overlay that is written to also which work directory it has, by which
    /// a relink tells the overlays of one container apart.
    fn name(&self) -> String {
        let work = self
            .upper
            .as_ref()
            .map(|parts| parts.work.to_string_lossy());
        work.map_or_else(|| "vzpkg".to_owned(), |work| format!("vzpkg:{work}"))
    }

    /// Tells the overlay its layers by descriptors.
    fn configure(&self, kernel: &dyn Kernel, context: &OwnedFd) -> io::Result<()> {
        let descriptor = |key, value: &OwnedFd| {
            kernel.configure(context, key, Setting::Descriptor(value.as_fd()))
        };
        for lower in &self.lowers {
            descriptor("lowerdir+", lower)?;
        }
        if let Some(data) = &self.data {
            descriptor("datadir+", data)?;
        }
        if let Some(parts) = &self.upper {
            let inside = |name| kernel.open_beneath(&parts.both, Path::new(name));
            descriptor("upperdir", &inside(&parts.upper)?)?;
            descriptor("workdir", &inside(&parts.work)?)?;
        }
        Ok(())
    }
}

/// Whether this may be a kernel that takes names only, or nothing that is attached nowhere.
fn wants_names(refusal: &io::Error) -> bool {
    let known = [libc::EINVAL, libc::EBADF, libc::EOPNOTSUPP];
    refusal
        .raw_os_error()
        .is_some_and(|error| known.contains(&error))
}

/// How the kernel is told of the layers.
#[derive(Debug, Clone, Copy)]
enum Layers<'a> {
    Descriptors,
    Names(&'a Names),
}

/// An overlay, to the last option.
pub(super) struct Overlay<'a> {
    pub(super) stack: &'a Stack,
    pub(super) options: &'a [(&'a str, &'a str)],
    pub(super) spec: &'a MountSpec,
}

impl Overlay<'_> {
    /// For a kernel that takes layers by name only.
    pub(super) fn create_by_name(&self, kernel: &dyn Kernel) -> Result<OwnedFd, MountError> {
        let create = |names: &Names| Ok(self.create(kernel, Layers::Names(names)));
        let created = by_name::with_names(kernel, self.stack, create);
        let step = MountError::on("attach the layers of", &self.spec.lower.image);
        created.map_err(step)?
    }

    fn create(&self, kernel: &dyn Kernel, layers: Layers<'_>) -> Result<OwnedFd, MountError> {
        let path = &self.spec.lower.image;
        let context = kernel
            .new_filesystem("overlay")
            .map_err(MountError::on("mount", path))?;
        let writable = self.stack.upper.is_some();
        let attributes = if writable {
            MountAttributes::empty()
        } else {
            MountAttributes::MOUNT_ATTR_RDONLY
        };
        self.configure(kernel, &context, layers)
            .and_then(|()| match &self.spec.id_map {
                Some(map) if writable => kernel.create_as(&context, attributes, map.first),
                _ => kernel.create(&context, attributes),
            })
            .map_err(|source| MountError::Refused {
                step: "mount",
                path: path.clone(),
                kernel: kernel.explain(&context),
                source,
            })
    }

    fn configure(
        &self,
        kernel: &dyn Kernel,
        context: &OwnedFd,
        layers: Layers<'_>,
    ) -> io::Result<()> {
        let text =
            |key, value: &str| kernel.configure(context, key, Setting::Text(OsStr::new(value)));
        text("source", &self.stack.name())?;
        match layers {
            Layers::Descriptors => self.stack.configure(kernel, context)?,
            Layers::Names(names) => names.configure(kernel, context)?,
        }
        for (key, value) in self.options {
            text(key, value)?;
        }
        if self.spec.volatile && self.stack.upper.is_some() {
            kernel.configure(context, "volatile", Setting::Flag)?;
        }
        Ok(())
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
            data: Some(super::directory::data(kernel, &spec.lower.objects)?),
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
