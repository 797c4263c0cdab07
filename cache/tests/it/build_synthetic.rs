//! A distribution of our own, made with rpmbuild from this machine's rpm and shell: what the CentOS 7 packages lack. Its
//! database is SQLite; it has file triggers, Lua, capabilities, hard links, ghosts, users of sysusers.d and rich dependencies, and
//! compressed payloads of the newer kinds. Held against what dnf installs from the same packages.

use crate::rpm_node::{EPOCH, Node, host, installs, packages};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use vzpkg_cache::import::Fetched;
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::transaction::Action;
use vzpkg_tests::rpm_writer::Rpm;

/// What runs inside: rpm, a shell, and what our commands and the scripts below call.
const PROGRAMS: [&str; 11] = [
    "rpmdb", "rpm", "bash", "sh", "cp", "rm", "cat", "mkdir", "tail", "ls", "sort",
];

/// rpm's own settings there: Debian's would keep the database in the home directory.
const MACROS: &[u8] = b"%_dbpath /var/lib/rpm\n%_db_backend sqlite\n%_install_langs C\n";

fn package(name: &str) -> Rpm {
    Rpm::new(name, "1", "1").define("_binary_payload", "w3.zstdio")
}

/// The files of this machine that a program needs, itself included.
fn needed(program: &str) -> BTreeSet<PathBuf> {
    let path = PathBuf::from(format!("/usr/bin/{program}"));
    let said = host(&["ldd"], Some(&path));
    let words = said.split_whitespace().filter(|word| word.starts_with('/'));
    let libraries = words.map(|word| match word.strip_prefix("/lib") {
        Some(rest) => PathBuf::from(format!("/usr/lib{rest}")),
        None => PathBuf::from(word),
    });
    libraries.chain([path]).collect()
}

/// A package of these files of this machine.
fn with_files(mut made: Rpm, files: &BTreeSet<PathBuf>) -> Rpm {
    made = made.arch("x86_64").define("__os_install_post", "%{nil}");
    for path in files {
        let content = fs::read(path).expect("a file of this machine");
        let mode = fs::metadata(path).expect("its mode").permissions().mode() & 0o777;
        made = made.file(path.to_str().expect("text"), mode, &content);
    }
    made
}

/// The programs with everything they need.
fn programs() -> BTreeSet<PathBuf> {
    PROGRAMS.iter().flat_map(|name| needed(name)).collect()
}

/// rpm and a shell with everything they need.
fn tools() -> Rpm {
    let mut files = programs();
    for directory in ["/usr/lib/rpm", "/usr/lib/rpm/platform/x86_64-linux"] {
        let entries = fs::read_dir(directory).expect("rpm's settings");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        // What is executable there serves to make packages.
        files.extend(paths.filter(|path| {
            let metadata = fs::metadata(path).expect("its mode");
            metadata.is_file() && metadata.permissions().mode() & 0o111 == 0
        }));
    }
    let made = package("tools")
        .tag("Requires(pre)", "filesystem")
        .tag("Provides", "/bin/sh")
        .file("/etc/rpm/macros", 0o644, MACROS);
    with_files(made, &files)
}

/// The links that a merged `/usr` has.
fn filesystem() -> Rpm {
    let mut made = package("filesystem");
    for name in ["bin", "sbin", "lib", "lib64"] {
        made = made.file(&format!("/{name}"), 0o777, b"");
        let link = format!("rm %{{buildroot}}/{name} && ln -s usr/{name} %{{buildroot}}/{name}");
        made = made.section(&link, "");
    }
    made
}

