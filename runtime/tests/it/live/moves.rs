//! Running containers that go forward and back: what they see, what they keep.

use super::scene::{Scene, wait_until};
use std::fs;
use vzpkg_metadata::Digest;
use vzpkg_metadata::tree::{Meta, Node, NodeKind};
use vzpkg_runtime::container::live::{is_unsettled, settle};
use vzpkg_runtime::container::{
    Before, RelinkError, RelinkPlan, StopMode, UpperEdit, destroy, stop, undo_record,
};
use vzpkg_runtime::rootfs::Tier;

const TIERS: [Tier; 4] = [Tier::Image, Tier::Stacked, Tier::Stubs, Tier::Directory];

/// Appends by name and by descriptor, makes a name in each turn and removes the one of five turns ago.
const WRITER: &str = "(exec 3>>/var/log/kept; i=0; while test ! -e /data/stop; do \
    echo $i >> /var/log/named; echo $i >&3; : > /data/n$i; \
    test $i -lt 5 || rm /data/n$((i-5)); i=$((i+1)); sleep 0.001; done; echo $i > /data/done) &";

fn count(scene: &Scene) -> usize {
    let text = fs::read_to_string(scene.host_path("var/log/named"));
    text.map_or(0, |text| text.lines().count())
}

/// Lets the writer take a few turns.
fn wait_for_turns(scene: &Scene) {
    let before = count(scene);
    wait_until("the writer takes turns", || count(scene) >= before + 7);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_writer_loses_nothing_while_its_container_goes_forward_and_back() {
    for tier in TIERS {
        let scene = Scene::running(tier, WRITER);
        wait_for_turns(&scene);
        let mounts = scene.mounts();
        for turn in 0..6 {
            let to = (turn + 1) % 2;
            scene.relink(to).unwrap();
            assert_eq!(scene.inside("etc/release").unwrap(), ["A", "B"][to]);
            assert_eq!(
                scene.shell(&format!("test $(cat /etc/release) = {}", ["A", "B"][to])),
                0
            );
            assert_eq!(scene.mounts(), mounts, "{tier:?}");
            assert!(!scene.is_frozen());
            wait_for_turns(&scene);
        }
        assert_eq!(scene.shell("touch /data/stop"), 0);
        scene.wait_for("data/done");
        let turns: usize = scene.inside("data/done").unwrap().trim().parse().unwrap();
        let expected: Vec<String> = (0..turns).map(|turn| turn.to_string()).collect();
        let expected = expected.join("\n") + "\n";
        for name in ["var/log/named", "var/log/kept"] {
            assert_eq!(scene.inside(name).unwrap(), expected, "{tier:?} {name}");
        }
        let mut names: Vec<usize> = fs::read_dir(format!("/proc/{}/root/data", scene.init()))
            .unwrap()
            .filter_map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()?
                    .strip_prefix('n')?
                    .parse()
                    .ok()
            })
            .collect();
        names.sort_unstable();
        assert_eq!(names, (turns - 5..turns).collect::<Vec<_>>(), "{tier:?}");
        assert_eq!(scene.journal.link.borrow().generation, 7);
        stop(&scene.paths, StopMode::Kill, &scene.runtime).unwrap();
        // The next start is on the version that the link names, with one work directory.
        scene.start();
        assert_eq!(scene.inside("etc/release").unwrap(), "A");
        assert_eq!(scene.inside("var/log/kept").unwrap(), expected);
        destroy(&scene.paths, &scene.runtime).unwrap();
        scene.assert_clean();
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_private_changes_are_edited_while_it_stands_still_and_can_go_back() {
    let scene = Scene::running(Tier::Image, "");
    assert_eq!(
        scene.shell(
            "echo mine > /etc/conf; echo x > /etc/hidden; mkdir /opt /opt/d; touch /opt/d/f"
        ),
        0
    );
    let merged = b"merged\n".to_vec();
    let put = UpperEdit::Put {
        path: "etc/conf".parse().unwrap(),
        node: Node {
            meta: Meta {
                mode: 0o640,
                ..Meta::default()
            },
            kind: NodeKind::File {
                digest: Digest::of(&merged),
                size: 7,
            },
        },
    };
    // A directory that would hide a new type of file moves aside.
    let aside = UpperEdit::MoveAside {
        path: "opt/d".parse().unwrap(),
        to: "opt/d.vzpkg-old".parse().unwrap(),
    };
    let reveal = UpperEdit::Reveal {
        path: "etc/hidden".parse().unwrap(),
    };
    let plan = RelinkPlan {
        edits: vec![put, aside, reveal],
        blobs: [(Digest::of(&merged), merged)].into(),
        regenerate: Vec::new(),
    };
    scene.relink_with(1, &plan, |_| {}).unwrap();
    assert_eq!(
        scene.shell("test $(cat /etc/conf) = merged && test ! -e /etc/hidden"),
        0
    );
    assert_eq!(
        scene.shell("test -e /opt/d.vzpkg-old/f && test ! -e /opt/d"),
        0
    );
    assert_eq!(scene.shell("test $(cat /etc/release) = B"), 0);
    let record = undo_record(&scene.paths, *scene.journal.link.borrow()).unwrap();
    assert!(
        record
            .before
            .iter()
            .any(|entry| matches!(entry.before, Before::Kept { .. }))
    );
    let back = RelinkPlan {
        edits: record.inverse(),
        ..RelinkPlan::default()
    };
    scene.relink_with(0, &back, |_| {}).unwrap();
    assert_eq!(
        scene.shell("test $(cat /etc/conf) = mine && test $(cat /etc/hidden) = x"),
        0
    );
    assert_eq!(
        scene.shell("test -e /opt/d/f && test $(cat /etc/release) = A"),
        0
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_change_after_the_plan_is_seen_while_it_stands_still() {
    let scene = Scene::running(Tier::Image, "");
    let changed = scene.relink_with(1, &RelinkPlan::default(), |scene| {
        assert_eq!(scene.shell("echo mine > /etc/conf"), 0);
    });
    let Err(RelinkError::Changed { path, .. }) = changed else {
        panic!("{changed:?}");
    };
    assert_eq!(path.to_string(), "etc/conf");
    assert!(scene.journal.intent.borrow().is_none());
    assert_eq!(scene.linked(), 0);
    // What does not concern the plan does not stop it.
    let plan = RelinkPlan::default();
    scene
        .relink_with(1, &plan, |scene| {
            assert_eq!(scene.shell("echo x > /etc/other"), 0);
        })
        .unwrap();
    assert_eq!(scene.shell("test $(cat /etc/other) = x"), 0);
}

/// How long it takes; says so, and asserts nothing about time.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_relink_of_an_unbound_container_is_timed() {
    let scene = Scene::running(Tier::Image, "");
    let (mut pauses, mut totals) = (Vec::new(), Vec::new());
    for turn in 0..40 {
        let started = std::time::Instant::now();
        let moved = scene.relink((turn + 1) % 2).unwrap();
        totals.push(started.elapsed());
        pauses.push(moved.pause);
    }
    pauses.sort();
    totals.sort();
    println!(
        "stood still: min {:?}, median {:?}, max {:?}",
        pauses[0], pauses[20], pauses[39]
    );
    println!(
        "whole relink: min {:?}, median {:?}, max {:?}",
        totals[0], totals[20], totals[39]
    );
}

/// RUNTIME-RECIPES: a process in a mount namespace of its own keeps version A after a pivot of the container's.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_services_with_mounts_of_their_own_move_along() {
    // As systemd does for ProtectSystem, PrivateTmp and a read-only root.
    let boot = "mkdir -p /var/tmp/private /tmp/private; unshare -m sh -c '\
        mount --bind /usr /usr; mount -o remount,bind,ro,nosuid /usr; \
        mount --bind /var/tmp/private /var/tmp; mount --bind /tmp/private /tmp; \
        mount -t tmpfs none /usr/big 2>/dev/null; mount -t tmpfs none /root; touch /root/own; \
        touch /var/tmp/here /tmp/there; mount --make-rshared /; \
        while :; do cat /etc/release > /run/seen; touch /usr/x 2>/dev/null && touch /run/writable; sleep 0.01; done' &";
    for tier in TIERS {
        let scene = Scene::running(tier, boot);
        scene.wait_for("run/seen");
        let sees = |edition: &str| {
            wait_until(edition, || scene.inside("run/seen").unwrap() == edition);
        };
        sees("A");
        let own = own_namespace(&scene);
        let mounts = points(own);
        for to in [1, 0, 1] {
            scene.relink(to).unwrap();
            sees(["A", "B"][to]);
            assert_eq!(points(own), mounts, "{tier:?}");
            assert_eq!(shared(own), ["/", "/usr", "/var/tmp"], "{tier:?}");
        }
        for there in ["var/tmp/here", "tmp/there", "root/own"] {
            assert!(
                fs::exists(format!("/proc/{own}/root/{there}")).unwrap(),
                "{there}"
            );
        }
        assert!(
            scene.inside("run/writable").is_err(),
            "/usr is read-only there still"
        );
    }
}

/// One process of each mount namespace of the container, process 1 first; of several in one the one that process 1 began,
/// for the others may be gone in a moment.
pub(super) fn namespaces(scene: &Scene) -> Vec<u32> {
    let init = scene.init();
    let link = |pid: u32, name: &str| fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
    let mut processes: Vec<u32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|&pid| link(pid, "pid") == link(init, "pid"))
        .collect();
    processes.sort_by_cached_key(|&pid| parent(pid) != Some(init));
    let mut found = vec![(link(init, "mnt"), init)];
    for pid in processes {
        let namespace = link(pid, "mnt");
        if namespace.is_some() && !found.iter().any(|(known, _)| *known == namespace) {
            found.push((namespace, pid));
        }
    }
    found.into_iter().map(|(_, pid)| pid).collect()
}

