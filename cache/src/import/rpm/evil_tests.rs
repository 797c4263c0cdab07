//! Packages that rpmbuild made and somebody changed: what an attacker can write into a header or a payload is refused, and
//! what is merely rare is read.

use super::tests::{Kept, bounds, path, read_bytes};
use super::*;
use std::fs;
use vzpkg_metadata::Digest;
use vzpkg_tests::rpm_writer::Rpm;

const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;
const STRINGS: u32 = 8;

/// One entry of a header: tag, type, count and data.
type Entry = (u32, u32, u32, Vec<u8>);

/// A package in its parts.
struct Parts {
    /// Lead and signature header.
    lead: Vec<u8>,
    /// Of the main header, without the region that rpm signs.
    entries: Vec<Entry>,
    payload: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

impl Parts {
    /// Of a package whose payload is not compressed.
    fn of(package: &Rpm) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let package = package.clone().define("_binary_payload", "w.ufdio");
        let bytes = fs::read(package.build(directory.path())).unwrap();
        let header = |at: usize| 16 + 16 * word(&bytes, at + 8) + word(&bytes, at + 12);
        let start = 96 + header(96).next_multiple_of(8);
        let end = start + header(start);
        let index = &bytes[start + 16..][..16 * word(&bytes, start + 8)];
        let data = &bytes[start + 16 + index.len()..end];
        let entries = index.chunks(16).filter(|entry| word(entry, 0) != 63);
        let entries = entries.map(|entry| {
            let number = |at| u32::try_from(word(entry, at)).unwrap();
            let (kind, count) = (number(4), number(12));
            let rest = &data[word(entry, 8)..];
            let length = match kind {
                3 => 2 * count as usize,
                INT32 => 4 * count as usize,
                INT64 => 8 * count as usize,
                STRING..=9 if kind != 7 => {
                    let texts = rest.split_inclusive(|byte| *byte == 0);
                    texts.take(count as usize).map(<[u8]>::len).sum()
                }
                _ => count as usize,
            };
            (number(0), kind, count, rest[..length].to_vec())
        });
        Self {
            lead: bytes[..start].to_vec(),
            entries: entries.collect(),
            payload: bytes[end..].to_vec(),
        }
    }

    /// The same with another entry in the place of those of its tag.
    fn with(mut self, tag: u32, kind: u32, count: u32, data: &[u8]) -> Self {
        self = self.without(tag);
        self.entries.push((tag, kind, count, data.to_vec()));
        self.entries.sort_by_key(|(tag, ..)| *tag);
        self
    }

    fn without(mut self, tag: u32) -> Self {
        self.entries.retain(|(there, ..)| *there != tag);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, kind, count, content) in &self.entries {
            let align: usize = match *kind {
                3 => 2,
                INT32 => 4,
                INT64 => 8,
                _ => 1,
            };
            data.resize(data.len().next_multiple_of(align), 0);
            for number in [*tag, *kind, u32::try_from(data.len()).unwrap(), *count] {
                index.extend(number.to_be_bytes());
            }
            data.extend(content);
        }
        let mut bytes = self.lead.clone();
        bytes.extend([0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]);
        bytes.extend(u32::try_from(self.entries.len()).unwrap().to_be_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend([index, data, self.payload.clone()].concat());
        bytes
    }

    fn read(&self) -> Result<(RpmContents, Kept), RpmError> {
        read_bytes(&self.bytes())
    }
}

fn one_file() -> Parts {
    Parts::of(&Rpm::new("demo", "1", "1").file("/usr/share/demo", 0o644, b"hello"))
}

/// A payload whose members are numbered, as rpm writes it for files above 4 GiB.
fn numbered(contents: &[u8]) -> Vec<u8> {
    let mut payload = b"07070X00000000\0\0".to_vec();
    payload.extend(contents);
    payload.resize(payload.len().next_multiple_of(4), 0);
    payload.extend(b"070701");
    for field in [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0] {
        payload.extend(format!("{field:08x}").bytes());
    }
    payload.extend(b"TRAILER!!!\0\0\0\0");
    payload
}

