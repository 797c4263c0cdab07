//! Reading the small files of a template area: bounded, regular files only, never through a link that leaves the area;
//! and the four ways their text is understood (VZPKG-REFERENCE §2.2).
//!
//! Every kind drops blanks around a line, empty lines and lines that start with `#`. A missing file is an empty one.

use super::error::{FileProblem, TemplateError};
use crate::RelPath;
use crate::durable::FileError;
use crate::limits::TEMPLATE_FILE_BYTES;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Names in one directory of the area; a node has a few dozen templates.
const DIRECTORY_ENTRIES: usize = 10_000;

/// One line that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its number in the file, from 1.
    pub(super) number: usize,
    /// Its text without the blanks around it; never empty.
    pub(super) text: &'a str,
}

/// The kind *lines*: one item per line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines()
        .zip(1..)
        .map(|(text, number)| Line {
            number,
            text: text.trim(),
        })
        .filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
}

/// The kind *words*: many per line, with the line each stands on.
pub(super) fn words(text: &str) -> impl Iterator<Item = Line<'_>> {
    lines(text).flat_map(|line| {
        line.text.split_whitespace().map(move |text| Line {
            number: line.number,
            text,
        })
    })
}

/// The kind *single*: the first line that counts.
pub(super) fn single(text: &str) -> Option<Line<'_>> {
    lines(text).next()
}

/// One file that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// What it holds.
    pub(super) content: Vec<u8>,
    /// Whether it may be executed by its owner.
    pub(super) executable: bool,
}

/// A template area that is open for reading.
#[derive(Debug)]
pub(super) struct Reader {
    root: OwnedFd,
    path: PathBuf,
}

