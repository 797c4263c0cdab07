//! What a container sees besides its root file system.
//!
//! `/run`, `/tmp` and `/dev` are mounts of their own: a relink moves them along, so that locks, sockets and FIFOs in
//! them outlive a change of version.
//!
//! What is mounted from the host comes with whatever is mounted below it there, and `ro`, `nosuid` and `nodev` are about
//! the top alone. So all of it is told in the words that hold for everything (`rro` and so on), which the self-test of the
//! runtime makes sure of; the plain ones say the same to whoever reads the configuration.

use super::InitKind;
use crate::container::{Config, Network, UserNamespace};
use oci_spec::OciSpecError;
use oci_spec::runtime::{Mount, MountBuilder};

const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Destination, type, source, options.
const ALWAYS: [(&str, &str, &str, &[&str]); 8] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    (
        "/dev",
        "tmpfs",
        "tmpfs",
        &["nosuid", "strictatime", "mode=755", "size=65536k"],
    ),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &[
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
        ],
    ),
    (
        "/dev/shm",
        "tmpfs",
        "shm",
        &["nosuid", "noexec", "nodev", "mode=1777"],
    ),
    (
        "/dev/mqueue",
        "mqueue",
        "mqueue",
        &["nosuid", "noexec", "nodev"],
    ),
    // How it may be used: `control_groups`.
    (
        CONTROL_GROUPS,
        "cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", "relatime"],
    ),
    ("/run", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=755"]),
    ("/tmp", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
];

/// All mounts of a container, in the order in which they are made.
pub(super) fn of(config: &Config, init: &InitKind) -> Result<Vec<Mount>, OciSpecError> {
    let mut mounts = Vec::new();
    for (destination, kind, source, options) in ALWAYS {
        let mut options = options.to_vec();
        if destination == CONTROL_GROUPS {
            mounts.push(sys(config)?);
            options.push(control_groups(config, init));
        }
        mounts.push(mount(destination, kind, source, &options)?);
    }
    for bind in &config.binds {
        let mut options = vec!["rbind", "nosuid", "nodev", "rnosuid", "rnodev"];
        options.extend_from_slice(if bind.read_only {
            &["ro", "rro"]
        } else {
            &["rw"]
        });
        let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
        let bound = MountBuilder::default()
            .destination(bind.target.clone())
            .typ("bind")
            .source(bind.source.clone())
            .options(options);
        mounts.push(bound.build()?);
    }
    Ok(mounts)
}

/// Whether the container may write to its control groups. A root of its own may only make groups in them. The host's root
/// could lift the container's limits as well; there only systemd may write, which does not start without. Nothing keeps
/// the root of such a container from its limits, for it may mount, too.
fn control_groups(config: &Config, init: &InitKind) -> &'static str {
    match (config.user_namespace, init) {
        (UserNamespace::Private { .. }, _) | (UserNamespace::Host, InitKind::Systemd) => "rw",
        (UserNamespace::Host, InitKind::Command(_) | InitKind::Pause) => "ro",
    }
}

/// `/sys`, read-only. A user namespace may mount a new one only with a network namespace that it owns too.
fn sys(config: &Config) -> Result<Mount, OciSpecError> {
    let private_users = matches!(config.user_namespace, UserNamespace::Private { .. });
    if private_users && config.network == Network::Host {
        mount(
            "/sys",
            "bind",
            "/sys",
            &[
                "rbind", "nosuid", "noexec", "nodev", "ro", "rnosuid", "rnoexec", "rnodev", "rro",
            ],
        )
    } else {
        mount(
            "/sys",
            "sysfs",
            "sysfs",
            &["nosuid", "noexec", "nodev", "ro"],
        )
    }
}

fn mount(
    destination: &str,
    kind: &str,
    source: &str,
    options: &[&str],
) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .destination(destination)
        .typ(kind)
        .source(source)
        .options(
            options
                .iter()
                .map(|&option| option.to_owned())
                .collect::<Vec<_>>(),
        )
        .build()
}
