//! One container with every kind of private entry.

use super::*;
use crate::merge::Merge;
use std::collections::BTreeMap;
use std::io::{self, Read};
use vzpkg_metadata::Timestamp;
use vzpkg_runtime::container::UpperEdit;

fn path(text: &str) -> RelPath {
    if text.is_empty() {
        RelPath::root()
    } else {
        text.parse().unwrap()
    }
}

#[derive(Debug, Default)]
struct Site {
    tree: Tree,
    objects: BTreeMap<Digest, Vec<u8>>,
    upper: UpperScan,
    private: BTreeMap<RelPath, Vec<u8>>,
}

impl ObjectSource for Site {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        let bytes = self.objects.get(digest).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}

impl PrivateSource for Site {
    fn read(&self, path: &RelPath, _: u64) -> io::Result<Vec<u8>> {
        self.private
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn digest(&self, path: &RelPath) -> io::Result<Digest> {
        self.read(path, 0).map(|bytes| Digest::of(&bytes))
    }
}

impl Site {
    fn version(&mut self, at: &str, content: &str) -> &mut Self {
        let node = Node::file(0o644, Timestamp::default(), content.as_bytes());
        self.objects
            .insert(Digest::of(content.as_bytes()), content.as_bytes().to_vec());
        self.tree.insert(path(at), node);
        self.ways(at, true);
        self
    }

    fn own(&mut self, at: &str, mode: u16, content: &str) -> &mut Self {
        let kind = UpperKind::File {
            size: content.len() as u64,
        };
        self.private.insert(path(at), content.as_bytes().to_vec());
        self.entry(at, mode, kind)
    }

    fn entry(&mut self, at: &str, mode: u16, kind: UpperKind) -> &mut Self {
        let meta = Meta {
            mode,
            ..Meta::default()
        };
        self.upper
            .entries
            .insert(path(at), UpperEntry { meta, kind });
        self.ways(at, false);
        self
    }

    fn removed(&mut self, at: &str) -> &mut Self {
        self.entry(at, 0, UpperKind::Whiteout)
    }

    fn ways(&mut self, at: &str, version: bool) {
        let mut above = path(at).parent();
        while let Some(directory) = above.filter(|directory| !directory.is_root()) {
            if version {
                self.tree.insert(
                    directory.clone(),
                    Node::directory(0o755, Timestamp::default()),
                );
            } else {
                let meta = Meta {
                    mode: 0o755,
                    ..Meta::default()
                };
                let kind = UpperKind::Directory { opaque: false };
                let way = UpperEntry { meta, kind };
                self.upper.entries.entry(directory.clone()).or_insert(way);
            }
            above = directory.parent();
        }
    }

    fn changes(&self) -> Vec<String> {
        let input = ChangesInput {
            family: Family::Deb,
            tree: &self.tree,
            upper: &self.upper,
            private: self,
            objects: self,
        };
        let line = |change: &PrivateChange| {
            let how = match &change.change {
                Change::Changed { aspects } => format!("{aspects:?}"),
                other => format!("{other:?}"),
            };
            let package = change.package.as_deref().unwrap_or("-");
            format!("{} {} {package} {how}", change.path, change.class)
        };
        changes(&input).unwrap().iter().map(line).collect()
    }

