//! Killed or refused at every system call that matters: the container moves again with all its mount namespaces on one
//! side, with the link; where it cannot, it stands still and says why.

use super::moves::{namespaces, points};
use super::scene::{RETRIES, Scene};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use vzpkg_metadata::Digest;
use vzpkg_metadata::tree::{Meta, Node, NodeKind};
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::container::live::recover_live;
use vzpkg_runtime::container::{
    ContainerError, Recovered, RelinkError, RelinkPlan, StopMode, UpperEdit, stop,
};
use vzpkg_runtime::rootfs::Tier;

/// What changes anything outside the helper.
const CALLS: [&str; 20] = [
    "write",
    "pwrite64",
    "fdatasync",
    "renameat",
    "unlinkat",
    "rmdir",
    "mkdir",
    "fsopen",
    "fsconfig",
    "fsmount",
    "setns",
    "chroot",
    "open_tree",
    "mount_setattr",
    "move_mount",
    "pivot_root",
    "umount2",
    "fchdir",
    "fspick",
    "sendto",
];

fn plan() -> RelinkPlan {
    let bytes = b"merged\n".to_vec();
    RelinkPlan {
        edits: vec![UpperEdit::Put {
            path: "etc/merged".parse().unwrap(),
            node: Node {
                meta: Meta {
                    mode: 0o644,
                    ..Meta::default()
                },
                kind: NodeKind::File {
                    digest: Digest::of(&bytes),
                    size: 7,
                },
            },
        }],
        blobs: [(Digest::of(&bytes), bytes)].into(),
        regenerate: Vec::new(),
    }
}

/// The helper under strace, which does this to the call of this name with this number and logs it. What strace says of
/// itself goes to `said`.
fn faulty(
    fault: &str,
    (call, number): (&str, usize),
    real: &HelperCommand,
    [log, said]: [&Path; 2],
) -> HelperCommand {
    let program = real.program.to_str().unwrap();
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:{fault}:when={number}");
    let [log, said] = [log, said].map(|path| path.to_str().unwrap());
    let shell = ["-c", "exec /usr/bin/strace \"$@\" 2>>\"$0\"", said];
    let words = ["-q", "-A", "-o", log, "-e", &trace, "-e", &inject, program];
    HelperCommand::new("/bin/sh", [&shell[..], &words].concat())
}

/// Services with mounts of their own, as systemd makes them: there are three namespaces to move.
const BOOT: &str = "unshare -m sh -c 'mount --bind /usr /usr; mount -o remount,bind,ro /usr; mount -t tmpfs none /usr/local; \
    mount --make-rshared /; touch /run/one; \
    exec sleep 100000' & \
    unshare -m sh -c 'mount -t tmpfs none /root; touch /run/two; exec sleep 100000' &";

fn running() -> Scene {
    let scene = Scene::running(Tier::Image, BOOT);
    scene.wait_for("run/one");
    scene.wait_for("run/two");
    assert_eq!(namespaces(&scene).len(), 3);
    scene
}

/// What the mount namespaces of the container show of the version: one edition, or the upper is being destroyed.
fn editions(scene: &Scene) -> BTreeSet<String> {
    let shown = |pid: u32| fs::read_to_string(format!("/proc/{pid}/root/etc/release")).unwrap();
    namespaces(scene).into_iter().map(shown).collect()
}

/// The mounts that each namespace shows.
fn all_points(scene: &Scene) -> Vec<Vec<String>> {
    let mut all: Vec<_> = namespaces(scene).into_iter().map(points).collect();
    all.sort();
    all
}

/// Whether a fault happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Happened,
    /// There was no such call.
    Absent,
    /// strace itself failed, which under load it rarely does: the helper went on without it.
    Unknown,
}

