//! `new-template`: the files of a template that builds as it is, for a person to go on from.
//!
//! A base OS template starts as the shipped minimal one that is nearest to it; a set or an application on an OS template that
//! exists starts with a package list of its own.

use super::area::TemplateArea;
use super::error::TemplateError;
use super::location::{DEFAULT_SET, TemplateLocation};
use super::origin::Origin;
use crate::{TemplateName, durable};
use std::path::PathBuf;

/// What to make.
#[derive(Debug, Clone)]
pub struct Skeleton {
    /// The name of the template to be: a new base (`my-1-x86_64`), a set (`debian-13-x86_64-web`) or an application
    /// (`debian-13-x86_64/nginx`) of one that exists.
    pub name: TemplateName,
    /// The distribution that a new base starts from, where it is not its own.
    pub like: Option<String>,
}

/// Architectures a new name may hold, in the spelling of templates.
const ARCHITECTURES: [&str; 6] = ["x86_64", "aarch64", "x86", "ppc64le", "s390x", "riscv64"];

impl TemplateArea {
    /// Makes the files of a new template, `packages` last: the directory is no template before it is complete. Returns
    /// where it lies.
    ///
    /// # Errors
    /// [`TemplateError::Exists`], [`TemplateError::NewName`], [`TemplateError::NotFound`] where a set or application
    /// has no OS template to belong to, [`TemplateError::NoOrigin`] for a base with nothing to start from,
    /// [`TemplateError::File`] where a file cannot be written.
    pub fn write_skeleton(&self, skeleton: &Skeleton) -> Result<PathBuf, TemplateError> {
        let (location, directory) = self.new_place(skeleton)?;
        let files = match origin(skeleton, &location)? {
            Some(origin) => base_files(origin),
            None => part_files(&location),
        };
        durable::create_directories(&directory, 0o755)?;
        durable::sync_parent(&directory)?;
        for (name, content) in files {
            durable::write_file(&directory.join(name), 0o644, content.as_bytes())?;
        }
        Ok(directory)
    }

    /// Where [`Self::write_skeleton`] would write, and the shipped template that a new base starts from; nothing is
    /// written.
    ///
    /// # Errors
    /// As that of a name which means no new template.
    pub fn skeleton_plan(
        &self,
        skeleton: &Skeleton,
    ) -> Result<(PathBuf, Option<Origin>), TemplateError> {
        let (location, directory) = self.new_place(skeleton)?;
        Ok((directory, origin(skeleton, &location)?))
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

/// What a new template starts from; `None` for a part of an OS template that exists. A version counts only within its own
/// distribution.
fn origin(
    skeleton: &Skeleton,
    location: &TemplateLocation,
) -> Result<Option<Origin>, TemplateError> {
    if !location.is_base() {
        return Ok(None);
    }
    let os = skeleton.like.as_deref().unwrap_or_else(|| location.os());
    let origin = if os == location.os() {
        Origin::nearest(os, location.version())
    } else {
        Origin::newest(os)
    };
    let none = || TemplateError::NoOrigin(os.to_owned());
    origin.ok_or_else(none).map(Some)
}

/// The files of a base OS template: what the shipped one says, with the package list of its minimal set.
fn base_files(origin: Origin) -> Vec<(&'static str, String)> {
    let shipped = origin.files();
    let mut files: Vec<(&'static str, String)> = shipped
        .map(|(name, content)| (name, content.to_owned()))
        .collect();
    files.push((
        "summary",
        format!("Made from {origin}: say here what it is\n"),
    ));
    let packages = format!(
        "# Package names, many per line; dependencies are found. Add yours below.\n{}",
        origin.packages()
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
        for (name, like, packages, repositories) in [
            ("my-os-1-x86_64", Some("debian"), "apt", 3),
            ("other-7-x86_64", Some("centos"), "bash", 3),
            ("my-os-1-x86_64-web-server", None, "bash", 3),
            ("my-os-1-x86_64/nginx", None, "nginx", 0),
        ] {
            let name: TemplateName = name.parse().unwrap();
            let skeleton = Skeleton {
                name: name.clone(),
                like: like.map(str::to_owned),
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
                like: Some("debian".to_owned()),
            };
            assert!(area.write_skeleton(&skeleton).is_err(), "{name}");
        }
        let unknown = Skeleton {
            name: "plan-9-x86_64".parse().unwrap(),
            like: None,
        };
        let error = area.write_skeleton(&unknown).unwrap_err();
        assert!(matches!(error, TemplateError::NoOrigin(os) if os == "plan"));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
