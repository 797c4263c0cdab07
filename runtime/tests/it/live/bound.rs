//! What ties a process to its version: each bond on real processes, and that a tied container stays as it is.

use super::scene::{Scene, wait_until};
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

/// The one bond of the one process that is tied: the job of these lines, once it is this program, for what prepares it
/// has for a moment open what it has open.
fn only(boot: &str, program: &str) -> Bond {
    let becomes =
        format!("until read -r name </proc/$!/comm && test \"$name\" = {program}; do :; done");
    let mut processes = bonds(&format!("{boot}\n{becomes}"));
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
            "(cd /var/log; exec sleep 1000) &\nwhile test \"$(readlink /proc/$!/cwd)\" != /var/log; do :; done",
            "sleep"
        ),
        Bond::WorkingDirectory("/var/log".into())
    );
    assert_eq!(
        only(
            "(exec 5</var/log; exec sleep 1000) &\nwhile ! test -e /proc/$!/fd/5; do :; done",
            "sleep"
        ),
        Bond::Directory("/var/log".into())
    );
    let [process] = &bonds(
        "mkdir -p /var/cell/bin; cat /bin/busybox > /var/cell/bin/busybox; chmod 755 /var/cell/bin/busybox; \
         chroot /var/cell /bin/busybox sleep 1000 &\nwhile test \"$(readlink /proc/$!/cwd)\" != /var/cell; do :; done",
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
fn privileged_locks_databases_fifos_and_sockets_tie() {
    assert_eq!(
        only(
            "(exec 5>/var/lock-me; flock 5; touch /run/locked; exec sleep 1000) &\nwhile ! test -e /run/locked; do :; done",
            "sleep"
        ),
        Bond::Lock("/var/lock-me".into())
    );
    // Not locked now, but who keeps a file so may lock it at any time.
    assert_eq!(
        only(
            "(exec 5<>/var/app.db; exec sleep 1000) &\nwhile ! test -e /proc/$!/fd/5; do :; done",
            "sleep"
        ),
        Bond::ReadWrite("/var/app.db".into())
    );
    assert_eq!(
        only(
            "mkfifo /var/pipe; (exec 5<>/var/pipe; exec sleep 1000) &\nwhile ! test -e /proc/$!/fd/5; do :; done",
            "sleep"
        ),
        Bond::Fifo("/var/pipe".into())
    );
    assert_eq!(
        only(
            "ln -s /var/socket /dev/log; syslogd -n & while ! test -e /var/socket; do :; done",
            "syslogd"
        ),
        Bond::Socket("/var/socket".into())
    );
}

/// Most services keep a log open, systemd a journal, and many a file that has no name any more: nobody locks these.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_logs_journals_and_files_without_a_name_do_not_tie() {
    let scene = Scene::running(
        Tier::Image,
        "mkdir -p /var/log/journal/1; (exec 5>>/var/log/app 6<>/var/log/journal/1/system.journal 7<>/var/gone 8</etc/passwd; \
         rm /var/gone; touch /run/ready; while :; do echo turn >&5; echo turn >&6; sleep 0.01; done) &",
    );
    scene.wait_for("run/ready");
    scene.relink(1).unwrap();
    assert_eq!(scene.inside("etc/release").unwrap(), "B");
    let length = |path: &str| scene.inside(path).unwrap().len();
    for path in ["var/log/app", "var/log/journal/1/system.journal"] {
        let before = length(path);
        wait_until(path, || length(path) > before);
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_locks_in_a_submount_move_along() {
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