#[test]
fn sizes_of_64_bits_are_read_and_nothing_is_reserved_for_what_they_claim() {
    let with_size = |size: u64| {
        let parts = one_file().without(1028);
        parts.with(5008, INT64, 1, &size.to_be_bytes())
    };
    let mut good = with_size(5).with(5009, INT64, 1, &(5_u64 << 30).to_be_bytes());
    good.payload = numbered(b"hello");
    let (contents, _) = good.read().unwrap();
    let node = contents.tree.node(&path("usr/share/demo")).unwrap();
    assert!(matches!(node.kind, NodeKind::File { size: 5, .. }));
    let record = record::parse_for_tests(&contents.record);
    assert_eq!(record.installed_size, 5 << 30);

    // More than the payload has, more than any file may have, and more than 32 bits of a named member can say.
    let mut short = with_size(5 << 30);
    short.payload = numbered(b"hello");
    let error = short.read().unwrap_err();
    assert!(
        matches!(error, RpmError::Payload(CpioError::Stream(_))),
        "{error:?}"
    );
    for (size, numbers) in [(u64::MAX, true), (65 << 30, true), (5 << 30, false)] {
        let mut parts = with_size(size);
        if numbers {
            parts.payload = numbered(b"hello");
        }
        let error = parts.read().unwrap_err();
        let is_told = matches!(error, RpmError::Payload(CpioError::Contradiction { .. }));
        assert!(is_told, "{size}: {error:?}");
    }
}

#[test]
fn evil_sizes_that_are_missing_or_contradict_each_other_are_refused() {
    let none = one_file().without(1028).read().unwrap_err();
    assert!(
        matches!(none, RpmError::Header(HeaderError::Length { .. })),
        "{none:?}"
    );
    // Where there are both, those of 64 bits count; the payload does not bear them out.
    let both = one_file().with(5008, INT64, 1, &6_u64.to_be_bytes());
    assert!(both.read().is_err());
    let two = one_file().with(5008, INT64, 2, &[0; 16]);
    assert!(matches!(
        two.read().unwrap_err(),
        RpmError::Header(HeaderError::Length { .. })
    ));
}

#[test]
fn evil_names_in_a_header_are_refused() {
    for (directory, name) in [
        ("/usr/../../", "demo"),
        ("/usr/share/", "../demo"),
        ("/usr/share/", "de/../mo"),
        ("/usr/share/", ""),
        ("/usr/share/", ".."),
        ("/usr//share/", "demo"),
    ] {
        let parts = one_file();
        let parts = parts.with(1118, STRINGS, 1, format!("{directory}\0").as_bytes());
        let parts = parts.with(1117, STRINGS, 1, format!("{name}\0").as_bytes());
        assert!(parts.read().is_err(), "{directory}{name}");
    }
    let outside = one_file().with(1116, INT32, 1, &7_u32.to_be_bytes());
    let error = outside.read().unwrap_err();
    assert!(
        matches!(error, RpmError::Header(HeaderError::Missing(_))),
        "{error:?}"
    );
}

#[test]
fn evil_names_of_packages_are_refused() {
    for (tag, text) in [
        (1000, "../../etc/passwd"),
        (1000, "a b"),
        (1000, ""),
        (1001, "1/../2"),
        (1022, "../x86_64"),
    ] {
        let parts = one_file().with(tag, STRING, 1, format!("{text}\0").as_bytes());
        let Ok((contents, _)) = parts.read() else {
            continue;
        };
        // What gets so far is held against the signed index, which has no such names.
        let is_good = contents.name.parse::<vzpkg_metadata::PackageName>().is_ok()
            && contents.arch.parse::<vzpkg_metadata::Arch>().is_ok()
            && !contents.version.contains('/');
        assert!(!is_good, "{tag}: {text}");
    }
}

#[test]
fn evil_tags_that_come_twice_are_refused() {
    let mut parts = one_file();
    let names = parts.entries.iter().find(|(tag, ..)| *tag == 1117);
    let mut second = names.unwrap().clone();
    second.3 = b"other\0".to_vec();
    parts.entries.push(second);
    let error = parts.read().unwrap_err();
    assert!(
        matches!(error, RpmError::Header(HeaderError::Twice(1117))),
        "{error:?}"
    );
}

#[test]
fn devices_are_nodes_and_sockets_are_refused() {
    let with_mode = |mode: u16| {
        let mut parts = one_file().with(1030, 3, 1, &mode.to_be_bytes());
        parts = parts.with(1028, INT32, 1, &[0; 4]);
        parts.payload = numbered(b"");
        parts.with(1033, 3, 1, &0x0103_u16.to_be_bytes())
    };
    let (contents, kept) = with_mode(0o020_666).read().unwrap();
    let node = contents.tree.node(&path("usr/share/demo")).unwrap();
    let device = NodeKind::CharacterDevice { major: 1, minor: 3 };
    assert_eq!((&node.kind, kept.0.len()), (&device, 0));
    for mode in [0o140_644, 0o000_644, 0o170_000] {
        let error = with_mode(mode).read().unwrap_err();
        assert!(
            matches!(error, RpmError::UnknownType { .. }),
            "{mode:o}: {error:?}"
        );
    }
}

