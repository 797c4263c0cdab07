//! Perl, loaded once: maintainer scripts call the same perl programs again and again, and most of the time of each is the
//! loading of its modules (60 of 80 ms). For one run of dpkg a server loads them, and forks for each call.
//!
//! What runs is the program's own text, with the arguments, environment, directory and streams of whoever called it.
//! Wherever that cannot be given, or there is no server, the caller runs the program itself: only time is lost. The
//! server ends with the run; nothing of it meets the tree.

use crate::build::{Assembly, BuildError, Plan};
use vzpkg_metadata::tree::NodeKind;
use vzpkg_metadata::{RelPath, limits};

/// Runs its arguments beside a server.
pub(super) const WITH_SERVER: &str = "with-perl";

/// The text of the front end through which scripts reach debconf, which is called by its path.
const FRONTEND: &str = "usr/share/debconf/frontend";

/// The same as the server finds it.
const FRONTEND_TEXT: &str = "debconf-frontend";

const RUN: &str = "#!/bin/sh
place=/run/vzpkg-perl keeper=
if [ -x /usr/bin/perl ] && mkdir -m 700 $place 2>/dev/null; then
    {
        /usr/bin/perl /run/vzpkg/build/perl-server $place /run/vzpkg/build/debconf-frontend /usr/bin/deb-systemd-helper
        # Nobody waits for a server that has died.
        : >$place/ended
        while sleep 0.1; do
            for waiting in $place/[0-9]*; do [ ! -p \"$waiting\" ] || echo again 1<>\"$waiting\"; done
        done
    } </dev/null >/dev/null 2>&1 &
    keeper=$!
fi
\"$@\"
code=$?
if [ -n \"$keeper\" ]; then
    kill -9 $keeper
    [ ! -r $place/server ] || { read -r server <$place/server; kill -9 $server; }
    wait $keeper
    rm -rf $place
fi 2>/dev/null
exit $code
";

/// Asks the server on the FIFO `requests`; the answer comes on one of its own.
const CALL: &str = "place=/run/vzpkg-perl waited=
# A server that is about to be there: to load the modules once more would take longer, and hold it up. Half a second at most.
while [ -d $place ] && [ ! -p $place/requests ] && [ ! -e $place/ended ] && [ ${#waited} -lt 80 ] && sleep 0.005; do
    waited=$waited.
done
if [ -p $place/requests ] && mkfifo -m 600 $place/$$ 2>/dev/null; then
    # Under other numbers: a shell's own streams are set aside while it writes and reads here.
    exec 6<&0 7>&1 8>&2 9<>$place/$$
    echo \"$$ $program\" 1<>$place/requests
    read -r code <&9
    exec 6<&- 7>&- 8>&- 9<&-
    [ \"$code\" = again ] || exit $code
fi
";

const SERVER: &str = r#"use strict;
use warnings;
use Fcntl;
require POSIX;

my ($place, @programs) = @ARGV;
my %own = %ENV;
my %warns;

# What each program says it uses, and what debconf loads later by name. Whatever cannot be loaded is the program's affair.
for my $program (@programs) {
    open(my $text, '<', $program) or next;
    while (my $line = <$text>) {
        $warns{$program} = 1 if $. == 1 && $line =~ /^#!.*\s-w/;
        last if $line =~ /^__(END|DATA)__/;
        eval "package Preloaded; $line" if $line =~ /^use [A-Z][\w:]*[ ;]/;
    }
}
for my $module (qw(FrontEnd::Noninteractive DbDriver::Stack DbDriver::File Format::822)) {
    eval "package Preloaded; require Debconf::$module";
}

sub content {
    open(my $file, '<', $_[0]) or die;
    local $/;
    my $content = <$file>;
    return $content;
}

# Becomes like the process that asks: its words, variables, directory, mask and streams.
sub become {
    my ($pid) = @_;
    my (undef, undef, @words) = split /\0/, content("/proc/$pid/cmdline"), -1;
    pop @words;
    my %theirs = map { split /=/, $_, 2 } grep { /=/ } split /\0/, content("/proc/$pid/environ");
    for my $name (grep { /^(LC_|LANG|PERL5|PERLLIB|PERL_UNICODE)/ } keys %own, keys %theirs) {
        die if ($own{$name} // '') ne ($theirs{$name} // '');
    }
    content("/proc/$pid/status") =~ /^Umask:\s*([0-7]+)$/m or die;
    umask oct $1;
    chdir "/proc/$pid/cwd" or die;
    # A pipe whose other end is gone would be waited for.
    sysopen(STDIN, "/proc/$pid/fd/6", O_RDONLY | O_NONBLOCK) or die;
    sysopen(STDOUT, "/proc/$pid/fd/7", O_WRONLY | O_APPEND | O_NONBLOCK) or die;
    sysopen(STDERR, "/proc/$pid/fd/8", O_WRONLY | O_APPEND | O_NONBLOCK) or die;
    for my $stream (\*STDIN, \*STDOUT, \*STDERR) {
        # Its place in a file is one that several share, and ours would be another.
        die if -f $stream;
        my $flags = fcntl($stream, F_GETFL, 0) or die;
        fcntl($stream, F_SETFL, $flags & ~O_NONBLOCK) or die;
    }
    %ENV = %theirs;
    @ARGV = @words;
}

sub work {
    my ($program) = @_;
    $0 = $program;
    $^W = 1 if $warns{$program};
    do $program;
    print STDERR $@ if $@;
    exit($@ ? 255 : 0);
}

sub reply {
    my ($pid, $code) = @_;
    open(my $reply, '+<', "$place/$pid") or return;
    syswrite $reply, "$code\n";
    unlink "$place/$pid";
}

sub answer {
    my ($pid, $program) = @_;
    $SIG{CHLD} = 'DEFAULT';
    my $code = 'again';
    if (eval { become($pid); 1 } and defined(my $worker = fork)) {
        work($program) unless $worker;
        waitpid $worker, 0;
        $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    }
    reply($pid, $code);
}

$SIG{CHLD} = 'IGNORE';
POSIX::mkfifo("$place/new", 0600) or die;
open(my $requests, '+<', "$place/new") or die;
open(my $server, '>', "$place/server") or die;
print $server "$$\n";
close $server;
rename "$place/new", "$place/requests" or die;
while (my $request = <$requests>) {
    my ($pid, $program) = $request =~ /^(\d+) (\S+)$/ or next;
    my $child = -r $program ? fork : undef;
    if (!defined $child) {
        reply($pid, 'again');
    } elsif (!$child) {
        answer($pid, $program);
        POSIX::_exit(0);
    }
}
"#;

/// The words that call `program` through the server, in a script before those that run it itself.
pub(super) fn call(program: &str) -> String {
    format!("program={program}\n{CALL}")
}

/// Adds the server, and puts a call of it in the place of debconf's front end. Returns the files for `programs`.
pub(super) fn add(
    plan: &Plan<'_>,
    assembly: &mut Assembly,
) -> Result<Vec<(&'static str, Vec<u8>)>, BuildError> {
    let mut files = vec![(WITH_SERVER, RUN.into()), ("perl-server", SERVER.into())];
    let path = RelPath::parse(FRONTEND.as_bytes())?;
    let Some(node) = assembly.tree.node(&path) else {
        return Ok(files);
    };
    if let NodeKind::File { digest, .. } = &node.kind {
        let objects = &plan.request.store.objects;
        let text = objects.read(digest, limits::CONTROL_BYTES)?;
        let place = format!("/run/vzpkg/build/{FRONTEND_TEXT}");
        let calls = format!(
            "#!/bin/sh\n{}exec /usr/bin/perl -w {place} \"$@\"\n",
            call(&place)
        );
        files.push((FRONTEND_TEXT, text));
        assembly.scaffold.add(path, 0o755, calls);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    /// What the program writes about itself.
    const PROGRAM: &str = "#!/usr/bin/perl -w
use strict;
use File::Path qw(make_path);
use Cwd;
my $loaded = 0 + exists $INC{'Getopt/Long.pm'};
my $line = <STDIN>;
print \"$0 @ARGV|$ENV{WORD}|\", getcwd(), sprintf('|%o|', umask), $line // '', \"|$^W|$loaded\\n\";
print STDERR \"complaint\\n\";
kill 9, $$ if $ARGV[0] eq 'killed';
die \"broken\\n\" if $ARGV[0] eq 'broken';
exit($ARGV[0] eq 'seven' ? 7 : 0);
";

    /// The scripts, moved to a directory; `server` tells whether calls go through one.
    fn run(root: &Path, script: &str, server: bool) -> Output {
        let place = root.display().to_string();
        let moved = |text: &str| {
            text.replace("/run/vzpkg-perl", &format!("{place}/place"))
                .replace(
                    "/run/vzpkg/build/debconf-frontend /usr/bin/deb-systemd-helper",
                    &format!("{place}/program {place}/other"),
                )
                .replace("/run/vzpkg/build", &place)
        };
        // By a process of its own: a child of another test may hold open what this one writes, and nobody runs that then.
        let write = |name: &str, text: &str| {
            let aside = root.join("aside");
            fs::write(&aside, text).unwrap();
            let mut install = Command::new("install");
            install.args(["-m", "755"]).arg(aside).arg(root.join(name));
            assert!(install.status().unwrap().success());
        };
        write("program", PROGRAM);
        // Only what the server loads for this one tells that it is the server.
        write("other", "use Getopt::Long;\n");
        write("perl-server", &moved(SERVER));
        write(WITH_SERVER, &moved(RUN));
        let program = format!("{place}/program");
        let itself = format!("exec /usr/bin/perl -w {program} \"$@\"\n");
        write(
            "call",
            &format!("#!/bin/sh\n{}{itself}", moved(&call(&program))),
        );
        let ready = format!(
            "i=0; until [ -p {place}/place/requests ]; do i=$((i+1)); [ $i -lt 600 ] || exit 99; sleep 0.1; done\n"
        );
        let script = format!(
            "cd {place}; umask 027; {}{script}",
            if server { &ready } else { "" }
        );
        let mut command = if server {
            let mut command = Command::new(root.join(WITH_SERVER));
            command.arg("sh");
            command
        } else {
            Command::new("sh")
        };
        command
            .args(["-c", &script])
            .env("WORD", "a=b c")
            .output()
            .unwrap()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_program_sees_and_says_the_same_with_and_without_a_server() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (script, fails) in [
            ("echo in | ./call one 'two  words' ''", false),
            ("./call seven </dev/null", true),
            ("./call broken </dev/null", true),
            (
                "./call one </dev/null | cat; ./call two </dev/null >/dev/null",
                false,
            ),
        ] {
            let (served, alone) = (run(root, script, true), run(root, script, false));
            assert_eq!(alone.status.success(), !fails, "{alone:?}");
            assert_eq!(served.status.success(), !fails, "{served:?}");
            assert_eq!(text(&served.stderr), text(&alone.stderr), "{script}");
            let expected = text(&alone.stdout).replace("|1|0\n", "|1|1\n");
            assert_eq!(text(&served.stdout), expected, "{script}");
            assert_ne!(served.stdout, alone.stdout, "it was the server");
            assert!(!root.join("place").exists(), "nothing is left");
        }
        let seven = run(root, "./call seven </dev/null", true);
        assert_eq!(seven.status.code(), Some(7));
        let killed = run(root, "./call killed </dev/null", true);
        assert_eq!(killed.status.code(), Some(137));
    }

    #[test]
    fn what_the_server_cannot_be_is_left_to_the_program() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (script, said) in [
            // Another language: messages are chosen when modules are loaded.
            ("LC_ALL=C.UTF-8 ./call one </dev/null", "|1|0"),
            // A server that died in the meantime.
            ("kill -9 $(cat place/server); ./call one </dev/null", "|1|0"),
            // One that ended before it was there.
            (
                "mv place/requests place/x; : >place/ended; ./call one </dev/null",
                "|1|0",
            ),
            // Files, of which several may write to one place.
            (
                "./call one </dev/null >out; echo two >>out; ./call three </dev/null >>out; cat out",
                "|1|0",
            ),
            ("echo x >in; ./call one <in", "x\n|1|0"),
            ("./call one </dev/null", "|1|1"),
        ] {
            let output = run(root, script, true);
            assert!(output.status.success(), "{output:?}");
            assert!(
                text(&output.stdout).trim_end().ends_with(said),
                "{script}: {output:?}"
            );
        }
    }
}
