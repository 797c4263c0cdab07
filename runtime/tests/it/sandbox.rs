//! Sessions: what commands see, what comes out, and what is left.

use crate::fixture::{Version, content, helper, mounts_below};
use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use vzpkg_metadata::tree::Node;
use vzpkg_metadata::{Digest, Timestamp};
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::rootfs::{MountSpec, Tier};
use vzpkg_runtime::sandbox::{
    Bind, OutputReporter, Root, RunCommand, RunOutcome, RunStatus, Sandbox, SandboxError,
    SandboxSpec, Stream, TreeMount,
};

/// How long is waited for what ought to happen soon; a sleep of a test is far longer.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) fn shell(script: &str) -> RunCommand {
    RunCommand {
        stdout_limit: 1 << 20,
        ..RunCommand::new(["sh", "-c", script])
    }
}

pub(crate) fn text(outcome: &RunOutcome) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

/// A session on the host's programs.
pub(crate) fn on_host() -> Sandbox {
    Sandbox::start(&SandboxSpec::new(Root::Host), &helper()).unwrap()
}

/// What a script prints.
pub(crate) fn printed(sandbox: &mut Sandbox, script: &str) -> String {
    let outcome = sandbox.run(&shell(script), &()).unwrap();
    text(&outcome)
}

/// A version in whose tree the host's programs run, bound at `/usr`.
fn version_with_programs() -> Version {
    let mut content = content("A");
    let time = Timestamp::from_seconds(0);
    content
        .tree
        .remove_subtree(&crate::fixture::path("usr/bin"));
    for name in ["bin", "lib", "lib64", "sbin"] {
        let target = format!("usr/{name}");
        content
            .tree
            .insert(crate::fixture::path(name), Node::symlink(target, time));
    }
    Version::new(&content)
}

fn in_tree(version: &Version) -> SandboxSpec {
    let tree = MountSpec::new(Tier::Image, version.lower.clone());
    let tree = version.with_upper(tree, "session");
    let mut spec = SandboxSpec::new(Root::Tree(tree));
    spec.binds.push(Bind::read_only("/usr", "/usr"));
    spec
}

/// Processes of the host whose command line holds `mark`.
pub(crate) fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        // The holder itself is known to the test.
        if line.contains(mark) && !line.contains("hold") {
            found.push(line);
        }
    }
    found
}

