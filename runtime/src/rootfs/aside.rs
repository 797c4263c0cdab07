//! A mount that only one piece of work sees: attached in a mount namespace of a thread of its own.
//!
//! What the work starts inherits the namespace; when the last of it has ended, or was killed, the mount is gone. The
//! host's own mounts never hold it, so nothing is left there by a crash at any point.

use super::{MountError, open};
use crate::sys::{Kernel as _, Linux, Namespaces};
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

/// Attaches `mount` at `target`, which must exist, for `work` alone. Costs about as much as an unmount, 0.2 ms.
///
/// # Errors
/// [`MountError`]; the work was not begun then.
pub fn aside<T: Send>(
    mount: OwnedFd,
    target: &Path,
    work: impl FnOnce() -> T + Send,
) -> Result<T, MountError> {
    let on_thread = || {
        let leave = |source| MountError::on("leave the host's mounts for", target)(source);
        // Namespaces are a thread's own for the kernel; this one ends with the work.
        Linux.unshare(Namespaces::NEWNS).map_err(leave)?;
        Linux.make_mounts_followers().map_err(leave)?;
        let place = open(&Linux, target)?;
        Linux
            .attach(&mount, &place)
            .map_err(MountError::on("mount on", target))?;
        drop((mount, place));
        Ok(work())
    };
    thread::scope(|scope| scope.spawn(on_thread).join())
        .unwrap_or_else(|panic| resume_unwind(panic))
}
