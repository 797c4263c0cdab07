//! Where one container lies on the node. The only file that joins paths below a container's private area.

use std::fs;
use std::path::{Path, PathBuf};
use vzpkg_metadata::{ContainerId, Digest};

/// The three places of one container; see the drawing in [`crate::container`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPaths {
    /// Its name, which is also its name in the OCI runtime: each root has a state directory of its own there.
    pub id: ContainerId,
    /// `private/<ctid>`: everything durable.
    pub private: PathBuf,
    /// `root/<ctid>`: where its file system is put together.
    pub root: PathBuf,
    /// `/run/vzpkg/<root>/ct/<ctid>`: the OCI bundle while it runs; `<root>` is [`root_mark`].
    pub bundle: PathBuf,
}

impl ContainerPaths {
    /// Where the private areas of all containers of its root lie.
    pub fn area(&self) -> &Path {
        self.private.parent().unwrap_or_else(|| Path::new("/"))
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.private.join("ct.toml")
    }

    /// The private changes.
    pub fn upper(&self) -> PathBuf {
        self.private.join("upper")
    }

    /// The work directory of overlayfs for one generation of the link.
    pub fn work(&self, generation: u64) -> PathBuf {
        self.private.join(format!("work.{generation}"))
    }

    /// Where edits of the upper are made before they are renamed into place.
    pub fn staging(&self) -> PathBuf {
        self.private.join("staging")
    }

    /// What process 1 printed since the last start.
    pub fn console(&self) -> PathBuf {
        self.private.join("console.log")
    }

    /// What process 1 printed in the run before.
    pub fn console_before(&self) -> PathBuf {
        self.private.join("console.log.1")
    }

    /// Where all undo records lie.
    pub fn undo_area(&self) -> PathBuf {
        self.private.join("undo")
    }

    /// What the relink *from* this generation replaced.
    pub fn undo(&self, generation: u64) -> PathBuf {
        self.undo_area().join(generation.to_string())
    }

    /// Its cgroup in each hierarchy: `/vzpkg/<ctid>-` and twelve digits that tell apart containers of one name in several
    /// roots. Who is frozen, looked at or killed by its group must be of this container.
    pub fn cgroup(&self) -> PathBuf {
        Path::new("/vzpkg").join(format!("{}-{}", self.id, root_mark(self.area())))
    }
}

/// Twelve digits that tell apart what one root has on the machine, outside of its own directory, from what another one
/// has: of where its private areas lie, however that is written, and before anything is there.
pub fn root_mark(area: &Path) -> String {
    Digest::of(canonical(area).as_os_str().as_encoded_bytes()).short()
}

/// As [`fs::canonicalize`], with names at the end that are not there yet.
fn canonical(path: &Path) -> PathBuf {
    if let Ok(canonical) = fs::canonicalize(path) {
        return canonical;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => canonical(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_one_name_in_two_roots_have_two_groups() {
        let directory = tempfile::tempdir().unwrap();
        let group = |root: &str| {
            let private = directory.path().join(root).join("web");
            let paths = ContainerPaths {
                id: "web".parse().unwrap(),
                private,
                root: PathBuf::new(),
                bundle: PathBuf::new(),
            };
            paths.cgroup()
        };
        fs::create_dir(directory.path().join("a")).unwrap();
        assert!(group("a").to_str().unwrap().starts_with("/vzpkg/web-"));
        assert_ne!(group("a"), group("b"));
        assert_eq!(group("a"), group("./a"));
    }

    #[test]
    fn a_root_has_its_mark_before_anything_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&root, &link).unwrap();
        let marks = || [&root, &link].map(|root| root_mark(&root.join("private")));
        let before = marks();
        assert_eq!(before[0], before[1]);
        fs::create_dir(root.join("private")).unwrap();
        assert_eq!(marks(), before);
    }
}
