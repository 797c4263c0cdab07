//! A running container between two versions, in any tier, with the journal of a relink in memory.

use crate::fixture::{Content, Version, content, helper, path};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vzpkg_metadata::tree::Node;
use vzpkg_metadata::{ContainerId, RelPath, Timestamp};
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::container::live::{self, LiveTarget, Moved, Watch};
use vzpkg_runtime::container::objects::NoObjects;
use vzpkg_runtime::container::{
    self, Config, ContainerPaths, ExecSpec, Intent, JournalError, Link, LinkJournal, RelinkError,
    RelinkPlan, RelinkTools, RootDirectory, StartSpec, UpperDir, UserNamespace,
};
use vzpkg_runtime::oci::{OciRuntime as _, RuntimeBinary};
use vzpkg_runtime::rootfs::Tier;

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// How often what a busy machine may refuse is tried again.
pub(super) const RETRIES: usize = 5;

/// How long is waited for what ought to happen.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until something holds.
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether it was left as it was because its processes did not stand still in time: those of a busy machine may not.
fn did_not_stand_still(relinked: &Result<Moved, RelinkError>) -> bool {
    let Err(RelinkError::Refused { why, .. }) = relinked else {
        return false;
    };
    why.contains("did not stand still")
}

/// One row of a database.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) link: RefCell<Link>,
    pub(super) intent: RefCell<Option<Intent>>,
}

impl LinkJournal for Journal {
    fn link(&self, _: &ContainerId) -> Result<Link, JournalError> {
        Ok(*self.link.borrow())
    }

    fn intent(&self, _: &ContainerId) -> Result<Option<Intent>, JournalError> {
        Ok(self.intent.borrow().clone())
    }

    fn begin_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError> {
        for &(_, intent) in intents {
            assert!(self.intent.replace(Some(intent.clone())).is_none());
        }
        Ok(())
    }

    fn finish_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError> {
        for (_, intent) in intents {
            self.link.replace(intent.to);
            self.intent.replace(None);
        }
        Ok(())
    }

    fn abandon(&self, _: &ContainerId, _: &Intent) -> Result<(), JournalError> {
        self.intent.replace(None);
        Ok(())
    }
}

/// The container, and everything it needs.
pub(super) struct Scene {
    directory: TempDir,
    versions: [Version; 2],
    tier: Tier,
    pub(super) paths: ContainerPaths,
    pub(super) config: Config,
    pub(super) runtime: RuntimeBinary,
    pub(super) journal: Journal,
    pub(super) helper: HelperCommand,
}

/// A tree with a busybox; `/etc/release` says `edition`.
fn system(edition: &str) -> Content {
    let mut content = content(edition);
    for directory in [
        "root",
        "var",
        "var/log",
        "var/tmp",
        "sbin",
        "lib",
        "data",
        "lib64",
        "usr/local",
    ] {
        content.directory(directory, 0o755);
    }
    let busybox = fs::read("/bin/busybox").expect("the package busybox-static is installed");
    content.file("usr/bin/busybox", 0o755, &busybox);
    // The one program that locks, for busybox has none.
    for (at, host) in [
        ("usr/bin/flock", "/usr/bin/flock"),
        ("lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2"),
        ("lib/libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"),
    ] {
        let bytes = fs::read(host).expect("util-linux and libc are installed");
        content.file(at, 0o755, &bytes);
    }
    let time = Timestamp::from_seconds(1_500_000_000);
    for applet in [
        "sh", "sleep", "cat", "id", "true", "kill", "chmod", "touch", "rm", "mkdir", "mount", "ls",
        "mkfifo", "chroot", "unshare", "umount", "test", "readlink", "ln", "syslogd",
    ] {
        let name = format!("usr/bin/{applet}");
        content
            .tree
            .insert(path(&name), Node::symlink("busybox", time));
    }
    // Called systemd, it is given what systemd is given: the right to mount.
    content.file(
        "lib/systemd",
        0o755,
        b"#!/bin/sh\n. /etc/boot\nwhile :; do sleep 86400 & wait $!; done\n",
    );
    let link = Node::symlink("/lib/systemd", time);
    content.tree.insert(path("sbin/init"), link);
    content.file("etc/boot", 0o644, b"");
    content.file("etc/release", 0o644, edition.as_bytes());
    content.file("etc/passwd", 0o644, b"root:x:0:0::/root:/bin/sh\n");
    content
}

