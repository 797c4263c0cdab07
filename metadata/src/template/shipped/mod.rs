//! The templates that come with vzpkg, and how they get into the area of a node.
//!
//! They are written on first use. Afterwards a file that the administrator changed or removed is left as it is, and one
//! that is as it was shipped is replaced when a newer release ships another. What was written is remembered in
//! [`RECORD_PATH`], so that the two can be told apart.

mod files;

use super::area::TemplateArea;
use super::error::TemplateError;
use super::files::Reader;
use super::url_map::UrlMap;
use crate::digest::Hasher;
use crate::{Digest, RelPath, durable};
use files::FILES;
use std::collections::BTreeMap;
use std::path::Path;

/// Where `url.map` lies below the area.
pub const URL_MAP_PATH: &str = "conf/vztt/url.map";

/// Where the digests of the files that were written are remembered, below the area.
pub const RECORD_PATH: &str = "conf/vzpkg/shipped";

/// What [`TemplateArea::install_shipped`] did, as paths below the area.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShippedReport {
    /// Files that were not there before.
    pub written: Vec<String>,
    /// Files of an older release that nobody had changed.
    pub replaced: Vec<String>,
    /// Files for which a newer one is shipped, but which the administrator changed or removed.
    pub kept: Vec<String>,
}

/// The shipped content of one file.
pub(super) fn file(path: &str) -> Option<&'static str> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found.map(|(_, content)| *content)
}

/// Every shipped file: its path below the area, and what it holds.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied()
}

/// The shipped `url.map`.
pub(super) fn url_map() -> UrlMap {
    // A test holds the shipped file to its syntax.
    UrlMap::parse(file(URL_MAP_PATH).unwrap_or_default(), Path::new("url.map")).unwrap_or_default()
}

impl TemplateArea {
    /// Puts the shipped templates and `url.map` into the area, durably. Does nothing, after reading one small file,
    /// where this release has done it before. Two processes may do it at once: both write the same.
    ///
    /// # Errors
    /// [`TemplateError::File`] where the area cannot be read or written.
    pub fn install_shipped(&self) -> Result<ShippedReport, TemplateError> {
        install(self.path(), FILES)
    }
}

fn install(
    area: &Path,
    files: &[(&'static str, &'static str)],
) -> Result<ShippedReport, TemplateError> {
    let release = release(files);
    let recorded = Record::text(area)?;
    let mut report = ShippedReport::default();
    if recorded.starts_with(&release_line(&release)) {
        return Ok(report);
    }
    let known = Record::parse(&recorded);
    durable::create_directories(area, 0o755)?;
    let mut record = Record {
        release: Some(release),
        files: BTreeMap::new(),
    };
    for &(path, content) in files {
        let shipped = Digest::of(content.as_bytes());
        let now = digest_of(area, path)?;
        let before = known.files.get(path);
        record.files.insert(path.to_owned(), shipped);
        match (now, before) {
            (Some(now), _) if now == shipped => {}
            (None, None) => {
                write(area, path, content)?;
                report.written.push(path.to_owned());
            }
            (Some(now), Some(before)) if now == *before => {
                write(area, path, content)?;
                report.replaced.push(path.to_owned());
            }
            // Changed, removed, or there before us: the administrator's. If it was ours once, that is still what a
            // change is measured against.
            (_, before) => {
                record
                    .files
                    .insert(path.to_owned(), before.copied().unwrap_or(shipped));
                report.kept.push(path.to_owned());
            }
        }
    }
    record.write(area)?;
    Ok(report)
}

fn release(files: &[(&str, &str)]) -> Digest {
    let mut hasher = Hasher::new();
    for (path, content) in files {
        hasher.update(format!("{path} {}\n", content.len()).as_bytes());
        hasher.update(content.as_bytes());
    }
    hasher.finish()
}

fn release_line(release: &Digest) -> String {
    format!("release {release}\n")
}

fn digest_of(area: &Path, path: &str) -> Result<Option<Digest>, TemplateError> {
    let Some(reader) = Reader::open(area)? else {
        return Ok(None);
    };
    let relative = RelPath::parse(path.as_bytes()).unwrap_or_default();
    let found = reader.read(&relative)?;
    Ok(found.map(|found| Digest::of(&found.content)))
}

fn write(area: &Path, path: &str, content: &str) -> Result<(), TemplateError> {
    let target = area.join(path);
    if let Some(parent) = target.parent() {
        durable::create_directories(parent, 0o755)?;
        durable::sync_parent(parent)?;
    }
    Ok(durable::write_file(&target, 0o644, content.as_bytes())?)
}

/// The file at [`RECORD_PATH`]: a line `release DIGEST`, then `DIGEST PATH` per file.
#[derive(Debug, Default)]
struct Record {
    release: Option<Digest>,
    files: BTreeMap<String, Digest>,
}

