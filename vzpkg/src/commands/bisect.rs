//! `vzpkg bisect T --good A --bad B --test COMMAND`: the version, then the package, that made something fail.

use super::Context;
use crate::cli::Bisect;
use crate::error::CommandResult;
use crate::ops::bisect::Verdict;
use crate::ops::bisect::search::{self, Found, Search, describe};
use crate::ops::bisect::trial::Trial;
use crate::ops::{containers, names, node, refresh_index};
use crate::output::progress::Progress;
use crate::output::{Tone, counted};
use std::cell::RefCell;
use std::sync::Arc;
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::transaction::Action;

pub(super) fn run(context: &Context, arguments: &Bisect) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let (name, location) = node::locate(&area, &arguments.template)?;
    let template = node::load(&area, &location)?;
    let good = names::version_of(&store, &area, &name, &arguments.good)?;
    let bad = names::version_of(&store, &area, &name, &arguments.bad)?;
    let versions = search::between(&store, &good, &bad)?;
    if context.settings.dry_run {
        let rounds = versions.len().ilog2() + 2;
        let what = format_args!(
            "{} of {name} after @{} up to @{}, in about {rounds} trials, then packages",
            counted(versions.len(), "version"),
            good.name.number,
            bad.name.number
        );
        context.printer.status(Tone::Plain, "Would test", what);
        return Ok(());
    }
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client(context, &progress);
    let told = RefCell::new(Vec::new());
    let search = Search {
        context,
        store: &store,
        template: &template,
        client: &client,
        progress: &progress,
        threads: arguments
            .threads
            .unwrap_or_else(|| context.settings.threads()),
        trial: Trial {
            context,
            store: &store,
            template: &template,
            runtime: &containers::runtime(context)?,
            command: &arguments.test,
        },
        tried: &|what, verdict| {
            say(context, what, verdict);
            let document = serde_json::json!({ "what": what, "verdict": verdict.word() });
            told.borrow_mut().push(document);
        },
    };
    let found = search.run(&good, &versions)?;
    tell(context, &name, &found, &told.borrow());
    Ok(())
}

fn say(context: &Context, what: &str, verdict: Verdict) {
    let (tone, word) = match verdict {
        Verdict::Good => (Tone::Good, "Good"),
        Verdict::Bad => (Tone::Bad, "Bad"),
        Verdict::Skip => (Tone::Warning, "Skipped"),
    };
    context.printer.status(tone, word, what);
}

fn tell(context: &Context, template: &TemplateName, found: &Found, tried: &[serde_json::Value]) {
    let printer = context.printer;
    let Found { versions, packages } = found;
    let names: Vec<String> = versions.iter().map(|row| row.name.to_string()).collect();
    if printer.is_json() {
        printer.json(
            "bisect",
            serde_json::json!({
                "template": template, "versions": names, "packages": packages, "tried": tried,
            }),
        );
        return;
    }
    printer.result(match names.as_slice() {
        [name] => format!("{name} is the first bad version"),
        _ => format!("the first bad version is one of {}", names.join(", ")),
    });
    printer.result(match packages.as_slice() {
        [] => "its packages are those of the version before: the template or its scripts differ"
            .to_owned(),
        [step] => format!("what makes it bad: {}", describe(step)),
        steps => {
            let steps: Vec<String> = steps.iter().map(describe).collect();
            format!("what makes it bad is among: {}", steps.join(", "))
        }
    });
    if let [step] = packages.as_slice()
        && matches!(step.action, Action::Upgrade { .. })
    {
        let name = &step.package.name;
        let hint = format!("keep the old one: vzpkg hold {template} '{name}'");
        printer.note(format_args!("{:>12} {hint}", ""));
    }
}
