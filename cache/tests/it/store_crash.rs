//! A process that is killed after any step of a publication leaves nothing that the next one minds.

use crate::fixtures::{self, age, build, draft, manifest, open, tree_of};
use std::env;
use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use vzpkg_cache::store::{Access, GcMode, GcOptions, Published, Retention, Store, VerifyReporter};
use vzpkg_metadata::{Digest, TemplateName};

const TEMPLATE: &str = "debian-13-x86_64";
const STEPS: usize = 7;
const FILES: [(&str, &[u8]); 2] = [("etc/issue", b"Debian"), ("bin/sh", b"#!")];

struct Silent;
impl VerifyReporter for Silent {}

/// Carries out the first `steps` steps of making and publishing a version.
fn make(store: &Store, steps: usize) {
    let digest = tree_of(&FILES).digest();
    let package = manifest("base-files", tree_of(&FILES));
    for step in 1..=steps {
        match step {
            1 => drop(store.objects.put_bytes(FILES[0].1).unwrap()),
            2 => drop(store.objects.put_bytes(FILES[1].1).unwrap()),
            3 => store.packages.put(&package).unwrap(),
            4 => drop(store.images.write(&tree_of(&FILES)).unwrap()),
            5 => store.sync().unwrap(),
            // What publishing does before it commits: the record, without its row.
            6 => {
                let template: TemplateName = "other".parse().unwrap();
                store.publish(draft(template.as_str(), digest)).unwrap();
                let path = store.layout.version(&digest);
                let record = fs::read_to_string(&path).unwrap();
                let record = record.replace("\"other\"", &format!("\"{TEMPLATE}\""));
                fs::write(path, record).unwrap();
                let head = store.db.head(&template).unwrap().unwrap();
                store.db.remove_version(&head.name).unwrap();
            }
            _ => drop(store.publish(draft(TEMPLATE, digest)).unwrap()),
        }
    }
}

/// Tells the process that is killed how many steps it makes.
const STEPS_TO_MAKE: &str = "VZPKG_TEST_STEPS";

/// Tells it where.
const ROOT: &str = "VZPKG_TEST_ROOT";

/// The process that is killed: makes its steps, says `done`, and waits until its standard input ends. Run as a test of its
/// own it makes every step in a store of its own.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test that is run as a process can be told something only so"
)]
fn a_process_makes_some_steps_of_a_version() {
    let (Some(steps), Some(root)) = (env::var_os(STEPS_TO_MAKE), env::var_os(ROOT)) else {
        let (_directory, store) = fixtures::store();
        make(&store, STEPS);
        return;
    };
    let store = Store::open(Path::new(&root), Access::ReadWrite).unwrap();
    make(&store, steps.to_str().unwrap().parse().unwrap());
    // To the descriptor itself: the test harness swallows what is printed.
    io::stderr().write_all(b"done\n").unwrap();
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
}

fn killed_after(steps: usize, root: &Path) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "store_crash::a_process_makes_some_steps_of_a_version",
        ])
        .arg("--nocapture")
        .env(STEPS_TO_MAKE, steps.to_string())
        .env(ROOT, root)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = io::BufReader::new(child.stderr.take().unwrap()).lines();
    let done = lines.map_while(Result::ok).any(|line| line == "done");
    assert!(done, "the process ended before its work was done");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_version_is_there_whole_or_not_at_all() {
    for steps in 0..=STEPS {
        let directory = tempfile::tempdir().unwrap();
        killed_after(steps, directory.path());
        let store = open(&directory);
        let template: TemplateName = TEMPLATE.parse().unwrap();
        let head = store.db.head(&template).unwrap();
        assert_eq!(head.is_some(), steps == STEPS, "after step {steps}");
        assert_eq!(
            store.verify(&[], 1, &Silent).unwrap(),
            [],
            "after step {steps}"
        );
        // The next command makes it as if nothing had happened.
        let published = store.publish(build(&store, TEMPLATE, &FILES)).unwrap();
        assert_eq!(published.record().number.get(), 1, "after step {steps}");
        let unchanged = matches!(published, Published::Unchanged(_));
        assert_eq!(unchanged, steps == STEPS, "after step {steps}");
    }
}

#[test]
fn what_a_killed_process_leaves_is_collected() {
    for steps in 0..STEPS {
        let directory = tempfile::tempdir().unwrap();
        killed_after(steps, directory.path());
        age(&directory);
        let store = open(&directory);
        let options = GcOptions {
            mode: GcMode::Remove,
            keep: Retention::newest(0),
        };
        let report = fixtures::gc(&store, options).unwrap();
        // Opening alone makes no staging directory.
        assert_eq!(
            report.dead_builds,
            u64::from(steps > 0),
            "after step {steps}"
        );
        for (_, bytes) in FILES {
            assert!(
                !store.objects.contains(&Digest::of(bytes)),
                "after step {steps}"
            );
        }
        for kind in ["images", "packages", "versions", "tmp"] {
            let left: Vec<_> = fs::read_dir(directory.path().join("store").join(kind))
                .unwrap()
                .collect();
            assert!(left.is_empty(), "after step {steps}: {kind} holds {left:?}");
        }
    }
}
