//! Guards, and several processes on one store.

use crate::fixtures::{build, open, store};
use std::env;
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use vzpkg_cache::store::{
    Access, GuardError, GuardName, GuardReporter, Holder, SilentWait, Store, Wait,
};
use vzpkg_metadata::TemplateName;

fn template() -> GuardName {
    let name: TemplateName = "debian-13-x86_64/nginx".parse().expect("a name");
    GuardName::Template(name)
}

#[test]
fn a_guard_names_its_holder_and_ends_with_it() {
    let (_directory, store) = store();
    assert_eq!(store.guard_holder(&template()).unwrap(), None);
    let guard = store.guard(template(), Wait::Never, &SilentWait).unwrap();
    let holder = store.guard_holder(&template()).unwrap().unwrap();
    assert_eq!(holder.pid, std::process::id());
    assert!(!holder.command.is_empty());
    let error = store
        .guard(template(), Wait::Never, &SilentWait)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("template `debian-13-x86_64/nginx` is in use by {holder}")
    );
    let container = GuardName::Container("web1".parse().unwrap());
    let _other = store.guard(container, Wait::Never, &SilentWait).unwrap();
    drop(guard);
    let _again = store.guard(template(), Wait::Never, &SilentWait).unwrap();
}

#[derive(Default)]
struct Heard(Mutex<Vec<Option<Holder>>>);

impl GuardReporter for Heard {
    fn waiting(&self, guard: &GuardName, holder: Option<&Holder>, _waited: Duration) {
        assert_eq!(*guard, template());
        let mut heard = self.0.lock().expect("no thread panicked");
        heard.push(holder.cloned());
    }
}

#[test]
fn a_waiting_writer_is_told_for_whom_it_waits() {
    let (_directory, store) = store();
    let guard = store.guard(template(), Wait::Never, &SilentWait).unwrap();
    let heard = Heard::default();
    let limit = Duration::from_millis(50);
    let error = store
        .guard(template(), Wait::AtMost(limit), &heard)
        .unwrap_err();
    assert!(matches!(error, GuardError::Busy { waited, .. } if waited >= limit));
    let heard = heard.0.into_inner().unwrap();
    assert_eq!(heard[0].as_ref().unwrap().pid, std::process::id());
    drop(guard);
}

/// Tells the other process where the store is.
const ROOT: &str = "VZPKG_TEST_ROOT";

/// The other process: publishes ten versions, takes the guard, says so, and holds it until it is killed or its standard
/// input ends. Run as a test of its own it uses a store of its own and ends.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test that is run as a process can be told something only so"
)]
fn a_process_publishes_and_takes_a_guard() {
    let told = env::var_os(ROOT);
    let own = tempfile::tempdir().unwrap();
    let root = told.as_deref().map_or(own.path(), Path::new);
    let store = Store::open(root, Access::ReadWrite).unwrap();
    for content in 0..10_u32 {
        let bytes = format!("{} {content}", std::process::id());
        store
            .publish(build(
                &store,
                "debian-13-x86_64",
                &[("a", bytes.as_bytes())],
            ))
            .unwrap();
    }
    let wait = Wait::AtMost(Duration::from_mins(1));
    let guard = store.guard(template(), wait, &SilentWait).unwrap();
    if told.is_some() {
        // To the descriptor itself: the test harness swallows what is printed.
        let mut output = io::stderr();
        output.write_all(b"held\n").unwrap();
        output.flush().unwrap();
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    }
    drop(guard);
}

fn spawn(root: &Path) -> Child {
    let program: PathBuf = env::current_exe().expect("this binary has a path");
    Command::new(program)
        .args([
            "--exact",
            "store_guards::a_process_publishes_and_takes_a_guard",
            "--nocapture",
        ])
        .env(ROOT, root)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this binary runs")
}

fn wait_until_held(child: &mut Child) {
    let output = child.stderr.take().expect("piped");
    let lines = io::BufReader::new(output).lines();
    let held = lines.map_while(Result::ok).any(|line| line == "held");
    assert!(held, "the process ended before it held the guard");
}

/// Asks until there is an answer.
fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_mins(2), "asked in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn processes_publish_at_once_and_a_killed_holder_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // All three create the store at once.
    let mut children: Vec<Child> = (0..3).map(|_| spawn(directory.path())).collect();
    let mut stderr: Vec<_> = children
        .iter_mut()
        .map(|child| io::BufReader::new(child.stderr.take().unwrap()).lines())
        .collect();
    // Each gets the guard after the one before it was killed, and only then.
    let mut killed = Vec::new();
    for _ in 0..3 {
        let store = eventually(|| Store::open(directory.path(), Access::ReadOnly).ok());
        // Whoever has it just now may not have written its name yet.
        let holder = eventually(|| {
            let holder = store.guard_holder(&template()).unwrap();
            holder.filter(|holder| !killed.contains(&holder.pid))
        });
        killed.push(holder.pid);
        let index = children
            .iter()
            .position(|child| child.id() == holder.pid)
            .unwrap();
        assert!(
            stderr[index].any(|line| line.unwrap() == "held"),
            "{holder} never said so"
        );
        children[index].kill().unwrap();
        children[index].wait().unwrap();
    }
    let store = open(&directory);
    let _free = store.guard(template(), Wait::Never, &SilentWait).unwrap();
    let rows = store.db.versions(&"debian-13-x86_64".parse().unwrap());
    let numbers: Vec<u64> = rows
        .unwrap()
        .iter()
        .map(|row| row.name.number.get())
        .collect();
    assert_eq!(numbers.len(), 30);
    assert!(numbers.is_sorted());
}

#[test]
fn a_reader_does_not_wait_for_a_process_that_writes() {
    let (directory, store) = store();
    store
        .publish(build(&store, "debian-13-x86_64", &[("a", b"1")]))
        .unwrap();
    let mut child = spawn(directory.path());
    wait_until_held(&mut child);
    let reader = Store::open(directory.path(), Access::ReadOnly).unwrap();
    assert_eq!(reader.db.templates().unwrap()[0].versions, 11);
    child.kill().unwrap();
    child.wait().unwrap();
}
