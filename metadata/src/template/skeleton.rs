//! `new-template`: the files of a template that builds as it is, for a person to go on from.
//!
//! A base OS template starts as the shipped minimal one of its flavour; a set or an application on an OS template that
//! exists starts with a package list of its own.

use super::area::TemplateArea;
use super::error::TemplateError;
use super::location::{DEFAULT_SET, TemplateLocation};
use super::shipped;
use crate::{Family, TemplateName, durable};
use std::path::PathBuf;

/// Which distribution a new base OS template starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Packages, repositories and keys of Debian; the suite follows the version, 13 if it is not one we know.
    Debian,
    /// Packages, repositories and keys of CentOS 7.
    Centos,
}

impl Flavour {
    /// The usual flavour of a package family.
    pub const fn of(family: Family) -> Self {
        match family {
            Family::Deb => Self::Debian,
            Family::Rpm => Self::Centos,
        }
    }
}

/// What to make.
#[derive(Debug, Clone)]
pub struct Skeleton {
    /// The name of the template to be: a new base (`my-1-x86_64`), a set (`debian-13-x86_64-web`) or an application
    /// (`debian-13-x86_64/nginx`) of one that exists.
    pub name: TemplateName,
    /// Where a new base starts from.
    pub flavour: Flavour,
}

/// Architectures a new name may hold, in the spelling of templates.
const ARCHITECTURES: [&str; 6] = ["x86_64", "aarch64", "x86", "ppc64le", "s390x", "riscv64"];

impl TemplateArea {
    /// Makes the files of a new template, `packages` last: the directory is no template before it is complete. Returns
    /// where it lies.
    ///
    /// # Errors
    /// [`TemplateError::Exists`], [`TemplateError::NewName`], [`TemplateError::NotFound`] where a set or application
    /// has no OS template to belong to, [`TemplateError::File`] where a file cannot be written.
    pub fn write_skeleton(&self, skeleton: &Skeleton) -> Result<PathBuf, TemplateError> {
        let (location, directory) = self.new_place(skeleton)?;
        let files = if location.is_base() {
            base_files(skeleton.flavour, location.version())
        } else {
            part_files(&location)
        };
        durable::create_directories(&directory, 0o755)?;
        durable::sync_parent(&directory)?;
        for (name, content) in files {
            durable::write_file(&directory.join(name), 0o644, content.as_bytes())?;
        }
        Ok(directory)
    }

    /// Where [`Self::write_skeleton`] would write; nothing is written.
    ///
    /// # Errors
    /// As that of a name which means no new template.
    pub fn skeleton_directory(&self, skeleton: &Skeleton) -> Result<PathBuf, TemplateError> {
        Ok(self.new_place(skeleton)?.1)
    }

    fn new_place(&self, skeleton: &Skeleton) -> Result<(TemplateLocation, PathBuf), TemplateError> {
        let location = self.new_location(&skeleton.name)?;
        let directory = self.path().join(location.directory().as_path());
        if directory.join("packages").exists() {
            return Err(TemplateError::Exists(skeleton.name.clone()));
        }
        Ok((location, directory))
    }

    /// The location a new name means: of an application by its OS template that exists, else by the architecture in it.
    fn new_location(&self, name: &TemplateName) -> Result<TemplateLocation, TemplateError> {
        if let Some((os, application)) = name.as_str().split_once('/') {
            let os = self.resolve(&os.parse()?)?;
            return Ok(os.with_application(application, DEFAULT_SET)?);
        }
        let no_name = || TemplateError::NewName(name.clone());
        let text = name.as_str();
        let cut = |arch: &str| {
            let (before, behind) = text.split_once(&format!("-{arch}"))?;
            let set = match behind.strip_prefix('-') {
                Some(set) => set,
                None if behind.is_empty() => DEFAULT_SET,
                None => return None,
            };
            let (os, version) = before.rsplit_once('-')?;
            TemplateLocation::os_template(os, version, arch, set).ok()
        };
        let location = ARCHITECTURES.iter().find_map(|arch| cut(arch));
        let location = location.ok_or_else(no_name)?;
        if !location.is_base() {
            self.resolve(&location.base().name()?)?;
        }
        Ok(location)
    }
}

/// The files of a base OS template: what the shipped one says, with the package list of its minimal set.
fn base_files(flavour: Flavour, version: &str) -> Vec<(&'static str, String)> {
    let (top, title) = match (flavour, version) {
        (Flavour::Debian, "12") => ("debian/12/x86_64/config/os", "Debian 12"),
        (Flavour::Debian, _) => ("debian/13/x86_64/config/os", "Debian 13"),
        (Flavour::Centos, _) => ("centos/7/x86_64/config/os", "CentOS 7"),
    };
    let content = |set: &str, name: &str| {
        let path = format!("{top}/{set}/{name}");
        shipped::file(&path).unwrap_or_default().to_owned()
    };
    let mut files: Vec<(&'static str, String)> =
        ["package_manager", "distribution", "repositories", "keys"]
            .into_iter()
            .map(|name| (name, content(DEFAULT_SET, name)))
            .collect();
    files.push((
        "summary",
        format!("Made from {title}: say here what it is\n"),
    ));
    let packages = format!(
        "# Package names, many per line; dependencies are found. Add yours below.\n{}",
        content("minimal", "packages")
    );
    files.push(("packages", packages));
    files
}

/// The files of a set or an application.
fn part_files(location: &TemplateLocation) -> Vec<(&'static str, String)> {
    let base = location.base();
    let (summary, packages) = match location.application() {
        Some(application) => (
            format!("{} on {base}\n", application.name),
            format!(
                "# The packages that make up the application; dependencies are found.\n{}\n",
                application.name
            ),
        ),
        None => (
            format!("{} set of {base}\n", location.set()),
            "# The packages of this set. It inherits repositories, keys and scripts, but no packages.\nbash coreutils\n"
                .to_owned(),
        ),
    };
    vec![("summary", summary), ("packages", packages)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::UrlMap;

    #[test]
    fn a_skeleton_of_every_kind_is_a_template_that_loads() {
        let directory = tempfile::tempdir().unwrap();
        let area = TemplateArea::new(directory.path());
        for (name, flavour, packages, repositories) in [
            ("my-os-1-x86_64", Flavour::Debian, "apt", 3),
            ("other-7-x86_64", Flavour::Centos, "bash", 3),
            ("my-os-1-x86_64-web-server", Flavour::Debian, "bash", 3),
            ("my-os-1-x86_64/nginx", Flavour::Debian, "nginx", 0),
        ] {
            let name: TemplateName = name.parse().unwrap();
            let skeleton = Skeleton {
                name: name.clone(),
                flavour,
            };
            area.write_skeleton(&skeleton).unwrap();
            let template = area.load(&name, &UrlMap::shipped()).unwrap();
            assert_eq!(template.name, name);
            assert_eq!(template.packages.first().unwrap(), packages);
            assert_eq!(template.repositories.len(), repositories);
            assert!(matches!(
                area.write_skeleton(&skeleton),
                Err(TemplateError::Exists(_))
            ));
        }
    }

    #[test]
    fn a_name_without_architecture_or_a_set_without_base_makes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let area = TemplateArea::new(directory.path());
        for name in [
            "debian",
            "debian-13",
            "x86_64",
            "a-1-x86_64-set",
            "a-1-x86_64/app",
            "a-1-x86_64x",
        ] {
            let skeleton = Skeleton {
                name: name.parse().unwrap(),
                flavour: Flavour::Debian,
            };
            assert!(area.write_skeleton(&skeleton).is_err(), "{name}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
