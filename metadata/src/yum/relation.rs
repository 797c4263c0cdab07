//! `<rpm:entry name flags epoch ver rel pre/>` as the text of a relation: `name OP [epoch:]version[-release]`.

use super::XmlError;
use super::xml::Element;
use std::borrow::Cow;

/// The attributes of one entry.
#[derive(Debug, Default)]
pub(super) struct Entry<'e> {
    name: Option<Cow<'e, str>>,
    flags: Option<Cow<'e, str>>,
    epoch: Option<Cow<'e, str>>,
    version: Option<Cow<'e, str>>,
    release: Option<Cow<'e, str>>,
    pre: Option<bool>,
}

impl<'e> Entry<'e> {
    pub(super) fn read(element: &'e Element<'_>) -> Result<Self, XmlError> {
        let mut entry = Self::default();
        for attribute in element.attributes() {
            let (name, value) = attribute?;
            match name {
                "name" => element.put(&mut entry.name, value)?,
                "flags" => element.put(&mut entry.flags, value)?,
                "epoch" => element.put(&mut entry.epoch, value)?,
                "ver" => element.put(&mut entry.version, value)?,
                "rel" => element.put(&mut entry.release, value)?,
                "pre" => element.put(&mut entry.pre, value == "1" || value == "true")?,
                _ => {}
            }
        }
        Ok(entry)
    }

    /// Whether the package's own scripts need it.
    pub(super) fn is_pre(&self) -> bool {
        self.pre == Some(true)
    }

    /// Appends the relation to `text`.
    ///
    /// # Errors
    /// The part that is wrong: an empty name, an unknown comparison, a version without one or the reverse.
    pub(super) fn push(&self, text: &mut String) -> Result<(), String> {
        let name = self.name.as_deref().unwrap_or_default().trim();
        if name.is_empty() {
            return Err("name=\"\"".to_owned());
        }
        let operator = match self.flags.as_deref().unwrap_or_default() {
            "" => "",
            "LT" => " < ",
            "LE" => " <= ",
            "EQ" => " = ",
            "GE" => " >= ",
            "GT" => " > ",
            other => return Err(format!("flags={other:?}")),
        };
        text.push_str(name);
        if operator.is_empty() {
            return Ok(());
        }
        let version = self.version.as_deref().unwrap_or_default();
        let epoch = self.epoch.as_deref().unwrap_or_default();
        let bad = |part: &str| part.bytes().any(|byte| !byte.is_ascii_graphic());
        let release = self
            .release
            .as_deref()
            .filter(|release| !release.is_empty());
        if version.is_empty() || bad(version) || release.is_some_and(bad) {
            return Err(format!("{name}{operator}{version}"));
        }
        if !epoch.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("epoch={epoch:?}"));
        }
        text.push_str(operator);
        push_evr(text, epoch, version, release);
        Ok(())
    }
}

/// Appends `[epoch:]version[-release]`; a zero epoch is left out.
pub(super) fn push_evr(text: &mut String, epoch: &str, version: &str, release: Option<&str>) {
    let epoch = epoch.trim_start_matches('0');
    for part in [epoch, if epoch.is_empty() { "" } else { ":" }, version] {
        text.push_str(part);
    }
    if let Some(release) = release {
        text.push('-');
        text.push_str(release);
    }
}
