//! From the files of a template, its default set and its OS to one [`Template`] (inheritance: VZPKG-REFERENCE §2.4).

use super::error::{FileProblem, LineProblem, TemplateError};
use super::files::{Line, Reader, lines, single, words};
use super::keys::{self, KeyPin, KeyPlace, WrittenPlace};
use super::location::TemplateLocation;
use super::repositories::{self, Context, RepositoryFile, RepositoryLine};
use super::scripts::{Script, ScriptKind, Scripts};
use super::url_map::UrlMap;
use super::{Template, packages};
use crate::Family;
use crate::RelPath;

/// Reads the template at `location`, which exists.
pub(super) fn load(
    reader: &Reader,
    location: &TemplateLocation,
    url_map: &UrlMap,
) -> Result<Template, TemplateError> {
    let own = Directory::new(reader, location);
    let base = Directory::new(reader, &location.base());
    let os = Directory::new(reader, &location.os_of());
    let default_set = Directory::new(reader, &location.default_set());
    let (package_manager, family) = base.package_manager()?;
    let environment = os.environment()?.or_else_try(|| base.environment())?;
    let context = Context {
        family,
        version: location.version(),
        arch: location.arch(),
        environment: &environment,
        url_map,
    };
    let with_base = location.application().is_none() && !location.is_base();
    let mut repositories = own.repositories(&context)?;
    let mut keys = own.keys()?;
    if with_base {
        repositories.append(&mut base.repositories(&context)?);
    }
    if !location.is_base() {
        keys.append(&mut base.keys()?);
    }
    let (repositories, repository_texts) = without_duplicates(repositories);
    let mut scripts = own.scripts()?;
    if own.location != default_set.location {
        scripts.inherit(default_set.scripts()?);
    }
    let is_os = location.application().is_none();
    let stages = |of: &Directory<'_>| {
        Ok::<_, TemplateError>((of.packages_0(family)?, of.packages_1(family)?))
    };
    let (packages_0, packages_1) = if is_os {
        let (zero, one) = stages(&own)?;
        let (base_zero, base_one) = stages(&base)?;
        (zero.or(base_zero), one.or(base_one))
    } else {
        Default::default()
    };
    let mut modules = own.modules()?;
    if !location.is_base() {
        modules.append(&mut base.modules()?);
    }
    Ok(Template {
        name: location.name()?,
        location: location.clone(),
        family,
        arch: location.arch().clone(),
        package_manager,
        packages: own.words_of_packages("packages", family)?,
        packages_0,
        packages_1,
        modules,
        repositories,
        keys,
        environment,
        scripts,
        distribution: base.single("distribution")?,
        osrelease: base.single("osrelease")?,
        technologies: base.words("technologies")?,
        upgradable_versions: base.words("upgradable_versions")?,
        summary: own.single("summary")?,
        description: own.lines("description")?,
        golden_image: own.yes_no("golden_image")?.unwrap_or(true),
        multiarch: base.yes_no("multiarch")?,
        cache_type: base.number("cache_type")?,
        committed: os.is_there(super::committed::MARK)?,
        no_pkg_actions: os.is_there("no_pkg_actions")? || base.is_there("no_pkg_actions")?,
        repository_texts,
    })
}

/// `self` unless it is empty.
trait OrBase: Sized {
    fn or(self, base: Self) -> Self;
    fn or_else_try<E>(self, base: impl FnOnce() -> Result<Self, E>) -> Result<Self, E>;
}

impl<T> OrBase for Vec<T> {
    fn or(self, base: Self) -> Self {
        if self.is_empty() { base } else { self }
    }

    fn or_else_try<E>(self, base: impl FnOnce() -> Result<Self, E>) -> Result<Self, E> {
        if self.is_empty() { base() } else { Ok(self) }
    }
}

/// Adds a repository unless one of the same place is there.
pub(super) fn add_repository(to: &mut Vec<RepositoryLine>, line: RepositoryLine) {
    if !to.iter().any(|other| other.is_same_place(&line)) {
        to.push(line);
    }
}

