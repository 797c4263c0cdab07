//! Facts of small trees, and what comparing them says.

use super::*;
use crate::store::{Access, Objects};
use vzpkg_metadata::tree::{Node, Tree};
use vzpkg_metadata::{RelPath, Timestamp};

const TIME: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// Puts a file and the directories above it.
fn put(tree: &mut Tree, path: &str, node: Node) {
    let path = RelPath::parse(path.as_bytes()).unwrap();
    let mut above = path.parent();
    while let Some(directory) = above {
        above = directory.parent();
        if tree.get(&directory).is_none() {
            tree.insert(directory, Node::directory(0o755, TIME));
        }
    }
    tree.insert(path, node);
}

fn file(tree: &mut Tree, objects: &Objects, path: &str, mode: u16, text: &str) {
    objects.put_bytes(text.as_bytes()).unwrap();
    put(tree, path, Node::file(mode, TIME, text.as_bytes()));
}

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Access::ReadWrite).unwrap();
    (directory, store)
}

fn texts(facts: &Facts) -> Vec<String> {
    facts
        .iter()
        .map(|(name, what)| format!("{name}: {what}"))
        .collect()
}

#[test]
fn rights_of_programs_are_facts() {
    let (_directory, store) = store();
    let mut tree = Tree::new();
    let objects = &store.objects;
    file(&mut tree, objects, "usr/bin/su", 0o4755, "su");
    file(&mut tree, objects, "usr/bin/wall", 0o2755, "wall");
    file(&mut tree, objects, "usr/bin/both", 0o6755, "both");
    // Mandatory locking, no right.
    file(&mut tree, objects, "var/lock", 0o2644, "lock");
    file(&mut tree, objects, "usr/bin/plain", 0o755, "plain");
    let path = RelPath::parse(b"usr/bin/wall").unwrap();
    tree.node_mut(&path).unwrap().meta.gid = 5;
    file(&mut tree, objects, "usr/bin/ping", 0o755, "ping");
    let ping = RelPath::parse(b"usr/bin/ping").unwrap();
    let attribute = [[1, 0, 0, 2], [0, 0x20, 0, 0], [0; 4], [0; 4], [0; 4]].concat();
    let xattrs = &mut tree.node_mut(&ping).unwrap().meta.xattrs;
    xattrs.insert(b"security.capability".to_vec(), attribute);
    let facts = privileges::facts(&View::new(&tree, objects));
    assert_eq!(
        texts(&facts),
        [
            "/usr/bin/both: runs as user 0, runs as group 0",
            "/usr/bin/ping: has cap_net_raw=ep",
            "/usr/bin/su: runs as user 0",
            "/usr/bin/wall: runs as group 5",
        ]
    );
}

#[test]
fn units_and_init_scripts_are_facts() {
    let (_directory, store) = store();
    let mut tree = Tree::new();
    let objects = &store.objects;
    for unit in [
        "ssh.service",
        "cron.service",
        "getty@.service",
        "rescue.service",
        "ssh.socket",
    ] {
        file(
            &mut tree,
            objects,
            &format!("usr/lib/systemd/system/{unit}"),
            0o644,
            "[Unit]\n",
        );
    }
    file(
        &mut tree,
        objects,
        "usr/lib/systemd/system/a.conf",
        0o644,
        "",
    );
    let wants = "etc/systemd/system/multi-user.target.wants";
    put(
        &mut tree,
        &format!("{wants}/ssh.service"),
        Node::symlink("/x", TIME),
    );
    put(
        &mut tree,
        "usr/lib/systemd/system/getty.target.wants/getty@tty1.service",
        Node::symlink("../getty@.service", TIME),
    );
    put(
        &mut tree,
        "etc/systemd/system/rescue.service",
        Node::symlink("/dev/null", TIME),
    );
    file(&mut tree, objects, "etc/init.d/atd", 0o755, "#!/bin/sh\n");
    file(&mut tree, objects, "etc/init.d/README", 0o644, "");
    for link in ["etc/rc2.d/S01atd", "etc/rc5.d/S01atd", "etc/rc0.d/K01atd"] {
        put(&mut tree, link, Node::symlink("../init.d/atd", TIME));
    }
    let facts = services::facts(&View::new(&tree, objects));
    assert_eq!(
        texts(&facts),
        [
            "cron.service: disabled",
            "getty@.service: enabled",
            "init script atd: starts in runlevels 25",
            "rescue.service: masked",
            "ssh.service: enabled",
            "ssh.socket: disabled",
        ]
    );
}