/// What later rpm brought, and what is rare.
fn features(made: &Path) -> Vec<PathBuf> {
    let log = "cat >>/var/lib/triggers";
    vec![
        package("triggers")
            .tag("Requires(pre)", "/bin/sh")
            .section(
                "%transfiletriggerin -- /usr/share/watched",
                &format!("sort | {log}"),
            )
            .section(
                "%filetriggerin -- /usr/share/watched",
                "echo one >>/var/lib/triggers",
            )
            .section(
                "%post -p <lua>",
                "local f = io.open('/var/lib/lua', 'w'); f:write('lua\\n'); f:close()",
            )
            .section("%posttrans", "echo posttrans >>/var/lib/lua")
            .build(made),
        package("links")
            .tag("Requires(pre)", "triggers")
            .define("_binary_payload", "w6.xzdio")
            .file("/usr/share/watched/a", 0o644, b"shared content")
            .file("/usr/share/watched/b", 0o644, b"shared content")
            .file("/usr/share/watched/c", 0o640, b"another")
            .section(
                "ln -f %{buildroot}/usr/share/watched/a %{buildroot}/usr/share/watched/b",
                "",
            )
            .build(made),
        package("capable")
            .tag("Requires", "(links if triggers)")
            .tag("Requires", "(nothing or triggers)")
            .file_with(
                "/usr/bin/ping-like",
                0o755,
                b"#!/bin/sh\n",
                "%caps(cap_net_raw=p)",
            )
            .file_with("/usr/bin/set-uid", 0o4755, b"#!/bin/sh\n", "")
            .file_with("/etc/capable.conf", 0o600, b"set\n", "%config(noreplace)")
            .file_with("/var/lib/capable/state", 0o600, b"", "%ghost")
            .build(made),
    ]
}

/// Users made in the ways of systemd: by a scriptlet that has the lines, and by the file trigger of the program.
fn users(made: &Path) -> Vec<PathBuf> {
    // What the tools bring already is not brought twice.
    let known = programs();
    let mut files = needed("systemd-sysusers");
    files.retain(|path| !known.contains(path));
    let program = package("sysusers").tag("Requires(pre)", "tools").section(
        "%transfiletriggerin -- /usr/lib/sysusers.d",
        "systemd-sysusers",
    );
    let svc = "u svc - \"A service\" /var/lib/svc\n";
    let pre = format!("systemd-sysusers --replace=/usr/lib/sysusers.d/svc.conf - <<EOF\n{svc}EOF");
    vec![
        with_files(program, &files).build(made),
        package("svc")
            .tag("Requires(pre)", "sysusers")
            .section("%pre", &pre)
            .file("/usr/lib/sysusers.d/svc.conf", 0o644, svc.as_bytes())
            .file_with("/var/lib/svc/state", 0o640, b"", "%attr(0640,svc,svc)")
            .build(made),
        package("late")
            .file(
                "/usr/lib/sysusers.d/late.conf",
                0o644,
                b"u late - -\ng latest -\n",
            )
            .build(made),
    ]
}

