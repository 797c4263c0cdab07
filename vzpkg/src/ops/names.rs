//! What a user means by a name: a template, a version of one, or a container.

use super::node;
use crate::error::{CommandError, CommandResult, Kind};
use vzpkg_cache::store::{Store, VersionRow};
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{ContainerId, Digest, TemplateName, VersionName, VersionNumber};

/// The version that `text` names: `T` (its head), `T@N`, `@sha256:DIGEST`; or `@N` with `context` as the template.
///
/// # Errors
/// [`Kind::Unmet`] for versions that do not exist, [`Kind::Usage`] for texts that name none.
pub(crate) fn version(
    store: &Store,
    area: &TemplateArea,
    text: &str,
    context: Option<&TemplateName>,
) -> CommandResult<VersionRow> {
    if let Some(digest) = text
        .strip_prefix("@sha256:")
        .or_else(|| text.strip_prefix("sha256:"))
    {
        return by_digest(store, digest);
    }
    let (template, number) = match text.split_once('@') {
        Some((template, number)) => (template, Some(number)),
        None => (text, None),
    };
    let template = match (template, context) {
        ("", Some(context)) => context.clone(),
        ("", None) => {
            return Err(CommandError::message(
                Kind::Usage,
                format!("`{text}` names no template"),
            ));
        }
        (typed, _) => template_name(area, typed)?,
    };
    let Some(number) = number else {
        return head(store, &template);
    };
    let name: VersionName = format!("{template}@{number}").parse()?;
    Ok(store.db.version(&name)?)
}

fn by_digest(store: &Store, text: &str) -> CommandResult<VersionRow> {
    let digest: Digest = text.parse().map_err(|error| {
        CommandError::new(Kind::Usage, error).hint("`vzpkg history TEMPLATE -v` prints digests")
    })?;
    store
        .db
        .versions_with(&digest)?
        .into_iter()
        .next()
        .ok_or_else(|| {
            CommandError::message(Kind::Unmet, format!("no version has the digest {digest}"))
        })
}

/// The version that new containers of `template` get.
///
/// # Errors
/// [`Kind::Unmet`] where the template has none.
pub(crate) fn head(store: &Store, template: &TemplateName) -> CommandResult<VersionRow> {
    store.db.head(template)?.ok_or_else(|| {
        CommandError::message(Kind::Unmet, format!("`{template}` has no version yet"))
            .hint(format!("build one: vzpkg create-cache {template}"))
    })
}

/// The full name of a template. A template whose directory is gone is still known by the name of its versions.
///
/// # Errors
/// [`Kind::Usage`] for unknown names.
pub(crate) fn template_name(area: &TemplateArea, typed: &str) -> CommandResult<TemplateName> {
    match node::locate(area, typed) {
        Ok((name, _)) => Ok(name),
        Err(error) => match TemplateName::from_user(typed) {
            Ok(name) if !area.path().exists() => Ok(name),
            _ => Err(error),
        },
    }
}

/// What `update` and `rollback` are asked to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    /// A template.
    Template(TemplateName),
    /// A container.
    Container(ContainerId),
}

/// A container if one has that name (none may have a template's name), else a template.
///
/// # Errors
/// [`Kind::Usage`] where it is neither.
pub(crate) fn object(store: &Store, area: &TemplateArea, typed: &str) -> CommandResult<Object> {
    if let Ok(id) = typed.parse::<ContainerId>()
        && store.db.containers()?.iter().any(|row| row.id == id)
    {
        return Ok(Object::Container(id));
    }
    template_name(area, typed)
        .map(Object::Template)
        .map_err(|error| error.hint("nor is there a container of that name"))
}

/// A version number as typed after `--to`.
///
/// # Errors
/// [`Kind::Usage`] for 0.
pub(crate) fn number(number: u64) -> CommandResult<VersionNumber> {
    VersionNumber::new(number)
        .ok_or_else(|| CommandError::message(Kind::Usage, "versions are numbered from 1"))
}
