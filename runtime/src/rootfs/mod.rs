//! Root file systems: an immutable version below, private changes above.
//!
//! A version is an image with all metadata ([`Lower::image`]) whose file contents are objects. How the kernel is made
//! to show it is the [`Tier`]; [`probe`] finds the best that works on a directory. All tiers give the same tree and the
//! same copy-up: a private file is always whole, so that the version below can change later.
//!
//! ```text
//! tier 1              tier 2                          tier 3
//! upper               upper                           upper
//! image + objects     (image or stubs) + objects      plain files
//! one overlay         a read-only overlay, and one    one overlay
//!                     over it
//! ```
//!
//! A mount takes 0.3–0.7 ms whatever the size of the version, about 1 ms with shifted owners.
//!
//! Layers are handed over as descriptors of mounts that are attached nowhere, which overlayfs takes since Linux 6.15;
//! older kernels get them by name (`by_name`). Contents apart from names, which all tiers but the last need, are known
//! since Linux 6.5.

mod aside;
mod by_name;
mod directory;
mod erofs;
mod overlay;
mod probe;
#[cfg(test)]
mod recorded;
mod shared;
mod stubs;

pub use aside::{Aside, aside};
pub use probe::{Probe, TierFinding, forget_probe, probe, probe_once};
pub use shared::sweep;
pub use stubs::{StubError, write_stubs};

use crate::sys::{Kernel, Linux};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;

/// One version: what is below, never written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lower {
    /// The digest of its tree; names the shared mount of the version.
    pub digest: Digest,
    /// The EROFS image with every name and its metadata.
    pub image: PathBuf,
    /// The directory of objects: `ab/cdef…`, as the image's external files name them.
    pub objects: PathBuf,
    /// The tree as sparse stubs ([`write_stubs`]), for [`Tier::Stubs`].
    pub stubs: Option<PathBuf>,
    /// A whole copy of the tree as plain files, for [`Tier::Directory`].
    pub materialized: Option<PathBuf>,
}

/// Private changes: what is above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upper {
    /// The directory that receives changes. Owner, mode and time of the mount's root are those of this directory.
    pub upper: PathBuf,
    /// An empty directory beside it, for the kernel's own use; never that of an earlier mount that still lives.
    pub work: PathBuf,
}

/// Which ids of the host a container's ids are: `0..count` inside are `first..first + count` outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// The host's id of the container's 0.
    pub first: u32,
    /// How many ids there are.
    pub count: u32,
}

/// How the kernel shows a version, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Image as lower, objects as data layer, upper above, in one overlay without metacopy (Linux ≥ about 6.16).
    Image,
    /// A read-only overlay of image and objects with metacopy, and over it another without.
    Stacked,
    /// The same with stubs instead of the image: for kernels without EROFS, and stores on tmpfs or overlayfs.
    Stubs,
    /// A whole copy of the version as plain files.
    Directory,
}

/// What to mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// How; from [`probe`].
    pub tier: Tier,
    /// The version.
    pub lower: Lower,
    /// Plain directories that lie over the version and below the upper, topmost first.
    pub layers: Vec<PathBuf>,
    /// Where changes go; without it the mount is read-only.
    pub upper: Option<Upper>,
    /// No sync calls reach the disk: for uppers that are rubbish after a crash.
    pub volatile: bool,
    /// Owners are shifted for a user namespace; lower and upper hold ids as seen inside.
    pub id_map: Option<IdMap>,
    /// Where the one mount of each version on this node is kept, for example `/run/vzpkg/versions`; without it the
    /// mount has its own.
    pub shared: Option<PathBuf>,
}

impl MountSpec {
    /// A read-only mount of `lower` alone.
    pub fn new(tier: Tier, lower: Lower) -> Self {
        Self {
            tier,
            lower,
            layers: Vec::new(),
            upper: None,
            volatile: false,
            id_map: None,
            shared: None,
        }
    }

    /// With private changes in `upper`; `work` is an empty directory beside it.
    #[must_use]
    pub fn with_upper(mut self, upper: impl Into<PathBuf>, work: impl Into<PathBuf>) -> Self {
        self.upper = Some(Upper {
            upper: upper.into(),
            work: work.into(),
        });
        self
    }
}

/// Why something could not be mounted or unmounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The kernel refused a step.
    #[error("cannot {step} `{}`{}", path.display(), if kernel.is_empty() { String::new() } else { format!(" ({kernel})") })]
    Refused {
        /// What was tried, as a verb.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's own words, where it has any.
        kernel: String,
        /// The error number.
        source: io::Error,
    },
    /// [`Tier::Directory`] without a materialised tree.
    #[error("version {} has no copy as plain files, which this kernel needs", .0.short())]
    NotMaterialized(Digest),
    /// [`Tier::Stubs`] without stubs.
    #[error("version {} has no stubs, which this kernel needs", .0.short())]
    NotStubbed(Digest),
    /// There is no user namespace to shift owners with.
    #[error("ids cannot be mapped for `{}`", path.display())]
    NoUserNamespace {
        /// For what.
        path: PathBuf,
        /// Why, in words where the kernel has but a number.
        source: io::Error,
    },
    /// Upper and work directory of an id-mapped mount lie in different directories.
    #[error("`{}` and `{}` must lie in one directory", .0.upper.display(), .0.work.display())]
    Apart(Upper),
}