fn without_duplicates(found: Vec<(RepositoryLine, String)>) -> (Vec<RepositoryLine>, Vec<String>) {
    let mut repositories = Vec::new();
    let mut texts = Vec::new();
    for (line, text) in found {
        add_repository(&mut repositories, line);
        texts.push(text);
    }
    (repositories, texts)
}

/// One template directory.
struct Directory<'a> {
    reader: &'a Reader,
    location: TemplateLocation,
    path: RelPath,
}

impl<'a> Directory<'a> {
    fn new(reader: &'a Reader, location: &TemplateLocation) -> Self {
        Self {
            reader,
            location: location.clone(),
            path: location.directory(),
        }
    }

    fn file(&self, name: &str) -> RelPath {
        self.path.join(name.as_bytes()).unwrap_or_default()
    }

    fn text(&self, name: &str) -> Result<String, TemplateError> {
        self.reader.text(&self.file(name))
    }

    fn problem(&self, name: &str, line: usize, source: LineProblem) -> TemplateError {
        TemplateError::Line {
            file: self.reader.path_of(&self.file(name)),
            line,
            source,
        }
    }

    fn is_there(&self, name: &str) -> Result<bool, TemplateError> {
        self.reader.is_file(&self.file(name))
    }

    fn lines(&self, name: &str) -> Result<Vec<String>, TemplateError> {
        let text = self.text(name)?;
        Ok(lines(&text).map(|line| line.text.to_owned()).collect())
    }

    fn words(&self, name: &str) -> Result<Vec<String>, TemplateError> {
        let text = self.text(name)?;
        Ok(words(&text).map(|word| word.text.to_owned()).collect())
    }

    fn single(&self, name: &str) -> Result<String, TemplateError> {
        let text = self.text(name)?;
        Ok(single(&text).map_or_else(String::new, |line| line.text.to_owned()))
    }

    fn yes_no(&self, name: &str) -> Result<Option<bool>, TemplateError> {
        let text = self.text(name)?;
        let Some(line) = single(&text) else {
            return Ok(None);
        };
        match repositories::yes_no(line.text) {
            Some(value) => Ok(Some(value)),
            None => Err(self.problem(name, line.number, LineProblem::YesNo(line.text.to_owned()))),
        }
    }

