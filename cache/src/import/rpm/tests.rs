//! Packages made by rpmbuild, and payloads and headers made to be refused.

use super::*;
use std::fs;
use vzpkg_metadata::Digest;
use vzpkg_metadata::package::RelationKind;
use vzpkg_tests::rpm_writer::Rpm;

/// Keeps contents by digest.
#[derive(Debug, Default)]
pub(super) struct Kept(pub(super) BTreeMap<Digest, Vec<u8>>);

impl ContentSink for Kept {
    fn put(&mut self, content: &mut dyn Read, _size: u64) -> io::Result<Digest> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let digest = Digest::of(&bytes);
        self.0.insert(digest, bytes);
        Ok(digest)
    }
}

pub(super) fn bounds(stream: u64) -> UnpackLimits {
    UnpackLimits {
        stream,
        entries: 1000,
    }
}

pub(super) fn read_bytes(bytes: &[u8]) -> Result<(RpmContents, Kept), RpmError> {
    let mut kept = Kept::default();
    let contents = read(bytes, bounds(1 << 20), &mut kept)?;
    Ok((contents, kept))
}

pub(super) fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

#[test]
fn every_kind_of_file_is_read_as_rpm_would_install_it() {
    let directory = tempfile::tempdir().unwrap();
    let package = Rpm::new("demo", "1.0", "2")
        .tag("Epoch", "3")
        .tag("Requires(pre)", "coreutils >= 8")
        .tag("Requires", "bash")
        .tag("Provides", "thing = 7")
        .tag("Obsoletes", "old < 2")
        .file("/usr/bin/demo", 0o4755, b"#!/bin/sh\n")
        .file_with("/etc/demo.conf", 0o640, b"x=1\n", "%config(noreplace)")
        .file_with("/usr/bin/raw", 0o755, b"raw", "%caps(cap_net_raw=ep)")
        .file_with("/var/log/demo.log", 0o644, b"", "%ghost")
        .section("%pre", "useradd demo\n")
        .section("%post -p <lua>", "print(1)\n")
        .build(directory.path());
    let (contents, kept) = read_bytes(&fs::read(package).unwrap()).unwrap();
    assert_eq!(
        (contents.name.as_str(), contents.version.as_str()),
        ("demo", "3:1.0-2")
    );
    let node = contents.tree.node(&path("usr/bin/demo")).unwrap();
    assert_eq!(node.meta.mode, 0o4755);
    let NodeKind::File { digest, size: 10 } = node.kind else {
        panic!("{node:?}");
    };
    assert_eq!(kept.0[&digest], b"#!/bin/sh\n");
    let raw = contents.tree.node(&path("usr/bin/raw")).unwrap();
    assert_eq!(raw.meta.xattrs[&b"security.capability"[..]].len(), 20);
    assert!(contents.tree.get(&path("var/log/demo.log")).is_none());
    assert!(contents.conffiles[&path("etc/demo.conf")].ends_with(" noreplace"));
    assert_eq!(contents.control["pre"], b"useradd demo");
    assert!(contents.control.contains_key("post"));
    for line in [
        "requires-pre coreutils >= 8\n",
        "requires bash\n",
        "provides thing = 7\n",
        "obsoletes old < 2\n",
        "ghost /var/log/demo.log\n",
    ] {
        assert!(
            contents.record.contains(line),
            "{line}: {}",
            contents.record
        );
    }
    assert!(!contents.record.contains("rpmlib("));
}

#[test]
fn every_compression_of_a_payload_gives_the_same_tree() {
    let directory = tempfile::tempdir().unwrap();
    let mut trees = Vec::new();
    for (name, payload) in [
        ("gz", "w6.gzdio"),
        ("xz", "w2.xzdio"),
        ("zst", "w3.zstdio"),
        ("bz", "w9.bzdio"),
        ("lzma", "w2.lzdio"),
        ("plain", "w.ufdio"),
    ] {
        let directory = directory.path().join(name);
        fs::create_dir(&directory).unwrap();
        let package = Rpm::new("demo", "1", "1")
            .define("_binary_payload", payload)
            .file("/usr/share/demo", 0o644, &b"text ".repeat(1000))
            .build(&directory);
        let (contents, _) = read_bytes(&fs::read(package).unwrap()).unwrap();
        let node = contents.tree.node(&path("usr/share/demo")).unwrap().clone();
        trees.push(node.kind);
    }
    assert!(trees.iter().all(|kind| *kind == trees[0]), "{trees:?}");
}

