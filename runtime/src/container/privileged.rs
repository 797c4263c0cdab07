//! Whole lives of containers under a real OCI runtime, on a tiny tree made of the host's busybox. Root only.

use super::*;
use crate::oci::{OciRuntime as _, RuntimeBinary};
use crate::rootfs::{Lower, Tier};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vzpkg_metadata::Digest;

/// A node in a temporary directory, with one runtime.
pub(super) struct Node {
    directory: tempfile::TempDir,
    pub(super) runtime: RuntimeBinary,
}

impl Node {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Process 1 of a user namespace walks through here.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(directory.path().join("private")).unwrap();
        let state = directory.path().join("oci");
        let runtime = RuntimeBinary::find(None, &state).unwrap();
        Self { directory, runtime }
    }

    pub(super) fn paths(&self, name: &str) -> ContainerPaths {
        let root = self.directory.path();
        ContainerPaths {
            // Unique on the machine: cgroups are not below our directory.
            id: format!("{name}-{}", std::process::id()).parse().unwrap(),
            private: root.join("private").join(name),
            root: root.join("root").join(name),
            bundle: root.join("run").join(name),
        }
    }

    /// A tree with a busybox and a file `/etc/release` that says `release`.
    pub(super) fn tree(&self, release: &str) -> PathBuf {
        let tree = self.directory.path().join(format!("tree-{release}"));
        if tree.exists() {
            return tree;
        }
        for directory in [
            "bin", "etc", "proc", "sys", "dev", "run", "tmp", "root", "sbin", "var/lib",
        ] {
            fs::create_dir_all(tree.join(directory)).unwrap();
        }
        fs::copy("/bin/busybox", tree.join("bin/busybox"))
            .expect("the package busybox-static is installed");
        for applet in [
            "sh", "sleep", "cat", "id", "true", "kill", "chmod", "touch", "rm", "mkdir",
        ] {
            symlink("busybox", tree.join("bin").join(applet)).unwrap();
        }
        fs::write(tree.join("etc/release"), release).unwrap();
        fs::write(tree.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        tree
    }

    pub(super) fn spec(tree: PathBuf, generation: u64) -> StartSpec {
        StartSpec {
            tier: Tier::Directory,
            lower: Lower {
                digest: Digest::of(tree.as_os_str().as_encoded_bytes()),
                image: PathBuf::new(),
                objects: PathBuf::new(),
                stubs: None,
                materialized: Some(tree),
            },
            generation,
            shared: None,
        }
    }

    pub(super) fn config(paths: &ContainerPaths) -> Config {
        let users = UserNamespace::Private { first_id: 300_000 };
        Config::new(paths.id.clone(), 0, users)
    }

    pub(super) fn shell(&self, paths: &ContainerPaths, line: &str) -> u8 {
        let spec = ExecSpec {
            argv: ["sh", "-c", line].map(str::to_owned).to_vec(),
            ..ExecSpec::default()
        };
        exec(paths, &Self::config(paths), &spec, &self.runtime).unwrap()
    }

    /// Nothing of a container is left on the machine.
    pub(super) fn assert_clean(&self, paths: &ContainerPaths) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = self.directory.path().to_str().unwrap();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(root)).collect();
        assert!(left.is_empty(), "{left:?}");
        for line in mounts.lines().filter(|line| line.contains(" - cgroup")) {
            let mount_point = line.split(' ').nth(4).unwrap();
            let group = Path::new(mount_point).join("vzpkg").join(paths.id.as_str());
            assert!(!group.exists(), "{}", group.display());
        }
        assert!(!paths.bundle.exists());
        assert_eq!(self.runtime.state(&paths.id).unwrap(), None);
    }
}

