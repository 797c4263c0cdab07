//! What a user means by a name: a template, a version of one, or a container.

use super::node;
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::nearest;
use vzpkg_cache::store::{Store, VersionRow};
use vzpkg_metadata::name::{DigestPrefix, Which};
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{ContainerId, TagName, TemplateName, VersionNumber, VersionReference};

/// The version that `text` names, in the one grammar there is ([`VersionReference`]). Without a template in it, that is
/// `context`.
///
/// # Errors
/// [`Kind::Unmet`] for versions that do not exist, with those that do; [`Kind::Usage`] for texts that name none.
pub(crate) fn version(
    store: &Store,
    area: &TemplateArea,
    text: &str,
    context: Option<&TemplateName>,
) -> CommandResult<VersionRow> {
    let found = resolve(store, area, &text.parse()?, context);
    meant(store, context, text, found)
}

/// The version of `template` that `text` names; there, `4` is `@4`.
///
/// # Errors
/// As [`version`]; [`Kind::Unmet`] for a version of another template.
pub(crate) fn version_of(
    store: &Store,
    area: &TemplateArea,
    template: &TemplateName,
    text: &str,
) -> CommandResult<VersionRow> {
    let reference = VersionReference::within_template(text)?;
    let found = resolve(store, area, &reference, Some(template));
    let found = meant(store, Some(template), text, found)?;
    if found.name.template != *template {
        let what = format!("`{}` is no version of `{template}`", found.name);
        return Err(CommandError::message(Kind::Unmet, what)
            .hint(format!("its versions: vzpkg history {template}")));
    }
    Ok(found)
}

/// Where a word is no template, it may be the number or the tag of a version of the one that the verb is about.
fn meant(
    store: &Store,
    context: Option<&TemplateName>,
    text: &str,
    found: CommandResult<VersionRow>,
) -> CommandResult<VersionRow> {
    let (Some(template), Err(error)) = (context, &found) else {
        return found;
    };
    let meant = if error.kind != Kind::Usage {
        None
    } else if let Ok(VersionReference {
        which: Which::Number(number),
        ..
    }) = VersionReference::within_template(text)
    {
        Some(format!("@{number}"))
    } else if let Ok(tag) = text.parse::<TagName>() {
        store.db.tagged(template, &tag)?.map(|_| format!(":{tag}"))
    } else {
        None
    };
    found.map_err(|error| match meant {
        Some(meant) => CommandError {
            hints: vec![format!("did you mean {meant}?")],
            ..error
        },
        None => error,
    })
}

fn resolve(
    store: &Store,
    area: &TemplateArea,
    reference: &VersionReference,
    context: Option<&TemplateName>,
) -> CommandResult<VersionRow> {
    let named = match &reference.template {
        Some(typed) => Some(template_name(Some(store), area, typed.as_str())?),
        None => None,
    };
    if let Which::Digest(prefix) = &reference.which {
        return by_digest(store, prefix, named.as_ref(), context);
    }
    let template = named.as_ref().or(context).ok_or_else(|| {
        let text = format!("`{reference}` names no template");
        CommandError::message(Kind::Usage, text).hint(format!("write TEMPLATE{reference}"))
    })?;
    match &reference.which {
        Which::Number(number) => by_number(store, template, *number),
        Which::Tag(tag) => by_tag(store, template, tag),
        Which::Head | Which::Digest(_) => head(store, template),
    }
}

fn by_number(
    store: &Store,
    template: &TemplateName,
    number: VersionNumber,
) -> CommandResult<VersionRow> {
    let head = head(store, template)?;
    let rows = store.db.versions(template)?;
    let known: Vec<String> = rows
        .iter()
        .map(|row| {
            let mark = if row.name == head.name { " (head)" } else { "" };
            format!("@{}{mark}", row.name.number)
        })
        .collect();
    let found = rows.into_iter().find(|row| row.name.number == number);
    found.ok_or_else(|| {
        CommandError::message(
            Kind::Unmet,
            format!("`{template}` has no version @{number}"),
        )
        .hint(format!("it has {}", known.join(", ")))
    })
}

fn by_tag(store: &Store, template: &TemplateName, tag: &TagName) -> CommandResult<VersionRow> {
    if let Some(row) = store.db.tagged(template, tag)? {
        return Ok(row);
    }
    let rows = store.db.versions(template)?;
    let tags: Vec<&TagName> = rows.iter().flat_map(|row| &row.tags).collect();
    let text = format!("no version of `{template}` has the tag `{tag}`");
    let error = CommandError::message(Kind::Unmet, text);
    let near = nearest::of(tag.as_str(), tags.iter().map(|tag| tag.as_str()));
    Err(match near {
        Some(near) => error.hint(format!("did you mean {template}:{near}?")),
        None if tags.is_empty() => {
            error.hint(format!("give it to one: vzpkg tag {template}@N {tag}"))
        }
        None => {
            let tags: Vec<String> = tags.iter().map(|tag| format!(":{tag}")).collect();
            error.hint(format!("it has {}", tags.join(", ")))
        }
    })
}

