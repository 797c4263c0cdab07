//! Archives that would fool a careless reader, byte by byte: the `tar` crate's writer refuses to make most of them.

use super::*;
use tar::Header;
use vzpkg_metadata::Timestamp;
use vzpkg_metadata::tree::{Entry, NodeKind};

/// Keeps nothing but the digest.
struct Hashing;

impl ContentSink for Hashing {
    fn put(&mut self, content: &mut dyn Read, _size: u64) -> io::Result<Digest> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        Ok(Digest::of(&bytes))
    }
}

const BOUNDS: UnpackLimits = UnpackLimits {
    stream: 1 << 20,
    entries: 100,
};

fn read(archive: &[u8]) -> Result<Unpacked, UnpackError> {
    unpack(archive, BOUNDS, &mut Hashing)
}

/// One raw header and its content.
fn member(kind: u8, name: &[u8], link: &[u8], content: &[u8]) -> Vec<u8> {
    member_of_size(kind, name, link, content, content.len() as u64)
}

fn member_of_size(kind: u8, name: &[u8], link: &[u8], content: &[u8], size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::new(kind));
    if matches!(kind, b'3' | b'4') {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    }
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().div_ceil(512) * 512, 0);
    bytes
}

fn file(name: &str, content: &str) -> Vec<u8> {
    member(b'0', name.as_bytes(), b"", content.as_bytes())
}

fn directory(name: &str) -> Vec<u8> {
    member(b'5', name.as_bytes(), b"", b"")
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = members.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut content = String::new();
    for (key, value) in records {
        let body = format!(" {key}={value}\n");
        let mut length = body.len() + 1;
        while length.to_string().len() + body.len() != length {
            length += 1;
        }
        content.extend([length.to_string(), body]);
    }
    member(b'x', b"pax", b"", content.as_bytes())
}

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

#[test]
fn an_ordinary_archive_is_read_in_its_order() {
    let bytes = archive(&[
        directory("./"),
        directory("./usr/"),
        file("./usr/b", "b"),
        member(b'2', b"./usr/l", b"../etc/x", b""),
        member(b'1', b"./usr/a", b"./usr/b", b""),
        member(b'6', b"./usr/fifo", b"", b""),
    ]);
    let unpacked = read(&bytes).unwrap();
    let order: Vec<String> = unpacked.order.iter().map(ToString::to_string).collect();
    assert_eq!(order, ["", "usr", "usr/b", "usr/l", "usr/a", "usr/fifo"]);
    assert_eq!(
        unpacked.tree.get(&path("usr/a")),
        Some(&Entry::HardLink(path("usr/b")))
    );
    let kind = &unpacked.tree.node(&path("usr/a")).unwrap().kind;
    assert_eq!(
        kind,
        &NodeKind::File {
            digest: Digest::of(b"b"),
            size: 1
        }
    );
    assert_eq!(
        unpacked.tree.node(&path("usr/fifo")).unwrap().kind,
        NodeKind::Fifo
    );
}

#[test]
fn long_names_of_both_kinds_are_joined() {
    let long = format!("./{}", "d/".repeat(60) + "file");
    let gnu = [
        member(b'L', b"././@LongLink", b"", format!("{long}\0").as_bytes()),
        file("cut", "x"),
    ];
    let posix = [pax(&[("path", &long)]), file("cut", "x")];
    for members in [gnu.to_vec(), posix.to_vec()] {
        let unpacked = read(&archive(&members)).unwrap();
        assert!(unpacked.tree.get(&path(&long[2..])).is_some());
        assert_eq!(unpacked.tree.len(), 1);
    }
}

#[test]
fn extended_attributes_and_fractions_of_seconds_are_kept() {
    let records = [
        ("SCHILY.xattr.security.capability", "cap"),
        ("mtime", "7.25"),
        ("uid", "70000"),
    ];
    let unpacked = read(&archive(&[pax(&records), file("x", "")])).unwrap();
    let meta = &unpacked.tree.node(&path("x")).unwrap().meta;
    assert_eq!(meta.xattrs[b"security.capability".as_slice()], b"cap");
    assert_eq!(
        meta.mtime,
        Timestamp {
            seconds: 7,
            nanoseconds: 250_000_000
        }
    );
    assert_eq!(meta.uid, 70_000);
}

