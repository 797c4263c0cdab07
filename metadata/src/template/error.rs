//! What can be wrong with a template or its area. Every problem in a file names the file and the line.

use super::keys::FingerprintParseError;
use super::packages::PackageSpecError;
use crate::durable::FileError;
use crate::name::NameError;
use crate::{Family, TemplateName};
use std::path::PathBuf;

/// Why a template cannot be found or loaded.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file or directory of the area cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A name, or a part of one, that no template can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No directory makes this name.
    #[error("there is no template `{name}`")]
    NotFound {
        /// What was asked for.
        name: TemplateName,
        /// Names of templates on the node that are close to it, best first.
        near: Vec<String>,
    },
    /// Several directories make this name.
    #[error("template name `{name}` is ambiguous: {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: TemplateName,
        /// The directories below the area.
        candidates: Vec<String>,
    },
    /// A file of the template that cannot be what it should be.
    #[error("`{}` {problem}", file.display())]
    BadFile {
        /// The file.
        file: PathBuf,
        /// What is wrong, as the end of a sentence about the file.
        problem: FileProblem,
    },
    /// A line that cannot be understood.
    #[error("`{}` line {line}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: LineProblem,
    },
    /// [`super::area::TemplateArea::write_skeleton`] does not write over a template.
    #[error("template `{0}` exists already")]
    Exists(TemplateName),
    /// Versions are committed only to a set of the OS template that the container was made from.
    #[error("`{name}` is no set of `{base}`, to which the container belongs")]
    NotCommitted {
        /// What was asked for.
        name: TemplateName,
        /// The OS template.
        base: String,
    },
    /// No shipped template is of the distribution that a new one is of.
    #[error("no shipped template is of `{0}`, so that a new one could start from it")]
    NoOrigin(String),
    /// A new template's name does not follow `os-version-arch[-set]` with a known architecture.
    #[error(
        "`{0}` names no template to make: write `OS-VERSION-ARCH`, with `-SET` or `/APPLICATION` after it if wanted"
    )]
    NewName(TemplateName),
}

/// What is wrong with a whole file; completes a sentence that begins with its name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FileProblem {
    /// A directory, FIFO, socket or device stands where a file should be.
    #[error("is no regular file")]
    NotRegular,
    /// It is not UTF-8 text.
    #[error("is not UTF-8 text, from byte {0} on")]
    NotText(usize),
    /// It holds more than the limit.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    /// A mandatory file is missing or holds no line.
    #[error("is missing or empty")]
    Missing,
}

/// What is wrong with one line of a template file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LineProblem {
    /// A package specification of neither form.
    #[error(transparent)]
    PackageSpec(#[from] PackageSpecError),
    /// A `$word` that `url.map` does not replace and no package manager knows.
    #[error("`{token}` is neither in url.map nor a variable; add a line `{token} URL` to url.map")]
    UnresolvedWord {
        /// The word with its `$`.
        token: String,
    },
    /// A package manager's variable this template gives no value.
    #[error("`{0}` has no value here; set it in the file `environment`")]
    UnsetVariable(String),
    /// Not `http`, `https` or `file`.
    #[error("`{0}` is no repository URL: it must begin with `http://`, `https://` or `file:///`")]
    Url(String),
    /// deb: no suite after the URL.
    #[error("`{0}` needs a suite after the URL")]
    NoSuite(String),
    /// deb: a suite with components ends in `/`, or one without does not.
    #[error("suite `{0}` needs at least one component, unless it ends in `/`")]
    NoComponent(String),
    /// A suite or component that could name another path.
    #[error("`{0}` is no suite or component")]
    SuiteName(String),
    /// `[…]` holds something unknown.
    #[error(
        "unknown option `{0}`: known are trusted=yes, priority=N, check-valid-until=no, metadata=unsigned, signatures=legacy, \
         excludepkgs=A,B, module_hotfixes=yes"
    )]
    Option(String),
    /// `[` without `]`.
    #[error("the options that begin with `[` have no `]`")]
    OpenOptions,
    /// Only options, nothing after.
    #[error("there is no URL")]
    NoUrl,
    /// The file belongs to the other package family.
    #[error("`{file}` means nothing in a {family} template")]
    WrongFamily {
        /// Name of the file.
        file: &'static str,
        /// Family of the template.
        family: Family,
    },
    /// Not a fingerprint.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintParseError),
    /// A place for a key that is no file name, absolute path or URL.
    #[error("`{0}` is no place for a key: a file name, an absolute path or a URL is expected")]
    KeyPlace(String),
    /// The file a key line names is not there.
    #[error("there is no file `{0}` beside `keys`")]
    KeyFile(String),
    /// Not `KEY=VALUE`.
    #[error("`{0}` is no `NAME=VALUE`")]
    Environment(String),
    /// A line of `zypp_repositories`, which only zypper reads.
    #[error(
        "`{0}` is a YaST repository; name the distribution's rpm-md repository in `repositories` instead"
    )]
    Yast(String),
    /// A package manager of no known family.
    #[error("`{0}` is no package manager: names begin with `rpm` or `dpkg`")]
    PackageManager(String),
    /// Not a number, as `cache_type` wants it.
    #[error("`{0}` is no number")]
    Number(String),
    /// Neither `yes`/`1` nor `no`/`0`.
    #[error("`{0}` is neither yes nor no")]
    YesNo(String),
    /// A line of `url.map` without replacement, or whose token does not start with `$`.
    #[error("`{0}` is no `$TOKEN URL`")]
    UrlMap(String),
}