/// Relinks with a helper that this fault happens to; the command takes up what the helper left with another one, to which
/// it happens too. Returns what came of it and whether it happened.
fn relink_with_fault(
    scene: &mut Scene,
    to: usize,
    fault: &str,
    at: (&str, usize),
) -> (Result<(), RelinkError>, Fate) {
    let real = scene.helper.clone();
    let [log, said] =
        ["strace", "strace.said"].map(|name| scene.paths.private.with_file_name(name));
    for file in [&log, &said] {
        drop(fs::remove_file(file));
    }
    scene.helper = faulty(fault, at, &real, [&log, &said]);
    let relinked = scene.relink_with(to, &plan(), |_| {}).map(drop);
    scene.helper = real;
    let [log, said] = [log, said].map(|file| fs::read_to_string(file).unwrap());
    // strace may be ended before it says so; then the command has lost its helper.
    let lost = matches!(relinked, Err(RelinkError::Helper { .. }));
    let fate = if lost || log.contains("killed by SIGKILL") || log.contains("(INJECTED)") {
        Fate::Happened
    } else if said.contains("strace: ptrace(") {
        Fate::Unknown
    } else {
        Fate::Absent
    };
    (relinked, fate)
}

/// One relink to the other version that is cut short there, and the next command after it. Returns whether it happened
/// and what it was like.
fn cut_short(scene: &mut Scene, fault: &str, at: (&str, usize)) -> Cut {
    let before = scene.linked();
    let to = 1 - before;
    let (relinked, fate) = relink_with_fault(scene, to, fault, at);
    let between = editions(scene).len() > 1;
    // The rule of the room, also before anybody has looked after it.
    assert!(
        !between || scene.is_frozen(),
        "{at:?}: it moves, {relinked:?}"
    );
    let open = scene.journal.intent.borrow().is_some();
    let settled = match &relinked {
        Ok(()) => true,
        Err(error) => !matches!(
            error,
            RelinkError::Helper { .. } | RelinkError::Stuck { .. }
        ),
    };
    assert!(
        !settled || !open && !scene.is_frozen(),
        "{at:?}: {relinked:?}"
    );
    let recovered = scene.recover();
    assert!(!scene.is_frozen(), "{at:?}");
    assert!(scene.journal.intent.borrow().is_none(), "{at:?}");
    let now = scene.linked();
    match recovered {
        Recovered::Finished(_) => assert_eq!(now, to, "{at:?}"),
        Recovered::Undone(_) => assert_eq!(now, before, "{at:?}"),
        Recovered::Nothing => assert!(
            fate != Fate::Absent || relinked.is_ok(),
            "{at:?}: {relinked:?}"
        ),
    }
    let edition = ["A", "B"][now];
    assert_eq!(
        editions(scene),
        BTreeSet::from([edition.to_owned()]),
        "{at:?}"
    );
    let shell = format!("test $(cat /etc/release) = {edition}");
    assert_eq!(scene.shell(&shell), 0, "{at:?}");
    if now == to {
        assert_eq!(scene.inside("etc/merged").unwrap(), "merged\n", "{at:?}");
    }
    Cut {
        fate,
        between,
        arrived: now == to,
    }
}

/// A relink that was cut short, or was not.
struct Cut {
    fate: Fate,
    /// Whether it stood still with its namespaces on both versions.
    between: bool,
    /// Whether the other version was reached in the end.
    arrived: bool,
}

/// How often which was seen.
#[derive(Debug, Default)]
struct Cuts {
    finished: usize,
    undone: usize,
    between: usize,
}

/// Cuts a relink short at every call in turn.
fn everywhere(scene: &mut Scene, fault: &str, calls: &[&str]) -> Cuts {
    let (mounts, points) = (scene.mounts(), all_points(scene));
    let mut cuts = Cuts::default();
    for &call in calls {
        let (mut number, mut absent, mut unknown) = (1, 0, 0);
        // Looked for twice: strace may not have come to see it.
        while absent < 2 {
            let cut = cut_short(scene, fault, (call, number));
            assert_eq!(scene.mounts(), mounts, "{call} {number}");
            assert_eq!(all_points(scene), points, "{call} {number}");
            match cut.fate {
                Fate::Happened => {
                    (number, absent) = (number + 1, 0);
                    cuts.finished += usize::from(cut.arrived);
                    cuts.undone += usize::from(!cut.arrived);
                    cuts.between += usize::from(cut.between);
                }
                Fate::Absent => absent += 1,
                Fate::Unknown => unknown += 1,
            }
            assert!(number < 200, "the helper never ends");
            assert!(unknown < 20, "{call}: strace fails time and again");
        }
    }
    cuts
}