/// The payload of a package as it is before compression, and as it is made again from what is kept of it.
fn payloads(package: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut rest = package;
    header::read(&mut rest).unwrap();
    let (_, mut stream) = payload::open(rest, 1 << 20).unwrap();
    let mut original = Vec::new();
    stream.read_to_end(&mut original).unwrap();
    let (contents, kept) = read_bytes(package).unwrap();
    let again = unpacked_payload(&contents.control).map(|(_, skeleton)| {
        let mut out = Vec::new();
        let put = |digest: &Digest, size: u64, out: &mut Vec<u8>| {
            assert_eq!(kept.0[digest].len() as u64, size);
            out.extend(&kept.0[digest]);
            Ok::<_, io::Error>(())
        };
        skeleton.expand(&mut out, put).unwrap();
        out
    });
    (original, again)
}

#[test]
fn a_payload_is_made_again_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    for (payload, wrapping) in [
        ("w6.gzdio", Some(Wrapping::Plain)),
        ("w2.xzdio", Some(Wrapping::Xz)),
        ("w3.zstdio", Some(Wrapping::Zstd)),
        ("w9.bzdio", None),
    ] {
        let directory = directory.path().join(payload);
        fs::create_dir(&directory).unwrap();
        let package = Rpm::new("demo", "1", "1")
            .define("_binary_payload", payload)
            .file("/usr/share/demo", 0o644, &b"text ".repeat(1000))
            .file("/usr/share/empty", 0o644, b"")
            .build(&directory);
        let package = fs::read(package).unwrap();
        let (contents, _) = read_bytes(&package).unwrap();
        let kept = unpacked_payload(&contents.control).map(|(wrapping, _)| wrapping);
        assert_eq!(kept, wrapping);
        assert_eq!(contents.control.contains_key(LEAD), wrapping.is_some());
        if let (original, Some(again)) = payloads(&package) {
            assert!(original == again, "{payload}");
        }
        if wrapping.is_some() {
            let whole = [&contents.control[LEAD], &contents.control[HEADER]];
            assert!(package.starts_with(&whole.map(Vec::as_slice).concat()));
        }
    }
}

#[test]
fn a_package_whose_header_has_other_digests_goes_to_rpm_as_it_came() {
    let directory = tempfile::tempdir().unwrap();
    let package = Rpm::new("demo", "1", "1")
        .define("_binary_filedigest_algorithm", "1")
        .file("/usr/share/demo", 0o644, b"text")
        .build(directory.path());
    let (contents, _) = read_bytes(&fs::read(package).unwrap()).unwrap();
    assert_eq!(unpacked_payload(&contents.control), None);
}

#[test]
fn hard_links_become_one_file_with_several_names() {
    let directory = tempfile::tempdir().unwrap();
    let package = Rpm::new("links", "1", "1")
        .file("/usr/share/a", 0o644, b"content")
        .file("/usr/share/b", 0o644, b"content")
        .file("/usr/share/c", 0o644, b"content")
        .file("/usr/share/other", 0o644, b"content")
        .define(
            "__spec_install_post",
            "cd %{buildroot}/usr/share; ln -f a b; ln -f a c",
        )
        .build(directory.path());
    let (contents, _) = read_bytes(&fs::read(package).unwrap()).unwrap();
    let first = path("usr/share/a");
    assert!(
        contents
            .tree
            .get(&first)
            .unwrap()
            .as_node()
            .unwrap()
            .is_file()
    );
    for name in ["usr/share/b", "usr/share/c"] {
        assert_eq!(
            contents.tree.get(&path(name)),
            Some(&Entry::HardLink(first.clone()))
        );
    }
    let other = contents.tree.get(&path("usr/share/other")).unwrap();
    assert!(other.as_node().is_some());
}

#[test]
fn bomb_xz_is_stopped_at_the_bound_of_its_signed_size() {
    let directory = tempfile::tempdir().unwrap();
    let package = Rpm::new("bomb", "1", "1")
        .define("_binary_payload", "w2.xzdio")
        .file("/bomb", 0o644, &vec![0; 3 << 20])
        .build(directory.path());
    let error = read_bytes(&fs::read(package).unwrap()).unwrap_err();
    assert!(matches!(error, RpmError::TooLarge(_)), "{error:?}");
}

