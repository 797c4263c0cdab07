//! What a session is made of, opened by paths of the host before its root is entered: every tree and every bind is a
//! detached mount with its final attributes, so that later no path of the host is needed, or leads anywhere.

use super::init::SetupError;
use super::mounts::{NODEV, NOSUID, RDONLY, tmpfs};
use super::{Root, SandboxSpec};
use crate::rootfs::{self, MountSpec};
use crate::sys::Kernel;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What the host's scripts find of its `/etc`: how the linker and alternatives find programs.
const HOST_ETC: [&str; 5] = [
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "nsswitch.conf",
];

/// Programs and libraries of the host; symbolic links (`/bin` → `usr/bin`) are copied as such.
const HOST_DIRECTORIES: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Detached mounts of everything that comes from outside.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) root: OwnedFd,
    pub(super) trees: Vec<OwnedFd>,
    /// Where, and whether it is a directory.
    pub(super) binds: Vec<(PathBuf, bool, OwnedFd)>,
    /// Symbolic links of the host's root, and where they lead.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
}

impl Sources {
    /// Opens what the session is made of, by paths of the host.
    pub(super) fn open(kernel: &dyn Kernel, spec: &SandboxSpec) -> Result<Self, SetupError> {
        let (mut binds, mut links) = (Vec::new(), Vec::new());
        let root = match &spec.root {
            Root::Tree(tree) => assemble(kernel, tree)?,
            Root::Host => {
                host(kernel, &mut binds, &mut links)?;
                tmpfs(kernel, "755", spec.limits.tmpfs_bytes, NOSUID | NODEV)?
            }
        };
        let trees = spec.trees.iter().map(|tree| assemble(kernel, &tree.tree));
        let trees = trees.collect::<Result<_, _>>()?;
        for bind in &spec.binds {
            let (directory, mount) = clone(kernel, &bind.source, bind.writable)?;
            binds.push((bind.at.clone(), directory, mount));
        }
        Ok(Self {
            root,
            trees,
            binds,
            links,
        })
    }
}

fn assemble(kernel: &dyn Kernel, tree: &MountSpec) -> Result<OwnedFd, SetupError> {
    let mount = rootfs::assemble_with(kernel, tree).map_err(SetupError::at("mount a tree"))?;
    // A device node that a script makes, or that a package holds, opens nothing.
    kernel
        .set_attributes(&mount, NODEV, false)
        .map_err(SetupError::at("make a tree nodev"))?;
    Ok(mount)
}

/// A path of the host as a mount of its own, and whether it is a directory.
fn clone(
    kernel: &dyn Kernel,
    source: &Path,
    writable: bool,
) -> Result<(bool, OwnedFd), SetupError> {
    let step = || SetupError::at(format!("open `{}`", source.display()));
    let directory = fs::metadata(source).map_err(step())?.is_dir();
    let mount = kernel.clone_mount(None, source, true).map_err(step())?;
    let mut attributes = NOSUID | NODEV;
    if !writable {
        attributes |= RDONLY;
    }
    kernel
        .set_attributes(&mount, attributes, true)
        .map_err(step())?;
    Ok((directory, mount))
}

fn host(
    kernel: &dyn Kernel,
    binds: &mut Vec<(PathBuf, bool, OwnedFd)>,
    links: &mut Vec<(PathBuf, PathBuf)>,
) -> Result<(), SetupError> {
    let directories = HOST_DIRECTORIES.iter().map(PathBuf::from);
    let configuration = HOST_ETC.iter().map(|name| Path::new("etc").join(name));
    for path in directories.chain(configuration) {
        let source = Path::new("/").join(&path);
        if let Ok(target) = fs::read_link(&source) {
            links.push((path, target));
        } else if source.exists() {
            let (directory, mount) = clone(kernel, &source, false)?;
            binds.push((path, directory, mount));
        }
    }
    Ok(())
}
