//! What a container sees besides its root file system.
//!
//! `/run`, `/tmp` and `/dev` are mounts of their own: a relink moves them along, so that locks, sockets and FIFOs in
//! them outlive a change of version.

use crate::container::{Config, Network, UserNamespace};
use oci_spec::OciSpecError;
use oci_spec::runtime::{Mount, MountBuilder};

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
    // Writable: an init with its own cgroup namespace keeps its services below it.
    (
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", "relatime", "rw"],
    ),
    ("/run", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=755"]),
    ("/tmp", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
];

/// All mounts of a container, in the order in which they are made.
pub(super) fn of(config: &Config) -> Result<Vec<Mount>, OciSpecError> {
    let mut mounts = Vec::new();
    for (destination, kind, source, options) in ALWAYS {
        if destination == "/sys/fs/cgroup" {
            mounts.push(sys(config)?);
        }
        mounts.push(mount(destination, kind, source, options)?);
    }
    for bind in &config.binds {
        let access = if bind.read_only { "ro" } else { "rw" };
        let options = ["rbind", "nosuid", "nodev", access].map(str::to_owned);
        let bound = MountBuilder::default()
            .destination(bind.target.clone())
            .typ("bind")
            .source(bind.source.clone())
            .options(options.to_vec());
        mounts.push(bound.build()?);
    }
    Ok(mounts)
}

/// `/sys`, read-only. A user namespace may mount a new one only with a network namespace that it owns too.
fn sys(config: &Config) -> Result<Mount, OciSpecError> {
    let private_users = matches!(config.user_namespace, UserNamespace::Private { .. });
    if private_users && config.network == Network::Host {
        mount(
            "/sys",
            "bind",
            "/sys",
            &["rbind", "nosuid", "noexec", "nodev", "ro"],
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
