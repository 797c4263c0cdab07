//! What a container sees of the host besides its root file system: directories that are mounted into it, with whatever is
//! mounted below them, and its control groups.

use super::in_every_tier;
use super::isolation::{running_with, says};
use super::node::{Node, ROOT};
use crate::container::config::Bind;
use crate::container::*;
use crate::rootfs;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

in_every_tier!(
    privileged_what_lies_below_a_mount_is_as_closed_as_its_top,
    privileged_the_host_s_root_cannot_lift_its_limits_where_there_is_no_systemd,
    privileged_a_user_database_that_is_no_file_holds_nobody_up,
);

/// A file system of its own on a directory of the host, for as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn on(directory: PathBuf) -> Self {
        fs::create_dir_all(&directory).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "none"]).arg(&directory);
        assert!(mount.status().unwrap().success());
        Self(directory)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(rootfs::unmount(&self.0));
    }
}

/// Everybody may write there, but for how it is mounted.
fn open_to_all(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
}

fn privileged_what_lies_below_a_mount_is_as_closed_as_its_top(node: &Node) {
    let shared = node.path().join("shared");
    let below = Mounted::on(shared.join("below"));
    fs::write(below.0.join("file"), "of the host\n").unwrap();
    open_to_all(&shared);
    open_to_all(&below.0);
    let bind = |target: &str, read_only| Bind {
        source: shared.clone(),
        target: target.into(),
        read_only,
    };
    let binds = vec![bind("/closed", true), bind("/open", false)];
    let paths = running_with(node, "below", 300_000, binds);
    let script = "cat /closed/below/file
        for at in /closed /closed/below /open /open/below; do
            (echo x > $at/made) && echo wrote to $at; rm -f $at/made
        done";
    let said = says(node, &paths, script);
    assert_eq!(said, "of the host\nwrote to /open\nwrote to /open/below\n");
    // The last of a place is the one that is seen.
    let pid = state(&paths, &node.runtime).unwrap().pid.unwrap();
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let options = |place: &str| -> Vec<String> {
        let mounts = mounts.lines().map(|line| line.split(' ').skip(4));
        let mut mounts = mounts.filter_map(|mut fields| Some((fields.next()?, fields.next()?)));
        let (_, options) = mounts.rfind(|(at, _)| *at == place).unwrap();
        options.split(',').map(str::to_owned).collect()
    };
    for place in ["/closed", "/closed/below", "/open", "/open/below"] {
        let options = options(place);
        let has = |word: &str| options.iter().any(|option| option == word);
        assert!(has("nosuid") && has("nodev"), "{place}: {options:?}");
        assert_eq!(has("ro"), place.starts_with("/closed"), "{options:?}");
    }
    destroy(&paths, &node.runtime).unwrap();
}

fn privileged_the_host_s_root_cannot_lift_its_limits_where_there_is_no_systemd(node: &Node) {
    let paths = node.paths("limited");
    let mut config = Config::new(paths.id.clone(), 0, UserNamespace::Host);
    config.limits.processes = Some(50);
    create(&paths, &config, &ROOT, &[]).unwrap();
    start(&paths, &config, &node.spec("1", 1), &node.runtime).unwrap();
    let script = "for file in /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max; do
            test -e $file && cat $file && (echo max > $file) && echo wrote
        done
        for group in /sys/fs/cgroup/pids /sys/fs/cgroup; do
            test -e $group/cgroup.procs && mkdir $group/more && echo made
        done";
    assert_eq!(says(node, &paths, script), "50\n");
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

fn privileged_a_user_database_that_is_no_file_holds_nobody_up(node: &Node) {
    for (name, other) in [
        ("fifo", "busybox mkfifo /etc/passwd"),
        ("messages", "ln -s /proc/kmsg /etc/passwd"),
        ("status", "ln -s /proc/self/status /etc/passwd"),
    ] {
        // Each time another container: the runtime itself reads the file before it runs a command.
        let paths = running_with(node, name, 300_000, Vec::new());
        let user = || {
            let found = processes(&paths, &node.runtime).unwrap();
            let init = found.into_iter().find(|process| process.pid == 1);
            init.unwrap().user
        };
        assert_eq!(user().as_deref(), Some("root"));
        assert_eq!(node.shell(&paths, &format!("rm /etc/passwd; {other}")), 0);
        assert_eq!(user(), None, "{other}");
        destroy(&paths, &node.runtime).unwrap();
    }
}
