//! What root in a container may try: to change the version that others share, to read the store, to reach another
//! container or the host. Its process 1 is what systemd would be, with the capabilities that systemd gets, which are the
//! most a container has. Each attempt is made with the means of a shell, and what must not have changed is looked at
//! from outside.

use super::in_every_tier;
use super::node::{Node, ROOT};
use crate::container::config::Bind;
use crate::container::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use vzpkg_metadata::{Digest, RelPath};

in_every_tier!(
    privileged_no_write_to_a_shared_file_changes_the_version,
    privileged_the_store_and_other_containers_are_out_of_sight,
    privileged_the_host_s_settings_cannot_be_written,
    privileged_no_device_can_be_opened,
    privileged_mounts_and_namespaces_of_a_container_stay_inside,
    privileged_the_cgroups_of_the_host_are_out_of_reach,
);

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Where `/sbin/init` leads in a version with systemd. It is a shell here.
const SYSTEMD: &str = "lib/systemd/systemd";

/// Stands in for systemd: as process 1 it reaps and waits.
const INIT: &str = "#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do sleep 86400 & wait $!; done\n";

/// A running container whose process 1 has all that a container can have.
fn running(node: &Node, name: &str, first_id: u32) -> ContainerPaths {
    running_with(node, name, first_id, Vec::new())
}

/// As [`running`], with something of the host inside.
pub(super) fn running_with(
    node: &Node,
    name: &str,
    first_id: u32,
    binds: Vec<Bind>,
) -> ContainerPaths {
    let paths = node.paths(name);
    let users = UserNamespace::Private { first_id };
    let config = Config {
        binds,
        ..Config::new(paths.id.clone(), 0, users)
    };
    let file = |path: &str, mode, content: &str| NodeFile {
        path: path.parse::<RelPath>().unwrap(),
        mode,
        content: content.as_bytes().to_vec(),
    };
    let files = [
        file(SYSTEMD, 0o755, INIT),
        file("root/secret", 0o600, "of the other one\n"),
    ];
    create(&paths, &config, &ROOT, &files).unwrap();
    let sbin = paths.upper().join("sbin");
    fs::create_dir(&sbin).unwrap();
    std::os::unix::fs::symlink("/lib/systemd/systemd", sbin.join("init")).unwrap();
    start(&paths, &config, &node.spec("1", 1), &node.runtime).unwrap();
    paths
}

/// What a shell line leaves in a file of the container, whatever its exit code.
pub(super) fn says(node: &Node, paths: &ContainerPaths, line: &str) -> String {
    // A new name each time: an overlay does not see what is removed below it.
    let name = format!("said-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
    let said = paths.upper().join("root").join(&name);
    let script = format!("exec >/root/{name} 2>/dev/null </dev/null; {line}\ntrue");
    assert_eq!(node.shell(paths, &script), 0);
    fs::read_to_string(said).unwrap()
}

/// Every file below a directory: content, mode, owner, times, attributes.
pub(super) fn snapshot(directory: &Path) -> BTreeMap<std::path::PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_file() {
                Digest::of(&fs::read(&path).unwrap()).to_string()
            } else {
                String::new()
            };
            let what = format!(
                "{content} {:o} {}:{} {}.{} {}",
                metadata.permissions().mode(),
                metadata.uid(),
                metadata.gid(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                attributes(&path, &metadata)
            );
            if metadata.is_dir() {
                waiting.push(path.clone());
            }
            found.insert(path, what);
        }
    }
    found
}

/// The names of the extended attributes of a file, and the flags of its inode.
fn attributes(path: &Path, metadata: &fs::Metadata) -> String {
    let mut names = [0_u8; 4096];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap();
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    // Links have none, and devices of the version would be opened.
    let flags = metadata.is_file().then(|| {
        let file = fs::File::open(path).unwrap();
        rustix::fs::ioctl_getflags(file).map_or(0, |flags| flags.bits())
    });
    format!("{names:?} {flags:?}")
}

fn privileged_no_write_to_a_shared_file_changes_the_version(node: &Node) {
    // Laid out before it is looked at.
    let version = node.version("1");
    let directory = version.image.parent().unwrap().to_owned();
    let before = snapshot(&directory);
    let ways = [
        "echo more >> $f",
        "echo other > $f",
        ": > $f",
        "busybox truncate -s 1 $f",
        "busybox dd if=/dev/zero of=$f bs=1 count=1 conv=notrunc",
        "chmod 7777 $f",
        "busybox chown 5:5 $f",
        "touch -d 2001-01-01 $f",
        "rm $f",
        "busybox mv $f /etc/moved",
        "ln $f /etc/second; echo x > /etc/second",
        "ln -s $f /etc/link; echo x > /etc/link",
        "busybox cp /bin/busybox $f",
        "busybox chattr +i $f",
        "busybox sed -i s/version/other/ $f",
        "rm $f; mkdir $f",
    ];
    for (number, way) in ways.iter().enumerate() {
        let paths = running(node, &format!("writes{number}"), 300_000);
        for file in ["/etc/changed", "/etc/release", "/bin/busybox"] {
            // What it does to itself is its own affair.
            _ = node.shell(&paths, &format!("f={file}; {way}"));
            if file != "/bin/busybox" {
                assert_eq!(snapshot(&directory), before, "{way} on {file}");
            }
        }
        destroy(&paths, &node.runtime).unwrap();
        assert_eq!(snapshot(&directory), before, "{way}");
    }
    // Another container sees the version as it is.
    let other = running(node, "reads", 400_000);
    assert_eq!(says(node, &other, "cat /etc/changed"), "of the version\n");
}