/// The process that began this one.
fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    lines
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()
}

/// A process of the container whose mount namespace is not that of process 1.
pub(super) fn own_namespace(scene: &Scene) -> u32 {
    namespaces(scene)[1]
}

/// Mount points, flags and types that a process sees; those that others cover are left behind by a relink.
pub(super) fn points(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let is_covered = |mount: &Vec<&str>| {
        let mut others = lines.iter();
        others.any(|other| other[1] == mount[0] && other[4] == mount[4])
    };
    let mut shown: Vec<String> = lines
        .iter()
        .filter(|mount| !is_covered(mount))
        .map(|mount| {
            let dash = mount.iter().position(|field| *field == "-").unwrap();
            format!("{} {} {} {}", mount[3], mount[4], mount[5], mount[dash + 1])
        })
        .collect();
    shown.sort();
    shown
}

/// Where mounts of the overlay are that are shared.
fn shared(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let ours = text
        .lines()
        .filter(|line| line.contains(" shared:") && line.contains(" overlay vzpkg:"));
    let mut points: Vec<String> = ours
        .map(|line| line.split(' ').nth(4).unwrap().to_owned())
        .collect();
    points.sort();
    points
}

/// RUNTIME-RECIPES: what was changed through the old overlay stays unseen by the new one, also after the old one is gone.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_the_old_overlay_changed_is_seen_when_its_last_process_has_left() {
    // Holds a file of the version open, and changes its mode when told: that copies it up through the old overlay.
    let boot = "(exec 3</etc/passwd; while test ! -e /run/go; do sleep 0.01; done; \
        chmod 600 /proc/self/fd/3; touch /run/changed; while test ! -e /run/end; do sleep 0.01; done; exec 3<&-; \
        touch /run/ended; exec sleep 1000) & touch /run/ready;";
    let scene = Scene::running(Tier::Image, boot);
    scene.wait_for("run/ready");
    scene.relink(1).unwrap();
    let version = scene.version(1);
    let target = scene.target(&version);
    // The new overlay knows the name now.
    assert_eq!(scene.shell("test -r /etc/passwd; touch /run/go"), 0);
    scene.wait_for("run/changed");
    assert!(scene.host_path("etc/passwd").exists(), "copied up");
    assert!(
        is_unsettled(&scene.paths),
        "process 1 runs a program of the old overlay"
    );
    assert!(!settle(&target).unwrap());
    let mode = || {
        use std::os::unix::fs::PermissionsExt as _;
        let seen = format!("/proc/{}/root/etc/passwd", scene.init());
        fs::metadata(seen).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(), 0o600);
    assert!(is_unsettled(&scene.paths));
}
