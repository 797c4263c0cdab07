//! `vzpkg new-template NAME`: a template directory to start from, which builds as it is.

use super::Context;
use crate::cli::NewTemplate;
use crate::error::CommandResult;
use crate::ops::node;
use crate::output::Tone;
use clap::ValueEnum as _;
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::template::Skeleton;

pub(super) fn run(context: &Context, arguments: &NewTemplate) -> CommandResult {
    let _store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let name = TemplateName::from_user(&arguments.template)?;
    let skeleton = Skeleton {
        name: name.clone(),
        like: arguments.like.and_then(|like| {
            let value = like.to_possible_value()?;
            Some(value.get_name().to_owned())
        }),
    };
    let (place, origin) = area.skeleton_plan(&skeleton)?;
    let from = origin.map_or_else(String::new, |origin| format!(", as {origin} has it"));
    let place = format!("{}{from}", place.display());
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would write", place);
        return Ok(());
    }
    area.write_skeleton(&skeleton)?;
    context.printer.status(Tone::Good, "Wrote", place);
    if name.as_str().contains('/') {
        let text = "        applications are not built yet; what they are: docs/templates.md";
        context.printer.note(text);
        return Ok(());
    }
    context
        .printer
        .note("        edit `packages` and `repositories` there, then:");
    context
        .printer
        .note(format_args!("        vzpkg create-cache {name}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::cli::Like;
    use clap::ValueEnum as _;
    use vzpkg_metadata::template::Origin;

    #[test]
    fn a_new_template_can_be_like_every_shipped_one() {
        let values = Like::value_variants().iter();
        let mut names: Vec<String> = values
            .filter_map(|like| Some(like.to_possible_value()?.get_name().to_owned()))
            .collect();
        names.sort();
        assert_eq!(names, Origin::distributions());
    }
}
