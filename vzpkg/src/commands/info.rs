//! `vzpkg info OBJECT [FIELD…]`: a template, a version or a container, field by field as the original prints them.

use super::Context;
use crate::cli::{ContainerCommand, CtInfo, Info};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::names::{self, Object};
use crate::ops::{held_back, node};
use crate::output::{clean, local_time};
use vzpkg_cache::store::{Hold, Store, VersionState};
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{ContainerId, TemplateName};

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
                return container(context, &id, &arguments.fields);
            }
            Object::Template(name) => template_fields(Some(store), &area, &name)?,
        },
        (None, false) => template_fields(
            None,
            &area,
            &names::template_name(None, &area, &arguments.object)?,
        )?,
    };
    let wanted = select(fields, &arguments.fields)?;
    if context.printer.is_json() {
        let object: serde_json::Map<String, serde_json::Value> = wanted
            .into_iter()
            .map(|(name, values)| (name.to_owned(), serde_json::json!(values)))
            .collect();
        context.printer.json("info", object.into());
    } else {
        print(context, &wanted);
    }
    Ok(())
}

/// A container as `ct info` tells it, or the fields of its document.
fn container(context: &Context, id: &ContainerId, wanted: &[String]) -> CommandResult {
    let name = id.to_string();
    if is_all(wanted) {
        return super::ct::run(context, ContainerCommand::Info(CtInfo { name }));
    }
    let serde_json::Value::Object(document) = super::ct::document(context, &name)? else {
        return Ok(());
    };
    let wanted = select(document.into_iter().collect(), wanted)?;
    if context.printer.is_json() {
        let object: serde_json::Map<String, serde_json::Value> = wanted.into_iter().collect();
        context.printer.json("container", object.into());
    } else {
        let texts = wanted.iter().map(|(name, value)| (name, texts(value)));
        print(context, &texts.collect::<Vec<_>>());
    }
    Ok(())
}

/// What a value of a document is in lines.
fn texts(value: &serde_json::Value) -> Vec<String> {
    use serde_json::Value;
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![clean(text)],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(values) => values
            .iter()
            .flat_map(|(name, value)| {
                let texts = texts(value).into_iter();
                texts.map(move |text| format!("{}={text}", clean(name)))
            })
            .collect(),
        other => vec![other.to_string()],
    }
}

fn print<N: AsRef<str>>(context: &Context, fields: &[(N, Vec<String>)]) {
    let text: String = fields
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| {
            let values = values.iter().map(|value| format!("\t{value}\n"));
            format!("{}:\n{}", name.as_ref(), values.collect::<String>())
        })
        .collect();
    context.printer.result(text);
}

fn is_all(wanted: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|name| name == "all")
}

/// The fields that are wanted, as they come.
fn select<N: AsRef<str>, V>(fields: Vec<(N, V)>, wanted: &[String]) -> CommandResult<Vec<(N, V)>> {
    if is_all(wanted) {
        return Ok(fields);
    }
    let known: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(
            CommandError::message(Kind::Usage, format!("there is no field `{unknown}`"))
                .hint(format!("fields: {}", known.join(" "))),
        );
    }
    let is_wanted = |name: &N| wanted.iter().any(|wanted| wanted == name.as_ref());
    let fields = fields.into_iter();
    Ok(fields.filter(|(name, _)| is_wanted(name)).collect())
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

#[cfg(test)]
mod tests {
    use super::{select, texts};

    #[test]
    fn a_field_of_a_document_is_lines_for_a_person() {
        let document = serde_json::json!({
            "pid": 7, "up": null, "mounts": ["/a", "/b"], "limits": { "memory": 1, "cpus": null },
        });
        let serde_json::Value::Object(fields) = document else {
            return;
        };
        let fields: Vec<_> = fields.into_iter().collect();
        for (name, lines) in [
            ("pid", &["7"][..]),
            ("up", &[]),
            ("mounts", &["/a", "/b"]),
            ("limits", &["memory=1"]),
        ] {
            let found = select(fields.clone(), &[name.to_owned()]).unwrap();
            assert_eq!(texts(&found[0].1), lines, "{name}");
        }
        let error = select(fields, &["colour".to_owned()]).unwrap_err();
        assert_eq!(error.hints, ["fields: limits mounts pid up"]);
    }
}
