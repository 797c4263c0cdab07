//! Database clusters: a version holds none, and whoever has a server installed expects one. The distribution's own tool
//! makes it before process 1 of the first start with that server.
//!
//! Done once. A container with any private entry where a server keeps its data has had its cluster, whatever became of
//! it: what was dropped, moved or brought along stays so. What a kill cut short is known by a file beside it, and made
//! anew. rpm distributions are left alone: there a server's own unit, or the administrator, does it.

use super::ContainerPaths;
use super::beneath::{open_inside, open_root};
use rustix::fs::OFlags;
use std::os::fd::AsFd;
use std::path::Path;

/// Lies among the data while a cluster is made.
const UNFINISHED: &str = ".vzpkg-unfinished";

/// A database server as Debian packages it.
struct Server {
    /// What makes a cluster; there where the server is.
    tool: &'static str,
    /// Where it keeps its data.
    data: &'static str,
    /// Makes a cluster as the package's own script would. `$unfinished` is the file of [`UNFINISHED`], `$data` where it
    /// lies; a server whose tool fails goes on without, and what the tool said is left in `$failed`.
    script: &'static str,
}

const SERVERS: [Server; 2] = [
    Server {
        tool: "usr/bin/pg_createcluster",
        data: "var/lib/postgresql",
        script: r#"
            LANG=C.UTF-8; test -e /etc/default/locale && . /etc/default/locale; export LANG
            wanted=$(pg_conftool /etc/postgresql-common/createcluster.conf show -bs create_main_cluster)
            for initdb in /usr/lib/postgresql/*/bin/initdb; do
                version=${initdb#/usr/lib/postgresql/} version=${version%/bin/initdb}
                test -e $unfinished && rm -rf /etc/postgresql/$version/main $data/$version/main
                test "$wanted" = off && continue
                ls /etc/postgresql/$version/*/postgresql.conf && continue
                >$unfinished
                pg_createcluster -u postgres --no-status $version main >$unfinished 2>&1 || cp $unfinished $failed
            done"#,
    },
    Server {
        tool: "usr/bin/mariadb-install-db",
        data: "var/lib/mysql",
        script: r"
            test -e $unfinished && find $data -mindepth 1 -delete
            if ! test -d $data/mysql; then
                >$unfinished
                TMPDIR= mariadb-install-db --rpm --cross-bootstrap --user=mysql --disable-log-bin --skip-test-db \
                    >$unfinished 2>&1 || cp $unfinished $failed
            fi",
    },
];

/// Shell lines for the clusters that a root file system lacks.
pub(super) fn lines(paths: &ContainerPaths, root: impl AsFd) -> Vec<String> {
    let is_debian = || exists(root.as_fd(), "var/lib/dpkg/status");
    let servers = SERVERS.iter().filter(|server| {
        exists(root.as_fd(), server.tool) && is_debian() && !has_had_one(paths, server)
    });
    servers.map(Server::line).collect()
}

/// Whether the private changes tell of a cluster that was finished, or of something else in its place.
fn has_had_one(paths: &ContainerPaths, server: &Server) -> bool {
    // The start fails for itself where the private area cannot be read.
    let Ok(upper) = open_root(&paths.upper()) else {
        return true;
    };
    exists(&upper, server.data) && !exists(&upper, &format!("{}/{UNFINISHED}", server.data))
}

fn exists(root: impl AsFd, path: &str) -> bool {
    open_inside(root, Path::new(path), OFlags::PATH | OFlags::NOFOLLOW).is_ok()
}

impl Server {
    /// The data is on the disk before the file that says otherwise is gone.
    fn line(&self) -> String {
        let Self { data, script, .. } = self;
        format!(
            "(data=/{data} unfinished=/{data}/{UNFINISHED} failed=/{data}/vzpkg-not-created.log; mkdir -p $data{script}
            sync -f $data; rm -f $unfinished) >/dev/null 2>&1"
        )
    }
}