impl Scene {
    /// A container on version `A`, stopped.
    pub(super) fn new(tier: Tier, boot: &str) -> Self {
        let directory = crate::fixture::scratch();
        // Process 1 of a user namespace walks through here.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let versions = ["A", "B"].map(|edition| Version::new(&system(edition)));
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let id = format!("live-{}-{serial}", std::process::id());
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("private")).unwrap();
        let paths = ContainerPaths {
            id: id.parse().unwrap(),
            private: at("private").join(&id),
            root: at("root"),
            bundle: at("bundle"),
        };
        let runtime = RuntimeBinary::find(None, &at("oci"), directory.path()).unwrap();
        let users = UserNamespace::Private { first_id: 500_000 };
        let config = Config::new(paths.id.clone(), 0, users);
        let root = RootDirectory {
            mode: 0o755,
            uid: 0,
            gid: 0,
        };
        container::create(&paths, &config, &root, &[]).unwrap();
        fs::create_dir_all(paths.upper().join("etc")).unwrap();
        fs::write(paths.upper().join("etc/boot"), boot).unwrap();
        let journal = Journal {
            link: RefCell::new(Link {
                tree: versions[0].lower.digest,
                generation: 1,
            }),
            intent: RefCell::new(None),
        };
        Self {
            directory,
            versions,
            tier,
            paths,
            config,
            runtime,
            journal,
            helper: helper(),
        }
    }

    /// A running container whose init runs these shell lines first.
    pub(super) fn running(tier: Tier, boot: &str) -> Self {
        let scene = Self::new(tier, boot);
        scene.start();
        scene
    }

    pub(super) fn version(&self, index: usize) -> StartSpec {
        StartSpec {
            tier: self.tier,
            lower: self.versions[index].lower.clone(),
            generation: self.journal.link.borrow().generation,
            shared: None,
        }
    }

    /// Which of the two versions the link names.
    pub(super) fn linked(&self) -> usize {
        let tree = self.journal.link.borrow().tree;
        let mut versions = self.versions.iter();
        versions
            .position(|version| version.lower.digest == tree)
            .unwrap()
    }

    pub(super) fn start(&self) {
        let spec = self.version(self.linked());
        container::start(&self.paths, &self.config, &spec, &self.runtime).unwrap();
    }

    /// The host's number of process 1.
    pub(super) fn init(&self) -> u32 {
        let now = container::state(&self.paths, &self.runtime).unwrap();
        now.pid.unwrap()
    }

    pub(super) fn shell(&self, line: &str) -> u8 {
        let spec = ExecSpec {
            argv: ["sh", "-c", line].map(str::to_owned).to_vec(),
            ..ExecSpec::default()
        };
        container::exec(&self.paths, &self.config, &spec, &self.runtime).unwrap()
    }

    /// A file as process 1 sees it.
    pub(super) fn inside(&self, path: &str) -> std::io::Result<String> {
        fs::read_to_string(format!("/proc/{}/root/{path}", self.init()))
    }

    /// Waits until a file in the container is there: its processes say so that they are ready.
    pub(super) fn wait_for(&self, path: &str) {
        wait_until(path, || self.inside(path).is_ok());
    }

    /// The paths in which the two versions differ.
    pub(super) fn differing() -> BTreeSet<RelPath> {
        [path("etc/release"), path("etc/conf")].into()
    }

    pub(super) fn tools(&self) -> RelinkTools<'_> {
        RelinkTools {
            objects: &NoObjects,
            journal: &self.journal,
        }
    }

    /// What a relink to `version` works with.
    pub(super) fn target<'a>(&'a self, version: &'a StartSpec) -> LiveTarget<'a> {
        LiveTarget {
            paths: &self.paths,
            config: &self.config,
            version,
            helper: &self.helper,
            runtime: &self.runtime,
        }
    }

    pub(super) fn relink(&self, to: usize) -> Result<Moved, RelinkError> {
        self.relink_with(to, &RelinkPlan::default(), |_| {})
    }

    /// Relinks with a plan; `meanwhile` runs between the plan and its execution. Again where its processes did not stand
    /// still in time, for nothing was changed then.
    pub(super) fn relink_with(
        &self,
        to: usize,
        plan: &RelinkPlan,
        meanwhile: impl Fn(&Self),
    ) -> Result<Moved, RelinkError> {
        let mut relinked = self.relink_once(to, plan, &meanwhile);
        for _ in 0..RETRIES {
            if !did_not_stand_still(&relinked) {
                break;
            }
            relinked = self.relink_once(to, plan, &meanwhile);
        }
        relinked
    }

    fn relink_once(
        &self,
        to: usize,
        plan: &RelinkPlan,
        meanwhile: impl Fn(&Self),
    ) -> Result<Moved, RelinkError> {
        let upper = UpperDir::open(&self.paths.upper()).unwrap();
        let watch = Watch::new(&upper, &Self::differing()).unwrap();
        meanwhile(self);
        let mut version = self.version(to);
        version.generation += 1;
        let from = *self.journal.link.borrow();
        live::relink_running(
            &self.target(&version),
            from,
            version.lower.digest,
            plan,
            watch,
            &self.tools(),
        )
    }

    /// What the next command does first.
    pub(super) fn recover(&self) -> container::Recovered {
        let unfinished = live::unfinished(&self.paths.id, &self.tools()).unwrap();
        let Some((tree, generation)) = unfinished else {
            return container::Recovered::Nothing;
        };
        let mut versions = self.versions.iter();
        let index = versions.position(|version| version.lower.digest == tree);
        let mut version = self.version(index.unwrap());
        version.generation = generation;
        live::recover_live(&self.target(&version), &self.tools()).unwrap()
    }

    /// Whether its processes stand still, in either kind of hierarchy.
    pub(super) fn is_frozen(&self) -> bool {
        let groups = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = groups
            .lines()
            .filter(|line| line.contains(" - cgroup"))
            .map(|line| PathBuf::from(line.split(' ').nth(4).unwrap()));
        points
            .map(|point| point.join(self.paths.cgroup().strip_prefix("/").unwrap()))
            .any(|group| {
                let says = |name: &str, moving: &str| {
                    fs::read_to_string(group.join(name)).is_ok_and(|text| text.trim() != moving)
                };
                says("cgroup.freeze", "0") || says("freezer.state", "THAWED")
            })
    }

    /// The mounts of process 1: `point source`.
    pub(super) fn mounts(&self) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{}/mountinfo", self.init())).unwrap();
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                let dash = fields.iter().position(|field| *field == "-").unwrap();
                format!("{} {} {}", fields[4], fields[5], fields[dash + 1])
            })
            .collect();
        lines.sort();
        lines
    }

    /// Where a private file lies on the host.
    pub(super) fn host_path(&self, path: &str) -> PathBuf {
        self.paths.upper().join(path)
    }

    /// Nothing of the container is left on the machine.
    pub(super) fn assert_clean(&self) {
        let left = crate::fixture::mounts_below(self.directory.path());
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.runtime.state(&self.paths.id).unwrap(), None);
        assert!(!Path::new(&self.paths.bundle).exists());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // A scene that failed half way must not leave a frozen container.
        if self.paths.private.exists() {
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(
                || self.recover(),
            )));
            drop(container::destroy(&self.paths, &self.runtime));
        }
    }
}
