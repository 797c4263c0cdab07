//! Builds that cannot go to their end: failing and hanging scripts, Ctrl-C, a full disk, another builder. Nothing
//! half-made stays, and the next command works.

use crate::support::Run;
use crate::tiny::{TEMPLATE, Tiny, end, own_sleep, runs, signal, wait_until};
use std::process::Command;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::{Fault, Times};
use vzpkg_tests::tiny_debian::package;

fn healthy() -> Deb {
    package("app", "2").file("usr/share/app", 0o644, b"2\n")
}

fn with_postinst(line: &str) -> Deb {
    package("app", "1").script("postinst", &format!("#!/bin/sh\nset -e\n{line}\n"))
}

/// The next command: the same template, with a healthy package.
fn assert_works_again(tiny: &mut Tiny) {
    tiny.publish(&healthy());
    tiny.site
        .vzpkg(&["create-cache", TEMPLATE, "--refresh"])
        .ok();
    tiny.site.vzpkg(&["verify"]).ok();
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_failing_package_script_is_named_with_what_it_said() {
    let mut tiny = Tiny::with(&with_postinst("echo the tea is cold >&2; exit 7"));
    let error = tiny.site.vzpkg(&["create-cache", TEMPLATE]).fails_with(5);
    for word in ["app", "post-installation script", "the tea is cold", "7"] {
        assert!(error.contains(word), "`{word}` is missing: {error}");
    }
    tiny.assert_nothing_made();
    assert_works_again(&mut tiny);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_hanging_package_script_is_ended_and_named() {
    let sleep = own_sleep(1);
    let mut tiny = Tiny::with(&with_postinst(&format!("sleep {sleep}")));
    let mut command = tiny.site.command(&["create-cache", TEMPLATE]);
    // Of everything that dpkg does until then, on a busy machine.
    command.env("VZPKG_SCRIPT_TIMEOUT", "20");
    let error = Run::of(&command.output().unwrap()).fails_with(5);
    assert!(
        error.contains("the post-installation script of app"),
        "{error}"
    );
    assert!(!runs(&sleep), "the script still runs");
    tiny.assert_nothing_made();
    assert_works_again(&mut tiny);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_ctrl_c_during_a_script_ends_it_and_leaves_nothing() {
    let sleep = own_sleep(2);
    let mut tiny = Tiny::with(&with_postinst(&format!("sleep {sleep}")));
    let build = tiny.begin(&["create-cache", TEMPLATE]);
    wait_until("the script runs", || runs(&sleep));
    signal(&build, "-INT");
    let said = end(build).fails_with(130);
    assert!(said.contains("interrupted"), "{said}");
    assert!(!runs(&sleep), "the script still runs");
    tiny.assert_nothing_made();
    assert_works_again(&mut tiny);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_ctrl_c_during_a_download_that_stalls_is_obeyed() {
    let mut tiny = Tiny::with(&with_postinst("true"));
    let package = "/pool/main/app_1_all.deb";
    let found = tiny.site.path("repo").join(package.trim_start_matches('/'));
    assert!(found.exists(), "{}", found.display());
    tiny.server
        .fault(package, Times::Always, Fault::HangAfter(10));
    let build = tiny.begin(&["create-cache", TEMPLATE]);
    wait_until("the package is asked for", || {
        tiny.server
            .requests()
            .iter()
            .any(|request| request.path == package)
    });
    signal(&build, "-INT");
    end(build).fails_with(130);
    tiny.assert_nothing_made();
    assert_works_again(&mut tiny);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_two_builders_of_one_template_take_turns() {
    let sleep = own_sleep(3);
    let mut tiny = Tiny::with(&with_postinst(&format!("sleep {sleep}")));
    let first = tiny.begin(&["create-cache", TEMPLATE]);
    wait_until("the script runs", || runs(&sleep));

    let refused = tiny
        .site
        .vzpkg(&["create-cache", TEMPLATE, "--wait", "0"])
        .fails_with(3);
    assert!(
        refused.contains(&first.id().to_string()) && refused.contains("--wait"),
        "who holds it and what helps: {refused}"
    );
    // Readers never wait.
    tiny.site.vzpkg(&["list"]).ok();

    tiny.publish(&healthy());
    let second = tiny.begin(&["create-cache", TEMPLATE, "--refresh", "--wait", "100"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&first, "-KILL");
    end(first).fails_with(255);
    end(second).ok();
    wait_until("the script of the killed builder ends", || !runs(&sleep));
    tiny.site.vzpkg(&["gc"]).ok();
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_two_builders_of_two_templates_share_one_store() {
    let tiny = Tiny::with(&healthy());
    tiny.write_template("other-1-x86_64");
    let builds = [TEMPLATE, "other-1-x86_64"].map(|name| tiny.begin(&["create-cache", name]));
    for build in builds {
        end(build).ok();
    }
    tiny.site.vzpkg(&["verify"]).ok();
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_full_disk_is_said_and_nothing_half_made_stays() {
    let tiny = Tiny::with(&healthy());
    let root = tiny.site.root();
    let kept = tiny.site.path("kept");
    let moved = Command::new("mv")
        .arg(root.join("template"))
        .arg(&kept)
        .status()
        .unwrap();
    assert!(moved.success());
    let mount = |options: &str| {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(&root)
            .status()
            .unwrap();
        assert!(mounted.success());
    };
    // Room for the downloads and the reserve, not for what is in the packages.
    mount("size=30m");
    let disk = Mounted(root.clone());
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&kept)
        .arg(root.join("template"))
        .status()
        .unwrap();
    assert!(copied.success());
    let error = tiny.site.vzpkg(&["create-cache", TEMPLATE]).fails_with(3);
    assert!(
        error.contains("No space left") && error.contains("vzpkg gc"),
        "{error}"
    );
    let list = tiny.site.vzpkg(&["list", "--cached"]).ok();
    assert!(!list.contains(TEMPLATE), "{list}");
    tiny.site.vzpkg(&["gc"]).ok();
    mount("remount,size=400m");
    tiny.site.vzpkg(&["create-cache", TEMPLATE]).ok();
    tiny.site.vzpkg(&["verify"]).ok();
    drop(disk);
}

/// A mount of a scenario; unmounted when it ends, however that is.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}