fn privileged_the_store_and_other_containers_are_out_of_sight(node: &Node) {
    let other = running(node, "victim", 400_000);
    let paths = running(node, "attacker", 300_000);
    let host = node.path().display();
    let victim = state(&other, &node.runtime).unwrap().pid.unwrap();
    let script = format!(
        "for at in {host} /proc/1/root{host} /proc/1/cwd/..{host} /proc/self/root/../..{host}; do
            test -e $at && echo sees $at; done
        for process in /proc/[0-9]*; do
            case $(cat $process/cgroup 2>/dev/null) in *victim*) echo sees $process; esac; done
        test -e /proc/{victim}/root/root/secret && cat /proc/{victim}/root/root/secret
        kill -0 {victim} && echo signals; kill -9 {victim} && echo kills
        for fd in /proc/1/fd/*; do busybox readlink $fd; done | while read at; do
            case $at in /dev/null|/lib/systemd/systemd|pipe:*|socket:*|anon_inode:*|*/console.log) ;; *) echo open $at; esac; done
        (echo x > /proc/1/fd/1) && echo reopened; echo tried"
    );
    assert_eq!(says(node, &paths, &script), "tried\n");
    assert_eq!(
        node.shell(&other, "test \"$(cat /root/secret)\" = 'of the other one'"),
        0
    );
    // What one of them makes belongs to nobody that the other, or the host, knows by that number.
    assert_eq!(
        node.shell(
            &paths,
            "busybox chown 0:0 /root/secret; chmod 4755 /root/secret"
        ),
        0
    );
    let status = fs::read_to_string(format!("/proc/{victim}/status")).unwrap();
    assert!(status.contains("Uid:\t400000\t"), "{status}");
    let private = paths.private.parent().unwrap().join("..");
    assert_eq!(fs::metadata(private).unwrap().uid(), 0);
}

fn privileged_the_host_s_settings_cannot_be_written(node: &Node) {
    const SETTINGS: [&str; 6] = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/panic",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/fs/suid_dumpable",
        "/proc/sys/kernel/randomize_va_space",
    ];
    let read = || SETTINGS.map(|path| fs::read_to_string(path).unwrap_or_default());
    let hostname = || fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let before = (read(), hostname());
    let paths = running(node, "settings", 300_000);
    // With the read-only covers taken off as far as it can.
    let script = format!(
        "for way in plain uncovered; do
            for file in {} /proc/sysrq-trigger /proc/sys/vm/drop_caches /sys/kernel/uevent_helper \
                /sys/power/state /proc/bus/pci/00/00.0 /sys/kernel/mm/ksm/run; do
                test -e $file && (echo 1 > $file) && echo wrote $file
            done
            for at in /proc/sys /proc/sysrq-trigger /proc/irq /proc/bus /proc/fs /proc/kcore /proc/keys /sys/firmware; do
                busybox umount $at; busybox mount -o remount,rw,bind $at; done
            busybox mount -o remount,rw /sys; busybox mount -t sysfs sysfs /tmp; busybox mount -t proc proc /tmp
        done
        busybox head -c 1 /proc/kcore | busybox wc -c | busybox grep -v '^0$'
        test -s /proc/kcore && busybox head -c 1 /proc/kcore >/dev/null && echo kcore
        busybox dmesg | busybox head -c 1; busybox sysctl -w kernel.core_pattern='|/x' >/dev/null && echo sysctl
        busybox date -s 2001-01-01 >/dev/null; test $(busybox date +%Y) = 2001 && echo clock; busybox insmod /etc/release && echo module
        busybox swapoff /dev/null && echo swap; echo tried",
        SETTINGS.join(" ")
    );
    assert_eq!(says(node, &paths, &script), "tried\n");
    assert_eq!((read(), hostname()), before);
    // Its own host name is its own.
    assert_eq!(
        says(node, &paths, "busybox hostname mine; busybox hostname"),
        "mine\n"
    );
    assert_eq!(hostname(), before.1);
}

