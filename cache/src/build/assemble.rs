//! What the sandbox starts from: a tree and its image below, a scratch upper above, and scaffolding that only the build
//! may see. No file of the tree is copied.

use super::{BuildError, Plan};
use crate::store::{BuildDir, Store};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Entry, Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, RelPath};
use vzpkg_runtime::rootfs::{Lower, MountSpec, Tier};
use vzpkg_runtime::sandbox::Bind;

/// What a backend wants the sandbox to start from.
#[derive(Debug, Default)]
pub struct Assembly {
    /// The tree to mount; changes are merged into it afterwards. Its file contents are objects.
    pub tree: Tree,
    /// Files that are there during the build only.
    pub scaffold: Scaffold,
    /// Paths of the host that the sandbox sees, read-only unless they say otherwise, below `/run`.
    pub binds: Vec<Bind>,
    /// Variables of the package manager.
    pub environment: BTreeMap<String, String>,
    /// A tree with the programs that do the work, where those of the target cannot: it becomes the root, and the
    /// target is mounted inside it at this path.
    pub tools: Option<Tools>,
    /// Packages that the backend left to the package manager itself, by name, in order.
    pub aside: Vec<String>,
}

/// Programs that work on a target from outside.
#[derive(Debug)]
pub struct Tools {
    /// The tree that becomes the root.
    pub tree: Tree,
    /// Where the target appears in it.
    pub at: PathBuf,
}

/// Files laid over the tree for the time of the build: stubs that keep services from starting, forms of files with
/// fixed ids. What a script did not change of them is gone afterwards, and what they hid is back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scaffold {
    files: BTreeMap<RelPath, (u16, Vec<u8>)>,
}

impl Scaffold {
    /// Adds a file with this mode, owned by root.
    pub fn add(&mut self, path: RelPath, mode: u16, content: impl Into<Vec<u8>>) {
        self.files.insert(path, (mode, content.into()));
    }

    /// Writes the files into an upper that is not mounted yet. Their directories get the metadata they have in `tree`,
    /// so that the mount shows those unchanged.
    fn write(&self, tree: &Tree, upper: &Path) -> Result<(), FileError> {
        let mut made = Vec::new();
        for (path, (mode, content)) in &self.files {
            let mut missing = Vec::new();
            let mut parent = path.parent();
            while let Some(directory) = parent.filter(|directory| !directory.is_root()) {
                parent = directory.parent();
                missing.push(directory);
            }
            for directory in missing.into_iter().rev() {
                let place = upper.join(directory.as_path());
                match fs::DirBuilder::new().mode(0o755).create(&place) {
                    Ok(()) => made.push(directory),
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(FileError::on("create directory", place)(error)),
                }
            }
            let place = upper.join(path.as_path());
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(u32::from(*mode))
                .open(&place)
                .and_then(|mut file| file.write_all(content))
                .map_err(FileError::on("write", place))?;
        }
        for directory in made.iter().rev() {
            if let Some(node) = tree.node(directory) {
                restore_metadata(&upper.join(directory.as_path()), node)?;
            }
        }
        Ok(())
    }

    /// Undoes what is left of the scaffolding in a built tree.
    pub(super) fn remove_from(&self, tree: &mut Tree, before: &Tree) {
        for (path, (_, content)) in &self.files {
            let digest = Digest::of(content);
            let untouched = matches!(
                tree.node(path).map(|node| &node.kind),
                Some(NodeKind::File { digest: found, .. }) if *found == digest
            );
            if untouched {
                tree.remove(path);
                if let Some(entry) = before.get(path) {
                    tree.insert(path.clone(), entry.clone());
                }
            }
        }
        // Directories that only the scaffolding needed.
        for path in self.files.keys() {
            let mut parent = path.parent();
            while let Some(directory) = parent.filter(|directory| !directory.is_root()) {
                let empty = tree.below(&directory).count() <= 1;
                if !empty || before.get(&directory).is_some() {
                    break;
                }
                tree.remove(&directory);
                parent = directory.parent();
            }
        }
    }
}

fn restore_metadata(path: &Path, node: &Node) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = &node.meta;
    chown(path, Some(meta.uid), Some(meta.gid)).map_err(FileError::on("chown", path))?;
    let mode = fs::Permissions::from_mode(u32::from(meta.mode));
    fs::set_permissions(path, mode).map_err(FileError::on("chmod", path))?;
    for (name, value) in &meta.xattrs {
        rustix::fs::setxattr(
            path,
            name.as_slice(),
            value,
            rustix::fs::XattrFlags::empty(),
        )
        .map_err(std::io::Error::from)
        .map_err(FileError::on("set an attribute of", path))?;
    }
    set_time(path, node)
}

