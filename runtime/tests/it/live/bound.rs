//! What ties a process to its version: each bond on real processes, and that a tied container stays as it is.

use super::scene::Scene;
use vzpkg_runtime::container::RelinkError;
use vzpkg_runtime::container::live::{Bond, Process};
use vzpkg_runtime::rootfs::Tier;

/// The bonds of a container whose init runs these lines; it must be refused, and unchanged.
fn bonds(boot: &str) -> Vec<Process> {
    let scene = Scene::running(Tier::Image, &format!("{boot}\ntouch /run/ready"));
    scene.wait_for("run/ready");
    let refused = scene.relink(1).unwrap_err();
    assert!(
        matches!(refused, RelinkError::Bound { .. }),
        "{boot}: {refused:?}"
    );
    let processes = match refused {
        RelinkError::Bound { processes, .. } => processes,
        _ => Vec::new(),
    };
    assert!(!scene.is_frozen());
    assert!(scene.journal.intent.borrow().is_none());
    assert_eq!(scene.inside("etc/release").unwrap(), "A");
    assert_eq!(scene.linked(), 0);
    processes
}

fn only(boot: &str) -> Bond {
    let mut processes = bonds(boot);
    assert_eq!(processes.len(), 1, "{processes:?}");
    let mut process = processes.remove(0);
    assert!(process.inner > 1 && !process.name.is_empty());
    assert_eq!(process.bonds.len(), 1, "{process:?}");
    process.bonds.remove(0)
}

/// RUNTIME-RECIPES: names that a process makes or removes through the old overlay are wrong in the new one, and what is
/// written to them is lost. Whoever could do that ties the container.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_whoever_could_change_names_in_the_old_overlay_ties_it() {
    // Directories: by being in one, by having one open, by having it as root.
    assert_eq!(
        only(
            "(cd /var/log; exec sleep 1000) &\nwhile test \"$(readlink /proc/$!/cwd)\" != /var/log; do :; done"
        ),
        Bond::WorkingDirectory("/var/log".into())
    );
    assert_eq!(
        only("(exec 5</var/log; exec sleep 1000) &\nwhile ! test -e /proc/$!/fd/5; do :; done"),
        Bond::Directory("/var/log".into())
    );
    let [process] = &bonds(
        "mkdir -p /var/cell/bin; cat /bin/busybox > /var/cell/bin/busybox; chmod 755 /var/cell/bin/busybox; \
         chroot /var/cell /bin/busybox sleep 1000 &\nwhile test \"$(readlink /proc/$!/root)\" != /var/cell; do :; done",
    )[..] else {
        panic!("one process is tied");
    };
    let cell = "/var/cell".to_owned();
    assert_eq!(
        process.bonds,
        [Bond::WorkingDirectory(cell.clone()), Bond::Root(cell)]
    );
}

/// RUNTIME-RECIPES: locks are granted twice, sockets refuse, FIFOs hang across two overlays.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_locks_fifos_and_sockets_tie_unless_they_lie_in_a_submount() {
    assert_eq!(
        only(
            "(exec 5>/var/lock-me; flock 5; touch /run/locked; exec sleep 1000) &\nwhile ! test -e /run/locked; do :; done"
        ),
        Bond::Lock("/var/lock-me".into())
    );
    assert_eq!(
        only(
            "mkfifo /var/pipe; (exec 5<>/var/pipe; exec sleep 1000) &\nwhile ! test -e /proc/$!/fd/5; do :; done"
        ),
        Bond::Fifo("/var/pipe".into())
    );
    assert_eq!(
        only("ln -s /var/socket /dev/log; syslogd -n & while ! test -e /var/socket; do :; done"),
        Bond::Socket("/var/socket".into())
    );
    // The same in a tmpfs moves along with it.
    let scene = Scene::running(
        Tier::Image,
        "(cd /run; exec 5>/run/lock-me 6</tmp; flock 5; mkfifo /run/pipe; exec 7<>/run/pipe; touch /run/ready; exec sleep 1000) &",
    );
    scene.wait_for("run/ready");
    scene.relink(1).unwrap();
    assert_eq!(scene.shell("test \"$(cat /etc/release)\" = B"), 0);
    assert_eq!(
        scene.shell("exec 5>/run/lock-me; flock -n 5"),
        1,
        "it is locked still"
    );
}