fn privileged_no_device_can_be_opened(node: &Node) {
    let paths = running(node, "devices", 300_000);
    // The first disks of most machines, the kernel's memory, and one that would do no harm; wherever one can be made.
    let script = "for at in /tmp /run /dev /dev/shm /root /etc; do
            busybox mknod $at/disk b 254 0; busybox mknod $at/sda b 8 0; busybox mknod $at/mem c 1 1
            busybox mknod $at/kmsg c 1 11; busybox mknod $at/fuse c 10 229; busybox mknod $at/null c 1 3
            for name in disk sda mem kmsg fuse; do
                test -e $at/$name && busybox head -c 1 $at/$name >/dev/null && echo opened $at/$name
            done
        done
        busybox unshare -Ur busybox mknod /tmp/inner b 254 0 && echo inner
        echo fine > /dev/null && busybox head -c 2 /dev/zero | busybox wc -c";
    assert_eq!(says(node, &paths, script), "2\n");
}

fn privileged_mounts_and_namespaces_of_a_container_stay_inside(node: &Node) {
    let mounts = || {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        table
            .lines()
            .filter(|line| line.contains("iso-mark"))
            .count()
    };
    let paths = running(node, "mounts", 300_000);
    let host = node.path().display();
    let script = format!(
        "mkdir -p /tmp/m /tmp/u /tmp/w /tmp/l
        busybox mount -t tmpfs iso-mark /tmp/m && echo own
        busybox mount -o remount,dev,suid /tmp && busybox mknod /tmp/x b 254 0 && echo device
        busybox mount -t ext4 /dev/vda /tmp/l && echo disk
        busybox mount -t erofs /etc/release /tmp/l && echo image
        busybox mount -t debugfs none /tmp/l && echo debugfs
        busybox mount -t securityfs none /tmp/l && echo securityfs
        busybox mount -t bpf none /tmp/l && ls /tmp/l/maps >/dev/null && echo bpf
        busybox nsenter -t 1 -m -- test -e {host} && echo entered
        busybox unshare -Ur id -u
        busybox unshare -Urm busybox mount --make-rshared / && echo shared
        busybox unshare -Urm busybox mount -o remount,rw /sys/fs && echo writable
        busybox pivot_root / /tmp && echo pivoted
        busybox chroot /proc/1/root test -e {host} && echo out
        echo tried"
    );
    assert_eq!(says(node, &paths, &script), "own\n0\nshared\ntried\n");
    assert_eq!(mounts(), 0, "a mount of a container shows on the host");
    // An id of the host is none of the container's: a map of one is refused.
    let maps = "busybox unshare -U sh -c 'echo 0 0 1 > /proc/self/uid_map && id -u'; echo tried";
    let said = says(node, &paths, maps);
    assert!(said == "tried\n" || said == "0\ntried\n", "{said}");
    let other = running(node, "beside", 400_000);
    assert_eq!(says(node, &other, "test -e /tmp/m || echo none"), "none\n");
}

fn privileged_the_cgroups_of_the_host_are_out_of_reach(node: &Node) {
    let agents = || -> Vec<String> {
        let hierarchies = super::dead_runs::hierarchies();
        let read = |path: &Path| fs::read_to_string(path.join("release_agent")).ok();
        hierarchies.iter().filter_map(|path| read(path)).collect()
    };
    let before = agents();
    let other = running(node, "neighbour", 400_000);
    let paths = running(node, "groups", 300_000);
    let script = "mkdir -p /tmp/g
        for kind in memory pids devices freezer cpu rdma; do
            busybox mount -t cgroup -o $kind cgroup /tmp/g && {
                for agent in /tmp/g/release_agent /tmp/g/../release_agent; do
                    test -e $agent && (echo /x > $agent) && echo agent $kind; done
                test -e /tmp/g/vzpkg && echo outer $kind
                (echo a > /tmp/g/devices.allow) && echo devices
                (echo 1 > /tmp/g/memory.limit_in_bytes) && echo limit
                (echo max > /tmp/g/pids.max) && echo pids
                busybox umount /tmp/g; }
        done
        busybox mount -t cgroup2 none /tmp/g && test -e /tmp/g/vzpkg && echo outer
        for file in /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/*/*/release_agent; do
            test -e $file && (echo /x > $file) && echo agent $file; done
        for file in /sys/fs/cgroup/devices/devices.allow /sys/fs/cgroup/memory/memory.limit_in_bytes \
            /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; do
            test -e $file && (echo 7 > $file) && echo wrote $file; done
        for group in /sys/fs/cgroup/*/../vzpkg /sys/fs/cgroup/*/vzpkg /sys/fs/cgroup/vzpkg; do
            test -e $group && echo sees $group; done
        echo tried";
    assert_eq!(says(node, &paths, script), "tried\n");
    assert_eq!(agents(), before);
    assert_eq!(
        state(&other, &node.runtime).unwrap().state,
        RunState::Running
    );
}
