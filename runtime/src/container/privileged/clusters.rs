//! Database clusters are made once, before process 1, and are nobody's but the container's from then on. The servers
//! are stand-ins that leave the same traces; the real ones are in the command's own tests.

use super::in_every_tier;
use super::node::{Node, ROOT};
use crate::container::*;
use std::fs;

in_every_tier!(
    privileged_a_cluster_is_made_before_the_first_start_and_never_again,
    privileged_a_cluster_that_was_cut_short_is_made_anew,
    privileged_a_start_goes_on_without_a_cluster_that_cannot_be_made_or_is_not_wanted,
);

/// Called as `pg_createcluster -u postgres --no-status VERSION NAME`.
const MAKES: &str = "#!/bin/sh
mkdir -p /etc/postgresql/$4/$5 /var/lib/postgresql/$4/$5
echo $1 $2 $3 >> /etc/postgresql/$4/$5/postgresql.conf
echo data >> /var/lib/postgresql/$4/$5/PG_VERSION\n";

/// A container with a server of two versions, whose tools are these scripts.
fn container(node: &Node, name: &str, pg_createcluster: &str, pg_conftool: &str) -> ContainerPaths {
    let paths = node.paths(name);
    let file = |path: &str, content: &str| NodeFile {
        path: path.parse().unwrap(),
        mode: 0o755,
        content: content.as_bytes().to_vec(),
    };
    // What Debian's essential packages have, and this tree has not.
    let applet = |name: &str| {
        let text = format!("#!/bin/sh\nexec /bin/busybox {name} \"$@\"\n");
        file(&format!("bin/{name}"), &text)
    };
    let files = [
        file("var/lib/dpkg/status", ""),
        file("usr/bin/pg_createcluster", pg_createcluster),
        file("usr/bin/pg_conftool", pg_conftool),
        file("usr/lib/postgresql/15/bin/initdb", ""),
        file("usr/lib/postgresql/17/bin/initdb", ""),
        applet("ls"),
        applet("cp"),
        applet("sync"),
    ];
    create(&paths, &Node::config(&paths), &ROOT, &files).unwrap();
    paths
}

fn run(node: &Node, paths: &ContainerPaths) {
    let spec = node.spec("1", 1);
    start(paths, &Node::config(paths), &spec, &node.runtime).unwrap();
}

fn is_made(node: &Node, paths: &ContainerPaths, version: &str) -> bool {
    let line = format!(
        "test \"$(cat /etc/postgresql/{version}/main/postgresql.conf)\" = '-u postgres --no-status' &&
         test \"$(cat /var/lib/postgresql/{version}/main/PG_VERSION)\" = data"
    );
    node.shell(paths, &line) == 0
}

fn privileged_a_cluster_is_made_before_the_first_start_and_never_again(node: &Node) {
    let paths = container(node, "database", MAKES, "#!/bin/sh\n");
    for _ in 0..2 {
        run(node, &paths);
        assert!(is_made(node, &paths, "15") && is_made(node, &paths, "17"));
        let data = paths.upper().join("var/lib/postgresql");
        let mut names: Vec<_> = fs::read_dir(data)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["15", "17"]);
        stop(&paths, StopMode::Kill, &node.runtime).unwrap();
    }
    // One is dropped: it is not wanted.
    run(node, &paths);
    let drop_it = "rm -r /etc/postgresql/17 /var/lib/postgresql/17";
    assert_eq!(node.shell(&paths, drop_it), 0);
    stop(&paths, StopMode::Kill, &node.runtime).unwrap();
    run(node, &paths);
    assert!(is_made(node, &paths, "15") && !is_made(node, &paths, "17"));
    destroy(&paths, &node.runtime).unwrap();
}

fn privileged_a_cluster_that_was_cut_short_is_made_anew(node: &Node) {
    let paths = container(node, "cut", MAKES, "#!/bin/sh\n");
    // As a kill leaves it: some of the data, some of the configuration.
    let upper = paths.upper();
    for half in ["var/lib/postgresql/17/main", "etc/postgresql/17/main"] {
        fs::create_dir_all(upper.join(half)).unwrap();
        fs::write(upper.join(half).join("postgresql.conf"), "half").unwrap();
        fs::write(upper.join(half).join("PG_VERSION"), "half").unwrap();
    }
    fs::write(upper.join("var/lib/postgresql/.vzpkg-unfinished"), "").unwrap();
    run(node, &paths);
    assert!(is_made(node, &paths, "15") && is_made(node, &paths, "17"));
    assert!(!upper.join("var/lib/postgresql/.vzpkg-unfinished").exists());
    destroy(&paths, &node.runtime).unwrap();
}

fn privileged_a_start_goes_on_without_a_cluster_that_cannot_be_made_or_is_not_wanted(node: &Node) {
    let fails = "#!/bin/sh\necho no locale >&2\nexit 1\n";
    let paths = container(node, "fails", fails, "#!/bin/sh\n");
    run(node, &paths);
    assert!(!is_made(node, &paths, "17"));
    let log = paths
        .upper()
        .join("var/lib/postgresql/vzpkg-not-created.log");
    assert_eq!(fs::read_to_string(log).unwrap(), "no locale\n");
    destroy(&paths, &node.runtime).unwrap();
    let paths = container(node, "unwanted", MAKES, "#!/bin/sh\necho off\n");
    run(node, &paths);
    assert!(!is_made(node, &paths, "17"));
    destroy(&paths, &node.runtime).unwrap();
}
