//! `vzpkg info OBJECT [FIELD…]`: a template, a version or a container, field by field as the original prints them.

use super::Context;
use crate::cli::{ContainerCommand, CtInfo, Info};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::names::{self, Object};
use crate::ops::{held_back, node};
use crate::output::{clean, local_time};
use vzpkg_cache::store::{Hold, Store, VersionState};
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::template::TemplateArea;

/// A field and its values: one, or a list.
type Fields = Vec<(&'static str, Vec<String>)>;

pub(super) fn run(context: &Context, arguments: &Info) -> CommandResult {
    let area = node::templates(context)?;
    let store = node::store_for_reading(context)?;
    let version = arguments.object.contains(['@', ':']);
    let fields = match (&store, version) {
        (Some(store), true) => version_fields(store, &area, &arguments.object)?,
        (None, true) => return node::existing_store(context).map(drop),
        (Some(store), false) => match names::object(store, &area, &arguments.object)? {
            Object::Container(id) => {
                let command = ContainerCommand::Info(CtInfo {
                    name: id.to_string(),
                });
                return super::ct::run(context, command);
            }
            Object::Template(name) => template_fields(Some(store), &area, &name)?,
        },
        (None, false) => template_fields(
            None,
            &area,
            &names::template_name(&area, &arguments.object)?,
        )?,
    };
    let wanted = select(fields, &arguments.fields)?;
    if context.printer.is_json() {
        let object: serde_json::Map<String, serde_json::Value> = wanted
            .iter()
            .map(|(name, values)| ((*name).to_owned(), serde_json::json!(values)))
            .collect();
        context.printer.json("info", object.into());
        return Ok(());
    }
    let text: String = wanted
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| {
            format!(
                "{name}:\n{}",
                values
                    .iter()
                    .map(|value| format!("\t{value}\n"))
                    .collect::<String>()
            )
        })
        .collect();
    context.printer.result(text);
    Ok(())
}

fn select(fields: Fields, wanted: &[String]) -> CommandResult<Fields> {
    if wanted.is_empty() || wanted.iter().any(|name| name == "all") {
        return Ok(fields);
    }
    let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(
            CommandError::message(Kind::Usage, format!("there is no field `{unknown}`"))
                .hint(format!("fields: {}", known.join(" "))),
        );
    }
    Ok(fields
        .into_iter()
        .filter(|(name, _)| wanted.iter().any(|wanted| wanted == name))
        .collect())
}

fn template_fields(
    store: Option<&Store>,
    area: &TemplateArea,
    name: &TemplateName,
) -> CommandResult<Fields> {
    let (_, location) = node::locate(area, name.as_str())?;
    let template = node::load(area, &location)?;
    let head = match store {
        Some(store) => store.db.head(name)?,
        None => None,
    };
    let notes = match store {
        Some(store) => notes(store, name)?,
        None => Notes::default(),
    };
    let one = |text: &str| {
        if text.is_empty() {
            Vec::new()
        } else {
            vec![text.to_owned()]
        }
    };
    Ok(vec![
        ("name", vec![name.to_string()]),
        ("osname", vec![location.os().to_owned()]),
        ("version", vec![location.version().to_owned()]),
        ("arch", vec![location.arch().to_string()]),
        (
            "config_path",
            vec![
                area.path()
                    .join(location.directory().as_path())
                    .display()
                    .to_string(),
            ],
        ),
        ("summary", one(&template.summary)),
        ("description", template.description.clone()),
        (
            "packages_0",
            template
                .packages_0
                .iter()
                .map(|line| line.join(" "))
                .collect(),
        ),
        ("packages_1", template.packages_1.clone()),
        ("packages", template.packages.clone()),
        ("repositories", template.repository_texts.clone()),
        (
            "keys",
            template
                .keys
                .iter()
                .map(|key| key.fingerprint.to_string())
                .collect(),
        ),
        ("package_manager", one(&template.package_manager)),
        (
            "package_manager_type",
            vec![
                if template.family == vzpkg_metadata::Family::Deb {
                    "dpkg"
                } else {
                    "rpm"
                }
                .to_owned(),
            ],
        ),
        ("distribution", one(&template.distribution)),
        ("technologies", template.technologies.clone()),
        (
            "environment",
            template
                .environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        ("upgradable_versions", template.upgradable_versions.clone()),
        (
            "cached",
            vec![if head.is_some() { "yes" } else { "no" }.to_owned()],
        ),
        (
            "head",
            head.iter().map(|row| row.name.to_string()).collect(),
        ),
        ("tags", notes.tags),
        ("kept", notes.kept),
        ("holds", notes.holds),
        ("osrelease", one(&template.osrelease)),
    ])
}

/// What was noted of a template's versions and packages, as lines.
#[derive(Default)]
struct Notes {
    tags: Vec<String>,
    kept: Vec<String>,
    holds: Vec<String>,
}

fn notes(store: &Store, template: &TemplateName) -> CommandResult<Notes> {
    let rows = store.db.versions(template)?;
    let tags = rows.iter().flat_map(|row| {
        let number = row.name.number;
        row.tags.iter().map(move |tag| format!("{tag} @{number}"))
    });
    let holds = store.db.holds(template)?;
    let hold = |hold: &Hold| format!("{}{}", hold.pattern, held_back::terms(hold));
    Ok(Notes {
        tags: tags.collect(),
        kept: rows
            .iter()
            .filter(|row| row.kept)
            .map(|row| row.name.to_string())
            .collect(),
        holds: holds.iter().map(hold).collect(),
    })
}

fn version_fields(store: &Store, area: &TemplateArea, text: &str) -> CommandResult<Fields> {
    let row = names::version(store, area, text, None)?;
    let record = store.versions.read(&row.name.template, &row.digest)?;
    let users = store
        .db
        .containers()?
        .into_iter()
        .filter(|container| container.link == row.digest);
    Ok(vec![
        ("version", vec![row.name.to_string()]),
        ("digest", vec![row.digest.to_string()]),
        (
            "parent",
            row.parent.iter().map(ToString::to_string).collect(),
        ),
        ("built", vec![local_time(row.created)]),
        ("who", vec![record.who.clone()]),
        ("why", vec![record.why.clone()]),
        ("template_digest", vec![record.template_digest.to_string()]),
        ("epoch", vec![record.lock.epoch.to_string()]),
        ("packages", vec![record.lock.packages.len().to_string()]),
        (
            "changes",
            vec![super::history::changes(&record.transaction)],
        ),
        (
            "timings",
            record
                .timings
                .iter()
                .map(|timing| format!("{} {} ms", timing.step, timing.milliseconds))
                .collect(),
        ),
        (
            "containers",
            users.map(|container| container.id.to_string()).collect(),
        ),
        ("state", vec![state(&row.state)]),
        ("kept", vec![if row.kept { "yes" } else { "no" }.to_owned()]),
        ("tags", row.tags.iter().map(ToString::to_string).collect()),
    ])
}

fn state(state: &VersionState) -> String {
    match state {
        VersionState::Good => "good".to_owned(),
        VersionState::Bad(why) if why.is_empty() => "bad".to_owned(),
        VersionState::Bad(why) => format!("bad: {}", clean(why)),
    }
}
