//! What packages themselves say of their changes: Debian's changelog files, and the entries in rpm headers.

use super::packages::PackageMove;
use super::view::View;
use super::{CompareError, PackageChange};
use crate::import::rpm;
use crate::store::Store;
use flate2::read::MultiGzDecoder;
use std::io::Read as _;
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::tree::NodeKind;
use vzpkg_metadata::{Family, RelPath, version};

/// The largest changelog that is read, packed and unpacked; what is new stands at its begin.
const PACKED_BYTES: u64 = 4 << 20;
const BYTES: u64 = 8 << 20;

/// The most lines of one package that are told.
const LINES: usize = 400;

/// What is new in one package.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Changelog {
    /// The package.
    pub package: String,
    /// The entries after the version that was there, newest first, as the package has them.
    pub text: String,
}

/// Reads the changelogs of packages that moved up. One that carries none, or another one's, says nothing.
pub(super) fn read(
    store: &Store,
    after: &View<'_>,
    lock: &Lock,
    packages: &[PackageChange],
) -> Result<Vec<Changelog>, CompareError> {
    let mut found: Vec<Changelog> = Vec::new();
    for change in packages
        .iter()
        .filter(|change| change.moved == PackageMove::Up)
    {
        let from = change.from.as_deref().unwrap_or_default();
        let text = match lock.family {
            Family::Deb => deb(after, change, from)?,
            Family::Rpm => rpm(store, lock, change, from)?,
        };
        // Packages of one source carry the same text; it is told once.
        if let Some(text) = text.filter(|text| !text.is_empty())
            && found.iter().all(|other| other.text != text)
        {
            let package = change.name.clone();
            found.push(Changelog { package, text });
        }
    }
    Ok(found)
}

fn deb(
    after: &View<'_>,
    change: &PackageChange,
    from: &str,
) -> Result<Option<String>, CompareError> {
    let names = ["changelog.Debian.gz", "changelog.gz"];
    for name in names {
        let path = format!("usr/share/doc/{}/{name}", change.name);
        let Ok(path) = RelPath::parse(path.as_bytes()) else {
            continue;
        };
        if let Some(NodeKind::File { digest, size }) = after.tree.node(&path).map(|node| &node.kind)
            && *size <= PACKED_BYTES
        {
            let packed = after.bytes(digest, *size, PACKED_BYTES)?;
            let mut text = Vec::new();
            let unpacked = MultiGzDecoder::new(packed.as_slice());
            // A damaged one says what it says up to there.
            drop(unpacked.take(BYTES).read_to_end(&mut text));
            return Ok(Some(newer_entries(&String::from_utf8_lossy(&text), from)));
        }
    }
    Ok(None)
}

/// The entries of a Debian changelog before the first one whose version is not higher than `from`.
fn newer_entries(text: &str, from: &str) -> String {
    let is_old = |line: &&str| {
        let heading = entry_version(line);
        heading.is_some_and(|found| version::compare(Family::Deb, found, from).is_le())
    };
    let lines: Vec<&str> = text.lines().take_while(|line| !is_old(line)).collect();
    shorten(&lines)
}

/// The version in the first line of an entry: `openssl (3.0.17-1) bookworm; urgency=medium`.
fn entry_version(line: &str) -> Option<&str> {
    if line.starts_with([' ', '\t']) {
        return None;
    }
    let (_, rest) = line.split_once(" (")?;
    Some(rest.split_once(')')?.0)
}

fn shorten(lines: &[&str]) -> String {
    let told = lines.get(..LINES).unwrap_or(lines).join("\n");
    match lines.len().saturating_sub(LINES) {
        0 => told.trim_end().to_owned(),
        more => format!("{told}\n… {more} more lines"),
    }
}

/// The entries of an rpm package before the one for `from`: they are told apart by the version that packagers write at
/// the end of the line with their name, and where they do not, only the newest is taken.
fn rpm(
    store: &Store,
    lock: &Lock,
    change: &PackageChange,
    from: &str,
) -> Result<Option<String>, CompareError> {
    let is_it = |name: &str, arch: &str, version: &str| {
        name == change.name && arch == change.arch && Some(version) == change.to.as_deref()
    };
    let mut packages = lock.packages.iter();
    let package = packages.find(|p| is_it(p.name.as_str(), p.arch.as_str(), &p.version));
    let Some(package) = package else {
        return Ok(None);
    };
    let Some(manifest) = store.packages.get(&package.sha256)? else {
        return Ok(None);
    };
    let entries = rpm::changelog(&manifest);
    let without_epoch = from.split_once(':').map_or(from, |(_, rest)| rest);
    let old = entries.iter().position(|(who, _)| {
        let said = who.rsplit([' ', '<', '>']).next().unwrap_or_default();
        said.trim_start_matches('-').trim_start_matches(':') == without_epoch
            || said.ends_with(without_epoch)
    });
    let new = entries.get(..old.unwrap_or(1)).unwrap_or(&entries);
    let text: Vec<String> = new
        .iter()
        .map(|(who, text)| format!("* {who}\n{text}\n"))
        .collect();
    let text = text.join("\n");
    Ok(Some(shorten(&text.lines().collect::<Vec<_>>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "hello (2:1.2-3) stable; urgency=high\n\n  * Third.\n\n -- A <a@b>  Thu, 01 Jan 2026\n\n\
        hello (2:1.2-2) stable; urgency=low\n\n  * Second (really).\n\n -- A <a@b>  Thu, 01 Jan 2026\n\n\
        hello (1.9-1) stable; urgency=low\n\n  * First.\n";

    #[test]
    fn entries_up_to_the_version_that_was_there_are_told() {
        let told = newer_entries(DEBIAN, "1.9-1");
        assert!(
            told.contains("Third") && told.contains("Second (really)"),
            "{told}"
        );
        assert!(!told.contains("First"), "{told}");
        assert!(newer_entries(DEBIAN, "2:1.2-2").ends_with("-- A <a@b>  Thu, 01 Jan 2026"));
        assert_eq!(newer_entries(DEBIAN, "3:1"), "");
        assert_eq!(newer_entries(DEBIAN, "0"), DEBIAN.trim_end());
    }

    #[test]
    fn a_long_changelog_is_cut_and_says_so() {
        let text = "  * line\n".repeat(LINES + 7);
        let told = newer_entries(&text, "1");
        assert!(told.ends_with("… 7 more lines"), "{told}");
        assert_eq!(told.lines().count(), LINES + 1);
    }
}