impl Reader {
    /// Opens the area at `path`; `None` where there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, TemplateError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(root) => Ok(Some(Self {
                root,
                path: path.to_owned(),
            })),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(FileError::on("open", path)(error.into()).into()),
        }
    }

    /// Where `relative` lies, for messages.
    pub(super) fn path_of(&self, relative: &RelPath) -> PathBuf {
        self.path.join(relative.as_path())
    }

    fn open_below(&self, relative: &RelPath, flags: OFlags) -> Result<Option<File>, TemplateError> {
        // A link may lead anywhere inside the area and nowhere else.
        let opened = rustix::fs::openat2(
            &self.root,
            relative.as_path(),
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        );
        match opened {
            Ok(descriptor) => Ok(Some(File::from(descriptor))),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(error) => Err(FileError::on("open", self.path_of(relative))(error.into()).into()),
        }
    }

    /// Reads one file whole; `None` where there is none.
    pub(super) fn read(&self, relative: &RelPath) -> Result<Option<Found>, TemplateError> {
        // NONBLOCK keeps a planted FIFO from hanging us.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Some(file) = self.open_below(relative, flags)? else {
            return Ok(None);
        };
        let bad = |problem| TemplateError::BadFile {
            file: self.path_of(relative),
            problem,
        };
        let status = |error: io::Error| FileError::on("read", self.path_of(relative))(error);
        let metadata = file.metadata().map_err(status)?;
        if !metadata.is_file() {
            return Err(bad(FileProblem::NotRegular));
        }
        let limit = TEMPLATE_FILE_BYTES;
        // One byte more, so that the end is seen without another reading.
        let expected = metadata.len().min(limit).saturating_add(1);
        let mut content = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut content);
        if read.map_err(status)? as u64 > limit {
            return Err(bad(FileProblem::TooLarge(limit)));
        }
        Ok(Some(Found {
            content,
            executable: metadata.permissions().mode() & 0o100 != 0,
        }))
    }

    /// Reads one file as text; a missing one is empty.
    pub(super) fn text(&self, relative: &RelPath) -> Result<String, TemplateError> {
        let content = self.read(relative)?.map(|found| found.content);
        String::from_utf8(content.unwrap_or_default()).map_err(|error| TemplateError::BadFile {
            file: self.path_of(relative),
            problem: FileProblem::NotText(error.utf8_error().valid_up_to()),
        })
    }

    /// Whether a regular file is there. Cheap: nothing is read.
    pub(super) fn is_file(&self, relative: &RelPath) -> Result<bool, TemplateError> {
        let Some(file) = self.open_below(relative, OFlags::PATH)? else {
            return Ok(false);
        };
        let metadata = file
            .metadata()
            .map_err(FileError::on("read", self.path_of(relative)))?;
        Ok(metadata.is_file())
    }

    /// The names in a directory, sorted; those that are not UTF-8 or begin with a dot are left out, for no template
    /// part can have them. Empty where there is no such directory.
    pub(super) fn names(&self, relative: &RelPath) -> Result<Vec<String>, TemplateError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = if relative.is_root() {
            self.open_root()?
        } else {
            match self.open_below(relative, flags)? {
                Some(directory) => directory,
                None => return Ok(Vec::new()),
            }
        };
        let failed =
            |error: rustix::io::Errno| FileError::on("list", self.path_of(relative))(error.into());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().to_str()
                && !name.starts_with('.')
            {
                names.push(name.to_owned());
            }
            if names.len() > DIRECTORY_ENTRIES {
                let error = io::Error::from(io::ErrorKind::FileTooLarge);
                return Err(FileError::on("list", self.path_of(relative))(error).into());
            }
        }
        names.sort();
        Ok(names)
    }

    fn open_root(&self) -> Result<File, TemplateError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.root, ".", flags, Mode::empty())
            .map(File::from)
            .map_err(|error| FileError::on("open", &self.path)(error.into()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const TEXT: &str = "# comment\n\n  a b \n\t# more\n c\r\n";

    #[test]
    fn the_kinds_differ_in_how_they_split() {
        let flat = |items: Vec<Line<'_>>| -> Vec<(usize, String)> {
            items
                .into_iter()
                .map(|l| (l.number, l.text.to_owned()))
                .collect()
        };
        let expected = [(3, "a b".to_owned()), (5, "c".to_owned())];
        assert_eq!(flat(lines(TEXT).collect()), expected);
        let expected = [
            (3, "a".to_owned()),
            (3, "b".to_owned()),
            (5, "c".to_owned()),
        ];
        assert_eq!(flat(words(TEXT).collect()), expected);
        assert_eq!(single(TEXT).map(|l| l.text), Some("a b"));
        assert_eq!(single("# only\n \n"), None);
    }

    #[test]
    fn links_out_of_the_area_are_refused_and_links_inside_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let area = directory.path().join("template");
        fs::create_dir_all(area.join("a")).unwrap();
        fs::write(directory.path().join("secret"), "x").unwrap();
        fs::write(area.join("a/file"), "inside").unwrap();
        symlink("../../secret", area.join("a/out")).unwrap();
        symlink("/etc/passwd", area.join("a/absolute")).unwrap();
        symlink("a", area.join("b")).unwrap();
        symlink("/proc/self/root", area.join("magic")).unwrap();
        let reader = Reader::open(&area).unwrap().unwrap();
        for bad in ["a/out", "a/absolute", "magic/etc/passwd"] {
            let error = reader.read(&bad.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
        let found = reader.read(&"b/file".parse().unwrap()).unwrap().unwrap();
        assert_eq!(
            (found.content.as_slice(), found.executable),
            (&b"inside"[..], false)
        );
        assert!(reader.read(&"a/none".parse().unwrap()).unwrap().is_none());
    }

    #[test]
    fn what_is_no_file_or_too_large_or_no_text_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let area = directory.path();
        fs::create_dir(area.join("dir")).unwrap();
        let limit = usize::try_from(TEMPLATE_FILE_BYTES).unwrap();
        fs::write(area.join("large"), vec![b'x'; limit + 1]).unwrap();
        fs::write(area.join("binary"), b"ok\xff").unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            area.join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let reader = Reader::open(area).unwrap().unwrap();
        let problem = |name: &str| match reader.text(&name.parse().unwrap()) {
            Err(TemplateError::BadFile { problem, .. }) => problem,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(problem("dir"), FileProblem::NotRegular);
        assert_eq!(problem("fifo"), FileProblem::NotRegular);
        assert_eq!(problem("large"), FileProblem::TooLarge(TEMPLATE_FILE_BYTES));
        assert_eq!(problem("binary"), FileProblem::NotText(2));
    }
}