impl MountError {
    /// Makes the mapping function for `map_err` on a kernel call that has no words of its own.
    pub(crate) fn on(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Refused {
            step,
            path,
            kernel: String::new(),
            source,
        }
    }
}

/// Builds the mount without attaching it anywhere; dropping the descriptor undoes it. 0.3–0.8 ms, whatever its size.
///
/// # Errors
/// [`MountError`] with the kernel's own text.
pub fn assemble(spec: &MountSpec) -> Result<OwnedFd, MountError> {
    assemble_with(&Linux, spec)
}

/// [`assemble`] by this kernel.
///
/// # Errors
/// [`MountError`] with the kernel's own text.
pub fn assemble_with(kernel: &dyn Kernel, spec: &MountSpec) -> Result<OwnedFd, MountError> {
    let owners = Owners::new(kernel, spec)?;
    let lower = &spec.lower;
    let mut stack = overlay::Stack::default();
    for layer in &spec.layers {
        stack.lowers.push(directory::lower(kernel, layer, &owners)?);
    }
    match spec.tier {
        Tier::Image => {
            stack.lowers.push(erofs::lower(kernel, spec, &owners)?);
            stack.data = Some(directory::data(kernel, &lower.objects)?);
        }
        Tier::Stacked | Tier::Stubs => stack.lowers.push(overlay::version(kernel, spec, &owners)?),
        Tier::Directory => {
            let whole = lower.materialized.as_deref();
            let whole = whole.ok_or(MountError::NotMaterialized(lower.digest))?;
            stack.lowers.push(directory::lower(kernel, whole, &owners)?);
        }
    }
    if let Some(upper) = &spec.upper {
        stack.upper = Some(directory::upper(kernel, upper, spec.volatile, &owners)?);
    } else if spec.tier != Tier::Image && spec.layers.is_empty() {
        // One lower alone is no overlay, and needs none.
        if let Some(version) = stack.lowers.pop() {
            return directory::read_only(kernel, version, &lower.image);
        }
    }
    stack.create(kernel, &overlay::PRIVATE, spec)
}

/// Builds the mount and attaches it at `target`, which must exist.
///
/// # Errors
/// [`MountError`]; nothing is mounted then.
pub fn mount(spec: &MountSpec, target: &Path) -> Result<(), MountError> {
    mount_with(&Linux, spec, target)
}

/// [`mount`] by this kernel.
///
/// # Errors
/// [`MountError`]; nothing is mounted then.
pub fn mount_with(kernel: &dyn Kernel, spec: &MountSpec, target: &Path) -> Result<(), MountError> {
    let place = open(kernel, target)?;
    let mount = assemble_with(kernel, spec)?;
    kernel
        .attach(&mount, &place)
        .map_err(MountError::on("mount on", target))
}

/// Detaches whatever is mounted at `target`, however often; nothing mounted there is fine. What is still in use is
/// detached all the same and vanishes with its last user.
///
/// # Errors
/// [`MountError`] where the kernel refuses.
pub fn unmount(target: &Path) -> Result<(), MountError> {
    unmount_with(&Linux, target)
}

/// [`unmount`] by this kernel.
///
/// # Errors
/// [`MountError`] where the kernel refuses.
pub fn unmount_with(kernel: &dyn Kernel, target: &Path) -> Result<(), MountError> {
    // Mounts can lie on each other; 64 of them at one place is nobody's intention.
    for _ in 0..64 {
        let detached = match kernel.detach(target, false) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => kernel.detach(target, true),
            other => other,
        };
        match detached {
            Ok(()) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
                return Ok(());
            }
            Err(error) => return Err(MountError::on("unmount", target)(error)),
        }
    }
    Ok(())
}

/// The user namespace by which owners are shifted, if they are.
#[derive(Debug)]
struct Owners {
    namespace: Option<OwnedFd>,
}

impl Owners {
    fn new(kernel: &dyn Kernel, spec: &MountSpec) -> Result<Self, MountError> {
        let make = |map: IdMap| kernel.user_namespace(map.first, map.count);
        let namespace = spec.id_map.map(make).transpose();
        let namespace = namespace.map_err(|source| MountError::NoUserNamespace {
            path: spec.lower.image.clone(),
            source,
        })?;
        Ok(Self { namespace })
    }

    fn shift(&self, kernel: &dyn Kernel, mount: &OwnedFd, path: &Path) -> Result<(), MountError> {
        let Some(namespace) = &self.namespace else {
            return Ok(());
        };
        kernel
            .shift_owners(mount, namespace)
            .map_err(MountError::on("shift the owners of", path))
    }
}

fn open(kernel: &dyn Kernel, path: &Path) -> Result<OwnedFd, MountError> {
    kernel.open_path(path).map_err(MountError::on("open", path))
}
