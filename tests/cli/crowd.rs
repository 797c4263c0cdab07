//! Fifty containers at once, each by a command of its own at the same moment as the others, in every way in which the
//! kernel can show a version.

use crate::tiny::{TEMPLATE, Tiny, end, program};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Child;

const COUNT: usize = 50;

/// How often one may be told to try again.
const RETRIES: usize = 5;

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_fifty_containers_live_at_once_as_images() {
    live_at_once("image");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_fifty_containers_live_at_once_as_stacks() {
    live_at_once("stacked");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_fifty_containers_live_at_once_as_stubs() {
    live_at_once("stubs");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_fifty_containers_live_at_once_as_copies() {
    live_at_once("directory");
}

fn live_at_once(tier: &str) {
    let mut tiny = Tiny::hello();
    tiny.publish(&program("hello", "2"));
    tiny.update();
    let Some((kept, text)) = only(&tiny, tier) else {
        return;
    };
    let names: Vec<String> = (0..COUNT).map(|number| format!("c{number}")).collect();
    let first = format!("{TEMPLATE}@1");
    let create = ["--template", &first, "--net", "none", "--start"];
    all(&tiny, &names, "create", &create);
    // Some have changed what the other version changes, too.
    for name in names.iter().step_by(7) {
        tiny.inside(name, "chmod 700 /usr/bin/hello; echo mine > /etc/mine");
    }
    let said = |expected: &str| {
        for name in &names {
            assert_eq!(tiny.inside(name, "hello"), expected, "{name}");
        }
    };
    said("1\n");
    all(&tiny, &names, "relink", &["--to", "@2"]);
    said("2\n");
    all(&tiny, &names, "rollback", &[]);
    said("1\n");
    for name in names.iter().step_by(7) {
        assert_eq!(tiny.inside(name, "cat /etc/mine"), "mine\n");
    }
    all(&tiny, &names, "destroy", &["--force"]);
    tiny.vzpkg(&["gc"]).ok();
    let left = fs::read_dir(tiny.site.root().join("private")).unwrap();
    assert_eq!(left.count(), 0);
    tiny.assert_nothing_left();
    assert_eq!(fs::read_to_string(kept).unwrap(), text, "it was believed");
}

/// Calls a verb for all of them at once.
fn all(tiny: &Tiny, names: &[String], verb: &str, options: &[&str]) {
    let begin = |name: &String| -> Child { tiny.begin(&[&["ct", verb, name], options].concat()) };
    let begun: Vec<Child> = names.iter().map(begin).collect();
    for (name, child) in names.iter().zip(begun) {
        let mut run = end(child);
        for _ in 0..RETRIES {
            // It was left as it was: so many at once can keep a small machine too busy for any to stand still in time.
            if run.code == 0 || !run.stderr.contains("did not stand still") {
                break;
            }
            run = end(begin(name));
        }
        assert_eq!(run.code, 0, "{verb} {name}: {run:?}");
    }
}

/// Lets the site believe that its kernel can do nothing but this: the file in which that is kept, and what it says now.
/// `None`, and that is said, where the kernel cannot.
fn only(tiny: &Tiny, tier: &str) -> Option<(PathBuf, String)> {
    tiny.ct(&["create", "probe", "--template", TEMPLATE, "--start"])
        .ok();
    tiny.ct(&["destroy", "--force", "probe"]).ok();
    let kept = fs::read_dir(tiny.site.path("run")).unwrap().flatten();
    let mut kept = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("tiers."));
    let kept = kept.next().unwrap().path();
    let text = fs::read_to_string(&kept).unwrap();
    let mut found: serde_json::Value = serde_json::from_str(&text).unwrap();
    for one in found["finding"]["tiers"].as_array_mut().unwrap() {
        if one["tier"] != tier {
            one["obstacle"] = "not now".into();
        } else if !one["obstacle"].is_null() {
            let why = &one["obstacle"];
            // Not a print, which the harness swallows.
            let said = format!("NOT RUN: fifty containers as {tier}: {why}\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            return None;
        }
    }
    let text = found.to_string();
    fs::write(&kept, &text).unwrap();
    Some((kept, text))
}