const GENTLE: StopMode = StopMode::Gentle(Duration::from_secs(10));

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_container_lives_and_leaves_nothing() {
    let node = Node::new();
    let paths = node.paths("life");
    let config = Node::config(&paths);
    create(&paths, &config, &[]).unwrap();
    let spec = Node::spec(node.tree("1"), 1);
    let pid = start(&paths, &config, &spec, &node.runtime).unwrap();
    let now = state(&paths, &node.runtime).unwrap();
    assert_eq!((now.state, now.pid), (RunState::Running, Some(pid)));
    assert!(matches!(
        start(&paths, &config, &spec, &node.runtime),
        Err(ContainerError::Running(_))
    ));
    // Root inside is nobody in particular outside.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t300000\t"), "{status}");
    assert_eq!(
        node.shell(&paths, "test $(id -u) = 0 && test -s /etc/machine-id"),
        0
    );
    assert_eq!(node.shell(&paths, "exit 42"), 42);
    assert_eq!(node.shell(&paths, "kill -9 $$"), 137);
    assert_eq!(
        node.shell(&paths, "echo x > /etc/mine; touch /tmp/t /run/r"),
        0
    );
    // The upper holds ids as the container sees them.
    assert_eq!(
        fs::metadata(paths.upper().join("etc/mine")).unwrap().uid(),
        0
    );
    assert!(!paths.upper().join("tmp").exists());
    stop(&paths, GENTLE, &node.runtime).unwrap();
    assert_eq!(
        state(&paths, &node.runtime).unwrap().state,
        RunState::Stopped
    );
    node.assert_clean(&paths);
    stop(&paths, GENTLE, &node.runtime).unwrap();
    destroy(&paths, &node.runtime).unwrap();
    assert!(!paths.private.exists() && !paths.root.exists());
    assert!(matches!(
        destroy(&paths, &node.runtime),
        Err(ContainerError::Unknown(_))
    ));
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_exec_tells_a_missing_command_from_one_that_cannot_run() {
    let node = Node::new();
    let paths = node.paths("exec");
    let config = Node::config(&paths);
    create(&paths, &config, &[]).unwrap();
    let run = |command: &str| {
        let spec = ExecSpec {
            argv: vec![command.to_owned()],
            ..ExecSpec::default()
        };
        exec(&paths, &config, &spec, &node.runtime)
    };
    assert!(matches!(run("true"), Err(ContainerError::NotRunning(_))));
    start(
        &paths,
        &config,
        &Node::spec(node.tree("1"), 1),
        &node.runtime,
    )
    .unwrap();
    for (command, code) in [
        ("no-such", exec::code::NOT_FOUND),
        ("", exec::code::NOT_FOUND),
        ("/etc", exec::code::NOT_FOUND),
        ("/etc/release", exec::code::NOT_EXECUTABLE),
        // A link that leads out of the container leads back into it.
        ("../../../../../../no-such", exec::code::NOT_FOUND),
    ] {
        assert_eq!(
            exec::exit_code(&run(command).unwrap_err()),
            code,
            "{command}"
        );
    }
    assert_eq!(run("true").unwrap(), 0);
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_start_that_was_cut_short_is_cleared_by_the_next() {
    let node = Node::new();
    let paths = node.paths("cut");
    let config = Node::config(&paths);
    create(&paths, &config, &[]).unwrap();
    let spec = Node::spec(node.tree("1"), 1);
    start(&paths, &config, &spec, &node.runtime).unwrap();
    // Killed from outside, as by a crash: the runtime's state, bundle and cgroups stay.
    node.runtime.kill(&paths.id, libc::SIGKILL, false).unwrap();
    while state(&paths, &node.runtime).unwrap().state != RunState::Stopped {
        std::thread::yield_now();
    }
    // A stale mount in the host's namespace, as between mounting and handing over.
    crate::rootfs::mount(
        &crate::rootfs::MountSpec::new(Tier::Directory, spec.lower.clone()),
        &paths.root,
    )
    .unwrap();
    start(&paths, &config, &spec, &node.runtime).unwrap();
    assert_eq!(node.shell(&paths, "cat /etc/release"), 0);
    // As after `create` without `start`.
    stop(&paths, StopMode::Kill, &node.runtime).unwrap();
    node.assert_clean(&paths);
    destroy(&paths, &node.runtime).unwrap();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_start_that_fails_leaves_nothing_mounted() {
    let node = Node::new();
    let paths = node.paths("fails");
    let mut config = Node::config(&paths);
    create(&paths, &config, &[]).unwrap();
    let spec = Node::spec(node.tree("1"), 1);
    config.init = vec!["/no/such/init".to_owned()];
    let error = start(&paths, &config, &spec, &node.runtime).unwrap_err();
    assert!(matches!(error, ContainerError::Oci(_)), "{error}");
    assert!(error.to_string().contains("/no/such/init"), "{error}");
    node.assert_clean(&paths);
    destroy(&paths, &node.runtime).unwrap();
}