fn set_time(path: &Path, node: &Node) -> Result<(), FileError> {
    let time = rustix::fs::Timespec {
        tv_sec: node.meta.mtime.seconds,
        tv_nsec: i64::from(node.meta.mtime.nanoseconds),
    };
    let times = rustix::fs::Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty())
        .map_err(std::io::Error::from)
        .map_err(FileError::on("set the time of", path))
}

/// An assembled build on disk: image, upper and scaffolding, ready to be mounted as often as needed, once at a time.
#[derive(Debug)]
pub(super) struct Stage {
    /// The tree below, into which changes are merged.
    pub(super) merge_base: Tree,
    /// What the build added for its own time.
    pub(super) scaffold: Scaffold,
    /// The rest of what the backend wanted; its tree is [`Self::merge_base`].
    pub(super) assembly: Assembly,
    lower: Lower,
    tools: Option<(Lower, PathBuf)>,
    tier: Tier,
    directory: PathBuf,
}

impl Stage {
    /// Writes image and scaffolding below the staging directory.
    pub(super) fn prepare(
        plan: &Plan<'_>,
        staging: &BuildDir,
        mut assembly: Assembly,
    ) -> Result<Self, BuildError> {
        let (store, tier) = (plan.request.store, plan.request.tier);
        let merge_base = std::mem::take(&mut assembly.tree);
        let lower = lower(store, &merge_base, tier)?;
        let tools = match assembly.tools.take() {
            Some(tools) => Some((self::lower(store, &tools.tree, tier)?, tools.at)),
            None => None,
        };
        let stage = Self {
            merge_base,
            scaffold: std::mem::take(&mut assembly.scaffold),
            assembly,
            lower,
            tools,
            tier,
            directory: staging.path().to_owned(),
        };
        let root = stage.merge_base.node(&RelPath::root()).cloned();
        make_directory(&stage.upper())?;
        stage.scaffold.write(&stage.merge_base, &stage.upper())?;
        if let Some(root) = root {
            restore_metadata(&stage.upper(), &root)?;
        }
        Ok(stage)
    }

    /// Where changes go.
    pub(super) fn upper(&self) -> PathBuf {
        self.directory.join("upper")
    }

    /// The target with its upper, to be mounted once; `serial` tells its mounts apart.
    pub(super) fn target(&self, serial: u32) -> Result<MountSpec, FileError> {
        self.mount(&self.lower, "upper", &format!("work-{serial}"))
    }

    /// The tools with a scratch upper of their own, and where the target goes in them.
    pub(super) fn tools(&self, serial: u32) -> Result<Option<(MountSpec, &Path)>, FileError> {
        let Some((lower, at)) = &self.tools else {
            return Ok(None);
        };
        let upper = format!("tools-{serial}");
        make_directory(&self.directory.join(&upper))?;
        let spec = self.mount(lower, &upper, &format!("tools-work-{serial}"))?;
        Ok(Some((spec, at)))
    }

    fn mount(&self, lower: &Lower, upper: &str, work: &str) -> Result<MountSpec, FileError> {
        let (upper, work) = (self.directory.join(upper), self.directory.join(work));
        make_directory(&work)?;
        let mut spec = MountSpec::new(self.tier, lower.clone()).with_upper(upper, work);
        spec.volatile = true;
        Ok(spec)
    }
}

fn make_directory(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .mode(0o755)
        .create(path)
        .map_err(FileError::on("create directory", path))
}

fn lower(store: &Store, tree: &Tree, tier: Tier) -> Result<Lower, BuildError> {
    let digest = store.images.write(tree)?;
    Ok(store.lower(&digest, tier)?)
}

/// Puts a regular file with this content into a tree and its bytes into the store, replacing what was there. The time
/// is that of `plan`'s epoch.
pub(super) fn put_file(
    plan: &Plan<'_>,
    tree: &mut Tree,
    path: RelPath,
    mode: u16,
    content: &[u8],
) -> Result<(), BuildError> {
    plan.request.store.objects.put_bytes(content)?;
    lay_file(plan, tree, path, mode, content);
    Ok(())
}

/// As [`put_file`], but the bytes are somebody else's to store.
pub(super) fn lay_file(plan: &Plan<'_>, tree: &mut Tree, path: RelPath, mode: u16, content: &[u8]) {
    let time = vzpkg_metadata::Timestamp::from_seconds(plan.lock.epoch);
    tree.insert(path, Entry::Node(Node::file(mode, time, content)));
}
