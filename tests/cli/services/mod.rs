//! nginx, redis and postgresql in a running container with systemd, asked without a pause while its template is updated
//! and the container is moved forward and back: nobody waits longer than for the service's own restart, and whatever
//! was acknowledged is there in the end. Installed by apt inside, as most are, and as part of the template.

mod clients;

use crate::debian::{BOOTED, Debian};
use crate::support::say;
use clients::{Client, Service};
use std::fs;
use std::time::Duration;

/// The set with systemd.
const DEFAULT: &str = "debian-13-x86_64";

/// That and the three services.
const SERVICES: &str = "debian-13-x86_64-services";

/// Where the files of the two lie.
const FILES: &str = "debian/13/x86_64/config/os";

/// What the three services are, as the sources of their packages.
const OF_SERVICES: &str = "nginx redis postgresql-17 postgresql-common";

/// What is below them: every library of theirs is another one then, and so is process 1.
const OF_THE_SYSTEM: &str = "glibc systemd openssl pcre2 libxcrypt zlib";

/// What moving a container may add to the time in which its services start again: the plan is made while they are
/// stopped. On a machine that does much else.
const ALLOWANCE: Duration = Duration::from_secs(15);

/// A service that is not restarted waits for nothing but the moment in which all stand still: the freezer's patience and
/// something for a machine that does much else.
const NO_PAUSE: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_services_that_apt_installed_inside_answer_while_their_container_goes_forward_and_back() {
    let debian = Debian::new();
    debian.with_updates();
    let site = &debian.site;
    site.vzpkg(&["create-cache", DEFAULT]).ok();
    // The network of the host to fetch them, its own to listen on their ports.
    let create = ["ct", "create", "web", "--template", DEFAULT, "--start"];
    site.vzpkg(&create).ok();
    let install = "export DEBIAN_FRONTEND=noninteractive; apt-get install -qq -y nginx redis-server postgresql";
    debian.inside(&format!(
        "apt-get update -qq && {install} --download-only >/dev/null"
    ));
    site.vzpkg(&["ct", "set", "web", "--net", "none"]).ok();
    site.vzpkg(&["ct", "restart", "web"]).ok();
    assert_eq!(debian.inside(BOOTED), "running\n");
    debian.inside(&format!("{install} >/dev/null 2>&1"));
    go_forward_and_back(&debian, DEFAULT, OF_THE_SYSTEM, "libc6");
    assert_eq!(
        debian.inside("apt-get -s -qq upgrade; dpkg-query -W -f '${Status}' redis-server"),
        "install ok installed"
    );
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_services_of_a_template_answer_while_their_container_goes_forward_and_back() {
    let debian = Debian::new();
    debian.with_updates();
    let site = &debian.site;
    let packages = site.root().join("template").join(FILES);
    let mut packages = fs::read_to_string(packages.join("default/packages")).unwrap();
    packages.push_str("nginx redis-server postgresql\n");
    site.template(&format!("{FILES}/services"), &[("packages", &packages)]);
    site.vzpkg(&["create-cache", SERVICES]).ok();
    let create = ["ct", "create", "web", "--template", SERVICES];
    site.vzpkg(&[&create[..], &["--net", "none", "--start"]].concat())
        .ok();
    assert_eq!(debian.inside(BOOTED), "running\n");
    let all = format!("{OF_SERVICES} {OF_THE_SYSTEM}");
    go_forward_and_back(&debian, SERVICES, &all, "redis-server");
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
}

/// With `web` booted on the head of `template`, its services installed: they are asked all the time while a version with
/// everything of `sources` bumped is made, and `web` goes there, back, and there again. `package` is one of these.
fn go_forward_and_back(debian: &Debian, template: &str, sources: &str, package: &str) {
    let site = &debian.site;
    let inside = |line: &str| debian.inside(line);
    prepare(debian);
    let info = site.vzpkg(&["ct", "info", "web", "--format", "json"]).ok();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let init = info["pid"].as_u64().unwrap();
    let services = [Service::Nginx, Service::Redis, Service::Postgresql];
    let clients = services.map(|service| Client::begin(init, service));
    let silences = || clients.each_ref().map(Client::silence);
    silences();
    inside("systemctl restart redis-server postgresql@17-main");
    let restarts = silences();
    say(&format!("restarted by systemctl: silent for {restarts:?}"));

    debian.with_later(sources);
    let first = debian.version_of(package);
    site.vzpkg(&["update", template, "--refresh"]).ok();
    let refused = site.vzpkg(&["ct", "relink", "web"]).fails_with(1);
    for service in ["redis-server.service", "postgresql@17-main.service"] {
        assert!(refused.contains(service), "{refused}");
    }
    let nginx = inside("systemctl show -P MainPID nginx");
    let moves: [(&[&str], bool); 3] = [
        (&["ct", "relink", "web", "--restart"], true),
        (&["rollback", template, "--containers", "--restart"], false),
        (&["ct", "relink", "web", "--to", "@2", "--restart"], true),
    ];
    for (words, forward) in moves {
        silences();
        site.vzpkg(words).ok();
        let silent = silences();
        say(&format!("{}: silent for {silent:?}", words[..2].join(" ")));
        let [page, number, row] = silent;
        assert!(page < NO_PAUSE, "{words:?}: nginx was silent for {page:?}");
        for (silent, own) in [(number, restarts[1]), (row, restarts[2])] {
            let most = own + ALLOWANCE;
            assert!(silent < most, "{words:?}: silent for {silent:?}");
        }
        let version = debian.version_of(package);
        assert_eq!(version.ends_with("+later1"), forward, "{words:?}");
        assert!(forward || version == first);
        let sound = "dpkg --audit; apt-get -qq check; systemctl --failed --no-legend";
        assert_eq!(inside(sound), "", "{words:?}");
    }
    assert_eq!(inside("systemctl show -P MainPID nginx"), nginx);

    let [pages, numbers, rows] = clients.map(Client::end);
    assert!(pages > 0);
    let kept: u64 = inside("redis-cli get turns").trim().parse().unwrap();
    // The answer to the last one before a restart may be lost, with nothing but that.
    assert!(
        (numbers..numbers + 8).contains(&kept),
        "{numbers} and {kept}"
    );
    let found = inside("psql -qAt -h 127.0.0.1 -U app app -c 'select count(*), max(n) from turns'");
    assert!(
        found == format!("{rows}|{rows}\n") || found == format!("{0}|{0}\n", rows + 1),
        "{rows} and {found}"
    );
}

/// A page, and a database that a client may use.
fn prepare(debian: &Debian) {
    let lines = [
        "systemctl is-active nginx redis-server postgresql@17-main",
        "echo hello > /var/www/html/index.html",
        "sed -i '1i host app app 127.0.0.1/32 trust' /etc/postgresql/17/main/pg_hba.conf",
        "systemctl reload postgresql@17-main",
        "cd /; runuser -u postgres -- createuser app; runuser -u postgres -- createdb -O app app",
        "psql -q -h 127.0.0.1 -U app app -c 'create table turns (n bigint primary key)'",
    ];
    for line in lines {
        debian.inside(line);
    }
}
