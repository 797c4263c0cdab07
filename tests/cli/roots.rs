//! Two roots on one machine with one run directory, as `/run/vzpkg` is: what one does to its container leaves that of the
//! same name in the other alone.

use crate::support::Run;
use crate::tiny::{TEMPLATE, Tiny, making};
use std::process::Command;

/// A second root beside that of a site; its container `web` ends with this.
struct Second<'a> {
    tiny: &'a Tiny,
    root: String,
}

impl<'a> Second<'a> {
    /// With the template and a first version, as the site has them.
    fn beside(tiny: &'a Tiny) -> Self {
        let root = tiny.site.path("second");
        std::fs::create_dir(&root).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(tiny.site.root().join("template"));
        assert!(copy.arg(&root).status().unwrap().success());
        let second = Self {
            tiny,
            root: root.to_str().unwrap().to_owned(),
        };
        second.vzpkg(&["create-cache", TEMPLATE]).ok();
        second
    }

    fn vzpkg(&self, words: &[&str]) -> Run {
        self.tiny
            .vzpkg(&[&["--root", self.root.as_str()], words].concat())
    }

    fn ct(&self, words: &[&str]) -> Run {
        self.vzpkg(&[&["ct"], words].concat())
    }

    fn inside(&self, line: &str) -> String {
        self.ct(&["exec", "web", "--", "sh", "-c", line]).ok()
    }
}

impl Drop for Second<'_> {
    fn drop(&mut self) {
        // Gone already, but for a scenario that failed.
        drop(self.ct(&["destroy", "--force", "web"]));
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_container_of_the_same_name_in_another_root_is_left_alone() {
    let tiny = Tiny::hello();
    let second = Second::beside(&tiny);
    tiny.make("web", &["--start"]).ok();
    second.ct(&making("web", &["--start"])).ok();
    tiny.inside("web", "echo first > /etc/mine");
    second.inside("echo second > /etc/mine");
    assert_eq!(tiny.inside("web", "cat /etc/mine"), "first\n");

    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    assert_eq!(second.inside("cat /etc/mine; hello"), "second\n1\n");
    let stopped = tiny.json(&["ct", "info", "web"]);
    assert_eq!(stopped["state"], "stopped");

    tiny.ct(&["start", "web"]).ok();
    second.ct(&["destroy", "--force", "web"]).ok();
    assert_eq!(tiny.inside("web", "cat /etc/mine; hello"), "first\n1\n");
    tiny.ct(&["destroy", "--force", "web"]).ok();
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_no_name_of_a_container_is_that_of_a_file_of_ours() {
    let tiny = Tiny::hello();
    for name in ["works", "runtime", "oci", "ct", "versions", "self-test"] {
        tiny.make(name, &["--start"]).ok();
        assert_eq!(tiny.inside(name, "hello"), "1\n");
        tiny.ct(&["stop", name, "--timeout", "0"]).ok();
        tiny.ct(&["destroy", name]).ok();
    }
    tiny.assert_nothing_left();
}
