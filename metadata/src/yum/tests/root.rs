//! What the trust in a repository begins with: `repomd.xml`, and metalinks.

use super::super::{metalink, repomd};
use super::SHA256;

const REPOMD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<repomd xmlns=\"http://linux.duke.edu/metadata/repo\"><revision>1608245317</revision>
<tags><distro cpeid=\"x\">y</distro></tags>
<data type=\"primary\"><checksum type=\"sha256\">1f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef</checksum>
<location href=\"repodata/primary.xml.gz\"/><timestamp>1608245318.5</timestamp><size>48877</size><open-size>327570</open-size></data>
<data type=\"other\"><checksum type=\"sha\">00</checksum><location href=\"repodata/other.xml.gz\"/></data></repomd>";

#[test]
fn repomd_names_files_and_their_checksums() {
    let repomd = repomd::parse(REPOMD.as_bytes()).unwrap();
    assert_eq!(
        (repomd.revision.as_str(), repomd.date()),
        ("1608245317", 1_608_245_318)
    );
    let primary = &repomd.files["primary"];
    assert_eq!(primary.checksum, SHA256.parse().ok());
    assert_eq!(
        (primary.size, primary.open_size),
        (Some(48877), Some(327_570))
    );
    let other = &repomd.files["other"];
    assert_eq!(
        (other.checksum, other.weak_checksum.as_str()),
        (None, "sha")
    );
}

#[test]
fn duplicate_or_broken_entries_of_repomd_are_refused() {
    for (from, to) in [
        ("type=\"other\"", "type=\"primary\""),
        ("type=\"other\"", ""),
        ("<size>", "<size>1</size><size>"),
        ("48877", "-1"),
        ("48877", "99999999999999999999"),
        ("1608245317", "a\u{7f}b"),
        ("<location href=\"repodata/other.xml.gz\"/>", ""),
        ("1f2e3d", "1f2e3g"),
        ("</repomd>", ""),
        ("</repomd>", "</repomd><repomd/>"),
    ] {
        assert!(
            repomd::parse(REPOMD.replacen(from, to, 1).as_bytes()).is_err(),
            "{to}"
        );
    }
}

/// A path that leaves the repository is only text here; the client's `BaseUrl::append` refuses it.
#[test]
fn evil_repomd_path_stays_text() {
    let text = REPOMD.replace("repodata/primary.xml.gz", "../../etc/passwd");
    let repomd = repomd::parse(text.as_bytes()).unwrap();
    assert_eq!(repomd.files["primary"].location, "../../etc/passwd");
}

const METALINK: &str = "<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" xmlns:mm0=\"m\"><files>
<file name=\"repomd.xml\"><mm0:timestamp>1700000000</mm0:timestamp><size>3000</size>
<verification><hash type=\"md5\">00</hash><hash type=\"sha256\">1f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef</hash></verification>
<mm0:alternates><mm0:alternate><mm0:timestamp>1600000000</mm0:timestamp><size>1</size>
<verification><hash type=\"sha256\">2f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef</hash></verification></mm0:alternate></mm0:alternates>
<resources maxconnections=\"1\"><url protocol=\"rsync\" preference=\"100\">rsync://a/repodata/repomd.xml</url>
<url protocol=\"http\" preference=\"90\">http://b/x/repodata/repomd.xml</url>
<url protocol=\"https\" preference=\"95\">https://c/y/repodata/repomd.xml</url></resources></file></files></metalink>";

#[test]
fn metalinks_give_hashes_and_mirrors_by_preference() {
    let metalink = metalink::parse(METALINK.as_bytes()).unwrap();
    assert_eq!(metalink.base_urls, ["https://c/y/", "http://b/x/"]);
    assert_eq!(metalink.digests.len(), 2);
    assert_eq!(metalink.digests[0].to_string(), SHA256);
    assert_eq!(
        (metalink.size, metalink.timestamp),
        (Some(3000), Some(1_700_000_000))
    );
}

#[test]
fn metalinks_without_a_strong_hash_are_refused() {
    let weak = METALINK.replace("sha256", "sha1");
    assert!(matches!(
        metalink::parse(weak.as_bytes()),
        Err(metalink::MetalinkError::NoDigest)
    ));
    for (from, to) in [
        ("repomd.xml\">", "other.xml\">"),
        ("1f2e3d", "xx"),
        ("3000", "x"),
        ("<files>", "<files><file name=\"repomd.xml\"/>"),
    ] {
        assert!(
            metalink::parse(METALINK.replacen(from, to, 1).as_bytes()).is_err(),
            "{to}"
        );
    }
}
