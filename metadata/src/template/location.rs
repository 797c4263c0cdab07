//! Where a template lies and what it is called: `debian/13/x86_64`, set `minimal`, is `debian-13-x86_64-minimal`.
//!
//! Every part is one plain path component, so that a name can never leave the area. Which parts a typed name has is
//! decided in [`super::area`] by the directories that exist.

use crate::name::NameError;
use crate::{Arch, RelPath, TemplateName};
use std::fmt;

/// The set whose directory makes the base OS template.
pub const DEFAULT_SET: &str = "default";

/// One application template on an OS template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Application {
    /// Its name, `nginx`.
    pub name: String,
    /// Its set, [`DEFAULT_SET`] for the application itself.
    pub set: String,
}

/// The directory of one template, in parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateLocation {
    os: String,
    version: String,
    arch: Arch,
    set: String,
    application: Option<Application>,
}

impl TemplateLocation {
    /// The OS template of these parts.
    ///
    /// # Errors
    /// [`NameError`] where a part is empty, begins with a dot or holds anything but letters, digits and `+-._`.
    pub fn os_template(os: &str, version: &str, arch: &str, set: &str) -> Result<Self, NameError> {
        for part in [os, version, arch, set] {
            check_part(part)?;
        }
        Ok(Self {
            os: os.to_owned(),
            version: version.to_owned(),
            arch: arch.parse()?,
            set: set.to_owned(),
            application: None,
        })
    }

    /// The application template `name` of this OS template, whatever its set.
    ///
    /// # Errors
    /// As [`TemplateLocation::os_template`].
    pub fn with_application(&self, name: &str, set: &str) -> Result<Self, NameError> {
        check_part(name)?;
        check_part(set)?;
        let application = Application {
            name: name.to_owned(),
            set: set.to_owned(),
        };
        Ok(Self {
            application: Some(application),
            ..self.clone()
        })
    }

    /// The OS, `debian`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The version of the OS, `13`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The architecture in the spelling of templates, `x86_64`.
    pub const fn arch(&self) -> &Arch {
        &self.arch
    }

    /// The OS set, [`DEFAULT_SET`] for the base.
    pub fn set(&self) -> &str {
        &self.set
    }

    /// The application, if this is not an OS template.
    pub const fn application(&self) -> Option<&Application> {
        self.application.as_ref()
    }

    /// Whether this is the base OS template.
    pub fn is_base(&self) -> bool {
        self.set == DEFAULT_SET && self.application.is_none()
    }

    /// The base OS template this one belongs to.
    #[must_use]
    pub fn base(&self) -> Self {
        Self {
            set: DEFAULT_SET.to_owned(),
            application: None,
            ..self.clone()
        }
    }

    /// The OS template this one belongs to: itself without its application.
    #[must_use]
    pub fn os_of(&self) -> Self {
        Self {
            application: None,
            ..self.clone()
        }
    }

    /// The same template in its default set: the base of an OS set, the application of an application set.
    #[must_use]
    pub fn default_set(&self) -> Self {
        match &self.application {
            None => self.base(),
            Some(application) => Self {
                application: Some(Application {
                    set: DEFAULT_SET.to_owned(),
                    ..application.clone()
                }),
                ..self.clone()
            },
        }
    }

    /// The full name. An application belongs to the base: its name does not say the OS set.
    ///
    /// # Errors
    /// [`NameError::TooLong`] where the parts together exceed the limit.
    pub fn name(&self) -> Result<TemplateName, NameError> {
        self.to_string().parse()
    }

    /// What its repository ids begin with (VZPKG-REFERENCE §2.4): `base`, the set, or the application.
    pub fn repository_prefix(&self) -> String {
        match &self.application {
            None if self.set == DEFAULT_SET => "base".to_owned(),
            // A set called `base` must not share ids with the base.
            None if self.set == "base" => "set-base".to_owned(),
            None => self.set.clone(),
            Some(application) if application.set == DEFAULT_SET => application.name.clone(),
            Some(application) => format!("{}-{}", application.name, application.set),
        }
    }

    /// The directory below the area. Cannot leave it: every part was checked.
    pub fn directory(&self) -> RelPath {
        let top = format!("{}/{}/{}/config", self.os, self.version, self.arch);
        let below = match &self.application {
            None => format!("os/{}", self.set),
            Some(application) => format!("app/{}/{}", application.name, application.set),
        };
        RelPath::parse(format!("{top}/{below}").as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for TemplateLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.os, self.version, self.arch)?;
        match &self.application {
            None if self.set == DEFAULT_SET => Ok(()),
            None => write!(f, "-{}", self.set),
            Some(application) if application.set == DEFAULT_SET => {
                write!(f, "/{}", application.name)
            }
            Some(application) => write!(f, "/{}-{}", application.name, application.set),
        }
    }
}

/// Checks one directory name of a template.
pub(super) fn check_part(part: &str) -> Result<(), NameError> {
    let kind = "part of a template name";
    if part.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if part.len() > 100 {
        let shown = part.chars().take(40).collect();
        return Err(NameError::TooLong { kind, shown });
    }
    let bad = part
        .char_indices()
        .find(|&(at, c)| !(c.is_ascii_alphanumeric() || at > 0 && "+-._".contains(c)));
    bad.map_or(Ok(()), |(_, character)| {
        let text = part.to_owned();
        Err(NameError::Character {
            kind,
            text,
            character,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_paths() {
        for part in ["..", ".", "", "a/b", "/a", "-x", ".git", "a b", "a\n"] {
            assert!(TemplateLocation::os_template(part, "1", "x86_64", "default").is_err());
            assert!(TemplateLocation::os_template("a", part, "x86_64", "default").is_err());
            assert!(TemplateLocation::os_template("a", "1", part, "default").is_err());
            assert!(TemplateLocation::os_template("a", "1", "x86_64", part).is_err());
        }
    }

    #[test]
    fn a_location_knows_its_name_directory_and_repository_prefix() {
        let base = TemplateLocation::os_template("debian", "13", "x86_64", "default").unwrap();
        let set = TemplateLocation::os_template("debian", "13", "x86_64", "minimal").unwrap();
        let app = set.with_application("nginx", "default").unwrap();
        let app_set = set.with_application("nginx", "extra").unwrap();
        let shown = |l: &TemplateLocation| {
            (
                l.to_string(),
                l.directory().to_string(),
                l.repository_prefix(),
            )
        };
        let top = "debian/13/x86_64/config";
        for (location, name, directory, prefix) in [
            (&base, "debian-13-x86_64", "os/default", "base"),
            (&set, "debian-13-x86_64-minimal", "os/minimal", "minimal"),
            (&app, "debian-13-x86_64/nginx", "app/nginx/default", "nginx"),
            (
                &app_set,
                "debian-13-x86_64/nginx-extra",
                "app/nginx/extra",
                "nginx-extra",
            ),
        ] {
            let expected = (name.into(), format!("{top}/{directory}"), prefix.into());
            assert_eq!(shown(location), expected);
        }
        assert_eq!(app_set.default_set(), app);
        assert_eq!(app.base(), base);
    }
}
