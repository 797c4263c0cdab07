//! EZ templates: directories of small files that say which packages make an OS or an application, and from where.
//!
//! The layout and the meaning of every file are the original's (VZPKG-REFERENCE §2); `keys`, which pins signing keys,
//! and the options in brackets on repository lines are ours (docs/templates.md). A [`Template`] is a value: everything
//! its directories say, inheritance and `url.map` applied. Nothing here fetches, solves or runs anything.
//!
//! ```no_run
//! use vzpkg_metadata::template::{TemplateArea, UrlMap};
//! let area = TemplateArea::new("/vz/template");
//! area.install_shipped()?;
//! let template = area.load(&"debian-13-x86_64-minimal".parse()?, &area.url_map()?)?;
//! println!("{} packages from {} repositories", template.packages.len(), template.repositories.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
pub mod area;
mod committed;
pub mod error;
mod files;
mod fingerprint;
pub mod keys;
mod load;
pub mod location;
mod origin;
pub mod packages;
pub mod repositories;
pub mod scripts;
pub mod shipped;
pub mod skeleton;
pub mod url_map;

pub use area::TemplateArea;
pub use error::{FileProblem, LineProblem, TemplateError};
pub use keys::{Fingerprint, KeyPin, KeyPlace};
pub use location::{Application, DEFAULT_SET, TemplateLocation};
pub use origin::Origin;
pub use repositories::{AptSource, RepositoryLine, RepositoryOptions, WrittenUrl, YumSource};
pub use scripts::{Script, ScriptKind, Scripts};
pub use shipped::ShippedReport;
pub use skeleton::Skeleton;
pub use url_map::{UrlMap, host_tokens};

use crate::{Arch, Digest, Family, RepoId, TemplateName};

/// Everything one template says, after inheritance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its full name.
    pub name: TemplateName,
    /// Its parts and where they lie: OS, version, set, application.
    pub location: TemplateLocation,
    /// Which kind of packages it has, from `package_manager`.
    pub family: Family,
    /// In the spelling of templates: `x86_64`.
    pub arch: Arch,
    /// What `package_manager` says, as written: `dpkgx64`, `rpm49db5x64`.
    pub package_manager: String,
    /// The packages that make up the template. Not inherited.
    pub packages: Vec<String>,
    /// First stage of a cache build: groups installed together, in order.
    pub packages_0: Vec<Vec<String>>,
    /// Second stage of a cache build.
    pub packages_1: Vec<String>,
    /// rpm: module streams that are on, `nginx:1.24`, and `platform:el9` for the distribution itself. Own, then the base's.
    pub modules: Vec<String>,
    /// Own repositories, then (for an OS set) the base's; one place occurs once. An application's are only its own:
    /// see [`active_repositories`].
    pub repositories: Vec<RepositoryLine>,
    /// Pinned signing keys: own, then those of the OS template it belongs to. See [`Template::keys_for`].
    pub keys: Vec<KeyPin>,
    /// Variables for package manager and scripts, in order.
    pub environment: Vec<(String, String)>,
    /// Own scripts, and those of the default set where it has none.
    pub scripts: Scripts,
    /// Key of the distribution, `debian`, `centos`; empty if unsaid.
    pub distribution: String,
    /// Kernel release shown inside, `min` or `min:max`; empty if unsaid.
    pub osrelease: String,
    /// Needed kernel features, as written.
    pub technologies: Vec<String>,
    /// Versions of the OS from which this one can be reached.
    pub upgradable_versions: Vec<String>,
    /// One line for lists; empty if unsaid.
    pub summary: String,
    /// More lines about it.
    pub description: Vec<String>,
    /// `golden_image` does not say `no`: it may be part of an appcache.
    pub golden_image: bool,
    /// deb: whether packages of the 32-bit architecture are wanted too; `None` if unsaid.
    pub multiarch: Option<bool>,
    /// Cache formats allowed, a bit mask of the original; `None` for all.
    pub cache_type: Option<u32>,
    /// `no_pkg_actions` is there: no package operations.
    pub no_pkg_actions: bool,
    /// `committed` is there: its versions are made from containers, not from packages alone.
    pub committed: bool,
    /// The lines of `repositories` and `mirrorlist` as written, which the digest covers: a mirror is a node's matter.
    pub repository_texts: Vec<String>,
}

impl Template {
    /// The digest of everything that can change a build. Servers in `url.map` and places of keys are not part of it, so
    /// that one template has one digest on every node.
    pub fn digest(&self) -> Digest {
        fingerprint::digest(self)
    }

    /// The addresses of its repositories as they are written, and what they stand for with this `url.map`.
    pub fn written_urls(&self, url_map: &UrlMap) -> Vec<WrittenUrl> {
        let context = repositories::Context {
            family: self.family,
            version: self.location.version(),
            arch: &self.arch,
            environment: &self.environment,
            url_map,
        };
        // Each after the name of its file.
        let texts = self.repository_texts.iter();
        let lines = texts.filter_map(|text| text.split_once(' ').map(|(_, line)| line));
        lines
            .flat_map(|line| repositories::written_urls(line, &context))
            .collect()
    }

    /// The pinned keys that may sign this repository: those of the template directory that names the repository, and
    /// those of the base OS. A key that an application pins cannot sign the repositories of the OS.
    pub fn keys_for(&self, repository: &RepoId) -> Vec<KeyPin> {
        let names = |pin: &&KeyPin| {
            let number = repository.as_str().strip_prefix(pin.origin.as_str());
            pin.origin == "base"
                || number
                    .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.keys.iter().filter(names).cloned().collect()
    }
}

/// The repositories in force for an OS template and applications on it, in the original's order: applications as given,
/// the OS set, the base; a place that occurs twice counts once.
pub fn active_repositories(applications: &[&Template], os: &Template) -> Vec<RepositoryLine> {
    let mut active = Vec::new();
    let lines = applications.iter().flat_map(|app| &app.repositories);
    for line in lines.chain(&os.repositories) {
        load::add_repository(&mut active, line.clone());
    }
    active
}