fn as_good_as_new(scene: &Scene) {
    let to = 1 - scene.linked();
    scene.relink(to).unwrap();
    assert_eq!(editions(scene), BTreeSet::from([["A", "B"][to].to_owned()]));
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_helper_killed_at_any_call_leaves_one_side_and_nothing_frozen() {
    let mut scene = running();
    let cuts = everywhere(&mut scene, "signal=SIGKILL", &CALLS);
    println!("killed: {cuts:?}");
    assert!(
        cuts.finished > 10 && cuts.undone > 10 && cuts.between > 0,
        "{cuts:?}"
    );
    as_good_as_new(&scene);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_helper_refused_at_any_call_leaves_one_side_and_nothing_frozen() {
    let mut scene = running();
    // Not what it answers with, nor what thaws.
    let calls: Vec<&str> = CALLS
        .into_iter()
        .filter(|call| !["write", "sendto"].contains(call))
        .collect();
    let cuts = everywhere(&mut scene, "error=EPERM", &calls);
    println!("refused: {cuts:?}");
    assert!(cuts.undone > 10, "{cuts:?}");
    as_good_as_new(&scene);
}

/// Cut short when every namespace is laid out and none has moved, also in the second attempt.
fn standing_still() -> Scene {
    let mut scene = running();
    let at = ("pivot_root", 1);
    let mut tries = (0..RETRIES).map(|_| {
        let (relinked, _) = relink_with_fault(&mut scene, 1, "signal=SIGKILL", at);
        if relinked.is_ok() {
            // strace failed, and nobody was killed.
            scene.relink(0).unwrap();
        }
        relinked
    });
    let relinked = tries.find(Result::is_err);
    assert!(
        matches!(relinked, Some(Err(RelinkError::Helper { .. }))),
        "{relinked:?}"
    );
    assert!(scene.is_frozen() && scene.journal.intent.borrow().is_some());
    scene
}

fn busybox_in(pid: u32, words: &[&str]) {
    let namespace = format!("--mount=/proc/{pid}/ns/mnt");
    let status = Command::new("nsenter")
        .args([namespace.as_str(), "/usr/bin/busybox"])
        .args(words)
        .status();
    assert!(status.unwrap().success(), "{words:?}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_can_go_neither_way_stands_still_and_names_the_process() {
    let scene = standing_still();
    let pid = namespaces(&scene)[1];
    // Nothing moves out of a shared mount.
    busybox_in(pid, &["mount", "--make-shared", "/"]);
    let mut version = scene.version(1);
    version.generation += 1;
    for _ in 0..2 {
        let stuck = recover_live(&scene.target(&version), &scene.tools());
        let Err(RelinkError::Stuck { why, .. }) = stuck else {
            panic!("{stuck:?}");
        };
        assert!(why.contains(&format!("process {pid} ")), "{why}");
        assert!(scene.is_frozen() && scene.journal.intent.borrow().is_some());
        assert_eq!(scene.linked(), 0);
    }
    busybox_in(pid, &["mount", "--make-private", "/"]);
    assert!(matches!(scene.recover(), Recovered::Finished(_)));
    assert!(!scene.is_frozen());
    assert_eq!(editions(&scene), BTreeSet::from(["B".to_owned()]));
    as_good_as_new(&scene);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_container_that_stands_still_can_be_stopped_and_is_finished_then() {
    let scene = standing_still();
    stop(&scene.paths, StopMode::Kill, &scene.runtime).unwrap();
    assert!(!scene.is_frozen());
    assert!(matches!(scene.recover(), Recovered::Finished(_)));
    scene.start();
    assert_eq!(scene.inside("etc/release").unwrap(), "B");
    assert_eq!(scene.inside("etc/merged").unwrap(), "merged\n");
    let stopped = scene.relink_with(1, &RelinkPlan::default(), |scene| {
        stop(&scene.paths, StopMode::Kill, &scene.runtime).unwrap();
    });
    let Err(RelinkError::Container(error)) = stopped else {
        panic!("{stopped:?}");
    };
    assert!(matches!(*error, ContainerError::NotRunning(_)));
}