#[test]
fn damaged_packages_are_errors_and_never_panics() {
    let directory = tempfile::tempdir().unwrap();
    let package = Rpm::new("demo", "1", "1")
        .file("/usr/bin/demo", 0o755, b"x")
        .file_with("/etc/demo", 0o644, b"y", "%config")
        .build(directory.path());
    let good = fs::read(package).unwrap();
    let end = good.len();
    for length in (0..end).step_by(97) {
        assert!(read_bytes(&good[..length]).is_err(), "cut at {length}");
    }
    // Every byte of both headers, set to what lengths and offsets fear most.
    for at in 96..end.min(6000) {
        for value in [0, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            drop(read_bytes(&bad));
        }
    }
}

#[test]
fn a_header_that_claims_gigabytes_allocates_nothing() {
    let mut bytes = vec![0; 96];
    bytes.extend([
        0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff,
    ]);
    let error = read_bytes(&bytes).unwrap_err();
    assert!(
        matches!(error, RpmError::Header(HeaderError::TooLarge(_))),
        "{error:?}"
    );
}

#[test]
fn a_record_is_read_back_as_the_package_says() {
    let directory = tempfile::tempdir().unwrap();
    let package = Rpm::new("demo", "1.0", "2")
        .tag("Requires", "(a or b)")
        .tag("Requires", "/bin/sh")
        .tag("Recommends", "c > 1:2-3")
        .file("/usr/bin/demo", 0o755, b"x")
        .build(directory.path());
    let (contents, _) = read_bytes(&fs::read(package).unwrap()).unwrap();
    let record = record::parse_for_tests(&contents.record);
    assert_eq!((record.name, record.version.as_ref()), ("demo", "1.0-2"));
    let of = |kind| record.relations_of(kind).collect::<Vec<_>>();
    assert_eq!(of(RelationKind::Recommends), ["c > 1:2-3"]);
    assert!(of(RelationKind::Depends).contains(&"(a or b)"));
    assert!(of(RelationKind::Depends).contains(&"/bin/sh"));
    assert!(of(RelationKind::Provides).contains(&"demo = 1.0-2"));
}

/// Payloads written by hand.
mod streams {
    use super::*;

    fn file(name: &str, mode: u32, size: u64) -> FileInfo {
        FileInfo {
            path: path(name),
            mode,
            size,
            mtime: 1,
            link: Vec::new(),
            rdev: 0,
            flags: header::FileFlags::default(),
            owner: ("root".into(), "root".into()),
            capabilities: String::new(),
            inode: (0, u32::try_from(name.len()).unwrap()),
            digest: name.to_owned(),
        }
    }

    fn pad(stream: &mut Vec<u8>) {
        while !stream.len().is_multiple_of(4) {
            stream.push(0);
        }
    }

    fn member(stream: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) {
        let size = content.len();
        let fields = [
            0,
            mode as usize,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ];
        stream.extend(b"070701");
        for field in fields {
            stream.extend(format!("{field:08x}").bytes());
        }
        stream.extend(name.bytes());
        stream.push(0);
        pad(stream);
        stream.extend(content);
        pad(stream);
    }

    fn stripped(stream: &mut Vec<u8>, index: usize, content: &[u8]) {
        stream.extend(format!("07070X{index:08x}").bytes());
        pad(stream);
        stream.extend(content);
        pad(stream);
    }

    fn read(stream: &[u8], files: &[FileInfo]) -> Result<Vec<Content>, CpioError> {
        let read = cpio::read(&mut &stream[..], files, &mut Kept::default());
        read.map(|(contents, _)| contents)
    }

    fn whole(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let mut stream = Vec::new();
        for (name, mode, content) in members {
            member(&mut stream, name, *mode, content);
        }
        member(&mut stream, "TRAILER!!!", 0, b"");
        stream
    }

    const REGULAR: u32 = 0o100_644;

