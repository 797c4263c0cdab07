//! The template of versions that were committed from containers: a set of their OS template, with the files of the set
//! that the container was made from and one more that says where it comes from.

use super::TemplateArea;
use super::error::TemplateError;
use super::files::Reader;
use super::location::TemplateLocation;
use crate::{RelPath, TemplateName, durable};
use std::path::PathBuf;

/// The file that says so; without it nobody commits to a template.
pub(super) const MARK: &str = "committed";

/// Files of a set that are not passed on: its own words about itself, and what a build runs.
const OWN: [&str; 2] = ["summary", "description"];

impl TemplateArea {
    /// Where the template `typed` is that versions of `from` are committed to: `debian-13-x86_64-web`, or only `web`.
    ///
    /// # Errors
    /// [`TemplateError::Exists`] for a template that was not made so; [`TemplateError::NotCommitted`] for a name that
    /// means another OS.
    pub fn committed_location(
        &self,
        from: &TemplateLocation,
        typed: &TemplateName,
    ) -> Result<TemplateLocation, TemplateError> {
        let base = from.base();
        let other = || TemplateError::NotCommitted {
            name: typed.clone(),
            base: base.to_string(),
        };
        let location = match self.resolve(typed) {
            Ok(there) => there,
            Err(TemplateError::NotFound { .. }) => {
                let prefix = format!("{base}-");
                let set = typed
                    .as_str()
                    .strip_prefix(&prefix)
                    .unwrap_or(typed.as_str());
                let whole = set.contains(&format!("-{}", base.arch())) || set.contains('/');
                if whole {
                    return Err(other());
                }
                let set = TemplateLocation::os_template(
                    base.os(),
                    base.version(),
                    base.arch().as_str(),
                    set,
                );
                set?
            }
            Err(error) => return Err(error),
        };
        let directory = self.path().join(location.directory().as_path());
        if directory.join("packages").exists() && !directory.join(MARK).exists() {
            return Err(TemplateError::Exists(location.name()?));
        }
        if location.base() != base || location.application().is_some() || location == base {
            return Err(other());
        }
        Ok(location)
    }

    /// Makes the files of a template for versions that are committed from containers of the template `from`, unless they
    /// are there; `packages` last, so that it is no template before it is complete. `origin` is a line for people.
    ///
    /// # Errors
    /// [`TemplateError::File`] where a file cannot be read or written.
    pub fn write_committed(
        &self,
        location: &TemplateLocation,
        from: &TemplateLocation,
        origin: &str,
    ) -> Result<PathBuf, TemplateError> {
        let directory = self.path().join(location.directory().as_path());
        if directory.join("packages").exists() {
            return Ok(directory);
        }
        durable::create_directories(&directory, 0o755)?;
        durable::sync_parent(&directory)?;
        let write = |name: &str, text: &str| {
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            durable::write_file(&directory.join(name), mode, text.as_bytes())
        };
        let mut packages = String::new();
        for (name, text) in self.passed_on(from)? {
            if name == "packages" {
                packages = text;
            } else {
                write(&name, &text)?;
            }
        }
        write("summary", &format!("{origin}\n"))?;
        write(MARK, &format!("{origin}\n"))?;
        write("packages", &packages)?;
        Ok(directory)
    }

    /// The small files of a template that its committed versions need too. What its base says is inherited.
    fn passed_on(&self, from: &TemplateLocation) -> Result<Vec<(String, String)>, TemplateError> {
        let mut files = Vec::new();
        let Some(reader) = Reader::open(self.path())? else {
            return Ok(files);
        };
        let directory = from.directory();
        let names = if from.is_base() {
            vec!["packages".to_owned()]
        } else {
            reader.names(&directory)?
        };
        for name in names {
            let path = directory
                .join(name.as_bytes())
                .unwrap_or_else(|_| RelPath::root());
            if !OWN.contains(&name.as_str()) && name != MARK && reader.is_file(&path)? {
                files.push((name, reader.text(&path)?));
            }
        }
        Ok(files)
    }
}