    /// A decimal number, or hexadecimal after `0x`.
    fn number(&self, name: &str) -> Result<Option<u32>, TemplateError> {
        let text = self.text(name)?;
        let Some(line) = single(&text) else {
            return Ok(None);
        };
        let parsed = match line.text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => line.text.parse(),
        };
        match parsed {
            Ok(number) => Ok(Some(number)),
            Err(_) => {
                Err(self.problem(name, line.number, LineProblem::Number(line.text.to_owned())))
            }
        }
    }

    fn package_manager(&self) -> Result<(String, Family), TemplateError> {
        let name = "package_manager";
        let text = self.text(name)?;
        let Some(line) = single(&text) else {
            let file = self.reader.path_of(&self.file(name));
            let problem = FileProblem::Missing;
            return Err(TemplateError::BadFile { file, problem });
        };
        let family = if line.text.starts_with("rpm") {
            Family::Rpm
        } else if line.text.starts_with("dpkg") {
            Family::Deb
        } else {
            let problem = LineProblem::PackageManager(line.text.to_owned());
            return Err(self.problem(name, line.number, problem));
        };
        Ok((line.text.to_owned(), family))
    }

    fn checked(&self, name: &str, family: Family, word: Line<'_>) -> Result<String, TemplateError> {
        match packages::check(family, word.text) {
            Ok(()) => Ok(word.text.to_owned()),
            Err(error) => Err(self.problem(name, word.number, error.into())),
        }
    }

    fn words_of_packages(&self, name: &str, family: Family) -> Result<Vec<String>, TemplateError> {
        let text = self.text(name)?;
        words(&text)
            .map(|word| self.checked(name, family, word))
            .collect()
    }

    fn modules(&self) -> Result<Vec<String>, TemplateError> {
        let name = "modules";
        let text = self.text(name)?;
        let stream = |word: Line<'_>| match packages::check_stream(word.text) {
            Ok(()) => Ok(word.text.to_owned()),
            Err(error) => Err(self.problem(name, word.number, error.into())),
        };
        words(&text).map(stream).collect()
    }

    fn packages_0(&self, family: Family) -> Result<Vec<Vec<String>>, TemplateError> {
        let name = "packages_0";
        let text = self.text(name)?;
        let group = |line: Line<'_>| {
            line.text
                .split_whitespace()
                .map(|text| self.checked(name, family, Line { text, ..line }))
                .collect()
        };
        lines(&text).map(group).collect()
    }

    fn packages_1(&self, family: Family) -> Result<Vec<String>, TemplateError> {
        self.words_of_packages("packages_1", family)
    }

    fn environment(&self) -> Result<Vec<(String, String)>, TemplateError> {
        let name = "environment";
        let text = self.text(name)?;
        let variable = |line: Line<'_>| {
            let parts = line.text.split_once('=');
            let parts = parts.filter(|(key, value)| is_variable(key) && !value.contains('\0'));
            let (key, value) = parts.ok_or_else(|| {
                let problem = LineProblem::Environment(line.text.to_owned());
                self.problem(name, line.number, problem)
            })?;
            Ok((key.to_owned(), value.to_owned()))
        };
        lines(&text).map(variable).collect()
    }

    /// The repositories with their text as written. One number runs over all files of the directory.
    fn repositories(
        &self,
        context: &Context<'_>,
    ) -> Result<Vec<(RepositoryLine, String)>, TemplateError> {
        let prefix = self.location.repository_prefix();
        let mut found: Vec<(RepositoryLine, String)> = Vec::new();
        self.refuse_yast()?;
        for file in [RepositoryFile::Repositories, RepositoryFile::MirrorList] {
            let name = file.file_name();
            let text = self.text(name)?;
            for line in lines(&text) {
                let id = format!("{prefix}{}", found.len()).parse()?;
                let parsed = repositories::parse(line.text, file, id, context)
                    .map_err(|source| self.problem(name, line.number, source))?;
                found.push((parsed, format!("{name} {}", line.text)));
            }
        }
        Ok(found)
    }

    fn refuse_yast(&self) -> Result<(), TemplateError> {
        let name = "zypp_repositories";
        let text = self.text(name)?;
        match single(&text) {
            None => Ok(()),
            Some(line) => {
                let problem = LineProblem::Yast(line.text.to_owned());
                Err(self.problem(name, line.number, problem))
            }
        }
    }

    fn keys(&self) -> Result<Vec<KeyPin>, TemplateError> {
        let name = "keys";
        let origin = self.location.repository_prefix();
        let text = self.text(name)?;
        let mut pins = Vec::new();
        for line in lines(&text) {
            let (fingerprint, places) = keys::parse_line(line.text)
                .map_err(|source| self.problem(name, line.number, source))?;
            let places = places
                .into_iter()
                .map(|place| self.key_place(place, line.number))
                .collect::<Result<_, _>>()?;
            pins.push(KeyPin {
                fingerprint,
                places,
                origin: origin.clone(),
            });
        }
        Ok(pins)
    }

    fn key_place(&self, place: WrittenPlace, line: usize) -> Result<KeyPlace, TemplateError> {
        match place {
            WrittenPlace::Elsewhere(place) => Ok(place),
            WrittenPlace::Beside(name) => match self.reader.read(&self.file(&name))? {
                Some(found) => Ok(KeyPlace::Beside {
                    name,
                    content: found.content,
                }),
                None => Err(self.problem("keys", line, LineProblem::KeyFile(name))),
            },
        }
    }

    fn scripts(&self) -> Result<Scripts, TemplateError> {
        let mut scripts = Scripts::default();
        for kind in ScriptKind::ALL {
            if let Some(found) = self.reader.read(&self.file(kind.file_name()))?
                && found.executable
            {
                scripts.insert(Script {
                    kind,
                    content: found.content,
                });
            }
        }
        Ok(scripts)
    }
}

fn is_variable(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