/// Two templates may have equal trees: then the one that is named counts, else the one that the verb is about.
fn by_digest(
    store: &Store,
    prefix: &DigestPrefix,
    named: Option<&TemplateName>,
    context: Option<&TemplateName>,
) -> CommandResult<VersionRow> {
    let mut rows = store.db.versions_beginning(prefix)?;
    if let Some(named) = named {
        rows.retain(|row| row.name.template == *named);
    }
    let of_context = |row: &VersionRow| Some(&row.name.template) == context;
    if rows.iter().filter(|row| of_context(row)).count() == 1 {
        rows.retain(of_context);
    }
    match rows.as_slice() {
        [row] => Ok(row.clone()),
        [] => {
            let whose = named.map_or_else(
                || "no version".to_owned(),
                |t| format!("no version of `{t}`"),
            );
            let text = format!("{whose} has a digest that begins with `{prefix}`");
            Err(CommandError::message(Kind::Unmet, text)
                .hint("`vzpkg history TEMPLATE -v` prints digests"))
        }
        [first, ..] => {
            let names: Vec<String> = rows.iter().map(|row| row.name.to_string()).collect();
            let text = format!("`sha256:{prefix}` may be {}", names.join(" or "));
            let one_tree = rows.iter().all(|row| row.digest == first.digest);
            Err(CommandError::message(Kind::Usage, text).hint(if one_tree {
                "name the template: TEMPLATE@sha256:…"
            } else {
                "write more of its digits"
            }))
        }
    }
}

/// The version that new containers of `template` get.
///
/// # Errors
/// [`Kind::Unmet`] where the template has none.
pub(crate) fn head(store: &Store, template: &TemplateName) -> CommandResult<VersionRow> {
    store.db.head(template)?.ok_or_else(|| {
        CommandError::message(Kind::Unmet, format!("`{template}` has no version yet"))
            .hint(how_to_make_one(store, template))
    })
}

/// How a template gets its first version: of what containers were committed to none is built.
fn how_to_make_one(store: &Store, template: &TemplateName) -> String {
    let area = TemplateArea::new(store.layout.templates());
    let loaded = node::locate(&area, template.as_str())
        .and_then(|(_, location)| node::load(&area, &location));
    if loaded.is_ok_and(|template| template.committed) {
        super::commit::how_to_commit(template)
    } else {
        format!("build one: vzpkg create-cache {template}")
    }
}

/// The full name of a template. One whose directory is gone is still known by its full name, where `store` has noted it.
///
/// # Errors
/// [`Kind::Usage`] for unknown names, and for the name of a version.
pub(crate) fn template_name(
    store: Option<&Store>,
    area: &TemplateArea,
    typed: &str,
) -> CommandResult<TemplateName> {
    let error = match node::locate(area, typed) {
        Ok((name, _)) => return Ok(name),
        Err(error) => error,
    };
    if let Some(name) = noted(store, typed)? {
        return Ok(name);
    }
    let template = typed.split(['@', ':']).next().unwrap_or_default();
    if template.len() == typed.len() {
        return Err(error);
    }
    let name = match node::locate(area, template) {
        Ok((name, _)) => Some(name),
        Err(_) => noted(store, template)?,
    };
    let Some(name) = name else { return Err(error) };
    let typed = crate::output::clean(typed);
    let text = format!("`{typed}` names a version; what is asked for is a template");
    Err(CommandError::message(Kind::Usage, text).hint(format!(
        "the template is {name}; `vzpkg info {typed}` tells of one version"
    )))
}

/// The template of this full name, where the store has noted one.
fn noted(store: Option<&Store>, typed: &str) -> CommandResult<Option<TemplateName>> {
    let (Some(store), Ok(name)) = (store, TemplateName::from_user(typed)) else {
        return Ok(None);
    };
    let rows = store.db.templates()?;
    Ok(rows
        .into_iter()
        .map(|row| row.name)
        .find(|row| *row == name))
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
        && store.db.find_container(&id)?.is_some()
    {
        return Ok(Object::Container(id));
    }
    template_name(Some(store), area, typed)
        .map(Object::Template)
        .map_err(|error| error.hint("nor is there a container of that name"))
}