fn distribution(made: &Path) -> Vec<Fetched> {
    let mut files = features(made);
    files.push(tools().build(made));
    files.push(filesystem().build(made));
    packages(&files)
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_distribution_with_sqlite_is_built_the_same_each_time() {
    let node = Node::new();
    let made = node.place("made");
    let set = distribution(&made);
    let one = node.build(None, installs(set.clone()), 2);
    let installed = node.inside(&one, &["rpm", "-qa"]);
    assert_eq!(installed.lines().count(), set.len(), "{installed}");
    let times = node.inside(
        &one,
        &["rpm", "-qa", "--qf", "%{INSTALLTIME} %{INSTALLTID}\n"],
    );
    let times: BTreeSet<&str> = times.lines().collect();
    let epoch = EPOCH;
    assert_eq!(times, BTreeSet::from([format!("{epoch} {epoch}").as_str()]));
    let triggered = node.inside(&one, &["cat", "/var/lib/triggers"]);
    assert!(
        triggered.contains("/usr/share/watched/b") && triggered.contains("one\n"),
        "{triggered}"
    );
    assert_eq!(
        node.inside(&one, &["cat", "/var/lib/lua"]),
        "lua\nposttrans\n"
    );
    assert_eq!(node.inside(&one, &["rpm", "-Va"]), "");

    let other = Node::new();
    let mut reversed = set;
    reversed.reverse();
    assert_eq!(other.build(None, installs(reversed), 1).digest, one.digest);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_distribution_with_sqlite_is_updated_and_reduced() {
    let node = Node::new();
    let made = node.place("made");
    let set = distribution(&made);
    let one = node.build(None, installs(set.clone()), 2);
    let newer = Rpm::new("links", "2", "1")
        .file("/usr/share/watched/d", 0o644, b"new")
        .build(&made);
    let capable = set.iter().find(|it| it.package.name.as_str() == "capable");
    let mut steps = vec![(Action::Remove, capable.expect("it was made").clone())];
    let from = "1-1".to_owned();
    steps.extend(
        packages(&[newer])
            .into_iter()
            .map(|it| (Action::Upgrade { from: from.clone() }, it)),
    );
    let two = node.build(Some(&one), steps, 2);
    let installed = node.inside(&two, &["rpm", "-qa"]);
    assert!(
        installed.contains("links-2-1") && !installed.contains("capable"),
        "{installed}"
    );
    let triggered = node.inside(&two, &["tail", "-n1", "/var/lib/triggers"]);
    assert_eq!(triggered, "/usr/share/watched/d\n");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_users_of_sysusers_have_the_ids_of_the_template() {
    let pinned = || {
        let mut node = Node::new();
        let svc = Ids {
            uid: Some(412),
            gid: Some(413),
        };
        node.ids.insert("svc".into(), svc);
        node
    };
    let node = pinned();
    let made = node.place("made");
    let mut set = distribution(&made);
    set.extend(packages(&users(&made)));
    let one = node.build(None, installs(set.clone()), 2);
    let passwd = node.inside(&one, &["cat", "/etc/passwd"]);
    assert!(
        passwd.contains("\nsvc:x:412:413:A service:/var/lib/svc:"),
        "{passwd}"
    );
    let group = node.inside(&one, &["cat", "/etc/group"]);
    assert!(group.contains("\nsvc:x:413:"), "{group}");
    // What nobody pinned has an id that follows from its name.
    let hashed = |name: &str, text: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:x:")));
        let id: u32 = line?.split(':').next()?.parse().ok()?;
        Some((300..=899).contains(&id))
    };
    assert_eq!(hashed("late", &passwd), Some(true), "{passwd}");
    assert_eq!(hashed("latest", &group), Some(true), "{group}");
    let tree = node.store.images.read(&one.digest).expect("a tree");
    let state = tree.node(&"var/lib/svc/state".parse().expect("a path"));
    let meta = &state.expect("its file").meta;
    assert_eq!((meta.uid, meta.gid), (412, 413));
    assert_eq!(node.inside(&one, &["rpm", "-Va"]), "");
    let two = pinned().build(None, installs(set), 1);
    assert_eq!(one.digest, two.digest);
}

/// Why the trees differ.
const DIFFERENCES: [(&str, &str); 9] = [
    ("dev", "made by whoever installs"),
    ("proc", "a mount point"),
    ("run", "a mount point"),
    ("sys", "a mount point"),
    ("tmp", "a mount point"),
    ("cache", "what dnf downloaded"),
    ("var/cache/dnf", "dnf's own"),
    ("var/lib/dnf", "dnf's own"),
    ("var/log", "dnf's own"),
];

/// The same of rpm's database, which holds times, and which Debian's rpm keeps in root's home; and of what dnf is set to.
const FILES: [&str; 3] = ["var/lib/rpm", "root", "etc/dnf"];

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_distribution_with_sqlite_equals_what_dnf_installs() {
    let node = Node::new();
    let set = distribution(&node.place("made"));
    let root = node.with_dnf(&set);
    let version = node.build(None, installs(set), 2);
    let ours = node.written(&version);
    vzpkg_tests::tree_assert::assert_same_trees(&ours, &root, &|path| {
        let known = DIFFERENCES.iter().map(|(known, _)| *known).chain(FILES);
        known.into_iter().any(|known| path.starts_with(known))
    });
}
