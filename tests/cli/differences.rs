//! `diff`: what a person reads before an update goes to production.

use crate::tiny::{TEMPLATE as TINY, Tiny, program};
use std::io::Write as _;
use std::process::{Command, Stdio};

fn gzip(text: &str) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .args(["-9n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

const OLD: &str =
    "hello (1) stable; urgency=low\n\n  * First.\n\n -- A <a@b>  Thu, 01 Jan 2026 00:00:00 +0000\n";
const NEW: &str = "hello (2) stable; urgency=high\n\n  * Listens to the world.\n\n -- A <a@b>  Fri, 02 Jan 2026 00:00:00 +0000\n\n";

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_diff_tells_what_an_update_brings() {
    let changelog = "usr/share/doc/hello/changelog.Debian.gz";
    let old = program("hello", "1").file(changelog, 0o644, &gzip(OLD));
    let mut tiny = Tiny::of(&["hello", "other"], &[old, program("other", "1")]);
    tiny.create();
    let new = program("hello", "2")
        .file(changelog, 0o644, &gzip(&(NEW.to_owned() + OLD)))
        .file("usr/bin/hello-admin", 0o4755, b"#!/bin/sh\n")
        .file("usr/lib/systemd/system/hello.service", 0o644, b"[Service]\nExecStart=/usr/bin/hello\n")
        .file("usr/lib/systemd/system/hello.socket", 0o644, b"[Socket]\nListenStream=7\n")
        .script("postinst", "#!/bin/sh\nset -e\ngroupadd --gid 412 greeters\nuseradd --uid 412 --gid 412 --no-create-home greeter\n");
    tiny.publish_all(&[new]);
    tiny.update();

    let words = ["diff", "tiny-1-x86_64@1", "@2", "--changelogs"];
    let text = tiny.vzpkg(&words).ok();
    for said in [
        "Packages: 1 up",
        "hello  1 → 2",
        "/usr/bin/hello-admin  runs as user 0",
        "hello.service  disabled",
        "hello.socket   disabled",
        "user greeter",
        "group greeters",
        "hello.socket  ListenStream=7",
        "Listens to the world.",
        "new on the disk",
        "--files lists them",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("First."), "only what is new: {text}");
    let files = tiny
        .vzpkg(&["diff", "tiny-1-x86_64@1", TINY, "--files"])
        .ok();
    assert!(files.contains("+ /usr/bin/hello-admin"), "{files}");
    let json = tiny.json(&["diff", "tiny-1-x86_64@1", "@2", "--changelogs", "--files"]);
    assert_eq!(json["schema"], "vzpkg.diff.1");
    assert_eq!(json["packages"][0]["change"], "up");
    assert_eq!(
        json["privileges"]["added"][0]["name"],
        "/usr/bin/hello-admin"
    );
    assert_eq!(json["listening"]["added"][0]["what"], "ListenStream=7");
    assert!(
        json["sizes"]["to"]["own_bytes"].as_u64().unwrap() > 0,
        "{json}"
    );
    assert!(json["files"].as_array().unwrap().len() > 3, "{json}");

    // The other way round it is gone again; the same version differs in nothing.
    let back = tiny.vzpkg(&["diff", "tiny-1-x86_64@2", "@1"]).ok();
    assert!(
        back.contains("1 down") && back.contains("-  /usr/bin/hello-admin"),
        "{back}"
    );
    let same = tiny.vzpkg(&["diff", TINY, TINY]).ok();
    assert!(same.contains("the same tree"), "{same}");
}
