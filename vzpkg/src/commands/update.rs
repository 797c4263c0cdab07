//! `vzpkg update [T|CT…]`: new versions of templates beside the old ones; containers to the newest version.

use super::documents::Documents;
use super::update_template::{Job, Outcome};
use super::{Context, create_cache, ct, followers, for_each};
use crate::cli::Update;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::decide::Wish;
use crate::ops::followers::Way;
use crate::ops::names::{self, Object};
use crate::ops::{as_of, commit, containers, node, saved};
use vzpkg_cache::store::{Follow, Store, VersionRow};
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{ContainerId, TemplateName, VersionNumber};

pub(super) fn run(context: &Context, arguments: &Update) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let wish = wish(arguments)?;
    let objects = match &wish {
        Wish::Plan(plan) => vec![Object::Template(plan.head.template.clone())],
        _ => objects(context, &store, &area, &arguments.objects)?,
    };
    check(context, arguments, &objects)?;
    let moment = arguments.as_of.as_deref().map(as_of::moment).transpose()?;
    let named = match &wish {
        Wish::Plan(_) => 1,
        _ => arguments.objects.len(),
    };
    let documents = Documents::new(context, named);
    let of_containers = objects.iter().all(|it| matches!(it, Object::Container(_)));
    let of_containers = of_containers && !objects.is_empty();
    let job = Job {
        context,
        documents: &documents,
        store: &store,
        area: &area,
        wish: &wish,
        again: arguments.again,
        save: arguments.save_plan.as_deref(),
        as_of: moment.as_ref(),
        threads: arguments
            .threads
            .unwrap_or_else(|| context.settings.threads()),
    };
    let done = for_each(context, objects, |object| match object {
        Object::Template(name) => {
            let outcome = job.run(&name)?;
            if !arguments.follow.containers {
                return match outcome {
                    Outcome::Made { before } => {
                        let way = way(&names::head(&store, &name)?, Some(before));
                        followers::tell_left_behind(context, &store, &name, way)
                    }
                    Outcome::Planned | Outcome::Unchanged => Ok(()),
                };
            }
            match outcome {
                Outcome::Planned => {
                    followers::would_follow(context, &store, &name, arguments.restart)
                }
                Outcome::Unchanged => follow(context, &store, &name, None, arguments),
                Outcome::Made { before } => follow(context, &store, &name, Some(before), arguments),
            }
        }
        Object::Container(id) if arguments.in_place => {
            let row = store.db.container(&id)?;
            ct::in_place(context, &store, &area, &row, None, &documents)
        }
        Object::Container(id) => {
            let from = store.db.container(&id)?.link;
            relink(context, &store, &id, &wish, arguments.restart)?;
            let row = store.db.container(&id)?;
            let to = match row.follow {
                Follow::Head if context.settings.dry_run => {
                    names::head(&store, &row.template)?.digest
                }
                _ => row.link,
            };
            documents.add(|| serde_json::json!({ "container": id, "template": row.template, "from": from, "to": to }));
            Ok(())
        }
    });
    documents.finish(match (arguments.in_place, of_containers) {
        (true, _) => "in-place",
        (_, true) => "relink",
        _ => create_cache::schema(context),
    });
    done
}

/// Takes the containers of a template to its head, which was another version `before` if it has moved.
fn follow(
    context: &Context,
    store: &Store,
    template: &TemplateName,
    before: Option<VersionNumber>,
    arguments: &Update,
) -> CommandResult {
    let head = names::head(store, template)?;
    let way = way(&head, before);
    let undo = before.map(|before| format!("vzpkg rollback {template} --to {before} --containers"));
    let (options, restart) = (&arguments.follow, arguments.restart);
    let undo = undo.as_deref();
    followers::take_along(context, store, &head, way, options, restart, undo)
}

/// Where containers go with a head that was another version `before`: back, where a lock says so.
fn way(head: &VersionRow, before: Option<VersionNumber>) -> Way {
    match before {
        Some(before) if head.name.number < before => Way::Back,
        _ => Way::Forward,
    }
}

/// Some options are about one template, or a dry run.
fn check(context: &Context, arguments: &Update, objects: &[Object]) -> CommandResult {
    let refuse = |text: String| Err(CommandError::message(Kind::Usage, text));
    for (option, is_given) in [
        ("--to-lock", arguments.to_lock.is_some()),
        ("--save-plan", arguments.save_plan.is_some()),
    ] {
        if is_given && objects.len() != 1 {
            return refuse(format!("`{option}` is about exactly one template; name it"));
        }
    }
    let is_template = |object: &Object| matches!(object, Object::Template(_));
    if arguments.in_place && objects.iter().any(is_template) {
        return refuse("`--in-place` is about containers; name those".to_owned());
    }
    if arguments.save_plan.is_some() && !context.settings.dry_run {
        return refuse("`--save-plan` keeps what a dry run says; add `--dry-run`".to_owned());
    }
    Ok(())
}

fn wish(arguments: &Update) -> CommandResult<Wish> {
    let Update {
        rebuild,
        only,
        security,
        to_lock,
        plan,
        ..
    } = arguments;
    if let Some(path) = plan {
        return Ok(Wish::Plan(Box::new(saved::read(path)?)));
    }
    if let Some(path) = to_lock {
        let lock = create_cache::read_lock(path)?;
        return Ok(Wish::ToLock(Box::new(lock)));
    }
    Ok(match (*rebuild, only.is_empty(), *security) {
        (true, ..) => Wish::Rebuild,
        (_, false, _) => {
            let patterns = only.iter().map(|typed| typed.parse());
            Wish::Only(patterns.collect::<Result<_, _>>()?)
        }
        (.., true) => Wish::Security,
        _ => Wish::Everything,
    })
}

/// What was named; else all templates that have a version.
fn objects(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    typed: &[String],
) -> CommandResult<Vec<Object>> {
    if !typed.is_empty() {
        let objects = typed.iter().map(|typed| names::object(store, area, typed));
        return objects.collect();
    }
    let rows = store.db.templates()?.into_iter();
    let mut objects = Vec::new();
    for name in rows.filter(|row| row.head.is_some()).map(|row| row.name) {
        if commit::is_brought_forward(store, &name)? {
            objects.push(Object::Template(name));
        } else {
            let why = "committed from a container with packages of its own";
            context
                .printer
                .note(format_args!("{name} stays as it is: {why}"));
        }
    }
    if objects.is_empty() {
        context
            .printer
            .note("no template has a version yet; build one: vzpkg create-cache TEMPLATE");
    }
    Ok(objects)
}

fn relink(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    wish: &Wish,
    restart: bool,
) -> CommandResult {
    if !matches!(wish, Wish::Everything) {
        let text = format!("`{id}` is a container; `{}` is about templates", wish.why());
        return Err(CommandError::message(Kind::Usage, text).hint(format!(
            "move it to the head of its template: vzpkg update {id}"
        )));
    }
    let row = store.db.container(id)?;
    let runtime = containers::runtime(context)?;
    ct::to_head(context, store, &row, restart, &runtime)
}
