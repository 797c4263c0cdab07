//! What a container is given: limits, variables, mounts, network; and what is seen of it: processes, what it printed.

use crate::guards::hold;
use crate::tiny::{TEMPLATE, Tiny, wait_until};
use std::fs;

/// What the kernel says in a file of the container's group in one of these hierarchies; one of these names it has.
fn group_file(container: &str, names: [&str; 2]) -> Option<String> {
    let found = ["memory", "pids", "cpu", "blkio", "unified", ""]
        .iter()
        .find_map(|hierarchy| {
            let groups = fs::read_dir(format!("/sys/fs/cgroup/{hierarchy}/vzpkg")).ok()?;
            let ours = |name: &str| name.starts_with(&format!("{container}-"));
            groups
                .flatten()
                .filter(|group| ours(&group.file_name().to_string_lossy()))
                .find_map(|group| {
                    names
                        .iter()
                        .find_map(|name| fs::read_to_string(group.path().join(name)).ok())
                })
        });
    found.map(|text| text.trim().to_owned())
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_container_is_given_variables_mounts_and_limits() {
    let tiny = Tiny::hello();
    let shared = tiny.site.path("shared");
    fs::create_dir_all(&shared).unwrap();
    fs::write(shared.join("file"), "of the node\n").unwrap();
    let mount = format!("{}:/srv/shared:ro", shared.display());
    let shape = [
        "--env",
        "COLOUR=deep blue",
        "--mount",
        &mount,
        "--memory",
        "64M",
        "--pids",
        "40",
        "--start",
    ];
    tiny.make("web", &shape).ok();
    assert_eq!(
        tiny.inside("web", "echo $COLOUR; cat /srv/shared/file"),
        "deep blue\nof the node\n"
    );
    let denied = "(echo x > /srv/shared/file) 2>/dev/null && echo written; echo tried";
    assert_eq!(tiny.inside("web", denied), "tried\n");
    let own = "grep -ac 'COLOUR=deep blue' /proc/1/environ";
    assert_eq!(tiny.inside("web", own), "1\n");
    // A limit of processes is felt.
    let many = "i=0; while test $i -lt 60; do sleep 60 >/dev/null 2>&1 & i=$((i+1)); done 2>/dev/null; echo made";
    assert_ne!(tiny.ct(&["exec", "web", "--", "sh", "-c", many]).code, 0);

    let info = tiny.json(&["ct", "info", "web"]);
    assert_eq!(info["limits"]["memory"], 64 << 20);
    assert_eq!(info["environment"]["COLOUR"], "deep blue");
    assert_eq!(info["mounts"][0]["target"], "/srv/shared");
    assert_eq!(info["network"], "none");
    let shown = tiny.ct(&["info", "web"]).ok();
    assert!(shown.contains("memory        64M"), "{shown}");
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_limits_change_at_once_and_everything_else_with_the_next_start() {
    let tiny = Tiny::hello();
    let name = format!("shape-{}", std::process::id());
    let set = |words: &[&str]| tiny.ct(&[&["set", name.as_str()], words].concat());
    tiny.ct(&[
        "create",
        &name,
        "--template",
        TEMPLATE,
        "--net",
        "none",
        "--start",
    ])
    .ok();

    let group_file = |names| group_file(&name, names).unwrap();
    let changed = set(&["--memory", "96M", "--cpus", "0.5", "--pids", "50"]);
    assert_eq!(changed.code, 0, "{changed:?}");
    let undo = format!("undo: vzpkg ct set {name} --memory max --cpus max --pids max");
    assert!(changed.stderr.contains(&undo), "{changed:?}");
    assert_eq!(
        group_file(["memory.limit_in_bytes", "memory.max"]),
        (96 << 20).to_string()
    );
    assert_eq!(group_file(["pids.max", "pids.max"]), "50");
    assert!(group_file(["cpu.cfs_quota_us", "cpu.max"]).starts_with("50000"));
    let again = set(&["--memory", "96M"]);
    assert!(again.stderr.contains("Unchanged"), "{again:?}");

    // What the kernel refuses leaves everything as it was: nothing fits into so little.
    let tried = set(&["--pids", "60", "--dry-run"]);
    assert!(tried.stderr.contains("Would change"), "{tried:?}");
    assert_eq!(group_file(["pids.max", "pids.max"]), "50");

    let later = set(&["--env", "A=1", "--net", "host"]);
    assert!(later.stderr.contains("next start"), "{later:?}");
    assert!(
        later.stderr.contains("--unset-env A --net none"),
        "{later:?}"
    );
    let says = |line: &str| tiny.ct(&["exec", &name, "--", "sh", "-c", line]).ok();
    assert_eq!(says("echo \"<$A>\""), "<>\n");
    tiny.ct(&["restart", &name, "--timeout", "0"]).ok();
    assert_eq!(says("echo \"<$A>\""), "<1>\n");
    assert_eq!(
        group_file(["memory.limit_in_bytes", "memory.max"]),
        (96 << 20).to_string()
    );

    // Taken away again, while it runs.
    set(&[
        "--memory",
        "max",
        "--cpus",
        "max",
        "--pids",
        "max",
        "--unset-env",
        "A",
    ])
    .ok();
    assert_eq!(group_file(["pids.max", "pids.max"]), "max");
    assert_eq!(
        tiny.json(&["ct", "info", &name])["limits"],
        serde_json::json!({})
    );

    // For one run only.
    tiny.ct(&["stop", &name, "--timeout", "0"]).ok();
    tiny.ct(&["start", &name, "--env", "ONCE=yes", "--net", "none"])
        .ok();
    assert_eq!(
        says("echo $ONCE; cat /proc/net/dev | grep -c :"),
        "yes\n1\n"
    );
    tiny.ct(&["restart", &name, "--timeout", "0"]).ok();
    assert_eq!(says("echo \"<$ONCE>\""), "<>\n");
    tiny.ct(&["destroy", "--force", &name]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_rate_of_the_disk_is_the_kernels_from_the_start_on_and_changes_at_once() {
    let tiny = Tiny::hello();
    let name = format!("rate-{}", std::process::id());
    tiny.make(&name, &["--io", "20M", "--start"]).ok();
    let rates = || {
        let both = [
            "blkio.throttle.read_bps_device",
            "blkio.throttle.write_bps_device",
        ];
        both.map(|classic| group_file(&name, [classic, "io.max"]))
    };
    let are = |rate: u64| {
        for said in rates() {
            let said = said.expect("the kernel can limit a disk");
            let (classic, unified) = (format!(" {rate}"), format!("rbps={rate} wbps={rate}"));
            assert!(
                said.ends_with(&classic) || said.contains(&unified),
                "{said}"
            );
        }
    };
    are(20 << 20);
    let set = |rate: &str| tiny.ct(&["set", &name, "--io", rate]);
    let changed = set("3M");
    assert!(changed.stderr.contains("--io 20M"), "{changed:?}");
    changed.ok();
    are(3 << 20);
    tiny.ct(&["restart", &name, "--timeout", "0"]).ok();
    are(3 << 20);
    set("max").ok();
    let none = [Some(String::new()), Some(String::new())];
    assert_eq!(rates(), none);
    tiny.ct(&["destroy", "--force", &name]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_change_of_limits_that_was_cut_short_is_settled_by_the_next_command() {
    let tiny = Tiny::hello();
    let name = format!("settle-{}", std::process::id());
    tiny.make(&name, &["--pids", "77", "--start"]).ok();
    // As a kill leaves it after the kernel was told and before the configuration was written.
    let groups = ["/sys/fs/cgroup/pids/vzpkg", "/sys/fs/cgroup/vzpkg"];
    let group = groups
        .iter()
        .flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
    let group = group.map(|entry| entry.path());
    let ours = |path: &std::path::Path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&format!("{name}-"))
    };
    let group = group.into_iter().find(|path| ours(path)).unwrap();
    fs::write(group.join("pids.max"), "33").unwrap();
    // The name of the group ends with what tells the root apart, by which its bundles are kept too.
    let of_group = group.file_name().unwrap().to_str().unwrap();
    let root = of_group.rsplit('-').next().unwrap();
    let bundle = tiny.site.path("run").join(root).join("ct").join(&name);
    let note = bundle.join("limits-change");
    fs::write(&note, "").unwrap();
    // Beside a change that is under way, which holds the container, nothing is settled.
    let guard = hold(&tiny, &format!("container:{name}"));
    let error = tiny
        .ct(&["exec", &name, "--no-wait", "--", "true"])
        .fails_with(125);
    assert!(error.contains("vzpkg something"), "{error}");
    assert_eq!(fs::read_to_string(group.join("pids.max")).unwrap(), "33\n");
    drop(guard);
    tiny.ct(&["exec", &name, "--", "true"]).fails_with(127);
    assert_eq!(fs::read_to_string(group.join("pids.max")).unwrap(), "77\n");
    assert!(!note.exists());
    tiny.ct(&["destroy", "--force", &name]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_wrong_shapes_are_refused_and_nothing_is_made() {
    let tiny = Tiny::hello();
    let create = |words: &[&str]| {
        let create = ["create", "web", "--template", TEMPLATE];
        tiny.ct(&[&create[..], words].concat())
    };
    for words in [
        &["--memory", "1"][..],
        &["--memory", "lots"],
        &["--cpus", "0"],
        &["--pids", "-3"],
        &["--io", "0"],
        &["--disk", "0"],
        &["--disk", "lots"],
        &["--env", "=x"],
        &["--env", "NAME"],
        &["--mount", "here:/there"],
        &["--mount", "/etc:../there"],
        &["--mount", "/etc:/proc"],
        &["--mount", "type=volume,source=/etc,target=/x"],
        &["--net", "bridge"],
    ] {
        create(words).fails_with(2);
        assert!(!tiny.site.root().join("private/web").exists(), "{words:?}");
    }
    let store = format!("{}:/x", tiny.site.root().join("store").display());
    let refused = create(&["--mount", &store]).fails_with(2);
    assert!(refused.contains("the store"), "{refused}");
    create(&["--mount", "/nowhere/at/all:/x"]).fails_with(1);
    // Where the file system of the site keeps quotas, it is a shape like others.
    let limited = create(&["--disk", "1G"]);
    if limited.code == 0 {
        tiny.ct(&["destroy", "web"]).ok();
    } else {
        let refused = limited.fails_with(1);
        assert!(refused.contains("quotas of projects"), "{refused}");
        assert!(refused.contains("prjquota"), "{refused}");
        assert!(!tiny.site.root().join("private/web").exists());
    }
    create(&[]).ok();
    for words in [
        &["set", "web", "--unset-env", "A"][..],
        &["set", "web", "--unmount", "/srv"],
        &["set", "nobody", "--memory", "64M"],
        &["top", "web"],
        &["top", "nobody"],
        &["logs", "nobody"],
    ] {
        tiny.ct(words).fails_with(1);
    }
    tiny.ct(&["start", "web", "--dry-run", "--env", "A"])
        .fails_with(2);
    tiny.ct(&["logs", "web", "--follow", "--format", "json"])
        .fails_with(2);
    assert_eq!(tiny.ct(&["logs", "web"]).ok(), "");
    tiny.ct(&["destroy", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_processes_are_shown_as_both_sides_number_them() {
    let tiny = Tiny::hello();
    tiny.make("web", &["--start"]).ok();
    // What is begun in the background is for a moment still the shell.
    let own = "sleep 8641 >/dev/null 2>&1 & until grep -qs ^sleep /proc/$!/cmdline; do :; done";
    tiny.inside("web", own);
    let document = tiny.json(&["ct", "top", "web"]);
    assert_eq!(document["schema"], "vzpkg.processes.1");
    let processes = document["processes"].as_array().unwrap();
    let find = |command: &str| {
        processes
            .iter()
            .find(|one| one["command"].as_str().unwrap().contains(command))
            .unwrap()
    };
    let init = find("trap");
    assert_eq!(
        (&init["pid"], &init["uid"], &init["user"]),
        (&1.into(), &0.into(), &"root".into())
    );
    let sleeper = find("sleep 8641");
    let host = sleeper["host_pid"].as_u64().unwrap();
    let line = fs::read(format!("/proc/{host}/cmdline")).unwrap();
    assert_eq!(line, b"sleep\x008641\x00");
    assert!(sleeper["memory_bytes"].as_u64().unwrap() > 0);
    let text = tiny.ct(&["top", "web"]).ok();
    assert!(
        text.starts_with("USER") && text.contains("sleep 8641"),
        "{text}"
    );
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_process_1_prints_is_kept_after_it_stopped() {
    let tiny = Tiny::hello();
    tiny.ct(&["create", "web", "--template", TEMPLATE, "--net", "none"])
        .ok();
    let path = tiny.site.root().join("private/web/ct.toml");
    let config = fs::read_to_string(&path).unwrap();
    let line = "i=0; while test $i -lt 5; do echo \\\"line $i\\\"; i=$((i+1)); done; sleep 1000";
    fs::write(
        &path,
        format!("init = [\"/bin/sh\", \"-c\", \"{line}\"]\n{config}"),
    )
    .unwrap();
    tiny.ct(&["start", "web"]).ok();
    wait_until("process 1 prints", || {
        tiny.ct(&["logs", "web"]).ok().contains("line 4")
    });
    assert_eq!(
        tiny.ct(&["logs", "web", "--tail", "2"]).ok(),
        "line 3\nline 4\n"
    );
    let document = tiny.json(&["ct", "logs", "web", "--tail", "1"]);
    assert_eq!(document["lines"], serde_json::json!(["line 4"]));
    let following = tiny.begin(&["ct", "logs", "web", "--follow"]);
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    let followed = crate::tiny::end(following);
    assert_eq!(followed.code, 0, "{followed:?}");
    assert!(followed.stdout.starts_with("line 0\n"), "{followed:?}");
    assert!(tiny.ct(&["logs", "web"]).ok().ends_with("line 4\n"));
    tiny.ct(&["destroy", "web"]).ok();
}