    fn reset(&self, paths: &[&str]) -> Result<Merge, ResetError> {
        let paths: Vec<RelPath> = paths.iter().map(|at| path(at)).collect();
        reset(&self.tree, &self.upper, &paths)
    }
}

const STATUS: &str =
    "Package: base\nArchitecture: all\nVersion: 1\nConffiles:\n /etc/base.conf 00\n";

fn site() -> Site {
    let mut site = Site::default();
    site.tree.insert(
        RelPath::root(),
        Node::directory(0o755, Timestamp::default()),
    );
    site.version("var/lib/dpkg/status", STATUS)
        .version(
            "var/lib/dpkg/info/base.list",
            "/etc/base.conf\n/usr/bin/base\n/usr/share/doc/base\n",
        )
        .version("etc/base.conf", "x")
        .version("etc/passwd", "root")
        .version("usr/bin/base", "program")
        .version("usr/share/doc/base", "words")
        .version("srv/data/seed", "1");
    site
}

#[test]
fn every_kind_of_private_entry_has_its_class() {
    let mut site = site();
    let status = format!("{STATUS}\nPackage: mine\nArchitecture: all\nVersion: 2\n");
    site.own("var/lib/dpkg/status", 0o644, &status)
        .own("var/lib/dpkg/info/mine.list", 0o644, "/usr/bin/mine\n")
        .own("usr/bin/mine", 0o755, "m")
        .own("etc/base.conf", 0o644, "y")
        .own("etc/hostname", 0o644, "web")
        .own("etc/ssh/ssh_host_rsa_key", 0o600, "k")
        .own("etc/passwd", 0o644, "root+")
        .own("usr/bin/base", 0o700, "program")
        .removed("usr/share/doc/base")
        .own("srv/data/seed", 0o644, "2")
        .own("srv/data/more", 0o644, "2")
        .own("var/log/syslog", 0o640, "l")
        .own("var/cache/x/y", 0o640, "l")
        .own("opt/thing", 0o644, "t");
    assert_eq!(
        site.changes(),
        [
            "etc/base.conf conffile base [Content]",
            "etc/hostname node-file - Added",
            "etc/passwd record - [Content]",
            "etc/ssh own - Added",
            "etc/ssh/ssh_host_rsa_key identity - Added",
            "opt own - Added",
            "opt/thing own - Added",
            "srv/data/more state - Added",
            "srv/data/seed state - [Content]",
            "usr/bin/base template base [Mode]",
            "usr/bin/mine own-package mine Added",
            "usr/share/doc/base template base Removed",
            "var/cache own - Added",
            "var/cache/x cache - Added",
            "var/cache/x/y cache - Added",
            "var/lib/dpkg/info/mine.list package-data - Added",
            "var/lib/dpkg/status record - [Content]",
            "var/log own - Added",
            "var/log/syslog log - Added",
        ]
    );
}

#[test]
fn a_copy_that_equals_the_version_is_told_apart_and_a_way_is_no_change() {
    let mut site = site();
    site.own("usr/bin/base", 0o644, "program");
    assert_eq!(site.changes(), ["usr/bin/base template base Same"]);
    site.entry("srv/data", 0o755, UpperKind::Directory { opaque: true });
    site.entry("usr/share", 0o700, UpperKind::Directory { opaque: false });
    site.entry(
        "etc/passwd",
        0o777,
        UpperKind::Symlink {
            target: b"x".to_vec(),
        },
    );
    let changes = site.changes();
    for expected in [
        "srv/data state - Replaced",
        "usr/share template - [Mode]",
        "etc/passwd record - [Type]",
    ] {
        assert!(
            changes.iter().any(|change| change == expected),
            "{changes:?}"
        );
    }
}

fn reveals(merge: &Merge) -> Vec<String> {
    let edits = merge.plan.edits.iter().map(|edit| match edit {
        UpperEdit::Reveal { path } => path.to_string(),
        other => format!("{other:?}"),
    });
    edits.collect()
}

#[test]
fn a_reset_of_everything_leaves_what_each_container_is_given() {
    let mut site = site();
    site.own("etc/hostname", 0o644, "web")
        .own("etc/base.conf", 0o644, "y")
        .own("opt/a/b", 0o644, "t")
        .removed("usr/bin/base");
    site.entry("etc", 0o700, UpperKind::Directory { opaque: true });
    let merge = site.reset(&[]).unwrap();
    let edits = reveals(&merge);
    let meta = site.tree.node(&path("etc")).unwrap().meta.clone();
    let set = UpperEdit::SetMeta {
        path: path("etc"),
        meta,
    };
    let show = UpperEdit::SetOpaque {
        path: path("etc"),
        opaque: false,
    };
    assert_eq!(
        edits,
        [
            "usr/bin/base".to_owned(),
            "usr/bin".to_owned(),
            "usr".to_owned(),
            "opt/a/b".to_owned(),
            "opt/a".to_owned(),
            "opt".to_owned(),
            "etc/base.conf".to_owned(),
            format!("{set:?}"),
            format!("{show:?}"),
            format!(
                "{:?}",
                UpperEdit::SetMeta {
                    path: RelPath::root(),
                    meta: site.tree.node(&RelPath::root()).unwrap().meta.clone(),
                }
            ),
        ]
    );
    let said: Vec<&str> = merge
        .report
        .lines
        .iter()
        .map(|line| line.subject.as_str())
        .collect();
    assert_eq!(
        said,
        [
            "etc",
            "etc/base.conf",
            "opt",
            "opt/a",
            "opt/a/b",
            "usr/bin/base"
        ]
    );
}

#[test]
fn a_reset_that_takes_nothing_away_has_no_edits() {
    let mut site = site();
    let meta = site.tree.node(&RelPath::root()).unwrap().meta.clone();
    site.upper.root = meta;
    site.own("etc/hostname", 0o644, "web");
    site.ways("usr/bin/base", false);
    assert_eq!(site.reset(&[]).unwrap(), Merge::default());
    assert_eq!(site.reset(&["usr"]).unwrap(), Merge::default());
}

#[test]
fn a_reset_of_a_path_takes_what_is_below_and_no_more() {
    let mut site = site();
    site.own("usr/bin/base", 0o700, "p")
        .own("usr/bin/mine", 0o755, "m")
        .own("opt/a", 0o644, "t");
    assert_eq!(
        reveals(&site.reset(&["usr/bin/base"]).unwrap()),
        ["usr/bin/base"]
    );
    assert_eq!(
        reveals(&site.reset(&["usr/bin"]).unwrap()),
        ["usr/bin/mine", "usr/bin/base", "usr/bin", "usr"]
    );
}

#[test]
fn what_is_not_private_or_would_stay_hidden_is_refused() {
    let mut site = site();
    site.removed("usr/share");
    let hidden = site.reset(&["usr/share/doc/base"]).unwrap_err();
    let (path_, above) = (path("usr/share/doc/base"), path("usr/share"));
    assert_eq!(hidden, ResetError::Hidden { path: path_, above });
    let nothing = site.reset(&["etc/passwd"]).unwrap_err();
    assert_eq!(
        nothing,
        ResetError::NotPrivate {
            path: path("etc/passwd")
        }
    );
    assert_eq!(
        reveals(&site.reset(&["usr/share"]).unwrap()),
        ["usr/share", "usr"]
    );
}