/// A sleep so long and so odd that no other process has it.
fn mark() -> String {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("86{}.{serial}5", std::process::id())
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_commands_run_one_after_the_other_in_one_session() {
    let mut sandbox = on_host();
    let first = sandbox
        .run(&shell("echo one > /tmp/f; hostname; id -u; umask"), &())
        .unwrap();
    assert_eq!(text(&first), "localhost\n0\n0022\n", "{first:?}");
    assert!(first.success());
    let second = sandbox
        .run(&shell("cat /tmp/f; echo bad >&2; exit 3"), &())
        .unwrap();
    assert_eq!(second.stdout, b"one\n");
    assert_eq!(second.status, RunStatus::Exited(3));
    assert!(String::from_utf8_lossy(&second.tail).contains("bad"));
    let third = sandbox.run(&shell("kill -TERM $$"), &()).unwrap();
    assert_eq!(third.status, RunStatus::Signaled(15));
    assert!(sandbox.is_bounded());
    sandbox.finish().unwrap();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_input_arrives_whole_and_its_absence_is_an_empty_file() {
    let mut sandbox = on_host();
    let mut command = shell("sha256sum");
    command.stdin = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let outcome = sandbox.run(&command, &()).unwrap();
    assert!(text(&outcome).starts_with(&Digest::of(&command.stdin).to_string()));
    // Who does not read it is not harmed by it, nor are we.
    command.argv = vec!["true".to_owned()];
    assert!(sandbox.run(&command, &()).unwrap().success());
    assert_eq!(
        printed(&mut sandbox, "wc -c; readlink /proc/self/fd/0"),
        "0\n/dev/null\n"
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_nothing_of_the_caller_is_inherited() {
    let _held = fs::File::open("/etc/passwd").unwrap();
    let mut sandbox = on_host();
    let mut command = RunCommand::new(["env"]);
    command.stdout_limit = 4096;
    command
        .environment
        .insert("EXTRA".to_owned(), "1".to_owned());
    let seen = text(&sandbox.run(&command, &()).unwrap());
    let mut lines: Vec<&str> = seen
        .lines()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["EXTRA", "HOME", "LC_ALL", "PATH", "TERM"]);
    let mut command = RunCommand::new(["ls", "/proc/self/fd"]);
    command.stdout_limit = 4096;
    assert_eq!(text(&sandbox.run(&command, &()).unwrap()), "0\n1\n2\n3\n");
    command.argv = ["sh", "-c", "ps -o sid= -p $$; cat /proc/self/status"]
        .map(str::to_owned)
        .into();
    let status = text(&sandbox.run(&command, &()).unwrap());
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
    // chown dac_override fowner fsetid kill setgid setuid setpcap sys_chroot mknod audit_write setfcap
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert!(
            status.contains(&format!("{set}:\t00000000a80401fb")),
            "{status}"
        );
    }
    assert!(status.contains("CapInh:\t0000000000000000"), "{status}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_program_that_is_not_there_is_told_by_name() {
    let mut sandbox = on_host();
    let error = sandbox
        .run(&RunCommand::new(["no-such-program"]), &())
        .unwrap_err();
    assert!(matches!(&error, SandboxError::Exec { program, .. } if program == "no-such-program"));
    let mut elsewhere = RunCommand::new(["true"]);
    elsewhere.directory = "/no/such/place".into();
    let error = sandbox.run(&elsewhere, &()).unwrap_err();
    assert!(error.to_string().contains("/no/such/place"), "{error}");
    assert!(
        sandbox
            .run(&RunCommand::new(["true"]), &())
            .unwrap()
            .success()
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_only_what_is_written_to_the_tree_enters_the_upper() {
    let version = version_with_programs();
    let spec = in_tree(&version);
    let mut sandbox = Sandbox::start(&spec, &helper()).unwrap();
    assert_eq!(mounts_below(version.directory.path()), [""; 0]);
    let script = "echo a > /etc/new; echo b > /run/x; echo c > /tmp/y; echo d > /dev/shm/z; \
                  mkdir -p /run/deep/er; cat /etc/conf; echo to-stderr > /dev/stderr";
    assert_eq!(printed(&mut sandbox, script), "configuration of A\n");
    sandbox.finish().unwrap();
    let Root::Tree(tree) = &spec.root else {
        unreachable!()
    };
    let upper = &tree.upper.as_ref().unwrap().upper;
    let mut names: Vec<String> = crate::fixture::describe(upper);
    for line in &mut names {
        line.truncate(line.find(' ').unwrap());
    }
    assert_eq!(names, ["", "etc", "etc/new"]);
    assert_eq!(mounts_below(version.directory.path()), [""; 0]);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_every_tier_is_a_root() {
    let version = version_with_programs();
    for (name, tree) in version.specs() {
        let mut spec = SandboxSpec::new(Root::Tree(version.with_upper(tree, name)));
        spec.binds.push(Bind::read_only("/usr", "/usr"));
        let mut sandbox = Sandbox::start(&spec, &helper()).unwrap();
        let seen = printed(
            &mut sandbox,
            "cat /etc/conf; chmod 600 /etc/conf && stat -c %a /etc/conf",
        );
        assert_eq!(seen, "configuration of A\n600\n", "{name}");
        sandbox.finish().unwrap();
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_second_tree_can_be_a_target_of_chroot() {
    let version = version_with_programs();
    let target = version_with_programs();
    let mut spec = in_tree(&version);
    spec.trees.push(TreeMount {
        at: "/run/target".into(),
        tree: target.with_upper(MountSpec::new(Tier::Image, target.lower.clone()), "target"),
        system: true,
    });
    spec.binds.push(Bind::read_only("/usr", "/run/target/usr"));
    let mut sandbox = Sandbox::start(&spec, &helper()).unwrap();
    let script = "chroot /run/target sh -c 'echo mine > /etc/conf; echo gone > /dev/null; \
                  echo $(ls /proc/self/exe) $(cat /sys/kernel/notes | wc -c) > /tmp/x; ls /dev/pts/ptmx'; cat /etc/conf";
    assert_eq!(
        printed(&mut sandbox, script),
        "/dev/pts/ptmx\nconfiguration of A\n"
    );
    sandbox.finish().unwrap();
    let conf = target.at("target.upper/etc/conf");
    assert_eq!(fs::read_to_string(conf).unwrap(), "mine\n");
    assert!(!target.at("target.upper/tmp").exists());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_mount_point_is_never_made_in_a_tree() {
    let version = version_with_programs();
    let mut spec = in_tree(&version);
    spec.binds.push(Bind::read_only("/usr", "/nowhere"));
    let error = Sandbox::start(&spec, &helper()).unwrap_err();
    assert!(error.to_string().contains("mount `/nowhere`"), "{error}");
    assert!(!version.at("session.upper/nowhere").exists());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_output_is_bounded_and_streamed() {
    #[derive(Default)]
    struct Count(RefCell<(u64, u64)>);
    impl OutputReporter for Count {
        fn line(&self, stream: Stream, line: &[u8]) {
            let mut seen = self.0.borrow_mut();
            seen.0 += u64::from(stream == Stream::Stdout);
            seen.1 += line.len() as u64;
        }
    }
    let mut sandbox = on_host();
    let count = Count::default();
    let flood = shell("yes vzpkg | head -c 60000000; head -c 1000000 /dev/zero >&2; echo end");
    let outcome = sandbox.run(&flood, &count).unwrap();
    assert!(outcome.success() && outcome.stdout_truncated);
    assert_eq!(outcome.stdout.len(), 1 << 20);
    assert!(outcome.tail.len() <= 64 << 10);
    assert_eq!(count.0.borrow().0, 10_000_001);
    assert!(count.0.borrow().1 > 50_000_000);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_command_that_takes_too_long_is_killed_and_the_session_goes_on() {
    let mut sandbox = on_host();
    let mark = mark();
    let mut command = shell(&format!("sleep {mark} & trap '' TERM; sleep {mark}"));
    command.timeout = Some(Duration::from_millis(200));
    let started = Instant::now();
    let outcome = sandbox.run(&command, &()).unwrap();
    assert_eq!(outcome.status, RunStatus::TimedOut);
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(processes_with(&mark), [""; 0]);
    assert!(
        sandbox
            .run(&RunCommand::new(["true"]), &())
            .unwrap()
            .success()
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_daemons_die_with_their_command() {
    let mut sandbox = on_host();
    let mark = mark();
    // One holds the output open, one has let go of everything, one is nobody's child.
    let script = format!(
        "sleep {mark} & setsid sleep {mark} >/dev/null 2>&1 </dev/null & \
         (setsid sh -c 'sleep {mark} & sleep {mark}' &) ; echo started"
    );
    let outcome = sandbox.run(&shell(&script), &()).unwrap();
    assert_eq!(text(&outcome), "started\n");
    assert!(outcome.left_behind >= 3, "{outcome:?}");
    assert_eq!(processes_with(&mark), [""; 0]);
    // Whoever still has something to say when the shell has ended is heard, if it says it soon.
    let late = "exec > /proc/self/fd/1; (printf late) &";
    assert!((0..5).any(|_| printed(&mut sandbox, late) == "late"));
    sandbox.finish().unwrap();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_a_fork_bomb_stays_in_its_session() {
    let mut spec = SandboxSpec::new(Root::Host);
    spec.limits.processes = 400;
    let mut sandbox = Sandbox::start(&spec, &helper()).unwrap();
    let mut bomb = shell("bomb() { bomb & bomb; }; bomb");
    bomb.timeout = Some(Duration::from_secs(1));
    let outcome = sandbox.run(&bomb, &()).unwrap();
    assert!(!outcome.success());
    assert!(outcome.left_behind <= 400, "{}", outcome.left_behind);
    assert!(
        sandbox
            .run(&RunCommand::new(["true"]), &())
            .unwrap()
            .success()
    );
    sandbox.finish().unwrap();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_caller_killed_at_once_leaves_no_process_and_no_mount() {
    let mark = mark();
    let caller = Command::new(&helper().program)
        .args(["hold", &mark])
        .stdout(Stdio::piped())
        .spawn();
    let mut caller = Killed(caller.unwrap());
    let mut line = String::new();
    BufReader::new(caller.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "asleep\n");
    let wait_until = |holds: fn(&[String]) -> bool| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = processes_with(&mark);
            if holds(&found) {
                break;
            }
            assert!(Instant::now() < deadline, "{found:?}");
            std::thread::yield_now();
        }
    };
    wait_until(|found| found.len() >= 3);
    drop(caller);
    wait_until(<[String]>::is_empty);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_session_outlives_the_thread_that_started_it_but_no_panic() {
    let mut sandbox = std::thread::spawn(on_host).join().unwrap();
    assert!(
        sandbox
            .run(&RunCommand::new(["true"]), &())
            .unwrap()
            .success()
    );
    let mark = mark();
    let reporter = Panics;
    let script = format!("sleep {mark} & echo now; wait");
    let panicked = std::thread::spawn(move || {
        let _outcome = sandbox.run(&shell(&script), &reporter);
    });
    assert!(panicked.join().is_err());
    assert_eq!(processes_with(&mark), [""; 0]);
}

/// A process that dies at the end of its test, however that ends.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

struct Panics;

impl OutputReporter for Panics {
    fn line(&self, _stream: Stream, _line: &[u8]) {
        unreachable!("which is what this test wants to see");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_helper_that_dies_ends_the_session_and_says_so() {
    let mut sandbox = on_host();
    let mark = mark();
    // Nothing inside can do this; the host's administrator can.
    let parent = printed(&mut sandbox, "cut -d' ' -f4 /proc/1/stat");
    assert_eq!(parent, "0\n");
    let children = format!(
        "/proc/self/task/{}/children",
        rustix::thread::gettid().as_raw_nonzero()
    );
    let outer = fs::read_to_string(children).unwrap();
    let outer: i32 = outer.split_whitespace().next().unwrap().parse().unwrap();
    let outer = rustix::process::Pid::from_raw(outer).unwrap();
    let kill = move || rustix::process::kill_process(outer, rustix::process::Signal::KILL);
    let reporter = OnLine(kill);
    let error = sandbox
        .run(&shell(&format!("echo now; sleep {mark}")), &reporter)
        .unwrap_err();
    assert!(matches!(error, SandboxError::Lost { .. }), "{error:?}");
    let deadline = Instant::now() + PATIENCE;
    while !processes_with(&mark).is_empty() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_an_idle_session_ends_with_its_helper_too() {
    let sandbox = on_host();
    let children = |pid: i32| -> Vec<i32> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let lists = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
        let text: String = lists.map(Result::unwrap_or_default).collect();
        text.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    };
    let thread = rustix::thread::gettid().as_raw_nonzero();
    let own = fs::read_to_string(format!("/proc/self/task/{thread}/children")).unwrap();
    let outer: i32 = own.split_whitespace().next().unwrap().parse().unwrap();
    let init = children(outer)[0];
    let pid = rustix::process::Pid::from_raw(outer).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while fs::metadata(format!("/proc/{init}/root/.")).is_ok() {
        assert!(
            Instant::now() < deadline,
            "PID 1 of the session still lives"
        );
        std::thread::yield_now();
    }
    assert!(matches!(sandbox.finish(), Err(SandboxError::Lost { .. })));
}

struct OnLine<F>(F);

impl<F: Fn() -> Result<(), rustix::io::Errno>> OutputReporter for OnLine<F> {
    fn line(&self, _stream: Stream, _line: &[u8]) {
        (self.0)().unwrap();
    }
}

#[test]
fn a_helper_that_cannot_be_started_is_named() {
    let missing = HelperCommand::new("/nonexistent/helper", [""; 0]);
    let error = Sandbox::start(&SandboxSpec::new(Root::Host), &missing).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/helper"), "{error}");
    // A program that is no helper is noticed too, with its last words.
    let wrong = HelperCommand::new("sh", ["-c", "echo I am a shell >&2"]);
    let error = Sandbox::start(&SandboxSpec::new(Root::Host), &wrong).unwrap_err();
    assert!(error.to_string().contains("I am a shell"), "{error}");
}