#[test]
fn accounts_are_facts_and_passwords_are_not_shown() {
    let (_directory, store) = store();
    let mut tree = Tree::new();
    let objects = &store.objects;
    let passwd =
        "root:x:0:0:root:/root:/bin/bash\nnobody\nweb:x:33:33::/var/www:/usr/sbin/nologin\n";
    file(&mut tree, objects, "etc/passwd", 0o644, passwd);
    file(
        &mut tree,
        objects,
        "etc/group",
        0o644,
        "sudo:x:27:alice,bob\nweb:x:33:\nx\n",
    );
    file(
        &mut tree,
        objects,
        "etc/shadow",
        0o640,
        "root:$y$secret:1:::::\nweb:*:1:::::\n:\nx\n",
    );
    let facts = accounts::facts(&View::new(&tree, objects)).unwrap();
    assert_eq!(
        texts(&facts),
        [
            "group sudo: gid 27, members alice,bob",
            "group web: gid 33",
            "user root: uid 0, gid 0, home /root, shell /bin/bash, with a password",
            "user web: uid 33, gid 33, home /var/www, shell /usr/sbin/nologin",
        ]
    );
}

#[test]
fn what_listens_by_configuration_is_a_fact() {
    let (_directory, store) = store();
    let mut tree = Tree::new();
    let objects = &store.objects;
    for (path, text) in [
        (
            "usr/lib/systemd/system/ssh.socket",
            "[Socket]\nListenStream=22\n ListenStream = [::]:22\nAccept=no\nListenDatagram=\n",
        ),
        (
            "usr/lib/systemd/system/quiet.socket",
            "[Socket]\nAccept=no\n",
        ),
        (
            "etc/ssh/sshd_config",
            "#Port 22\nPort 2222\nListenAddress  ::1\nUsePAM yes\n",
        ),
        ("etc/ssh/sshd_config.d/more.conf", "port\t2200\n"),
        (
            "etc/apache2/ports.conf",
            "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n",
        ),
        (
            "etc/nginx/sites-available/default",
            "server {\n  listen 80 default_server;\n}\n",
        ),
        (
            "etc/inetd.conf",
            "# comment\n#telnet stream tcp nowait root x\nftp stream tcp nowait root /usr/sbin/ftpd\n",
        ),
        (
            "etc/xinetd.d/echo",
            "service echo\n{\n disable = yes\n}\nservice time\n{\n type = INTERNAL\n}\n",
        ),
    ] {
        file(&mut tree, objects, path, 0o644, text);
    }
    let facts = listening::facts(&View::new(&tree, objects)).unwrap();
    assert_eq!(
        texts(&facts),
        [
            "/etc/apache2/ports.conf: listen 80, listen 443",
            "/etc/inetd.conf: ftp/tcp",
            "/etc/nginx/sites-available/default: listen 80 default_server",
            "/etc/ssh/sshd_config: port 2222, listenaddress ::1",
            "/etc/ssh/sshd_config.d/more.conf: port 2200",
            "/etc/xinetd.d/echo: time",
            "ssh.socket: ListenStream=22, ListenStream=[::]:22",
        ]
    );
}

#[test]
fn changes_are_what_is_added_gone_or_different() {
    let facts = |pairs: &[(&str, &str)]| -> Facts {
        pairs
            .iter()
            .map(|&(a, b)| (a.to_owned(), b.to_owned()))
            .collect()
    };
    let changes = Changes::between(
        facts(&[("gone", "1"), ("same", "2"), ("other", "3")]),
        facts(&[("same", "2"), ("other", "4"), ("new", "5")]),
    );
    let fact = |name: &str, what: &str| Fact {
        name: name.to_owned(),
        what: what.to_owned(),
    };
    assert_eq!(changes.added, [fact("new", "5")]);
    assert_eq!(changes.removed, [fact("gone", "1")]);
    let [changed] = changes.changed.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!((changed.from.as_str(), changed.to.as_str()), ("3", "4"));
}

#[test]
fn sizes_count_each_inode_once_and_what_is_new() {
    let (_directory, store) = store();
    let (mut before, mut after) = (Tree::new(), Tree::new());
    for tree in [&mut before, &mut after] {
        file(tree, &store.objects, "a", 0o644, "12345");
    }
    file(&mut before, &store.objects, "b", 0o644, "123");
    file(&mut after, &store.objects, "b", 0o644, "1234567");
    let link = vzpkg_metadata::tree::Entry::HardLink(RelPath::parse(b"b").unwrap());
    after.insert(RelPath::parse(b"c").unwrap(), link);
    let sizes = Sizes::of(&before, &after);
    assert_eq!((sizes.from.bytes.0, sizes.to.bytes.0), (8, 12));
    assert_eq!((sizes.from.own_bytes.0, sizes.to.own_bytes.0), (3, 7));
}