    #[test]
    fn named_and_numbered_members_give_the_same() {
        let files = [file("a", REGULAR, 3), file("bb", 0o040_755, 0)];
        let named = whole(&[("./a", REGULAR, b"abc"), ("./bb", 0o040_755, b"")]);
        let mut numbered = Vec::new();
        stripped(&mut numbered, 1, b"");
        stripped(&mut numbered, 0, b"abc");
        member(&mut numbered, "TRAILER!!!", 0, b"");
        let expected = [Content::File(Digest::of(b"abc")), Content::None];
        assert_eq!(read(&named, &files).unwrap(), expected);
        assert_eq!(read(&numbered, &files).unwrap(), expected);
    }

    #[test]
    fn the_last_name_of_a_hard_link_carries_the_bytes() {
        let mut files = [
            file("a", REGULAR, 3),
            file("b", REGULAR, 3),
            file("c", REGULAR, 3),
        ];
        for file in &mut files {
            file.digest = "same".into();
        }
        let expected = [
            Content::File(Digest::of(b"abc")),
            Content::SameAs(0),
            Content::SameAs(0),
        ];
        let named = whole(&[
            ("./a", REGULAR, b""),
            ("./b", REGULAR, b""),
            ("./c", REGULAR, b"abc"),
        ]);
        assert_eq!(read(&named, &files).unwrap(), expected);
        let mut numbered = Vec::new();
        stripped(&mut numbered, 0, b"");
        stripped(&mut numbered, 1, b"");
        stripped(&mut numbered, 2, b"abc");
        member(&mut numbered, "TRAILER!!!", 0, b"");
        assert_eq!(read(&numbered, &files).unwrap(), expected);
        let without = whole(&[
            ("./a", REGULAR, b""),
            ("./b", REGULAR, b""),
            ("./c", REGULAR, b""),
        ]);
        assert!(matches!(read(&without, &files), Err(CpioError::Missing(_))));
    }

    #[test]
    fn strangers_with_one_inode_are_two_files() {
        let mut files = [file("a", REGULAR, 1), file("b", REGULAR, 1)];
        files[0].digest = "one".into();
        let stream = whole(&[("./a", REGULAR, b"x"), ("./b", REGULAR, b"y")]);
        let contents = read(&stream, &files).unwrap();
        assert_eq!(
            contents,
            [
                Content::File(Digest::of(b"x")),
                Content::File(Digest::of(b"y"))
            ]
        );
    }

    #[test]
    fn evil_cpio_members_are_refused() {
        let files = [file("a", REGULAR, 1), file("l", 0o120_777, 0)];
        let a = ("./a", REGULAR, &b"x"[..]);
        let l = ("./l", 0o120_777, &b""[..]);
        let mut trailing = whole(&[a, l]);
        trailing.extend(b"more");
        let mut unknown = whole(&[a, l]);
        unknown[..6].copy_from_slice(b"070707");
        let mut numbered = Vec::new();
        stripped(&mut numbered, 7, b"");
        for (what, stream) in [
            ("escape", whole(&[("./../a", REGULAR, b"x"), l])),
            ("absolute twice", whole(&[("//a", REGULAR, b"x"), l])),
            ("not listed", whole(&[a, l, ("./b", REGULAR, b"x")])),
            ("twice", whole(&[a, a, l])),
            ("another type", whole(&[("./a", 0o120_777, b"x"), l])),
            ("another size", whole(&[("./a", REGULAR, b"xy"), l])),
            ("no size", whole(&[("./a", REGULAR, b""), l])),
            (
                "another link target",
                whole(&[a, ("./l", 0o120_777, b"/etc")]),
            ),
            ("missing", whole(&[a])),
            ("after the end", trailing),
            ("unknown format", unknown),
            ("number out of range", numbered),
            ("no end", whole(&[a, l])[..200].to_vec()),
            ("nothing", Vec::new()),
        ] {
            assert!(read(&stream, &files).is_err(), "{what}");
        }
    }

    #[test]
    fn a_file_below_a_link_of_the_same_package_is_refused() {
        let mut files = [file("a", 0o120_777, 4), file("a/b", REGULAR, 1)];
        files[0].link = b"/etc".to_vec();
        let stream = whole(&[("./a", 0o120_777, b"/etc"), ("./a/b", REGULAR, b"x")]);
        let contents = read(&stream, &files).unwrap();
        let error = tree(&files, &contents).unwrap_err();
        assert!(matches!(error, RpmError::ThroughNonDirectory { .. }));
    }
}