#[test]
fn evil_line_breaks_add_no_line_to_a_record() {
    let ghost = 1_u32 << 6;
    let mut parts = one_file()
        .with(1117, STRINGS, 1, b"x\nobsoletes bash\0")
        .with(1037, INT32, 1, &ghost.to_be_bytes())
        .with(1004, STRING, 1, b"text\nprovides sudo\0");
    parts.payload = numbered(b"").split_off(16);
    let (contents, _) = parts.read().unwrap();
    let lines = contents.record.lines();
    let added = |line: &&str| line.starts_with("obsoletes") || *line == "provides sudo";
    assert_eq!(lines.filter(added).count(), 0, "{}", contents.record);
}

#[test]
fn bombs_of_every_compression_are_stopped_at_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    for payload in ["w9.gzdio", "w3.zstdio", "w9.bzdio", "w2.lzdio", "w.ufdio"] {
        let package = Rpm::new("bomb", "1", "1")
            .define("_binary_payload", payload)
            .file("/bomb", 0o644, &vec![0; 3 << 20])
            .build(&directory.path().join(payload));
        let error = read_bytes(&fs::read(package).unwrap()).unwrap_err();
        assert!(
            matches!(error, RpmError::TooLarge(_)),
            "{payload}: {error:?}"
        );
    }
}

#[test]
fn payloads_of_every_compression_that_are_cut_end_with_an_error() {
    let directory = tempfile::tempdir().unwrap();
    for payload in [
        "w6.gzdio",
        "w2.xzdio",
        "w3.zstdio",
        "w9.bzdio",
        "w2.lzdio",
        "w.ufdio",
    ] {
        let package = Rpm::new("demo", "1", "1")
            .define("_binary_payload", payload)
            .file("/usr/share/demo", 0o644, &b"text ".repeat(1000))
            .build(&directory.path().join(payload));
        let good = fs::read(package).unwrap();
        let mut rest = good.as_slice();
        header::read(&mut rest).unwrap();
        let start = good.len() - rest.len();
        let step = (rest.len() / 50).max(1);
        for end in (start..good.len() - 8).step_by(step) {
            assert!(read_bytes(&good[..end]).is_err(), "{payload}: {end}");
        }
    }
}

#[test]
fn bomb_windows_that_ask_for_gigabytes_are_refused() {
    // A zstd frame with a window of 2 GiB, and an lzma stream with a dictionary of 4 GiB.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0];
    let lzma = [[0x5d, 0, 0, 0xff, 0xff].as_slice(), &[0xff; 8], &[0; 32]].concat();
    for payload in [zstd.to_vec(), lzma] {
        let mut parts = one_file();
        parts.payload = payload;
        let error = parts.read().unwrap_err();
        let is_told = matches!(
            error,
            RpmError::Compression(_) | RpmError::Payload(CpioError::Stream(_))
        );
        assert!(is_told, "{error:?}");
    }
}

#[test]
fn bomb_names_below_one_long_directory_are_refused() {
    // 5 MB of header that stand for 400 MB of paths.
    let (files, long) = (100_000_u32, "d/".repeat(2000));
    let zeros = vec![0; 4 * files as usize];
    let names = "f\0".repeat(files as usize);
    let parts = one_file()
        .with(1116, INT32, files, &zeros)
        .with(1117, STRINGS, files, names.as_bytes())
        .with(1118, STRINGS, 1, format!("/{long}\0").as_bytes());
    let error = parts.read().unwrap_err();
    assert!(
        matches!(error, RpmError::Header(HeaderError::Paths)),
        "{error:?}"
    );
}

/// Counts what it is given.
struct Counts(u64);

impl ContentSink for Counts {
    fn put(&mut self, content: &mut dyn Read, _size: u64) -> io::Result<Digest> {
        let mut buffer = vec![0; 8 << 20];
        loop {
            match content.read(&mut buffer)? {
                0 => return Ok(Digest::of(b"")),
                read => self.0 += read as u64,
            }
        }
    }
}

#[test]
fn a_file_above_4_gib_is_read_to_its_last_byte() {
    const SIZE: u64 = (4 << 30) + 4;
    let mut whole = one_file()
        .without(1028)
        .with(5008, INT64, 1, &SIZE.to_be_bytes());
    let payload = numbered(b"");
    let (member, trailer) = payload.split_at(16);
    whole.payload = member.to_vec();
    let (head, mut counts) = (whole.bytes(), Counts(0));
    let stream = head.chain(io::repeat(0).take(SIZE)).chain(trailer);
    let contents = read(stream, bounds(5 << 30), &mut counts).unwrap();
    let node = contents.tree.node(&path("usr/share/demo")).unwrap();
    assert!(matches!(node.kind, NodeKind::File { size: SIZE, .. }));
    assert_eq!(counts.0, SIZE);
}
