//! Ctrl-C and SIGTERM: whoever does not look ends at once, a question is not answered by them, and what is for a command in
//! a container reaches it.

use crate::support::{Run, Site, VZPKG};
use crate::tiny::{TEMPLATE, Tiny, end, own_sleep, program, runs, signal, wait_until};
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

/// More bytes than a pipe and the buffers of a compressor hold, and that take a second to be packed.
const BIG: u32 = 16_000_000;

/// Whether a command sleeps, because nobody reads what it writes.
fn sleeps(child: &Child) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    stat.rsplit_once(')').unwrap().1.starts_with(" S")
}

#[test]
fn the_first_signal_ends_a_command_that_does_not_look() {
    let site = Site::new();
    for name in ["-INT", "-TERM"] {
        let mut command = site.command(&["completions", "bash"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        // The script is longer than a pipe is deep.
        wait_until("the pipe is full", || sleeps(&child));
        signal(&child, name);
        end(child).fails_with(130);
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_sigterm_reaches_the_command_in_a_container() {
    let tiny = Tiny::hello();
    tiny.make("web", &["--start"]).ok();
    let sleep = own_sleep(41);
    let child = tiny.begin(&["ct", "exec", "web", "--", "sleep", &sleep]);
    wait_until("the command runs", || inside(&sleep));
    signal(&child, "-TERM");
    end(child).fails_with(128 + 15);
    wait_until("the command ends", || !runs(&sleep));
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

/// Whether a process named `sleep` has this argument: not the runtime that is about to start it.
fn inside(argument: &str) -> bool {
    let found = Command::new("pgrep")
        .args(["-x", "-f", &format!("sleep {argument}")])
        .output()
        .unwrap();
    found.status.success()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_ctrl_c_is_no_answer_to_a_question() {
    let tiny = Tiny::hello();
    tiny.make("web", &[]).ok();
    let mine = tiny.site.root().join("private/web/upper/etc/mine");
    fs::write(&mine, "mine\n").unwrap();
    for verb in ["reset", "destroy"] {
        let mut asked = on_a_terminal(&tiny.site, &["ct", verb, "web"]);
        let mut said = Vec::new();
        let mut output = asked.stdout.take().unwrap();
        while !said.ends_with(b"[y/N] ") {
            let mut byte = [0];
            output.read_exact(&mut byte).unwrap();
            said.extend(byte);
        }
        let mut keyboard = asked.stdin.take().unwrap();
        keyboard.write_all(b"\x03").unwrap();
        let status = asked.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{verb}");
        assert!(mine.exists(), "{verb}");
    }
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

/// The command with these words on a terminal of its own, whose keys are this child's stdin.
fn on_a_terminal(site: &Site, words: &[&str]) -> Child {
    let plain = site.command(words);
    let mut command = Command::new("script");
    let line = format!("exec {VZPKG} {}", words.join(" "));
    command.args(["-q", "-e", "-c", &line, "/dev/null"]);
    command
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .current_dir(plain.get_current_dir().unwrap());
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.spawn().unwrap()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_an_archive_that_is_interrupted_leaves_nothing() {
    let noise: Vec<u8> = (0..BIG)
        .flat_map(|i| (i.wrapping_mul(2_654_435_761) ^ (i >> 7)).to_be_bytes())
        .collect();
    let big = program("big", "1")
        .compression("none")
        .file("usr/share/big", 0o644, &noise);
    let tiny = Tiny::of(&["big"], &[big]);
    tiny.create();
    let directory = tiny.site.path("out");
    fs::create_dir(&directory).unwrap();
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    let target = directory.join("t.tar.gz");
    let export = ["export", TEMPLATE, target.to_str().unwrap()];
    let child = tiny.begin(&export);
    wait_until("the archive is written", || !names().is_empty());
    signal(&child, "-INT");
    end(child).fails_with(130);
    assert_eq!(names(), Vec::<String>::new());

    // What a kill leaves goes with the next one of that name.
    let child = tiny.begin(&export);
    wait_until("the archive is written", || !names().is_empty());
    signal(&child, "-KILL");
    let killed: Run = end(child);
    killed.fails_with(255);
    assert_eq!(names().len(), 1);
    tiny.vzpkg(&export).ok();
    assert_eq!(names(), ["t.tar.gz"]);
}
