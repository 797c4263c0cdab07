//! What goes to stdout: it arrives or the command fails, and in JSON it is one document, also where there is nothing to tell.

use crate::support::{Run, Site};
use crate::tiny::{TEMPLATE as TINY, Tiny};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use vzpkg_tests::deb_writer::Deb;

fn parse(run: Run) -> Value {
    serde_json::from_str(&run.ok()).unwrap()
}

#[test]
fn a_result_that_does_not_arrive_is_a_failure() {
    let site = Site::new();
    for words in [
        &["completions", "bash"][..],
        &["config"],
        &["config", "--format", "json"],
        &["--help"],
        &["gc", "--help"],
    ] {
        let mut command = site.command(words);
        command.stdout(File::create("/dev/full").unwrap());
        let error = Run::of(&command.output().unwrap()).fails_with(3);
        assert!(error.contains("standard output"), "{words:?}: {error}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = Site::new();
    let mut command = site.command(&["completions", "bash"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn a_directory_is_not_written_to_stdout() {
    let site = Site::new();
    let error = site
        .vzpkg(&["export", TINY, "-", "--as", "directory"])
        .fails_with(2);
    assert!(error.contains("./-"), "{error}");
    assert!(!site.path("-").exists());
}

#[test]
fn without_a_store_there_are_no_containers_and_nobody_of_a_name() {
    let site = Site::new();
    let list = parse(site.vzpkg(&["ct", "list", "--format", "json"]));
    assert_eq!(list["containers"], json!([]));
    site.vzpkg(&["ct", "list", "web"]).fails_with(1);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_nothing_to_do_is_a_plan_too_and_replaces_an_older_one() {
    let tiny = Tiny::hello();
    let file = tiny.site.path("plan");
    fs::write(&file, "of another day\n").unwrap();
    let file = file.to_str().unwrap();
    let plan = tiny.json(&["update", TINY, "--dry-run", "--save-plan", file]);
    assert_eq!(plan["schema"], "vzpkg.plan.1");
    assert_eq!(plan["transaction"]["steps"], json!([]));
    let saved: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(saved["steps"], json!([]));
    let applied = tiny.json(&["update", "--plan", file]);
    assert_eq!(applied["schema"], "vzpkg.version.1");
    assert_eq!((&applied["new"], tiny.head()), (&json!(false), 1));
    let present = tiny.json(&["create-cache", TINY, "--dry-run"]);
    assert_eq!(present["transaction"]["steps"], json!([]));
    let present = tiny.json(&["create-cache", TINY]);
    assert_eq!(present["version"], format!("{TINY}@1"));
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_of_several_templates_there_is_one_document() {
    let tiny = Tiny::hello();
    let other = "other-1-x86_64";
    tiny.write_template(other);
    let plans = tiny.json(&["create-cache", TINY, other, "--dry-run"]);
    assert_eq!(plans["schema"], "vzpkg.plans.1");
    let plans = plans["plans"].as_array().unwrap();
    let names: Vec<&Value> = plans.iter().map(|plan| &plan["template"]).collect();
    assert_eq!(names, [TINY, other]);
    assert_eq!(plans[0]["transaction"]["steps"], json!([]));
    let versions = tiny.json(&["create-cache", TINY, other]);
    let new: Vec<&Value> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| &version["new"])
        .collect();
    assert_eq!(new, [&json!(false), &json!(true)]);
    let all = tiny.json(&["update"]);
    assert_eq!(all["versions"].as_array().unwrap().len(), 2);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_fields_of_a_container_are_those_of_its_document() {
    let tiny = Tiny::hello();
    tiny.make("web", &["--env", "A=b"]).ok();
    let whole = tiny.json(&["ct", "info", "web"]);
    let private = tiny.site.root().join("private/web");
    assert_eq!(whole["private_area"], private.to_str().unwrap());
    assert!(whole["private_bytes"].is_u64(), "{whole}");
    let text = tiny.vzpkg(&["info", "web", "environment", "version"]).ok();
    assert_eq!(text, format!("environment:\n\tA=b\nversion:\n\t{TINY}@1\n"));
    let some = tiny.json(&["info", "web", "private_area"]);
    assert_eq!(
        some,
        json!({ "schema": "vzpkg.container.1", "private_area": whole["private_area"] })
    );
    assert_eq!(tiny.json(&["info", "web"]), whole);
    let error = tiny.vzpkg(&["info", "web", "colour"]).fails_with(2);
    assert!(error.contains("private_bytes"), "{error}");
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_mirror_tells_in_json_what_it_tells_in_text_and_no_password() {
    let site = Site::new();
    let none = parse(site.vzpkg(&["mirror", "sync", "--format", "json"]));
    assert_eq!(none["mirrors"], json!([]));
    let key = "A".repeat(40);
    let list = "https://user:secret@mirrors.example.org/list";
    let words = ["mirror", "add", "m", "--mirror-list", list, "--key", &key];
    let selected = ["--packages", "hello", "--legacy-signatures"];
    site.vzpkg(&[&words[..], &selected].concat()).ok();
    let config = site.root().join("mirror/m/mirror.json");
    let mode = fs::metadata(config).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = site.vzpkg(&["mirror", "info", "m"]).ok();
    assert!(text.contains("mirrors.example.org"), "{text}");
    let run = site.vzpkg(&["mirror", "info", "m", "--format", "json"]);
    assert!(!text.contains("secret") && !run.stdout.contains("secret"));
    let info = parse(run);
    assert_eq!(info["parts"][0]["signed_by"], json!([key]));
    assert_eq!(info["parts"][0]["trust"]["legacy_signatures"], true);
    assert_eq!(info["selection"]["packages"], json!(["hello"]));
    site.vzpkg(&["mirror", "remove", "m"]).ok();

    let folder = site.path("folder");
    Deb::new("app", "1").build(&folder);
    let folder = folder.to_str().unwrap();
    site.vzpkg(&["mirror", "import", "own", folder]).ok();
    let news = parse(site.vzpkg(&["mirror", "sync", "--dry-run", "--format", "json"]));
    assert_eq!(
        news["mirrors"],
        json!([{ "name": "own", "folder": folder }])
    );
}
