//! Which process 1 a root file system offers, and what has to be made in it before that runs.

use super::beneath::{open_inside, open_root};
use super::{Config, ContainerError, ContainerPaths, clusters};
use crate::oci::InitKind;
use rustix::fs::{OFlags, readlinkat};
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::Path;
use vzpkg_metadata::durable::FileError;

/// Chooses process 1 for a root file system that is mounted at `paths.root`.
pub(super) fn kind(paths: &ContainerPaths, config: &Config) -> Result<InitKind, ContainerError> {
    let root = open_root(&paths.root)
        .map_err(|error| ContainerError::from(FileError::on("open", &paths.root)(error.into())))?;
    let init = resolved(&root, "/sbin/init");
    let systemd = init.as_ref().is_some_and(|it| it.ends_with(b"/systemd"));
    if let [first, rest @ ..] = config.init.as_slice() {
        // Whoever names it means it: it is stopped, and may do, as it needs.
        let same = systemd && rest.is_empty() && resolved(&root, first) == init;
        return Ok(if same {
            InitKind::Systemd
        } else {
            InitKind::Command(config.init.clone())
        });
    }
    if init.is_some() {
        return Ok(if systemd {
            InitKind::Systemd
        } else {
            InitKind::Command(vec!["/sbin/init".to_owned()])
        });
    }
    if exists(&root, "/bin/sh") {
        return Ok(InitKind::Pause);
    }
    Err(ContainerError::NoCommand {
        container: paths.id.clone(),
        command: "/sbin/init or /bin/sh".to_owned(),
    })
}

/// Shell lines to run in the container before process 1: keys and clusters that no version may carry.
pub(super) fn first_start(paths: &ContainerPaths) -> Vec<String> {
    let Ok(root) = open_root(&paths.root) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let has_key = ["rsa", "ecdsa", "ed25519"]
        .iter()
        .any(|kind| exists(&root, &format!("/etc/ssh/ssh_host_{kind}_key")));
    if exists(&root, "/usr/sbin/sshd") && exists(&root, "/usr/bin/ssh-keygen") && !has_key {
        lines.push("ssh-keygen -q -A".to_owned());
    }
    if exists(&root, "/usr/sbin/make-ssl-cert")
        && !exists(&root, "/etc/ssl/private/ssl-cert-snakeoil.key")
    {
        lines.push("make-ssl-cert generate-default-snakeoil".to_owned());
    }
    // A cluster of PostgreSQL has the key in its configuration.
    lines.extend(clusters::lines(paths, &root));
    lines
}

/// Where a path inside ends after all links, as the host writes it.
fn resolved(root: impl AsFd, path: &str) -> Option<Vec<u8>> {
    let file = open_inside(root, Path::new(path), OFlags::PATH).ok()?;
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let target = readlinkat(rustix::fs::CWD, link, Vec::new()).ok()?;
    Some(target.into_bytes())
}

fn exists(root: impl AsFd, path: &str) -> bool {
    open_inside(root, Path::new(path), OFlags::PATH).is_ok()
}
