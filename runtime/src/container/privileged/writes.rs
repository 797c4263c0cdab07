//! What a program in a container may try, with system calls that no shell has: to write to a shared file in memory, past
//! the page cache, by its attributes or without its name; to reach a key of the host; to lay a file system of its own over
//! the version. The host's perl makes the calls, shown inside at [`HOST`].

use super::isolation::{running_with, says, snapshot};
use super::node::Node;
use super::{in_every_tier, version};
use crate::container::config::Bind;
use crate::container::*;
use crate::rootfs::Tier;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use vzpkg_metadata::Digest;

in_every_tier!(
    privileged_no_system_call_on_a_shared_file_changes_the_version,
    privileged_no_overlay_of_a_container_changes_the_version,
    privileged_keys_of_the_host_are_out_of_reach,
);

/// Where the host's `/usr` shows inside.
const HOST: &str = "/host";

/// Writes to files of the version in every way, and tells of each how it went.
const WRITES: &str = include_str!("writes.pl");

/// Those that must have been carried out, or the test has tried nothing: each on the container's own copy.
const CARRIED_OUT: [&str; 17] = [
    "map",
    "poke-private",
    "poke-text",
    "reopen",
    "direct",
    "hole",
    "zero",
    "allocate",
    "truncate",
    "set user.x",
    "fset security.capability",
    "set system.posix_acl_access",
    "fchmod",
    "fchown",
    "futimens",
    "sendfile",
    "exchange",
];

/// Those that no container may do even to a copy.
const REFUSED: [&str; 11] = [
    "map-read-only",
    "protect",
    "set trusted.x",
    "fset trusted.x",
    "set trusted.overlay.redirect",
    "fset trusted.overlay.metacopy",
    "append",
    "immutable",
    "by-handle",
    "io-ring",
    "swap",
];

/// A container that has the host's perl, and everything else that one can have.
fn with_perl(node: &Node, name: &str, first_id: u32) -> ContainerPaths {
    let usr = Bind {
        source: "/usr".into(),
        target: HOST.into(),
        read_only: true,
    };
    running_with(node, name, first_id, vec![usr])
}

/// What a program in the host's perl prints inside.
fn perl(node: &Node, paths: &ContainerPaths, program: &str) -> String {
    assert!(!program.contains('\''), "it is quoted with these");
    let libraries = format!("{HOST}/lib/{}-linux-gnu", std::env::consts::ARCH);
    let loader = fs::read_dir(libraries.replace(HOST, "/usr")).unwrap();
    let mut loader = loader.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let loader = loader.find(|name| name.starts_with("ld-linux-")).unwrap();
    let line = format!(
        "LC_ALL=C {libraries}/{loader} --library-path {libraries} {HOST}/bin/perl -e '{program}'"
    );
    says(node, paths, &line)
}

fn privileged_no_system_call_on_a_shared_file_changes_the_version(node: &Node) {
    if std::env::consts::ARCH != "x86_64" {
        return; // by the numbers of its system calls
    }
    let directory = node.version("1").image.parent().unwrap().to_owned();
    let before = snapshot(&directory);
    let paths = with_perl(node, "calls", 300_000);
    let said = perl(node, &paths, WRITES);
    let told: BTreeMap<&str, &str> = said.lines().filter_map(|l| l.split_once(": ")).collect();
    for way in CARRIED_OUT {
        assert_eq!(told.get(way), Some(&"done"), "{way}: {said}");
    }
    for way in REFUSED {
        assert!(
            told.get(way).is_some_and(|how| *how != "done"),
            "{way}: {said}"
        );
    }
    assert_eq!(snapshot(&directory), before);
    // Nor in memory: another container, and the first one where it has no copy.
    let other = with_perl(node, "reads", 400_000);
    let expected: Vec<u8> = (0..version::SHARED).flat_map(version::shared).collect();
    let sum = says(
        node,
        &other,
        "busybox cat /etc/shared/?? | busybox sha256sum",
    );
    assert_eq!(sum, format!("{}  -\n", Digest::of(&expected)));
}

fn privileged_no_overlay_of_a_container_changes_the_version(node: &Node) {
    let directory = node.version("1").image.parent().unwrap().to_owned();
    let before = snapshot(&directory);
    let paths = with_perl(node, "overlays", 300_000);
    // With attributes that name other files of the version, whose rights the first layer does not have.
    let script = "mkdir -p /tmp/u /tmp/w /tmp/l /tmp/m
        for users in '' '-U -r'; do
            busybox unshare $users -m sh -c '
                busybox mount -t overlay -o lowerdir=/etc,upperdir=/tmp/u,workdir=/tmp/w,userxattr none /tmp/m || exit
                echo other > /tmp/m/changed; chmod 7777 /tmp/m/release; rm /tmp/m/removed
                test \"$(cat /tmp/m/changed)\" = other && echo laid over'
            rm -rf /tmp/u/* /tmp/w/*
        done
        cat /etc/changed /etc/removed";
    let said = says(node, &paths, script);
    let own = "of the version\nof the version\n";
    // Versions that are stacked already are as deep as the kernel goes.
    let deep = matches!(node.spec("1", 1).tier, Tier::Stacked | Tier::Stubs);
    assert!(said.ends_with(own), "{said}");
    assert!(said.starts_with("laid over\n") || deep, "{said}");
    assert_eq!(snapshot(&directory), before);
}

/// Kernel keys belong to users and to sessions, and neither is told apart by every namespace.
fn privileged_keys_of_the_host_are_out_of_reach(node: &Node) {
    if std::env::consts::ARCH != "x86_64" {
        return; // by the numbers of its system calls
    }
    let name = format!("{}-key", node.path().file_name().unwrap().display());
    let host = |program: &str| {
        let mut perl = Command::new("perl");
        String::from_utf8(
            perl.args(["-e", program, name.as_str()])
                .output()
                .unwrap()
                .stdout,
        )
        .unwrap()
    };
    // In the keyring of user 0, which all sessions of root on the host can search.
    let add = r#"my ($kind, $name, $value) = ("user", $ARGV[0], "secret"); print syscall(248, $kind, $name, $value, 6, -4)"#;
    let serial: i32 = host(add).parse().unwrap();
    assert!(serial > 0 && fs::read_to_string("/proc/keys").unwrap().contains(&name));
    let paths = with_perl(node, "keys", 300_000);
    let attempts = format!(
        r#"my ($kind, $name, $value, $room) = ("user", "{name}", "other", "\0" x 64);
        for my $entry (0, 0x40000000) {{
            for ([add_key => 248, $kind, $name, $value, 5, -4], [request_key => 249, $kind, $name, 0, -4],
                 [read => 250, 11, {serial}, $room, 64], [join_session => 250, 1, 0], [link => 250, 8, {serial}, -3],
                 [search => 250, 10, -4, $kind, $name, 0], [persistent => 250, 22, 0, -3]) {{
                my ($way, $number, @rest) = @$_;
                print "$way\n" if syscall($entry + $number, @rest) != -1;
            }}
        }}
        print "tried\n""#
    );
    assert_eq!(perl(node, &paths, &attempts), "tried\n");
    let listed = says(node, &paths, "cat /proc/keys; echo tried");
    assert_eq!(listed, "tried\n");
    let value = host(&format!(
        r#"my $room = "\0" x 6; syscall(250, 11, {serial}, $room, 6); print $room; syscall(250, 9, {serial}, -4)"#
    ));
    assert_eq!(value, "secret");
}
