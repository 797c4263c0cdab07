//! Mounts in all tiers, as a real kernel does them.

use crate::fixture::{Mounted, Version, content, describe, mounts_below, scratch};
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use vzpkg_runtime::rootfs::{IdMap, MountSpec, Tier, assemble, probe, sweep};
use vzpkg_runtime::sys::{Kernel as _, Linux, Setting};

fn has_overlay_attributes(file: &Path) -> bool {
    let mut names = vec![0_u8; 4096];
    let length = rustix::fs::llistxattr(file, &mut names).unwrap();
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    names.contains("metacopy") || names.contains("redirect")
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_all_tiers_show_the_same_tree() {
    let version = Version::new(&content("A"));
    let plain = describe(&version.at("plain"));
    assert!(plain.iter().any(|line| line.starts_with("usr/bin/tool 104755 0:0 10 1700000000.123456000 links 2")));
    for (name, spec) in version.specs() {
        for writable in [false, true] {
            let spec = if writable {
                version.with_upper(spec.clone(), name)
            } else {
                spec.clone()
            };
            let mounted = Mounted::new(&spec, version.at("target"));
            // The root itself is the upper's, the first line.
            let skip = usize::from(writable);
            assert_eq!(
                describe(&mounted.0)[skip..],
                plain[skip..],
                "{name}, writable: {writable}"
            );
            let written = File::create(mounted.0.join("etc/new"));
            assert_eq!(written.is_ok(), writable, "{name}: {written:?}");
        }
    }
    assert_eq!(mounts_below(version.directory.path()), [""; 0]);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_private_file_is_whole_and_objects_never_change() {
    let version = Version::new(&content("A"));
    let objects = describe(&version.at("objects"));
    for (name, spec) in version.specs() {
        let spec = version.with_upper(spec, name);
        let mounted = Mounted::new(&spec, version.at("target"));
        let upper = spec.upper.as_ref().unwrap().upper.clone();
        fs::set_permissions(mounted.0.join("usr/big"), Permissions::from_mode(0o600)).unwrap();
        let mut conf = File::options()
            .append(true)
            .open(mounted.0.join("etc/conf"))
            .unwrap();
        conf.write_all(b"mine\n").unwrap();
        fs::remove_file(mounted.0.join("usr/bin/owned")).unwrap();
        let moved = Command::new("mv")
            .arg("etc")
            .arg("etc2")
            .current_dir(&mounted.0)
            .status();
        assert!(moved.unwrap().success(), "{name}");
        assert_eq!(
            fs::read(mounted.0.join("etc2/conf")).unwrap(),
            b"configuration of A\nmine\n"
        );
        for file in ["usr/big", "etc2/conf", "etc2/shadow", "etc2"] {
            assert!(!has_overlay_attributes(&upper.join(file)), "{name}: {file}");
        }
        assert_eq!(
            fs::read(upper.join("usr/big")).unwrap().len(),
            800_000,
            "{name}"
        );
        drop((mounted, conf));
        assert_eq!(describe(&version.at("objects")), objects, "{name}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_private_files_survive_a_change_of_version_in_every_tier() {
    let (old, new) = (
        Version::new(&content("the old version")),
        Version::new(&content("B")),
    );
    for ((name, before), (_, mut after)) in old.specs().into_iter().zip(new.specs()) {
        let before = old.with_upper(before, name);
        let mounted = Mounted::new(&before, old.at("target"));
        fs::set_permissions(mounted.0.join("etc/conf"), Permissions::from_mode(0o640)).unwrap();
        drop(mounted);
        after.upper = before.upper;
        after.upper.as_mut().unwrap().work = old.at(&format!("{name}.work2"));
        fs::create_dir(old.at(&format!("{name}.work2"))).unwrap();
        let mounted = Mounted::new(&after, old.at("target"));
        let conf = fs::read_to_string(mounted.0.join("etc/conf")).unwrap();
        assert_eq!(conf, "configuration of the old version\n", "{name}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_owners_are_shifted_for_user_namespaces_in_every_tier() {
    let version = Version::new(&content("A"));
    let count = 65_536;
    for (name, spec) in version.specs() {
        let mut spec = version.with_upper(spec, name);
        spec.id_map = Some(IdMap {
            first: 300_000,
            count,
        });
        let mounted = Mounted::new(&spec, version.at("target"));
        let owned = fs::metadata(mounted.0.join("usr/bin/owned")).unwrap();
        assert_eq!((owned.uid(), owned.gid()), (300_005, 300_042), "{name}");
        // The container's root writes, and the upper holds the container's own ids. (The way to the mount is closed to
        // others, so the command gets the directory as its working directory before it changes its user.)
        let script = "echo new > etc/new && echo more >> etc/conf && chown 300007 etc/new";
        let mut shell = Command::new("setpriv");
        shell.args([
            "--reuid=300000",
            "--regid=300000",
            "--clear-groups",
            "--ambient-caps=+chown",
        ]);
        shell
            .args(["--inh-caps=+chown", "sh", "-c", script])
            .current_dir(&mounted.0);
        let status = shell.process_group(0).status().unwrap();
        assert!(status.code().is_some(), "{name}");
        let upper = &spec.upper.as_ref().unwrap().upper;
        assert_eq!(
            fs::metadata(upper.join("etc/conf")).unwrap().uid(),
            0,
            "{name}"
        );
        assert_eq!(fs::read(upper.join("etc/new")).unwrap(), b"new\n", "{name}");
        assert_eq!(
            fs::metadata(upper.join("etc/new")).unwrap().gid(),
            0,
            "{name}"
        );
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_version_is_mounted_once_per_node_and_swept_without_harm() {
    let version = Version::new(&content("A"));
    let shared = version.at("shared");
    for tier in [Tier::Image, Tier::Stacked, Tier::Stubs] {
        let mut spec = MountSpec::new(tier, version.lower.clone());
        spec.shared = Some(shared.clone());
        let first = Mounted::new(&spec, version.at("first"));
        let second = Mounted::new(&spec, version.at("second"));
        assert_eq!(mounts_below(&shared).len(), 1, "{tier:?}");
        spec.id_map = Some(IdMap {
            first: 300_000,
            count: 65_536,
        });
        let shifted = Mounted::new(&spec, version.at("shifted"));
        assert_eq!(mounts_below(&shared).len(), 1, "{tier:?}");
        let keep = BTreeSet::from([version.lower.digest]);
        assert_eq!(sweep(&shared, &keep).unwrap(), 0);
        assert_eq!(sweep(&shared, &BTreeSet::new()).unwrap(), 1);
        assert_eq!(mounts_below(&shared), [""; 0]);
        assert_eq!(describe(&first.0), describe(&second.0));
        assert_eq!(fs::metadata(shifted.0.join("etc")).unwrap().uid(), 300_000);
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_volatile_upper_can_be_mounted_again() {
    let version = Version::new(&content("A"));
    let mut spec = version.with_upper(
        MountSpec::new(Tier::Image, version.lower.clone()),
        "scratch",
    );
    spec.volatile = true;
    for round in 0..2 {
        let mounted = Mounted::new(&spec, version.at("target"));
        fs::write(mounted.0.join(format!("etc/{round}")), "").unwrap();
        assert!(mounts_below(&mounted.0)[0].contains("volatile"));
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_further_layers_lie_over_the_version_and_below_the_upper() {
    let version = Version::new(&content("A"));
    fs::create_dir_all(version.at("layer/etc")).unwrap();
    fs::write(version.at("layer/etc/conf"), "of the layer\n").unwrap();
    for (name, mut spec) in version.specs() {
        spec.layers.push(version.at("layer"));
        let spec = version.with_upper(spec, name);
        let mounted = Mounted::new(&spec, version.at("target"));
        let conf = mounted.0.join("etc/conf");
        assert_eq!(
            fs::read_to_string(&conf).unwrap(),
            "of the layer\n",
            "{name}"
        );
        assert_eq!(
            fs::read(mounted.0.join("usr/big")).unwrap().len(),
            800_000,
            "{name}"
        );
        fs::write(&conf, "mine\n").unwrap();
        assert_eq!(
            fs::read_to_string(version.at("layer/etc/conf")).unwrap(),
            "of the layer\n"
        );
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_mount_that_is_not_attached_leaves_nothing() {
    let version = Version::new(&content("A"));
    for (name, spec) in version.specs() {
        let spec = version.with_upper(spec, name);
        drop(assemble(&spec).unwrap());
        let error = vzpkg_runtime::rootfs::mount(&spec, Path::new("/nonexistent/target"));
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("/nonexistent/target")
        );
    }
    assert_eq!(mounts_below(version.directory.path()), [""; 0]);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_errors_name_the_image_and_the_kernels_own_words() {
    let version = Version::new(&content("A"));
    fs::write(&version.lower.image, vec![0_u8; 8192]).unwrap();
    let error = assemble(&MountSpec::new(Tier::Image, version.lower.clone())).unwrap_err();
    assert!(error.to_string().contains("image.erofs"), "{error}");
    let context = Linux.new_filesystem("overlay").unwrap();
    assert!(
        Linux
            .configure(&context, "nonsense", Setting::Flag)
            .is_err()
    );
    assert_eq!(
        Linux.explain(&context),
        "overlay: Unknown parameter 'nonsense'"
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_the_probe_tries_every_tier_and_leaves_nothing() {
    let directory = scratch();
    let found = probe(directory.path()).unwrap();
    assert_eq!(found.best(), Tier::Image, "{found:?}");
    assert!(
        found.tiers.iter().all(|finding| finding.obstacle.is_none()),
        "{found:?}"
    );
    assert_eq!(found.id_mapped_obstacle, None);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    // Images on a tmpfs cannot be mounted, and the probe says so in words.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let found = probe(memory.path()).unwrap();
    assert_eq!(found.best(), Tier::Stubs, "{found:?}");
    assert!(
        found.tiers[0].obstacle.as_ref().unwrap().contains("image"),
        "{found:?}"
    );
}
