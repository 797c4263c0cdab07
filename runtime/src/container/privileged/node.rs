//! A node of a test: everything of it lies in one temporary directory, and nothing of it is left when it is dropped,
//! also by a test that fails.

use super::dead_runs::{self, AREA, PREFIX};
use super::version;
use crate::container::*;
use crate::oci::{OciRuntime as _, RuntimeBinary};
use crate::rootfs::{self, Lower, Tier};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The root directory of every version here.
pub(in crate::container) const ROOT: RootDirectory = RootDirectory {
    mode: 0o755,
    uid: 0,
    gid: 0,
};

static DEAD_RUNS: Once = Once::new();

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A node in a temporary directory, with one OCI runtime and one mount tier.
pub(in crate::container) struct Node {
    directory: tempfile::TempDir,
    tier: Tier,
    /// Makes the names of its containers unique on the machine: cgroups do not lie below our directory.
    name: String,
    pub(in crate::container) runtime: RuntimeBinary,
    containers: RefCell<Vec<ContainerPaths>>,
}

impl Node {
    pub(in crate::container) fn new(tier: Tier) -> Self {
        DEAD_RUNS.call_once(dead_runs::clear);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{serial}", std::process::id());
        let mut builder = tempfile::Builder::new();
        let directory = builder
            .prefix(&format!("{name}-"))
            .tempdir_in(AREA)
            .unwrap();
        // Process 1 of a user namespace walks through here.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(directory.path().join("private")).unwrap();
        let state = directory.path().join("oci");
        let runtime = RuntimeBinary::find(None, &state, directory.path()).unwrap();
        Self {
            directory,
            tier,
            name,
            runtime,
            containers: RefCell::default(),
        }
    }

    /// Why the kernel cannot mount in the tier of this node; nothing where it can.
    pub(in crate::container) fn obstacle(&self) -> Option<String> {
        let probe = rootfs::probe(self.directory.path()).unwrap();
        let mut findings = probe.tiers.into_iter();
        findings.find(|finding| finding.tier == self.tier)?.obstacle
    }

    /// Where everything lies.
    pub(in crate::container) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn shared(&self) -> PathBuf {
        self.path().join("versions")
    }

    /// The places of a container, which is destroyed with the node whatever the test made of it.
    pub(in crate::container) fn paths(&self, name: &str) -> ContainerPaths {
        let root = self.path();
        let paths = ContainerPaths {
            id: format!("{}-{name}", self.name).parse().unwrap(),
            private: root.join("private").join(name),
            root: root.join("root").join(name),
            bundle: root.join("run").join(name),
        };
        self.containers.borrow_mut().push(paths.clone());
        paths
    }

    /// A version whose file `/etc/release` says `release`.
    pub(in crate::container) fn version(&self, release: &str) -> Lower {
        let (tree, bytes) = version::content(release);
        let directory = self
            .path()
            .join(format!("version-{}", tree.digest().short()));
        if !directory.exists() {
            fs::create_dir(&directory).unwrap();
            version::lay_out(&tree, &bytes, &directory);
        }
        version::lower(&tree, &directory)
    }

    /// What a start on a version needs.
    pub(in crate::container) fn spec(&self, release: &str, generation: u64) -> StartSpec {
        StartSpec {
            tier: self.tier,
            lower: self.version(release),
            generation,
            shared: Some(self.shared()),
        }
    }

    pub(in crate::container) fn config(paths: &ContainerPaths) -> Config {
        let users = UserNamespace::Private { first_id: 300_000 };
        Config::new(paths.id.clone(), 0, users)
    }

    /// The exit code of a shell line in a running container.
    pub(in crate::container) fn shell(&self, paths: &ContainerPaths, line: &str) -> u8 {
        let spec = ExecSpec {
            argv: ["sh", "-c", line].map(str::to_owned).to_vec(),
            ..ExecSpec::default()
        };
        exec(paths, &Self::config(paths), &spec, &self.runtime).unwrap()
    }

    /// The mounts of this node in the host's namespace.
    pub(in crate::container) fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = self.path().to_str().unwrap();
        let ours = mounts.lines().filter(|line| line.contains(root));
        ours.map(str::to_owned).collect()
    }

    /// Nothing of a container is left on the machine.
    pub(in crate::container) fn assert_clean(&self, paths: &ContainerPaths) {
        rootfs::sweep(&self.shared(), &BTreeSet::new()).unwrap();
        assert_eq!(self.mounts(), [""; 0]);
        for hierarchy in dead_runs::hierarchies() {
            let group = hierarchy.join(paths.cgroup().strip_prefix("/").unwrap());
            assert!(!group.exists(), "{}", group.display());
        }
        assert!(!paths.bundle.exists());
        assert_eq!(self.runtime.state(&paths.id).unwrap(), None);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The test has failed or said what it expects; what cannot be removed now is left to the next run.
        for paths in self.containers.take() {
            drop(destroy(&paths, &self.runtime));
        }
        drop(rootfs::sweep(&self.shared(), &BTreeSet::new()));
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_test_that_fails_leaves_no_process_and_no_group() {
    let failed = std::panic::catch_unwind(|| {
        let node = Node::new(Tier::Directory);
        let paths = node.paths("fails");
        let config = Node::config(&paths);
        create(&paths, &config, &ROOT, &[]).unwrap();
        start(&paths, &config, &node.spec("1", 1), &node.runtime).unwrap();
        // As a failed assertion, without its message.
        std::panic::resume_unwind(Box::new(paths));
    });
    let evidence = failed.unwrap_err();
    let paths = evidence.downcast_ref::<ContainerPaths>().unwrap();
    assert!(!paths.private.exists());
    // The kernel lets nobody remove a group in which something lives.
    for hierarchy in dead_runs::hierarchies() {
        let group = hierarchy.join(paths.cgroup().strip_prefix("/").unwrap());
        assert!(!group.exists(), "{}", group.display());
    }
}
