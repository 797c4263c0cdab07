//! What a container may do: capabilities, devices, system calls, paths that are masked.

use super::InitKind;
use crate::container::UserNamespace;
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder, LinuxDeviceCgroup,
    LinuxDeviceCgroupBuilder, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompBuilder,
    LinuxSyscallBuilder,
};

/// Files of /proc and /sys that show nothing inside.
pub(super) const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that can be read only.
pub(super) const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What the services of a plain server need.
const SERVER: [Capability; 14] = [
    Capability::AuditWrite,
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Mknod,
    Capability::NetBindService,
    Capability::NetRaw,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// What systemd needs to mount, to make namespaces for its services, and to end the container.
const SYSTEMD: [Capability; 2] = [Capability::SysAdmin, Capability::SysBoot];

/// What is harmless in a user namespace, for it counts only for what that namespace owns.
const OWNED: [Capability; 9] = [
    Capability::DacReadSearch,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::Lease,
    Capability::NetAdmin,
    Capability::SysNice,
    Capability::SysPtrace,
    Capability::SysResource,
    Capability::SysTtyConfig,
];

/// The capabilities of process 1 and its children.
pub(super) fn capabilities(
    users: UserNamespace,
    init: &InitKind,
) -> Result<LinuxCapabilities, OciSpecError> {
    let mut set: Capabilities = SERVER.into_iter().collect();
    if *init == InitKind::Systemd {
        set.extend(SYSTEMD);
        if matches!(users, UserNamespace::Private { .. }) {
            set.extend(OWNED);
        }
    }
    // Neither inheritable nor ambient: a service that drops to another user keeps nothing.
    LinuxCapabilitiesBuilder::default()
        .bounding(set.clone())
        .effective(set.clone())
        .permitted(set)
        .inheritable(Capabilities::default())
        .ambient(Capabilities::default())
        .build()
}

/// No device but the ones every container has (null, zero, full, random, urandom, tty, ptmx), which the runtime adds;
/// nodes may be made but not opened.
pub(super) fn devices() -> Result<Vec<LinuxDeviceCgroup>, OciSpecError> {
    let rule = |allow: bool, access: &str| {
        LinuxDeviceCgroupBuilder::default()
            .allow(allow)
            .access(access)
            .build()
    };
    Ok(vec![rule(false, "rwm")?, rule(true, "m")?])
}

/// System calls that reach past the namespaces of a container, or that no service of one needs and that have been the
/// way out of many. A list of what is refused, not of what is allowed: a system container runs whatever a
/// distribution brings, and a call unknown here would break it in ways nobody can find.
const REFUSED: [&str; 40] = [
    "_sysctl",
    "acct",
    "add_key",
    "bpf",
    "clock_settime",
    "clock_settime64",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "perf_event_open",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "request_key",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "uselib",
    "userfaultfd",
    "ustat",
    "vm86",
    "vm86old",
];

/// The default filter: everything but [`REFUSED`].
pub(super) fn seccomp() -> Result<LinuxSeccomp, OciSpecError> {
    let refused = LinuxSyscallBuilder::default()
        .names(REFUSED.map(str::to_owned).to_vec())
        .action(LinuxSeccompAction::ScmpActErrno)
        .errno_ret(u32::try_from(libc::EPERM).unwrap_or(1))
        .build()?;
    let filter = LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActAllow)
        .syscalls(vec![refused]);
    // The 32-bit entries of the same machine too: else they are the way around the filter.
    let architectures = match std::env::consts::ARCH {
        "x86_64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        "aarch64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        _ => return filter.build(),
    };
    filter.architectures(architectures).build()
}