#[test]
fn evil_tar_absolute_name_stays_inside() {
    // One leading slash is how some tools write members; it never means the host's root.
    let unpacked = read(&archive(&[file("/etc/passwd", "x")])).unwrap();
    assert!(unpacked.tree.get(&path("etc/passwd")).is_some());
    assert!(matches!(
        read(&archive(&[file("//etc/passwd", "x")])),
        Err(UnpackError::Path(_))
    ));
}

#[test]
fn evil_tar_dotdot_is_refused() {
    for name in ["../x", "a/../../x", "./..", "a/..", "a//b", "a/./b"] {
        let result = read(&archive(&[file(name, "x")]));
        assert!(
            matches!(result, Err(UnpackError::Path(_))),
            "{name}: {result:?}"
        );
        let result = read(&archive(&[pax(&[("path", name)]), file("ok", "x")]));
        assert!(
            matches!(result, Err(UnpackError::Path(_))),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn evil_tar_symlink_then_write_through_is_refused() {
    let bytes = archive(&[
        member(b'2', b"./out", b"/etc", b""),
        file("./out/passwd", "x"),
    ]);
    assert!(matches!(
        read(&bytes),
        Err(UnpackError::ThroughNonDirectory { .. })
    ));
    let bytes = archive(&[file("./f", "x"), file("./f/g", "x")]);
    assert!(matches!(
        read(&bytes),
        Err(UnpackError::ThroughNonDirectory { .. })
    ));
    let bytes = archive(&[file("./d/g", "x"), member(b'2', b"./d", b"/etc", b"")]);
    assert!(matches!(read(&bytes), Err(UnpackError::Duplicate(_))));
}

#[test]
fn evil_tar_hard_link_out_of_the_tree_is_refused() {
    let out = archive(&[member(b'1', b"./x", b"../../etc/shadow", b"")]);
    assert!(matches!(read(&out), Err(UnpackError::Path(_))));
    for target in ["/etc/shadow", "./missing"] {
        let bytes = archive(&[member(b'1', b"./x", target.as_bytes(), b"")]);
        assert!(
            matches!(read(&bytes), Err(UnpackError::HardLinkTarget { .. })),
            "{target}"
        );
    }
    let to_directory = archive(&[directory("./d"), member(b'1', b"./x", b"./d", b"")]);
    assert!(matches!(
        read(&to_directory),
        Err(UnpackError::HardLinkTarget { .. })
    ));
}

#[test]
fn evil_tar_device_is_a_node_and_never_content() {
    let unpacked = read(&archive(&[member(b'3', b"./null", b"", b"")])).unwrap();
    let kind = &unpacked.tree.node(&path("null")).unwrap().kind;
    assert_eq!(kind, &NodeKind::CharacterDevice { major: 1, minor: 3 });
    let with_content = archive(&[member(b'3', b"./null", b"", b"hidden")]);
    assert!(matches!(
        read(&with_content),
        Err(UnpackError::Contradiction { .. })
    ));
}

#[test]
fn evil_tar_duplicate_is_refused() {
    let twice = archive(&[file("./x", "1"), file("x", "2")]);
    assert!(matches!(read(&twice), Err(UnpackError::Duplicate(_))));
    let directory_twice = archive(&[directory("./d/"), directory("./d")]);
    assert!(matches!(
        read(&directory_twice),
        Err(UnpackError::Duplicate(_))
    ));
}

#[test]
fn evil_tar_unknown_types_are_refused() {
    for kind in [b'S', b'g', b'M', b'V', b'D', b'A'] {
        let result = read(&archive(&[member(kind, b"./x", b"", b"")]));
        assert!(
            matches!(result, Err(UnpackError::UnknownType { .. })),
            "{kind}: {result:?}"
        );
    }
}

#[test]
fn evil_tar_trailing_data_is_refused() {
    let mut bytes = archive(&[file("./x", "1")]);
    bytes.extend_from_slice(&file("./hidden", "2"));
    assert!(matches!(read(&bytes), Err(UnpackError::TrailingData)));
}

#[test]
fn evil_tar_without_an_end_is_refused() {
    let whole = archive(&[file("./x", "some content")]);
    for cut in [0, 512, 600, 1024, 1536] {
        assert!(read(&whole[..cut]).is_err(), "{cut}");
    }
    let dangling = archive(&[member(b'L', b"././@LongLink", b"", b"name\0")]);
    assert!(matches!(read(&dangling), Err(UnpackError::NoEnd)));
}

#[test]
fn evil_tar_wrong_size_is_refused() {
    let short = [
        member_of_size(b'0', b"./x", b"", b"1234", 4096),
        vec![0; 1024],
    ]
    .concat();
    assert!(read(&short).is_err());
    let huge = archive(&[member_of_size(b'0', b"./x", b"", b"1", u64::MAX / 2)]);
    assert!(read(&huge).is_err());
}

#[test]
fn evil_tar_pax_desync_is_refused() {
    // One reader would take 512 bytes more as content, and with it the member that the other sees.
    let inner = file("./smuggled", "x");
    let bytes = archive(&[
        pax(&[("size", "512")]),
        member(b'0', b"./x", b"", b""),
        inner,
    ]);
    assert!(matches!(
        read(&bytes),
        Err(UnpackError::Contradiction { .. })
    ));
    for records in [
        &[("size", "1"), ("size", "1")][..],
        &[("path", "a"), ("path", "b")],
        &[("GNU.sparse.realsize", "9")],
        &[("uid", "-1")],
        &[("SCHILY.xattr.trusted.overlay.redirect", "/etc")],
    ] {
        let result = read(&archive(&[pax(records), file("./x", "1")]));
        assert!(
            matches!(result, Err(UnpackError::Contradiction { .. })),
            "{records:?}: {result:?}"
        );
    }
    let names = [
        member(b'L', b"././@LongLink", b"", b"a\0"),
        pax(&[("path", "b")]),
        file("./x", ""),
    ];
    assert!(matches!(
        read(&archive(&names)),
        Err(UnpackError::Contradiction { .. })
    ));
}

#[test]
fn bomb_many_members_and_many_bytes_are_refused() {
    let many: Vec<Vec<u8>> = (0..101)
        .map(|number| file(&format!("./{number}"), ""))
        .collect();
    assert!(matches!(
        read(&archive(&many)),
        Err(UnpackError::TooMany(100))
    ));
    let endless = member_of_size(b'0', b"./x", b"", b"", 1 << 40);
    let zeros = io::repeat(0).take(1 << 40);
    let result = unpack(endless.as_slice().chain(zeros), BOUNDS, &mut Hashing);
    assert!(
        matches!(result, Err(UnpackError::TooLarge(_))),
        "{result:?}"
    );
}

#[test]
fn bomb_xz_is_stopped_at_the_signed_size() {
    let header = member_of_size(b'0', b"./x", b"", b"", 1 << 30);
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    io::Write::write_all(&mut encoder, &header).unwrap();
    io::copy(&mut io::repeat(0).take(64 << 20), &mut encoder).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    let result = unpack(
        liblzma::read::XzDecoder::new(bomb.as_slice()),
        BOUNDS,
        &mut Hashing,
    );
    assert!(
        matches!(result, Err(UnpackError::TooLarge(_))),
        "{result:?}"
    );
}

#[test]
fn zstd_stall_and_damage_end_with_an_error() {
    let whole = zstd::encode_all(archive(&[file("./x", "content")]).as_slice(), 3).unwrap();
    for cut in 0..whole.len() {
        let Ok(decoder) = zstd::Decoder::new(&whole[..cut]) else {
            continue;
        };
        assert!(
            unpack(decoder, BOUNDS, &mut Hashing).is_err(),
            "cut at {cut}"
        );
    }
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x41;
        // Whatever it decodes to, it ends.
        if let Ok(decoder) = zstd::Decoder::new(damaged.as_slice()) {
            drop(unpack(decoder, BOUNDS, &mut Hashing));
        }
    }
    let empty_frames = zstd::encode_all(&b""[..], 3).unwrap().repeat(10_000);
    let decoder = zstd::Decoder::new(empty_frames.as_slice()).unwrap();
    assert!(matches!(
        unpack(decoder, BOUNDS, &mut Hashing),
        Err(UnpackError::NoEnd)
    ));
}
