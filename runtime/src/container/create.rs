//! `ct create`: a private area with node files and a configuration. Nothing is mounted and nothing runs.
//!
//! It is made beside its place and renamed into it, so that it is there whole or not at all. The disk is waited for in
//! a thread, which has the last word ([`mod@super::settle`]): it takes longer than everything else together.

use super::settle::{Placed, unsettled};
use super::{Config, ContainerError, ContainerPaths, quota};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError, OpenTree};
use vzpkg_metadata::{ContainerId, RelPath};

/// A file that is this node's or this container's own and therefore no part of a version: apt and yum sources,
/// resolv.conf and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// Where it lies in the container.
    pub path: RelPath,
    /// Its permission bits.
    pub mode: u16,
    /// Its content.
    pub content: Vec<u8>,
}

/// Mode and owner of the root directory of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootDirectory {
    /// Its permission bits.
    pub mode: u16,
    /// Its owner, as the container sees it.
    pub uid: u32,
    /// Its group, as the container sees it.
    pub gid: u32,
}

/// Makes the private area: `ct.toml`, an upper with `files` whose root directory is `root` (an overlay shows the root of
/// its upper, so it must be that of the version), and `hostname`, `hosts` and an empty `machine-id` (which
/// the first start fills) unless `files` has them. It is there, durably, when this returns.
///
/// # Errors
/// [`ContainerError::Exists`], [`ContainerError::Config`], [`ContainerError::File`]; nothing is left then.
pub fn create(
    paths: &ContainerPaths,
    config: &Config,
    root: &RootDirectory,
    files: &[NodeFile],
) -> Result<(), ContainerError> {
    stage(paths, config, root, files)?
        .put_in_place(|| Ok(()))?
        .settle()
}

/// As [`create`], but beside its place, and without waiting for the disk: the caller enters the container into its
/// database meanwhile.
///
/// # Errors
/// As [`create`].
pub fn stage(
    paths: &ContainerPaths,
    config: &Config,
    root: &RootDirectory,
    files: &[NodeFile],
) -> Result<Staged, ContainerError> {
    if paths.private.exists() {
        return Err(ContainerError::Exists(paths.id.clone()));
    }
    let staged = Staged {
        staging: staging(paths)?,
        paths: paths.clone(),
    };
    fill(&staged.staging, paths, config, root, files)?;
    Ok(staged)
}

/// A private area that is complete but for its place; removed when it is dropped.
#[derive(Debug)]
#[must_use = "what is not put in place is removed"]
pub struct Staged {
    staging: PathBuf,
    paths: ContainerPaths,
}

impl Staged {
    /// Renames it into its place, where it may be used while it becomes durable; so does the caller's record of it, by
    /// `record`, which a thread calls. It has settled when both are.
    ///
    /// # Errors
    /// [`ContainerError::Exists`], [`ContainerError::File`]; nothing is left then.
    pub fn put_in_place(
        self,
        record: impl FnOnce() -> Result<(), FileError> + Send + 'static,
    ) -> Result<Placed, ContainerError> {
        let tree = OpenTree::open(&self.staging)?;
        let unsettled = unsettled(&self.paths.private)?;
        durable::put_in_place_unsynced(&self.staging, &self.paths.private)
            .map_err(|error| not_placed(&self.paths.id, error))?;
        Ok(Placed::new(&self.paths, tree, unsettled, record))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Not there any more where it was put in place.
        drop(fs::remove_dir_all(&self.staging));
    }
}

/// A directory that is not there, beside the private area, with a name of this process alone.
pub(super) fn staging(paths: &ContainerPaths) -> Result<PathBuf, FileError> {
    durable::own_place(paths.area(), paths.id.as_str())
}

fn fill(
    staging: &Path,
    paths: &ContainerPaths,
    config: &Config,
    root: &RootDirectory,
    files: &[NodeFile],
) -> Result<(), ContainerError> {
    // 0711: process 1 of a user namespace walks through here to its binds; nobody lists it.
    durable::create_directories(staging, 0o711)?;
    quota::adopt(staging, &paths.private)?;
    quota::limit(staging, paths, config.limits.disk)?;
    let staged = ContainerPaths {
        private: staging.to_owned(),
        ..paths.clone()
    };
    let upper = staged.upper();
    make_directory(&upper, root.mode.into())?;
    chown(&upper, Some(root.uid), Some(root.gid))
        .map_err(FileError::on("change the owner of", &upper))?;
    let mut wanted = own_files(&config.hostname);
    for file in files {
        wanted.insert(file.path.clone(), file.clone());
    }
    for file in wanted.values() {
        make_parents(&upper, &file.path)?;
        write(&upper.join(file.path.as_path()), file.mode, &file.content)?;
    }
    Ok(write(
        &unsettled(staging)?,
        0o600,
        config.to_text()?.as_bytes(),
    )?)
}

