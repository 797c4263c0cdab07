//! Describing a directory tree as lines of text, so that two trees can be compared and a difference can be read.

use crate::tools::sha256;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// One line per entry below `root`, sorted by path: type, permission bits, owner, path, and what it holds (the start of
/// the SHA-256, a link's target, a device's numbers). Times and link counts are not shown.
pub fn describe(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    visit(root, root, &mut lines);
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Panics with the lines that differ unless both trees hold the same. A line is left out of both if its path (relative,
/// without leading `/`) is accepted by `ignore`.
pub fn assert_same_trees(left: &Path, right: &Path, ignore: &dyn Fn(&str) -> bool) {
    let lines = |root: &Path| {
        let mut lines = Vec::new();
        visit(root, root, &mut lines);
        let kept = lines.into_iter().filter(|(path, _)| !ignore(path));
        kept.map(|(_, line)| line)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (left, right) = (lines(left), lines(right));
    let gone = left.difference(&right).map(|line| format!("- {line}"));
    let new = right.difference(&left).map(|line| format!("+ {line}"));
    let difference: Vec<String> = gone.chain(new).collect();
    assert!(
        difference.is_empty(),
        "the trees differ:\n{}",
        difference.join("\n")
    );
}

fn visit(root: &Path, directory: &Path, lines: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let relative = path
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let kind = metadata.file_type();
        let (letter, content) = if kind.is_dir() {
            ('d', String::new())
        } else if kind.is_symlink() {
            (
                'l',
                format!(" -> {}", fs::read_link(&path).unwrap().display()),
            )
        } else if kind.is_file() {
            (
                'f',
                format!(" {}", &sha256(&fs::read(&path).unwrap())[..12]),
            )
        } else if kind.is_fifo() {
            ('p', String::new())
        } else {
            ('x', format!(" {:x}", metadata.rdev()))
        };
        let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        let line = format!("{letter} {mode:04o} {uid}:{gid} {relative}{content}");
        lines.push((relative, line));
        if kind.is_dir() {
            visit(root, &path, lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named() {
        let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for root in [left.path(), right.path()] {
            fs::create_dir(root.join("d")).unwrap();
            fs::write(root.join("d/f"), "same").unwrap();
        }
        assert_same_trees(left.path(), right.path(), &|_| false);
        fs::write(right.path().join("d/f"), "other").unwrap();
        assert_same_trees(left.path(), right.path(), &|path| path == "d/f");
        assert_eq!(describe(left.path()).len(), 2);
        let (left, right) = (left.path().to_owned(), right.path().to_owned());
        let panic = std::panic::catch_unwind(move || assert_same_trees(&left, &right, &|_| false));
        let text = panic.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains("\n+ f "), "{text}");
    }
}
