//! What PID 1 gives up, once and for all its children: capabilities, system calls, resources.

use super::Limits;
use super::init::SetupError;
use super::seccomp;
use crate::sys::{CapabilitySet, Kernel};
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// What package managers and their scripts need: owners, modes, users, `chroot`, file capabilities, device nodes (which
/// the mounts do not honour) and audit records of made users.
pub(super) const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::AUDIT_WRITE);

/// Sets the resource limits.
pub(super) fn limit(limits: &Limits) -> Result<(), SetupError> {
    // A limit of exactly one byte also stops the kernel from starting the host's core dump handler; zero does not.
    lower(Resource::Core, 1, 1)?;
    // What a program starts with is the customary 1024: rpm before 4.14 closes every descriptor it might have before
    // each scriptlet. Whoever needs more may raise it.
    lower(Resource::Nofile, 1024, limits.open_files)
}

/// Sets a limit and how far it can be raised, but not above what we were given.
fn lower(resource: Resource, current: u64, maximum: u64) -> Result<(), SetupError> {
    let given = rustix::process::getrlimit(resource).maximum;
    let maximum = given.map_or(maximum, |given| given.min(maximum));
    let limit = Rlimit {
        current: Some(current.min(maximum)),
        maximum: Some(maximum),
    };
    rustix::process::setrlimit(resource, limit).map_err(SetupError::at("set resource limits"))
}

/// Gives up privileges. After this the calling process cannot mount, trace or load anything, nor can its children.
pub(super) fn confine(kernel: &dyn Kernel, setuid: bool) -> Result<(), SetupError> {
    if !setuid {
        kernel
            .no_new_privileges()
            .map_err(SetupError::at("forbid new privileges"))?;
    }
    // Before the capabilities go: without no_new_privs a filter needs CAP_SYS_ADMIN.
    kernel
        .filter_system_calls(&seccomp::program())
        .map_err(SetupError::at("install the system call filter"))?;
    kernel
        .keep_capabilities(KEPT)
        .map_err(SetupError::at("give up capabilities"))
}

/// Closes `/proc/1` to everybody inside: no reading of our memory, descriptors or root. Children that execute
/// something are dumpable again.
pub(super) fn hide() -> Result<(), SetupError> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(SetupError::at("hide PID 1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Recording;

    #[test]
    fn the_filter_is_installed_while_that_is_still_allowed() {
        let kept = "keep capabilities CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP SYS_CHROOT MKNOD \
                    AUDIT_WRITE SETFCAP";
        let kernel = Recording::new();
        confine(&kernel, false).unwrap();
        assert_eq!(
            kernel.calls(),
            ["no new privileges", "install a filter", kept]
        );
        let kernel = Recording::new();
        confine(&kernel, true).unwrap();
        assert_eq!(kernel.calls(), ["install a filter", kept]);
    }

    #[test]
    fn a_step_that_fails_is_named_and_stops_the_rest() {
        let kernel = Recording::new().refusing("install");
        assert!(confine(&kernel, false).is_err());
        assert_eq!(kernel.calls().len(), 2);
    }
}
