//! A container's life: created, started, used, stopped, destroyed; and starts that fail or were cut short.

use super::in_every_tier;
use super::node::{Node, ROOT};
use crate::container::*;
use crate::oci::OciRuntime as _;
use crate::rootfs::{self, MountSpec, Tier};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

in_every_tier!(
    privileged_a_container_lives_and_leaves_nothing,
    privileged_exec_tells_a_missing_command_from_one_that_cannot_run,
    privileged_a_start_that_was_cut_short_is_cleared_by_the_next,
    privileged_the_root_of_a_running_container_is_in_no_mount_of_the_host,
    privileged_a_start_that_fails_leaves_nothing_mounted,
    privileged_a_runtime_begins_before_its_container_is_made,
    privileged_a_console_that_gets_no_name_is_no_obstacle,
    privileged_what_a_dead_process_of_our_id_left_is_no_obstacle,
);

const GENTLE: StopMode = StopMode::Gentle(Duration::from_secs(10));

fn privileged_a_container_lives_and_leaves_nothing(node: &Node) {
    let paths = node.paths("life");
    let config = Node::config(&paths);
    create(&paths, &config, &ROOT, &[]).unwrap();
    let spec = node.spec("1", 1);
    let pid = start(&paths, &config, &spec, &node.runtime).unwrap();
    let now = state(&paths, &node.runtime).unwrap();
    assert_eq!((now.state, now.pid), (RunState::Running, Some(pid)));
    assert!(matches!(
        start(&paths, &config, &spec, &node.runtime),
        Err(ContainerError::Running(_))
    ));
    // Nothing of ours stays open in it: the pipe that the runtime was given its configuration through, above all.
    assert_eq!(foreign_files(pid, &paths), Vec::<PathBuf>::new());
    assert!(
        fs::symlink_metadata(paths.bundle.join("config.json"))
            .unwrap()
            .is_file()
    );
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

/// What process 1 has open besides nothing and its console. While it starts it reads its own libraries.
fn foreign_files(pid: u32, paths: &ContainerPaths) -> Vec<PathBuf> {
    let until = Instant::now() + Duration::from_mins(2);
    loop {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let lead_to = open.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
        let known = |file: &PathBuf| *file == *"/dev/null" || *file == paths.console();
        let foreign: Vec<PathBuf> = lead_to.filter(|file| !known(file)).collect();
        if foreign.is_empty() || Instant::now() > until {
            return foreign;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn privileged_exec_tells_a_missing_command_from_one_that_cannot_run(node: &Node) {
    let paths = node.paths("exec");
    let config = Node::config(&paths);
    create(&paths, &config, &ROOT, &[]).unwrap();
    let run = |command: &str| {
        let spec = ExecSpec {
            argv: vec![command.to_owned()],
            ..ExecSpec::default()
        };
        exec(&paths, &config, &spec, &node.runtime)
    };
    assert!(matches!(run("true"), Err(ContainerError::NotRunning(_))));
    start(&paths, &config, &node.spec("1", 1), &node.runtime).unwrap();
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
    // It is looked for where, and with the `PATH` with which, it will be run.
    let script = "mkdir -p /srv/app; echo 'exit 7' > /srv/app/own; chmod 755 /srv/app/own";
    assert_eq!(
        node.shell(
            &paths,
            &format!("{script}; busybox sed -i '1i #!/bin/sh' /srv/app/own")
        ),
        0
    );
    let run_as = |command: &str, cwd: Option<&str>, path: Option<&str>| {
        let path = path.map(|path| ("PATH".to_owned(), path.to_owned()));
        let spec = ExecSpec {
            argv: vec![command.to_owned()],
            cwd: cwd.map(str::to_owned),
            environment: path.into_iter().collect(),
            ..ExecSpec::default()
        };
        exec(&paths, &config, &spec, &node.runtime)
    };
    assert_eq!(run_as("./own", Some("/srv/app"), None).unwrap(), 7);
    assert_eq!(run_as("app/own", Some("/srv"), None).unwrap(), 7);
    assert_eq!(run_as("own", None, Some("/bin:/srv/app")).unwrap(), 7);
    for (command, cwd, path) in [
        ("own", Some("/srv/app"), None),
        ("./own", None, None),
        ("true", None, Some("/srv/app")),
    ] {
        let missing = run_as(command, cwd, path).unwrap_err();
        assert_eq!(exec::exit_code(&missing), exec::code::NOT_FOUND);
    }
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

fn privileged_a_start_that_was_cut_short_is_cleared_by_the_next(node: &Node) {
    let paths = node.paths("cut");
    let config = Node::config(&paths);
    create(&paths, &config, &ROOT, &[]).unwrap();
    let spec = node.spec("1", 1);
    start(&paths, &config, &spec, &node.runtime).unwrap();
    let described = fs::read(paths.bundle.join("config.json")).unwrap();
    // Killed from outside, as by a crash: the runtime's state, bundle and cgroups stay.
    node.runtime.kill(&paths.id, libc::SIGKILL, false).unwrap();
    while state(&paths, &node.runtime).unwrap().state != RunState::Stopped {
        std::thread::yield_now();
    }
    // Something mounted in the place of the root file system.
    let mount = MountSpec::new(Tier::Directory, spec.lower.clone());
    rootfs::mount(&mount, &paths.root).unwrap();
    start(&paths, &config, &spec, &node.runtime).unwrap();
    assert_eq!(node.shell(&paths, "cat /etc/release"), 0);
    stop(&paths, StopMode::Kill, &node.runtime).unwrap();
    node.assert_clean(&paths);
    // Killed while the runtime was at work: process 1 is there and waits.
    fs::create_dir_all(&paths.bundle).unwrap();
    fs::write(paths.bundle.join("config.json"), described).unwrap();
    let mount = mount.with_upper(paths.upper(), paths.work(1));
    let mut runtime = Command::new(node.runtime.program());
    runtime.arg("--root").arg(node.path().join("oci"));
    runtime.args(["create", "--bundle"]).arg(&paths.bundle);
    runtime.arg(paths.id.as_str()).stdin(Stdio::null());
    runtime.stdout(Stdio::null()).stderr(Stdio::null());
    let root = rootfs::assemble(&mount).unwrap();
    let made = std::thread::scope(|scope| {
        let create = |place: rootfs::Aside<'_>| {
            place.attach(&root).unwrap();
            runtime.status().unwrap()
        };
        rootfs::aside(scope, &paths.root, create).join().unwrap()
    });
    assert!(made.unwrap().success());
    let now = state(&paths, &node.runtime).unwrap();
    assert_eq!(now.state, RunState::Created);
    start(&paths, &config, &spec, &node.runtime).unwrap();
    assert_eq!(node.shell(&paths, "cat /etc/release"), 0);
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

fn privileged_the_root_of_a_running_container_is_in_no_mount_of_the_host(node: &Node) {
    let paths = node.paths("aside");
    let config = Node::config(&paths);
    create(&paths, &config, &ROOT, &[]).unwrap();
    start(&paths, &config, &node.spec("1", 1), &node.runtime).unwrap();
    let root = paths.root.to_str().unwrap();
    let left: Vec<String> = node.mounts();
    assert!(!left.iter().any(|line| line.contains(root)), "{left:?}");
    assert_eq!(fs::read_dir(&paths.root).unwrap().count(), 0);
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

fn privileged_a_start_that_fails_leaves_nothing_mounted(node: &Node) {
    let paths = node.paths("fails");
    let mut config = Node::config(&paths);
    create(&paths, &config, &ROOT, &[]).unwrap();
    let spec = node.spec("1", 1);
    config.init = vec!["/no/such/init".to_owned()];
    let error = start(&paths, &config, &spec, &node.runtime).unwrap_err();
    assert!(matches!(error, ContainerError::Oci(_)), "{error}");
    assert!(error.to_string().contains("/no/such/init"), "{error}");
    node.assert_clean(&paths);
    destroy(&paths, &node.runtime).unwrap();
}

fn privileged_a_runtime_begins_before_its_container_is_made(node: &Node) {
    let paths = node.paths("ahead");
    let config = Node::config(&paths);
    let spec = node.spec("1", 1);
    // Given up: the container could not be made.
    std::thread::scope(|scope| {
        let ahead = Ahead::begin_new(scope, &paths, &node.runtime).unwrap();
        ahead.expect("tests lie on a disk").give_up();
    });
    assert!(paths.bundle.exists());
    assert_eq!(node.runtime.state(&paths.id).unwrap(), None);
    let logs = fs::read_dir(node.path().join("oci")).unwrap();
    let mut logs = logs.map(|entry| entry.unwrap().path());
    assert_eq!(
        logs.find(|path| path.extension().is_some_and(|end| end == "log")),
        None
    );
    // What that left is no obstacle to the next.
    let pid = std::thread::scope(|scope| {
        let ahead = Ahead::begin_new(scope, &paths, &node.runtime).unwrap();
        create(&paths, &config, &ROOT, &[]).unwrap();
        let nothing = || ();
        start_new(
            ahead.unwrap(),
            &paths,
            &config,
            &spec,
            &node.runtime,
            &nothing,
        )
    });
    let now = state(&paths, &node.runtime).unwrap();
    assert_eq!((now.state, now.pid), (RunState::Running, pid.ok()));
    // Whoever runs under that name is left alone.
    let other = std::thread::scope(|scope| {
        let ahead = Ahead::begin_new(scope, &paths, &node.runtime).unwrap();
        ahead.is_none()
    });
    assert!(other);
    assert_eq!(
        state(&paths, &node.runtime).unwrap().state,
        RunState::Running
    );
    let console = fs::metadata(paths.console()).unwrap();
    assert_eq!((console.mode() & 0o777, console.nlink()), (0o600, 1));
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

/// As where the private area has a quota of its own, which takes no file from outside.
fn privileged_a_console_that_gets_no_name_is_no_obstacle(node: &Node) {
    let paths = node.paths("nameless");
    let config = Node::config(&paths);
    let spec = node.spec("1", 1);
    std::thread::scope(|scope| {
        let ahead = Ahead::begin_new(scope, &paths, &node.runtime).unwrap();
        create(&paths, &config, &ROOT, &[]).unwrap();
        fs::write(paths.console(), "in the way").unwrap();
        let (ahead, runtime) = (ahead.unwrap(), &node.runtime);
        start_new(ahead, &paths, &config, &spec, runtime, &|| ()).unwrap();
    });
    assert_eq!(node.shell(&paths, "test -s /etc/machine-id"), 0);
    let before = fs::read_to_string(paths.console_before()).unwrap();
    assert_eq!(before, "in the way");
    assert!(paths.console().exists());
    destroy(&paths, &node.runtime).unwrap();
    node.assert_clean(&paths);
}

fn privileged_what_a_dead_process_of_our_id_left_is_no_obstacle(node: &Node) {
    let paths = node.paths("reborn");
    let own = std::process::id();
    let left = ["", "gone."].map(|kind| {
        let name = format!(".vzpkg-new.{own}.{kind}{}", paths.id);
        paths.private.with_file_name(name)
    });
    for directory in &left {
        fs::create_dir_all(directory.join("upper/etc")).unwrap();
        fs::write(directory.join("upper/etc/hostname"), "another").unwrap();
    }
    create(&paths, &Node::config(&paths), &ROOT, &[]).unwrap();
    let hostname = fs::read_to_string(paths.upper().join("etc/hostname")).unwrap();
    assert_eq!(hostname.trim(), paths.id.as_str());
    destroy(&paths, &node.runtime).unwrap();
    let left: Vec<_> = left.iter().filter(|left| left.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}