/// What every container has of its own.
fn own_files(hostname: &str) -> BTreeMap<RelPath, NodeFile> {
    let hosts = format!(
        "127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    );
    let files = [
        ("etc/hostname", format!("{hostname}\n"), 0o644),
        ("etc/hosts", hosts, 0o644),
        ("etc/machine-id", String::new(), 0o444),
    ];
    files
        .into_iter()
        .filter_map(|(path, content, mode)| {
            let path: RelPath = path.parse().ok()?;
            let content = content.into_bytes();
            Some((
                path.clone(),
                NodeFile {
                    path,
                    mode,
                    content,
                },
            ))
        })
        .collect()
}

fn make_parents(upper: &Path, path: &RelPath) -> Result<(), FileError> {
    let mut directory = upper.to_owned();
    if let Some(parent) = path.parent() {
        for component in parent.components() {
            directory.push(std::ffi::OsStr::from_bytes(component));
            if !directory.is_dir() {
                make_directory(&directory, 0o755)?;
            }
        }
    }
    Ok(())
}

/// A new file, not synced: all of them are at the end.
fn write(path: &Path, mode: u16, content: &[u8]) -> Result<(), FileError> {
    use std::io::Write as _;
    let mut made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(FileError::on("create", path))?;
    made.write_all(content)
        .and_then(|()| made.set_permissions(fs::Permissions::from_mode(u32::from(mode))))
        .map_err(FileError::on("write", path))
}

/// Whatever the umask says: these directories show in the container.
fn make_directory(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(FileError::on("create directory", path))
}

/// Why a private area could not be renamed into its place. None is ever empty, so the kernel refuses to rename over
/// another one.
pub(super) fn not_placed(id: &ContainerId, error: FileError) -> ContainerError {
    match error.source.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
            ContainerError::Exists(id.clone())
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::UserNamespace;

    fn paths(root: &Path) -> ContainerPaths {
        ContainerPaths {
            id: "web".parse().unwrap(),
            private: root.join("private/web"),
            root: root.join("root/web"),
            bundle: root.join("run/web"),
        }
    }

    /// As whoever runs the tests may make it.
    fn root() -> RootDirectory {
        RootDirectory {
            mode: 0o711,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }

    #[test]
    fn a_new_container_has_its_node_files_and_a_name_is_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("private")).unwrap();
        let paths = paths(directory.path());
        let config = Config::new(paths.id.clone(), 0, UserNamespace::Host);
        let sources = NodeFile {
            path: "etc/apt/sources.list".parse().unwrap(),
            mode: 0o640,
            content: b"deb x y z\n".to_vec(),
        };
        create(&paths, &config, &root(), std::slice::from_ref(&sources)).unwrap();
        let upper = paths.upper();
        assert_eq!(
            fs::read(upper.join("etc/apt/sources.list")).unwrap(),
            sources.content
        );
        assert_eq!(fs::read(upper.join("etc/hostname")).unwrap(), b"web\n");
        assert_eq!(fs::read(upper.join("etc/machine-id")).unwrap(), b"");
        let mode =
            |path: &str| fs::metadata(upper.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            (mode("etc/apt/sources.list"), mode("etc/apt"), mode("")),
            (0o640, 0o755, 0o711)
        );
        assert!(matches!(
            create(&paths, &config, &root(), &[]),
            Err(ContainerError::Exists(_))
        ));
        assert_eq!(
            fs::read_dir(directory.path().join("private"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn a_create_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("private")).unwrap();
        let paths = paths(directory.path());
        let config = Config::new(paths.id.clone(), 0, UserNamespace::Host);
        let file = |path: &str| NodeFile {
            path: path.parse().unwrap(),
            mode: 0o644,
            content: Vec::new(),
        };
        // A file cannot be the directory of another.
        assert!(create(&paths, &config, &root(), &[file("a"), file("a/b")]).is_err());
        assert_eq!(
            fs::read_dir(directory.path().join("private"))
                .unwrap()
                .count(),
            0
        );
    }
}
