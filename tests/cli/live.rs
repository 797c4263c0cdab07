//! Running containers to another version and back, on the real Debian: a small one without an init, and a server with
//! systemd whose services have mounts of their own.

use crate::crash::{Instants, kills, run_and_kill};
use crate::debian::{Debian, TEMPLATE};
use std::fs;
use std::time::Duration;

/// The set with systemd, cron, dbus and ssh.
const SERVER: &str = "debian-13-x86_64";

/// A site whose container `web` runs on the first of two versions.
fn running(template: &str) -> Debian {
    let debian = Debian::new();
    let site = &debian.site;
    site.vzpkg(&["create-cache", template]).ok();
    let create = [
        "ct",
        "create",
        "web",
        "--net",
        "none",
        "--start",
        "--template",
    ];
    site.vzpkg(&[&create[..], &[template]].concat()).ok();
    debian.with_later("apt");
    site.vzpkg(&["update", template]).ok();
    debian
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_a_running_container_goes_forward_and_back_with_its_private_changes() {
    let debian = running(TEMPLATE);
    let site = &debian.site;
    let inside = |line: &str| debian.inside(line);
    inside(
        "echo '# mine' >> /etc/debconf.conf; useradd --create-home alice; chmod 700 /usr/bin/apt-mark",
    );
    // A service that never stops writing.
    inside(
        "(i=0; while :; do echo $i >> /var/log/turns; i=$((i+1)); sleep 0.01; done) >/dev/null 2>&1 &",
    );
    let first = debian.version_of("apt");
    let planned = site.vzpkg(&["ct", "relink", "web", "--dry-run"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert_eq!(debian.version_of("apt"), first, "a plan changes nothing");
    for turn in 0..3 {
        let relinked = site.vzpkg(&["ct", "relink", "web"]);
        assert!(
            relinked.stderr.contains("stood still"),
            "{}",
            relinked.stderr
        );
        relinked.ok();
        assert_ne!(debian.version_of("apt"), first, "turn {turn}");
        assert_eq!(
            inside("tail -n1 /etc/debconf.conf; stat -c %a /usr/bin/apt-mark; id -un alice"),
            "# mine\n700\nalice\n"
        );
        assert_eq!(inside("dpkg --audit; cd /; apt-get check >/dev/null"), "");
        site.vzpkg(&["rollback", "web"]).ok();
        assert_eq!(debian.version_of("apt"), first, "turn {turn}");
        assert_eq!(
            inside("tail -n1 /etc/debconf.conf; stat -c %a /usr/bin/apt-mark; id -un alice"),
            "# mine\n700\nalice\n"
        );
        assert_eq!(inside("dpkg --audit"), "");
    }
    // Somebody works in it: refused, with who and what helps; nothing is changed.
    inside("mkdir -p /srv/work; cd /srv/work; sleep 1000 >/dev/null 2>&1 & echo $! > /run/sleeper");
    let refused = site
        .vzpkg(&["ct", "relink", "web", "--restart"])
        .fails_with(1);
    assert!(refused.contains("works in /srv/work"), "{refused}");
    assert!(refused.contains("vzpkg ct stop web"), "{refused}");
    assert_eq!(debian.version_of("apt"), first);
    inside("kill $(cat /run/sleeper)");
    let turns = inside("cat /var/log/turns");
    let told: Vec<usize> = turns.lines().map(|turn| turn.parse().unwrap()).collect();
    let expected: Vec<usize> = (0..told.len()).collect();
    assert_eq!(told, expected, "no turn is lost");
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_a_server_with_systemd_is_relinked_while_it_runs() {
    let debian = running(SERVER);
    let site = &debian.site;
    let inside = |line: &str| debian.inside(line);
    assert_eq!(inside(crate::debian::BOOTED), "running\n");
    // A service with mounts of its own that writes where it may, and one that works in the version.
    let private = "[Service]\\nPrivateTmp=yes\\nProtectSystem=full\\nExecStart=/bin/sh -c 'while :; do echo turn >> /var/lib/turns; \
        touch /usr/forbidden 2>/dev/null; cp /etc/debian_version /run/seen; touch /var/tmp/own; sleep 0.05; done'\\n";
    let tied = "[Service]\\nWorkingDirectory=/var/lib\\nExecStart=/bin/sleep infinity\\n";
    inside(&format!(
        "printf \"{private}\" > /etc/systemd/system/private.service"
    ));
    inside(&format!(
        "printf \"{tied}\" > /etc/systemd/system/tied.service"
    ));
    inside("systemctl daemon-reload; systemctl start private tied");
    // Journals that outlast a restart: journald keeps them open to read and write.
    inside("mkdir -p /var/log/journal; journalctl --flush");
    assert_eq!(
        inside("ls /var/log/journal/*/system.journal | wc -l"),
        "1\n"
    );
    let first = debian.version_of("apt");
    let main_pid = |unit: &str| inside(&format!("systemctl show -P MainPID {unit}"));
    let (private_pid, tied_pid) = (main_pid("private"), main_pid("tied"));
    let journal_pid = main_pid("systemd-journald");

    let refused = site.vzpkg(&["ct", "relink", "web"]).fails_with(1);
    assert!(refused.contains("tied.service"), "{refused}");
    assert!(refused.contains("works in /var/lib"), "{refused}");
    assert!(refused.contains("--restart web"), "{refused}");
    let plan = site.vzpkg(&["ct", "relink", "web", "--dry-run"]);
    assert!(plan.stderr.contains("--restart web"), "{}", plan.stderr);
    assert!(plan.fails_with(1).contains("tied.service"));
    let plan = site.vzpkg(&["ct", "relink", "web", "--restart", "--dry-run"]);
    for said in ["to be restarted (--restart): ", "tied.service"] {
        assert!(plan.stderr.contains(said), "{}", plan.stderr);
    }
    plan.ok();
    assert_eq!(main_pid("tied"), tied_pid, "a plan stops nothing");

    let relinked = site.vzpkg(&["ct", "relink", "web", "--restart"]);
    assert!(
        relinked.stderr.contains("tied.service"),
        "{}",
        relinked.stderr
    );
    relinked.ok();
    assert_ne!(debian.version_of("apt"), first);
    assert_ne!(main_pid("tied"), tied_pid, "it was restarted");
    assert_eq!(main_pid("private"), private_pid, "it goes on");
    assert_eq!(main_pid("systemd-journald"), journal_pid, "it goes on");
    // It sees the new version from inside its own mounts.
    inside(
        "rm /run/seen; while ! test -e /run/seen; do sleep 0.05; done; sleep 0.2; cmp /run/seen /etc/debian_version",
    );
    assert_eq!(
        inside("test -e /usr/forbidden || echo protected"),
        "protected\n"
    );
    assert_eq!(
        inside("ls -d /tmp/systemd-private-*-private.service-* | wc -l"),
        "1\n"
    );
    assert_eq!(
        inside("systemctl is-system-running; systemctl --failed --no-legend"),
        "running\n"
    );
    let seen = || {
        fs::metadata(site.root().join("private/web/upper/var/lib/turns"))
            .unwrap()
            .len()
    };
    let before = seen();
    while seen() == before {
        std::thread::sleep(Duration::from_millis(20));
    }
    site.vzpkg(&["rollback", "web", "--restart"]).ok();
    assert_eq!(debian.version_of("apt"), first);
    assert_eq!(main_pid("private"), private_pid, "it goes on");
    assert_eq!(
        inside("systemctl is-active tied private ssh"),
        "active\nactive\nactive\n"
    );
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_a_live_relink_killed_at_random_instants_leaves_one_side_and_nothing_frozen() {
    let debian = running(TEMPLATE);
    let site = &debian.site;
    let inside = |line: &str| debian.inside(line);
    inside("echo '# mine' >> /etc/debconf.conf; chmod 700 /usr/bin/apt-mark; useradd alice");
    let first = debian.version_of("apt");
    site.vzpkg(&["ct", "relink", "web"]).ok();
    let second = debian.version_of("apt");
    assert_ne!(first, second);
    let mut instants = Instants(7);
    for turn in 0..kills() {
        let words = [
            "ct",
            "relink",
            "web",
            "--to",
            ["1", "2"][usize::from(turn % 2 == 1)],
        ];
        run_and_kill(site, &words, instants.below(150));
        // The next command, whatever it is, finds the container moving and on one side.
        let now = debian.version_of("apt");
        assert!(now == first || now == second, "turn {turn}: {now}");
        assert_eq!(
            inside(
                "tail -n1 /etc/debconf.conf; stat -c %a /usr/bin/apt-mark; id -un alice; dpkg --audit"
            ),
            "# mine\n700\nalice\n",
            "turn {turn}"
        );
    }
    for to in ["1", "2"] {
        site.vzpkg(&["ct", "relink", "web", "--to", to]).ok();
    }
    assert_eq!(debian.version_of("apt"), second);
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
    assert_eq!(
        crate::support::mounts_below(&site.root()),
        Vec::<String>::new()
    );
}