impl Record {
    /// Lines that cannot be understood are passed over: their files then count as the administrator's.
    fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("release", digest)) => record.release = digest.parse().ok(),
                Some((digest, path)) => {
                    if let Ok(digest) = digest.parse() {
                        record.files.insert(path.to_owned(), digest);
                    }
                }
                None => {}
            }
        }
        record
    }

    /// The text of the record; empty where there is none.
    fn text(area: &Path) -> Result<String, TemplateError> {
        let Some(reader) = Reader::open(area)? else {
            return Ok(String::new());
        };
        reader.text(&RelPath::parse(RECORD_PATH.as_bytes()).unwrap_or_default())
    }

    fn write(&self, area: &Path) -> Result<(), TemplateError> {
        let release = self.release.as_ref().map(release_line);
        let files = self
            .files
            .iter()
            .map(|(path, digest)| format!("{digest} {path}\n"));
        let text: String = release.into_iter().chain(files).collect();
        write(area, RECORD_PATH, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const OLD: &[(&str, &str)] = &[("a/x", "old x"), ("a/y", "old y"), ("a/z", "old z")];
    const NEW: &[(&str, &str)] = &[
        ("a/x", "new x"),
        ("a/y", "new y"),
        ("a/z", "new z"),
        ("b/n", "n"),
    ];

    #[test]
    fn a_changed_or_removed_file_is_kept_and_an_unchanged_one_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let area = directory.path().join("template");
        let read = |name: &str| fs::read_to_string(area.join(name)).unwrap();
        assert_eq!(install(&area, OLD).unwrap().written.len(), 3);
        assert_eq!(install(&area, OLD).unwrap(), ShippedReport::default());

        fs::write(area.join("a/y"), "mine").unwrap();
        fs::remove_file(area.join("a/z")).unwrap();
        let report = install(&area, NEW).unwrap();
        assert_eq!(report.written, ["b/n"]);
        assert_eq!(report.replaced, ["a/x"]);
        assert_eq!(report.kept, ["a/y", "a/z"]);
        assert_eq!((read("a/x"), read("a/y")), ("new x".into(), "mine".into()));
        assert!(!area.join("a/z").exists());

        // Going back to the file as it was once shipped gives it back to us.
        fs::write(area.join("a/y"), "old y").unwrap();
        let newest: &[_] = &[("a/y", "newest y")];
        assert_eq!(install(&area, newest).unwrap().replaced, ["a/y"]);
    }

    #[test]
    fn a_file_that_was_there_before_the_first_use_is_the_administrators() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        fs::write(directory.path().join("a/x"), "mine").unwrap();
        assert_eq!(install(directory.path(), OLD).unwrap().kept, ["a/x"]);
        assert_eq!(install(directory.path(), NEW).unwrap().kept, ["a/x"]);
        let content = fs::read_to_string(directory.path().join("a/x")).unwrap();
        assert_eq!(content, "mine");
    }

    #[test]
    fn every_file_below_templates_is_shipped() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut found = Vec::new();
        let mut todo = vec![top.clone()];
        while let Some(directory) = todo.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    todo.push(path);
                } else {
                    let relative = path.strip_prefix(&top).unwrap();
                    found.push(relative.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        let shipped: Vec<_> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(found, shipped);
    }

    #[test]
    fn every_shipped_template_loads_with_the_shipped_map() {
        let directory = tempfile::tempdir().unwrap();
        let area = TemplateArea::new(directory.path());
        area.install_shipped().unwrap();
        let map = area.url_map().unwrap();
        let templates = area.list().unwrap();
        let names: Vec<_> = templates.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "almalinux-10-x86_64",
                "almalinux-10-x86_64-minimal",
                "almalinux-8-x86_64",
                "almalinux-8-x86_64-minimal",
                "almalinux-9-x86_64",
                "almalinux-9-x86_64-minimal",
                "centos-7-x86_64",
                "centos-7-x86_64-minimal",
                "centos-stream-10-x86_64",
                "centos-stream-10-x86_64-minimal",
                "centos-stream-9-x86_64",
                "centos-stream-9-x86_64-minimal",
                "debian-12-x86_64",
                "debian-12-x86_64-minimal",
                "debian-13-x86_64",
                "debian-13-x86_64-minimal",
                "fedora-43-x86_64",
                "fedora-43-x86_64-minimal",
                "fedora-44-x86_64",
                "fedora-44-x86_64-minimal",
                "opensuse-leap-15.6-x86_64",
                "opensuse-leap-15.6-x86_64-minimal",
                "rocky-10-x86_64",
                "rocky-10-x86_64-minimal",
                "rocky-8-x86_64",
                "rocky-8-x86_64-minimal",
                "rocky-9-x86_64",
                "rocky-9-x86_64-minimal",
            ]
        );
        for location in &templates {
            let template = area.load_at(location, &map).unwrap();
            assert!((2..=4).contains(&template.repositories.len()), "{location}");
            assert!(!template.packages.is_empty() && !template.keys.is_empty());
            for line in &template.repositories {
                assert!(!line.is_trusted());
                assert_eq!(template.keys_for(line.id()), template.keys);
            }
        }
    }
}
